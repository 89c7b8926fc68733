"""Our own CSV of crimes, police.uk files as background, and the real files of the workplace."""

import csv
import gzip
import io
import zipfile
from zoneinfo import ZoneInfo

import pytest

from crime_match.crimes.files import read_background, read_crimes
from crime_match.crimes.national_grid import read_reference, to_wgs84
from engine.errors import InputError
from engine.times import parse_time
from tagwatch.simulate import files
from tagwatch.simulate.world import simulate

HEADER = "force,reference,type,from,to,lat,lon,uncertainty_m,text"
GOOD = "Trentshire,26/1,burglary,2026-03-01T10:00:00Z,2026-03-01T12:00:00Z,53.23071,-0.53933,20,Rear window"
LONDON = ZoneInfo("Europe/London")


@pytest.fixture
def read(tmp_path):
    def read_text(*lines, **options):
        path = tmp_path / "crimes.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        return read_crimes(path, **options)

    return read_text


def codes(file):
    return [(fault.row, fault.code, fault.field) for fault in file.faults]


def test_a_good_row(read):
    file = read(HEADER, GOOD)
    assert (file.form, file.faults, file.hints, file.n_rows) == ("csv", [], [], 1)
    crime = file.crimes[0]
    assert crime.record() == {
        "force": "Trentshire", "reference": "26/1", "type": "burglary", "from": "2026-03-01T10:00:00.000Z",
        "to": "2026-03-01T12:00:00.000Z", "lat": 53.23071, "lon": -0.53933, "uncertainty_m": 20.0, "text": "Rear window",
        "batch": "", "easting_m": None, "northing_m": None,
    }  # fmt: skip


def test_columns_in_any_order_unknown_ones_ignored_optional_ones_left_out(read):
    file = read('"Reference",seen,TO,from,Lon,lat,type,force', "1,x,1772362800.5,2026-03-01T11:00:00+01:00,0,51.5,,")
    crime = file.crimes[0]
    assert (crime.force, crime.type, crime.text, crime.uncertainty_m) == ("", "", "", 0.0)
    assert crime.from_us == parse_time("2026-03-01T10:00:00Z")
    assert crime.to_us == parse_time("2026-03-01T11:00:00.5Z")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("force,reference,from,to,lat,lon", "no column type"),
        ("force,reference,type,from,to,lat", "no column lat and lon"),
        ("force,reference,type,from,to,easting", "easting and northing"),
        (HEADER + ",from", "column from more than once"),
        (HEADER.replace(",", ";"), "separated by semicolons"),
        (HEADER.replace(",", "\t"), "separated by tabs"),
    ],
)
def test_a_header_that_lacks_something(read, header, words):
    with pytest.raises(InputError, match=words) as error:
        read(header, GOOD)
    assert "crimes.csv" in str(error.value)


def test_a_header_without_rows(read):
    file = read(HEADER)
    assert (file.crimes, file.faults, file.n_rows) == ([], [], 0)


def test_the_place_in_three_ways(read):
    header = "force,reference,type,from,to,lat,lon,easting,northing,grid_ref,uncertainty_m"
    start = "F,{},b,2026-03-01T10:00Z,2026-03-01T12:00Z,"
    file = read(header, start.format(1) + "53.23071,-0.53933,,,,5", start.format(2) + ",,497600,371400.5,,",
                start.format(3) + ",,,,sk 976 714,30")  # fmt: skip
    assert file.faults == []
    one, two, three = file.crimes
    assert (one.lat, one.lon, one.easting_m, one.uncertainty_m) == (53.23071, -0.53933, None, 5.0)
    assert (two.lat, two.lon) == to_wgs84(497600.0, 371400.5)
    assert (two.easting_m, two.northing_m, two.uncertainty_m) == (497600.0, 371400.5, 0.0)
    square = read_reference("SK976714")
    assert (three.easting_m, three.northing_m) == square[:2]
    assert (three.lat, three.lon) == to_wgs84(*square[:2])
    assert three.uncertainty_m == 30 + square.uncertainty_m


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (",,,,,", [("MISSING_LOCATION_DATA", None)]),
        ("53,,,,,", [("DEPENDENT_LOCATION_DATA", "lat")]),
        (",,1,,,", [("DEPENDENT_LOCATION_DATA", "easting")]),
        ("53,-0.5,,,SK 97 71,", [("MULTIPLE_LOCATION_DATA_TYPES", "lat"), ("MULTIPLE_LOCATION_DATA_TYPES", "lon")]),
        ("53,-0.5,4,3,,", [("MULTIPLE_LOCATION_DATA_TYPES", name) for name in ("easting", "northing", "lat", "lon")]),
        ("90.1,0,,,,", [("INVALID_LOCATION_DATA_RANGE", "lat")]),
        ("0,180.1,,,,", [("INVALID_LOCATION_DATA_RANGE", "lon")]),
        ("1e400,0,,,,", [("INVALID_LOCATION_DATA_RANGE", "lat")]),
        ("nan,0,,,,", [("INVALID_NUMBER", "lat")]),
        ("5_3,0,,,,", [("INVALID_NUMBER", "lat")]),
        (",,700001,5,,", [("INVALID_LOCATION_DATA_RANGE", "easting")]),
        (",,5,5,,", [("INVALID_LOCATION_DATA_RANGE", "easting")]),
        (",,,,SK 9 71,", [("INVALID_GRID_REFERENCE", "grid_ref")]),
        (",,,,SV 0 0,", []),
        ("53,-0.5,,,,-1", [("INVALID_UNCERTAINTY", "uncertainty_m")]),
        ("53,-0.5,,,,100001", [("INVALID_UNCERTAINTY", "uncertainty_m")]),
        ("53,-0.5,,,,20m", [("INVALID_NUMBER", "uncertainty_m")]),
        (",,,,SK 9 7,99999", [("INVALID_UNCERTAINTY", "grid_ref")]),
        ("5.3e1,-5.1e-05,,,,1e1", []),
        ("-90,180,,,,0", []),
    ],
)
def test_faults_of_the_place(read, place, expected):
    file = read("force,reference,type,from,to,lat,lon,easting,northing,grid_ref,uncertainty_m",
                f"F,1,b,2026-03-01T10:00Z,2026-03-01T12:00Z,{place}")  # fmt: skip
    assert [(code, field) for _, code, field in codes(file)] == expected
    assert len(file.crimes) == (not expected)


@pytest.mark.parametrize(
    ("from_", "to", "expected"),
    [
        ("2026-03-01T10:00Z", "2026-03-01T10:00Z", []),
        ("2026-03-01T00:00Z", "2026-04-01T00:00Z", []),
        ("2026-03-01T00:00Z", "2026-04-01T00:00:00.001Z", [("CRIME_DATE_TIME_EXCEEDS_WINDOW", "to")]),
        ("2026-03-01T10:00Z", "2026-03-01T09:59:59Z", [("CRIME_DATE_TIME_TO_AFTER_FROM", "to")]),
        ("1025-03-01T10:00Z", "2026-03-01T09:59:59Z", [("INVALID_FROM_DATE_FORMAT", "from")]),
        ("2026-03-01T10:00", "2026-03-01T11:00", [("INVALID_FROM_DATE_FORMAT", "from"), ("INVALID_TO_DATE_FORMAT", "to")]),
        ("2026-02-30T10:00Z", "", [("INVALID_FROM_DATE_FORMAT", "from"), ("INVALID_TO_DATE_FORMAT", "to")]),
        ("2026-03-01T24:00Z", "2026-03-02T01:00Z", [("INVALID_FROM_DATE_FORMAT", "from")]),
        ("01/03/2026 10:00", "1772362800", [("INVALID_FROM_DATE_FORMAT", "from")]),
    ],
)
def test_windows(read, from_, to, expected):
    file = read(HEADER, f"F,1,b,{from_},{to},53.23071,-0.53933,,")
    assert [(code, field) for _, code, field in codes(file)] == expected
    assert "tag" not in "".join(fault.message.replace("Tagwatch", "") for fault in file.faults)


def test_times_without_an_offset_in_a_zone_that_is_given(read):
    file = read(
        HEADER,
        "F,1,b,2026-07-01T10:00,2026-07-01 11:00:30,53.23071,-0.53933,,",
        "F,2,b,2026-10-25T01:30,2026-10-25T01:30,53.23071,-0.53933,,",  # occurs twice
        "F,3,b,2026-03-29T01:30,2026-03-29T01:45,53.23071,-0.53933,,",  # does not exist
        "F,4,b,2026-07-01T10:00Z,2026-07-01T13:00:00+02:00,53.23071,-0.53933,,",
        "F,5,b,1772362800,1772362800,53.23071,-0.53933,,",
        zone=LONDON,
    )
    assert file.faults == []
    windows = [(crime.record()["from"], crime.record()["to"]) for crime in file.crimes]
    assert windows == [
        ("2026-07-01T09:00:00.000Z", "2026-07-01T10:00:30.000Z"),
        ("2026-10-25T00:30:00.000Z", "2026-10-25T01:30:00.000Z"),
        ("2026-03-29T01:00:00.000Z", "2026-03-29T01:00:00.000Z"),
        ("2026-07-01T10:00:00.000Z", "2026-07-01T11:00:00.000Z"),
        ("2026-03-01T11:00:00.000Z", "2026-03-01T11:00:00.000Z"),
    ]


def test_all_faults_of_a_row_at_once(read):
    file = read(HEADER, "F,,b,yesterday,now,91,x,far,a", GOOD, GOOD, "F,2")
    assert codes(file) == [
        (1, "MISSING_CRIME_REFERENCE", "reference"), (1, "INVALID_FROM_DATE_FORMAT", "from"),
        (1, "INVALID_TO_DATE_FORMAT", "to"), (1, "INVALID_LOCATION_DATA_RANGE", "lat"), (1, "INVALID_NUMBER", "lon"),
        (1, "INVALID_NUMBER", "uncertainty_m"), (3, "DUPLICATE_CRIME_REFERENCE", "reference"),
        (4, "INVALID_COLUMN_COUNT", None),
    ]  # fmt: skip
    assert file.rows == [2]


def test_the_same_reference_of_two_forces_is_two_crimes(read):
    assert len(read(HEADER, GOOD, GOOD.replace("Trentshire", "Wolddale")).crimes) == 2


def test_the_simulators_file_has_no_faults(tmp_path):
    world = simulate(5, 2, 7)
    files.write(world, tmp_path)
    file = read_crimes(tmp_path / "crimes.csv")
    assert (file.form, file.faults) == ("csv", [])
    assert len(file.crimes) == len(world.crimes) > 0
    for crime, truth in zip(file.crimes, world.crimes, strict=True):
        assert (crime.force, crime.reference, crime.from_us, crime.to_us, crime.text) == (
            *truth[:2],
            *truth[3:5],
            truth.text,
        )
        assert (crime.lat, crime.lon, crime.uncertainty_m) == (truth.lat, truth.lon, truth.uncertainty_m)


def test_real_burglaries_with_windows(shared_data, tmp_path):
    """Windows of Washington 2016: those that end before they begin, or last longer than 31 days, are faults; no other is."""
    with (shared_data / "crimes_windows/dc_burglaries_2016h1.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    path = tmp_path / "dc.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER.split(","))
        writer.writerows(
            ["MPD", k, "burglary", row["start_utc"], row["end_utc"], row["lat"], row["lon"], 0, ""]
            for k, row in enumerate(rows)
        )
    read = read_crimes(path)
    assert read.n_rows == len(rows) == 1025
    for fault in read.faults:
        row = rows[fault.row - 1]
        if fault.code == "CRIME_DATE_TIME_TO_AFTER_FROM":
            assert row["end_utc"] < row["start_utc"]
        elif fault.code == "CRIME_DATE_TIME_EXCEEDS_WINDOW":
            assert parse_time(row["end_utc"]) - parse_time(row["start_utc"]) > 31 * 86_400_000_000
        else:
            name = "start_utc" if fault.field == "from" else "end_utc"
            assert fault.code in {"INVALID_FROM_DATE_FORMAT", "INVALID_TO_DATE_FORMAT"}
            assert not row[name] or not row[name].startswith("20")
    assert len(read.crimes) + len({fault.row for fault in read.faults}) == 1025
    assert len(read.crimes) > 900


PUBLIC = "Crime ID,Month,Reported by,Falls within,Longitude,Latitude,Location,LSOA code,LSOA name,Crime type,Last outcome category,Context"


def test_lincolnshires_burglaries_are_background_and_refused_for_matching(shared_data):
    path = shared_data / "crimes_lincolnshire/burglaries_2017-02_2019-09.csv.gz"
    file = read_background(path)
    assert (len(file.crimes), file.n_rows, file.faults) == (11_791, 11_791, [])
    with gzip.open(path, "rt", encoding="utf-8") as source:
        for crime, row in zip(file.crimes, csv.DictReader(source), strict=True):
            assert (crime.crime_id, crime.month, crime.location) == (row["Crime ID"], row["Month"], row["Location"])
            assert (crime.lat, crime.lon) == (float(row["Latitude"]), float(row["Longitude"]))
    for form in (None, "police-uk"):
        with pytest.raises(InputError, match="only the month of a crime.*cannot be matched"):
            read_crimes(path, form)


def test_background_rows_without_a_place_are_kept_and_bad_ones_told(tmp_path):
    path = tmp_path / "2019-09-lincolnshire-street.csv"
    lines = [PUBLIC, "a,2019-09,L Police,L Police,,,No Location,,,Burglary,Under investigation,",
             ",2019-13,L Police,L Police,-0.5,,On or near A1,,,Burglary,,", "b,2019-09,L,L,x,91,,,,Drugs,,", "c,2019-09"]  # fmt: skip
    path.write_text("\n".join(lines), encoding="utf-8")
    file = read_background(path)
    assert file.crimes == [("a", "2019-09", "L Police", None, None, "No Location", "Burglary", "Under investigation")]
    assert [(fault.row, fault.code, fault.field) for fault in file.faults] == [
        (2, "INVALID_MONTH", "Month"), (2, "DEPENDENT_LOCATION_DATA", "Longitude"), (3, "INVALID_NUMBER", "Longitude"),
        (3, "INVALID_LOCATION_DATA_RANGE", "Latitude"), (4, "INVALID_COLUMN_COUNT", None),
    ]  # fmt: skip
    with pytest.raises(InputError, match="row 2.*INVALID_MONTH.*4 more faults"):
        file.settle()


def test_the_public_archive_as_a_whole(tmp_path):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "2019-10/2019-10-kent-street.csv", PUBLIC + "\nb,2019-10,K,K,1.3,51.1,,,,Burglary,,\nc,x,K,K,,,,,,B,,\n"
        )
        archive.writestr("2019-09/2019-09-kent-street.csv", PUBLIC + "\na,2019-09,K,K,1.3,51.1,,,,Burglary,,\n")
        archive.writestr("2019-09/2019-09-kent-outcomes.csv", "Crime ID,Month\n")
    file = read_background(path)
    assert [crime.crime_id for crime in file.crimes] == ["a", "b"]
    assert (file.n_rows, file.faults[0].message.startswith("2019-10/2019-10-kent-street.csv: ")) == (3, True)
    with pytest.raises(InputError, match="cannot be matched"):
        read_crimes(path)
    for data, words in ((b"PK\x03\x04 broken", "damaged ZIP"), (PUBLIC.replace("Month", "M").encode(), "no column month"),
                        (_empty_zip(), "without a file")):  # fmt: skip
        path.write_bytes(data)
        with pytest.raises(InputError, match=words):
            read_background(path)


def _empty_zip():
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("readme.txt", "x")
    return memory.getvalue()
