"""Reliability: bins, intervals, floor and temperature against the package; a reader's use."""

import base64
import re

import pytest
import torch
import torch.nn.functional as F
from helpers.figure_model import said, set_traits, traits
from helpers.monte_carlo import assert_mean, assert_variance
from torch.distributions import Bernoulli, Binomial, Normal
from torch.testing import assert_close
from traitlets import TraitError

import bnn_tutorial as bt
from bnn_tutorial.figures import Reliability
from bnn_tutorial.figures.reliability import PREDICTIONS_FILE

NAME = "reliability"
TEMPERATURES = [1.0, 2.9, 8.0]  # below, confidences differ from 1 by rounding alone
BINNINGS = [(1, "width"), (7, "width"), (10, "width"), (50, "width"), (1, "mass"), (15, "mass")]
READ = """(base64) => {
  const model = new module.PageModel({file: {base64}});
  window.predictions = module.readPredictions(model.get("file"));
}""".replace("window", "globalThis")


@pytest.fixture
def mathematics(module):
    """The figure's module, with its ``predictions`` read."""
    loaded = module(NAME)
    loaded.evaluate(READ, base64.b64encode(PREDICTIONS_FILE.read_bytes()).decode())
    return loaded


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def probabilities_at(temperature, num_predictions=2000):
    """Double precision: shape (N, 10), and the labels."""
    logits, labels = Reliability.predictions()
    probabilities = (logits.double() / temperature).softmax(dim=-1)
    return probabilities[:num_predictions], labels[:num_predictions]


def bins_of(mathematics, temperature, num_bins, equal):
    return mathematics.evaluate(
        """([temperature, count, equal]) => {
          const {binsOf, sortByConfidence} = module.mathematics;
          return binsOf(sortByConfidence(predictions, temperature), count, equal);
        }""",
        [temperature, num_bins, equal],
    )


def test_the_predictions_are_those_of_the_file(mathematics):
    found = mathematics.evaluate(
        "[predictions.logits.map((row) => [...row]), [...predictions.labels]]"
    )
    logits, labels = Reliability.predictions()
    less_the_largest = logits - logits.max(dim=-1, keepdim=True).values
    assert_close(torch.tensor(found[0]), less_the_largest, rtol=0, atol=0)
    assert found[1] == labels.tolist()
    assert labels.bincount().tolist() == [200] * 10
    predicted = logits.argmax(dim=-1)
    assert (predicted == labels).double().mean().item() == pytest.approx(0.789)


def test_the_first_predictions_are_like_the_others():
    """They were put into a random order: MNIST's test file has harder digits in its first half."""
    logits, labels = Reliability.predictions()
    hits = (logits.argmax(dim=-1) == labels).double()
    halves = hits.view(2, -1).mean(dim=1)
    assert (halves[0] - halves[1]).abs() < 4 * (0.789 * 0.211 / 1000 * 2) ** 0.5


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize(("num_bins", "equal"), BINNINGS)
def test_bins_and_error_are_the_packages(mathematics, temperature, num_bins, equal):
    found = bins_of(mathematics, temperature, num_bins, equal)
    data = probabilities_at(temperature)
    expected = bt.reliability_bins(*data, num_bins, equal=equal)
    filled = expected.count > 0
    for name, values in (
        ("high", expected.edges),
        ("count", expected.count),
        ("confidence", expected.confidence),
        ("accuracy", expected.accuracy),
    ):
        assert_close(double([b[name] for b in found]), values[filled].double(), rtol=1e-12, atol=0)
    error = mathematics.evaluate("(bins) => module.mathematics.calibrationError(bins)", found)
    expected_error = bt.expected_calibration_error(*data, num_bins, equal=equal)
    assert error == pytest.approx(expected_error, abs=1e-9)


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (0, 7), (7, 7), (3, 40), (1400, 1575)])
def test_an_interval_is_wilsons(module, hits, count):
    """At either end the share lies 1.96 deviations away, of a share with that end's probability."""
    share = hits / count
    found = module(NAME).evaluate(
        "([share, count]) => module.mathematics.wilsonInterval(share, count)", [share, count]
    )
    low, high = ends = double(found)
    assert low - 1e-12 <= share <= high + 1e-12
    assert low < high
    squared = Normal(0.0, 1.0).icdf(double(0.975)).square() * ends * (1 - ends) / count
    assert_close((share - ends).square(), squared, atol=1e-12, rtol=1e-9)


def test_where_there_are_many_the_interval_is_that_of_the_bootstrap(mathematics):
    generator = torch.Generator().manual_seed(0)
    probabilities, labels = probabilities_at(2.9)
    resamples = bt.bootstrap_bins(
        probabilities, labels, 10, equal="mass", num_resamples=2000, generator=generator
    )
    low, high = resamples.interval()
    found = bins_of(mathematics, 2.9, 10, "mass")
    for i, b in enumerate(found):
        width = b["interval"][1] - b["interval"][0]
        assert b["interval"] == pytest.approx([low[i].item(), high[i].item()], abs=0.3 * width)


@pytest.mark.parametrize("probability", [0.02, 0.5, 0.93])
def test_the_mean_deviation_of_equal_trials_is_the_binomials(module, probability):
    found = module(NAME).evaluate(
        """(p) => module.mathematics.meanAbsoluteDeviation(new Float64Array(300).fill(p))""",
        probability,
    )
    sums = torch.arange(301).double()
    masses = Binomial(300, double(probability)).log_prob(sums).exp()
    expected = (masses * (sums - 300 * probability).abs()).sum().item()
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_mean_deviation_of_unequal_trials_is_that_of_all_outcomes(module):
    probabilities = double([0.1, 0.35, 0.5, 0.9, 0.99, 0.999, 1.0])
    outcomes = torch.cartesian_prod(*[double([0.0, 1.0])] * len(probabilities))
    masses = Bernoulli(probabilities, validate_args=False).log_prob(outcomes).sum(dim=1).exp()
    expected = (masses * (outcomes.sum(dim=1) - probabilities.sum()).abs()).sum().item()
    found = module(NAME).evaluate(
        "(list) => module.mathematics.meanAbsoluteDeviation(Float64Array.from(list))",
        probabilities.tolist(),
    )
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 2.9])
@pytest.mark.parametrize(("num_bins", "equal"), [(1, "width"), (10, "width"), (50, "mass")])
def test_the_floor_is_the_mean_of_the_packages_resamples(mathematics, temperature, num_bins, equal):
    found = mathematics.evaluate(
        """([temperature, count, equal]) => {
          const {binsOf, calibratedError, sortByConfidence} = module.mathematics;
          const sorted = sortByConfidence(predictions, temperature);
          return calibratedError(sorted, binsOf(sorted, count, equal));
        }""",
        [temperature, num_bins, equal],
    )
    probabilities, _ = probabilities_at(temperature)
    generator = torch.Generator().manual_seed(0)
    errors = bt.calibrated_bins(
        probabilities, num_bins, equal=equal, num_resamples=600, generator=generator
    ).ece
    deviation = errors.std() / len(errors) ** 0.5
    assert abs(found - errors.mean()) < 4 * deviation


@pytest.mark.parametrize("num_predictions", [100, 2000])
def test_the_best_temperature_is_that_of_temperature_scaling(mathematics, num_predictions):
    found, nll = mathematics.evaluate(
        """(count) => {
          const {fitTemperature, meanNll} = module.mathematics;
          const shown = {logits: predictions.logits.slice(0, count), labels: predictions.labels};
          const best = fitTemperature(shown);
          return [best, meanNll(shown, best)];
        }""",
        num_predictions,
    )
    logits, labels = (part[:num_predictions] for part in Reliability.predictions())
    expected = bt.TemperatureScaling().fit(logits.double(), labels).temperature
    assert found == pytest.approx(expected, abs=1e-4)
    least = F.cross_entropy(logits.double() / expected, labels).item()
    assert nll == pytest.approx(least, abs=1e-8)


def test_drawn_labels_are_as_frequent_as_their_probabilities(mathematics):
    """In each of 40 draws: each label, and the hits among tenths that are ever surer."""
    found = mathematics.evaluate(
        """(seeds) => Array.from({length: seeds}, (_, seed) =>
          module.mathematics.drawLabels(predictions, 2.9, seed).labels)""",
        40,
    )
    labels = torch.tensor(found)
    probabilities, _ = probabilities_at(2.9)
    drawn = F.one_hot(labels, 10).double()
    deviation = (probabilities * (1 - probabilities)).sum(dim=0).sqrt()
    of_labels = (drawn - probabilities).sum(dim=1) / deviation
    confidence, top = probabilities.max(dim=-1)
    order = confidence.argsort()
    hits = (labels == top).double()[:, order].view(40, 10, 200)
    confidence = confidence[order].view(10, 200)
    deviation = (confidence * (1 - confidence)).sum(dim=1).sqrt()
    of_hits = (hits - confidence).sum(dim=2) / deviation
    for standardized in (of_labels, of_hits):
        assert_mean(standardized, 0.0)
        assert_variance(standardized, 1.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_bins", 0),
        ("num_bins", 51),
        ("equal", "size"),
        ("temperature", 0.4),
        ("temperature", 9.0),
        ("num_predictions", 99),
        ("num_predictions", 2001),
        ("seed", -1),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(name, value):
    with pytest.raises(TraitError, match=name):
        Reliability(**{name: value})


def bold(page):
    """The ECE, that of a calibrated model, and the NLL."""
    return [float(text) for text in page.locator(".result b").all_inner_texts()]


def test_the_first_sight_says_how_much_too_sure_it_is_and_what_mends_it(shown):
    page = shown(Reliability())
    probabilities, labels = probabilities_at(1.0)
    errors = [bt.expected_calibration_error(probabilities, labels, n) for n in range(1, 51)]
    generator = torch.Generator().manual_seed(0)
    floor = bt.calibrated_bins(probabilities, 10, generator=generator).ece.mean().item()
    text = said(page)
    assert text.startswith(
        "At T = 1 the network is sure of 92.8 % and right in 78.9 %: the ECE is "
        f"{errors[9]:.3f} with 10 bins of equal width, and {min(errors):.3f} to {max(errors):.3f} "
        "with 1 to 50. A perfectly calibrated model with these 2,000 confidences would have "
    )
    logits, _ = Reliability.predictions()
    _, best = traits(page, "nll", "best_temperature")
    mended = bt.expected_calibration_error(*probabilities_at(best), 10)
    nll = F.cross_entropy(logits.double(), labels).item()
    least = F.cross_entropy(logits.double() / best, labels).item()
    assert bold(page) == pytest.approx([errors[9], floor, nll], abs=6e-4)
    assert text.endswith(
        f"The NLL is {nll:.3f}; it is least at T = {best:.2g}, {least:.3f}, where the ECE is "
        f"{mended:.3f}."
    )
    assert page.locator("[role=status]").inner_text() == text
    assert errors[9] > 4 * mended > 4 * floor


def test_at_the_best_temperature_the_number_of_bins_decides(shown):
    page = shown(Reliability(temperature=2.9))
    least, most = re.search(r"([\d.]+) to ([\d.]+) with 1 to 50", said(page)).groups()
    assert float(most) > 2 * float(least)
    assert said(page).endswith(", which no other temperature makes smaller.")
    one_bin = shown(Reliability(temperature=2.9, num_bins=1))
    assert "with 1 bin, and" in said(one_bin)
    assert bold(one_bin)[0] == float(least)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_bins": 33, "equal": "mass", "temperature": 3.3},
        {"num_predictions": 777, "temperature": 0.7},
    ],
)
def test_python_is_told_what_is_said(shown, settings):
    figure = Reliability(**settings)
    page = shown(figure)
    data = probabilities_at(figure.temperature, figure.num_predictions)
    logits = data[0].log()
    ece, floor, nll, _ = traits(page, "ece", "calibrated_ece", "nll", "best_temperature")
    expected = bt.expected_calibration_error(*data, figure.num_bins, equal=figure.equal)
    assert ece == pytest.approx(expected, abs=1e-9)
    assert nll == pytest.approx(F.nll_loss(logits, data[1]).item(), abs=1e-9)
    assert bold(page) == pytest.approx([ece, floor, nll], abs=5.1e-4)


def test_fewer_predictions_lift_the_floor_by_the_root_of_their_number(shown):
    page = shown(Reliability(temperature=2.9))
    floors = []
    for count in (500, 2000):
        set_traits(page, num_predictions=count)
        floors += traits(page, "calibrated_ece")
    assert floors[0] / floors[1] == pytest.approx(2.0, rel=0.1)


def test_labels_of_its_own_make_it_calibrated_whatever_the_temperature(shown):
    page = shown(Reliability(calibrated=True))
    assert "of labels drawn from its own probabilities" in said(page)
    for temperature in (1.0, 2.0, 6.0):
        set_traits(page, temperature=temperature)
        ece, floor, best = traits(page, "ece", "calibrated_ece", "best_temperature")
        assert 0.3 * floor < ece < 2.5 * floor
        assert best == pytest.approx(temperature, rel=0.12)
    before = traits(page, "ece")
    page.locator("details").evaluate("(node) => (node.open = true)")
    page.get_by_role("button", name="Draw other labels").click()
    assert traits(page, "seed") == [1]
    assert traits(page, "ece") != before


def boxes(page, name):
    """The rectangles of a path: left, right, bottom and top, in pixels."""
    path = page.locator(f".views path.{name}").first.get_attribute("d")
    found = re.findall(r"M([\d.-]+),([\d.-]+)V([\d.-]+)H([\d.-]+)V", path)
    return [(float(x1), float(x2), float(y1), float(y2)) for x1, y1, y2, x2 in found]


def test_bars_gaps_and_counts_are_drawn_where_the_bins_are(shown):
    page = shown(Reliability())
    bins = bt.reliability_bins(*probabilities_at(1.0), num_bins=10)
    filled = bins.count > 0
    box = page.locator(".views svg.plot").first.bounding_box()
    width, height = box["width"] - 64, 290 - 32
    left = torch.tensor([54 + width * (b / 10) for b in range(10)])[filled]
    gaps = boxes(page, "gap")
    assert [gap[0] for gap in gaps] == pytest.approx(left.tolist(), abs=1)
    for which, heights in ((2, bins.accuracy), (3, bins.confidence)):
        expected = 10 + height * (1 - heights[filled])
        assert [gap[which] for gap in gaps] == pytest.approx(expected.tolist(), abs=0.1)
    counts = page.locator(".numbers text").all_text_contents()
    assert counts == [str(count) for count in bins.count[filled].tolist()]


def test_the_sliders_and_the_choice_set_what_they_say(shown):
    page = shown(Reliability())
    page.get_by_role("slider", name="Number of bins").press("ArrowRight")
    page.get_by_role("radio", name="mass").check()
    assert traits(page, "num_bins", "equal") == [11, "mass"]
    assert "with 11 bins of equal mass" in said(page)
    temperature = page.get_by_role("slider", name="Temperature T")
    temperature.press("ArrowRight")
    assert 1 < traits(page, "temperature")[0] < 1.06


@pytest.mark.parametrize("width", [800, 375])
def test_the_plots_stay_where_they_are_whatever_is_said(shown, width):
    page = shown(Reliability(), width=width)
    top = """[...document.querySelectorAll("svg.plot, input")]
      .map((node) => Math.round(node.getBoundingClientRect().y))"""
    before = page.evaluate(top)
    for settings in (
        {"temperature": 2.9},
        {"num_bins": 1},
        {"calibrated": True, "temperature": 0.5, "num_bins": 50, "equal": "mass"},
        {"num_predictions": 100},
    ):
        set_traits(page, **settings)
        assert page.evaluate(top) == before, settings
