"""The ledger in the database; every write belongs to the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from alerts.alert import ends_before, from_json, to_json
from alerts.dispatch import put_versions
from alerts.handling_store import follow
from alerts.ledger import FOREVER_US, Entry, Ledger, Version
from alerts.routing import Routing
from engine.database import Connection
from engine.times import to_datetime

KEPT_US = FOREVER_US - 1
_ALERT = """
INSERT INTO alert (id, wearer, rule, subject, grade, condition, began, version, raised, raised_at, content)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET rule = EXCLUDED.rule, grade = EXCLUDED.grade, condition = EXCLUDED.condition,
    began = EXCLUDED.began, version = EXCLUDED.version, content = EXCLUDED.content
"""


class Outgoing(NamedTuple):
    """To whom versions go, and when this was written [us]."""

    routing: Routing
    now_us: int
    received_us: int | None = None


def new_ledger(connection: Connection) -> tuple[Ledger, int]:
    """A ledger that knows how many alerts were ever raised, and the last sequence number of the versions."""
    row = connection.execute(
        "SELECT greatest(n.raised, (SELECT max(raised) FROM alert)) + 1,"
        " greatest(n.seq, (SELECT max(seq) FROM alert_version)) FROM alert_numbers n"
    ).fetchone()
    n_raised, seq = row if row else (0, 0)
    return Ledger(int(n_raised)), int(seq)


def restore(
    connection: Connection, ledger: Ledger, wearers: Sequence[str], closed_us: Mapping[str, int] = MappingProxyType({})
) -> None:
    """Put the stored alerts of these wearers, whom the ledger does not know yet, into it.

    closed_us: by wearer the instant before which time is closed. Alerts that ended before it are left where they are.
    """
    rows = connection.execute(
        "SELECT id, version, raised, content, condition, wearer FROM alert WHERE wearer = ANY(%s) ORDER BY raised",
        [list(wearers)],
    )
    for identifier, version, raised, content, condition, wearer in rows:
        if condition == "retracted":
            ledger.reserve(wearer, identifier, KEPT_US)
            continue
        alert = from_json(content)
        if wearer in closed_us and ends_before(alert, closed_us[wearer]):
            ledger.reserve(wearer, identifier, KEPT_US)
        else:
            ledger.restore(Entry(identifier, version, alert, raised))


def wearers_of(connection: Connection) -> set[str]:
    """Everybody who ever had an alert that holds."""
    return {row[0] for row in connection.execute("SELECT DISTINCT wearer FROM alert WHERE condition <> 'retracted'")}


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
    """Store versions after `seq`, let their handling follow, and put each into the outbox for all who are told of it; returns
    the last number given."""
    if not versions:
        return seq
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
    follow(connection, versions, outgoing.now_us)
    put_versions(connection, versions, outgoing.routing, outgoing.now_us)
    return seq + len(versions)


def content(connection: Connection) -> list[bytes]:
    """The content of all alerts that hold, as JSON lines in the order of a ledger."""
    rows = connection.execute("SELECT content FROM alert WHERE condition <> 'retracted'")
    alerts = sorted((from_json(row[0]) for row in rows), key=lambda a: a.sort_key)
    return [to_json(alert) for alert in alerts]
