"""What Mosquitto's defaults lose, and that with the deployed configuration nothing is: one load, counted through the service.

The tags speak QoS 1 and every message is acknowledged by the broker; `naive` tags then forget it, ours wait for `stored`.
"""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import paho.mqtt.publish as paho_publish
import psycopg
import pytest

from benchmarks.crash_checks import every_fix_once
from engine.fixes import SOURCES, Fixes
from ingest.broker_url import parse_url
from ingest.mqtt import Subscriber
from ingest.payload_text import fix_texts
from tagwatch.publish import Published, publish
from tagwatch.service import TOPICS, Service
from tagwatch.settings import Settings
from tests.integration.conftest import PATIENCE_S, Mosquitto, connect_and_subscribe, until

pytestmark = [pytest.mark.mosquitto]
if shutil.which("mosquitto", path="/usr/bin:/usr/sbin:/usr/local/sbin") is None:
    pytest.skip("the mosquitto binary is not on this machine", allow_module_level=True)

N = 3_000
START_S = 1_774_747_800
DEPLOYED = Path(__file__).resolve().parents[2] / "deploy/mosquitto/mosquitto.conf"
KEPT = (
    "persistence ",
    "autosave_interval",
    "max_queued",
    "max_inflight",
    "max_packet",
    "message_size",
    "set_tcp",
    "max_keepalive",
)


class Broker(Mosquitto):
    """Mosquitto's defaults, or what the deployed configuration says of queues, with other lines behind; without TLS."""

    def __init__(self, folder: Path, *, deployed: bool, more: str = "") -> None:
        found = shutil.which("mosquitto", path="/usr/bin:/usr/sbin:/usr/local/sbin")
        assert found is not None
        super().__init__(found, folder)
        self._keeps = deployed  # by default there is no store on the disk
        lines = [line for line in DEPLOYED.read_text().splitlines() if line.startswith(KEPT)] if deployed else []
        listener = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous true",
            "user root",
            f"persistence_location {folder}/",
        ]
        self._config.write_text("\n".join([*lines, *listener, more, ""]))

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def save(self) -> None:
        assert self._process is not None
        before = self._saved()
        self._process.send_signal(signal.SIGUSR1)
        if self._keeps:
            until(lambda: self._saved() not in (None, before), "the broker's store on the disk")

    def _saved(self) -> tuple[int, int] | None:
        """Which file the store is, None where it is none yet: a new one takes the place of the old one."""
        store = self._config.with_name("mosquitto.db")
        return ((told := store.stat()).st_ino, told.st_mtime_ns) if store.exists() else None


@pytest.fixture
def fixes() -> Fixes:
    index = np.arange(N)
    time_s = START_S + index // 10 * 60
    return Fixes.of([f"t{k}" for k in range(10)], device=index % 10, time_us=time_s * 1_000_000, lat_e7=530_000_000 + index,
                    lon_e7=-index, accuracy_cm=np.full(N, 800), source=np.full(N, SOURCES["gps"]), received_s=time_s + 2)  # fmt: skip


@pytest.fixture
def made(tmp_path: Path, url: str) -> Iterator[Callable[..., Broker]]:
    """Makes brokers, over an empty database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE fix, device_event, device, quarantine CASCADE")
    brokers: list[Broker] = []

    def make(*, deployed: bool, more: str = "") -> Broker:
        broker = Broker(tmp_path, deployed=deployed, more=more)
        broker.start()
        brokers.append(broker)
        return broker

    yield make
    for broker in brokers:
        broker.stop()


def leave_a_session(broker: Broker) -> None:
    """As a service does that was here and is away now."""
    subscriber = Subscriber(broker.url, "tagwatch", TOPICS)
    connect_and_subscribe(subscriber)
    subscriber.close()


def send_naively(fixes: Fixes, broker: Broker) -> Published:
    told = publish(fixes, broker.url, await_stored=False)
    assert told.unacknowledged == 0  # the broker has taken responsibility for every one of them
    return told


@contextmanager
def service(broker: Broker, url: str, folder: Path, protocol: str = "auto") -> Iterator[Service]:
    settings = {
        "broker": {"url": broker.url, "protocol": protocol},
        "database": {"url": url},
        "raw_log": {"folder": folder / "raw-log"},
    }
    running = Service(Settings.model_validate(settings))
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        assert running.ready.wait(2 * PATIENCE_S)
        yield running
    finally:
        running.stopping.set()
        thread.join(PATIENCE_S)


def stored(url: str, expected: int) -> int:
    """How many fixes are in the database once as many have come as are expected, and then for two seconds no more."""
    n, since_s, end = -1, time.monotonic(), time.monotonic() + PATIENCE_S
    while time.monotonic() - since_s < 2.0 or (n < expected and time.monotonic() < end):
        with psycopg.connect(url) as connection:
            found = int(connection.execute("SELECT count(*) FROM fix").fetchone()[0])  # type: ignore[index]
        if found != n:
            n, since_s = found, time.monotonic()
        time.sleep(0.1)
    return n


@pytest.mark.parametrize("deployed", [False, True], ids=["defaults", "deployed"])
def test_while_the_service_is_away(
    made: Callable[..., Broker], url: str, tmp_path: Path, fixes: Fixes, deployed: bool
) -> None:
    broker = made(deployed=deployed)
    leave_a_session(broker)
    send_naively(fixes, broker)
    with service(broker, url, tmp_path):
        n = stored(url, N if deployed else 1_000)
    assert n == N if deployed else 1_000 <= n <= 1_020  # max_queued_messages, and what was in flight


@pytest.mark.parametrize("deployed", [False, True], ids=["defaults", "deployed"])
def test_a_kill_of_the_broker_between_saves_loses_what_it_acknowledged(
    made: Callable[..., Broker], url: str, tmp_path: Path, fixes: Fixes, deployed: bool
) -> None:
    """Tags that forget what the broker has acknowledged lose it, with any configuration: what was saved is all there is."""
    broker = made(deployed=deployed)
    leave_a_session(broker)
    early, late = fixes.take(np.arange(500)), fixes.take(np.arange(500, 900))
    send_naively(early, broker)
    broker.save()
    send_naively(late, broker)
    broker.kill()
    broker.start()
    with service(broker, url, tmp_path):
        n = stored(url, 500 if deployed else 0)
    assert n == (500 if deployed else 0)


def test_nothing_is_lost_where_tags_wait_for_stored(
    made: Callable[..., Broker], url: str, tmp_path: Path, fixes: Fixes
) -> None:
    """The same kill, with tags that keep their backlog: first while the service is away, then while it works."""
    broker = made(deployed=True)
    leave_a_session(broker)
    told: list[Published] = []
    tags = threading.Thread(
        target=lambda: told.append(publish(fixes, broker.url, rate=1_000, resend_s=1.0, wait_s=2 * PATIENCE_S)), daemon=True
    )
    tags.start()
    time.sleep(1.0)
    broker.kill()  # all that was queued is gone
    broker.start()
    with service(broker, url, tmp_path):
        time.sleep(0.7)
        broker.kill()
        broker.start()
        tags.join(4 * PATIENCE_S)
    assert told
    assert (told[0].unstored, told[0].unacknowledged) == (0, 0)
    assert told[0].resent > 0
    every_fix_once(url, fixes, [])


def test_a_full_queue_drops_and_the_tags_send_it_again(
    made: Callable[..., Broker], url: str, tmp_path: Path, fixes: Fixes
) -> None:
    """The bound in bytes, made small: the broker acknowledges and drops, `stored` does not come, and so nothing is lost."""
    broker = made(deployed=True)
    bounded = broker._config.read_text().replace("max_queued_bytes 1073741824", "max_queued_bytes 20000")
    assert "20000" in bounded
    broker.stop()
    broker._config.write_text(bounded)
    broker.start()
    leave_a_session(broker)
    told: list[Published] = []
    n_sent: list[int] = []
    tags = threading.Thread(
        target=lambda: told.append(
            publish(fixes, broker.url, resend_s=1.0, wait_s=2 * PATIENCE_S, on_progress=n_sent.append)
        ),
        daemon=True,
    )
    tags.start()
    until(lambda: n_sent and n_sent[-1] >= N, "everything is sent once")
    with service(broker, url, tmp_path):
        tags.join(4 * PATIENCE_S)
    assert told
    assert told[0].unstored == 0
    assert told[0].resent > 1_000  # what the full queue dropped
    every_fix_once(url, fixes, [])


def test_a_retained_fix_that_comes_again_is_a_duplicate(
    made: Callable[..., Broker], url: str, tmp_path: Path, fixes: Fixes
) -> None:
    """By MQTT 3.1.1 the broker sends it at every subscription, and the service has it already."""
    broker, one = made(deployed=True), fixes.take(np.arange(1))
    address = parse_url(broker.url)
    message = {"topic": "tags/t0/fixes", "payload": next(iter(fix_texts(one))), "qos": 1, "retain": True}
    paho_publish.multiple([message], address.host, address.port)
    counts = []
    for _ in range(2):
        with service(broker, url, tmp_path, protocol="3.1.1") as running:
            until(lambda running=running: running.counts.messages, "the retained message")  # type: ignore[misc]
            counts.append((running.counts.messages, running.counts.duplicates))
    assert counts == [(1, 0), (1, 1)]
    every_fix_once(url, one, [])
