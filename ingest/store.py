"""The quarantine in the database: whole payloads with the reason; every write belongs to the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from engine.database import Connection
from engine.times import SECOND_US, to_datetime
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


def count_quarantine(connection: Connection) -> dict[str, int]:
    """How many were quarantined, by reason."""
    return dict(connection.execute("SELECT reason, count(*) FROM quarantine GROUP BY reason ORDER BY reason").fetchall())


def _text(value: object) -> str:
    return str(value if value is not None else "").replace("\0", "�").encode("utf-8", "replace").decode()
