"""The wire against paho's own packets, and against any cut of the stream."""

import contextlib
import itertools
import struct

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import mqtt_wire as wire
from ingest.message import Message

PROTOCOLS = st.sampled_from(["3.1.1", "5"])
TOPICS = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=40)
PUBLICATIONS = st.lists(st.tuples(TOPICS, st.binary(max_size=400), st.integers(0, 65_535)), max_size=12)


@given(PROTOCOLS, PUBLICATIONS, st.lists(st.integers(0, 4000), max_size=8))
def test_a_stream_is_read_alike_however_it_is_cut(
    protocol: str, publications: list[tuple[str, bytes, int]], cuts: list[int]
) -> None:
    stream = b"".join(
        wire.publish(protocol, topic, payload, mid) + b"\xd0\x00" for topic, payload, mid in publications
    ) + b"\x40\x02\x01\x02"  # fmt: skip
    reader = wire.Reader(protocol, 7)
    messages: list[Message] = []
    packets: list[wire.Packet] = []
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, stop in itertools.pairwise(bounds):
        read = reader.read(stream[start:stop], 5)
        messages += read[0]
        packets += read[1]
    expected = [Message(5, topic, payload, mid, 1 if mid else 0, 7) for topic, payload, mid in publications]
    assert messages == expected
    assert packets == [wire.Packet(wire.PINGRESP, b"")] * len(publications) + [wire.Packet(wire.PUBACK, b"\x01\x02")]


@pytest.mark.parametrize("length", [0, 127, 128, 16_383, 16_384, 2_097_152])
def test_long_messages_come_whole(length: int) -> None:
    packet = wire.publish("5", "tags/a/fixes", b"x" * length, 9)
    reader = wire.Reader("5", 0)
    read = [reader.read(packet[start : start + 100_000], 0)[0] for start in range(0, len(packet), 100_000)]
    assert [len(m.payload) for part in read for m in part] == [length]


def test_properties_of_messages_are_passed_over() -> None:
    properties = b"\x02\x00\x00\x00\x09" + b"\x26\x00\x01a\x00\x01b"
    body = b"\x00\x01t" + b"\x00\x05" + bytes([len(properties)]) + properties + b"payload"
    messages, _ = wire.Reader("5", 0).read(bytes([0x32, len(body)]) + body, 0)
    assert messages == [Message(0, "t", b"payload", 5, 1, 0)]


def test_a_topic_that_is_not_utf_8_is_a_message_all_the_same() -> None:
    messages, _ = wire.Reader("3.1.1", 0).read(b"\x32\x07\x00\x01\xff\x00\x01ab", 0)
    assert (messages[0].topic, messages[0].payload, messages[0].mid) == (wire.INVALID_TOPIC, b"ab", 1)


@pytest.mark.parametrize(
    ("protocol", "data"),
    [
        ("3.1.1", b"\x34\x05\x00\x01t\x00\x01"),  # QoS 2, which was not subscribed to
        ("3.1.1", b"\x32\x01\x00"),
        ("3.1.1", b"\x32\x04\x00\x09ab"),  # a topic longer than the packet
        ("3.1.1", b"\x32\xff\xff\xff\xff\x01"),
        ("5", b"\x30\x04\x00\x01t\x09"),  # properties longer than the packet
        ("5", b"\x30\x03\x00\x01t"),
    ],
)
def test_what_is_no_message_ends_the_connection(protocol: str, data: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.Reader(protocol, 0).read(data, 0)


@given(st.binary(max_size=60), PROTOCOLS)
def test_noise_is_read_or_refused(data: bytes, protocol: str) -> None:
    with contextlib.suppress(wire.WireError):
        wire.Reader(protocol, 0).read(data, 0)


@pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5])
@pytest.mark.parametrize(("user", "password"), [("", ""), ("jo", ""), ("jo", "secret")])
def test_connect_is_what_paho_sends(version: int, user: str, password: str) -> None:
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, "tagwatch", protocol=version,
                         **({} if version == paho.MQTTv5 else {"clean_session": False}))  # fmt: skip
    if user:
        client.username_pw_set(user, password or None)
    if version == paho.MQTTv5:
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval, properties.ReceiveMaximum = wire.FOR_EVER_S, wire.RECEIVE_MAXIMUM
        properties.MaximumPacketSize = wire.MOST_BYTES
        client._connect_properties, client._clean_start = properties, False
    sent: list[bytes] = []
    client._packet_queue = lambda command, packet, *_: sent.append(bytes(packet))  # type: ignore[assignment,func-returns-value]
    client._send_connect(30)
    assert wire.connect("5" if version == paho.MQTTv5 else "3.1.1", "tagwatch", 30, user, password) == sent[0]


def test_answers_are_read() -> None:
    assert wire.answer_of("3.1.1", b"\x00\x00") == wire.Answer(0, None)
    assert wire.answer_of("3.1.1", b"\x00\x01").wrong_protocol
    assert wire.answer_of("3.1.1", b"\x00\x05").told == "not authorized"
    properties = b"\x26\x00\x01a\x00\x02bc" + b"\x21\x00\x14" + b"\x1f\x00\x01x" + b"\x13\x00\x0a"
    assert wire.answer_of("5", b"\x01\x00" + bytes([len(properties)]) + properties) == wire.Answer(0, 10)
    assert wire.answer_of("5", b"\x00\x84").wrong_protocol
    with pytest.raises(wire.WireError):
        wire.answer_of("5", b"")
    assert wire.granted("3.1.1", b"\x00\x01\x01\x80") == [True, False]
    assert wire.granted("5", b"\x00\x01\x00\x87") == [False]


def test_acknowledgements_are_pubacks_in_order() -> None:
    mids = [1, 256, 65_535]
    assert wire.acknowledgements(mids) == b"".join(b"\x40\x02" + struct.pack(">H", mid) for mid in mids)
