"""The figure "Draw a digit": the browser computes what PyTorch does, and a hand is answered."""

import base64
import math
import re

import pytest
import safetensors.torch
import torch
from helpers.figure_clock import pass_time
from helpers.figure_model import said, trait
from helpers.node import Node
from helpers.pointers import by_touch
from playwright.sync_api import Page
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode
from torchvision.transforms.functional import rotate as rotate_image
from traitlets import TraitError

import bnn_tutorial as bt
from bnn_tutorial.figures import DrawDigit
from bnn_tutorial.figures.digit_networks import WEIGHTS_FILE, digit_network
from bnn_tutorial.figures.handwriting import LETTERS, rasterize

OPEN = """(base64) => {
  const model = new module.PageModel({weights: {base64}});
  window.tensors = module.readTensors(model.get("weights"));
}"""
CLASSIFY = """([network, images]) =>
  images.map((image) => module.classify(network, Float32Array.from(image)))"""
# A drawn network in the order of digit_network's parameters.
DRAW = """([count, seed]) => module.drawNetworks(tensors, count, seed).map((network) =>
  network.flatMap(({weight, bias}) => [Array.from(weight), Array.from(bias)]))"""


@pytest.fixture
def mathematics(module) -> Node:
    """The figure's module, with its ``tensors`` read."""
    loaded = module("draw_digit")
    loaded.evaluate(OPEN, base64.b64encode(WEIGHTS_FILE.read_bytes()).decode())
    return loaded


def digits() -> Tensor:
    """The ten test digits of the figure."""
    return (
        torch.frombuffer(bytearray(DrawDigit().digit_pixels), dtype=torch.uint8).view(10, 1, 28, 28)
        / 255
    )


def flat(images: Tensor) -> list[list[float]]:
    return images.flatten(1).tolist()


def test_weights_are_read_exactly(mathematics):
    page = mathematics
    tensors = safetensors.torch.load_file(WEIGHTS_FILE)
    values = "Object.entries(tensors).map(([name, {values}]) => [name, Array.from(values)])"
    read = dict(page.evaluate(values))
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(torch.tensor(read[name]), tensor.float().flatten())
        assert page.evaluate("(name) => tensors[name].shape", name) == list(tensor.shape)


def test_probabilities_are_those_of_pytorch(mathematics):
    page = mathematics
    images = torch.cat([digits(), DrawDigit.letter_images(), torch.zeros(1, 1, 28, 28)])
    script = f"([seed, images]) => ({CLASSIFY})([module.drawNetworks(tensors, 1, seed)[0], images])"
    for seed in (0, 1):
        network = digit_network()
        [weights] = page.evaluate(DRAW, [1, seed])
        with torch.no_grad():
            for parameter, values in zip(network.parameters(), weights, strict=True):
                parameter.copy_(torch.tensor(values).view_as(parameter))
            expected = network(images).softmax(dim=-1)
        found = torch.tensor(page.evaluate(script, [seed, flat(images)]))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_twin_answers_as_in_pytorch(mathematics):
    _, twin = DrawDigit.networks()
    images = torch.cat([digits(), DrawDigit.letter_images()])
    script = f"(images) => ({CLASSIFY})([module.twinNetwork(tensors), images])"
    found = torch.tensor(mathematics.evaluate(script, flat(images)))
    with torch.no_grad():
        torch.testing.assert_close(found, twin(images).softmax(dim=-1), rtol=1e-4, atol=1e-6)


def test_networks_are_drawn_from_the_posterior(mathematics):
    bayesian, _ = DrawDigit.networks()
    first, second = mathematics.evaluate(DRAW, [2, 3])
    parts = [part for layer in bt.bayesian_layers(bayesian) for part in layer.gaussians()]
    scores = []
    for part, *draws in zip(parts, first, second, strict=True):
        std = torch.nn.functional.softplus(part.rho.double())
        scores += [((torch.tensor(w) - part.mean.flatten()) / std.flatten()) for w in draws]
    scores = torch.cat(scores).detach().sort().values
    assert len(scores) == 2 * 32_826
    # The Kolmogorov-Smirnov distance of as many standard normals is above this once in 1,000 times.
    normal = torch.special.ndtr(scores)
    steps = torch.arange(len(scores) + 1) / len(scores)
    distance = torch.maximum((steps[1:] - normal).max(), (normal - steps[:-1]).max())
    assert distance < 1.95 / math.sqrt(len(scores))
    assert mathematics.evaluate(DRAW, [1, 3]) == [first]
    assert mathematics.evaluate(DRAW, [1, 4]) != [first]


def test_entropy_is_split_as_in_the_package(mathematics):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(30, 5, 10, dtype=torch.float64, generator=generator)
    answers = logits.softmax(dim=-1)
    answers[:, -1] = torch.eye(10, dtype=torch.float64)[torch.arange(30) % 3]
    expected = bt.decompose_entropy(answers)
    for datum in range(5):
        found = mathematics.evaluate("module.decomposeEntropy", answers[:, datum].tolist())
        for part in ("total", "aleatoric", "epistemic"):
            assert found[part] == pytest.approx(getattr(expected, part)[datum].item(), abs=1e-12)


DRAWINGS = {
    **LETTERS,
    "dot": [[[0.9, 0.2]]],
    "small": [[[0.4, 0.4], [0.45, 0.43]], [[0.45, 0.41]]],
    "scrawl": torch.rand(3, 20, 2, generator=torch.Generator().manual_seed(0)).tolist(),
    "nothing": [],
}


@pytest.mark.parametrize("strokes", DRAWINGS.values(), ids=DRAWINGS)
def test_strokes_become_the_same_image_in_the_browser(module, strokes):
    found = module("draw_digit").evaluate("(s) => Array.from(module.rasterize(s))", strokes)
    expected = rasterize(strokes).flatten()
    assert found == pytest.approx(expected.tolist(), rel=0, abs=1e-6)


@pytest.mark.parametrize("name", ["scrawl", *LETTERS])
def test_drawings_are_prepared_as_mnist_is(name):
    image = rasterize(DRAWINGS[name])
    centers = torch.arange(28) + 0.5
    mass = image.sum()
    # In the middle, but for what the soft edges of the pen move.
    assert (image.sum(dim=0) @ centers / mass).item() == pytest.approx(14, abs=0.05)
    assert (image.sum(dim=1) @ centers / mass).item() == pytest.approx(14, abs=0.05)
    inked = image > 0.5
    sides = [inked.any(dim=dim).sum().item() for dim in (0, 1)]
    assert 19 <= max(sides) <= 21


def test_images_are_turned_as_torchvision_turns_them(module):
    page, image = module("draw_digit"), digits()[6]
    for angle in (0, 5, 90, 135, 215, 360):
        script = "([image, angle]) => Array.from(module.rotate(Float32Array.from(image), angle))"
        found = torch.tensor(page.evaluate(script, [image.flatten().tolist(), angle]))
        expected = rotate_image(image, float(angle), InterpolationMode.BILINEAR).flatten()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_weights_are_small_enough_for_a_page():
    assert len(base64.b64encode(WEIGHTS_FILE.read_bytes())) < 500_000
    assert len(DrawDigit().to_html().encode()) < 500_000


def test_half_precision_costs_no_accuracy():
    test = bt.load_mnist(train=False)
    likelihood = bt.CategoricalLikelihood()
    before = {}
    for network in DrawDigit.networks():
        draws = 1 if not bt.bayesian_layers(network) else 10
        before = bt.evaluate(network, test, likelihood, num_samples=draws, seed=0)
        assert before["accuracy"] > 0.985
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in network.parameters():
                # Once more an error as large as that of rounding to half precision.
                error = torch.rand(parameter.shape, generator=generator) - 0.5
                parameter.mul_(1 + error * torch.finfo(torch.float16).eps)
        after = bt.evaluate(network, test, likelihood, num_samples=draws, seed=0)
        assert after["accuracy"] == pytest.approx(before["accuracy"], abs=1 / len(test))
        assert after["nll"] == pytest.approx(before["nll"], rel=0.01)


def test_foreign_images_raise_doubt_more_than_in_the_twin():
    bayesian, twin = DrawDigit.networks()
    images = bt.load_mnist(train=False).tensors[0][::10]
    noise = torch.rand(50, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    turned = rotate_image(images, 90.0, InterpolationMode.BILINEAR)
    usual = bt.decompose_entropy(bt.predict(bayesian, images, 30, seed=0).samples.softmax(dim=-1))
    for foreign in (DrawDigit.letter_images(), turned, noise):
        draws = bt.predict(bayesian, foreign, 30, seed=0).samples.softmax(dim=-1)
        [answer] = bt.predict(twin, foreign, 1).samples.softmax(dim=-1)
        entropy = bt.decompose_entropy(draws)
        assert entropy.epistemic.mean() > 2 * usual.epistemic.mean()
        assert entropy.total.mean() > 1.5 * torch.special.entr(answer).sum(dim=-1).mean()


def results(page: Page) -> dict:
    """What the figure tells Python, once it rests."""
    pass_time(page, 400)
    names = ("example", "strokes", "angle", "image", "votes", "probabilities", "aleatoric")
    names += ("epistemic", "twin_probabilities")
    return {name: trait(page, name) for name in names}


def mouse_draws(page: Page, points: list[tuple[float, float]]) -> None:
    box = page.locator(".paper").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def test_thirty_networks_quarrel_over_an_x_and_agree_on_a_digit(shown):
    page = shown(DrawDigit())
    letter = results(page)
    assert sum(letter["votes"]) == 30
    counts = re.findall(r"(\d+) says? (\d)", said(page))
    assert {int(c): int(n) for n, c in counts} == {c: n for c, n in enumerate(letter["votes"]) if n}
    assert max(letter["votes"]) <= 20
    assert max(letter["probabilities"]) < 0.6
    assert max(letter["twin_probabilities"]) > 0.9
    assert letter["twin_probabilities"].index(max(letter["twin_probabilities"])) == 8
    for digit in range(10):
        page.get_by_role("button", name="Next digit").click()
        after = results(page)
        assert after["example"] == str(digit)
        assert after["votes"][digit] >= 28
        tiles = page.locator(".tile b").all_inner_texts()
        assert [tiles.count(str(c)) for c in range(10)] == after["votes"]
        assert after["epistemic"] < 0.5 * letter["epistemic"]


def test_next_letter_shows_what_the_chapter_says(shown):
    page = shown(DrawDigit())
    seen = {"X": results(page)}
    for letter in [*LETTERS][:-1]:
        page.get_by_role("button", name="Next letter").click()
        seen[letter] = results(page)
        assert seen[letter]["example"] == letter
    votes = {letter: found["votes"] for letter, found in seen.items()}
    # Mostly 8, then 4, then 1 over the X, and nothing else.
    assert votes["X"][8] > votes["X"][4] > votes["X"][1] > 0
    assert votes["X"][8] + votes["X"][4] + votes["X"][1] == 30
    unanimous = {letter for letter, counts in votes.items() if max(counts) == 30}
    assert unanimous == {"A", "H", "M", "W"}
    for letter in unanimous:
        assert votes[letter][4] == 30
        assert seen[letter]["probabilities"][4] > 0.95
        assert seen[letter]["epistemic"] < 0.06
    assert votes["R"][8] == 29
    for letter in "EFX":
        assert max(votes[letter]) < 25
        assert seen[letter]["epistemic"] > 0.2


def test_chapter_promises_what_the_page_shows(shown):
    page = shown(DrawDigit(example="6", angle=90))
    on_its_side = results(page)
    assert sum(votes > 0 for votes in on_its_side["votes"]) >= 4
    assert max(on_its_side["twin_probabilities"]) > 0.9
    page.get_by_role("button", name="Clear").click()
    blank = results(page)
    assert blank["aleatoric"] > 2.2
    assert blank["epistemic"] < 0.02 * blank["aleatoric"]
    assert max(blank["twin_probabilities"]) < 0.2


def test_networks_that_are_not_sure_do_not_vote(shown, mathematics):
    answers = [[0.82, *[0.02] * 9], [0.2, *[0.8 / 9] * 9], [*[0.0899] * 9, 0.1909], [0.1] * 10]
    assert mathematics.evaluate("module.countVotes", answers) == [2, *[0] * 9]
    say = "([votes, count]) => module.verdict(votes, count)"
    for votes, expected in {
        (0, 0, 0): "none is sure",
        (0, 4, 0): "all say 1",
        (1, 0, 3): "3 say 2, 1 says 0",
        (0, 2, 1): "2 say 1, 1 says 2, 1 is unsure",
        (0, 2, 0): "2 say 1, 2 are unsure",
    }.items():
        verdict = mathematics.evaluate(say, [[*votes, *[0] * 7], 4])
        assert verdict.replace("\u00a0", " ") == expected
    page = shown(DrawDigit(example=""))
    assert results(page)["votes"] == [0] * 10
    assert "an empty sheet: none is sure; their twin is not sure of any class" in said(page)
    assert page.locator(".tile b").all_inner_texts() == ["?"] * 30
    assert page.locator(".tile.unsure").count() == 30
    assert page.locator(".dissent").count() == 0
    page.evaluate("model.set('strokes', [[[0.5, 0.5]]])")  # a dot: some of them are sure of it
    dot = results(page)
    unsure = page.locator(".tile.unsure").count()
    assert 0 < unsure < 30
    assert sum(dot["votes"]) == 30 - unsure
    assert page.locator(".dissent").count() == 30 - unsure - max(dot["votes"])


def test_a_dot_is_seen_on_the_paper(shown):
    page = shown(DrawDigit(example="", strokes=[[[0.25, 0.75]]]))
    ink = """() => [0.25, 0.75].map((y) => document.querySelector(".paper").getContext("2d")
      .getImageData(0.25 * 448, y * 448, 1, 1).data[0])"""
    assert page.evaluate(ink) == [255, 0]


def test_first_state_says_its_finding_and_where_to_draw(shown):
    page = shown(DrawDigit())
    letter = results(page)
    sure = round(100 * max(letter["twin_probabilities"]))
    assert said(page).startswith("Thirty networks are divided over letter X: ")
    assert said(page).endswith(f"; their twin says 8, {sure} % sure.")
    hint = page.locator(".hint")
    assert hint.inner_text() == "Draw a digit here: your first stroke starts a clean sheet."
    assert hint.bounding_box()["y"] < page.locator(".paper").bounding_box()["y"]
    page.get_by_role("button", name="Clear").click()
    results(page)
    assert hint.inner_text().startswith("Draw a digit here, ")
    mouse_draws(page, [(0.5, 0.15), (0.5, 0.85)])
    results(page)
    assert hint.inner_text().startswith("Your drawing: ")


def test_agreement_is_told_from_the_votes(mathematics):
    for votes, expected in {
        (0, 30): "agree about",
        (1, 29): "nearly agree about",
        (0, 24): "nearly agree about",
        (6, 23): "are divided over",
        (0, 0): "have no answer to",
    }.items():
        assert mathematics.evaluate("(v) => module.agreement(v, 30)", [*votes]) == expected


def test_keys_are_named_where_the_paper_is_reached_by_keys(shown):
    page = shown(DrawDigit())
    hint, keys = page.locator(".hint"), page.locator(".keys")
    described = page.locator(".paper").get_attribute("aria-describedby").split()
    assert described == [line.get_attribute("id") for line in (hint, keys)]
    assert (hint.is_visible(), keys.is_visible()) == (True, False)
    page.locator(".paper").click()
    assert (hint.is_visible(), keys.is_visible()) == (True, False)
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert (hint.is_visible(), keys.is_visible()) == (False, True)
    assert all(key in keys.inner_text() for key in ("Arrows", "space", "Ctrl+Z"))


def test_mouse_draws_a_digit_and_is_answered(shown):
    page = shown(DrawDigit(example=""))
    mouse_draws(page, [(0.5, 0.15), (0.5, 0.85)])
    one = results(page)
    assert one["votes"][1] > 25
    assert re.search(r"(all|\d+) say 1\b", said(page))
    torch.testing.assert_close(
        torch.tensor(one["image"]), rasterize(one["strokes"]).flatten(), rtol=0, atol=1e-6
    )
    page.get_by_role("button", name="Clear").click()
    assert results(page)["strokes"] == []
    assert sum(results(page)["image"]) == 0
    mouse_draws(page, [(0.25, 0.2), (0.75, 0.2), (0.45, 0.9)])
    assert results(page)["votes"][7] > 25
    seven = results(page)["twin_probabilities"]
    mouse_draws(page, [(0.35, 0.55), (0.7, 0.55)])  # a second stroke joins the first
    assert len(results(page)["strokes"]) == 2
    assert results(page)["twin_probabilities"] != seven


def test_a_turned_drawing_can_be_drawn_on(shown):
    page = shown(DrawDigit(example="", strokes=LETTERS["F"], angle=90))
    # F turned a quarter counterclockwise: its foot, to which the new stroke belongs, lies right.
    mouse_draws(page, [(0.86, 0.7), (0.86, 0.3)])
    drawn = results(page)
    assert drawn["angle"] == 90
    assert drawn["strokes"][:2] == LETTERS["F"]
    [first, *_, last] = drawn["strokes"][2]
    assert first == pytest.approx([0.3, 0.86], abs=0.01)
    assert last == pytest.approx([0.7, 0.86], abs=0.01)


def draws_down(page: Page, hand: str) -> None:
    """Draw one stroke down the middle of the paper, by mouse, finger or keys."""
    if hand == "mouse":
        return mouse_draws(page, [(0.5, 0.14), (0.5, 0.86)])
    box = page.locator(".paper").bounding_box()
    if hand == "finger":
        x = box["x"] + box["width"] / 2
        top, bottom = (box["y"] + share * box["height"] for share in (0.14, 0.86))
        return by_touch(page, (x, top), (x, bottom))
    page.locator(".paper").focus()
    for key in (*["ArrowUp"] * 9, "Space", *["ArrowDown"] * 18, "Space"):
        page.keyboard.press(key)


@pytest.mark.parametrize("hand", ["mouse", "finger", "keys"])
@pytest.mark.parametrize("sample", ["X", "6"])
def test_first_stroke_starts_a_clean_sheet_and_undo_brings_the_sample_back(shown, hand, sample):
    page = shown(DrawDigit(example=sample, angle=40), has_touch=hand == "finger")
    before = results(page)
    undo = page.get_by_role("button", name="Undo")
    assert undo.is_disabled()
    draws_down(page, hand)
    drawn = results(page)
    assert (drawn["example"], drawn["angle"], len(drawn["strokes"])) == ("", 0, 1)
    assert drawn["image"] == pytest.approx(rasterize(drawn["strokes"]).flatten().tolist(), abs=1e-6)
    assert drawn["votes"][1] > 25
    undo.press("Enter")
    assert results(page) == before
    assert undo.is_disabled()
    assert page.evaluate("document.activeElement.className") == "paper"  # the focus is not lost


def test_undo_takes_the_last_stroke_back_by_button_and_by_keys(shown):
    page = shown(DrawDigit(example=""))
    seven = [(0.25, 0.2), (0.75, 0.2), (0.45, 0.9)]
    mouse_draws(page, seven)
    one = results(page)
    for undo in ("button", "Control+z", "Meta+z"):
        mouse_draws(page, [(0.35, 0.55), (0.7, 0.55)])
        assert len(results(page)["strokes"]) == 2
        if undo == "button":
            page.get_by_role("button", name="Undo").click()
        else:
            page.keyboard.press(undo)  # the paper that was drawn on has the focus
        assert results(page) == one
    page.keyboard.press("Space")  # the pen is down, and its stroke has begun
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Control+z")
    assert results(page) == one
    page.keyboard.press("Control+z")
    assert results(page)["strokes"] == []
    page.keyboard.press("Control+z")
    assert results(page)["strokes"] == []


def test_undo_by_keys_is_the_papers_alone(shown):
    page = shown(DrawDigit(example=""))
    # JupyterLab would undo in its cells what reaches it.
    page.evaluate("""() => {
      window.heard = [];
      addEventListener("keydown", ({key, ctrlKey}) => ctrlKey && heard.push(key));
    }""")
    draws_down(page, "mouse")
    page.keyboard.press("Control+z")
    assert results(page)["strokes"] == []
    draws_down(page, "mouse")
    page.get_by_role("button", name="Clear").focus()
    page.keyboard.press("Control+z")
    assert len(results(page)["strokes"]) == 1
    assert page.evaluate("heard").count("z") == 1


def test_finger_draws_a_seven_and_the_page_stays(shown):
    page = shown(DrawDigit(), width=375, height=500, has_touch=True, is_mobile=True)
    box = page.locator(".paper").bounding_box()
    seven = [(0.25, 0.2), (0.75, 0.2), (0.45, 0.9)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in seven]
    assert page.evaluate("document.documentElement.scrollHeight") > 500
    by_touch(page, *places, steps=16)
    drawn = results(page)
    assert drawn["votes"][7] > 25
    assert page.evaluate("[scrollX, scrollY, visualViewport.scale]") == [0, 0, 1]
    assert page.locator(".paper").bounding_box() == box
    assert len(drawn["strokes"]) == 1


# Notes how far things move; the figure takes the still's place when the test calls `start`.
NOTE_SHIFTS = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => shifts.push(...list.getEntries().map(({value}) => value)))
    .observe({type: "layout-shift", buffered: true});
  window.started = new Promise((done) => (window.start = done));
  const original = URL.createObjectURL;
  URL.createObjectURL = (module) =>
    original(new Blob(["await started;", module], {type: module.type}));
}"""
# Two frames, after which the observer knows of what has moved.
SHOWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (375, 740), (320, 568)])
def test_nothing_moves_while_it_loads_and_while_a_digit_is_drawn(browser, tmp_path, width, height):
    below = "<p>What stands below.</p>" * 40
    text = f'<!doctype html><meta name="viewport" content="width=device-width">{below[:25]}'
    text += "<style>body { font-family: sans-serif }</style>"  # as the book has it
    (tmp_path / "page.html").write_text(f"{text}{DrawDigit().to_html()}{below}", encoding="utf-8")
    phone = {"has_touch": True, "is_mobile": True} if width < 800 else {}
    with browser.new_context(viewport={"width": width, "height": height}, **phone) as context:
        context.add_init_script(f"({NOTE_SHIFTS})()")
        page = context.new_page()
        page.goto(f"file://{tmp_path}/page.html")
        page.evaluate(SHOWN)
        assert page.locator(".bnn-figure img.paper").count() == 1  # the still
        still = page.locator(".bnn-figure").bounding_box()
        page.evaluate("start()")
        page.wait_for_selector(".bnn-figure[data-ready]")
        page.evaluate(SHOWN)
        assert page.locator(".bnn-figure").bounding_box() == pytest.approx(still, abs=0.1)
        assert sum(page.evaluate("shifts")) < 0.02, "while it loads"
        for hand in ("finger" if phone else "mouse", "keys"):
            draws_down(page, hand)
            page.evaluate(SHOWN)
        letters = ["Next letter"] * 2  # with the E the sentence needs a line more on a phone
        for name in ("Undo", "Undo", "Next digit", *letters, "Draw thirty others", "Clear"):
            page.get_by_role("button", name=name).click()
            page.evaluate(SHOWN)
            height_now = page.locator(".bnn-figure").bounding_box()["height"]
            assert height_now == pytest.approx(still["height"], abs=0.1), name
        assert sum(page.evaluate("shifts")) < 0.02, "while it is used"


def test_keyboard_alone_draws_turns_and_chooses(shown):
    page = shown(DrawDigit(example=""))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "paper"
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    for _ in range(18):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowLeft")  # the pen is up
    drawn = results(page)
    assert [y for _, y in drawn["strokes"][0]] == pytest.approx(
        [0.14 + 0.04 * i for i in range(19)]
    )
    assert drawn["votes"][1] > 25
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert results(page)["example"] == "0"
    for _ in range(3):  # with nothing to undo, that button is passed over
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert results(page)["angle"] == 5
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("model.get('seed')") == 1


def test_result_is_said_in_words(shown):
    page = shown(DrawDigit())
    page.get_by_role("button", name="Next digit").click()
    spoken = page.locator("p[role=status]")
    pass_time(page, 1100)  # it is said once it has been the same for a second
    assert spoken.inner_text().replace("\u00a0", " ").startswith(said(page))
    assert said(page).startswith("Thirty networks agree about test digit 0: all say 0; their twin")
    assert "Entropy" in spoken.inner_text()
    assert page.locator(".votes").get_attribute("aria-label").endswith("all\u00a0say\u00a00")


def test_other_draws_vote_otherwise_and_agree_on_average(shown):
    page = shown(DrawDigit())
    before = results(page)
    page.get_by_role("button", name="Draw thirty others").click()
    after = results(page)
    assert page.evaluate("model.get('seed')") == 1
    assert after["votes"] != before["votes"]
    # Each probability's standard error is at most that of a coin thrown 30 times.
    assert after["probabilities"] == pytest.approx(
        before["probabilities"], abs=5 * math.sqrt(2 * 0.25 / 30)
    )
    assert after["twin_probabilities"] == before["twin_probabilities"]
    page.evaluate("model.set('example', 'H')")
    assert results(page)["votes"][4] == 30


def test_nothing_runs_at_rest(shown):
    page = shown(DrawDigit())
    pass_time(page, 1500)
    page.evaluate("""() => {
      window.asked = 0;
      for (const name of ["requestAnimationFrame", "setTimeout", "setInterval"]) {
        const before = window[name];
        window[name] = (...rest) => (asked++, before.call(window, ...rest));
      }
      model.set("angle", 5);
    }""")
    assert page.evaluate("asked") > 0
    pass_time(page, 1500)
    page.evaluate("() => { asked = 0; }")
    pass_time(page, 500)
    assert page.evaluate("asked") == 0


@pytest.mark.parametrize("width", [320, 375, 800])
def test_it_fits_and_can_be_read_and_hit(shown, width):
    page = shown(DrawDigit(example="6", angle=75), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.evaluate("""[...document.querySelectorAll(".bnn-figure *")]
      .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3))
      .map((node) => parseFloat(getComputedStyle(node).fontSize))""")
    assert min(sizes) >= 12
    for target in page.locator("button, input").all():
        assert target.bounding_box()["height"] >= 24


def test_python_reads_what_the_browser_sends():
    figure = DrawDigit()
    figure.set_state(
        {
            "example": "",
            "strokes": [[[0, 1], [0.5, 0.25]]],
            "votes": [30, *[0] * 9],
            "image": [0, 0.5] * 392,
            "epistemic": 0,
        }
    )
    assert (figure.example, figure.strokes) == ("", [[[0, 1], [0.5, 0.25]]])
    assert figure.input_image().mean() == 0.25


def test_python_sets_the_figure_within_its_bounds():
    figure = DrawDigit(example="K", angle=30)
    figure.image = [0.5] * 784
    assert figure.input_image().shape == (1, 1, 28, 28)
    for wrong in ({"example": "?"}, {"angle": 361}, {"seed": -1}, {"strokes": [[[0.5, 1.5]]]}):
        [name] = wrong
        with pytest.raises(TraitError, match=name):
            DrawDigit(**wrong)
    with pytest.raises(ValueError, match="image is empty"):
        DrawDigit().input_image()
