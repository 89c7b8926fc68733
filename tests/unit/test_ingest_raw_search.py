"""The messages behind given fixes: found for every way in which fixes come, the first of duplicates, erased ones told."""

import hashlib
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.fixes import Fixes, concat
from ingest.message import Message
from ingest.payload import decode_batch, decode_fixes
from ingest.raw_log import RawLog
from ingest.raw_proof import holds, prove
from ingest.raw_root import make_roots
from ingest.raw_search import MessageOrigin, messages_of, origins_of

SECOND_US, DAY_US = 1_000_000, 86_400_000_000
START_US = 1774742400_000000
DAY = "2026-03-29"
S = START_US // SECOND_US


def fix(k: int, **more: object) -> dict[str, object]:
    return {"time": S + k, "lat": 51 + k / 1000, "lon": 1, "accuracy_m": 5} | more


def tag(at_s: float, device: str, *entries: object) -> Message:
    body = entries[0] if len(entries) == 1 else list(entries)
    return Message(START_US + round(at_s * SECOND_US), f"tags/{device}/fixes", json.dumps(body).encode())


def logged(folder: Path, *some: Message) -> Path:
    with RawLog(folder) as log:
        for message in some:
            log.append([message])
    return folder


def stored(*some: Message) -> Fixes:
    return decode_batch(some).fixes


def numbers(found: list[MessageOrigin | None]) -> list[tuple[int, int] | None]:
    return [one and (one.n, one.position) for one in found]


def test_every_kind_of_payload(tmp_path: Path) -> None:
    phone = {"_type": "location", "tst": S + 5, "lat": 51, "lon": 1, "acc": 5}
    some = [
        tag(1.25, "a", fix(1)),
        tag(2, "b", fix(2)),
        tag(3, "a", [fix(3)]),
        tag(4, "a", fix(4), fix(5, lat=99), fix(6), "odd", fix(7)),
        Message(START_US + 5 * SECOND_US, "owntracks/ann/phone", json.dumps(phone).encode()),
        Message(START_US + 6 * SECOND_US, "tags/a/fixes", msgspec.msgpack.encode([fix(8), fix(9)])),
        Message(START_US + 7 * SECOND_US, "tags/a/events", b'{"time":1774742400,"event":"heartbeat"}'),
        Message(START_US + 8 * SECOND_US, "tags/a/fixes", b"what?"),
        Message(START_US + 9 * SECOND_US, 'tags/a"\\é/fixes', json.dumps(fix(9)).encode()),
    ]
    fixes = stored(*some)
    found = origins_of(logged(tmp_path, *some), fixes)
    assert numbers(found) == [(1, -1), (2, -1), (3, 0), (4, 0), (4, 2), (4, 4), (5, -1), (6, 0), (6, 1), (9, -1)]
    record = json.loads((tmp_path / f"raw-{DAY}.jsonl").read_text().splitlines()[3])
    canonical = json.dumps([4, record["received"], record["topic"], record["sha256"]], separators=(",", ":"))
    assert found[3] == MessageOrigin(f"raw-{DAY}.jsonl", hashlib.sha256(canonical.encode()).hexdigest(), 4, 0)
    assert numbers(origins_of(tmp_path, fixes.take(np.array([9, 0, 0])))) == [(9, -1), (1, -1), (1, -1)]
    assert origins_of(tmp_path, Fixes.empty()) == []


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    logged(tmp_path, *(tag(k, "ab"[k % 2], fix(k)) for k in range(6)), tag(3, "a/b", fix(1)))
    assert [one.record.n for one in messages_of(tmp_path, ["a"], S + 1, S + 4)] == [3, 5]
    assert [one.record.n for one in messages_of(tmp_path, ["a", "b"], S + 2, S + 2)] == [3]
    assert list(messages_of(tmp_path, ["c", "a/b", ""], S, S + 9)) == []
    with (tmp_path / f"raw-{DAY}.jsonl").open("ab") as file:
        file.write(b'{"n":1,"received":"2026-03-29T00:00:02.000000Z","topic":"tags/a/fixes"}\n{"n":')
    assert [one.record.n for one in messages_of(tmp_path, ["a"], S + 2, S + 2)] == [3]


def test_a_message_that_came_twice(tmp_path: Path) -> None:
    some = [tag(1, "a", fix(1)), tag(1, "b", fix(1)), tag(3, "a", fix(1), fix(2)), tag(5, "a", fix(2))]
    logged(tmp_path, *some)
    received_s = [S + 1, S + 5]
    fixes = stored(some[0], some[3])
    assert fixes.received_s.tolist() == received_s
    assert numbers(origins_of(tmp_path, fixes)) == [(1, -1), (3, 1)]
    other = stored(tag(1, "a", fix(1, accuracy_m=6)), tag(1, "a", fix(3)))
    assert origins_of(tmp_path, other) == [None, None]


def test_a_clock_set_back_over_midnight(tmp_path: Path) -> None:
    """The one received earliest, as the store keeps it, though it stands later, in the file of a later day."""
    late = [tag(86_400 + 5, "a", fix(1)), tag(86_400 - 5, "a", fix(1)), tag(86_400 - 4, "a", fix(2))]
    fixes = stored(*late[1:])
    with RawLog(tmp_path) as log:
        log.append([tag(0, "a", fix(0)), *late])
        assert numbers(origins_of(tmp_path, fixes)) == [(3, -1), (4, -1)]
        log.turn(START_US + 2 * DAY_US)
        log.turn(START_US + 9 * DAY_US)
        log.append([tag(9 * 86_400, "a", fix(9))])
        log.turn(START_US + 10 * DAY_US)
    assert make_roots(tmp_path).days == [DAY, "2026-03-30", "2026-04-07"]
    assert [(found.file, found.n) for found in origins_of(tmp_path, fixes) if found] == [
        ("raw-2026-03-30.jsonl", 3), ("raw-2026-03-30.jsonl", 4)]  # fmt: skip


def test_roots_say_which_days_need_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawLog(tmp_path) as log:
        for day in range(5):
            log.append([tag(day * 86_400, "a", fix(day))])
    make_roots(tmp_path)
    opened: list[str] = []
    whole = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *mode, **more: (opened.append(path.name), whole(path, *mode, **more))[1])
    fixes = stored(tag(86_400, "a", fix(1)))
    assert numbers(origins_of(tmp_path, fixes)) == [(2, -1)]
    read = [name for name in opened if name.endswith(".jsonl")]
    assert read == ["raw-2026-03-30.jsonl", "raw-2026-04-02.jsonl"]  # the newest has no root yet


def test_erased_payloads_are_told(tmp_path: Path) -> None:
    some = [tag(1, "a", fix(1)), tag(2, "a", fix(2)), tag(2, "a", fix(3)), tag(4, "a", fix(4)), tag(6, "a", fix(4)),
            tag(7, "b", fix(7)), tag(7, "a", fix(8))]  # fmt: skip
    fixes = stored(*some[:4], *some[5:])
    logged(tmp_path, *some)
    with RawLog(tmp_path) as log:
        for n in (1, 2, 3, 4, 6):
            log.erase(DAY, n)
    found = origins_of(tmp_path, fixes)
    assert [one and (one.n, one.position, one.erased) for one in found] == [
        (1, -1, True),  # the only one of its second
        None, None,  # of these two it could be either
        (5, -1, False),  # its copy is still there
        (6, -1, True), (7, -1, False),
    ]  # fmt: skip


entries = st.builds(fix, st.integers(0, 20)) | st.builds(fix, st.integers(0, 3), lat=st.just(99)) | st.just("odd")
payloads = st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.lists(entries, min_size=1, max_size=4))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(payloads, min_size=1, max_size=20))
def test_every_fix_is_found_where_it_came_first(
    tmp_path_factory: pytest.TempPathFactory, some: list[tuple[int, str, list[object]]]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    sent = [tag(k + gap / 10, device, *what) for k, (gap, device, what) in enumerate(some)]
    with RawLog(folder) as log:
        log.append(sent)
        log.turn(START_US + DAY_US)
    make_roots(folder)
    fixes = concat([stored(message) for message in sent])
    first: dict[tuple[str, int, int], int] = {}
    for n, message in enumerate(sent, start=1):
        one = stored(message)
        for key in keys(one):
            first.setdefault(key, n)
    found = origins_of(folder, fixes)
    assert [origin and origin.n for origin in found] == [first[key] for key in keys(fixes)]
    for origin, key in zip(found[:3], keys(fixes), strict=False):
        assert origin is not None
        proof = prove(folder, DAY, origin.n)
        assert holds(proof) == []
        assert hashlib.sha256(proof.canonical).hexdigest() == origin.sha256
        body = json.loads(sent[origin.n - 1].payload)
        entry = body if origin.position < 0 else body[origin.position]
        assert entry["time"] * SECOND_US == key[1]


def keys(fixes: Fixes) -> list[tuple[str, int, int]]:
    names = [fixes.devices[code] for code in fixes.device]
    return list(zip(names, fixes.time_us.tolist(), fixes.content().tolist(), strict=True))


def test_fixes_with_their_origins_are_the_fixes_of_the_batch() -> None:
    some = [tag(1, "a", fix(1)), tag(2, "b", fix(5, lat=99), fix(2)), tag(3, "a", fix(3, time="soon")), tag(4, "a", fix(4))]
    fixes, origins = decode_fixes(some)
    assert keys(fixes) == keys(decode_batch(some).fixes)
    assert [(origin.message, origin.position, origin.device) for origin in origins] == [
        (some[0], -1, "a"), (some[1], 1, "b"), (some[3], -1, "a")]  # fmt: skip
    assert decode_fixes([])[1] == []
