"""Point in polygon against ground truth: hand-made cases, 100,000 real pickups in real zones, and heavy real zones."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from geofence.containment import contains_points
from geofence.places import Places, compile_places
from geofence.zone import read_place
from geofence.zone_index import ZoneIndex

FINER_THAN_THE_GRID = {"near-diagonal"}
"""Its vertices are 1e-13 off a diagonal on which the point lies: on a grid of 1e-7 the point is on the edge, which counts
as inside. Such a distance is a hundred-millionth of a metre."""


@pytest.fixture(scope="session")
def cases(shared_data: Path) -> list[dict[str, Any]]:
    return json.loads((shared_data / "truth_point_in_polygon" / "cases.json").read_text())


def scaled(case: dict[str, Any]) -> float:
    """What brings the case's plain planar numbers within the degrees of the world: 1 where they are so already."""
    polygon = np.array(shapely.get_coordinates(shapely.from_geojson(json.dumps(case["geometry"]))))
    every = np.vstack([polygon, case["point"]])
    return 1.0 if np.all(np.abs(every) <= (180, 90)) else 0.1


def snapped(rings: list[Any], scale: float) -> tuple[list[np.ndarray], list[int]]:
    grid = [np.rint(np.array(ring, np.float64) * scale * 1e7).astype(np.int32) for ring in rings]
    return grid, np.cumsum([0, *(len(ring) for ring in grid)]).tolist()


def test_the_hand_made_cases(cases: list[dict[str, Any]]) -> None:
    """All 75, also the two invalid ones (overlapping parts, a ring that crosses itself), with the boundary inside."""
    wrong = set()
    for case in cases:
        geometry = case["geometry"]
        polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
        scale = scaled(case)
        rings, cuts = snapped([ring for polygon in polygons for ring in polygon], scale)
        columns = np.vstack(rings)
        x, y = (np.array([round(v * scale * 1e7)], np.int32) for v in case["point"])
        polygon_cuts = np.cumsum([0, *(len(polygon) for polygon in polygons)])
        found = contains_points(x, y, columns[:, 0].copy(), columns[:, 1].copy(), np.array(cuts), polygon_cuts)
        if bool(found[0]) != (case["expected"] != "out"):
            wrong.add(case["id"])
        area = shapely.transform(shapely.from_geojson(json.dumps(geometry)), lambda c, scale=scale: c * scale)
        assert (ZoneIndex({0: area}).first(y, x)[0] == 0) == bool(found[0]), case["id"]
    assert len(cases) == 75
    assert wrong == FINER_THAN_THE_GRID


def contained(places: Places, row: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which of the points lie in one place: those in its box by the kernel, as the R-tree would have it."""
    west, south, east, north = places.box[row]
    near = np.flatnonzero((x >= west) & (x <= east) & (y >= south) & (y <= north))
    found = np.zeros(len(x), np.bool_)
    cut = places.polygons[places.parts[row] : places.parts[row + 1] + 1]
    found[near] = contains_points(x[near], y[near], places.xs, places.ys, places.rings, cut)
    return found


def read_places(features: list[dict[str, Any]], repair: bool) -> tuple[Places, list[Any]]:
    shapes = [read_place(feature["geometry"], {}, repair) for feature in features]
    return compile_places([(shape,) for shape in shapes]), shapes


def test_a_hundred_thousand_pickups_in_the_taxi_zones_of_new_york(shared_data: Path) -> None:
    """shapely's own answers were made on degrees. Vertices have 6 decimals and pickups 4: all lie on the grid, so that
    snapping changes nothing, and not one answer differs."""
    folder = shared_data / "zones_nyc_taxi"
    features = json.loads((folder / "taxi_zones_wgs84.geojson").read_text())["features"]
    with gzip.open(folder / "uber_pickups_nyc_100k.csv.gz", "rt") as lines:
        points = np.array([(float(row["lon"]), float(row["lat"])) for row in csv.DictReader(lines)])
    with gzip.open(folder / "oracle_pickup_to_zone_shapely.csv.gz", "rt") as lines:
        oracle = {(int(row["row"]), row["LocationID"]) for row in csv.DictReader(lines)}
    places, _ = read_places(features, repair=True)  # one zone is not valid as it comes
    x, y = np.rint(points * 1e7).astype(np.int32).T.copy()
    found = {
        (int(k), str(feature["properties"]["locationid"]))
        for row, feature in enumerate(features)
        for k in np.flatnonzero(contained(places, row, x, y))
    }
    assert len(oracle) == 88_169
    assert found == oracle
    _, areas = read_places(features, repair=True)
    rows, zones = ZoneIndex(dict(enumerate(areas))).containing(y, x)
    names = [str(feature["properties"]["locationid"]) for feature in features]
    assert {(k, names[zone]) for k, zone in zip(rows.tolist(), zones.tolist(), strict=True)} == oracle


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_heavy_real_zones_equal_shapely(shared_data: Path) -> None:
    """260 wards of Northern Ireland, 558,563 vertices, up to 16,935 in one; random points and every 500th vertex."""
    with gzip.open(shared_data / "zones_highvertex" / "northern_ireland_wards_2012.geojson.gz", "rt") as text:
        features = json.load(text)["features"]
    places, _ = read_places(features, repair=True)
    rng = np.random.default_rng(6)
    west, south = places.box[:, :2].min(axis=0)
    east, north = places.box[:, 2:].max(axis=0)
    x = np.concatenate([rng.integers(west, east, 4000), places.xs[::500]]).astype(np.int32)
    y = np.concatenate([rng.integers(south, north, 4000), places.ys[::500]]).astype(np.int32)
    n_checked = n_inside = 0
    for row in range(len(places.parts) - 1):
        polygons = []
        for part in range(places.parts[row], places.parts[row + 1]):
            cuts = places.rings[places.polygons[part] : places.polygons[part + 1] + 1]
            rings = [np.column_stack([places.xs[a:b], places.ys[a:b]]) for a, b in itertools.pairwise(cuts)]
            polygons.append(shapely.Polygon(rings[0], rings[1:]))
        area = shapely.MultiPolygon(polygons) if len(polygons) > 1 else polygons[0]
        box = shapely.box(*area.bounds)
        near = np.flatnonzero(shapely.intersects_xy(box, x, y))
        shapely.prepare(area)
        found = contained(places, row, x, y)
        assert found[near].tolist() == shapely.intersects_xy(area, x[near], y[near]).tolist(), features[row]["properties"]
        assert not np.delete(found, near).any()
        n_checked += len(near)
        n_inside += int(found.sum())
    assert n_checked > 4000
    assert n_inside > 2000
