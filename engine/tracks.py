"""Tracks: the fixes that carry weight, of all wearers, packed into 15 bytes a fix for kernels that read many of them."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray


class Tracks(NamedTuple):
    """Wearer w has the rows start[w]:start[w + 1], in time order; n rows, n_wearers wearers.

    start (n_wearers + 1,) int64; tick (n,) uint32 or int64: the time is base_us + tick * tick_us, exactly; lat_e7, lon_e7
    (n,) int32; error (n,) uint16 or int32: row of `radii_cm`; radii_cm (m, 2) int32: the reported circle, and the exclusion
    radius rounded up [cm]; joining (n,) uint8: the lowest whole speed [m/s] at which the fix contradicts none of its
    neighbours (255: that or more).
    """

    base_us: int
    tick_us: int
    start: NDArray[Any]
    tick: NDArray[Any]
    lat_e7: NDArray[Any]
    lon_e7: NDArray[Any]
    error: NDArray[Any]
    radii_cm: NDArray[Any]
    joining: NDArray[Any]
