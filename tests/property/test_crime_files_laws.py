"""Laws of crime files: any bytes give an InputError or faults and nothing else; good rows come back as they were written; the
faults of a row are its own."""

import csv
import io
import json

from hypothesis import example, given
from hypothesis import strategies as st

from crime_match.crimes.files import background_of, crimes_of
from crime_match.crimes.moj_batch import FORCES, TYPES
from engine.errors import InputError
from engine.times import to_datetime, to_iso

GOOD = b"Kent,RB,x,KNT20250126,C1,20250125083000,20250125103000,,,51.50741,-0.12775,WGS84,text"
HEADER = b"force,reference,type,from,to,lat,lon,uncertainty_m,text,easting,northing,grid_ref"
PUBLIC = b"Crime ID,Month,Longitude,Latitude,Location,Crime type"
FORMS = st.sampled_from([None, "moj", "csv"])

fragments = st.sampled_from(
    [GOOD, HEADER, PUBLIC, b"\n", b"\r\n", b"\r", b",", b'"', b'""', b"\0", b"\xe9", b"\xef\xbb\xbf", b"\xff\xfe", b"Kent", b"KNT",
     b"20250231083000", b"2026-03-29T01:30", b"2026-03-29T01:30+01:00", b"9" * 400, b"1e999", b"-", b"SK 97 71", b" ", b";", b"\t",
     b"\xed\xa0\x80", b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"0,0", b"x" * 300, "é²٣\u2028\x85".encode()]
)  # fmt: skip
soup = st.lists(fragments | st.binary(max_size=6), max_size=40).map(b"".join)


def rows_of(cells):
    text = io.StringIO()
    csv.writer(text).writerows(cells)
    return text.getvalue().encode("utf-8")


@given(soup | st.binary(max_size=400), FORMS)
@example(HEADER + b"\n,1,,0,0,1e-320,0,,,,,\n", None)
@example(GOOD + b"\n" + GOOD.replace(b"20250126", b"99991231"), None)
def test_any_bytes_give_an_input_error_or_faults(data, form):
    try:
        file = crimes_of("file", data, form)
    except InputError:
        return
    bad = {fault.row for fault in file.faults}
    whole = any(fault.code.startswith("MULTIPLE_") and "batch" in fault.message for fault in file.faults)
    assert set(file.rows).isdisjoint(bad) or whole
    assert whole or len(file.crimes) + len(bad) == file.n_rows
    for told in (*file.faults, *file.hints):
        assert 1 <= told.row <= file.n_rows
        json.loads(json.dumps(told.record(), ensure_ascii=False).encode("utf-8"))


@given(soup)
def test_any_bytes_as_background(data):
    try:
        file = background_of("file", data)
    except InputError:
        return
    assert len(file.crimes) + len({fault.row for fault in file.faults}) == file.n_rows


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30).map(str.strip)
names = st.text("ABCxyz /-0123456789é", min_size=1, max_size=12).map(str.strip).filter(bool)
instants = st.integers(946_684_800, 4_102_444_799)


@st.composite
def own_rows(draw):
    start = draw(instants)
    end = min(start + draw(st.integers(0, 31 * 86_400)), 4_102_444_799)
    place = [repr(draw(st.floats(-90, 90))), repr(draw(st.floats(-180, 180))), repr(draw(st.floats(0, 1e5)))]
    return [
        draw(names),
        draw(names),
        draw(texts),
        to_iso(start * 10**6),
        to_iso(end * 10**6),
        *place,
        draw(texts),
        "",
        "",
        "",
    ]


@given(st.lists(own_rows(), max_size=6, unique_by=lambda row: (row[0], row[1])))
def test_good_rows_of_our_own_csv_come_back(rows):
    file = crimes_of("file", HEADER + b"\r\n" + rows_of(rows))
    assert file.faults == []
    for crime, row in zip(file.crimes, rows, strict=True):
        texts_back = [crime.force, crime.reference, crime.type, to_iso(crime.from_us), to_iso(crime.to_us), crime.text]
        assert texts_back == [*row[:5], row[8]]
        assert [crime.lat, crime.lon, crime.uncertainty_m] == [float(text) for text in row[5:8]]


@st.composite
def batch_rows(draw, force="Kent"):
    start = draw(instants)
    end = min(start + draw(st.integers(0, 12 * 3600)), 4_102_444_799)
    stamps = [to_datetime(time * 10**6).strftime("%Y%m%d%H%M%S") for time in (start, end)]
    if draw(st.booleans()):
        place = [f"{draw(st.integers(200_000, 500_000))}", f"{draw(st.floats(100_000, 600_000)):.3f}", "", ""]
    else:
        place = ["", "", f"{draw(st.floats(50, 60)):.7f}", f"{draw(st.floats(-8, 2)):.7f}"]
    return [
        force,
        draw(st.sampled_from(sorted(TYPES))),
        "x",
        f"{FORCES[force]}20250126",
        draw(names),
        *stamps,
        *place,
        "",
        draw(texts),
    ]


@given(st.lists(batch_rows(), min_size=1, max_size=6, unique_by=lambda row: row[4]))
def test_good_rows_of_a_batch_come_back(rows):
    file = crimes_of("file", rows_of(rows), "moj")
    assert (file.faults, file.rows) == ([], list(range(1, len(rows) + 1)))
    for crime, row in zip(file.crimes, rows, strict=True):
        assert [crime.force, crime.type, crime.batch, crime.reference, crime.text] == [*row[:2], row[3], row[4], row[12]]
        assert [to_datetime(time).strftime("%Y%m%d%H%M%S") for time in (crime.from_us, crime.to_us)] == row[5:7]
        if row[7]:
            assert [crime.easting_m, crime.northing_m] == [float(row[7]), float(row[8])]
        else:
            assert [crime.lat, crime.lon] == [float(row[9]), float(row[10])]


@st.composite
def spoilt_rows(draw):
    row = draw(batch_rows())
    for _ in range(draw(st.integers(0, 3))):
        column = draw(st.integers(0, 12))
        row[column] = draw(
            st.sampled_from(["", "x", "1e2", "20250231083000", "600001", "-9", "99", "KNT2025", "Kent", "0"])
        )
    return row[: draw(st.sampled_from([13, 13, 13, 12]))]


@given(st.lists(spoilt_rows(), min_size=1, max_size=6))
def test_the_faults_of_a_row_are_its_own_but_for_what_stands_twice(rows):
    together = crimes_of("file", rows_of(rows), "moj")
    shared = {"DUPLICATE_CRIME_REFERENCE", "MULTIPLE_POLICE_FORCES", "MULTIPLE_BATCH_IDS"}
    for number, row in enumerate(rows, 1):
        alone = crimes_of("file", rows_of([row]), "moj")
        mine = [(f.code, f.field, f.value, f.message) for f in together.faults if f.row == number and f.code not in shared]
        assert mine == [(f.code, f.field, f.value, f.message) for f in alone.faults]


@given(st.lists(spoilt_rows(), min_size=1, max_size=5), st.sampled_from([b"\n", b"\r", b"\r\n\r\n", b"\n \n\n"]))
def test_blank_lines_line_ends_and_the_mark_change_nothing_but_line_numbers(rows, end):
    plain = rows_of([[" ".join(cell.split()) for cell in row] for row in rows])
    one = crimes_of("file", plain, "moj")
    two = crimes_of("file", b"\xef\xbb\xbf" + plain.replace(b"\r\n", end), "moj")
    assert one.crimes == two.crimes
    assert [fault.record() for fault in one.faults] == [fault.record() for fault in two.faults]
    assert [hint.record() for hint in one.hints] == [hint.record() for hint in two.hints]
