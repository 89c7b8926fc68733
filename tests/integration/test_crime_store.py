"""Crimes and match runs in a real database: versions by the order of imports, runs written once, byte for byte."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crime_match.crimes.background_store import import_background, keys
from crime_match.crimes.crime import Crime
from crime_match.crimes.files import read_background
from crime_match.crimes.police_uk import BackgroundCrime
from crime_match.crimes.store import (
    Again,
    Batch,
    Choice,
    File,
    Key,
    Version,
    batches,
    changes,
    compare,
    crimes,
    history,
    import_crimes,
    key_of,
    latest,
    seen_again,
)  # fmt: skip
from crime_match.runs.staleness import n_runs_made_stale, newest_crimes, run, run_crimes, runs, runs_of
from crime_match.runs.store import Found, Line, Made, makings, record_making, record_run, results_of
from engine.database import Connection, connect
from engine.errors import InputError, StoreError
from engine.times import HOUR_US, SECOND_US

ROOT = Path(__file__).resolve().parents[2]
NOW_US = 1_800_000_000 * SECOND_US
FIRST = Crime("MPS", "R1", "BIAD", NOW_US - 3 * HOUR_US, NOW_US - 2 * HOUR_US, 51.5, -0.1, text="door", batch="MPS1")
RUN, OTHER_RUN = "ab" * 32, "abc" + "0" * 61
PARAMETERS = {"radius_m": 100.0, "pad_s": 600.0, "only": ["placed", "possible"]}
INPUTS = {"fixes": "12" * 32, "crimes": "34" * 32}


@pytest.fixture
def store(connection: Connection) -> Connection:
    """A connection to a database without crimes and runs."""
    empty(connection)
    return connection


def empty(connection: Connection) -> None:
    connection.execute(
        "TRUNCATE crime_batch, crime_version, crime_seen_again, run, run_crime, run_result, run_made CASCADE"
    )
    connection.commit()


def put(connection: Connection, *given: Crime, now_us: int = NOW_US) -> Batch:
    batch = import_crimes(connection, given, File("f.csv", "00" * 32, "csv", len(given)), now_us)
    connection.commit()
    return batch


def told(versions: list[Version]) -> list[tuple[str, str, int, tuple[str, ...]]]:
    return [(*key_of(v.crime), v.version, v.changed) for v in versions]


def found(crime: Crime, version: int = 1, wearers: str = "AB") -> Found:
    lines = [
        Line(w, "placed" if w == "A" else "possible", "weak" if w == "A" else None, f'{{"w": "{w}"}}') for w in wearers
    ]
    placed = sum(line.verdict == "placed" for line in lines)
    return Found(*key_of(crime), version, {"placed": placed, "possible": len(lines) - placed, "excluded": 7}, lines)


def record(connection: Connection, *results: Found, run_id: str = RUN) -> bool:
    new = record_run(connection, run_id, "match-1", PARAMETERS, INPUTS, iter(results))
    connection.commit()
    return new


# --- crimes


def test_a_crime_is_read_as_it_was_written(store: Connection) -> None:
    odd = Crime("Kent", "x/1 \t\\N 'ü\U0001f6b2", "RB", 951_782_400_000_001, 4_102_444_799_999_999, 51.123456789012345,
                -1e-17, 33.333333333333336, "tab\there\nand \\. there", "b", 530000.0 + 2**-20, 0.1 + 0.2)  # fmt: skip
    batch = put(store, odd, FIRST)
    assert latest(store, [key_of(odd), ("MPS", "none")]) == {key_of(odd): Version(odd, 1, (), batch.number)}
    assert crimes(store) == [Version(odd, 1, (), batch.number), Version(FIRST, 1, (), batch.number)]


def test_changes_make_versions_and_repetitions_are_noted(store: Connection) -> None:
    one = put(store, FIRST, replace(FIRST, reference="R2"))
    two = put(store, replace(FIRST, batch="MPS2"), now_us=NOW_US + 1)
    three = put(store, replace(FIRST, lat=51.6, to_us=NOW_US, text="window", uncertainty_m=5.0, type="RB", batch="MPS3"))
    counts = [(b.n_new, b.n_changed, b.n_same) for b in (one, two, three)]
    assert counts == [(2, 0, 0), (0, 0, 1), (0, 1, 0)]
    every = ("location", "window", "type", "text", "uncertainty")
    assert told(history(store, "R1")) == [("MPS", "R1", 1, ()), ("MPS", "R1", 2, every)]
    assert [v.batch_number for v in history(store, "R1")] == [one.number, three.number]
    assert seen_again(store, "R1") == [Again("MPS", "R1", 1, "MPS2", two.number)]
    assert seen_again(store, "R2") == []
    assert batches(store) == [one, two, three]
    assert batches(store, numbers=[two.number]) == [two]
    assert batches(store, sha256="other") == []


def test_the_same_reference_of_two_forces_is_two_crimes(store: Connection) -> None:
    put(store, FIRST, replace(FIRST, force="KNT", text="x"))
    assert told(history(store, "R1")) == [("KNT", "R1", 1, ()), ("MPS", "R1", 1, ())]
    assert told(history(store, "R1", "MPS")) == [("MPS", "R1", 1, ())]


def test_a_crime_that_returns_to_what_it_was_is_a_third_version(store: Connection) -> None:
    put(store, FIRST, replace(FIRST, text="x"), FIRST, FIRST)
    assert told(history(store, "R1")) == [("MPS", "R1", 1, ()), ("MPS", "R1", 2, ("text",)), ("MPS", "R1", 3, ("text",))]
    assert [a.version for a in seen_again(store, "R1")] == [3]


def test_an_import_is_all_or_nothing(store: Connection) -> None:
    put(store, FIRST)
    with pytest.raises(psycopg.DataError):
        put(store, replace(FIRST, text="new"), replace(FIRST, reference="R2", text="no \0 in a database"))
    store.rollback()
    assert told(crimes(store)) == [("MPS", "R1", 1, ())]
    assert len(batches(store)) == 1


def test_a_failed_import_leaves_the_callers_transaction_alone(store: Connection) -> None:
    with store.transaction():
        import_crimes(store, [FIRST], File("a", "", "csv", 1), NOW_US)
        with pytest.raises(psycopg.DataError):
            import_crimes(store, [replace(FIRST, type="\0")], File("b", "", "csv", 1), NOW_US)
    assert [batch.file.name for batch in batches(store)] == ["a"]


def test_imports_at_the_same_time_wait_for_each_other(store: Connection, url: str) -> None:
    many = [replace(FIRST, reference=f"R{k}") for k in range(500)]
    done: list[Batch] = []

    def work(text: str) -> None:
        with connect(url) as own:
            done.append(put(own, *(replace(crime, text=text) for crime in many)))

    threads = [threading.Thread(target=work, args=(text,)) for text in ("a", "b", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(batch.n_new for batch in done) == 500
    per_crime = [v.version for v in history(store, "R7")]
    assert per_crime == list(range(1, len(per_crime) + 1))
    assert len(per_crime) == 1 + sum(batch.n_changed == 500 for batch in done)
    assert sum(batch.n_changed + batch.n_same for batch in done) == 1_000


def test_crimes_of_a_force_and_of_a_time(store: Connection) -> None:
    late = replace(FIRST, reference="R2", from_us=NOW_US, to_us=NOW_US + HOUR_US)
    put(store, FIRST, late, replace(FIRST, force="KNT"))
    assert told(crimes(store, Choice("KNT"))) == [("KNT", "R1", 1, ())]
    assert [v.crime for v in crimes(store, Choice(from_us=FIRST.to_us, to_us=NOW_US - 1))] == [
        replace(FIRST, force="KNT"),
        FIRST,
    ]
    assert [v.crime for v in crimes(store, Choice(from_us=FIRST.to_us + 1))] == [late]
    listed, total = newest_crimes(store, 2)
    assert ([x.version.crime for x in listed], total) == ([late, replace(FIRST, force="KNT")], 3)
    assert newest_crimes(store, choice=Choice("KNT", to_us=0)) == ([], 0)


reports = st.builds(
    replace, st.just(FIRST), reference=st.sampled_from(["R1", "R2"]), text=st.sampled_from("ab"),
    lat=st.sampled_from([51.5, 51.6]), batch=st.sampled_from("xy"),
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(st.lists(reports, max_size=5), max_size=4))
def test_the_database_says_what_the_comparison_says(store: Connection, files: list[list[Crime]]) -> None:
    empty(store)
    held: dict[Key, Version] = {}
    expected: list[Version] = []
    for file in files:
        batch = put(store, *file)
        new, again = compare(file, held)
        expected += [version._replace(batch_number=batch.number) for version in new]
        assert (batch.n_new + batch.n_changed, batch.n_same) == (len(new), len(file) - len(new))
        stored = [a for name in ("R1", "R2") for a in seen_again(store, name) if a.batch_number == batch.number]
        assert {(a.force, a.reference, a.version): a.batch for a in stored} == again
    for name in ("R1", "R2"):
        assert history(store, name) == [version for version in expected if version.crime.reference == name]
    assert [v.crime for v in crimes(store)] == [held[key].crime for key in sorted(held)]


# --- background

PUBLISHED = BackgroundCrime(
    "", "2019-09", "Kent Police", 51.27, 0.52, "On or near High Street", "Anti-social behaviour", ""
)


def put_published(connection: Connection, *given: BackgroundCrime) -> tuple[int, int]:
    batch = import_background(connection, given, File("p.csv", "", "police-uk", len(given)), NOW_US)
    connection.commit()
    return batch.n_new, batch.n_same


def test_a_published_crime_is_stored_once(store: Connection) -> None:
    named, nowhere = PUBLISHED._replace(crime_id="a1"), PUBLISHED._replace(lat=None, lon=None, month="2019-10")
    assert put_published(store, named, PUBLISHED, PUBLISHED, nowhere) == (4, 0)
    assert put_published(store, nowhere, PUBLISHED, named._replace(outcome="Under investigation")) == (0, 3)
    assert put_published(store, PUBLISHED, PUBLISHED, PUBLISHED, named, named) == (1, 4)
    rows = store.execute("SELECT key, month::text, lat, outcome FROM background_crime ORDER BY key").fetchall()
    assert len(rows) == 5
    assert rows[0] == ("a1", "2019-09-01", 51.27, "")
    assert sorted(row[1:3] for row in rows if row[2] is None) == [("2019-10-01", None)]
    assert crimes(store) == []


def test_keys_tell_crimes_without_an_id_apart_by_content_and_count() -> None:
    others = [PUBLISHED._replace(**{name: value}) for name, value in (
        ("month", "2019-10"), ("force", "x"), ("lat", 51.28), ("lon", 0.53), ("location", "x"), ("type", "x"))]  # fmt: skip
    found = list(keys([PUBLISHED, *others, PUBLISHED]))
    assert len(set(found)) == 8
    assert list(keys([PUBLISHED._replace(outcome="x")])) == found[:1]
    assert sorted(keys([PUBLISHED, PUBLISHED, *others])) == sorted(found)


def test_the_published_burglaries_of_lincolnshire(store: Connection) -> None:
    path = ROOT.parent / "shared" / "data" / "crimes_lincolnshire" / "burglaries_2017-02_2019-09.csv.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    published = read_background(path).crimes
    assert put_published(store, *published) == (11_791, 0)
    assert put_published(store, *reversed(published)) == (0, 11_791)


# --- runs


def test_a_run_is_written_once_and_read_back_byte_for_byte(store: Connection) -> None:
    put(store, FIRST, replace(FIRST, reference="R2"))
    odd = '{"crime": "R2", "why": "caf\\u00e9 \\"é\\"  \\\\ \\u0000 1e-05", "n": 100.0}' + " " * 9_000
    second = Found("MPS", "R2", 1, {"possible": 1}, [Line("Z", "possible", None, odd)])
    assert record(store, second, found(FIRST))
    assert not record(store, second, found(FIRST))
    stored = list(results_of(store, RUN))
    assert [(r.number, r.reference, r.wearer, r.verdict, r.support) for r in stored] == [
        (1, "R2", "Z", "possible", None), (2, "R1", "A", "placed", "weak"), (3, "R1", "B", "possible", None)
    ]  # fmt: skip
    assert [r.line for r in stored] == [odd, '{"w": "A"}', '{"w": "B"}']
    (kept,) = runs(store)
    assert kept == run(store, RUN)
    assert (kept.algorithm, kept.parameters, kept.inputs) == ("match-1", PARAMETERS, INPUTS)
    assert (kept.n_crimes, kept.n_lines, kept.n_stale) == (2, 3, 0)
    assert kept.counts == {"placed": 1, "possible": 2, "excluded": 7, "unmonitored": 0}
    assert [(c.reference, c.n_lines, c.counts["excluded"]) for c in run_crimes(store, RUN)] == [("R2", 1, 0), ("R1", 2, 7)]


def changed_line(one: Found) -> Found:
    return one._replace(lines=[one.lines[0], one.lines[1]._replace(text='{"w":  "B"}')])


@pytest.mark.parametrize(
    ("other", "where"),
    [
        ([found(FIRST), changed_line(found(replace(FIRST, reference="R2")))], "crime R2 of MPS, wearer B"),
        ([found(FIRST), found(replace(FIRST, reference="R2"))._replace(counts={"placed": 2})], "crime R2 of MPS"),
        ([found(FIRST), found(replace(FIRST, reference="R2"), wearers="BA")], "crime R2 of MPS, wearer B"),
        ([found(replace(FIRST, reference="R2")), found(FIRST)], "crime R1 of MPS"),
        ([found(FIRST)], "crime R2 of MPS"),
        ([found(FIRST), found(replace(FIRST, reference="R2")), found(replace(FIRST, reference="R3"))], "crime R3 of MPS"),
        ([], "crime R1 of MPS"),
    ],
)  # fmt: skip
def test_the_same_run_with_other_bytes_is_an_error(store: Connection, other: list[Found], where: str) -> None:
    put(store, FIRST, replace(FIRST, reference="R2"))
    assert record(store, found(FIRST), found(replace(FIRST, reference="R2")))
    kept = list(results_of(store, RUN))
    with pytest.raises(StoreError, match=rf"recorded with other results, first at {where}: the same run"):
        record(store, *other)
    store.rollback()
    assert list(results_of(store, RUN)) == kept
    assert not record(store, found(FIRST), found(replace(FIRST, reference="R2")))


def test_the_same_run_of_other_parameters_is_an_error(store: Connection) -> None:
    put(store, FIRST)
    record(store, found(FIRST))
    for asked in (
        ("match-2", PARAMETERS, INPUTS),
        ("match-1", PARAMETERS | {"pad_s": 0.0}, INPUTS),
        ("match-1", PARAMETERS, {}),
    ):
        with pytest.raises(StoreError, match="another algorithm, other parameters or other inputs"):
            record_run(store, RUN, *asked, iter([found(FIRST)]))


def test_a_run_of_crimes_that_are_not_stored_leaves_nothing(store: Connection) -> None:
    put(store, FIRST)
    with pytest.raises(StoreError, match=r"its crimes must be imported first: .*\(MPS, R2, 1\)"):
        record(store, found(FIRST), found(replace(FIRST, reference="R2")))
    with pytest.raises(StoreError, match="not maybe"):
        record(store, found(FIRST)._replace(counts={"maybe": 1}))
    store.rollback()
    assert runs(store) == []


def test_a_run_of_many_crimes_keeps_its_order_and_is_read_lazily(store: Connection) -> None:
    many = [replace(FIRST, reference=f"R{k}") for k in range(700)]
    put(store, *many)
    ahead: list[int] = []

    def results(backwards: bool) -> Iterator[Found]:
        for k, crime in enumerate(reversed(many) if backwards else many):
            stored = store.execute("SELECT count(*) FROM run_crime").fetchone() if k % 100 == 0 else None
            ahead.append(k - stored[0] if stored else 0)
            yield found(crime)

    assert record_run(store, RUN, "match-1", PARAMETERS, INPUTS, results(True))
    assert max(ahead) < 300  # no more than a portion in memory
    assert [c.reference for c in run_crimes(store, RUN)] == [f"R{k}" for k in reversed(range(700))]
    assert [r.number for r in results_of(store, RUN)] == list(range(1, 1_401))
    assert not record_run(store, RUN, "match-1", PARAMETERS, INPUTS, (found(crime) for crime in reversed(many)))


def test_one_run_recorded_twice_at_the_same_time_is_written_once(store: Connection, url: str) -> None:
    put(store, FIRST)
    told_new: list[bool] = []

    def work() -> None:
        with connect(url) as own:
            told_new.append(record(own, found(FIRST)))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told_new) == [False, False, True]
    assert len(list(results_of(store, RUN))) == 2


def test_a_newer_version_makes_results_stale_and_the_same_again_does_not(store: Connection) -> None:
    put(store, FIRST, replace(FIRST, reference="R2"))
    record(store, found(FIRST), found(replace(FIRST, reference="R2")))
    put(store, FIRST)
    assert [c.stale for c in run_crimes(store, RUN)] == [False, False]
    assert newest_crimes(store, choice=Choice(stale=True)) == ([], 0)
    moved = put(store, replace(FIRST, lat=51.6))
    put(store, replace(FIRST, lat=51.6, text="window"))
    assert [(c.reference, c.version, c.latest, c.stale, c.changed) for c in run_crimes(store, RUN)] == [
        ("R1", 1, 3, True, ("location", "text")), ("R2", 1, 1, False, ())
    ]  # fmt: skip
    assert (run(store, RUN).n_stale, runs_of(store, "MPS", "R1")[0].stale) == (1, True)
    listed, total = newest_crimes(store, choice=Choice(stale=True))
    assert ([(x.version.crime.reference, x.n_runs, x.n_stale) for x in listed], total) == ([("R1", 1, 1)], 1)
    assert n_runs_made_stale(store, moved.number) == 1
    record(store, found(FIRST, 3), run_id=OTHER_RUN)
    assert {r.id: r.n_stale for r in runs(store)} == {RUN: 1, OTHER_RUN: 0}
    assert [(c.run, c.version, c.stale) for c in runs_of(store, "MPS", "R1")] == [(RUN, 1, True), (OTHER_RUN, 3, False)]


def test_what_needs_matching_is_new_and_what_a_run_holds_in_an_earlier_version_is_stale(store: Connection) -> None:
    two, three = replace(FIRST, reference="R2"), replace(FIRST, reference="R3")

    def chosen(**asked: Any) -> list[str]:
        listed, total = newest_crimes(store, choice=Choice(**asked))
        names = [version.crime.reference for version in crimes(store, Choice(**asked))]
        assert (sorted(one.version.crime.reference for one in listed), total) == (names, len(names))
        return names

    put(store, FIRST, two, three)
    assert (chosen(new=True), chosen(stale=True)) == (["R1", "R2", "R3"], [])
    record(store, found(FIRST), found(two))
    assert (chosen(new=True), chosen(stale=True)) == (["R3"], [])
    put(store, replace(FIRST, lat=51.6))
    assert (chosen(new=True), chosen(stale=True)) == (["R1", "R3"], ["R1"])
    record(store, found(FIRST, 2), run_id=OTHER_RUN)
    assert (chosen(new=True), chosen(stale=True), chosen(new=True, stale=True)) == (["R3"], ["R1"], ["R1", "R3"])
    assert chosen(new=True, stale=True, force="KNT") == []
    assert chosen(reference="R2") == ["R2"]


def test_a_batch_is_what_the_force_sent_by_that_name(store: Connection) -> None:
    two = replace(FIRST, reference="R2", batch="MPS2")
    put(store, FIRST, two)
    put(store, replace(FIRST, batch="MPS3"), replace(two, lat=51.6, batch="MPS3"))
    names = {
        batch: [v.crime.reference for v in crimes(store, Choice(batch=batch))] for batch in ("MPS1", "MPS2", "MPS3", "MPS4")
    }
    assert names == {"MPS1": ["R1"], "MPS2": ["R2"], "MPS3": ["R1", "R2"], "MPS4": []}


def test_a_crime_that_changed_and_changed_back_is_stale_with_nothing_changed(store: Connection) -> None:
    put(store, FIRST)
    record(store, found(FIRST))
    put(store, replace(FIRST, type="RB"))
    put(store, FIRST)
    (crime,) = run_crimes(store, RUN)
    assert (crime.stale, crime.latest, crime.changed) == (True, 3, ())
    assert changes(FIRST, FIRST) == ()


def test_a_run_is_found_by_the_beginning_of_its_id(store: Connection) -> None:
    put(store, FIRST)
    record(store, found(FIRST))
    record(store, found(FIRST), run_id=OTHER_RUN)
    assert run(store, "abab").id == run(store, "ABAB").id == RUN
    assert run(store, OTHER_RUN[:3]).id == OTHER_RUN
    for prefix, reason in (
        ("ab", "more of it, several begin so"),
        ("f", "beginning of an id"),
        ("", "beginning of an id"),
        ("%", "beg"),
    ):
        with pytest.raises(InputError, match=reason):
            run(store, prefix)


def test_who_made_a_run_is_appended_and_never_changed(store: Connection) -> None:
    put(store, FIRST)
    record(store, found(FIRST))
    before = (run(store, RUN), list(results_of(store, RUN)))
    record_making(store, RUN, NOW_US, "kim", "daily")
    record_making(store, RUN, NOW_US + 1, "lee")
    store.commit()
    assert makings(store, RUN) == [Made(NOW_US, "kim", "daily"), Made(NOW_US + 1, "lee", "")]
    assert (run(store, RUN), list(results_of(store, RUN))) == before
    for change in ("UPDATE run_made SET made_by = 'x'", "DELETE FROM run_made"):
        with pytest.raises(psycopg.errors.RaiseException, match="only appended to"), store.transaction():
            store.execute(change)


def test_the_schema_can_be_taken_back(store: Connection) -> None:
    """Undone and done again in one transaction that is not kept."""

    def tables() -> set[Any]:
        return {row[0] for row in store.execute("SELECT relname FROM pg_class WHERE relname ~ '^(crime|run)'")}

    before, home = tables(), ROOT / "crime_match" / "schema"
    names = sorted(path.name.removesuffix(".rollback.sql") for path in home.glob("*.rollback.sql"))
    for name in reversed(names):
        store.execute((home / f"{name}.rollback.sql").read_bytes())
    assert tables() == set()
    for name in names:
        store.execute((home / f"{name}.sql").read_bytes())
    assert tables() == before
    store.rollback()
