import gzip
import json
from contextlib import suppress
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.fixes import ABSENT, NAMES, OPTIONAL, POSITION, SOURCE_NAMES, SOURCES, Fixes
from engine.times import EARLIEST_US, LATEST_US, parse_time, to_iso
from ingest.fault import Fault, Faults
from ingest.json_trail import read_json_trail
from ingest.trail_files import read_trail

TIME = "2026-03-29T01:30:00.250Z"
POINT = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [-1.5, 53.1234567]},
         "properties": {"device": "a", "time": TIME}}  # fmt: skip


def read(document: object, tz: ZoneInfo | None = None) -> tuple[Fixes, list[Fault]]:
    told: list[Fault] = []
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_json_trail(data, Faults("a.geojson", told.append), "walk", tz), told


def point(coordinates: object = (-1.5, 53.1234567), kind: str = "Point", **properties: object) -> dict:
    kept = {key: value for key, value in ({"device": "a", "time": TIME} | properties).items() if value is not ...}
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": kept}


def collection(*features: object, **more: object) -> dict:
    return {"type": "FeatureCollection", **more, "features": list(features)}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(collection(POINT)),
        json.dumps(collection(POINT), indent=2),
        json.dumps(POINT),
        json.dumps([POINT]),
        json.dumps({"locations": [POINT]}),
        json.dumps(POINT) + "\n",
        "\x1e" + json.dumps(POINT) + "\n",
        json.dumps(collection(POINT)) + "\n" + json.dumps(collection()) + "\n",
    ],
)
def test_every_shape(tmp_path: Path, text: str) -> None:
    for name, data in (
        ("a", text.encode()),
        ("b", b"\xef\xbb\xbf\r\n" + text.encode()),
        ("c", gzip.compress(text.encode())),
    ):
        (tmp_path / name).write_bytes(data)
        fixes = read_trail(tmp_path / name)
        assert (fixes.devices, fixes.time_us.tolist()) == (("a",), [parse_time(TIME)])
        assert (fixes.lat_e7[0], fixes.lon_e7[0], fixes.accuracy_cm[0]) == (531234567, -15000000, ABSENT)


def test_every_property() -> None:
    fixes, told = read(collection(point([-1.5, 53, 99], accuracy_m=5.25, source="WiFi", speed_mps=1.5, course_deg=90, altitude_m=20,
                                        hdop=1.1, satellites=9, battery_pct=80, received="2026-03-29T01:30:07.9Z")))  # fmt: skip
    assert not told
    got = [int(fixes.column(name)[0]) for name in NAMES[4:]]
    assert got == [525, SOURCES["wifi"], 150, 9000, 2000, 110, 9, 80, parse_time("2026-03-29T01:30:07Z") // 10**6]


def test_other_names_and_what_is_not_guessed() -> None:
    fixes, told = read(collection(point([-1.5, 53, 7], device=..., time=..., device_id=12, timestamp=1774747800, accuracy=12,
                                        speed=40, battery_level=0.4, id="x", accuracy_m=None)))  # fmt: skip
    assert not told
    assert (fixes.devices, fixes.time_us[0], fixes.accuracy_cm[0]) == (("12",), 1774747800_000000, 1200)
    assert (fixes.altitude_cm[0], fixes.speed_cms[0], fixes.battery_pct[0]) == (700, ABSENT, ABSENT)


def test_without_a_device_it_is_the_file() -> None:
    assert read(collection(point(device=...)))[0].devices == ("walk",)


def test_a_time_without_a_zone_needs_one() -> None:
    naive = collection(point(time="2026-07-01T12:00:00"))
    assert [(fault.code, fault.field) for fault in read(naive)[1]] == [("bad_time", "time")]
    assert read(naive, ZoneInfo("Europe/London"))[0].time_us[0] == parse_time("2026-07-01T11:00:00Z")


def line(kind: str, coordinates: list, **properties: object) -> dict:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


@pytest.mark.parametrize("times", [{"coordTimes": [TIME, "2026-03-29T01:31:00Z"]},
                                   {"coordinateProperties": {"times": [TIME, "2026-03-29T01:31:00Z"]}}])  # fmt: skip
def test_lines_with_times(times: dict) -> None:
    fixes, told = read(collection(line("LineString", [[1, 2, 5], [3, 4]], name="tag 7", **times)))
    assert not told
    assert (fixes.devices, fixes.lat_e7.tolist(), fixes.altitude_cm.tolist()) == (
        ("tag 7",),
        [20000000, 40000000],
        [500, ABSENT],
    )
    parts = {"coordTimes": [[TIME], ["2026-03-29T01:31:00Z"]]}
    fixes, told = read(collection(line("MultiLineString", [[[1, 2]], [[3, 4]]], **parts)))
    assert (fixes.devices, fixes.lon_e7.tolist(), told) == (("walk",), [10000000, 30000000], [])


@pytest.mark.parametrize(
    ("feature", "code", "field"),
    [
        (point(time=...), "missing", "time"),
        (point(time=None), "missing", "time"),
        (point(time="noon"), "bad_time", "time"),
        (point(time=1774747800000), "bad_time", "time"),
        (point(time=True), "bad_time", "time"),
        (point(time=..., timestamp="2026-03-29"), "bad_time", "timestamp"),
        (point(device=""), "bad_value", "device"),
        (point(device=[1]), "bad_value", "device"),
        (point(accuracy_m="12"), "bad_value", "accuracy_m"),
        (point(accuracy_m=-1), "out_of_range", "accuracy_m"),
        (point(horizontal_accuracy=-1), "out_of_range", "horizontal_accuracy"),
        (point(satellites=1.5), "out_of_range", "satellites"),
        (point(speed_mps=10**400), "out_of_range", "speed_mps"),
        (point(source="moon"), "bad_value", "source"),
        (point(received="?"), "bad_time", "received"),
        (point([1]), "bad_value", "coordinates"),
        (point(None), "missing", "coordinates"),
        (point(["1", 2]), "bad_value", "lon"),
        (point([1, 91]), "out_of_range", "lat"),
        (point([181, 1]), "out_of_range", "lon"),
        (point([[1, 2]], kind="MultiPoint"), "bad_feature", "geometry"),
        (line("LineString", [[1, 2]]), "missing", "coordTimes"),
        (line("LineString", [[1, 2]], coordTimes=[TIME, TIME]), "bad_feature", "coordTimes"),
        ({"type": "Feature", "geometry": None, "properties": {}}, "missing", "geometry"),
        ({"type": "Point", "coordinates": [1, 2]}, "bad_feature", "type"),
        (7, "bad_feature", "type"),
    ],
)
def test_each_fault_names_its_feature_field_and_value(feature: object, code: str, field: str) -> None:
    for data, line_number in (
        (json.dumps(collection(POINT, feature, POINT)), 0),
        ("\n".join(map(json.dumps, (POINT, feature, POINT))), 2),
    ):
        fixes, told = read(data.encode())
        assert len(fixes) == 2
        assert [(fault.row, fault.line, fault.code, fault.field) for fault in told] == [(2, line_number, code, field)]
        assert told[0].expected


def test_all_faults_of_a_point_and_where_in_a_line() -> None:
    _, told = read(collection(POINT, line("LineString", [[1, 2], [1, 99], [3, 4]], coordTimes=[TIME, TIME, "x"]),
                              point(time="x", hdop="y")))  # fmt: skip
    assert [(fault.row, fault.field) for fault in told] == [(3, "lat"), (4, "time"), (5, "time"), (5, "hdop")]
    assert "feature 2" in told[0].message
    assert (told[0].value, told[1].value) == (99, "x")


@pytest.mark.parametrize(
    "zone",
    [
        line("Polygon", [[[0, 0], [1, 0], [1, 1], [0, 0]]], id="z1"),
        line("MultiPolygon", [], id="z1"),
        line("Point", [1, 2], id="z1", radius_m=50),
    ],
)
def test_a_file_of_zones_is_no_trail(zone: dict) -> None:
    with pytest.raises(InputError, match="feature 2 is a .*: this is a file of zones, not a trail"):
        read(collection(POINT, zone))


def test_real_zones_are_refused(shared_data: Path) -> None:
    for path in (
        "zones_osm/zones.geojson.gz",
        "zones_lincolnshire/lincolnshire_wards.geojson",
        "zones_us/dc_wards_2022.geojson",
    ):
        with pytest.raises(InputError, match="feature 1 is a .*Polygon: this is a file of zones"):
            read_trail(shared_data / path, on_fault=lambda fault: None)


def test_other_reference_systems_are_refused() -> None:
    named = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::27700"}}
    with pytest.raises(InputError, match="crs is .*27700.*WGS84"):
        read(collection(POINT, crs=named))
    assert (
        len(read(collection(POINT, crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}))[0]) == 1
    )


def test_an_empty_collection_has_no_fixes() -> None:
    assert len(read(collection())[0]) == 0
    with pytest.raises(InputError, match="without a list of features"):
        read({"type": "FeatureCollection", "features": None})


@st.composite
def fix_batches(draw: st.DrawFn) -> Fixes:
    n = draw(st.integers(1, 6))

    def numbers(least: int, most: int, absent: bool = False) -> list[int]:
        value = st.integers(least, most)
        return draw(st.lists(value | st.just(ABSENT) if absent else value, min_size=n, max_size=n))

    columns = {column.name: numbers(int(column.least * column.scale), int(column.most * column.scale), column in OPTIONAL)
               for column in (*POSITION, *OPTIONAL)}  # fmt: skip
    times, source = (
        numbers(EARLIEST_US, LATEST_US - 1),
        draw(st.lists(st.sampled_from(list(SOURCE_NAMES)), min_size=n, max_size=n)),
    )
    received = numbers(EARLIEST_US // 10**6, LATEST_US // 10**6 - 1)
    return Fixes.of(("a", "b c"), device=numbers(0, 1), time_us=times, source=source, received_s=received, **columns)


@given(fix_batches(), st.booleans())
def test_what_is_written_is_read_again(fixes: Fixes, as_lines: bool) -> None:
    features = []
    for k in range(len(fixes)):
        properties = {column.key: int(fixes.column(column.name)[k]) / column.scale for column in OPTIONAL
                      if fixes.column(column.name)[k] != ABSENT}  # fmt: skip
        properties |= {"device": fixes.devices[fixes.device[k]], "source": SOURCE_NAMES[int(fixes.source[k])],
                       "time": to_iso(fixes.time_us[k]), "received": int(fixes.received_s[k])}  # fmt: skip
        features.append({"type": "Feature", "properties": properties, "geometry": {
            "type": "Point", "coordinates": [int(fixes.lon_e7[k]) / 1e7, int(fixes.lat_e7[k]) / 1e7]}})  # fmt: skip
    got, told = read("\n".join(map(json.dumps, features)).encode() if as_lines else collection(*features))
    assert not told
    assert [got.devices[code] for code in got.device] == [fixes.devices[code] for code in fixes.device]
    for name in NAMES[1:]:
        assert got.column(name).tolist() == fixes.column(name).tolist(), name


@given(st.sampled_from([b'{"type":"FeatureCollection","features":[', json.dumps(POINT).encode() + b"\n",
                        b'{"type":"Feature","geometry":', json.dumps(collection(POINT)).encode()[:-2] + b","]),
       st.binary(max_size=120))  # fmt: skip
def test_any_bytes_behind_the_head(head: bytes, tail: bytes) -> None:
    for data in (head + tail, head + tail + b"]}"):
        with suppress(InputError):
            read(data)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(10**300, 10**320) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6) | st.just(TIME),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=6,
)  # fmt: skip


@given(st.sampled_from(["Point", "LineString", "MultiLineString", "MultiPoint"]), VALUES,
       st.dictionaries(st.sampled_from(["device", "time", "timestamp", "accuracy", "source", "received", "coordTimes", "name",
                                        "coordinateProperties", "hdop", "ele"]), VALUES, max_size=8))  # fmt: skip
def test_any_values(kind: str, coordinates: object, properties: dict) -> None:
    fixes, _ = read(collection(POINT, line(kind, coordinates, **properties)))
    assert len(fixes) >= 1
