"""fixes.csv and crime.csv of a pack: every fix once, exact times, formulas and control characters as data."""

import csv
import io
from dataclasses import replace
from datetime import datetime
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crime_match.evidence.rows import fix_rows
from crime_match.evidence.tables import CRIME_COLUMNS, FIX_COLUMNS, crime_csv, fixes_csv, visible
from engine.fixes import NAMES
from engine.times import parse_time
from ingest.trail_files import read_trail
from tests.evidence_case import FILE, PLACE, START_US, case, hostile_case


def rows(data):
    """The table as dictionaries, with every line ended by CR LF and nothing else outside of quotes."""
    assert data.endswith(b"\r\n")
    assert not data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))


def with_device(name, of=None):
    of = of or case(60)
    return replace(of, trail=of.trail._replace(fixes=replace(of.trail.fixes, devices=(name,))))


def later(of, by_us):
    """The case with its fixes so much later; none leaves the window by it."""
    fixes = of.trail.fixes
    return replace(of, trail=of.trail._replace(fixes=replace(fixes, time_us=fixes.time_us + by_us)))


def number(text):
    return float(text) if text else None


def test_every_fix_is_told_once_as_the_rows_tell_it():
    of = case()
    told, expected = rows(fixes_csv(of)), fix_rows(of)
    assert list(told[0]) == list(FIX_COLUMNS)
    assert len(told) == len(expected) == len(of.trail.fixes) > 150
    assert {row["when"] for row in told} == {"before", "window", "after"}
    assert {row["source"] for row in told} == {"gps", "lbs"}
    assert "implausible" in {row["flags"] for row in told}
    for row, fix in zip(told, expected, strict=True):
        assert (int(row["number"]), row["when"], row["label"]) == (fix.number, fix.when, fix.label)
        assert (parse_time(row["time"]), parse_time(row["received"])) == (fix.time_us, fix.received_s * 1_000_000)
        assert (row["lat"], row["lon"]) == (f"{fix.lat:.7f}", f"{fix.lon:.7f}")
        for key in ("accuracy_m", "radius_m", "exclusion_m", "speed_mps", "course_deg", "altitude_m", "hdop", "distance_m",
                    "share", "p", "satellites", "battery_pct"):  # fmt: skip
            assert number(row[key]) == getattr(fix, key), key
        assert (row["flags"], row["source"], row["device"]) == ("; ".join(fix.flags), fix.source, "T1001")
        assert row["carries_weight"] == ("yes" if fix.has_weight else "no")
        assert row["radius_assumed"] == ("yes" if fix.accuracy_m is None else "no")
        assert (row["origin_file"], row["origin_sha256"], row["origin_position"]) == ("trails.csv", FILE, "")
        assert int(row["origin_row"]) == fix.number
    assert [row["radius_assumed"] for row in told].count("yes") == 1


def test_local_time_has_its_zone_and_is_the_same_instant():
    for row in rows(fixes_csv(case(60))):
        local = datetime.fromisoformat(row["time_local"].removesuffix(" BST") + "+01:00")
        assert local == datetime.fromisoformat(row["time"])


def test_times_are_told_to_the_microsecond_and_local_ones_are_cut():
    one = rows(fixes_csv(later(case(), 123_456)))[1]
    assert (one["time"], one["time_local"]) == ("2026-06-15T22:01:01.123456Z", "2026-06-15 23:01:01 BST")


def test_tagwatch_reads_the_table_as_the_trail_it_came_from(tmp_path):
    of = later(case(), 123_456)
    (tmp_path / "fixes.csv").write_bytes(fixes_csv(of))
    read, written = read_trail(tmp_path / "fixes.csv"), of.trail.fixes
    assert read.devices == ("T1001",)
    for name in NAMES:
        np.testing.assert_array_equal(read.column(name), written.column(name), name)


def test_without_origins_their_columns_are_empty():
    for row in rows(fixes_csv(case(60, origins=[]))):
        assert [row[key] for key in row if key.startswith("origin")] == [""] * 4


@pytest.mark.parametrize("name", ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1", "\uff1d1", ' =HYPERLINK("x")'])
def test_no_text_is_a_formula_and_no_number_is_touched(name):
    told = rows(fixes_csv(with_device(name)))
    assert {row["device"] for row in told} == {"'" + name}
    assert all(float(row["lon"]) < 0.0 and row["lon"].startswith("-0.") for row in told)


@pytest.mark.parametrize("name", ['a "quoted", one', "two\nlines", "\u202eملاك\u202c", "x" * 10_000, "<b>&amp;</b>"])
def test_other_text_is_as_it_is(name):
    assert {row["device"] for row in rows(fixes_csv(with_device(name)))} == {name}


def test_the_crime_and_what_was_asked():
    [told] = rows(crime_csv(case(far_m=30_000.0)))
    assert list(told) == list(CRIME_COLUMNS)
    middle_us = START_US + 90 * 60_000_000
    at = {"from": -30, "to": 30, "window_from": -40, "window_to": 40}
    assert {key: parse_time(told[key]) for key in at} == {k: middle_us + m * 60_000_000 for k, m in at.items()}
    assert (told["from"], told["from_local"]) == ("2026-06-15T23:00:00.000Z", "2026-06-16 00:00:00 BST")
    assert (told["window_to"], told["window_to_local"]) == ("2026-06-16T00:10:00.000Z", "2026-06-16 01:10:00 BST")
    assert (float(told["lat"]), float(told["lon"])) == PLACE
    assert (told["radius_m"], told["pad_s"], told["max_speed_mps"], told["min_fixes"]) == ("100.0", "600.0", "55.0", "1")
    assert (told["force"], told["reference"], told["wearer"], told["verdict"]) == ("METROPOLITAN", "CR/1", "W1", "possible")
    assert told["support"] == ""
    assert (told["text"], told["easting_m"], told["uncertainty_m"]) == ("Rear window forced", "", "0.0")


def test_hostile_texts_are_data():
    of = hostile_case()
    [told] = rows(crime_csv(of))
    assert (told["verdict"], told["support"]) == ("placed", "strong")
    assert told["text"] == of.crime.text
    assert told["reference"] == of.crime.reference
    [told] = rows(crime_csv(case(60, text="=1+1\x00\x1b[31m", reference="@x")))
    assert (told["text"], told["reference"]) == ("'=1+1\u2400\u241b[31m", "'@x")


def test_a_trail_without_fixes_is_a_header():
    of = case(60)
    none = slice(0, 0)
    bare = of.trail._replace(fixes=of.trail.fixes.take(none), flags=of.trail.flags[none])
    assert rows(fixes_csv(replace(of, trail=bare, match={**of.match, "fixes": []}, origins=[]))) == []


def test_control_characters_are_shown():
    assert visible("a\x00b\x1f\x7f\x80\ud800\ufffe") == "a\u2400b\u241f\u2421\ufffd\ufffd\ufffd"
    assert visible("tab\t, line\n, line\r\n, line\r.") == "tab\t, line\n, line\n, line\n."


@example("\x85\u2028")
@given(st.text())
def test_what_is_visible_can_be_written_anywhere(text):
    shown = visible(text)
    assert visible(shown) == shown
    element = ElementTree.Element("a")
    element.text = shown
    assert (ElementTree.fromstring(ElementTree.tostring(element, encoding="utf-8")).text or "") == shown
    if text.isprintable():
        assert shown == text


def test_five_thousand_fixes():
    told = rows(fixes_csv(case(n=5000)))
    assert [int(row["number"]) for row in told] == list(range(1, 4_980))  # 21 minutes are a gap
