"""The posterior of presence at any place for every fix of a trail: the filter of the zones, for a place that is asked about."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import flags
from geofence.check import Check
from geofence.filter import Columns
from geofence.places import compile_places
from geofence.zone import Circle

_REACH_BACK = 240
"""Fixes before the first row asked about from which the filter starts: long enough to forget where it began."""
_AT_ONCE = 64


def presence(columns: dict[str, NDArray[Any]], circle: Circle, first: int, last: int) -> NDArray[np.float64]:
    """Posterior of being inside the circle after each of the rows first:last; nan for a fix that carries no weight.

    columns: those of `geofence.filter.Columns` of the whole trail, each of shape (n,). Of so many rows at once the first slot
    is moved by one, the second by two, and so on: a call for each would take ten times as long.
    """
    check = Check(compile_places([(circle,)]), [(circle,)])
    roster = np.array([check.add_slot(0, exclusion=True) for _ in range(min(_AT_ONCE, max(1, last - first)))])
    start = max(0, first - _REACH_BACK)
    _advance(check, roster, columns, slice(start, first), start, 1)
    found = np.full(last - first, np.nan)
    for row in range(first, last, _AT_ONCE):
        n = min(_AT_ONCE, last - row)
        check.states[roster] = check.states[roster[0]]
        _advance(check, roster, columns, slice(row, row + n), start, n)
        found[row - first : row - first + n] = 1.0 / (1.0 + np.exp(-check.states["logit"][roster[:n]]))
        check.states[roster[0]] = check.states[roster[n - 1]]
    found[columns["flags"][first:last] & flags.WEIGHTLESS != 0] = np.nan
    return found


def _advance(
    check: Check, roster: NDArray[np.int64], columns: dict[str, NDArray[Any]], part: slice, start: int, n: int
) -> None:
    """Move each of the first n slots over the rows of the part, the last over all, and each before it over one row less."""
    rows = Columns(*(columns[name][part] for name in Columns._fields))
    length = part.stop - part.start
    pieces = [[0, length - n + 1 + k, part.start - start, k, k + 1] for k in range(n)]
    check.advance(np.array(pieces), roster, rows)
