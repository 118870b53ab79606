"""Decide: actions, thresholds, costs and risks against the package and brute force; in use."""

import base64
import re

import pytest
import torch
from helpers.figure_model import said, set_traits, traits
from playwright.sync_api import expect
from sklearn.datasets import load_breast_cancer
from traitlets import TraitError

import bnn_tutorial as bt
from bnn_tutorial.figures import Decide
from bnn_tutorial.figures.decide import PREDICTIONS_FILE

NAME = "decide"
ACTIONS = ["home", "treat", "refer"]
COSTS = [
    {"miss": 20.0, "alarm": 5.0, "referral": 1.0},
    {"miss": 20.0, "alarm": 5.0, "referral": 4.5},  # no referral pays
    {"miss": 1.0, "alarm": 50.0, "referral": 0.05},
    {"miss": 100.0, "alarm": 0.5, "referral": 0.3},
]
PREDICTORS = ["bayesian", "deterministic"]
READ = """(base64) => {
  const model = new module.PageModel({file: {base64}});
  globalThis.cases = (predictor) => module.readCases(model.get("file"), predictor);
}"""


@pytest.fixture
def mathematics(module):
    """The figure's module, with ``cases`` that reads a network's."""
    loaded = module(NAME)
    loaded.evaluate(READ, base64.b64encode(PREDICTIONS_FILE.read_bytes()).decode())
    return loaded


def ask(mathematics, body, predictor, costs):
    """What a function's body returns, given `all` the cases and the `costs`."""
    function = f"""([predictor, costs]) => {{
      const all = cases(predictor);
      const {{bestAction, bestThreshold, averageCost, riskByCoverage}} = module.mathematics;
      {body}
    }}"""
    return mathematics.evaluate(function, [predictor, costs])


def table(costs):
    """What it costs, for the benign and the malignant, to send home, to treat, to refer."""
    rows = [[0.0, costs["miss"]], [costs["alarm"], 0.0], [costs["referral"]] * 2]
    return torch.tensor(rows, dtype=torch.float64)


def costs_of(actions, malignant, costs):
    """What each case turns out to cost."""
    return table(costs)[actions, malignant]


def threshold_cost(threshold, predictor, costs):
    probabilities, malignant = Decide.predictions(predictor)
    return costs_of((probabilities[:, 1] > threshold).long(), malignant, costs).mean().item()


def best_threshold_cost(predictor, costs):
    """By trying a threshold at every case, and below all."""
    probabilities, _ = Decide.predictions(predictor)
    tried = [-1.0, *probabilities[:, 1].tolist()]
    return min(threshold_cost(threshold, predictor, costs) for threshold in tried)


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_the_cases_are_those_of_the_file_and_of_scikit_learn(mathematics, predictor):
    found = mathematics.evaluate("(predictor) => cases(predictor)", predictor)
    probabilities, malignant = Decide.predictions(predictor)
    assert [case["probability"] for case in found] == pytest.approx(
        probabilities[:, 1].tolist(), rel=1e-12
    )
    assert [case["malignant"] for case in found] == malignant.bool().tolist()
    data = load_breast_cancer()
    assert malignant.tolist() == (data.target_names[data.target] == "malignant").tolist()


def test_the_bayesian_network_knows_what_it_does_not_know_and_the_other_one_does_not():
    nll = {}
    for predictor in PREDICTORS:
        probabilities, malignant = Decide.predictions(predictor)
        assert (probabilities.argmax(dim=1) == malignant).double().mean() > 0.95
        nll[predictor] = bt.CategoricalLikelihood()(probabilities.log(), malignant).item()
    assert nll["bayesian"] < 0.1 < nll["deterministic"]


@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("costs", COSTS)
def test_actions_and_expected_costs_are_the_packages(mathematics, predictor, costs):
    body = "return all.map(({probability}) => bestAction(probability, costs));"
    found = ask(mathematics, body, predictor, costs)
    probabilities, malignant = Decide.predictions(predictor)
    decision = bt.decide(probabilities, table(costs))
    assert found == [ACTIONS[action] for action in decision.action.tolist()]
    body = "return averageCost(all, costs, (p) => bestAction(p, costs));"
    mean = ask(mathematics, body, predictor, costs)
    realized = costs_of(decision.action, malignant, costs)
    assert mean["mean"] == pytest.approx(realized.mean().item())
    assert mean["error"] == pytest.approx(realized.std().item() / len(realized) ** 0.5)


@pytest.mark.parametrize("costs", COSTS)
def test_the_action_changes_at_the_thresholds(module, costs):
    found = module(NAME).evaluate(
        """(costs) => {
          const {bestAction, thresholds} = module.mathematics;
          const ends = thresholds(costs);
          const around = ends.flatMap((p) => [p - 1e-9, p + 1e-9]);
          return {ends, actions: around.map((p) => bestAction(p, costs))};
        }""",
        costs,
    )
    low, high = found["ends"]
    assert 0 < low <= high < 1
    if low < high:
        assert found["actions"] == ["home", "refer", "refer", "treat"]
    else:
        assert found["actions"] == ["home", "treat", "home", "treat"]
        assert costs["miss"] * low == pytest.approx(costs["alarm"] * (1 - low))


@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("costs", COSTS)
def test_no_single_threshold_costs_less_than_the_best(mathematics, predictor, costs):
    found = ask(mathematics, "return bestThreshold(all, costs);", predictor, costs)
    least = best_threshold_cost(predictor, costs)
    assert threshold_cost(found, predictor, costs) == pytest.approx(least)


def test_the_best_single_threshold_may_treat_everybody_or_nobody_and_parts_no_equals(module):
    found = module(NAME).evaluate(
        """() => [[true, true], [false, false], [false, true]].map((kinds) =>
          module.mathematics.bestThreshold(
            kinds.map((malignant) => ({probability: 0.4, malignant})), {miss: 2, alarm: 1}))"""
    )
    assert found == [float("-inf"), float("inf"), float("-inf")]


@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("costs", COSTS[:2])
def test_the_risk_by_coverage_is_the_packages(mathematics, predictor, costs):
    found = ask(mathematics, "return riskByCoverage(all, costs);", predictor, costs)
    probabilities, malignant = Decide.predictions(predictor)
    action = bt.decide(probabilities, table(costs)[:2]).action
    p = probabilities[:, 1]
    doubt = torch.minimum(costs["miss"] * p, costs["alarm"] * (1 - p))
    curve = bt.risk_coverage(doubt, costs_of(action, malignant, costs))
    expected = doubt.sort().values.cumsum(0) / torch.arange(1, 570)
    for name, values in (
        ("coverage", curve.coverage),
        ("risk", curve.risk),
        ("expected", expected),
    ):
        assert [each[name] for each in found] == pytest.approx(values.tolist())


def test_equally_sure_cases_count_with_their_mean_cost(module):
    found = module(NAME).evaluate(
        """() => module.mathematics.riskByCoverage(
          [[0.1, true], [0.1, false], [0.01, false]].map(
            ([probability, malignant]) => ({probability, malignant})),
          {miss: 6, alarm: 5, referral: 1})"""
    )
    assert [each["risk"] for each in found] == pytest.approx([0.0, 1.5, 2.0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("miss_cost", 0.9),
        ("miss_cost", 101.0),
        ("alarm_cost", 0.0),
        ("referral_cost", 0.0),
        ("referral_cost", 21.0),
        ("predictor", "ensemble"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(name, value):
    with pytest.raises(TraitError, match=name):
        Decide(**{name: value})


def test_the_first_sight_says_who_is_referred_and_what_that_saves(shown):
    page = shown(Decide())
    costs = COSTS[0]
    probabilities, malignant = Decide.predictions()
    decision = bt.decide(probabilities, table(costs))
    referred = decision.action == 2
    wrong = probabilities.argmax(dim=1) != malignant
    likelier = costs_of(probabilities.argmax(dim=1), malignant, costs).mean()
    own = costs_of(decision.action, malignant, costs).mean()
    single = best_threshold_cost("bayesian", costs)
    text = said(page)
    assert text == (
        "Send home below 5 %, treat above 80 %, refer between: the doctor sees "
        f"{referred.sum()} of 569 cases, among them {(referred & wrong).sum()} of the "
        f"{wrong.sum()} for which the likelier class is wrong. A case then costs {own:.2f} on "
        f"average, where the network expects {decision.expected_cost.mean():.2f}. The best single "
        f"threshold, chosen afterwards on these cases, costs {single:.2f}, and always taking the "
        f"likelier class {likelier:.2f}."
    )
    assert page.locator("[role=status]").inner_text() == text
    assert own < single < likelier


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"predictor": "deterministic", "referral_cost": 0.3},
        {"miss_cost": 7.3, "alarm_cost": 2.0, "referral_cost": 3.0},
    ],
)
def test_python_is_told_what_the_package_finds(shown, settings):
    figure = Decide(**settings)
    page = shown(figure)
    costs = {
        "miss": figure.miss_cost,
        "alarm": figure.alarm_cost,
        "referral": figure.referral_cost,
    }
    probabilities, malignant = Decide.predictions(figure.predictor)
    decision = bt.decide(probabilities, table(costs))
    told = traits(page, "num_referred", "mean_cost", "expected_cost", "threshold_cost")
    assert told == pytest.approx(
        [
            (decision.action == 2).sum().item(),
            costs_of(decision.action, malignant, costs).mean().item(),
            decision.expected_cost.mean().item(),
            best_threshold_cost(figure.predictor, costs),
        ]
    )


def test_a_dear_referral_is_never_bought(shown):
    page = shown(Decide(referral_cost=4.5))
    assert said(page).startswith(
        "Send home below 20 %, treat above: a referral pays only where it costs less than 4, and "
        "the doctor sees 0 of 569 cases."
    )
    expect(page.locator(".stretch.refer").first).not_to_have_attribute("d", re.compile("M"))
    assert page.locator(".case.referred").first.get_attribute("d") == ""


def test_the_overconfident_network_expects_far_less_than_it_pays(shown):
    page = shown(Decide())
    before = traits(page, "num_referred", "mean_cost", "expected_cost")
    page.get_by_role("radio", name="a deterministic one").check()
    assert traits(page, "predictor") == ["deterministic"]
    referred, mean, expected = traits(page, "num_referred", "mean_cost", "expected_cost")
    assert referred < before[0] / 2
    assert mean > 4 * expected
    assert before[1] < 1.5 * before[2]


def test_every_case_is_drawn_once_and_each_kind_where_its_action_is(shown):
    page = shown(Decide())
    probabilities, malignant = Decide.predictions()
    action = bt.decide(probabilities, table(COSTS[0])).action
    referred = action == 2
    wrong = ~referred & (action != malignant)
    paths = [page.locator(f".views {name}").first for name in (".case.referred", ".case.wrong")]
    counts = [path.get_attribute("d").count("M") for path in paths]
    assert counts == [referred.sum().item(), wrong.sum().item()]
    right = page.locator(".views path[class=case]").first.get_attribute("d").count("M")
    assert right + sum(counts) == 569
    boxes = [
        page.locator(f".views .stretch.{action}").nth(1).bounding_box()
        for action in ("home", "refer", "treat")
    ]
    assert boxes[0]["x"] + boxes[0]["width"] == pytest.approx(boxes[1]["x"], abs=0.2)
    assert boxes[1]["x"] + boxes[1]["width"] == pytest.approx(boxes[2]["x"], abs=0.2)
    plot = page.locator(".views svg.plot").nth(1).bounding_box()
    left, right = boxes[1]["x"] - plot["x"], boxes[2]["x"] - plot["x"]
    for x in re.findall(r"M([\d.]+),", paths[0].get_attribute("d")):
        assert left - 0.2 < float(x) < right + 0.2


def test_the_sliders_set_costs_in_steps_and_python_any(shown):
    page = shown(Decide(miss_cost=22.0))
    slider = page.get_by_role("slider", name="Cost of a missed case")
    assert slider.get_attribute("aria-valuetext") == "22"
    slider.press("ArrowRight")
    assert traits(page, "miss_cost") == [30]
    page.get_by_role("slider", name="Cost of a referral").press("End")
    assert traits(page, "referral_cost", "num_referred") == [20, 0]


@pytest.mark.parametrize("width", [800, 375])
def test_the_plots_stay_where_they_are_whatever_is_said(shown, width):
    page = shown(Decide(), width=width)
    top = """[...document.querySelectorAll("svg.plot, input")]
      .map((node) => Math.round(node.getBoundingClientRect().y))"""
    before = page.evaluate(top)
    for settings in (
        {"predictor": "deterministic"},
        {"referral_cost": 20.0},
        {"miss_cost": 70.0, "alarm_cost": 15.0, "referral_cost": 0.07},
        {"miss_cost": 1.0, "alarm_cost": 0.5, "referral_cost": 0.33},
    ):
        set_traits(page, **settings)
        assert page.evaluate(top) == before, settings
