"""Fixes as a match tells them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crime_match.trails import WearerTrail
from engine.fixes import ABSENT, SOURCE_NAMES
from engine.flags import flag_names
from engine.times import to_isos

Numbers = NDArray[np.float64]


def fix_records(
    trail: WearerTrail, indices: NDArray[np.int64], distance_m: Numbers, share: Numbers, posterior: Numbers | None = None,
    labels: Mapping[int, str] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """The fixes at these indices of a trail (n,), with what was measured of each (n,); labels by place among them.

    accuracy_m is what the tag reported (null: nothing), radius_m the circle that was used, p the posterior of presence
    (null where there is none).
    """
    fixes, labels = trail.fixes, labels or {}
    devices, names = fixes.devices, {flag: flag_names(flag) for flag in np.unique(trail.flags[indices]).tolist()}
    p = (
        [None] * len(indices)
        if posterior is None
        else [None if math.isnan(value) else value for value in posterior.tolist()]
    )
    columns = (
        fixes.lat_e7[indices] / 1e7, fixes.lon_e7[indices] / 1e7, fixes.accuracy_cm[indices], fixes.source[indices],
        np.round(trail.radius_m[indices], 2), np.round(trail.exclusion_m[indices], 3), fixes.device[indices],
        trail.flags[indices], np.round(distance_m, 3), np.round(share, 6),
    )  # fmt: skip
    rows = zip(to_isos(fixes.time_us[indices]), *(column.tolist() for column in columns), p, strict=True)
    return [
        {
            "time": time, "lat": lat, "lon": lon, "accuracy_m": None if cm == ABSENT else cm / 100,
            "source": SOURCE_NAMES.get(source, "unknown"), "p": presence, "label": labels.get(k),
            "distance_m": apart_m, "share": part, "radius_m": radius_m,
            "assumed_radius": cm == ABSENT, "exclusion_m": exclusion_m, "device": devices[device],
            "flags": list(names[flags]),
        }
        for k, (time, lat, lon, cm, source, radius_m, exclusion_m, device, flags, apart_m, part, presence) in enumerate(rows)
    ]  # fmt: skip
