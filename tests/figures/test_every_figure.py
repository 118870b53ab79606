"""What every interactive figure is made of: bundle, still, HTML form and traits."""

import json
import math
import os
import re
import subprocess
from types import SimpleNamespace

import pytest
import traitlets
from bs4 import BeautifulSoup
from helpers.figure_clock import pass_frames, pass_time

from bnn_tutorial import figures
from bnn_tutorial.figures.figure import BUNDLES, FIGURES, STYLES, Figure

LARGEST_BUNDLE = 60_000  # bytes
CONTROLS = "button, input, select, output, fieldset, [tabindex], [role=slider]"
# How a page, JupyterLab, VS Code and Colab say that they are dark, and that they are light.
THEMES = {
    "Sphinx": [f"document.documentElement.dataset.theme = '{x}'" for x in ("dark", "light")],
    "JupyterLab": [f"document.body.dataset.jpThemeLight = '{x}'" for x in ("false", "true")],
    "VS Code": [f"document.body.className = 'vscode-{x}'" for x in ("dark", "light")],
    "VS Code in high contrast": [
        f"document.body.className = 'vscode-high-contrast {x}'"
        for x in ("", "vscode-high-contrast-light")
    ],
    "Colab": [f"document.documentElement.setAttribute('theme', '{x}')" for x in ("dark", "")],
}
STATE = """(figure) => [...figure.querySelectorAll("input, [role=slider]")]
  .map((input) => /radio|checkbox/.test(input.type) ? input.checked
    : input.value ?? input.getAttribute("aria-valuenow"))"""
# What is to be seen and heard of a figure but for its sliders and switches: drawings as well.
LOOK = """(figure) => {
  const copy = figure.cloneNode(true);
  copy.querySelectorAll("input, output").forEach((node) => node.remove());
  const drawings = [...figure.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL());
  return copy.innerHTML + drawings;
}"""
# What shows only in how things go on.
UNSEEN = {("posterior_playground", "estimator"), ("posterior_playground", "speed")}
# What shows only beside another setting, and that one.
SHOWN_WITH = {
    ("posterior_gallery", "members"): {"method": "ensemble"},
    ("posterior_gallery", "learning_rate"): {"method": "swag"},
    ("posterior_gallery", "dropout_rate"): {"method": "dropout"},
    ("posterior_gallery", "step_size"): {"method": "hmc", "running": True},
    ("posterior_gallery", "leapfrog_steps"): {"method": "langevin", "running": True},
    ("posterior_gallery", "running"): {"method": "hmc"},
    ("reliability", "seed"): {"calibrated": True},
}
# Shows a figure and notes the traits that its module reads, sets or listens to.
ASKED = """(traits) => {
  const model = new module.PageModel(traits);
  window.asked = new Set();
  for (const method of ["get", "set", "on"]) {
    const answer = model[method].bind(model);
    model[method] = (name, ...rest) => {
      asked.add(name.replace("change:", ""));
      return answer(name, ...rest);
    };
  }
  module.default.render({model, el: document.body.appendChild(document.createElement("div"))});
}"""
# All that is to be read or heard of a figure, and what numbers must not look like.
TEXTS = """(figure) => [figure, ...figure.querySelectorAll("*")].flatMap((node) => [
  ...[...node.childNodes].filter((child) => child instanceof Text).map(({data}) => data),
  ...["aria-label", "aria-valuetext", "alt"].map((name) => node.getAttribute(name) ?? ""),
])"""
NO_NUMBER = re.compile(r"[-−]0(?:[.,]0+)?(?![\d.,]*\d)|NaN|Infinity|undefined|null")
# What is written at the axes of each plot, and where a plot says that its scale is new.
AXES = """(figure) => [...figure.querySelectorAll("svg.plot")].map((plot) => [
  [...plot.querySelectorAll(".axes .tick")].map((tick) => tick.textContent).join(" "),
  [...plot.querySelectorAll(".new-scale")].map((text) => text.textContent).join(""),
])"""
# The loss plot of the playground follows its training, frame by frame.
FOLLOWS = {"posterior_playground"}
TRAITS = "(names) => Object.fromEntries(names.map((name) => [name, model.get(name)]))"


def ends(trait):
    """The least and the greatest value of a number, each None where there is none."""
    found = (getattr(trait, "min", None), getattr(trait, "max", None))
    return [end if end is not None and math.isfinite(end) else None for end in found]


def settings(cls):
    """The traits with a range, which a reader or Python sets, and two or more values of each."""
    found = {}
    for name, trait in cls.class_own_traits(sync=True).items():
        low, high = ends(trait)
        if isinstance(trait, traitlets.Bool):
            found[name] = [False, True]
        elif isinstance(trait, traitlets.Enum):
            found[name] = list(trait.values)
        elif low is not None:
            between = low + 1 if high is None else low + (high - low) / 3
            found[name] = [low, round(between) if isinstance(trait, traitlets.Int) else between]
    return found


def draws(cls):
    """Whether a figure is a picture: one that is all words writes its own still."""
    return cls.still is Figure.still


@pytest.fixture(scope="session")
def fresh_bundles(tmp_path_factory, root, node_modules):
    """A folder with every bundle, built now."""
    folder = tmp_path_factory.mktemp("bundles")
    command = ["npm", "run", "--silent", "figures"]
    subprocess.run(command, cwd=root, env=os.environ | {"OUT": str(folder)}, check=True)
    return folder


def test_every_module_has_its_class_and_nothing_is_left_over():
    names = {getattr(figures, name).name for name in figures.__all__}
    for folder in ("javascript", "bundles"):
        assert {path.stem for path in (FIGURES / folder).glob("*.js")} == names
    drawn = {cls.name for cls in (getattr(figures, name) for name in figures.__all__) if draws(cls)}
    assert {path.stem for path in (FIGURES / "stills").iterdir()} == drawn
    styles = {path.stem for path in (FIGURES / "styles").iterdir()}
    assert styles == names | {"figure"}
    folders = {path.name for path in (FIGURES / "javascript").iterdir() if path.is_dir()}
    assert folders <= names | {"shared"}
    assert sorted(figures.__all__) == list(figures.__all__)


def test_bundle_is_built_from_the_sources_and_small(cls, fresh_bundles):
    shipped = (BUNDLES / f"{cls.name}.js").read_bytes()
    assert shipped == (fresh_bundles / f"{cls.name}.js").read_bytes(), "run `make figures`"
    assert len(shipped) <= LARGEST_BUNDLE


def test_style_is_the_shared_one_and_its_own(cls):
    shared, own = ((STYLES / f"{name}.css").read_text("utf-8") for name in ("figure", cls.name))
    assert cls._css == f"{shared}\n{own}"
    assert not re.search(r"\.bnn-figure\.", shared)
    selectors = re.findall(r"([^{};]+)\{", re.sub(r"/\*.*?\*/", "", own, flags=re.DOTALL))
    elsewhere = [
        part.strip()
        for selector in selectors
        if not selector.strip().startswith("@")
        for part in selector.split(",\n")
        if not re.match(rf"\.bnn-figure\.{cls.name}(?![\w-])", part.strip())
    ]
    assert elsewhere == []


def test_still_shows_the_figure_without_its_controls(cls):
    text = cls().still()
    still = BeautifulSoup(text, "html.parser")
    assert still.select("svg, img" if draws(cls) else "p")
    assert all(node.get("aria-label") for node in still.select("svg[role=img]"))
    assert all(
        node["src"].startswith("data:image/") and node["alt"] for node in still.select("img")
    )
    # Controls keep their room, and nobody sees or reaches them.
    rooms = still.select(".room")
    assert all(room.has_attr("inert") for room in rooms)
    assert all(node.find_parent(class_="room") or node in rooms for node in still.select(CONTROLS))
    assert still.select("script, style, [id], [for], [name], [aria-live], [role=status]") == []
    # A fold opens without a script, and something has to be in it.
    assert all(fold.summary.find_next_siblings() for fold in still.select("details"))
    # Colours come from the style sheet, which follows the theme.
    assert re.findall(r"(?:fill|stroke|color)[=:]\s*[\"']?\s*(?:#|rgb)[^;\"']*", text) == []


def test_scripts_off_the_still_stands_there_with_a_note(cls, browser, tmp_path):
    (tmp_path / "page.html").write_text(f"<!doctype html>{cls().to_html()}", encoding="utf-8")
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"file://{tmp_path}/page.html")
        figure = page.locator(".bnn-figure")
        shown = figure.locator("svg, img" if draws(cls) else ":scope > :not(noscript) p")
        assert shown.first.is_visible()
        assert figure.locator("noscript p").is_visible()
        assert not any(control.is_visible() for control in figure.locator(CONTROLS).all())
        assert not any(room.bounding_box() for room in figure.locator(".room").all())


def test_html_form_names_no_address(cls):
    text = cls().to_html()
    page = BeautifulSoup(text, "html.parser")
    addresses = [node[key] for key in ("src", "href") for node in page.select(f"[{key}]")]
    assert [address[:99] for address in addresses if not address.startswith("data:")] == []
    assert not re.search(r"url\(|@import", "".join(map(str, page.select("style"))))
    assert len(page.select("script")) == 4, "what it holds ends a script"


def test_two_on_one_page_leave_each_other_alone(cls, shown):
    page = shown(SimpleNamespace(to_html=lambda: cls().to_html() + cls().to_html()))
    page.wait_for_function("document.querySelectorAll('.bnn-figure[data-ready]').length === 2")
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(({id}) => id)")
    assert len(ids) == len(set(ids))
    first, second = page.query_selector_all(".bnn-figure")
    before = second.evaluate(STATE)
    page.eval_on_selector_all("details", "(all) => all.forEach((node) => (node.open = true))")
    for slider in first.query_selector_all(":is(input[type=range], [role=slider]):visible"):
        slider.press("ArrowRight")
    for switch in first.query_selector_all("input:is([type=radio], [type=checkbox]):visible"):
        switch.click()
    assert first.evaluate(STATE) != before
    assert second.evaluate(STATE) == before


def test_traits_are_explained_and_refuse_what_they_must(cls):
    own = cls.class_own_traits(sync=True)
    assert own
    for name, trait in own.items():
        assert trait.help, f"{name} has no help"
        low, high = ends(trait)
        wrong = [object()]
        wrong += [] if low is None else [low - 1]
        wrong += [] if high is None else [high + 1]
        if isinstance(trait, traitlets.Enum):
            wrong += ["another"]
        for value in wrong:
            with pytest.raises(traitlets.TraitError, match=name):
                cls().set_trait(name, value)


def test_module_knows_the_traits_and_nothing_else(cls, module_page):
    page = module_page(cls.name)
    page.evaluate(ASKED, cls()._page_traits())
    pass_time(page, 1000)  # some results are told when the figure rests
    assert set(page.evaluate("[...asked]")) == set(cls.class_own_traits(sync=True))


def test_a_trait_has_one_name_in_python_and_javascript(cls):
    folder = FIGURES / "javascript"
    sources = [folder / f"{cls.name}.js", *(folder / cls.name).glob("*.js")]
    text = "".join(source.read_text(encoding="utf-8") for source in sources)
    words = set(re.findall(r"\w+", text))
    others = {re.sub("_(.)", lambda found: found[1].upper(), name) for name in cls.class_traits()}
    assert words & others - set(cls.class_traits()) == set()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_is_one_that_json_has_not(cls, value):
    for name, trait in cls.class_own_traits(sync=True).items():
        wrong = value
        while isinstance(trait, traitlets.List):
            trait, wrong = trait._trait, [wrong, wrong]
        if isinstance(trait, traitlets.Float):
            with pytest.raises(traitlets.TraitError, match=name):
                cls().set_trait(name, wrong)


def test_traits_survive_json(cls):
    before = {name: value for name, value in cls().settings().items() if type(value) is not bytes}
    read_only = {name for name, trait in cls.class_own_traits().items() if trait.read_only}
    after = json.loads(json.dumps(before))
    assert after == before
    copy = cls(**{name: value for name, value in after.items() if name not in read_only})
    assert copy.settings() == cls().settings()


def test_page_begins_with_the_settings_that_python_gave(cls, shown):
    default = cls().settings()
    others = {
        name: next(other for other in values if other != default[name])
        for name, values in settings(cls).items()
    }
    page = shown(cls(**others), reduced_motion="reduce")
    assert page.evaluate(TRAITS, list(others)) == others
    plain = shown(cls(), reduced_motion="reduce")
    looks = [each.query_selector(".bnn-figure").evaluate(LOOK) for each in (page, plain)]
    assert looks[0] != looks[1]


def test_no_setting_is_dead(cls, shown):
    # A figure that trains would change by itself.
    still = {"running": False} if "running" in cls.class_own_traits() else {}
    page = shown(cls(**still), reduced_motion="reduce")
    figure = page.query_selector(".bnn-figure")

    def look_with(name, value):
        page.evaluate("([name, value]) => model.set(name, value)", [name, value])
        pass_frames(page)  # a figure may answer in its next frame
        return figure.evaluate(LOOK)

    for name, values in settings(cls).items():
        if (cls.name, name) in UNSEEN:
            continue
        beside = SHOWN_WITH.get((cls.name, name), {})
        original = page.evaluate(TRAITS, list(beside))
        for needed, its_value in beside.items():
            look_with(needed, its_value)
        value = page.evaluate("(name) => model.get(name)", name)
        before = look_with(name, value)
        other = next(other for other in values if other != value)
        assert look_with(name, other) != before, f"{name}={other!r} shows nothing"
        for changed, back in {name: value, **original}.items():
            look_with(changed, back)


def test_sliders_lead_to_the_bounds_of_their_traits(cls, shown):
    page = shown(cls(), reduced_motion="reduce")
    page.eval_on_selector_all("details", "(all) => all.forEach((node) => (node.open = true))")
    limits = {name: ends(trait) for name, trait in cls.class_own_traits(sync=True).items()}
    moved = set()
    for slider in page.query_selector_all("input[type=range]"):
        slider.press("Home")
        low = page.evaluate(TRAITS, list(limits))
        slider.press("End")
        high = page.evaluate(TRAITS, list(limits))
        whole = [name for name in limits if [low[name], high[name]] == limits[name]]
        assert len(whole) == 1, slider.evaluate("(node) => node.labels[0].textContent")
        moved.update(whole)
    assert len(moved) == page.locator("input[type=range]").count()


def used(page):
    """Yield a name for each end to which a slider, and each choice to which a switch leads."""
    page.eval_on_selector_all("details", "(all) => all.forEach((node) => (node.open = true))")
    name = "({labels}) => labels[0].textContent"
    for slider in page.locator("input[type=range]").all():
        before = slider.input_value()
        for key in ("Home", "End") if slider.is_visible() else ():
            slider.press(key)
            pass_frames(page)
            yield slider.evaluate(name), key
        slider.evaluate(
            "(node, value) => { node.value = value; node.dispatchEvent(new Event('input')); }",
            before,
        )
        pass_frames(page)
        yield slider.evaluate(name), before
    for switch in page.locator("input:is([type=radio], [type=checkbox])").all():
        if switch.is_visible():
            switch.click()
            pass_frames(page)
            yield switch.evaluate(name), "click"


def test_no_number_is_minus_zero_or_none(cls, shown):
    page = shown(cls(), reduced_motion="reduce")
    figure = page.query_selector(".bnn-figure")
    wrong = [text for text in figure.evaluate(TEXTS) if NO_NUMBER.search(text)]
    for setting in used(page):
        wrong += [(setting, t) for t in figure.evaluate(TEXTS) if NO_NUMBER.search(t)]
    assert wrong == []
    assert all(map(NO_NUMBER.search, ["−0.00", "at -0", "−0,", "NaN", "x −0.0 nats"]))
    assert not any(map(NO_NUMBER.search, ["−0.05", "-0.1", "1.0−0.5", "−0,012"]))


def test_no_axis_takes_another_scale_in_silence(cls, shown):
    if cls.name in FOLLOWS:
        pytest.skip("its loss plot follows the steps")
    page = shown(cls(), reduced_motion="reduce")
    figure = page.query_selector(".bnn-figure")
    before = figure.evaluate(AXES)
    assert all(said == "" for _, said in before)
    silent = []
    for setting in used(page):
        after = figure.evaluate(AXES)
        pairs = zip(before, after, strict=True)
        silent += [setting for (was, _), (now, said) in pairs if was != now and not said]
        before = after
    assert silent == []


def test_colours_follow_the_theme_of_every_host(cls, shown):
    page = shown(cls())

    def brightness():
        colour = page.evaluate("getComputedStyle(document.querySelector('.bnn-figure')).color")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 765

    assert brightness() < 0.2
    for host, (dark, light) in THEMES.items():
        page.evaluate(dark)
        assert brightness() > 0.8, host
        page.evaluate(light)
        assert brightness() < 0.2, host
