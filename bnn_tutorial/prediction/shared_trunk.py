"""Splitting a network where its randomness begins, so that predictions run what is before once.

Used by :func:`bnn_tutorial.predict`. Explained in the chapter "A Bayesian CNN on MNIST".
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn

from bnn_tutorial.batches import Inputs, call
from bnn_tutorial.layers.bayesian import Bayesian, BayesianLayer
from bnn_tutorial.randomness import generator_states, same_states, set_generator_states


def _is_leaf(module: nn.Module) -> bool:
    """Return whether ``module`` runs as it is: a Bayesian layer, or torch.nn's own throughout.

    What torch.nn's own code does is known: its randomness is that of torch's generators. Any other
    code is traced, so that what it draws elsewhere is seen.
    """
    if isinstance(module, Bayesian):
        return True
    return all(type(part).__module__.startswith("torch.nn.") for part in module.modules())


class _LeafTracer(fx.Tracer):
    """Traces down to what runs as it is."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return _is_leaf(m)


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
    return isinstance(_module(node, model), Bayesian)


def _is_relu_of_fresh_tensor(node: fx.Node, model: nn.Module) -> bool:
    """Return whether ``node`` is the only user of a Bayesian layer's output, and a bare ReLU.

    A hook of either may have kept the tensor between them.
    """
    relu = _module(node, model)
    if type(relu) is not nn.ReLU or _has_hooks(relu) or len(node.args) != 1:
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
) -> tuple[Callable[[Inputs], Any], Callable[..., Tensor]]:
    """Return two functions, ``before(x)`` and ``after(*before(x))``, that are the model together.

    ``before`` holds every operation up to the first Bayesian layer, ``after`` the rest, in the
    model's own order: one operation may write into what another reads. Where the model's Python
    code cannot be traced by :mod:`torch.fx`, has hooks between its layers or draws random numbers
    while it is traced, ``before`` hands ``x`` through and ``after`` is the model itself.

    Args:
        model: any module with one input.
    """
    untouched = (lambda x: (x,)), functools.partial(call, model)
    if isinstance(model, Bayesian) or any(
        _has_hooks(m) for m in model.modules() if m is model or not _is_leaf(m)
    ):
        return untouched
    states = generator_states("cpu")
    with as_it_was(model):
        try:
            graph, written = _trace(model)
            same_again = written == _trace(model)[1]
        except Exception:  # any Python code may stand in a forward, and fail in its way on a proxy
            return untouched
        finally:
            drawn = not same_states(states, generator_states("cpu"))
            set_generator_states(states, "cpu")
        if drawn or not same_again or len(graph.find_nodes(op="placeholder")) != 1:
            return untouched
        return _cut(model, graph)


def _trace(model: nn.Module) -> tuple[fx.Graph, list[object]]:
    """Return the graph of ``model`` and all that is written in it, numbers and tensors.

    What the code draws from a generator of its own is a constant there, and another the next time.
    """
    tracer = _LeafTracer()
    graph = tracer.trace(model)
    constants = [getattr(model, str(n.target), None) for n in graph.find_nodes(op="get_attr")]
    tensors = [value.tolist() for value in constants if isinstance(value, Tensor)]
    return graph, [str(graph), tensors]


def _cut(
    model: nn.Module, graph: fx.Graph
) -> tuple[Callable[[Inputs], Any], Callable[..., Tensor]]:
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
    return functools.partial(call, fx.GraphModule(model, before)), fx.GraphModule(model, after)
