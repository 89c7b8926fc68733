"""The rules of others for "the wearer is inside": a plain polygon test, with a cut-off by accuracy, or after some in a row."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from engine.fixes import Fixes
from engine.kernels import distances_m
from geofence.zone import Circle, Zone


class Alarm(NamedTuple):
    """An alarm of a wearer: raised at an instant, for a run that began at or before it, over when it is known to be."""

    wearer: int
    raised_us: int
    began_us: int
    ended_us: int


class Rule(NamedTuple):
    """Alarm after so many fixes inside in a row, fixes with a radius over `most_radius_m` not looked at."""

    name: str
    in_a_row: int = 1
    most_radius_m: float = math.inf

    def alarms(
        self, wearer: int, time_us: NDArray[np.int64], inside: NDArray[np.bool_], radius_m: NDArray[np.float64]
    ) -> list[Alarm]:
        """The alarms over one wearer's fixes (n,) in order of time: each lasts to the next fix outside, or to the last."""
        used = radius_m <= self.most_radius_m
        time_us, inside = time_us[used], inside[used]
        newest = len(time_us) - 1
        runs = np.flatnonzero(np.diff(inside, prepend=False, append=False)).reshape(-1, 2)
        return [
            Alarm(wearer, int(time_us[first + self.in_a_row - 1]), int(time_us[first]), int(time_us[min(stop, newest)]))
            for first, stop in runs
            if stop - first >= self.in_a_row
        ]


PLAIN = Rule("(a) point in polygon")
CUT_OFFS = tuple(Rule(f"(b) accuracy {most} m or better", most_radius_m=float(most)) for most in (10, 20, 30, 50))
FIFTH = Rule("(c) fifth fix in a row", in_a_row=5)
RULES = (PLAIN, *CUT_OFFS, FIFTH)
SECOND = Rule("second fix in a row", in_a_row=2)
LIMIT = Rule("two fixes truly inside", in_a_row=2)
"""The limit of every rule that asks for two fixes: it is given the truth instead of the fixes."""


def inside_zone(zone: Zone, fixes: Fixes) -> NDArray[np.bool_]:
    """Whether each fix (n,) is in the zone, taken at its word: by shapely, a disc by geodesic distance."""
    if isinstance(zone.place, Circle):
        lat, lon = np.full(len(fixes), zone.place.lat_e7, np.int32), np.full(len(fixes), zone.place.lon_e7, np.int32)
        return np.asarray(distances_m(fixes.lat_e7, fixes.lon_e7, lat, lon) <= zone.place.radius_m)
    return np.asarray(shapely.contains_xy(zone.place, fixes.lon_e7 / 1e7, fixes.lat_e7 / 1e7))
