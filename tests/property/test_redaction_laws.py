"""Laws of redaction: exactly what was claimed is gone, all else decodes as before, and everything that verified still does."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.message import Message
from ingest.payload import decode_fixes
from ingest.raw_log import RawLog, day_files, day_of
from ingest.raw_proof import holds, proofs_of
from ingest.raw_record import Record, read_line
from ingest.raw_redaction import Redacted, redact
from ingest.raw_remainder import remainder
from ingest.raw_root import make_roots, root_files
from ingest.raw_search import origins_of
from ingest.raw_verify import verify

SECOND_US, DAY_US = 1_000_000, 86_400_000_000
START_US = 1774742400_000000
S = START_US // SECOND_US
DEVICES = ("a", "b", "ann/phone", 'odd"é')


entry = st.builds(
    lambda at, lat, odd: "odd" if odd == 0 else {"time": S + at, "lat": 200 if odd == 1 else lat, "lon": 1},
    st.integers(0, 300), st.integers(-80, 80), st.integers(0, 9),
)  # fmt: skip
device = st.sampled_from(DEVICES)
day = st.integers(0, 2)
body = st.one_of(entry, st.lists(entry, max_size=5))


@st.composite
def message(draw: st.DrawFn) -> Message:
    name, received_us = draw(device), START_US + draw(day) * DAY_US + draw(st.integers(0, 300)) * SECOND_US
    if "/" in name:
        kind = draw(st.sampled_from(("location", "lwt", "card")))
        phone = {"_type": kind, "tst": S + draw(st.integers(0, 300)), "lat": 1, "lon": 2}
        return Message(received_us, f"owntracks/{name}", json.dumps(phone).encode())
    if draw(st.booleans()):
        told = draw(body)
        packed = draw(st.booleans())
        return Message(
            received_us, f"tags/{name}/fixes", msgspec.msgpack.encode(told) if packed else json.dumps(told).encode()
        )
    events = [{"time": S + at, "event": "heartbeat"} for at in draw(st.lists(st.integers(0, 300), max_size=4))]
    return Message(received_us, f"tags/{name}/events", json.dumps(events).encode())


claims = st.lists(
    st.builds(
        lambda name, at, long: (name, START_US + at * SECOND_US, START_US + (at + long) * SECOND_US),
        device, st.integers(0, 300), st.integers(0, 200),
    ),
    max_size=4,
)  # fmt: skip


def told(topic: str, payload: bytes) -> list[tuple[str, int | None]]:
    """The oracle: the entries of a payload as text, each with its own time; None: it has none that can be read as a fix."""
    if topic.startswith("owntracks/"):
        phone = json.loads(payload)
        return [(json.dumps(phone), None if phone["_type"] == "card" else phone["tst"] * SECOND_US)]
    document: Any = msgspec.msgpack.decode(payload) if payload[:1] not in b'[{"' else json.loads(payload)
    entries = document if isinstance(document, list) else [document]
    return [(json.dumps(e), e["time"] * SECOND_US if isinstance(e, dict) else None) for e in entries if e is not None]


def is_claimed(device: str, time_us: int, some: list[tuple[str, int, int]]) -> bool:
    return any(device == name and from_us <= time_us < to_us for name, from_us, to_us in some)


def device_of(topic: str) -> str:
    return topic.removeprefix("owntracks/") if topic.startswith("owntracks/") else topic.split("/")[1]


def records(folder: Path) -> list[tuple[Path, Record]]:
    found = []
    for path in day_files(folder):
        for line in path.read_bytes().splitlines(keepends=True):
            record = read_line(line)
            assert isinstance(record, Record), record
            found.append((path, record))
    return found


def left_of(record: Record) -> bytes | None:
    if record.payload is not None:
        return base64.b64decode(record.payload)
    return base64.b64decode(record.rest) if isinstance(record.rest, str) else None


@settings(max_examples=60, deadline=None)
@given(st.lists(message(), min_size=1, max_size=12), claims, claims)
def test_exactly_what_is_claimed_is_gone(
    some: list[Message], first: list[tuple[str, int, int]], second: list[tuple[str, int, int]]
) -> None:  # fmt: skip
    some.sort(key=lambda m: m.received_us)
    with TemporaryDirectory() as name:
        folder = Path(name)
        with RawLog(folder) as log:
            log.append(some)
            log.turn(START_US + 3 * DAY_US)
        make_roots(folder)
        roots = [path.read_bytes() for path in root_files(folder)]
        before, originals = verify(folder), records(folder)
        planned = redact(folder, first, "order 1", dry_run=True)
        assert records(folder) == originals
        done = redact(folder, first, "order 1")
        assert done[:3] == planned[:3]
        redact(folder, second, "order 2")
        assert redact(folder, first, "order 1")[:3] == (0, 0, 0)
        after = verify(folder)
        assert after.faults == []
        assert (after.roots, after.n_messages) == (before.roots, before.n_messages)
        assert [path.read_bytes() for path in root_files(folder)] == roots
        assert after.n_ordered == after.n_erased
        make_roots(folder)
        _check(folder, originals, first + second)


def _check(folder: Path, originals: list[tuple[Path, Record]], some: list[tuple[str, int, int]]) -> None:
    for (path, old), (_, new) in zip(originals, records(folder), strict=True):
        assert (old.n, old.received, old.topic, old.sha256, old.chain) == (
            new.n,
            new.received,
            new.topic,
            new.sha256,
            new.chain,
        )
        payload = left_of(old)
        assert payload is not None
        name = device_of(old.topic)
        received_us = _us(old.received)
        entries = told(old.topic, payload)
        whole = [received_us] if not entries or not isinstance(_document(old.topic, payload), (list, dict)) else None
        times = whole or [received_us if t is None else t for _, t in entries]
        kept = [not is_claimed(name, t, some) for t in times]
        left = left_of(new)
        if all(kept):
            assert new.payload == old.payload
        elif not any(kept):
            assert left is None
        else:
            assert new.payload is None
            assert left is not None
            assert [e for e, _ in told(new.topic, left)] == [e for (e, _), k in zip(entries, kept, strict=True) if k]
        assert holds(proofs_of(folder, day_of(path), [new.n])[new.n]) == []
    _check_origins(folder, originals, some)


def _check_origins(folder: Path, originals: list[tuple[Path, Record]], some: list[tuple[str, int, int]]) -> None:
    """Every fix that is not claimed is found again, at its place in its message."""
    messages = [Message(_us(r.received), r.topic, left_of(r) or b"", r.n) for _, r in originals]
    fixes, origins = decode_fixes(messages)
    found = origins_of(folder, fixes)
    for k, origin in enumerate(origins):
        time_us = int(fixes.time_us[k])
        if not is_claimed(origin.device, time_us, some):
            one = found[k]
            assert one is not None
            assert not one.erased


def _document(topic: str, payload: bytes) -> Any:
    return msgspec.msgpack.decode(payload) if payload[:1] not in b'[{"' else json.loads(payload)


def _us(text: str) -> int:
    from engine.times import parse_time

    return parse_time(text)


@settings(max_examples=200)
@given(
    st.binary(max_size=60), st.sampled_from(["tags/a/fixes", "tags/a/events", "owntracks/u/d", "owntracks/u/d/event", "x"])
)
def test_any_bytes_go_by_when_they_were_received_or_by_their_time(payload: bytes, topic: str) -> None:
    assert remainder(topic, payload, START_US, []) == payload
    assert remainder(topic, payload, START_US, [(-(2**62), 2**62)]) is None


def test_nothing_claimed_is_nothing_done() -> None:
    with TemporaryDirectory() as name:
        assert redact(Path(name) / "none", [("a", 0, 1)], "x") == Redacted()
        assert redact(name, [("a", 5, 5)], "x") == Redacted()
