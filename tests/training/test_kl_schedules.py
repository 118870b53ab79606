import math
from fractions import Fraction

import pytest
import torch

import bnn_tutorial as bt
from bnn_tutorial.training.kl_schedules import kl_weights

SIZES = [[40], [10, 10, 10, 10], [16, 16, 8], [7] * 5 + [1], [2] * 3000 + [1]]


@pytest.mark.parametrize("sizes", SIZES, ids=len)
def test_blundell_weights_are_the_papers_shares(sizes):
    num_data, num_batches = sum(sizes), len(sizes)
    for index, weight in enumerate(bt.BlundellWeights()(1, sizes), start=1):
        share = Fraction(2 ** (num_batches - index), 2**num_batches - 1)
        assert weight == pytest.approx(float(share * num_data / sizes[index - 1]), rel=1e-12)


@pytest.mark.parametrize("schedule", [1.0, bt.BlundellWeights(), bt.KLWarmup(2)], ids=repr)
@pytest.mark.parametrize("sizes", SIZES, ids=len)
def test_the_weights_of_an_epoch_average_to_one(sizes, schedule):
    weights = kl_weights(schedule, 3, sizes)
    total = math.fsum(size * weight for size, weight in zip(sizes, weights, strict=True))
    assert total / sum(sizes) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("schedule", [bt.BlundellWeights(), bt.BlundellWeights(0.3)], ids=repr)
def test_an_epoch_has_the_gradient_of_the_whole_data_set(schedule):
    # The batches' losses, each times its size, add up to the cost of all data; so do gradients.
    with bt.seeded(0):
        layer = bt.BayesianLinear(2, 3).double()
    sizes, num_data = [16, 16, 8], 40
    for size, kl_weight in zip(sizes, schedule(1, sizes), strict=True):
        nll = 0 * layer.weight_mean.sum()
        kl = bt.kl_divergence(layer)
        (size * bt.elbo_loss(nll, kl, num_data=num_data, kl_weight=kl_weight)).backward()
    gradients = [parameter.grad for parameter in layer.parameters()]
    whole = torch.autograd.grad(bt.kl_divergence(layer), list(layer.parameters()))
    for gradient, expected in zip(gradients, whole, strict=True):
        torch.testing.assert_close(gradient, schedule.weight * expected, rtol=1e-12, atol=0)


def test_warm_up_grows_by_the_same_amount_each_step_and_stays():
    sizes = [16, 16, 8]
    weights = [weight for epoch in (1, 2, 3) for weight in bt.KLWarmup(2, 0.6)(epoch, sizes)]
    assert weights == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6])
    assert bt.KLWarmup(0.5)(1, [1] * 4) == pytest.approx([0, 0.5, 1, 1])


def test_a_number_is_a_constant_weight():
    assert kl_weights(0.25, 7, [3, 3, 1]) == [0.25] * 3


def test_any_callable_is_a_schedule():
    assert kl_weights(lambda epoch, sizes: [epoch / size for size in sizes], 2, [4, 2]) == [0.5, 1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: bt.KLWarmup(0), "epochs=0"),
        (lambda: bt.KLWarmup(math.inf), "epochs=inf"),
        (lambda: bt.KLWarmup(1, -0.5), r"weight=-0\.5"),
        (lambda: bt.BlundellWeights(math.nan), "weight=nan"),
        (lambda: kl_weights(-1.0, 1, [2]), r"kl_weight=-1\.0"),
        (lambda: kl_weights(lambda *_: [1.0, math.nan], 1, [2, 2]), "kl_weight=nan"),
        (lambda: kl_weights(lambda *_: [1.0], 4, [2, 2]), "1 weights in epoch 4.*each of the 2"),
    ],
)
def test_wrong_arguments_are_errors(make, words):
    with pytest.raises(ValueError, match=words):
        make()
