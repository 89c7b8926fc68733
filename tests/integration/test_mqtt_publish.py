"""Trails published over real brokers arrive whole, in order, and are kept until they are stored."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from engine.errors import InputError
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.times import system_clock
from ingest.message import Message
from ingest.mqtt import Subscriber
from ingest.payload import decode_batch
from tagwatch.publish import MOST_BYTES, Published, publish
from tests.integration.conftest import PATIENCE_S, connect_and_subscribe

START_S = 1774747800
BROKERS = [pytest.param("mosquitto", marks=pytest.mark.mosquitto), "embedded_broker"]


@pytest.fixture(params=BROKERS)
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


class Centre:
    """Stands for the service: stores what comes and says so, but for the first `n_lost` messages, which it forgets."""

    def __init__(self, url: str, n_lost: int = 0) -> None:
        self.messages: list[Message] = []
        self.stop = threading.Event()
        self._lost, self._held = n_lost, {}
        self._subscriber = Subscriber(url, "service", ["tags/+/fixes", "tags/+/events"], "3.1.1")
        connect_and_subscribe(self._subscriber)

    def run(self) -> None:
        while not self.stop.is_set():
            batch = self._subscriber.take(1000, 0.1)
            self._subscriber.acknowledge(batch)
            kept = batch[self._lost :]
            self._lost -= len(batch) - len(kept)
            self.messages += kept
            for device, seqs in decode_batch(kept).seqs.items():
                self._store(device, seqs)
        self._subscriber.close()

    def _store(self, device: str, seqs: list[int]) -> None:
        held, complete = self._held.setdefault(device, (set(), [0]))
        held.update(seqs)
        while complete[0] + 1 in held:
            complete[0] += 1
        self._subscriber.publish(f"tags/{device}/stored", b'{"seq": %d}' % complete[0])


@contextmanager
def centre(url: str, n_lost: int = 0) -> Iterator[Centre]:
    running = Centre(url, n_lost)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        yield running
    finally:
        running.stop.set()
        thread.join(PATIENCE_S)


def trail(n: int, n_devices: int = 5) -> Fixes:
    time_s = START_S + np.arange(n) // n_devices * 60
    late = np.where(np.arange(n) % 11 == 3, 7200, 0)  # some are uploaded two hours later
    return Fixes.of([f"t{i}" for i in range(n_devices)], device=np.arange(n) % n_devices, time_us=time_s * 1_000_000 + 5000,
                    lat_e7=530_000_000 + np.arange(n), lon_e7=-np.arange(n), accuracy_cm=np.full(n, 550),
                    source=np.ones(n), received_s=time_s + 2 + late)  # fmt: skip


def arrived(running: Centre, fixes: Fixes) -> None:
    """All fixes have come, exactly, and those of a device in the order of their arrival."""
    out = decode_batch(running.messages).fixes
    order = np.argsort(fixes.received_s, kind="stable")
    for code, name in enumerate(fixes.devices):
        sent = fixes.take(order[fixes.device[order] == code])
        came = out.take(out.device == out.devices.index(name))
        for column in ("time_us", "lat_e7", "lon_e7", "accuracy_cm", "source", "speed_cms"):
            assert came.column(column).tolist() == sent.column(column).tolist()


@pytest.mark.parametrize("batch", [1, 20])
def test_everything_arrives_and_is_stored(url: str, batch: int) -> None:
    fixes = trail(1500)
    events = [
        DeviceEvent("t1", (START_S + 90) * 1_000_000, "battery", "15"),
        DeviceEvent("t9", START_S * 1_000_000, "strap_tamper"),
    ]
    with centre(url) as running:
        result = publish(fixes, url, batch=batch, events=events, clock=system_clock, wait_s=PATIENCE_S)
    arrived(running, fixes)
    assert result._replace(seconds=0, messages=0) == Published(0, 1500, 2, 0, 0, [], 0, 0)
    assert (result.messages == 1502) == (batch == 1)
    out = decode_batch(running.messages)
    assert {(event.device, event.kind, event.value) for event in out.events} == {
        ("t1", "battery", "15"),
        ("t9", "strap_tamper", ""),
    }
    assert sorted(out.seqs["t1"]) == list(range(1, 302))
    assert not out.quarantined


def test_seq_counts_in_the_order_of_the_tags_own_time(embedded_broker: str) -> None:
    fixes = trail(300)
    with centre(embedded_broker) as running:
        publish(fixes, embedded_broker, wait_s=PATIENCE_S)
    times: dict[int, int] = {}
    for message in running.messages:
        if message.topic == "tags/t2/fixes":
            out = decode_batch([message])
            times[out.seqs["t2"][0]] = int(out.fixes.time_us[0])
    assert [times[seq] for seq in sorted(times)] == sorted(times.values())


def test_what_is_not_stored_is_sent_again(embedded_broker: str) -> None:
    fixes = trail(200)
    with centre(embedded_broker, n_lost=40) as running:
        result = publish(fixes, embedded_broker, resend_s=0.5, wait_s=PATIENCE_S)
    assert (result.unstored, result.devices) == (0, [])
    assert result.resent >= 40
    assert {int(n) for n in decode_batch(running.messages).fixes.lat_e7} == set(fixes.lat_e7.tolist())


def test_without_a_centre_it_says_what_is_not_stored(embedded_broker: str) -> None:
    result = publish(trail(50), embedded_broker, resend_s=0.4, wait_s=4.0)
    assert (result.messages, result.unstored, result.devices) == (50, 50, ["t0", "t1", "t2", "t3", "t4"])
    assert result.resent >= 50
    assert publish(trail(50), embedded_broker, await_stored=False).unstored == 0


def test_a_batch_is_cut_to_what_brokers_take(embedded_broker: str) -> None:
    fixes = trail(900, n_devices=1)
    with centre(embedded_broker) as running:
        result = publish(fixes, embedded_broker, batch=900, wait_s=PATIENCE_S)
    arrived(running, fixes)
    assert result.unacknowledged == 0
    assert max(len(message.payload) for message in running.messages) <= MOST_BYTES


class Ticking:
    """A clock that goes on by so many milliseconds whenever somebody looks at it, however long that took."""

    def __init__(self, step_ms: int) -> None:
        self._now_us, self._step_us = START_S * 1_000_000, step_ms * 1_000

    def __call__(self) -> int:
        self._now_us += self._step_us
        return self._now_us


def test_rate_and_speedup(embedded_broker: str) -> None:
    paced = publish(trail(50), embedded_broker, rate=100, await_stored=False, clock=Ticking(5))
    assert paced.seconds == pytest.approx(0.5, abs=0.3)
    spread = trail(12)
    span_s = int(spread.received_s.max() - spread.received_s.min())
    paced = publish(spread, embedded_broker, speedup=span_s, await_stored=False, clock=Ticking(50))
    assert paced.seconds == pytest.approx(1.0, abs=0.4)
    for wrong in ({"rate": 0}, {"batch": 0}, {"speedup": -1}, {"rate": 1, "speedup": 1}):
        with pytest.raises(InputError):
            publish(spread, embedded_broker, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="device is 'jane/phone'"):
        publish(Fixes.empty(), embedded_broker, events=[DeviceEvent("jane/phone", START_S * 1_000_000, "motion")])


@pytest.mark.mosquitto
def test_a_broker_that_restarts_meanwhile(mosquitto_broker) -> None:  # type: ignore[no-untyped-def]
    fixes = trail(600)
    with centre(mosquitto_broker.url) as running:
        restart = threading.Timer(0.6, lambda: (mosquitto_broker.stop(), mosquitto_broker.start()))
        restart.start()
        result = publish(fixes, mosquitto_broker.url, rate=400, resend_s=4, wait_s=PATIENCE_S)
        restart.join()
    assert result.unstored == 0
    assert {int(n) for n in decode_batch(running.messages).fixes.lat_e7} == set(fixes.lat_e7.tolist())
