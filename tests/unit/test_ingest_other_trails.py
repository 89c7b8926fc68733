import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import InputError
from engine.fixes import ABSENT
from ingest.fault import Fault
from ingest.trail_files import read_trail

GPX = """<?xml version="1.0"?><gpx version="1.0" creator="x" xmlns="http://www.topografix.com/GPX/1/0"><trk>{name}
<trkseg></trkseg><trkseg><trkpt lat="45.1" lon="13.0000001"><ele>10.5</ele><time>2026-03-29T01:30:00.25Z</time>
<speed>1.5</speed><hdop>2.5</hdop><sat>7</sat></trkpt><trkpt lat="45.2" lon="13.1"/></trkseg></trk></gpx>"""
REC = (
    '2026-03-29T01:30:00Z\t*                 \t{"_type":"location","tst":1774747800,"lat":51.5,"lon":0,"vel":36,"acc":12}\n'
    '2026-03-29T01:30:01Z\tlwt               \t{"_type":"lwt","tst":1774747801}\n'
    '2026-03-29T01:30:02Z\t*                 \t{"_type":"location","t":"p","tst":1774747802,"lat":51.5,"lon":-0.1}\n'
    '2026-03-29T01:30:03Z\t*                 \t{"_type":"location","tst":1774747803,"lat":95,"lon":-0.1}\n'
    '2026-03-29T01:30:04Z\t*                 \t{"_type":"location","tst":1774747804,"lon":-0.1}\n'
)


def read(path: Path, data: bytes | str, tz: ZoneInfo | None = None) -> tuple:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    told: list[Fault] = []
    return read_trail(path, tz, told.append), told


def test_gpx_points_and_the_one_without_time(tmp_path: Path) -> None:
    fixes, told = read(tmp_path / "walk.gpx", GPX.format(name="<name>tag 7</name>"))
    assert fixes.devices == ("tag 7",)
    assert (fixes.lat_e7[0], fixes.lon_e7[0], fixes.altitude_cm[0]) == (451000000, 130000001, 1050)
    assert (fixes.speed_cms[0], fixes.hdop_c[0], fixes.satellites[0]) == (150, 250, 7)
    assert fixes.accuracy_cm[0] == ABSENT  # a dilution is no radius
    assert fixes.time_us[0] % 1_000_000 == 250_000
    assert [(fault.row, fault.field, fault.code) for fault in told] == [(2, "time", "missing")]
    assert "track 1, segment 2, point 2" in told[0].message


def test_gpx_without_a_name_is_its_file(tmp_path: Path) -> None:
    fixes, _ = read(tmp_path / "walk.of.may.gpx.gz", GPX.format(name=""))
    assert fixes.devices == ("walk.of.may",)


def test_gpx_with_naive_times_needs_a_zone(tmp_path: Path) -> None:
    text = GPX.format(name="").replace("00.25Z", "00")
    _, told = read(tmp_path / "a.gpx", text)
    assert {fault.code for fault in told} == {"bad_time", "missing"}
    fixes, _ = read(tmp_path / "a.gpx", text, ZoneInfo("America/Sao_Paulo"))
    assert fixes.time_us[0] == 1774758600_000000


def count_dated_points(path: Path) -> int:
    """Oracle: track points with a time and an offset in the years 2000 to 2099."""
    times = [child.text or "" for point in ElementTree.parse(path).iter() if point.tag.endswith("trkpt")
             for child in point if child.tag.endswith("time")]  # fmt: skip
    return sum(re.fullmatch(r"20.*(Z|[+-]\d\d:\d\d)", text.strip()) is not None for text in times)


def test_real_gpx_files(shared_data: Path) -> None:
    results = {}
    for path in sorted((shared_data / "formats/gpx").rglob("*.gpx")):
        told: list[Fault] = []
        try:
            results[path.name] = (len(read_trail(path, on_fault=told.append)), Counter(fault.code for fault in told))
        except InputError as error:
            assert "no track points" in str(error)  # noqa: PT017
            results[path.name] = (0, Counter())
    assert results["Mojstrovka.gpx"] == (0, {"bad_time": 184})  # the year 1901
    assert results["cerknicko-without-times.gpx"] == (5, {"missing": 291})
    assert results["track-with-empty-segment.gpx"] == (9, {})
    assert results["test1.gpx"] == (0, {"bad_time": 264})  # 1970
    assert results["korita-zbevnica.gpx"] == (513, {"missing": 358})
    assert sum(n for n, _ in results.values()) == sum(map(count_dated_points, (shared_data / "formats/gpx").rglob("*.gpx")))


def test_recorder_file(tmp_path: Path) -> None:
    fixes, told = read(tmp_path / "rec/jane/phone/2026-03.rec", REC)
    assert fixes.devices == ("jane/phone",)
    assert fixes.time_us.tolist() == [1774747800_000000]
    assert (fixes.speed_cms[0], fixes.accuracy_cm[0], fixes.altitude_cm[0]) == (1000, 1200, ABSENT)
    assert [(fault.line, fault.field) for fault in told] == [(5, "lat"), (4, "lat")]
    fixes, _ = read(tmp_path / "other.rec", REC.replace('"acc":12', '"topic":"owntracks/joe/p2"'))
    assert fixes.devices == ("joe/p2",)


def table(**changes: pa.Array) -> pa.Table:
    columns = {
        "device": pa.array(["a", "b", "a"]), "time": pa.array([1774747800_000_000] * 3, pa.timestamp("us", "UTC")),
        "lat": pa.array([53.1234567, 1, 2]), "lon": pa.array([-1.5, 2, 3]),
    }  # fmt: skip
    return pa.table(columns | changes)


def write(path: Path, content: pa.Table) -> Path:
    pq.write_table(content, path)
    return path


@pytest.mark.parametrize("time", [
    pa.array([1774747800] * 3), pa.array([1774747800.0] * 3), pa.array(["2026-03-29T02:30:00+01:00"] * 3),
    pa.array([1774747800_000] * 3, pa.timestamp("ms", "Europe/London")), pa.array(["1774747800"] * 3).dictionary_encode(),
    pa.array([1774747800_000_000_999] * 3, pa.timestamp("ns", "UTC")),
])  # fmt: skip
def test_parquet_times(tmp_path: Path, time: pa.Array) -> None:
    fixes = read_trail(write(tmp_path / "t", table(time=time)))
    assert fixes.time_us.tolist() == [1774747800_000000] * 3
    assert fixes.lat_e7[0] == 531234567


def test_parquet_naive_time_needs_a_zone(tmp_path: Path) -> None:
    path = write(tmp_path / "t", table(time=pa.array([1774747800_000_000] * 3, pa.timestamp("us"))))
    with pytest.raises(InputError, match=r"time is .*has no zone"):
        read_trail(path)
    assert read_trail(path, ZoneInfo("America/Sao_Paulo")).time_us[0] == 1774758600_000000


def test_parquet_integers_nulls_and_faults(tmp_path: Path) -> None:
    content = table(accuracy_m=pa.array([None, float("nan"), -1.0]), source=pa.array(["GPS", None, "wifi"]))
    content = content.drop_columns(["lat"]).append_column("lat_e7", pa.array([531234567, 5, 6], pa.int32()))
    told: list[Fault] = []
    fixes = read_trail(write(tmp_path / "t", content), on_fault=told.append)
    assert fixes.lat_e7.tolist() == [531234567, 5]
    assert fixes.source.tolist() == [1, 0]
    assert np.all(fixes.accuracy_cm == ABSENT)
    assert [(fault.row, fault.field, fault.value) for fault in told] == [(3, "accuracy_m", -1.0)]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"device": pa.array(["a", None, "c"])}, "row 2: device is missing"),
        ({"time": pa.array(["x", "2026-03-29T02:30:00Z", None])}, "row 1: time is 'x'.*1 more fault"),
        ({"lat": pa.array([None, 1.0, 2.0])}, "row 1: lat is missing"),
        ({"lat": pa.array(["1", "2", "3"])}, "a column of numbers"),
        ({"source": pa.array(["moon", "gps", None])}, "row 1: source is 'moon'"),
        ({"time": pa.array([True, False, True])}, "time is 'bool'"),
        ({"time": pa.array([1e300, 1.0, 2.0])}, "no tag can have"),
    ],
)
def test_parquet_faults(tmp_path: Path, changes: dict[str, pa.Array], wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        read_trail(write(tmp_path / "t", table(**changes)))


def test_parquet_without_its_columns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column device, lat, lon"):
        read_trail(write(tmp_path / "t", pa.table({"time": [1]})))
