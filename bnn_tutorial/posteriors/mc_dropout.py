"""MC dropout: a network trained with dropout keeps dropping units when it predicts.

Explained in the chapter "Other roads to a posterior".
"""

import contextlib
import functools
import inspect
import warnings
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from bnn_tutorial.layers.bayesian import Bayesian
from bnn_tutorial.prediction.shared_trunk import as_it_was
from bnn_tutorial.randomness import seeded

DROPOUTS = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)
# Their own code reads the rate: there is no module inside whose output could be replaced.
WITH_OWN_DROPOUT = (nn.MultiheadAttention, nn.RNNBase)
FUNCTIONS = (
    F.dropout,
    F.dropout1d,
    F.dropout2d,
    F.dropout3d,
    F.alpha_dropout,
    F.feature_alpha_dropout,
)


@contextlib.contextmanager
def mc_dropout(module: nn.Module, *, shared_mask: bool = False) -> Iterator[None]:
    r"""Keep dropout, and nothing else, random under ``eval()`` inside a ``with`` block.

    With rate p, a unit h, and for the classes whose name has no Alpha,

    .. math:: \tilde h = \frac{z}{1 - p}\, h, \qquad z \sim \mathrm{Bernoulli}(1 - p), \qquad
        \mathbb E[\tilde h] = h, \qquad \mathrm{Var}[\tilde h] = \frac{p}{1 - p}\, h^2

    :func:`predict` on ``module`` then returns draws of the network's output, and batch
    normalization keeps its averages. Each draw is a network in which columns of the weights are
    kept or set to 0 at random. Gal and Ghahramani (2016) read this as a variational posterior:
    training with dropout and weight decay maximizes, up to an approximation, an ELBO over such
    networks. The rate p sets the width of that posterior. It is chosen, not learnt, and more data
    don't narrow the masks: the spread falls with N only where training makes the weights rely less
    on single units.

    Reached are modules of torch.nn's six dropout classes and their subclasses with a rate above 0.
    Out of reach is dropout that is no module of its own: ``F.dropout`` in a ``forward``, which is
    looked for with :mod:`torch.fx`, and the rates of ``nn.MultiheadAttention``, ``nn.LSTM``,
    ``nn.GRU`` and ``nn.RNN``. In ``train()`` dropout is what it always is. Where blocks are nested,
    the innermost decides; after a block ``module`` is as it was.

    Args:
        module: a network that was trained with dropout.
        shared_mask: whether all data of a forward pass share one mask, so that a draw is one
            function of x. :func:`predict` passes data in portions that fit its ``memory_limit``,
            each with masks of its own: for one function over all of ``x``, raise that limit until
            one portion holds it. False draws a mask for each datum: the distribution of each
            output is the same, and those of different data are independent.

    Raises:
        ValueError: ``module`` has no dropout that can be reached, or only with a rate of 0; the
            message names what was found.

    Warns:
        UserWarning: beside what is reached there is dropout that is not, or the Python code of a
            ``forward`` can't be traced, so that functional calls are not found.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> network = torch.nn.Sequential(torch.nn.Linear(2, 50), torch.nn.Dropout(0.5))
        >>> x = torch.ones(3, 2)
        >>> bt.predict(network, x).std.max().item()
        0.0
        >>> with bt.mc_dropout(network):
        ...     prediction = bt.predict(network, x)
        >>> bool((prediction.std > 0).all())
        True
    """
    dropouts = [m for m in module.modules() if isinstance(m, DROPOUTS)]
    reached = [dropout for dropout in dropouts if dropout.p > 0]
    out_of_reach = _out_of_reach(module)
    if not reached:
        if dropouts:
            out_of_reach = ["dropout modules with a rate of 0", *out_of_reach]
        found = "; ".join(out_of_reach) or "no dropout at all"
        raise ValueError(
            f"module has no dropout to keep random: found {found}; expected a torch.nn dropout "
            "module with a rate above 0"
        )
    if out_of_reach:
        # Two frames of contextlib stand between this line and the caller's `with`.
        warnings.warn(f"mc_dropout does not reach {'; '.join(out_of_reach)}", stacklevel=3)
    draw = functools.partial(_draw, shared_mask=shared_mask)
    handles = [dropout.register_forward_hook(draw) for dropout in reached]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _draw(
    dropout: nn.Dropout, inputs: tuple[Tensor], output: Tensor, *, shared_mask: bool
) -> Tensor:
    """Return what ``dropout`` would give in ``train()`` in place of its ``output``."""
    if dropout.training:
        return output
    # An outer block's hook may work on the same tensor.
    x = inputs[0].clone() if dropout.inplace else inputs[0]
    dropout.training = True
    try:
        if shared_mask:
            one_datum = torch.vmap(dropout.forward, randomness="same")
            return one_datum(x.unsqueeze(1)).squeeze(1)
        return dropout.forward(x)
    finally:
        dropout.training = False


class _Tracer(fx.Tracer):
    """Traces down to the modules whose dropout is known without their code, and Bayesian layers."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, (*DROPOUTS, *WITH_OWN_DROPOUT, Bayesian))
        return known or super().is_leaf_module(m, module_qualified_name)


def _out_of_reach(module: nn.Module) -> list[str]:
    """Return what can't be kept random, or can't be looked for, in words."""
    found = [
        f"the dropout={m.dropout} of {_named(name, m)}"
        for name, m in module.named_modules()
        if isinstance(m, WITH_OWN_DROPOUT) and m.dropout > 0
    ]
    # Inside a container the module itself may be a leaf.
    with as_it_was(module), seeded(0):
        try:
            graph = _Tracer().trace(nn.Sequential(module).eval())
        except Exception:  # any Python code may stand in a forward, and fail in its way on a proxy
            return [
                *found,
                "functional dropout, if any: the forward can't be traced to look for it",
            ]
    for node in graph.nodes:
        if node.op == "call_function" and node.target in FUNCTIONS:
            call = inspect.signature(node.target).bind(*node.args, **node.kwargs)
            call.apply_defaults()
            if call.arguments["p"] and not call.arguments["training"]:
                path = next(reversed(node.meta["nn_module_stack"]))
                name = path.removeprefix("0").removeprefix(".")
                place = _named(name, module.get_submodule(name))
                found.append(f"F.{node.target.__name__} in {place}")
    return found


def _named(name: str, module: nn.Module) -> str:
    kind = type(module).__name__
    return f"{name} ({kind})" if name else kind
