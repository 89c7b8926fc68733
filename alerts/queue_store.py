"""What the queue and the figures read of the database. Nothing here writes."""

from __future__ import annotations

import msgspec

from alerts.alarm_figures import Figures, Raised, figures
from alerts.alert import from_json
from alerts.floods import NO_CONTACT, Thresholds
from alerts.handling import Handling
from alerts.handling_store import STATE_COLUMNS, instant
from alerts.incidents import incidents
from alerts.queue import STALE_US, Line, Row, queue
from engine.database import Connection
from engine.times import DAY_US, from_datetime, to_datetime

OPEN = (
    "condition <> 'retracted'"
    " AND (handling <> 'closed' OR (condition = 'active' AND rule NOT IN ('tag.strap', 'tag.case')))"
)
"""What the queue shows, in the words of the index alert_open: closed alerts of years cost nothing. `section_of` in Python."""

_ROWS = (
    "SELECT CASE WHEN rule = %s AND handled_by = '' THEN content END,"
    f" id, version, wearer, rule, subject, grade, condition, {instant('began')}, {instant('raised_at')},"
    f" {STATE_COLUMNS} FROM alert WHERE {OPEN}"
)
_RAISED = (
    "SELECT a.raised_at, a.wearer, a.rule, a.subject, a.grade, a.condition = 'retracted', min(h.at) FROM alert a"
    " LEFT JOIN handling_action h ON h.alert_id = a.id AND h.kind IN ('acknowledge', 'close')"
    " WHERE a.raised_at >= %s AND a.raised_at < %s GROUP BY a.id ORDER BY a.raised_at, a.id"
)


class _Fix(msgspec.Struct):
    lat: float
    lon: float


class _Places(msgspec.Struct):
    fixes: list[_Fix]


_DECODER = msgspec.json.Decoder(_Places)


def read_queue(connection: Connection, thresholds: Thresholds, now_us: int, grouped: bool = True) -> list[Line]:
    """The queue as it stands; with `grouped` floods and outages of the last day are under heads."""
    recent_us = raised_since(connection, now_us - DAY_US) if grouped else []
    return queue(open_rows(connection), recent_us, thresholds, now_us, grouped)


def read_figures(
    connection: Connection, from_us: int, to_us: int, now_us: int, thresholds: Thresholds, stale_us: int = STALE_US
) -> Figures:
    """The figures of the alerts raised in [from_us, to_us), and of those that stand now."""
    raised = raised_between(connection, from_us, to_us)
    return figures(raised, open_rows(connection), from_us, to_us, now_us, thresholds, stale_us)


def incident_of(connection: Connection) -> dict[str, str]:
    """For every open device finding that shares its cause with another: the identifier of its incident's head."""
    rows = connection.execute(f"SELECT id, content FROM alert WHERE {OPEN} AND starts_with(rule, 'tag.')".encode())
    found = incidents((identifier, from_json(content)) for identifier, content in rows)
    return {identifier: one.head for one in found if one.members for identifier in one.alerts}


def open_rows(connection: Connection) -> list[Row]:
    """Every alert that the queue shows, in no order."""
    rows = connection.cursor(binary=True).execute(_ROWS.encode(), [NO_CONTACT]).fetchall()
    return [Row._make((*row[1:10], Handling(*row[10:]), row[0] and _last_place(row[0]))) for row in rows]


def raised_since(connection: Connection, since_us: int) -> list[int]:
    """When alerts were raised from an instant on [us], also those handled or retracted since."""
    rows = connection.execute("SELECT raised_at FROM alert WHERE raised_at >= %s ORDER BY 1", [to_datetime(since_us)])
    return [from_datetime(row[0]) for row in rows]


def raised_between(connection: Connection, from_us: int, to_us: int) -> list[Raised]:
    """The alerts raised in [from_us, to_us), by time, each with its first answer by a person."""
    rows = connection.execute(_RAISED, [to_datetime(from_us), to_datetime(to_us)])
    return [
        Raised(
            from_datetime(at), wearer, rule, subject, grade, retracted, None if answer is None else from_datetime(answer)
        )
        for at, wearer, rule, subject, grade, retracted, answer in rows
    ]


def _last_place(content: str) -> tuple[float, float] | None:
    fixes = _DECODER.decode(content).fixes
    return (fixes[-1].lat, fixes[-1].lon) if fixes else None
