"""A replay gives the same ledger whether fixes are held, read in pieces, or shared out among processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alerts.alert import to_json
from engine.activations import Activation, Activations
from engine.events import DeviceEvent
from engine.fixes import Fixes
from geofence.curfew import read_curfews
from geofence.zone import read_zones
from ingest import parquet_trail
from ingest.parquet_trail import ParquetTrail, is_parquet, write_parquet
from tagwatch import portions
from tagwatch.monitor import Conditions, Monitor
from tagwatch.portions import FileFixes, HeldFixes, survey
from tagwatch.replay import Replayed, replay, replay_file

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
T0_US = 1_780_340_400_000_000  # 2026-06-01T19:00:00Z
NAMES = ("tag-d", "tag-a", "tag-c", "tag-b", "tag-e")
N_EACH = 40


def world() -> Fixes:
    """Five devices by turns, a fix a minute: each walks north through the square, one of them twice in the file."""
    device = np.repeat([0, 1, 2, 3, 4], N_EACH)
    minute = np.tile(np.arange(N_EACH), len(NAMES))
    north_m = np.where((minute > 8 + device) & (minute < 25), 0, 3_000) + device
    return Fixes.of(
        NAMES, device=device, time_us=T0_US + minute * 60_000_000, lat_e7=532_000_000 + north_m * 90,
        lon_e7=np.full(len(device), -5_000_000), accuracy_cm=np.full(len(device), 800), source=np.ones(len(device)),
    )  # fmt: skip


def conditions(activated: bool) -> Conditions:
    square = [[-0.502, 53.199], [-0.498, 53.199], [-0.498, 53.201], [-0.502, 53.201], [-0.502, 53.199]]
    wearers = ["ann", "bob"] if activated else ["tag-a", "tag-d"]
    geometry = {"type": "Polygon", "coordinates": [square]}
    zones = read_zones({"type": "FeatureCollection", "features": [
        {"type": "Feature", "geometry": geometry, "properties": {"id": f"z{k}", "kind": "exclusion", "wearers": who}}
        for k, who in enumerate([wearers[:1], wearers[1:], "*"])
    ]})  # fmt: skip
    curfews = read_curfews([
        {"id": f"c-{who}", "wearer": who, "place": {"lat": 53.2, "lon": -0.5, "radius_m": 100}, "timezone": "UTC",
         "weekly": [{"days": ["mon"], "start": "19:10", "end": "23:00"}]} for who in wearers
    ])  # fmt: skip
    if not activated:
        return Conditions(zones, curfews)
    change_us = T0_US + 20 * 60_000_000
    return Conditions(zones, curfews, Activations([
        Activation("tag-a", "ann", T0_US), Activation("tag-e", "ann", T0_US),
        Activation("tag-b", "bob", T0_US, change_us), Activation("tag-b", "cay", change_us), Activation("tag-z", "dan", T0_US),
    ]))  # fmt: skip


def told(done: Replayed) -> tuple:
    return (
        [to_json(a) for a in done.alerts],
        done.n_fixes,
        done.n_duplicates,
        done.n_unassigned,
        done.n_after,
        done.wearers,
    )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_trail, "_BATCH", 17)
    monkeypatch.setattr(portions, "_PORTION", 23)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("activated", [False, True])
@pytest.mark.parametrize("as_of_min", [None, 22, 600])
@pytest.mark.parametrize("processes", [1, 2, 7])
def test_held_or_read_by_one_process_or_more(
    tmp_path: Path, activated: bool, as_of_min: int | None, processes: int
) -> None:
    fixes, rules = world(), conditions(activated)
    as_of_us = None if as_of_min is None else T0_US + as_of_min * 60_000_000
    at_us = int(fixes.time_us.max()) if as_of_us is None else as_of_us
    shuffled = fixes.take(np.random.default_rng(1).permutation(len(fixes)))
    write_parquet(fixes, tmp_path / "t.parquet")
    pq.write_table(pq.read_table(tmp_path / "t.parquet"), tmp_path / "u.parquet", row_group_size=30)
    expected = told(replay(fixes, rules, at_us, 1))
    assert len(expected[0]) > 3
    assert told(replay(shuffled, rules, at_us, processes)) == expected
    for name in ("t.parquet", "u.parquet"):
        done = replay_file(str(tmp_path / name), rules, as_of_us, (), processes)
        assert done is not None
        assert told(done) == expected


@pytest.mark.usefixtures("small")
def test_what_comes_from_one_device_in_two_places_of_the_file_is_one_trail(tmp_path: Path) -> None:
    fixes, rules = world(), conditions(activated=False)
    order = np.roll(np.arange(len(fixes)), N_EACH // 2)  # the last device's second half comes first
    write_parquet(fixes.take(order), tmp_path / "t.parquet")
    at_us = int(fixes.time_us.max())
    events = [DeviceEvent(fixes.devices[0], at_us + 1, "heartbeat")]  # what is newest says as of when
    done = replay_file(str(tmp_path / "t.parquet"), rules, None, events)
    assert done is not None
    assert told(done) == told(replay(fixes, rules, at_us + 1, events=events))


def test_every_wearer_is_complete_once_and_after_the_last_fix(tmp_path: Path, small: None) -> None:
    fixes = world()
    write_parquet(fixes, tmp_path / "t.parquet")
    trail = ParquetTrail(tmp_path / "t.parquet", "t")
    found = survey(trail, None)
    assert found is not None
    for handed in (HeldFixes(fixes, Activations()), FileFixes(trail, found, Activations())):
        complete: list[str] = []
        for piece, ended in handed.of(1, 4):
            coming = {piece.devices[d] for d in piece.device}
            assert not coming & set(complete)
            complete += ended
        assert sorted(complete) == ["tag-a", "tag-b", "tag-c"]
        assert handed.sizes.tolist() == [N_EACH] * 5


def test_a_file_in_order_of_time_is_read_as_a_whole(tmp_path: Path) -> None:
    fixes = world()
    write_parquet(fixes.take(np.argsort(fixes.time_us, kind="stable")), tmp_path / "t.parquet")
    assert replay_file(str(tmp_path / "t.parquet"), conditions(activated=False)) is None


@pytest.mark.parametrize(
    ("name", "value"), [("lat", pa.scalar(91.0)), ("lon", pa.scalar(None, pa.float64())), ("device", pa.scalar("\t")),
                        ("time", pa.scalar(0).cast(pa.timestamp("us", "UTC")))],
)  # fmt: skip
def test_a_file_with_a_faulty_row_is_read_as_a_whole(tmp_path: Path, name: str, value: pa.Scalar) -> None:
    write_parquet(world(), tmp_path / "t.parquet")
    table = pq.read_table(tmp_path / "t.parquet")
    column = table[name].cast(pa.string()) if name == "device" else table[name]
    values = [*column.slice(0, 77).to_pylist(), value.as_py(), *column.slice(78).to_pylist()]
    changed = pa.array(values, column.type)
    changed = changed.dictionary_encode() if name == "device" else changed
    pq.write_table(table.set_column(table.column_names.index(name), name, changed), tmp_path / "t.parquet")
    for processes in (1, 2):
        assert replay_file(str(tmp_path / "t.parquet"), conditions(activated=False), None, (), processes) is None


def test_rows_that_nobody_wears_are_checked_too(tmp_path: Path) -> None:
    """In a row group of their own, which no wearer's part would read."""
    n = 40
    columns = {"lat_e7": np.full(2 * n, 532_000_000), "lon_e7": np.full(2 * n, -5_000_000)}
    times = T0_US + np.tile(np.arange(n), 2) * 60_000_000
    write_parquet(Fixes.of(("worn", "zz"), device=np.repeat([0, 1], n), time_us=times, **columns), tmp_path / "t.parquet")
    table = pq.read_table(tmp_path / "t.parquet")
    latitude = pa.array([*table["lat"].to_pylist()[:-1], 95.0])
    pq.write_table(
        table.set_column(table.column_names.index("lat"), "lat", latitude), tmp_path / "f.parquet", row_group_size=n
    )
    rules = Conditions(activations=Activations([Activation("worn", "ann", T0_US)]))
    for processes in (1, 2):
        assert replay_file(str(tmp_path / "f.parquet"), rules, None, (), processes) is None
        done = replay_file(str(tmp_path / "t.parquet"), rules, None, (), processes)
        assert done is not None
        assert (done.n_fixes, done.n_unassigned) == (n, n)


def test_a_batch_of_which_nobody_knows_the_wearer_is_counted() -> None:
    fixes = world()
    strangers = fixes.take(fixes.device == 0)
    taken = Monitor(conditions(activated=True)).take(strangers, int(fixes.time_us.max()))
    assert (taken.wearers, taken.n_unassigned) == ([], N_EACH)


def test_only_plain_files_of_parquet_are_read_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("device,time,lat,lon\n")
    assert not is_parquet(tmp_path / "t.csv")
    assert not is_parquet(tmp_path)
    assert not is_parquet("-")
    assert replay_file(str(tmp_path / "t.csv"), conditions(activated=False)) is None
