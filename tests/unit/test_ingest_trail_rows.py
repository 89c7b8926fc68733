"""Which row of which file each fix came from: of every format a file with bad rows between good ones."""

import gzip
import hashlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.fixes import NAMES, Fixes
from ingest.csv_trail import SMALL, read_csv
from ingest.fault import Fault, Faults
from ingest.trail_files import hash_of, read_trail, read_trail_traced

LONDON = ZoneInfo("Europe/London")
T = "2026-03-29T12:00:00Z"
TextOf = Callable[[int], str]
"""The text of a row as a person would look it up, rows from 1."""


def mark(k: int) -> str:
    """A latitude by which the k-th fix is known again."""
    return f"51.{1000000 + k}"


def nth(parts: list[str]) -> TextOf:
    return lambda row: parts[row - 1]


def csv(name: str = "") -> tuple[bytes, TextOf, int]:
    rows = [f"a,{T},{mark(1)},1", f"a,{T},north,1", f'"b, c",{T},{mark(2)},1', "a,b", f"a,{T},95,1", f'"d\ne",{T},{mark(3)},1',
            f"a,{T},{mark(3)},1", f",{T},{mark(9)},1", f"a,1999-01-01T00:00:00Z,{mark(9)},1", f"a,{T},{mark(4)},1"]  # fmt: skip
    return ("device,time,lat,lon\n" + "\n\n".join(rows) + "\n").encode(), nth(rows), 4


def long_csv() -> tuple[bytes, TextOf, int]:
    """So long that it is looked through in halves, with faults at its ends and on both sides of the cuts."""
    bad = {0, 1, 700, 2499, 2500, 2501, 4998, 4999}
    rows = [f"a,{T},{'x' if k in bad else mark(k)},1,{'.' * 20}" for k in range(5000)]
    data = ("device,time,lat,lon,note\n" + "\n".join(rows)).encode()
    assert len(data) > 3 * SMALL
    return data, nth(rows), 5000 - len(bad)


def positions(bad: bool = True) -> tuple[bytes, TextOf, int]:
    rows = [f"1,29/03/2026 12:00,{mark(1)},1", f"1,29/03/2026,{mark(9)},1" if bad else f"1,29/03/2026 12:01,{mark(9)},1",
            f"1,29/03/2026 12:00,{mark(2)},1", f"1,29/03/2026 12:00,{'95' if bad else mark(4)},1", f"1,29/03/2026 12:00,{mark(3)},1"]  # fmt: skip
    return ("Device ID,Date/Time,Latitude,Longitude\n" + "\n".join(rows)).encode(), nth(rows), 3 if bad else 5


def parquet() -> tuple[bytes, TextOf, int]:
    """Several batches: plain ones, one with a fault, one with none but faults."""
    n, bad = 150_000, {0, 65_535, 65_536, 70_000, 149_999}
    lat = np.array([95.0 if k in bad else float(mark(k)) for k in range(n)])
    table = {"device": pa.array(["a"] * n).dictionary_encode(), "lat": lat, "lon": np.ones(n),
             "time": pa.array(np.full(n, 1774785600_000000)).cast(pa.timestamp("us", "UTC"))}  # fmt: skip
    out = io.BytesIO()
    pq.write_table(pa.table(table), out, row_group_size=70_000)
    return out.getvalue(), lambda row: f"{lat[row - 1]:.7f}", n - len(bad)


def gpx() -> tuple[bytes, TextOf, int]:
    point = '<trkpt lat="{}" lon="1">{}</trkpt>'.format
    time = f"<time>{T}</time>"
    points = [point(mark(1), time), point(mark(9), ""), point("95", time), point(mark(2), time), point(mark(3), time)]
    tracks = f"<trk><trkseg>{''.join(points[:3])}</trkseg></trk><trk><trkseg>{''.join(points[3:])}</trkseg></trk>"
    return f'<gpx version="1.1" creator="x"><wpt lat="1" lon="1"/>{tracks}</gpx>'.encode(), nth(points), 3


def nmea() -> tuple[bytes, TextOf, int]:
    def framed(text: str) -> str:
        checksum = 0
        for octet in text.encode():
            checksum ^= octet
        return f"${text}*{checksum:02X}"

    def rmc(k: int, lat: str = "", status: str = "A") -> str:
        return framed(f"GPRMC,1200{k:02}.000,{status},{lat or f'5106.{k:04}'},N,00100.0000,E,,,290326,,,A")

    lone = framed("GPGGA,120030.000,5106.0030,N,00100.0000,E,1,08,1.1,59.9,M,23.7,M,,0000")
    beside = framed("GPGGA,120001.000,5106.9999,N,00100.0000,E,1,08,1.1,59.9,M,23.7,M,,0000")
    lines = ["# log", rmc(1), beside, rmc(2, "9900.0000"), rmc(3)[:-1] + "Z", rmc(4), "no sentence", rmc(5, status="V"), "",
             lone, rmc(6)]  # fmt: skip
    return "\r\n".join(lines).encode(), nth(lines), 4


def place(k: int, **more: object) -> str:
    document = {"_type": "location", "tst": 1774785600, "lat": float(mark(k)), "lon": 1, "tid": "a"} | more
    return json.dumps(document)


def rec() -> tuple[bytes, TextOf, int]:
    texts = [place(1), place(9, lat=95), '{"_type":"lwt","tst":1774785600}', place(2), "{", place(9, t="p"), place(3)]
    lines = [f"{T}\t*                 \t{text}" for text in texts]
    lines.insert(3, "")
    return "\n".join(lines).encode(), nth(lines), 3


def owntracks(joined: Callable[[list[str]], str]) -> tuple[bytes, TextOf, int]:
    entries = [place(1), place(9, lat=95), '{"_type":"lwt","tst":1774785600}', place(2), place(9, t="p"), "7", place(3)]
    return joined(entries).encode(), nth(entries), 3


def point(k: int, **properties: object) -> str:
    lat = 95.0 if "lat" in properties else float(mark(k))
    geometry = {"type": "Point", "coordinates": [1, lat]}
    return json.dumps({"type": "Feature", "geometry": geometry, "properties": {"time": T} | properties})


def line(*ks: int) -> str:
    geometry = {"type": "LineString", "coordinates": [[1, float(mark(k))] for k in ks]}
    return json.dumps({"type": "Feature", "geometry": geometry, "properties": {"coordTimes": [T] * len(ks)}})


def geojson() -> tuple[bytes, TextOf, int]:
    features = [point(1), point(9, lat=1), line(2, 3, 4), point(9, time="soon"), '{"type":"Feature"}', line(5, 6)]
    points = [features[0], features[1], *[features[2]] * 3, features[3], features[4], *[features[5]] * 2]
    return f'{{"type":"FeatureCollection","features":[{",".join(features)}]}}'.encode(), nth(points), 6


def geojson_lines() -> tuple[bytes, TextOf, int]:
    features = [line(1, 2), '{"type":', point(9, lat=1), point(3), "[", line(4, 5)]
    points = [*[features[0]] * 2, *features[1:5], *[features[5]] * 2]
    return "\n".join(features).encode(), nth(points), 5


def broken_lines(entries: list[str]) -> str:
    """One a line; the third, which is no location, is no JSON either."""
    return "\n".join("{" if k == 2 else entry for k, entry in enumerate(entries))


def in_a_list(entries: list[str]) -> str:
    return f"[{','.join(entries)}]"


CASES = {
    "csv": csv, "long csv": long_csv, "positions": positions, "plain positions": lambda: positions(bad=False),
    "parquet": parquet, "gpx": gpx, "nmea": nmea, "rec": rec, "owntracks list": lambda: owntracks(in_a_list),
    "owntracks lines": lambda: owntracks(broken_lines), "geojson": geojson, "geojson lines": geojson_lines,
}  # fmt: skip


def marks_of(fixes: Fixes, name: str) -> list[str]:
    """How the fixes' latitudes are written in such a file."""
    if name == "nmea":
        return [f"51{(lat - 510000000) * 60 / 1e7:07.4f}" for lat in fixes.lat_e7.tolist()]
    return [f"{lat / 1e7:.7f}".rstrip("0") for lat in fixes.lat_e7.tolist()]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_the_row_named_holds_the_fix(tmp_path: Path, name: str, zipped: bool) -> None:
    data, text_of, n = CASES[name]()
    path = tmp_path / "trail.bin"
    path.write_bytes(gzip.compress(data) if zipped else data)
    told: list[Fault] = []
    fixes, rows, sha256 = read_trail_traced(path, LONDON, told.append)
    assert (len(fixes), rows.shape, rows.dtype) == (n, (n,), np.int64)
    for known, row in zip(marks_of(fixes, name), rows.tolist(), strict=True):
        assert known in text_of(row), (known, row)
    assert np.all(np.diff(rows) > 0)
    assert not {fault.row or fault.line for fault in told} & set(rows.tolist())
    plain = read_trail(path, LONDON, lambda fault: None)
    assert all(plain.column(column).tolist() == fixes.column(column).tolist() for column in NAMES)
    assert sha256 == hash_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_faults_are_raised_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(csv()[0])
    with pytest.raises(InputError, match="5 more faults"):
        read_trail_traced(tmp_path / "a.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_trail_traced(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        hash_of(tmp_path / "none.csv")


def test_a_file_without_a_fix(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    traced = read_trail_traced(tmp_path / "a.json")
    assert (len(traced.fixes), traced.rows.tolist()) == (0, [])


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    data = gzip.compress(f"device,time,lat,lon\na,{T},1,1\n".encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    traced = read_trail_traced("-")
    assert (traced.rows.tolist(), traced.sha256) == ([1], hashlib.sha256(data).hexdigest())


@given(st.lists(st.sampled_from(["good", "bad", "short", "blank"]), max_size=40), st.sampled_from(["\n", "\r\n"]))
def test_rows_of_a_csv_are_counted_whatever_stands_between(kinds: list[str], end: str) -> None:
    texts = {"good": f"a,{T},1,2", "bad": f"a,{T},north,2", "short": "a", "blank": ""}
    rows: list[range] = []
    fixes = read_csv(end.join(["device,time,lat,lon", *(texts[k] for k in kinds)]).encode(),
                     Faults("f", lambda fault: None, rows))  # type: ignore[arg-type]  # fmt: skip
    written = [kind for kind in kinds if kind != "blank"]
    found = [row for part in rows for row in part]
    assert found == [k for k, kind in enumerate(written, start=1) if kind == "good"]
    assert len(fixes) == len(found)
