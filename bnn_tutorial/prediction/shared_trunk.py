"""Splitting a network where its randomness begins, so that predictions run what is before once.

Used by :func:`bnn_tutorial.predict`. Explained in the chapter "A Bayesian CNN on MNIST".
"""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, fx, nn

from bnn_tutorial.layers.bayesian import BayesianLayer, bayesian_layers


class _LeafTracer(fx.Tracer):
    """Traces down to Bayesian layers and to modules that hold none, which run as they are."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, BayesianLayer) or not bayesian_layers(m)


@contextlib.contextmanager
def as_it_was(model: nn.Module) -> Iterator[None]:
    """Take back what a trace does to the attributes of ``model``: proxies, constants, modes."""
    attributes = {module: dict(vars(module)) for module in model.modules()}
    try:
        yield
    finally:
        for module, before in attributes.items():
            vars(module).clear()
            vars(module).update(before)


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _module(node: object, model: nn.Module) -> nn.Module | None:
    """Return the module that ``node`` calls, or None where it is another kind of operation."""
    if isinstance(node, fx.Node) and node.op == "call_module":
        return model.get_submodule(str(node.target))
    return None


def _is_draw(node: fx.Node, model: nn.Module) -> bool:
    return isinstance(_module(node, model), BayesianLayer)


def _is_relu_of_fresh_tensor(node: fx.Node, model: nn.Module) -> bool:
    """Return whether ``node`` is the only user of a Bayesian layer's output, and a bare ReLU.

    A hook of either may have kept the tensor between them.
    """
    relu = _module(node, model)
    if type(relu) is not nn.ReLU or _has_hooks(relu):
        return False
    source = node.args[0]
    layer = _module(source, model)
    return (
        isinstance(source, fx.Node)
        and isinstance(layer, BayesianLayer)
        and len(source.users) == 1
        and not _has_hooks(layer)
    )


def split_at_first_draw(
    model: nn.Module,
) -> tuple[Callable[[Tensor], tuple], Callable[..., Tensor]]:
    """Return two functions, ``before(x)`` and ``after(*before(x))``, that are the model together.

    ``before`` holds every operation up to the first Bayesian layer, ``after`` the rest, in the
    model's own order: one operation may write into what another reads. Where the model's Python
    code cannot be traced by :mod:`torch.fx`, has hooks between its layers or draws random numbers
    while it is traced, ``before`` hands ``x`` through and ``after`` is the model itself.

    Args:
        model: any module with one input.
    """
    untouched = (lambda x: (x,)), model
    containers = [m for m in model.modules() if m is model or bayesian_layers(m)]
    if isinstance(model, BayesianLayer) or any(
        _has_hooks(m) for m in containers if not isinstance(m, BayesianLayer)
    ):
        return untouched
    random_state = torch.random.get_rng_state()
    with as_it_was(model):
        try:
            graph = _LeafTracer().trace(model)
        except Exception:  # any Python code may stand in a forward, and fail in its way on a proxy
            return untouched
        if len(graph.find_nodes(op="placeholder")) != 1 or not torch.equal(
            random_state, torch.random.get_rng_state()
        ):
            return untouched
        return _cut(model, graph)


def _cut(
    model: nn.Module, graph: fx.Graph
) -> tuple[Callable[[Tensor], tuple], Callable[..., Tensor]]:
    """Return the two parts of a traced ``model`` as modules over its own submodules."""
    *nodes, output = graph.nodes
    first = next((i for i, node in enumerate(nodes) if _is_draw(node, model)), len(nodes))
    before, copies = fx.Graph(), {}
    for node in nodes[:first]:
        copies[node] = before.node_copy(node, copies.__getitem__)
    later = {*nodes[first:], output}
    border = [node for node in copies if not later.isdisjoint(node.users)]
    before.output(tuple(copies[node] for node in border))
    after = fx.Graph()
    copies = {node: after.placeholder(node.name) for node in border}
    for node in nodes[first:]:
        if _is_relu_of_fresh_tensor(node, model):
            # In place: a small network's draw is as fast as its memory.
            copies[node] = after.call_function(torch.relu_, (copies[node.args[0]],))
        else:
            copies[node] = after.node_copy(node, copies.__getitem__)
    after.output(fx.map_arg(output.args[0], copies.__getitem__))
    return fx.GraphModule(model, before), fx.GraphModule(model, after)
