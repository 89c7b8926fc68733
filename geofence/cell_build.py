"""Kernels that build the cells of the zone index: edges dealt out to the cells that they meet, and cells written as records.

A frontier is the cells of one level, still to be split or written. It has parts (a polygon or disc in a cell: unit, parity
of the cell's south-east corner R, cut into entries) and entries (edge numbers). Coordinates have EAST and NORTH added.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.jit import kernel
from engine.kernels import distance_m
from geofence.cells import EAST, NORTH

_METRES_PER_E7 = 0.01117
"""No unit of 1e-7 degree is longer, on WGS84, along a meridian or a parallel."""


@kernel
def line_crossing(ax: int, ay: int, dx: int, dy: int, line: int, bits: int) -> tuple[int, int, int]:
    """Columns where an edge (dy > 0) crosses a grid line, `line` being twice its height, a column 2^bits wide.

    Returns the westmost and eastmost column that it touches there, and the column of the crossing, the grid line thought of
    as moved north by an infinitely small amount: a crossing just between two columns goes the way that dx says.
    """
    run = (line - 2 * ay) * dx
    quotient = run // dy
    west = 2 * ax + quotient
    column = (west + 1) >> (bits + 1)
    between = quotient * dy == run and ((west + 1) & ((2 << bits) - 1)) == 0
    return west >> (bits + 1), column, column - 1 if between and dx < 0 else column


@kernel
def trace(
    ax: int, ay: int, bx: int, by: int, bits: int, n_cols: int, n_rows: int, whole: bool, touched: Any, toggles: Any,
    lifts: Any,
) -> int:  # fmt: skip
    """Cells of a grid that an edge meets, into `touched` (never fewer, at times one more); returns how many.

    Coordinates are from the grid's south-west corner. A crossing of row r's south line in column k turns the parity of the
    corners R of the columns west of k: it is noted in toggles (n_rows, n_cols + 1). With `whole` the path that decides a
    parity runs on east for ever; else it ends on the grid's east line and goes down that to the grid's own corner, and
    what crosses the east line turns all rows above: noted in lifts (n_rows,).
    """
    if max(ax, bx) < 0:
        return 0  # no path comes by here
    if ay > by:
        ax, ay, bx, by = bx, by, ax, ay
    dx, dy = bx - ax, by - ay
    bottom, top = ay >> bits, by >> bits
    n = 0
    low = high = ax >> bits
    column: Any = np.int64(0)
    for row in range(max(bottom, 0), min(top, n_rows - 1) + 1):
        if row > bottom:
            if row == 0:
                low, high, column = line_crossing(ax, ay, dx, dy, -1, bits)
            if column >= n_cols and whole:
                column = np.int64(n_cols)
            if 0 < column < n_cols + whole:
                toggles[row * (n_cols + 1) + column] ^= 1
        next_low = next_high = bx >> bits
        if row < top:
            next_low, next_high, column = line_crossing(ax, ay, dx, dy, (row + 1 << bits + 1) - 1, bits)
        for col in range(max(min(low, next_low), 0), min(max(high, next_high), n_cols - 1) + 1):
            touched[n] = row * n_cols + col
            n += 1
        low, high = next_low, next_high
    east = n_cols << bits
    if not whole and (ax >= east) != (bx >= east):
        run = (2 * east - 1 - 2 * ax) * dy
        if dx < 0:
            run, dx = -run, -dx
        row = -((-(2 * ay + 1 - (-run // dx))) >> (bits + 1))
        if 0 < row < n_rows:
            lifts[row] ^= 1
    return n


@kernel
def disc_meets(west: int, south: int, bits: int, lon_e7: float, lat_e7: float, radius_m: float) -> int:
    """0 where the cell lies wholly outside the disc, 1 where wholly inside, else 2; by the triangle inequality, cautiously."""
    half = 0.5 * float(1 << bits)
    x, y = float(west - EAST) + half - 0.5, float(south - NORTH) + half - 0.5
    nearest = max(0.0, abs(y) - half)  # to the equator: there a unit of longitude is longest
    reach_m = half * _METRES_PER_E7 * (1.0 + math.cos(nearest * 1e-7 * math.pi / 180.0)) + 0.01
    if x - lon_e7 > 3.6e9 or lon_e7 - x > 3.6e9 or abs(y) > 9e8:
        return 2
    apart_m = distance_m(np.int64(y), np.int64(x), np.int64(lat_e7), np.int64(lon_e7))
    slack_m = reach_m + 0.02 + 1e-5 * (apart_m + radius_m)
    if apart_m > 1e6 + radius_m:
        return 0  # far beyond what the distance could err by
    return 0 if apart_m - slack_m > radius_m else 1 if apart_m + slack_m < radius_m else 2


@kernel
def deal(
    fill: bool, first: int, last: int, frontier: Any, grid: Any, whole: bool, shapes: Any, scratch: Any, out: Any,
    nodes: Any,
) -> None:  # fmt: skip
    """Deal the parts first:last of a cell out to its grid; counting only (per cell: parts, entries, loads), or filling.

    grid: west, south, bits of a cell, n_cols, n_rows, address of its first cell, words from row to row.
    Filling: the counts hold each cell's next free part and entry, or a part of -1 where its value is not a record.
    """
    _, _, part_unit, part_parity, part_cut, entries = frontier
    boxes, disc_of, discs, zone_of, vertices = shapes
    n_part, n_entry, n_load, stamp, touched, toggles, lifts = scratch
    _, _, out_unit, out_parity, out_cut, out_entry = out
    west, south, bits, n_cols, n_rows, address, stride = grid
    for p in range(first, last):
        unit = part_unit[p]
        disc = disc_of[unit]
        parity = np.int64(part_parity[p])
        n_edges = part_cut[p + 1] - part_cut[p]
        cover = n_edges == 0 and parity == 1
        for e in range(part_cut[p], part_cut[p + 1]):
            k = np.int64(entries[e])
            n = trace(
                np.int64(vertices[k, 0]) + EAST - west, np.int64(vertices[k, 1]) + NORTH - south,
                np.int64(vertices[k + 1, 0]) + EAST - west, np.int64(vertices[k + 1, 1]) + NORTH - south,
                bits, n_cols, n_rows, whole, touched, toggles, lifts,
            )  # fmt: skip
            for t in range(n):
                c = touched[t]
                if fill:
                    if stamp[c] != p:
                        stamp[c] = p
                        out_unit[n_part[c]], out_cut[n_part[c]] = unit, n_entry[c]
                        n_part[c] += 1
                    out_entry[n_entry[c]] = k
                else:
                    n_load[c] += 1
                    if stamp[c] != p:
                        stamp[c] = p
                        n_part[c] += 1
                n_entry[c] += 1
        c0, c1 = max(0, (boxes[unit, 0] - west >> bits) - 1), min(n_cols - 1, (boxes[unit, 2] - west >> bits) + 1)
        r0, r1 = max(0, (boxes[unit, 1] - south >> bits) - 1), min(n_rows - 1, (boxes[unit, 3] - south >> bits) + 1)
        lift = np.int64(0)
        for row in range(r1 + 1):
            lift ^= lifts[row]
            lifts[row] = 0
            if row < r0:
                continue
            inside = lift ^ parity
            for col in range(c1, c0 - 1, -1):
                c = row * n_cols + col
                mark = row * (n_cols + 1) + col + 1
                inside ^= toggles[mark]
                toggles[mark] = 0
                if stamp[c] == p and n_edges:
                    if fill:
                        out_parity[n_part[c] - 1] = inside
                    continue
                meets = inside
                if disc >= 0 and not cover:
                    meets = disc_meets(
                        west + (col << bits), south + (row << bits), bits, discs[disc, 0], discs[disc, 1], discs[disc, 2]
                    )
                if meets == 0:
                    continue
                if not fill:
                    n_part[c] += 1
                    n_load[c] += meets == 2
                elif n_part[c] < 0:
                    nodes[address + row * stride + col] = ~zone_of[unit]
                else:
                    out_unit[n_part[c]], out_cut[n_part[c]], out_parity[n_part[c]] = unit, n_entry[c], meets & 1
                    n_part[c] += 1
        for row in range(max(r1 + 1, 0), n_rows):
            lifts[row] = 0


@kernel
def split(
    order: Any, start: int, grids: Any, whole: bool, frontier: Any, shapes: Any, scratch: Any, out: Any, used: Any,
    nodes: Any, target: Any, is_split: Any,
) -> int:  # fmt: skip
    """Split the cells order[start:] by their grids (n, 7) into the next frontier `out`; returns the first that found no room.

    used: cells, parts and entries in `out`, words of nodes, how much longer the lists may yet become, and the cells, parts
    and entries that there has to be room for. A cell whose lists would grow too long stays whole. A grid of address -1
    gets a new node, and its cell in `target` the node's value.
    """
    cells, cell_cut, _, _, part_cut, _ = frontier
    n_part, n_entry, n_load, stamp = scratch[:4]
    for i in range(start, len(order)):
        first, last = cell_cut[order[i]], cell_cut[order[i] + 1]
        west, south, bits, n_cols, n_rows, address, stride = grids[i]
        n_before = last - first + part_cut[last] - part_cut[first]
        while True:
            grid = (west, south, bits, n_cols, n_rows, used[3] if address < 0 else address, stride)
            for c in range(n_cols * n_rows):
                n_part[c] = n_entry[c] = n_load[c] = 0
                stamp[c] = -1
            deal(False, first, last, frontier, grid, whole, shapes, scratch, out, nodes)
            n_cells = n_parts = n_entries = 0
            for c in range(n_cols * n_rows):
                if n_load[c] > 0 or n_part[c] > 1:
                    n_cells, n_parts, n_entries = n_cells + 1, n_parts + n_part[c], n_entries + n_entry[c]
            longer = n_parts + n_entries - n_before
            if whole or n_cols == 2 or n_before <= 32 or longer <= 3 * n_before:
                break
            bits, n_cols, n_rows, stride = bits + 1, n_cols >> 1, n_rows >> 1, stride >> 1  # a bundle: in small steps
        if not whole and longer > used[4]:
            continue
        used[5], used[6], used[7] = used[0] + n_cells + 1, used[1] + n_parts + 1, used[2] + n_entries
        if used[5] > min(len(out[0]), len(out[1])) or used[6] > min(len(out[2]), len(out[4])) or used[7] > len(out[5]):
            return i
        lay_out(grid, scratch, out, used)
        deal(True, first, last, frontier, grid, whole, shapes, scratch, out, nodes)
        if address < 0:
            target[cells[order[i], 3]] = used[3] >> 2 << 4 | (cells[order[i], 2] - bits) << 1 | 1
            used[3] += n_cols * n_rows
        used[4] -= longer
        is_split[order[i]] = True
    return len(order)


@kernel
def lay_out(grid: Any, scratch: Any, out: Any, used: Any) -> None:
    """Turn the counts of a grid's cells into places in the next frontier: the cells that need a record, and their cuts."""
    n_part, n_entry, n_load, stamp = scratch[:4]
    out_cell, out_cell_cut, _, _, out_cut, _ = out
    west, south, bits, n_cols, n_rows, address, stride = grid
    for c in range(n_cols * n_rows):
        stamp[c] = -1
        if n_load[c] > 0 or n_part[c] > 1:
            row, col = c // n_cols, c % n_cols
            k = used[0]
            out_cell[k, 0], out_cell[k, 1] = west + (col << bits), south + (row << bits)
            out_cell[k, 2], out_cell[k, 3] = bits, address + row * stride + col
            n_part[c], used[1] = used[1], used[1] + n_part[c]
            n_entry[c], used[2] = used[2], used[2] + n_entry[c]
            used[0] += 1
            out_cell_cut[used[0]], out_cut[used[1]] = used[1], used[2]
        else:
            n_part[c] = -1


@kernel
def count_runs(entries: Any, first: int, last: int) -> int:
    """How many runs of edges that follow each other the entries first:last make."""
    n = min(1, last - first)
    for e in range(first + 1, last):
        n += entries[e] != entries[e - 1] + 1
    return n


@kernel
def measure(frontier: Any, n_cells: int, load: Any, size: Any) -> None:
    """For each cell of a frontier its load (edges, and discs that cut it) and the words of its record."""
    _, cell_cut, _, part_parity, part_cut, entries = frontier
    for c in range(n_cells):
        load[c] = size[c] = 0
        for p in range(cell_cut[c], cell_cut[c + 1]):
            n = part_cut[p + 1] - part_cut[p]
            disc = n == 0 and part_parity[p] == 0
            load[c] += 1 if disc else n
            size[c] += 3 if disc else 2 + 2 * count_runs(entries, part_cut[p], part_cut[p + 1])


@kernel
def write(chosen: Any, address: Any, frontier: Any, shapes: Any, records: Any, target: Any) -> None:
    """Write the records of the chosen cells at their addresses (n,), and their values into `target`."""
    cells, cell_cut, part_unit, part_parity, part_cut, entries = frontier
    _, disc_of, _, zone_of, _ = shapes
    for i in range(len(chosen)):
        first, last = cell_cut[chosen[i]], cell_cut[chosen[i] + 1]
        at = address[i]
        target[cells[chosen[i], 3]] = at << 1
        for p in range(first, last):
            start, stop = part_cut[p], part_cut[p + 1]
            records[at] = zone_of[part_unit[p]]
            records[at + 1] = count_runs(entries, start, stop) << 2 | np.int64(part_parity[p]) << 1 | (p == last - 1)
            at += 2
            if start == stop and part_parity[p] == 0:
                records[at] = disc_of[part_unit[p]]
                at += 1
            for e in range(start, stop):
                if e == start or entries[e] != entries[e - 1] + 1:
                    records[at], records[at + 1] = entries[e], 0
                    at += 2
                records[at - 1] += 1
