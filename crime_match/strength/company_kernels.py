"""Kernel of company: how near did two wearers come to each other? Arrays only."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import kernel
from engine.kernels import distance_m


@kernel
def closest_pair(track1: Any, track2: Any, apart_us: int) -> tuple[float, int, int]:
    """The least distance [m] of a fix of one from a fix of the other at most apart_us from it in time, and their rows.

    A track is (time_us, lat_e7, lon_e7), columns in time order; of equal distances the first of the one, then of the other.
    (inf, -1, -1) where no two fixes lie so near in time.
    """
    time1_us, lat1_e7, lon1_e7 = track1
    time2_us, lat2_e7, lon2_e7 = track2
    best, one, two, j = np.inf, -1, -1, 0
    for i in range(len(time1_us)):
        while j < len(time2_us) and time2_us[j] < time1_us[i] - apart_us:
            j += 1
        k = j
        while k < len(time2_us) and time2_us[k] <= time1_us[i] + apart_us:
            apart_m = distance_m(lat1_e7[i], lon1_e7[i], lat2_e7[k], lon2_e7[k])
            if apart_m < best:
                best, one, two = apart_m, i, k
            k += 1
    return best, one, two
