"""Crime files: which form a file is, the police batch with every fault code, and files in a bad state."""

import gzip
import io
import json

import pytest

from crime_match.crimes.files import read_crimes
from crime_match.crimes.moj_batch import FORCES, TYPES
from crime_match.crimes.national_grid import to_wgs84
from engine.errors import InputError
from engine.times import parse_time

FIELDS = (
    "force",
    "type",
    "description",
    "batch",
    "reference",
    "from_",
    "to",
    "east",
    "north",
    "lat",
    "lon",
    "datum",
    "text",
)
GOOD = ("Metropolitan", "TOMV", "Theft", "MPS20250126", "CRI1", "20250125083000", "20250125103000", "", "", "51.50741",
        "-0.12775", "WGS84", "Car taken")  # fmt: skip


def row(**changed):
    values = dict(zip(FIELDS, GOOD, strict=True)) | changed
    return ",".join(
        '"' + value.replace('"', '""') + '"' if any(c in value for c in ',"\n\r') else value for value in values.values()
    )


@pytest.fixture
def read(tmp_path):
    def read_text(*rows, **options):
        data = "\n".join(rows).encode() if rows and isinstance(rows[0], str) else b"\n".join(rows)
        path = tmp_path / "crimes.csv"
        path.write_bytes(data)
        return read_crimes(path, **options)

    return read_text


def codes(file):
    return [(fault.row, fault.code, fault.field) for fault in file.faults]


def test_a_good_row(read):
    file = read(row())
    assert (file.form, file.n_rows, file.faults, file.rows) == ("moj", 1, [], [1])
    crime = file.crimes[0]
    assert (crime.force, crime.reference, crime.type, crime.batch, crime.text) == (
        "Metropolitan", "CRI1", "TOMV", "MPS20250126", "Car taken",
    )  # fmt: skip
    assert (crime.from_us, crime.to_us) == (parse_time("2025-01-25T08:30:00Z"), parse_time("2025-01-25T10:30:00Z"))
    assert (crime.lat, crime.lon, crime.uncertainty_m, crime.easting_m, crime.northing_m) == (
        51.50741,
        -0.12775,
        0,
        None,
        None,
    )


def test_a_place_in_the_national_grid(read):
    crime = read(row(east="497600", north="371400.50", lat="", lon="")).crimes[0]
    assert (crime.lat, crime.lon) == to_wgs84(497600.0, 371400.5)
    assert (crime.easting_m, crime.northing_m) == (497600.0, 371400.5)


@pytest.mark.parametrize(("force", "code"), FORCES.items())
def test_every_force_with_its_code(read, force, code):
    file = read(row(force=f" {force} ", batch=f"{code}20250126-1-R"))
    assert (file.faults, file.crimes[0].force) == ([], force)
    assert len(FORCES) == 19


@pytest.mark.parametrize("kind", TYPES)
def test_every_crime_type_in_any_case(read, kind):
    assert read(row(type=f" {kind.lower()} ")).crimes[0].type == kind
    assert len(TYPES) == 7


PLACES = {"east": "", "north": "", "lat": "", "lon": ""}


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"force": "Metropolitan Police"}, "INVALID_POLICE_FORCE", "policeForce"),
        ({"force": "metropolitan"}, "INVALID_POLICE_FORCE", "policeForce"),
        ({"force": ""}, "INVALID_POLICE_FORCE", "policeForce"),
        ({"type": "BURG"}, "INVALID_CRIME_TYPE", "crimeTypeId"),
        ({"type": ""}, "INVALID_CRIME_TYPE", "crimeTypeId"),
        ({"batch": " "}, "MISSING_BATCH_ID", "batchId"),
        ({"batch": "BFD20250126"}, "INVALID_BATCH_ID_FORMAT", "batchId"),
        ({"batch": "MPS20250101xyz"}, "INVALID_BATCH_ID_FORMAT", "batchId"),
        ({"batch": "MPS20250101-12"}, "INVALID_BATCH_ID_FORMAT", "batchId"),
        ({"batch": "MPS2025012"}, "INVALID_BATCH_ID_FORMAT", "batchId"),
        ({"batch": "xMPS20250126"}, "INVALID_BATCH_ID_FORMAT", "batchId"),
        ({"batch": "MPS20253001"}, "INVALID_BATCH_ID_DATE", "batchId"),
        ({"batch": "MPS20250229"}, "INVALID_BATCH_ID_DATE", "batchId"),
        ({"batch": "MPS10250126"}, "INVALID_BATCH_ID_DATE", "batchId"),
        ({"reference": "  "}, "MISSING_CRIME_REFERENCE", "crimeReference"),
        ({"reference": "A\nB"}, "INVALID_TEXT", "crimeReference"),
        ({"reference": "A" * 201}, "INVALID_TEXT", "crimeReference"),
        ({"reference": "A\u202eB"}, "INVALID_TEXT", "crimeReference"),
        ({"text": "A\0B"}, "INVALID_TEXT", "crimeText"),
        ({"from_": ""}, "INVALID_FROM_DATE_FORMAT", "dateFrom"),
        ({"from_": "2025-01-25T08:30:00Z"}, "INVALID_FROM_DATE_FORMAT", "dateFrom"),
        ({"from_": "20250231083000"}, "INVALID_FROM_DATE_FORMAT", "dateFrom"),
        ({"from_": "20250125240000"}, "INVALID_FROM_DATE_FORMAT", "dateFrom"),
        ({"from_": "202501250830"}, "INVALID_FROM_DATE_FORMAT", "dateFrom"),
        ({"from_": "10250125083000"}, "INVALID_FROM_DATE_FORMAT", "dateFrom"),
        ({"from_": "２０２５0125083000"}, "INVALID_FROM_DATE_FORMAT", "dateFrom"),
        ({"to": "20250431103000"}, "INVALID_TO_DATE_FORMAT", "dateTo"),
        ({"to": "20250125103060"}, "INVALID_TO_DATE_FORMAT", "dateTo"),
        ({"to": "20250125082959"}, "CRIME_DATE_TIME_TO_AFTER_FROM", "dateTo"),
        ({"to": "20250125203001"}, "CRIME_DATE_TIME_EXCEEDS_WINDOW", "dateTo"),
        ({"lat": "51.5d"}, "INVALID_NUMBER", "latitude"),
        ({"lat": "0x1p5"}, "INVALID_NUMBER", "latitude"),
        ({"lat": "5.15e1"}, "INVALID_NUMBER", "latitude"),
        ({"lat": "nan"}, "INVALID_NUMBER", "latitude"),
        ({"lon": "Infinity"}, "INVALID_NUMBER", "longitude"),
        ({"lon": "0,5"}, "INVALID_NUMBER", "longitude"),
        (PLACES | {"east": "1e2", "north": "371400"}, "INVALID_NUMBER", "easting"),
        ({"lat": ""}, "DEPENDENT_LOCATION_DATA", "longitude"),
        ({"lon": ""}, "DEPENDENT_LOCATION_DATA", "latitude"),
        (PLACES | {"east": "497600"}, "DEPENDENT_LOCATION_DATA", "easting"),
        (PLACES | {"north": "371400"}, "DEPENDENT_LOCATION_DATA", "northing"),
        ({"lat": "49.4999"}, "INVALID_LOCATION_DATA_RANGE", "latitude"),
        ({"lat": "61.5001"}, "INVALID_LOCATION_DATA_RANGE", "latitude"),
        ({"lon": "-8.5001"}, "INVALID_LOCATION_DATA_RANGE", "longitude"),
        ({"lon": "2.6001"}, "INVALID_LOCATION_DATA_RANGE", "longitude"),
        (PLACES | {"east": "600001", "north": "371400"}, "INVALID_LOCATION_DATA_RANGE", "easting"),
        (PLACES | {"east": "-1", "north": "371400"}, "INVALID_LOCATION_DATA_RANGE", "easting"),
        (PLACES | {"east": "497600", "north": "1300001"}, "INVALID_LOCATION_DATA_RANGE", "northing"),
        (PLACES | {"east": "0", "north": "0"}, "INVALID_LOCATION_DATA_RANGE", "easting"),  # past OSTN15
        (PLACES, "MISSING_LOCATION_DATA", None),
    ],
)  # fmt: skip
def test_each_fault_alone(read, changed, code, field):
    file = read(row(), row(reference="CRI2", lat="51.6"), row(**{"reference": "CRI3"} | changed))
    assert codes(file) == [(3, code, field)]
    assert [crime.reference for crime in file.crimes] == ["CRI1", "CRI2"]
    assert file.n_rows == 3


def test_farther_east_than_the_format_reaches_says_what_to_do(read):
    """Dover and Lowestoft lie east of 600000, where the ministry's format ends."""
    fault = read(row(east="631900", north="141500", lat="", lon="")).faults[0]
    assert fault.code == "INVALID_LOCATION_DATA_RANGE"
    assert "latitude and longitude" in fault.message


def test_two_kinds_of_place_are_a_fault_of_each_filled_field(read):
    file = read(row(east="497600", north="371400"))
    assert codes(file) == [
        (1, "MULTIPLE_LOCATION_DATA_TYPES", name) for name in ("easting", "northing", "latitude", "longitude")
    ]


@pytest.mark.parametrize("n_columns", [1, 3, 12, 14])
def test_another_number_of_columns_is_the_only_fault_of_the_row(read, n_columns):
    file = read(row(), ",".join(["x"] * n_columns))
    assert codes(file) == [(2, "INVALID_COLUMN_COUNT", None)]
    assert (file.faults[0].value, len(file.crimes)) == (None, 1)


def test_all_faults_of_a_row_at_once_in_the_order_of_the_columns(read):
    bad = row(type="x", batch="MPS20250126xyz", reference="", from_="20250231083000", to="20250125243000",
              east="1", lat="51.5d", lon="0x1p5", text="a\0b")  # fmt: skip
    file = read(row(), bad)
    assert codes(file) == [
        (2, "INVALID_CRIME_TYPE", "crimeTypeId"), (2, "INVALID_BATCH_ID_FORMAT", "batchId"),
        (2, "MISSING_CRIME_REFERENCE", "crimeReference"), (2, "INVALID_FROM_DATE_FORMAT", "dateFrom"),
        (2, "INVALID_TO_DATE_FORMAT", "dateTo"), (2, "DEPENDENT_LOCATION_DATA", "easting"),
        (2, "INVALID_NUMBER", "latitude"), (2, "INVALID_NUMBER", "longitude"), (2, "INVALID_TEXT", "crimeText"),
    ]  # fmt: skip
    outside = read(row(batch="", **PLACES | {"east": "5", "north": "5"}))
    assert [fault.code for fault in outside.faults] == ["MISSING_BATCH_ID", "INVALID_LOCATION_DATA_RANGE"]


def test_a_row_of_commas_only_is_judged_field_by_field(read):
    assert [fault.code for fault in read("," * 12).faults] == [
        "INVALID_POLICE_FORCE", "INVALID_CRIME_TYPE", "MISSING_CRIME_REFERENCE", "INVALID_FROM_DATE_FORMAT",
        "INVALID_TO_DATE_FORMAT", "MISSING_LOCATION_DATA",
    ]  # fmt: skip


def test_the_longest_window_and_the_echo_of_a_longer_one(read):
    assert read(row(to="20250125203000")).faults == []
    assert read(row(to="20250125083000")).faults == []
    assert read(row(to="20250125212959")).faults[0].value == "12h 59m"


def test_a_fault_as_json_and_as_an_error(read):
    file = read(row(), row(reference="CRI2", type="BURG", lat=""))
    lines = [json.dumps(fault.record()) for fault in file.faults]
    assert list(json.loads(lines[0])) == ["row", "code", "field", "value", "message"]
    assert lines[0].startswith(
        '{"row": 2, "code": "INVALID_CRIME_TYPE", "field": "crimeTypeId", "value": "BURG", "message": "'
    )
    assert json.loads(json.dumps(read(row(**PLACES)).faults[0].record()))["field"] is None
    with pytest.raises(
        InputError, match=r"crimes.csv, row 2 \(line 2\): crimeTypeId is 'BURG'.*and 1 more fault in"
    ) as error:
        file.settle()
    assert "INVALID_CRIME_TYPE" in str(error.value)
    read(row()).settle()


def test_a_reference_twice_is_a_fault_that_names_both_rows(read):
    file = read(row(), row(reference="CRI2"), row(to="20250125113000"), row())
    assert codes(file) == [
        (3, "DUPLICATE_CRIME_REFERENCE", "crimeReference"),
        (4, "DUPLICATE_CRIME_REFERENCE", "crimeReference"),
    ]
    assert "row 3 repeats the reference of row 1, not identical" in file.faults[0].message
    assert "row 4 repeats the reference of row 1, identical in everything" in file.faults[1].message
    assert [crime.reference for crime in file.crimes] == ["CRI1", "CRI2"]
    assert file.crimes[0].to_us == parse_time("2025-01-25T10:30:00Z")


def test_a_bad_row_does_not_stand_in_the_way_of_a_good_one_with_its_reference(read):
    file = read(row(type="x"), row(), row(type="y"))
    assert codes(file) == [
        (1, "INVALID_CRIME_TYPE", "crimeTypeId"), (3, "INVALID_CRIME_TYPE", "crimeTypeId"),
        (3, "DUPLICATE_CRIME_REFERENCE", "crimeReference"),
    ]  # fmt: skip
    assert file.rows == [2]


def test_two_forces_or_two_batch_ids_refuse_the_batch(read):
    other = row(reference="K1", force="Kent", batch="KNT20250126")
    file = read(row(), row(reference="CRI2"), other)
    assert codes(file) == [(3, "MULTIPLE_POLICE_FORCES", "policeForce")]
    assert (file.crimes, file.rows, file.n_rows) == ([], [], 3)
    file = read(row(), row(reference="CRI2", batch="MPS20250126-1"))
    assert codes(file) == [(2, "MULTIPLE_BATCH_IDS", "batchId")]
    assert "MPS20250126" in file.faults[0].message
    assert file.crimes == []
    assert (
        len(read(row(), row(reference="K1", force="Kent", batch="KNT20250126", type="x")).crimes) == 1
    )  # of good rows only


def test_byte_order_mark_line_ends_and_blank_lines(read):
    file = read(b"\xef\xbb\xbf" + row().encode() + b"\r\n\r\n  \r\n" + row(reference="CRI2", type="x").encode() + b"\r\n")
    assert len(file.crimes) == 1
    assert [(fault.row, fault.line) for fault in file.faults] == [(2, 4)]


def test_quoted_newlines_and_quotes(read):
    file = read(row(text='He said "no",\nthen left'), row(reference="CRI2", type="x"))
    assert file.crimes[0].text == 'He said "no",\nthen left'
    assert [(fault.row, fault.line) for fault in file.faults] == [(2, 3)]


def test_an_open_quote_costs_its_own_row_only(read):
    rows = [row(), row(reference="CRI2").replace("Car taken", '"Car taken'), row(reference="CRI3"), row(reference="CRI4")]
    file = read(*rows)
    assert codes(file) == [(2, "INVALID_COLUMN_COUNT", None)]
    assert [crime.reference for crime in file.crimes] == ["CRI1", "CRI3", "CRI4"]
    assert file.rows == [1, 3, 4]


def test_open_quotes_in_every_row_take_no_more_than_their_share(read):
    file = read(*['a","'] * 30_000, row(), form="moj")
    assert {fault.code for fault in file.faults} == {"INVALID_COLUMN_COUNT"}


def test_bytes_that_are_no_utf8_name_their_place_and_the_other_rows_are_kept(read):
    bad = row(reference="CRI2", text="Café").encode("cp1252")
    file = read(row().encode(), bad, row(reference="CRI3", text="Café").encode())
    assert codes(file) == [(2, "INVALID_TEXT", "crimeText")]
    place = bad.index(b"\xe9") + 1
    assert f"byte 0xE9 (byte {place} of line 2) is no UTF-8" in file.faults[0].message
    assert "Windows-1252" in file.faults[0].message
    assert file.faults[0].value == "Caf\\xe9"
    json.dumps(file.faults[0].record()).encode("utf-8")
    assert file.crimes[1].text == "Café"


def test_huge_fields(read):
    file = read(row(text="x" * 100_000), row(reference="CRI2", text="x" * 200_000), row(reference="CRI3", type="y" * 9999))
    assert [(fault.row, fault.code) for fault in file.faults] == [(2, "INVALID_COLUMN_COUNT"), (3, "INVALID_CRIME_TYPE")]
    assert len(file.faults[1].value) == 200
    assert len(file.crimes[0].text) == 100_000


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf\r\n"])
def test_an_empty_file(read, data):
    for form in (None, "moj", "csv"):
        with pytest.raises(InputError, match="an empty file"):
            read(data, form=form)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (row().encode("utf-16"), "UTF-16"),
        (row().encode("utf-16-le"), "UTF-16"),
        (bytes(range(32)) * 9 + bytes(300), "binary"),
        (b"name,age\nx,3\n", "not a file of crimes"),
        (b'{"force": "Kent"}', "not a file of crimes"),
        (row().replace(",", ";").encode(), "separated by semicolons"),
        (b"\x1f\x8b broken", "gzip"),
    ],
)
def test_what_is_no_file_of_crimes(read, data, words):
    with pytest.raises(InputError, match=words) as error:
        read(data)
    assert "crimes.csv" in str(error.value)


def test_gzip_standard_input_and_files_that_are_not_there(tmp_path, monkeypatch):
    path = tmp_path / "batch"
    path.write_bytes(gzip.compress(row().encode()))
    assert len(read_crimes(path).crimes) == 1
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(row(type="x").encode())))
    file = read_crimes("-")
    assert file.name == "standard input"
    assert [fault.code for fault in file.faults] == ["INVALID_CRIME_TYPE"]
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_crimes(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_crimes(tmp_path)


def test_the_form_is_told_by_the_content_and_can_be_said(read):
    assert read(row(force="x"), row()).form == "moj"
    assert read(row(lat="1").replace(",WGS84", "")).form == "moj"  # 12 columns, but a force of the format in front
    assert read("a,b", form="moj").faults[0].code == "INVALID_COLUMN_COUNT"
    with pytest.raises(InputError, match="the header has no column"):
        read(row(), form="csv")
    with pytest.raises(InputError, match="format is 'xml'"):
        read(row(), form="xml")
