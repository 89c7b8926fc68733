"""The ministry's table: its 18 columns, who is in it, its times, and no cell that a spreadsheet would run."""

import csv
import io

import pytest

from crime_match.crimes.crime import Crime
from crime_match.match import CrimeMatches, Match
from crime_match.question import Parameters
from crime_match.runs.results import form_of, write
from crime_match.runs.results_csv import COLUMNS, People, guarded
from engine.times import parse_time
from engine.wearers import Wearer

HEADER = (
    "POLICE FORCE,BATCH ID,CRIME REF,CRIME TYPE,FROM DATE/TIME,TO DATE/TIME,CRIME LATITUDE,CRIME LONGITUDE,OTHER INFO,"
    "DEVICE ID,DEVICE NAME,SUBJECT IDENTIFIER,OFFENDER NAME,NOMIS ID,PNC REF,OFFENDER ADDRESS,OFFENDER DATE OF BIRTH,"
    "OFFENDER MANAGER"
)
PEOPLE = People({"W1": Wearer("W1", "Zoë Ashdown", team="south")}, {"south": "P. Officer"})


def crime(**changed):
    told = {
        "force": "Metropolitan", "reference": "26/1", "type": "BIAD", "from_us": parse_time("2026-07-01T22:30:59Z"),
        "to_us": parse_time("2026-07-01T23:15:00Z"), "lat": 51.5, "lon": -0.12345678, "text": "Door forced, cash taken.",
        "batch": "MPS20260702",
    }  # fmt: skip
    return Crime(**told | changed)


def matched(wearer="W1", verdict="placed", device="T1"):
    return Match(
        wearer=wearer, device=device, verdict=verdict, support="weak", closest_m=3.0, closest_at=None, n_fixes=2, visits=[],
        dwell_s=0.0, probability=None, required_speed_mps=None, coverage=1.0, worst_gap_s=60.0, sources={}, fixes=[],
        parameters={}, reasons=[],
    )  # fmt: skip


def table(*found, people=PEOPLE):
    file = io.BytesIO()
    for _ in write(form_of("csv", Parameters(), people), found, file):
        pass
    return file.getvalue()


def rows(*found, people=PEOPLE):
    return list(csv.DictReader(io.StringIO(table(*found, people=people).decode(), newline="")))


def test_the_header_is_theirs_also_where_nobody_is_placed():
    assert len(COLUMNS) == 18
    assert table().decode() == HEADER + "\r\n"
    assert table(CrimeMatches(crime(), [matched(verdict="possible")], {})) == table()


def test_a_row_for_each_wearer_placed_at_each_crime():
    others = [matched("W2", "possible"), matched("W3", "excluded"), matched("W4", "unmonitored")]
    found = [
        CrimeMatches(crime(), [matched(), matched("W5", device="T5, T6"), *others], {}),
        CrimeMatches(crime(reference="26/2"), [matched("W5")], {}),
    ]
    told = [(row["CRIME REF"], row["SUBJECT IDENTIFIER"], row["DEVICE ID"]) for row in rows(*found)]
    assert told == [("26/1", "W1", "T1"), ("26/1", "W5", "T5, T6"), ("26/2", "W5", "T1")]


def test_every_column():
    row = rows(CrimeMatches(crime(), [matched()], {}))[0]
    assert list(row.values()) == [
        "Metropolitan", "MPS20260702", "26/1", "BIAD", "01/07/2026 23:30", "02/07/2026 00:15", "51.5", "-0.1234568",
        "Door forced, cash taken.", "T1", "", "W1", "Zoë Ashdown", "", "", "", "", "P. Officer",
    ]  # fmt: skip


def test_who_is_not_known_is_left_empty():
    row = rows(CrimeMatches(crime(), [matched("W9")], {}))[0]
    assert (row["OFFENDER NAME"], row["OFFENDER MANAGER"]) == ("", "")
    assert rows(CrimeMatches(crime(), [matched()], {}), people=People())[0]["OFFENDER NAME"] == ""


@pytest.mark.parametrize(
    ("instant", "written"),
    [
        ("2026-03-29T00:59:59Z", "29/03/2026 00:59"), ("2026-03-29T01:00:00Z", "29/03/2026 02:00"),
        ("2026-10-25T00:30:00Z", "25/10/2026 01:30"), ("2026-10-25T01:30:00Z", "25/10/2026 01:30"),
        ("2026-12-31T23:59:00Z", "31/12/2026 23:59"),
    ],
)  # fmt: skip
def test_times_are_those_of_the_clocks_in_london(instant, written):
    found = crime(from_us=parse_time(instant), to_us=parse_time("2026-12-31T23:59:59Z"))
    assert rows(CrimeMatches(found, [matched()], {}))[0]["FROM DATE/TIME"] == written


@pytest.mark.parametrize(
    "text",
    ["=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "-0.5"],
)
def test_what_begins_like_a_formula_is_guarded_in_every_text_column(text):
    assert guarded(text) == f"'{text}"
    told = crime(force=text, reference=text, type=text, text=text, batch=text)
    people = People({text: Wearer(text, text, team="t")}, {"t": text})
    row = rows(CrimeMatches(told, [matched(text, device=text)], {}), people=people)[0]
    numbers = {"FROM DATE/TIME", "TO DATE/TIME", "CRIME LATITUDE", "CRIME LONGITUDE"}
    filled = {name: cell for name, cell in row.items() if cell and name not in numbers}
    assert set(filled.values()) == {f"'{text}"}
    assert len(filled) == 9
    assert float(row["CRIME LONGITUDE"]) == -0.1234568


@pytest.mark.parametrize("text", ["", "a=b", "26/1-2", "O'Neill", "#1", "12"])
def test_other_text_stays_as_it_is(text):
    assert guarded(text) == text


def test_text_with_breaks_quotes_and_commas_comes_back():
    text = 'He said "no",\r\nthen\nleft, = gone'
    assert rows(CrimeMatches(crime(text=text), [matched()], {}))[0]["OTHER INFO"] == text


@pytest.mark.parametrize(("lon", "written"), [(0.0, "0"), (-0.0, "0"), (1e-7, "0.0000001"), (-1e-9, "0"), (-3.0, "-3")])
def test_coordinates_are_plain_numbers(lon, written):
    assert rows(CrimeMatches(crime(lon=lon), [matched()], {}))[0]["CRIME LONGITUDE"] == written
