"""Curfews on the nights of 2026 on which clocks change, in London (an hour) and on Lord Howe (half an hour): the windows, every
finding with its minutes, and other dates and places where a calendar or a map has an edge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from alerts.alert import Alert
from engine.fixes import Fixes
from engine.times import HOUR_US, MINUTE_US, from_datetime, parse_time
from geofence.curfew import Curfew, read_curfews
from geofence.schedule import DAYS
from tagwatch.monitor import Conditions
from tagwatch.replay import replay

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
HOME, AWAY = (53.0, -1.0), (53.02, -1.0)
NIGHTS = [  # (zone, the evening, hours of a curfew from 22:00 to 06:00)
    ("Europe/London", "2026-03-27", 8.0),
    ("Europe/London", "2026-03-28", 7.0),
    ("Europe/London", "2026-10-24", 9.0),
    ("Australia/Lord_Howe", "2026-04-03", 8.0),
    ("Australia/Lord_Howe", "2026-04-04", 8.5),
    ("Australia/Lord_Howe", "2026-10-03", 7.5),
    ("Europe/London", "2026-12-31", 8.0),
    ("Europe/London", "2028-02-28", 8.0),
    ("Europe/London", "2028-02-29", 8.0),
]


def curfew(zone: str, start: str = "22:00", end: str = "06:00", **more: Any) -> Curfew:
    row = {
        "id": "c", "wearer": "tag", "place": {"lat": HOME[0], "lon": HOME[1], "radius_m": 80}, "timezone": zone,
        "weekly": [{"days": list(DAYS), "start": start, "end": end}],
    }  # fmt: skip
    return read_curfews([row | more])[0]


def wall(text: str, zone: str, fold: int = 0) -> int:
    """An instant by the clock on the wall."""
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold))


def of_evening(one: Curfew, evening: str) -> tuple[int, int]:
    """The window that begins on this local day."""
    noon = wall(f"{evening}T12:00", one.schedule.timezone)
    (found,) = [w for w in one.windows(noon, noon + 18 * HOUR_US) if w[0] >= noon]
    return found


@pytest.mark.parametrize(("zone", "evening", "hours"), NIGHTS)
def test_a_night_is_as_long_as_the_clocks_on_the_wall_say(zone: str, evening: str, hours: float) -> None:
    start, end = of_evening(curfew(zone), evening)
    assert (end - start) / HOUR_US == hours
    assert start == wall(f"{evening}T22:00", zone)


@pytest.mark.parametrize(
    ("zone", "day", "start", "end", "minutes"),
    [  # wholly within the time that is missing: no window; that comes twice: from the first start to the second end
        ("Europe/London", "2026-03-29", "01:00", "02:00", None),
        ("Europe/London", "2026-03-29", "01:15", "01:45", None),
        ("Europe/London", "2026-03-29", "00:45", "01:15", 15),
        ("Europe/London", "2026-03-29", "01:45", "02:15", 15),
        ("Europe/London", "2026-10-25", "01:15", "01:45", 90),
        ("Europe/London", "2026-10-25", "01:00", "02:00", 120),
        ("Europe/London", "2026-10-25", "00:45", "01:15", 90),
        ("Australia/Lord_Howe", "2026-10-04", "02:00", "02:30", None),
        ("Australia/Lord_Howe", "2026-10-04", "02:05", "02:25", None),
        ("Australia/Lord_Howe", "2026-10-04", "01:45", "02:15", 15),
        ("Australia/Lord_Howe", "2026-10-04", "02:15", "02:45", 15),
        ("Australia/Lord_Howe", "2026-04-05", "01:35", "01:55", 50),
        ("Australia/Lord_Howe", "2026-04-05", "01:30", "02:00", 60),
        ("Australia/Lord_Howe", "2026-04-05", "01:15", "01:45", 60),
        ("Australia/Lord_Howe", "2026-04-05", "02:00", "02:30", 30),
    ],
)
def test_a_window_within_the_hour_that_is_missing_or_doubled(
    zone: str, day: str, start: str, end: str, minutes: int | None
) -> None:
    midnight = wall(f"{day}T00:00", zone)
    found = curfew(zone, start, end).windows(midnight, midnight + 12 * HOUR_US)
    assert [(b - a) / MINUTE_US for a, b in found] == ([] if minutes is None else [minutes])


@pytest.mark.parametrize(("zone", "day", "hours"), [
    ("Europe/London", "2026-03-29", 23.0), ("Europe/London", "2026-10-25", 25.0), ("Europe/London", "2028-02-29", 24.0),
    ("Australia/Lord_Howe", "2026-04-05", 24.5), ("Australia/Lord_Howe", "2026-10-04", 23.5),
])  # fmt: skip
def test_a_whole_day_is_a_window_of_its_own_on_every_day_of_the_year(zone: str, day: str, hours: float) -> None:
    noon = wall(f"{day}T12:00", zone)
    every = curfew(zone, "00:00", "24:00")
    ((start, end),) = every.windows(noon, noon)
    assert (start, (end - start) / HOUR_US) == (wall(f"{day}T00:00", zone), hours)
    some = every.windows(noon - 400 * 24 * HOUR_US, noon + 400 * 24 * HOUR_US)
    assert len(some) == 801
    assert (start, end) in some
    assert [b for _, b in some[:-1]] == [a for a, _ in some[1:]]


def of_curfew(found: list[Alert]) -> list[Alert]:
    """Without what is said of the tag."""
    return [alert for alert in found if alert.rule.startswith("curfew.")]


def scene(one: Curfew, evening: str, home: Callable[[float, float], bool], as_of: float | None = None) -> list[Alert]:
    """The alerts of a wearer who is at home at those minutes of the window (of so many) for which home says so."""
    start, end = of_evening(one, evening)
    length = (end - start) / MINUTE_US
    minutes = np.arange(-90, length + 30)
    at = [HOME if home(minute, length) else AWAY for minute in minutes]
    lat, lon = (np.round(np.array(c) * 1e7) for c in zip(*at, strict=True))
    fixes = Fixes.of(
        ("tag",), device=np.zeros(len(at)), time_us=[start + int(m) * MINUTE_US for m in minutes], lat_e7=lat, lon_e7=lon,
        accuracy_cm=np.full(len(at), 800), source=np.ones(len(at)),
    )  # fmt: skip
    instant = int(fixes.time_us[-1]) if as_of is None else start + round(as_of * MINUTE_US)
    found = of_curfew(replay(fixes, Conditions((), [one]), instant).alerts)
    assert all(parse_time(a.began) >= start and (a.ended is None or parse_time(a.ended) <= end) for a in found)
    return found


FINDINGS: list[tuple[str, Callable[[float, float], bool], Callable[[float], float]]] = [
    ("curfew.absent", lambda m, n: False, lambda n: n),
    ("curfew.late", lambda m, n: m >= n - 100, lambda n: n - 100),
    ("curfew.end", lambda m, n: m < 100, lambda n: n - 100),
    ("curfew.left", lambda m, n: not 100 <= m < n - 60, lambda n: n - 160),
]


@pytest.mark.parametrize(("zone", "evening", "hours"), NIGHTS)
@pytest.mark.parametrize(("rule", "home", "away"), FINDINGS, ids=[rule for rule, _, _ in FINDINGS])
def test_every_absence_counts_the_true_minutes_of_the_night(
    zone: str, evening: str, hours: float, rule: str, home: Any, away: Any
) -> None:
    (alert,) = scene(curfew(zone), evening, home)
    assert (alert.rule, alert.condition, alert.minutes) == (rule, "cleared", away(hours * 60))
    assert alert.why["minutes_away_in_window"] == alert.minutes
    day = datetime.fromisoformat(evening)
    if rule == "curfew.absent":
        assert f" {day:%d} " in alert.why["text"]
        assert alert.why["text"].endswith("06:00")


@pytest.mark.parametrize(("zone", "evening", "hours"), NIGHTS)
def test_a_night_at_home_and_one_before_its_end(zone: str, evening: str, hours: float) -> None:
    assert scene(curfew(zone), evening, lambda m, n: 0 <= m < n) == []
    (alert,) = scene(curfew(zone), evening, lambda m, n: False, as_of=hours * 60 - 1)
    assert (alert.rule, alert.condition, alert.minutes) == ("curfew.start", "active", hours * 60 - 1)


@pytest.mark.parametrize(("zone", "evening", "hours"), NIGHTS[1:3] + NIGHTS[4:6])
def test_nothing_but_silence_is_not_verifiable_for_all_of_the_night(zone: str, evening: str, hours: float) -> None:
    one = curfew(zone)
    start, end = of_evening(one, evening)
    fixes = Fixes.of(("tag",), device=[0], time_us=[start - 60 * MINUTE_US], lat_e7=[530_000_000], lon_e7=[-10_000_000],
                     accuracy_cm=[800], source=[1])  # fmt: skip
    (alert,) = of_curfew(replay(fixes, Conditions((), [one]), end).alerts)
    assert (alert.rule, alert.condition, alert.minutes) == ("curfew.unverified", "cleared", hours * 60)


def test_leave_and_an_extra_window_on_the_wall_of_the_doubled_hour() -> None:
    """From 01:15 to 01:45 of the night on which that comes twice is from the first to the second: 90 minutes."""
    leave = {"from": "2026-10-25T01:15", "to": "2026-10-25T01:45", "kind": "authorised", "reason": "work"}
    one = curfew("Europe/London", exceptions=[leave])
    noon = wall("2026-10-24T12:00", "Europe/London")
    found = one.windows(noon, noon + 24 * HOUR_US)
    assert [(b - a) / HOUR_US for a, b in found] == [3.25, 4.25]
    extra = curfew("Europe/London", "03:00", "04:00", exceptions=[leave | {"kind": "extra"}])
    assert [(b - a) / HOUR_US for a, b in extra.windows(noon, noon + 24 * HOUR_US)] == [1.5, 1.0]
    missing = curfew("Europe/London", exceptions=[leave | {"from": "2026-03-29T00:30", "to": "2026-03-29T01:30"}])
    noon = wall("2026-03-28T12:00", "Europe/London")
    assert [(b - a) / HOUR_US for a, b in missing.windows(noon, noon + 18 * HOUR_US)] == [2.5, 4.0]


@pytest.mark.parametrize(("lon", "away_lon"), [(180.0, -179.98), (-179.9999, 179.98), (179.9999, 179.97)])
def test_a_home_on_the_antimeridian(lon: float, away_lon: float) -> None:
    home = read_curfews([{
        "id": "c", "wearer": "tag", "place": {"lat": -17.0, "lon": lon, "radius_m": 80}, "timezone": "Pacific/Fiji",
        "weekly": [{"days": list(DAYS), "start": "22:00", "end": "06:00"}],
    }])  # fmt: skip
    start, end = of_evening(home[0], "2026-07-01")
    n = (end - start) // MINUTE_US + 30
    side = np.where(np.arange(n) % 2, -1, 1) * 200  # 2 m on this side of the line, 2 m on the other
    near = (round(lon * 1e7) + side + 1_800_000_000) % 3_600_000_000 - 1_800_000_000
    away = np.arange(n) >= 120
    fixes = Fixes.of(
        ("tag",), device=np.zeros(n), time_us=start + np.arange(n) * MINUTE_US, lat_e7=np.full(n, -170_000_000),
        lon_e7=np.where(away, round(away_lon * 1e7), near), accuracy_cm=np.full(n, 800), source=np.ones(n),
    )  # fmt: skip
    (alert,) = of_curfew(replay(fixes, Conditions((), home), end).alerts)
    assert (alert.rule, alert.minutes) == ("curfew.end", 480.0 - 120.0)
