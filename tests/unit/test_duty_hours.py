"""Duty hours: what may be written, who is on duty when, and when the next duty begins."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.duty_hours import DAYS, next_duty_us, on_duty, read_hours
from engine.errors import InputError
from engine.times import DAY_US, HOUR_US, MINUTE_US, parse_time, to_datetime

LONDON, TOKYO = "Europe/London", "Asia/Tokyo"


def at(text: str) -> int:
    return parse_time(text)


@pytest.mark.parametrize(
    "text", [None, "", "24/7", "Mo-Su", "Mo-Su 00:00-24:00", "00:00-24:00", "Mo-Fr; Sa,Su 00:00-24:00"]
)
def test_always_on_duty(text):
    assert read_hours(text, LONDON) is None
    assert on_duty(None, 0)
    assert next_duty_us(None, 5) == 5


@pytest.mark.parametrize(
    ("text", "moment", "here", "following"),
    [
        ("Mo-Fr 08:00-18:00; Sa 09:00-12:00", "2026-01-05T08:00:00Z", True, "2026-01-05T08:00:00Z"),
        ("Mo-Fr 08:00-18:00; Sa 09:00-12:00", "2026-01-05T18:00:00Z", False, "2026-01-06T08:00:00Z"),
        ("Mo-Fr 08:00-18:00; Sa 09:00-12:00", "2026-01-09T20:00:00Z", False, "2026-01-10T09:00:00Z"),
        ("Mo-Fr 08:00-18:00; Sa 09:00-12:00", "2026-01-10T12:00:00Z", False, "2026-01-12T08:00:00Z"),
        ("mo,we 08:00-12:00, 13:00-17:00", "2026-01-05T12:30:00Z", False, "2026-01-05T13:00:00Z"),
        ("Fr-Mo 22:00-06:00", "2026-01-06T05:59:00Z", True, "2026-01-06T05:59:00Z"),
        ("Fr-Mo 22:00-06:00", "2026-01-06T06:00:00Z", False, "2026-01-09T22:00:00Z"),
        ("Mo-Fr 08:00-18:00; We off", "2026-01-07T10:00:00Z", False, "2026-01-08T08:00:00Z"),
        ("Mo-Fr 08:00-18:00; Fr 08:00-16:00", "2026-01-09T16:30:00Z", False, "2026-01-12T08:00:00Z"),
        ("24/7; Su off", "2026-01-11T10:00:00Z", False, "2026-01-12T00:00:00Z"),
        ("09:00-17:00", "2026-01-11T08:00:00Z", False, "2026-01-11T09:00:00Z"),
        # Clocks go forward at 01:00Z on 29 March: 08:00 is 07:00Z then. They go back on 25 October.
        ("Mo-Su 08:00-18:00", "2026-03-28T19:00:00Z", False, "2026-03-29T07:00:00Z"),
        ("Mo-Su 08:00-18:00", "2026-10-24T18:00:00Z", False, "2026-10-25T08:00:00Z"),
        ("Su 01:30-02:00", "2026-10-25T01:59:00Z", True, "2026-10-25T01:59:00Z"),
        ("Su 01:15-01:45", "2026-03-28T12:00:00Z", False, "2026-04-05T00:15:00Z"),  # there is no such hour on 29 March
    ],
)
def test_duty_in_london(text, moment, here, following):
    hours = read_hours(text, LONDON)
    assert on_duty(hours, at(moment)) is here
    assert next_duty_us(hours, at(moment)) == at(following)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Mo-Fr 08:00-25:00", "25:00 is no time"),
        ("Mo-Fr 8:00-18:00", "cannot be read"),
        ("Mo-Fr 08:00-08:00", "is empty"),
        ("Mo-Fr 24:00-08:00", "is empty"),
        ("Mo-Fr 08:00", "has no end"),
        ("Mo-Fri 08:00-18:00", "cannot be read"),
        ("Xx 08:00-18:00", "xx is no day"),
        ("PH off", "ph is no day"),
        ("Mo-We-Fr 08:00-18:00", "is no range"),
        ("Mo-Fr 08:00-18:00, Sa 09:00-12:00", "is no time"),
        ("off", "leaves no hour"),
        ("Mo-Fr 08:00-18:00; Mo-Su off", "leaves no hour"),
        (";", "leaves no hour"),
        ("always", "cannot be read"),
        (17, "hours is 17"),
        (["Mo-Fr 08:00-18:00"], "expected such as"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(text, told):
    with pytest.raises(InputError, match="hours") as fault:
        read_hours(text, LONDON)
    assert told in str(fault.value)


def test_time_zone_must_exist():
    with pytest.raises(InputError, match="Mars/Olympus"):
        read_hours("24/7", "Mars/Olympus")


SPANS = st.tuples(st.integers(0, 47), st.integers(0, 48)).filter(lambda span: span[0] != span[1])
RULES = st.lists(st.tuples(st.sets(st.integers(0, 6), min_size=1), st.lists(SPANS, max_size=2)), min_size=1, max_size=4)


def written(rules: list[tuple[set[int], list[tuple[int, int]]]]) -> str:
    def clock(half_hours: int) -> str:
        return f"{half_hours // 2:02d}:{half_hours % 2 * 30:02d}"

    return "; ".join(
        ",".join(DAYS[day].title() for day in sorted(days))
        + " "
        + (",".join(f"{clock(a)}-{clock(b)}" for a, b in spans) if spans else "off")
        for days, spans in rules
    )


def told_by_the_clock(rules: list[tuple[set[int], list[tuple[int, int]]]], at_us: int) -> bool:
    """The oracle: look at the wall clock where clocks never change."""
    by_day: dict[int, list[tuple[int, int]]] = {}
    for days, spans in rules:
        by_day |= dict.fromkeys(days, spans)
    now = to_datetime(at_us).astimezone(ZoneInfo(TOKYO))
    half_hours = (now.hour * 60 + now.minute) / 30
    today = any(a <= half_hours < (b if b > a else 99) for a, b in by_day.get(now.weekday(), []))
    yesterday = by_day.get((now - timedelta(days=1)).weekday(), [])
    return today or any(b < a and half_hours < b for a, b in yesterday)


@given(rules=RULES, minute=st.integers(0, 14 * 24 * 60))
def test_duty_is_what_the_wall_clock_says(rules, minute):
    at_us = at("2026-06-01T00:00:00Z") + minute * MINUTE_US
    final: dict[int, list[tuple[int, int]]] = {}
    for days, spans in rules:
        final |= dict.fromkeys(days, spans)
    if not any(final.values()):
        with pytest.raises(InputError):
            read_hours(written(rules), TOKYO)
        return
    hours = read_hours(written(rules), TOKYO)
    assert on_duty(hours, at_us) is told_by_the_clock(rules, at_us)
    following = next_duty_us(hours, at_us)
    assert at_us <= following <= at_us + 8 * DAY_US
    assert on_duty(hours, following)
    if following > at_us:
        between = range(at_us, following, HOUR_US // 2)
        assert not any(told_by_the_clock(rules, moment) for moment in between)
