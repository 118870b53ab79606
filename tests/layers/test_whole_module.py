import copy

import pytest
import torch
from helpers.monte_carlo import assert_mean, assert_variance
from torch import nn
from torch.distributions import Laplace, Normal, kl_divergence
from torch.utils.data import TensorDataset

import bnn_tutorial as bt


class Own(nn.Module):
    """A user's module: parameters of its own, one of them shared, and a layer inside it."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(3))
        self.inside = nn.Linear(3, 3)
        self.tied = nn.Linear(3, 3)
        self.tied.weight = self.inside.weight

    def forward(self, x, *, shift=0.0):
        return self.tied(self.inside(self.scale * x)) + shift


def sequence():
    return (torch.randn(4, 2, 3),)


MODULES = {
    "LSTM": (lambda: nn.LSTM(3, 4, 2, bidirectional=True), sequence),
    "GRU": (lambda: nn.GRU(3, 4), sequence),
    "RNN": (lambda: nn.RNN(3, 4), sequence),
    "LSTMCell": (lambda: nn.LSTMCell(3, 4), lambda: (torch.randn(2, 3),)),
    "Embedding": (lambda: nn.Embedding(5, 3, padding_idx=0), lambda: (torch.tensor([1, 4, 0]),)),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(5, 3), lambda: (torch.tensor([[1, 4]]),)),
    "attention": (lambda: nn.MultiheadAttention(4, 2), lambda: (torch.randn(3, 2, 4),) * 3),
    "ConvTranspose2d": (
        lambda: nn.ConvTranspose2d(2, 3, 3, groups=1),
        lambda: (torch.randn(2, 2, 4, 4),),
    ),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), lambda: (torch.randn(5, 3),)),
    "LayerNorm": (lambda: nn.LayerNorm(3), lambda: (torch.randn(5, 3),)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), lambda: (torch.randn(5, 4, 2),)),
    "PReLU": (nn.PReLU, lambda: (torch.randn(5, 3),)),
    "Bilinear": (lambda: nn.Bilinear(2, 3, 4), lambda: (torch.randn(5, 2), torch.randn(5, 3))),
    "a user's own": (Own, lambda: (torch.randn(5, 3),)),
    "a transformer layer": (
        lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True),
        lambda: (torch.randn(2, 3, 4),),
    ),
}
every_module = pytest.mark.parametrize("name", MODULES)


def make(name, **settings):
    build, inputs = MODULES[name]
    with bt.seeded(0):
        module = build()
        return module, bt.BayesianModule(module, **settings), inputs()


def first(output):
    return output[0] if isinstance(output, tuple) else output


@every_module
@pytest.mark.parametrize("training", [True, False])
def test_at_zero_width_it_is_the_module(name, training):
    module, twin, inputs = make(name)
    for parameter in twin.rhos.values():
        nn.init.constant_(parameter, -200.0)
    module.train(training)
    twin.train(training)
    torch.testing.assert_close(twin(*inputs), module(*inputs))
    with bt.posterior_mean(twin):
        torch.testing.assert_close(first(twin(*inputs)), first(module(*inputs)))
    for key, value in module.named_buffers():
        torch.testing.assert_close(twin.module.get_buffer(key), value)  # averages move along


@every_module
def test_each_pass_draws_and_a_network_draw_is_shared(name):
    _, twin, inputs = make(name, init_std=0.3)
    twin.eval()
    assert not first(twin(*inputs)).equal(first(twin(*inputs)))
    with bt.NetworkPosterior(twin).draw() as kl:
        torch.testing.assert_close(first(twin(*inputs)), first(twin(*inputs)), rtol=0, atol=0)
    torch.testing.assert_close(kl, bt.kl_divergence(twin))


@every_module
@pytest.mark.parametrize("prior", [Normal(0.1, 0.7), Laplace(0.0, 2.0)], ids=["Normal", "Laplace"])
def test_the_kl_is_that_of_torch_distributions(name, prior):
    module, twin, _ = make(name, prior=prior, init_std=0.2)
    means = torch.cat([parameter.detach().flatten() for parameter in module.parameters()]).double()
    posterior = Normal(means, torch.tensor(0.2, dtype=torch.float64))
    if isinstance(prior, Normal):
        expected = kl_divergence(posterior, Normal(prior.loc.double(), prior.scale.double())).sum()
    else:
        expected = laplace_kl(means, 0.2, prior)
    assert twin.kl_divergence(2000).item() == pytest.approx(expected.item(), rel=2e-2)
    if isinstance(prior, Normal):
        assert twin.kl_divergence().item() == pytest.approx(expected.item(), rel=1e-5)


def laplace_kl(means, std, prior):
    """The KL is log(2b) - entropy + E|w| / b, with the mean of the folded normal."""
    standard = Normal(torch.tensor(0.0, dtype=torch.float64), 1.0)
    z = means / std
    folded = 2 * std * standard.log_prob(z).exp() + means * (2 * standard.cdf(z) - 1)
    entropy = Normal(0.0, std).entropy()
    return ((2 * prior.scale).log() - entropy + folded / prior.scale).sum()


def test_draws_have_the_moments_of_the_posterior():
    embedding = bt.BayesianModule(nn.Embedding(3, 2), init_std=0.3)
    row = torch.tensor([1])
    draws = torch.stack([embedding(row)[0] for _ in range(4000)]).detach()
    assert_mean(draws, embedding.means["weight"][1].detach())
    assert_variance(draws, torch.full((2,), 0.09))


@every_module
def test_it_is_saved_copied_and_moved(name, tmp_path):
    _, twin, inputs = make(name)
    twin(*inputs)
    torch.save(twin.state_dict(), tmp_path / "twin.pt")
    _, other, _ = make(name, init_std=0.5)
    other.load_state_dict(torch.load(tmp_path / "twin.pt", weights_only=True))
    with bt.posterior_mean(twin), bt.posterior_mean(other):
        torch.testing.assert_close(first(other.eval()(*inputs)), first(twin.eval()(*inputs)))
    assert {p.shape for p in copy.deepcopy(twin).parameters()} == {
        p.shape for p in twin.parameters()
    }
    double = copy.deepcopy(twin).double()
    wide = [x.double() if x.is_floating_point() else x for x in inputs]
    assert first(double(*wide)).dtype == torch.float64
    assert "BayesianModule(" in repr(twin)


def test_attributes_are_the_modules_and_a_parameter_is_a_draw_of_it():
    lstm = bt.BayesianModule(nn.LSTM(3, 4, batch_first=True))
    assert (lstm.hidden_size, lstm.batch_first) == (4, True)
    assert not lstm.weight_ih_l0.equal(lstm.weight_ih_l0)
    with bt.posterior_mean(lstm):
        assert lstm.weight_ih_l0 is lstm.means["weight_ih_l0"]
    with bt.NetworkPosterior(lstm).draw():
        assert lstm.weight_ih_l0 is lstm.weight_ih_l0
    with pytest.raises(AttributeError, match="absent"):
        _ = lstm.absent
    assert (
        Own()(torch.ones(3), shift=1.0).shape
        == bt.BayesianModule(Own())(torch.ones(3), shift=1.0).shape
    )


def test_tied_parameters_are_one():
    twin = bt.BayesianModule(Own())
    assert len(twin.gaussians()) == 4  # scale, the weight of both, two biases
    with bt.NetworkPosterior(twin).draw():
        x = torch.eye(3)
        scale, weight, bias, tied_bias = twin.drawn
        expected = (scale * x @ weight.T + bias) @ weight.T + tied_bias
        torch.testing.assert_close(twin(x), expected)


@pytest.mark.parametrize(
    ("make_it", "error", "words"),
    [
        (lambda: bt.BayesianModule(nn.Tanh()), ValueError, "module=Tanh has no parameters"),
        (lambda: bt.BayesianModule(bt.BayesianLinear(1, 1)), ValueError, "has Bayesian layers"),
        (lambda: bt.BayesianModule(nn.LazyLinear(2)), ValueError, "'weight' has no shape yet"),
        (lambda: bt.BayesianModule(nn.PReLU(), init_std=-1.0), ValueError, r"init_std=-1\.0"),
        (lambda: bt.BayesianModule(nn.PReLU(), prior=1.0), TypeError, "prior"),
    ],
)
def test_what_cannot_be_bayesian_is_named(make_it, error, words):
    with pytest.raises(error, match=words):
        make_it()


class Memory(nn.Module):
    """The sum of a sequence, read by an LSTM."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 12, batch_first=True)
        self.head = nn.Linear(12, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class Votes(nn.Module):
    """Which of two words is the more frequent, read by a transformer."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(2, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.encoder(self.embedding(x)).mean(dim=1))


def test_a_small_lstm_learns_and_predicts_with_a_width(tmp_path):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(200, 5, 1, generator=generator) - 0.5
    data = TensorDataset(x, x.sum(dim=1))
    with bt.seeded(0):
        model = bt.to_bayesian(Memory(), whole=True, init_std=0.01, prior=Normal(0.0, 1.0))
    assert bt.deterministic_parameters(model) == {}
    likelihood = bt.GaussianLikelihood(0.1, learn=False)
    history = bt.fit(
        model,
        data,
        likelihood,
        epochs=150,
        batch_size=50,
        learning_rate=0.02,
        seed=1,
        progress=False,
    )
    scores = bt.evaluate(model, data, likelihood, seed=2)
    assert scores["rmse"] < 0.2 < data.tensors[1].std()
    assert history["loss"][-1] < history["loss"][0]
    prediction = bt.predict(model, x, 20, seed=3)
    assert (prediction.std > 0).all()
    torch.save(model.state_dict(), tmp_path / "lstm.pt")
    again = bt.to_bayesian(Memory(), whole=True)
    again.load_state_dict(torch.load(tmp_path / "lstm.pt", weights_only=True))
    assert bt.predict(again, x, 20, seed=3).samples.equal(prediction.samples)


def test_a_small_transformer_learns():
    words = torch.randint(2, (300, 7), generator=torch.Generator().manual_seed(0))
    data = TensorDataset(words, (words.sum(dim=1) > 3).long())
    with bt.seeded(0):
        model = bt.to_bayesian(Votes(), whole=True, init_std=0.01)
    assert bt.deterministic_parameters(model) == {}
    bt.fit(
        model,
        data,
        bt.CategoricalLikelihood(),
        epochs=30,
        batch_size=50,
        learning_rate=0.01,
        kl_weight=0.1,
        seed=1,
        progress=False,
    )
    scores = bt.evaluate(model, data, bt.CategoricalLikelihood(), seed=2)
    assert scores["accuracy"] > 0.9
    assert bt.predict(model, words, 5).samples.std(dim=0).max() > 0
