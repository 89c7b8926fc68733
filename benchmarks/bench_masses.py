"""P(inside) of fixes within three sigmas of a boundary: our kernel on one core, and what scipy offers for the same mass."""

from __future__ import annotations

import gzip
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.rounds import Row, medians, rows
from engine.error_model import TAILS
from engine.kernels import metres_per_e7
from geofence.masses import inside_masses
from geofence.places import Places, compile_places
from geofence.zone import Circle, Place

SEED = 20261123
LAT_E7, LON_E7 = 534_000_000, -29_000_000
SIGMAS_M = (2.5, 5.0, 10.0, 20.0)
N_OWEN, N_QUAD = 200, 10
OWEN, QUAD, CHI2 = "scipy owens_t over all edges", "scipy quad over slices", "scipy ncx2.cdf"
WARDS = (
    Path(__file__).resolve().parents[2] / "shared" / "data" / "zones_highvertex" / "northern_ireland_wards_2012.geojson.gz"
)


class Scene(NamedTuple):
    """A place, and fixes (n,) about its boundary."""

    places: Places
    x: NDArray[np.int32]
    y: NDArray[np.int32]
    sigma: NDArray[np.float64]


def bench(n_fixes: int = 50_000, n_rounds: int = 5) -> list[Row]:
    """Rows of the report: a town's zone of 32 corners, a disc, and wards of the median and the largest number of corners."""
    rng = np.random.default_rng(SEED)
    found = _rows("polygon of 32", _about(_polygon(rng), n_fixes, rng), (OWEN, QUAD), n_rounds)
    found += _rows("disc of 200 m", _about(Circle(LAT_E7, LON_E7, 200.0), n_fixes, rng), (CHI2,), n_rounds)
    for n_corners, ward in _wards().items():
        found += _rows(f"ward of {n_corners:,}", _about(ward, n_fixes // 10, rng), (OWEN,), n_rounds)
    return found


def _rows(name: str, scene: Scene, peers: tuple[str, ...], n_rounds: int) -> list[Row]:
    n = len(scene.x)
    model, tails = np.zeros(n, np.uint8), TAILS[:1]
    slices = {OWEN: min(n, N_OWEN), QUAD: N_QUAD, CHI2: n}
    masses: dict[str, Callable[[Scene, float], NDArray[np.float64]]] = {OWEN: _owen, QUAD: _quad, CHI2: _chi2}
    weight, ratio = (float(v) for v in tails[0])

    def mixture(peer: str) -> NDArray[np.float64]:
        first = slice(slices[peer])
        part = Scene(scene.places, scene.x[first], scene.y[first], scene.sigma[first])
        return (1.0 - weight) * masses[peer](part, 1.0) + weight * masses[peer](part, ratio)

    candidates: dict[str, Callable[[], object]] = {
        "inside_masses": lambda: inside_masses(scene.x, scene.y, scene.sigma, model, tails, 0, scene.places)
    } | {peer: lambda peer=peer: mixture(peer) for peer in peers}  # type: ignore[misc]
    taken = {k: v * n / slices.get(k, n) for k, v in medians(candidates, n_rounds).items()}
    ours = inside_masses(scene.x, scene.y, scene.sigma, model, tails, 0, scene.places)
    apart = max(float(np.abs(ours[: slices[peer]] - mixture(peer)).max()) for peer in peers)
    told = rows(f"P(inside) at the boundary, {name}", n, "fixes", taken, peers[-1])
    return [told[0]._replace(note=f"at most {apart:.0e} from the peers"), *told[1:]]


def _polygon(rng: np.random.Generator) -> shapely.Polygon:
    ky, kx = metres_per_e7(float(LAT_E7))
    angle, radius = np.arange(32) * (math.pi / 16), 300.0 * rng.uniform(0.8, 1.2, 32)
    return shapely.Polygon(
        np.column_stack([LON_E7 + radius * np.cos(angle) / kx, LAT_E7 + radius * np.sin(angle) / ky]) / 1e7
    )


def _wards() -> dict[int, shapely.Polygon]:
    """By the number of corners, the median ward and the largest; none where the data are absent."""
    if not WARDS.exists():
        return {}
    with gzip.open(WARDS, "rt") as text:
        areas = [shapely.geometry.shape(feature["geometry"]) for feature in json.load(text)["features"]]
    areas.sort(key=shapely.get_num_coordinates)
    return {int(shapely.get_num_coordinates(area)): area for area in (areas[len(areas) // 2], areas[-1])}


def _about(place: Place, n: int, rng: np.random.Generator) -> Scene:
    places = compile_places([(place,)])
    if isinstance(place, Circle):
        ky, kx = metres_per_e7(float(LAT_E7))
        angle = np.arange(721) * (math.pi / 360)
        ring = np.column_stack([LON_E7 + 200.0 * np.cos(angle) / kx, LAT_E7 + 200.0 * np.sin(angle) / ky])
    else:
        ring = np.column_stack([places.xs, places.ys])[: places.rings[1]].astype(np.float64)
    ky, kx = metres_per_e7(float(ring[:, 1].mean()))
    sigma = rng.choice(SIGMAS_M, n)
    edge, share = rng.integers(0, len(ring) - 1, n), rng.random((n, 1))
    along = (ring[edge + 1] - ring[edge]) * (kx, ky)
    normal = np.column_stack([-along[:, 1], along[:, 0]]) / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    spots = ring[edge] * (1 - share) + ring[edge + 1] * share + normal * (rng.uniform(-3, 3, n) * sigma)[:, None] / (kx, ky)
    x, y = np.rint(spots).astype(np.int32).T.copy()
    return Scene(places, x, y, sigma)


def _rings(scene: Scene, k: int, scale: float) -> list[NDArray[np.float64]]:
    """The rings about fix k in units of sigma."""
    ky, kx = metres_per_e7(float(scene.y[k]))
    x = (scene.places.xs - float(scene.x[k])) * (kx / scene.sigma[k] / scale)
    y = (scene.places.ys - float(scene.y[k])) * (ky / scene.sigma[k] / scale)
    return [np.column_stack([x[a:b], y[a:b]]) for a, b in itertools.pairwise(scene.places.rings)]


def _owen(scene: Scene, scale: float) -> NDArray[np.float64]:
    """Owen 1956: for each edge its angle over 2 pi less the difference of T at its ends."""
    from scipy.special import owens_t

    found = np.zeros(len(scene.x))
    for k in range(len(found)):
        for ring in _rings(scene, k, scale):
            (ax, ay), (dx, dy) = ring[:-1].T, np.diff(ring, axis=0).T
            length = np.maximum(np.hypot(dx, dy), 1e-300)
            cross = ax * dy - ay * dx
            h, t1 = np.maximum(np.abs(cross) / length, 1e-12), (ax * dx + ay * dy) / length
            t2 = t1 + length
            wedge = (np.arctan2(t2, h) - np.arctan2(t1, h)) / (2 * math.pi) - owens_t(h, t2 / h) + owens_t(h, t1 / h)
            found[k] += (np.sign(cross) * wedge).sum()
    return found


def _quad(scene: Scene, scale: float) -> NDArray[np.float64]:
    """Adaptive quadrature over x of the exact mass in y between the edges that a slice meets."""
    from scipy.integrate import quad
    from scipy.special import ndtr

    def slice_mass(x: float, ax: Any, ay: Any, dx: Any, dy: Any) -> float:
        met = (ax <= x) != (ax + dx <= x)
        ends = ndtr(np.sort(ay[met] + dy[met] * (x - ax[met]) / dx[met]))
        return float((ends[1::2] - ends[::2]).sum()) * math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)

    found = np.empty(len(scene.x))
    for k in range(len(found)):
        edges = np.hstack([np.vstack([ring[:-1].T, np.diff(ring, axis=0).T]) for ring in _rings(scene, k, scale)])
        low, high = max(-8.0, edges[0].min()), min(8.0, edges[0].max())
        breaks = np.unique(edges[0][(edges[0] > low) & (edges[0] < high)])
        found[k] = quad(slice_mass, low, high, tuple(edges), points=breaks, limit=500, epsabs=1e-8)[0]
    return found


def _chi2(scene: Scene, scale: float) -> NDArray[np.float64]:
    """A disc is a non-central chi-square, two degrees of freedom."""
    from scipy.stats import ncx2

    from engine.kernels import distances_m

    lon, lat, radius = scene.places.disc[0]
    there = np.full((2, len(scene.x)), [[lat], [lon]], np.int32)
    distance = distances_m(scene.y, scene.x, *there)
    found: NDArray[np.float64] = ncx2.cdf((radius / scene.sigma / scale) ** 2, 2, (distance / scene.sigma / scale) ** 2)
    return found
