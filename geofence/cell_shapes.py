"""Areas of zones as columns for the zone index: polygons snapped to 1e-7 degree, as edges, and discs, with their boxes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from engine.errors import InputError
from geofence.cells import EAST, NORTH
from geofence.places import E7
from geofence.zone import Circle, Place

Area: TypeAlias = Place | Sequence[Place]
"""What a zone covers: a disc, a Polygon or MultiPolygon in degrees, or several of these."""
HALF_TURN = 1_800_000_000
_UNITS_PER_M = 91.0
"""No metre of latitude is more units of 1e-7 degree, on WGS84."""


class Pools(NamedTuple):
    """Vertices (n, 2) int32 lon, lat and discs (n, 3) lon, lat [1e-7 degree], radius [m]: what shapes refer to."""

    vertices: NDArray[np.int32]
    discs: NDArray[np.float64]


class Shapes(NamedTuple):
    """Polygons and discs, one a row, in the order of their zones.

    boxes (n, 4) west south east north, never negative (EAST and NORTH added); disc_of (n,) row in the pool's discs or -1;
    zone_of (n,); spans (n, 2) first and last + 1 of its vertices in the pool; edges (n_edges,) numbers of their first
    vertices, those of row k being cut[k]:cut[k + 1].
    """

    boxes: NDArray[np.int64]
    disc_of: NDArray[np.int32]
    zone_of: NDArray[np.int32]
    spans: NDArray[np.int64]
    edges: NDArray[np.int32]
    cut: NDArray[np.int64]

    @property
    def wraps(self) -> bool:
        """Whether any shape reaches the antimeridian."""
        west, east = self.boxes[:, 0].min(initial=EAST), self.boxes[:, 2].max(initial=EAST)
        return bool(west <= EAST - HALF_TURN or east >= EAST + HALF_TURN)

    def take(self, rows: NDArray[np.int64]) -> Shapes:
        """The shapes of some rows, in their order."""
        chosen, cut = _ranges(self.cut[rows], self.cut[rows + 1])
        return Shapes(self.boxes[rows], self.disc_of[rows], self.zone_of[rows], self.spans[rows], self.edges[chosen], cut)

    def moved(self, vertices: NDArray[np.int64] | int, discs: int = 0) -> Shapes:
        """The same shapes where the vertices of each, and the discs, have been moved on in their pools by so many rows."""
        on = np.broadcast_to(vertices, len(self.zone_of))
        edges = (self.edges + np.repeat(on, np.diff(self.cut))).astype(np.int32)
        disc_of = np.where(self.disc_of >= 0, self.disc_of + discs, -1).astype(np.int32)
        return self._replace(disc_of=disc_of, spans=self.spans + on[:, None], edges=edges)

    def compacted(self, pools: Pools) -> tuple[Shapes, Pools]:
        """The same shapes, and pools that hold nothing else of vertices."""
        chosen, cut = _ranges(self.spans[:, 0], self.spans[:, 1])
        return self.moved(cut[:-1] - self.spans[:, 0]), Pools(pools.vertices[chosen], pools.discs)


def compile_shapes(areas: Mapping[int, Area]) -> tuple[Shapes, Pools]:
    """Shapes of areas by zone number (from 0) and their own pools; InputError where an area will not do."""
    places = [(zone, place) for zone in sorted(areas) for place in _places(areas[zone])]
    discs = [(zone, place) for zone, place in places if isinstance(place, Circle)]
    solid = [(zone, place) for zone, place in places if not isinstance(place, Circle)]
    polygons, vertices = _polygons([place for _, place in solid], [zone for zone, _ in solid])
    n = len(discs)
    round_ones = Shapes(
        np.array([_disc_box(disc) for _, disc in discs], np.int64).reshape(-1, 4), np.arange(n, dtype=np.int32),
        np.array([zone for zone, _ in discs], np.int32), np.zeros((n, 2), np.int64), np.empty(0, np.int32),
        np.zeros(n + 1, np.int64),
    )  # fmt: skip
    columns = np.array([(d.lon_e7, d.lat_e7, d.radius_m) for _, d in discs], np.float64).reshape(-1, 3)
    return join_shapes([polygons, round_ones]), Pools(vertices, columns)


def join_shapes(pieces: Sequence[Shapes]) -> Shapes:
    """Several shapes on the same pools as one, in the order of zones."""
    boxes, disc_of, zone_of, spans, edges, _ = (np.concatenate(column) for column in zip(*pieces, strict=True))
    n_edges = np.concatenate([np.diff(piece.cut) for piece in pieces])
    joined = Shapes(boxes, disc_of, zone_of, spans, edges, np.concatenate([[0], np.cumsum(n_edges)]))
    order = np.argsort(zone_of, kind="stable")
    return joined if np.array_equal(order, np.arange(len(order))) else joined.take(order)


def _ranges(first: NDArray[np.int64], last: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All whole numbers of the ranges first:last, one after the other, and where each range begins (and the last ends)."""
    cut = np.concatenate([[0], np.cumsum(last - first)])
    return np.arange(cut[-1]) + np.repeat(first - cut[:-1], last - first), cut


def _places(area: Area) -> Sequence[Place]:
    return [area] if isinstance(area, (Circle, shapely.Geometry)) else area


def _polygons(areas: list[shapely.Geometry], zones: list[int]) -> tuple[Shapes, NDArray[np.int32]]:
    """The polygons of the areas as shapes, and their vertices (n, 2)."""
    column = np.array(areas, object)
    wrong = ~np.isin(shapely.get_type_id(column), (3, 6)) if areas else np.zeros(0, np.bool_)
    if wrong.any():
        raise InputError(field="area", value=column[wrong][0].geom_type, expected="a Polygon, a MultiPolygon or a Circle")
    polygons, area_of = shapely.get_parts(column, return_index=True)
    rings, polygon_of = shapely.get_rings(polygons, return_index=True)
    degrees, ring_of = shapely.get_coordinates(rings, return_index=True)
    corners = np.rint(degrees * E7)
    if not (np.abs(corners) < [EAST, NORTH]).all():
        raise InputError(
            field="area", value="too far out", expected="longitudes within 214 and latitudes within 107 degrees"
        )
    vertices = corners.astype(np.int32)
    edges = np.flatnonzero(ring_of[1:] == ring_of[:-1])
    ends = corners[edges], corners[edges + 1]
    if (np.abs(ends[0] - ends[1]) > HALF_TURN).any():
        raise InputError(field="area", value="too wide", expected="no edge over 180 degrees long")
    vertex_polygon = polygon_of[ring_of]
    kept, first = np.unique(vertex_polygon, return_index=True)
    last = np.append(first, len(vertices))[1:]
    low, high = (np.empty((0, 2), np.int64),) * 2
    if len(kept):
        low, high = (way.reduceat(vertices.astype(np.int64), first) for way in (np.minimum, np.maximum))
    boxes = np.column_stack([low, high]) + np.array([EAST, NORTH, EAST, NORTH])
    cut = np.concatenate([[0], np.cumsum(np.bincount(vertex_polygon[edges], minlength=len(polygons))[kept])])
    shapes = Shapes(
        boxes, np.full(len(kept), -1, np.int32), np.array(zones, np.int32)[area_of[kept]],
        np.column_stack([first, last]), edges.astype(np.int32), cut,
    )  # fmt: skip
    return shapes, vertices if len(vertices) else np.zeros((1, 2), np.int32)  # kernels look at one


def _disc_box(disc: Circle) -> tuple[int, int, int, int]:
    """A box that holds the disc, all round the world where it is near a pole."""
    north = disc.radius_m * _UNITS_PER_M + 2.0
    nearest = (abs(disc.lat_e7) + north) / E7
    east = north / math.cos(math.radians(nearest)) if nearest < 89.0 else 2.0 * HALF_TURN
    x, y = disc.lon_e7 + EAST, disc.lat_e7 + NORTH
    return (
        max(0, math.floor(x - east)), max(0, math.floor(y - north)),
        min(2 * EAST - 1, math.ceil(x + east)), min(2 * NORTH - 1, math.ceil(y + north)),
    )  # fmt: skip
