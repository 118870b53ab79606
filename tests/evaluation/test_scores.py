import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss

import bnn_tutorial as bt


def predictions(size=400, num_classes=3):
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(size, num_classes, generator=generator, dtype=torch.float64)
    labels = torch.multinomial((logits / 2).softmax(dim=-1), 1, generator=generator)[:, 0]
    return logits.softmax(dim=-1), labels


def test_the_scores_are_those_of_scikit_learn():
    probabilities, labels = predictions()
    assert bt.log_score(probabilities, labels) == pytest.approx(log_loss(labels, probabilities))
    # Over one of two classes alone theirs is half of ours.
    theirs = [brier_score_loss(labels == c, probabilities[:, c]) for c in range(3)]
    assert bt.brier_score(probabilities, labels) == pytest.approx(sum(theirs))


@pytest.mark.parametrize("score", [bt.brier_score, bt.log_score])
def test_who_states_the_true_probabilities_scores_best_on_average(score):
    """Over all labels, weighted by their true chance: any other statement costs more."""
    truth = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)

    def expected(stated):
        scores = [score(stated[None], torch.tensor([label])) for label in range(3)]
        return (truth * torch.tensor(scores, dtype=torch.float64)).sum()

    others = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert all(expected(other) > expected(truth) for other in others.softmax(dim=-1))


def test_a_true_class_of_probability_0_costs_infinitely_many_nats():
    assert bt.log_score(torch.tensor([[0.0, 1.0]]), torch.tensor([0])) == float("inf")


@pytest.mark.parametrize("equal", ["width", "mass"])
def test_the_parts_of_the_brier_score_are_those_of_the_definitions(equal):
    """Of each class, by sums over data: variance and covariance inside the bins close the gap."""
    probabilities, labels = predictions()
    parts = bt.decompose_brier(probabilities, labels, 6, equal=equal)
    reliability = resolution = uncertainty = within = 0.0
    for label in range(3):
        p, y = probabilities[:, label], (labels == label).double()
        edges = bt.reliability_bins(probabilities, labels, 6, equal=equal, of_class=label).edges
        index = (p[:, None] > edges).sum(dim=1)
        for b in index.unique():
            p_b, y_b = p[index == b], y[index == b]
            reliability += len(p_b) * (p_b.mean() - y_b.mean()) ** 2
            resolution += len(p_b) * (y_b.mean() - y.mean()) ** 2
            moved = p_b - p_b.mean()
            within += (moved**2 - 2 * moved * (y_b - y_b.mean())).sum()
        uncertainty += len(y) * y.var(correction=0)
    sums = (reliability, resolution, uncertainty, within)
    ours = (parts.reliability, parts.resolution, parts.uncertainty, parts.within_bins)
    assert ours == pytest.approx([float(part) / 400 for part in sums])
    assert parts.total == pytest.approx(bt.brier_score(probabilities, labels))


def test_equal_probabilities_in_a_bin_leave_nothing_within():
    generator = torch.Generator().manual_seed(2)
    p = torch.tensor([0.1, 0.3, 0.5, 0.9])[torch.randint(4, (200,), generator=generator)]
    labels = (torch.rand(200, generator=generator) > p).long()
    parts = bt.decompose_brier(torch.stack([p, 1 - p], dim=-1), labels, 10)
    assert abs(parts.within_bins) < 1e-7
    assert parts.uncertainty == pytest.approx(2 * labels.double().var(correction=0).item())


def test_wrong_predictions_are_errors():
    for score in (bt.brier_score, bt.log_score, bt.decompose_brier):
        with pytest.raises(ValueError, match="softmax"):
            score(torch.ones(2, 3), torch.zeros(2, dtype=torch.long))
