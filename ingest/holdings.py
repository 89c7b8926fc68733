"""Everything held of what could not be taken: the rows of the quarantine of given devices and times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from psycopg.rows import dict_row

from engine.database import Connection
from engine.errors import InputError
from engine.times import from_datetime, parse_time


def quarantined(connection: Connection, spans: Sequence[tuple[str, int, int]]) -> Iterator[dict[str, Any]]:
    """The rows about devices in [from_us, to_us), in the order in which they came: by the time that a row names, else by when
    it was received. Read in portions, in the caller's transaction."""
    devices = sorted({device for device, _, _ in spans})
    with connection.cursor("quarantined", row_factory=dict_row) as cursor:
        cursor.itersize = 1_000
        cursor.execute("SELECT * FROM quarantine WHERE device = ANY(%s) ORDER BY id", [devices])
        for row in cursor:
            times_us = {from_datetime(row["received"]), _named_us(row)}
            if any(row["device"] == d and any(from_us <= t < to_us for t in times_us) for d, from_us, to_us in spans):
                yield row


def _named_us(row: dict[str, Any]) -> int:
    try:
        return parse_time(row["value"]) if row["field"] == "time" else from_datetime(row["received"])
    except InputError:
        return from_datetime(row["received"])
