"""The fixes of a case as they stand in every table, map and file of its pack: numbered once, in time order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from crime_match.evidence.case import Case, Origin
from engine.fixes import ABSENT, OPTIONAL, SOURCE_NAMES, Fixes
from engine.flags import WEIGHTLESS, flag_names
from engine.times import parse_time

BEFORE, WINDOW, AFTER = "before", "window", "after"


class FixRow(NamedTuple):
    """One fix. number: from 1, the same wherever it is shown; when: before, in or after the padded window; label: A1, A2, ...
    of a fix that places, else empty; distance_m, share, p: as the match tells them, None outside its window or where there is
    none. What the tag did not report is None; radius_m is the circle that was used, assumed where none was reported."""

    number: int
    when: str
    label: str
    time_us: int
    received_s: int
    device: str
    lat: float
    lon: float
    accuracy_m: float | None
    radius_m: float
    exclusion_m: float
    source: str
    speed_mps: float | None
    course_deg: float | None
    altitude_m: float | None
    hdop: float | None
    satellites: float | None
    battery_pct: float | None
    flags: tuple[str, ...]
    has_weight: bool
    distance_m: float | None
    share: float | None
    p: float | None
    origin: Origin | None

    @property
    def assumed_radius(self) -> bool:
        """Whether the tag reported no circle, so that the source's default stands in."""
        return self.accuracy_m is None


def window_of(case: Case) -> tuple[int, int]:
    """First and last instant of the padded window [us UTC]; both belong to it."""
    parameters = case.match["parameters"]
    pad_us = round(parameters["pad_s"] * 1e6)
    return parse_time(parameters["from"]) - pad_us, parse_time(parameters["to"]) + pad_us


def fix_rows(case: Case) -> list[FixRow]:
    """All fixes of the trail that the pack carries; ValueError where those of the window are not the match's."""
    trail, fixes = case.trail, case.trail.fixes
    start_us, end_us = window_of(case)
    first = int(np.searchsorted(fixes.time_us, start_us))
    stop = int(np.searchsorted(fixes.time_us, end_us, side="right"))
    told = case.match["fixes"]
    if len(told) != stop - first:
        raise ValueError(f"the match tells {len(told)} fixes of the window, the trail has {stop - first}")
    known = {first + k: record for k, record in enumerate(told)}
    found = []
    for k in range(len(fixes)):
        record = known.get(k, {})
        found.append(FixRow(
            number=k + 1, when=BEFORE if k < first else WINDOW if k < stop else AFTER, label=record.get("label") or "",
            time_us=int(fixes.time_us[k]), received_s=int(fixes.received_s[k]), device=trail.device_of(k),
            lat=int(fixes.lat_e7[k]) / 1e7, lon=int(fixes.lon_e7[k]) / 1e7, accuracy_m=_value(fixes, "accuracy_m", k),
            radius_m=round(float(trail.radius_m[k]), 2), exclusion_m=round(float(trail.exclusion_m[k]), 2),
            source=SOURCE_NAMES.get(int(fixes.source[k]), "unknown"),
            speed_mps=_value(fixes, "speed_mps", k), course_deg=_value(fixes, "course_deg", k),
            altitude_m=_value(fixes, "altitude_m", k), hdop=_value(fixes, "hdop", k),
            satellites=_value(fixes, "satellites", k), battery_pct=_value(fixes, "battery_pct", k),
            flags=tuple(flag_names(int(trail.flags[k]))), has_weight=not int(trail.flags[k]) & WEIGHTLESS,
            distance_m=record.get("distance_m"), share=record.get("share"), p=record.get("p"),
            origin=case.origins[k] if case.origins else None,
        ))  # fmt: skip
    return found


_COLUMNS = {column.key: column for column in OPTIONAL}


def _value(fixes: Fixes, key: str, k: int) -> float | None:
    column = _COLUMNS[key]
    value = int(fixes.column(column.name)[k])
    return None if value == ABSENT else value / column.scale


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def local_text(time_us: int, timezone: str) -> str:
    """Date, time to the second (cut, never rounded) and zone of a local clock: 2026-11-23 02:17:31 GMT."""
    moment = (_EPOCH + timedelta(microseconds=time_us)).astimezone(ZoneInfo(timezone))
    return moment.strftime("%Y-%m-%d %H:%M:%S ") + (moment.tzname() or "")


def utc_text(time_us: int) -> str:
    """The same in UTC: 2026-11-23 02:17:31 UTC."""
    return (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%d %H:%M:%S UTC")
