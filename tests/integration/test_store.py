"""The fix store and its hourly summaries on a server: what may be believed is what the fixes say, whoever writes meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import timescale
from engine.database import Connection, connect
from engine.errors import StoreError
from engine.events import DeviceEvent
from engine.store import turn
from engine.store.fixes import FixStore
from engine.store.hours import HourSummaries
from tests.integration.hours_oracle import as_summaries, same, summaries_of, wrongly_trusted
from tests.integration.store_world import (
    DEEDS,
    DEVICES,
    READINGS,
    SERVERS,
    START_S,
    TICKS_US,
    Erasure,
    Flood,
    Kept,
    Reading,
    Write,
    empty,
    erase,
    fixes_of,
    fresh_database,
    keep,
    readings_of,
    rows_of,
    server_of,
)  # fmt: skip

HOUR_S = 3600
END_S = START_S + 20 * 86_400
UNTIL = st.sampled_from(
    [START_S - HOUR_S, START_S + 2 * HOUR_S, START_S + 86_400 + HOUR_S // 2, START_S + 10 * 86_400, END_S]
)


@pytest.fixture(scope="module", params=SERVERS)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server_of(request.param, tmp_path_factory.mktemp("postgres")) as server, fresh_database(server) as made:
        yield made


@pytest.fixture
def pair(url: str) -> Iterator[tuple[Connection, Connection]]:
    """Two connections to an empty database."""
    with connect(url) as one, connect(url) as other:
        empty(one)
        yield one, other


@pytest.fixture
def one(pair: tuple[Connection, Connection]) -> Connection:
    return pair[0]


@pytest.fixture
def other(pair: tuple[Connection, Connection]) -> Connection:
    return pair[1]


def write(store: FixStore, kept: Kept, *readings: Reading | Flood) -> None:
    with store.connection.transaction():
        assert store.write(fixes_of(readings)) == keep(kept, fixes_of(readings))


def take_out(store: FixStore, kept: Kept, from_us: int, to_us: int) -> None:
    with store.connection.transaction():
        assert store.erase(DEVICES, from_us, to_us)[0] == erase(kept, DEVICES, from_us, to_us)


def believed(connection: Connection, kept: Kept) -> None:
    """Nothing that may be believed is wrong, and after a last refresh nothing is stale."""
    summaries = HourSummaries(connection)
    assert not wrongly_trusted(summaries, kept)
    summaries.refresh(END_S)
    with connection.transaction():
        assert summaries.until_s == END_S
        assert summaries.stale(0, 2**40) == set()
        found = as_summaries(summaries.read(0, END_S))
    right = summaries_of(kept)
    assert found.keys() == right.keys()
    assert all(same(found[key], right[key]) for key in right)


@settings(max_examples=20)
@given(deeds=st.lists(st.one_of(DEEDS.map(lambda found: found[:2]), UNTIL), max_size=7))
def test_trusted_hours_are_what_the_fixes_say(url: str, deeds: list[list[Write | Erasure] | int]) -> None:
    with connect(url) as first, connect(url) as second:
        empty(first)
        stores, kept = (FixStore(first), FixStore(second)), Kept()
        summaries = HourSummaries(first)
        for deed in deeds:
            if isinstance(deed, int):
                summaries.refresh(deed)
            else:
                for each in deed:
                    store = stores[each.writer]
                    if isinstance(each, Write):
                        write(store, kept, *each.readings)
                    else:
                        take_out(store, kept, *each.span)
            assert not wrongly_trusted(summaries, kept)
        believed(first, kept)


class _Refresh:
    """A refresh in a thread of its own, with its own connection."""

    def __init__(self, url: str, until_s: int) -> None:
        self._url, self._until_s, self._errors = url, until_s, list[BaseException]()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            with connect(self._url) as connection:
                HourSummaries(connection).refresh(self._until_s)
        except BaseException as fault:
            self._errors.append(fault)

    def join(self) -> None:
        self.thread.join(60.0)
        assert not self.thread.is_alive()
        assert not self._errors, self._errors


def until_one_waits(connection: Connection, n: int = 1) -> None:
    """Wait until n others wait for a lock in this database."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    end = time.monotonic() + 90.0
    while cast(tuple[int], connection.execute(waiting).fetchone())[0] < n:
        assert time.monotonic() < end, "nobody waits for what is locked"
        connection.execute("SELECT pg_sleep(0.005), pg_stat_clear_snapshot()")


@contextmanager
def held_making(url: str) -> Iterator[Connection]:
    """Within this, whoever makes summaries waits before the first is written."""
    with connect(url) as connection:
        found = connection.execute(
            "SELECT coalesce((SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)"
            " FROM timescaledb_information.continuous_aggregates WHERE view_name = 'fix_hour'), 'fix_hour')"
            if timescale.is_on(connection) else "SELECT 'fix_hour'"
        ).fetchone()  # fmt: skip
        connection.execute(f"LOCK TABLE {cast(tuple[str], found)[0]} IN SHARE MODE".encode())
        yield connection


def act(store: FixStore, kept: Kept, deed: Write | Erasure) -> None:
    """A deed that is committed, whatever end is told."""
    if isinstance(deed, Write):
        write(store, kept, *deed.readings)
    else:
        take_out(store, kept, *deed.span)


@settings(max_examples=12)
@given(before=DEEDS, first_s=UNTIL, meanwhile=DEEDS, last=READINGS)
def test_what_is_written_while_hours_are_made_is_not_missed(
    url: str, before: list[Write | Erasure], first_s: int, meanwhile: list[Write | Erasure], last: Reading
) -> None:
    with connect(url) as one, connect(url) as other:
        empty(one)
        writer, kept = FixStore(one), Kept()
        for deed in before:
            act(writer, kept, deed)
        HourSummaries(other).refresh(first_s)
        last = last._replace(time_us=last.time_us + 7)  # no deed writes at such an instant: there is something to make
        write(writer, kept, last)
        refresh = _Refresh(url, END_S)
        with held_making(url) as holder:
            refresh.thread.start()
            until_one_waits(holder)
            for deed in meanwhile:
                act(writer, kept, deed)
            assert not wrongly_trusted(HourSummaries(other), kept)
            with one.transaction():  # is still open when the making goes on, so the refresh waits for it at the end
                writer.write(fixes_of([last]))
                holder.commit()
                until_one_waits(holder)
                if meanwhile and isinstance(meanwhile[-1], Write):
                    later = fixes_of([r._replace(time_us=r.time_us + 1) for r in readings_of(meanwhile[-1].readings)][:40])
                    writer.write(later)
                    keep(kept, later)
                writer.write(fixes_of([last._replace(delay_s=-500)]))
                keep(kept, fixes_of([last._replace(delay_s=-500)]))
        refresh.join()
        assert not wrongly_trusted(HourSummaries(other), kept)
        believed(other, kept)


def test_two_refreshes_at_once_follow_each_other(url: str, one: Connection, other: Connection) -> None:
    writer, kept = FixStore(one), Kept()
    write(writer, kept, *(Flood(Reading(k, TICKS_US[k], 1, 0), 60_000_000) for k in range(4)))
    both = [_Refresh(url, END_S), _Refresh(url, END_S - 86_400)]
    with held_making(url) as holder:
        for each in both:
            each.thread.start()
        until_one_waits(holder, 2)
        write(writer, kept, Reading(0, TICKS_US[3], 2, 0))
        holder.commit()
    for each in both:
        each.join()
    assert not wrongly_trusted(HourSummaries(other), kept)
    believed(other, kept)


def test_hours_whose_fixes_are_gone_are_gone(one: Connection, other: Connection) -> None:
    store, kept, summaries = FixStore(one), Kept(), HourSummaries(other)
    write(store, kept, Flood(Reading(0, TICKS_US[0], 1, 0), 60_000_000), Reading(1, TICKS_US[40], 1, 0))
    summaries.refresh(END_S)
    with one.transaction():  # as when so much comes late that hours are not marked one by one
        one.execute("UPDATE fix_writer SET announced_s = 0, until_s = 0")
    take_out(store, kept, 0, 2**60)
    assert not kept
    believed(other, kept)


def test_so_many_late_fixes_that_hours_are_not_marked_one_by_one(
    one: Connection, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "_MANY_MARKS", 5)
    store, kept, summaries = FixStore(one), Kept(), HourSummaries(other)
    write(store, kept, *(Reading(k, TICKS_US[7 * k + 3], 1, 0) for k in range(4)))
    summaries.refresh(END_S)
    write(store, kept, *(Reading(k, TICKS_US[14] + h * 3_600_000_000, 1, 0) for k in range(4) for h in range(10)))
    with other.transaction():
        assert summaries.until_s == TICKS_US[14] // 1_000_000 // HOUR_S * HOUR_S
    assert not wrongly_trusted(summaries, kept)
    take_out(store, kept, TICKS_US[15], 2**60)
    write(store, kept, Reading(0, TICKS_US[8], 2, 0))
    believed(other, kept)


def test_a_refresh_that_fails_leaves_a_connection_as_it_was(url: str, one: Connection, other: Connection) -> None:
    store, kept = FixStore(one), Kept()
    write(store, kept, Flood(Reading(0, TICKS_US[0], 1, 0), 60_000_000))
    with held_making(url):
        with other.transaction():
            other.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            HourSummaries(other).refresh(END_S)
    assert not other.autocommit
    write(store, kept, Reading(0, TICKS_US[4], 2, 0))
    take_out(store, kept, TICKS_US[4], TICKS_US[9])
    assert not wrongly_trusted(HourSummaries(other), kept)
    believed(other, kept)


def test_a_writer_whose_look_at_the_newest_failed_looks_again(one: Connection, other: Connection) -> None:
    store, kept = FixStore(one), Kept()
    write(FixStore(other), kept, Reading(0, TICKS_US[4], 1, 0))
    write(store, kept, Reading(1, TICKS_US[4], 1, 0))  # it is its turn from now on
    other.execute("LOCK TABLE fix IN ACCESS EXCLUSIVE MODE")
    one.execute("SET lock_timeout = '50ms'")
    one.commit()
    with pytest.raises(psycopg.errors.LockNotAvailable), one.transaction():
        store.write(fixes_of([Reading(0, TICKS_US[4], 1, 0)]))
    other.rollback()
    write(store, kept, Reading(0, TICKS_US[4], 1, 0))
    with one.transaction():
        assert sorted(rows_of(store.read())) == sorted(kept.items())


def test_fixes_are_written_in_a_transaction_only(url: str, one: Connection) -> None:
    with connect(url) as alone:
        alone.autocommit = True
        with pytest.raises(StoreError, match="transaction"):
            FixStore(alone).write(fixes_of([Reading(0, TICKS_US[4], 1, 0)]))
    assert FixStore(one).count() == 0


def test_two_writers_at_once_store_each_fix_once(url: str, one: Connection) -> None:
    batches = [[Reading(d, t, c, k) for d in range(4) for t in TICKS_US[k : k + 12] for c in range(3)] for k in range(12)]
    counts: list[int] = []

    def work(mine: list[list[Reading]]) -> None:
        with connect(url) as connection:
            store = FixStore(connection)
            for readings in mine:
                with connection.transaction():
                    counts.append(store.write(fixes_of(readings)))

    threads = [
        threading.Thread(target=work, args=(order,)) for order in (batches, batches[::-1], batches[6:] + batches[:6])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    kept = Kept()
    for readings in batches:
        keep(kept, fixes_of(readings))
    assert sorted(rows_of(FixStore(one).read())) == sorted(kept.items())
    assert len(counts) == 3 * len(batches)
    assert sum(counts) == len(kept)


def test_events_are_erased_and_kept_once_too(one: Connection) -> None:
    store = FixStore(one)
    times = [TICKS_US[k] for k in (0, 3, 10, 40)]
    events = [DeviceEvent(d, t, "battery", str(k), t // 1_000_000 + k) for d in "ab" for t in times for k in (2, 1)]
    with one.transaction():
        store.write_events(events)
        store.write_events([e._replace(received_s=e.received_s + 5) for e in events])
        store.write_events([e._replace(received_s=e.received_s - 1) for e in events[:2]])
    wanted = {*(e._replace(received_s=e.received_s - 1) for e in events[:2]), *events[2:]}
    with one.transaction():
        assert {*store.read_events()} == wanted
        assert store.holds_events(events) == {*events}
        assert store.erase(["a", "nobody"], times[1], times[3]) == (0, 4)
        assert {*store.read_events()} == {e for e in wanted if e.device == "b" or not times[1] <= e.time_us < times[3]}
        assert store.erase(["a"], -(2**62), 2**62) == (0, 4)
        assert store.erase(["a", "b"], 2**61, 2**62) == (0, 0)
        assert store.erase(["a", "b"], -(2**62), -(2**61)) == (0, 0)


def test_a_day_is_summed_up_for_people(one: Connection) -> None:
    store, kept = FixStore(one), Kept()
    write(store, kept, Flood(Reading(0, TICKS_US[0], 1, 0), 60_000_000), Flood(Reading(1, TICKS_US[30], 1, 0), 60_000_000))
    believed(one, kept)
    with one.transaction():
        rows = one.execute(
            "SELECT name, day_s, n_fixes, n_hours, first_s FROM fix_day JOIN device USING (device_id)"
        ).fetchall()
    days: dict[tuple[str, int], list[int]] = {}
    for device, time_us, _ in kept:
        days.setdefault((device, time_us // 1_000_000 // 86_400 * 86_400), []).append(time_us // 1_000_000)
    told = {(d, day, len(times), len({t // HOUR_S for t in times}), min(times)) for (d, day), times in days.items()}
    assert {(d, day, int(n), n_hours, first_s) for d, day, n, n_hours, first_s in rows} == told
