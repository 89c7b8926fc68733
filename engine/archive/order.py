"""The order of fixes: one that makes each fix stand once, whatever order they came in; and that of the rows of a file.

In a file the world is cut into cells of some kilometres, the more fixes the smaller, which follow each other along a Hilbert
curve. Within a cell fixes lie by source, then in runs of one device, near runs beside each other, each in the order of time:
what is asked about a place is in few row groups, and what repeats is together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.fixes import CONTENT, Fixes

_CELL_BITS = ((1 << 20, 14), (1 << 18, 13), (0, 12))
"""From so many fixes on the world has 2^bits cells a side, of 2.4, 4.9 or 9.8 km: small ones make a place quicker to find, and
cut trails into more pieces, which costs room."""
_RUN_BITS = 22
_WORLD_E7 = 3_600_000_000


def once(fixes: Fixes) -> Fixes:
    """The fixes by device name, time and content, exact duplicates out: of those the earliest `received` stays.

    Of the table of devices those with a fix are left, in the order of their names.
    """
    used = np.unique(fixes.device)
    names = [fixes.devices[k] for k in used.tolist()]
    place = {name: k for k, name in enumerate(sorted(set(names)))}
    rank = np.zeros(len(fixes.devices), np.int32)
    rank[used] = [place[name] for name in names]
    fixes = replace(fixes, devices=tuple(place), device=rank[fixes.device])
    order = _by_device_and_time(fixes)
    again = _again(fixes, order, ("device", "time_us"))
    if not again.any():
        return fixes.take(order)
    together = np.flatnonzero(again | np.append(again[1:], False))
    some = order[together]
    keys = ("device", "time_us", *CONTENT, "received_s")
    order[together] = some[np.lexsort([fixes.column(name)[some] for name in reversed(keys)])]
    return fixes.take(order[~_again(fixes, order, keys[:-1])])


def by_place(fixes: Fixes) -> Fixes:
    """Fixes in the order of `once` in that of a file."""
    bits = next(bits for least, bits in _CELL_BITS if len(fixes) >= least)
    cell = _along_curve(fixes.lon_e7, fixes.lat_e7, bits)
    order = np.lexsort((fixes.source, cell))  # of one cell and source they stay by device and time
    keys = [key[order] for key in (cell, fixes.source, fixes.device)]
    starts = np.flatnonzero(np.any([np.diff(key, prepend=key[:1] - 1) != 0 for key in keys], axis=0))
    lengths = np.diff(starts, append=len(order))
    in_cell, source, device = (key[starts] for key in keys)
    lon_e7, lat_e7 = (np.add.reduceat(c[order].astype(np.int64), starts) // lengths for c in (fixes.lon_e7, fixes.lat_e7))
    runs = np.lexsort((device, _along_curve(lon_e7, lat_e7, _RUN_BITS), source, in_cell))
    ends = np.cumsum(lengths[runs])
    return fixes.take(order[np.arange(len(order)) + np.repeat(starts[runs] - ends + lengths[runs], lengths[runs])])


def _by_device_and_time(fixes: Fixes) -> NDArray[np.int64]:
    """The order by device and time; of those that are equal in both any."""
    if not len(fixes):
        return np.empty(0, np.int64)
    first_us = int(fixes.time_us.min())
    span_us = int(fixes.time_us.max()) - first_us + 1
    if span_us * len(fixes.devices) >= 2**63:
        return np.lexsort((fixes.time_us, fixes.device))
    return np.argsort(fixes.device * np.int64(span_us) + (fixes.time_us - first_us))  # one key takes a third of the time


def _again(fixes: Fixes, order: NDArray[np.int64], names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which fixes in this order are in these columns as the one before; (n,)."""
    same = np.ones(len(order), np.bool_)
    same[:1] = False
    for name in names:
        column = fixes.column(name)[order]
        same[1:] &= column[1:] == column[:-1]
    return same


def _along_curve(lon_e7: NDArray[Any], lat_e7: NDArray[Any], bits: int) -> NDArray[np.int64]:
    """How far along a Hilbert curve over the world, of 2^bits cells a side, these places are; (n,)."""
    x, y = (_cell(units, bits) for units in (lon_e7, lat_e7))
    cells, where = np.unique(x << bits | y, return_inverse=True)  # far fewer than fixes
    return _hilbert(cells >> bits, cells & (1 << bits) - 1, bits)[where]


def _cell(units_e7: NDArray[Any], bits: int) -> NDArray[np.int64]:
    cells: NDArray[np.int64] = (units_e7.astype(np.int64) + _WORLD_E7 // 2 << bits) // _WORLD_E7
    return np.clip(cells, 0, (1 << bits) - 1)


def _hilbert(x: NDArray[np.int64], y: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """How far along the curve each cell is: two binary digits a level, each quarter turned as the curve runs through it."""
    distance = np.zeros(len(x), np.int64)
    for bit in range(bits - 1, -1, -1):
        right, upper = x >> bit & 1, y >> bit & 1
        distance += (3 * right ^ upper) << 2 * bit
        turned = (upper == 0) & (right == 1)
        x, y = (np.where(turned, (1 << bits) - 1 - v, v) for v in (x, y))
        x, y = np.where(upper == 0, y, x), np.where(upper == 0, x, y)
    return distance
