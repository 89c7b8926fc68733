"""What is stored of devices and spans of time, before it is erased: counts, and when the first of it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.database import Connection
from engine.times import SECOND_US

_SPANS = (
    "FROM unnest(%(devices)s::text[], %(since)s::bigint[], %(until)s::bigint[]) s (name, since, until)"
    " JOIN device d USING (name)"
)
_FIXES = (
    f"SELECT count(*) {_SPANS} JOIN fix f ON f.device_id = d.device_id"
    " AND f.time_s BETWEEN s.since / 1000000 AND s.until / 1000000"
    " AND f.time_s * 1000000 + f.rest_us >= s.since AND f.time_s * 1000000 + f.rest_us < s.until"
)
_EVENTS = (
    f"SELECT count(*) {_SPANS} JOIN device_event e ON e.device_id = d.device_id"
    " AND e.time >= to_timestamp(s.since / 1000000) AND (extract(epoch FROM e.time) * 1000000)::bigint >= s.since"
    " AND (extract(epoch FROM e.time) * 1000000)::bigint < s.until"
)
_FIRST = (
    "SELECT d.name, least((SELECT time_s FROM fix f WHERE f.device_id = d.device_id ORDER BY time_s LIMIT 1),"
    " (SELECT floor(extract(epoch FROM time))::bigint FROM device_event e WHERE e.device_id = d.device_id"
    " ORDER BY time LIMIT 1))"
    " FROM device d WHERE d.name = ANY(%s)"
)


def count_within(connection: Connection, spans: Iterable[tuple[str, int, int]]) -> tuple[int, int]:
    """How many fixes and how many device events are stored of these devices in their spans (device, from_us, to_us)."""
    rows = list(spans)
    given = {"devices": [row[0] for row in rows], "since": [row[1] for row in rows], "until": [row[2] for row in rows]}
    counts = (connection.execute(query.encode(), given).fetchone() for query in (_FIXES, _EVENTS))
    n_fixes, n_events = (int(count[0]) if count else 0 for count in counts)
    return n_fixes, n_events


def first_times(connection: Connection, devices: Sequence[str]) -> dict[str, int]:
    """The second [us] of the first fix or event of each device; nothing for one of which nothing is stored."""
    rows = connection.execute(_FIRST, [list(devices)])
    return {name: first_s * SECOND_US for name, first_s in rows if first_s is not None}
