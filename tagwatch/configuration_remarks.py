"""What is worth saying of zones and curfews that are right as written and may yet not be what was meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from engine.times import to_datetime
from geofence.curfew import Curfew, read_curfews
from geofence.remarks import curfew_remarks, foreign_properties, zone_remarks
from geofence.schedule import read_schedule
from geofence.zone import Zone, read_zones


def curfew_remark_lines(rows: Sequence[Any], curfews: Sequence[Curfew], at_us: int) -> Iterator[str]:
    """The remarks alone, each with the id that it is about."""
    raw = rows_by_id(rows)
    for curfew in curfews:
        for line in remarks_of(curfew, raw[curfew.id], to_datetime(at_us).date()):
            yield f"curfew {curfew.id}: {line}"


def zone_remark_lines(zones: Sequence[Zone], at_us: int) -> Iterator[str]:
    """The remarks alone, each with the id that it is about."""
    for zone in zones:
        for line in zone_remarks(zone, to_datetime(at_us).date()):
            yield f"zone {zone.id}: {line}"


def said(kind: str, content: Any, zones: Sequence[Any], at_us: int) -> Iterator[str]:
    """What is worth saying of zones or curfews that are right as written."""
    if kind == "zones":
        yield from foreign_properties(content)
        yield from zone_remark_lines(read_zones(content, repair=True), at_us)
    elif kind == "curfews":
        yield from curfew_remark_lines(content, read_curfews(content, zones), at_us)


def rows_by_id(rows: Sequence[Any]) -> dict[str, list[Any]]:
    """The rows of each id that are no removals."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        if not row.get("removed"):
            found.setdefault(row["id"], []).append(row)
    return found


def remarks_of(curfew: Curfew, rows: Sequence[Any], today: date) -> list[str]:
    """The remarks on a version; where there are several rows of its id, by the one that it was read from."""
    row = next((r for r in rows if list(r["weekly"]) and _reads(r, curfew)), rows[-1])
    return curfew_remarks(row, curfew, today)


def _reads(row: Any, curfew: Curfew) -> bool:
    return read_schedule(row, valid_from=row.get("valid_from"), valid_to=row.get("valid_to")) == curfew.schedule
