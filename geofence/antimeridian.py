"""Areas over the antimeridian: however they are written, one area whose longitudes run on beyond 180 degrees."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from engine.errors import InputError

MOST_LON = 214.0
"""The farthest longitude that int32 holds in 1e-7 degree."""


def in_one_piece(area: BaseGeometry) -> BaseGeometry:
    """The area as it is where it needs no more than half the world; else read over the antimeridian.

    A ring that jumps by more than 180 degrees of longitude goes the short way round; parts cut at the antimeridian (RFC 7946,
    3.1.9) are joined; of the possible longitudes those nearest to Greenwich are taken, east of it where they are as near.
    InputError where a ring goes round a pole, or the area is still wider than half the world or too far over the line.
    """
    west, _, east, _ = area.bounds
    if west >= -180.0 and east <= 180.0 and east - west <= 180.0:
        return area
    parts = [moved(part, -360.0 * round(_middle(part) / 360.0)) for part in map(_unrolled, shapely.get_parts(area))]
    here, there = _across_the_widest_gap(parts)
    joined = _joined(here, [moved(part, 360.0) for part in there])
    joined = min((moved(joined, turn) for turn in (360.0, 0.0, -360.0)), key=_farthest)
    west, _, east, _ = joined.bounds
    if east - west > 180.0 or _farthest(joined) > MOST_LON:
        raise InputError(
            "is wider than half the world" if east - west > 180.0 else "reaches too far over the antimeridian",
            field="coordinates", value=[west, east], expected=f"longitudes of an area that ends before {MOST_LON:g} degrees",
        )  # fmt: skip
    return joined


def moved(area: BaseGeometry, degrees: float) -> BaseGeometry:
    """The area with its longitudes moved; itself where there is nothing to move."""
    if not degrees:
        return area
    return shapely.transform(area, lambda xy: xy + np.array([degrees, 0.0]))


def _middle(area: BaseGeometry) -> float:
    west, _, east, _ = area.bounds
    return float(west + east) / 2.0


def _farthest(area: BaseGeometry) -> float:
    west, _, east, _ = area.bounds
    return float(round(max(-west, east), 9))  # so that the rounding of a turn decides nothing


def _unrolled(polygon: BaseGeometry) -> BaseGeometry:
    """The polygon with no jumps in its rings, its holes where its shell is."""
    shell, *holes = (shapely.transform(ring, _short_steps) for ring in (polygon.exterior, *polygon.interiors))
    middle = _middle(shell)
    return shapely.Polygon(shell, [moved(hole, 360.0 * round((middle - _middle(hole)) / 360.0)) for hole in holes])


def _short_steps(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.diff(ring[:, 0])
    turns = np.concatenate([[0.0], np.cumsum((steps < -180.0) * 360.0 - (steps > 180.0) * 360.0)])
    if turns[-1]:
        raise InputError(
            "goes round a pole", field="coordinates", value=ring[:3].tolist(), expected="rings that end where they began"
        )
    moved_ring: NDArray[np.float64] = ring + np.column_stack([turns, np.zeros_like(turns)])
    return moved_ring


def _across_the_widest_gap(parts: list[BaseGeometry]) -> tuple[list[BaseGeometry], list[BaseGeometry]]:
    """The parts east and west of the widest stretch of longitudes that holds none of them; all east where that is the one
    at the antimeridian."""
    parts = sorted(parts, key=lambda part: part.bounds[0])
    wests = np.array([part.bounds[0] for part in parts])
    easts = np.maximum.accumulate([part.bounds[2] for part in parts])
    gaps = np.append(wests[0] + 360.0 - easts[-1], wests[1:] - easts[:-1])
    first = int(np.argmax(gaps))
    return parts[first:], parts[:first]


def _joined(here: list[BaseGeometry], there: list[BaseGeometry]) -> BaseGeometry:
    parts = here + there
    whole = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
    sides = [shapely.MultiPolygon(side) for side in (here, there)]
    if there and not whole.is_valid and all(side.is_valid for side in sides):
        return shapely.union_all(sides)
    return whole
