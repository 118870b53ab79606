import math

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Independent, Normal, Poisson, StudentT
from torch.utils.data import TensorDataset

import bnn_tutorial as bt


def test_gaussian_nll_is_that_of_torch_distributions():
    output, target = torch.randn(7, 1), torch.randn(7, 1)
    likelihood = bt.GaussianLikelihood(0.7)
    expected = -Normal(output, 0.7).log_prob(target).mean()
    torch.testing.assert_close(likelihood(output, target), expected)


def test_gaussian_nll_is_that_of_a_datum_however_many_values_it_has():
    # The KL in the loss is divided by the number of data, so that the two must count alike.
    output, target = torch.randn(7, 3, 2), torch.randn(7, 3, 2)
    likelihood = bt.GaussianLikelihood(0.7)
    joint = Independent(Normal(output, 0.7), 2)
    torch.testing.assert_close(likelihood(output, target), -joint.log_prob(target).mean())
    samples = torch.randn(5, 7, 3, 2)
    density = Independent(Normal(samples, 0.7), 2).log_prob(target).exp().mean(dim=0)
    nll = likelihood.metrics(samples, target)["nll"]
    assert nll == pytest.approx(-density.log().mean().item(), rel=1e-5)


def test_learnt_noise_ends_at_the_residuals_standard_deviation():
    residual = torch.randn(500, 1, generator=torch.Generator().manual_seed(0)) * 0.3
    likelihood = bt.GaussianLikelihood(1.0)
    optimizer = torch.optim.LBFGS(likelihood.parameters(), max_iter=50)

    def closure():
        optimizer.zero_grad()
        loss = likelihood(torch.zeros_like(residual), residual)
        loss.backward()
        return loss

    optimizer.step(closure)
    expected = residual.square().mean().sqrt().item()
    assert likelihood.noise_std.item() == pytest.approx(expected, rel=1e-3)


def test_known_noise_is_not_trained():
    likelihood = bt.GaussianLikelihood(0.5, learn=False)
    assert not likelihood.noise_rho.requires_grad
    assert likelihood.noise_std.item() == pytest.approx(0.5)


def test_gaussian_metrics_score_the_mixture_of_the_draws():
    samples, target = torch.randn(5, 3, 1), torch.randn(3, 1)
    metrics = bt.GaussianLikelihood(0.4).metrics(samples, target)
    density = Normal(samples, 0.4).log_prob(target).exp().mean(dim=0)
    assert metrics["nll"] == pytest.approx(-density.log().mean().item(), rel=1e-5)
    error = samples.mean(dim=0) - target
    assert metrics["rmse"] == pytest.approx(math.sqrt((error**2).mean().item()), rel=1e-5)


def test_categorical_nll_is_that_of_torch_distributions():
    output, target = torch.randn(6, 4), torch.randint(4, (6,))
    expected = -Categorical(logits=output).log_prob(target).mean()
    torch.testing.assert_close(bt.CategoricalLikelihood()(output, target), expected)


def test_categorical_metrics_average_probabilities_not_logits():
    # Two draws, sure of opposite classes with unequal logits: averaged logits would be sure too.
    samples = torch.tensor([[[20.0, 0.0]], [[0.0, 4.0]]])
    metrics = bt.CategoricalLikelihood().metrics(samples, torch.tensor([1]))
    probability = samples.softmax(-1).mean(dim=0)[0, 1].item()
    assert metrics["nll"] == pytest.approx(-math.log(probability), rel=1e-5)
    assert metrics["accuracy"] == 0.0
    assert metrics["ece"] == pytest.approx(1 - probability, rel=1e-4)


def test_categorical_metrics_stay_finite_for_extreme_logits():
    samples = torch.tensor([[[1000.0, 0.0]], [[1000.0, 0.0]]])
    assert bt.CategoricalLikelihood().metrics(samples, torch.tensor([1]))["nll"] == 1000.0


def test_shapes_that_would_broadcast_are_an_error():
    with pytest.raises(ValueError, match=r"output has shape \(5, 1\), target \(5,\)"):
        bt.GaussianLikelihood()(torch.zeros(5, 1), torch.zeros(5))
    with pytest.raises(ValueError, match=r"output has shape \(5, 1\), target \(5,\)"):
        bt.GaussianLikelihood().metrics(torch.zeros(2, 5, 1), torch.zeros(5))


@pytest.mark.parametrize("std", [0.0, -1.0, float("inf")])
def test_noise_that_is_not_positive_is_an_error(std):
    with pytest.raises(ValueError, match="positive finite"):
        bt.GaussianLikelihood(std)


def _means_and_log_variances(columns: int, rows: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(rows, columns), 2 * torch.randn(rows, columns)


def test_heteroscedastic_nll_is_that_of_torch_distributions():
    mean, log_variance = _means_and_log_variances(2)
    target = torch.randn(6, 2)
    # Bounds so wide that the bounded log variance is the output's.
    likelihood = bt.HeteroscedasticGaussianLikelihood(min_std=1e-200, max_std=1e200)
    joint = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    actual = likelihood(torch.cat([mean, log_variance], dim=1), target)
    torch.testing.assert_close(actual, -joint.log_prob(target).mean(), rtol=1e-4, atol=1e-4)


def test_heteroscedastic_nll_is_that_of_the_moments_it_states():
    output, target = 5 * torch.randn(6, 4), torch.randn(6, 2)
    likelihood = bt.HeteroscedasticGaussianLikelihood(min_std=0.1, max_std=3.0)
    joint = Independent(Normal(*likelihood.moments(output)), 1)
    torch.testing.assert_close(likelihood(output, target), -joint.log_prob(target).mean())


def test_heteroscedastic_noise_lies_between_its_bounds_and_grows_with_the_output():
    likelihood = bt.HeteroscedasticGaussianLikelihood(min_std=0.1, max_std=3.0)
    log_variance = torch.linspace(-8, 8, 50).double()
    mean, std = likelihood.moments(torch.stack([torch.zeros_like(log_variance), log_variance], 1))
    assert mean.shape == std.shape == (50, 1)
    assert std.min() > 0.1
    assert std.max() < 3.0
    assert (std.diff(dim=0) > 0).all()
    _, ends = likelihood.moments(torch.tensor([[0.0, -1e4], [0.0, 1e4]]))
    torch.testing.assert_close(ends, torch.tensor([[0.1], [3.0]]))


def test_heteroscedastic_metrics_score_the_mixture_of_the_draws():
    samples, target = torch.randn(5, 3, 4), torch.randn(3, 2)
    likelihood = bt.HeteroscedasticGaussianLikelihood()
    mean, std = likelihood.moments(samples)
    density = Independent(Normal(mean, std), 1).log_prob(target).exp().mean(dim=0)
    metrics = likelihood.metrics(samples, target)
    assert metrics["nll"] == pytest.approx(-density.log().mean().item(), rel=1e-5)
    error = mean.mean(dim=0) - target
    assert metrics["rmse"] == pytest.approx(math.sqrt((error**2).mean().item()), rel=1e-5)


@pytest.mark.parametrize("freedom", [0.5, 4.0, 1e6])
def test_student_nll_is_that_of_torch_distributions(freedom):
    output, target = torch.randn(7, 3).double(), torch.randn(7, 3).double()
    likelihood = bt.StudentTLikelihood(0.7, freedom).double()
    joint = Independent(StudentT(freedom, output, likelihood.scale.detach()), 1)
    torch.testing.assert_close(likelihood(output, target), -joint.log_prob(target).mean())
    assert likelihood.scale.item() == pytest.approx(0.7, rel=1e-6)


def test_student_metrics_score_the_mixture_of_the_draws():
    samples, target = torch.randn(5, 3, 2), torch.randn(3, 2)
    density = Independent(StudentT(3.0, samples, 0.4), 1).log_prob(target).exp().mean(dim=0)
    metrics = bt.StudentTLikelihood(0.4, 3.0).metrics(samples, target)
    assert metrics["nll"] == pytest.approx(-density.log().mean().item(), rel=1e-5)
    error = samples.mean(dim=0) - target
    assert metrics["rmse"] == pytest.approx(math.sqrt((error**2).mean().item()), rel=1e-5)


@pytest.mark.parametrize("learn", [True, False])
def test_student_scale_is_trained_where_it_is_to_be_learnt(learn):
    likelihood = bt.StudentTLikelihood(learn=learn)
    assert [parameter.requires_grad for parameter in likelihood.parameters()] == [learn]


@pytest.mark.parametrize(
    ("likelihood", "columns"),
    [
        (bt.HeteroscedasticGaussianLikelihood(min_std=0.3, max_std=4.0), 4),
        (bt.StudentTLikelihood(0.8, 3.0), 2),
    ],
)
def test_gradients_are_those_of_finite_differences(likelihood, columns):
    likelihood = likelihood.double()
    output = torch.randn(5, columns, dtype=torch.double, requires_grad=True)
    target = torch.randn(5, 2, dtype=torch.double)
    # The parameters are read through the module: gradcheck perturbs them in place.
    inputs = (output, *likelihood.parameters())
    assert torch.autograd.gradcheck(lambda output, *_: likelihood(output, target), inputs)


@pytest.mark.parametrize("mean", [1e4, -1e4])
@pytest.mark.parametrize("log_variance", [1e4, 0.0, -1e4])
def test_extreme_outputs_have_finite_losses_gradients_and_scores(mean, log_variance):
    target = torch.zeros(1, 1)
    for likelihood, row in (
        (bt.HeteroscedasticGaussianLikelihood(), [mean, log_variance]),
        (bt.StudentTLikelihood(1e-3), [mean]),
    ):
        output = torch.tensor([row], requires_grad=True)
        loss = likelihood(output, target)
        loss.backward()
        assert loss.isfinite()
        assert output.grad.isfinite().all()
        assert math.isfinite(likelihood.metrics(output.detach()[None], target)["nll"])


@pytest.mark.parametrize(
    ("output", "target"), [((5, 1), (5, 1)), ((5, 3), (5, 1)), ((5, 2), (5,)), ((4, 2), (5, 1))]
)
def test_heteroscedastic_shapes_that_do_not_match_are_errors(output, target):
    likelihood = bt.HeteroscedasticGaussianLikelihood()
    with pytest.raises(ValueError, match=r"expected \(N, 2K\)"):
        likelihood(torch.zeros(output), torch.zeros(target))
    with pytest.raises(ValueError, match=r"expected \(N, 2K\)"):
        likelihood.metrics(torch.zeros(3, *output), torch.zeros(target))


def test_heteroscedastic_moments_of_an_odd_number_of_columns_are_an_error():
    with pytest.raises(ValueError, match=r"output has shape \(5, 3\)"):
        bt.HeteroscedasticGaussianLikelihood().moments(torch.zeros(5, 3))


def test_student_shapes_that_would_broadcast_are_an_error():
    with pytest.raises(ValueError, match=r"output has shape \(5, 1\), target \(5,\)"):
        bt.StudentTLikelihood()(torch.zeros(5, 1), torch.zeros(5))


@pytest.mark.parametrize(("least", "most"), [(1.0, 1.0), (2.0, 1.0), (0.0, 1.0), (0.1, math.inf)])
def test_bounds_that_are_not_positive_and_in_order_are_errors(least, most):
    with pytest.raises(ValueError, match=r"m.._std=.*expected"):
        bt.HeteroscedasticGaussianLikelihood(min_std=least, max_std=most)


@pytest.mark.parametrize("setting", ["scale", "degrees_of_freedom"])
def test_student_settings_that_are_not_positive_are_errors(setting):
    with pytest.raises(ValueError, match=rf"{setting}=0.0: expected a positive finite"):
        bt.StudentTLikelihood(**{setting: 0.0})


def test_fit_learns_a_mean_and_noise_that_varies_with_the_input():
    generator = torch.Generator().manual_seed(0)
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(200, 1)  # two groups
    y = x @ torch.tensor([[1.0], [-2.0]])
    y = y + torch.randn(400, 1, generator=generator) * (x @ torch.tensor([[0.1], [1.0]]))
    model = torch.nn.Linear(2, 2, bias=False)
    likelihood = bt.HeteroscedasticGaussianLikelihood()
    bt.fit(model, TensorDataset(x, y), likelihood, epochs=500, learning_rate=0.03, progress=False)
    mean, std = likelihood.moments(model(torch.eye(2)))
    for group in range(2):
        values = y[x[:, group] == 1]
        assert mean[group].item() == pytest.approx(values.mean().item(), abs=1e-2)
        assert std[group].item() == pytest.approx(values.std(correction=0).item(), rel=1e-2)


def test_fit_with_student_likelihood_is_moved_less_by_outliers():
    y = torch.cat([torch.linspace(-0.2, 0.2, 45), torch.full((5,), 50.0)])[:, None]
    fitted = []
    for likelihood in (bt.StudentTLikelihood(degrees_of_freedom=2.0), bt.GaussianLikelihood()):
        model = torch.nn.Linear(1, 1)
        data = TensorDataset(torch.zeros_like(y), y)
        bt.fit(model, data, likelihood, epochs=400, learning_rate=0.05, progress=False)
        fitted.append(model(torch.zeros(1, 1)).item())
    assert abs(fitted[0]) < 0.1  # 45 values of mean 0, 5 outliers
    assert fitted[1] > 3.0


def test_a_noise_for_each_output_is_that_of_torch_distributions():
    std = torch.tensor([0.3, 2.0])
    likelihood = bt.GaussianLikelihood(std)
    output, target = torch.randn(7, 2), torch.randn(7, 2)
    joint = Independent(Normal(output, std), 1)
    torch.testing.assert_close(likelihood(output, target), -joint.log_prob(target).mean())
    samples = torch.randn(5, 7, 2)
    density = Independent(Normal(samples, std), 1).log_prob(target).exp().mean(dim=0)
    nll = likelihood.metrics(samples, target)["nll"]
    assert nll == pytest.approx(-density.log().mean().item(), rel=1e-5)
    torch.testing.assert_close(likelihood.noise_std, std)
    for shape in ((7, 1), (7, 3), (7, 2, 2), (2,)):
        with pytest.raises(ValueError, match=r"output has shape .* expected \(N, 2\)"):
            likelihood(torch.zeros(shape), torch.zeros(shape))


@pytest.mark.parametrize("shape", [(7,), (7, 1), (7, 3)])
def test_bernoulli_is_that_of_torch_distributions(shape):
    likelihood = bt.BernoulliLikelihood()
    output, target = 30 * torch.randn(shape), torch.randint(2, shape)
    nll = -Bernoulli(logits=output.double()).log_prob(target.double()).sum() / 7
    torch.testing.assert_close(likelihood(output, target), nll.float())
    samples = torch.randn(5, *shape)
    density = Bernoulli(logits=samples).log_prob(target.float()).reshape(5, 7, -1).sum(2).exp()
    probability = samples.sigmoid().mean(dim=0)
    scores = likelihood.metrics(samples, target)
    assert scores["nll"] == pytest.approx(-density.mean(dim=0).log().mean().item(), rel=1e-5)
    assert scores["accuracy"] == ((probability > 0.5) == target.bool()).float().mean().item()
    both = torch.stack([1 - probability.flatten(), probability.flatten()], dim=1)
    assert scores["ece"] == bt.expected_calibration_error(both, target.flatten())


def test_poisson_is_that_of_torch_distributions():
    likelihood = bt.PoissonLikelihood()
    output, target = torch.randn(7, 2), torch.randint(9, (7, 2)).float()
    nll = -Poisson(output.exp()).log_prob(target).sum() / 7
    torch.testing.assert_close(likelihood(output, target), nll)
    samples = torch.randn(5, 7, 2)
    density = Poisson(samples.exp()).log_prob(target).sum(dim=2).exp().mean(dim=0)
    scores = likelihood.metrics(samples, target)
    assert scores["nll"] == pytest.approx(-density.log().mean().item(), rel=1e-5)
    error = samples.exp().mean(dim=0) - target
    assert scores["rmse"] == pytest.approx(error.square().mean().sqrt().item(), rel=1e-5)


def test_weights_and_smoothing_are_their_formula():
    weights, smoothing = torch.tensor([0.5, 2.0, 0.0]), 0.1
    output, target = torch.randn(7, 3), torch.randint(3, (7,))
    log_p = Categorical(logits=output).logits
    smoothed = smoothing / 3 * (weights * log_p).sum(dim=1)
    expected = -((1 - smoothing) * weights[target] * log_p[range(7), target] + smoothed).mean()
    likelihood = bt.CategoricalLikelihood(class_weights=weights, label_smoothing=smoothing)
    torch.testing.assert_close(likelihood(output, target), expected)
    # The scores are the plain ones, and the weights travel with the module.
    plain = bt.CategoricalLikelihood()
    assert likelihood.metrics(output[None], target) == plain.metrics(output[None], target)
    assert likelihood.double().class_weights.dtype == torch.float64
    uniform = bt.CategoricalLikelihood(class_weights=torch.ones(3))
    torch.testing.assert_close(uniform(output, target), plain(output, target))


def test_labels_at_positions_add_up_to_a_datum():
    samples, target = torch.randn(5, 7, 3, 4, 2), torch.randint(3, (7, 4, 2))
    likelihood = bt.CategoricalLikelihood()
    joint = Independent(Categorical(logits=samples.movedim(2, -1)), 2).log_prob(target)
    for draw, log_p in zip(samples, joint, strict=True):
        torch.testing.assert_close(likelihood(draw, target), -log_p.mean())
    scores = likelihood.metrics(samples, target)
    nll = -(joint.double().logsumexp(dim=0) - math.log(5)).mean().item()
    assert scores["nll"] == pytest.approx(nll, rel=1e-5)
    probabilities = samples.softmax(dim=2).mean(dim=0).movedim(1, -1).flatten(0, 2)
    hits = probabilities.argmax(dim=1) == target.flatten()
    assert scores["accuracy"] == pytest.approx(hits.float().mean().item())
    expected = bt.expected_calibration_error(probabilities, target.flatten())
    assert scores["ece"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: bt.GaussianLikelihood(torch.ones(2, 2)), "noise_std has shape"),
        (lambda: bt.GaussianLikelihood(torch.tensor([1.0, -1.0])), "noise_std=-1.0"),
        (lambda: bt.GaussianLikelihood(0.0), "noise_std=0.0"),
        (lambda: bt.StudentTLikelihood(scale=0.0), "scale=0.0"),
        (lambda: bt.CategoricalLikelihood(label_smoothing=1.5), "label_smoothing=1.5"),
        (lambda: bt.CategoricalLikelihood(class_weights=torch.tensor([-1.0])), "class_weights="),
        (lambda: bt.CategoricalLikelihood(class_weights=torch.ones(2, 2)), "class_weights="),
    ],
)
def test_wrong_settings_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_class_weights_of_other_classes_are_named():
    likelihood = bt.CategoricalLikelihood(class_weights=torch.ones(4))
    data = TensorDataset(torch.zeros(5, 2), torch.zeros(5, dtype=torch.long))
    with pytest.raises(ValueError, match="data: output has 3 classes: expected 4"):
        bt.fit(torch.nn.Linear(2, 3), data, likelihood, epochs=1, progress=False)
