"""Visits: maximal runs of fixes that place the wearer, labelled A, B, ... Z, AA; unsmoothed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from crime_match.passage import Passage
from crime_match.plane import bearing_deg
from crime_match.trails import WearerTrail
from engine.fixes import SOURCES
from engine.kernels import distance_m
from engine.times import to_iso


class Visit(NamedTuple):
    """One visit: rows of the passage, first and last qualifying time [us UTC], bearing of the way in and out [degrees].

    A bearing is that of the straight way between two fixes; None where there is no fix on that side or no way between.
    """

    label: str
    rows: tuple[int, ...]
    entered_us: int
    left_us: int
    entry_bearing_deg: float | None
    exit_bearing_deg: float | None

    def record(self) -> dict[str, Any]:
        """The visit as in a match's JSON."""
        return {
            "label": self.label, "entered": to_iso(self.entered_us), "left": to_iso(self.left_us),
            "entry_bearing_deg": self.entry_bearing_deg, "exit_bearing_deg": self.exit_bearing_deg,
            "n_fixes": len(self.rows),
        }  # fmt: skip


def label_of(number: int) -> str:
    """0, 1, ... 25, 26, ... to A, B, ... Z, AA, ..."""
    letters = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters


def visits_of(trail: WearerTrail, passage: Passage) -> list[Visit]:
    """The visits of a passage; fixes without weight neither make nor break one."""
    weighty = np.flatnonzero(passage.has_weight)
    qualifies = passage.qualifies[weighty].astype(np.int8)
    steps = np.diff(np.concatenate([[0], qualifies, [0]]))
    starts, stops = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return [
        _visit(trail, passage, weighty.tolist(), number, int(start), int(stop))
        for number, (start, stop) in enumerate(zip(starts, stops, strict=True))
    ]


def _visit(trail: WearerTrail, passage: Passage, weighty: list[int], number: int, start: int, stop: int) -> Visit:
    first, last = int(passage.fix_indices[weighty[start]]), int(passage.fix_indices[weighty[stop - 1]])
    before = int(passage.fix_indices[weighty[start - 1]]) if start else passage.before
    after = int(passage.fix_indices[weighty[stop]]) if stop < len(weighty) else passage.after
    time_us = trail.fixes.time_us
    return Visit(
        label_of(number), tuple(weighty[start:stop]), int(time_us[first]), int(time_us[last]),
        _way(trail, before, first), _way(trail, last, after),
    )  # fmt: skip


def _way(trail: WearerTrail, one: int, two: int) -> float | None:
    """None also where a circle is as wide as the way is long, or of a mast: that tells no direction."""
    if one < 0 or two < 0 or any(trail.fixes.source[k] == SOURCES["lbs"] for k in (one, two)):
        return None
    fixes = trail.fixes
    ends = int(fixes.lat_e7[one]), int(fixes.lon_e7[one]), int(fixes.lat_e7[two]), int(fixes.lon_e7[two])
    if distance_m(*ends) <= max(trail.radius_m[[one, two]]):
        return None
    return bearing_deg(*ends)


def dwell_s(visits: list[Visit]) -> float:
    """Time between first and last qualifying fix, over all visits [s]; a visit of one fix adds nothing."""
    return sum(visit.left_us - visit.entered_us for visit in visits) / 1e6
