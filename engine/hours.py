"""Hours: for each hour and wearer a summary of the tracks that tells soundly where the wearer cannot have been."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.track_kernels import HOUR_US, fill_hours
from engine.tracks import Tracks


class Hours(NamedTuple):
    """Row h is the hour that begins at (first_hour + h) hours of the epoch; columns are wearers; 29 bytes an hour and wearer.

    box (n_hours, n_wearers, 4) int32: south, west, north, east of the fixes between which the wearer was in the hour [1e-7
    degree]; reach_cm: their largest exclusion radius [cm]; gap_s: the longest gap between two of them, rounded up [s]
    (`FOREVER_S` before the first fix and after the last); fastest uint8: their highest `joining`; row (n_hours + 1,
    n_wearers) uint32 or int64: the first row of the tracks at or after the beginning of the hour. At any instant of the
    hour a wearer slower than v, with no fix in doubt at v, is within reach + v gap / 2 of the box.
    """

    first_hour: int
    box: NDArray[np.int32]
    reach_cm: NDArray[np.int32]
    gap_s: NDArray[np.int32]
    fastest: NDArray[np.uint8]
    row: NDArray[Any]

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The columns, as kernels take them."""
        return tuple(self)[1:]


def summarise(tracks: Tracks) -> Hours:
    """The hours from the first fix of all to the last."""
    first, n_hours = 0, 0
    if tracks.n_fixes:
        first = tracks.base_us // HOUR_US
        n_hours = (tracks.base_us + int(tracks.tick.max()) * tracks.tick_us) // HOUR_US - first + 1
    shape = (n_hours, tracks.n_wearers)
    box = np.empty((*shape, 4), np.int32)
    box[..., :2], box[..., 2:] = np.iinfo(np.int32).max, np.iinfo(np.int32).min
    row = np.zeros((n_hours + 1, tracks.n_wearers), np.uint32 if tracks.n_fixes < 2**32 else np.int64)
    ints = np.zeros((2, *shape), np.int32)
    hours = Hours(first, box, ints[0], ints[1], np.zeros(shape, np.uint8), row)
    fill_hours(first, *tracks.arrays, *hours.arrays)
    return hours
