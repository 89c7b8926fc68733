"""Who was near, from the database: whom the hourly summaries rule out and what is read of the others give the answer of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crime_match.question import Question
from engine.database import Connection, connect
from engine.store.fixes import FixStore
from engine.store.hours import HourSummaries
from tagwatch.near import Found, near_from, near_in_database
from tagwatch.nearby.settled import settle
from tests.integration.near_worlds import World, world

ALL = ("placed", "possible", "excluded", "unmonitored")
SETTLED: Counter[str] = Counter()


@pytest.fixture
def empty(url: str) -> Iterator[Connection]:
    """A connection to a database without fixes."""
    with connect(url) as found:
        yield found


def fill(connection: Connection, the: World) -> None:
    """Store the world as it came."""
    connection.execute("TRUNCATE fix, fix_hour_stale, device_event, device, device_sequence CASCADE")
    connection.execute("TRUNCATE fix_hour")
    connection.execute("UPDATE fix_writer SET holder = '', announced_s = 0, until_s = 0")
    store = FixStore(connection)
    store.write(the.fixes)
    store.write_events(the.events)
    connection.commit()
    if the.until_s > 0:
        HourSummaries(connection).refresh(the.until_s)
        connection.commit()
    store.write(the.late)
    for name, from_us, to_us in the.erased:
        store.erase([name], from_us, to_us)
    connection.commit()
    if the.again and the.until_s > 0:
        HourSummaries(connection).refresh(the.until_s)
        connection.commit()


def told(found: Found) -> dict[str, str]:
    return {match.wearer: match.verdict for match in found.matches}


def require_same(connection: Connection, the: World, question: Question) -> None:
    """The quick way, with any verdicts, gives what the slow way gives, match by match; and that is what all that is stored
    gives."""
    worn = the.worn if the.worn.rows else None
    slow = near_in_database(connection, question, worn)
    for only in (("placed", "possible"), ("possible",), ("placed", "possible", "unmonitored")):
        quick = near_in_database(connection, question, worn, only=only)
        assert quick.counts == slow.counts
        assert quick.supports == slow.supports
        assert quick.matches == [match for match in slow.matches if match.verdict in only]
    store = FixStore(connection)
    plain = near_from(store.read(), question, worn, store.read_events())
    if the.is_local:
        assert {m.wearer: m.verdict for m in plain} == told(slow)
    rows = worn.rows if worn else [the_row for name in store.devices() for the_row in own(name)]
    settled = settle(connection, question, rows)
    assert all(told(slow)[name] == verdict for name, verdict in settled.verdicts.items())
    SETTLED.update(settled.verdicts.values())
    SETTLED.update(clear=len(settled.devices), others=len(settled.others))
    connection.commit()


def own(name: str) -> list[object]:
    from tagwatch.matching import NO_PLAN

    return [NO_PLAN._replace(device=name, wearer=name)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_the_quick_way_gives_what_everything_read_gives(empty: Connection, seed: int) -> None:
    the = world(seed)
    fill(empty, the)
    for question in the.questions:
        require_same(empty, the, question)
