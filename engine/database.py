"""The database connection, the migrations of all rooms, and what the server can do."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg

from engine.errors import InputError, StoreError, UnreachableError

Connection = psycopg.Connection[tuple[Any, ...]]

OPTIONS = (
    "-c timezone=UTC -c synchronous_commit=on -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5"
    " -c tcp_keepalives_count=4 -c tcp_user_timeout=60000"
)
"""What is said to be stored is on the disk, whatever the server's settings; and the server ends a session whose client is
gone without a word, which would hold its locks for hours otherwise."""
NOTICED_S = 30
"""How long a server may be silent, in the middle of an answer or between two, until the connection counts as lost. Left to
itself the kernel waits a quarter of an hour for an acknowledgement, and hours where nothing is on its way."""
GIVEN: dict[str, Any] = {
    "options": OPTIONS, "prepare_threshold": None, "keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5,
    "keepalives_count": 4, "tcp_user_timeout": NOTICED_S * 1000,
}  # fmt: skip
"""What every connection is made with. No plan is kept on the server: TimescaleDB (2.29) may keep one from before a chunk got
rows beside its columns, and then these rows are missing from every answer of that plan."""
RESTORING = "tagwatch_restoring"
"""A schema without tables, there while a restore into this database is under way; its comment says how far that is. The owner
of the database may make it, where a setting of the database would ask for a superuser."""


def connect(url: str, wait_s: float = 30.0, name: str = "tagwatch") -> Connection:
    """A connection in UTC; UnreachableError, naming the server, when it cannot be had within `wait_s` seconds. InputError for
    what is no URL of PostgreSQL: it is not shown, as it may hold a password."""
    _check(url)
    give_up = time.monotonic() + wait_s
    while True:
        try:
            return psycopg.connect(url, connect_timeout=5, application_name=name, **GIVEN)
        except psycopg.OperationalError as fault:
            if time.monotonic() >= give_up:
                reason = str(fault).strip().splitlines()[0]
                raise UnreachableError(f"database {shown(url)} is not reachable after {wait_s:.0f} s: {reason}") from None
            time.sleep(min(1.0, max(0.0, give_up - time.monotonic())))


def connect_to_watch(url: str, name: str, options: str) -> Connection:
    """A connection for one who watches and must not wait: without transactions, tried once, lost after 3 s without an answer.
    `options` come after OPTIONS; psycopg.Error where it cannot be had."""
    given = {**GIVEN, "keepalives_idle": 5, "keepalives_interval": 1, "keepalives_count": 3, "tcp_user_timeout": 3000}
    given |= {"options": f"{OPTIONS} {options}", "application_name": f"tagwatch {name}", "connect_timeout": 2}
    return psycopg.connect(url, autocommit=True, **given)


def _check(url: str) -> None:
    try:
        fields = psycopg.conninfo.conninfo_to_dict(url)
        host, port = str(fields.get("host", "")), str(fields.get("port", ""))
        # of a password with a / or @ in it a part ends up as port or host; @ begins a socket that has no file
        is_one = not port.strip("0123456789,") and "@" not in host[1:]
    except psycopg.ProgrammingError:
        is_one = False
    if not is_one:
        expected = "postgresql://user:password@host:port/name; in a password % @ : / are percent-encoded"
        raise InputError(field="database.url", value="(not shown)", expected=expected) from None


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

    _check(url)
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
    names = _names_of(folders)
    with connection.transaction():
        row = connection.execute("SELECT to_regclass('_yoyo_migration')").fetchone()
        if row is None or row[0] is None:
            return names
        done = {r[0] for r in connection.execute("SELECT migration_id FROM _yoyo_migration")}
    return [name for name in names if name not in done]


def require_schema(connection: Connection, folders: Iterable[Path]) -> None:
    """StoreError where the schema of these rooms is not up to date, or of a newer version of this software."""
    folders = list(folders)
    missing = missing_migrations(connection, folders)
    if missing:
        raise StoreError(f"the database lacks {', '.join(missing)}: run `tagwatch db init`")
    with connection.transaction():
        done = {row[0] for row in connection.execute("SELECT migration_id FROM _yoyo_migration")}
    known = {*_names_of(folders)}
    rooms = {_room_of(name) for name in known}
    if unknown := sorted(name for name in done - known if _room_of(name) in rooms):
        raise StoreError(
            f"the database has had {', '.join(unknown)}, which this version does not know: it belongs to a newer version of"
            " Tagwatch; run that one, or restore the backup of before the upgrade"
        )


def require_restored(connection: Connection) -> None:
    """StoreError where a restore into this database has begun and not ended."""
    if restoring(connection):
        raise StoreError("a restore into this database was not finished: run `tagwatch restore` again, as it was begun")


def restoring(connection: Connection) -> str:
    """What `tagwatch restore` notes of its way in the database, empty where none is under way."""
    with connection.transaction():
        row = connection.execute("SELECT obj_description(to_regnamespace(%s), 'pg_namespace')", [RESTORING]).fetchone()
    return str(row[0] or "") if row else ""


def _names_of(folders: Iterable[Path]) -> list[str]:
    return sorted(p.stem for folder in folders for p in folder.glob("*.sql") if ".rollback" not in p.name)


def _room_of(name: str) -> str:
    """The room of a migration: `crime-match-0001-crimes` is of crime-match."""
    return re.split(r"-\d{4}-", name)[0]


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
