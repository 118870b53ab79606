"""What all interactive figures share: a live widget in a notebook, self-contained HTML on a page.

The chapters show them. A figure is one ES module in the form of anywidget, built from
``figures/javascript`` into ``figures/bundles``; a notebook with a kernel runs it as a widget, whose
traits Python reads and sets. A page runs the same module with a stand-in for the widget's model.
Its style is what all figures share, and after it what ``figures/styles`` has for it alone.
"""

import base64
import itertools
import json
import math
from pathlib import Path
from typing import Any

import anywidget
import traitlets

FIGURES = Path(__file__).parent
BUNDLES = FIGURES / "bundles"
STILLS = FIGURES / "stills"
STYLES = FIGURES / "styles"

# A page may show a figure twice, and each finds its own place by number, equal in every build.
_number = itertools.count(1)

# A figure begins when the reader is near it, and else when its page has nothing more urgent to do.
_BEGIN = """window.beginFigure ??= async (id, name) => {
  const place = document.getElementById(id);
  await new Promise((begin) => {
    const see = (entries) => entries.some((entry) => entry.isIntersecting) && begin();
    new IntersectionObserver(see, {rootMargin: "50%"}).observe(place);
    const rest = () => (window.requestIdleCallback ?? setTimeout)(begin);
    document.readyState === "complete" ? rest() : addEventListener("load", rest);
  });
  const read = (part) => JSON.parse(document.querySelector(part).textContent);
  const [module, traits] = [`script[data-module=${name}]`, `#${id}-traits`].map(read);
  const address = URL.createObjectURL(new Blob([module], {type: "text/javascript"}));
  const {default: figure, PageModel} = await import(address);
  URL.revokeObjectURL(address);
  place.replaceChildren();
  figure.render({model: new PageModel(traits), el: place});
  place.dataset.ready = "";
};"""

_NO_SCRIPT = "<noscript><p>A still: with scripts on, this figure answers.</p></noscript>"


def _data(mark: str, value: object) -> str:
    """Return the element of a page in which a script finds ``value`` by an attribute."""
    # In the text of a script "<" could end the script; JSON can write it otherwise.
    text = json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
    return f'<script type="application/json" {mark}>{text}</script>'


class Float(traitlets.Float):
    """A finite number: JSON, which brings the traits to a page, has neither NaN nor infinity."""

    info_text = "a finite float"

    def validate(self, obj: traitlets.HasTraits, value: object) -> float:
        """Return the value as a float; a ``TraitError`` names the trait that cannot hold it."""
        number = super().validate(obj, value)
        if not math.isfinite(number):
            self.error(obj, value)
        return number


class Figure(anywidget.AnyWidget):
    """An interactive figure; a subclass adds its traits, and its files have the name of its module.

    The traits are the figure's settings and what the reader chose: Python sets them when it makes
    the figure, and reads or sets them later where a kernel runs. A value outside a trait's bounds
    is a ``traitlets.TraitError`` that names the trait.

    Example:
        >>> import bnn_tutorial as bt
        >>> figure = bt.figures.BayesByCounting(prevalence=0.2)
        >>> figure.prevalence = 0.3  # in a notebook this moves the slider
        >>> figure.settings()["prevalence"]
        0.3
        >>> sorted(figure.settings())
        ['positive_tests', 'prevalence', 'sensitivity', 'specificity']
    """

    _styles: list[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # What derives from a figure, as anywidget does for each widget, has its files already.
        if Figure in cls.__bases__:
            cls.name = cls.__module__.rpartition(".")[2]
            cls._esm = BUNDLES / f"{cls.name}.js"
            styles = [STYLES / f"{name}.css" for name in ("figure", cls.name)]
            cls._styles = [style.read_text(encoding="utf-8") for style in styles]
            cls._css = "\n".join(cls._styles)
        super().__init_subclass__(**kwargs)

    def settings(self) -> dict[str, object]:
        """Return the figure's own traits and their values, without those of every widget."""
        shared = Figure.class_traits()
        names = [name for name in self.traits(sync=True) if name not in shared and name[0] != "_"]
        return {name: getattr(self, name) for name in names}

    def still(self) -> str:
        """Return as HTML what stands in for the figure where no script runs.

        It is how the figure looks at its default settings, with room in place of its controls until
        a script brings them. One that is all words may write it from
        the settings that it has.
        """
        return (STILLS / f"{self.name}.html").read_text(encoding="utf-8")

    def to_html(self) -> str:
        """Return the figure as HTML that asks nobody for anything: module, style and traits inside.

        Until the reader is near or the page at rest, and where scripts are off, its :meth:`still`
        stands there. Styles, module and the script that begins figures are elements of their own,
        of which a page with several figures needs one each.
        """
        identity = f"bnn-figure-{next(_number)}"
        module = _data(f'data-module="{self.name}"', self._esm)
        traits = _data(f'id="{identity}-traits"', self._page_traits())
        return (
            f"{''.join(f'<style>{style}</style>' for style in self._styles)}"
            f'<div class="bnn-figure {self.name}" id="{identity}">{self.still()}{_NO_SCRIPT}</div>'
            f"{module}{traits}"
            f"<script>{_BEGIN}</script>"
            f'<script>beginFigure("{identity}", "{self.name}")</script>'
        )

    def _page_traits(self) -> dict[str, object]:
        return {
            name: {"base64": base64.b64encode(value).decode()}
            if isinstance(value, bytes)
            else value
            for name, value in self.settings().items()
        }

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**data, "text/html": self.to_html()}, metadata
