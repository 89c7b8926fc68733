"""Whole days of fixes dropped at once, where the store keeps days apart (TimescaleDB): deleting them row by row takes hours."""

from __future__ import annotations

from engine.database import Connection
from engine.times import SECOND_US
from engine.timescale import is_on

_LATEST = (
    "SELECT max(range_end_integer) FROM timescaledb_information.chunks"
    " WHERE hypertable_name = 'fix' AND hypertable_schema = current_schema() AND range_end_integer <= %s"
)
_MARK = (
    "INSERT INTO fix_hour_stale (device_id, hour_s) SELECT device_id, hour_s FROM fix_hour WHERE hour_s < %s"
    " ON CONFLICT (device_id, hour_s) DO UPDATE SET mark = DEFAULT"
)


def drop_before(connection: Connection, instant_us: int) -> int:
    """Drop the days that end at or before an instant, whoever's fixes are in them; returns how many fixes that were. Their
    hours are stale then. Nothing where the store is a plain table.
    """
    if not is_on(connection):
        return 0
    with connection.transaction():
        row = connection.execute(_LATEST, [instant_us // SECOND_US]).fetchone()
        if row is None or row[0] is None:
            return 0
        connection.execute("SELECT FROM fix_writer FOR UPDATE")
        counted = connection.execute("SELECT count(*) FROM fix WHERE time_s < %s", [row[0]]).fetchone()
        connection.execute(_MARK, [row[0]])
        connection.execute("SELECT drop_chunks('fix', older_than => %s::bigint)", [row[0]])
    return int(counted[0]) if counted else 0
