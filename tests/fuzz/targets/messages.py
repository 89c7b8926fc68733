"""What tags and phones send: payloads of all dialects, topics and the devices that they name."""

from __future__ import annotations

import json
from collections.abc import Hashable

import msgspec

from engine.fixes import Fixes
from engine.times import SECOND_US
from ingest.fix_checks import check_device
from ingest.message import Message
from ingest.payload import Decoded, decode, decode_batch, decode_fixes
from ingest.payload_text import fix_texts
from ingest.raw_remainder import remainder
from ingest.topics import REFUSED, route_of
from tests.fuzz.laws import check_events, check_fixes, same
from tests.fuzz.target import Target, is_one_in, require

RECEIVED_S = 1_795_342_800
_FIXES, _EVENTS, _PHONE = "tags/T1/fixes", "tags/T1/events", "owntracks/ann/phone"
_GOOD = Message(RECEIVED_S * SECOND_US, "tags/T2/fixes", b'{"time":"2026-11-22T10:00:00Z","lat":51.5,"lon":-0.12}', 9, 1, 0)
FIX = {
    "time": "2026-11-22T10:00:00.250Z", "lat": 53.1234567, "lon": -0.5, "accuracy_m": 12.5, "source": "gps", "speed_mps": 1.25,
    "course_deg": 271.5, "altitude_m": 40.25, "hdop": 0.9, "satellites": 9, "battery_pct": 88, "seq": 17,
}  # fmt: skip
EVENT = {"time": "2026-11-22T10:00:00Z", "event": "battery", "value": 15, "seq": 3}
LOCATION = {
    "_type": "location",
    "tst": 1795341600,
    "lat": 53.1,
    "lon": -0.5,
    "acc": 12,
    "vel": 4,
    "cog": 90,
    "alt": 30,
    "batt": 77,
    "t": "u",
}


def _fix_seeds() -> list[bytes]:
    few = {key: FIX[key] for key in ("time", "lat", "lon")}
    values = [
        FIX,
        few,
        [FIX, few],
        [],
        [few] * 20,
        {**few, "time": 1795341600.5},
        {**FIX, "received": "x", "device": {"a": 1}},
    ]
    return [json.dumps(v).encode() for v in values] + [msgspec.msgpack.encode(v) for v in values]


def _event_seeds() -> list[bytes]:
    values = [EVENT, [EVENT, {**EVENT, "event": "strap_tamper", "value": None}], {**EVENT, "value": "15.5"}]
    return [json.dumps(v).encode() for v in values] + [msgspec.msgpack.encode(v) for v in values]


def _phone_seeds() -> list[bytes]:
    others = [
        {"_type": "lwt", "tst": 1795341600},
        {**LOCATION, "t": "p"},
        {"_type": "transition"},
        {"_type": "encrypted", "data": "x"},
    ]
    return [json.dumps(v).encode() for v in (LOCATION, *others)]


def _decoded(topic: str, data: bytes) -> Hashable:
    found = decode(topic, data, RECEIVED_S)
    check_fixes(found.fixes)
    check_events(found.events)
    kept = len(found.fixes) + len(found.events) + len(found.quarantined) + sum(found.n_ignored.values())
    require(kept > 0 or data.strip()[:1] in (b"[", b"\x90", b"\xdc", b"\xdd"), "a message that left nothing")
    require(all(entry.reason for entry in found.quarantined), "quarantine without a reason")
    if is_one_in(8, data):
        _together(topic, data, found)
        rest = remainder(topic, data, RECEIVED_S * SECOND_US, [(0, 2**62)])
        require(rest is None or not len(found.fixes), "what was to go is still there")
    return (
        min(len(found.fixes), 3), min(len(found.events), 2), min(len(found.quarantined), 2), bool(found.n_ignored),
        found.n_ignored_received > 0, found.quarantined[0].reason[:40] if found.quarantined else "",
    )  # fmt: skip


def _together(topic: str, data: bytes, alone: Decoded) -> None:
    """A message decodes alike alone and among others, and twice alike."""
    message = Message(RECEIVED_S * SECOND_US, topic, data, 1, 1, 0)
    batch = decode_batch([_GOOD, message, _GOOD._replace(mid=3)])
    mine = batch.fixes.take(batch.fixes.received_s == RECEIVED_S)
    names = [batch.fixes.devices[k] for k in mine.device.tolist()]
    rows = [k for k, name in enumerate(names) if name != "T2"]
    require(len(mine) - len(rows) == 2, "a good message suffered from its neighbour")
    require(same(mine.take(slice(1, len(mine) - 1)), alone.fixes), "alone and together differ")
    require(
        batch.events == alone.events and batch.quarantined == alone.quarantined, "alone and together differ in the rest"
    )
    fixes, origins = decode_fixes([message])
    require(same(fixes, alone.fixes) and len(origins) == len(fixes), "decode_fixes differs")


def _fixes(data: bytes) -> Hashable:
    found = _decoded(_FIXES, data)
    fixes = decode(_FIXES, data, RECEIVED_S).fixes if is_one_in(8, data) else Fixes.empty()
    if len(fixes):
        again = decode(_FIXES, b"[" + b",".join(fix_texts(fixes)) + b"]", RECEIVED_S).fixes
        require(same(fixes, again), "written and read again differs")
    return found


def _events(data: bytes) -> Hashable:
    return _decoded(_EVENTS, data)


def _phone(data: bytes) -> Hashable:
    return _decoded(_PHONE, data)


def _topic(data: bytes) -> Hashable:
    topic = data.decode("utf-8", "replace")
    kind, device, error = route_of(topic)
    require((kind == REFUSED) == (error is not None), "refused without a reason")
    if error is not None:
        raise error
    check_device(device)
    require(not {"+", "#", "\0"} & set(device), "a wildcard in a device's name")
    require("" not in device.split("/"), "an empty level in a device's name")
    return kind, device.count("/")


_TOPICS = (
    b"tags/T1/fixes",
    b"tags/T1/events",
    b"owntracks/ann/phone",
    b"owntracks/ann/phone/event",
    "tags/Tag é/fixes".encode(),
)
_KEYS = tuple(f'"{key}":'.encode() for key in (*FIX, *EVENT, *LOCATION, "received", "device"))

TARGETS = (
    Target("payload_fixes", _fixes, _fix_seeds, ("json", "msgpack"), _KEYS, most_bytes=2_048, share=2.0),
    Target("payload_events", _events, _event_seeds, ("json", "msgpack"), _KEYS, most_bytes=1_024),
    Target("payload_owntracks", _phone, _phone_seeds, ("json",), _KEYS, most_bytes=1_024),
    Target(
        "topics",
        _topic,
        lambda: [*_TOPICS],
        (),
        (b"/", b"tags/", b"owntracks/", b"+", b"#", b"/fixes", b"/event"),
        most_bytes=300,
    ),
)
