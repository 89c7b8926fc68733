"""Putting a backup back: database and raw log as they were, then what was erased since, then what the newer log holds.

A note in the database says how far it is. A restore that was cut off is done again by the same command; until it has ended
the service refuses to start.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql

import alerts.restored
from engine import database, timescale
from engine.database import RESTORING, Connection, shown
from engine.errors import InputError, StoreError
from engine.times import parse_time, system_clock
from ingest.raw_log import RawLog, day_files
from tagwatch.access import audit
from tagwatch.access.by_command import operating_user
from tagwatch.backup.check import check
from tagwatch.backup.content import differences, is_empty, tables_of
from tagwatch.backup.manifest import DUMP, RAW, Manifest
from tagwatch.backup.raw_copy import is_part, put_back, require_continuation
from tagwatch.backup.recover import Recovered, recover
from tagwatch.backup.tools import run, tool
from tagwatch.retention import journal, orders
from tagwatch.retention.policy import run_policy
from tagwatch.retention.work import Actor
from tagwatch.session import SCHEMAS
from tagwatch.settings import Settings

_RAW_ONLY = "the raw log"
Tell = Callable[[str, int], None]


class Restored(NamedTuple):
    """What came of it: rows put back; orders of erasure done again; what was taken from the raw log; deliveries told anew."""

    n_rows: int
    n_orders: int
    recovered: Recovered
    n_told: int
    seconds: float


def restore(settings: Settings, folder: Path, tools: Path | None = None, tell: Tell = lambda what, n: None) -> Restored:
    """Put a backup back into the empty database of the settings, and bring it up to its raw log.

    InputError where the backup does not hold, or the raw log in place is another one; StoreError where the database is not
    empty, its server does not suit, or a service runs.
    """
    began_s = time.monotonic()
    manifest, faults = check(folder, tell)
    if faults:
        raise InputError("; ".join(faults[:5]), place=str(folder), expected="a backup as its manifest says")
    raw = settings.raw_log.folder
    name = f"{folder.resolve().name} {manifest.raw_chain[:12]}"
    with database.connect(settings.database.url) as connection:
        way = _begun(connection, name)
        _require_suits(connection, manifest)
        if is_part(raw, manifest):
            put_back(
                folder, [one for one in manifest.files if one.startswith(f"{RAW}/")], raw, lambda n: tell("raw log", n)
            )
        else:
            require_continuation(raw, manifest)
        if way is None:
            _note(connection, name, 0)
            _load(connection, settings.database.url, folder, manifest, tools, tell)
        if not way:
            _end_loading(settings.database.url, manifest)
            _require_same(connection, manifest, tell)
    if not way:
        database.migrate(settings.database.url, SCHEMAS)
        _prepare(settings.database.url, name, parse_time(manifest.taken))
    taken_us = parse_time(manifest.taken)
    n_orders, recovered, n_told = _bring_up(settings, name, manifest.since_us, max(taken_us, way or 0), tell)
    n_rows = sum(table.n_rows for table in manifest.tables.values())
    return Restored(n_rows, n_orders, recovered, n_told, time.monotonic() - began_s)


def recover_all(settings: Settings, tell: Tell = lambda what, n: None) -> Restored:
    """Take everything from the raw log alone, into a database that has the schema and the configuration, but no fix."""
    began_s = time.monotonic()
    if not settings.raw_log.folder.is_dir() or not (days := day_files(settings.raw_log.folder)):
        raise InputError(
            "holds no raw log", place=str(settings.raw_log.folder), expected="the raw log of the lost database"
        )
    first_us = parse_time(days[0].name[4:14] + "T00:00:00Z")
    with database.connect(settings.database.url) as connection:
        database.require_schema(connection, SCHEMAS)
        way = _way(connection, _RAW_ONLY)
        with connection.transaction():
            row = connection.execute("SELECT EXISTS (SELECT FROM fix) OR EXISTS (SELECT FROM alert)").fetchone()
        if not way and row and row[0]:
            raise StoreError(
                f"database {shown(settings.database.url)} holds fixes: take a new one, with `tagwatch db init`"
            )
    if not way:
        _prepare(settings.database.url, _RAW_ONLY, first_us)
    n_orders, recovered, n_told = _bring_up(settings, _RAW_ONLY, first_us, way or first_us, tell)
    return Restored(0, n_orders, recovered, n_told, time.monotonic() - began_s)


def _bring_up(settings: Settings, name: str, since_us: int, as_of_us: int, tell: Tell) -> tuple[int, Recovered, int]:
    """What was erased since goes, what came since is taken, and what that changed is told once."""
    url = settings.database.url
    with RawLog(settings.raw_log.folder):
        pass  # no service runs; what a crash tore is cut off
    with database.connect(url) as connection:
        n_orders = _erase_again(connection, settings)
    with database.connect(url) as noting:
        found = recover(settings, since_us, as_of_us, lambda until_us: _note(noting, name, until_us), tell)
    with database.connect(url) as connection:
        with connection.transaction():
            n_told = alerts.restored.tell_once(connection)
        _clear(connection)
    return n_orders, found, n_told


def _erase_again(connection: Connection, settings: Settings) -> int:
    """Carry out the orders that this database has lost, and what its policy asks for; returns how many orders."""
    with connection.transaction():
        known = {row[0] for row in connection.execute("SELECT number FROM erasure")}
        lost = [one.order for one in journal.read(settings.raw_log.folder) if one.number not in known]
        for order in lost:
            orders.enter_again(connection, order)
    run_policy(connection, settings, system_clock(), Actor(operating_user(), "command"))
    return len(lost)


def _require_suits(connection: Connection, manifest: Manifest) -> None:
    """StoreError where the server, or this version, cannot take the backup."""
    ours = {path.stem for folder in SCHEMAS for path in folder.glob("*.sql")}
    if unknown := [name for name in manifest.migrations if name not in ours]:
        raise StoreError(f"the backup was made by a newer version of Tagwatch: {', '.join(unknown)} is not known here")
    server, made = connection.info.server_version // 10_000, int(manifest.postgresql.split(".")[0])
    if server < made:
        raise StoreError(f"the backup is of PostgreSQL {made}, this server is older: {server}")
    if manifest.timescaledb:
        with connection.transaction():
            row = connection.execute(
                "SELECT count(*), (SELECT string_agg(version, ', ') FROM pg_available_extension_versions"
                " WHERE name = 'timescaledb') FROM pg_available_extension_versions WHERE name = 'timescaledb' AND version = %s",
                [manifest.timescaledb],
            ).fetchone()
        if not row or not row[0]:
            there = row[1] if row and row[1] else "none"
            raise StoreError(f"the backup is of TimescaleDB {manifest.timescaledb}; this server offers {there}")


def _load(
    connection: Connection, url: str, folder: Path, manifest: Manifest, tools: Path | None, tell: Tell
) -> None:  # fmt: skip
    """Load the dump in one transaction: the database has all of it, or nothing."""
    pg_restore = tool("pg_restore", connection, tools)
    given = [
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        "--no-password",
        f"--dbname={_name(connection)}",
    ]
    began_s = time.monotonic()

    def load() -> None:
        run([pg_restore, *given, folder / DUMP], url, lambda: tell("seconds of loading", int(time.monotonic() - began_s)))

    if not manifest.timescaledb:
        load()
        return
    version = sql.Literal(manifest.timescaledb)
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS timescaledb VERSION {}").format(version))
        row = other.execute("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'").fetchone()
    if row and row[0] != manifest.timescaledb:  # images of TimescaleDB make the extension in every new database
        raise StoreError(
            f"database {_name(connection)} has TimescaleDB {row[0]}, the backup is of {manifest.timescaledb}: have an"
            " administrator do DROP EXTENSION timescaledb in it, then run the same command again"
        )
    with psycopg.connect(url, autocommit=True) as other:
        _tell_timescaledb(other, "timescaledb_pre_restore")
        load()


def _end_loading(url: str, manifest: Manifest) -> None:
    """Tell TimescaleDB that all is in place again; it may be told twice."""
    if manifest.timescaledb:
        with psycopg.connect(url, autocommit=True) as other:
            _tell_timescaledb(other, "timescaledb_post_restore")


def _tell_timescaledb(connection: Connection, function: str) -> None:
    """StoreError where this role may not: TimescaleDB lets a superuser alone fill its own tables."""
    try:
        connection.execute(sql.SQL("SELECT {}()").format(sql.Identifier(function)))
    except psycopg.errors.InsufficientPrivilege:
        role = sql.Identifier(connection.info.user).as_string(connection)
        raise StoreError(
            f"TimescaleDB is restored by a superuser alone: have an administrator do ALTER ROLE {role} SUPERUSER, run the same"
            f" command again, then ALTER ROLE {role} NOSUPERUSER"
        ) from None


def _require_same(connection: Connection, manifest: Manifest, tell: Tell) -> None:
    with connection.transaction():
        found = tables_of(connection, lambda n: tell("rows compared", n))
    if told := differences(manifest.tables, found):
        raise StoreError(f"the database is not what was backed up: {'; '.join(told[:5])}; drop it, and report this")


def _prepare(url: str, name: str, since_us: int) -> None:
    """Numbers go on far above those that may have been given since; the audit log tells of it."""
    with database.connect(url) as connection:
        timescale.switch_on(connection)
        with connection.transaction():
            alerts.restored.number_far_on(connection)
            entry = audit.Entry(operating_user(), "", "command", "restored", name, detail={"from": name})
            audit.write(connection, entry, system_clock())
        _note(connection, name, since_us)


# --- how far it is


def _begun(connection: Connection, name: str) -> int | None:
    """As of when a recovery that was cut off goes on, 0 where all is loaded; None where the database is empty."""
    way = _way(connection, name)
    with connection.transaction():
        empty = is_empty(connection)
    if not empty and way is None:
        raise StoreError(f"database {_name(connection)} is not empty: restore into a new one")
    return None if empty else way


def _way(connection: Connection, name: str) -> int | None:
    """Until when a restore of this name has come [us], 0 where it loads, None where none has begun. StoreError where another
    one has."""
    noted = database.restoring(connection)
    if not noted:
        return None
    other, _, until = noted.rpartition(" until ")
    if other != name:
        raise StoreError(f"a restore of {other} into this database was not finished: finish it, or take another database")
    return int(until)


def _note(connection: Connection, name: str, until_us: int) -> None:
    with connection.transaction():
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(RESTORING)))
        noted = sql.Literal(f"{name} until {until_us}")
        connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(RESTORING), noted))


def _clear(connection: Connection) -> None:
    with connection.transaction():
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {}").format(sql.Identifier(RESTORING)))


def _name(connection: Connection) -> str:
    return str(connection.info.dbname)
