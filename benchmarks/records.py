"""What the benchmarks share: a record and its machine, a table's lines and its place on the page.

Explained on the page "How fast, how accurate".
"""

import datetime
import importlib.metadata
import json
import math
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

import bnn_tutorial as bt
from bnn_tutorial.atomic_write import atomic_write

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "book" / "performance.md"


def first_line(text: str | None) -> str:
    """Return the first line of a program's documentation."""
    return (text or "").partition("\n")[0]


def installed_version(package: str) -> str:
    """Return the version of an installed package, or that it is missing."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def machine(date: str, packages: tuple[str, ...] = ("torch",)) -> dict:
    """Return what the numbers were measured on.

    Args:
        date: for the record alone.
        packages: those whose versions matter.
    """
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    models = [line.partition(":")[2] for line in lines if "model name" in line]
    return {
        "date": date,
        "cpu": models[0].strip() if models else platform.machine(),
        "cores": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "bnn_tutorial": bt.__version__,
        "versions": {package: installed_version(package) for package in packages},
    }


def write_record(record: dict, path: Path) -> None:
    """Write what was measured, whole or not at all."""
    with atomic_write(path) as draft:
        draft.write_text(json.dumps(record, indent=1) + "\n")


def complete_record(
    path: Path,
    plan: Iterable[tuple],
    run: Callable[..., dict],
    key: Callable[[dict], tuple],
    summaries: Callable[[list[dict]], list[dict]],
    settings: dict,
    jobs: int = 1,
) -> None:
    """Make the runs that a record lacks, and write it after each, so that none is made twice.

    Args:
        path: of the record, which need not exist.
        plan: the keys of all runs that are wanted. A record is sorted by keys.
        run: makes the run of a key, from its parts.
        key: of a run.
        summaries: of all runs.
        settings: of every run.
        jobs: how many runs are made side by side, each in a process of one thread; 1 makes them
            here.

    Raises:
        ValueError: the record's runs were made under other settings.
    """
    record = json.loads(path.read_text()) if path.is_file() else {"runs": []}
    settings = json.loads(json.dumps(settings))  # as the record holds them
    if record["runs"] and record["settings"] != settings:
        raise ValueError(
            f"{path} was made under {record['settings']}: expected {settings}; name another "
            "--output, or delete the record"
        )
    runs = {key(made): made for made in record["runs"]}
    missing = [wanted for wanted in plan if wanted not in runs]
    for made in tqdm(_made(run, missing, jobs), total=len(missing), unit="run"):
        runs[key(made)] = made
        ordered = [runs[place] for place in sorted(runs)]
        today = datetime.date.today().isoformat()
        parts = {"summary": summaries(ordered), "runs": ordered}
        write_record({"machine": machine(today), "settings": settings} | parts, path)


def _made(run: Callable[..., dict], keys: Sequence[tuple], jobs: int) -> Iterator[dict]:
    """Yield the runs of all keys, each when it is made."""
    if jobs == 1:
        yield from (run(*key) for key in keys)
        return
    context = get_context("spawn")  # a process that is forked can't use CUDA
    with ProcessPoolExecutor(jobs, context, torch.set_num_threads, (1,)) as pool:
        running = [pool.submit(run, *key) for key in keys]
        try:
            yield from (made.result() for made in as_completed(running))
        finally:
            pool.shutdown(cancel_futures=True)


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean, or None of a single value."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def classification_scores(samples: Tensor, labels: Tensor) -> dict[str, float]:
    """Return accuracy, NLL, ECE and mean confidence of an average over draws.

    Args:
        samples: logits (S, N, C).
        labels: (N,).
    """
    confidence = samples.softmax(dim=-1).mean(dim=0).max(dim=-1).values.mean().item()
    return bt.CategoricalLikelihood().metrics(samples, labels) | {"confidence": confidence}


def with_gains(
    scores: Sequence[dict[str, float]], references: Sequence[dict[str, float] | None]
) -> dict[str, float | None]:
    """Return each score's mean with its standard error, and its mean gain over a reference.

    Args:
        scores: of one predictor, by name, from every start.
        references: of another from the same starts, None where it is missing. The gain is how much
            lower a score is than there.
    """
    row: dict[str, float | None] = {}
    for name in scores[0]:
        values = [found[name] for found in scores]
        gains = [
            other[name] - value
            for value, other in zip(values, references, strict=True)
            if other is not None
        ]
        row |= {name: statistics.fmean(values), f"{name}_error": standard_error(values)}
        row[f"{name}_gain"] = statistics.fmean(gains) if gains else None
        row[f"{name}_gain_error"] = standard_error(gains)
    return row


def line(cells: list[str]) -> str:
    """Return one line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def marks(name: str) -> tuple[str, str]:
    """Return the two comments between which a page holds the table called ``name``."""
    return f"<!-- {name} table: start -->", f"<!-- {name} table: end -->"


def table_in(page: str, name: str) -> str:
    """Return the table that stands between its two marks.

    Raises:
        ValueError: a mark is missing.
    """
    first, last = marks(name)
    _, start, rest = page.partition(first)
    table, end, _ = rest.partition(last)
    if not (start and end):
        raise ValueError(f"expected the marks {first} and {last}")
    return table.strip()


def with_table(page: str, name: str, table: str) -> str:
    """Return ``page`` with ``table`` between the two marks of ``name``.

    Raises:
        ValueError: a mark is missing.
    """
    table_in(page, name)
    first, last = marks(name)
    before, _, rest = page.partition(first)
    after = rest.partition(last)[2]
    return f"{before}{first}\n\n{table}\n\n{last}{after}"


def write_table(name: str, table: str, page: Path = PAGE) -> None:
    """Put ``table`` in its place on a page."""
    page.write_text(with_table(page.read_text(), name, table))
