"""The simulated world: determinism, files, tags, uploads, staged scenes."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.activations import UNASSIGNED, Activation, Activations
from engine.errors import InputError
from engine.events import EVENT_KINDS
from engine.fixes import ABSENT, NAMES, concat
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_time
from geofence.curfew import read_curfews
from geofence.zone import read_zones
from ingest.csv_trail import COLUMNS, read_csv
from ingest.fault import Faults
from tagwatch.simulate.files import write
from tagwatch.simulate.reporting import message_stream
from tagwatch.simulate.world import START_US, World, simulate


@pytest.fixture(scope="module")
def world() -> World:
    return simulate(30, 3, 11)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        same = simulate(9, 1, 5)
        write(same, tmp_path / name)
        write(same, tmp_path / name / "as_csv", "csv")
    ones = sorted(path for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(ones) == 24
    for path in ones:
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes(), path.name


def test_another_seed_gives_another_world(world: World) -> None:
    other = simulate(30, 1, 12)
    assert other.streets != world.streets
    assert other.wearers != world.wearers


def test_every_fix_comes_once_and_in_order(world: World) -> None:
    fixes = world.fixes
    key = fixes.device.astype(np.int64) * (1 << 50) + (fixes.time_us - world.start_us) // SECOND_US
    assert np.all(np.diff(key) > 0)
    assert list(fixes.devices) == sorted(fixes.devices)
    assert fixes.time_us.min() >= world.start_us
    assert fixes.time_us.max() < world.end_us


def test_uploads_come_after_their_fixes_and_in_bursts(world: World) -> None:
    fixes = world.fixes
    lag = fixes.received_s - fixes.time_us // SECOND_US
    assert lag.min() >= 0
    same_device = np.diff(fixes.device) == 0
    assert np.all(np.diff(fixes.received_s)[same_device] >= 0)
    assert lag.max() > 6 * 3600  # somebody had a backlog
    live = {a.device for a in world.activations if a.upload_interval_s == 60}
    ordinary = ~np.isin(fixes.device, [i for i, name in enumerate(fixes.devices) if name in live])
    bursts = np.unique(np.column_stack([fixes.device, fixes.received_s])[ordinary], axis=0)
    assert 5 < ordinary.sum() / len(bursts) < 14


def test_a_tag_reports_about_once_a_minute(world: World) -> None:
    gaps = np.diff(world.fixes.time_us)[np.diff(world.fixes.device) == 0] / SECOND_US
    assert np.median(gaps) == pytest.approx(60, abs=1)
    assert gaps.min() >= 50
    assert np.mean(gaps < 70) > 0.85


def test_activations_cover_every_fix_and_tell_its_wearer(world: World) -> None:
    activations = Activations(world.activations)
    row = activations.of_fixes(world.fixes)
    assert np.all(row != UNASSIGNED)
    wearers = np.array([a.wearer for a in activations.rows])[row]
    assert np.array_equal(wearers, np.array(world.truth.wearers)[world.truth.wearer])


def test_one_tag_is_used_again_and_one_wearer_swaps(world: World) -> None:
    by_device = {a.device: {b.wearer for b in world.activations if b.device == a.device} for a in world.activations}
    by_wearer = {a.wearer: {b.device for b in world.activations if b.wearer == a.wearer} for a in world.activations}
    assert max(map(len, by_device.values())) == 2
    assert max(map(len, by_wearer.values())) == 2


def test_speeds_are_those_of_people_and_cars(world: World) -> None:
    for path in world.truth.paths.values():
        assert np.all(np.diff(path.t_us) > 0)
        speed = np.hypot(np.diff(path.x), np.diff(path.y)) / (np.diff(path.t_us) * 1e-6)
        assert speed.max() < 20.0
    reported = world.fixes.speed_cms[world.fixes.speed_cms != ABSENT]
    assert 0 <= reported.min() < reported.max() < 4000


def test_batteries_run_down_and_are_charged(world: World) -> None:
    percent = world.fixes.battery_pct
    assert percent.min() >= 0
    assert percent.max() <= 100
    assert percent.std() > 10
    assert sum(event.kind == "charging" for event in world.events) > 30


def test_events_are_known_and_received_with_an_upload(world: World) -> None:
    assert {event.kind for event in world.events} <= set(EVENT_KINDS)
    assert {"motion", "no_motion", "charging", "gps_lost", "gps_found", "strap_tamper"} <= {e.kind for e in world.events}
    assert all(event.received_s * SECOND_US >= event.time_us for event in world.events)
    assert list(world.events) == sorted(world.events)


def test_between_gives_the_fixes_in_order_of_time(world: World) -> None:
    hours = [world.between(world.start_us + i * HOUR_US, world.start_us + (i + 1) * HOUR_US) for i in range(72)]
    assert np.all(np.diff(concat(hours).time_us) >= 0)
    assert sum(map(len, hours)) == len(world.fixes)


def test_the_message_stream_holds_everything_once_and_some_again(world: World) -> None:
    stream = message_stream(world.fixes, world.events, np.random.default_rng(3), resent_share=0.02)
    first = [message for message in stream if not message.resent]
    again = [message for message in stream if message.resent]
    rows = np.concatenate([np.arange(m.start, m.stop) for m in first])
    assert np.array_equal(np.sort(rows), np.arange(len(world.fixes)))
    assert sorted(event for m in first for event in m.events) == list(world.events)
    assert all(a.received_s <= b.received_s for a, b in pairwise(stream))
    assert 0.01 < len(again) / len(first) < 0.03
    originals = {(m.device, m.start, m.stop, m.events, m.received_s) for m in first}
    assert all((m.device, m.start, m.stop, m.events, m.received_s - 60) in originals for m in again)
    for message in first[:500]:
        assert np.all(world.fixes.received_s[message.start : message.stop] == message.received_s)


def test_csv_and_parquet_say_what_the_world_holds(world: World, tmp_path: Path) -> None:
    write(world, tmp_path)
    write(world, tmp_path, "csv")
    read = read_csv((tmp_path / "trails.csv").read_bytes(), Faults("trails.csv"))
    assert read.devices == world.fixes.devices
    for name in NAMES:
        assert np.array_equal(read.column(name), world.fixes.column(name)), name
    table = pq.read_table(tmp_path / "trails.parquet")
    assert tuple(table.column_names) == COLUMNS
    assert table.schema.field("time").type == table.schema.field("received").type == pa.timestamp("us", "UTC")
    assert np.array_equal(np.rint(np.asarray(table["lat"]) * 1e7), world.fixes.lat_e7)
    absent = world.fixes.course_cdeg == ABSENT
    assert table["course_deg"].null_count == absent.sum() > 0
    positions = pq.read_table(tmp_path / "truth" / "positions.parquet")
    assert positions.column_names == ["device", "wearer", "time", "lat", "lon"]
    assert positions["device"].to_pylist() == table["device"].to_pylist()


def test_the_small_files_can_be_read(world: World, tmp_path: Path) -> None:
    write(world, tmp_path)
    zones = read_zones(json.loads((tmp_path / "zones.geojson").read_text()))
    curfews = read_curfews(json.loads((tmp_path / "curfews.json").read_text()), zones)
    assert len(zones) == len(world.zones["features"])
    assert len(curfews) == len(world.curfews)
    rows = rows_of(tmp_path / "activations.csv")
    Activations(
        Activation(r["device"], r["wearer"], parse_time(r["from"]), parse_time(r["to"]) if r["to"] else 2**62) for r in rows
    )
    crimes = rows_of(tmp_path / "crimes.csv")
    assert ",".join(crimes[0]) == "force,reference,type,from,to,lat,lon,uncertainty_m,text"
    assert all(parse_time(crime["from"]) < parse_time(crime["to"]) for crime in crimes)
    assert len({crime["reference"] for crime in crimes}) == len(crimes)
    events = rows_of(tmp_path / "events.csv")
    assert list(events[0])[:4] == ["device", "time", "event", "value"]
    assert len(events) == len(world.events)
    teams = {team["id"] for team in json.loads((tmp_path / "teams.json").read_text())}
    assert {row["team"] for row in rows_of(tmp_path / "wearers.csv")} == teams


def test_zones_come_in_all_shapes() -> None:
    features = simulate(40, 1, 2, crimes=0).zones["features"]
    geometries = {feature["geometry"]["type"] for feature in features}
    assert geometries == {"Point", "Polygon", "MultiPolygon"}
    assert any(f["geometry"]["type"] == "Polygon" and len(f["geometry"]["coordinates"]) > 1 for f in features)
    assert {feature["properties"]["kind"] for feature in features} == {"exclusion", "inclusion"}
    assert any(feature["properties"]["wearers"] == "*" for feature in features)
    assert any("schedule" in feature["properties"] for feature in features)


@pytest.mark.parametrize("hour", [0, 3, 11, 17, 22])
def test_staged_scenes_all_happen_in_their_time(hour: int) -> None:
    start = START_US + hour * HOUR_US
    stage = (start + 10 * MINUTE_US, start + 25 * MINUTE_US)
    world = simulate(8, 1, hour, start, live_share=1.0, stage_us=stage)
    zone, curfew, crime = world.truth.scenes
    inside = [v for v in world.truth.visits if (v.wearer, v.zone) == (zone.wearer, zone.subject)]
    inside = [v for v in inside if stage[0] <= v.entered_us and v.left_us <= stage[1]]
    assert len(inside) == 1
    assert inside[0].left_us - inside[0].entered_us >= 8 * MINUTE_US
    kept = [k for k in world.truth.curfews if k.curfew == curfew.subject and k.window[0] <= stage[0] < k.window[1]]
    assert any(stage[0] <= begin < stage[1] for begin, _ in kept[0].away)
    row = next(c for c in world.crimes if c.reference == crime.subject)
    assert stage[0] <= row.from_us <= crime.from_us < crime.to_us <= row.to_us <= stage[1]
    presence = next(p for p in world.truth.crimes if p.reference == crime.subject)
    assert presence.wearer == crime.wearer


def test_the_smallest_world_holds() -> None:
    world = simulate(1, 1, 0, crimes=0)
    assert 900 < len(world.fixes) < 1500
    assert world.crimes == ()
    assert world.end_us - world.start_us == DAY_US


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"wearers": 0}, "wearers"),
        ({"days": 0}, "days"),
        ({"seed": -1}, "seed"),
        ({"crimes": -1}, "crimes"),
        ({"live_share": 1.5}, "live_share"),
        ({"start_us": 0}, "start"),
        ({"stage_us": (START_US, START_US + MINUTE_US)}, "stage"),
        ({"wearers": 3, "stage_us": (START_US, START_US + HOUR_US)}, "wearers"),
    ],
)
def test_impossible_worlds_are_refused(arguments: dict[str, object], field: str) -> None:
    with pytest.raises(InputError) as refused:
        simulate(**{"wearers": 5, "days": 1, "seed": 1} | arguments)  # type: ignore[arg-type]
    assert refused.value.field == field


def test_an_unknown_format_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="parquet or csv"):
        write(world, tmp_path, "xlsx")
    assert not list(tmp_path.iterdir())
