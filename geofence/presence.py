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


def presence(columns: dict[str, NDArray[Any]], circle: Circle, first: int, last: int) -> NDArray[np.float64]:
    """Posterior of being inside the circle after each of the rows first:last; nan for a fix that carries no weight.

    columns: those of `geofence.filter.Columns` of the whole trail, each of shape (n,).
    """
    check = Check(compile_places([(circle,)]), [(circle,)])
    roster = np.array([check.add_slot(0, exclusion=True)])
    start = max(0, first - _REACH_BACK)
    pieces = [slice(start, first), *(slice(row, row + 1) for row in range(first, last))]
    found = np.full(last - first, np.nan)
    for k, piece in enumerate(pieces):
        rows = Columns(*(columns[name][piece] for name in Columns._fields))
        check.advance(np.array([[0, len(rows.flags), piece.start - start, 0, 1]]), roster, rows)
        if k and not rows.flags[0] & flags.WEIGHTLESS:
            found[k - 1] = 1.0 / (1.0 + np.exp(-check.states[0]["logit"]))
    return found
