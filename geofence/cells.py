"""Kernels of the zone index: the cell that a point lies in, and which of the cell's few zones hold the point. Exact, closed.

The world is a table of tiles 2^22 units of 1e-7 degree wide; a tile may be split into a square node of cells, a cell again.
Grid lines run half a unit beside whole coordinates, so no vertex and no point lies on one, and shifts alone find a cell.

The value of a tile or cell [int32]: 0 nothing here; below 0 the cell lies wholly in the one zone ~value; odd a node, its
address / 4 << 4 | log2(side) << 1 | 1; else a record, its address << 1. A record is a list of parts (a polygon or disc of a
zone, in the order of zones): the zone; a head, n_runs << 2 | parity << 1 | last; and n_runs times first edge, number of
edges. Parity is that of the cell's south-east corner. With no runs, parity 1 is a part that covers the cell, parity 0 a
disc, whose row follows. Edge k goes from vertex k to vertex k + 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import kernel, kernel_part
from engine.kernels import distance_m

TILE_BITS = 22
TILES_ACROSS, TILES_UP = 1024, 512
EAST, NORTH = 2**31, 2**30
"""Added to a longitude and a latitude [1e-7 degree], they make coordinates that are never negative."""
TURN = 3_600_000_000
"""Once round the world [1e-7 degree]."""
_BLOCK = 256
_LEAST, _MOST = -(2**31), 2**31 - 1  # of int32


@kernel_part
def edges_hold(
    x: Any, y: Any, east: Any, south: Any, records: Any, at: Any, n_runs: Any, vertices: Any, parity: Any
) -> bool:
    """Whether the point is on an edge of the runs at records[at:], or inside by the path to its cell's south-east corner R.

    The path P (x, y) - Q (east + 1/2, y) - R (east + 1/2, south - 1/2) is thought of as moved north by an infinitely small e:
    no edge then ends on it, and a sign (twice the area of the edge and P, Q or R) that is 0 becomes that of dx, its change
    with e. An edge crosses a leg exactly if the signs at its ends differ and the edge's ends are on either side of it.
    """
    on = False
    for run in range(at, at + 2 * n_runs, 2):
        first = np.int64(records[run])
        bx, by = np.int64(vertices[first, 0]), np.int64(vertices[first, 1])
        for k in range(first + 1, first + 1 + np.int64(records[run + 1])):
            ax, ay = bx, by
            bx, by = np.int64(vertices[k, 0]), np.int64(vertices[k, 1])
            dx, dy = bx - ax, by - ay
            p = dx * (y - ay) - dy * (x - ax)
            q = 2 * p - dy * (2 * (east - x) + 1)
            r = q - dx * (2 * (y - south) + 1)
            q_left = (q > 0) | ((q == 0) & (dx > 0))
            r_left = (r > 0) | ((r == 0) & (dx > 0))
            across = ((ay > y) != (by > y)) & ((p > 0) != q_left)
            down = ((ax > east) != (bx > east)) & (q_left != r_left)
            parity ^= np.int64(across != down)
            on |= (p == 0) & (min(ax, bx) <= x) & (x <= max(ax, bx)) & (min(ay, by) <= y) & (y <= max(ay, by))
    return bool(on | (parity == 1))


@kernel_part
def cell_of(u: Any, v: Any, tiles: Any, nodes: Any) -> tuple[Any, Any]:
    """Value of the smallest cell that holds the point (u, v never negative: EAST and NORTH added), and its width in bits."""
    bits: Any = TILE_BITS
    value = np.int64(tiles[(v >> TILE_BITS) * TILES_ACROSS + (u >> TILE_BITS)])
    while value > 0 and value & 1:
        side = (value >> 1) & 7
        bits -= side
        mask = (1 << side) - 1
        value = np.int64(nodes[((value >> 4) << 2) + ((((v >> bits) & mask) << side) | ((u >> bits) & mask))])
    return value, bits


@kernel_part
def add_zones(
    x: Any, y: Any, value: Any, bits: Any, records: Any, vertices: Any, discs: Any, zones: Any, n: Any, most: Any
) -> Any:  # fmt: skip
    """Write the zones of the point's cell that hold it, at most `most`, to zones[n:]; returns the new n, or -1 for no room."""
    if value == 0:
        return n
    if n >= len(zones):
        return -1
    if value < 0:
        zones[n] = ~value
        return n + 1
    mask = (1 << bits) - 1
    east, south = ((x + EAST) | mask) - EAST, ((y + NORTH) & ~mask) - NORTH
    at, head, last, stop = value >> 1, np.int64(0), np.int64(-1), n + most
    while head & 1 == 0:
        zone, head = np.int64(records[at]), np.int64(records[at + 1])
        at += 2
        n_runs = head >> 2
        held = zone == last  # by another of its parts
        if n_runs > 0:
            held = held or edges_hold(x, y, east, south, records, at, n_runs, vertices, head >> 1 & 1)
            at += 2 * n_runs
        elif head & 2:
            held = True
        else:
            disc = np.int64(records[at])
            held = held or distance_m(y, x, discs[disc, 1], discs[disc, 0]) <= discs[disc, 2]
            at += 1
        if held and zone != last:
            if n >= len(zones):
                return -1
            zones[n] = zone
            n += 1
            last = zone
            if n == stop:
                break
    return n


@kernel_part
def image(x: Any) -> Any:
    """The longitude as it is written from the other side of the antimeridian [1e-7 degree]."""
    return x - TURN if x > 0 else x + TURN


@kernel_part
def merge(zones: Any, start: Any, stop: Any) -> Any:
    """Put the few zones[start:stop] in order, each once; returns the new stop."""
    for i in range(start + 1, stop):
        zone = zones[i]
        k = i
        while k > start and zones[k - 1] > zone:
            zones[k] = zones[k - 1]
            k -= 1
        zones[k] = zone
    n = min(start + 1, stop)
    for i in range(start + 1, stop):
        if zones[i] != zones[n - 1]:
            zones[n] = zones[i]
            n += 1
    return n


@kernel
def containing(
    x: Any, y: Any, start: Any, tiles: Any, nodes: Any, records: Any, vertices: Any, discs: Any, wraps: bool, most: Any,
    rows: Any, zones: Any, n: Any,
) -> tuple[Any, Any]:  # fmt: skip
    """Pairs (point row, zone), at most `most` a point, of points x, y [1e-7 degree] from `start` on, to rows, zones from n on.

    Returns the first point that is not done, for lack of room, and the number of pairs. `wraps`: some zone reaches the
    antimeridian, and a point is asked under both its longitudes. Blocks of points are first looked up and what they need
    is touched, so that the waits for memory overlap.
    """
    value, bits, sink = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64), np.empty(1, np.int64)
    asked = np.empty(_BLOCK + 1, np.int64)
    for first in range(start, len(x), _BLOCK):
        m = min(_BLOCK, len(x) - first)
        n_asked = 0
        for j in range(m):
            px, py = np.int64(x[first + j]), np.int64(y[first + j])
            value[j], bits[j] = cell_of(px + EAST, py + NORTH, tiles, nodes) if -NORTH <= py < NORTH else (0, 0)
            asked[n_asked] = j  # kept where something is to be asked, without a branch that nobody can foretell
            n_asked += int((value[j] != 0) | wraps)
        sink[0] = touch(value, asked, n_asked, records, vertices)
        for k in range(n_asked):
            j = asked[k]
            if value[j] < 0 and not wraps and n < len(zones):
                rows[n], zones[n] = first + j, ~value[j]
                n += 1
                continue
            px, py = np.int64(x[first + j]), np.int64(y[first + j])
            found = add_zones(px, py, value[j], bits[j], records, vertices, discs, zones, n, most)
            if wraps and found >= 0 and _LEAST <= image(px) <= _MOST and -NORTH <= py < NORTH:
                there, width = cell_of(image(px) + EAST, py + NORTH, tiles, nodes)
                found = add_zones(image(px), py, there, width, records, vertices, discs, zones, found, most)
                if found >= 0:
                    found = min(merge(zones, n, found), n + most)
            if found < 0:
                return first + j, n
            for i in range(n, found):
                rows[i] = first + j
            n = found
    return len(x), n


@kernel_part
def touch(value: Any, asked: Any, n_asked: Any, records: Any, vertices: Any) -> Any:
    """Read from the records that these values name, and from their first vertices: what it returns means nothing."""
    last = len(vertices) - 1
    seen = np.int64(0)
    for k in range(n_asked):
        seen += vertices[min(max(records[(max(value[asked[k]], 0) >> 1) + 2], 0), last), 0]
    return seen
