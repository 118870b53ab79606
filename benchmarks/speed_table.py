"""The table of speeds, made from what ``speed.py`` measured, and the targets beside it.

Explained on the page "How fast, how accurate".
"""

import json
from dataclasses import dataclass

import peers
from records import RESULTS, line, write_table

RECORD = RESULTS / "speed.json"
WEIGHT, LOCAL, FLIPOUT = tuple(peers.WEIGHT), tuple(peers.LOCAL), tuple(peers.FLIPOUT)


@dataclass(frozen=True)
class Row:
    """One line of the table: ``ours`` and the best of ``peers``, as ratios in ``measurement``."""

    work: str
    measurement: str
    ours: str
    peers: tuple[str, ...]
    target: float | None  # None is what the best peer reaches
    speedup: bool = False  # shown as "times faster", the ratio's inverse


ROWS = (
    Row(
        "training step, 1-1000-1 regression, 500 points, `weight`",
        "regression_step",
        "ours, weight",
        WEIGHT,
        1.25,
    ),
    Row(
        "the same in a plain loop, `model(x)` and `kl_divergence`",
        "regression_step",
        "ours, plain loop",
        WEIGHT,
        None,
    ),
    Row(
        "training step, all-Bayesian MNIST CNN, batch 128, `weight`",
        "mnist_step",
        "ours, weight",
        WEIGHT,
        1.05,
    ),
    Row("the same, `local`", "mnist_step", "ours, local", LOCAL, 2.1),
    Row("the same, `flipout`", "mnist_step", "ours, flipout", FLIPOUT, 1.9),
    Row(
        "10,000 draws of the regression at 300 points, `predict`",
        "regression_draws",
        "ours, predict",
        WEIGHT,
        0.6,
    ),
    Row(
        "mean and standard deviation of that network, `exact_moments`",
        "regression_draws",
        "ours, exact_moments",
        WEIGHT,
        1 / 200,
        speedup=True,
    ),
    Row(
        "1,000 images × 10 draws, Bayesian head on a deterministic trunk, `predict`",
        "head_draws",
        "ours, predict",
        ("plain loop",),
        0.2,
    ),
)
MEGABYTES_TARGET = 300


def quoted(contender: dict, *, speedup: bool = False) -> str:
    """Return a ratio's median and quartiles in words."""
    lower, median, upper = (
        contender["ratio"][name] for name in ("lower_quartile", "median", "upper_quartile")
    )
    if speedup:
        return f"{1 / median:.0f} times faster ({1 / upper:.0f} to {1 / lower:.0f})"
    return f"{median:.2f} ({lower:.2f} to {upper:.2f})"


def compared(row: Row, results: dict) -> str:
    """Return the row's line: ours, the best peer, the target, and whether it was reached."""
    contenders = results[row.measurement]["contenders"]
    ran = [name for name in row.peers if name in contenders]
    best = min(ran, key=lambda name: contenders[name]["ratio"]["median"], default=None)
    peer = "none ran" if best is None else f"{best} {contenders[best]['ratio']['median']:.2f}"
    most = contenders[best]["ratio"]["median"] if row.target is None and best else row.target
    if row.target is None:
        target = "at most the best peer's"
    elif row.speedup:
        target = f"at least {1 / row.target:.0f} times faster"
    else:
        target = f"at most {row.target:g}"
    if row.ours not in contenders:
        return line([row.work, "did not run", peer, target, "no"])
    ours = contenders[row.ours]
    reached = "yes" if most is not None and ours["ratio"]["median"] <= most else "no"
    return line([row.work, quoted(ours, speedup=row.speedup), peer, target, reached])


def added_memory(megabytes: float) -> str:
    """Return the line of the memory that the draws need beyond their result."""
    target, reached = f"under {MEGABYTES_TARGET} MB", megabytes < MEGABYTES_TARGET
    work = "memory of 10,000 draws × 300 points beyond the result"
    return line([work, f"{max(megabytes, 0):.0f} MB", "", target, "yes" if reached else "no"])


def each_contender(results: dict) -> list[str]:
    """Return the table of every contender that took part, with every measured ratio."""
    measurements = ("regression_step", "mnist_step", "regression_draws")
    names = dict.fromkeys(name for m in measurements for name in results[m]["contenders"])
    lines = [
        line(["", "regression step", "MNIST CNN step", "10,000 draws"]),
        line(["---"] * 4),
    ]
    for name in names:
        found = (results[measurement]["contenders"].get(name) for measurement in measurements)
        cells = [
            f"{c['ratio']['median']:.3g} ({c['milliseconds']:,.2f} ms)" if c else "" for c in found
        ]
        lines.append(line([name, *cells]))
    return lines


def failures(results: dict) -> list[str]:
    """Return a sentence for every contender that could not take part."""
    return [
        f"- {name} did not run ({measurement.replace('_', ' ')}): `{error}`"
        for measurement, result in results.items()
        if isinstance(result, dict)
        for name, error in result["errors"].items()
    ]


def table(record: dict) -> str:
    """Return the Markdown that stands between the two marks on the page."""
    machine, settings = record["machine"], record["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    parts = []
    for device, results in record["devices"].items():
        place = machine["gpu"] if device == "cuda" else f"{machine['cpu']}, one thread"
        lines = [
            line(["work", "ours", "best peer", "target", "reached"]),
            line(["---"] * 5),
            *(compared(row, results) for row in ROWS),
            added_memory(results["added_megabytes"]),
        ]
        parts += [f"Measured on {machine['date']}: {place}; {versions}; {settings['optimizer']}."]
        parts += ["\n".join(lines), "\n".join(each_contender(results))]
        parts += ["\n".join(failures(results))] if failures(results) else []
    return "\n\n".join(parts)


def write() -> None:
    """Write the page's table from the recorded results."""
    write_table("speed", table(json.loads(RECORD.read_text())))
