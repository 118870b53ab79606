import numpy as np
import pytest
import torch
from sklearn import covariance

import bnn_tutorial as bt


def test_scores_from_logits_are_their_formulas():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(7, 5, 4, generator=generator, dtype=torch.float64)
    scores = bt.doubt_scores(logits)
    draws = torch.distributions.Categorical(logits=logits)
    mean = torch.distributions.Categorical(probs=draws.probs.mean(0))
    torch.testing.assert_close(scores.entropy, mean.entropy())
    kl = torch.distributions.kl_divergence(draws, mean.expand(torch.Size((7, 5))))
    torch.testing.assert_close(scores.mutual_information, kl.mean(0))
    torch.testing.assert_close(scores.one_minus_maximum, 1 - draws.probs.mean(0).max(1).values)
    torch.testing.assert_close(scores.energy, -logits.exp().sum(-1).log().mean(0))


def test_one_draw_has_no_mutual_information_and_only_the_energy_sees_a_shift():
    logits = torch.tensor([[[2.0, -1.0, 0.5]]], dtype=torch.float64)
    scores, shifted = bt.doubt_scores(logits), bt.doubt_scores(logits + 4)
    assert scores.mutual_information.item() == 0
    assert shifted.entropy.item() == pytest.approx(scores.entropy.item())
    assert shifted.one_minus_maximum.item() == pytest.approx(scores.one_minus_maximum.item())
    assert shifted.energy.item() == pytest.approx(scores.energy.item() - 4)


@pytest.mark.parametrize("wrong", [torch.zeros(3, 4), torch.zeros(0, 3, 4)])
def test_wrong_logits_are_errors(wrong):
    with pytest.raises(ValueError, match="logits have shape"):
        bt.doubt_scores(wrong)


def classes_of_features(num_data=600, num_features=5):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (num_data,), generator=generator)
    mixing = torch.randn(num_features, num_features, generator=generator)
    noise = torch.randn(num_data, num_features, generator=generator) @ mixing
    means = 4 * torch.randn(3, num_features, generator=generator)
    foreign = 5 * torch.randn(40, num_features, generator=generator)
    return foreign, means[labels] + noise, labels


def test_feature_distance_is_that_of_scikit_learn_s_covariance():
    foreign, features, labels = classes_of_features()
    means = torch.stack([features[labels == c].mean(0) for c in range(3)])
    within = (features - means[labels]).double().numpy()
    fitted = covariance.EmpiricalCovariance(assume_centered=True).fit(within)
    squared = [fitted.mahalanobis((foreign - mean).double().numpy()) for mean in means]
    expected = torch.as_tensor(np.stack(squared)).amin(0).sqrt().float()
    found = bt.feature_distance(foreign, features, labels)
    torch.testing.assert_close(found, expected)
    # The training data's own mean square is the number of features, but for nearer other classes.
    own = bt.feature_distance(features, features, labels).square().mean().item()
    assert 0.9 * 5 < own <= 5.001


def test_feature_distance_does_not_depend_on_the_features_coordinates():
    foreign, features, labels = (t.double() for t in classes_of_features())
    matrix = torch.randn(5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = bt.feature_distance(foreign @ matrix + 1, features @ matrix + 1, labels)
    torch.testing.assert_close(found, bt.feature_distance(foreign, features, labels))


def test_features_that_never_differ_are_left_out():
    foreign, features, labels = classes_of_features()
    dead = bt.feature_distance(
        torch.cat([foreign, torch.rand(40, 1)], 1),
        torch.cat([features, torch.zeros(600, 1)], 1),
        labels,
    )
    torch.testing.assert_close(dead, bt.feature_distance(foreign, features, labels))


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (((4,), (6, 3), (6,)), r"features have shape \(4,\)"),
        (((4, 2), (6, 3), (6,)), r"train_features \(6, 3\)"),
        (((4, 3), (6, 3), (5,)), r"train_labels \(5,\)"),
        (((4, 3), (0, 3), (0,)), r"train_labels \(0,\)"),
    ],
)
def test_features_that_do_not_fit_are_errors(shapes, words):
    with pytest.raises(ValueError, match=words):
        bt.feature_distance(*(torch.zeros(shape) for shape in shapes))


@pytest.mark.parametrize("position", [0, 1])
def test_features_that_are_not_finite_are_errors(position):
    arguments = [torch.ones(4, 2), torch.ones(4, 2), torch.zeros(4)]
    arguments[position][2, 1] = torch.inf
    with pytest.raises(ValueError, match="features: expected finite numbers, not inf"):
        bt.feature_distance(*arguments)
