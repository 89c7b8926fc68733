"""Laws of P(inside): any polygon against Owen's T of scipy, at any longitude, cut in pieces, huge and tiny, JIT on and off."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special, stats

from engine.kernels import metres_per_e7
from geofence.edge_runs import FAN, edge_runs
from geofence.evidence import place_evidence
from geofence.masses import inside_mass
from geofence.places import Places, compile_places
from geofence.polygon_mass import polygon_mass
from geofence.zone import Circle, Place, read_place

HOME = Path(__file__).resolve().parent.parent.parent
TAIL = (0.15, 6.5)
LAT_E7 = 530_000_000


def owens_mass(places: Places, x: int, y: int, sigma: float) -> float:
    """Mass over all rings by Owen 1956: for each edge its angle over 2 pi less the difference of T at its ends."""
    ky, kx = metres_per_e7(float(y))
    total = 0.0
    for start, stop in itertools.pairwise(places.rings):
        px = (places.xs[start:stop] - float(x)) * (kx / sigma)
        py = (places.ys[start:stop] - float(y)) * (ky / sigma)
        ax, ay, bx, by = px[:-1], py[:-1], px[1:], py[1:]
        dx, dy = bx - ax, by - ay
        length = np.maximum(np.hypot(dx, dy), 1e-300)
        cross = ax * by - ay * bx
        h = np.maximum(np.abs(cross) / length, 1e-12)
        t1, t2 = (ax * dx + ay * dy) / length, (bx * dx + by * dy) / length
        wedge = (np.arctan2(t2, h) - np.arctan2(t1, h)) / (2 * math.pi)
        mass = wedge - special.owens_t(h, t2 / h) + special.owens_t(h, t1 / h)
        total += float((np.sign(cross) * mass).sum())
    return total


def ours(places: Places, x: int, y: int, sigma: float) -> float:
    ky, kx = metres_per_e7(float(y))
    return sum(polygon_mass(x, y, sigma, kx, ky, part, places) for part in range(len(places.trees) - 1))


@st.composite
def stars(draw: st.DrawFn) -> tuple[shapely.Polygon, float, float]:
    """A star of 3 to 40 corners, 1 m to 1000 km wide, a hole in some; its longitude and size [1e-7 degree]."""
    n = draw(st.integers(3, 40))
    size = 10.0 ** draw(st.floats(2.5, 7.7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    radius = size * (1.0 - draw(st.floats(0.0, 0.95)) * rng.random(n))
    angle = (np.arange(n) + rng.uniform(-0.3, 0.3, n)) * 2 * math.pi / n
    lon = draw(st.integers(-1_000_000_000, 1_000_000_000))
    ring = np.rint(np.column_stack([lon + radius * np.cos(angle), LAT_E7 + radius * np.sin(angle)]))
    hole = np.rint(ring * 0.5 + np.array([lon, LAT_E7]) * 0.5)[::-1]
    area = shapely.Polygon(ring / 1e7, [hole / 1e7] if draw(st.booleans()) and size > 1e4 else [])
    assume(area.is_valid and area.area > 0)
    return area, lon, size


@given(stars(), st.floats(0.3, 4.3), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_any_star_has_the_mass_that_owens_t_gives(
    star: tuple[shapely.Polygon, float, float], exponent: float, seed: int
) -> None:
    """On corners, on edges, inside, about and far away; sigma from 2 m to 20 km."""
    area, lon, size = star
    places = compile_places([(area,)])
    rng = np.random.default_rng(seed)
    spots = [(int(places.xs[k]), int(places.ys[k])) for k in range(3)]
    spots.append((int(places.xs[0] + places.xs[1]) // 2, int(places.ys[0] + places.ys[1]) // 2))
    spots += [(round(lon + size * a), round(LAT_E7 + size * b)) for a, b in rng.normal(0.0, 0.8, (8, 2))]
    for x, y in spots:
        if abs(y) < 890_000_000:
            assert ours(places, x, y, 10.0**exponent) == pytest.approx(owens_mass(places, x, y, 10.0**exponent), abs=5e-7)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_rectangle_is_the_product_of_two_normals(data: Any) -> None:
    """The fix on its corners and sides too, where nothing may jump; corridors narrower than the error."""
    wide, high = (data.draw(st.integers(1, 10 ** data.draw(st.integers(2, 7)))) for _ in range(2))
    x, y = (data.draw(st.sampled_from([0, side, side // 2, -side])) for side in (wide, high))
    sigma = 10.0 ** data.draw(st.floats(0.3, 4.3))
    places = compile_places([(shapely.box(0.0, 0.0, wide / 1e7, high / 1e7),)])
    ky, kx = metres_per_e7(float(y))
    spans = [
        stats.norm.cdf((side - at) * k / sigma) - stats.norm.cdf(-at * k / sigma)
        for side, at, k in ((wide, x, kx), (high, y, ky))
    ]
    assert ours(places, x, y, sigma) == pytest.approx(spans[0] * spans[1], abs=3e-7)


@given(stars(), st.floats(0.3, 4.3), st.integers(0, 2**32), st.floats(-1.0, 1.0))
@settings(max_examples=60, deadline=None)
def test_the_masses_of_two_halves_add_up(
    star: tuple[shapely.Polygon, float, float], exponent: float, seed: int, cut: float
) -> None:
    area, lon, size = star
    assume(size > 1e5)
    column = shapely.box((lon + cut * size) / 1e7, 0, 180, 90)
    places = [compile_places([(a,)]) for a in (area, area & column, area - column) if not a.is_empty]
    rng = np.random.default_rng(seed)
    for a, b in rng.normal(0.0, 0.8, (6, 2)):
        x, y = round(lon + size * a), min(round(LAT_E7 + size * b), 890_000_000)
        whole, *halves = (ours(place, x, y, 10.0**exponent) for place in places)
        # cutting an edge moves its middle by up to a grid step, 11 mm
        assert whole == pytest.approx(sum(halves), abs=1e-6 + 0.02 / 10.0**exponent)


def rounded_degrees(lon_e7: int) -> float:
    return ((lon_e7 + 1_800_000_000) % 3_600_000_000 - 1_800_000_000) / 1e7


def at_longitude(ring: Any, lon_e7: int) -> dict[str, Any]:
    """The ring moved by a longitude, as GeoJSON whose longitudes all lie within 180 degrees."""
    return {"type": "Polygon", "coordinates": [[[rounded_degrees(int(x) + lon_e7), int(y) / 1e7] for x, y in ring]]}


@given(
    st.one_of(st.integers(-1_800_000_000, 1_800_000_000), st.integers(1_799_000_000, 1_801_000_000)), st.integers(0, 2**32)
)
@settings(max_examples=40, deadline=None)
def test_a_scene_moved_by_any_longitude_gives_the_very_same_masses(lon_e7: int, seed: int) -> None:
    """Over the antimeridian too: fixes on one side, zone on the other or on both."""
    rng = np.random.default_rng(seed)
    angle = np.arange(13) * 2 * math.pi / 12
    radius = rng.uniform(1e4, 1e6, 13)
    radius[12] = radius[0]
    ring = np.column_stack([radius * np.cos(angle), LAT_E7 + radius * np.sin(angle)]).round()
    for kind in ("polygon", "disc"):
        scenes = []
        for shift in (0, lon_e7):
            place: Place = (
                Circle(LAT_E7, round(rounded_degrees(shift) * 1e7), 4000.0) if kind == "disc"
                else read_place(at_longitude(ring, shift), {}, False)
            )  # fmt: skip
            scenes.append((compile_places([(place,)]), shift))
        for e, n in rng.normal(0.0, 8e5, (10, 2)):
            sigma = float(rng.choice([5.0, 300.0, 20_000.0]))
            said = [
                tuple(says(x, round(LAT_E7 + n), sigma, *TAIL, 0, places) for says in (inside_mass, place_evidence))
                for places, shift in scenes
                for x in [round(rounded_degrees(round(e) + shift) * 1e7)]
            ]  # fmt: skip
            assert said[0][0] == said[1][0]
            assert said[0][1] == pytest.approx(said[1][1], abs=1e-9)  # pyproj's area is not the very same


def test_a_fix_just_over_the_line_is_near_a_zone_that_ends_at_it() -> None:
    places = compile_places([(shapely.box(179.0, 0.0, 180.0, 1.0),), (shapely.box(-180.0, 0.0, -179.0, 1.0),)])
    ten_m = round(10.0 / metres_per_e7(5e6)[1])
    for place, x in ((0, -1_800_000_000 + ten_m), (1, 1_800_000_000 - ten_m)):
        assert inside_mass(x, 5_000_000, 10.0, 0.0, 1.0, place, places) == pytest.approx(stats.norm.cdf(-1.0), abs=1e-3)
        assert inside_mass(x, 5_000_000, 10.0, 0.0, 1.0, 1 - place, places) == pytest.approx(stats.norm.cdf(1.0), abs=1e-3)


def test_places_of_one_curfew_on_both_sides_of_the_line_are_joined_where_they_overlap() -> None:
    over, beside = shapely.box(179.99, 0.0, 180.01, 0.02), Circle(100_000, -1_799_500_000, 6000.0)
    places = compile_places([(over, beside)])
    assert places.parts.tolist() == [0, 1]
    assert inside_mass(-1_799_500_000, 100_000, 20.0, 0.0, 1.0, 0, places) == pytest.approx(1.0, abs=1e-6)
    assert inside_mass(1_799_950_000, 100_000, 20.0, 0.0, 1.0, 0, places) == pytest.approx(1.0, abs=1e-6)


def test_a_ring_of_a_million_corners_is_a_disc() -> None:
    """50 km wide; every run of edges but the near ones is passed over, the answer is the closed one's."""
    n = 1_000_000
    ky, kx = metres_per_e7(float(LAT_E7))
    angle = np.arange(n) * 2 * math.pi / n
    ring = np.column_stack([50_000.0 / kx * np.cos(angle), LAT_E7 + 50_000.0 / ky * np.sin(angle)]) / 1e7
    places = compile_places([(shapely.Polygon(ring),)])
    for away_m, sigma in itertools.product((0.0, 49_000.0, 49_990.0, 50_000.0, 50_020.0, 70_000.0), (5.0, 500.0, 20_000.0)):
        true = stats.ncx2.cdf((50_000.0 / sigma) ** 2, 2, (away_m / sigma) ** 2)
        assert ours(places, round(away_m / kx), LAT_E7, sigma) == pytest.approx(true, abs=2e-4 if sigma < 10 else 5e-6)


@given(st.lists(st.integers(4, 700), max_size=8), st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_edge_runs_hold_their_edges_and_come_in_their_order(lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    rings = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    xs, ys = rng.integers(-(2**31), 2**31, (2, rings[-1])).astype(np.int32)
    boxes, runs, trees = edge_runs(xs, ys, rings)
    for k, (first, last, after) in enumerate(runs.tolist()):
        corners = np.column_stack([xs, ys])[first : last + 1]
        assert boxes[k].tolist() == [*corners.min(axis=0), *corners.max(axis=0)]
        assert after > k + 1 or last - first <= FAN
    for ring, (start, stop) in enumerate(itertools.pairwise(trees.tolist())):
        assert runs[start].tolist() == [rings[ring], rings[ring + 1] - 1, stop]
        leaves = [runs[k].tolist() for k in range(start, stop) if runs[k, 2] == k + 1]
        ends = [rings[ring], *(last for _, last, _ in leaves)]
        assert [first for first, _, _ in leaves] == ends[:-1]
        assert ends[-1] == rings[ring + 1] - 1


SCENE = """
import numpy as np, shapely
from geofence.evidence import place_evidence
from geofence.masses import inside_masses
from geofence.places import compile_places
from geofence.zone import Circle
rng = np.random.default_rng(17)
angle = np.arange(40) * 2 * np.pi / 40
star = np.column_stack([0.004 * np.cos(angle), 53 + 0.003 * np.sin(angle)]) * rng.uniform(0.9, 1, (40, 1)) + [180, 5.3 * 0.5]
frame = shapely.box(-0.01, 53, 0.01, 53.01) - shapely.box(-0.005, 53.002, 0.009, 53.009)
shapes = [shapely.Polygon(star), frame, Circle(530050000, 0, 300.0), Circle(530050000, 1799990000, 3000.0)]
places = compile_places([(shape,) for shape in shapes])
n, found = 12, []
for place, (west, south, east, north) in enumerate(places.box):
    x = rng.integers(west - 30000, east + 30000, n)
    x = ((x + 1800000000) % 3600000000 - 1800000000).astype(np.int32)
    y = rng.integers(south - 30000, north + 30000, n).astype(np.int32)
    x[0], y[0] = places.xs[place], places.ys[place]
    x[0] = (int(x[0]) + 1800000000) % 3600000000 - 1800000000
    sigma = 10.0 ** rng.uniform(0.3, 4.3, n)
    found += inside_masses(x, y, sigma, np.zeros(n, np.uint8), np.array([[0.15, 6.5]]), place, places).tolist()
    found += [place_evidence(*fix, 0.15, 6.5, place, places) for fix in zip(x, y, sigma)]
print(" ".join(float(value).hex() for value in found))
"""


def test_with_and_without_the_compiler_the_bits_are_the_same() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", SCENE], cwd=HOME, env=os.environ | {"NUMBA_DISABLE_JIT": off},
            capture_output=True, text=True, check=True, timeout=300,
        ).stdout.split()
        for off in ("0", "1")
    ]  # fmt: skip
    assert len(said[0]) == 96
    assert len(set(said[0])) > 50
    assert said[0] == said[1]
