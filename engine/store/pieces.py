"""Stretches of the trails of many devices in one query: what a verdict needs of the fixes, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from engine.database import Connection
from engine.fixes import ABSENT
from engine.store.image import NULL, copy_out
from engine.times import SECOND_US

_QUERY = sql.SQL(
    "SELECT p.n, f.time_s, f.rest_us, f.lat_e7, f.lon_e7, f.accuracy_cm, f.source"
    " FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) WITH ORDINALITY p (name, from_s, to_s, n)"
    " JOIN device d USING (name) CROSS JOIN LATERAL"
    " (SELECT * FROM fix WHERE fix.device_id = d.device_id AND time_s BETWEEN p.from_s AND p.to_s"
    " AND time_s BETWEEN %s AND %s OFFSET 0) f"
)


class PieceRows(NamedTuple):
    """Fixes in the order of pieces and time, (n,) each: number of the piece; time [us UTC], place [1e-7 degree], accuracy [cm],
    source."""

    piece: NDArray[np.int64]
    time_us: NDArray[np.int64]
    lat_e7: NDArray[np.int32]
    lon_e7: NDArray[np.int32]
    accuracy_cm: NDArray[np.int32]
    source: NDArray[np.int32]


def read_pieces(
    connection: Connection, devices: Sequence[str], from_s: NDArray[np.int64], to_s: NDArray[np.int64]
) -> PieceRows:
    """The fixes of devices[k] in the whole seconds from_s[k] to to_s[k], for all k (m,)."""
    if not len(devices):
        none, few = np.empty(0, np.int64), np.empty(0, np.int32)
        return PieceRows(none, none, few, few, few, few)
    values = [list(devices), from_s.tolist(), to_s.tolist(), int(from_s.min()), int(to_s.max())]
    with connection.cursor() as cursor:
        rows = copy_out(cursor, _QUERY, values, 7)
    rows[5][rows[5] == NULL] = ABSENT
    piece, time_us = rows[0] - 1, rows[1] * SECOND_US + rows[2]
    order = np.lexsort((time_us, piece))
    return PieceRows(piece[order], time_us[order], *(rows[k][order].astype(np.int32) for k in range(3, 7)))
