"""Windows in local wall time: both clock changes, windows that overlap, dates, exceptions; the oracle walks by minutes."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from engine.times import HOUR_US, MINUTE_US, from_datetime, parse_time
from geofence.curfew import Curfew, read_curfews
from geofence.schedule import DAYS, Interval, Schedule, merged, read_schedule, wall_instant, without
from geofence.zone import read_zones

LONDON = ZoneInfo("Europe/London")
EVERY_DAY = list(DAYS)


def schedule(*windows: tuple[list[str], str, str], zone: str = "Europe/London", **dates: str) -> Schedule:
    rows = [{"days": days, "start": start, "end": end} for days, start, end in windows]
    return read_schedule({"timezone": zone, "weekly": rows}, **dates)


def of_day(text: str, zone: str = "UTC") -> tuple[int, int]:
    start = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return from_datetime(start), from_datetime(start) + 48 * HOUR_US


def texts(intervals: list[Interval]) -> list[tuple[str, str]]:
    return [tuple(datetime.fromtimestamp(us / 1e6, UTC).strftime("%d %H:%M") for us in interval) for interval in intervals]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("night", "hours"), [("2026-03-28", 7), ("2026-10-24", 9), ("2026-03-27", 8), ("2026-03-29", 8), ("2026-10-25", 8)]
)
def test_ten_at_night_to_six_is_as_long_as_the_wall_clock_says(night: str, hours: int) -> None:
    day = DAYS[date.fromisoformat(night).weekday()]
    found = schedule(([day], "22:00", "06:00")).windows(*of_day(night))
    assert [(end - start) / HOUR_US for start, end in found] == [hours]


def test_a_time_that_does_not_exist_is_the_instant_of_the_change() -> None:
    found = schedule((["sun"], "01:30", "06:00")).windows(*of_day("2026-03-29"))
    assert texts(found) == [("29 01:00", "29 05:00")]  # 02:00 summer time is 01:00 UTC
    found = schedule((["sun"], "00:30", "01:15")).windows(*of_day("2026-03-29"))
    assert texts(found) == [("29 00:30", "29 01:00")]
    assert schedule((["sun"], "01:15", "01:45")).windows(*of_day("2026-03-29")) == []


def test_a_time_that_occurs_twice_is_the_first_for_a_start_and_the_second_for_an_end() -> None:
    found = schedule((["sun"], "01:15", "01:45")).windows(*of_day("2026-10-25"))
    assert texts(found) == [("25 00:15", "25 01:45")]
    found = schedule((["sat"], "22:00", "01:30")).windows(*of_day("2026-10-24"))
    assert texts(found) == [("24 21:00", "25 01:30")]


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        ("America/Sao_Paulo", "2017-10-15T00:30", "2017-10-15T03:00:00Z"),  # the change is at midnight
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30:00Z"),  # by half an hour
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00:00Z"),  # a whole day that never was
    ],
)
def test_gaps_of_other_places_end_at_their_change(zone: str, wall: str, instant: str) -> None:
    for is_end in (False, True):
        assert wall_instant(datetime.fromisoformat(wall), ZoneInfo(zone), is_end=is_end) == parse_time(instant)


def test_a_whole_day_is_midnight_to_midnight_and_a_window_of_its_own() -> None:
    found = schedule((["sun"], "00:00", "24:00")).windows(*of_day("2026-03-29"))
    assert texts(found) == [("29 00:00", "29 23:00")]  # 23 hours
    week = schedule((EVERY_DAY, "00:00", "24:00"))
    assert texts(week.windows(*of_day("2026-03-27"))) == [
        ("27 00:00", "28 00:00"), ("28 00:00", "29 00:00"), ("29 00:00", "29 23:00"),
    ]  # fmt: skip


def test_windows_that_overlap_or_touch_are_one() -> None:
    two = schedule((["mon"], "19:00", "23:00"), (["mon"], "22:00", "07:00"), (["tue"], "07:00", "08:00"))
    assert texts(two.windows(*of_day("2026-01-05"))) == [("05 19:00", "06 08:00")]


def test_validity_is_by_the_day_on_which_a_window_starts_both_inclusive() -> None:
    some = schedule((EVERY_DAY, "22:00", "06:00"), valid_from="2026-01-05", valid_to="2026-01-06")
    found = some.windows(parse_time("2026-01-01T00:00:00Z"), parse_time("2026-01-20T00:00:00Z"))
    assert texts(found) == [("05 22:00", "06 06:00"), ("06 22:00", "07 06:00")]


def test_only_windows_that_meet_the_question_are_told() -> None:
    some = schedule((EVERY_DAY, "22:00", "06:00"))
    at = parse_time("2026-01-05T23:00:00Z")
    assert texts(some.windows(at, at)) == [("05 22:00", "06 06:00")]
    assert some.windows(at - 3 * HOUR_US, at - 2 * HOUR_US) == []


def plain_in_force(weekly: list[tuple[list[str], str, str]], minute_us: int, zone: ZoneInfo) -> bool:
    """Whether a UTC minute lies in a window: by its local wall time, and by which of two equal times it is."""
    local = datetime.fromtimestamp(minute_us / 1e6, UTC).astimezone(zone)
    wall = local.replace(tzinfo=None, fold=0)
    for days, start_text, end_text in weekly:
        for back in (0, 1):
            day = wall.date() - timedelta(days=back)
            if DAYS[day.weekday()] not in days:
                continue
            midnight = datetime.combine(day, datetime.min.time())
            start = midnight + timedelta(hours=int(start_text[:2]), minutes=int(start_text[3:]))
            end = midnight + timedelta(hours=int(end_text[:2]), minutes=int(end_text[3:]))
            end += timedelta(days=end_text < start_text)
            # What comes twice is in force from its first start to its second end: at the second time of 01:10 a window
            # from 01:15 has begun already, and at the first time of 01:50 a window to 01:45 has not ended yet.
            begun = wall >= start or (local.fold == 1 and is_ambiguous(start, zone))
            ended = wall >= end and not (local.fold == 0 and is_ambiguous(end, zone) and is_ambiguous(wall, zone))
            if begun and not ended:
                return True
    return False


def is_ambiguous(wall: datetime, zone: ZoneInfo) -> bool:
    early, late = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return early is not None and late is not None and early > late


CLOCK = st.sampled_from(
    ["00:00", "00:30", "01:00", "01:15", "01:30", "01:45", "02:00", "02:30", "06:00", "13:10", "22:00", "23:59"]
)
WINDOW = st.tuples(
    st.lists(st.sampled_from(EVERY_DAY), min_size=1, max_size=7, unique=True), CLOCK, CLOCK | st.just("24:00")
).filter(lambda w: w[1] != w[2])


@settings(max_examples=60)
@given(st.lists(WINDOW, min_size=1, max_size=3), st.sampled_from(["2026-03-28", "2026-10-24", "2026-07-01"]))
def test_windows_equal_a_walk_by_minutes(weekly: list[tuple[list[str], str, str]], first_day: str) -> None:
    start, end = of_day(first_day, "Europe/London")
    found = schedule(*weekly).windows(start, end)
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(found))
    for minute in range(start, end, MINUTE_US):
        expected = plain_in_force(weekly, minute, LONDON)
        assert any(a <= minute < b for a, b in found) == expected, datetime.fromtimestamp(minute / 1e6, UTC)


def test_an_end_equal_to_the_start_is_refused() -> None:
    with pytest.raises(InputError, match="end is '22:00': equals the start"):
        schedule((["mon"], "22:00", "22:00"))


INTERVALS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)).map(lambda p: (p[0], p[0] + p[1])), max_size=6)


@given(INTERVALS, INTERVALS)
def test_intervals_add_and_subtract_as_sets(some: list[Interval], holes: list[Interval]) -> None:
    def points(intervals: list[Interval]) -> set[int]:
        return {k for a, b in intervals for k in range(a, b)}

    assert points(merged(some)) == points(some)
    assert points(without(some, holes)) == points(some) - points(holes)
    for found in (merged(some), without(some, holes)):
        assert all(one[1] < two[0] or (one[1] <= two[0] and holes) for one, two in itertools.pairwise(found))


# --- curfews and zones


def curfew(**more: Any) -> Curfew:
    row = {
        "id": "c", "wearer": "w", "place": {"lat": 53, "lon": -1, "radius_m": 60}, "timezone": "Europe/London",
        "weekly": [{"days": EVERY_DAY, "start": "22:00", "end": "06:00"}],
    }  # fmt: skip
    return read_curfews([row | more])[0]


def test_authorised_absence_is_cut_out_and_an_extra_window_is_added() -> None:
    one = curfew(
        exceptions=[
            {"from": "2026-01-05T23:00", "to": "2026-01-06T01:00", "kind": "authorised", "reason": "work"},
            {"from": "2026-01-06T12:00", "to": "2026-01-06T13:00", "kind": "extra"},
            {"from": "2026-01-06T05:00", "to": "2026-01-06T07:00", "kind": "extra"},
        ]
    )
    found = one.windows(*of_day("2026-01-05"))
    assert texts(found)[1:5] == [
        ("05 22:00", "05 23:00"),
        ("06 01:00", "06 07:00"),
        ("06 12:00", "06 13:00"),
        ("06 22:00", "07 06:00"),
    ]


def test_exceptions_are_local_unless_they_carry_an_offset() -> None:
    local = curfew(exceptions=[{"from": "2026-07-01T12:00", "to": "2026-07-01T13:00", "kind": "extra"}])
    offset = curfew(exceptions=[{"from": "2026-07-01T11:00Z", "to": "2026-07-01T14:00+02:00", "kind": "extra"}])
    assert local.exceptions[0][:2] == offset.exceptions[0][:2]


def test_the_version_of_a_curfew_covers_the_zone_it_names() -> None:
    def zone(radius_m: float) -> Any:
        return read_zones(
            {"type": "FeatureCollection", "features": [
                {"type": "Feature", "properties": {"id": "home", "kind": "inclusion", "wearers": "*", "radius_m": radius_m},
                 "geometry": {"type": "Point", "coordinates": [-1, 53]}}]}
        )  # fmt: skip

    row = {"id": "c", "wearer": "w", "place": {"zone": "home"}, "timezone": "UTC",
           "weekly": [{"days": ["mon"], "start": "22:00", "end": "06:00"}]}  # fmt: skip
    versions = {read_curfews([row], zone(radius_m))[0].version for radius_m in (50, 60)}
    assert len(versions) == 2
    assert read_curfews([row], zone(50))[0].version in versions


def test_a_zone_is_in_force_by_its_dates_and_its_schedule() -> None:
    def zone(**more: Any) -> Any:
        given = {"id": "z", "kind": "exclusion", "wearers": "*", "radius_m": 50} | more
        feature = {"type": "Feature", "properties": given, "geometry": {"type": "Point", "coordinates": [-1, 53]}}
        return read_zones({"type": "FeatureCollection", "features": [feature]})[0]

    start, end = parse_time("2026-03-27T00:00:00Z"), parse_time("2026-04-02T00:00:00Z")
    assert zone().in_force(start, end) == [(start, end)]
    dated = zone(valid_from="2026-03-28", valid_to="2026-03-29", timezone="Europe/London").in_force(start, end)
    assert texts(dated) == [("28 00:00", "29 23:00")]
    assert zone(valid_to="9999-12-31").in_force(start, end) == [(start, end)]
    assert zone(valid_from="2027-01-01").in_force(start, end) == []
    weekly = {"timezone": "Europe/London", "weekly": [{"days": ["sat", "sun"], "start": "22:00", "end": "06:00"}]}
    scheduled = zone(schedule=weekly, valid_from="2026-03-29").in_force(start, end)
    assert texts(scheduled) == [("29 21:00", "30 05:00")]
    assert zone(schedule=weekly).in_force(*(parse_time(f"2026-03-28T23:{m}:00Z") for m in (10, 20))) == [
        (parse_time("2026-03-28T23:10:00Z"), parse_time("2026-03-28T23:20:00Z"))
    ]
