"""MQTT 3.1.1 and 5 as bytes: the packets that a subscriber sends, and a reader that cuts packets out of a stream.

Packet layouts are those of the OASIS standards (MQTT 3.1.1, MQTT 5.0, sections 2 and 3). No sockets here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ingest.message import Message

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 13, 14
PING, GOOD_BYE = b"\xc0\x00", b"\xe0\x00"
FOR_EVER_S = 0xFFFFFFFF  # a session that never expires
RECEIVE_MAXIMUM = 65_535
MOST_BYTES = 1 << 24
"""Of one packet: what is longer ends the connection; a broker of MQTT 5 is told so and keeps it to itself."""
INVALID_TOPIC = "(a topic that is not UTF-8)"
REFUSED = 0x80
"""Reason codes from here on are failures."""

_SESSION_EXPIRY, _RECEIVE_MAXIMUM, _PACKET_MAXIMUM, _SERVER_KEEP_ALIVE = 0x11, 0x21, 0x27, 0x13
_NOT_THE_RETAINED = 0x20  # retain handling 2: what is retained was delivered when it was published
_MOST_PARTS = 4096  # a packet that comes byte by byte
_WRONG_PROTOCOL = (0x01, 0x84)  # of 3.1.1 and of 5
_REASONS = {1: "unsupported protocol version", 2: "client identifier not valid", 3: "server unavailable",
            4: "bad user name or password", 5: "not authorized", 0x84: "unsupported protocol version",
            0x85: "client identifier not valid", 0x86: "bad user name or password", 0x87: "not authorized",
            0x88: "server unavailable", 0x89: "server busy", 0x8A: "banned", 0x8C: "bad authentication method"}  # fmt: skip
# How many bytes the parts of a CONNACK property's value take; 0: a text, whose length comes first.
_WIDTHS = {0x11: (4,), 0x12: (0,), 0x13: (2,), 0x15: (0,), 0x16: (0,), 0x1A: (0,), 0x1C: (0,), 0x1F: (0,), 0x21: (2,),
           0x22: (2,), 0x24: (1,), 0x25: (1,), 0x26: (0, 0), 0x27: (4,), 0x28: (1,), 0x29: (1,), 0x2A: (1,)}  # fmt: skip


class WireError(Exception):
    """What came is not MQTT as we asked for it; the connection is of no use any more."""


class Packet(NamedTuple):
    """A packet that is no message: its type, and what follows its length."""

    kind: int
    body: bytes


class Answer(NamedTuple):
    """What the broker says to CONNECT: 0 or why not, and its own keep-alive [s] where it has one."""

    code: int
    keepalive_s: int | None

    @property
    def wrong_protocol(self) -> bool:
        """Whether the broker does not speak the protocol that it was spoken to in."""
        return self.code in _WRONG_PROTOCOL

    @property
    def told(self) -> str:
        """Why the broker refuses, in words."""
        return _REASONS.get(self.code, f"code {self.code}")


class Reader:
    """Cuts a stream of one connection into messages and other packets; keeps what is not whole yet."""

    def __init__(self, protocol: str, generation: int) -> None:
        """`protocol` is 3.1.1 or 5; `generation` is handed on in every message."""
        self._five, self._generation = protocol == "5", generation
        self._parts: list[bytes] = []
        self._have, self._need = 0, 2

    def read(self, data: bytes, received_us: int) -> tuple[list[Message], list[Packet]]:
        """The packets that are whole with these bytes; raises WireError at what cannot be one."""
        self._parts.append(data)
        self._have += len(data)
        if len(self._parts) > _MOST_PARTS:
            self._parts = [b"".join(self._parts)]
        messages: list[Message] = []
        packets: list[Packet] = []
        if self._have < self._need:
            return messages, packets
        data = b"".join(self._parts) if len(self._parts) > 1 else data
        at, end = 0, len(data)
        self._need = 2
        while end - at >= 2:
            length, body = data[at + 1], at + 2
            if length & 0x80:
                length, body = _varint(data, at + 1)
                if body < 0:
                    self._need = end - at + 1
                    break
                if length > MOST_BYTES:
                    raise WireError(f"a packet of {length:,} bytes, at most {MOST_BYTES:,} are taken")
            stop = body + length
            if stop > end:
                self._need = stop - at
                break
            head = data[at]
            if head >> 4 == PUBLISH:
                messages.append(self._message(data, head, body, stop, received_us))
            else:
                packets.append(Packet(head >> 4, data[body:stop]))
            at = stop
        self._parts, self._have = [data[at:]] if at < end else [], end - at
        return messages, packets

    def _message(self, data: bytes, head: int, at: int, stop: int, received_us: int) -> Message:
        qos, mid = head >> 1 & 3, 0
        if qos > 1 or stop - at < 2:
            raise WireError("a message that nobody asked for")
        start = at + 2
        at = start + (data[at] << 8 | data[at + 1])
        topic = data[start:at]
        if qos:
            mid = int.from_bytes(data[at : at + 2], "big")
            at += 2
            if not mid:
                raise WireError("a message without an identifier")
        if self._five:
            length, at = _varint(data, at)
            at += length
        if not 0 <= at <= stop:
            raise WireError("a message longer than its packet")
        try:
            name = topic.decode()
        except UnicodeDecodeError:
            name = INVALID_TOPIC
        return Message(received_us, name, data[at:stop], mid, qos, self._generation)


def connect(protocol: str, client_id: str, keepalive_s: int, user: str = "", password: str = "") -> bytes:
    """CONNECT for a session that stays with the broker."""
    flags = (0xC0 if password else 0x80) if user else 0
    properties = b""
    if protocol == "5":
        properties = bytes([13, _SESSION_EXPIRY]) + FOR_EVER_S.to_bytes(4, "big")
        properties += bytes([_RECEIVE_MAXIMUM]) + RECEIVE_MAXIMUM.to_bytes(2, "big")
        properties += bytes([_PACKET_MAXIMUM]) + MOST_BYTES.to_bytes(4, "big")
    body = _text("MQTT") + bytes([5 if protocol == "5" else 4, flags]) + keepalive_s.to_bytes(2, "big") + properties
    body += _text(client_id) + (_text(user) if user else b"") + (_text(password) if user and password else b"")
    return _packet(0x10, body)


def subscribe(protocol: str, mid: int, topics: Sequence[str]) -> bytes:
    """SUBSCRIBE to these at QoS 1; retained messages are left out where the protocol can say so."""
    properties, option = (b"\0", 1 | _NOT_THE_RETAINED) if protocol == "5" else (b"", 1)
    wanted = b"".join(_text(topic) + bytes([option]) for topic in topics)
    return _packet(0x82, mid.to_bytes(2, "big") + properties + wanted)


def publish(protocol: str, topic: str, payload: bytes, mid: int = 0, again: bool = False) -> bytes:
    """PUBLISH at QoS 1 with a packet identifier, at QoS 0 without; `again`: it was sent before."""
    head = 0x30 | (0x02 if mid else 0) | (0x08 if again else 0)
    properties = b"\0" if protocol == "5" else b""
    return _packet(head, _text(topic) + (mid.to_bytes(2, "big") if mid else b"") + properties + payload)


def acknowledgements(mids: Iterable[int]) -> bytes:
    """PUBACK for each, in order."""
    return b"".join([b"\x40\x02" + mid.to_bytes(2, "big") for mid in mids])


def answer_of(protocol: str, body: bytes) -> Answer:
    """What a CONNACK says."""
    if len(body) < 2:
        raise WireError("an answer that says nothing")
    keepalive_s = _keepalive_s(body, 2) if protocol == "5" else None
    return Answer(body[1], keepalive_s)


def granted(protocol: str, body: bytes) -> list[bool]:
    """Of each topic of a SUBSCRIBE whether the broker took it."""
    at = 2
    if protocol == "5":
        length, at = _varint(body, 2)
        at += length
    return [code < REFUSED for code in body[at:]]


def _keepalive_s(body: bytes, at: int) -> int | None:
    length, at = _varint(body, at)
    stop = at + length
    while 0 < at < stop <= len(body):
        kind, widths = body[at], _WIDTHS.get(body[at])
        at += 1
        if widths is None:
            break
        if kind == _SERVER_KEEP_ALIVE:
            return int.from_bytes(body[at : at + 2], "big")
        for width in widths:
            at += width or 2 + int.from_bytes(body[at : at + 2], "big")
    return None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer and where it ends; -1 where it goes on behind the data."""
    value = 0
    for k in range(4):
        if at + k >= len(data):
            return 0, -1
        byte = data[at + k]
        value |= (byte & 0x7F) << 7 * k
        if not byte & 0x80:
            return value, at + k + 1
    raise WireError("a length that has no end")


def _packet(head: int, body: bytes) -> bytes:
    length, rest = bytearray(), len(body)
    while True:
        rest, low = divmod(rest, 128)
        length.append(low | (0x80 if rest else 0))
        if not rest:
            return bytes([head]) + bytes(length) + body


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data
