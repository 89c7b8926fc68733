"""The fixes of one day as Parquet files, and what the manifest says of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from engine.archive import parquet
from engine.archive.columns import LEAVES, geo_of, values_of
from engine.archive.groups import CREATED_BY
from engine.archive.manifest import DayFile
from engine.archive.order import by_place
from engine.archive.staging import hash_of, sync
from engine.errors import InputError
from engine.fixes import NAMES, Fixes
from engine.times import DAY_US, to_datetime, to_iso

ROWS_A_GROUP = 131_072
"""Fewer make the fixes of a place quicker to find, more make the file smaller: the decision record has the figures."""
ROWS_A_FILE = 32 * ROWS_A_GROUP
_SAYS = (
    "Positions of GPS tags, each once; units are in the names, geometry is longitude and latitude (CRS 84), null: not told"
)


def day_of(number: int) -> str:
    """The name of a UTC day, counted from 1970-01-01; InputError for one outside the years 1 to 9999."""
    try:
        return to_datetime(number * DAY_US).date().isoformat()
    except OverflowError:
        raise InputError(field="time", value=number * DAY_US, expected="microseconds within the years 1 to 9999") from None


def write_day(folder: Path, day: str, fixes: Fixes, rows_a_file: int = ROWS_A_FILE) -> list[DayFile]:
    """Write the fixes of a day, in the order of `once`, to `folder/day=...`; a large day has several files."""
    (folder / f"day={day}").mkdir(parents=True, exist_ok=True)
    return [
        _write(folder, f"day={day}/fixes{f'-{k}' if k > 1 else ''}.parquet", part)
        for k, part in enumerate(_parts(by_place(fixes), rows_a_file), 1)
    ]


def digest_of(fixes: Fixes) -> str:
    """A SHA-256 of fixes in the order of `once`, whatever files they are in: of their number, the names and the columns."""
    found = hashlib.sha256(f"{len(fixes)}\n".encode())
    for name in fixes.devices:
        found.update(len(name.encode()).to_bytes(4, "little") + name.encode())
    for name in NAMES:
        column = fixes.column(name)
        found.update(column.astype(column.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()


def _write(folder: Path, name: str, rows: Fixes) -> DayFile:
    path = folder / name
    places = (rows.lon_e7, rows.lat_e7)
    box_e7 = [int(c.min()) for c in places] + [int(c.max()) for c in places]
    about = {"geo": geo_of(box_e7), "description": _SAYS}
    with path.open("wb") as file:
        parquet.write(file, [*LEAVES.values()], map(values_of, _parts(rows, ROWS_A_GROUP)), about, CREATED_BY)
        sync(file)
    first, last = (to_iso(int(edge)) for edge in (rows.time_us.min(), rows.time_us.max()))
    return DayFile(name, hash_of(path), path.stat().st_size, len(rows), first, last, box_e7)


def _parts(rows: Fixes, most: int) -> Iterator[Fixes]:
    """The rows in parts of about one size."""
    n_parts = -(-len(rows) // most)
    for k in range(n_parts):
        yield rows.take(slice(len(rows) * k // n_parts, len(rows) * (k + 1) // n_parts))
