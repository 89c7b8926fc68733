"""Kernel of verdicts by pieces of a trail: fixes next to each other that all carry weight and are in no doubt."""

from __future__ import annotations

from typing import Any

import numpy as np

from crime_match.batch.pair_kernels import PLACING_M, gap_meets
from crime_match.kernels import OVERLAP, lens_share
from crime_match.reach_kernels import apart_at_least_m, around_e7
from engine.jit import kernel
from engine.kernels import distance_m


@kernel
def look_at_pieces(
    crime: Any, shape: Any, max_speed_mps: float, piece: Any, device: Any, time_us: Any, lat_e7: Any, lon_e7: Any,
    radius_m: Any, exclusion_m: Any, n_placing: Any, n_inside: Any, meets: Any, has_twins: Any,
) -> None:  # fmt: skip
    """Add up what the fixes (n,) tell of their devices: n_placing and n_inside (n_devices,), how many place, and lie in the
    window; meets, whether a gap leads to the vicinity; has_twins, whether two are of one instant.

    crime and shape are rows as in `pair_kernels`; piece (n,) ascends, device (n_pieces,) is whose it is; times ascend in each.
    """
    for i in range(len(piece)):
        d = device[piece[i]]
        if crime[2] <= time_us[i] <= crime[3]:
            n_inside[d] += 1
            dlat, dlon = float(abs(np.int64(lat_e7[i]) - crime[0])), around_e7(lon_e7[i], crime[1])
            if apart_at_least_m(dlat, dlon, shape[2]) <= shape[0] + PLACING_M:
                apart_m = distance_m(crime[0], crime[1], lat_e7[i], lon_e7[i])
                if lens_share(apart_m, radius_m[i], shape[0]) >= OVERLAP:
                    n_placing[d] += 1
        j = i + 1
        if j == len(piece) or piece[j] != piece[i]:
            continue
        if time_us[j] == time_us[i]:
            has_twins[d] = True
        elif not meets[d] and time_us[j] > crime[2] and (time_us[i] < crime[3] or time_us[i] <= crime[2]):
            meets[d] = gap_meets(
                True, time_us[i], lat_e7[i], lon_e7[i], exclusion_m[i], True, time_us[j], lat_e7[j], lon_e7[j], exclusion_m[j],
                crime, shape, max_speed_mps,
            )  # fmt: skip
