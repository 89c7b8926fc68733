"""The database server: version, what it promises of the disk, its connections, and who else works on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from engine import database
from engine.database import Connection
from engine.errors import StoreError
from tagwatch.doctor.finding import FAULT, OK, WARNING, Finding, Scene
from tagwatch.session import SCHEMAS

OLDEST = 140000
LONG_MINUTES = 10
SAFE = {
    "fsync": "a crash of the server's machine may destroy the database", "full_page_writes": "a crash may tear pages",
    "synchronous_commit": "what is acknowledged to tags may be lost with the server's machine",
}  # fmt: skip
_PART = "database"


def examine(scene: Scene) -> Iterator[Finding]:
    """Faults and warnings, and a line that says which server it is."""
    assert scene.connection is not None
    connection = scene.connection
    told = database.server(connection)
    extension = f"TimescaleDB {told['timescaledb']}" if told["timescaledb"] else "without TimescaleDB (plain tables)"
    yield Finding(_PART, OK, f"PostgreSQL {told['postgresql']}, {extension}")
    if int(_one(connection, "SHOW server_version_num")) < OLDEST:
        yield Finding(_PART, FAULT, "the server is older than PostgreSQL 14", "upgrade it")
    yield from _schema(connection)
    yield from _promises(connection)
    yield from _rights(connection)
    yield from _connections(connection)
    yield from _others(connection)


def has_tables(connection: Connection) -> bool:
    """Whether the schema is there as this version wants it, and this role may see that."""
    try:
        return not database.missing_migrations(connection, SCHEMAS)
    except psycopg.errors.InsufficientPrivilege:
        return False


def _schema(connection: Connection) -> Iterator[Finding]:
    try:
        database.require_schema(connection, SCHEMAS)
        database.require_restored(connection)
    except StoreError as fault:
        yield Finding(_PART, FAULT, str(fault), "do what this sentence says, with the service stopped")
    except psycopg.errors.InsufficientPrivilege:
        yield Finding(
            _PART, FAULT, "the role may not even see which migrations were applied", "grant it: tagwatch db roles"
        )
    if (encoding := _one(connection, "SHOW server_encoding")) != "UTF8":
        yield Finding(_PART, FAULT, f"the encoding is {encoding}: names of people cannot be kept",
                      "create the database with ENCODING 'UTF8' and restore into it")  # fmt: skip


def _promises(connection: Connection) -> Iterator[Finding]:
    for name, sentence in SAFE.items():
        if _one(connection, f"SHOW {name}") == "off":
            yield Finding(_PART, FAULT, f"{name} is off: {sentence}", f"{name} = on in postgresql.conf, then reload")
    if _one(connection, "SHOW data_checksums") == "off":
        yield Finding(_PART, WARNING, "pages have no checksums: a disk that lies is not noticed",
                      "pg_checksums --enable, with the server stopped")  # fmt: skip
    if _one(connection, "SHOW autovacuum") == "off":
        yield Finding(_PART, WARNING, "autovacuum is off: tables grow without bound", "autovacuum = on")
    if (age := int(_one(connection, "SELECT max(age(datfrozenxid)) FROM pg_database"))) > 1_000_000_000:
        yield Finding(_PART, FAULT, f"the oldest transaction is {age:,} old: the server will stop taking writes",
                      "VACUUM FREEZE; find what keeps old transactions open")  # fmt: skip


def _rights(connection: Connection) -> Iterator[Finding]:
    query = "SELECT rolsuper, rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
    is_super, may_more = connection.execute(query).fetchone() or (False, False)
    if is_super or may_more:
        what = "is a superuser" if is_super else "may create roles or databases"
        yield Finding(_PART, WARNING, f"the role of [database] url {what}: more than the service needs",
                      "make least-privilege roles: tagwatch db roles")  # fmt: skip
    needed = (
        ("fix", "INSERT"),
        ("alert", "UPDATE"),
        ("alert_version", "INSERT"),
        ("outbox", "UPDATE"),
        ("quarantine", "INSERT"),
    )
    lacking = [f"{right} on {table}" for table, right in needed if _may(connection, table, right) is False]
    if lacking:
        yield Finding(_PART, FAULT, f"the role lacks {', '.join(lacking)}", "grant it: tagwatch db roles")


def _connections(connection: Connection) -> Iterator[Finding]:
    used, most = connection.execute(
        "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
        " current_setting('max_connections')::int"
    ).fetchone() or (0, 1)
    if used > 0.8 * most:
        yield Finding(
            _PART, WARNING, f"{used} of {most} connections are in use", "raise max_connections, or find who holds them"
        )
    if most < 40:
        yield Finding(
            _PART, WARNING, f"max_connections is {most}; service, couriers and console may want 30", "at least 60"
        )


def _others(connection: Connection) -> Iterator[Finding]:
    named = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = '{}'"
    n_services, n_standing_by, n_candidates = (
        int(_one(connection, named.format(f"tagwatch {name}"))) for name in ("health", "standby", "candidate")
    )
    if n_candidates:
        yield Finding(_PART, WARNING, f"{n_candidates} that stand by do not reach the broker: they cannot take over well",
                      "look at health/ready on the other machines")  # fmt: skip
    elif n_services > 1 and not n_standing_by:
        yield Finding(_PART, WARNING, f"{n_services} instances work on this database, and none stands by",
                      "look at the logs of all, codes HA-...")  # fmt: skip
    elif n_standing_by:
        yield Finding(
            _PART, OK, f"{n_standing_by} other {'instance stands' if n_standing_by == 1 else 'instances stand'} by"
        )
    n_long = int(_one(
        connection, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        f" AND xact_start < now() - interval '{LONG_MINUTES} minutes'"))  # fmt: skip
    if n_long:
        yield Finding(_PART, WARNING, f"{n_long} transactions are open for {LONG_MINUTES} minutes: compression and vacuum wait",
                      "find them in pg_stat_activity (xact_start), end them with pg_terminate_backend")  # fmt: skip


def _may(connection: Connection, table: str, right: str) -> bool | None:
    """Whether the role may; None where the table is not there."""
    query = "SELECT CASE WHEN to_regclass(%s) IS NOT NULL THEN has_table_privilege(to_regclass(%s), %s) END"
    row = connection.execute(query, [table, table, right]).fetchone()
    return row[0] if row else None


def _one(connection: Connection, query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None
