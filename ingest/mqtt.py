"""The subscriber: messages of a persistent session, QoS 1, acknowledged by hand once they are durable elsewhere.

Back-pressure is the broker's: it sends no more than its inflight limit (at most 65,535, the number of packet
identifiers) before acknowledgements come. Whatever it sends, no more is read than the queue has room for; nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue

from engine.times import Clock, system_clock
from ingest.broker_trust import Trust
from ingest.message import Message
from ingest.mqtt_stream import Stream
from ingest.turns import Turns

MOST_WAITING, MOST_WAITING_BYTES = 131_072, 1 << 28
"""What may wait here to be taken; the rest waits with the broker."""


class Subscriber:
    """A persistent session on a broker. Unacknowledged messages come again after every reconnect or restart."""

    def __init__(
        self,
        url: str,
        client_id: str,
        topics: Sequence[str],
        protocol: str = "auto",
        *,
        trust: Trust = Trust(),
        clock: Clock = system_clock,
        may_connect: Callable[[], bool] = lambda: True,
    ) -> None:
        """`protocol` is 3.1.1, 5, or auto (5 where the broker takes it); `may_connect`: see `Stream`. Raises InputError for a
        wrong address."""
        self._queue: SimpleQueue[list[Message]] = SimpleQueue()  # what one read of the network brought
        self._turns = Turns()
        self._n_arrived = self._n_taken = self._bytes_arrived = self._bytes_taken = 0  # each is written by one thread only
        self._stream = Stream(
            url, client_id, topics, protocol, trust, clock, self._arrived, self._has_room, may_connect=may_connect
        )

    @property
    def connected(self) -> bool:
        """Whether the broker is there now."""
        return self._stream.connected

    @property
    def protocol(self) -> str:
        """The protocol in use: 3.1.1 or 5."""
        return self._stream.protocol

    @property
    def reason(self) -> str:
        """Why there is, or last was, no connection."""
        return self._stream.reason

    @property
    def waiting(self) -> int:
        """How many messages have arrived that nobody has taken yet."""
        return self._n_arrived - self._n_taken

    def connect(self, timeout_s: float = 30.0) -> None:
        """Return once connected and subscribing; UnreachableError names host, port and the time waited."""
        self._stream.connect(timeout_s)

    def take(self, most: int, wait_s: float) -> list[Message]:
        """Wait up to `wait_s` for the first message, then take what else is there, `most` in all, in order of arrival; of
        more than one transaction should hold, of each topic its share (see `ingest.turns`)."""
        try:
            if not self._turns:
                self._turns.put(self._queue.get(timeout=wait_s))
            while True:
                self._turns.put(self._queue.get_nowait())
        except Empty:
            pass
        batch = self._turns.take(most)
        had_room = self._has_room()
        self._n_taken += len(batch)
        self._bytes_taken += _n_bytes(batch)
        if not had_room and self._has_room():
            self._stream.wake()
        return batch

    def acknowledge(self, messages: Iterable[Message]) -> int:
        """Acknowledge in order of arrival; returns how many were, with those that had waited for others. Those of an earlier
        connection are left out: their packet identifiers mean other messages now, and the broker sends them again."""
        return self._stream.acknowledge(self._turns.acknowledged(messages))

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> None:
        """Send a message; with QoS 1 it is kept through reconnects until the broker has it."""
        self._stream.publish([(topic, payload)], qos)

    def publish_all(self, notices: Iterable[tuple[str, bytes]], qos: int = 0) -> None:
        """Send many messages, (topic, payload) each, at once."""
        self._stream.publish(notices, qos)

    def close(self) -> None:
        """Leave; the session stays with the broker."""
        self._stream.close()

    def _arrived(self, messages: list[Message], _n_bytes_read: int) -> None:
        self._n_arrived += len(messages)
        self._bytes_arrived += _n_bytes(messages)
        self._queue.put(messages)

    def _has_room(self) -> bool:
        is_short = self._n_arrived - self._n_taken < MOST_WAITING
        return is_short and self._bytes_arrived - self._bytes_taken < MOST_WAITING_BYTES


def _n_bytes(messages: list[Message]) -> int:
    return sum(len(message.payload) for message in messages)
