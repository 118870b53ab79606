"""Variational online Newton: an optimizer whose state is a Gaussian posterior.

Explained in the chapter "Other roads to a posterior".
"""

import contextlib
import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from bnn_tutorial.argument_checks import require_counts, require_not_negative, require_positive
from bnn_tutorial.posteriors.weight_samples import network_with_weights
from bnn_tutorial.prediction.posterior import Posterior


class IVON(torch.optim.Optimizer):
    r"""Train any network to a Gaussian posterior, with one gradient a step.

    The improved variational online Newton method minimizes, over
    :math:`q = \mathcal N(m, \operatorname{diag} \sigma^2)` and with the prior
    :math:`\mathcal N(0, \tau^2 I)`, the negative ELBO per datum,

    .. math:: \mathbb E_q[\mathrm{NLL}(w)] + T\, \frac{\mathrm{KL}(q \,\|\, p)}{N}, \qquad
        \sigma^2 = \frac{T}{N (h + \delta)}, \qquad \delta = \frac{T}{N \tau^2}

    where h estimates the expected diagonal of the NLL's Hessian. A step draws
    :math:`w = m + \sigma \epsilon` and takes the gradient :math:`\hat g` of a batch's mean NLL
    there. With :math:`\hat h = \hat g\, \epsilon / \sigma`, whose mean is that diagonal
    (the reparameterization trick), step t is

    .. math:: g &\leftarrow \beta_1 g + (1 - \beta_1)\, \hat g \\
        h &\leftarrow h + (1 - \beta_2) (\hat h - h)
        + \tfrac12 (1 - \beta_2)^2 \frac{(\hat h - h)^2}{h + \delta} \\
        m &\leftarrow m - \alpha\, \frac{g / (1 - \beta_1^t) + \delta m}{h + \delta}

    The last term of h keeps :math:`h + \delta` at half of what it was or more, whatever the draw.
    It also leaves h too large, by about
    :math:`\frac{1 - \beta_2}{2} \frac{\operatorname{Var}[\hat h]}{h + \delta}`, so that the
    widths are exact only in the limit of :math:`\beta_2 \to 1`.

    :func:`fit` takes it as its ``optimizer``; in a loop of your own, forward and backward run
    inside :meth:`sampled_parameters`. Outside, the parameters hold the mean m, on which
    ``validation`` is scored too; :meth:`posterior` gives the distribution. The history's NLL is
    that of the drawn networks, and its KL is 0, since this KL is not computed. Leave out a learnt
    noise level of a likelihood, or it gets a posterior of its own with the same prior.

    Source: Shen et al. (2024), algorithm 1, here with :math:`\lambda = N / T` and without the
    optional rescaling of the learning rate; Lin et al. (2020) for the term that keeps h positive.

    Args:
        params: the parameters, or groups of them, as for any optimizer of torch.optim.
        lr: :math:`\alpha`, the share of a Newton step; 1 goes to the minimum of a quadratic.
        num_data: N, the size of the training set, never of the batch.
        prior_std: :math:`\tau`, of every parameter.
        init_hessian: h at the start, in nats per datum. It sets the first :math:`\sigma`: with
            too small a value the first draws are noise.
        betas: :math:`(\beta_1, \beta_2)`; h averages about :math:`1 / (1 - \beta_2)` steps. Train
            several times as long. The source's :math:`\beta_2` for large networks is 0.99999.
        temperature: T, the weight of the KL, ``kl_weight`` elsewhere; 1 is the ELBO.

    Raises:
        ValueError: a number is out of its range.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> data = torch.utils.data.TensorDataset(*bt.polynomial_data(100))
        >>> network, likelihood = bt.regression_network(20), bt.GaussianLikelihood(0.6, learn=False)
        >>> optimizer = bt.IVON(network.parameters(), num_data=100)
        >>> _ = bt.fit(network, data, likelihood, epochs=3, optimizer=optimizer, progress=False)
        >>> bt.predict(optimizer.posterior(network), torch.zeros(7, 1), 30).samples.shape
        torch.Size([30, 7, 1])
    """

    def __init__(
        self,
        params,
        lr: float = 0.1,
        *,
        num_data: int,
        prior_std: float = 1.0,
        init_hessian: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        temperature: float = 1.0,
    ):
        require_not_negative(lr=lr, init_hessian=init_hessian)
        require_counts(num_data=num_data)
        require_positive(prior_std=prior_std, temperature=temperature)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas={betas}: expected two numbers from 0 to below 1")
        defaults = {
            "lr": lr,
            "num_data": num_data,
            "prior_std": prior_std,
            "init_hessian": init_hessian,
            "betas": betas,
            "temperature": temperature,
        }
        super().__init__(params, defaults)

    @contextlib.contextmanager
    def sampled_parameters(self) -> Iterator[None]:
        """Put one draw of the posterior in the parameters' place inside a ``with`` block.

        Forward and backward run inside, :meth:`step` after it.
        """
        means = []
        with torch.no_grad():
            for parameter, group in self._parameters():
                noise = torch.randn_like(parameter)
                self._state(parameter, group)["noise"] = noise
                means.append((parameter, parameter.clone()))
                parameter.addcmul_(noise, self._std(parameter, group))
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, mean in means:
                    parameter.copy_(mean)

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, closure: Callable[[], Tensor] | None = None
    ) -> Tensor | None:
        """Move the mean and the Hessian by the gradient of a drawn network.

        Args:
            closure: clears the gradients, computes them at one draw and returns the loss; None
                where that was done inside :meth:`sampled_parameters`.

        Returns:
            The loss of ``closure``.

        Raises:
            RuntimeError: there are gradients, and no draw that they were computed at.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad(), self.sampled_parameters():
                loss = closure()
        with torch.no_grad():
            for parameter, group in self._parameters():
                noise = self._state(parameter, group).pop("noise", None)
                if parameter.grad is None:
                    continue
                if noise is None:
                    raise RuntimeError(
                        "step without a draw: expected forward and backward inside "
                        "`with optimizer.sampled_parameters():`, once for each step"
                    )
                self._update(parameter, group, parameter.grad, noise)
        return loss

    def posterior(self, network: nn.Module) -> "DiagonalGaussian":
        """Return the posterior over networks as it stands, for :func:`predict` and the like.

        Args:
            network: whose parameters are trained here; it is copied. Parameters that this optimizer
                does not hold stay as they are in every draw.

        Raises:
            ValueError: ``network`` has none of this optimizer's parameters.
        """
        groups = dict(self._parameters())
        parameters = list(network.parameters())
        if groups.keys().isdisjoint(parameters):
            raise ValueError("network has none of the optimizer's parameters: expected some")
        stds = [
            self._std(parameter, groups[parameter])
            if parameter in groups
            else torch.zeros_like(parameter)
            for parameter in parameters
        ]
        return DiagonalGaussian(network, parameters_to_vector(stds))

    def _parameters(self) -> Iterator[tuple[nn.Parameter, dict]]:
        return ((p, group) for group in self.param_groups for p in group["params"])

    def _state(self, parameter: nn.Parameter, group: dict) -> dict:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["momentum"] = torch.zeros_like(parameter)
            state["hessian"] = torch.full_like(parameter, group["init_hessian"])
        return state

    def _std(self, parameter: nn.Parameter, group: dict) -> Tensor:
        precision = self._state(parameter, group)["hessian"] + _weight_decay(group)
        return (group["num_data"] / group["temperature"] * precision).rsqrt()

    def _update(self, parameter: nn.Parameter, group: dict, gradient: Tensor, noise: Tensor):
        state, weight_decay = self._state(parameter, group), _weight_decay(group)
        beta1, beta2 = group["betas"]
        momentum, hessian = state["momentum"], state["hessian"]
        state["step"] += 1
        momentum.lerp_(gradient, 1 - beta1)
        change = (1 - beta2) * (gradient * noise / self._std(parameter, group) - hessian)
        hessian += change + change.square() / (2 * (hessian + weight_decay))
        direction = momentum / (1 - beta1 ** state["step"]) + weight_decay * parameter
        parameter -= group["lr"] * direction / (hessian + weight_decay)


def _weight_decay(group: dict) -> float:
    return group["temperature"] / (group["num_data"] * group["prior_std"] ** 2)


class DiagonalGaussian(Posterior):
    """Networks whose weights are drawn from independent Gaussians around those of ``network``.

    Args:
        network: holds the means; it is copied.
        std: the standard deviation of each weight, shape (P,); one that is 0 stays.
    """

    std: Tensor

    def __init__(self, network: nn.Module, std: Tensor):
        super().__init__()
        self.network = copy.deepcopy(network)
        self.register_buffer("std", std.detach())

    def networks(self, num_samples: int) -> Iterator[Callable[[Tensor], Tensor]]:
        """Yield ``num_samples`` networks, each with a draw of all weights."""
        mean = parameters_to_vector(self.network.parameters())
        for _ in range(num_samples):
            weights = mean + self.std * torch.randn_like(self.std)
            yield network_with_weights(self.network, weights)
