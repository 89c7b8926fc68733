"""A full disk: that of the raw log, of the database's tables, of its write-ahead log, of the broker's store."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from benchmarks.faults.fault import Fault
from benchmarks.faults.small_disk import empty, fill, lacks_mount, mounted
from benchmarks.faults.stand import Stand
from benchmarks.victims import ServiceProcess

_FULL_S, _QUICK_S = 8.0, 4.0


class FullDisk(Fault):
    """Some folder of the stand on a disk of its own, which is full for a while."""

    folder_name: str
    size_mb: int

    def lacks(self) -> str:
        """See `Fault`."""
        return lacks_mount()

    @contextmanager
    def around(self, folder: Path) -> Iterator[None]:
        """See `Fault`."""
        with mounted(folder / self.folder_name, self.size_mb):
            yield


class FullRawLog(FullDisk):
    """The disk of the raw log."""

    name = "disk of the raw log full"
    how = "the raw log is on a tmpfs that is filled but for 2 blocks, in the midst of writing, and has room again 8 s later"
    peer = False  # it keeps no raw log
    folder_name, size_mb = "raw-log", 32

    def produce(self, stand: Stand) -> None:
        """See `Fault`: the last record that fits is cut off somewhere."""
        disk = stand.folder / self.folder_name
        fill(disk, 2 * 4096)
        stand.hold(_FULL_S, _QUICK_S)
        empty(disk)

    def check(self, stand: Stand) -> None:
        """It said so, and did not die."""
        assert isinstance(stand.service, ServiceProcess)
        assert "No space left on device" in stand.service.log, "the service did not say that the disk is full"
        assert "Traceback" not in stand.service.log, "a traceback in the service's log"
        assert stand.service.n_lives == 1, "the service had to be started again"


class FullTables(FullDisk):
    """The disk of the database's tables; its write-ahead log is elsewhere."""

    name = "disk of the database full"
    how = "the tables are on a tmpfs that is filled (the write-ahead log elsewhere), and has room again 8 s later"
    folder_name, size_mb = "postgres", 256

    def prepare(self, stand: Stand) -> None:
        """See `Fault`: the write-ahead log moves to another disk."""
        _move_wal(stand, stand.folder / "wal")

    def produce(self, stand: Stand) -> None:
        """See `Fault`. Free space within tables would last for long: what is sent meanwhile is much."""
        disk = stand.folder / self.folder_name
        fill(disk)
        stand.hold(_FULL_S, _QUICK_S)
        empty(disk)


class FullWal(FullDisk):
    """The disk of the write-ahead log: PostgreSQL panics, and does not come up until there is room."""

    name = "disk of the write-ahead log full"
    how = "the WAL is on a tmpfs that is filled and then written full: PostgreSQL panics; room 8 s later, and a start"
    folder_name, size_mb = "wal-disk", 192

    def prepare(self, stand: Stand) -> None:
        """See `Fault`."""
        _move_wal(stand, stand.folder / self.folder_name / "wal")

    def produce(self, stand: Stand) -> None:
        """See `Fault`: what keeps servers running starts it again, as systemd does."""
        disk = stand.folder / self.folder_name
        fill(disk)
        until = time.monotonic() + 30.0
        with suppress(psycopg.Error), psycopg.connect(stand.url, autocommit=True) as connection:
            while time.monotonic() < until:
                connection.execute("SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000))")
        assert time.monotonic() < until, "the write-ahead log did not run full"
        stand.hold(_FULL_S, _QUICK_S)
        empty(disk)
        stand.database.kill()
        stand.start(stand.database)


class FullBroker(FullDisk):
    """The disk of the broker's store: what it holds cannot be saved, and is lost when it ends."""

    name = "disk of the broker full"
    how = "Mosquitto's store is on a tmpfs that is full when it saves (SIGUSR1); killed, room and a start 8 s later"
    folder_name, size_mb = "broker", 8

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        disk = stand.folder / self.folder_name
        fill(disk)
        if stand.broker.pid:
            subprocess.run(["kill", f"-{int(signal.SIGUSR1)}", str(stand.broker.pid)], check=True)
        stand.hold(_FULL_S, _QUICK_S)
        stand.broker.kill()
        empty(disk)
        stand.start(stand.broker)


def _move_wal(stand: Stand, to: Path) -> None:
    """The write-ahead log to another place, while the server is down."""
    stand.database.stop()
    wal = stand.folder / "postgres" / "pg_wal"
    owner = wal.stat()
    shutil.copytree(wal, to)
    for path in (to.parent, to, *to.rglob("*")):
        if path != stand.folder:
            shutil.chown(path, owner.st_uid, owner.st_gid)
    shutil.rmtree(wal)
    wal.symlink_to(to)
    stand.start(stand.database)


FAULTS: list[Fault] = [FullRawLog(), FullTables(), FullWal(), FullBroker()]
