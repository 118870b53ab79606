"""Checks of tensors that several rooms make, each with an error that names the argument."""

import torch
from torch import Tensor


def require_finite(**tensors: Tensor) -> None:
    """Check that all numbers are finite.

    Raises:
        ValueError: one is not; the message names it as the caller wrote it, and its place.
    """
    for name, tensor in tensors.items():
        finite = torch.isfinite(tensor)
        if not finite.all():
            place = tuple((~finite).nonzero()[0].tolist())
            value = tensor[place].item()
            raise ValueError(f"{name}: expected finite numbers, not {value} at {list(place)}")


def require_probabilities(**tensors: Tensor) -> None:
    """Check that each row, along the last dimension, is a distribution over classes.

    Raises:
        ValueError: one is not.
    """
    for name, tensor in tensors.items():
        if tensor.ndim == 0 or tensor.shape[-1] == 0:
            raise ValueError(
                f"{name} have shape {tuple(tensor.shape)}: expected at least one class"
            )
        # NaN fails both comparisons, too.
        sums = tensor.sum(dim=-1)
        if not ((tensor >= 0).all() and ((sums - 1).abs() <= 1e-3).all()):
            raise ValueError(
                f"{name}: expected rows of 0 or more that sum to 1; logits need a softmax first"
            )


def require_broadcast(like: Tensor, **tensors: Tensor | float) -> None:
    """Check that numbers are one, or as many as ``like`` has, or broadcast to its shape.

    Raises:
        ValueError: they would enlarge it; so do (N,) beside (N, 1), which make (N, N).
    """
    for name, tensor in tensors.items():
        shape = torch.as_tensor(tensor).shape
        try:
            fits = torch.broadcast_shapes(shape, like.shape) == like.shape
        except RuntimeError:
            fits = False
        if not fits:
            raise ValueError(
                f"{name} has shape {tuple(shape)} beside {tuple(like.shape)}: expected one number, "
                "or a shape that broadcasts to that"
            )


def require_labels(name: str, labels: Tensor, num_classes: int, shape: tuple[int, ...]) -> None:
    """Check that there are labels of this shape, integers from 0 to ``num_classes`` - 1.

    Raises:
        ValueError: they are of another shape or kind, or outside the classes.
    """
    if labels.shape != shape:
        raise ValueError(f"{name} has shape {tuple(labels.shape)}: expected labels {shape}")
    if labels.dtype.is_floating_point or labels.dtype.is_complex or labels.dtype == torch.bool:
        raise ValueError(f"{name} is {labels.dtype}: expected labels as integers")
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if len(outside):
        raise ValueError(
            f"{name} has the label {outside[0].item()}: expected 0 to {num_classes - 1}, one of "
            f"{num_classes} classes"
        )
