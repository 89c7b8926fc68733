"""Ways across places: shapely on whole numbers, Karney's geodesics and brute force say the same as the kernels."""

from __future__ import annotations

import math

import numpy as np
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from engine.kernels import metres_per_e7
from geofence.chord import chord_part
from geofence.crossing import clear_sigmas, crossing_probability, is_clear_of
from geofence.detour import least_way_m
from geofence.places import Places, compile_places
from geofence.zone import Circle, Place

WGS84 = Geod(ellps="WGS84")
LAT_E7, LON_E7 = 530_000_000, -10_000_000
KY, KX = metres_per_e7(float(LAT_E7))
seeds = st.integers(0, 2**32 - 1)
near = st.integers(-12, 12)


def places_of(*shapes: Place) -> Places:
    return compile_places([[shape] for shape in shapes])


def on_grid(area: BaseGeometry, east: int, north: int) -> BaseGeometry:
    """An area in whole numbers as degrees about a point of the grid."""
    return shapely.transform(area, lambda c: np.add(c, (east, north)) / 1e7)


def star(rng: np.random.Generator, n: int, least: float, most: float) -> BaseGeometry:
    angle = np.sort(rng.uniform(0, 2 * math.pi, n))
    out = rng.uniform(least, most, n)
    return shapely.Polygon(np.rint(np.column_stack([out * np.cos(angle), out * np.sin(angle)])))


def area_of(rng: np.random.Generator) -> BaseGeometry:
    """A small area in whole numbers: a star, one with a hole, or one with an island in a corner of the hole."""
    shell = star(rng, int(rng.integers(3, 12)), 6, 12).buffer(0)
    hole, island = star(rng, int(rng.integers(3, 6)), 2, 5).buffer(0), star(rng, 3, 0, 2).buffer(0)
    made = [shell, shell - hole, shapely.union_all([shell - hole, island])][int(rng.integers(3))]
    # rounded, then without the mark that would have shapely round every answer too
    return shapely.set_precision(shapely.set_precision(made, 1.0), 0.0)


@settings(max_examples=500, deadline=None)
@given(seed=seeds, ends=st.tuples(near, near, near, near), east=st.sampled_from([0, LON_E7, 1_799_999_900, -1_799_999_900]))
def test_the_part_of_a_chord_is_that_of_shapely(seed: int, ends: tuple[int, int, int, int], east: int) -> None:
    rng = np.random.default_rng(seed)
    area = area_of(rng)
    assume(area.is_valid and area.area > 0 and area.geom_type in ("Polygon", "MultiPolygon"))
    if rng.random() < 0.5:  # ends on vertices: touching, and along edges
        corners = shapely.get_coordinates(area)
        ends = tuple(int(v) for v in corners[rng.integers(len(corners), size=2)].ravel())
    places = places_of(on_grid(area, east, LAT_E7))
    x1, y1, x2, y2 = ends
    first, last, share = chord_part(x1 + east, y1 + LAT_E7, x2 + east, y2 + LAT_E7, 0, places)
    chord = shapely.LineString([(x1, y1), (x2, y2)]) if (x1, y1) != (x2, y2) else shapely.Point(x1, y1)
    assert (first <= last) == shapely.intersects(area, chord)
    if first > last or chord.geom_type == "Point":
        return
    common = shapely.intersection(area, chord)
    at = shapely.line_locate_point(chord, shapely.points(shapely.get_coordinates(common))) / chord.length
    assert abs(first - at.min()) < 1e-9
    assert abs(last - at.max()) < 1e-9
    if shapely.length(shapely.intersection(area.boundary, chord)) == 0.0:
        assert abs(share - common.length / chord.length) < 1e-9
    back = chord_part(x2 + east, y2 + LAT_E7, x1 + east, y1 + LAT_E7, 0, places)
    assert abs(back[0] - (1 - last)) < 1e-12
    assert abs(back[1] - (1 - first)) < 1e-12


@settings(max_examples=8, deadline=None)
@given(seed=seeds)
def test_a_star_of_thousands_of_corners_is_that_of_shapely(seed: int) -> None:
    """Runs of edges that are passed over change nothing; whole numbers of millions, as kilometres are."""
    rng = np.random.default_rng(seed)
    area = star(rng, 1500, 50_000, 1_000_000)
    assume(area.is_valid)
    places = places_of(on_grid(area, LON_E7, LAT_E7))
    for x1, y1, x2, y2 in rng.integers(-1_200_000, 1_200_000, (40, 4)).tolist():
        first, last, share = chord_part(x1 + LON_E7, y1 + LAT_E7, x2 + LON_E7, y2 + LAT_E7, 0, places)
        chord = shapely.LineString([(x1, y1), (x2, y2)])
        assert (first <= last) == shapely.intersects(area, chord)
        assert abs(share - shapely.intersection(area, chord).length / chord.length) < 1e-9


@settings(max_examples=150, deadline=None)
@given(seed=seeds, radius_m=st.sampled_from([3.0, 120.0, 2500.0, 30_000.0]), lat=st.floats(-68, 68))
def test_a_disc_is_met_where_the_nearest_point_of_the_chord_lies_in_it(seed: int, radius_m: float, lat: float) -> None:
    rng = np.random.default_rng(seed)
    centre = Circle(round(lat * 1e7), LON_E7, radius_m)
    azimuth, out = rng.uniform(0, 360, 2), radius_m * rng.uniform(0, 3, 2)
    lon, lat_, _ = WGS84.fwd([-1.0, -1.0], [centre.lat_e7 / 1e7] * 2, azimuth, out)
    (x1, x2), (y1, y2) = (
        np.rint(np.array(lon) * 1e7).astype(int).tolist(),
        np.rint(np.array(lat_) * 1e7).astype(int).tolist(),
    )
    first, last, share = chord_part(x1, y1, x2, y2, 0, places_of(centre))
    t = np.linspace(0, 1, 4001)
    n = len(t)
    apart = WGS84.inv(
        (x1 + t * (x2 - x1)) / 1e7, (y1 + t * (y2 - y1)) / 1e7, np.full(n, -1.0), np.full(n, centre.lat_e7 / 1e7)
    )[2]
    nearest, step = apart.min(), 6 * radius_m / n
    assume(abs(nearest - radius_m) > 1e-4 + step * step / radius_m)
    assert (first <= last) == (nearest <= radius_m)
    if first <= last:
        inside = t[apart <= radius_m]
        blur = 2e-3 + 5e-3 * (radius_m > 10_000.0)
        root = math.sqrt(max(0.0, 1 - (nearest / radius_m) ** 2))
        if root > 0.1:  # a grazing chord moves a long way for a millimetre
            assert abs(first - inside[0]) < blur / root
            assert abs(last - inside[-1]) < blur / root
        assert share == last - first


def ways_m(points: NDArray[np.float64], fixes: list[tuple[int, int, float]]) -> NDArray[np.float64]:
    """g1 + g2 of points (n, 2) in degrees, by geodesics."""
    total = np.zeros(len(points))
    for x, y, radius_m in fixes:
        n = len(points)
        out = WGS84.inv(points[:, 0], points[:, 1], np.full(n, x / 1e7), np.full(n, y / 1e7))[2]
        total += np.maximum(0.0, out - radius_m)
    return total


@settings(max_examples=40, deadline=None)
@given(
    seed=seeds, disc=st.booleans(), size_m=st.floats(5, 1500), radii=st.tuples(st.floats(0, 400), st.floats(0, 400)),
    lat=st.floats(-62, 62), lon=st.sampled_from([-1.0, 179.995]),
)  # fmt: skip
def test_the_least_way_is_sound_and_close(
    seed: int, disc: bool, size_m: float, radii: tuple[float, float], lat: float, lon: float
) -> None:
    """Never above the best of many points of the place, and below it by no more than is said."""
    rng = np.random.default_rng(seed)
    lat_e7, lon_e7 = round(lat * 1e7), round(lon * 1e7)
    ky, kx = metres_per_e7(float(lat_e7))
    lon_e7 -= round(3 * size_m / kx)  # places end before the antimeridian, fixes lie on both sides
    if disc:
        place: Place = Circle(lat_e7, lon_e7, size_m)
        angle, out = rng.uniform(0, 360, 30_000), size_m * np.sqrt(rng.uniform(0, 1, 30_000))
        out[::2] = size_m
        points = np.column_stack(WGS84.fwd(np.full(30_000, lon_e7 / 1e7), np.full(30_000, lat_e7 / 1e7), angle, out)[:2])
    else:
        area = star(rng, int(rng.integers(3, 9)), size_m * 30, size_m * 90)
        place = shapely.transform(area, lambda c: (c * (0.011 / kx, 0.011 / ky) + (lon_e7, lat_e7)) / 1e7)
        assume(place.is_valid and place.area > 0)
        edge = shapely.line_interpolate_point(place.exterior, np.linspace(0, 1, 20_000), normalized=True)
        west, south, east, north = place.bounds
        inner = rng.uniform((west, south), (east, north), (10_000, 2))
        points = np.vstack([shapely.get_coordinates(edge), inner[shapely.contains_xy(place, inner[:, 0], inner[:, 1])]])
    fixes = []
    for k in (0, 1):
        x, y = rng.normal(0, 2.5 * size_m, 2)
        x = round(lon_e7 + x / kx)
        x -= 3_600_000_000 * (x > 1_800_000_000)
        fixes.append((x, round(lat_e7 + y / ky), radii[k]))
    (x1, y1, r1), (x2, y2, r2) = fixes
    got = least_way_m(x1, y1, r1, x2, y2, r2, 0, places_of(place))
    brute = float(ways_m(points, fixes).min())
    reach_km = (brute + r1 + r2 + 2 * size_m) / 1000
    spacing_m = 0.04 * size_m  # of the sampled points; g1 + g2 changes by two metres a metre at most
    assert got <= brute + 1e-6
    assert got >= brute * (1 - 1e-3 * reach_km) - 0.05 - 2 * spacing_m - 1e-3 * reach_km * (r1 + r2)
    assert abs(least_way_m(x2, y2, r2, x1, y1, r1, 0, places_of(place)) - got) < 0.03


@settings(max_examples=25, deadline=None)
@given(seed=seeds, likeness=st.floats(0, 1), tail=st.sampled_from([(0.06, 3.6), (0.17, 8.8)]))
def test_the_probability_of_crossing_is_that_of_many_draws(seed: int, likeness: float, tail: tuple[float, float]) -> None:
    rng = np.random.default_rng(seed)
    weight, ratio = tail
    size_m = rng.uniform(20, 300)
    area = shapely.transform(
        star(rng, 9, 60, 100), lambda c: (c * size_m * (0.01 / KX, 0.01 / KY) + (LON_E7, LAT_E7)) / 1e7
    )
    assume(area.is_valid)
    off = rng.uniform(-1.2, 1.2, 2) * size_m
    ends = np.array([(LON_E7 - rng.uniform(1, 4) * size_m / KX, LAT_E7 + off[0] / KY),
                     (LON_E7 + rng.uniform(1, 4) * size_m / KX, LAT_E7 + off[1] / KY)])  # fmt: skip
    (x1, y1), (x2, y2) = np.rint(ends).astype(int).tolist()
    sigma = rng.uniform(3, 40, 2)
    got = crossing_probability(
        x1, y1, sigma[0], weight, ratio, x2, y2, sigma[1], weight, ratio, likeness, 0, places_of(area)
    )
    n = 40_000
    normal, other = rng.normal(size=(2, n, 2))
    in_tail = rng.random(n) < weight
    also = np.where(rng.random(n) < likeness, in_tail, rng.random(n) < weight)
    alike = likeness * normal + math.sqrt(1 - likeness**2) * other
    lines = []
    for (x, y), s, error, tails in zip(ends, sigma, (normal, alike), (in_tail, also), strict=True):
        lines.append((error * (s * np.where(tails, ratio, 1))[:, None] / (KX, KY) + (x, y)) / 1e7)
    shapely.prepare(area)
    share = float(shapely.intersects(area, shapely.linestrings(np.stack(lines, axis=1))).mean())
    assert abs(got - share) < 0.01 + 3.5 * math.sqrt(0.25 / n)


@settings(max_examples=100, deadline=None)
@given(seed=seeds, sigma_m=st.floats(2, 60))
def test_a_clear_fix_has_its_circle_off_the_place(seed: int, sigma_m: float) -> None:
    """Clear means at least the 95 % radius away; whatever is 1.5 times that away is clear."""
    rng = np.random.default_rng(seed)
    area = shapely.transform(star(rng, 7, 4000, 9000), lambda c: (c * (0.011 / KX, 0.011 / KY) + (LON_E7, LAT_E7)) / 1e7)
    assume(area.is_valid)
    places, radius_m = places_of(area), sigma_m * float(clear_sigmas(np.array([(0.06, 3.6)]))[0])
    plane = shapely.transform(area, lambda c: (c * 1e7 - (LON_E7, LAT_E7)) * (KX, KY))
    for x, y in rng.uniform(-500, 500, (40, 2)):
        apart = plane.distance(shapely.Point(x, y))
        clear = is_clear_of(round(LON_E7 + x / KX), round(LAT_E7 + y / KY), radius_m, 0, places)
        rest = lambda d: 0.94 * math.exp(-d * d / 2) + 0.06 * math.exp(-d * d / 2 / 3.6**2)  # noqa: E731
        if clear:
            assert rest(apart / sigma_m) < 0.0502
        assert clear or apart < 1.5 * 3.9 * sigma_m + 0.1
