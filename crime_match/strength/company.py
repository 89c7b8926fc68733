"""Company: two wearers at one crime, and two wearers near each other over a period."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crime_match.passage import passage_of
from crime_match.question import COVERED_US, Question
from crime_match.strength.company_kernels import closest_pair
from crime_match.trails import WearerTrail
from crime_match.visits import visits_of
from engine.fixes import NAMES, SOURCES
from engine.times import HOUR_US, to_iso
from engine.trail import Trail
from geofence.check import FilterSettings
from geofence.meetings import Near, follow_pair
from geofence.proximity import Proximity
from geofence.schedule import Interval

LEAD_US = 2 * HOUR_US
"""So long before a period the filter of the pair starts: it has forgotten where by then."""


def companions(question: Question, placed: Sequence[WearerTrail]) -> list[dict[str, Any]]:
    """Each pair of wearers placed at one crime, in the order given: see `company`."""
    return [company(question, one, two) for one, two in combinations(placed, 2)]


def company(question: Question, one: WearerTrail, two: WearerTrail) -> dict[str, Any]:
    """How two wearers were together at the question's place in its padded window.

    together_s: how long both were in the vicinity at once, by their visits [s]; closest_m: the least distance between a fix of
    one and one of the other that carry weight and lie at most 2.5 minutes apart, with their times (None: there are no two).
    """
    stays = [_stays(question, trail) for trail in (one, two)]
    together_us = sum(max(0, min(b, d) - max(a, c)) for a, b in stays[0] for c, d in stays[1])
    first, second = _weighty(question, one), _weighty(question, two)
    apart_m, i, j = closest_pair(_track(one, first), _track(two, second), COVERED_US)
    times = [to_iso(int(t.fixes.time_us[rows[k]])) for t, rows, k in ((one, first, i), (two, second, j)) if k >= 0]
    return {
        "wearers": [one.wearer, two.wearer], "together_s": together_us / 1e6,
        "closest_m": round(float(apart_m), 3) if times else None, "closest_at": times or None, "within_s": COVERED_US / 1e6,
    }  # fmt: skip


def together(
    one: WearerTrail, two: WearerTrail, within_m: float, from_us: int, to_us: int, settings: FilterSettings | None = None
) -> list[dict[str, Any]]:
    """The stretches of [from_us, to_us] in which two wearers were within a distance of each other [m], by the filter of pairs
    (`geofence.meetings`): sure at 0.95, on two fixes of each at least, never by a position that is stale.

    A stretch carries its length, P(near) where it was decided, and the least distance that was compared.
    """
    condition = Proximity("company", "", one.wearer, two.wearer, within_m, "")
    first, second = (_Worn(trail, from_us - LEAD_US, to_us) for trail in (one, two))
    plans = [*one.activations, *two.activations]
    found = follow_pair(condition, first, second, settings or FilterSettings(), plans, to_us)
    clipped = [(max(near.start_us, from_us), min(near.end_us, to_us), near) for m in found.meetings for near in m.near]
    return [_stretch((a, b), near, found.compared) for a, b, near in clipped if a < b]


def _stretch(span: Interval, near: Near, compared: NDArray[Any]) -> dict[str, Any]:
    during = compared["apart_m"][(compared["time_us"] >= span[0]) & (compared["time_us"] <= span[1])]
    least_m = float(during.min(initial=np.inf))
    return {
        "from": to_iso(span[0]), "to": to_iso(span[1]), "seconds": (span[1] - span[0]) / 1e6,
        "posterior": round(near.posterior, 6), "closest_m": round(least_m, 3) if np.isfinite(least_m) else None,
    }  # fmt: skip


class _Worn(Trail):
    """A wearer's trail as the match has it, cut to a period: its columns and flags as they are."""

    def __init__(self, trail: WearerTrail, from_us: int, to_us: int) -> None:
        super().__init__(trail.wearer)
        rows = slice(*np.searchsorted(trail.fixes.time_us, (from_us, to_us + 1)).tolist())
        self._columns = {name: trail.fixes.column(name)[rows] for name in NAMES}
        self._columns |= {name: getattr(trail, name)[rows] for name in ("flags", "sigma_m", "model", "silence_us")}

    def column(self, name: str) -> NDArray[Any]:
        """A reported or derived column by its name."""
        return self._columns[name]


def _stays(question: Question, trail: WearerTrail) -> list[Interval]:
    return [(visit.entered_us, visit.left_us) for visit in visits_of(trail, passage_of(question, trail))]


def _weighty(question: Question, trail: WearerTrail) -> NDArray[np.int64]:
    """The fixes of the window that carry weight, but for those of masts: two at one mast are not together."""
    time_us = trail.fixes.time_us
    inside = (time_us >= question.start_us) & (time_us <= question.end_us) & (trail.fixes.source != SOURCES["lbs"])
    return np.flatnonzero(inside & trail.carries_weight())


def _track(trail: WearerTrail, rows: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    return tuple(trail.fixes.column(name)[rows] for name in ("time_us", "lat_e7", "lon_e7"))
