"""What `check` remarks on zones and curfews that are right as written, and conditions that cannot both be kept."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from engine.times import DAY_US, parse_time
from geofence.contradictions import contradictions
from geofence.curfew import read_curfews
from geofence.remarks import curfew_remarks, foreign_properties, zone_remarks
from geofence.schedule import DAYS
from geofence.zone import Zone, read_zones

TODAY = date(2026, 1, 5)
LOW = parse_time("2026-01-05T00:00:00Z")
HOME = {"lat": 53.0, "lon": -1.0, "radius_m": 60}


def row(*windows: tuple[list[str], str, str], **more: Any) -> dict[str, Any]:
    weekly = [{"days": days, "start": start, "end": end} for days, start, end in windows]
    return {"id": "c", "wearer": "w", "place": HOME, "timezone": "Europe/London", "weekly": weekly} | more


def remarks(*windows: tuple[list[str], str, str], **more: Any) -> list[str]:
    given = row(*windows, **more)
    return curfew_remarks(given, read_curfews([given])[0], TODAY)


EVERY = list(DAYS)
NIGHTS = (EVERY, "22:00", "06:00")


def test_a_plain_curfew_needs_no_remark() -> None:
    assert remarks(NIGHTS) == []


@pytest.mark.parametrize(("windows", "expected"), [
    ([(["mon"], "19:00", "23:00"), (["mon", "tue"], "22:00", "07:00")],
     ["row 1 (Mon 19:00-23:00) on Mon and row 2 (Mon, Tue 22:00-07:00) overlap: one window"]),
    ([(["fri"], "22:00", "24:00"), (["sat"], "00:00", "06:00")],
     ["row 1 (Fri 22:00-24:00) on Fri and row 2 (Sat 00:00-06:00) touch: one window"]),
    ([(["sun"], "22:00", "07:00"), (["mon"], "06:00", "08:00")],
     ["row 1 (Sun 22:00-07:00) on Sun and row 2 (Mon 06:00-08:00) overlap: one window"]),
    ([(["sat"], "00:00", "24:00"), (["sun"], "00:00", "06:00")],
     ["row 1 (Sat 00:00-24:00) on Sat and row 2 (Sun 00:00-06:00) touch: a whole day stays a window of its own"]),
    ([NIGHTS, NIGHTS], ["row 2 says the same as row 1: Mon-Sun 22:00-06:00"]),
    ([(["mon", "wed", "mon"], "22:00", "06:00")], ["row 1 names mon twice"]),
    ([(EVERY, "00:00", "24:00")], ["no minute of the week is free: each day is a window"]),
    ([(["sun"], "01:10", "01:50")],
     ["row 1 (Sun 01:10-01:50) has no window on 2026-03-29: the clocks go forward over it"]),
])  # fmt: skip
def test_what_is_made_of_rows_is_said(windows: Any, expected: list[str]) -> None:
    assert remarks(*windows) == expected


def test_exceptions_that_change_nothing_are_named() -> None:
    def one(start: str, end: str, kind: str) -> dict[str, str]:
        return {"from": f"2026-02-02T{start}", "to": f"2026-02-02T{end}", "kind": kind}

    told = remarks(NIGHTS, exceptions=[
        one("12:00", "13:00", "authorised"), one("21:00", "23:00", "authorised"), one("21:00", "23:00", "authorised"),
        one("22:30", "23:00", "extra"), one("14:00", "15:00", "extra"), one("14:30", "14:40", "authorised"),
    ])  # fmt: skip
    assert told == [
        "exception 1 (authorised, 2026-02-02 12:00 to 13:00) lies outside every window: it changes nothing",
        "exception 3 (authorised, 2026-02-02 21:00 to 23:00) comes twice",
        "exception 4 (extra, 2026-02-02 22:30 to 23:00) lies in a window as it is: it changes nothing",
    ]


def zones(*given: tuple[dict[str, Any], dict[str, Any]]) -> list[Zone]:
    features = [
        {
            "type": "Feature",
            "properties": {"id": f"z{k}", "kind": "exclusion", "wearers": "*"} | properties,
            "geometry": geometry,
        }
        for k, (properties, geometry) in enumerate(given)
    ]
    return read_zones({"type": "FeatureCollection", "features": features})


def point(lon: float, lat: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    return {
        "type": "Polygon",
        "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
    }


def test_the_exceptions_of_a_zone_where_it_is_not_in_force() -> None:
    leave = {"from": "2026-02-02T12:00", "to": "2026-02-02T13:00", "kind": "suspended"}
    (zone,) = zones(({"radius_m": 50, "valid_from": "2026-03-01", "exceptions": [leave, leave]}, point(0, 53)))
    assert zone_remarks(zone, TODAY) == [
        "exception 1 (suspended, 2026-02-02 12:00 to 13:00) lies where the zone is not in force: it changes nothing",
        "exception 2 (suspended, 2026-02-02 12:00 to 13:00) comes twice",
    ]


def test_a_zone_is_in_force_from_one_whole_day_to_the_next() -> None:
    rows = [{"days": [day], "start": "00:00", "end": "24:00"} for day in ("sat", "sun")]
    (zone,) = zones(({"radius_m": 50, "schedule": {"timezone": "UTC", "weekly": rows}}, point(0, 53)))
    assert zone_remarks(zone, TODAY) == ["row 1 (Sat 00:00-24:00) on Sat and row 2 (Sun 00:00-24:00) touch: one window"]
    assert zone.in_force(LOW, LOW + 7 * DAY_US) == [(LOW + 5 * DAY_US, LOW + 7 * DAY_US)]
    rows = [{"days": EVERY, "start": "00:00", "end": "24:00"}]
    (zone,) = zones(({"radius_m": 50, "schedule": {"timezone": "UTC", "weekly": rows}}, point(0, 53)))
    assert zone_remarks(zone, TODAY) == ["no minute of the week is free: in force at all times"]


def test_properties_of_others_are_named_once_and_slips_one_by_one() -> None:
    features = [
        {"type": "Feature", "properties": {"id": "a", "fill": "#f00", "stroke": 1}},
        {"type": "Feature", "properties": {"id": "b", "fill": "#f00", "valid_form": "2026-01-01", "Radius_M": 5}},
    ]
    assert foreign_properties({"features": features}) == [
        "feature 2 (id b): valid_form is not known and passed over; is valid_from meant?",
        "feature 2 (id b): Radius_M is not known and passed over; is radius_m meant?",
        "properties that mean nothing here are passed over: fill (2), stroke (1)",
    ]


def clash(curfew: dict[str, Any], *given: tuple[dict[str, Any], dict[str, Any]]) -> list[str]:
    return contradictions(zones(*given), read_curfews([curfew]), LOW, LOW + 28 * DAY_US)


def test_a_home_in_an_exclusion_zone_is_a_contradiction() -> None:
    about = box(-1.01, 52.99, -0.99, 53.01)
    half = box(-1.0, 52.99, -0.99, 53.01)
    told = "% of a place lies in exclusion zone z0, which is in force at the same time"
    assert clash(row(NIGHTS), ({}, about)) == [f"curfew c: 100 {told}"]
    assert clash(row(NIGHTS), ({}, half)) == [f"curfew c: 50 {told}"]
    assert clash(row(NIGHTS), ({"wearers": ["other"]}, about)) == []
    assert clash(row(NIGHTS), ({}, box(-0.9, 52.99, -0.8, 53.01))) == []
    days = {"timezone": "Europe/London", "weekly": [{"days": EVERY, "start": "08:00", "end": "18:00"}]}
    assert clash(row(NIGHTS), ({"schedule": days}, about)) == []
    assert clash(row(NIGHTS, valid_to="2026-01-10"), ({"valid_from": "2026-01-12"}, about)) == []
    assert clash(row(NIGHTS), ({"radius_m": 30, "wearers": ["w"]}, point(-1.0, 53.0))) == [f"curfew c: 25 {told}"]


def test_a_home_off_an_inclusion_zone_is_a_contradiction() -> None:
    stay = {"kind": "inclusion", "wearers": ["w"]}
    told = ["curfew c: a place lies outside inclusion zone z0, which is in force at the same time"]
    assert clash(row(NIGHTS), (stay, box(-0.9, 52.99, -0.8, 53.01))) == told
    assert clash(row(NIGHTS), (stay, box(-1.1, 52.99, -0.8, 53.01))) == []
    assert clash(row(NIGHTS), (stay | {"valid_to": "2026-01-01"}, box(-0.9, 52.99, -0.8, 53.01))) == []


def test_places_on_both_sides_of_the_antimeridian() -> None:
    home = row(NIGHTS, place={"lat": 0.0, "lon": -179.9999, "radius_m": 60})
    assert len(clash(home, ({}, box(179.9, -0.1, 180.1, 0.1)))) == 1
    assert len(clash(home, ({}, box(179.9, -0.1, 180.0, 0.1)))) == 1
    assert clash(home, ({}, box(179.9, -0.1, 179.99, 0.1))) == []
    assert clash(home, ({"kind": "inclusion"}, box(179.9, -0.1, 180.0, 0.1))) == []
