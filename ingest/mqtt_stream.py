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

import structlog

from engine.errors import InputError, UnreachableError
from engine.times import Clock
from ingest import mqtt_wire as wire
from ingest.broker_trust import Trust, explained
from ingest.broker_url import BrokerUrl, parse_url
from ingest.message import Message
from ingest.mqtt_talk import KEEPALIVE_S, Talk

PROTOCOLS = {"3.1.1": ("3.1.1",), "5": ("5",), "auto": ("5", "3.1.1")}
_BACK_OFF_S = (1.0, 30.0)
_OPEN_S = 5.0
_READ, _READS = 1 << 18, 4
_SUBSCRIBING = 1  # the packet identifier of our SUBSCRIBE
_MOST_UNSENT = 1 << 26  # bytes that a broker may let us keep which reads nothing

log = structlog.get_logger("tagwatch.broker")


class Stream:
    """A persistent session; `on_messages` is called in the stream's thread with what one read brought and its bytes.

    Nothing is read while `has_room` says no, so that a broker that sends without measure waits. `generation` counts
    connections: a packet identifier means something within one connection only.
    """

    def __init__(
        self, url: str, client_id: str, topics: Sequence[str], protocol: str, trust: Trust, clock: Clock,
        on_messages: Callable[[list[Message], int], None], has_room: Callable[[], bool] = lambda: True, *,
        may_connect: Callable[[], bool] = lambda: True, keepalive_s: float = KEEPALIVE_S, most_pause_s: float | None = None,
    ) -> None:  # fmt: skip
        """Raises InputError for a wrong address, protocol, or file of TLS; connects only with `connect` or `start`.

        It does not connect while `may_connect` says no: who connects under a client id ends the connection of whoever had it.
        """
        if protocol not in PROTOCOLS:
            raise InputError(field="protocol", value=protocol, expected=f"one of {', '.join(PROTOCOLS)}")
        self.url, self.generation = parse_url(url), 0
        self._tls = trust.context(self.url)
        self._client_id, self._topics = client_id, tuple(topics)
        self._clock, self._on_messages, self._has_room = clock, on_messages, has_room
        self._protocols = list(PROTOCOLS[protocol])
        self._may_connect, self._keepalive_s, self._most_pause_s = may_connect, keepalive_s, most_pause_s
        self._lock = threading.Lock()  # over generation, _out, _unconfirmed, and the moments when _up changes
        self._out = bytearray()
        self._unconfirmed: dict[int, tuple[str, bytes]] = {}
        self._last_mid = _SUBSCRIBING
        self._up, self._stopping = threading.Event(), threading.Event()
        self.reason = "no answer"
        """Why there is, or last was, no connection."""
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
        self.start()
        if not self._up.wait(timeout_s):
            self.close()
            raise UnreachableError(f"MQTT broker {self.url.name} is not reachable ({self.reason}); waited {timeout_s:g} s")

    def start(self) -> None:
        """Begin to connect, and return at once."""
        self._bell, ear = socket.socketpair()
        self._bell.setblocking(False)
        ear.setblocking(False)
        self._thread = threading.Thread(target=self._run, args=(ear,), name="mqtt", daemon=True)
        self._thread.start()

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

    def wake(self) -> None:
        """There is room again."""
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
        pause_s, told = _BACK_OFF_S[0], ""
        with ear:
            while not self._stopping.is_set():
                if not self._may_connect():
                    self._stopping.wait(_BACK_OFF_S[0])
                    continue
                if self._live(ear):
                    pause_s, told = _BACK_OFF_S[0], ""
                if not self._stopping.is_set() and self.reason != told:
                    told = self.reason
                    log.warning("broker away", broker=self.url.name, reason=told)
                self._stopping.wait(pause_s)
                pause_s = min(2 * pause_s, self._most_pause_s or _BACK_OFF_S[1])

    def _live(self, ear: socket.socket) -> bool:
        """One connection from its beginning to its end; returns whether the broker accepted it and kept to the protocol."""
        talk = Talk(self.protocol, self.generation, self._keepalive_s)
        fault: Exception | None = None
        try:
            with _opened(self.url, self._tls) as connection:
                talk.asked_s = time.monotonic()
                self._converse(connection, ear, talk)
        except (OSError, wire.WireError, MemoryError) as error:
            fault = error
            self.reason = _reason(error, talk, tls=self.url.tls)
        with self._lock:  # what was to be said on this connection is not said on another
            was_up = self._up.is_set()
            self.generation += 1
            self._out.clear()
            self._up.clear()
        unheard = talk.wrong_protocol or not talk.answered
        refused = isinstance(fault, ssl.SSLError)  # who refuses our certificate refuses it in every protocol
        if talk.begun and unheard and not refused and not self._stopping.is_set():
            return self._try_next_protocol(ear)
        return was_up and not isinstance(fault, wire.WireError)

    def _try_next_protocol(self, ear: socket.socket) -> bool:
        if len(self._protocols) == 1:
            return False
        self._protocols.pop(0)
        return self._live(ear)

    def _converse(self, connection: socket.socket, ear: socket.socket, talk: Talk) -> None:
        """Until the end of the connection, which is an OSError, or of us."""
        talk.begun = True
        unsent = bytearray(
            wire.connect(self.protocol, self._client_id, int(self._keepalive_s), self.url.user, self.url.password)
        )
        poll = select.poll()
        poll.register(ear, select.POLLIN)
        until_s: float | None = None
        while until_s is None or (unsent and time.monotonic() < until_s):
            if self._stopping.is_set() and until_s is None:
                unsent += self._outgoing() + (wire.GOOD_BYE if self._up.is_set() else b"")
                until_s = time.monotonic() + _OPEN_S
            has_room = self._has_room()
            if not has_room:
                talk.heard_s = time.monotonic()  # it is we who do not listen
            poll.register(connection, (select.POLLIN if has_room else 0) | (select.POLLOUT if unsent else 0))
            ready = dict(poll.poll(1000 if until_s is None else 50))
            if ear.fileno() in ready:
                _drain(ear)
            if ready.get(connection.fileno(), 0) & ~select.POLLOUT:
                self._take(_received(connection), talk)
            unsent += self._outgoing() + talk.pulse(time.monotonic(), bool(unsent))
            if len(unsent) > _MOST_UNSENT:
                raise ConnectionError("the broker takes nothing from us")
            if unsent and (n_sent := _sent(connection, unsent)):
                del unsent[:n_sent]
                talk.sent_s = time.monotonic()

    def _outgoing(self) -> bytes:
        with self._lock:
            out = bytes(self._out)
            self._out.clear()
        return out

    def _take(self, data: bytes, talk: Talk) -> None:
        messages, packets = talk.reader.read(data, self._clock())
        talk.heard_s = time.monotonic()
        if not talk.answered:  # only then can a message be acknowledged
            for body in [packet.body for packet in packets if packet.kind == wire.CONNACK][:1]:
                self._accept(wire.answer_of(self.protocol, body), talk)
                packets = [packet for packet in packets if packet.body is not body]
        if messages:
            self._on_messages(messages, len(data))
        for kind, body in packets:
            if kind == wire.CONNACK:
                talk.answer(wire.answer_of(self.protocol, body))
            elif kind == wire.SUBACK:
                self._subscribed(wire.granted(self.protocol, body), talk)
            elif kind == wire.PUBACK:
                with self._lock:
                    self._unconfirmed.pop(int.from_bytes(body[:2], "big"), None)
            elif kind == wire.DISCONNECT:
                raise ConnectionError("the broker says good-bye")

    def _accept(self, answer: wire.Answer, talk: Talk) -> None:
        talk.answer(answer)
        if answer.code:
            raise ConnectionRefusedError(f"refused: {answer.told}")
        del self._protocols[1:]
        talk.awaits_subscription = bool(self._topics)
        with self._lock:
            self._out += wire.subscribe(self.protocol, _SUBSCRIBING, self._topics) if self._topics else b""
            for mid, (topic, payload) in self._unconfirmed.items():
                self._out += wire.publish(self.protocol, topic, payload, mid, again=True)
            self._up.set()

    def _subscribed(self, granted: Sequence[bool], talk: Talk) -> None:
        talk.awaits_subscription = False
        refused = [topic for topic, is_granted in zip(self._topics, granted, strict=False) if not is_granted]
        if not any(granted):
            raise wire.WireError("it refuses the subscription")
        if refused:
            log.warning("the broker refuses a part of the subscription", broker=self.url.name, topics=refused)


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


def _reason(error: Exception, talk: Talk, *, tls: bool) -> str:
    if isinstance(error, MemoryError):
        return "no memory"
    if isinstance(error, wire.WireError):
        return f"it breaks the rules of MQTT: {error}"
    if isinstance(error, ssl.SSLError) or not talk.begun:
        return explained(error, tls=tls)
    return str(error) if talk.answered else f"closed before it answered ({error})"
