"""Making a backup: one snapshot of the database, then the raw log, which is ahead of it, then the manifest.

It is written into a folder whose name ends in `.partial`, which is given its own name when all is on the disk.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine import database
from engine.database import Connection
from engine.errors import InputError, StoreError
from engine.store.gate import one_instant
from engine.times import Clock, system_clock, to_iso
from ingest.raw_log import locked, sync_folder
from tagwatch.backup.content import migrations_of, tables_of
from tagwatch.backup.manifest import (
    DUMP,
    FORM,
    RAW,
    SETTINGS,
    Manifest,
    Stored,
    Table,
    read_manifest,
    stored,
    write_manifest,
    write_whole,
)
from tagwatch.backup.raw_copy import Copied, copy_log, unredacted
from tagwatch.backup.tools import ToolError, run, tool
from tagwatch.retention import orders
from tagwatch.session import SCHEMAS
from tagwatch.settings import Settings

PARTIAL = ".partial"
PREFIX = "tagwatch-"
Tell = Callable[[str, int], None]
"""Hears what is being done, and how many bytes or rows of it are."""
_WAIT_S = 60.0


class Made(NamedTuple):
    """A finished backup, and how long it took."""

    folder: Path
    manifest: Manifest
    seconds: float


class _Snapshot(NamedTuple):
    """What the database was at one instant."""

    taken_us: int
    server: dict[str, str]
    migrations: list[str]
    tables: dict[str, Table]


def make(
    settings: Settings, out: Path, tools: Path | None = None, tell: Tell = lambda what, n: None, clock: Clock = system_clock
) -> Made:  # fmt: skip
    """Back up database, raw log and settings (without secrets) into a new folder within `out`, while the service goes on.

    StoreError where another backup is written there, an erasure is under way, or a tool is missing or fails; InputError where
    `out` cannot be written. What was begun is taken away then; what a crash left is taken away by the next backup.
    """
    began_s = time.monotonic()
    try:
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(out, ".lock", "another backup is being written"):
            _clear(out)
            name = PREFIX + to_iso(clock())[:19].replace("-", "").replace(":", "") + "Z"
            if (out / name).exists():
                raise StoreError(f"{out / name} is there already: backups are named by the second")
            folder = out / (name + PARTIAL)
            try:
                manifest = _write(settings, folder, latest(out), tools, tell, clock)
                folder.rename(out / name)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            sync_folder(out)
    except OSError as fault:
        raise InputError(f"cannot be written: {fault.strerror or fault}", place=str(fault.filename or out)) from None
    return Made(out / name, manifest, time.monotonic() - began_s)


def finished(out: Path) -> list[Path]:
    """The finished backups within a folder, the oldest first."""
    return sorted(p for p in out.glob(PREFIX + "*") if p.is_dir() and not p.name.endswith(PARTIAL))


def latest(out: Path) -> tuple[Path, Manifest] | None:
    """The last finished backup within a folder that can be read."""
    for folder in reversed(finished(out)):
        try:
            return folder, read_manifest(folder)
        except InputError:
            continue
    return None


def _write(
    settings: Settings, folder: Path, before: tuple[Path, Manifest] | None, tools: Path | None, tell: Tell, clock: Clock
) -> Manifest:  # fmt: skip
    folder.mkdir(mode=0o700)
    with database.connect(settings.database.url) as connection:
        database.require_schema(connection, SCHEMAS)
        database.require_restored(connection)
        pg_dump = tool("pg_dump", connection, tools)
        with _no_erasure(connection):
            snapshot = _dump(connection, settings.database.url, pg_dump, folder / DUMP, tell, clock)
            with unredacted(settings.raw_log.folder):
                log = copy_log(settings.raw_log.folder, folder / RAW, before, lambda n: tell("raw log", n))
    write_whole(folder / SETTINGS, msgspec.json.encode(settings.without_secrets()) + b"\n")
    manifest = _manifest(folder, snapshot, log, clock())
    write_manifest(folder, manifest)
    return manifest


def _dump(connection: Connection, url: str, pg_dump: Path, path: Path, tell: Tell, clock: Clock) -> _Snapshot:
    """Dump the database as of one instant; no day is compressed meanwhile, and tables are summed up in the same snapshot."""
    with one_instant(connection, read_only=True):
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        taken_us = clock()
        path.touch(0o600)
        given = ["--format=custom", "--compress=1", "--no-password", f"--snapshot={row[0]}", f"--file={path}"]
        run([pg_dump, *given], url, lambda: tell("database", path.stat().st_size))
        tables = tables_of(connection, lambda n: tell("rows summed up", n))
        found = _Snapshot(taken_us, database.server(connection), migrations_of(connection), tables)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return found


def _manifest(folder: Path, snapshot: _Snapshot, log: Copied, now_us: int) -> Manifest:
    files: dict[str, Stored] = {name: stored(folder / name) for name in (DUMP, SETTINGS)} | log.files
    return Manifest(
        FORM, f"tagwatch {version('tagwatch')}", to_iso(snapshot.taken_us), to_iso(now_us),
        snapshot.server["postgresql"], snapshot.server["timescaledb"], snapshot.migrations, snapshot.tables,
        files, log.last_n, log.chain, log.received, log.n_linked,
    )  # fmt: skip


@contextmanager
def _no_erasure(connection: Connection) -> Iterator[None]:
    """Within this nobody erases: what is gone from the database is gone from the log's copy, and the other way round."""
    give_up = time.monotonic() + _WAIT_S
    while True:
        try:
            with orders.alone(connection):
                yield
            return
        except StoreError as fault:
            if isinstance(fault, ToolError) or time.monotonic() > give_up or "erasure" not in str(fault):
                raise
            time.sleep(0.5)


def _clear(out: Path) -> None:
    """Take away what a crash left: the lock says that nobody writes it."""
    for folder in out.glob(f"{PREFIX}*{PARTIAL}"):
        shutil.rmtree(folder)
