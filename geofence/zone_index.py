"""The zone index: which of all zones hold which points; exact, in flat arrays, edited live without a stop for its readers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.catalogue import Catalogue
from geofence.cell_shapes import Area, Pools, Shapes, compile_shapes, join_shapes
from geofence.cell_tree import CellTree, Grid
from geofence.cells import TILE_BITS, TILES_ACROSS, containing

_MOST_TILES = 256
"""An edit that touches more tiles (of 46 km) than this compiles everything anew."""
_SPARE_WORDS = 2**22

Numbers = NDArray[np.int32]


class _Cells(NamedTuple):
    """What a reader needs, as it was at one moment."""

    tiles: Numbers
    nodes: Numbers
    records: Numbers
    vertices: Numbers
    discs: NDArray[np.float64]
    wraps: bool


class ZoneIndex:
    """Zones by number (0 to 2^31 - 2), their areas closed: a point on a boundary is inside.

    Polygons are snapped to 1e-7 degree; several polygons and discs of one zone count as their union. A disc holds a point
    whose `distance_m` to its centre is at most its radius. Readers on other threads see each edit wholly or not at all.
    """

    def __init__(self, areas: Mapping[int, Area]) -> None:
        self._edit = Lock()
        self._old, self._pools = compile_shapes(areas)
        self._new: dict[int, Shapes | None] = {}
        rows = _union_boxes(self._old)
        self._catalogue = Catalogue(np.array(list(rows.values())).reshape(-1, 4), list(rows))
        self._compile()

    @property
    def nbytes(self) -> int:
        """Bytes that look-ups read: tiles, nodes, records, vertices, discs."""
        return self._cells.tiles.nbytes + self._tree.n_words * 4 + sum(pool.nbytes for pool in self._pools)

    def containing(self, lat_e7: Numbers, lon_e7: Numbers) -> tuple[Numbers, Numbers]:
        """Pairs (row of a point, number of a zone that holds it), by point and then zone; points int32 (n,) [1e-7 degree]."""
        return self._pairs(lat_e7, lon_e7, 2**31)

    def first(self, lat_e7: Numbers, lon_e7: Numbers) -> Numbers:
        """For each point, int32 (n,) [1e-7 degree], the lowest number of a zone that holds it, else -1."""
        rows, zones = self._pairs(lat_e7, lon_e7, 1)
        lowest = np.full(len(lat_e7), -1, np.int32)
        lowest[rows] = zones
        return lowest

    def _pairs(self, lat_e7: Numbers, lon_e7: Numbers, most: int) -> tuple[Numbers, Numbers]:
        cells = self._cells
        rows, zones = np.empty(len(lat_e7) + 64, np.int32), np.empty(len(lat_e7) + 64, np.int32)
        done, n = containing(lon_e7, lat_e7, 0, *cells, most, rows, zones, 0)
        while done < len(lat_e7):
            rows, zones = (np.concatenate([column, np.empty_like(column)]) for column in (rows, zones))
            done, n = containing(lon_e7, lat_e7, done, *cells, most, rows, zones, n)
        return rows[:n], zones[:n]

    def put(self, zone: int, area: Area) -> None:
        """Add a zone, or change its area; only the cells about the old and the new area are compiled again."""
        with self._edit:
            shapes, pools = compile_shapes({zone: area})
            shapes = shapes.moved(len(self._pools.vertices), len(self._pools.discs))
            old = self._pools
            self._pools = Pools(np.concatenate([old.vertices, pools.vertices]), np.concatenate([old.discs, pools.discs]))
            self._replace(zone, shapes)

    def remove(self, zone: int) -> None:
        """Take a zone out; KeyError where there is none."""
        with self._edit:
            if not len(self._shapes([zone]).zone_of):
                raise KeyError(zone)
            self._replace(zone, None)

    def _replace(self, zone: int, shapes: Shapes | None) -> None:
        boxes = self._shapes([zone]).boxes
        self._new[zone] = shapes
        self._catalogue.remove(zone)
        if shapes is not None and len(shapes.boxes):
            boxes = np.concatenate([boxes, shapes.boxes])
            self._catalogue.put(zone, _union_boxes(shapes)[zone].tolist())
        n_tiles = _tiles(boxes)
        if n_tiles > _MOST_TILES or self._tree.n_words > 2 * self._compact_words + _SPARE_WORDS:
            self._compile()
            return
        tree = self._tree
        tree.tiles = tree.tiles.copy()
        for tile, box in _by_tile(boxes).items():
            self._patch(tile, box)
        self._publish(self._cells.wraps or (shapes is not None and shapes.wraps))

    def _patch(self, tile: int, box: NDArray[np.int64]) -> None:
        """Compile the cells of one tile that meet a box anew: where the tile is a node, in a copy of that."""
        tree = self._tree
        row, col = divmod(tile, TILES_ACROSS)
        west, south, value = col << TILE_BITS, row << TILE_BITS, int(tree.tiles[tile])
        if value <= 0 or not value & 1:
            tree.tiles[tile] = 0
            here = self._meeting(west, south, TILE_BITS, 1, 1)
            tree.fill(Grid(west, south, TILE_BITS, 1, 1, tile, 1), tree.tiles, here, self._pools)
            return
        side, old = value >> 1 & 7, value >> 4 << 2
        bits = TILE_BITS - side
        c0, r0, c1, r1 = ((box - np.array([west, south, west, south])) >> bits).tolist()
        n_cols, n_rows = c1 - c0 + 1, r1 - r0 + 1
        new = tree.copy_node(old, side)
        tree.tiles[tile] = new >> 2 << 4 | side << 1 | 1
        tree.nodes.words[new : new + (1 << 2 * side)].reshape(1 << side, -1)[r0 : r1 + 1, c0 : c1 + 1] = 0
        west, south = west + (c0 << bits), south + (r0 << bits)
        grid = Grid(west, south, bits, n_cols, n_rows, new + (r0 << side) + c0, 1 << side)
        tree.fill(grid, None, self._meeting(west, south, bits, n_cols, n_rows), self._pools)

    def _meeting(self, west: int, south: int, bits: int, n_cols: int, n_rows: int) -> Shapes:
        box = west, south, west + (n_cols << bits) - 1, south + (n_rows << bits) - 1
        shapes = self._shapes(self._catalogue.meeting(box))
        b = shapes.boxes
        meets = (b[:, 0] <= box[2]) & (b[:, 2] >= box[0]) & (b[:, 1] <= box[3]) & (b[:, 3] >= box[1])
        return shapes.take(np.flatnonzero(meets))

    def _shapes(self, zones: Iterable[int]) -> Shapes:
        """The present shapes of some zones."""
        kept = np.array([zone for zone in zones if zone not in self._new], np.int64)
        first, last = (np.searchsorted(self._old.zone_of, kept, side) for side in ("left", "right"))
        rows = np.arange((last - first).sum()) + np.repeat(last - np.cumsum(last - first), last - first)
        edited = [piece for zone in zones if (piece := self._new.get(zone))]
        return join_shapes([self._old.take(rows), *edited])

    def _compile(self) -> None:
        """Everything anew, without the words that edits have left behind."""
        if self._new:
            everything = {*self._old.zone_of.tolist(), *self._new}
            self._old, self._pools = self._shapes(sorted(everything)).compacted(self._pools)
            self._new = {}
        self._tree = CellTree(self._old, self._pools)
        if len(self._old.boxes):
            west, south = (self._old.boxes[:, :2].min(axis=0) >> TILE_BITS).tolist()
            east, north = (self._old.boxes[:, 2:].max(axis=0) >> TILE_BITS).tolist()
            grid = Grid(
                west << TILE_BITS, south << TILE_BITS, TILE_BITS, east - west + 1, north - south + 1,
                south * TILES_ACROSS + west, TILES_ACROSS,
            )  # fmt: skip
            self._tree.fill(grid, self._tree.tiles, self._old, self._pools)
            self._tree.trim()
        self._compact_words = self._tree.n_words
        self._publish(self._old.wraps)

    def _publish(self, wraps: bool) -> None:
        tree = self._tree
        self._cells = _Cells(tree.tiles, tree.nodes.words, tree.records.words, *self._pools, wraps)


def _union_boxes(shapes: Shapes) -> dict[int, NDArray[np.int64]]:
    """Each zone's box about all its shapes."""
    zones, first = np.unique(shapes.zone_of, return_index=True)
    if not len(zones):
        return {}
    low, high = np.minimum.reduceat(shapes.boxes[:, :2], first), np.maximum.reduceat(shapes.boxes[:, 2:], first)
    return dict(zip(zones.tolist(), np.column_stack([low, high]), strict=True))


def _tiles(boxes: NDArray[np.int64]) -> int:
    """How many tiles the boxes meet, at most."""
    tiles = boxes >> TILE_BITS
    return int(((tiles[:, 2] - tiles[:, 0] + 1) * (tiles[:, 3] - tiles[:, 1] + 1)).sum())


def _by_tile(boxes: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """For each tile that any box meets, the box about what lies in it of them."""
    found: dict[int, NDArray[np.int64]] = {}
    for box in boxes:
        c0, r0, c1, r1 = (box >> TILE_BITS).tolist()
        for row in range(r0, r1 + 1):
            for col in range(c0, c1 + 1):
                corner = np.array([col, row]) << TILE_BITS
                here = np.concatenate([np.maximum(box[:2], corner), np.minimum(box[2:], corner + (1 << TILE_BITS) - 1)])
                old, tile = found.get(row * TILES_ACROSS + col, here), row * TILES_ACROSS + col
                found[tile] = np.concatenate([np.minimum(old[:2], here[:2]), np.maximum(old[2:], here[2:])])
    return found
