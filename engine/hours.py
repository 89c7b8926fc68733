"""Hours: for each hour and wearer a summary of the tracks that tells soundly where the wearer cannot have been."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.track_kernels import HOUR_US, fill_hours, list_long_gaps
from engine.tracks import Tracks

MOST_SUMMARIES = 2**27
"""So many hours of wearers are summarised at most: 3.5 GB."""


class Hours(NamedTuple):
    """Row h is the hour that begins at (first_hour + h) hours of the epoch; columns are wearers; 26 bytes an hour and wearer.

    box (n_hours, n_wearers, 4) int32: south, west, north, east of the hour's fixes, and of those at the ends of the gaps of
    up to SHORT_US that meet it [1e-7 degree]; reach_cm: their largest exclusion radius [cm]; gap_s uint8: the longest of
    these gaps, rounded up [s], or LONG_GAP where a longer one meets the hour; fastest uint8: their highest `joining`; row
    (n_hours + 1, n_wearers) uint32 or int64: the first row of the tracks at or after the beginning of the hour. In such a
    gap a wearer slower than v, with no fix in doubt at v, is within reach + v gap / 2 of the box.

    The other gaps that meet hour h, also those before the first fix and after the last, stand in the lists gap_wearer, gap
    and gap_fastest (m,) from long_start[h] to long_start[h + 1]: whose; which row of gaps; the higher `joining` of both
    ends. gaps (n_gaps, 8) int64: from when to when [us, NEVER_US before or after what there is], latitude and longitude of
    both ends [1e-7 degree], their exclusion radii [cm]. So the fixes themselves, which lie far apart, are not read.
    """

    first_hour: int
    box: NDArray[np.int32]
    reach_cm: NDArray[np.int32]
    gap_s: NDArray[np.uint8]
    fastest: NDArray[np.uint8]
    row: NDArray[Any]
    long_start: NDArray[np.int64]
    gap_wearer: NDArray[np.int32]
    gap: NDArray[np.int32]
    gap_fastest: NDArray[np.uint8]
    gaps: NDArray[np.int64]

    @property
    def arrays(self) -> tuple[Any, ...]:
        """All fields, as kernels take them."""
        return tuple(self)


def span_of(tracks: Tracks) -> tuple[int, int]:
    """The hour of the first fix of all, and how many hours there are to the last."""
    if not tracks.n_fixes:
        return 0, 0
    first = tracks.base_us // HOUR_US
    return first, (tracks.base_us + int(tracks.tick.max()) * tracks.tick_us) // HOUR_US - first + 1


def fits(tracks: Tracks) -> bool:
    """Whether the tracks are not spread too far for summaries; a fix of 1970 among those of today does that."""
    return span_of(tracks)[1] * tracks.n_wearers <= MOST_SUMMARIES


def summarise(tracks: Tracks) -> Hours:
    """The hours from the first fix of all to the last."""
    first, n_hours = span_of(tracks)
    shape = (n_hours, tracks.n_wearers)
    box = np.empty((*shape, 4), np.int32)
    box[..., :2], box[..., 2:] = np.iinfo(np.int32).max, np.iinfo(np.int32).min
    row = np.zeros((n_hours + 1, tracks.n_wearers), np.uint32 if tracks.n_fixes < 2**32 else np.int64)
    reach_cm, gap_s, fastest = np.zeros(shape, np.int32), np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    fill_hours(*(first, *tracks.arrays, box, reach_cm, gap_s, fastest, row))
    return Hours(first, box, reach_cm, gap_s, fastest, row, *_long_gaps(tracks, first, gap_s))


def _long_gaps(tracks: Tracks, first: int, gap_s: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
    told: tuple[Any, ...] = (first, len(gap_s), *tracks.arrays, gap_s)
    start = np.zeros(len(gap_s) + 1, np.int64)
    n_gaps = list_long_gaps(*(*told, start, *_lists(0, 0)))
    np.cumsum(start, out=start)
    lists = _lists(int(start[-1]), n_gaps)
    if n_gaps:
        list_long_gaps(*(*told, start.copy(), *lists))
    return start, *lists


def _lists(m: int, n_gaps: int) -> tuple[NDArray[Any], ...]:
    return np.empty(m, np.int32), np.empty(m, np.int32), np.empty(m, np.uint8), np.empty((n_gaps, 8), np.int64)
