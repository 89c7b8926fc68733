"""Whose messages go first: in order of arrival, but a topic that floods leaves room for the others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.message import Message
from ingest.turns import MOST_BYTES, SHARE_BYTES, Turns


def message(k: int, topic: str, size: int) -> Message:
    return Message(k, f"tags/{topic}/fixes", bytes(size), k, 1)


def test_little_goes_in_order_of_arrival() -> None:
    turns = Turns()
    sent = [message(k, "ab"[k % 2], 100) for k in range(50)]
    turns.put(sent)
    assert turns.take(20) == sent[:20]
    assert turns.acknowledged(sent[:20]) == sent[:20]
    assert turns.take(100) == sent[20:]
    assert len(turns) == 0


def test_a_flood_lets_the_others_pass_and_is_acknowledged_in_order() -> None:
    turns = Turns()
    flood = [message(k, "flood", 16_000) for k in range(200)]
    other = message(200, "other", 150)
    turns.put([*flood, other])
    first = turns.take(4096)
    assert other in first, "a message behind three megabytes of another tag's is taken at once"
    n_share = SHARE_BYTES // 16_000
    assert first[:n_share] == flood[:n_share]
    assert sum(len(m.payload) for m in first) <= MOST_BYTES
    assert other not in turns.acknowledged(first), "those before it come first"
    later = message(201, "other", 150)
    turns.put([later])
    told = [*first]
    while batch := turns.take(4096):
        told += batch
        acknowledged = turns.acknowledged(batch)
    assert acknowledged[-2:] == [other, later]
    assert sorted(m.mid for m in told) == list(range(202))


def test_a_message_longer_than_a_transaction_is_taken_alone() -> None:
    turns = Turns()
    turns.put([message(0, "a", MOST_BYTES + 1), message(1, "a", 1)])
    assert [m.mid for m in turns.take(10)] == [0]
    assert [m.mid for m in turns.take(10)] == [1]


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([1, 5_000, SHARE_BYTES, MOST_BYTES])), max_size=12),
        max_size=8,
    ),
    st.integers(1, 7),
)
def test_each_message_is_taken_once_and_acknowledged_once_in_order(rounds: list[list[tuple[str, int]]], most: int) -> None:
    turns, n = Turns(), 0
    taken: list[Message] = []
    acknowledged: list[int] = []
    for arriving in [*rounds, *[[]] * (1 + sum(map(len, rounds)))]:
        turns.put([message(n + k, topic, size) for k, (topic, size) in enumerate(arriving)])
        n += len(arriving)
        batch = turns.take(most)
        assert len(batch) <= most
        assert len(batch) == 1 or sum(len(m.payload) for m in batch) <= MOST_BYTES
        taken += batch
        acknowledged += [m.mid for m in turns.acknowledged(batch)]
    assert sorted(m.mid for m in taken) == list(range(n))
    assert acknowledged == list(range(n)), "in order of arrival, none left"
    for topic in "abc":
        mine = [m.mid for m in taken if m.topic == f"tags/{topic}/fixes"]
        assert mine == sorted(mine), "a topic's messages keep their order"
