import json
import math

import msgspec
import pytest

from engine.fixes import ABSENT
from ingest.message import Message
from ingest.payload import Decoded, decode, decode_batch
from ingest.topics import route_of

GOOD = {"time": "2026-03-29T01:30:00Z", "lat": 53.1234567, "lon": -1.5, "accuracy_m": 5.25, "source": "gps"}
RECEIVED_S = 1774747900


def fixes_of(payload: object, topic: str = "tags/a/fixes") -> Decoded:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return decode(topic, data, RECEIVED_S)


@pytest.mark.parametrize(
    "encode", [lambda p: json.dumps(p).encode(), lambda p: json.dumps(p, indent=2).encode(), msgspec.msgpack.encode]
)
@pytest.mark.parametrize("many", [False, True])
def test_good_payloads_in_every_form(encode, many: bool) -> None:  # type: ignore[no-untyped-def]
    document = GOOD | {
        "seq": 7,
        "speed_mps": 1.5,
        "course_deg": 359,
        "altitude_m": -3.25,
        "hdop": 1.1,
        "satellites": 9,
        "battery_pct": 80,
    }
    out = decode("tags/a/fixes", encode([document] if many else document), RECEIVED_S)
    assert not out.quarantined
    fix = [int(out.fixes.column(name)[0]) for name in ("time_us", "lat_e7", "lon_e7", "accuracy_cm", "source", "speed_cms",
           "course_cdeg", "altitude_cm", "hdop_c", "satellites", "battery_pct", "received_s")]  # fmt: skip
    assert fix == [1774747800_000000, 531234567, -15000000, 525, 1, 150, 35900, -325, 110, 9, 80, RECEIVED_S]
    assert (out.device, out.seq, out.seqs) == ("a", (7, 7), {"a": [7]})


def test_absent_null_and_unknown_keys() -> None:
    out = fixes_of({"time": 1774747800.059, "lat": 1, "lon": 2, "accuracy_m": None, "source": None, "firmware": {"x": [1]}})
    assert out.fixes.time_us.tolist() == [1774747800_059000]
    assert (out.fixes.accuracy_cm[0], out.fixes.source[0]) == (ABSENT, 0)


def test_the_device_and_the_arrival_are_not_the_payloads() -> None:
    out = fixes_of([GOOD | {"device": "b", "received": 5}, GOOD | {"received": {"x": 1}}, GOOD])
    assert out.fixes.devices == ("a",)
    assert out.fixes.received_s.tolist() == [RECEIVED_S] * 3
    assert out.n_ignored_received == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lat": "51.5"}, "lat"),
        ({"lat": True}, "lat"),
        ({"lat": 90.5}, "lat"),
        ({"lat": None}, "lat"),
        ({"lon": -181}, "lon"),
        ({"accuracy_m": -1}, "accuracy_m"),
        ({"accuracy_m": "5"}, "accuracy_m"),
        ({"battery_pct": 101}, "battery_pct"),
        ({"satellites": 7.5}, "satellites"),
        ({"source": "moon"}, "source"),
        ({"source": 1}, "source"),
        ({"time": "2026-03-29T01:30:00"}, "time"),
        ({"time": "1774747800"}, "time"),
        ({"time": True}, "time"),
        ({"time": 5}, "time"),
        ({"time": 32503680000}, "time"),
        ({"time": "2026-02-30T00:00:00Z"}, "time"),
        ({"seq": -1}, "seq"),
        ({"seq": "7"}, "seq"),
        ({"seq": 2**70}, "seq"),
        ({"lat": 10**400}, "lat"),
    ],
)
def test_one_bad_fix_of_a_good_list_is_quarantined_alone(change: dict[str, object], field: str) -> None:
    bad = GOOD | change
    out = fixes_of([GOOD, bad, GOOD])
    assert len(out.fixes) == 2
    (entry,) = out.quarantined
    assert (entry.field, entry.device, entry.topic, entry.received_s) == (field, "a", "tags/a/fixes", RECEIVED_S)
    assert json.loads(entry.payload) == bad
    assert entry.reason.startswith("entry 2: ")
    alone = fixes_of(bad)
    assert len(alone.fixes) == 0
    assert alone.quarantined[0].field == field
    assert not alone.quarantined[0].reason.startswith("entry")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "empty payload"),
        (b"   ", "empty payload"),
        (b"\xff\xfe", "neither JSON"),
        (b"5", "neither JSON"),
        (b'"x"', "neither JSON"),
        (b"{", "not JSON"),
        (b'[{"time":1}', "not JSON"),
        (b"[" * 100_000, "recursion"),
        (b'{"lat":NaN}', "NaN"),
        (b'{"lat":-Infinity}', "Infinity"),
        (b'{"time":1774747800,"lat":1,"lon":2,"lat":3}', "twice"),
        (b'{"time":1774747800,"lat":1,"lon":2,"l\\u0061t":3}', "twice"),
        (b'{"time":1774747800,"lat":1,"lon":2,"x":1,"x":2}', "twice"),
        (b'{"time":1774747800,"lat":1,"lon":2,"x":"\xff"}', "UTF-8"),
        (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
        (b"\x81", "MessagePack"),
        (b"\x91\xc1", "MessagePack"),
        (b"\x82\xa3lat\x01\xa3lat\x02", "twice"),
        (b"{}", "required"),
        (b'{"lat":' + b"9" * 5000 + b"}", "digits"),
    ],
)
def test_a_payload_that_cannot_be_decoded_goes_to_quarantine_whole(payload: bytes, reason: str) -> None:
    out = fixes_of(payload)
    assert (len(out.fixes), len(out.quarantined)) == (0, 1)
    assert out.quarantined[0].payload == payload
    assert reason.lower() in out.quarantined[0].reason.lower()
    assert out.heard == {"a": RECEIVED_S}  # the tag was in contact, whatever it said


def test_duplicate_key_in_one_entry_of_a_list() -> None:
    good = json.dumps(GOOD)
    out = fixes_of(f'[{good}, {{"time":1774747800,"lat":1,"lon":2,"lat":3,"seq":9}}]'.encode())
    assert len(out.fixes) == 1
    assert "twice" in out.quarantined[0].reason


def test_nan_in_messagepack_is_a_fault_in_every_field() -> None:
    documents = [GOOD | {"lat": math.nan}, GOOD | {"accuracy_m": math.nan}, GOOD | {"hdop": math.inf}, GOOD]
    out = fixes_of(msgspec.msgpack.encode(documents))
    assert len(out.fixes) == 1
    assert {entry.field for entry in out.quarantined} == {"lat", "accuracy_m", "hdop"}
    assert len(fixes_of(msgspec.msgpack.encode(documents[1])).quarantined) == 1


def test_ten_megabytes() -> None:
    out = fixes_of(b"[" + b",".join([json.dumps(GOOD).encode()] * 100_000) + b"]")
    assert (len(out.fixes), out.quarantined) == (100_000, [])
    assert len(fixes_of(b"[" + b"x" * 10_000_000).quarantined) == 1


@pytest.mark.parametrize(
    "topic",
    [
        "foo",
        "",
        "tags//fixes",
        "tags/a\x01/fixes",
        "tags/" + "a" * 129 + "/fixes",
        "tags/a/b/fixes",
        "tags/a/stored",
        "owntracks/a",
        "owntracks//b",
        "owntracks/a/b/else",
    ],
)
def test_unknown_topics_and_bad_devices(topic: str) -> None:
    out = fixes_of(GOOD, topic)
    assert (len(out.fixes), len(out.quarantined), out.heard) == (0, 1, {})
    assert route_of(topic).error is not None


def test_events() -> None:
    event = {"time": "2026-03-29T01:30:00Z", "event": "battery", "value": 15.0, "seq": 3}
    out = fixes_of([event, {"time": 1774747800, "event": "strap_tamper"}, {"time": 1774747800, "event": "boom"},
                    {"event": "motion"}, event | {"value": True}], "tags/a/events")  # fmt: skip
    assert [(e.device, e.kind, e.value, e.received_s) for e in out.events] == [
        ("a", "battery", "15", RECEIVED_S), ("a", "strap_tamper", "", RECEIVED_S)]  # fmt: skip
    assert sorted(entry.field for entry in out.quarantined) == ["event", "time", "value"]
    assert out.seqs == {"a": [3, 3]}
    assert len(fixes_of(event, "tags/a/events").events) == 1


def owntracks(topic: str = "owntracks/jane/phone", **document: object) -> Decoded:
    return fixes_of(document, topic)


def test_owntracks_location() -> None:
    out = owntracks(
        _type="location", tst=1774747800, lat=51.5, lon=-0.1, vel=36, cog=90, alt=12, batt=80, tid="x", conn="m"
    )
    fixes = out.fixes
    assert fixes.devices == ("jane/phone",)
    assert (fixes.speed_cms[0], fixes.course_cdeg[0], fixes.altitude_cm[0], fixes.battery_pct[0]) == (1000, 9000, 1200, 80)
    assert fixes.accuracy_cm[0] == ABSENT
    bad = owntracks(_type="location", tst=1774747800, lat=51.5, lon=-0.1, acc=-5)
    assert (bad.quarantined[0].field, len(bad.fixes)) == ("acc", 0)
    assert owntracks(_type="location", lat=1, lon=2).quarantined[0].field == "tst"
    assert owntracks(_type="location", tst="1774747800", lat=1, lon=2).quarantined[0].field == "tst"


def test_owntracks_other_types() -> None:
    ping = owntracks(_type="location", t="p", tst=1774747800, lat=1, lon=2)
    assert (len(ping.fixes), ping.events[0].kind) == (0, "heartbeat")  # its time is not that of the fix
    will = owntracks(_type="lwt", tst=1774747800)
    assert (will.n_ignored, will.heard, will.quarantined) == ({}, {}, [])  # the broker sent it, not the phone
    assert [(e.kind, e.time_us, e.received_s) for e in will.events] == [("disconnected", 1774747800_000_000, RECEIVED_S)]
    for tst in ("soon", None, True):
        bad = owntracks(_type="lwt", tst=tst)
        assert (bad.quarantined[0].field, bad.heard, bad.events) == ("tst", {}, [])
    crossing = owntracks("owntracks/jane/phone/event", _type="transition", tst=1)
    assert (crossing.n_ignored, crossing.quarantined) == ({"transition": 1}, [])
    assert owntracks(_type="waypoint").n_ignored == {"waypoint": 1}
    assert "encrypted" in owntracks(_type="encrypted", data="x").quarantined[0].reason
    assert owntracks(x=1).quarantined[0].field == "_type"
    assert len(fixes_of(b"[]", "owntracks/a/b").quarantined) == 1


def test_a_batch_keeps_the_order_of_arrival() -> None:
    messages = [
        Message(
            (RECEIVED_S + i) * 1_000_000 + 999_999, f"tags/t{i % 3}/fixes", json.dumps(GOOD | {"lat": i, "seq": i}).encode()
        )
        for i in range(90)
    ]
    out = decode_batch(messages)
    assert out.fixes.lat_e7.tolist() == [i * 10_000_000 for i in range(90)]
    assert out.fixes.received_s.tolist() == [RECEIVED_S + i for i in range(90)]
    assert out.seqs["t1"] == list(range(1, 90, 3))
    assert out.device == ""


def test_what_a_phone_could_not_measure_is_absent() -> None:
    payload = json.dumps({"_type": "location", "tst": 1_780_000_000, "lat": 53.2, "lon": -0.5, "acc": 8,
                          "vel": -1, "cog": -1, "batt": -1}).encode()  # fmt: skip
    decoded = decode("owntracks/ann/phone", payload, 1_780_000_001)
    assert len(decoded.fixes) == 1
    assert not decoded.quarantined
    for column in ("speed_cms", "course_cdeg", "battery_pct"):
        assert decoded.fixes.column(column)[0] == ABSENT
