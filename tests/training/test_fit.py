import copy

import pytest
import torch
import torch.nn.functional as F
from helpers.monte_carlo import assert_mean, assert_variance
from helpers.saved_files import states_equal
from helpers.training_runs import Likelihood, line, run, train
from torch import nn
from torch.distributions import Normal
from torch.utils.data import TensorDataset

import bnn_tutorial as bt


@pytest.mark.parametrize("estimator", ["weight", "local"])
def test_fit_finds_the_best_mean_field_posterior_of_a_linear_model(estimator):
    # The exact posterior is Gaussian with precision A; the best factorized Gaussian has its mean
    # and the inverse diagonal of A as variances (Bishop 2006, section 10.1.2).
    data, noise_std, prior_std = line(), 0.5, 2.0
    x = torch.cat([data.tensors[0], torch.ones(len(data), 1)], dim=1).double()
    precision = x.T @ x / noise_std**2 + torch.eye(2) / prior_std**2
    mean = torch.linalg.solve(precision, x.T @ data.tensors[1].double() / noise_std**2).flatten()
    std = precision.diagonal().rsqrt()
    with bt.seeded(0):
        layer = bt.BayesianLinear(1, 1, prior=Normal(0.0, prior_std), estimator=estimator)
    likelihood = bt.GaussianLikelihood(noise_std, learn=False)
    for learning_rate in (0.03, 0.003, 0.0003):
        bt.fit(
            layer,
            data,
            likelihood,
            epochs=1000,
            learning_rate=learning_rate,
            seed=1,
            progress=False,
        )
    found_mean = torch.stack([layer.weight_mean.flatten(), layer.bias_mean]).flatten().double()
    found_std = torch.stack([layer.weight_std.flatten(), layer.bias_std]).flatten().double()
    # A tenth of a posterior standard deviation is several times what the last steps wander.
    assert ((found_mean - mean).abs() < 0.1 * std).all()
    assert ((found_std / std - 1).abs() < 0.1).all()


def linear_gaussian_nll(model, x, y, likelihood):
    """The exact E_q[NLL] of a linear layer: (y - f)^2 has the mean (y - mean)^2 + variance."""
    variance = x.square() @ model.weight_std.square().T + model.bias_std.square()
    error = (y - F.linear(x, model.weight_mean, model.bias_mean)).square() + variance
    noise_variance = likelihood.noise_std.square()
    return 0.5 * ((2 * torch.pi * noise_variance).log() + error / noise_variance).mean()


def test_a_closed_form_takes_the_place_of_draws():
    data, likelihood = line(), bt.GaussianLikelihood(0.5, learn=False)
    with bt.seeded(0):
        layer = bt.BayesianLinear(1, 1, init_std=0.3)
    start = copy.deepcopy(layer)
    history = bt.fit(
        layer, data, likelihood, epochs=1, expected_nll=linear_gaussian_nll, progress=False
    )
    nll = linear_gaussian_nll(start, *data.tensors, likelihood)
    assert history["nll"] == [pytest.approx(nll.item())]
    # Adam's first step is the learning rate against the gradient's sign.
    (nll + bt.kl_divergence(start) / len(data)).backward()
    for name, parameter in start.named_parameters():
        moved = layer.get_parameter(name) - parameter
        torch.testing.assert_close(moved, -1e-3 * parameter.grad.sign(), rtol=1e-3, atol=0)


@pytest.mark.parametrize("num_draws", [1, 4])
def test_draws_of_a_step_are_averaged_as_losses(num_draws):
    data, likelihood = line(), bt.GaussianLikelihood(0.5, learn=False)
    layer = bt.BayesianLinear(1, 1, init_std=0.3, estimator="weight")
    still = torch.optim.SGD(layer.parameters(), lr=0.0)
    settings = {"epochs": 1000, "optimizer": still, "seed": 1, "progress": False}
    history = bt.fit(layer, data, likelihood, num_draws=num_draws, **settings)
    draws = torch.tensor(history["nll"])
    assert_mean(draws, linear_gaussian_nll(layer, *data.tensors, likelihood).detach())
    # The loss of one draw of slope and intercept, many at once: its variance shrinks by num_draws.
    with bt.seeded(2), torch.no_grad():
        weight = layer.weight_mean[0] + layer.weight_std[0] * torch.randn(100_000, 1)
        bias = layer.bias_mean + layer.bias_std * torch.randn(100_000, 1)
        x, y = (tensor.T for tensor in data.tensors)
        losses = -Normal(x * weight + bias, 0.5).log_prob(y).mean(dim=1)
    assert_variance(draws, losses.var() / num_draws)


@pytest.mark.parametrize("kl_weight", [1.0, bt.BlundellWeights(), bt.KLWarmup(1e-9)], ids=repr)
def test_kl_is_divided_by_the_data_set_and_not_by_the_batch(kl_weight):
    # Without likelihood information the loss of an epoch is KL / N for any batch size and for any
    # weights that average to one.
    data = line()

    class Flat(nn.Module):
        def forward(self, output, target):
            return 0 * output.sum()

        def metrics(self, samples, target):
            return {}

    layer = bt.BayesianLinear(1, 1)
    kl = layer.kl_divergence().item()
    for batch_size in (None, 7, 20):
        history = bt.fit(
            layer,
            data,
            Flat(),
            epochs=2,
            batch_size=batch_size,
            kl_weight=kl_weight,
            progress=False,
            optimizer=torch.optim.SGD(layer.parameters(), lr=0.0),
        )
        assert history["loss"][1] == pytest.approx(kl / len(data), rel=1e-5)
        assert history["kl"][1] == pytest.approx(kl, rel=1e-5)
        assert history["kl_weight"][1] == pytest.approx(1.0)


def test_a_schedule_weighs_the_kl_batch_by_batch():
    layer = bt.BayesianLinear(1, 1)
    still = torch.optim.SGD(layer.parameters(), lr=0.0)
    settings = {"epochs": 2, "batch_size": 16, "optimizer": still, "progress": False}
    likelihood = bt.GaussianLikelihood(learn=False)
    history = bt.fit(layer, line(), likelihood, kl_weight=bt.KLWarmup(2), **settings)
    # Batches of 16, 16 and 8 of 40 data.
    assert history["kl_weight"] == pytest.approx([0.4 / 6 + 0.2 * 2 / 6, 0.4 * 7 / 6 + 0.2 * 5 / 6])
    terms = zip(history["nll"], history["kl_weight"], history["kl"], strict=True)
    assert history["loss"] == pytest.approx([nll + weight * kl / 40 for nll, weight, kl in terms])


def test_an_epoch_sees_every_datum_once():
    seen = []

    class Recorder(nn.Linear):
        def forward(self, x):
            seen.append(x.detach().clone())
            return super().forward(x)

    data = TensorDataset(torch.arange(10.0)[:, None], torch.zeros(10, 1))
    bt.fit(Recorder(1, 1), data, bt.GaussianLikelihood(), epochs=1, batch_size=4, progress=False)
    del seen[0]  # the check's
    assert [len(batch) for batch in seen] == [4, 4, 2]
    assert torch.cat(seen).flatten().sort().values.tolist() == list(range(10))
    assert torch.cat(seen).flatten().tolist() != list(range(10))


def test_a_seed_repeats_the_run_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first, second, other = run(5), run(5), run(6)
    assert torch.equal(torch.get_rng_state(), before)
    assert first[2]["loss"] == second[2]["loss"]
    assert first[2]["loss"] != other[2]["loss"]
    for name, value in first[0].state_dict().items():
        assert torch.equal(value, second[0].state_dict()[name])


def test_validation_is_recorded_and_changes_nothing_in_the_training():
    plain, validated = run(5), run(5, validation=line(10), validate_every=2)
    assert plain[2]["loss"] == validated[2]["loss"]
    assert validated[2].epochs("validation_nll") == [2, 3]
    assert len(validated[2]["validation_rmse"]) == 2


def test_a_deterministic_twin_trains_by_maximum_likelihood_and_the_noise_along():
    data = line()
    model = nn.Linear(1, 1)
    likelihood = bt.GaussianLikelihood(1.0)
    history = bt.fit(model, data, likelihood, epochs=1500, learning_rate=0.02, progress=False)
    x = torch.cat([data.tensors[0], torch.ones(len(data), 1)], dim=1)
    exact = torch.linalg.lstsq(x, data.tensors[1]).solution.flatten()
    torch.testing.assert_close(torch.cat([model.weight[0], model.bias]), exact, rtol=0, atol=1e-3)
    # The noise of the highest likelihood is the root mean square of what the line leaves over.
    noise_std = (data.tensors[1] - x @ exact[:, None]).square().mean().sqrt().item()
    assert likelihood.noise_std.item() == pytest.approx(noise_std, abs=1e-3)
    assert set(history["kl"]) == {0.0}


def test_evaluate_scores_the_average_of_the_draws():
    model, likelihood, _ = run(0)
    data = line(25)
    scores = bt.evaluate(model, data, likelihood, num_samples=6, seed=2)
    samples = bt.predict(model, data.tensors[0], 6, seed=2).samples
    assert scores == likelihood.metrics(samples, data.tensors[1])


def test_the_average_over_an_epoch_counts_every_datum_once():
    model, data, likelihood = nn.Linear(1, 1), line(), bt.GaussianLikelihood(0.5, learn=False)
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    settings = {"epochs": 1, "optimizer": still, "progress": False}
    whole = likelihood(model(data.tensors[0]), data.tensors[1])
    history = bt.fit(model, data, likelihood, batch_size=39, **settings)
    assert history["nll"] == [pytest.approx(whole.item(), rel=1e-6)]


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_mixed_precision_lowers_the_network_and_nothing_else(precision):
    seen = []

    class Recorder(bt.GaussianLikelihood):
        def forward(self, output, target):
            nll = super().forward(output, target)
            seen.append((output.dtype, nll.dtype))
            return nll

    def trained(mixed_precision):
        with bt.seeded(0):
            model = nn.Sequential(bt.BayesianLinear(1, 16), nn.ReLU(), bt.BayesianLinear(16, 1))
        settings = {"epochs": 30, "learning_rate": 1e-6, "seed": 1, "progress": False}
        return model, bt.fit(model, line(), Recorder(), mixed_precision=mixed_precision, **settings)

    model, history = trained(precision)
    assert set(seen) == {(precision, torch.float32)}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    expected = trained(None)[1]
    # The KL's first value has every digit of single precision; the NLL has eight bits or more.
    assert history["kl"][0] == expected["kl"][0]
    assert history["nll"] == pytest.approx(expected["nll"], rel=2**-6)


@pytest.mark.parametrize(
    ("data", "keywords", "error", "words"),
    [
        (TensorDataset(torch.zeros(0, 1), torch.zeros(0, 1)), {}, ValueError, "data is empty"),
        (TensorDataset(torch.zeros(3, 1)), {}, TypeError, "data gives inputs alone"),
        ([1, 2, 3], {}, TypeError, r"data=\[1, 2, 3\]: expected a Dataset"),
        (line(), {"num_data": 0}, ValueError, "num_data=0"),
        (line(), {"validation": line().tensors}, TypeError, "validation="),
        (line(), {"epochs": 0}, ValueError, "epochs=0"),
        (line(), {"batch_size": 0}, ValueError, "batch_size=0"),
        (line(), {"num_draws": 0}, ValueError, "num_draws=0"),
        (line(), {"num_samples": 0}, ValueError, "num_samples=0"),
        (line(), {"validate_every": 0}, ValueError, "validate_every=0"),
        (line(), {"checkpoint_every": 0}, ValueError, "checkpoint_every=0"),
        (line(), {"kl_weight": -1.0}, ValueError, r"kl_weight=-1\.0"),
        (line(), {"mixed_precision": torch.int8}, ValueError, r"mixed_precision=torch\.int8"),
        (
            line(),
            {"mixed_precision": torch.bfloat16, "expected_nll": linear_gaussian_nll},
            ValueError,
            "mixed_precision=torch.bfloat16 with expected_nll",
        ),
        (line(), {"scheduler": object()}, ValueError, "scheduler without an optimizer"),
        (line(), {"resume": True}, ValueError, "resume=True without a checkpoint"),
    ],
)
def test_wrong_arguments_are_errors(data, keywords, error, words):
    settings = {"epochs": 1, "progress": False} | keywords
    with pytest.raises(error, match=words):
        bt.fit(nn.Linear(1, 1), data, bt.GaussianLikelihood(), **settings)


class Bump(nn.Module):
    def forward(self, x):
        return x.square().exp()


def step_by_step(likelihood, num_outputs):
    """A network whose output overflows where its weights are large, and its training, by steps."""
    with bt.seeded(0):
        model = nn.Sequential(nn.Linear(1, num_outputs), Bump())
    x = torch.linspace(-1, 1, 40)[:, None]
    data = TensorDataset(x, x if num_outputs == 1 else torch.arange(40) % num_outputs)
    optimizer = torch.optim.SGD([*model.parameters(), *likelihood.parameters()], lr=1e-3)
    settings = {"optimizer": optimizer, "validation": data, "progress": False}
    return model, lambda steps: bt.fit(model, data, likelihood, epochs=steps, **settings)


@pytest.mark.parametrize("kind", [bt.GaussianLikelihood, bt.CategoricalLikelihood])
@pytest.mark.parametrize(
    ("factor", "words"),
    [(torch.nan, "the parameters are"), (1e6, "the outputs on the validation data are")],
)
def test_a_step_that_spoils_the_network_is_named_and_taken_back(kind, factor, words):
    class Spoiling(kind):
        calls = 0

        def forward(self, output, target):
            nll = super().forward(output, target)
            self.calls += 1
            if self.calls == 5:  # the loss is as it should be, its gradient is not
                nll.register_hook(lambda gradient: gradient * factor)
            return nll

    num_outputs = 1 if kind is bt.GaussianLikelihood else 3
    spoiling, sound = Spoiling(), kind()
    model, train_spoiled = step_by_step(spoiling, num_outputs)
    expected, train_sound = step_by_step(sound, num_outputs)
    with pytest.raises(bt.NonFiniteLossError, match=rf"{words} not finite at step 5 \(epoch 5\)"):
        train_spoiled(9)
    train_sound(4)
    assert states_equal(model, expected)
    assert states_equal(spoiling, sound)


def test_the_first_step_after_a_resume_is_taken_back_to_what_was_loaded(tmp_path):
    path = tmp_path / "run.pt"
    loaded = train(path, epochs=3)
    likelihood = Likelihood(1, lambda nll: nll * torch.nan)
    caught = {}

    def keep(module, *_):
        caught["model"] = module

    with pytest.raises(bt.NonFiniteLossError, match="step 10"):
        train(path, init=1, resume=True, likelihood=likelihood, hook=keep)
    assert states_equal(caught["model"], loaded[0])
    assert states_equal(likelihood, loaded[1])
