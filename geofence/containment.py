"""Kernels of containment: is a point in a polygon? Exact, the boundary included. Arrays only.

Coordinates are int32 1e-7 degrees; edges are straight in longitude and latitude (RFC 7946).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel


@kernel
def ring_crossings(x: int, y: int, xs: Any, ys: Any, start: int, stop: int) -> int:
    """Parity of a ray's crossings with a closed ring (first vertex repeated last), or -1 where the point lies on an edge.

    All products are of int64 differences of 1e-7 degrees, so the answer is exact for rings up to 180 degrees wide.
    """
    inside = 0
    for k in range(start, stop - 1):
        ax, ay, bx, by = np.int64(xs[k]) - x, np.int64(ys[k]) - y, np.int64(xs[k + 1]) - x, np.int64(ys[k + 1]) - y
        if (ay > 0) == (by > 0) and ay != 0 and by != 0:
            continue  # wholly above or below the ray, and touching it nowhere
        cross = ax * by - ay * bx
        if cross == 0:
            if min(ax, bx) <= 0 <= max(ax, bx) and min(ay, by) <= 0 <= max(ay, by):
                return -1
        elif (ay > 0) != (by > 0) and (cross > 0) == (by > ay):
            inside ^= 1
    return inside


@kernel
def polygon_contains(x: int, y: int, xs: Any, ys: Any, rings: Any, first: int, last: int) -> bool:
    """Whether a point lies in the polygon of rings first:last, its boundary included (even-odd over shell and holes)."""
    inside = 0
    for r in range(first, last):
        crossings = ring_crossings(x, y, xs, ys, rings[r], rings[r + 1])
        if crossings < 0:
            return True
        inside ^= crossings
    return inside == 1


@kernel
def contains_points(x: Any, y: Any, xs: Any, ys: Any, rings: Any, polygons: Any) -> NDArray[np.bool_]:
    """For each point (n,) whether it lies in any of the polygons (closed); polygons (m + 1,) cuts rings, rings cuts xs, ys."""
    out = np.zeros(len(x), np.bool_)
    for i in range(len(x)):
        for p in range(len(polygons) - 1):
            if polygon_contains(x[i], y[i], xs, ys, rings, polygons[p], polygons[p + 1]):
                out[i] = True
                break
    return out
