"""The ledger in the database; every write belongs to the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from alerts.alert import from_json, to_json
from alerts.ledger import Entry, Ledger, Version
from engine.database import Connection
from engine.times import to_datetime

_ALERT = """
INSERT INTO alert (id, wearer, rule, subject, grade, condition, began, version, raised, raised_at, content)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET rule = EXCLUDED.rule, grade = EXCLUDED.grade, condition = EXCLUDED.condition,
    began = EXCLUDED.began, version = EXCLUDED.version, content = EXCLUDED.content
"""


class Outgoing(NamedTuple):
    """To which channels versions go, and when this was written [us]."""

    channels: Sequence[str]
    now_us: int
    received_us: int | None = None


def load(connection: Connection) -> tuple[Ledger, int]:
    """The ledger as it was stored, and the last sequence number of its versions."""
    ledger = Ledger()
    rows = connection.execute("SELECT id, version, raised, content, condition FROM alert ORDER BY raised")
    for identifier, version, raised, content, condition in rows:
        if condition == "retracted":
            ledger.reserve(identifier)
        else:
            ledger.restore(Entry(identifier, version, from_json(content), raised))
    row = connection.execute("SELECT coalesce(max(seq), 0) FROM alert_version").fetchone()
    return ledger, int(row[0]) if row else 0


def write_entries(connection: Connection, entries: Iterable[Entry], now_us: int) -> None:
    """Store the present content of these alerts."""
    now = to_datetime(now_us)
    rows = [
        (e.id, e.alert.wearer, e.alert.rule, e.alert.subject, e.alert.grade, e.alert.condition, e.alert.began, e.version,
         e.order, now, to_json(e.alert).decode())
        for e in entries
    ]  # fmt: skip
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_ALERT, rows)


def write_versions(connection: Connection, versions: Sequence[Version], seq: int, outgoing: Outgoing) -> int:
    """Store versions after `seq` and put each into the outbox of every channel; returns the last number given."""
    if not versions:
        return seq
    now = to_datetime(outgoing.now_us)
    latency = None if outgoing.received_us is None else (outgoing.now_us - outgoing.received_us) / 1000
    retracted = [(v.version, v.id) for v in versions if v.retracted]
    with connection.cursor() as cursor:
        if retracted:
            cursor.executemany("UPDATE alert SET condition = 'retracted', version = %s WHERE id = %s", retracted)
        cursor.executemany(
            "INSERT INTO alert_version (seq, id, version, reason, content, as_of, late_s, latency_ms)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (seq + k, v.id, v.version, v.reason, to_json(v.alert).decode(), to_datetime(v.as_of_us), v.late_s, latency)
                for k, v in enumerate(versions, 1)
            ],
        )
        cursor.executemany(
            "INSERT INTO outbox (alert_id, version, channel, next_at) VALUES (%s, %s, %s, %s)",
            [(v.id, v.version, channel, now) for v in versions for channel in outgoing.channels],
        )
    return seq + len(versions)


def content(connection: Connection) -> list[bytes]:
    """The content of all alerts that hold, as JSON lines in the order of a ledger."""
    rows = connection.execute("SELECT content FROM alert WHERE condition <> 'retracted'")
    alerts = sorted((from_json(row[0]) for row in rows), key=lambda a: a.sort_key)
    return [to_json(alert) for alert in alerts]
