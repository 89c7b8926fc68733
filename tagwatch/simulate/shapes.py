"""Shapes on the town's map that a path can be in: areas (polygons) and discs (circles in true metres)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from tagwatch.simulate.plane import Floats, Plane


class Shape(Protocol):
    """What the truth needs of a shape; coordinates in metres of the map."""

    def contains(self, x: Any, y: Any) -> NDArray[np.bool_]:
        """For each point whether it lies inside."""

    def crossings(self, legs: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Where legs (n, 4) = x0, y0, x1, y1 meet the edge: leg numbers and fractions of the leg."""

    @property
    def outline(self) -> Any:
        """The shape as a shapely geometry (a disc: a polygon just around it)."""


@dataclass(frozen=True)
class Disc:
    """A circle of `radius_m` true metres about (x, y); `stretch` = true metres for a metre of the map there (x, y)."""

    x: float
    y: float
    radius_m: float
    stretch: tuple[float, float]

    @classmethod
    def about(cls, plane: Plane, x: float, y: float, radius_m: float) -> Disc:
        """The circle about a point, moved to the whole 1e-7 degree that files can say."""
        sx, sy = plane.from_e7(*plane.to_e7(x, y))
        return cls(float(sx), float(sy), radius_m, plane.stretch(float(sy)))

    def contains(self, x: Any, y: Any) -> NDArray[np.bool_]:
        """For each point whether it lies inside."""
        return np.asarray(np.hypot((x - self.x) * self.stretch[0], (y - self.y) * self.stretch[1]) <= self.radius_m)

    def crossings(self, legs: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Roots of |p + f d| = r on each leg, f from 0 to 1."""
        px, py = (legs[:, 0] - self.x) * self.stretch[0], (legs[:, 1] - self.y) * self.stretch[1]
        dx, dy = (legs[:, 2] - legs[:, 0]) * self.stretch[0], (legs[:, 3] - legs[:, 1]) * self.stretch[1]
        a, b, c = dx * dx + dy * dy, px * dx + py * dy, px * px + py * py - self.radius_m**2
        root = b * b - a * c
        leg = np.flatnonzero((a > 0.0) & (root > 0.0))
        width = np.sqrt(root[leg])
        both = np.concatenate([(-b[leg] - width) / a[leg], (-b[leg] + width) / a[leg]])
        kept = (both >= 0.0) & (both <= 1.0)
        return np.concatenate([leg, leg])[kept], both[kept]

    @cached_property
    def outline(self) -> Any:
        """A polygon just around the circle."""
        return shapely.Point(self.x, self.y).buffer(self.radius_m * 1.01)


@dataclass(frozen=True)
class Area:
    """A polygon or multipolygon, holes included [m]."""

    outline: Any

    def contains(self, x: Any, y: Any) -> NDArray[np.bool_]:
        """For each point whether it lies inside."""
        return np.asarray(shapely.contains_xy(self.outline, x, y))

    @cached_property
    def edges(self) -> Floats:
        """All edges of all rings (k, 4) = x0, y0, x1, y1."""
        rings = shapely.get_rings(shapely.get_parts(self.outline))
        corners = [shapely.get_coordinates(ring) for ring in rings]
        return np.vstack([np.hstack([ring[:-1], ring[1:]]) for ring in corners])

    def crossings(self, legs: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Where each leg crosses each edge, by the cross products of the two directions."""
        low, high = np.minimum(legs[:, :2], legs[:, 2:]), np.maximum(legs[:, :2], legs[:, 2:])
        west, south, east, north = self.outline.bounds
        near = np.flatnonzero((low[:, 0] <= east) & (high[:, 0] >= west) & (low[:, 1] <= north) & (high[:, 1] >= south))
        p, q = legs[near, None, :2], self.edges[None, :, :2]
        d, e = legs[near, None, 2:] - p, self.edges[None, :, 2:] - q
        across = d[..., 0] * e[..., 1] - d[..., 1] * e[..., 0]
        gap = q - p
        with np.errstate(divide="ignore", invalid="ignore"):
            of_leg = (gap[..., 0] * e[..., 1] - gap[..., 1] * e[..., 0]) / across
            of_edge = (gap[..., 0] * d[..., 1] - gap[..., 1] * d[..., 0]) / across
        hit = (of_leg >= 0.0) & (of_leg <= 1.0) & (of_edge >= 0.0) & (of_edge <= 1.0)
        leg, edge = np.nonzero(hit)
        return near[leg], of_leg[leg, edge]
