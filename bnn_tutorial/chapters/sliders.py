"""Sliders over a notebook's own code, beside the figure that a page shows in their place.

Used by the chapter "What mean field knows", where PyTorch trains again at each move of a slider. A
page has no kernel to run the code: there the figure stands alone.
"""

import time
from collections.abc import Callable, Mapping
from math import inf, log10
from typing import Any

import anywidget
import ipywidgets
import traitlets
from IPython.display import clear_output

from bnn_tutorial.figures.figure import Figure

STEPS_A_DECADE = 20


class _Status(anywidget.AnyWidget):
    """Text that a screen reader speaks when it changes: of ipywidgets none has such a place.

    The place itself has to stay. An ``ipywidgets.HTML`` puts new elements there at each change.
    """

    _esm = """export default {
      render({ model, el }) {
        el.setAttribute("role", "status");
        const show = () => (el.textContent = model.get("value"));
        model.on("change:value", show);
        show();
        return () => model.off("change:value", show);
      },
    };"""
    value = traitlets.Unicode().tag(sync=True)


class SlidersOverCode(ipywidgets.VBox):
    """A figure, sliders for some of its traits, and what the notebook's own code makes of them.

    ``run`` is called at once, and again whenever one of the sliders has moved. Figure and sliders
    are linked: a move of either moves the other. What ``run`` prints and plots is shown below
    them, an error too. On a page without a kernel only the figure is shown.

    Args:
        run: the notebook's code, a function of keyword arguments named as in ``labels``.
        figure: its traits give the sliders, which are logarithmic, their values and bounds.
        labels: the words beside each slider, by the name of its trait.

    Raises:
        ValueError: a name in ``labels`` is no Float trait of ``figure`` with bounds above 0.

    Example:
        >>> import contextlib
        >>> import io
        >>> import bnn_tutorial as bt
        >>> figure, widths = bt.figures.TwoGaussians(q_std=0.5), []
        >>> def run(q_std):
        ...     widths.append(q_std)
        >>> with contextlib.redirect_stdout(io.StringIO()):  # a notebook needs none
        ...     sliders = bt.SlidersOverCode(run, figure, {"q_std": "σ"})
        ...     figure.q_std = 2.0  # as a slider's move does
        >>> widths
        [0.5, 2.0]
    """

    def __init__(
        self, run: Callable[..., object], figure: Figure, labels: Mapping[str, str]
    ) -> None:
        self.figure = figure
        self._code = run
        self._sliders = {name: self._slider(name, label) for name, label in labels.items()}
        again = ipywidgets.Button(description="Run again", tooltip="Run the code once more")
        again.on_click(self._run)
        self._state = _Status()
        self._output = ipywidgets.Output()
        row = ipywidgets.HBox([again, self._state])
        super().__init__([figure, *self._sliders.values(), row, self._output])
        self._run()
        if self._error:
            raise self._error

    def _slider(self, name: str, label: str) -> ipywidgets.FloatLogSlider:
        trait = self.figure.traits().get(name)
        if not (isinstance(trait, traitlets.Float) and 0 < trait.min <= trait.max < inf):
            raise ValueError(
                f"labels={name!r}: expected a Float trait of {type(self.figure).__name__} with "
                "bounds above 0"
            )
        slider = ipywidgets.FloatLogSlider(
            getattr(self.figure, name),
            min=log10(trait.min),
            max=log10(trait.max),
            step=1 / STEPS_A_DECADE,
            description=label,
            readout_format=".3g",
            continuous_update=False,  # the code runs once the slider is let go
            style={"description_width": "10rem"},
            layout={"width": "auto", "max_width": "46rem"},
        )
        # A power of ten misses a bound by a rounding error, which the trait would refuse.
        both_ways = (float, lambda value: min(max(value, trait.min), trait.max))
        traitlets.link((self.figure, name), (slider, "value"), transform=both_ways)
        slider.observe(self._run, "value")
        return slider

    def _run(self, _cause: object = None) -> None:
        """Call the code with the sliders' values; what it shows, and an error, go to the output."""
        self._error = None
        self._say("Running …")
        start = time.perf_counter()
        with self._output:
            clear_output(wait=True)
            try:
                self._code(**{name: getattr(self.figure, name) for name in self._sliders})
            except Exception as error:
                self._error = error
                self._say("Stopped by an error, shown below.")
                raise
            self._say(f"Done in {time.perf_counter() - start:.1f} s.")

    def _say(self, words: str) -> None:
        self._state.value = words

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {**(super()._repr_mimebundle_(**kwargs) or {}), "text/html": self.figure.to_html()}
