"""The book's figures in one style: bands, training histories and grids of images.

Used by every chapter. The colours are those of Okabe and Ito (2008), which colour-blind readers
can tell apart.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib_inline.backend_inline import set_matplotlib_formats
from torch import Tensor

from bnn_tutorial.training.history import History

BLACK = "#222222"
BLUE = "#0072B2"
SKY = "#56B4E9"
GREEN = "#009E73"
ORANGE = "#E69F00"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#8A8A8A"

STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=[BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.autolayout": False,
    "figure.constrained_layout.use": True,
    "figure.figsize": (6.4, 3.8),
    "figure.facecolor": "white",
    "font.size": 11,
    "grid.color": "#E4E4E4",
    "image.cmap": "gray_r",
    "legend.frameon": False,
    # A fixed salt gives equal figures equal bytes from one build to the next.
    "svg.hashsalt": "bnn-tutorial",
}


def use_style() -> None:
    """Draw every later figure of the notebook in the book's style, as sharp SVG.

    A program outside a notebook gets the style alone.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> import bnn_tutorial as bt
        >>> with plt.rc_context():  # here the style ends with the block
        ...     bt.plotting.use_style()
        ...     plt.rcParams["figure.figsize"]
        [6.4, 3.8]
    """
    plt.rcParams.update(STYLE)
    if InteractiveShell.initialized():  # else the call would start one
        set_matplotlib_formats("svg", metadata={"Date": None})


def _flat(values: Tensor) -> Tensor:
    return torch.as_tensor(values).detach().cpu().flatten()


def plot_band(
    ax: Axes,
    x: Tensor,
    band: tuple[Tensor, Tensor],
    *,
    label: str,
    color: str = BLUE,
    alpha: float = 0.3,
) -> None:
    """Fill the band (low, high) over ``x``; ``label`` says what it holds.

    It covers the bands that are there already, so that each keeps its own colour.

    Args:
        ax: the axes to draw on.
        x: positions in ascending order, N values of any shape.
        band: lower and upper edges, N values each.
        label: such as "epistemic, 3 standard deviations".
        color: of the filling.
        alpha: how much of the colour there is, the rest being paper.

    Raises:
        ValueError: the three differ in size, or ``label`` is empty.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> _, ax = plt.subplots()
        >>> x = torch.linspace(0.0, 1.0, 5)
        >>> bt.plotting.plot_band(ax, x, (x - 1.0, x + 1.0), label="epistemic")
        >>> ax.get_legend_handles_labels()[1]
        ['epistemic']
    """
    x, low, high = _flat(x), _flat(band[0]), _flat(band[1])
    if not len(x) == len(low) == len(high):
        raise ValueError(f"x, low, high have {len(x)}, {len(low)}, {len(high)} values: not equal")
    if not label:
        raise ValueError("label is empty: a band must say what it holds")
    ax.fill_between(x, low, high, color=ax.get_facecolor(), linewidth=0)
    ax.fill_between(x, low, high, color=color, alpha=alpha, linewidth=0, label=label)


def plot_history(history: History, *names: str | tuple[str, ...]) -> Figure:
    """Draw recorded quantities over the epochs, one panel each.

    Args:
        history: what :func:`bnn_tutorial.fit` returned.
        names: of recorded quantities; a tuple of names shares one panel.

    Raises:
        KeyError: a name was not recorded.

    Example:
        >>> import bnn_tutorial as bt
        >>> history = bt.History([{"epoch": 1, "nll": 2.0, "kl": 40.0}])
        >>> figure = bt.plotting.plot_history(history, "nll", "kl")
        >>> [ax.get_ylabel() for ax in figure.axes]
        ['nll', 'kl']
    """
    names = names or ("nll", "kl")
    figure, axes = plt.subplots(
        1, len(names), squeeze=False, figsize=(3.4 * len(names), 3.0), sharex=True
    )
    for ax, panel in zip(axes[0], names, strict=True):
        group = (panel,) if isinstance(panel, str) else panel
        for name in group:
            ax.plot(history.epochs(name), history[name], label=name.replace("_", " "))
        ax.set_xlabel("epoch")
        if len(group) == 1:
            ax.set_ylabel(group[0].replace("_", " "))
        else:
            ax.legend()
    return figure


def plot_images(images: Tensor, titles: Sequence[str] | None = None, *, columns: int = 6) -> Figure:
    """Draw grey images in a grid, white for 0 and black for 1.

    Args:
        images: shape (N, 1, H, W) or (N, H, W), values in [0, 1].
        titles: one for each image.
        columns: images a row.

    Raises:
        ValueError: there is no image, another shape, or another number of titles.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> images = torch.zeros(3, 1, 28, 28)
        >>> figure = bt.plotting.plot_images(images, ["a", "b", "c"])
        >>> [ax.get_title() for ax in figure.axes]
        ['a', 'b', 'c']
    """
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[1] != 1) or not len(images):
        raise ValueError(
            f"images have shape {tuple(images.shape)}: expected (N, 1, H, W) or (N, H, W), N >= 1"
        )
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"{len(titles)} titles for {len(images)} images: expected one each")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, columns, squeeze=False, figsize=(1.15 * columns, 1.4 * rows))
    for ax in axes.flat:
        ax.set_axis_off()
    for index, (ax, image) in enumerate(zip(axes.flat, images.cpu().numpy(), strict=False)):
        ax.imshow(image.reshape(image.shape[-2:]), vmin=0, vmax=1)
        if titles is not None:
            ax.set_title(titles[index], fontsize=9)
    return figure
