"""Erasing alerts, and the positions that alerts list; every write belongs to the caller's transaction.

What is kept of an erased alert is that there was one: the feed tells its identifier, and numbers are not given again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from alerts.alert import Alert, from_json, to_json
from alerts.changes import CHANNEL
from engine.database import Connection
from engine.times import parse_time, to_datetime

_CHOSEN = (
    "SELECT a.id FROM unnest(%(wearers)s::text[], %(since)s::timestamptz[], %(until)s::timestamptz[]) s (wearer, since, until)"
    " JOIN alert a ON a.wearer = s.wearer AND a.began >= s.since AND a.began < s.until"
    " WHERE (NOT %(over)s OR coalesce((a.content::json->>'ended')::timestamptz, a.began) < s.until"
    " AND (a.condition <> 'active' OR (a.handling = 'closed' AND a.rule IN ('tag.strap', 'tag.case'))))"
    " AND %(held)s = EXISTS (SELECT FROM unnest(%(h_wearers)s::text[], %(h_since)s::timestamptz[], %(h_until)s::timestamptz[])"
    " h (wearer, since, until) WHERE h.wearer = a.wearer AND a.began < h.until"
    " AND coalesce((a.content::json->>'ended')::timestamptz, 'infinity') >= h.since) ORDER BY a.id LIMIT %(most)s"
)
_NUMBERS = (
    "UPDATE alert_numbers SET raised = greatest(raised, (SELECT max(raised) FROM alert WHERE id = ANY(%(ids)s))),"
    " seq = greatest(seq, (SELECT max(seq) FROM alert_version WHERE id = ANY(%(ids)s)))"
)
_TOLD = (
    "INSERT INTO alert_change (alert_id, kind, version, action)"
    " SELECT id, 'erased', version, 0 FROM unnest(%s::text[], %s::integer[]) e (id, version) ORDER BY id"
)
_FEED_LOCK = (
    "SELECT pg_advisory_xact_lock(1635017060, 4)"  # as where the feed is numbered: see schema/alerts-0004-changes.sql
)


class Stretch(NamedTuple):
    """A wearer's time [from_us, to_us)."""

    wearer: str
    from_us: int
    to_us: int


def chosen(
    connection: Connection, wanted: Iterable[Stretch], held: Iterable[Stretch], *, only_over: bool = False,
    are_held: bool = False, most: int | None = None,
) -> list[str]:  # fmt: skip
    """The alerts that began in these stretches and touch none that is held (are_held: that do).

    only_over: only those that ended before their stretch does, and tampers that somebody closed.
    """
    given = {f"h_{name}": column for name, column in _columns(held).items()} | _columns(wanted)
    rows = connection.execute(_CHOSEN, {**given, "over": only_over, "held": are_held, "most": most})
    return [row[0] for row in rows]


def erase_alerts(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Erase alerts with their history, handling and deliveries; returns the rows by table."""
    if not ids:
        return {}
    connection.execute(_NUMBERS, {"ids": list(ids)})
    counts: dict[str, int] = {}
    connection.execute("SELECT set_config('tagwatch.erasure', 'alerts', true)")
    for table, column in (
        ("outbox", "alert_id"), ("handling_notice", "alert_id"), ("handling_action", "alert_id"),
        ("alert_change", "alert_id"), ("alert_version", "id"),
    ):  # fmt: skip
        found = connection.execute(f"DELETE FROM {table} WHERE {column} = ANY(%s)".encode(), [list(ids)])
        counts[table] = found.rowcount
    connection.execute("SELECT set_config('tagwatch.erasure', '', true)")
    gone = connection.execute("DELETE FROM alert WHERE id = ANY(%s) RETURNING id, version", [list(ids)]).fetchall()
    connection.execute(_FEED_LOCK)  # last, as with those who write alerts
    connection.execute(_TOLD, [[row[0] for row in gone], [row[1] for row in gone]])
    counts["alert"] = len(gone)
    connection.execute("SELECT pg_notify(%s, '')", [CHANNEL])
    return counts


def strip_positions(connection: Connection, wearer: str, spans: Sequence[tuple[int, int]], by: str) -> int:
    """Take the fixes of these spans out of a wearer's alerts and their versions; returns of how many alerts."""
    stripped: set[str] = set()
    for table in ("alert", "alert_version"):
        where = "id IN (SELECT id FROM alert WHERE wearer = %s)" if table == "alert_version" else "wearer = %s"
        rows = connection.execute(f"SELECT id, version, content FROM {table} WHERE {where}".encode(), [wearer]).fetchall()
        changed = []
        for identifier, version, content in rows:
            alert = from_json(content)
            left = without_positions(alert, spans, by)
            if left is not alert:
                changed.append((to_json(left).decode(), identifier, version))
                stripped.add(identifier)
        with connection.cursor() as cursor:
            cursor.executemany(f"UPDATE {table} SET content = %s WHERE id = %s AND version = %s".encode(), changed)
    return len(stripped)


def without_positions(alert: Alert, spans: Sequence[tuple[int, int]], by: str) -> Alert:
    """The alert without its fixes of these spans, saying by what they were erased; itself where it has none. How many there
    were, and all else, stays."""
    left = [fix for fix in alert.fixes if not any(start <= parse_time(fix.time) < end for start, end in spans)]
    if len(left) == len(alert.fixes):
        return alert
    return msgspec.structs.replace(alert, fixes=left, why={**alert.why, "positions_erased": by})


def n_delivered(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """How many versions of these alerts were delivered, by kind of channel: what receivers hold is not erased from here."""
    rows = connection.execute(
        "SELECT split_part(channel, ':', 1), count(*) FROM outbox WHERE alert_id = ANY(%s) AND status = 'delivered'"
        " GROUP BY 1 ORDER BY 1",
        [list(ids)],
    )
    return dict(rows.fetchall())


def _columns(stretches: Iterable[Stretch]) -> dict[str, list[object]]:
    rows = list(stretches)
    return {
        "wearers": [row.wearer for row in rows], "since": [to_datetime(row.from_us) for row in rows],
        "until": [to_datetime(row.to_us) for row in rows],
    }  # fmt: skip
