import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal, OneHotCategorical

import bnn_tutorial as bt


def test_total_is_the_variance_of_the_mixture_of_the_draws():
    means, variances = torch.randn(6, 4, 3).double(), torch.rand(6, 4, 3).double()
    parts = bt.decompose_variance(means, variances)
    draws_last = Normal(means.movedim(0, -1), variances.sqrt().movedim(0, -1))
    weights = Categorical(probs=torch.ones(4, 3, 6).double())
    torch.testing.assert_close(parts.total, MixtureSameFamily(weights, draws_last).variance)
    torch.testing.assert_close(parts.aleatoric, variances.mean(dim=0))
    torch.testing.assert_close(parts.epistemic, torch.var(means, dim=0, correction=0))


@pytest.mark.parametrize("shape", [(), (4, 1), (1, 4, 3), (6, 1, 1)])
def test_variances_broadcast_to_the_means(shape):
    means, variances = torch.randn(6, 4, 3), torch.rand(shape)
    parts, expanded = (
        bt.decompose_variance(means, given) for given in (variances, variances.expand(6, 4, 3))
    )
    for name in ("total", "aleatoric", "epistemic"):
        assert getattr(parts, name).shape == (4, 3)
        torch.testing.assert_close(getattr(parts, name), getattr(expanded, name))


def test_one_number_is_the_noise_of_every_datum():
    parts = bt.decompose_variance(torch.randn(6, 4, 1), 0.25)
    torch.testing.assert_close(parts.aleatoric, torch.full((4, 1), 0.25))


def test_one_draw_has_no_epistemic_variance():
    parts = bt.decompose_variance(torch.randn(1, 4, 1), 0.25)
    assert (parts.epistemic == 0).all()
    matrices = bt.decompose_covariance(torch.randn(1, 4, 3).softmax(-1))
    assert (matrices.epistemic == 0).all()
    assert torch.equal(matrices.total, matrices.aleatoric)


def test_classes_have_the_variances_of_their_indicators():
    probabilities = torch.randn(6, 4, 3).double().softmax(-1)
    parts = bt.decompose_variance(probabilities)
    mean = OneHotCategorical(probabilities.mean(dim=0))
    torch.testing.assert_close(parts.total, mean.variance)
    of_draws = OneHotCategorical(probabilities).variance
    torch.testing.assert_close(parts.aleatoric, of_draws.mean(dim=0))


def test_the_two_classes_of_two_have_equal_parts():
    parts = bt.decompose_variance(torch.randn(6, 4, 2).double().softmax(-1))
    for part in (parts.total, parts.aleatoric, parts.epistemic):
        torch.testing.assert_close(part[:, 0], part[:, 1])


def test_certain_draws_that_contradict_are_epistemic_alone():
    opposed = torch.tensor([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]])
    parts = bt.decompose_variance(opposed)
    assert parts.aleatoric.tolist() == [[0.0, 0.0, 0.0]]
    assert parts.epistemic.tolist() == parts.total.tolist() == [[0.25, 0.25, 0.0]]


@pytest.mark.parametrize("num_classes", [2, 5])
def test_covariances_are_those_of_the_class_indicators(num_classes):
    probabilities = torch.randn(6, 4, num_classes).double().softmax(-1)
    parts = bt.decompose_covariance(probabilities)
    indicators = OneHotCategorical(probabilities.mean(dim=0)).enumerate_support()
    for datum, mean in enumerate(probabilities.mean(dim=0)):
        # Every outcome with its probability: the covariance in full, by no formula.
        expected = indicators[:, datum].T.cov(correction=0, aweights=mean)
        torch.testing.assert_close(parts.total[datum], expected)
        torch.testing.assert_close(
            parts.epistemic[datum], probabilities[:, datum].T.cov(correction=0)
        )


def test_diagonals_of_the_covariances_are_the_variances_and_rows_add_up_to_0():
    probabilities = torch.randn(6, 4, 3).double().softmax(-1)
    matrices = bt.decompose_covariance(probabilities)
    variances = bt.decompose_variance(probabilities)
    for name in ("total", "aleatoric", "epistemic"):
        matrix = getattr(matrices, name)
        torch.testing.assert_close(matrix.diagonal(dim1=1, dim2=2), getattr(variances, name))
        torch.testing.assert_close(matrix, matrix.mT)
        torch.testing.assert_close(matrix.sum(dim=2), torch.zeros(4, 3).double())


@pytest.mark.parametrize("shape", [(4,), (0, 4, 3)])
def test_means_of_wrong_shapes_are_errors(shape):
    with pytest.raises(ValueError, match=r"expected \(S, N, \.\.\.\)"):
        bt.decompose_variance(torch.ones(shape), 1.0)


@pytest.mark.parametrize("shape", [(4, 3), (0, 4, 3), (2, 4, 3, 1)])
def test_probabilities_of_wrong_shapes_are_errors(shape):
    with pytest.raises(ValueError, match=r"expected \(S, N, C\)"):
        bt.decompose_covariance(torch.ones(shape))


@pytest.mark.parametrize("shape", [(4,), (6, 4), (2, 4, 1), (1, 6, 4, 1)])
def test_variances_that_would_pair_the_wrong_values_are_errors(shape):
    with pytest.raises(ValueError, match="variances that broadcast to the means"):
        bt.decompose_variance(torch.ones(6, 4, 1), torch.ones(shape))


def test_negative_variances_are_an_error():
    with pytest.raises(ValueError, match=r"variances reach -0\.5: expected 0 or more"):
        bt.decompose_variance(torch.ones(6, 4, 1), -0.5)


@pytest.mark.parametrize("value", [1.5, -0.5, float("nan")])
def test_values_that_are_no_probabilities_are_errors(value):
    with pytest.raises(ValueError, match=r"means without variances reach .*pass variances too"):
        bt.decompose_variance(torch.full((6, 4, 1), value))
    with pytest.raises(ValueError, match="probabilities: expected rows"):
        bt.decompose_covariance(torch.full((6, 4, 1), value))


def test_normalized_softplus_divides_softplus_by_its_sum():
    logits = 5 * torch.randn(7, 4).double()
    scores = logits.exp().log1p()
    expected = scores / scores.sum(dim=-1, keepdim=True)
    torch.testing.assert_close(bt.normalized_softplus(logits), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_normalized_softplus_far_below_0_is_softmax(dtype):
    logits = torch.tensor([[-1e4, -1e4], [-200.0, -201.0]], dtype=dtype, requires_grad=True)
    probabilities = bt.normalized_softplus(logits)
    torch.testing.assert_close(probabilities, logits.softmax(-1))
    probabilities[:, 0].sum().backward()
    assert logits.grad.isfinite().all()


def test_normalized_softplus_far_above_0_is_a_ratio():
    probabilities = bt.normalized_softplus(torch.tensor([3e4, 1e4, -1e4]))
    torch.testing.assert_close(probabilities, torch.tensor([0.75, 0.25, 0.0]))


def test_gradient_of_normalized_softplus_is_that_of_finite_differences():
    # -40 lies where softplus is taken to be the exponential.
    logits = torch.tensor([[-41.0, -40.0, -39.0], [-1.0, 2.0, 30.0]]).double().requires_grad_()
    assert torch.autograd.gradcheck(bt.normalized_softplus, (logits,))
