"""P(inside): Owen's T and discs against scipy, polygons against integration in slabs, and what a fix says for a place."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from scipy import stats

from engine.kernels import metres_per_e7
from geofence.evidence import MOST_EVIDENCE, evidence_of, place_evidence
from geofence.filter import relaxed
from geofence.masses import beyond, disc_mass, inside_mass, inside_masses, margin_sigmas, most_mass
from geofence.normal import phi, tabled_density, tabled_phi
from geofence.places import Places, compile_places
from geofence.polygon_mass import polygon_mass, winding
from geofence.zone import Circle, Place

WGS84 = Geod(ellps="WGS84")
TAIL = (0.15, 6.5)  # a phone's; the tests do not move when the fit does
TAILS = np.array([TAIL])
LAT_E7, LON_E7 = 530_000_000, -10_000_000
KY, KX = metres_per_e7(float(LAT_E7))


def test_phi_is_the_normal_distribution_function() -> None:
    for x in np.linspace(-9, 9, 181):
        assert phi(x) == pytest.approx(stats.norm.cdf(x), abs=1e-15)


def test_the_table_holds_the_normal_distribution_function_to_1e_9() -> None:
    for x in [*np.linspace(-9, 9, 9001), math.inf, -math.inf]:
        assert tabled_phi(x) == pytest.approx(stats.norm.cdf(x), abs=1e-9)
        if abs(x) <= 8.0:
            assert tabled_density(x) == pytest.approx(stats.norm.pdf(x), abs=1e-9)


@pytest.mark.parametrize("sigma", [2.0, 40.0, 2600.0])
def test_disc_mass_equals_the_noncentral_chi_square(sigma: float) -> None:
    """To 1e-6, and to 5e-6 on the edge of a disc of ten thousands of sigmas."""
    for radius in (1.0, 5.0, 50.0, 300.0, 50_000.0):
        edges = radius + sigma * np.array([-8, -4, -1, -0.1, 0, 0.1, 1, 3, 5])
        for distance in (0.0, 1e-9, radius / 2, radius, *edges[edges > 0], radius * 3, radius + 60 * sigma):
            true = stats.ncx2.cdf((radius / sigma) ** 2, 2, (distance / sigma) ** 2)
            assert disc_mass(distance, radius, sigma) == pytest.approx(true, abs=1e-6 if radius < 1000 * sigma else 5e-6)


def slab_mass(rings: list[NDArray[np.float64]]) -> float:
    """Mass of a standard normal about the origin over closed rings (even-odd), by nothing that our kernel uses: the plane
    is cut in slabs at every vertex, each integrated over x with the exact share in y between pairs of edges."""
    edges = np.vstack([np.hstack([ring[:-1], ring[1:]]) for ring in rings])
    cuts = np.unique(np.clip(np.concatenate([edges[:, 0], np.linspace(-8, 8, 33)]), -8.0, 8.0))
    nodes, weights = np.polynomial.legendre.leggauss(24)
    total = 0.0
    for low, high in itertools.pairwise(cuts):
        x = 0.5 * (high - low) * nodes + 0.5 * (high + low)
        crossing = (np.minimum(edges[:, 0], edges[:, 2]) <= low) & (np.maximum(edges[:, 0], edges[:, 2]) >= high)
        ax, ay, bx, by = edges[crossing & (edges[:, 0] != edges[:, 2])].T[..., None]
        y = np.sort(ay + (by - ay) * (x - ax) / (bx - ax), axis=0)
        share = (stats.norm.cdf(y[1::2]) - stats.norm.cdf(y[::2])).sum(axis=0)
        total += 0.5 * (high - low) * float((weights * share * stats.norm.pdf(x)).sum())
    return total


def rectangle(west: float, south: float, east: float, north: float) -> list[tuple[float, float]]:
    return [(west, south), (east, south), (east, north), (west, north)]


def in_degrees(ring: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [((LON_E7 + e / KX) / 1e7, (LAT_E7 + n / KY) / 1e7) for e, n in ring]


def polygon_of(shell: list[tuple[float, float]], *holes: list[tuple[float, float]]) -> shapely.Polygon:
    """A polygon in degrees of corners in metres about the scene's middle."""
    return shapely.Polygon(in_degrees(shell), [in_degrees(hole) for hole in holes])


def true_mass(places: Places, x: int, y: int, sigma: float) -> float:
    """Mass of one normal over place 0 as it lies on the grid; polygons only."""
    ky, kx = metres_per_e7(float(y))
    total = 0.0
    for part in range(places.parts[1]):
        rings = []
        for r in range(places.polygons[part], places.polygons[part + 1]):
            cut = slice(places.rings[r], places.rings[r + 1])
            rings.append(np.column_stack([(places.xs[cut] - float(x)) * kx, (places.ys[cut] - float(y)) * ky]) / sigma)
        total += slab_mass(rings)
    return total


STAR = [(300 * math.cos(k) * (0.4 + 0.6 * (k % 2)), 300 * math.sin(k) * (0.4 + 0.6 * (k % 2))) for k in np.arange(12) * 0.5]
SHAPES = {
    "square": polygon_of(rectangle(-50, -50, 50, 50)),
    "corridor of 3 m": polygon_of(rectangle(-400, -1.5, 400, 1.5)),
    "slanted corridor of 1 m": polygon_of([(-300, -300), (300, 299), (300, 300), (-300, -299)]),
    "frame": polygon_of(rectangle(-60, -60, 60, 60), rectangle(-55, -55, 55, 55)),
    "two holes": polygon_of(rectangle(-200, -100, 200, 100), rectangle(-150, -50, -50, 50), rectangle(20, -90, 30, 90)),
    "needle": polygon_of([(-500, 0), (500, -2), (500, 2)]),
    "comb": polygon_of(
        [(0, 0), (200, 0), *[(200 - 10 * k, 150 if k % 4 in (1, 2) else 10) for k in range(1, 20)], (0, 10)]
    ),
    "star": polygon_of(STAR),
    "two parts": shapely.MultiPolygon([polygon_of(rectangle(-90, -20, -30, 40)), polygon_of(rectangle(10, -5, 300, 5))]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_polygon_mass_equals_integration_in_slabs(name: str) -> None:
    """At corners, on edges and vertices, in holes, in corridors narrower than the error, and far out in the tail."""
    places = compile_places([(SHAPES[name],)])
    rng = np.random.default_rng(7)
    spots = [(0, 0), (50, 50), (-50, 0), (60, 60), (1000, 10), *rng.uniform(-320, 320, (12, 2)).tolist()]
    points = [(round(LON_E7 + e / KX), round(LAT_E7 + n / KY)) for e, n in spots]
    points += list(zip(places.xs[:3].tolist(), places.ys[:3].tolist(), strict=True))
    worst = 0.0
    for x, y in points:
        ky, kx = metres_per_e7(float(y))
        for sigma in (2.0, 15.0, 97.5, 1000.0):
            ours = sum(polygon_mass(x, y, sigma, kx, ky, p, places) for p in range(places.parts[1]))
            worst = max(worst, abs(ours - true_mass(places, x, y, sigma)))
    assert worst < 1e-6


def test_inside_mass_is_the_mixture_of_core_and_tail() -> None:
    places = compile_places([(SHAPES["two holes"],)])
    weight, ratio = TAIL
    for x, y in ((LON_E7, LAT_E7), (LON_E7 + 30_000, LAT_E7 - 9000)):
        ours = inside_mass(x, y, 12.0, *TAIL, 0, places)
        true = (1 - weight) * true_mass(places, x, y, 12.0) + weight * true_mass(places, x, y, 12.0 * ratio)
        assert ours == pytest.approx(true, abs=1e-6)


def test_a_disc_is_a_disc_in_true_metres() -> None:
    places = compile_places([(Circle(LAT_E7, LON_E7, 200.0),)])
    weight, ratio = TAIL
    for metres, bearing in ((0, 0), (150, 45), (200, 90), (210, 0), (1900, 200), (2500, 300)):
        lon, lat, _ = WGS84.fwd(LON_E7 / 1e7, LAT_E7 / 1e7, bearing, metres)
        x, y = round(lon * 1e7), round(lat * 1e7)
        for sigma in (2.0, 40.0, 500.0):
            true = sum(
                w * stats.ncx2.cdf((200 / s) ** 2, 2, (metres / s) ** 2)
                for w, s in ((1 - weight, sigma), (weight, sigma * ratio))
            )  # fmt: skip
            # the grid moves the fix by up to 8 mm
            assert inside_mass(x, y, sigma, *TAIL, 0, places) == pytest.approx(true, abs=2e-3 if sigma < 3 else 1e-4)


def test_the_tangent_plane_is_good_enough_for_mast_fixes_over_a_wide_zone() -> None:
    """A polygon of 40 by 40 km and an error of kilometres, against random draws on the ellipsoid (3 standard errors)."""
    area = polygon_of(rectangle(-20_000, -20_000, 20_000, 20_000))
    places = compile_places([(area,)])
    rng = np.random.default_rng(8)
    shapely.prepare(area)
    for e, n in ((0, 0), (15_000, 18_000), (30_000, -10_000)):
        x, y = round(LON_E7 + e / KX), round(LAT_E7 + n / KY)
        sigma = 800.0
        scale = np.where(rng.random(200_000) < TAIL[0], sigma * TAIL[1], sigma)
        lon, lat, _ = WGS84.fwd(
            np.full(len(scale), x / 1e7), np.full(len(scale), y / 1e7), rng.uniform(0, 360, len(scale)),
            scale * rng.rayleigh(1.0, len(scale)),
        )  # fmt: skip
        drawn = shapely.contains_xy(area, lon, lat).mean()
        assert inside_mass(x, y, sigma, *TAIL, 0, places) == pytest.approx(drawn, abs=0.0035)


def test_many_fixes_at_once_equal_one_by_one() -> None:
    places = compile_places([(SHAPES["square"],), (SHAPES["star"],)])
    x = np.array([LON_E7, LON_E7 + 5000], np.int32)
    y, sigma = np.full(2, LAT_E7, np.int32), np.array([5.0, 50.0])
    got = inside_masses(x, y, sigma, np.zeros(2, np.uint8), TAILS, 1, places)
    assert got.tolist() == [inside_mass(x[k], y[k], sigma[k], *TAIL, 1, places) for k in (0, 1)]


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "two parts"])
def test_winding_says_inside_outside_or_near_as_shapely_does(name: str) -> None:
    places = compile_places([(SHAPES[name],)])
    rings = [np.column_stack([places.xs[a:b], places.ys[a:b]]) for a, b in itertools.pairwise(places.rings)]
    area = shapely.Polygon(rings[0], rings[1:])
    rng = np.random.default_rng(9)
    found, spots = set(), rng.integers(-60_000, 60_000, (2000, 2))
    spots[:500] = np.column_stack([places.xs, places.ys])[rng.integers(0, len(places.xs), 500)] - (LON_E7, LAT_E7)
    spots[250:500] += rng.integers(-3000, 3000, (250, 2))
    for x, y in spots.tolist():
        wide, high = (float(side) for side in rng.choice([1.5, 300.5, 5000.5, 20_000.5], 2))
        around = shapely.box(LON_E7 + x - wide, LAT_E7 + y - high, LON_E7 + x + wide, LAT_E7 + y + high)
        true = -1 if area.boundary.intersects(around) else int(area.contains(shapely.Point(LON_E7 + x, LAT_E7 + y)))
        found.add(true)
        assert winding(LON_E7 + x, LAT_E7 + y, wide, high, 0, places) == true
    assert found >= {-1, 0}


@pytest.mark.parametrize("weight_and_ratio", [TAIL, (0.0, 1.0), (0.3, 2.0), (0.1, 20.0)])
def test_beyond_the_margin_there_is_at_most_the_limit_and_hardly_less(weight_and_ratio: tuple[float, float]) -> None:
    for limit in (0.0025, 1e-6, 1e-12):
        margin = margin_sigmas(limit, *weight_and_ratio)
        assert beyond(margin, 1.0, *weight_and_ratio) <= limit * (1.0 + 1e-12)
        assert margin == 0.0 or beyond(0.75 * margin, 1.0, *weight_and_ratio) > limit


def test_beyond_is_the_survival_function_of_the_mixture() -> None:
    for distance in (0.0, 3.0, 20.0, 200.0):
        true = sum(w * stats.rayleigh.sf(distance, scale=s) for w, s in ((1 - TAIL[0], 5.0), (TAIL[0], 5.0 * TAIL[1])))
        assert beyond(distance, 5.0, *TAIL) == pytest.approx(true, rel=1e-12)


@pytest.mark.parametrize("name", [*SHAPES, "disc"])
def test_the_bounds_never_change_what_a_fix_says(name: str) -> None:
    """`place_evidence` answers by bounds where the answer is clear; the exact mass gives the very same."""
    place: Place = Circle(LAT_E7, LON_E7, 120.0) if name == "disc" else SHAPES[name]
    places = compile_places([(place,)])
    area, width = places.size[0, :2]
    rng = np.random.default_rng(10)
    reach = 10.0 ** rng.uniform(0, 5.3, 400)
    angle = rng.uniform(0, 2 * math.pi, 400)
    n_sure = 0
    for e, n in np.column_stack([reach * np.cos(angle), reach * np.sin(angle)]).tolist():
        x, y = round(LON_E7 + e / KX), round(LAT_E7 + n / KY)
        sigma = float(rng.choice([2.0, 8.0, 60.0, 400.0, 5000.0]))
        exact = evidence_of(inside_mass(x, y, sigma, *TAIL, 0, places), most_mass(sigma, *TAIL, area, width))
        assert place_evidence(x, y, sigma, *TAIL, 0, places) == pytest.approx(exact, abs=1e-9)
        n_sure += abs(exact) == MOST_EVIDENCE
    assert n_sure > 20


def test_a_circle_of_kilometres_says_nothing_of_a_small_zone_in_its_middle() -> None:
    places = compile_places([(Circle(LAT_E7, LON_E7, 50.0),)])
    said = [place_evidence(LON_E7, LAT_E7, sigma, *TAIL, 0, places) for sigma in (2.0, 400.0, 4000.0)]
    assert said[0] == MOST_EVIDENCE
    assert said[1:] == pytest.approx([0.0, 0.0], abs=0.1)


@pytest.mark.parametrize("shape", [Circle(LAT_E7, LON_E7, 50.0), SHAPES["square"]])
def test_most_mass_is_the_mass_at_the_best_spot(shape: Place) -> None:
    places = compile_places([(shape,)])
    area, width = places.size[0, :2]
    for sigma in (2.0, 30.0, 200.0, 5000.0):
        at_centre = inside_mass(LON_E7, LAT_E7, sigma, *TAIL, 0, places)
        assert at_centre <= most_mass(sigma, *TAIL, area, width) + 1e-6
        assert most_mass(sigma, *TAIL, area, width) <= 1.3 * at_centre


def test_a_thin_part_does_not_make_a_place_seem_thin() -> None:
    """A disc and a long corridor far from it: the most is not less than the disc alone holds."""
    corridor = polygon_of(rectangle(5000, -1.5, 25_000, 1.5))
    both, alone = (
        compile_places([(Circle(LAT_E7, LON_E7, 100.0), corridor)]),
        compile_places([(Circle(LAT_E7, LON_E7, 100.0),)]),
    )
    for sigma in (2.0, 50.0, 400.0):
        most = [most_mass(sigma, *TAIL, *places.size[0, :2]) for places in (both, alone)]
        assert most[0] >= most[1]
        assert most[0] + 1e-6 >= inside_mass(LON_E7, LAT_E7, sigma, *TAIL, 0, both)


def test_relaxing_goes_to_the_base_rate_and_knows_no_cuts() -> None:
    assert relaxed(4.0, 0.1, 1e9, 1800) == pytest.approx(math.log(0.1 / 0.9))
    assert relaxed(-2.0, 0.5, 0.0, 1800) == pytest.approx(-2.0)
    assert relaxed(relaxed(3.0, 0.1, 100, 1800), 0.1, 200, 1800) == pytest.approx(relaxed(3.0, 0.1, 300, 1800))


# --- places as columns


def test_the_direction_of_the_rings_as_written_does_not_matter() -> None:
    """GeoJSON in the wild turns its holes either way: area, mass and box are the same."""
    shell, hole = rectangle(-100, -100, 100, 100), rectangle(-50, -50, 50, 50)
    columns = [compile_places([(polygon_of(s, h),)]) for s in (shell, shell[::-1]) for h in (hole, hole[::-1])]
    for places in columns:
        assert places.size[0, 0] == pytest.approx(30_000, rel=1e-3)
        assert places.size[0].tolist() == pytest.approx(columns[0].size[0].tolist())
        assert places.box.tolist() == columns[0].box.tolist()
        mass = inside_mass(LON_E7 + 10_000, LAT_E7, 40.0, *TAIL, 0, places)
        assert mass == pytest.approx(inside_mass(LON_E7 + 10_000, LAT_E7, 40.0, *TAIL, 0, columns[0]), abs=1e-12)


def test_overlapping_parts_of_one_place_are_joined() -> None:
    """Two discs one on the other count once."""
    disc = Circle(LAT_E7, LON_E7, 100.0)
    one, two = compile_places([(disc,)]), compile_places([(disc, disc)])
    for sigma in (10.0, 300.0):
        single = inside_mass(LON_E7, LAT_E7, sigma, *TAIL, 0, one)
        assert inside_mass(LON_E7, LAT_E7, sigma, *TAIL, 0, two) == pytest.approx(single, abs=1e-4)
    apart = compile_places([(disc, Circle(LAT_E7 + 100_000, LON_E7, 50.0))])
    assert apart.parts.tolist() == [0, 2]
    assert apart.size[0, 0] == pytest.approx(math.pi * (100**2 + 50**2))


@pytest.mark.parametrize("lat_deg", [0.0, 53.0, 70.0, 80.0])
def test_a_box_holds_its_disc(lat_deg: float) -> None:
    disc = Circle(round(lat_deg * 1e7), LON_E7, 50_000.0)
    west, south, east, north = compile_places([(disc,)]).box[0]
    lon, lat, _ = WGS84.fwd(
        np.full(720, disc.lon_e7 / 1e7), np.full(720, lat_deg), np.arange(720) / 2, np.full(720, disc.radius_m)
    )  # fmt: skip
    assert west <= lon.min() * 1e7
    assert lon.max() * 1e7 <= east
    assert south <= lat.min() * 1e7
    assert lat.max() * 1e7 <= north


def test_no_places_are_empty_columns() -> None:
    places = compile_places([])
    assert places.box.shape == (0, 4)
    assert places.parts.tolist() == [0]
