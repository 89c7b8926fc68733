"""The cells of the zone index as arrays that only grow: a reader's snapshot stays whole while new cells are written."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.cell_build import measure, split, write
from geofence.cell_shapes import Pools, Shapes
from geofence.cells import TILES_ACROSS, TILES_UP

MOST_LOAD = 4
"""Edges that a cell may hold before it is split."""
CELLS_PER_EDGE = 2
LEAST_BITS = 7
"""A cell 2^7 units of 1e-7 degree wide, about 1.4 m, is never split."""
MOST_SIDE = 6
N_BOUNDARY, MOST_PER_EDGE, LEAST_PER_EDGE = 2**18, 32, 1
"""About how many cells that a boundary meets are worth their memory, and for each edge: fewer fixes then meet an edge."""
_EDGES_OF_DISC = 32
"""What a disc counts for."""
_LONGER, _LONGER_PER_EDGE = 2**20, 32
"""How much longer than the edges themselves all lists together may become: bounds what stars of needles cost."""
_MOST_WORDS = 2**29


class Grid(NamedTuple):
    """A rectangle of cells: corner, bits of a cell, columns and rows, address of its first value, words from row to row."""

    west: int
    south: int
    bits: int
    n_cols: int
    n_rows: int
    address: int
    stride: int


class Pool:
    """Words [int32] that are only ever added; growing makes a new array and leaves the old one to its readers."""

    def __init__(self, words: int = 4096) -> None:
        self.words: NDArray[np.int32] = np.zeros(words, np.int32)
        self.n = 4  # no record at address 0: its value would be that of an empty cell

    def reserve(self, n: int) -> None:
        """Make room for n more words."""
        if self.n + n > _MOST_WORDS:
            raise MemoryError(f"the zone index would need over {_MOST_WORDS:,} words")
        if self.n + n > len(self.words):
            grown = np.zeros(max(self.n + n, self.n * 3 // 2), np.int32)
            grown[: self.n] = self.words[: self.n]
            self.words = grown


class CellTree:
    """The table of tiles, the nodes under it, and the records: see `geofence.cells` for what they hold."""

    def __init__(self, shapes: Shapes, pools: Pools) -> None:
        """Nothing yet, but set to the measure of these shapes."""
        self.fine_bits = _fine_bits(shapes, pools)
        self.tiles: NDArray[np.int32] = np.zeros(TILES_UP * TILES_ACROSS, np.int32)
        self.nodes, self.records = Pool(), Pool()

    @property
    def n_words(self) -> int:
        """Words in use or used once."""
        return self.nodes.n + self.records.n

    def fill(self, grid: Grid, target: NDArray[np.int32] | None, shapes: Shapes, pools: Pools) -> None:
        """Write the cells of a grid anew from all the shapes that meet it; target None is for a grid in the nodes."""
        numbers, n = shapes.edges, len(shapes.zone_of)
        columns = shapes.boxes, shapes.disc_of, pools.discs, shapes.zone_of, pools.vertices
        frontier = _Frontier(1, n, len(numbers))
        frontier.arrays = (
            np.zeros((1, 4), np.int64), np.array([0, n]), np.arange(n, dtype=np.int32), np.zeros(n, np.uint8),
            shapes.cut, numbers,
        )  # fmt: skip
        frontier.n_cells, self._longer = 1, _LONGER + _LONGER_PER_EDGE * len(numbers)
        level = self._split(frontier, np.zeros(1, np.int64), np.array([grid]), True, columns, target)[0]
        while level.n_cells:
            level, target = self._next(level, columns, target), None

    def copy_node(self, address: int, side: int) -> int:
        """Address of a copy of a node 2^side cells wide."""
        n = 1 << 2 * side
        self.nodes.n = -(-self.nodes.n // 4) * 4
        self.nodes.reserve(n)
        new = self.nodes.n
        self.nodes.words[new : new + n] = self.nodes.words[address : address + n]
        self.nodes.n += n
        return new

    def trim(self) -> None:
        """Give back the room to spare."""
        for pool in (self.nodes, self.records):
            pool.words = pool.words[: pool.n].copy()

    def _next(self, level: _Frontier, shapes: Any, target: NDArray[np.int32] | None) -> _Frontier:
        """Split the heavy cells of a level, write the rest; returns the level below."""
        load, size = np.empty((2, level.n_cells), np.int64)
        measure(level.arrays, level.n_cells, load, size)
        cells = level.arrays[0][: level.n_cells]
        heavy = np.where(load > MOST_LOAD, np.ceil(np.log2(np.maximum(1, CELLS_PER_EDGE * load)) / 2), 0)
        fine = np.where(load > 0, cells[:, 2] - self.fine_bits, 0)
        side = np.clip(np.maximum(heavy, fine), 0, np.minimum(MOST_SIDE, cells[:, 2] - LEAST_BITS)).astype(np.int64)
        order = np.flatnonzero(side > 0)
        order = order[np.argsort(-load[order], kind="stable")]
        bits, width = cells[order, 2] - side[order], 1 << side[order]
        grids = np.column_stack([cells[order, 0], cells[order, 1], bits, width, width, np.full(len(order), -1), width])
        below, is_split = self._split(level, order, grids, False, shapes, target)
        rest = np.flatnonzero(~is_split)
        self.records.reserve(int(size[rest].sum()))
        address = self.records.n + np.concatenate([[0], np.cumsum(size[rest])])
        into = self.nodes.words if target is None else target
        write(rest, address[:-1], level.arrays, shapes, self.records.words, into)
        self.records.n = int(address[-1])
        return below

    def _split(
        self, level: _Frontier, order: NDArray[np.int64], grids: NDArray[np.int64], whole: bool, shapes: Any,
        target: NDArray[np.int32] | None,
    ) -> tuple[_Frontier, NDArray[np.bool_]]:  # fmt: skip
        sizes = grids[:, 3] * grids[:, 4]
        self.nodes.reserve(0 if whole else int(sizes.sum()) + 4)
        scratch = _scratch(int(grids[:, 3].max(initial=1)), int(grids[:, 4].max(initial=1)))
        n_parts = int(level.arrays[1][level.n_cells])
        out = _Frontier(level.n_cells * 3 + 64, n_parts * 4 + 64, int(level.arrays[4][n_parts]) * 4 + 64)
        used = np.array([0, 0, 0, -(-self.nodes.n // 4) * 4, self._longer, 0, 0, 0])
        is_split = np.zeros(level.n_cells, np.bool_)
        into = self.nodes.words if target is None else target
        nodes = into if whole else self.nodes.words
        done = 0
        while done < len(order):
            done = split(order, done, grids, whole, level.arrays, shapes, scratch, out.arrays, used, nodes, into, is_split)
            if done < len(order):
                out.grow(used)
        out.n_cells = int(used[0])
        self.nodes.n, self._longer = max(self.nodes.n, int(used[3])), int(used[4])
        return out, is_split


class _Frontier:
    """The cells of one level, their parts and entries, in arrays with room to spare."""

    def __init__(self, n_cells: int, n_parts: int, n_entries: int) -> None:
        self.n_cells = 0
        self.arrays: tuple[NDArray[Any], ...] = (
            np.empty((n_cells, 4), np.int64), np.zeros(n_cells + 1, np.int64), np.empty(n_parts, np.int32),
            np.empty(n_parts, np.uint8), np.zeros(n_parts + 1, np.int64), np.empty(n_entries, np.int32),
        )  # fmt: skip

    def grow(self, used: NDArray[np.int64]) -> None:
        """At least twice the room where it does not suffice."""
        self.arrays = tuple(
            np.concatenate([a, np.empty((max(len(a), int(n)), *a.shape[1:]), a.dtype)]) if n >= len(a) else a
            for a, n in zip(self.arrays, used[[5, 5, 6, 6, 6, 7]], strict=True)
        )


def _scratch(n_cols: int, n_rows: int) -> tuple[NDArray[Any], ...]:
    n = n_cols * n_rows
    counts = (np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64))
    lines = np.zeros((n_cols + 1) * n_rows, np.uint8), np.zeros(n_rows, np.uint8)
    return *counts, np.empty(n_cols + 3 * n_rows + 8, np.int64), *lines


def _fine_bits(shapes: Shapes, pools: Pools) -> int:
    """Bits of a cell so small that smaller ones would not be worth it where few edges are."""
    runs = pools.vertices[shapes.edges + 1].astype(np.int64) - pools.vertices[shapes.edges]
    discs = shapes.boxes[shapes.disc_of >= 0]
    length = int(np.abs(runs).sum() + 2 * (discs[:, 2:] - discs[:, :2]).sum())
    n_edges = len(runs) + _EDGES_OF_DISC * len(discs)
    n = min(N_BOUNDARY, MOST_PER_EDGE * n_edges) + LEAST_PER_EDGE * n_edges
    return max(LEAST_BITS, (length // max(1, n)).bit_length())
