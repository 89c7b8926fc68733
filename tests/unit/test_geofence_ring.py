"""The ring about a zone: every point within buffer_m metres is in it and none beyond, by pyproj's geodesics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from geofence.zone import Circle, Zone, read_zones

GEOD = pyproj.Geod(ellps="WGS84")


def zone(geometry: dict[str, Any], **given: Any) -> Zone:
    properties = {"id": "z", "kind": "exclusion", "wearers": "*"} | given
    feature = {"type": "Feature", "properties": properties, "geometry": geometry}
    return read_zones({"type": "FeatureCollection", "features": [feature]})[0]


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]] for ring in rings]}


def star(lon: float, lat: float, size_deg: float, n: int = 9) -> list[list[float]]:
    turn = np.linspace(0, 2 * np.pi, 2 * n, endpoint=False)
    far = size_deg * np.where(np.arange(2 * n) % 2, 0.45, 1.0)
    return np.column_stack([lon + 1.5 * far * np.cos(turn), lat + far * np.sin(turn)]).tolist()


def metres_from(area: BaseGeometry, points: Any) -> Any:
    """How far points lie from an area: to its edge, densely set with points, by geodesics."""
    edge = np.concatenate(
        [shapely.get_coordinates(shapely.segmentize(ring, 2e-4)) for part in shapely.get_parts(area)
         for ring in (part.exterior, *part.interiors)]
    )  # fmt: skip
    least = []
    for lon, lat in points:
        near = edge[np.argsort(np.hypot((edge[:, 0] - lon) * np.cos(np.radians(lat)), edge[:, 1] - lat))[:60]]
        n = len(near)
        least.append(GEOD.inv(np.full(n, lon), np.full(n, lat), near[:, 0], near[:, 1])[2].min())
    return np.array(least)


PLACES = [
    (-1.0, 53.0, 0.01, 100.0), (-1.0, 53.0, 0.2, 500.0), (10.0, 0.0, 0.05, 2_000.0), (25.0, 78.0, 0.1, 1_000.0),
    (179.99, -17.0, 0.05, 300.0), (-70.0, -53.0, 1.0, 5_000.0),
]  # fmt: skip


@pytest.mark.parametrize(("lon", "lat", "size", "buffer_m"), PLACES)
def test_the_edge_of_the_ring_is_where_it_should_be(lon: float, lat: float, size: float, buffer_m: float) -> None:
    given = zone(polygon(star(lon, lat, size)), buffer_m=buffer_m)
    assert not isinstance(given.place, Circle)
    ring = given.ring
    assert not isinstance(ring, Circle)
    assert ring.is_valid
    assert ring.covers(given.place)
    corners = shapely.get_coordinates(ring)
    rng = np.random.default_rng(1)
    k = rng.choice(len(corners) - 1, 40)
    share = rng.random((40, 1))
    on_edge = corners[k] * share + corners[k + 1] * (1 - share)
    found = metres_from(given.place, on_edge)
    # the oracle's own points are up to 11 m of the edge from the true nearest: at most 60 / buffer_m too far
    assert np.all(found > 0.99 * buffer_m - 0.3)
    assert np.all(found < 1.01 * buffer_m + 0.3)


def test_long_straight_edges_stay_true() -> None:
    """An edge of 200 km along a parallel: straight in degrees, bent in any plane of metres."""
    given = zone(polygon([[-3.0, 55.0], [0.0, 55.0], [0.0, 55.3], [-3.0, 55.3]]), buffer_m=1_000.0)
    assert not isinstance(given.ring, Circle)
    edge = shapely.intersection(given.ring.exterior, shapely.box(-2.99, 54, -0.01, 55.0))
    degree_m = GEOD.inv(-1.5, 54.99, -1.5, 55.0)[2] / 0.01
    assert np.allclose((55.0 - shapely.get_coordinates(edge)[:, 1]) * degree_m, 1_000.0, atol=12.0)


def test_a_hole_is_narrowed_or_filled() -> None:
    shell = [[0.0, 51.0], [0.1, 51.0], [0.1, 51.05], [0.0, 51.05]]
    hole = [[0.02, 51.02], [0.05, 51.02], [0.05, 51.04], [0.02, 51.04]]
    narrowed = zone(polygon(shell, hole), buffer_m=500.0).ring
    assert not isinstance(narrowed, Circle)
    assert not narrowed.covers(shapely.Point(0.035, 51.03))
    filled = zone(polygon(shell, hole), buffer_m=1_500.0).ring
    assert not isinstance(filled, Circle)
    assert filled.covers(shapely.Point(0.035, 51.03))


def test_a_disc_has_a_larger_radius_and_no_buffer_is_no_ring() -> None:
    disc = zone({"type": "Point", "coordinates": [180, 10]}, radius_m=100, buffer_m=25)
    assert disc.ring == Circle(100_000_000, 1_800_000_000, 125.0)
    plain = zone(polygon(star(0, 51, 0.01)))
    assert plain.ring is plain.place


def test_several_parts_of_a_zone_over_the_antimeridian() -> None:
    parts = [[[[179.9, 0], [180, 0], [180, 0.1], [179.9, 0.1], [179.9, 0]]],
             [[[-180, 0], [-179.95, 0], [-179.95, 0.1], [-180, 0.1], [-180, 0]]],
             [[[-179.9, 0], [-179.85, 0], [-179.85, 0.1], [-179.9, 0.1], [-179.9, 0]]]]  # fmt: skip
    given = zone({"type": "MultiPolygon", "coordinates": parts}, buffer_m=1_000.0)
    assert not isinstance(given.ring, Circle)
    assert len(shapely.get_parts(given.ring)) == 2
    west, _, east, _ = given.ring.bounds
    assert (west % 360, east % 360) == pytest.approx((179.9 - 0.00898, 180.15 + 0.00898), abs=1e-4)
    assert len(shapely.get_parts(zone({"type": "MultiPolygon", "coordinates": parts}, buffer_m=4_000.0).ring)) == 1
