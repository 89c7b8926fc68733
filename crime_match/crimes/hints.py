"""Hints: what looks odd in a file of crimes and a person should look at. They never change, add or leave out anything.

Each says what was seen and what it may mean. What the numbers cannot tell is not guessed: that is said once for the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median

from crime_match.crimes.fault import CrimeHint
from crime_match.crimes.national_grid import to_wgs84
from crime_match.crimes.row import Columns, CrimeRow
from crime_match.crimes.time_hints import TimeForm, time_hints
from engine.errors import InputError

NEAR_M, FAR_M = 50_000.0, 100_000.0
MIN_CENTRE = 5
_UK = ((49.5, 61.5), (-8.5, 2.6))
_FINE_M = 70.0
"""A place with at least this uncertainty already says that it is coarse."""

Place = tuple[float, float]


def find_hints(
    rows: Sequence[CrimeRow], columns: Columns, times: TimeForm, of_form: Callable[[CrimeRow], Iterable[CrimeHint]]
) -> list[CrimeHint]:
    """The hints of all rows, in the order of the rows; `of_form` gives those that only this form of file has."""
    centre = centre_of(rows)
    hints = list(_similar_references(rows, columns))
    for row in rows:
        if row.place_texts != ("", "", "", "") or row.from_text:
            hints += time_hints(row, columns, times)
            hints += _place_hints(row, columns, centre)
            hints += of_form(row)
    return sorted(hints, key=lambda hint: hint.row)


def centre_of(rows: Iterable[CrimeRow]) -> Place | None:
    """The place (medians) about which three quarters of the good rows lie, None where there is none or they are few."""
    places = [(row.crime.lat, row.crime.lon) for row in rows if row.crime is not None]
    if len(places) < MIN_CENTRE:
        return None
    centre = median(lat for lat, _ in places), median(lon for _, lon in places)
    near = sum(is_near(place, centre) for place in places)
    return centre if near * 4 >= len(places) * 3 else None


def is_near(place: Place, centre: Place) -> bool:
    """Is a place within 50 km? What lies half a degree north or south is not."""
    return abs(place[0] - centre[0]) <= 0.5 and apart_m(place, centre) <= NEAR_M


def apart_m(one: Place, other: Place) -> float:
    """How far two places (lat, lon in degrees) lie apart [m] on a sphere, good to 1 % (haversine formula)."""
    lat1, lon1, lat2, lon2 = map(math.radians, (*one, *other))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6_371_000.0 * math.asin(math.sqrt(min(1.0, half)))


def _place_hints(row: CrimeRow, columns: Columns, centre: Place | None) -> Iterator[CrimeHint]:
    easting, northing, lat, lon = row.place_texts
    if easting and northing and row.east is not None and row.north is not None:
        here = None if row.lat is None or row.lon is None else (row.lat, row.lon)
        if _is_odd(here, centre) and _is_better(_grid_place(row.north, row.east), here, centre):
            yield _exchanged(row, "GRID_SWAPPED", columns.easting, columns.northing, (easting, northing), centre)
        elif row.crime and row.east % 100 == row.north % 100 == 0 and row.uncertainty_m < _FINE_M:
            yield _coarse(row, columns.easting, f"{easting}, {northing}")
    elif lat and lon and row.lat is not None and row.lon is not None:
        here = _degrees_place(row.lat, row.lon)
        if _is_odd(here, centre) and _is_better(_degrees_place(row.lon, row.lat), here, centre):
            yield _exchanged(row, "LAT_LON_SWAPPED", columns.lat, columns.lon, (lat, lon), centre)
        elif row.crime and max(map(_decimals, (lat, lon))) <= 3 and row.uncertainty_m < _FINE_M:
            yield _coarse(row, columns.lat, f"{lat}, {lon}")


def _is_odd(here: Place | None, centre: Place | None) -> bool:
    """Is a place as written none at all, far from the file's other crimes, or (in a file without such a centre) abroad?"""
    if here is None:
        return True
    return apart_m(here, centre) >= FAR_M if centre is not None else not _in_uk(here)


def _is_better(there: Place | None, here: Place | None, centre: Place | None) -> bool:
    """Is the other reading of an odd place the likelier one? It is near the file's other crimes; in a file without a centre it
    is a place where the one as written is none, or in the United Kingdom."""
    if there is None:
        return False
    return is_near(there, centre) if centre is not None else here is None or _in_uk(there)


def _grid_place(easting_m: float, northing_m: float) -> Place | None:
    try:
        return to_wgs84(easting_m, northing_m)
    except InputError:
        return None


def _degrees_place(lat: float, lon: float) -> Place | None:
    return (lat, lon) if abs(lat) <= 90 and abs(lon) <= 180 else None


def _in_uk(place: Place) -> bool:
    return all(low <= value <= high for value, (low, high) in zip(place, _UK, strict=True))


def _exchanged(row: CrimeRow, code: str, one: str, other: str, texts: tuple[str, str], centre: Place | None) -> CrimeHint:
    where = "near the other crimes of the file, as written it is not" if centre else "a place, as written it is not likely"
    return row.hint(code, one, texts[0], f"{one} and {other} ({texts[1]}) look exchanged: exchanged they are {where}")


def _coarse(row: CrimeRow, name: str, value: str) -> CrimeHint:
    message = "the place looks rounded to 100 m or more; the vicinity of a match is 100 m, so give an uncertainty"
    return row.hint("COARSE_PLACE", name, value, message)


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def _similar_references(rows: Iterable[CrimeRow], columns: Columns) -> Iterator[CrimeHint]:
    """References of one force that differ only in case or spaces: two crimes here, perhaps one in truth."""
    seen: dict[tuple[str, str], CrimeRow] = {}
    for row in rows:
        if not row.reference:
            continue
        first = seen.setdefault((row.force, "".join(row.reference.split()).casefold()), row)
        if first.reference != row.reference:
            message = f"differs only in case or spaces from that of row {first.record.row}, {first.reference!r}"
            yield row.hint("SIMILAR_REFERENCE", columns.reference, row.reference, message)
