"""Deep ensembles: networks from different starts, trained on the same data.

Explained in the chapter "Other roads to a posterior".
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call

from bnn_tutorial.argument_checks import require_counts
from bnn_tutorial.batches import Inputs, arguments, call, tensors_of
from bnn_tutorial.layers.bayesian import bayesian_layers
from bnn_tutorial.likelihoods import Likelihood
from bnn_tutorial.prediction.posterior import Posterior, evenly_spaced
from bnn_tutorial.randomness import generator_states, set_generator_states


class DeepEnsemble(Posterior):
    r"""M networks of one kind, each trained from its own random start.

    .. math:: p(y \mid x, D) \approx \frac1M \sum_{m=1}^M p(y \mid x, w_m)

    :func:`fit` trains all members on the same batches, each exactly as it would be trained alone:
    its gradient is that of its own loss, and an optimizer's ``weight_decay`` of
    :math:`1 / (N \tau^2)` is the prior :math:`\mathcal N(0, \tau^2)` of one network, which makes
    each member a maximum of the posterior. :func:`predict` takes each member once. The average is
    over the maxima that training finds, in equal parts, whatever the mass of the posterior around
    each; no member has a width of its own.

    What is common to all members differs from M single trainings: a ``clip_norm`` bounds the norm
    of all members' gradients together, a likelihood's parameters are shared and sum the gradients,
    and members that draw (dropout, Bayesian layers) draw from one generator. The history holds the
    mean NLL over the members, and with Bayesian layers the sum of their KL.

    Members whose architecture allows it are computed at once, by :func:`torch.func.vmap` over their
    stacked parameters; one after the other, with the same results, where they have buffers (such
    as batch normalization's averages) or Bayesian layers, differ in more than their parameters, or
    hold an operation that vmap does not know.

    Source: Lakshminarayanan et al. (2017), without adversarial training.

    Args:
        make_network: returns a new network with a random start, called M times without arguments.
        num_members: M, 1 or more; at most so many samples a prediction has. Ask :func:`evaluate`
            and the validation of :func:`fit` for as many, since fewer leave members out.

    Raises:
        TypeError: ``make_network`` returns something that is no module.
        ValueError: ``num_members`` is below 1, or ``make_network`` returns the same module twice,
            or networks that start with equal parameters.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> data = torch.utils.data.TensorDataset(*bt.polynomial_data(100))
        >>> ensemble = bt.DeepEnsemble(lambda: bt.regression_network(20), num_members=5)
        >>> likelihood = bt.GaussianLikelihood(noise_std=0.6, learn=False)
        >>> history = bt.fit(ensemble, data, likelihood, epochs=3, progress=False)
        >>> bt.predict(ensemble, torch.zeros(7, 1)).samples.shape
        torch.Size([5, 7, 1])
    """

    def __init__(self, make_network: Callable[[], nn.Module], num_members: int):
        super().__init__()
        require_counts(num_members=num_members)
        members = [make_network() for _ in range(num_members)]
        for index, member in enumerate(members):
            _require_own_start(index, member, members[:index])
        self.members = nn.ModuleList(members)
        self.num_networks = num_members
        self._at_once = all(_stackable(members[0], m) for m in members)
        self._tried = False

    def networks(self, num_samples: int) -> Iterator[Callable[[Tensor], Tensor]]:
        """Yield ``num_samples`` members, evenly taken where they are fewer than M."""
        for index in evenly_spaced(num_samples, len(self.members)):
            yield self.members[index]

    def expected_nll(self, x: Inputs, y: Tensor, likelihood: Likelihood) -> Tensor:
        """Return the mean NLL over the members, with the gradient that each would have alone.

        Args:
            x: a batch of inputs.
            y: its targets.
            likelihood: maps (output, target) to the mean NLL per datum, in nats.
        """
        nlls = torch.stack([likelihood(output, y) for output in self._outputs(x)])
        # The mean's own gradient would be 1/M of it: weight decay would count M times as much.
        return nlls.detach().mean() + (nlls - nlls.detach()).sum()

    def _outputs(self, x: Inputs) -> Iterator[Tensor]:
        """Return the members' outputs at ``x``, computed at once where that works."""
        if self._at_once and not self._tried:
            device = tensors_of(x)[0].device
            states = generator_states(device)
            try:
                self._outputs_at_once(x)
            except RuntimeError:  # an operation that vmap does not know
                self._at_once = False
            set_generator_states(states, device)
            self._tried = True
        if self._at_once:
            return iter(self._outputs_at_once(x))
        return (call(member, x) for member in self.members)

    def _outputs_at_once(self, x: Inputs) -> Tensor:
        parameters = [dict(member.named_parameters()) for member in self.members]
        stacked = {name: torch.stack([p[name] for p in parameters]) for name in parameters[0]}
        one_member = self.members[0]

        def output(member_parameters: dict[str, Tensor]) -> Tensor:
            return functional_call(one_member, member_parameters, *arguments(one_member, x))

        return torch.vmap(output, randomness="different")(stacked)


def _require_own_start(index: int, member: nn.Module, others: list[nn.Module]) -> None:
    if not isinstance(member, nn.Module):
        raise TypeError(f"make_network returned {member!r}: expected a torch.nn.Module")
    for other_index, other in enumerate(others):
        if {*member.modules()} & {*other.modules()}:
            raise ValueError(
                f"make_network returned the same module for members {other_index} and {index}, or "
                "a part of it: expected a new network at each call"
            )
        pairs = list(zip(member.parameters(), other.parameters(), strict=False))
        if all(torch.equal(one, two) for one, two in pairs):
            raise ValueError(
                f"make_network returned equal networks for members {other_index} and {index}: "
                "expected another random start at each call, so no seed of its own and no "
                "parameters that all start at the same values"
            )


def _stackable(first: nn.Module, other: nn.Module) -> bool:
    """Return whether ``other`` is ``first`` with other parameters, as far as can be told."""
    if next(other.buffers(), None) is not None or bayesian_layers(other):
        return False
    modules, others = dict(first.named_modules()), dict(other.named_modules())
    return modules.keys() == others.keys() and all(
        _same_kind(module, others[name]) for name, module in modules.items()
    )


def _same_kind(one: nn.Module, two: nn.Module) -> bool:
    settings, other_settings = (
        # Names with an underscore are torch.nn's own: parameters, submodules, hooks.
        {name: value for name, value in vars(module).items() if not name.startswith("_")}
        for module in (one, two)
    )
    try:
        return type(one) is type(two) and settings == other_settings
    except (RuntimeError, ValueError):  # a tensor or an array, which has no truth value
        return False
