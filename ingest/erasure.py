"""Erasing quarantined payloads; every write belongs to the caller's transaction.

Whose a payload is: who wore the device when it came, or, where it came from closed time, at that time.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.database import Connection
from engine.times import to_datetime
from ingest.quarantine import CLOSED

_OWN_TIME = f"CASE WHEN q.reason = '{CLOSED}' THEN q.value::timestamptz ELSE q.received END"
_WITHIN = (
    "EXISTS (SELECT FROM unnest(%(devices)s::text[], %(since)s::timestamptz[], %(until)s::timestamptz[])"
    f" s (device, since, until) WHERE s.device = q.device AND {_OWN_TIME} >= s.since AND {_OWN_TIME} < s.until)"
)

Spans = Iterable[tuple[str, int, int]]
"""Device, from_us, to_us."""


def count_within(connection: Connection, spans: Spans) -> int:
    """How many payloads are of these devices and spans."""
    row = connection.execute(f"SELECT count(*) FROM quarantine q WHERE {_WITHIN}".encode(), _columns(spans)).fetchone()
    return int(row[0]) if row else 0


def erase_within(connection: Connection, spans: Spans, most: int) -> int:
    """Erase the payloads of these devices and spans, at most so many; returns how many."""
    query = f"DELETE FROM quarantine WHERE id IN (SELECT q.id FROM quarantine q WHERE {_WITHIN} LIMIT %(most)s)"
    return connection.execute(query.encode(), {**_columns(spans), "most": most}).rowcount


def _columns(spans: Spans) -> dict[str, object]:
    rows = list(spans)
    return {
        "devices": [row[0] for row in rows], "since": [to_datetime(row[1]) for row in rows],
        "until": [to_datetime(row[2]) for row in rows],
    }  # fmt: skip
