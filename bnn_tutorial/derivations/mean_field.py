"""The numbered equations of the chapter "mean_field" and their checks.

Symbols: a network with H hidden units, V its hidden layer's weights, all of its weights drawn from
N(0, sigma_p^2); noise of standard deviation s; phi(x) the hidden units and a 1 for the bias.
"""

import sympy
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from bnn_tutorial.derivations.distributions import (
    GRID,
    SIGMA_PRIOR,
    gaussian,
    integral,
    kl_integral,
    mean_under,
    normal,
    posterior_precision,
    standard_draws,
)
from bnn_tutorial.derivations.identity import (
    Draws,
    Expressions,
    Identity,
    Numbers,
    exact,
    monte_carlo,
    quadrature,
    symbolic,
)
from bnn_tutorial.layers.conversion import to_bayesian
from bnn_tutorial.models import regression_network
from bnn_tutorial.prediction.predict import predict


def _mirror_image() -> Numbers:
    """KL of a Gaussian mixed with its mirror image, and its two parts, for a symmetric prior."""
    log_prior = normal(0.0, 1.5).log_prob(GRID)
    log_q, log_mirrored = (normal(mean, 0.6).log_prob(GRID) for mean in (0.5, -0.5))
    log_mixture = torch.logaddexp(log_q, log_mirrored) - torch.tensor(2.0).double().log()
    right = kl_integral(log_q, log_prior) - kl_integral(log_q, log_mixture)
    return kl_integral(log_mixture, log_prior), right


EQ_FIELD_SYMMETRY = Identity(
    label="eq-field-symmetry",
    chapter="mean_field",
    name="What the copies of a posterior are worth",
    formula=r"""\begin{aligned}
&\mathrm{KL}(\bar q \,\|\, p) = \mathrm{KL}(q \,\|\, p) - \mathrm{KL}(q \,\|\, \bar q), \\
&0 \le \mathrm{KL}(q \,\|\, \bar q) \le \log H!
\end{aligned}""",
    checks=(
        quadrature("the first line, on a grid", _mirror_image, scope="two mirrored Gaussians"),
    ),
)


def _half_of_second_moment() -> Expressions:
    """E[relu(a)^2] for a Gaussian a of mean 0, by integration, and half of its variance."""
    a = sympy.Symbol("a", real=True)
    density = gaussian(a, 0, SIGMA_PRIOR)
    return sympy.integrate(a**2 * density, (a, 0, sympy.oo)), SIGMA_PRIOR**2 / 2


def _prior_draws() -> Draws:
    """Squares of outputs of networks drawn from the prior, at x = 1.5, and the formula."""
    hidden, std, x = 30, 0.7, 1.5
    model = to_bayesian(
        regression_network(hidden), prior=Normal(0.0, std), estimator="weight", init_std=std
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("_mean"):
                parameter.zero_()
    samples = predict(model, torch.tensor([[x]]), 10_000, seed=0).samples
    return samples.flatten().square(), hidden * std**4 * (1 + x**2) / 2 + std**2


EQ_FIELD_PRIOR = Identity(
    label="eq-field-prior",
    chapter="mean_field",
    name="The size of the prior's functions",
    formula=r"""\operatorname{Var}_p\left[ f_w(x) \right] = \frac{H}{2}\, \sigma_p^4\, (1 + x^2)
+ \sigma_p^2""",
    checks=(
        symbolic(
            "a ReLU keeps half of the second moment",
            _half_of_second_moment,
            scope="the step for one unit, any Gaussian of mean 0",
        ),
        monte_carlo(
            "squared outputs of networks drawn from the prior",
            _prior_draws,
            scope="one width, one input",
        ),
    ),
)


def _hidden_weight() -> Numbers:
    """log p(y) of a network with one hidden weight v, and its two parts, by integrals over v."""
    x, y = torch.tensor([[0.5, 1.0, -0.8], [0.9, 2.1, -0.2]], dtype=torch.float64)
    features = (GRID[:, None] * x).clamp_min(0)  # a row for each v
    covariance = 1.3**2 * features[:, :, None] * features[:, None, :]
    noise = 0.5**2 * torch.eye(3, dtype=torch.float64)
    log_likelihood = MultivariateNormal(torch.zeros(3).double(), covariance + noise).log_prob(y)
    log_prior = normal(0.0, 1.3).log_prob(GRID)
    log_evidence = integral((log_prior + log_likelihood).exp()).log()
    log_posterior = log_prior + log_likelihood - log_evidence
    right = mean_under(log_prior, log_likelihood) + kl_integral(log_prior, log_posterior)
    return log_evidence, right


EQ_FIELD_BOUND = Identity(
    label="eq-field-bound",
    chapter="mean_field",
    name="The evidence from hidden layers drawn from the prior",
    formula=r"""\begin{aligned}
&\log p(y) = \mathbb E_{p(V)}\left[ \log p(y \mid V) \right] \\
&\quad {} + \mathrm{KL}\left( p(V) \,\|\, p(V \mid y) \right)
\end{aligned}""",
    checks=(
        quadrature("both sides, on a grid", _hidden_weight, scope="one hidden weight, three data"),
    ),
)


def _conditioned_variance(data: Tensor, new: Tensor, noise_std: float, prior_std: float) -> Tensor:
    """The variance at new features (K,) by conditioning the joint Gaussian on data (N, K)."""
    covariance = prior_std**2 * data @ data.T + noise_std**2 * torch.eye(
        len(data), dtype=torch.float64
    )
    cross = prior_std**2 * data @ new
    return prior_std**2 * new @ new - cross @ torch.linalg.solve(covariance, cross)


def _last_layer() -> Numbers:
    """The variance at a new input from the weights' precision, and by conditioning on the data."""
    features = standard_draws(1, 6, 3)
    data, new = features[:5], features[5]
    by_weights = new @ torch.linalg.solve(posterior_precision(data, 0.4, 1.7), new)
    return by_weights, _conditioned_variance(data, new, 0.4, 1.7)


def _last_layer_draws() -> Draws:
    """Squared deviations of the new output in draws from the weights' posterior."""
    generator = torch.Generator().manual_seed(2)
    data, (new, *_) = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64)
    precision = posterior_precision(data, 0.4, 1.7)
    posterior = MultivariateNormal(torch.zeros(3, dtype=torch.float64), precision_matrix=precision)
    standard = torch.randn(50_000, 3, generator=generator, dtype=torch.float64)
    draws = (standard @ posterior.scale_tril.T) @ new
    return draws.square(), _conditioned_variance(data, new, 0.4, 1.7).item()


EQ_FIELD_LAST_LAYER = Identity(
    label="eq-field-last-layer",
    chapter="mean_field",
    name="The exact last layer",
    formula=r"""\begin{aligned}
&\operatorname{Var}[f(x)] \\
&\quad = \phi(x)^\top \left( \frac{\Phi^\top \Phi}{s^2}
+ \frac{I}{\sigma_p^2} \right)^{-1} \phi(x)
\end{aligned}""",
    checks=(
        exact(
            "weights' posterior, and the data's joint Gaussian conditioned",
            _last_layer,
            scope="one set of features, one data set",
        ),
        monte_carlo(
            "draws of the weights", _last_layer_draws, scope="one set of features, one data set"
        ),
    ),
)

IDENTITIES = (
    EQ_FIELD_SYMMETRY,
    EQ_FIELD_PRIOR,
    EQ_FIELD_BOUND,
    EQ_FIELD_LAST_LAYER,
)
