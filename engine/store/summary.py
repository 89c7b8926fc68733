"""The one query that summarises an hour of a device, for the table and for the continuous aggregate."""

from __future__ import annotations

SUMMARY_COLUMNS = (
    "device_id", "hour_s", "n_fixes", "n_minutes", "first_s", "last_s", "south_e7", "west_e7", "north_e7", "east_e7",
    "first_lat_e7", "first_lon_e7", "last_lat_e7", "last_lon_e7", "widest_cm", "n_unsaid", "sources", "gap_s", "fastest_e7",
    "ahead_s",
)  # fmt: skip
_ORDER = "ORDER BY time_s, rest_us, lat_e7, lon_e7"  # with the places: of several at one instant always the same is first
_TIMES = f"array_agg(time_s * 1000000 + rest_us {_ORDER})"
_LATS, _LONS = f"array_agg(lat_e7 {_ORDER})", f"array_agg(lon_e7 {_ORDER})"


def summary_query(hour: str, where: str, source: str = "fix") -> str:
    """SELECT of SUMMARY_COLUMNS; `hour` tells the begin of the hour of time_s, `where` which fixes, `source` the table."""
    return (
        f"SELECT fix.device_id, {hour} AS hour_s, count(*)::integer AS n_fixes,"
        " bit_count(bit_or(1::bigint << (time_s / 60 - time_s / 3600 * 60)::integer)::bit(64))::integer AS n_minutes,"
        " min(time_s) AS first_s, max(time_s) AS last_s,"
        " min(lat_e7) AS south_e7, min(lon_e7) AS west_e7, max(lat_e7) AS north_e7, max(lon_e7) AS east_e7,"
        f" ({_LATS})[1] AS first_lat_e7, ({_LONS})[1] AS first_lon_e7,"
        f" ({_LATS})[count(*)::integer] AS last_lat_e7, ({_LONS})[count(*)::integer] AS last_lon_e7,"
        " max(accuracy_cm) AS widest_cm, (count(*) - count(accuracy_cm))::integer AS n_unsaid,"
        f" bit_or(1 << source) AS sources, fix_longest_gap_s({_TIMES}) AS gap_s,"
        f" fix_fastest_e7({_TIMES}, {_LATS}, {_LONS}) AS fastest_e7, max(time_s - received_s) AS ahead_s"
        f" FROM {source} WHERE {where} GROUP BY fix.device_id, {hour}"
    )
