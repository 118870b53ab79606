"""The page's part on the comparison on MNIST, made from what ``comparison.py`` recorded.

Explained on the page "How fast, how accurate".
"""

import json

from records import RESULTS, line, write_table

RECORD, SEARCH_RECORD = RESULTS / "comparison.json", RESULTS / "comparison-search.json"
REFERENCE = ("twin", "at its temperature")
COLUMNS = {  # by score: heading, factor, digits
    "accuracy": ("accuracy (%)", 100, 2),
    "nll": ("NLL (nats)", 1, 4),
    "ece": ("ECE (%)", 100, 2),
    "entropy_clothes": ("AUROC, clothes", 1, 3),
    "entropy_letters": ("AUROC, letters", 1, 3),
}


def quoted(name: str, value: float) -> str:
    """Return a score in its column's unit."""
    _, factor, digits = COLUMNS[name]
    return f"{factor * value:.{digits}f}"


def score(row: dict, name: str) -> str:
    """Return a mean with its standard deviation between starts, where there are several."""
    std = row["std"][name]
    return quoted(name, row["mean"][name]) + ("" if std is None else f" ± {quoted(name, std)}")


def lower(row: dict) -> str:
    """Return how much lower the NLL is than the reference's, with its interval."""
    if "nll" not in row["lower"]:
        return ""
    value, low, high = (quoted("nll", number) for number in row["lower"]["nll"])
    return f"{value} ({low} to {high})"


def row_line(row: dict, twin: dict) -> str:
    """Return the line of one prediction; costs are multiples of the twin's."""
    costs = (seconds / twin["cost"][kind] for kind, seconds in row["cost"].items())
    cells = [f"{row['competitor']}, {row['prediction']}", *(f"{cost:.1f}" for cost in costs)]
    return line([*cells, lower(row), *(score(row, name) for name in COLUMNS)])


def cell_table(rows: list[dict]) -> list[str]:
    """Return the lines of one network and size, the lowest NLL first."""
    twin = next(row for row in rows if (row["competitor"], row["prediction"]) == REFERENCE)
    headings = ["prediction", "train", "predict", "NLL below the twin's"]
    headings += [heading for heading, _, _ in COLUMNS.values()]
    ordered = sorted(rows, key=lambda row: row["mean"]["nll"])
    return [line(headings), line(["---"] * len(headings)), *(row_line(r, twin) for r in ordered)]


def table(record: dict) -> str:
    """Return the Markdown that stands between the two marks on the page."""
    machine, settings = record["machine"], record["settings"]
    place = machine["gpu"] if settings["device"] == "cuda" else machine["cpu"]
    cells: dict[tuple[str, int], list[dict]] = {}
    for row in record["summary"]:
        cells.setdefault((row["network"], row["size"]), []).append(row)
    parts = [
        f"Measured until {machine['date']}: {place}, torch {machine['versions']['torch']}. Mean ± "
        "standard deviation between starts; 95 % intervals of test images and starts. Costs are "
        "medians, as multiples of the twin's; the NLL is compared with the "
        "twin's at its temperature. The record has the Brier score and more foreign images, too."
    ]
    for (network, size), rows in cells.items():
        starts = {row["seeds"] for row in rows}
        count = f"{min(starts)} to {max(starts)}" if len(starts) > 1 else f"{max(starts)}"
        passes = settings["epochs"][str(size)]
        parts.append(f"**{network}, {size:,} training images**, {passes} passes, starts: {count}.")
        parts.append("\n".join(cell_table(rows)))
    return "\n\n".join(parts)


def text() -> str:
    """Return what stands on the page: the tables, or how far the search is without any."""
    if RECORD.is_file():
        return table(json.loads(RECORD.read_text()))
    tried = len(json.loads(SEARCH_RECORD.read_text())["runs"])
    return f"Candidate settings tried so far: {tried}. No competitor has been scored yet."


def write() -> None:
    """Write the page's part from the records."""
    write_table("comparison", text())
