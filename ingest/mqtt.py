"""The subscriber: messages of a persistent session, QoS 1, acknowledged by hand once they are durable elsewhere.

Back-pressure is the broker's: it sends no more than its inflight limit (at most 65,535, the number of packet
identifiers) before acknowledgements come, so the queue here is bounded by that and never drops.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from queue import Empty, SimpleQueue

import paho.mqtt.client as paho

from engine.times import Clock, system_clock
from ingest.message import Message
from ingest.mqtt_link import Link


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
        self._queue: SimpleQueue[Message] = SimpleQueue()
        self._clock = clock
        self._link = Link(url, client_id, protocol, persistent=True, topics=topics, cafile=cafile, on_message=self._arrived)

    @property
    def connected(self) -> bool:
        """Whether the broker is there now."""
        return self._link.connected

    @property
    def protocol(self) -> str:
        """The protocol in use: 3.1.1 or 5."""
        return self._link.protocol

    @property
    def waiting(self) -> int:
        """How many messages have arrived that nobody has taken yet."""
        return self._queue.qsize()

    def connect(self, timeout_s: float = 30.0) -> None:
        """Return once connected and subscribing; UnreachableError names host, port and the time waited."""
        self._link.connect(timeout_s)

    def take(self, most: int, wait_s: float) -> list[Message]:
        """Wait up to `wait_s` for the first message, then take what else is there, `most` in all; in order of arrival."""
        batch: list[Message] = []
        try:
            batch.append(self._queue.get(timeout=wait_s))
            while len(batch) < most:
                batch.append(self._queue.get_nowait())
        except Empty:
            pass
        return batch

    def acknowledge(self, messages: Iterable[Message]) -> int:
        """Acknowledge in this order; returns how many were. Those of an earlier connection are left out: their packet
        identifiers mean other messages now, and the broker sends them again."""
        link, sent = self._link, 0
        with link.lock:
            for message in messages:
                if message.qos and message.generation == link.generation:
                    link.client.ack(message.mid, message.qos)
                    sent += 1
        return sent

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> None:
        """Send a message; with QoS 1 it is kept through reconnects until the broker has it."""
        self._link.client.publish(topic, payload, qos)

    def close(self) -> None:
        """Leave; the session stays with the broker."""
        self._link.close()

    def _arrived(self, topic: str, message: paho.MQTTMessage, generation: int) -> None:
        self._queue.put(Message(self._clock(), topic, bytes(message.payload), message.mid, message.qos, generation))
