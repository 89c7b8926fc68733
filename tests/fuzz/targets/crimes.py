"""Files of crimes: the police batch, our own CSV, and what data.police.uk publishes, alone and in a ZIP."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Hashable

from crime_match.crimes.files import background_of, read_background, read_crimes
from engine.times import DAY_US, EARLIEST_US, LATEST_US
from tests.fuzz.laws import from_stdin
from tests.fuzz.target import Target, require

_MOJ = (
    b"Metropolitan,TOMV,Theft,MPS20250126,CRI1,20250125083000,20250125103000,,,51.50741,-0.12775,WGS84,Car taken\n"
    b'Metropolitan,RB,Robbery,MPS20250126,CRI2,20250125083000,20250125083000,530000,180000,,,OSGB,"two\nlines, ""quoted"""\n'
)
_CSV = (
    b"force,reference,type,from,to,lat,lon,uncertainty_m,text\nMPS,A1,RB,2026-11-22T10:00:00Z,2026-11-22T12:00:00Z,51.5,-0.12,50,window\n"
    b"MPS,A2,TFP,2026-11-22T10:00:00Z,2026-11-22T10:00:00Z,51.5,-0.12,,\n"
)
_PUBLISHED = (
    b"Crime ID,Month,Reported by,Falls within,Longitude,Latitude,Location,LSOA code,LSOA name,Crime type,Last outcome category,Context\n"
    b"abc,2019-09,MPS,MPS,-0.12,51.5,On or near X,E01,Y,Burglary,,\n,2019-09,MPS,MPS,,,No location,,,Robbery,,\n"
)


def _read(data: bytes) -> Hashable:
    found = from_stdin(read_crimes, data)
    require(len(found.crimes) == len(found.rows) and len(set(found.rows)) == len(found.rows), "a row twice")
    faulty = {fault.row for fault in found.faults}
    require(found.form == "moj" or not faulty & set(found.rows), "a row that is good and faulty")
    if not found.faults:
        require(len(found.crimes) == found.n_rows, "a row lost")
    for crime in found.crimes:
        require(EARLIEST_US <= crime.from_us <= crime.to_us < LATEST_US, "a window out of bounds")
        require(crime.to_us - crime.from_us <= 31 * DAY_US, "a window too long")
        require(abs(crime.lat) <= 90 and abs(crime.lon) <= 180, "a place out of bounds")
        require(math.isfinite(crime.uncertainty_m) and crime.uncertainty_m >= 0, "an uncertainty out of bounds")
        require(crime.reference.strip() != "", "a crime without a reference")
    for remark in (*found.faults, *found.hints):
        remark.record()["message"].encode()  # type: ignore[attr-defined]
    again = from_stdin(read_crimes, data)
    require(again == found, "read twice, and something else came")
    return found.form, min(len(found.crimes), 2), found.faults[0].code if found.faults else "", len(found.hints) > 0


def _published(data: bytes) -> Hashable:
    found = from_stdin(read_background, data)
    require(found.n_rows >= len(found.crimes), "more crimes than rows")
    for crime in found.crimes:
        require((crime.lat is None) == (crime.lon is None), "half a place")
    return min(len(found.crimes), 2), found.faults[0].code if found.faults else ""


def _zipped(data: bytes) -> Hashable:
    """A ZIP of the input; its first bytes choose what is broken of it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("2019-09/2019-09-x-street.csv"), data[1:])
        archive.writestr(zipfile.ZipInfo("2019-09/2019-09-y-street.csv"), _PUBLISHED)
    packed = bytearray(out.getvalue())
    for k in range(min(len(data), 8) // 2 if data[:1] < b"\x60" else 0):
        packed[-1 - data[2 * k] * (len(packed) - 1) // 255] = data[2 * k + 1]
    return len(background_of("x.zip", bytes(packed)).crimes)


TARGETS = (
    Target(
        "crimes_moj",
        _read,
        lambda: [_MOJ],
        ("csv", "lines"),
        (b"CoLP", b"Metropolitan,", b"WMP20250126-1-R", b"20250230000000"),
    ),
    Target("crimes_csv", _read, lambda: [_CSV], ("csv", "lines")),
    Target("crimes_published", _published, lambda: [_PUBLISHED], ("csv", "lines")),
    Target("crimes_zip", _zipped, lambda: [b"~" + _PUBLISHED, _PUBLISHED], ("csv",), share=0.4),
)
