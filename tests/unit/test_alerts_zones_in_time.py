"""Zones in time by scenes: a schedule that starts while the wearer is inside already, entries that are authorised, monitoring
that is suspended, and versions that follow one another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from alerts.alert import Alert
from engine.fixes import Fixes
from engine.times import MINUTE_US, parse_time, to_iso
from geofence.zone import read_zones
from tagwatch.monitor import Conditions
from tagwatch.replay import replay

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
NOON = parse_time("2026-01-05T12:00:00Z")  # a Monday
Span = tuple[int, int]


def at(minute: float) -> int:
    return NOON + round(minute * MINUTE_US)


def zones(*given: dict[str, Any]) -> Any:
    features = [
        {"type": "Feature", "properties": {"id": "z", "kind": "exclusion", "wearers": ["tag"], "radius_m": 300} | more,
         "geometry": None if more.get("removed") else {"type": "Point", "coordinates": [-1.0, 53.0]}}
        for more in given
    ]  # fmt: skip
    return read_zones({"type": "FeatureCollection", "features": features})


def brief(inside: Span, *given: dict[str, Any], as_of: int = 400) -> list[tuple[str, str, str | None, float]]:
    """(condition, began, ended, minutes) of the zone's alerts: fixes each minute, inside the zone in those of `inside`."""
    minutes = np.arange(-60, as_of + 1)
    there = (minutes >= inside[0]) & (minutes < inside[1])
    fixes = Fixes.of(
        ("tag",), device=np.zeros(len(minutes)), time_us=[at(int(m)) for m in minutes],
        lat_e7=np.where(there, 530_000_000, 530_100_000), lon_e7=np.full(len(minutes), -10_000_000),
        accuracy_cm=np.full(len(minutes), 800), source=np.ones(len(minutes)),
    )  # fmt: skip
    found: list[Alert] = replay(fixes, Conditions(zones(*given)), at(as_of)).alerts
    return [(a.condition, a.began, a.ended, a.minutes) for a in found if a.rule == "zone.exclusion"]


def clock(minute: int) -> str:
    return to_iso(at(minute))


def hours(start: str, end: str) -> dict[str, Any]:
    return {"schedule": {"timezone": "UTC", "weekly": [{"days": ["mon"], "start": start, "end": end}]}}


def but(start: str, end: str, kind: str) -> dict[str, Any]:
    return {"exceptions": [{"from": f"2026-01-05T{start}", "to": f"2026-01-05T{end}", "kind": kind}]}


def test_already_inside_when_the_schedule_starts_is_a_breach_from_then_on() -> None:
    two_to_four = hours("14:00", "16:00")
    assert brief((0, 400), two_to_four) == [("cleared", clock(120), clock(240), 120.0)]
    assert brief((0, 400), two_to_four, as_of=121) == [("active", clock(120), None, 1.0)]
    assert brief((0, 400), two_to_four, as_of=120) == []
    assert brief((0, 115), two_to_four) == []
    assert brief((150, 400), two_to_four) == [("cleared", clock(150), clock(240), 90.0)]


@pytest.mark.parametrize("kind", ["authorised", "suspended"])
def test_what_is_authorised_or_suspended_is_no_breach(kind: str) -> None:
    assert brief((0, 60), but("11:50", "13:10", kind)) == []
    assert brief((0, 100), but("11:50", "13:10", kind)) == [("cleared", clock(70), clock(100), 30.0)]  # stayed too long
    # away again within half an hour is one alert, the time that was allowed not counted
    assert brief((0, 200), but("13:00", "13:20", kind)) == [("cleared", clock(0), clock(200), 180.0)]
    assert brief((0, 200), but("13:00", "14:00", kind)) == [
        ("cleared", clock(0), clock(60), 60.0),
        ("cleared", clock(120), clock(200), 80.0),
    ]


def test_a_breach_over_a_change_of_version_is_one_alert() -> None:
    later = {"holds_from": "2026-01-05T13:00:00Z", "radius_m": 320}
    assert brief((0, 200), {}, later) == [("cleared", clock(0), clock(200), 200.0)]


def test_a_zone_that_is_there_from_an_instant_on_and_one_that_ends() -> None:
    assert brief((0, 200), {"holds_from": "2026-01-05T13:00:00Z"}) == [("cleared", clock(60), clock(200), 140.0)]
    ended = {"holds_from": "2026-01-05T13:00:00Z", "removed": True}
    assert brief((0, 200), {}, ended) == [("cleared", clock(0), clock(60), 60.0)]
