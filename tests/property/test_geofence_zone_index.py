"""The zone index gives the answers of plain Python integers and of shapely, whatever its cells, and after any edits."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.kernels import distance_m
from geofence import cell_tree
from geofence.zone import Circle
from geofence.zone_index import ZoneIndex

Ring = list[tuple[int, int]]
TILE = 1 << 22
CORNERS = [(0, 0), (TILE * 3, TILE * 2), (-TILE * 4 + 5, TILE + 3), (-TILE * 427, 0), (123_456_789, 523_456_789)]
"""Places of the small scenes: on a tile's corner, beside one, near Greenwich and the antimeridian, anywhere."""
once = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=[(0, 1, 0, 6), (0, 4, 1, 1), (4, 4, 7, 6)], ids=["finest", "deep", "as it is"])
def cells(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index with cells split down to one unit, with many levels, and as it is."""
    names = ("MOST_LOAD", "CELLS_PER_EDGE", "LEAST_BITS", "MOST_SIDE")
    for name, value in zip(names, request.param, strict=True):
        monkeypatch.setattr(cell_tree, name, value)


def plain_contains(x: int, y: int, rings: list[Ring]) -> bool:
    """Closed even-odd answer in Python's own integers: on an edge, or an odd number of crossings of a ray to the east."""
    odd = False
    for ring in rings:
        for (ax, ay), (bx, by) in itertools.pairwise(ring):
            turn = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
            if turn == 0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
                return True
            if (ay > y) != (by > y) and (turn > 0) == (by > ay):
                odd = not odd
    return odd


def polygon(rings: list[Ring]) -> shapely.Polygon:
    degrees = [[(x / 1e7, y / 1e7) for x, y in ring] for ring in rings]
    return shapely.Polygon(degrees[0], degrees[1:])


def pairs(index: ZoneIndex, points: Ring) -> list[tuple[int, int]]:
    x, y = (np.array([p[k] for p in points], np.int32) for k in (0, 1))
    rows, zones = index.containing(y, x)
    lowest = index.first(y, x)
    for row in range(len(points)):
        held = zones[rows == row]
        assert lowest[row] == (held.min() if len(held) else -1)
    return list(zip(rows.tolist(), zones.tolist(), strict=True))


def random_ring(rng: np.random.Generator, span: int, n: int, at: tuple[int, int]) -> Ring:
    """Any ring: it may cross itself, run along grid lines, go back on itself, or be a single point."""
    corners = [(int(x) + at[0], int(y) + at[1]) for x, y in rng.integers(0, span + 1, (n, 2))]
    return [*corners, corners[0]]


@once
@given(seed=st.integers(0, 2**32), at=st.sampled_from(CORNERS), span=st.sampled_from([1, 4, 8, 13]))
def test_every_point_about_small_rings_equals_plain_integers(
    cells: None, seed: int, at: tuple[int, int], span: int
) -> None:
    rng = np.random.default_rng(seed)
    at = (at[0] - int(rng.integers(0, span + 1)), at[1] - int(rng.integers(0, span + 1)))
    zones = {
        int(zone): [
            [random_ring(rng, span, int(rng.integers(3, 9)), at) for _ in range(rng.integers(1, 3))]
            for _ in range(rng.integers(1, 3))
        ]
        for zone in rng.choice(100, rng.integers(1, 4), replace=False)
    }
    index = ZoneIndex({zone: [polygon(rings) for rings in polygons] for zone, polygons in zones.items()})
    points = [(at[0] + x, at[1] + y) for y in range(-2, span + 3) for x in range(-2, span + 3)]
    expected = [
        (row, zone) for row, p in enumerate(points) for zone in sorted(zones)
        if any(plain_contains(*p, rings) for rings in zones[zone])
    ]  # fmt: skip
    assert pairs(index, points) == expected


def star(rng: np.random.Generator, n: int, at: tuple[float, float], most: float) -> shapely.Polygon:
    """A valid polygon about `at` [degrees], its corners snapped to 1e-7 degree."""
    angle, radius = np.sort(rng.uniform(0, 2 * math.pi, n)), most * rng.uniform(0.3, 1.0, n)
    ring = np.column_stack([at[0] + radius * np.cos(angle), at[1] + radius * np.sin(angle)])
    return shapely.Polygon(np.rint(ring * 1e7) / 1e7)


def random_area(rng: np.random.Generator, at: tuple[float, float]) -> object:
    """A star, one with a hole, two of them, a sliver, a disc, or a disc and a star; small or as wide as several tiles."""
    size = float(rng.choice([1e-5, 0.003, 0.05, 1.2]))
    kind = int(rng.integers(0, 6))
    shape = star(rng, int(rng.integers(5, 40)), at, size)
    disc = Circle(round(at[1] * 1e7), round(at[0] * 1e7), float(min(size * 50_000.0, 40_000.0)))
    if kind == 1 and shape.is_valid:
        return shapely.Polygon(shape.exterior, [star(rng, 7, at, size * 0.2).exterior.coords])
    if kind == 2:
        return shapely.MultiPolygon([shape, star(rng, 9, (at[0] + 3 * size, at[1]), size)])
    if kind == 3:
        return shapely.Polygon([at, (at[0] + size, at[1] + 1e-7), (at[0] + size, at[1] + 2e-7)])
    return {0: shape, 1: shape, 4: disc, 5: [disc, shape]}[kind]


def oracle(areas: dict[int, object], x: np.ndarray, y: np.ndarray) -> list[tuple[int, int]]:
    """Each zone by itself, in plain Python integers or by the distance; a point under all its longitudes."""
    found = set()
    for zone, area in areas.items():
        for place in area if isinstance(area, list) else [area]:
            for turn in (-3_600_000_000, 0, 3_600_000_000) if abs(int(x[0])) > 10**9 else (0,):
                if isinstance(place, Circle):
                    if turn == 0:
                        found |= {
                            (row, zone) for row in range(len(x))
                            if distance_m(int(y[row]), int(x[row]), place.lat_e7, place.lon_e7) <= place.radius_m
                        }  # fmt: skip
                    continue
                for polygon in shapely.get_parts(place):
                    rings = [
                        [(round(a * 1e7), round(b * 1e7)) for a, b in ring.coords]
                        for ring in (polygon.exterior, *polygon.interiors)
                    ]
                    found |= {
                        (row, zone) for row in range(len(x)) if plain_contains(int(x[row]) + turn, int(y[row]), rings)
                    }  # fmt: skip
    return sorted(found)


def points_about(rng: np.random.Generator, areas: dict[int, object], at: tuple[float, float], n: int) -> tuple[Ring, ...]:
    """Longitudes and latitudes, int32: anywhere near, on corners, and one unit beside them; within half a turn of 0."""
    near = np.array(at) + rng.normal(size=(n, 2)) * rng.choice([1e-6, 0.003, 0.05, 1.0], (n, 1))
    corners = [shapely.get_coordinates(p) for a in areas.values() for p in (a if isinstance(a, list) else [a])
               if not isinstance(p, Circle)]  # fmt: skip
    corners = rng.permutation(np.concatenate([near, *corners]))[: 2 * n]
    e7 = np.rint(corners * 1e7).astype(np.int64) + rng.integers(-1, 2, corners.shape) * rng.integers(
        0, 2, (len(corners), 1)
    )
    lon = (e7[:, 0] + 1_800_000_000) % 3_600_000_000 - 1_800_000_000
    return lon.astype(np.int32), np.clip(e7[:, 1], -(9 * 10**8), 9 * 10**8).astype(np.int32)


PLACES = [(0.0, 0.0), (-0.54, 53.23), (179.98, -16.5), (-179.97, 71.2), (179.9, 10.0)]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), at=st.sampled_from(PLACES))
def test_edits_in_any_order_answer_as_plain_integers_and_as_a_fresh_build(seed: int, at: tuple[float, float]) -> None:
    rng = np.random.default_rng(seed)

    def area() -> object:
        size = float(rng.choice([0.001, 0.05, 0.5]))
        return random_area(rng, (at[0] + rng.normal() * size, at[1] + rng.normal() * size))

    areas: dict[int, object] = {int(zone): area() for zone in rng.choice(50, rng.integers(0, 8), replace=False)}
    index = ZoneIndex(areas)
    for _ in range(int(rng.integers(0, 6))):
        if areas and rng.random() < 0.3:
            zone = int(rng.choice(list(areas)))
            index.remove(zone)
            del areas[zone]
        else:
            zone = int(rng.integers(0, 50))
            areas[zone] = area()
            index.put(zone, areas[zone])
    x, y = points_about(rng, areas, at, 30)
    expected = oracle(areas, x, y)
    points = list(zip(x.tolist(), y.tolist(), strict=True))
    assert pairs(index, points) == expected
    assert pairs(ZoneIndex(areas), points) == expected
    # Neither the order of the points nor how they are cut into batches matters.
    cut = int(rng.integers(0, len(points)))
    assert pairs(index, points[:cut]) + [(r + cut, z) for r, z in pairs(index, points[cut:])] == expected


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.sampled_from([20, 300]))
def test_many_zones_answer_as_the_tree_of_shapely(seed: int, n: int) -> None:
    """Zones that overlap and points at random; whole numbers as float64, so that shapely decides exactly too."""
    rng = np.random.default_rng(seed)
    stars = [star(rng, 30, (float(a), float(b)), 0.03) for a, b in rng.uniform(-0.3, 0.3, (n, 2))]
    stars = [s for s in stars if s.is_valid]
    x, y = rng.integers(-4_000_000, 4_000_001, (2, 4000)).astype(np.int32)
    rows, zones = ZoneIndex(dict(enumerate(stars))).containing(y, x)
    whole = shapely.transform(np.array(stars), lambda degrees: np.rint(degrees * 1e7))
    found = shapely.STRtree(whole).query(shapely.points(x, y), predicate="intersects")
    found = found[:, np.lexsort((found[1], found[0]))]
    assert np.array_equal(rows, found[0])
    assert np.array_equal(zones, found[1])
