"""How far the stored fixes of each device spread about a span of time, from the hourly summaries and what came after them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from engine.database import Connection
from engine.store.image import copy_out

_HOURS = sql.SQL(
    "SELECT device_id, min(south_e7) AS south, min(west_e7) AS west, max(north_e7) AS north, max(east_e7) AS east,"
    " coalesce(sum(n_fixes) FILTER (WHERE hour_s < {before}), 0)::bigint AS n_before,"
    " coalesce(sum(n_fixes) FILTER (WHERE hour_s >= {after}), 0)::bigint AS n_after"
    " FROM fix_hour WHERE hour_s >= {first} AND hour_s < {last} AND {of_these} GROUP BY device_id"
)
_FIXES = sql.SQL(
    "SELECT device_id, min(lat_e7), min(lon_e7), max(lat_e7), max(lon_e7), 0::bigint,"
    " count(*) FILTER (WHERE time_s >= {after})"
    " FROM fix WHERE time_s >= {first} AND time_s < {last} AND {of_these} GROUP BY device_id"
)
_BOTH = sql.SQL(
    "SELECT device_id, min(south), min(west), max(north), max(east), sum(n_before)::bigint, sum(n_after)::bigint"
    " FROM ({} UNION ALL {}) u GROUP BY device_id"
)


class Span(NamedTuple):
    """Whole hours [s UTC]: from `first_s` up to `last_s`, of which those before `before_s` and those from `after_s` on are
    counted; and how far to look, from `outer_first_s` up to `outer_last_s`, where they hold too few fixes."""

    outer_first_s: int
    first_s: int
    before_s: int
    after_s: int
    last_s: int
    outer_last_s: int


class Extents(NamedTuple):
    """Boxes (n, 4) of the fixes of these devices: south, west, north, east [1e-7 degree]; is_wide (n,): of the outer span."""

    devices: tuple[str, ...]
    box: NDArray[np.int64]
    is_wide: NDArray[np.bool_]


def read_extents(connection: Connection, span: Span, until_s: int, enough: int) -> Extents:
    """The extents of all devices with a fix in the span, of the outer span for those with fewer than `enough` fixes on a side;
    hours are summarised up to until_s, what comes after is read from the fixes themselves."""
    rows = _rows(connection, span, (span.first_s, span.last_s), until_s)
    told = connection.execute("SELECT device_id, name FROM device WHERE device_id = ANY(%s)", [rows[0].tolist()])
    names: dict[int, str] = dict(told.fetchall())
    found = Extents(
        tuple(names[number] for number in rows[0].tolist()), np.ascontiguousarray(rows[1:5].T),
        (rows[5] < enough) | (rows[6] < enough),
    )  # fmt: skip
    return widened(connection, span, until_s, found)


def widened(connection: Connection, span: Span, until_s: int, found: Extents) -> Extents:
    """With the boxes of the outer span where is_wide says so."""
    if found.is_wide.any():
        names = [found.devices[k] for k in np.flatnonzero(found.is_wide)]
        told = connection.execute("SELECT name, device_id FROM device WHERE name = ANY(%s)", [names])
        number: dict[str, int] = dict(told.fetchall())
        rows = _rows(connection, span, (span.outer_first_s, span.outer_last_s), until_s, [*number.values()])
        where = np.searchsorted(rows[0], [number[name] for name in names])
        found.box[found.is_wide] = rows[1:5, where].T
    return found


def _rows(
    connection: Connection, span: Span, bounds: tuple[int, int], until_s: int, devices: Sequence[int] | None = None
) -> NDArray[np.int64]:
    """Rows of device, box and counts (7, n), in the order of devices."""
    first_s, last_s = bounds
    known_s = max(first_s, min(until_s, last_s))
    of_these = sql.SQL("true") if devices is None else sql.SQL("device_id = ANY({})").format(sql.Literal(list(devices)))
    given = {"before": sql.Literal(span.before_s), "after": sql.Literal(span.after_s), "of_these": of_these}
    query = _HOURS.format(first=sql.Literal(first_s), last=sql.Literal(known_s), **given)
    if known_s < last_s:
        query = _BOTH.format(query, _FIXES.format(first=sql.Literal(known_s), last=sql.Literal(last_s), **given))
    with connection.cursor() as cursor:
        rows = copy_out(cursor, query, [], 7)
    return rows[:, np.argsort(rows[0])]
