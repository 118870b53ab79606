"""Figures in a live JupyterLab: Python reads what the reader moved, and moves it too."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from helpers.chromium import PATIENCE
from helpers.pointers import by_mouse
from playwright.sync_api import Locator, Page, expect

SETTINGS = {
    # Nobody outside is asked for news, and every cell is there to be used, in sight or not.
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
SECONDS = PATIENCE / 1000

CELLS = [
    """
import matplotlib.pyplot as plt
import bnn_tutorial as bt
figure = bt.figures.PosteriorPlayground(prior_std=0.5, running=False)
figure""",
    "figure",
    """
def run(prior_std):
    if prior_std > 5:
        raise ValueError(f"too wide: {prior_std}")
    plt.plot([0, prior_std])
    plt.show()
    print("the code ran with", prior_std)
bt.SlidersOverCode(run, figure, {"prior_std": "Prior"})""",
    "print(repr(figure.prior_std))",
    "figure.prior_std = 2.0",
]


@contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """Serve a folder's notebooks by a JupyterLab of its own; yields its address, token included."""
    for name, values in SETTINGS.items():
        path = folder / f"config/lab/user-settings/@jupyterlab/{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    token = secrets.token_hex(16)
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--IdentityProvider.token={token}"),
        *(f"--ServerApp.root_dir={folder / 'notebooks'}", "--LabApp.extension_manager=readonly"),
        "--LabApp.expose_app_in_browser=True",
    ]
    places = {"CONFIG": "config", "DATA": "data", "RUNTIME": "runtime"}
    own = {f"JUPYTER_{name}_DIR": str(folder / place) for name, place in places.items()}
    own["IPYTHONDIR"] = str(folder / "ipython")
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(
            command, env=os.environ | own, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield f"{started(server, folder)}lab/tree/live.ipynb?token={token}"
    finally:
        server.terminate()  # the kernels end with it
        try:
            server.wait(SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def started(server: subprocess.Popen, folder: Path) -> str:
    """The address of the server, once it has one."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and server.poll() is None:
        for found in (folder / "runtime").glob("jpserver-*.json"):
            if text := found.read_text():
                return json.loads(text)["url"]
        time.sleep(0.05)
    pytest.fail(f"JupyterLab did not start:\n{(folder / 'log').read_text()}")


@pytest.fixture(scope="module")
def notebook(browser, tmp_path_factory) -> Iterator[Page]:
    """A notebook that shows a figure twice and sliders over code, open in JupyterLab and run."""
    folder = tmp_path_factory.mktemp("lab")
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in CELLS]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    live = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    (folder / "notebooks").mkdir()
    nbformat.write(live, folder / "notebooks" / "live.ipynb")
    problems = []
    with jupyter_lab(folder) as address, browser.new_context() as context:
        page = context.new_page()
        page.set_viewport_size({"width": 1280, "height": 2600})
        # A figure's module runs from a blob; errors of JupyterLab's own scripts are not ours.
        page.on("pageerror", lambda e: "blob:" in (e.stack or "") and problems.append(e.stack))
        own = (address.partition("lab/")[0], "blob:", "data:")
        page.on(
            "request", lambda request: request.url.startswith(own) or problems.append(request.url)
        )
        page.goto(address)
        page.wait_for_function(IDLE)
        page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        expect(output(page, 2)).to_contain_text("the code ran with 2.0")
        for view in range(3):
            expect_value(prior_slider(page, view), "2")
        yield page
    assert problems == []


def output(page: Page, index: int) -> Locator:
    """What the cell of this number has shown."""
    return page.locator(".jp-CodeCell").nth(index).locator(".jp-OutputArea").first


def run_cell(page: Page, index: int) -> Locator:
    """Run one cell as a reader does, and return its output."""
    cell = page.locator(".jp-CodeCell").nth(index)
    prompt = cell.locator(".jp-InputPrompt")
    before = re.escape(prompt.inner_text())
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(prompt).to_have_text(re.compile(rf"^(?!{before}$)\[\d+\]:$"))
    return output(page, index)


def prior_slider(page: Page, index: int) -> Locator:
    """The figure's own slider of the prior, in the view that this cell shows."""
    return output(page, index).locator(".bnn-figure").get_by_role("slider", name="Prior")


def expect_value(slider: Locator, value: str) -> None:
    """Wait until the figure's slider stands at this value."""
    expect(slider).to_have_attribute("aria-valuetext", value)


def test_a_key_moves_the_trait_and_the_trait_moves_every_view(notebook):
    slider, cells = prior_slider(notebook, 0), notebook.locator(".jp-Cell").count()
    before = slider.get_attribute("aria-valuetext")
    slider.focus()
    for key in ("ArrowRight", "ArrowUp", "x"):  # on a cell, x would cut it
        notebook.keyboard.press(key)
    chosen = slider.get_attribute("aria-valuetext")
    assert float(chosen) > float(before)
    # Moves wait in the browser until Python has answered the one before.
    expect(output(notebook, 2)).to_contain_text(f"the code ran with {chosen}")
    expect(run_cell(notebook, 3)).to_have_text(chosen)
    expect_value(prior_slider(notebook, 1), chosen)
    assert notebook.locator(".jp-Cell").count() == cells

    run_cell(notebook, 4)
    for view in range(3):
        expect_value(prior_slider(notebook, view), "2")


def test_sliders_over_code_run_it_and_move_with_the_figure(notebook):
    shown = output(notebook, 2)
    before = run_cell(notebook, 3).inner_text()
    handle = shown.locator(".noUi-handle")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    by_mouse(notebook, (x, y), (x + 40, y))
    expect(shown).not_to_contain_text(f"the code ran with {before.strip()}")
    chosen = run_cell(notebook, 3).inner_text().strip()
    expect(shown).to_contain_text(f"the code ran with {chosen}")
    assert chosen != before
    expect(shown.locator(".jp-OutputArea img, .jp-OutputArea svg").last).to_be_visible()
    expect_value(prior_slider(notebook, 0), f"{float(chosen):.3g}")

    # A screen reader speaks what changes in a place that stays.
    state = shown.get_by_role("status").last.element_handle()
    prior_slider(notebook, 0).press("End")
    expect(shown).to_contain_text("ValueError: too wide: 10")
    expect(shown.get_by_role("status").last).to_have_text("Stopped by an error, shown below.")
    assert state.text_content() == "Stopped by an error, shown below."
    prior_slider(notebook, 0).press("Home")
    expect(shown).to_contain_text("the code ran with 0.1")
    expect(shown).not_to_contain_text("ValueError")


def test_the_widget_is_shown_and_not_the_page_s_html_in_the_theme_of_the_notebook(notebook):
    figures = notebook.locator(".bnn-figure")
    assert figures.count() == 3
    assert notebook.locator("[id^=bnn-figure-]").count() == 0

    def colour(theme):
        change = "(theme) => jupyterapp.commands.execute('apputils:change-theme', {theme})"
        notebook.evaluate(change, theme)
        light = "true" if theme.endswith("Light") else "false"
        notebook.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")
        return figures.first.evaluate("(figure) => getComputedStyle(figure).color")

    assert [colour("JupyterLab Dark"), colour("JupyterLab Light")] == [
        "rgb(230, 230, 230)",
        "rgb(34, 34, 34)",
    ]
