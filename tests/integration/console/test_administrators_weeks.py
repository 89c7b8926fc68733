"""The weeks of a curfew by local days, places as people type them, and every fault of a file."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.times import parse_time
from geofence.curfew import read_curfews
from tagwatch.configuration_files import faults_of
from tagwatch.console.administrators.places import read_corners, read_point
from tagwatch.console.administrators.weeks import weeks_of
from tests.integration.console.administrators_scene import curfew

NOW_US = parse_time("2026-03-01T10:00:00Z")


@pytest.mark.parametrize(
    ("monday", "length", "note", "mark"),
    [("2026-03-23", "11 h", "23 hours: the clocks go forward", ("missing", 40.0, 40.0)),
     ("2026-10-19", "13 h", "25 hours: the clocks go back", ("twice", 40.0, 40.0))],
)  # fmt: skip
def test_nights_of_daylight_saving_are_marked(monday: str, length: str, note: str, mark: tuple[str, float, float]) -> None:
    week = weeks_of(read_curfews([curfew()]), date.fromisoformat(monday), NOW_US).weeks[0]
    sunday = week.rows[6]
    assert sunday.note == note
    assert [(b.kind, b.x, b.width) for b in sunday.bars if b.kind != "window"] == [mark]
    assert [(b.x, b.width) for b in sunday.bars if b.kind == "window"] == [(0.0, 280.0), (760.0, 200.0)]
    assert [w.length for w in week.windows] == ["12 h"] * 5 + [length, "12 h"]
    assert [bool(w.note) for w in week.windows] == [False] * 5 + [True, False]


def test_weeks_far_away_and_odd_zones_are_shown() -> None:
    for zone in ("Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "UTC"):
        for at in (date(1, 1, 1), date(9999, 12, 31), date(2026, 4, 1), None):
            assert len(weeks_of(read_curfews([curfew(timezone=zone)]), at, NOW_US).weeks) == 4


@pytest.mark.parametrize("text", ["53.2307, -0.5406", " 53.2307 -0.5406 ", "+53.2307;-0.5406"])
def test_places_are_read_as_people_type_them(text: str) -> None:
    assert read_point(text, "at") == (53.2307, -0.5406)


@pytest.mark.parametrize(
    "text", ["", "53", "91, 0", "0, 181", "53,2; -0,5", "SK 97 71", "SK9771", "nan, nan", "1e2, 0", "ZZ 9999 9999"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(InputError) as fault:
        read_point(text, "at")
    assert fault.value.field == "at"


def test_corners_close_themselves_and_name_the_bad_line() -> None:
    lines = ["53, -1", "53, 0", "54, 0"]
    assert (
        read_corners(lines, "corners")
        == read_corners([*lines, lines[0]], "corners")
        == [[-1, 53], [0, 53], [0, 54], [-1, 53]]
    )
    with pytest.raises(InputError, match="in line 2 is no place"):
        read_corners(["53, -1", "here", "54, 0"], "corners")
    with pytest.raises(InputError, match="has 2 corners"):
        read_corners(lines[:2], "corners")


def test_every_fault_of_a_file_is_told(tmp_path: Path) -> None:
    rows = [curfew("a", timezone="Nowhere"), curfew("b"), curfew("c", weekly=[]), {}]
    (tmp_path / "c.json").write_text(json.dumps(rows))
    found = faults_of("curfews", str(tmp_path / "c.json"), (), repair=False)
    assert [(f.row, f.field) for f in found] == [(1, "timezone"), (3, "weekly"), (4, "id")]
    (tmp_path / "c.json").write_text(json.dumps([curfew("a"), curfew("a")]))
    assert [f.field for f in faults_of("curfews", str(tmp_path / "c.json"), (), repair=False)] == ["id"]
