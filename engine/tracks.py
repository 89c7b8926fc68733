"""Tracks: the fixes that carry weight, of all wearers, packed into 15 bytes a fix for kernels that read many of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.track_kernels import fill_joining

_MOST_TICKS = 2**32 - 1
_MOST_CM = 2**31 - 1  # 21474 km: the whole earth


class Tracks(NamedTuple):
    """Wearer w has the rows start[w]:start[w + 1], in time order; n rows, n_wearers wearers.

    start (n_wearers + 1,) int64; tick (n,) uint32 or int64: the time is base_us + tick * tick_us, exactly; lat_e7, lon_e7
    (n,) int32; error (n,) uint16 or int32: row of `radii_cm`; radii_cm (m, 2) int32: the reported circle, and the exclusion
    radius rounded up [cm]; joining (n,) uint8: the lowest whole speed [m/s] at which the fix contradicts no other of the
    wearer (255: that or more), nor less than SLOWEST_MPS; is_mast (m,): which rows of radii_cm are of fixes by telephone
    masts (None: there is none).
    """

    base_us: int
    tick_us: int
    start: NDArray[np.int64]
    tick: NDArray[Any]
    lat_e7: NDArray[np.int32]
    lon_e7: NDArray[np.int32]
    error: NDArray[Any]
    radii_cm: NDArray[np.int32]
    joining: NDArray[np.uint8]
    is_mast: NDArray[np.bool_] | None = None

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The fields that kernels take, in order: all but is_mast."""
        return tuple(self)[:-1]

    def counting(self, *, masts: bool) -> Tracks:
        """The same tracks, but only the fixes by telephone masts can place, or only the others: those that cannot have
        circles wider than the earth."""
        if self.is_mast is None:
            return self
        radii_cm = self.radii_cm.copy()
        radii_cm[self.is_mast != masts, 0] = np.iinfo(np.int32).max
        return self._replace(radii_cm=radii_cm)

    @property
    def n_fixes(self) -> int:
        """How many fixes there are."""
        return len(self.tick)

    @property
    def n_wearers(self) -> int:
        """How many wearers there are, those without a fix too."""
        return len(self.start) - 1


def pack(
    start: NDArray[np.int64], time_us: NDArray[np.int64], lat_e7: NDArray[np.int32], lon_e7: NDArray[np.int32],
    radius_m: NDArray[np.float64], exclusion_m: NDArray[np.float64], by_mast: NDArray[np.bool_] | None = None,
) -> Tracks:  # fmt: skip
    """Fixes that carry weight (n,) of wearers one after the other, each in time order, to Tracks."""
    base_us, tick_us, tick = _ticks(time_us)
    by_mast = np.zeros(len(time_us), np.bool_) if by_mast is None else by_mast
    error, radii_cm, is_mast = _error_rows(np.rint(radius_m * 100.0), np.minimum(up_to_cm(exclusion_m), _MOST_CM), by_mast)
    joining = np.zeros(len(tick), np.uint8)
    fill_joining(tick_us, start, tick, lat_e7, lon_e7, error, radii_cm, joining)
    return Tracks(
        base_us, tick_us, start, tick, lat_e7, lon_e7, error, radii_cm, joining, is_mast if is_mast.any() else None
    )


def up_to_cm(radius_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radii [m] as whole centimetres, rounded up but for what arithmetic adds."""
    cm = np.rint(radius_m * 100.0)
    return np.where(cm / 100.0 == radius_m, cm, np.ceil(radius_m * 100.0))  # 7.21 m are 721 cm, though 7.21 * 100 is more


def _ticks(time_us: NDArray[np.int64]) -> tuple[int, int, NDArray[Any]]:
    """Times as whole steps from the first one, in the longest step that tells them all exactly."""
    if not len(time_us):
        return 0, 1, np.empty(0, np.uint32)
    base_us = int(time_us.min())
    since = time_us - base_us
    tick_us = int(np.gcd.reduce(since)) or 1
    ticks = since // tick_us
    return base_us, tick_us, ticks.astype(np.uint32) if int(ticks.max()) <= _MOST_TICKS else ticks


def _error_rows(
    circle_cm: NDArray[np.float64], exclusion_cm: NDArray[np.float64], by_mast: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[np.int32], NDArray[np.bool_]]:
    """Which row of the distinct errors each fix has; the radii of these rows, and whether they are of masts."""
    key = (circle_cm.astype(np.int64) << 32) | (exclusion_cm.astype(np.int64) << 1) | by_mast
    found = pa.array(key).dictionary_encode()
    row, keys = found.indices.to_numpy(), found.dictionary.to_numpy()
    radii_cm = np.column_stack([keys >> 32, (keys & 0xFFFF_FFFF) >> 1]).astype(np.int32).reshape(-1, 2)
    return row.astype(np.uint16 if len(keys) <= 2**16 else np.int32), radii_cm, (keys & 1).astype(np.bool_)
