"""The messages of the raw log behind given fixes: found by topic and time received, only these are decoded."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import UnsetType

from engine.errors import InputError
from engine.fixes import Fixes
from engine.times import SECOND_US, parse_time, to_iso
from ingest.message import Message
from ingest.payload import decode_fixes
from ingest.raw_log import day_files, day_of
from ingest.raw_orders import ordered, read_redactions
from ingest.raw_record import Record, canonical_of, read_line
from ingest.raw_root import read_root, root_path
from ingest.topics import FIXES, OWNTRACKS, route_of

_HEAD = re.compile(rb'\{"n":\d+,"received":"([^"]+)","topic":("(?:[^"\\]|\\.)*")')
_AT_ONCE = 1024

_Key = tuple[str, int, int]
"""Device, time [us] and content of a fix."""


class Found(NamedTuple):
    """A message of the raw log, and the name of the file it is in."""

    file: str
    record: Record


class MessageOrigin(NamedTuple):
    """Where a fix came from: the file of the raw log, the SHA-256 of the message's canonical form, its number, and the
    position of the fix in it (from 0; -1: it is the message). `erased`: no message with a payload holds the fix, and this is
    the only one without that came from its device in the second it was received: it may have held it, which cannot be shown.
    `order`: by which order the message was erased, also where the fix is in what stays of it; empty where none is told."""

    file: str
    sha256: str
    n: int
    position: int
    erased: bool = False
    order: str = ""


def messages_of(folder: str | Path, devices: Collection[str], from_s: int, to_s: int) -> Iterator[Found]:
    """The messages that may hold fixes of these devices, received from from_s to to_s [s UTC, both whole], in log order.

    Lines that are no records are passed over: `raw_verify.verify` tells them.
    """
    folder, topics = Path(folder), {msgspec.json.encode(topic) for device in devices for topic in _topics_of(device)}
    first, last = to_iso(from_s * SECOND_US)[:19].encode(), to_iso(to_s * SECOND_US)[:19].encode()
    for path in day_files(folder):
        if not _may_hold(path, first.decode(), last.decode()):
            continue
        with path.open("rb") as file:
            for line in file:
                head = _HEAD.match(line)
                if head is None or head[2] not in topics or not first <= head[1][:19] <= last:
                    continue
                record = read_line(line)
                if isinstance(record, Record):
                    yield Found(path.name, record)


def origins_of(folder: str | Path, fixes: Fixes) -> list[MessageOrigin | None]:
    """For each fix the message that brought it, None where the log has none; of several, the one received first.

    `received_s` of the fixes must be that of the centre, as stored: it says where to look.
    """
    keys, seconds = _keys(fixes), fixes.received_s.tolist()
    if not keys:
        return []
    places = [(key[0], second) for key, second in zip(keys, seconds, strict=True)]
    best: dict[_Key, tuple[tuple[bool, str], MessageOrigin]] = {}
    erased: dict[tuple[str, int], list[MessageOrigin]] = {place: [] for place in places}
    wanted = set(keys)
    found = messages_of(folder, set(fixes.devices), min(seconds), max(seconds))
    while part := list(islice(found, _AT_ONCE)):
        for key, one, position in _decoded([one for one in part if _said(one.record) is not None]):
            rank = one.record.payload is None, one.record.received  # a whole message proves more than the rest of one
            if key in wanted and (key not in best or rank < best[key][0]):
                best[key] = rank, _origin(one, position)
        for one in part:
            place = (route_of(one.record.topic).device, parse_time(one.record.received) // SECOND_US)
            if one.record.payload is None and place in erased:
                erased[place].append(_origin(one, -1)._replace(erased=True))
    origins = [best[key][1] if key in best else _only(erased[place]) for key, place in zip(keys, places, strict=True)]
    is_any_erased = any(erased.values()) or any(rank[0] for rank, _ in best.values())
    return _with_orders(Path(folder), origins) if is_any_erased else origins


def _topics_of(device: str) -> list[str]:
    topics = (f"tags/{device}/fixes", f"owntracks/{device}")
    return [topic for topic in topics if route_of(topic).device == device and route_of(topic).kind in (FIXES, OWNTRACKS)]


def _may_hold(path: Path, first: str, last: str) -> bool:
    """Whether a file may hold messages received from first to last: its root says when they came, without one its name says
    when the earliest should have; a clock set back brings earlier times into later files, never later into earlier."""
    try:
        root = read_root(root_path(path.parent, day_of(path)))
    except InputError:
        return day_of(path) >= first[:10]
    return root.earliest[:19] <= last and first <= root.latest[:19]


def _decoded(found: list[Found]) -> Iterator[tuple[_Key, Found, int]]:
    """The fixes of these messages: what each is known by, its message and its position in it."""
    by_n = {one.record.n: one for one in found}
    fixes, origins = decode_fixes(map(_message, found))
    for key, origin in zip(_keys(fixes), origins, strict=True):
        yield key, by_n[origin.message.mid], origin.position


def _message(found: Found) -> Message:
    """The message as it came; its number in the log stands where the broker's identifier was, which the log does not keep."""
    record = found.record
    return Message(parse_time(record.received), record.topic, base64.b64decode(_said(record) or ""), record.n)


def _said(record: Record) -> str | None:
    """What is left of a message, in base64: its payload, or the rest of it."""
    text = record.rest if record.payload is None else record.payload
    return None if isinstance(text, UnsetType) else text


def _keys(fixes: Fixes) -> list[_Key]:
    names = [fixes.devices[code] for code in fixes.device.tolist()]
    return list(zip(names, fixes.time_us.tolist(), fixes.content().tolist(), strict=True))


def _origin(found: Found, position: int) -> MessageOrigin:
    record = found.record
    canonical = canonical_of(record.n, record.received, record.topic, record.sha256)
    return MessageOrigin(found.file, hashlib.sha256(canonical).hexdigest(), record.n, position)


def _with_orders(folder: Path, origins: list[MessageOrigin | None]) -> list[MessageOrigin | None]:
    """The origins with the orders that erased their messages; redactions that do not hold are told by `raw_verify`."""
    try:
        orders = {f"raw-{day}.jsonl": told for day, told in ordered(read_redactions(folder)).items()}
    except InputError:
        return origins
    told = (origin and orders.get(origin.file, {}).get(origin.n) for origin in origins)
    return [o and (o._replace(order=t.order) if t else o) for o, t in zip(origins, told, strict=True)]


def _only(origins: list[MessageOrigin]) -> MessageOrigin | None:
    return origins[0] if len(origins) == 1 else None
