"""Proximities: a wearer must keep away from a protected person, wherever her tag or phone is; and reading them from JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, NamedTuple

from engine.errors import InputError
from engine.times import MINUTE_US
from geofence import versions
from geofence.exceptions import ScheduleException, of_kind, read_exceptions
from geofence.known_keys import refuse_unknown
from geofence.schedule import Interval, Schedule, day_start, read_schedule, read_validity, time_zone, without
from geofence.zone import GRADES, MOST_RADIUS_M, version_of

EXCEPTION_KINDS = ("authorised", "suspended", "extra")
"""They may meet, nobody watches, or an extra window in which they may not."""
KEYS = ("id", "name", "wearer", "protected", "radius_m", "stale_minutes", "schedule", "timezone", "valid_from", "valid_to",
        "exceptions", "grade", "note", "holds_from", "removed")  # fmt: skip
MOST_STALE_MINUTES = 24 * 60


class Proximity(NamedTuple):
    """One condition: `wearer` must keep `radius_m` [m] away from `protected`, a wearer's id too.

    `stale_us` is the age from which on a position says nothing (0: by the fix interval); `valid` are its dates, `version` is
    the hash of what was read, which holds for the moments of `holds` [us UTC, ends excluded].
    """

    id: str
    name: str
    wearer: str
    protected: str
    radius_m: float
    version: str
    schedule: Schedule | None = None
    exceptions: tuple[ScheduleException, ...] = ()
    grade: str = ""
    stale_us: int = 0
    valid: Interval = versions.ALWAYS
    holds: Interval = versions.ALWAYS

    def in_force(self, from_us: int, to_us: int) -> list[Interval]:
        """The intervals of [from_us, to_us] in which it is in force, oldest first: extra ones added, exceptions cut out."""
        weekly = self.schedule.windows(from_us, to_us) if self.schedule else [self.valid]
        first, last = max(from_us, self.holds[0]), min(to_us, self.holds[1])
        clipped = [(max(a, first), min(b, last)) for a, b in (*weekly, *of_kind(self.exceptions, "extra"))]
        return without([(a, b) for a, b in clipped if a < b], of_kind(self.exceptions, "authorised", "suspended"))


def read_proximities(raw: Any) -> list[Proximity]:
    """Proximities of a JSON list, one a version, the versions of an id oldest first; InputError names row, field and value.

    An id may come again with another `holds_from`: each row holds until the next one, or until {"id", "holds_from", "removed":
    true}.
    """
    if not isinstance(raw, list):
        raise InputError(field="proximities", value=type(raw).__name__, expected="a JSON list of proximities")
    keys: list[versions.Key] = []
    read: list[Proximity | None] = []
    for number, row in enumerate(raw, 1):
        try:
            key = _read_key(row)
            read.append(None if key.removed else _read_proximity(row))
        except InputError as fault:
            name = row.get("id") if isinstance(row, dict) else None
            raise fault.at(f"proximity {number}" + (f" (id {name})" if name else "")) from None
        keys.append(key)
    if pair := versions.repeated(keys):
        raise InputError(
            f"is also the id of proximity {pair[1] + 1}", place=f"proximity {pair[0] + 1}", field="id", value=keys[pair[0]].id,
            expected="an id that no other has, or another holds_from",
        )  # fmt: skip
    held = versions.moments(keys)
    found = [one._replace(holds=held[row]) for row in versions.in_order(keys) if (one := read[row])]
    _refuse_another_wearer(found)
    return found


def strangers(conditions: Iterable[Proximity], known: set[str]) -> list[tuple[str, str, str]]:
    """(id, field, wearer) of those that name a wearer who is not known."""
    named = ((c.id, field, getattr(c, field)) for c in conditions for field in ("wearer", "protected"))
    return [name for name in named if name[2] not in known]


def _read_key(row: Any) -> versions.Key:
    if not isinstance(row, dict):
        raise InputError(field="proximity", value=row, expected="a JSON object")
    refuse_unknown(row, KEYS, "a proximity")
    return versions.read_key(row, _text(row, "id"))


def _read_proximity(row: dict[str, Any]) -> Proximity:
    name, wearer, protected = (_text(row, key) for key in ("id", "wearer", "protected"))
    if protected == wearer:
        raise InputError(field="protected", value=protected, expected="somebody else than the wearer")
    grade = row.get("grade") or ""
    if grade and grade not in GRADES:
        raise InputError(field="grade", value=grade, expected=f"one of {', '.join(GRADES)}")
    dates = {key: row.get(key) for key in ("valid_from", "valid_to")}
    schedule = read_schedule(row["schedule"], **dates) if row.get("schedule") is not None else None
    zone_name = row.get("timezone") or "UTC"
    time_zone(zone_name)
    local = schedule.timezone if schedule else zone_name
    exceptions = read_exceptions(row.get("exceptions"), EXCEPTION_KINDS, local)
    if schedule is None and of_kind(exceptions, "extra"):
        raise InputError(
            field="kind", value="extra", expected="authorised or suspended: without a schedule all time is watched"
        )
    stale = 0.0 if row.get("stale_minutes") is None else _number(row, "stale_minutes", 0.1, MOST_STALE_MINUTES, "minutes")
    return Proximity(
        name, str(row.get("name") or name), wearer, protected, _number(row, "radius_m", 1.0, MOST_RADIUS_M, "metres"),
        version_of(versions.without_key(row)), schedule, exceptions, grade, round(stale * MINUTE_US), _valid(dates, local),
    )  # fmt: skip


def _refuse_another_wearer(found: list[Proximity]) -> None:
    first: dict[str, Proximity] = {}
    for one in found:
        wearer = first.setdefault(one.id, one).wearer
        if one.wearer != wearer:
            expected = f"{wearer}, as in the other versions of this id"
            raise InputError(place=f"proximity {one.id}", field="wearer", value=one.wearer, expected=expected)


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(field=key, value=value, expected="a text")
    return value


def _number(row: dict[str, Any], key: str, least: float, most: float, unit: str) -> float:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise InputError(field=key, value=value, expected=f"{unit} from {least:g} to {most:g}")
    return float(value)


def _valid(dates: dict[str, Any], zone_name: object) -> Interval:
    zone = time_zone(zone_name)
    first, last = read_validity(**dates)
    return (
        day_start(first, zone) if first else -versions.FAR_US,
        day_start(last + timedelta(days=1), zone) if last and last < date.max else versions.FAR_US,
    )
