"""A broker that misbehaves: the subscriber leaves it, comes back with growing pauses, and keeps within its memory."""

from __future__ import annotations

import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import ingest.mqtt
import ingest.mqtt_stream
from ingest import mqtt_wire as wire
from ingest.mqtt import Subscriber
from tests.integration.conftest import PATIENCE_S

CONNACK_3, SUBACK_3 = b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x01"
GOOD = wire.publish("3.1.1", "tags/t1/fixes", b"good", 7)


class Hostile:
    """Listens on a port and treats every connection by `manner(connection, number)`; remembers when each came."""

    def __init__(self, manner: Callable[[socket.socket, int], None]) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"mqtt://127.0.0.1:{self._server.getsockname()[1]}"
        self.came_s: list[float] = []
        self._manner = manner
        self._open: list[socket.socket] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.came_s.append(time.monotonic())
            self._open.append(connection)
            threading.Thread(target=self._treat, args=(connection, len(self.came_s)), daemon=True).start()

    def _treat(self, connection: socket.socket, number: int) -> None:
        try:
            connection.recv(65_536)  # CONNECT
            self._manner(connection, number)
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        finally:
            connection.close()

    def close(self) -> None:
        self._server.close()
        for connection in self._open:
            connection.close()


@contextmanager
def hostile(manner: Callable[[socket.socket, int], None]) -> Iterator[Hostile]:
    server = Hostile(manner)
    try:
        yield server
    finally:
        server.close()


def subscribed(connection: socket.socket) -> None:
    connection.sendall(CONNACK_3)
    connection.recv(65_536)  # SUBSCRIBE
    connection.sendall(SUBACK_3)


def stay(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def rubbish(packet: bytes, *, before: bool = False) -> Callable[[socket.socket, int], None]:
    """Sends this, before or after the subscription; from the third connection on it behaves."""

    def manner(connection: socket.socket, number: int) -> None:
        if number > 2:
            subscribed(connection)
            connection.sendall(GOOD)
            stay(connection)
        elif before:
            connection.sendall(packet)
        else:
            subscribed(connection)
            connection.sendall(packet)
            stay(connection)

    return manner


WRONG = {
    "random bytes": (bytes(range(255, 0, -1)) * 40, False),
    "garbage instead of an answer": (b"HTTP/1.1 200 OK\r\n\r\n", True),
    "an answer twice": (CONNACK_3, False),
    "an endless answer": (CONNACK_3 * 10_000, True),
    "a length without an end": (b"\x30\xff\xff\xff\xff\xff", False),
    "a packet of 256 MB": (b"\x32\xff\xff\xff\x7f", False),
    "a message without an identifier": (b"\x32\x05\x00\x01a\x00\x00", False),
    "a topic longer than its packet": (b"\x32\x05\xff\xffa\x00\x01", False),
    "a message of QoS 3": (b"\x36\x05\x00\x01a\x00\x01", False),
    "an answer that says nothing": (b"\x20\x00", True),
    "a subscription that is refused": (b"\x90\x03\x00\x01\x80", False),
}


@pytest.mark.parametrize(("packet", "before"), WRONG.values(), ids=WRONG)
def test_it_leaves_who_breaks_the_rules_and_comes_back_slower(
    packet: bytes, before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest.mqtt_stream, "_BACK_OFF_S", (0.1, 1.0))
    with hostile(rubbish(packet, before=before)) as server:
        subscriber = Subscriber(server.url, "tagwatch", ["tags/+/fixes"], "3.1.1")
        subscriber.connect(PATIENCE_S)
        got = []
        end = time.monotonic() + PATIENCE_S
        while not got and time.monotonic() < end:
            got = subscriber.take(10, 0.5)
        assert [message.payload for message in got] == [b"good"]
        assert subscriber.acknowledge(got) == 1
        assert "rules of MQTT" in subscriber.reason or "closed" in subscriber.reason
        subscriber.close()
        pauses_s = [later - earlier for earlier, later in zip(server.came_s, server.came_s[1:], strict=False)]
        assert len(pauses_s) == 2
        assert pauses_s[0] >= 0.1
        assert pauses_s[1] >= 0.2


def test_identifiers_that_are_nobodys_do_no_harm() -> None:
    nobodys = b"".join(
        bytes([kind, 2]) + mid.to_bytes(2, "big") for kind in (0x40, 0x50, 0x62, 0x70, 0xB0) for mid in (0, 9, 65_535)
    )

    def manner(connection: socket.socket, number: int) -> None:
        subscribed(connection)
        connection.sendall(nobodys + b"\xd0\x00" + b"\x40\x00" + GOOD + GOOD)
        stay(connection)

    with hostile(manner) as server:
        subscriber = Subscriber(server.url, "tagwatch", ["tags/+/fixes"], "3.1.1")
        subscriber.connect(PATIENCE_S)
        got = subscriber.take(2, PATIENCE_S) + subscriber.take(1, 0.5)
        assert [message.payload for message in got] == [b"good", b"good"]
        assert subscriber.connected
        subscriber.close()
        assert len(server.came_s) == 1


def test_a_broker_without_measure_is_not_read_beyond_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """It floods with messages that nobody takes, against the number it was told: the rest waits with it."""
    monkeypatch.setattr(ingest.mqtt, "MOST_WAITING_BYTES", 1 << 22)
    flood = b"".join(wire.publish("3.1.1", "tags/t1/fixes", b"x" * 1_000, mid) for mid in range(1, 1_001))
    sent = [0]

    def manner(connection: socket.socket, number: int) -> None:
        subscribed(connection)
        for _ in range(200):
            connection.sendall(flood)
            sent[0] += 1_000
        stay(connection)

    with hostile(manner) as server:
        subscriber = Subscriber(server.url, "tagwatch", ["tags/+/fixes"], "3.1.1")
        tracemalloc.start()
        subscriber.connect(PATIENCE_S)
        waiting, end = -1, time.monotonic() + PATIENCE_S
        while (waiting != subscriber.waiting or waiting <= 4_000) and time.monotonic() < end:
            waiting = subscriber.waiting
            time.sleep(0.5)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert 4_000 < subscriber.waiting < 8_000
        assert held < 24 << 20
        assert sent[0] < 40_000
        n = 0
        while part := subscriber.take(4_096, PATIENCE_S):  # with a taker all of it comes
            n += len(part)
            if n >= 200_000:
                break
        assert n == 200_000
        assert subscriber.connected
        subscriber.close()
        assert len(server.came_s) == 1


def test_a_broker_that_takes_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest.mqtt_stream, "_MOST_UNSENT", 1 << 20)
    over = threading.Event()

    def manner(connection: socket.socket, number: int) -> None:
        subscribed(connection)
        over.wait(2 * PATIENCE_S)

    with hostile(manner) as server:
        subscriber = Subscriber(server.url, "tagwatch", ["tags/+/fixes"], "3.1.1")
        subscriber.connect(PATIENCE_S)
        end = time.monotonic() + PATIENCE_S
        while len(server.came_s) < 2 and time.monotonic() < end:
            subscriber.publish("tags/t1/stored", b"x" * 100_000)
            time.sleep(0.01)
        assert len(server.came_s) >= 2
        assert "takes nothing" in subscriber.reason
        over.set()
        subscriber.close()


def test_a_packet_byte_by_byte_is_kept_in_little_memory() -> None:
    reader = wire.Reader("3.1.1", 0)
    packet = wire.publish("3.1.1", "tags/t1/fixes", b"y" * 200_000, 1)
    tracemalloc.start()
    messages = []
    for k in range(len(packet)):
        messages += reader.read(packet[k : k + 1], 0)[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(messages) == 1
    assert len(messages[0].payload) == 200_000
    assert peak < 4 << 20
