"""How fast the interactive figures are in a browser, and what they add to the book's pages.

Explained on the page "How fast, how accurate". In headless Chromium: the figures with one core
for all its processes, the pages with all cores. The built site is needed: ``make
benchmark-figures`` builds it, measures on Linux and writes the page's table.
"""

import argparse
import datetime
import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import browser_table
from chromium import launch
from playwright.sync_api import Browser, Page, sync_playwright
from records import ROOT, first_line, machine, write_record
from tqdm import tqdm

from bnn_tutorial import figures
from bnn_tutorial.figures.figure import BUNDLES, Figure

SITE = ROOT / "_build" / "html"
HIDDEN_UNITS = 50

IMPORT = """async (source) => {
  const address = URL.createObjectURL(new Blob([source], {type: "text/javascript"}));
  window.module = await import(address);
}"""
# Training steps a second, in each of eight parts of the time; one more goes before, to warm up.
STEPS = """({points, hidden_units, milliseconds}) => {
  const data = {
    x: Float64Array.from(points, ([x]) => x),
    y: Float64Array.from(points, ([, y]) => y),
  };
  const settings = {prior_std: 2, kl_weight: 1, noise_std: 0.577};
  const network = module.createNetwork({hidden_units, seed: 1, initStd: 0.05});
  const adam = module.createAdam(network.parameters.length);
  const rate = () => {
    const start = performance.now();
    let count = 0;
    while (performance.now() - start < milliseconds / 8) {
      const {gradient} = module.exactLoss(network, data, settings);
      module.adamStep(adam, network.parameters, gradient, 0.01);
      count += 1;
    }
    return (1000 * count) / (performance.now() - start);
  };
  rate();
  return Array.from({length: 8}, rate);
}"""
# Times between frames while the figure trains, until it has settled or the time is over, but twelve
# at least. It has opened by the tenth, and its code is compiled.
FRAMES = """async (milliseconds) => {
  const figure = document.querySelector(".bnn-figure");
  const times = [];
  await new Promise((done) => {
    const tick = (time) => {
      times.push(time);
      const trains = figure.hasAttribute("data-training");
      const enough = time - times[0] >= milliseconds && times.length > 12;
      if (trains && !enough) requestAnimationFrame(tick);
      else done();
    };
    requestAnimationFrame(tick);
  });
  return times.slice(1).map((time, i) => time - times[i]).slice(10);
}"""
# Times from the click that asks for another digit until the answer is on the screen.
ANSWERS = """async (clicks) => {
  const next = [...document.querySelectorAll("button")].find((b) => b.textContent === "Next digit");
  const times = [];
  for (let i = 0; i < clicks + 2; i++) {
    const before = model.get("example");
    const start = performance.now();
    next.click();
    await new Promise((done) => requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = done; // comes after the frame
      channel.port2.postMessage(0);
    }));
    times.push(performance.now() - start);
    if (model.get("example") === before) throw new Error("no other digit");
    await new Promise((done) => setTimeout(done, 300));
  }
  return times.slice(2); // the code is compiled by then
}"""
# A page of the length of a chapter, with neither style nor script, to compare the book's with.
PLAIN = "<!doctype html><html lang='en'><meta charset='utf-8'><title>Plain</title>" + 60 * (
    "<p>" + 10 * "One of ten words; a hundred make up a paragraph. " + "</p>"
)
# Notes when each figure was ready, and how much of what was in sight moved.
NOTE_READY = """window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.shift += entry.value;
}).observe({type: "layout-shift", buffered: true});
window.figuresReady = [];
new MutationObserver((found) => {
  for (const {target} of found) window.figuresReady.push([target, performance.now()]);
}).observe(document, {attributes: true, attributeFilter: ["data-ready"], subtree: true});"""
READY = """() => document.readyState === "complete" &&
  !document.querySelector(".bnn-figure:not([data-ready])")"""
# Milliseconds until all figures answer, and until nothing is in the reader's way: the page is
# painted, its scripts have run, and the figures in sight answer.
TIMES = """() => {
  const scripts = performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd;
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  const last = (ready) => Math.max(0, ...ready.map(([, time]) => time));
  const near = ([figure]) => figure.getBoundingClientRect().top < innerHeight;
  const page = Math.max(scripts, paint.startTime, last(window.figuresReady.filter(near)));
  return {figures: last(window.figuresReady), page, shift: window.shift};
}"""


def quantiles(values: list[float]) -> dict[str, float]:
    """Return the median and the 95th percentile of two values or more."""
    return {"median": statistics.median(values), "p95": statistics.quantiles(values, n=20)[-1]}


@contextmanager
def chromium(*, one_core: bool) -> Iterator[Browser]:
    """Start a headless Chromium, on one core with all its processes or on those there are.

    Processes are bound to a core on Linux alone.
    """
    cores = os.sched_getaffinity(0) if one_core else None
    if cores:
        os.sched_setaffinity(0, {min(cores)})  # those started from here inherit it
    try:
        with sync_playwright() as playwright:
            browser = launch(playwright)
            yield browser
            browser.close()
    finally:
        if cores:
            os.sched_setaffinity(0, cores)


def opened(browser: Browser, figure: Figure) -> Page:
    """Return a page that shows a figure alone, at the width of the book's text."""
    page = browser.new_page(viewport={"width": 800, "height": 900})
    made = "new PageModel(traits)"
    page.set_content(f"<!doctype html>{figure.to_html().replace(made, f'window.model = {made}')}")
    page.wait_for_selector(".bnn-figure[data-ready]")
    return page


def measure_playground(browser: Browser, seconds: float = 5) -> dict:
    """Measure the playground's training: steps a second alone, frames a second in sight."""
    figure = figures.PosteriorPlayground(hidden_units=HIDDEN_UNITS)
    page = browser.new_page()
    page.evaluate(IMPORT, figure._esm)
    task = {"points": figure.points, "hidden_units": HIDDEN_UNITS, "milliseconds": 1000 * seconds}
    rates = page.evaluate(STEPS, task)
    page.close()
    page = opened(browser, figure)
    frames = page.evaluate(FRAMES, 1000 * seconds)
    page.close()
    return {
        "hidden_units": HIDDEN_UNITS,
        "points": len(figure.points),
        "steps_per_second": {"median": statistics.median(rates), "lowest": min(rates)},
        "frames": len(frames),
        "frames_per_second": 1000 * len(frames) / sum(frames),
        "frame_milliseconds": quantiles(frames),
    }


def measure_digit(browser: Browser, clicks: int = 20) -> dict:
    """Measure how long thirty networks take to answer, from the click to the screen."""
    page = opened(browser, figures.DrawDigit())
    result = {"draws": 30, "answer_milliseconds": quantiles(page.evaluate(ANSWERS, clicks))}
    page.close()
    return result


def measure_sizes() -> dict:
    """Return the bytes of each figure's script, and of all that it adds to a page."""
    classes = [getattr(figures, name) for name in figures.__all__]
    return {
        cls.__name__: {
            "script": (BUNDLES / f"{cls.name}.js").stat().st_size,
            "html": len(cls().to_html().encode()),
        }
        for cls in classes
    }


def measure_page(browser: Browser, path: Path, rounds: int) -> dict:
    """Open a page from the disk, each time with nothing kept from before."""
    times, files, count = [], set(), 0
    for _ in range(rounds):
        with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
            page = context.new_page()
            page.on("request", lambda request: files.add(request.url.partition("?")[0]))
            page.add_init_script(NOTE_READY)
            page.goto(path.as_uri())  # Playwright's own script comes after that
            page.wait_for_function(READY)
            page.wait_for_load_state("networkidle")
            times.append(page.evaluate(TIMES))
            count = page.locator(".bnn-figure").count()
    local = [Path(url.removeprefix("file://")) for url in files if url.startswith("file://")]
    return {
        "figures": count,
        "html_bytes": path.stat().st_size,
        "bytes": sum(file.stat().st_size for file in local),
        "figures_seconds": statistics.median(time["figures"] for time in times) / 1000,
        "seconds": statistics.median(time["page"] for time in times) / 1000,
        "shift": max(time["shift"] for time in times),
    }


def main() -> None:
    """Measure, or write the page's table from what was measured."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--table", action="store_true", help="only write the page's table")
    parser.add_argument("--rounds", type=int, default=5, help="how often a page is opened")
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    parser.add_argument("--output", type=Path, default=browser_table.RECORD)
    arguments = parser.parse_args()
    if arguments.table:
        browser_table.write()
        return
    pages = sorted((SITE / "book").rglob("*.html"))
    if not pages:
        parser.error("the book is not built: expected to be run after make book")
    with chromium(one_core=True) as browser:
        record = {
            "machine": machine(arguments.date, ("playwright",)),
            "browser": f"Chromium {browser.version}, headless",
            "playground": measure_playground(browser),
            "digit": measure_digit(browser),
            "figures": measure_sizes(),
            "pages": {},
        }
    with chromium(one_core=False) as browser, TemporaryDirectory() as folder:
        plain = Path(folder, "plain.html")
        plain.write_text(PLAIN, encoding="utf-8")
        plain_seconds = []  # from a single opening to the next they differ by half
        for page in tqdm(pages, unit="page"):
            name = str(page.relative_to(SITE))
            record["pages"][name] = measure_page(browser, page, arguments.rounds)
            plain_seconds.append(measure_page(browser, plain, 1)["seconds"])
        record["plain_seconds"] = statistics.median(plain_seconds)
    write_record(record, arguments.output)


if __name__ == "__main__":
    main()
