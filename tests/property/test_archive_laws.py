"""Laws of the archive: what goes in comes out bit for bit, whatever the order and the goes; what is asked for is found; what
is erased is gone, and nothing else; and a byte that is not as it was is found."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.activations import Activation, Activations
from engine.archive.erasure import erase
from engine.archive.export import Exported, export
from engine.archive.nearest import nearest_of_wearers
from engine.archive.reader import Archive
from engine.archive.spill import by_day
from engine.archive.verify import verify
from engine.errors import InputError
from engine.events import DeviceEvent
from engine.fixes import ABSENT, CONTENT, Fixes
from engine.times import DAY_US, SECOND_US, to_iso

Row = tuple[Any, ...]
Stored = dict[Row, int]
NOON_US = 20_000 * DAY_US + DAY_US // 2
DEVICES = ("a", "b", "user/phone", "50%", 'the "tag"', "ünï 漢字", "A,B", "'; --")
VALUES = ("device", "time_us", *CONTENT, "received_s")

times = st.one_of(
    st.integers(-3, 3).map(lambda minute: NOON_US + minute * 60 * SECOND_US),
    st.integers(-2 * DAY_US, 2 * DAY_US).map(lambda offset: NOON_US + offset),
    st.sampled_from([0, -1, -DAY_US, 19_999 * DAY_US, 20_001 * DAY_US - 1, 47_482 * DAY_US - 1, 946_684_800 * SECOND_US]),
)
latitudes = st.one_of(st.integers(530_000_000, 530_000_050), st.sampled_from([900_000_000, -900_000_000, 0, -1, 1]))
longitudes = st.one_of(st.integers(-5_000_050, -4_999_950), st.sampled_from([1_800_000_000, -1_800_000_000, 0, -1]))
numbers = st.one_of(st.just(ABSENT), st.integers(0, 40_000), st.sampled_from([2**31 - 1, ABSENT + 1, 0, -5]))


@st.composite
def rows(draw: st.DrawFn, most: int = 24) -> list[Row]:
    """Rows of device, time, content, received: many of one device and time, some of them twice."""
    columns = [st.sampled_from(DEVICES), times, latitudes, longitudes, *[numbers] * 7, st.sampled_from([0, 1, 4, 5, 6, 9])]
    found = draw(st.lists(st.tuples(*columns, st.integers(-5, 2**33)), max_size=most))
    again = draw(st.lists(st.tuples(st.sampled_from(found), st.integers(0, 99)), max_size=4)) if found else []
    return found + [(*row[:-1], row[-1] + late_s) for row, late_s in again]


def fixes_of(some: Iterable[Row]) -> Fixes:
    some = list(some)
    names = list(dict.fromkeys(row[0] for row in some))
    columns: dict[str, Any] = dict(zip(VALUES, zip(*some, strict=True) if some else [[]] * len(VALUES), strict=True))
    return Fixes.of(names, **columns | {"device": [names.index(row[0]) for row in some]})


def rows_of(fixes: Fixes) -> list[Row]:
    columns = [fixes.column(name).tolist() for name in VALUES]
    columns[0] = [fixes.devices[k] for k in columns[0]]
    return list(zip(*columns, strict=True))


def stored(some: Iterable[Row]) -> Stored:
    """By what makes a fix the one it is, the earliest arrival."""
    found: Stored = {}
    for row in some:
        found[row[:-1]] = min(row[-1], found.get(row[:-1], row[-1]))
    return found


def put(folder: Path, some: Iterable[Row], *, merge: bool = True, events: Iterable[DeviceEvent] = ()) -> Exported:
    return export(folder, lambda spill: by_day([fixes_of(some)], spill), events=events, merge=merge)


def held(folder: Path) -> Stored:
    found = rows_of(Archive(folder).read())
    assert len(found) == len(stored(found))
    return stored(found)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def folders(n: int = 1) -> Iterator[list[Path]]:
    with TemporaryDirectory() as home:
        yield [Path(home) / str(k) for k in range(n)]


@settings(max_examples=40)
@given(rows())
def test_what_goes_in_comes_out(some: list[Row]) -> None:
    with folders() as [folder]:
        done = put(folder, some)
        assert held(folder) == stored(some)
        assert not list(verify(folder))
        assert (done.fixes_new, Archive(folder).manifest.fixes) == (len(stored(some)),) * 2
        days = {to_iso(row[1])[:10] for row in some}
        assert {path.name for path in folder.glob("day=*")} == {f"day={day}" for day in days}


@settings(max_examples=40)
@given(rows(), st.randoms(use_true_random=False))
def test_the_same_fixes_are_the_same_bytes(some: list[Row], random: Any) -> None:
    other = sorted(some, key=lambda _: random.random())
    with folders(2) as [one, two]:
        put(one, some)
        put(two, other)
        assert files(one) == files(two)


@settings(max_examples=40)
@given(rows(), st.data())
def test_in_two_goes_is_as_in_one(some: list[Row], data: st.DataObject) -> None:
    first = data.draw(st.lists(st.booleans(), min_size=len(some), max_size=len(some)))
    parts = [[row for row, is_first in zip(some, first, strict=True) if is_first is go] for go in (True, False)]
    with folders(2) as [one, two]:
        for part in parts:
            put(one, part)
        put(two, some)
        assert files(one) == files(two)
        again = put(one, parts[0])
        assert (again.days_new, again.days_grown, again.fixes_new) == (0, 0, 0)
        assert files(one) == files(two)


@settings(max_examples=40)
@given(rows(), rows(8))
def test_a_day_that_would_change_is_refused_without_merge(some: list[Row], more: list[Row]) -> None:
    days = {row[1] // DAY_US for row in some}
    by_now, after = stored(some), stored([*some, *more])
    changed = {key[1] // DAY_US for key, received_s in after.items() if by_now.get(key) != received_s}
    with folders() as [folder]:
        put(folder, some)
        before = files(folder)
        if days & changed:
            with pytest.raises(InputError, match="--merge"):
                put(folder, more, merge=False)
            assert files(folder) == before
        else:
            put(folder, more, merge=False)
            assert held(folder) == after


@settings(max_examples=40)
@given(rows(), times, times, st.sets(st.sampled_from(DEVICES)), st.tuples(longitudes, latitudes, longitudes, latitudes))
def test_what_is_asked_for_is_found(some: list[Row], one: int, two: int, names: set[str], box: Any) -> None:
    from_us, to_us = sorted((one, two))
    west, east = sorted((box[0], box[2]))
    south, north = sorted((box[1], box[3]))

    def lies_within(row: Row) -> bool:
        return bool(south <= row[2] <= north and west <= row[3] <= east)

    def is_then(row: Row) -> bool:
        return bool(from_us <= row[1] <= to_us)

    with folders() as [folder]:
        put(folder, some)
        archive, all_rows = Archive(folder), [(*key, at) for key, at in stored(some).items()]
        square = (west, south, east, north)
        assert rows_set(archive.read(from_us=from_us, to_us=to_us)) == {*filter(is_then, all_rows)}
        assert rows_set(archive.read(box_e7=square)) == {*filter(lies_within, all_rows)}
        mine = [row for row in all_rows if row[0] in names and is_then(row) and lies_within(row)]
        assert rows_set(archive.read(devices=names, from_us=from_us, to_us=to_us, box_e7=square)) == {*mine}
        scanned = sum(len(group.columns["time_us"]) for group in archive.scan(("time_us",), from_us=from_us, to_us=to_us))
        assert len([*filter(is_then, all_rows)]) <= scanned <= len(all_rows)


def rows_set(fixes: Fixes) -> set[Row]:
    found = rows_of(fixes)
    assert len({*found}) == len(found)
    return {*found}


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(-3 * DAY_US, 3 * DAY_US), st.integers(0, DAY_US))
def test_the_nearest_are_the_nearest(seed: int, offset_us: int, length_us: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 900))
    time_us = NOON_US + rng.permutation(np.arange(n)) * int(rng.integers(1, 600)) * SECOND_US
    fixes = Fixes.of(
        ("a", "b", "c", "d"), device=np.where(rng.random(n) < 0.9, rng.integers(0, 2, n), 3), time_us=time_us,
        lat_e7=rng.integers(530_000_000, 531_000_000, n), lon_e7=rng.integers(-5_000_000, 5_000_000, n),
    )  # fmt: skip
    all_rows = rows_of(fixes)
    from_us, to_us = NOON_US + offset_us, NOON_US + offset_us + length_us

    def wanted(before: bool) -> set[Row]:
        found: set[Row] = set()
        for name in fixes.devices:
            beyond = [row for row in all_rows if row[0] == name and (row[1] < from_us if before else row[1] > to_us)]
            found |= {*sorted(beyond, key=lambda row: -row[1] if before else row[1])[:64]}
        return found

    with folders() as [folder]:
        export(folder, lambda spill: by_day([fixes], spill))
        archive = Archive(folder)
        assert rows_set(archive.nearest(from_us, before=True)) == wanted(True)
        assert rows_set(archive.nearest(to_us, before=False)) == wanted(False)
        within = {row for row in all_rows if from_us <= row[1] <= to_us}
        assert rows_set(archive.about([(from_us, to_us)])) == wanted(True) | wanted(False) | within
        mine = {row for row in wanted(True) if row[0] in ("a", "d")}
        assert rows_set(archive.nearest(from_us, before=True, devices=["a", "d", "nobody"])) == mine


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(-DAY_US, 3 * DAY_US))
def test_the_nearest_of_who_wore_them(seed: int, offset_us: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 700))
    fixes = Fixes.of(
        ("a", "b"), device=rng.integers(0, 2, n), time_us=NOON_US + rng.permutation(np.arange(n)) * 300 * SECOND_US,
        lat_e7=np.zeros(n), lon_e7=np.zeros(n),
    )  # fmt: skip
    worn, at_us = [], NOON_US + offset_us
    for device in fixes.devices:
        cuts = sorted({NOON_US + int(k) * 300 * SECOND_US for k in rng.integers(-9, n + 9, 8)})
        spans = pairwise(cuts)
        worn += [Activation(device, f"W{rng.integers(0, 3)}", *span) for span in spans if rng.random() < 0.8]
    all_rows = rows_of(fixes)

    def wanted(before: bool) -> set[Row]:
        found: set[Row] = set()
        for wearer, device in {(row.wearer, row.device) for row in worn}:
            mine = [(r.from_us, r.to_us) for r in worn if (r.wearer, r.device) == (wearer, device)]
            held = [r for r in all_rows if r[0] == device and any(first <= r[1] < end for first, end in mine)]
            beyond = [r for r in held if (r[1] < at_us if before else r[1] > at_us)]
            found |= {*sorted(beyond, key=lambda row: -row[1] if before else row[1])[:64]}
        return found

    with folders() as [folder]:
        export(folder, lambda spill: by_day([fixes], spill))
        archive, activations = Archive(folder), Activations(worn)
        for before in (True, False):
            assert rows_set(nearest_of_wearers(archive, activations, at_us, before=before)) == wanted(before)


events = st.lists(
    st.builds(DeviceEvent, st.sampled_from(DEVICES), times, st.just("battery"), st.sampled_from(["", "7", 'a "b", c']),
              st.integers(0, 2**32)), max_size=6,
)  # fmt: skip


@settings(max_examples=40)
@given(rows(), events, st.sets(st.sampled_from(DEVICES)), st.one_of(st.none(), times), st.one_of(st.none(), times))
def test_what_is_erased_is_gone_and_nothing_else(
    some: list[Row], told: list[DeviceEvent], names: set[str], from_us: int | None, to_us: int | None
) -> None:
    told = sorted(told, key=lambda e: (e[:4], e.received_s))
    told.sort(key=lambda e: e.time_us)
    told = sorted({e[:4]: e for e in reversed(told)}.values(), key=lambda e: (e.time_us, e.device, e.kind, e.value))

    def goes(name: str, time_us: int) -> bool:
        after = from_us is None or from_us <= time_us
        return name in names and after and (to_us is None or time_us < to_us)

    before = stored(some)
    left = {key: received_s for key, received_s in before.items() if not goes(key[0], key[1])}
    with folders(2) as [folder, fresh]:
        put(folder, some, events=told)
        done = erase(folder, names, from_us, to_us, "order 7", reason="as agreed", clock=lambda: NOON_US)
        assert held(folder) == left
        assert [*Archive(folder).events()] == [e for e in told if not goes(e.device, e.time_us)]
        assert (done.fixes, done.events) == (len(before) - len(left), sum(goes(e.device, e.time_us) for e in told))
        assert not list(verify(folder))
        notes = Archive(folder).manifest.erasures
        assert (sum(e.fixes for e in notes), sum(e.events for e in notes)) == done[:2]
        assert {e.device for e in notes} <= names
        put(fresh, [(*key, at) for key, at in left.items()])
        days = Archive(folder).manifest.days
        assert days == Archive(fresh).manifest.days
        assert erase(folder, names, from_us, to_us, "order 7", reason="as agreed") == (0, 0, 0)
        again = put(folder, some, events=told)
        assert held(folder) == left
        assert again.fixes_erased == len(before) - len(left)
        assert not list(verify(folder))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of three days, with events."""
    folder = tmp_path_factory.mktemp("sound") / "archive"
    rng = np.random.default_rng(3)
    n = 600
    fixes = Fixes.of(
        ("a", "b"), device=rng.integers(0, 2, n), time_us=NOON_US + np.arange(n) * 400 * SECOND_US,
        lat_e7=rng.integers(530_000_000, 530_100_000, n), lon_e7=rng.integers(-5_000_000, -4_900_000, n),
    )  # fmt: skip
    export(folder, lambda spill: by_day([fixes], spill), events=[DeviceEvent("a", NOON_US, "charging", "5", 1)])
    assert not list(verify(folder))
    return folder


@settings(max_examples=60)
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_found(sound: Path, data: st.DataObject) -> None:
    names = sorted(files(sound))
    name = data.draw(st.sampled_from(names))
    with folders() as [folder]:
        shutil.copytree(sound, folder)
        held_bytes = bytearray((folder / name).read_bytes())
        held_bytes[data.draw(st.integers(0, len(held_bytes) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        (folder / name).write_bytes(held_bytes)
        assert list(verify(folder))


@settings(max_examples=40)
@given(data=st.data())
def test_a_manifest_cut_short_is_found(sound: Path, data: st.DataObject) -> None:
    whole = (sound / "manifest.json").read_bytes()
    with folders() as [folder]:
        shutil.copytree(sound, folder)
        (folder / "manifest.json").write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        assert [flaw.code for flaw in verify(folder)] == ["manifest"]
