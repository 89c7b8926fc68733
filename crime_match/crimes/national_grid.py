"""The British National Grid: easting and northing to and from WGS84 by OSTN15, and grid references such as SK 97 71.

OSTN15 joins the grid to ETRS89, which is taken to be WGS84 here: ETRS89 is fixed to the European plate and lies about 0.8 m
from the WGS84 that a receiver gives in the 2020s, which is far inside the error of any fix (Ordnance Survey, "A guide to
coordinate systems in Great Britain", section 3.3).
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple, overload

import numpy as np
import pyproj
from convertbng import cutil
from numpy.typing import ArrayLike, NDArray

from engine.errors import InputError

AREA = "a place in the area of OSTN15 (Great Britain and the Isle of Man, eastings 0 to 700000, northings 0 to 1250000)"
_MAX_EASTING_M, _MAX_NORTHING_M = 700_000.0, 1_250_000.0
_LETTERS = "ABCDEFGHJKLMNOPQRSTUVWXYZ"
_SQUARE_M = 100_000
_REFERENCE = re.compile(r"([A-HJ-Z]{2})\s*(\d+)\s*(\d*)", re.ASCII)
_EXPECTED = "a grid reference such as SK 97 71 or SK976714: two letters and 2 to 10 digits, half of them for the easting"
# The plane of the grid on ETRS89's own ellipsoid, before the shifts of OSTN15 (OS guide, annexe A).
_ETRS89 = pyproj.Proj("+proj=tmerc +lat_0=49 +lon_0=-2 +k=0.9996012717 +x_0=400000 +y_0=-100000 +ellps=GRS80")

Floats = NDArray[np.float64]


class GridSquare(NamedTuple):
    """The place of a grid reference: the centre of its square, and how far a place in the square may lie from it [m]."""

    easting_m: float
    northing_m: float
    uncertainty_m: float


@overload
def to_wgs84(easting_m: float, northing_m: float) -> tuple[float, float]: ...
@overload
def to_wgs84(easting_m: ArrayLike, northing_m: ArrayLike) -> tuple[Floats, Floats]: ...
def to_wgs84(easting_m: ArrayLike, northing_m: ArrayLike) -> tuple[float, float] | tuple[Floats, Floats]:
    """Latitude and longitude [degrees] of eastings and northings [m], numbers or arrays of one shape (n,), to 0.1 mm.

    Raises InputError for the first place outside the area of OSTN15.
    """
    east, north, single = _columns(easting_m, northing_m)
    lat, lon = to_wgs84_or_nan(east, north)
    _refuse(np.isnan(lat), "easting, northing", east, north)
    return (float(lat[0]), float(lon[0])) if single else (lat, lon)


def to_wgs84_or_nan(easting_m: Floats, northing_m: Floats) -> tuple[Floats, Floats]:
    """As `to_wgs84` for arrays of shape (n,), but NaN, NaN for places outside the area of OSTN15."""
    inside = (easting_m >= 0.0) & (easting_m <= _MAX_EASTING_M) & (northing_m >= 0.0) & (northing_m <= _MAX_NORTHING_M)
    lon, lat = cutil.convert_osgb36_to_ll(np.where(inside, easting_m, np.nan), np.where(inside, northing_m, np.nan))
    inside &= ~np.isnan(lat) & ~np.isnan(lon)
    return np.where(inside, np.round(lat, 9), np.nan), np.where(inside, np.round(lon, 9), np.nan)


@overload
def from_wgs84(lat: float, lon: float) -> tuple[float, float]: ...
@overload
def from_wgs84(lat: ArrayLike, lon: ArrayLike) -> tuple[Floats, Floats]: ...
def from_wgs84(lat: ArrayLike, lon: ArrayLike) -> tuple[float, float] | tuple[Floats, Floats]:
    """Easting and northing [m, to 1 mm] of latitudes and longitudes [degrees], numbers or arrays of one shape (n,).

    On land the result is that of the Ordnance Survey to the millimetre. The converter refuses what lies north of 60.84 or
    off the outermost islands; there the plane comes from PROJ, within 6 mm. InputError as for `to_wgs84`.
    """
    lats, lons, single = _columns(lat, lon)
    east, north = cutil.convert_bng(lons, lats)
    rest = np.flatnonzero(np.isnan(east) & (np.abs(lats - 55.5) < 6.5) & (np.abs(lons + 3.0) < 7.0))
    if rest.size:
        east[rest], north[rest] = cutil.convert_etrs89_to_osgb36(*_ETRS89(lons[rest], lats[rest]))
    outside = np.isnan(east) | (east < 0) | (east > _MAX_EASTING_M) | (north < 0) | (north > _MAX_NORTHING_M)
    _refuse(outside, "lat, lon", lats, lons)
    return (float(east[0]), float(north[0])) if single else (east, north)


def read_reference(text: str) -> GridSquare:
    """The square of a grid reference of 2 to 10 digits, in any case and spacing ('SK 97 71', 'TF0071', 'sk976714').

    Its centre is the place and half its diagonal the uncertainty. Raises InputError where it is none.
    """
    match = _REFERENCE.fullmatch(text.strip().upper())
    if match is None or (match[3] and len(match[2]) != len(match[3])):
        raise InputError("no grid reference", value=text, field="grid_ref", expected=_EXPECTED)
    digits = match[2] + match[3]
    half = len(digits) // 2
    if len(digits) % 2 or not 1 <= half <= 5:
        raise InputError(f"has {len(digits)} digits", value=text, field="grid_ref", expected=_EXPECTED)
    east_m, north_m = _corner(match[1], text)
    size_m = 10.0 ** (5 - half)
    easting_m = east_m + (int(digits[:half]) + 0.5) * size_m
    northing_m = north_m + (int(digits[half:]) + 0.5) * size_m
    return GridSquare(easting_m, northing_m, size_m * math.sqrt(0.5))


def reference_of(easting_m: float, northing_m: float, n_digits: int = 10) -> str:
    """The reference of the square that holds a place, such as 'SK 97600 71400'; InputError outside the grid's squares."""
    if n_digits not in {2, 4, 6, 8, 10}:
        raise InputError(field="n_digits", value=n_digits, expected="2, 4, 6, 8 or 10")
    if not (0 <= easting_m < _MAX_EASTING_M and 0 <= northing_m < 1_300_000):
        raise InputError(field="easting, northing", value=(easting_m, northing_m), expected=AREA)
    east, north = divmod(math.floor(easting_m), _SQUARE_M), divmod(math.floor(northing_m), _SQUARE_M)
    column, row = east[0] + 10, 19 - north[0]
    letters = _LETTERS[row // 5 * 5 + column // 5] + _LETTERS[row % 5 * 5 + column % 5]
    half = n_digits // 2
    return f"{letters} {east[1] // 10 ** (5 - half):0{half}d} {north[1] // 10 ** (5 - half):0{half}d}"


def _corner(letters: str, text: str) -> tuple[float, float]:
    """South-west corner of a square of 100 km [m]: two letters, each a step in 5 x 5 from the north-west, without I."""
    first, second = _LETTERS.index(letters[0]), _LETTERS.index(letters[1])
    east = first % 5 * 5 + second % 5 - 10
    north = 19 - first // 5 * 5 - second // 5
    if not (0 <= east < 7 and 0 <= north < 13):
        raise InputError(f"no square {letters} in the National Grid", value=text, field="grid_ref", expected=_EXPECTED)
    return float(east * _SQUARE_M), float(north * _SQUARE_M)


def _columns(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats, bool]:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape or a.ndim > 1:
        raise InputError("two numbers or two arrays of one length are needed", value=(a.shape, b.shape), field="shape")
    return np.atleast_1d(a), np.atleast_1d(b), a.ndim == 0


def _refuse(outside: NDArray[np.bool_], field: str, first: Floats, second: Floats) -> None:
    if outside.any():
        k = int(np.argmax(outside))
        where = f" (number {k} of {len(first)})" if len(first) > 1 else ""
        raise InputError(f"outside{where}", field=field, value=(float(first[k]), float(second[k])), expected=AREA)
