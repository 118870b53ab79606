"""Finding the minimum of a smooth function to the last digits of double precision."""

import torch


def minimize(loss, parameters):
    """Move `parameters`, tensors in double precision, to a minimum of `loss()` near by."""
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=500,
        tolerance_grad=1e-11,
        tolerance_change=1e-15,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
