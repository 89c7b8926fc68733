"""Point in polygon on the integer grid: our kernel, shapely and plain Python integers give one answer.

shapely gets the same whole numbers as float64, which hold them exactly; its orientation test works in double-double and so
is exact here too. It agreed on every point that these tests drew; where it ever differs, plain Python integers decide.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geofence.containment import contains_points

Ring = list[tuple[int, int]]


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


def kernel_contains(points: list[tuple[int, int]], polygons: list[list[Ring]]) -> list[bool]:
    rings = [ring for polygon in polygons for ring in polygon]
    xs, ys = (np.array([v[k] for ring in rings for v in ring], np.int32) for k in (0, 1))
    cuts = np.cumsum([0, *(len(ring) for ring in rings)])
    polygon_cuts = np.cumsum([0, *(len(polygon) for polygon in polygons)])
    x, y = (np.array([p[k] for p in points], np.int32) for k in (0, 1))
    return contains_points(x, y, xs, ys, cuts, polygon_cuts).tolist()


def star(rng: np.random.Generator, n: int, least: float, most: float) -> Ring:
    angle = np.sort(rng.uniform(0, 2 * math.pi, n))
    radius = rng.uniform(least, most, n)
    ring = [(round(r * math.cos(a)), round(r * math.sin(a))) for a, r in zip(angle, radius, strict=True)]
    return [*ring, ring[0]]


def on_edges(rng: np.random.Generator, rings: list[Ring]) -> Ring:
    """All vertices, and where an edge passes through grid points one of them."""
    found = [v for ring in rings for v in ring]
    for ring in rings:
        for (ax, ay), (bx, by) in itertools.pairwise(ring):
            steps = math.gcd(bx - ax, by - ay)
            if steps > 1:
                k = int(rng.integers(1, steps))
                found.append((ax + (bx - ax) // steps * k, ay + (by - ay) // steps * k))
    return found


def nearby(rng: np.random.Generator, points: Ring) -> Ring:
    return [(x + int(rng.integers(-1, 2)), y + int(rng.integers(-1, 2))) for x, y in points]


@settings(max_examples=300)
@given(
    st.integers(0, 2**32), st.sampled_from([6, 15, 60, 1000, 10**6, 4 * 10**8]), st.integers(3, 12), st.integers(0, 2),
    st.tuples(st.integers(-13 * 10**8, 13 * 10**8), st.integers(-4 * 10**8, 4 * 10**8)),
)  # fmt: skip
def test_the_kernel_equals_shapely_and_plain_integers(
    seed: int, size: int, n: int, n_holes: int, centre: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    rings = [star(rng, n, size * 0.4, size)]
    rings += [star(rng, 5, size * 0.1, size * 0.25) for _ in range(min(n_holes, 1))]
    east, north = centre
    rings = [[(x + east, y + north) for x, y in ring] for ring in rings]
    polygon = shapely.Polygon(rings[0], rings[1:])
    assume(polygon.is_valid and polygon.area > 0)
    inside = [
        (int(x), int(y))
        for x, y in zip(*(rng.integers(c - size - 1, c + size + 2, 40) for c in centre), strict=True)
    ]  # fmt: skip
    edge = on_edges(rng, rings)
    points = inside + edge + nearby(rng, edge)
    ours = kernel_contains(points, [rings])
    assert ours == [plain_contains(x, y, rings) for x, y in points]
    shapely.prepare(polygon)
    assert ours == shapely.intersects_xy(polygon, *np.array(points, np.float64).T).tolist()
    assert all(kernel_contains(edge, [rings]))
    # Neither the direction of the rings nor the vertex they start from matters.
    turned = [[*ring[1:], ring[0], ring[1]][::-1] for ring in (r[:-1] for r in rings)]
    assert kernel_contains(points, [turned]) == ours


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_any_crossing_rings_equal_plain_integers(seed: int) -> None:
    """Even-odd holds for rings that shapely would not take: random walks over the whole world, crossing themselves."""
    rng = np.random.default_rng(seed)
    span = int(rng.choice([5, 100, 900_000_000]))
    corners = list(zip(*(rng.integers(-span, span + 1, 8).tolist() for _ in range(2)), strict=True))
    ring = [*corners, corners[0]]
    points = [*zip(*(rng.integers(-span * 2, span * 2 + 1, 30).tolist() for _ in range(2)), strict=True), *corners]
    assert kernel_contains(points, [[ring]]) == [plain_contains(x, y, [ring]) for x, y in points]


def test_the_widest_products_do_not_overflow() -> None:
    """A ring half the world wide, asked from the other side of it."""
    ring = [
        (0, -900_000_000),
        (1_800_000_000, -900_000_000),
        (1_800_000_000, 900_000_000),
        (1, 899_999_999),
        (0, -900_000_000),
    ]
    points = [(-1_800_000_000, y) for y in (-900_000_000, -1, 0, 899_999_999)] + [(1_799_999_999, 0), (0, 0), (1, 0)]
    assert kernel_contains(points, [[ring]]) == [plain_contains(x, y, [ring]) for x, y in points]


def test_any_of_several_polygons_will_do() -> None:
    square = [(0, 0), (4, 0), (4, 4), (0, 4), (0, 0)]
    far = [(x + 10, y) for x, y in square]
    assert kernel_contains([(2, 2), (12, 2), (7, 2), (4, 4)], [[square], [far]]) == [True, True, False, True]
    assert kernel_contains([(2, 2)], []) == [False]
