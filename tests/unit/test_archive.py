"""An archive that was interrupted, damaged, forged, or is none; and what an administrator who exports every month meets."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engine.activations import Activation, Activations
from engine.archive import parquet
from engine.archive.columns import LEAVES, geo_of, values_of
from engine.archive.day_file import write_day
from engine.archive.erasure import erase
from engine.archive.export import export
from engine.archive.groups import CREATED_BY
from engine.archive.manifest import Manifest, read_manifest, to_bytes
from engine.archive.order import by_place, once
from engine.archive.reader import Archive
from engine.archive.spill import by_day
from engine.archive.staging import STAGE, commit, hash_of, writing
from engine.archive.verify import verify
from engine.errors import InputError
from engine.events import DeviceEvent
from engine.fixes import Fixes, concat
from engine.times import DAY_US, SECOND_US
from ingest.trail_files import read_trail, read_trail_traced

START_US = 20_600 * DAY_US


def fixes(n: int = 900, seed: int = 1, start_us: int = START_US) -> Fixes:
    rng = np.random.default_rng(seed)
    return Fixes.of(
        ("a", "b", "c"), device=rng.integers(0, 3, n), time_us=start_us + np.arange(n) * 300 * SECOND_US,
        lat_e7=rng.integers(530_000_000, 531_000_000, n), lon_e7=rng.integers(-5_000_000, -4_000_000, n),
        accuracy_cm=rng.integers(100, 9000, n), source=rng.choice([1, 5], n),
    )  # fmt: skip


def put(folder: Path, *some: Fixes, merge: bool = False, events: list[DeviceEvent] | None = None) -> None:
    export(folder, lambda spill: by_day(some, spill), merge=merge, events=events or [])


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def codes(folder: Path) -> list[str]:
    return [flaw.code for flaw in verify(folder)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put(tmp_path / "archive", fixes(), events=[DeviceEvent("a", START_US + 5, "charging", "50", 7)])
    return tmp_path / "archive"


def rewrite(folder: Path, change: Callable[[Manifest], Manifest]) -> None:
    """Forge the manifest, its own hash with it."""
    (folder / "manifest.json").write_bytes(to_bytes(change(read_manifest(folder))))


def with_hashes(folder: Path) -> Callable[[Manifest], Manifest]:
    def change(manifest: Manifest) -> Manifest:
        days = []
        for day in manifest.days:
            told = [
                msgspec.structs.replace(f, sha256=hash_of(folder / f.path), bytes=(folder / f.path).stat().st_size)
                for f in day.files
            ]
            days.append(msgspec.structs.replace(day, files=told))
        return msgspec.structs.replace(manifest, days=days)

    return change


def test_a_file_that_is_not_told_of_is_found(folder: Path) -> None:
    shutil.copy(folder / "day=2026-05-27/fixes.parquet", folder / "day=2026-05-27/more.parquet")
    assert codes(folder) == ["unknown"]


def test_a_missing_file_is_found(folder: Path) -> None:
    (folder / "day=2026-05-27/fixes.parquet").unlink()
    (folder / "events.csv").unlink()
    assert codes(folder) == ["missing", "missing"]
    with pytest.raises(InputError, match=r"fixes\.parquet: cannot be read"):
        Archive(folder).read()


def test_days_that_took_each_others_place_are_found(folder: Path) -> None:
    one, two = folder / "day=2026-05-27/fixes.parquet", folder / "day=2026-05-28/fixes.parquet"
    one.rename(folder / "aside")
    two.rename(one)
    (folder / "aside").rename(two)
    assert codes(folder) == ["hash", "hash"]
    rewrite(folder, with_hashes(folder))
    assert codes(folder).count("day") == codes(folder).count("content") == 2


@pytest.mark.parametrize("forged", ["twice", "order", "content"])
def test_forged_rows_are_found_behind_right_hashes(folder: Path, forged: str) -> None:
    path = folder / "day=2026-05-28/fixes.parquet"
    rows = by_place(Archive(folder).day(read_manifest(folder).days[1]))
    if forged == "twice":
        rows = concat([rows, rows.take(slice(4, 5))])
    elif forged == "order":
        rows = rows.take(np.r_[1, 0, 2 : len(rows)])
    else:
        rows.accuracy_cm[7] += 1
    with path.open("wb") as file:
        parquet.write(file, [*LEAVES.values()], [values_of(rows)], {"geo": geo_of([0, 0, 1, 1])}, CREATED_BY)
    assert codes(folder) == ["hash"]
    rewrite(folder, with_hashes(folder))
    assert forged in codes(folder)


def test_counts_that_are_not_those_of_the_files_are_found(folder: Path) -> None:
    told = read_manifest(folder)
    odd = msgspec.structs.replace(told.devices["a"], fixes=told.devices["a"].fixes + 1)
    rewrite(folder, lambda manifest: msgspec.structs.replace(manifest, devices={**manifest.devices, "a": odd}))
    assert codes(folder) == ["devices"]


def test_a_change_that_breaks_off_leaves_all_as_it_was(folder: Path) -> None:
    before = files(folder)

    def broken(spill: Path) -> Iterator[tuple[int, Fixes]]:
        yield from by_day([fixes(seed=2, start_us=START_US + 10 * DAY_US)], spill)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(folder, broken)
    assert files(folder) == before
    assert not codes(folder)


def test_a_new_archive_that_breaks_off_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such trail"):
        export(tmp_path / "archive", lambda _: (_ for _ in ()).throw(InputError("no such trail")))
    assert codes(tmp_path / "archive") == ["manifest"]


@pytest.mark.parametrize("n_moved", range(6))
def test_a_crash_after_the_change_was_made_is_finished_by_who_comes_next(
    folder: Path, tmp_path: Path, n_moved: int
) -> None:
    grown = tmp_path / "grown"
    shutil.copytree(folder, grown)
    put(grown, fixes(seed=2), fixes(400, 3, START_US + 20 * DAY_US), merge=True, events=[DeviceEvent("b", 9, "charging")])
    whole, old = files(grown), files(folder)
    changed = sorted(path for path, data in whole.items() if old.get(path) != data and path != "manifest.json")
    assert len(changed) == 7
    for k, path in enumerate([*changed, "manifest.json"]):
        place = folder if k < n_moved else folder / STAGE
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(whole[path])
    assert not codes(folder)
    assert files(folder) == whole


def test_a_crash_before_it_was_made_is_forgotten_by_the_next_export(folder: Path) -> None:
    before = files(folder)
    (folder / STAGE / "day=2026-05-27").mkdir(parents=True)
    (folder / STAGE / "day=2026-05-27/fixes.parquet").write_bytes(b"half of it")
    assert codes(folder) == ["leftover"]
    assert len(Archive(folder).read()) == 900
    put(folder, fixes())
    assert files(folder) == before


def test_one_writes_at_a_time(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        for change in (lambda: put(folder, fixes()), lambda: erase(folder, ["a"], None, None, "7")):
            with pytest.raises(InputError, match="written by another process"):
                change()
    finally:
        os.close(handle)


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match=r"holds letter\.txt, and no manifest\.json"):
        put(tmp_path, fixes())
    with pytest.raises(InputError, match="is not a folder"):
        put(tmp_path / "letter.txt", fixes())
    assert files(tmp_path) == {"letter.txt": b"dear"}


def test_a_damaged_day_is_neither_merged_nor_erased_from(folder: Path) -> None:
    path = folder / "day=2026-05-28/fixes.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    before = files(folder)
    with pytest.raises(InputError, match="damaged, so nothing is changed"):
        put(folder, fixes(seed=2), merge=True)
    assert files(folder) == before
    with pytest.raises(InputError, match="damaged, so nothing is changed"):
        erase(folder, ["a"], START_US + DAY_US, None, "7")
    assert files(folder) == before


def test_a_month_after_the_other(tmp_path: Path) -> None:
    months = [fixes(900, k, START_US + 30 * k * DAY_US) for k in range(3)]
    for month in months:
        put(tmp_path / "grows", month)
    put(tmp_path / "at_once", *months)
    assert files(tmp_path / "grows") == files(tmp_path / "at_once")
    late = fixes(3, 77)
    with pytest.raises(InputError, match="day 2026-05-27 with other fixes.*--merge"):
        put(tmp_path / "grows", late)
    put(tmp_path / "grows", late, merge=True)
    assert not codes(tmp_path / "grows")
    assert len(Archive(tmp_path / "grows").read()) == 2703


def test_activations_grow_and_never_contradict(tmp_path: Path) -> None:
    def tell(*rows: Activation) -> list[str]:
        export(tmp_path / "archive", lambda spill: by_day([fixes()], spill), activations=Activations(rows))
        return (tmp_path / "archive/activations.csv").read_text().splitlines()[1:]

    tell(Activation("a", "W1", START_US))
    lines = tell(Activation("a", "W1", START_US, START_US + DAY_US), Activation("b", "W2", START_US, percentile=0.68))
    assert lines == [
        "a,W1,2026-05-27T00:00:00.000Z,2026-05-28T00:00:00.000Z,0.95,60,600,300,",
        "b,W2,2026-05-27T00:00:00.000Z,,0.68,60,600,300,",
    ]
    with pytest.raises(InputError, match="device b is on W2 and on W3"):
        tell(Activation("b", "W3", START_US + 5))
    assert not codes(tmp_path / "archive")


def test_a_large_day_has_several_files(tmp_path: Path) -> None:
    whole = once(fixes(200))
    put(tmp_path / "archive", whole)
    with writing(tmp_path / "archive") as stage:
        told = read_manifest(tmp_path / "archive")
        parts = write_day(stage, told.days[0].day, whole, rows_a_file=64)
        commit(
            tmp_path / "archive", msgspec.structs.replace(told, days=[msgspec.structs.replace(told.days[0], files=parts)])
        )
    names = ["fixes-2.parquet", "fixes-3.parquet", "fixes-4.parquet", "fixes.parquet"]
    assert sorted(path.name for path in (tmp_path / "archive").rglob("*.parquet")) == names
    assert not codes(tmp_path / "archive")
    found = Archive(tmp_path / "archive").read()
    assert np.array_equal(found.time_us, whole.time_us)
    put(tmp_path / "archive", fixes(1, 9), merge=True)
    assert [path.name for path in (tmp_path / "archive").rglob("*.parquet")] == ["fixes.parquet"]
    assert not codes(tmp_path / "archive")


def test_an_erasure_goes_on_where_it_was_interrupted(folder: Path) -> None:
    path = folder / "day=2026-05-29/fixes.parquet"
    sound = path.read_bytes()
    path.write_bytes(b"!" + sound[1:])
    with pytest.raises(InputError, match="damaged"):
        erase(folder, ["a"], None, None, "order 7")
    path.write_bytes(sound)
    assert not codes(folder)
    assert {to_day(time_us) for time_us in Archive(folder).read(devices=["a"]).time_us.tolist()} == {20_602, 20_603}
    erase(folder, ["a"], -(2**62), 2**62, "order 7")
    assert not len(Archive(folder).read(devices=["a"]))
    assert sum(e.fixes for e in read_manifest(folder).erasures) == int((fixes().device == 0).sum())
    assert not codes(folder)


def to_day(time_us: int) -> int:
    return time_us // DAY_US


def test_an_archive_and_its_files_are_trails(folder: Path) -> None:
    whole, day = read_trail(folder), read_trail_traced(folder / "day=2026-05-28/fixes.parquet")
    assert len(whole) == 900
    assert len(day.fixes) == 288
    assert day.rows.tolist() == [*range(1, 289)]
    assert day.sha256 == hash_of(folder / "day=2026-05-28/fixes.parquet")
    (folder / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        read_trail(folder)
