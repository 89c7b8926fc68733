"""The quarantine in the database: whole payloads with the reason; every write belongs to the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engine.database import Connection
from engine.times import SECOND_US, from_datetime, to_datetime
from ingest.quarantine import Quarantined


def write_quarantine(connection: Connection, rows: Sequence[Quarantined]) -> None:
    """Keep what could not be taken. NUL characters, which PostgreSQL text cannot hold, are shown as U+FFFD."""
    if not rows:
        return
    values = [
        (to_datetime(q.received_s * SECOND_US), _text(q.topic), _text(q.device), q.payload,
         *(_text(t) for t in (q.reason, q.field, q.value, q.expected)))
        for q in rows
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO quarantine (received, topic, device, payload, reason, field, value, expected)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            values,
        )


def lacking_in_quarantine(connection: Connection, rows: Sequence[Quarantined]) -> list[Quarantined]:
    """Those of these that are not in quarantine; what is there twice counts twice."""
    if not rows:
        return []
    bounds = [to_datetime(pick(q.received_s for q in rows) * SECOND_US) for pick in (min, max)]
    there = Counter(
        (from_datetime(row[0]) // SECOND_US, *row[1:3], bytes(row[3]), *row[4:])
        for row in connection.execute(
            "SELECT received, topic, device, payload, reason, field, value, expected FROM quarantine"
            " WHERE received BETWEEN %s AND %s",
            bounds,
        )
    )
    lacking = []
    for q in rows:
        key = (q.received_s, _text(q.topic), _text(q.device), q.payload, *map(_text, q[4:]))
        there[key] -= 1
        if there[key] < 0:
            lacking.append(q)
    return lacking


def count_quarantine(connection: Connection) -> dict[str, int]:
    """How many were quarantined, by reason."""
    return dict(connection.execute("SELECT reason, count(*) FROM quarantine GROUP BY reason ORDER BY reason").fetchall())


def read_quarantined(connection: Connection, reason: str, expected: str) -> list[tuple[str, bytes, str]]:
    """(topic, payload, value) of what is in quarantine for a reason, where `expected` is this."""
    query = "SELECT topic, payload, value FROM quarantine WHERE reason = %s AND expected = %s ORDER BY id"
    return [(topic, bytes(payload), value) for topic, payload, value in connection.execute(query, (reason, expected))]


def _text(value: object) -> str:
    return str(value if value is not None else "").replace("\0", "�").encode("utf-8", "replace").decode()
