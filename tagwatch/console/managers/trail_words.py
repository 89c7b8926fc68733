"""Fixes of a trail as rows and in words, for the table, the map and the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crime_match.evidence.rows import local_text
from engine.fixes import ABSENT, OPTIONAL, SOURCE_NAMES, Column, Fixes
from engine.flags import WEIGHTLESS, flag_names
from engine.times import SECOND_US, to_isos
from tagwatch.console.managers.trail_reading import WornTrail

FIELDS = (
    "time", "local_time", "lat", "lon", "accuracy_m", "radius_m", "source", "speed_mps", "course_deg", "altitude_m", "hdop",
    "satellites", "battery_pct", "device", "flags", "weight", "received",
)  # fmt: skip
"""What is told of each fix; `radius_m` is the circle that was used where the tag reported no accuracy."""
_KEYS, _AT_ONCE = tuple(column.key for column in OPTIONAL), 2_000


def fix_rows(trail: WornTrail, rows: Sequence[int] | NDArray[np.int64], timezone: str) -> Iterator[dict[str, Any]]:
    """The fixes at these rows: times in ISO UTC and local, absent is None."""
    for start in range(0, len(rows), _AT_ONCE):
        yield from _some(trail, np.asarray(rows[start : start + _AT_ONCE], np.int64), timezone)


def _some(trail: WornTrail, rows: NDArray[np.int64], timezone: str) -> Iterator[dict[str, Any]]:
    fixes = trail.fixes.take(rows)
    flags = {bits: flag_names(bits) for bits in np.unique(trail.flags[rows]).tolist()}
    optional = [_units(fixes, column) for column in OPTIONAL]
    every = zip(
        fixes.time_us.tolist(), to_isos(fixes.time_us), (fixes.lat_e7 / 1e7).tolist(), (fixes.lon_e7 / 1e7).tolist(),
        np.round(trail.radius_m[rows], 2).tolist(), fixes.source.tolist(), fixes.device.tolist(), trail.flags[rows].tolist(),
        to_isos(fixes.received_s * SECOND_US), *optional, strict=True,
    )  # fmt: skip
    for at, iso, lat, lon, radius_m, source, device, bits, received, *measured in every:
        yield {
            "time": iso, "local_time": local_text(at, timezone), "lat": lat, "lon": lon, "radius_m": radius_m,
            "source": SOURCE_NAMES.get(source, "unknown"), "device": fixes.devices[device], "flags": list(flags[bits]),
            "weight": not bits & WEIGHTLESS, "received": received, **dict(zip(_KEYS, measured, strict=True)),
        }  # fmt: skip


def _units(fixes: Fixes, column: Column) -> list[float | None]:
    """A column in the units of files."""
    raw = fixes.column(column.name).tolist()
    return [None if one == ABSENT else one if column.scale == 1 else one / column.scale for one in raw]


def fix_sentence(row: dict[str, Any]) -> str:
    """One fix in a sentence, as the map tells it."""
    circle = f"± {row['radius_m']:g} m" + (" (assumed: the tag reported none)" if row["accuracy_m"] is None else "")
    flags = f", {', '.join(row['flags'])}" if row["flags"] else ""
    return f"{row['local_time']}, {circle}, {row['source']}, tag {row['device']}{flags}"
