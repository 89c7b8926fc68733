"""The posterior of presence at any place for every fix of a trail: the filter of the zones, for a place that is asked about."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import flags
from geofence.filter import CHANGE
from geofence.watch import COLUMNS, Watch
from geofence.zone import Circle, Zone

_REACH_BACK = 240
"""Fixes before the first row asked about from which the filter starts: long enough to forget where it began."""


def presence(columns: dict[str, NDArray[Any]], circle: Circle, first: int, last: int) -> NDArray[np.float64]:
    """Posterior of being inside the circle after each of the rows first:last; nan for a fix that carries no weight.

    columns: those of `watch.COLUMNS` of the whole trail, each of shape (n,).
    """
    zone = Zone("place", "place", "exclusion", ("*",), circle, "")
    watch = Watch([zone], [])
    state = watch.fresh_states(1)
    start = max(0, first - _REACH_BACK)
    changes, kept = np.empty(4 * (last - start) + 4, CHANGE), watch.fresh_states(1)
    pieces = [slice(start, first), *(slice(row, row + 1) for row in range(first, last))]
    found = np.full(last - first, np.nan)
    for k, piece in enumerate(pieces):
        rows = [columns[name][piece] for name in COLUMNS]
        watch.run_filter(np.array([[0, 0, len(rows[0]), 0, 0]]), state, np.zeros(1, np.int64), changes, kept, rows)
        if k and not columns["flags"][piece][0] & flags.WEIGHTLESS:
            found[k - 1] = 1.0 / (1.0 + np.exp(-state["logit"][0]))
    return found
