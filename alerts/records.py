"""What a person reads of single alerts: rows of the queue, texts, versions, what happened in a shift. Nothing here writes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from alerts.alert import Alert, from_json
from alerts.floods import NO_CONTACT
from alerts.handling import Handling
from alerts.handling_store import STATE_COLUMNS, instant
from alerts.incidents import incidents
from alerts.queue import Row
from alerts.queue_store import OPEN
from engine.database import Connection
from engine.times import to_datetime

_ROW = (
    f"CASE WHEN rule = '{NO_CONTACT}' AND handled_by = '' THEN content END, id, version, wearer, rule, subject, grade,"
    f" condition, {instant('began')}, {instant('raised_at')}, {STATE_COLUMNS}"
)
_BEGAN_FIRST = "ORDER BY began DESC, id"
_VERSIONS = (
    f"SELECT version, reason, content, {instant('as_of')}, late_s, latency_ms FROM alert_version WHERE id = %s"
    " ORDER BY version"
)
_DONE = (
    "SELECT h.alert_id, a.wearer, a.rule, a.grade, h.kind, h.actor, h.role,"
    f" {instant('h.at')}, h.note, h.reason, h.outcome, h.whom, h.said FROM handling_action h JOIN alert a ON a.id = h.alert_id"
    " WHERE h.at >= %s AND h.at < %s ORDER BY h.at, h.alert_id, h.number"
)


class Text(NamedTuple):
    """The content of an alert, and how long after the fix that decided it was known when it was raised [s]."""

    alert: Alert
    late_s: float

    @property
    def why(self) -> str:
        """The explanation in a sentence."""
        return str(self.alert.why.get("text", ""))

    @property
    def place(self) -> str:
        """The name of the zone that it is about; empty where it is about none."""
        return str(self.alert.why.get("zone") or "")


class Step(NamedTuple):
    """One version: why it came, its content, when [us], how late after its fix [s], how long it took to store [ms]."""

    version: int
    reason: str
    alert: Alert
    as_of_us: int
    late_s: float
    latency_ms: float | None


class Deed(NamedTuple):
    """One action as a shift's record lists it."""

    alert_id: str
    wearer: str
    rule: str
    grade: str
    kind: str
    actor: str
    role: str
    at_us: int
    note: str
    reason: str
    outcome: str
    whom: str
    said: str


def rows_of(connection: Connection, identifiers: Collection[str]) -> list[Row]:
    """These alerts as the queue shows them, also those that are done with or retracted; in no order."""
    return _rows(connection, "WHERE id = ANY(%s)", [list(identifiers)])


def rows_of_wearer(connection: Connection, wearer: str, most: int = 200) -> list[Row]:
    """A wearer's alerts that are not retracted, the newest first."""
    return _rows(connection, f"WHERE wearer = %s AND condition <> 'retracted' {_BEGAN_FIRST} LIMIT %s", [wearer, most])


def rows_raised(connection: Connection, from_us: int, to_us: int) -> list[Row]:
    """The alerts raised in [from_us, to_us), the newest first."""
    where = "WHERE raised_at >= %s AND raised_at < %s AND condition <> 'retracted' ORDER BY raised_at DESC, id"
    return _rows(connection, where, [to_datetime(from_us), to_datetime(to_us)])


def texts_of(connection: Connection, identifiers: Collection[str]) -> dict[str, Text]:
    """The contents of these alerts by identifier."""
    rows = connection.execute(
        "SELECT a.id, a.content, coalesce(v.late_s, 0) FROM alert a LEFT JOIN alert_version v ON v.id = a.id AND v.version = 1"
        " WHERE a.id = ANY(%s)",
        [list(identifiers)],
    )
    return {identifier: Text(from_json(content), late_s) for identifier, content, late_s in rows}


def versions_of(connection: Connection, identifier: str) -> list[Step]:
    """The history of an alert's content, oldest first."""
    rows = connection.execute(_VERSIONS.encode(), [identifier])
    return [Step(version, reason, from_json(content), *rest) for version, reason, content, *rest in rows]


def deeds_between(connection: Connection, from_us: int, to_us: int) -> list[Deed]:
    """Everything done to alerts in [from_us, to_us), oldest first."""
    return [Deed(*row) for row in connection.execute(_DONE.encode(), [to_datetime(from_us), to_datetime(to_us)])]


def incident_heads(connection: Connection, wearers: Collection[str]) -> dict[str, str]:
    """For every open device finding of these wearers that shares its cause with another: the head of its incident."""
    query = f"SELECT id, content FROM alert WHERE {OPEN} AND starts_with(rule, 'tag.') AND wearer = ANY(%s)"
    rows = connection.execute(query.encode(), [list(wearers)])
    found = incidents((identifier, from_json(content)) for identifier, content in rows)
    return {identifier: one.head for one in found if one.members for identifier in one.alerts}


def _rows(connection: Connection, where: str, values: Sequence[Any]) -> list[Row]:
    rows = connection.cursor(binary=True).execute(f"SELECT {_ROW} FROM alert {where}".encode(), values).fetchall()
    return [Row._make((*row[1:10], Handling(*row[10:]), row[0] and _last_place(row[0]))) for row in rows]


def _last_place(content: str) -> tuple[float, float] | None:
    fixes = from_json(content).fixes
    return (fixes[-1].lat, fixes[-1].lon) if fixes else None
