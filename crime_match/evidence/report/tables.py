"""The tables of the report as rows of text: positions (TW/04), gaps, parameters, hashes, versions, what the match said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crime_match.evidence.case import Case
from crime_match.evidence.report.findings import Findings
from crime_match.evidence.report.method import method_sections
from crime_match.evidence.report.words import SOURCES, lasting, percent, sentence, shown
from crime_match.evidence.rows import AFTER, BEFORE, WINDOW, FixRow, local_text, utc_text
from engine.times import parse_time

POSITIONS = (
    "No.", "Label", "Local time", "UTC", "Latitude, longitude", "Circle, m", "Distance, m", "Share", "Prob.",
    "Speed, course", "Source and remarks",
)  # fmt: skip
"""Few columns: each cell is a tagged element, and there may be thousands of rows. fixes.csv has a column for each value."""
_ASKED = {
    "lat": "Latitude of the place, degrees (WGS84)", "lon": "Longitude of the place, degrees (WGS84)",
    "from": "Start of the crime, UTC", "to": "End of the crime, UTC", "radius_m": "Radius of the vicinity, m",
    "uncertainty_m": "Uncertainty of the place, m", "pad_s": "Added at both ends of the window, s",
    "max_speed_mps": "Highest speed allowed for, m/s", "min_fixes": "Positions needed to place",
    "overlap": "Share of the circle needed in the vicinity", "strong_posterior": "Probability needed for strong support",
    "strong_fixes": "Positions needed for strong support", "covered_s": "Covered: within so many seconds of a usable position",
}  # fmt: skip

_INPUTS = {
    "crimes": "Hash of the crimes", "n_crimes": "Crimes", "fixes": "Hash of the positions", "n_fixes": "Positions",
    "wearers": "Wearers", "activations": "Hash of the fittings", "events": "Hash of the tags’ reports",
}  # fmt: skip


def told(rows: list[FixRow]) -> list[FixRow]:
    """The positions of TW/04: all of the window, and the nearest on each side, usable or not, and usable."""
    before = [row for row in rows if row.when == BEFORE]
    after = [row for row in rows if row.when == AFTER]
    sides = {
        row.number: row for side in (before[::-1], after) for row in (*side[:1], *[r for r in side if r.has_weight][:1])
    }
    return [row for row in rows if row.when == WINDOW or row.number in sides]


def positions(case: Case, rows: list[FixRow]) -> list[list[str]]:
    """Rows of texts under `POSITIONS`."""
    devices = len({row.device for row in rows}) > 1
    apart_m = {parse_time(fix["time"]): fix["distance_m"] for fix in (case.match["before"], case.match["after"]) if fix}
    return [_position(row, case.timezone, devices, apart_m) for row in told(rows)]


def _position(row: FixRow, timezone: str, devices: bool, apart_m: Mapping[int, float]) -> list[str]:
    """apart_m: distances that the match tells of the usable neighbours of the window, by time."""
    distance_m = row.distance_m if row.when == WINDOW or not row.has_weight else apart_m.get(row.time_us)
    remarks = [SOURCES[row.source], *{BEFORE: ["before"], AFTER: ["after"]}.get(row.when, []), *row.flags]
    remarks += ["circle assumed"] * row.assumed_radius + [shown(row.device, 30)] * devices
    moved = ["" if row.speed_mps is None else f"{row.speed_mps * 3.6:.1f} km/h"]
    moved += ["" if row.course_deg is None else f"{row.course_deg:.0f}°"]
    return [
        str(row.number), row.label, local_text(row.time_us, timezone), utc_text(row.time_us).removesuffix(" UTC"),
        f"{row.lat:.7f}, {row.lon:.7f}", f"{row.radius_m:.1f}", "" if distance_m is None else f"{distance_m:,.1f}",
        "" if not row.share else percent(row.share), "" if row.p is None else f"{row.p:.3f}",
        ", ".join(part for part in moved if part), ", ".join(remarks),
    ]  # fmt: skip


def gap_rows(case: Case, found: Findings) -> list[list[str]]:
    """From, to (local), from (UTC), length of each gap of the window."""
    return [
        [local_text(a, case.timezone), local_text(b, case.timezone), utc_text(a), utc_text(b), lasting((b - a) / 1e6)]
        for a, b in found.gaps()
    ]


def annexes(case: Case) -> dict[str, Any]:
    """Annex A to D for the template: names and values as texts."""
    m = case.match
    return {
        "reasons": [sentence(reason, case.timezone) for reason in m["reasons"]],
        "asked": [[name, _plain(m["parameters"][key])] for key, name in _ASKED.items() if key in m["parameters"]],
        "run": [["Run", case.run.id], ["Algorithm", case.run.algorithm], *_flat(case.run.inputs, _INPUTS)],
        "settings": _flat(case.run.parameters),
        "software": [[shown(name, 80), shown(version, 80)] for name, version in sorted(case.software.items())],
        "configuration": [[shown(name, 80), shown(version, 120)] for name, version in sorted(case.configuration.items())],
        "sources": _files(case), "text": shown(case.crime.text, 3_000),
        "method": [{"title": title, "paragraphs": paragraphs} for title, paragraphs in method_sections(case)],
    }  # fmt: skip


def _flat(values: Mapping[str, Any], names: Mapping[str, str] | None = None) -> list[list[str]]:
    """In the order of the names, then of the alphabet: never in that of the mapping, which another reader may not keep."""
    known = names or {}
    order = [*(name for name in known if name in values), *sorted(name for name in values if name not in known)]
    return [[known.get(name) or shown(name, 60), _plain(values[name])] for name in order]


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(part) for part in value)
    return shown(str(int(value) if isinstance(value, float) and value.is_integer() else value), 200)


def _files(case: Case) -> list[list[str]]:
    """Each file or day of the raw log that positions came from, with its hash and how many came from it."""
    n: dict[tuple[str, str], int] = {}
    for origin in filter(None, case.origins):
        sha256 = "messages of the raw log" if origin.file.startswith("raw-") else origin.sha256
        n[origin.file, sha256] = n.get((origin.file, sha256), 0) + 1
    return [[shown(file, 80), sha256, str(k)] for (file, sha256), k in sorted(n.items())]
