"""TG, the fastest open point-in-polygon code, as a peer: built from the folder that TAGWATCH_TG names (tg.c, tg.h)."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

_LOOP = r"""
#include "tg.c"
void *open_ring(const double *xy, int n) {
    struct tg_ring *ring = tg_ring_new_ix((const struct tg_point *)xy, n, TG_YSTRIPES);
    return ring ? tg_poly_new(ring, 0, 0) : 0;
}
long test_points(const struct tg_geom *area, const double *x, const double *y, long n, unsigned char *out) {
    long inside = 0;
    for (long i = 0; i < n; i++) inside += out[i] = tg_geom_intersects_xy(area, x[i], y[i]);
    return inside;
}
"""


def load() -> ctypes.CDLL | None:
    """TG with a loop over points, compiled into a temporary folder; None where it is not installed."""
    source = os.environ.get("TAGWATCH_TG")
    if not source or not (Path(source) / "tg.c").exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        loop, library = Path(folder) / "loop.c", Path(folder) / "loop.so"
        loop.write_text(_LOOP, "utf-8")
        subprocess.run(["cc", "-O3", "-shared", "-fPIC", f"-I{source}", str(loop), "-o", str(library), "-lm"], check=True)
        tg = ctypes.CDLL(str(library))
    tg.open_ring.restype = ctypes.c_void_p
    tg.open_ring.argtypes = [ctypes.c_void_p, ctypes.c_int]
    tg.test_points.restype = ctypes.c_long
    tg.test_points.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p]
    return tg


def tester(
    tg: Any, polygon: shapely.Polygon, x: NDArray[np.float64], y: NDArray[np.float64]
) -> Callable[[], NDArray[np.uint8]]:
    """A call that tests all points against a polygon without holes, by stripes, and gives 0 or 1 for each."""
    ring = np.ascontiguousarray(shapely.get_coordinates(polygon.exterior))
    area = tg.open_ring(ring.ctypes.data, len(ring))
    out = np.empty(len(x), np.uint8)

    def run() -> NDArray[np.uint8]:
        tg.test_points(area, x.ctypes.data, y.ctypes.data, len(x), out.ctypes.data)
        return out

    return run
