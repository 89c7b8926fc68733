"""Many messages decoded at once give what they give one by one by the slow road, however they are made to run into each other."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.fixes import NAMES
from ingest import payload, readings
from ingest.message import Message
from ingest.payload import Decoded, decode_batch

GOOD = b'{"time":"2026-03-29T01:30:00Z","lat":53.1,"lon":-1.5,"seq":7,"source":"gps"}'
PIECES = st.sampled_from(
    [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\n", b" ", b"null", b"1", b"-", b'"time"', b'"lat"', b'"lon"', b'"source"',
     b'"received"', b'"device"', b'"seq":3', b'"battery_pct":50', b'"2026-03-29T01:30:00Z"', b"1774747800", b"53.1", b"\\", GOOD,
     GOOD[:-1], GOOD[1:], b'{"time":1774747800,"lat":1,"received":[{}', b'{}],"lon":2}', b'{"time":"a', b'b","lat":1,"lon":2}',
     GOOD + b"," + GOOD, GOOD[:-1] + b',"lat":2}', GOOD[:-1] + b',"x":{"y":[1]}}', GOOD[:-1] + b',"accuracy_m":null}']
)  # fmt: skip
PAYLOADS = st.one_of(
    st.just(GOOD), st.lists(PIECES, max_size=6).map(b"".join), st.lists(st.just(GOOD), max_size=4).map(lambda p: b"[" + b",".join(p) + b"]")
)  # fmt: skip
TOPICS = st.sampled_from(["tags/a/fixes", "tags/b/fixes", "tags/a/events", "owntracks/u/d", "nowhere"])


@contextmanager
def one_by_one() -> Iterator[None]:
    """Nothing is plain, nothing is quick: every entry is read by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payload, "plain_columns", lambda _data: None)
        patch.setattr(payload, "read_quickly", lambda _data, _dialect: None)
        yield


def told(decoded: Decoded) -> tuple[object, ...]:
    fixes = decoded.fixes
    rows = [[fixes.devices[code] for code in fixes.device], *(fixes.column(n).tolist() for n in NAMES if n != "device")]
    quarantined = [(q.device, q.payload, q.topic, q.received_s, q.field) for q in decoded.quarantined]
    return rows, decoded.events, quarantined, decoded.seqs, decoded.heard, decoded.n_ignored, decoded.n_ignored_received


@given(st.lists(st.tuples(TOPICS, PAYLOADS), max_size=12))
def test_together_is_as_one_by_one(sent: list[tuple[str, bytes]]) -> None:
    messages = [Message((1774747900 + k) * 1_000_000, topic, data) for k, (topic, data) in enumerate(sent)]
    together = decode_batch(messages)
    with one_by_one():
        apart = decode_batch(messages)
    assert told(together) == told(apart)


@given(st.integers(1, 200), st.integers(0, 199))
def test_one_bad_message_of_many_is_quarantined_alone(n: int, bad: int) -> None:
    payloads = [GOOD if k != bad else GOOD[:-1] for k in range(n)]
    decoded = decode_batch([Message(1774747900_000000, f"tags/t{k % 7}/fixes", data) for k, data in enumerate(payloads)])
    assert len(decoded.quarantined) == (bad < n)
    assert len(decoded.fixes) == n - (bad < n)


def test_a_text_does_not_run_over_the_end_of_a_line() -> None:
    assert readings.plain_columns(readings.joined([b'{"time":"a', b'{","lat":1,"lon":2}'])) is None
    assert readings.plain_columns(readings.joined([GOOD, GOOD])) is not None
