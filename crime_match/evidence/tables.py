"""The tables of a pack: every fix and the crime, as records that the maps carry too, and as CSV (RFC 4180, UTF-8).

Times are ISO 8601 in UTC to the microsecond where there is one, beside the local clock to the second with its zone.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

from crime_match.evidence.case import Case
from crime_match.evidence.rows import FixRow, fix_rows, local_text, window_of
from crime_match.runs.results_csv import guarded
from engine.times import SECOND_US, parse_time, to_iso

FIX_COLUMNS: Mapping[str, str] = {
    "number": "int", "when": "text", "label": "text", "time": "time", "time_local": "text", "received": "time",
    "device": "text", "lat": "float", "lon": "float", "accuracy_m": "float", "radius_m": "float", "radius_assumed": "bool",
    "exclusion_m": "float", "source": "text", "speed_mps": "float", "course_deg": "float", "altitude_m": "float",
    "hdop": "float", "satellites": "int", "battery_pct": "int", "flags": "text", "carries_weight": "bool",
    "distance_m": "float", "share": "float", "p": "float", "origin_file": "text", "origin_sha256": "text",
    "origin_row": "int", "origin_position": "int",
}  # fmt: skip
"""The columns of a fix and what they hold. time is an instant in UTC as text; None where the tag or the match told nothing.
number: the same in every table and map; radius_m: the circle that was used, radius_assumed where the tag reported none;
distance_m, share, p: of the crime's place, as the match tells them. The names of a tag's readings are those that Tagwatch
reads in a trail."""
CRIME_COLUMNS: Mapping[str, str] = {
    "force": "text", "reference": "text", "type": "text", "from": "time", "to": "time", "from_local": "text",
    "to_local": "text", "lat": "float", "lon": "float", "uncertainty_m": "float", "text": "text", "batch": "text",
    "easting_m": "float", "northing_m": "float", "radius_m": "float", "pad_s": "float", "window_from": "time",
    "window_to": "time", "window_from_local": "text", "window_to_local": "text", "max_speed_mps": "float",
    "min_fixes": "int", "overlap": "float", "strong_posterior": "float", "strong_fixes": "int", "covered_s": "float",
    "wearer": "text", "verdict": "text", "support": "text",
}  # fmt: skip
"""The crime as it was matched, what was asked about it, and the verdict with how far it carries. window: the padded
one; both its ends belong to it."""
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_PICTURES, _REPLACED = 0x2400, "\ufffd"
_DEGREES = frozenset({"lat", "lon"})


def fixes_csv(case: Case) -> bytes:
    """Every fix of the pack, one row each in time order, under the names of FIX_COLUMNS."""
    return _csv(FIX_COLUMNS, fix_records(case))


def crime_csv(case: Case) -> bytes:
    """The crime and the question in one row, under the names of CRIME_COLUMNS."""
    return _csv(CRIME_COLUMNS, [crime_record(case)])


def fix_records(case: Case) -> list[dict[str, Any]]:
    """The fixes as dictionaries in the order of FIX_COLUMNS."""
    return [_fix_record(row, case.timezone) for row in fix_rows(case)]


def crime_record(case: Case) -> dict[str, Any]:
    """The crime as a dictionary in the order of CRIME_COLUMNS."""
    asked, crime, zone = case.match["parameters"], case.crime, case.timezone
    window = dict(zip(("window_from", "window_to"), window_of(case), strict=True))
    times = {key: parse_time(asked[key]) for key in ("from", "to")} | window
    told = (
        crime.record()
        | asked
        | {"wearer": case.match["wearer"], "verdict": case.verdict, "support": case.match["support"] or ""}
    )
    told |= {key: to_iso(moment_us) for key, moment_us in times.items()}
    told |= {f"{key}_local": local_text(moment_us, zone) for key, moment_us in times.items()}
    return {key: visible(told[key]) if kind == "text" else told[key] for key, kind in CRIME_COLUMNS.items()}


def visible(text: str) -> str:
    """The text with control characters, which not every format can hold, as pictures of themselves (Unicode 2400 to 2421) or
    as the replacement character; tabs and the ends of lines stay."""
    return _CONTROLS.sub(_picture, text.replace("\r\n", "\n").replace("\r", "\n"))


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(_PICTURES + code) if code < 0x20 else "\u2421" if code == 0x7F else _REPLACED


def _fix_record(row: FixRow, timezone: str) -> dict[str, Any]:
    origin = row.origin
    return {
        "number": row.number, "when": row.when, "label": row.label, "time": to_iso(row.time_us),
        "time_local": local_text(row.time_us, timezone), "received": to_iso(row.received_s * SECOND_US),
        "device": visible(row.device), "lat": row.lat, "lon": row.lon, "accuracy_m": row.accuracy_m,
        "radius_m": row.radius_m, "radius_assumed": row.assumed_radius, "exclusion_m": row.exclusion_m,
        "source": row.source, "speed_mps": row.speed_mps, "course_deg": row.course_deg, "altitude_m": row.altitude_m,
        "hdop": row.hdop, "satellites": _whole(row.satellites), "battery_pct": _whole(row.battery_pct),
        "flags": "; ".join(row.flags), "carries_weight": row.has_weight, "distance_m": row.distance_m, "share": row.share,
        "p": row.p, "origin_file": visible(origin.file) if origin else None,
        "origin_sha256": origin.sha256 if origin else None, "origin_row": origin.row if origin else None,
        "origin_position": origin.position if origin and origin.position >= 0 else None,
    }  # fmt: skip


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _csv(columns: Mapping[str, str], records: Iterable[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(key, kind, record[key]) for key, kind in columns.items()] for record in records)
    return text.getvalue().encode()


def _cell(key: str, kind: str, value: Any) -> Any:
    """Numbers as they are, which may well begin with a minus; text so that no spreadsheet takes it for a formula."""
    if value is None:
        return ""
    if kind == "text":
        return guarded(value)
    if kind == "bool":
        return "yes" if value else "no"
    return f"{value + 0.0:.7f}" if key in _DEGREES else value
