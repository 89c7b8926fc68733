"""What stays of a message when what it says of given spans of time is to go, and by which time each of its entries goes.

A fix or an event goes by its own time; what cannot be read, or has no time, by when it was received.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from engine.errors import InputError
from ingest.json_text import read_json
from ingest.owntracks import last_will_s, location, type_of
from ingest.readings import EVENTS, FIXES, entries_of, is_packed, read_quickly
from ingest.time_texts import parse_value
from ingest.topics import EVENTS as EVENT_TOPIC
from ingest.topics import FIXES as FIX_TOPIC
from ingest.topics import OWNTRACKS, route_of

_NOTHING = (b"null", b"\xc0")
_DIALECTS = {FIX_TOPIC: FIXES, EVENT_TOPIC: EVENTS}
_Spans = Sequence[tuple[int, int]]


def remainder(topic: str, payload: bytes, received_us: int, spans: _Spans) -> bytes | None:
    """What of a message stays when what lies in these spans [from_us, to_us) goes: the payload itself where nothing does, the
    list with `null` for what does, None where all does."""
    times = _times(topic, payload, received_us)
    gone = [time is not None and _within(time, spans) for time in times]
    if not any(gone):
        return payload
    if all(away or time is None for away, time in zip(gone, times, strict=True)):
        return None
    entries = [entry.data for entry in entries_of(payload, _DIALECTS[route_of(topic).kind])]
    kept = [msgspec.Raw(_NOTHING[is_packed(payload)] if away else data) for away, data in zip(gone, entries, strict=True)]
    return msgspec.msgpack.encode(kept) if is_packed(payload) else msgspec.json.encode(kept)


def living(rest: bytes) -> bytes:
    """What is left of a message, without the places of what is gone: to be read as if it had come so."""
    if is_packed(rest):
        packed = msgspec.msgpack.decode(rest, type=list[msgspec.Raw])
        return msgspec.msgpack.encode([entry for entry in packed if bytes(entry) not in _NOTHING])
    entries = msgspec.json.decode(rest, type=list[msgspec.Raw])
    return msgspec.json.encode([entry for entry in entries if bytes(entry) not in _NOTHING])


def _times(topic: str, payload: bytes, received_us: int) -> list[int | None]:
    """The time by which each entry of a payload goes [us]; None where nothing stands any more. A payload that cannot be read,
    and one without entries, is one entry."""
    kind = route_of(topic).kind
    if kind not in _DIALECTS:
        return [_time_of_phone(payload, received_us) if kind == OWNTRACKS else received_us]
    dialect = _DIALECTS[kind]
    readings = read_quickly(payload, dialect)
    if readings:
        return [_time(reading.time, received_us) for reading in readings]
    times: list[int | None] = []
    try:
        for entry in entries_of(payload, dialect):
            read = received_us if entry.error is not None else _time(entry.reading.time, received_us)
            times.append(None if entry.data in _NOTHING else read)
    except InputError:
        return [received_us]
    return times if any(time is not None for time in times) else [received_us]


def _time_of_phone(payload: bytes, received_us: int) -> int:
    with suppress(InputError):
        document = read_json(payload)
        if (kind := type_of(document)) in ("location", "lwt"):
            return _time(last_will_s(document) if kind == "lwt" else location(document).time, received_us)
    return received_us


def _time(value: str | float, received_us: int) -> int:
    try:
        return parse_value(value)
    except InputError:
        return received_us


def _within(time_us: int, spans: _Spans) -> bool:
    return any(from_us <= time_us < to_us for from_us, to_us in spans)
