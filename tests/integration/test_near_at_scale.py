"""Who was near, from the database: whom the hourly summaries rule out and what is read of the others give the answer of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crime_match.question import Question
from engine.activations import Activation, Activations
from engine.database import Connection, connect
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.store.hours import HourSummaries
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from tagwatch.matching import NO_PLAN
from tagwatch.near import Found, near_from, near_in_database
from tagwatch.nearby.memory import HourMemory
from tagwatch.nearby.settled import settle
from tests.integration.near_worlds import START_US, World, world

ALL = ("placed", "possible", "excluded", "unmonitored")
SETTLED: Counter[str] = Counter()
"""How many were settled, by verdict."""
MEMORY = HourMemory()


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
    """The quick way, with any verdicts, from memory or not, gives what the slow way gives, match by match; and that is what all
    that is stored gives."""
    worn = the.worn if the.worn.rows else None
    slow = near_in_database(connection, question, worn)
    for only, memory in ((("placed", "possible"), MEMORY), (("possible",), None), (ALL[:2] + ALL[3:], MEMORY)):
        quick = near_in_database(connection, question, worn, only=only, memory=memory)
        assert quick.counts == slow.counts
        assert quick.supports == slow.supports
        assert quick.matches == [match for match in slow.matches if match.verdict in only]
    store = FixStore(connection)
    if the.is_local:
        plain = near_from(store.read(), question, worn, store.read_events())
        assert {match.wearer: match.verdict for match in plain} == told(slow)
    rows = worn.rows if worn else [NO_PLAN._replace(device=name, wearer=name) for name in store.devices()]
    for memory in (MEMORY, None):
        settled = settle(connection, question, rows, memory=memory)
        assert all(told(slow)[name] == verdict for name, verdict in settled.verdicts.items())
        SETTLED.update(settled.verdicts.values())
        SETTLED.update(clear=len(settled.devices), others=len(settled.others))
    connection.commit()


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_the_quick_way_gives_what_everything_read_gives(empty: Connection, seed: int) -> None:
    the = world(seed)
    fill(empty, the)
    for question in the.questions:
        require_same(empty, the, question)


def steady(name: str, north_km: float, hours: int = 30) -> Fixes:
    """A fix a minute from one place, so many kilometres north of the place that is asked about."""
    n = hours * 60
    return Fixes.of(
        (name,), device=np.zeros(n), time_us=START_US + np.arange(n) * MINUTE_US, lat_e7=np.full(n, 515_000_000 + north_km * 90_000),
        lon_e7=np.full(n, -1_200_000), accuracy_cm=np.full(n, 1_000), source=np.ones(n),
    )  # fmt: skip


AT = Question(51.5, -0.12, START_US + 15 * HOUR_US, START_US + 16 * HOUR_US)
ROWS = [Activation(name, f"W{name}", START_US - DAY_US) for name in ("far", "near", "there", "gone")]


def settled_now(connection: Connection) -> dict[str, str]:
    settled = settle(connection, AT, ROWS, memory=MEMORY)
    connection.commit()
    return settled.verdicts


def test_what_came_late_or_was_erased_is_read_until_it_is_summarised(empty: Connection) -> None:
    fill(empty, nothing())
    store, hours = FixStore(empty), HourSummaries(empty)
    for name, north_km in (("far", 40.0), ("near", 1.0), ("there", 0.02)):
        store.write(steady(name, north_km))
    empty.commit()
    assert settled_now(empty) == {}
    hours.refresh((START_US + 30 * HOUR_US) // SECOND_US)
    empty.commit()
    known = {"Wfar": "excluded", "Wnear": "possible", "Wthere": "placed"}
    assert settled_now(empty) == known
    visit = steady("far", 0.0).take(np.array([15 * 60 + 30]))
    visit.time_us[:] += 20 * SECOND_US
    store.write(visit)
    empty.commit()
    assert settled_now(empty) == {name: known[name] for name in ("Wnear", "Wthere")}
    require_same(empty, nothing()._replace(worn=Activations(ROWS)), AT)
    hours.refresh((START_US + 30 * HOUR_US) // SECOND_US)
    assert "Wfar" not in settled_now(empty)  # 40 km in 20 s: it is read
    store.erase(["far"], AT.from_us, AT.to_us)
    store.erase(["there"], AT.from_us + 31 * MINUTE_US, AT.from_us + 32 * MINUTE_US)
    empty.commit()
    assert settled_now(empty) == {"Wnear": "possible"}
    hours.refresh((START_US + 30 * HOUR_US) // SECOND_US)
    assert settled_now(empty) == {**known, "Wfar": "possible"}  # an hour unheard of: he may have been there
    require_same(empty, nothing()._replace(worn=Activations(ROWS)), AT)


@pytest.mark.parametrize(
    ("kind", "at_h", "verdict"),
    [("strap_tamper", 1, "possible"), ("power_off", 2, "possible"), ("power_off", 15.5, "possible"), ("fault", 15.5, "possible"),
     ("fault", 1, "excluded"), ("fault", 12, ""), ("battery", 15.5, "excluded"), ("strap_tamper", 20, ""), ("strap_tamper", -60, "excluded")],
)  # fmt: skip
def test_who_is_far_away_is_excluded_where_the_tag_vouches_for_it(
    empty: Connection, kind: str, at_h: float, verdict: str
) -> None:
    fill(empty, nothing())
    store = FixStore(empty)
    store.write(steady("far", 40.0))
    at_us = START_US + int(at_h * HOUR_US)
    store.write_events([DeviceEvent("far", at_us, kind, "", at_us // SECOND_US)])
    empty.commit()
    HourSummaries(empty).refresh((START_US + 30 * HOUR_US) // SECOND_US)
    assert settled_now(empty) == ({"Wfar": verdict} if verdict else {})  # or is left to the exact answer
    require_same(empty, nothing()._replace(worn=Activations(ROWS)), AT)


def nothing() -> World:
    """A world in which nobody sent anything."""
    return World(Fixes.empty(), Fixes.empty(), 0, (), False, (), Activations(), (), True)
