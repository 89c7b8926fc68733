"""A subscription on one broker that is kept: it connects, subscribes, and reconnects for ever with back-off.

One thread reads and writes (TLS wants that). It reads many messages at once and sends many acknowledgements at once: a
general client spends most of its time on a handful of system calls for each.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from engine.errors import InputError, UnreachableError
from engine.times import Clock
from ingest import mqtt_wire as wire
from ingest.broker_url import BrokerUrl, parse_url
from ingest.message import Message
from ingest.mqtt_link import trusting

PROTOCOLS = {"3.1.1": ("3.1.1",), "5": ("5",), "auto": ("5", "3.1.1")}
KEEPALIVE_S = 30.0
_BACK_OFF_S = (1.0, 30.0)
_OPEN_S = 5.0
_READ, _READS = 1 << 18, 4
_SUBSCRIBING = 1  # the packet identifier of our SUBSCRIBE


class Stream:
    """A persistent session; `on_messages` is called in the stream's thread with what one read brought.

    `generation` counts connections: a packet identifier means something within one connection only.
    """

    def __init__(
        self, url: str, client_id: str, topics: Sequence[str], protocol: str, cafile: str | None, clock: Clock,
        on_messages: Callable[[list[Message]], None],
    ) -> None:  # fmt: skip
        """Raises InputError for a wrong address, protocol or file of authorities; connects only with `connect`."""
        if protocol not in PROTOCOLS:
            raise InputError(field="protocol", value=protocol, expected=f"one of {', '.join(PROTOCOLS)}")
        self.url, self.generation = parse_url(url), 0
        self._tls = trusting(cafile) if self.url.tls else None
        self._client_id, self._topics = client_id, tuple(topics)
        self._clock, self._on_messages = clock, on_messages
        self._protocols = list(PROTOCOLS[protocol])
        self._lock = threading.Lock()  # over generation, _out, _unconfirmed, and the moments when _up changes
        self._out = bytearray()
        self._unconfirmed: dict[int, tuple[str, bytes]] = {}
        self._last_mid = _SUBSCRIBING
        self._up, self._stopping = threading.Event(), threading.Event()
        self._reason = "no answer"
        self._bell: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the connection that is open now."""
        return self._up.is_set()

    @property
    def protocol(self) -> str:
        """The protocol in use: 3.1.1 or 5."""
        return self._protocols[0]

    def connect(self, timeout_s: float) -> None:
        """Return once the broker has accepted; UnreachableError with host, port and the time waited where it does not."""
        self._bell, ear = socket.socketpair()
        self._bell.setblocking(False)
        ear.setblocking(False)
        self._thread = threading.Thread(target=self._run, args=(ear,), name="mqtt", daemon=True)
        self._thread.start()
        if not self._up.wait(timeout_s):
            self.close()
            raise UnreachableError(f"MQTT broker {self.url.name} is not reachable ({self._reason}); waited {timeout_s:g} s")

    def acknowledge(self, messages: Iterable[Message]) -> int:
        """Acknowledge those of the present connection, in order; returns how many they were."""
        with self._lock:
            mids = [m.mid for m in messages if m.qos and m.generation == self.generation and self._up.is_set()]
            self._out += wire.acknowledgements(mids)
        self._ring()
        return len(mids)

    def publish(self, notices: Iterable[tuple[str, bytes]], qos: int = 0) -> None:
        """Send messages, all at once; those with QoS 1 are kept through reconnects until the broker has them."""
        with self._lock:
            for topic, payload in notices:
                mid = self._keep(topic, payload) if qos else 0
                if self._up.is_set():
                    self._out += wire.publish(self.protocol, topic, payload, mid)
        self._ring()

    def close(self) -> None:
        """Send what is waiting, say good-bye and stop; the session stays with the broker."""
        self._stopping.set()
        self._ring()
        if self._thread is not None:
            self._thread.join(2 * _OPEN_S)
        if self._bell is not None:
            self._bell.close()
        self._up.clear()

    def _keep(self, topic: str, payload: bytes) -> int:
        while self._last_mid == _SUBSCRIBING or self._last_mid in self._unconfirmed:
            self._last_mid = self._last_mid % 65_535 + 1
        self._unconfirmed[self._last_mid] = (topic, payload)
        return self._last_mid

    def _ring(self) -> None:
        if self._bell is not None:
            with suppress(OSError):  # it rings already, or nobody is there any more
                self._bell.send(b"!")

    def _run(self, ear: socket.socket) -> None:
        pause_s = _BACK_OFF_S[0]
        with ear:
            while not self._stopping.is_set():
                was_up = self._live(ear)
                pause_s = _BACK_OFF_S[0] if was_up else min(2 * pause_s, _BACK_OFF_S[1])
                self._stopping.wait(pause_s)

    def _live(self, ear: socket.socket) -> bool:
        """One connection from its beginning to its end; returns whether the broker had accepted it."""
        try:
            connection = _opened(self.url, self._tls)
        except OSError as error:
            self._reason = f"no connection: {error}"
            return False
        talk = _Talk(self.protocol, self.generation)
        try:
            with connection:
                self._converse(connection, ear, talk)
        except (OSError, wire.WireError) as error:
            if not talk.answered:
                self._reason = f"closed before it answered ({error})"
        with self._lock:  # what was to be said on this connection is not said on another
            was_up = self._up.is_set()
            self.generation += 1
            self._out.clear()
            self._up.clear()
        if not was_up and not self._stopping.is_set() and (talk.wrong_protocol or not talk.answered):
            return self._try_next_protocol(ear)
        return was_up

    def _try_next_protocol(self, ear: socket.socket) -> bool:
        if len(self._protocols) == 1:
            return False
        self._protocols.pop(0)
        return self._live(ear)

    def _converse(self, connection: socket.socket, ear: socket.socket, talk: _Talk) -> None:
        """Until the end of the connection, which is an OSError, or of us."""
        unsent = bytearray(wire.connect(self.protocol, self._client_id, int(KEEPALIVE_S), self.url.user, self.url.password))
        poll = select.poll()
        poll.register(ear, select.POLLIN)
        until_s: float | None = None
        while until_s is None or (unsent and time.monotonic() < until_s):
            if self._stopping.is_set() and until_s is None:
                unsent += self._outgoing() + (wire.GOOD_BYE if self._up.is_set() else b"")
                until_s = time.monotonic() + _OPEN_S
            poll.register(connection, select.POLLIN | (select.POLLOUT if unsent else 0))
            ready = dict(poll.poll(1000 if until_s is None else 50))
            if ear.fileno() in ready:
                _drain(ear)
            if ready.get(connection.fileno(), 0) & ~select.POLLOUT:
                self._take(_received(connection), talk)
            unsent += self._outgoing() + talk.pulse(time.monotonic())
            if unsent:
                del unsent[: _sent(connection, unsent)]
                talk.sent_s = time.monotonic()

    def _outgoing(self) -> bytes:
        with self._lock:
            out = bytes(self._out)
            self._out.clear()
        return out

    def _take(self, data: bytes, talk: _Talk) -> None:
        messages, packets = talk.reader.read(data, self._clock())
        talk.heard_s = time.monotonic()
        if messages:
            self._on_messages(messages)
        for kind, body in packets:
            if kind == wire.CONNACK:
                self._accept(wire.answer_of(self.protocol, body), talk)
            elif kind == wire.SUBACK and not any(wire.granted(self.protocol, body)):
                raise wire.WireError("the broker refuses the subscription")
            elif kind == wire.PUBACK:
                with self._lock:
                    self._unconfirmed.pop(int.from_bytes(body[:2], "big"), None)
            elif kind == wire.DISCONNECT:
                raise ConnectionError("the broker says good-bye")

    def _accept(self, answer: wire.Answer, talk: _Talk) -> None:
        talk.answered, talk.wrong_protocol = True, answer.wrong_protocol
        if answer.code:
            self._reason = f"refused: {answer.told}"
            raise ConnectionError(self._reason)
        talk.keepalive_s = answer.keepalive_s or talk.keepalive_s
        del self._protocols[1:]
        with self._lock:
            self._out += wire.subscribe(self.protocol, _SUBSCRIBING, self._topics) if self._topics else b""
            for mid, (topic, payload) in self._unconfirmed.items():
                self._out += wire.publish(self.protocol, topic, payload, mid, again=True)
            self._up.set()


class _Talk:
    """What is known of one connection: what was read, whether it was accepted, and when it was last alive."""

    def __init__(self, protocol: str, generation: int) -> None:
        self.reader = wire.Reader(protocol, generation)
        self.answered = self.wrong_protocol = False
        self.keepalive_s: float = KEEPALIVE_S
        self.sent_s = self.heard_s = time.monotonic()
        self._pinged_s: float | None = None

    def pulse(self, now_s: float) -> bytes:
        """A PING where nothing was said or heard for long; OSError where the last one had no answer."""
        if self._pinged_s is not None and self.heard_s >= self._pinged_s:
            self._pinged_s = None
        quiet_s = now_s - min(self.sent_s, self.heard_s)
        if quiet_s < self.keepalive_s / 2:
            return b""
        if self._pinged_s is None:
            self._pinged_s = now_s
            return wire.PING if self.answered else b""
        if now_s - self._pinged_s > self.keepalive_s:
            raise TimeoutError("no answer from the broker")
        return b""


def _opened(url: BrokerUrl, tls: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection((url.host, url.port), _OPEN_S)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            connection = tls.wrap_socket(connection, server_hostname=url.host)
        connection.setblocking(False)
    except OSError:
        connection.close()
        raise
    return connection


def _received(connection: socket.socket) -> bytes:
    """What is there to be read, up to a bound, with what TLS has decrypted already; ConnectionError at the end."""
    parts: list[bytes] = []
    try:
        while len(parts) < _READS:
            data = connection.recv(_READ)
            if not data:
                break
            parts.append(data)
            if len(data) < _READ and not isinstance(connection, ssl.SSLSocket):
                break
        while isinstance(connection, ssl.SSLSocket) and connection.pending():
            parts.append(connection.recv(_READ))
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return b"".join(parts)
    if not parts:
        raise ConnectionError("the broker closed the connection")
    return b"".join(parts)


def _sent(connection: socket.socket, data: bytearray) -> int:
    try:
        return connection.send(data)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return 0


def _drain(ear: socket.socket) -> None:
    with suppress(BlockingIOError):
        while ear.recv(4096):
            pass
