"""Data that a figure holds: a list of points in the plane, each within the figure's axes."""

import math
from typing import Any

import traitlets


class Points(traitlets.List):
    """A list of points [x, y]; a ``TraitError`` names the one that is wrong by its index.

    Args:
        x_domain: the interval in which every x lies.
        y_domain: the same for y.
        fewest: the least number of points.
        most: the largest.
        settings: of the trait, such as ``help``.
    """

    def __init__(
        self,
        *,
        x_domain: tuple[float, float],
        y_domain: tuple[float, float],
        fewest: int,
        most: int,
        **settings: Any,
    ):
        super().__init__(**settings)
        self.x_domain, self.y_domain = x_domain, y_domain
        self.fewest, self.most = fewest, most

    def validate(self, obj: traitlets.HasTraits, value: object) -> list[list[float]]:
        """Return the points as lists of two floats."""
        points = super().validate(obj, value) or []
        if not self.fewest <= len(points) <= self.most:
            raise traitlets.TraitError(
                f"{self.name} has {len(points)}: expected {self.fewest} to {self.most}"
            )
        return [self._valid(index, point) for index, point in enumerate(points)]

    def _valid(self, index: int, point: Any) -> list[float]:
        try:
            x, y = map(float, point)
        except (TypeError, ValueError):
            x = y = math.nan
        (left, right), (bottom, top) = self.x_domain, self.y_domain
        if not (left <= x <= right and bottom <= y <= top):
            raise traitlets.TraitError(
                f"{self.name}[{index}]={point!r}: expected [x, y] with x within "
                f"{list(self.x_domain)} and y within {list(self.y_domain)}"
            )
        return [x, y]
