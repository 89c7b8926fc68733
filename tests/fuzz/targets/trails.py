"""Trail files of every kind, as standard input gives them, plain and gzip: each kind alone, and all through the one door."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import InputError
from engine.fixes import Fixes
from ingest.csv_trail import read_csv, write_csv
from ingest.fault import Fault, Faults
from ingest.nmea_sentences import sentences_of
from ingest.trail_files import read_trail, read_trail_traced
from tests.fuzz.laws import check_fixes, from_stdin, same
from tests.fuzz.target import Target, is_one_in, require
from tests.fuzz.targets.messages import LOCATION

_UTC = ZoneInfo("UTC")
CSV = (
    b"device,time,lat,lon,accuracy_m,source,speed_mps,course_deg,altitude_m,hdop,satellites,battery_pct,received\n"
    b"T1,2026-11-22T10:00:00Z,53.1234567,-0.5,12.5,gps,1.25,271.5,40,0.9,9,88,2026-11-22T10:00:40Z\n"
    b'"T ""2""",1795341660.5,-33,151.2,,lbs,,,,,,,\n'
    b"T1,2026-11-22T10:02:00+01:00,53.1,-0.5,300,wifi,0,360,-5,1,0,100,\n"
)
_POINT = (
    b'<trkpt lat="53.1" lon="-0.5"><ele>40.5</ele><time>2026-11-22T10:00:00Z</time><course>90</course><speed>1.5</speed>'
    b"<hdop>0.9</hdop><sat>9</sat></trkpt>"
)
GPX = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1">\n<trk>'
    b"<name>T1</name><trkseg>" + _POINT + _POINT.replace(b"10:00", b"10:01") + b"</trkseg></trk></gpx>\n"
)
_MOJ = (
    b"position_id,device_id,person_id,position_gps_date,position_recorded_date,position_uploaded_date,position_speed,position_satellite,"
    b"position_direction,position_precision,position_lbs,position_hdop,position_latitude,position_longitude\n"
    b"9,77,5,2025-07-01 12:00:00.000000,2025-07-01 12:00:01.000,2025-07-01 12:04:10.500,36,8,3,12,1,1,51.574865,-0.060977\n"
    b"10,77,5,2025-07-01 12:01:00.000000,,,,,,,5,,51.574866,-0.060978\n"
)
_CONDENSED = b"DATE/TIME,LATITUDE,LONGITUDE,CONFIDENCE CIRCLE,SPEED,DIRECTION,SEQUENCE NO.\n01/07/2025 00:00,51.574865,0.060977,100,1,-123.4,1\n"


def sentence(text: str) -> bytes:
    """An NMEA sentence with its checksum."""
    total = 0
    for byte in text.encode("latin-1", "replace"):
        total ^= byte
    return f"${text}*{total:02X}\r\n".encode("latin-1", "replace")


def _nmea_seeds() -> list[bytes]:
    rmc = sentence("GPRMC,100000.00,A,5307.4074,N,00030.0000,W,2.4,271.5,221126,,,A")
    gga = sentence("GPGGA,100000.00,5307.4074,N,00030.0000,W,1,09,0.9,40.0,M,47.0,M,,")
    gst = sentence("GPGST,100000.00,5.0,,,,3.0,4.0,6.0")
    return [
        rmc + gga + gst,
        gga * 2 + rmc,
        rmc,
        b"2026-11-22 10:00:00 " + rmc + b"# x\n!AIVDM,1,1,,A,x,0*00\n" + sentence("PUBX,00"),
    ]


def _geojson_seeds() -> list[bytes]:
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [-0.5, 53.1, 40]},
             "properties": {"device": "T1", "time": "2026-11-22T10:00:00Z", "accuracy_m": 12, "speed": 1}}  # fmt: skip
    line = {"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[-0.5, 53.1], [-0.6, 53.2]]},
            "properties": {"name": "T2", "coordTimes": ["2026-11-22T10:00:00Z", "2026-11-22T10:01:00Z"]}}  # fmt: skip
    multi = {"type": "Feature", "geometry": {"type": "MultiLineString", "coordinates": [[[-0.5, 53.1]], [[1, 2], [3, 4]]]},
             "properties": {"coordTimes": [["2026-11-22T10:00:00Z"], [1795341660, "2026-11-22T10:02:00Z"]]}}  # fmt: skip
    all_of = {"type": "FeatureCollection", "features": [point, line, multi]}
    lines = b"\n".join(json.dumps(each).encode() for each in (point, line))
    return [json.dumps(each).encode() for each in (point, all_of, [point, line])] + [lines, b"\x1e" + lines]


def _owntracks_seeds() -> list[bytes]:
    named = {**LOCATION, "topic": "owntracks/ann/phone", "username": "ann", "device": "phone", "tid": "ap"}
    return [json.dumps(v).encode() for v in ({"data": [named, LOCATION]}, [named], {"locations": [LOCATION]}, named)]


def _rec_seeds() -> list[bytes]:
    line = (
        b"2026-11-22T10:00:00Z\t*                 \t"
        + json.dumps({**LOCATION, "topic": "owntracks/ann/phone"}).encode()
        + b"\n"
    )
    return [line * 3, line + b'2026-11-22T10:00:00Z\tlwt\t{"_type":"lwt","tst":1}\n' + line]


def _parquet(**columns: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, compression="zstd")
    return out.getvalue()


def _parquet_seeds() -> list[bytes]:
    device, lat, lon = ["T1", "T2"], [53.1, 53.2], [-0.5, -0.6]
    moments = [datetime(2026, 11, 22, 10, tzinfo=UTC), datetime(2026, 11, 22, 11, tzinfo=UTC)]
    return [
        _parquet(device=device, time=moments, lat=lat, lon=lon, accuracy_m=[12.5, None], source=["gps", ""], satellites=[9, None]),
        _parquet(device=pa.array(device).dictionary_encode(), time=["2026-11-22T10:00:00Z", "x"], lat_e7=[531000000, 5], lon_e7=[1, 2]),
        _parquet(device=[1, 2], time=[1795341600.5, 1795341660.0], lat=lat, lon=lon, received=[1795341600, None], hdop=[0.9, 1e9]),
        _parquet(device=device, time=[m.replace(tzinfo=None) for m in moments], lat=np.array(lat, "f4"), lon=lon,
                 speed_mps=[float("nan"), -1.0]),
    ]  # fmt: skip


def _read(data: bytes) -> Hashable:
    """Good rows and faulty rows are all rows; strictly read, a file is taken exactly when nothing is wrong with it."""
    faults: list[Fault] = []
    traced = from_stdin(lambda path: read_trail_traced(path, _UTC, faults.append), data)
    check_fixes(traced.fixes)
    rows = traced.rows.tolist()
    require(len(set(rows)) == len(rows) or not data.lstrip()[:1].isalpha(), "a row twice")
    require(all(fault.message or fault.expected or fault.field for fault in faults), "a fault that says nothing")
    require(not set(rows) & {fault.row or fault.line for fault in faults if fault.row}, "a row that is good and faulty")
    if not is_one_in(4, data):
        return min(len(rows), 3), min(len(faults), 2), faults[0].code if faults else ""
    try:
        strict = from_stdin(lambda path: read_trail(path, _UTC), data)
    except InputError:
        require(bool(faults), "refused without a fault")
    else:
        require(not faults and same(strict, traced.fixes), "read twice, and something else came")
    _again(traced.fixes)
    return min(len(rows), 3), min(len(faults), 2), faults[0].code if faults else ""


def _again(fixes: Fixes) -> None:
    """Written as CSV and read, the fixes are the same."""
    out = io.BytesIO()
    write_csv(fixes, out)
    text = out.getvalue()
    require(same(read_csv(text, Faults("again")), fixes), "written and read again differs")


def _mended(data: bytes) -> Hashable:
    """NMEA whose checksums are put right first, so that what the fields say is looked at."""
    lines = [line.strip(b"\r") for line in data.split(b"\n")]
    mended = [
        sentence(line[line.find(b"$") + 1 :].split(b"*")[0].decode("latin-1")) if b"$" in line else line + b"\n"
        for line in lines
    ]
    sentences_of(data, {b"RMC"}, Faults("x", lambda fault: None))
    return _read(b"".join(mended))


def _zipped(data: bytes) -> Hashable:
    """As gzip; the first bytes choose what is broken of it."""
    packed = gzip.compress(data, 1, mtime=0)
    if data[:1] < b"\x40":
        at = int.from_bytes(data[1:3], "big") % len(packed)
        packed = packed[:at] + (bytes([packed[at] ^ 1 << (data[0] & 7)]) + packed[at + 1 :] if data[0] & 8 else b"")
    return _read(packed)


def _all(*kinds: Callable[[], list[bytes]]) -> Callable[[], list[bytes]]:
    return lambda: [seed for kind in kinds for seed in kind()]


def _whole(*kinds: Callable[[], list[bytes]]) -> Callable[[], list[bytes]]:
    """Seeds that are not broken by their first byte."""
    return lambda: [seed for kind in kinds for seed in kind() if seed[0] >= 0x40]


def _csv_seeds() -> list[bytes]:
    return [CSV, b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"), CSV.replace(b'"T ""2"""', b"T2")]


def _moj_seeds() -> list[bytes]:
    return [_MOJ, _CONDENSED]


_TYPES = tuple(
    kind.encode() for kind in ("Point", "LineString", "MultiLineString", "FeatureCollection", "Polygon", "Feature")
)

TARGETS = (
    Target("trail_csv", _read, _csv_seeds, ("csv", "lines"), (b",", b'"', b"\n"), share=1.0),
    Target("trail_gpx", _read, lambda: [GPX, GPX.replace(b"/1/1", b"/1/0").replace(b"1.1", b"1.0")], ("xml",), share=0.7),
    Target(
        "trail_nmea",
        _mended,
        _nmea_seeds,
        ("csv", "lines"),
        (b"$", b"*", b",A,", b",V,", b"GPRMC", b"GPGGA", b"GNGST"),
        share=1.0,
    ),
    Target("trail_rec", _read, _rec_seeds, ("json", "lines"), (b"\t",), share=1.0),
    Target("trail_owntracks", _read, _owntracks_seeds, ("json",), share=1.0),
    Target("trail_geojson", _read, _geojson_seeds, ("json",), _TYPES, share=1.0),
    Target("trail_moj", _read, _moj_seeds, ("csv", "lines"), share=1.0),
    Target("trail_parquet", _read, _parquet_seeds, (), (b"PAR1", b"\x15\x04", b"\x19\x1c"), most_bytes=20_000, share=0.4),
    Target("trail_gzip", _zipped, _whole(_csv_seeds, _nmea_seeds), ("csv",), share=0.3),
    Target(
        "trail_any",
        _read,
        _all(_csv_seeds, lambda: [GPX], _nmea_seeds, _rec_seeds, _geojson_seeds, _moj_seeds),
        ("lines",),
        share=0.5,
    ),
)
