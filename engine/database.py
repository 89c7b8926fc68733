"""The database connection, the migrations of all rooms, and what the server can do."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg

from engine.errors import StoreError, UnreachableError

Connection = psycopg.Connection[tuple[Any, ...]]

OPTIONS = "-c timezone=UTC -c synchronous_commit=on"
"""What is said to be stored is on the disk, whatever the server's settings."""
GIVEN: dict[str, Any] = {"options": OPTIONS, "prepare_threshold": None}
"""What every connection is made with. No plan is kept on the server: TimescaleDB (2.29) may keep one from before a chunk got
rows beside its columns, and then these rows are missing from every answer of that plan."""


def connect(url: str, wait_s: float = 30.0) -> Connection:
    """A connection in UTC; UnreachableError, naming the server, when it cannot be had within `wait_s` seconds."""
    give_up = time.monotonic() + wait_s
    while True:
        try:
            return psycopg.connect(url, connect_timeout=5, application_name="tagwatch", **GIVEN)
        except psycopg.OperationalError as fault:
            if time.monotonic() >= give_up:
                reason = str(fault).strip().splitlines()[0]
                raise UnreachableError(f"database {shown(url)} is not reachable after {wait_s:.0f} s: {reason}") from None
            time.sleep(min(1.0, max(0.0, give_up - time.monotonic())))


def shown(url: str) -> str:
    """The URL without its password, for messages."""
    try:
        fields = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "(not a PostgreSQL URL)"
    return f"{fields.get('host', 'local socket')}:{fields.get('port', 5432)}/{fields.get('dbname', '')}"


def migrate(url: str, folders: Iterable[Path]) -> int:
    """Bring the schema up to date, and use TimescaleDB where the server has it; returns how many migrations were applied."""
    from yoyo import get_backend, read_migrations  # noqa: PLC0415 - slow to import, and only migrations need it

    from engine.timescale import switch_on  # noqa: PLC0415 - it needs connections, which are here

    backend = get_backend(_yoyo_url(url))
    try:
        migrations = read_migrations(*(str(folder) for folder in folders))
        with backend.lock():
            todo = backend.to_apply(migrations)
            backend.apply_migrations(todo)
    finally:
        backend.connection.close()
    with connect(url) as connection:
        switch_on(connection)
    return len(todo)


def missing_migrations(connection: Connection, folders: Iterable[Path]) -> list[str]:
    """Names of the migrations that this database has not had yet."""
    names = sorted(p.stem for folder in folders for p in folder.glob("*.sql") if ".rollback" not in p.name)
    with connection.transaction():
        row = connection.execute("SELECT to_regclass('_yoyo_migration')").fetchone()
        if row is None or row[0] is None:
            return names
        done = {r[0] for r in connection.execute("SELECT migration_id FROM _yoyo_migration")}
    return [name for name in names if name not in done]


def require_schema(connection: Connection, folders: Iterable[Path]) -> None:
    """StoreError where the schema is not up to date."""
    missing = missing_migrations(connection, folders)
    if missing:
        raise StoreError(f"the database lacks {', '.join(missing)}: run `tagwatch db init`")


def server(connection: Connection) -> dict[str, str]:
    """Versions of the server and of its timescaledb extension (empty where it is not in use)."""
    with connection.transaction():
        version = connection.execute("SHOW server_version").fetchone()
        extension = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'").fetchone()
    return {"postgresql": str(version[0]) if version else "", "timescaledb": str(extension[0]) if extension else ""}


def _yoyo_url(url: str) -> str:
    if "://" not in url:
        fields = psycopg.conninfo.conninfo_to_dict(url)
        raise StoreError(f"the database is told as a URL (postgresql://...), not as {' '.join(fields)}")
    return "postgresql+psycopg://" + url.split("://", 1)[1]
