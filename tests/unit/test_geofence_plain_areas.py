"""What is plainly right is read as one by one; what needs a look is left to those who look."""

from __future__ import annotations

import math
from typing import Any

import pytest
import shapely
from shapely.geometry import shape

from geofence.plain_areas import plain_areas
from geofence.zone import Zone, read_zones

SQUARE = [[0.0, 50.0], [1, 50.0], [1.0, 51.0], [0.0, 51.0], [0.0, 50.0]]
HOLE = [[0.2, 50.2], [0.2, 50.4], [0.4, 50.4], [0.2, 50.2]]
ODD: list[Any] = [
    [], [[]], [SQUARE[:3]], [SQUARE[:-1]], [[*SQUARE[:-1], [0.0, 50.0, 9.0]]], [[*SQUARE[:2], [True, 51.0], *SQUARE[3:]]],
    [[*SQUARE[:2], ["1", 51.0], *SQUARE[3:]]], [[*SQUARE[:2], [None, 51.0], *SQUARE[3:]]], [(SQUARE,)], [tuple(SQUARE)],
    [[*SQUARE[:2], [math.nan, 51.0], *SQUARE[3:]]], [[*SQUARE[:2], [181.0, 51.0], *SQUARE[3:]]], None, "ring", [[1, 2, 3, 4]],
    [[*SQUARE[:2], [1.0, 91.0], *SQUARE[3:]]], [[SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3], SQUARE[0]]],
    [[[0.0, 50.0], [1e-9, 50.0], [1e-9, 50.000000001], [0.0, 50.0]]], [[*SQUARE[:2], [10**400, 51.0], *SQUARE[3:]]],
    [[[-170.0, 0.0], [170.0, 0.0], [170.0, 1.0], [-170.0, 0.0]]],
]  # fmt: skip


def feature(coordinates: Any, kind: str = "Polygon", name: str = "z") -> dict[str, Any]:
    properties = {"id": name, "kind": "exclusion", "wearers": "*"}
    return {"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}}


def read(*features: dict[str, Any]) -> list[Zone]:
    return read_zones({"type": "FeatureCollection", "features": list(features)})


def test_plain_polygons_are_those_of_shapely_one_by_one() -> None:
    triangle = [[[10, 10], [11, 10], [10, 11], [10, 10]]]
    features = [feature([SQUARE, HOLE]), feature(triangle), feature([[0, 0]], "Point"), feature([SQUARE])]
    areas = plain_areas(features)
    assert areas[2] is None
    for k in (0, 1, 3):
        assert shapely.equals_identical(areas[k], shape(features[k]["geometry"]))


@pytest.mark.parametrize("coordinates", ODD)
def test_what_needs_a_look_gets_one(coordinates: Any) -> None:
    assert plain_areas([feature(coordinates), feature([SQUARE])])[0] is None


def test_what_is_no_feature_gets_a_look() -> None:
    assert plain_areas([None, 7, {}, {"geometry": None}, {"geometry": {"type": "Polygon"}}]) == [None] * 5
    assert plain_areas([]) == []


def test_zones_read_together_are_those_read_alone() -> None:
    names = [feature([SQUARE, HOLE], name="a"), feature([[SQUARE]], "MultiPolygon", "b"), feature([SQUARE], name="c")]
    assert read(*names) == [zone for one in names for zone in read(one)]
