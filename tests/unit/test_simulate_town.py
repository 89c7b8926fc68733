"""Streets, shapes and spans of the simulated town against scipy, shapely and plain reckoning."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.csgraph
import shapely
from hypothesis import given
from hypothesis import strategies as st

from tagwatch.simulate.journeys import HOME, Gait, Stop, plan_journey
from tagwatch.simulate.paths import Path
from tagwatch.simulate.plane import Plane
from tagwatch.simulate.shapes import Area, Disc
from tagwatch.simulate.spans import Span, common, total_us, union, without
from tagwatch.simulate.streets import Place, Routes
from tagwatch.simulate.town import Town, build_town

spans = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: (min(pair), max(pair))), max_size=6)


@pytest.fixture(scope="module")
def town() -> Town:
    return build_town(20, np.random.default_rng(6))


def moments(some: list[Span]) -> set[int]:
    return {t for start, end in some for t in range(start, end)}


@given(spans, spans)
def test_spans_are_sets_of_moments(one: list[Span], two: list[Span]) -> None:
    assert moments(union(one, two)) == moments(one) | moments(two)
    assert moments(common(one, two)) == moments(one) & moments(two)
    assert moments(without(one, two)) == moments(one) - moments(two)
    assert total_us(union(one)) == len(moments(one))
    joined = union(one, two)
    assert all(a[1] < b[0] for a, b in pairwise(joined))


def test_all_streets_hang_together(town: Town) -> None:
    assert Routes(town.streets).reach(town.works[0]) == 1.0


def test_shortest_ways_agree_with_scipy(town: Town) -> None:
    streets = town.streets
    cost = streets.length_m * np.where(streets.drive_mps > 10.0, 0.85, 1.0)
    n = len(streets.x)
    graph = scipy.sparse.csr_array((cost, tuple(streets.ends.T)), shape=(n, n))
    best = scipy.sparse.csgraph.dijkstra(graph, directed=False)
    rng, routes = np.random.default_rng(2), Routes(streets)
    for _ in range(40):
        a, b = town.house(rng), town.house(rng, urban=False)
        route = routes.between(a, b)
        assert route is not None
        expected = min(
            abs(a.along_m - i * streets.length_m[a.edge])
            + best[streets.ends[a.edge][i], streets.ends[b.edge][j]]
            + abs(b.along_m - j * streets.length_m[b.edge])
            for i in (0, 1)
            for j in (0, 1)
        )
        parts = np.hypot(*np.diff(route.corners, axis=0).T)
        main = route.drive_mps > 10.0
        ends = (a.edge, b.edge)
        found = sum(parts[2:-2] * np.where(main[2:-2], 0.85, 1.0)) + parts[1] + parts[-2]
        assert len(set(ends)) == 2
        assert found == pytest.approx(expected, rel=1e-9)


def test_a_way_back_is_the_way_there_reversed(town: Town) -> None:
    rng, routes = np.random.default_rng(3), Routes(town.streets)
    a, b = town.house(rng), town.house(rng)
    there, back = routes.between(a, b), routes.between(b, a)
    assert there is not None
    assert back is not None
    assert np.array_equal(there.corners[::-1], back.corners)


def test_closed_edges_are_not_used(town: Town) -> None:
    rng = np.random.default_rng(4)
    a, b = town.house(rng), town.house(rng)
    free = Routes(town.streets).between(a, b)
    assert free is not None
    middle = free.corners[len(free.corners) // 2]
    near = shapely.Point(middle).buffer(30.0)
    closed = frozenset(np.flatnonzero(shapely.intersects(town.streets.lines, near)).tolist())
    around = Routes(town.streets, closed).between(a, b)
    assert around is not None
    assert around.length_m > free.length_m
    assert not shapely.LineString(around.corners[1:-1]).intersects(near)


def test_places_lie_off_their_street(town: Town) -> None:
    rng = np.random.default_rng(5)
    for place in [town.house(rng) for _ in range(50)] + list(town.works):
        assert _gap(place) in (pytest.approx(12.0), pytest.approx(30.0))
        street = town.streets.lines[place.edge]
        assert street.distance(shapely.Point(place.street_x, place.street_y)) < 1e-6
        door = town.next_door(place)
        assert np.hypot(door.x - place.x, door.y - place.y) == pytest.approx(15.0)


def _gap(place: Place) -> float:
    return float(np.hypot(place.x - place.street_x, place.y - place.street_y))


def test_the_map_is_exact_both_ways() -> None:
    plane = Plane()
    lat, lon = np.array([531_700_000, 532_345_678]), np.array([-5_400_000, -4_876_543])
    assert np.array_equal(plane.to_e7(*plane.from_e7(lat, lon)), (lat, lon))


def _walk(seed: int, n: int = 300) -> Path:
    rng = np.random.default_rng(seed)
    t_us = np.cumsum(rng.integers(1, 60_000_000, n))
    x, y = rng.uniform(-120, 120, (2, n))
    still = rng.random(n) < 0.3
    still[0] = False
    keep = np.maximum.accumulate(np.where(still, 0, np.arange(n)))
    return Path(t_us, x[keep], y[keep], np.zeros(n - 1, np.int8))


@pytest.mark.parametrize("seed", range(4))
def test_time_inside_an_area_agrees_with_lengths_by_shapely(seed: int) -> None:
    path = _walk(seed)
    hole = shapely.Point(0, 0).buffer(30)
    area = shapely.MultiPolygon([shapely.Point(0, 0).buffer(80).difference(hole), shapely.box(85, 85, 110, 115)])
    found = path.inside(Area(area))
    expected = 0.0
    for i in range(len(path.t_us) - 1):
        line = shapely.LineString([(path.x[i], path.y[i]), (path.x[i + 1], path.y[i + 1])])
        whole = path.t_us[i + 1] - path.t_us[i]
        if line.length == 0.0:
            expected += whole * bool(area.contains(shapely.Point(path.x[i], path.y[i])))
        else:
            expected += whole * line.intersection(area).length / line.length
    assert total_us(found) == pytest.approx(expected, abs=2 * 300)


@pytest.mark.parametrize("seed", range(4))
def test_time_inside_a_disc_agrees_with_dense_sampling(seed: int) -> None:
    path, disc = _walk(seed), Disc(10.0, -5.0, 50.0, (1.01, 0.99))
    found = path.inside(disc)
    at = np.linspace(path.t_us[0], path.t_us[-1], 400_001).astype(np.int64)
    inside = disc.contains(*path.at(at))
    assert total_us(found) / (at[-1] - at[0]) == pytest.approx(inside.mean(), abs=2e-4)
    assert all(bool(disc.contains(*path.at((start + end) // 2))) for start, end in found)


def test_a_journey_goes_there_stays_and_comes_back(town: Town) -> None:
    rng = np.random.default_rng(9)
    home, shop = town.house(rng), town.shops[0]
    journey = plan_journey(home, (Stop(shop, 600.0),), Routes(town.streets), Gait(), rng)
    assert journey is not None
    path = Path.of((home.x, home.y), [journey.arriving(10**10)], 0, 2 * 10**10)
    assert np.allclose(path.at(np.array([10**10 + 1, 10**10 + 599_000_000])), [[shop.x] * 2, [shop.y] * 2])
    assert np.allclose(path.at(np.array([0, 2 * 10**10])), [[home.x] * 2, [home.y] * 2])
    assert path.setting[0] == path.setting[-1] == HOME
