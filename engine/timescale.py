"""What TimescaleDB adds where the server offers it: hypertables, their columnstore, and continuous aggregates.

The schema is that of plain PostgreSQL; this may be done again at any time, and does what is lacking. Why so: docs/adr.
"""

from __future__ import annotations

import psycopg

from engine.database import Connection
from engine.store import gate
from engine.store.summary import summary_query

DAY_S = 86_400
_OFFERED = (  # without its library preloaded the server ends whoever asks for it
    "SELECT current_setting('timescaledb.disable_load', true) IS NOT NULL"
    " AND EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')"
)
_IS_ON = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')"
_HYPERTABLES = "SELECT hypertable_name FROM timescaledb_information.hypertables WHERE hypertable_schema = current_schema()"
_AGGREGATES = "SELECT view_name FROM timescaledb_information.continuous_aggregates WHERE view_schema = current_schema()"

_FIX = """
DROP INDEX IF EXISTS fix_time;
SELECT create_hypertable('fix', by_range('time_s', 86400::bigint), create_default_indexes => false, migrate_data => true);
CREATE OR REPLACE FUNCTION fix_now_s() RETURNS bigint LANGUAGE sql STABLE AS
    'SELECT floor(extract(epoch FROM now()))::bigint';
SELECT set_integer_now_func('fix', 'fix_now_s');
ALTER TABLE fix SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'device_id',
    timescaledb.orderby = 'time_s, rest_us', timescaledb.index = 'minmax(lat_e7), minmax(lon_e7)')
"""
_DEVICE_EVENT = """
SELECT create_hypertable('device_event', by_range('time', INTERVAL '30 days'), create_default_indexes => false,
    migrate_data => true);
ALTER TABLE device_event SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'device_id', timescaledb.orderby = 'time')
"""
_LOOSE = """
SELECT chunk FROM (
    SELECT format('%%I.%%I', chunk_schema, chunk_name)::regclass AS chunk,
           coalesce(range_end_integer, extract(epoch FROM range_end)::bigint) AS until_s
    FROM timescaledb_information.chunks WHERE hypertable_name = %s AND hypertable_schema = current_schema()) c
WHERE until_s <= %s AND _timescaledb_functions.chunk_status(chunk) <> 1 ORDER BY until_s
"""
_COMPRESS = "SELECT compress_chunk(%s::regclass, recompress => _timescaledb_functions.chunk_status(%s::regclass) & 1 = 1)"
_GIVES_WAY = "SET LOCAL lock_timeout = '50ms'"
"""Far below the second after which a server looks for deadlocks, and ends one of those who wait."""
_GAVE_WAY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
_FIX_HOUR = (
    "DROP VIEW fix_day; DROP TABLE fix_hour; CREATE MATERIALIZED VIEW fix_hour"
    " WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS "
    + summary_query("time_bucket(3600::bigint, time_s)", "true")
    + " WITH NO DATA"
)
_FIX_DAY = """
CREATE MATERIALIZED VIEW fix_day WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT device_id, time_bucket(86400::bigint, hour_s) AS day_s, sum(n_fixes) AS n_fixes, sum(n_minutes) AS n_minutes,
       count(*) AS n_hours, min(first_s) AS first_s, max(last_s) AS last_s, max(gap_s) AS gap_s, bit_or(sources) AS sources
FROM fix_hour GROUP BY device_id, time_bucket(86400::bigint, hour_s) WITH NO DATA
"""


def is_on(connection: Connection) -> bool:
    """Whether this database uses TimescaleDB."""
    with connection.transaction():
        return _truth(connection, _IS_ON)


def switch_on(connection: Connection) -> list[str]:
    """Make hypertables and continuous aggregates of what is not yet, where the server offers TimescaleDB; returns what was
    made. A server that has the extension but may not give it to this role is left as plain PostgreSQL."""
    with connection.transaction():
        if not _truth(connection, _OFFERED) or not _extension(connection):
            return []
        made = []
        present = _names(connection, _HYPERTABLES)
        for name, text in (("fix", _FIX), ("device_event", _DEVICE_EVENT)):
            if name not in present:
                _run(connection, text)
                made.append(name)
        aggregates = _names(connection, _AGGREGATES)
        if "fix_hour" not in aggregates:
            connection.execute("UPDATE fix_writer SET until_s = 0, announced_s = 0")
            connection.execute("DELETE FROM fix_hour_stale")
            _run(connection, _FIX_HOUR)
            made.append("fix_hour")
        if "fix_day" not in aggregates:
            _run(connection, _FIX_DAY)
            _run(connection, "SELECT add_continuous_aggregate_policy('fix_day', start_offset => NULL::bigint,"
                 " end_offset => 86400::bigint, schedule_interval => INTERVAL '6 hours', if_not_exists => true)")  # fmt: skip
            made.append("fix_day")
    return made


def compress(connection: Connection, before_s: int, most: int = 2**31) -> int:
    """Compress the chunks that end at or before an instant [s UTC] and are not, or to which something came late; returns how
    many. The connection must not be in a transaction.

    Each chunk in a transaction of its own, which gives way: where another one is at work on the chunk it is left for the next
    time. TimescaleDB's own policy waits for locks instead, and the deadlock with a reader may end at the reader.
    """
    if not is_on(connection):
        return 0
    done = 0
    for table in ("fix", "device_event"):
        with connection.transaction():
            chunks = [row[0] for row in connection.execute(_LOOSE, [table, before_s])]
        done += sum(_compressed(connection, chunk) for chunk in chunks[: most - done])
    return done


def n_loose(connection: Connection, before_s: int) -> int:
    """How many days of fixes end at or before an instant [s UTC] and are not compressed; 0 without TimescaleDB."""
    if not is_on(connection):
        return 0
    with connection.transaction():
        return len(connection.execute(_LOOSE, ["fix", before_s]).fetchall())


def _compressed(connection: Connection, chunk: str) -> bool:
    try:
        with connection.transaction():
            connection.execute(_GIVES_WAY.encode())
            connection.execute(_COMPRESS, [chunk, chunk])
            gate.close(connection)
    except _GAVE_WAY:
        return False
    return True


def _extension(connection: Connection) -> bool:
    if is_on(connection):
        return True
    try:
        with connection.transaction():
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported):
        return False
    return True


def _truth(connection: Connection, query: str) -> bool:
    row = connection.execute(query.encode()).fetchone()
    return bool(row and row[0])


def _names(connection: Connection, query: str) -> set[str]:
    return {name for (name,) in connection.execute(query.encode())}


def _run(connection: Connection, text: str) -> None:
    for statement in text.split(";"):
        if statement.strip():
            connection.execute(statement.encode())
