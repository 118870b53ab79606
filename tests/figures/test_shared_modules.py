"""What the figures' modules share: scales, numbers in words, a page's model, controls, frames."""

import math
import subprocess

import pytest
from helpers.figure_clock import FRAME, pass_frames, pass_time, settle, stop_clock
from helpers.pointers import by_mouse

from bnn_tutorial.figures.figure import FIGURES, STYLES

SHARED = FIGURES / "javascript" / "shared"
ENTRY = "".join(f"export * from './{name}.js';" for name in ("plot", "controls", "page_model"))
IMPORT = """async (source) => {
  const address = URL.createObjectURL(new Blob([source], {type: "text/javascript"}));
  window.shared = await import(address);
}"""
SLIDER = """({value, options}) => {
  window.model = new shared.PageModel({x: value});
  window.saved = 0;
  model.save_changes = () => (saved += 1);
  const controls = new shared.Controls(model);
  document.body.replaceChildren(controls.slider({name: "x", label: "The x", ...options}));
}"""
LIVE_TEXT = """(text) => {
  window.live ??= new shared.Controls(null).liveText();
  document.body.append(live.node);
  live.show(text);
}"""
FRAMES = """() => {
  document.body.innerHTML = "<p style='height: 50px'>Here</p><p style='height: 5000px'></p>";
  window.passed = [];
  const controls = new shared.Controls(null);
  const loop = controls.frames(document.querySelector("p"), (time) => passed.push(time));
  Object.assign(window, {controls, loop});
}"""
HANDLES = """() => {
  const plot = new shared.Plot({
    label: "A plot", x: {domain: [0, 10]}, y: {domain: [0, 100]}, height: 300, interactive: true,
    draw: () => nodes.forEach((node, i) => shared.setAttributes(
      node, {cx: plot.x(places[i]), cy: plot.y(30), "aria-valuenow": places[i]})),
  });
  const layer = plot.layer("marks");
  const nodes = ["First", "Second"].map((name, i) => {
    const node = shared.svg("circle", {
      r: 30, role: "slider", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 10,
    });
    layer.append(node);
    return shared.movable(node, plot, {
      from: () => places[i],
      move: (to, dragged) => {
        places[i] = to;
        window.wasDragged = dragged;
        plot.redraw();
      },
      step: 0.5,
      remove: () => (places[i] = null),
    });
  });
  Object.assign(window, {plot, places: [2, 2.3]});
  document.body.replaceChildren(plot.svg);
  plot.redraw();
}"""


@pytest.fixture(scope="session")
def source(node_modules, tmp_path_factory):
    """The file of the shared modules as one."""
    command = [node_modules / ".bin" / "esbuild", "--bundle", "--format=esm", "--charset=utf8"]
    built = subprocess.run(
        command, input=ENTRY, cwd=SHARED, text=True, capture_output=True, check=True
    )
    path = tmp_path_factory.mktemp("shared") / "shared.mjs"
    path.write_text(built.stdout, encoding="utf-8")
    return path


@pytest.fixture
def module(node, source):
    """The shared modules in Node.js, for what needs no page."""
    return node.load(source)


@pytest.fixture
def page(browser, source):
    """A page with nothing but the figures' style, whose ``shared`` holds the modules."""
    with browser.new_context(viewport={"width": 800, "height": 600}) as context:
        stop_clock(context)
        page = context.new_page()
        style = (STYLES / "figure.css").read_text(encoding="utf-8")
        page.set_content(
            f"<!doctype html><style>{style}</style><body style='margin: 0' class='bnn-figure'>"
        )
        page.evaluate(IMPORT, source.read_text(encoding="utf-8"))
        yield page


def test_linear_scale_maps_both_ways(module):
    values = module.evaluate("""() => {
      const scale = module.linearScale([-2, 3], [100, 50]);
      return [scale(-2), scale(3), scale(0), scale.invert(100), scale.invert(scale(1.7))];
    }""")
    assert values == pytest.approx([100, 50, 80, -2, 1.7], rel=1e-12)


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (0.5, 0.5, "0.5"),
        (1, 0.5, "1.0"),
        (-2, 1, "−2"),
        (0.30000000000000004, 0.05, "0.30"),
        (2000, 500, "2000"),
        (0.001, 0.001, "0.001"),
        (0, 0.2, "0.0"),
    ],
)
def test_ticks_have_the_digits_of_their_step(module, value, step, text):
    said = module.evaluate("([value, step]) => module.tickText(value, step)", [value, step])
    assert said == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (-0.123456, "−0.123"),
        (1234.5, "1,230"),
        (99.96, "100"),
        (0.0001234, "0.000123"),
        (0.00001234, "1.23 × 10⁻⁵"),
        (-1234567, "−1.23 × 10⁶"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "undefined"),
    ],
)
def test_numbers_in_words(module, value, text):
    assert module.evaluate("(value) => module.numberText(value)", value) == text


def test_paths_go_through_the_points(module):
    line, area, nothing = module.evaluate("""() => {
      const plot = {x: (value) => 10 * value, y: (value) => 100 - value};
      return [
        module.linePath(plot, [0, 1], [5, 7]),
        module.areaPath(plot, [0, 1], [1, 2], [5, 7]),
        module.areaPath(plot, [], [], []),
      ];
    }""")
    assert line == "M0.0,95.0L10.0,93.0"
    assert area == "M0.0,95.0L10.0,93.0L10.0,98.0L0.0,99.0Z"
    assert nothing == ""


def test_the_pages_model_answers_as_a_widgets_does(module):
    heard, values, data = module.evaluate("""() => {
      const model = new module.PageModel({a: 1, b: 2, data: {base64: "AAH/"}});
      const heard = [];
      const onA = () => heard.push(`a=${model.get("a")}`);
      model.on("change:a", onA);
      model.on("change", () => heard.push("any"));
      model.set("a", 3);
      model.set("a", 3); // no change
      model.set("b", 4);
      model.off("change:a", onA);
      model.set("a", 5);
      model.save_changes();
      const data = model.get("data");
      const bytes = Array.from({length: data.byteLength}, (_, i) => data.getUint8(i));
      return [heard, [model.get("a"), model.get("b")], bytes];
    }""")
    assert heard == ["a=3", "any", "any", "any"]
    assert values == [5, 4]
    assert data == [0, 1, 255]


def test_slider_says_its_value_and_sets_its_trait(page):
    page.evaluate(SLIDER, {"value": 0.3, "options": {"min": 0, "max": 1, "step": 0.1}})
    slider = page.get_by_role("slider", name="The x", exact=True)
    assert slider.get_attribute("aria-valuetext") == "0.3"
    for key, value in (("ArrowRight", 0.4), ("ArrowLeft", 0.3), ("End", 1), ("Home", 0)):
        slider.press(key)
        assert page.evaluate("model.get('x')") == value
        assert float(slider.get_attribute("aria-valuetext")) == value
        assert float(page.locator("output").inner_text()) == value
    assert page.evaluate("saved") == 4
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.evaluate("model.get('x')") == 0.5


def test_slider_follows_python_and_leaves_a_value_between_two_steps(page):
    page.evaluate(SLIDER, {"value": 0.37, "options": {"min": 0, "max": 1, "step": 0.1}})
    assert page.evaluate("model.get('x')") == 0.37
    assert page.locator("output").inner_text() == "0.37"
    page.evaluate("model.set('x', 0.82)")
    assert page.locator("output").inner_text() == "0.82"
    assert page.evaluate("saved") == 0
    page.get_by_role("slider").press("ArrowRight")
    assert page.evaluate("model.get('x')") == 0.9


def test_logarithmic_slider_has_steps_of_equal_ratio_and_both_ends(page):
    options = {"min": 1e-4, "max": 100, "logarithmic": True, "steps": 6}
    page.evaluate(SLIDER, {"value": 1, "options": options})
    slider = page.get_by_role("slider")
    values = []
    slider.press("Home")
    for _ in range(7):
        values.append(page.evaluate("model.get('x')"))
        slider.press("ArrowRight")
    assert values == pytest.approx([1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100], rel=1e-12)


def test_slider_of_stops_has_no_other_values(page):
    page.evaluate(SLIDER, {"value": 3, "options": {"stops": [1, 2, 5, 10]}})
    slider = page.get_by_role("slider")
    assert page.evaluate("model.get('x')") == 3
    values = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "Home", "End"):
        slider.press(key)
        values.append(page.evaluate("model.get('x')"))
    assert values == [5, 10, 10, 1, 10]


def test_result_is_seen_at_once_and_spoken_when_it_rests(page):
    page.evaluate(LIVE_TEXT, "first")
    seen, spoken = page.locator(".result"), page.locator("[role=status]")
    assert (seen.inner_text(), spoken.text_content()) == ("first", "first")
    page.evaluate("""() => {
      window.said = [];
      new MutationObserver(() => said.push(document.querySelector("[role=status]").textContent))
        .observe(document.querySelector("[role=status]"), {childList: true});
    }""")
    for text in ("second", "third", "fourth"):
        page.evaluate(LIVE_TEXT, text)
        assert seen.inner_text() == text
    pass_time(page, 900)
    assert page.evaluate("said") == []
    pass_time(page, 200)
    assert page.evaluate("said") == ["fourth"]


def test_frames_run_only_when_wanted_and_in_sight(page):
    page.evaluate(FRAMES)
    pass_frames(page, 5)
    assert page.evaluate("passed") == []
    page.evaluate("loop.start()")
    pass_frames(page, 4)
    assert page.evaluate("passed") == [0, FRAME, FRAME, FRAME]
    page.evaluate("scrollTo(0, 3000)")
    pass_frames(page, 10)
    assert page.evaluate("passed.length") == 4
    page.evaluate("scrollTo(0, 0)")
    pass_frames(page)
    assert page.evaluate("passed.slice(4)") == [0], "the rest counts as time"
    page.evaluate("controls.end()")
    pass_frames(page, 5)
    assert page.evaluate("passed.length") == 5


def test_handle_follows_the_pointer_that_holds_it(page):
    page.evaluate(HANDLES)
    settle(page)
    box = page.locator("svg.plot").bounding_box()

    def at(x):
        return box["x"] + page.evaluate("(x) => plot.x(x)", x), box["y"] + 200

    start = (at(2)[0] - 5, box["y"] + page.evaluate("plot.y(30)"))  # not in its middle
    by_mouse(page, start, (at(7)[0] - 5, at(7)[1]))
    # The second lies above the first; the first was nearer.
    assert page.evaluate("[...places, wasDragged]") == pytest.approx([7, 2.3, True], abs=1e-6)
    page.mouse.move(*at(4))
    assert page.evaluate("places") == pytest.approx([7, 2.3], abs=1e-6)


def test_a_second_finger_neither_takes_nor_drops_a_handle(page):
    page.evaluate(HANDLES)
    settle(page)
    send = """([kind, pointerId, to]) => {
      const {x, y} = document.querySelector("svg.plot").getBoundingClientRect();
      document.querySelector("[role=slider]").dispatchEvent(new PointerEvent(kind, {
        pointerId, clientX: x + plot.x(to), clientY: y + plot.y(30), isPrimary: pointerId === 1,
      }));
    }"""
    page.evaluate("Element.prototype.setPointerCapture = () => {}")  # it knows true pointers only
    for kind, pointer, to in (
        ("pointerdown", 2, 2),
        ("pointermove", 2, 3),
        ("pointerdown", 1, 2),
        ("pointerdown", 2, 3),
        ("pointermove", 2, 4),
        ("pointerup", 2, 4),
    ):
        page.evaluate(send, [kind, pointer, to])
        assert page.evaluate("places[0]") == 2
    page.evaluate(send, ["pointermove", 1, 4])
    assert page.evaluate("places[0]") == pytest.approx(4, abs=1e-6)


def test_handle_follows_the_keys_of_a_slider(page):
    page.evaluate(HANDLES)
    settle(page)
    handle = page.get_by_role("slider", name="First")
    for key, place in (
        ("ArrowRight", 2.5),
        ("ArrowDown", 2),
        ("ArrowUp", 2.5),
        ("ArrowLeft", 2),
        ("Shift+ArrowRight", 7),
        ("PageDown", 2),
        ("PageUp", 7),
        ("End", 10),
        ("Home", 0),
    ):
        handle.press(key)
        assert page.evaluate("[...places, wasDragged]") == pytest.approx([place, 2.3, False])
    handle.press("Delete")
    assert page.evaluate("places") == [None, 2.3]


def test_plot_draws_itself_at_the_width_it_has(page):
    page.evaluate(HANDLES)
    settle(page)
    for width in (600, 320):
        page.set_viewport_size({"width": width, "height": 600})
        settle(page)
        assert page.evaluate("plot.width") == width
        scale = page.evaluate("document.querySelector('svg.plot').getScreenCTM().a")
        assert scale == pytest.approx(1, abs=0.01)
    assert page.locator("svg.plot").get_attribute("role") == "group"
