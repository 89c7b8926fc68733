"""True paths: where a wearer is at any instant, and when inside a shape. Straight and even between corners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagwatch.simulate.journeys import HOME, Journey
from tagwatch.simulate.plane import Floats
from tagwatch.simulate.shapes import Shape
from tagwatch.simulate.spans import Span, common, union


@dataclass(frozen=True)
class Path:
    """Corners t_us (n,) int64 strictly rising, x, y (n,) [m]; setting (n - 1,) of each leg (see journeys)."""

    t_us: NDArray[np.int64]
    x: Floats
    y: Floats
    setting: NDArray[np.int8]

    @classmethod
    def of(cls, home: tuple[float, float], journeys: Sequence[Journey], from_us: int, to_us: int) -> Path:
        """At home but for these journeys, which do not overlap and begin and end there."""
        x0, y0 = home
        ordered = sorted(journeys, key=lambda journey: journey.leaves_us)
        t = [np.array([from_us]), *(journey.t_us for journey in ordered), np.array([to_us])]
        x = [np.array([x0]), *(journey.x for journey in ordered), np.array([x0])]
        y = [np.array([y0]), *(journey.y for journey in ordered), np.array([y0])]
        setting = [np.array([HOME], np.int8)]
        for journey in ordered:
            setting += [journey.setting, np.array([HOME], np.int8)]
        return cls(np.concatenate(t), np.concatenate(x), np.concatenate(y), np.concatenate(setting))

    def legs_at(self, time_us: Any) -> NDArray[np.int64]:
        """The leg that each instant lies on."""
        return np.asarray(np.clip(np.searchsorted(self.t_us, time_us, side="right") - 1, 0, len(self.setting) - 1))

    def at(self, time_us: Any) -> tuple[Floats, Floats]:
        """Where the wearer is at these instants [us]: metres east and north of the town's origin."""
        leg = self.legs_at(time_us)
        share = (np.asarray(time_us) - self.t_us[leg]) / (self.t_us[leg + 1] - self.t_us[leg])
        x = self.x[leg] + share * (self.x[leg + 1] - self.x[leg])
        return x, self.y[leg] + share * (self.y[leg + 1] - self.y[leg])

    def motion(self, time_us: Any) -> tuple[Floats, Floats]:
        """Speed [m/s] and course [degrees from north, clockwise] at these instants."""
        leg = self.legs_at(time_us)
        dx, dy = np.diff(self.x)[leg], np.diff(self.y)[leg]
        speed = np.hypot(dx, dy) / (np.diff(self.t_us)[leg] * 1e-6)
        return speed, np.degrees(np.arctan2(dx, dy)) % 360.0

    def inside(self, shape: Shape, within: Sequence[Span] | None = None) -> list[Span]:
        """When the wearer is inside a shape [us], to the microsecond; `within` limits the answer."""
        west, south, east, north = shape.outline.bounds
        if self.x.min() > east or self.x.max() < west or self.y.min() > north or self.y.max() < south:
            return []
        leg, share = shape.crossings(np.column_stack([self.x[:-1], self.y[:-1], self.x[1:], self.y[1:]]))
        length = self.t_us[leg + 1] - self.t_us[leg]
        cuts = np.unique(np.concatenate([self.t_us, self.t_us[leg] + np.rint(share * length).astype(np.int64)]))
        inside = np.flatnonzero(shape.contains(*self.at((cuts[:-1] + cuts[1:]) / 2)))
        spans = union(zip(cuts[inside].tolist(), cuts[inside + 1].tolist(), strict=True))
        return spans if within is None else common(spans, within)

    def stays(self, settings: Sequence[int]) -> list[Span]:
        """When the wearer is in one of these settings [us]."""
        leg = np.flatnonzero(np.isin(self.setting, settings))
        return union(zip(self.t_us[leg].tolist(), self.t_us[leg + 1].tolist(), strict=True))
