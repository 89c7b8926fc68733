"""The fix store on TimescaleDB: what is compressed, moved and made anew meanwhile never shows in an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import timescale
from engine.database import Connection, connect, migrate
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.store.gate import one_instant
from engine.store.hours import HourSummaries
from tests.integration.hours_oracle import as_summaries, same, summaries_of
from tests.integration.store_world import (
    DEEDS,
    DEVICES,
    SCHEMA,
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
    rows_of,
    server_of,
    timescale_server,
    url_of,
)  # fmt: skip

pytestmark = pytest.mark.timescaledb
DAY_S = 86_400
END_S = START_S + 20 * DAY_S
MINUTE_US = 60_000_000


@pytest.fixture(scope="module")
def server() -> str:
    return timescale_server()


@pytest.fixture(scope="module")
def url(server: str) -> Iterator[str]:
    with fresh_database(server) as made:
        yield made


@pytest.fixture
def one(url: str) -> Iterator[Connection]:
    with connect(url) as connection:
        empty(connection)
        yield connection


def write(store: FixStore, kept: Kept, *readings: Reading | Flood) -> None:
    with store.connection.transaction():
        assert store.write(fixes_of(readings)) == keep(kept, fixes_of(readings))


def statuses(connection: Connection) -> list[int]:
    """Of each chunk of fixes: 0 rows, 1 columns; 2 more: out of order, 8 more: rows too."""
    with connection.transaction():
        rows = connection.execute(
            "SELECT _timescaledb_functions.chunk_status(format('%I.%I', chunk_schema, chunk_name)::regclass)"
            " FROM timescaledb_information.chunks WHERE hypertable_name = 'fix' ORDER BY range_start_integer"
        )
        return [row[0] for row in rows]


def squeeze(connection: Connection) -> int:
    return timescale.compress(connection, END_S)


def as_rows(store: FixStore, kept: Kept) -> None:
    store.connection.rollback()
    with store.connection.transaction():
        assert sorted(rows_of(store.read())) == sorted(kept.items())


LATE = {
    "rows": lambda store, kept: write(store, kept, *(Reading(d, t, 1, 0) for d in range(3) for t in TICKS_US[1:6])),
    "columns": lambda store, kept: write(store, kept, Flood(Reading(0, TICKS_US[1], 1, 0), MINUTE_US)),
}


@pytest.mark.parametrize("first", ["rows", "columns"])
@pytest.mark.parametrize("late", ["rows", "columns", "lower", "erase"])
def test_an_answer_of_one_instant_outlives_compression(url: str, one: Connection, first: str, late: str) -> None:
    """TimescaleDB 2.29 plans by the newest state of a chunk and reads by the snapshot: without a gate rows go missing."""
    store, kept = FixStore(one), Kept()
    LATE[first](store, kept)
    squeeze(one)
    if late == "lower":
        write(store, kept, Reading(0, TICKS_US[2], 1, -500), Reading(0, TICKS_US[1] + 5 * MINUTE_US, 0, -500))
    elif late == "erase":
        with one.transaction():
            assert store.erase(DEVICES, *TICKS_US[2:4])[0] == erase(kept, DEVICES, *TICKS_US[2:4])
    else:
        LATE[late](store, kept)
        write(store, kept, *(Reading(3, t, 2, 0) for t in TICKS_US[1:6]))
    with connect(url) as reader:
        with one_instant(reader):
            reader.execute("SELECT FROM device")  # the instant is now
            assert squeeze(one) == 0
            assert sorted(rows_of(FixStore(reader).read())) == sorted(kept.items())
            assert reader.execute("SELECT count(*) FROM fix").fetchone() == (len(kept),)
        while squeeze(one):
            as_rows(FixStore(reader), kept)
        assert set(statuses(one)) == {1}
        as_rows(FixStore(reader), kept)


@settings(max_examples=15)
@given(deeds=DEEDS, squeezed=st.sets(st.integers(0, 7)))
def test_compression_in_between_changes_nothing(url: str, deeds: list[Write | Erasure], squeezed: set[int]) -> None:
    with connect(url) as first, connect(url) as second:
        empty(first)
        stores, kept = (FixStore(first), FixStore(second)), Kept()
        for k, deed in enumerate(deeds):
            store = stores[deed.writer]
            if isinstance(deed, Write):
                write(store, kept, *deed.readings)
            else:
                with store.connection.transaction():
                    assert store.erase(deed.devices, *deed.span)[0] == erase(kept, deed.devices, *deed.span)
            if k in squeezed:
                squeeze(first)
        as_rows(stores[0], kept)
        for _ in range(3):  # what has rows beside columns, and those out of order, takes two turns
            squeeze(second)
        assert squeeze(second) == 0
        assert {*statuses(second)} <= {1}
        as_rows(stores[0], kept)
        if kept:
            with first.transaction():
                asked = fixes_of(r for deed in deeds if isinstance(deed, Write) for r in deed.readings)
                assert stores[0].holds(asked).tolist() == [row in kept for row, _ in rows_of(asked)]


def test_compressed_as_it_comes_or_not_the_rows_are_the_same(one: Connection) -> None:
    """A batch that is dense enough is compressed at once, and the same batch in small parts is not."""
    rng = np.random.default_rng(4)
    times = START_S * 1_000_000 + np.sort(rng.integers(0, 2 * DAY_S * 1_000_000, 4000))
    readings = [Reading(k % 2, t, int(rng.integers(0, 3)), int(rng.integers(-9, 9))) for k, t in enumerate(times.tolist())]
    store, kept = FixStore(one), Kept()
    write(store, kept, *readings)
    assert [status & 1 for status in statuses(one)] == [1, 1]
    as_rows(store, kept)
    empty(one)
    store, again = FixStore(one), Kept()
    for at in range(0, len(readings), 200):
        write(store, again, *readings[at : at + 200])
    assert statuses(one) == [0, 0]
    assert again == kept
    as_rows(store, kept)


class Crew:
    """Threads with a connection each that work until told to stop; what fails in one fails the test."""

    def __init__(self, url: str, *works: Callable[[Connection], None]) -> None:
        self._url, self._works, self._errors = url, works, list[BaseException]()
        self._stop = threading.Event()
        self.n_rounds = [0] * len(works)

    def _run(self, k: int) -> None:
        try:
            with connect(self._url) as connection:
                while not self._stop.is_set():
                    self._works[k](connection)
                    self.n_rounds[k] += 1
        except BaseException as fault:
            self._errors.append(fault)
            self._stop.set()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._run, args=(k,)) for k in range(len(self._works))]
        for thread in threads:
            thread.start()
        try:
            yield
            end = time.monotonic() + 90
            while not (all(self.n_rounds) or self._stop.is_set()) and time.monotonic() < end:
                time.sleep(0.02)  # each is to have been at work
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60.0)
        assert not self._errors, self._errors
        assert all(self.n_rounds)


def test_what_is_committed_is_in_every_answer_that_begins_later(url: str, one: Connection) -> None:
    """A plan that the server keeps may be from before a chunk got rows beside its columns: none is kept."""
    store, n_least, days_us = FixStore(one), [0], [k * DAY_S * 1_000_000 for k in range(10)]

    def count(connection: Connection) -> None:
        least = n_least[0]
        with connection.transaction():
            counted = connection.execute("SELECT count(*) FROM fix").fetchone()
        assert counted is not None
        assert counted[0] >= least

    def put(readings: list[Reading | Flood]) -> None:
        with one.transaction():
            n_news = store.write(fixes_of(readings))
        n_least[0] += n_news

    for day_us in days_us:
        put([Flood(Reading(0, TICKS_US[2] + day_us, 0, 0), MINUTE_US)])
    with Crew(url, count, count).at_work():
        for k in range(150):
            put([Reading(k % 4, TICKS_US[2] + days_us[k % 10] + 1000 * k + j * MINUTE_US, 0, 0) for j in range(3)])
            if k % 10 == 9:
                squeeze(one)


def batches(seed: int, n: int) -> list[list[Reading | Flood]]:
    """Batches of a number: dense and sparse, late ones, and what was there before."""
    rng = np.random.default_rng(seed)
    found: list[list[Reading | Flood]] = []
    for k in range(n):
        day_us = (START_S + int(rng.integers(0, 4)) * DAY_S) * 1_000_000
        if rng.random() < 0.4:
            first = Reading(int(rng.integers(0, 4)), day_us + int(rng.integers(0, 80_000)) * 1_000_000, k % 3, k % 7)
            found.append([Flood(first, int(rng.choice([1_000_000, MINUTE_US])))])
        else:
            times = day_us + rng.integers(0, DAY_S, 20) * 1_000_000 + rng.choice([0, 250_000])
            found.append([Reading(int(rng.integers(0, 4)), int(t), int(rng.integers(0, 3)), k % 5) for t in times])
        if k % 4 == 3:
            found.append([one._replace(delay_s=-50) for one in found[k // 2] if isinstance(one, Reading)])
    return found


def test_readers_and_writers_never_notice_compression_and_refresh(server: str, tmp_path: Path) -> None:
    """A battery of questions to a hypertable under work, and to a plain table with the same fixes: the same answers."""
    rng = np.random.default_rng(11)
    with (
        server_of("plain", tmp_path / "postgres") as plain_server, fresh_database(plain_server) as plain,
        fresh_database(server) as hyper, connect(plain) as beside, connect(hyper) as under_work,
    ):  # fmt: skip
        stores, kept = (FixStore(beside), FixStore(under_work)), Kept()
        n_least = [0]

        def count(connection: Connection) -> None:
            least = n_least[0]
            with connection.transaction():
                assert len(FixStore(connection).read(from_us=0, to_us=2**60)) >= least
            with one_instant(connection, read_only=True):
                counted = connection.execute("SELECT count(*) FROM fix").fetchone()
                assert counted is not None
                assert len(FixStore(connection).read()) == counted[0] >= least

        def refresh(connection: Connection) -> None:
            HourSummaries(connection).refresh(START_S + 3 * DAY_S)

        def compress(connection: Connection) -> None:
            squeeze(connection)

        crew = Crew(hyper, count, refresh, compress)
        with crew.at_work():
            for k, readings in enumerate(batches(5, 16)):
                for store in stores:
                    with store.connection.transaction():
                        told = store.write(fixes_of(readings))
                news = keep(kept, fixes_of(readings))
                assert told == news
                n_least[0] += news
                if k % 9 == 8:
                    span = sorted((START_S + rng.integers(0, 4 * DAY_S, 2) * 1).tolist())
                    span_us = (span[0] * 1_000_000, min(span[1], span[0] + 7200) * 1_000_000)
                    n_least[0] -= erase(kept, ["a"], *span_us)
                    for store in stores:
                        with store.connection.transaction():
                            store.erase(["a"], *span_us)
                assert answers(stores[0], rng_of(k)) == answers(stores[1], rng_of(k))
        as_rows(stores[1], kept)
        for connection in (beside, under_work):
            HourSummaries(connection).refresh(END_S)
        told_by = [as_summaries(HourSummaries(connection).read(0, END_S)) for connection in (beside, under_work)]
        right = summaries_of(kept)
        assert told_by[0].keys() == told_by[1].keys() == right.keys()
        assert all(same(told_by[0][key], right[key]) and same(told_by[1][key], right[key]) for key in right)


def rng_of(k: int) -> np.random.Generator:
    return np.random.default_rng(1000 + k)


def answers(store: FixStore, rng: np.random.Generator) -> list[list[tuple[object, int]]]:
    """Answers to a few random questions."""
    found = []
    for _ in range(3):
        from_us, to_us = np.sort(START_S * 1_000_000 + rng.integers(0, 4 * DAY_S * 1_000_000, 2)).tolist()
        box = (
            -1_200_000 - 700 * int(rng.integers(0, 3)),
            515_000_000,
            -1_200_000,
            515_000_000 + 1000 * int(rng.integers(0, 3)),
        )
        whose = None if rng.random() < 0.5 else list(rng.choice(DEVICES, 2, replace=False))
        asked: Fixes = fixes_of(Reading(int(rng.integers(0, 4)), from_us + k * 1_000_000, 1, 0) for k in range(9))
        with store.connection.transaction():
            found.append(sorted(rows_of(store.read(devices=whose, from_us=from_us, to_us=to_us, box_e7=box))))
            found.append(sorted(rows_of(store.read(devices=whose, from_us=from_us, to_us=from_us + 3600 * 1_000_000))))
            for before in (True, False):
                near = rows_of(store.nearest(from_us, before=before, devices=whose))
                found.append(sorted(((row[0], row[1]), 0) for row, _ in near))
            found.append([((), int(held)) for held in store.holds(asked)])
    return found


def filled_plain(url: str) -> Kept:
    """The tables of this database as plain PostgreSQL keeps them, with fixes, events and summaries."""
    from yoyo import get_backend, read_migrations

    backend = get_backend(url.replace("postgresql://", "postgresql+psycopg://", 1))
    try:
        found = read_migrations(str(SCHEMA))
        with backend.lock():
            backend.apply_migrations(found.filter(lambda migration: migration.id != "engine-0002-hypertable"))
            backend.mark_migrations(found.filter(lambda migration: migration.id == "engine-0002-hypertable"))
    finally:
        backend.connection.close()
    kept = Kept()
    with connect(url) as connection:
        assert not timescale.is_on(connection)
        store = FixStore(connection)
        write(store, kept, *(Flood(Reading(k, TICKS_US[7 * k], 1, 0), MINUTE_US) for k in range(4)))
        HourSummaries(connection).refresh(START_S + 2 * DAY_S)
        write(store, kept, Reading(0, TICKS_US[5], 2, 0))
    return kept


def serves(url: str, kept: Kept) -> None:
    """The database of this URL holds these fixes, as a hypertable with right summaries, and takes more."""
    with connect(url) as connection:
        store = FixStore(connection)
        as_rows(store, kept)
        summaries = HourSummaries(connection)
        with connection.transaction():
            assert summaries.until_s == 0
            tables = connection.execute("SELECT hypertable_name FROM timescaledb_information.hypertables ORDER BY 1")
            assert [row[0] for row in tables][-2:] == ["device_event", "fix"]
        while squeeze(connection):
            pass
        assert {*statuses(connection)} == ({1} if kept else set())
        write(store, kept, Reading(2, TICKS_US[6], 2, 0), Reading(2, TICKS_US[6], 2, -5))
        summaries.refresh(END_S)
        found, right = as_summaries(summaries.read(0, END_S)), summaries_of(kept)
        assert found.keys() == right.keys()
        assert all(same(found[key], right[key]) for key in right)
        as_rows(store, kept)


def test_a_plain_database_that_is_filled_becomes_hypertables(server: str) -> None:
    with fresh_database(server, ()) as url:
        kept = filled_plain(url)
        assert migrate(url, [SCHEMA]) == 0
        assert migrate(url, [SCHEMA]) == 0
        with connect(url) as connection:
            assert timescale.is_on(connection)
            assert timescale.switch_on(connection) == []
        serves(url, kept)


@contextmanager
def role_of(server: str) -> Iterator[str]:
    name = "tagwatch_without_rights"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP ROLE IF EXISTS {name}")
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'tagwatch'")
        try:
            yield name
        finally:
            connection.execute(f"DROP ROLE {name}")


def test_an_owner_without_superuser_rights_gets_all_of_it(server: str) -> None:
    with role_of(server) as role, fresh_database(url_of(server, password="tagwatch"), (), role) as url:
        kept = filled_plain(url)
        migrate(url, [SCHEMA])
        serves(url, kept)
    with role_of(server) as role, fresh_database(url_of(server, password="tagwatch"), (), role) as url:
        migrate(url, [SCHEMA])
        serves(url, Kept())


def test_a_role_that_may_not_add_the_extension_keeps_plain_tables(server: str) -> None:
    with role_of(server) as role, fresh_database(url_of(server, password="tagwatch"), ()) as own:
        name = psycopg.conninfo.conninfo_to_dict(own)["dbname"]
        with psycopg.connect(own, autocommit=True) as connection:
            connection.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
        url = url_of(server, password="tagwatch", user=role, dbname=str(name))
        assert migrate(url, [SCHEMA]) > 0
        assert migrate(url, [SCHEMA]) == 0
        kept = Kept()
        with connect(url) as connection:
            write(FixStore(connection), kept, Flood(Reading(0, TICKS_US[3], 1, 0), MINUTE_US))
        with connect(url) as connection:
            assert not timescale.is_on(connection)
            assert squeeze(connection) == 0
            as_rows(FixStore(connection), kept)
