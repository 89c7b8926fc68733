import csv
import gzip
import io
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.fixes import ABSENT, NAMES, Fixes
from engine.times import parse_time
from ingest.csv_table import table_of
from ingest.fault import Fault, Faults
from ingest.moj_columns import columns_of
from ingest.moj_positions import read_positions
from ingest.moj_rows import read_rows
from ingest.trail_files import read_trail

COLUMNS = ["position_id", "device_id", "person_id", "position_gps_date", "position_recorded_date", "position_uploaded_date", "position_speed", "position_satellite", "position_direction", "position_precision", "position_lbs", "position_hdop", "position_latitude", "position_longitude"]  # fmt: skip
ROW = dict(zip(COLUMNS, ["9", "77", "5", "2025-07-01 12:00:00.000000", "2025-07-01 12:00:01.000", "2025-07-01 12:04:10.500", "36", "8",
                         "3", "12", "1", "1", "51.574865", "-0.060977"], strict=True))  # fmt: skip
UTC_ZONE, LONDON = ZoneInfo("UTC"), ZoneInfo("Europe/London")
CONDENSED = """DATE/TIME,LATITUDE,LONGITUDE,CONFIDENCE CIRCLE,SPEED,DIRECTION,SEQUENCE NO.
01/07/2025 00:00,51.574865,0.060977,100,1,-123.4724048506924,1
01/07/2025 00:01,51.574153,0.058536,400,10,-99.35088167568475,2
"""


def text_of(*rows: dict[str, str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def read(text: str | bytes, tz: ZoneInfo | None = UTC_ZONE) -> tuple[Fixes, list[Fault]]:
    told: list[Fault] = []
    data = text if isinstance(text, bytes) else text.encode()
    return read_positions(data, Faults("p.csv", told.append), "file", tz), told


def by_rows(data: bytes, tz: ZoneInfo | None = UTC_ZONE) -> tuple[Fixes, list[Fault]]:
    told: list[Fault] = []
    table = table_of(data, "p.csv", (), ())
    return read_rows(table, columns_of(table, "p.csv"), Faults("p.csv", told.append), "file", tz), told


def same(one: Fixes, two: Fixes) -> None:
    assert [one.devices[code] for code in one.device] == [two.devices[code] for code in two.device]
    for name in NAMES[1:]:
        assert one.column(name).tolist() == two.column(name).tolist(), name


def test_every_column() -> None:
    fixes, told = read(text_of(ROW))
    assert (fixes.devices, told) == (("77",), [])
    assert fixes.time_us[0] == parse_time("2025-07-01T12:00:00Z")
    assert fixes.received_s[0] == parse_time("2025-07-01T12:04:10Z") // 10**6
    assert (fixes.lat_e7[0], fixes.lon_e7[0], fixes.accuracy_cm[0]) == (515748650, -609770, 1200)
    assert (fixes.speed_cms[0], fixes.satellites[0], fixes.source[0]) == (1000, 8, 1)  # 36 km/h
    assert (fixes.course_cdeg[0], fixes.hdop_c[0]) == (ABSENT, ABSENT)  # units that nobody states


def test_local_times_are_those_of_the_zone() -> None:
    assert read(text_of(ROW), LONDON)[0].time_us[0] == parse_time("2025-07-01T11:00:00Z")
    fixes, told = read(text_of(ROW), None)
    assert (len(fixes), [(fault.row, fault.line, fault.field) for fault in told]) == (
        0, [(1, 2, "position_gps_date"), (1, 2, "position_uploaded_date")])  # fmt: skip
    assert "--tz" in told[0].expected


@pytest.mark.parametrize(
    ("code", "source"), [("1", 1), ("4", 4), ("5", 5), ("6", 6), ("0", 0), ("7", 0), ("-1", 0), ("", 0), ("5.0", 5)]
)
def test_mechanisms(code: str, source: int) -> None:
    assert read(text_of(ROW | {"position_lbs": code}))[0].source.tolist() == [source]


def test_empty_cells_are_absent() -> None:
    empty = dict.fromkeys(
        ["position_uploaded_date", "position_speed", "position_satellite", "position_precision", "position_lbs"], ""
    )
    fixes, told = read(text_of(ROW, ROW | empty))
    assert not told
    assert (fixes.speed_cms[1], fixes.satellites[1], fixes.accuracy_cm[1], fixes.source[1]) == (ABSENT, ABSENT, ABSENT, 0)
    assert fixes.received_s[1] == fixes.time_us[1] // 10**6


def test_radius_zero_stays_zero() -> None:
    assert read(text_of(ROW | {"position_precision": "0"}))[0].accuracy_cm.tolist() == [0]


def test_the_maps_exports(tmp_path: Path) -> None:
    (tmp_path / "trail.csv").write_text(CONDENSED)
    fixes = read_trail(tmp_path / "trail.csv", LONDON)
    assert fixes.devices == ("trail",)
    assert fixes.time_us.tolist() == [parse_time("2025-06-30T23:00:00Z"), parse_time("2025-06-30T23:01:00Z")]
    assert (fixes.accuracy_cm.tolist(), fixes.course_cdeg.tolist()) == ([10000, 40000], [ABSENT, ABSENT])
    with pytest.raises(
        InputError, match=r"row 1 \(line 2\): date/time is '01/07/2025 00:00': has no zone.*--tz.*Europe/London"
    ):
        read_trail(tmp_path / "trail.csv")
    full = CONDENSED.replace("DATE/TIME", "DEVICE ID,PoP NAME,DATE/TIME").replace("01/07", '123456789,"Nomis 1""",01/07')
    (tmp_path / "full.csv").write_text(full)
    assert read_trail(tmp_path / "full.csv", LONDON).devices == ("123456789",)


def test_other_columns_and_names() -> None:
    joined = (
        {"unique_device_wearer_id": "DEVWR1", "device_activation_id": "1"} | ROW | {"grouped_date": "", "client_id": ""}
    )
    assert len(read(text_of(joined))[0]) == 1
    recorded = {key: value for key, value in ROW.items() if key != "position_gps_date"}
    assert read(text_of(recorded))[0].time_us[0] == parse_time("2025-07-01T12:00:01Z")
    matched = {"device_id": "77", "captured_date_time": "2025-07-01 12:00:00", "confidence_circle": "30", "position_latitude": "51",
               "position_longitude": "0", "dist": "44.1"}  # fmt: skip
    assert read(text_of(matched))[0].accuracy_cm.tolist() == [3000]


@pytest.mark.parametrize("change", [
    lambda text: "\ufeff" + text, lambda text: "\n\r\n" + text, lambda text: text.replace("\n", "\r\n"), str.upper,
    lambda text: "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.split("\n")[:-1]),
])  # fmt: skip
def test_harmless_variants(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    data = change(text_of(ROW, ROW)).encode()
    (tmp_path / "p.csv").write_bytes(data)
    (tmp_path / "p.gz").write_bytes(gzip.compress(data))
    for name in ("p.csv", "p.gz"):
        same(read_trail(tmp_path / name, UTC_ZONE), read(text_of(ROW, ROW))[0])


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("device_id", "", "missing"),
        ("device_id", "x" * 200, "bad_device"),
        ("position_gps_date", "", "missing"),
        ("position_gps_date", "yesterday", "bad_time"),
        ("position_gps_date", "2025-02-30 12:00:00", "bad_time"),
        ("position_gps_date", "31/02/2025 12:00", "bad_time"),
        ("position_gps_date", "07/13/2025 12:00", "bad_time"),
        ("position_gps_date", "1970-01-01 00:00:00", "bad_time"),
        ("position_uploaded_date", "2999-12-12 23:59:59", "bad_time"),
        ("position_latitude", "", "missing"),
        ("position_latitude", "51.5d", "not_a_number"),
        ("position_latitude", "nan", "not_a_number"),
        ("position_latitude", "90.0000001", "out_of_range"),
        ("position_longitude", "-180.1", "out_of_range"),
        ("position_speed", "-1", "out_of_range"),
        ("position_speed", "fast", "not_a_number"),
        ("position_precision", "-5", "out_of_range"),
        ("position_satellite", "2.5", "out_of_range"),
        ("position_lbs", "gps", "unknown_source"),
        ("position_lbs", "1.5", "unknown_source"),
    ],
)
def test_each_fault_names_its_row_column_and_value(field: str, value: str, code: str) -> None:
    fixes, told = read(text_of(ROW, ROW | {field: value}, ROW))
    assert len(fixes) == 2
    assert [(fault.row, fault.line, fault.code, fault.field, fault.value) for fault in told] == [
        (2, 3, code, field, value or None)
    ]
    assert told[0].expected


def test_all_faults_of_a_row_and_rows_that_cannot_be_cut() -> None:
    text = text_of(ROW, ROW | {"position_gps_date": "?", "position_lbs": "?", "position_speed": "?"}) + "1,2,3\n"
    fixes, told = read(text)
    assert len(fixes) == 1
    assert [(fault.row, fault.code) for fault in told] == [
        (2, "bad_time"),
        (2, "unknown_source"),
        (2, "not_a_number"),
        (3, "wrong_row"),
    ]


def test_a_header_without_a_time_or_with_one_twice() -> None:
    with pytest.raises(InputError, match="no column position_gps_date or"):
        read("position_latitude,position_longitude\n1,2\n")
    with pytest.raises(InputError, match="position_latitude more than once"):
        read("position_gps_date,position_latitude,position_latitude,position_longitude\n")


def test_a_canonical_file_with_their_columns_beside_is_canonical(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "device,time,lat,lon,position_latitude,position_longitude\nx,2026-03-29T01:30:00Z,1,2,3,4\n"
    )
    assert read_trail(tmp_path / "a.csv").lat_e7.tolist() == [10000000]


BODY = {
    "device_id": st.integers(0, 10**9).map(str),
    "position_gps_date": st.integers(946_684_800, 4_102_444_799).map(lambda s: str(datetime.fromtimestamp(0, UTC) + timedelta(seconds=s))[:19]),
    "position_speed": st.integers(0, 200).map(str) | st.just(""),
    "position_satellite": st.integers(0, 30).map(str) | st.just(""),
    "position_precision": st.integers(0, 5000).map(str) | st.just(""),
    "position_lbs": st.sampled_from(["1", "4", "5", "6", "9", ""]),
    "position_latitude": st.integers(-900_000_000, 900_000_000).map(lambda e7: f"{e7 / 1e7:.7f}"),
    "position_longitude": st.integers(-1_800_000_000, 1_800_000_000).map(lambda e7: f"{e7 / 1e7:.7f}"),
}  # fmt: skip
ROWS = st.lists(st.fixed_dictionaries(BODY), min_size=1, max_size=8)


@given(ROWS)
def test_what_is_written_is_read_again(rows: list[dict[str, str]]) -> None:
    fixes, told = read(text_of(*rows))
    assert not told
    assert [fixes.devices[code] for code in fixes.device] == [row["device_id"] for row in rows]
    assert fixes.time_us.tolist() == [parse_time(row["position_gps_date"] + "Z") for row in rows]
    for column, key, scale in ((fixes.lat_e7, "position_latitude", 10**7), (fixes.lon_e7, "position_longitude", 10**7),
                               (fixes.satellites, "position_satellite", 1), (fixes.accuracy_cm, "position_precision", 100)):  # fmt: skip
        assert column.tolist() == [round(float(row[key]) * scale) if row[key] else ABSENT for row in rows]
    assert fixes.speed_cms.tolist() == [ABSENT if not row["position_speed"] else
                                        round(int(row["position_speed"]) * 1000 / 36) for row in rows]  # fmt: skip


ODD = st.sampled_from(["", " ", "nan", "1e3", "inf", '"', '"1"', " 1", "1_0", "01/07/2025 12:00", "2025-07-01 12:00", "30/03/2025 01:30",
                       "0x10", "9", "-0", "5.", "\u0661", "2025-07-01T12:00:00Z", "\x00", "1.0"])  # fmt: skip


@given(
    ROWS,
    st.lists(st.tuples(st.integers(0, 7), st.sampled_from(list(BODY)), ODD), max_size=3),
    st.sampled_from([None, UTC_ZONE, LONDON]),
)
def test_the_quick_way_and_the_slow_one_agree(rows: list[dict[str, str]], odd: list, tz: ZoneInfo | None) -> None:
    rows = [dict(row) for row in rows]
    for k, field, value in odd:
        rows[k % len(rows)][field] = value
    for data in (text_of(*rows).encode(), "\n".join([",".join(BODY), *(",".join(row.values()) for row in rows)]).encode()):
        (one, told), (two, also) = read(data, tz), by_rows(data, tz)
        same(one, two)
        assert told == also


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_behind_the_head(tail: bytes, in_header: bool) -> None:
    head = ",".join(COLUMNS).encode()
    with suppress(InputError):
        read(head + tail if in_header else head + b"\n" + tail)
