"""The columns of the Ministry of Justice's position CSV: their names, which of them are read, and what their values mean.

Not read: `position_hdop`, whose scale nobody states, and the direction, which is in radians here and in degrees there and
cannot be told apart. The map's exports give local times to the minute, as DD/MM/YYYY HH:MM.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from engine.errors import InputError
from engine.fixes import OPTIONAL, POSITION, SOURCES
from ingest.csv_table import Table
from ingest.fix_checks import expected

NAMES: Mapping[str, tuple[str, ...]] = {
    "device": ("device_id", "device id"),
    "time": ("position_gps_date", "captured_date_time", "date/time", "position_recorded_date"),
    "lat": ("position_latitude", "latitude"),
    "lon": ("position_longitude", "longitude"),
    "accuracy_m": ("position_precision", "confidence_circle", "confidence circle"),
    "source": ("position_lbs",),
    "speed_mps": ("position_speed", "speed"),
    "satellites": ("position_satellite",),
    "received": ("position_uploaded_date",),
}
"""Their columns, by our fields, in this order of preference; any other column is ignored."""

NUMBERS = ("lat", "lon", "accuracy_m", "speed_mps", "satellites")
UNITS = {column.key: expected(column) for column in (*POSITION, *OPTIONAL)} | {"speed_mps": "km/h, a number from 0"}
KMH_PER_MPS = 3.6
UK_TIME = r"(\d\d)/(\d\d)/(\d{4}),? (\d\d:\d\d(?::\d\d)?)"
"""A time as the exports write it: day, month, year, time of day."""

_MARKS = ({"position_latitude", "position_longitude"}, {"date/time", "latitude", "longitude"})
_MECHANISM = re.compile(r"[+-]?\d{1,9}(\.0*)?", re.ASCII)


def is_moj(names: Collection[str]) -> bool:
    """Whether these column names, in lower case, are those of a position CSV."""
    return any(marks <= set(names) for marks in _MARKS)


def columns_of(table: Table, file: str) -> dict[str, int]:
    """Where each of our fields stands; InputError where time or place are missing."""
    at: dict[str, int] = {}
    for field, names in NAMES.items():
        found = [name for name in names if name in table.names]
        if found:
            at[field] = table.names.index(found[0])
    missing = [" or ".join(NAMES[field]) for field in ("time", "lat", "lon") if field not in at]
    if missing:
        raise InputError(f"the header has no column {', '.join(missing)}", place=file, expected="a position CSV")
    return at


def mechanism(text: str, name: str) -> int:
    """The source of a geolocation mechanism: GPS 1, RF 4, LBS 5, WIFI 6; any other number, and none, is unknown."""
    if not text:
        return SOURCES["unknown"]
    if _MECHANISM.fullmatch(text) is None:
        raise InputError(
            "not a whole number", field=name, value=text, expected="GPS 1, RF 4, LBS 5, WIFI 6 or another code"
        )
    code = int(text.partition(".")[0])
    return code if code in SOURCES.values() else SOURCES["unknown"]
