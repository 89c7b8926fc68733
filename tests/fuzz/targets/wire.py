"""What a broker sends: packets of MQTT 3.1.1 and 5, whole and cut anywhere, by a broker that means harm."""

from __future__ import annotations

from collections.abc import Hashable

from ingest import mqtt_wire as wire
from tests.fuzz.target import Target, require


def _seeds() -> list[bytes]:
    found = []
    for mark, protocol in ((b"\x04", "3.1.1"), (b"\x05", "5")):
        packets = (
            wire.publish(protocol, "tags/T1/fixes", b"{}", 7), wire.publish(protocol, "tags/T1/fixes", b"x" * 200),
            b"\x20\x02\x00\x00", b"\x20\x0b\x00\x00\x08\x13\x00\x0a\x21\x00\x14\x24\x01", b"\x90\x04\x00\x01\x00\x01", b"\x40\x02\x00\x01",
            b"\xd0\x00", b"\xe0\x00", b"\x90\x05\x00\x01\x00\x01\x80", b"\x32\x0b\x00\x01t\x00\x05\x03\x01\x00ab",
        )  # fmt: skip
        found += [mark + packet for packet in packets] + [mark + b"".join(packets)]
    return found


def _read(data: bytes) -> Hashable:
    """The first byte chooses the protocol and where the stream is cut."""
    choice, stream = (data[0], data[1:]) if data else (0, b"")
    protocol = "5" if choice & 1 else "3.1.1"
    whole = _all(protocol, [stream])
    cut = 1 + choice * len(stream) // 256
    try:
        parts = _all(protocol, [stream[:cut], stream[cut:]])
    except wire.WireError:
        parts = None
    require(parts is None or parts == whole, "a stream reads differently when it is cut")
    messages, packets = whole
    for packet in packets:
        if packet.kind == wire.CONNACK:
            answer = wire.answer_of(protocol, packet.body)
            require(isinstance(answer.told, str) and (answer.keepalive_s or 0) < 65_536, "an answer out of bounds")
        if packet.kind == wire.SUBACK:
            wire.granted(protocol, packet.body)
    require(all(m.qos <= 1 and 0 <= m.mid < 65_536 for m in messages), "a message of QoS 2")
    return (
        min(len(messages), 3),
        frozenset(p.kind for p in packets[:2]),
        any(m.topic == wire.INVALID_TOPIC for m in messages),
    )


def _all(protocol: str, parts: list[bytes]) -> tuple[list[wire.Message], list[wire.Packet]]:
    reader = wire.Reader(protocol, 1)
    messages: list[wire.Message] = []
    packets: list[wire.Packet] = []
    for part in parts:
        more, others = reader.read(part, 5)
        messages += more
        packets += others
    return messages, packets


TARGETS = (Target("mqtt_wire", _read, _seeds, (), (b"\xff\xff\xff\x7f", b"\x80", b"\x32", b"\x20", b"\x00\x01"),
                  refusals=(wire.WireError,), most_bytes=1_024, share=2.0),)  # fmt: skip
