"""What puts rows into the outbox: versions of alerts, and notices about their handling. Belongs to the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from alerts.alert import GRADE_ORDER
from alerts.delivery import VERSION
from alerts.ledger import Version
from alerts.routing import Recipient, Routing
from engine.database import Connection
from engine.times import to_datetime

WAKE = "tagwatch_outbox"
"""The PostgreSQL notification that wakes the couriers once the transaction commits."""
PARTNERS = "offender manager"
"""The role by which handling names the wearer's team."""

_INSERT = (
    "INSERT INTO outbox (alert_id, version, channel, next_at, rank, role, timezone, kind, notice, noticed, words)"
    " SELECT * FROM unnest(%s::text[], %s::integer[], %s::text[], %s::timestamptz[], %s::smallint[], %s::text[], %s::text[],"
    " %s::text[], %s::bigint[], %s::timestamptz[], %s::text[])"
)
_TOLD = "SELECT DISTINCT alert_id, channel FROM outbox WHERE alert_id = ANY(%s) AND kind = 'version'"
# A version that goes out now does not wait for an earlier one that was to wait for its receiver's duty.
_HURRY = (
    "UPDATE outbox o SET next_at = n.next_at"
    " FROM unnest(%s::text[], %s::text[], %s::timestamptz[]) n (alert_id, channel, next_at)"
    " WHERE o.alert_id = n.alert_id AND o.channel = n.channel AND o.status = 'pending' AND o.attempts = 0"
    " AND o.next_at > n.next_at"
)
_NOTICES = (
    "SELECT n.id, n.alert_id, v.version, a.wearer, a.grade, n.kind, n.role, n.person, n.text, n.at"
    " FROM handling_notice n JOIN alert a ON a.id = n.alert_id"
    " JOIN alert_version v ON v.id = a.id AND v.version = a.version"
    " WHERE NOT n.routed ORDER BY n.id LIMIT %s FOR UPDATE OF n SKIP LOCKED"
)
_MOST_NOTICES = 1_000


class _Row(NamedTuple):
    alert_id: str
    version: int
    channel: str
    next_at: datetime
    rank: int
    role: str
    timezone: str
    kind: str = VERSION
    notice: int = 0
    noticed: datetime | None = None
    words: str = ""


def put_versions(connection: Connection, versions: Sequence[Version], routing: Routing, now_us: int) -> None:
    """Put each version (already written) into the outbox for everybody who is told of it, and wake the couriers."""
    told = _told(connection, [v.id for v in versions if v.version > 1]) if routing.teams else {}
    rows: list[_Row] = []
    for version in versions:
        known = told.setdefault(version.id, set())
        found = routing.recipients(version.alert.grade, version.alert.wearer, now_us, known)
        known |= {r.channel for r in found}
        rank = GRADE_ORDER.index(version.alert.grade)
        rows += [_row(version.id, version.version, rank, r) for r in found]
    _put(connection, rows)
    if routing.teams:
        _hurry(connection, [row for row in rows if row.version > 1 and row.role])


def put_notices(connection: Connection, routing: Routing, now_us: int) -> int:
    """Put the notices of handling that nobody has taken up yet into the outbox; returns how many these were.

    The centre is told of all. The team is told of what is handed to it, and of every escalation while on duty, by its kind
    alone: the words are the operators' own.
    """
    rows: list[_Row] = []
    taken: list[int] = []
    for number, alert_id, version, wearer, grade, kind, role, person, text, at in connection.execute(
        _NOTICES, [_MOST_NOTICES]
    ):
        rank, words = GRADE_ORDER.index(grade), f"{kind} to {person or role}: {text}"
        for r in _told_of_notice(routing, grade, wearer, kind, role, now_us):
            row = _row(alert_id, version, rank, r)
            rows.append(row._replace(kind=kind, notice=number, noticed=at, words=kind if r.role else words))
        taken.append(number)
    if taken:
        _put(connection, rows)
        connection.execute("UPDATE handling_notice SET routed = true WHERE id = ANY(%s)", [taken])
    return len(taken)


def wake(connection: Connection) -> None:
    """Tell the couriers, once this transaction commits, that there is something to do."""
    connection.execute("SELECT pg_notify(%s, '')", [WAKE])


def _told_of_notice(routing: Routing, grade: str, wearer: str, kind: str, role: str, now_us: int) -> list[Recipient]:
    if role == PARTNERS:
        return routing.recipients(grade, wearer, now_us)
    if kind == "escalated":
        return routing.on_duty(grade, wearer, now_us)
    return [Recipient(channel, now_us) for channel in routing.centre]


def _told(connection: Connection, identifiers: Iterable[str]) -> dict[str, set[str]]:
    told: dict[str, set[str]] = {}
    for identifier, channel in connection.execute(_TOLD, [sorted(set(identifiers))]):
        told.setdefault(identifier, set()).add(channel)
    return told


def _row(identifier: str, version: int, rank: int, to: Recipient) -> _Row:
    return _Row(identifier, version, to.channel, to_datetime(to.from_us), rank, to.role, to.timezone)


def _put(connection: Connection, rows: Sequence[_Row]) -> None:
    if rows:
        connection.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])
        wake(connection)


def _hurry(connection: Connection, rows: Sequence[_Row]) -> None:
    if rows:
        columns = zip(*((row.alert_id, row.channel, row.next_at) for row in rows), strict=True)
        connection.execute(_HURRY, [list(column) for column in columns])
