"""The table of the interactive figures' speed, from what ``browser.py`` measured.

Explained on the page "How fast, how accurate".
"""

import json

from records import RESULTS, line, write_table

RECORD = RESULTS / "browser.json"
STEPS_TARGET = 500  # a second
FRAMES_TARGET = 60  # a second
ANSWER_TARGET = 100  # milliseconds
SCRIPT_TARGET = 60_000  # bytes
INTERACTIVE_TARGET = 0.5  # seconds
PAGE_TARGET = 1_000_000  # bytes
RATIO_TARGET = 3  # times a plain page of 6,000 words
SHIFT_TARGET = 0.02  # of the layout, as browsers count it


def kilobytes(number: int) -> str:
    """Return bytes in words."""
    return f"{number / 1000:,.0f} kB"


def target_lines(record: dict) -> list[str]:
    """Return each target with what was measured and whether it was reached."""
    playground, digit = record["playground"], record["digit"]
    steps, frame = playground["steps_per_second"], playground["frame_milliseconds"]
    answer = digit["answer_milliseconds"]
    name, largest = max(record["figures"].items(), key=lambda item: item[1]["script"])
    pages = record["pages"].items()
    page, slowest = max(pages, key=lambda item: item[1]["seconds"])
    heavy, heaviest = max(pages, key=lambda item: item[1]["bytes"])
    ratio = slowest["seconds"] / record["plain_seconds"]
    restless, moved = max(pages, key=lambda item: item[1]["shift"])
    network = f"1-{playground['hidden_units']}-1 on {playground['points']} points"
    rows = [
        (
            f"the playground trains {network}",
            f"{steps['median']:,.0f} steps a second (lowest {steps['lowest']:,.0f})",
            f"{STEPS_TARGET} a second or more",
            steps["median"] >= STEPS_TARGET,
        ),
        (
            "its frames, while it trains in sight",
            f"{playground['frames_per_second']:.1f} a second; {frame['median']:.1f} ms between "
            f"two, {frame['p95']:.1f} ms at the 95th percentile",
            f"{FRAMES_TARGET} a second",
            round(playground["frames_per_second"]) >= FRAMES_TARGET,
        ),
        (
            f"a digit, answered by {digit['draws']} networks, from click to screen",
            f"{answer['median']:.0f} ms, {answer['p95']:.0f} ms at the 95th percentile",
            f"within {ANSWER_TARGET} ms",
            answer["p95"] <= ANSWER_TARGET,
        ),
        (
            "the largest script of a figure",
            f"{kilobytes(largest['script'])} ({name})",
            f"{kilobytes(SCRIPT_TARGET)} or less",
            largest["script"] <= SCRIPT_TARGET,
        ),
        (
            "the slowest page, until it is painted, its scripts have run, what is in sight answers",
            f"{slowest['seconds']:.2f} s (`{page}`)",
            f"within {INTERACTIVE_TARGET} s",
            slowest["seconds"] <= INTERACTIVE_TARGET,
        ),
        (
            "the heaviest page, with all that it loads at first",
            f"{kilobytes(heaviest['bytes'])} (`{heavy}`)",
            f"{kilobytes(PAGE_TARGET)} or less",
            heaviest["bytes"] <= PAGE_TARGET,
        ),
        (
            "the slowest page beside one of 6,000 words without style and script",
            f"{ratio:.1f} times as long (`{page}`)",
            f"{RATIO_TARGET} times or less",
            ratio <= RATIO_TARGET,
        ),
        (
            "the page on which most moves while it loads",
            f"a layout shift of {moved['shift']:.3f} (`{restless}`)",
            f"{SHIFT_TARGET} or less",
            moved["shift"] <= SHIFT_TARGET,
        ),
    ]
    return [
        line([work, measured, target, "yes" if reached else "no"])
        for work, measured, target, reached in rows
    ]


def page_lines(record: dict) -> list[str]:
    """Return what each page with figures weighs and when it answers."""
    return [
        line(
            [
                f"`{name}`",
                str(page["figures"]),
                kilobytes(page["html_bytes"]),
                kilobytes(page["bytes"]),
                f"{page['seconds']:.2f} s",
                f"{page['figures_seconds']:.2f} s",
            ]
        )
        for name, page in record["pages"].items()
        if page["figures"]
    ]


def table(record: dict) -> str:
    """Return the Markdown that stands between the two marks on the page."""
    computer = record["machine"]
    intro = (
        f"Measured on {computer['date']}: {computer['cpu']}; {record['browser']}, with one core "
        f"for the playground and the digit, with {computer['cores']} for the pages."
    )
    targets = [line(["what", "measured", "target", "reached"]), line(["---"] * 4)]
    scripts = [line(["figure", "script", "with still and data"]), line(["---"] * 3)]
    headings = ["page", "figures", "HTML", "with all it loads", "ready", "all figures answer"]
    pages = [line(headings), line(["---"] * len(headings))]
    sizes = [
        line([f"`{name}`", kilobytes(size["script"]), kilobytes(size["html"])])
        for name, size in record["figures"].items()
    ]
    parts = (
        [intro],
        targets + target_lines(record),
        scripts + sizes,
        pages + page_lines(record),
    )
    return "\n\n".join("\n".join(part) for part in parts)


def write() -> None:
    """Write the page's table from the recorded results."""
    write_table("browser", table(json.loads(RECORD.read_text())))
