"""Which areas were passed, against shapely; and what is wrong with a file of areas is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely

from engine.errors import InputError
from engine.fixes import Fixes
from engine.times import to_iso
from tagwatch.passed import passed, read_areas

WARDS = Path(__file__).resolve().parents[2].parent / "shared/data/zones_lincolnshire/lincolnshire_wards.geojson"
T0_US = 1_772_000_000_000_000


def feature(name: object, west: float, key: str = "id") -> dict:
    ring = [[west, 53.0], [west + 0.01, 53.0], [west + 0.01, 53.01], [west, 53.01], [west, 53.0]]
    return {"type": "Feature", "properties": {key: name}, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def collection(*features: dict) -> dict:
    return {"type": "FeatureCollection", "features": list(features)}


def test_areas_that_touch_both_hold_the_fix_between_them() -> None:
    areas = read_areas(collection(feature("west", -0.01), feature(7, 0.0)))
    fixes = Fixes.of(
        ("b", "a"), device=[0, 1, 0, 0], time_us=[T0_US + k * 60_000_000 for k in (2, 1, 0, 3)], lat_e7=[530_050_000] * 4,
        lon_e7=[0, 50_000, -50_000, 900_000],
    )  # fmt: skip
    assert [tuple(row) for row in passed(fixes, areas)] == [
        ("a", "7", to_iso(T0_US + 60_000_000), to_iso(T0_US + 60_000_000), 1),
        ("b", "7", to_iso(T0_US + 120_000_000), to_iso(T0_US + 120_000_000), 1),
        ("b", "west", to_iso(T0_US), to_iso(T0_US + 120_000_000), 2),
    ]


def test_nothing_passed_is_nothing() -> None:
    none = Fixes.empty()
    far = Fixes.of(("a",), device=[0], time_us=[T0_US], lat_e7=[0], lon_e7=[0])
    for fixes in (none, far):
        assert list(passed(fixes, read_areas(collection(feature("a", 1.0))))) == []
        assert list(passed(fixes, read_areas(collection()))) == []


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([], "type is 'list'"),
        (feature("a", 0.0), "type is 'Feature'"),
        (collection(feature("a", 0.0), feature("a", 1.0)), r"feature 2 \(id a\): id is 'a'"),
        (collection(feature(None, 0.0)), "feature 1: id is missing: expected a text or a number"),
        (collection(feature("a", 0.0, "ward")), r"no other feature has \(this one has ward\)"),
        (collection({"type": "Feature", "properties": {"id": "a"}, "geometry": None}), r"feature 1 \(id a\): geometry"),
    ],
)
def test_what_is_wrong_is_said(raw: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_areas(raw)


@pytest.mark.skipif(not WARDS.exists(), reason=f"{WARDS.name} is not beside the project")
def test_real_wards_against_shapely() -> None:
    raw = json.loads(WARDS.read_text("utf-8"))
    key = next(k for k, v in raw["features"][0]["properties"].items() if str(v).startswith("E05"))
    areas = read_areas(raw, key)
    rng = np.random.default_rng(4)
    west, south, east, north = shapely.total_bounds(list(areas.values()))
    x, y = np.rint(rng.uniform(west, east, 4000) * 1e7), np.rint(rng.uniform(south, north, 4000) * 1e7)
    fixes = Fixes.of(("d",), device=np.zeros(4000), time_us=T0_US + np.arange(4000), lat_e7=y, lon_e7=x)
    snapped = {name: shapely.transform(area, lambda c: np.rint(c * 1e7)) for name, area in areas.items()}
    expected = {name: int(shapely.intersects_xy(area, x, y).sum()) for name, area in snapped.items()}
    assert {row.area: row.n_fixes for row in passed(fixes, areas)} == {name: n for name, n in expected.items() if n}
