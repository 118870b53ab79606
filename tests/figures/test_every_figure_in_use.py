"""How every interactive figure treats its readers: hands, eyes, ears, and their machine's rest."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.figure_clock import pass_frames, pass_time, rest, settle

FIGURE_FAULTS = Path(__file__).with_name("figure_faults.js").read_text(encoding="utf-8")
PAGE_FAULTS = (
    Path(__file__).parents[1].joinpath("helpers/page_faults.js").read_text(encoding="utf-8")
)
LARGEST_SHIFT = 0.02  # of what is in sight, by the browser's own measure
# How far things have moved since the last call. The browser would forgive what follows a key.
SHIFT = """() => {
  const add = (entries) => entries.forEach(({value}) => (window.moved += value));
  if (window.moved === undefined) {
    window.observer = new PerformanceObserver((list) => add(list.getEntries()));
    observer.observe({type: "layout-shift"});
  } else add(observer.takeRecords());
  const {moved} = window;
  window.moved = 0;
  return moved;
}"""
DARK_PAGE = "html[data-theme=dark] { background: #121212; color: #ddd }"
SYSTEM_PAGE = "html { background: Canvas; color-scheme: light dark }"
CONTROLS = "button:enabled, input, select, summary, [tabindex='0']"
OPEN = "(all) => all.forEach((node) => (node.open = true))"
# The focused control's place among all, and whether it looks otherwise than without the focus.
FOCUSED = """(selector) => {
  const node = document.activeElement;
  const look = () => [node, ...node.querySelectorAll("*")].map((part) => {
    const {outline, boxShadow, stroke, strokeWidth, fill} = getComputedStyle(part);
    return [outline, boxShadow, stroke, strokeWidth, fill].join();
  }).join();
  const focused = look();
  node.blur();
  const shows = look() !== focused;
  node.focus({focusVisible: true});
  return [[...document.querySelectorAll(selector)].indexOf(node), shows];
}"""
# Counts what goes on inside the figure: frames asked for, and changes but for what is spoken.
WATCH = """() => {
  window.work = {frames: 0, changes: []};
  window.pictures = []; // when it looked otherwise than before
  const original = window.requestAnimationFrame;
  window.requestAnimationFrame = (callback) => {
    work.frames += 1;
    return original(callback);
  };
  new MutationObserver((records) => {
    const nodes = records.map(({target}) => (target.closest ? target : target.parentElement));
    const seen = nodes.filter((node) => node && !node.closest(".spoken"));
    work.changes.push(...seen.map((node) => node.outerHTML.slice(0, 60)));
    if (seen.length) pictures.push(performance.now());
  }).observe(document.querySelector(".bnn-figure"),
    {attributes: true, characterData: true, childList: true, subtree: true});
}"""
# Renders a figure as a notebook does and takes it away; counts what it holds outside itself.
RENDER_AND_END = """(traits) => {
  const held = {};
  const count = (name, difference) => (held[name] = (held[name] ?? 0) + difference);
  for (const target of [window, document, document.documentElement])
    for (const [method, difference] of [["addEventListener", 1], ["removeEventListener", -1]]) {
      const original = target[method].bind(target);
      target[method] = (type, ...rest) => {
        count(`${target} ${type}`, difference);
        return original(type, ...rest);
      };
    }
  for (const name of ["ResizeObserver", "IntersectionObserver"])
    window[name] = class extends window[name] {
      number = 0;
      observe(target) {
        count(name, 1);
        this.number += 1;
        super.observe(target);
      }
      disconnect() {
        count(name, -this.number);
        this.number = 0;
        super.disconnect();
      }
    };
  class Model extends module.PageModel {
    on(event, listener) {
      count(`model ${event}`, 1);
      super.on(event, listener);
    }
    off(event, listener) {
      count(`model ${event}`, -1);
      super.off(event, listener);
    }
  }
  const el = document.createElement("div");
  document.body.append(el);
  const end = module.default.render({model: new Model(traits), el});
  const during = {...held};
  end();
  window.frames_asked = 0;
  window.requestAnimationFrame = () => (frames_asked += 1);
  return {classes: [...el.classList], during, after: held};
}"""


def work_in(page, milliseconds):
    """What goes on inside the figure in this time."""
    page.evaluate("() => Object.assign(work, {frames: 0, changes: []})")
    pass_time(page, milliseconds)
    return page.evaluate("work")


def unnamed(page):
    """The controls that a screen reader would find without a name, by their role."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    found = []
    for node in nodes:
        properties = {p["name"]: p["value"].get("value") for p in node.get("properties", [])}
        role, name = (node.get(key, {}).get("value", "") for key in ("role", "name"))
        if properties.get("focusable") and role != "RootWebArea" and not name.strip():
            found.append(role)
    return found


def test_every_control_has_a_name_and_the_result_is_spoken(cls, shown):
    page = shown(cls())
    page.eval_on_selector_all("details", OPEN)
    assert page.locator(CONTROLS).count() > 0
    assert unnamed(page) == []
    assert page.locator("[role=status]").first.inner_text().strip()
    assert page.locator("output:not([aria-live=off])").count() == 0


def test_tab_reaches_every_control_and_shows_where_it_is(cls, shown):
    page = shown(cls(), reduced_motion="reduce")
    page.eval_on_selector_all("details", OPEN)
    page.evaluate("() => { document.body.tabIndex = -1; document.body.focus(); }")
    expected = page.eval_on_selector_all(
        CONTROLS,
        """(all) => all.flatMap((node, i) => {
          // The arrow keys lead to the others from the radio button that is marked, or the first.
          const group = all.filter(({type, name}) => type === "radio" && name === node.name);
          const entry = group.find(({checked}) => checked) ?? group[0];
          if (node.type === "radio" && node !== entry) return [];
          return node.checkVisibility() && node.tabIndex >= 0 ? [i] : [];
        })""",
    )
    reached = {}
    for _ in range(len(expected) + 2):
        page.keyboard.press("Tab")
        place, shows = page.evaluate(FOCUSED, CONTROLS)
        reached[place] = shows
    reached.pop(-1, None)  # beyond the figure
    assert reached == dict.fromkeys(expected, True)


@pytest.mark.parametrize("width", [800, 375, 320])
def test_text_and_targets_are_large_enough_and_nothing_overflows(cls, shown, width):
    page = shown(cls(), width=width, has_touch=width < 800)
    assert page.evaluate(FIGURE_FAULTS) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("forced_colors", ["none", "active"])
def test_text_is_legible_on_both_themes_and_in_forced_colours(cls, shown, theme, forced_colors):
    page = shown(cls(), color_scheme=theme, forced_colors=forced_colors)
    forced = forced_colors == "active"  # by the system, whatever the page's theme is
    page.add_style_tag(content=SYSTEM_PAGE if forced else DARK_PAGE)
    page_theme = {"light": "dark", "dark": "light"}[theme] if forced else theme
    page.evaluate("(theme) => (document.documentElement.dataset.theme = theme)", page_theme)
    assert page.evaluate(PAGE_FAULTS).get("too little contrast", []) == []


def test_nothing_runs_out_of_sight(cls, shown):
    page = shown(cls())
    page.eval_on_selector_all("details", OPEN)
    page.add_style_tag(content="body { padding-bottom: 5000px }")
    page.evaluate(WATCH)
    buttons = page.locator(".bnn-figure button:enabled")
    for index in range(-1, buttons.count()):  # at first as the reader finds it
        page.evaluate("scrollTo(0, 0)")
        if index >= 0 and buttons.nth(index).is_visible():
            buttons.nth(index).click()
            pass_frames(page, 3)
        page.evaluate("scrollTo(0, 6000)")
        pass_time(page, 500)  # what was answered last may be told to Python a little later
        assert work_in(page, 300) == {"frames": 0, "changes": []}, f"button {index}"


def test_reduced_motion_lets_nothing_move_until_it_is_used(cls, shown):
    page = shown(cls(), reduced_motion="reduce")
    pass_time(page, 500)
    page.evaluate(WATCH)
    work = work_in(page, 500)
    if work["frames"]:  # it may work, for a while, and show how far it is
        rest(page)
        times = page.evaluate("pictures")
        assert all(later - earlier > 1000 for earlier, later in pairwise(times))
        pass_time(page, 500)
        work = work_in(page, 500)
    assert work == {"frames": 0, "changes": []}


def test_taken_away_it_leaves_nothing_behind(cls, module_page):
    page = module_page(cls.name)
    traits = json.loads(json.dumps(cls()._page_traits()))
    result = page.evaluate(RENDER_AND_END, traits)
    assert {"bnn-figure", cls.name} <= set(result["classes"]), "a notebook's cell has no such class"
    assert sum(result["during"].values()) > 0
    assert {name: left for name, left in result["after"].items() if left} == {}
    pass_time(page, 200)
    assert page.evaluate("frames_asked") == 0


def shift(page):
    """How far things have moved on the page since this was last asked."""
    settle(page)
    return page.evaluate(SHIFT)


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (375, 740)])
def test_nothing_moves_when_it_takes_its_stills_place(cls, watched, width, height):
    page = watched(requests=False, viewport={"width": width, "height": height})
    held = cls().to_html().replace("<script>beginF", "<script>begin = () => beginF")
    head = '<!doctype html><meta name="viewport" content="width=device-width"><title>.</title>'
    page.set_content(f"{head}<p>Before.</p>{held}<p>After.</p>")
    figure = page.locator(".bnn-figure")
    shift(page)
    before = figure.bounding_box()
    page.evaluate("begin()")
    page.wait_for_selector(".bnn-figure[data-ready]")
    assert shift(page) <= LARGEST_SHIFT
    assert figure.bounding_box() == pytest.approx(before, abs=2)


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (375, 740)])
def test_nothing_moves_when_a_control_does(cls, shown, width, height):
    page = shown(cls(), width=width, height=height, reduced_motion="reduce")
    # As wide letters as the book's; and no scrolling that would hide what has moved.
    page.add_style_tag(content="html { font-family: sans-serif; overflow-anchor: none }")
    page.eval_on_selector_all("details", OPEN)
    shift(page)
    moved = {}
    for slider in page.locator("input[type=range]").all():
        for key in ("Home", "End") if slider.is_visible() else ():
            slider.scroll_into_view_if_needed()
            shift(page)
            slider.press(key)
            moved[slider.evaluate("({labels}) => labels[0].textContent"), key] = shift(page)
    for switch in page.locator("input:is([type=radio], [type=checkbox])").all():
        if switch.is_visible():
            switch.scroll_into_view_if_needed()
            shift(page)
            switch.click()
            moved[switch.evaluate("({labels}) => labels[0].textContent"), "click"] = shift(page)
    assert {move: size for move, size in moved.items() if size > LARGEST_SHIFT} == {}
