"""The zone index and the tree of boxes: real sets with known answers, readers beside an editor, refusals, boxes of trails."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from engine.errors import InputError
from geofence.box_tree import BoxTree
from geofence.zone import Circle
from geofence.zone_index import ZoneIndex

DATA = Path(__file__).resolve().parents[3] / "shared/data"


def square(west: float, south: float, size: float) -> shapely.Polygon:
    return shapely.box(west, south, west + size, south + size)


def zones_at(index: ZoneIndex, lat: float, lon: float) -> list[int]:
    lat_e7, lon_e7 = (np.array([round(v * 1e7)], np.int32) for v in (lat, lon))
    return index.containing(lat_e7, lon_e7)[1].tolist()


def test_touching_overlapping_and_equal_zones_are_told_in_order() -> None:
    index = ZoneIndex({5: square(0, 0, 1), 2: square(1, 0, 1), 9: square(0, 0, 1), 7: square(0.5, 0.5, 1)})
    assert zones_at(index, 0.25, 1.0) == [2, 5, 9]
    assert zones_at(index, 0.75, 0.75) == [5, 7, 9]
    assert zones_at(index, 1.0, 1.0) == [2, 5, 7, 9]
    assert zones_at(index, -1e-7, 0.5) == []


def test_a_zone_over_the_antimeridian_is_found_from_both_sides() -> None:
    index = ZoneIndex({1: square(179.9, -17, 0.2), 2: Circle(-165_000_000, -1_799_999_000, 5000.0)})
    assert zones_at(index, -16.9, 179.95) == zones_at(index, -16.9, -179.95) == [1]
    assert zones_at(index, -16.5, 179.99) == zones_at(index, -16.5, -179.97) == [2]
    assert zones_at(index, -16.9, 180.0) == zones_at(index, -16.9, -180.0) == [1]


def test_no_zones_and_points_off_the_world() -> None:
    assert zones_at(ZoneIndex({}), 1.0, 1.0) == []
    index = ZoneIndex({0: shapely.Polygon(), 1: square(-180, -90, 180)})
    assert index.first(np.array([2**31 - 1, -(2**31), 0], np.int32), np.zeros(3, np.int32)).tolist() == [-1, -1, 1]


def test_what_is_no_area_is_refused() -> None:
    with pytest.raises(InputError, match="Polygon"):
        ZoneIndex({0: shapely.Point(0, 0)})
    with pytest.raises(InputError, match="180 degrees"):
        ZoneIndex({0: shapely.box(-120, 0, 120, 1)})
    with pytest.raises(KeyError):
        ZoneIndex({}).remove(3)


def test_a_star_of_needles_costs_bounded_memory() -> None:
    rng = np.random.default_rng(3)
    angle, radius = np.arange(4000) / 4000 * 2 * np.pi, rng.uniform(0, 0.1, 4000)
    star = shapely.Polygon(np.rint(np.column_stack([np.cos(angle), np.sin(angle)]) * radius[:, None] * 1e7) / 1e7)
    index = ZoneIndex({0: star})
    assert index.nbytes < 2**21 + 8 * (2**20 + 64 * 4000) + 8 * 2**20
    x, y = rng.integers(-1_000_000, 1_000_001, (2, 3000)).astype(np.int32)
    whole = shapely.transform(star, lambda degrees: np.rint(degrees * 1e7))
    assert np.array_equal(index.first(y, x) == 0, shapely.intersects_xy(whole, x.astype(float), y.astype(float)))


def test_a_reader_sees_each_edit_wholly_or_not_at_all() -> None:
    """Two zones always change places in one edit of a third that covers both or neither: a batch never sees half of it."""
    index = ZoneIndex({k: square(k * 0.01, 0, 0.005) for k in range(20)})
    y, x = np.zeros(4000, np.int32) + 1000, np.tile(np.array([1000, 1_000_000, 1_901_000, 5_000_000], np.int32), 1000)
    seen: list[set[int]] = []
    stop = False

    def read() -> None:
        while not stop:
            rows, zones = index.containing(y, x)
            seen.append({int((zones[rows % 4 == k] == 50).sum()) for k in range(4)})

    reader = Thread(target=read)
    reader.start()
    for _ in range(30):
        index.put(50, square(-0.1, -0.1, 1.0))
        index.remove(50)
    stop = True
    reader.join()
    assert seen
    assert all(counts in ({0}, {1000}) for counts in seen)


@pytest.mark.skipif(not (DATA / "zones_nyc_taxi").exists(), reason="the shared data are not on this machine")
def test_real_pickups_are_in_the_taxi_zones_that_shapely_found() -> None:
    folder = DATA / "zones_nyc_taxi"
    features = json.loads((folder / "taxi_zones_wgs84.geojson").read_text("utf-8"))["features"]
    areas = [shape(feature["geometry"]) for feature in features]
    with gzip.open(folder / "uber_pickups_nyc_100k.csv.gz", "rt", encoding="utf-8") as file:
        points = np.array([(float(row["lon"]), float(row["lat"])) for row in csv.DictReader(file)])
    x, y = np.rint(points * 1e7).astype(np.int32).T.copy()
    rows, zones = ZoneIndex(dict(enumerate(areas))).containing(y, x)
    whole = shapely.transform(np.array(areas), lambda degrees: np.rint(degrees * 1e7))
    sound = shapely.is_valid(whole)
    found = shapely.STRtree(whole[sound]).query(shapely.points(x, y), predicate="intersects")
    expected = {(int(row), int(np.flatnonzero(sound)[zone])) for row, zone in found.T}
    ours = {(int(row), int(zone)) for row, zone in zip(rows, zones, strict=True) if sound[zone]}
    assert ours == expected
    assert len(ours) > 80_000


def test_boxes_near_trails_equal_a_plain_loop_after_edits() -> None:
    rng = np.random.default_rng(11)
    for n in (0, 1, 17, 600):
        corner = rng.integers(-50_000, 50_000, (n, 2)).astype(np.float64)
        corner[: n // 4, 0] += 1.8e9
        boxes = dict(enumerate(np.column_stack([corner, corner + rng.integers(0, 3000, (n, 2))])))
        tree = BoxTree(np.array(list(boxes.values())).reshape(-1, 4), list(boxes))
        for row in rng.integers(0, n + 5, 100).tolist():
            if row in boxes and rng.random() < 0.5:
                tree.remove(row)
                del boxes[row]
            else:
                boxes[row] = np.array([row, row, row + 900.0, row + 500.0])
                tree.put(row, boxes[row].tolist())
        starts = np.array([0, 0, 40, 41, 150])
        x, y = (np.cumsum(rng.integers(-900, 900, 150)).astype(np.int32) for _ in range(2))
        x[60:] -= np.int32(1_800_000_000)
        dx, dy = rng.uniform(0, 2000, (2, 150))
        cuts, rows = tree.near(starts, x, y, dx, dy)
        for trail in range(4):
            fixes = range(starts[trail], starts[trail + 1])
            expected = [
                row for row, (west, south, east, north) in sorted(boxes.items())
                if any(west <= x[i] + t + dx[i] and east >= x[i] + t - dx[i] and south <= y[i] + dy[i] and north >= y[i] - dy[i]
                       for i in fixes for t in (-3.6e9, 0.0, 3.6e9))
            ]  # fmt: skip
            assert rows[cuts[trail] : cuts[trail + 1]].tolist() == expected
