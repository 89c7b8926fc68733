"""The columns of table `fix` and those of a batch of fixes: what is absent in one is NULL in the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.fixes import ABSENT, CONTENT, OPTIONAL, Fixes
from engine.store.image import NULL
from engine.times import SECOND_US

_ABLE_TO_BE_NULL = frozenset(c.name for c in OPTIONAL)
_INTS = tuple(name for name in Fixes.__slots__ if name in CONTENT)
COLUMNS = ("device_id", "time_s", "rest_us", *_INTS, "received_s")
WIDTHS = tuple(8 if name in ("time_s", "received_s") else 4 for name in COLUMNS)


def rows_of(fixes: Fixes, device_ids: NDArray[np.int32]) -> NDArray[np.int64]:
    """The fixes as rows of COLUMNS (n_columns, n); device_ids (n,) their devices' numbers."""
    rows = np.empty((len(COLUMNS), len(fixes)), np.int64)
    rows[0] = device_ids
    rows[1], rows[2] = np.divmod(fixes.time_us, SECOND_US)
    for k, name in enumerate(_INTS, 3):
        rows[k] = fixes.column(name)
        if name in _ABLE_TO_BE_NULL:
            rows[k][rows[k] == ABSENT] = NULL
    rows[-1] = fixes.received_s
    return rows


def fixes_of(rows: NDArray[np.int64], numbers: Sequence[int], devices: Sequence[str]) -> Fixes:
    """Rows of COLUMNS as fixes of these devices, whose numbers ascend."""
    columns = dict(zip(COLUMNS, rows, strict=True))
    for name in _ABLE_TO_BE_NULL:
        columns[name][columns[name] == NULL] = ABSENT
    time_us = columns.pop("time_s") * SECOND_US + columns.pop("rest_us")
    device = np.searchsorted(np.asarray(numbers, np.int64), columns.pop("device_id"))
    return Fixes.of(devices, device=device, time_us=time_us, **columns)


def whole_s(time_us: int) -> int:
    """The whole second in which an instant [us] lies."""
    return time_us // SECOND_US
