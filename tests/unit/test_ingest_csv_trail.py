import gzip
import io
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.errors import InputError
from engine.fixes import ABSENT, SOURCES
from engine.times import parse_time
from ingest.csv_rows import read_rows
from ingest.csv_table import table_of
from ingest.csv_trail import COLUMNS, REQUIRED, read_csv
from ingest.fault import Fault, Faults
from ingest.trail_files import read_trail, read_trails

HEADER = "device,time,lat,lon,accuracy_m,source,speed_mps,course_deg,altitude_m,hdop,satellites,battery_pct,received"
ROW = "a,2026-03-29T01:30:00Z,53.1234567,-1.5,5.25,gps,1.5,90,20,1.1,9,80,2026-03-29T01:30:07.9Z"


def read(text: str, tz: ZoneInfo | None = None) -> tuple:
    told: list[Fault] = []
    fixes = read_csv(text.encode(), Faults("f.csv", told.append), tz)
    return fixes, told


def row(**values: str) -> str:
    fields = dict(zip(HEADER.split(","), ROW.split(","), strict=True)) | values
    return ",".join(fields.values())


def test_every_column_is_exact() -> None:
    fixes, told = read(f"{HEADER}\n{ROW}\n")
    assert not told
    assert fixes.devices == ("a",)
    assert fixes.time_us[0] == parse_time("2026-03-29T01:30:00Z")
    assert fixes.received_s[0] == parse_time("2026-03-29T01:30:07Z") // 1_000_000  # rounded down
    got = [int(fixes.column(name)[0]) for name in ("lat_e7", "lon_e7", "accuracy_cm", "source", "speed_cms", "course_cdeg",
                                                   "altitude_cm", "hdop_c", "satellites", "battery_pct")]  # fmt: skip
    assert got == [531234567, -15000000, 525, 1, 150, 9000, 2000, 110, 9, 80]


def test_columns_in_any_order_and_unknown_ones() -> None:
    fixes, told = read("note,lon,lat,time,device\nx,2,1,1500981456.059,b\n")
    assert not told
    assert fixes.time_us[0] == 1500981456059000
    assert (fixes.lat_e7[0], fixes.lon_e7[0]) == (10_000_000, 20_000_000)
    assert fixes.received_s[0] == 1500981456
    assert fixes.accuracy_cm[0] == ABSENT
    assert fixes.source[0] == SOURCES["unknown"]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + "\n" + ROW,
        HEADER + "\r\n" + ROW + "\r\n",
        HEADER + "\n\n" + ROW + "\n\n",
        "\n" + HEADER + "\n" + ROW,
        HEADER.upper() + "\n" + ROW,
        HEADER + "\n" + '"a"' + ROW[1:],
    ],
)
def test_harmless_variants(text: str) -> None:
    fixes, told = read(text)
    assert (len(fixes), told, fixes.devices) == (1, [], ("a",))


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"lat": "90.0000001"}, "lat", "out_of_range"),
        ({"lat": "nan"}, "lat", "not_a_number"),
        ({"lat": ""}, "lat", "missing"),
        ({"lat": "51.5d"}, "lat", "not_a_number"),
        ({"lat": "1_0"}, "lat", "not_a_number"),
        ({"lat": "inf"}, "lat", "not_a_number"),
        ({"lat": "1e400"}, "lat", "out_of_range"),
        ({"lat": "5\u0661"}, "lat", "not_a_number"),
        ({"lon": "-180.5"}, "lon", "out_of_range"),
        ({"accuracy_m": "-1"}, "accuracy_m", "out_of_range"),
        ({"accuracy_m": "NaN"}, "accuracy_m", "not_a_number"),
        ({"accuracy_m": "null"}, "accuracy_m", "not_a_number"),
        ({"battery_pct": "101"}, "battery_pct", "out_of_range"),
        ({"satellites": "7.5"}, "satellites", "out_of_range"),
        ({"course_deg": "361"}, "course_deg", "out_of_range"),
        ({"source": "moon"}, "source", "unknown_source"),
        ({"time": ""}, "time", "missing"),
        ({"device": ""}, "device", "missing"),
        ({"time": "2026-03-29T01:30:00"}, "time", "bad_time"),
        ({"time": "1025-03-29T01:30:00Z"}, "time", "bad_time"),
        ({"time": "2999-03-29T01:30:00Z"}, "time", "bad_time"),
        ({"time": "2026-02-29T01:30:00Z"}, "time", "bad_time"),
        ({"time": "1500981456059"}, "time", "bad_time"),
        ({"received": "x"}, "received", "bad_time"),
        ({"device": "x" * 129}, "device", "bad_device"),
        ({"device": "a\x01"}, "device", "bad_device"),
    ],
)
def test_each_fault_names_row_line_field_and_value(changes: dict[str, str], field: str, code: str) -> None:
    text = f"{HEADER}\n{ROW}\n\n{row(**changes)}\n{ROW}\n"
    fixes, told = read(text)
    assert len(fixes) == 2
    assert [(fault.row, fault.line, fault.field, fault.code, fault.file) for fault in told] == [
        (2, 4, field, code, "f.csv")
    ]
    value = next(iter(changes.values()))
    assert str(told[0].value or "") == value
    faults = Faults("f.csv")
    read_csv(text.encode(), faults)
    with pytest.raises(InputError, match=rf"f.csv, row 2 \(line 4\): {field} is "):
        faults.settle()


def test_absent_is_absent_and_a_source_has_any_case() -> None:
    changes = dict.fromkeys(HEADER.split(",")[4:], "")
    fixes, told = read(f"{HEADER}\n{row(**changes)}\n{row(source='GPS')}\n")
    assert not told
    assert all(fixes.column(name)[0] == ABSENT for name in ("accuracy_cm", "speed_cms", "battery_pct", "hdop_c"))
    assert fixes.source.tolist() == [0, 1]
    assert fixes.received_s[0] == fixes.time_us[0] // 1_000_000


def test_the_first_fault_says_how_many_more() -> None:
    text = f"{HEADER}\n{row(lat='x')}\n{ROW}\n{row(lon='y')}\n{row(lat='z')}\n"
    faults = Faults("f.csv")
    read_csv(text.encode(), faults)
    with pytest.raises(InputError, match=r"row 1 .*'x'.*and 2 more faults"):
        faults.settle()


def test_a_row_with_too_few_fields_and_an_open_quote_are_faults() -> None:
    _, told = read(f"{HEADER}\na,b\n{ROW}\n")
    assert [(fault.row, fault.code) for fault in told] == [(1, "wrong_row")]
    fixes, told = read(f'{HEADER},note\n{ROW},"open\n{ROW},x\n')
    assert len(fixes) == 0
    assert told[0].code == "wrong_row"
    assert "lines 2 to 3" in told[0].message
    _, told = read(f'{HEADER},note\n{ROW},"open\n{ROW},"x\n')
    assert told[0].code == "wrong_row"


def test_a_quoted_note_with_line_ends_keeps_the_rows_whole() -> None:
    fixes, told = read(f'{HEADER},note\n{ROW},"one\n{ROW},two"\n{row(device="b")},x\n')
    assert (fixes.devices, told) == (("a", "b"), [])


def test_rows_and_lines_are_right_in_a_long_file() -> None:
    lines = [row(device=f"d{i % 7}") for i in range(4000)]
    lines[2500] = row(lat="x")
    fixes, told = read("\n".join([HEADER, *lines]))
    assert len(fixes) == 3999
    assert [(fault.row, fault.line) for fault in told] == [(2501, 2502)]
    assert [fixes.devices[code] for code in fixes.device[:7]] == [f"d{i}" for i in range(7)]


@pytest.mark.parametrize("when", [
    "2026-03-29T01:30:00Z", "2026-03-29 01:30Z", "2026-03-29T01:30:00.123456+01:00", "2026-03-29T01:30:00-0330",
    "2026-03-29T01:30:00+01", "2026-03-29T01Z", "2026-03-29", "2026-03-29T01:30:00.1234567Z", "2026-03-29T23:59:60Z",
    "2026-03-29T24:00:00Z", "2026-03-29T01:30:00+24:00", "1774744200", "1774744200.123456", "1774744200.1234565",
    "1.5e9", "-5", "+1774744200", " 1774744200 ", "1774744200.", "2026-03-29T01:30:00z", "2026-03-29T01:30:00,5Z",
])  # fmt: skip
def test_the_quick_and_the_slow_way_read_times_alike(when: str) -> None:
    text = f'device,time,lat,lon\na,"{when}",1,2\n'.encode()
    quick, slow = Faults("q", lambda _: None), Faults("s", lambda _: None)
    fixes = read_csv(text, quick)
    rows, n_rows = read_rows(table_of(text, "s", COLUMNS, REQUIRED), slow, COLUMNS)
    assert n_rows == 1
    assert (fixes.time_us.tolist(), quick.count) == (rows.time_us.tolist(), slow.count)


@pytest.mark.parametrize("zone", ["Europe/London", "America/St_Johns", "Asia/Kathmandu"])
def test_times_without_a_zone_take_the_one_given(zone: str) -> None:
    tz = ZoneInfo(zone)
    whens = ["2026-03-29T01:30:00", "2026-10-25 01:30", "2026-07-01T12:00:00.5", "2006-10-29T00:00:30"]
    fixes, told = read("device,time,lat,lon\n" + "".join(f"a,{when},1,2\n" for when in whens), tz)
    assert not told
    assert fixes.time_us.tolist() == [parse_time(when, tz) for when in whens]


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"", "empty"),
        (b"  \n\n", "empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "PNG"),
        (b'{"a": 1}', "JSON"),
        (b"PK\x03\x04", "ZIP"),
        (b"<kml></kml>", "no GPX"),
        (b"a,b,c\n1,2,3\n", "no column device, time, lat, lon"),
        (b"device,time,lat\n", "no column lon"),
        (b"device,time,lat,lon,lat\n", "more than once"),
        (b"\x1f\x8bxxxx", "damaged gzip"),
        (b"PAR1xxxx", "Parquet"),
        (b"\xff\xfed\0e\0v\0", "binary"),
        (b"<gpx><trk>", "GPX"),
        (b"\xe9,time\n", "UTF-8"),
    ],
)
def test_files_of_another_kind_are_refused_by_name(tmp_path: Path, data: bytes, wanted: str) -> None:
    path = tmp_path / "trail.csv"
    path.write_bytes(data)
    with pytest.raises(InputError, match=wanted) as caught:
        read_trail(path, on_fault=lambda _: None)
    assert str(path) in str(caught.value)


def test_gzip_standard_input_and_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = f"{HEADER}\n{ROW}\n".encode()
    (tmp_path / "one").write_bytes(gzip.compress(whole))
    (tmp_path / "two").write_bytes(f"{HEADER}\n{row(device='b')}\n{ROW}\n".encode())
    fixes = read_trails([tmp_path / "one", tmp_path / "two"])
    assert [fixes.devices[code] for code in fixes.device] == ["a", "b", "a"]

    class Standard:
        buffer = io.BytesIO(whole)

    monkeypatch.setattr("sys.stdin", Standard())
    assert len(read_trail("-")) == 1
    with pytest.raises(InputError, match="cannot be read"):
        read_trail(tmp_path / "none")


def test_a_header_alone_holds_no_fixes() -> None:
    fixes, told = read(HEADER + "\n")
    assert (len(fixes), told) == (0, [])


def test_real_phones(shared_data: Path) -> None:
    text = gzip.decompress((shared_data / "phones_saopaulo/fixes.csv.gz").read_bytes()).decode()
    header, body = text.split("\n", 1)
    names = {"user": "device", "ts": "time", "heading": "course_deg", "write_ts": "received"}
    told: list[Fault] = []
    new = ",".join(names.get(name, name) for name in header.split(","))
    fixes = read_csv(f"{new}\n{body}".encode(), Faults("f", told.append))
    assert len(fixes) + len({fault.row for fault in told}) == 49_866
    assert fixes.time_us[0] == 1500981456059000
    assert fixes.lat_e7[0] == -235655504
    assert len(fixes.devices) == 12
    assert np.all(fixes.received_s > 0)
