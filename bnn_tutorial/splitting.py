"""Splitting a network where its randomness begins, so that predictions run the rest once.

Used by :func:`bnn_tutorial.predict`. Explained in the chapter "A Bayesian CNN on MNIST".
"""

from collections.abc import Callable

import torch
from torch import Tensor, fx, nn

from bnn_tutorial.layers import BayesianLayer, bayesian_layers


class _LeafTracer(fx.Tracer):
    """Traces down to Bayesian layers and to modules that hold none, which run as they are."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, BayesianLayer) or not bayesian_layers(m)


def _is_relu_of_fresh_tensor(node: fx.Node, model: nn.Module) -> bool:
    """Return whether ``node`` is the only user of a Bayesian layer's output, and a bare ReLU."""
    if node.op != "call_module" or type(model.get_submodule(node.target)) is not nn.ReLU:
        return False
    source = node.args[0]
    return (
        source.op == "call_module"
        and isinstance(model.get_submodule(source.target), BayesianLayer)
        and len(source.users) == 1
        and not model.get_submodule(node.target)._forward_hooks
        and not model.get_submodule(node.target)._forward_pre_hooks
    )


def split_at_first_draw(
    model: nn.Module,
) -> tuple[Callable[[Tensor], tuple], Callable[..., Tensor]]:
    """Return two functions, ``before(x)`` and ``after(*before(x))``, that are the model together.

    ``before`` holds every operation that no Bayesian layer's output reaches, ``after`` the rest.
    Where the model's Python code cannot be traced by :mod:`torch.fx`, has hooks between its layers
    or draws random numbers while it is traced, ``before`` hands ``x`` through and ``after`` is the
    model itself.

    Args:
        model: any module with one input.
    """
    untouched = (lambda x: (x,)), model
    if isinstance(model, BayesianLayer):
        return untouched
    containers = [m for m in model.modules() if m is model or bayesian_layers(m)]
    if any(
        m._forward_hooks or m._forward_pre_hooks
        for m in containers
        if not isinstance(m, BayesianLayer)
    ):
        return untouched
    random_state = torch.random.get_rng_state()
    try:
        graph = _LeafTracer().trace(model)
    except Exception:  # any Python code may stand in a forward, and fail in its own way on a proxy
        return untouched
    if len(graph.find_nodes(op="placeholder")) != 1 or not torch.equal(
        random_state, torch.random.get_rng_state()
    ):
        return untouched
    random: set[fx.Node] = set()
    for node in graph.nodes:
        is_layer = node.op == "call_module" and isinstance(
            model.get_submodule(node.target), BayesianLayer
        )
        if node.op != "output" and (is_layer or not random.isdisjoint(node.all_input_nodes)):
            random.add(node)
    before, copies = fx.Graph(), {}
    for node in graph.nodes:
        if node.op != "output" and node not in random:
            copies[node] = before.node_copy(node, copies.__getitem__)
    border = [node for node in copies if any(u in random or u.op == "output" for u in node.users)]
    before.output(tuple(copies[node] for node in border))
    after = fx.Graph()
    copies = {node: after.placeholder(node.name) for node in border}
    for node in graph.nodes:
        if node in random and _is_relu_of_fresh_tensor(node, model):
            # In place: a small network's draw is as fast as its memory.
            copies[node] = after.call_function(torch.relu_, (copies[node.args[0]],))
        elif node in random:
            copies[node] = after.node_copy(node, copies.__getitem__)
        elif node.op == "output":
            after.output(fx.map_arg(node.args[0], copies.__getitem__))
    return fx.GraphModule(model, before), fx.GraphModule(model, after)
