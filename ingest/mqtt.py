"""The subscriber: messages of a persistent session, QoS 1, acknowledged by hand once they are durable elsewhere.

Back-pressure is the broker's: it sends no more than its inflight limit (at most 65,535, the number of packet
identifiers) before acknowledgements come, so the queue here is bounded by that and never drops.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from queue import Empty, SimpleQueue

from engine.times import Clock, system_clock
from ingest.message import Message
from ingest.mqtt_stream import Stream


class Subscriber:
    """A persistent session on a broker. Unacknowledged messages come again after every reconnect or restart."""

    def __init__(
        self,
        url: str,
        client_id: str,
        topics: Sequence[str],
        protocol: str = "auto",
        *,
        cafile: str | None = None,
        clock: Clock = system_clock,
    ) -> None:
        """`protocol` is 3.1.1, 5, or auto (5 where the broker takes it). Raises InputError for a wrong address."""
        self._queue: SimpleQueue[list[Message]] = SimpleQueue()  # what one read of the network brought
        self._rest: list[Message] = []
        self._n_arrived = self._n_taken = 0  # each is written by one thread only
        self._stream = Stream(url, client_id, topics, protocol, cafile, clock, self._arrived)

    @property
    def connected(self) -> bool:
        """Whether the broker is there now."""
        return self._stream.connected

    @property
    def protocol(self) -> str:
        """The protocol in use: 3.1.1 or 5."""
        return self._stream.protocol

    @property
    def waiting(self) -> int:
        """How many messages have arrived that nobody has taken yet."""
        return self._n_arrived - self._n_taken

    def connect(self, timeout_s: float = 30.0) -> None:
        """Return once connected and subscribing; UnreachableError names host, port and the time waited."""
        self._stream.connect(timeout_s)

    def take(self, most: int, wait_s: float) -> list[Message]:
        """Wait up to `wait_s` for the first message, then take what else is there, `most` in all; in order of arrival."""
        batch, self._rest = self._rest, []
        try:
            if not batch:
                batch = self._queue.get(timeout=wait_s)
            while len(batch) < most:
                batch += self._queue.get_nowait()
        except Empty:
            pass
        batch, self._rest = batch[:most], batch[most:]
        self._n_taken += len(batch)
        return batch

    def acknowledge(self, messages: Iterable[Message]) -> int:
        """Acknowledge in this order; returns how many were. Those of an earlier connection are left out: their packet
        identifiers mean other messages now, and the broker sends them again."""
        return self._stream.acknowledge(messages)

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> None:
        """Send a message; with QoS 1 it is kept through reconnects until the broker has it."""
        self._stream.publish([(topic, payload)], qos)

    def publish_all(self, notices: Iterable[tuple[str, bytes]], qos: int = 0) -> None:
        """Send many messages, (topic, payload) each, at once."""
        self._stream.publish(notices, qos)

    def close(self) -> None:
        """Leave; the session stays with the broker."""
        self._stream.close()

    def _arrived(self, messages: list[Message]) -> None:
        self._n_arrived += len(messages)
        self._queue.put(messages)
