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
    (`FOREVER_S` before the first fix and after the last); fastest uint8: their highest `joining`; n_fixes: those in the hour.
    At any instant of the hour a wearer slower than v, with no fix in doubt at v, is within reach + v gap / 2 of the box.
    """

    first_hour: int
    box: NDArray[np.int32]
    reach_cm: NDArray[np.int32]
    gap_s: NDArray[np.int32]
    fastest: NDArray[np.uint8]
    n_fixes: NDArray[np.int32]

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The columns, as kernels take them."""
        return tuple(self)[1:]


def summarise(tracks: Tracks) -> Hours:
    """The hours from the first fix of all to the last."""
    if not tracks.n_fixes:
        empty = np.empty((0, tracks.n_wearers), np.int32)
        return Hours(0, np.empty((*empty.shape, 4), np.int32), empty, empty, empty.astype(np.uint8), empty)
    first = tracks.base_us // HOUR_US
    last = (tracks.base_us + int(tracks.tick.max()) * tracks.tick_us) // HOUR_US
    shape = (last - first + 1, tracks.n_wearers)
    box = np.empty((*shape, 4), np.int32)
    box[..., :2], box[..., 2:] = np.iinfo(np.int32).max, np.iinfo(np.int32).min
    hours = Hours(first, box, *(np.zeros(shape, kind) for kind in (np.int32, np.int32, np.uint8, np.int32)))
    fill_hours(first, *tracks.arrays, *hours.arrays)
    return hours
