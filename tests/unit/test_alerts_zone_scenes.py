"""Zone alerts by hand-made scenes: what raises, what clears, what joins, and what an alert says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from alerts.alert import MOST_FIXES, Alert, from_json, lower_grade, to_json
from engine.fixes import Fixes
from engine.times import MINUTE_US, parse_time
from geofence.zone import Zone, read_zones
from tagwatch.monitor import Conditions
from tagwatch.replay import replay
from tests.unit.place_monitor import Monitor

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
START = "2026-01-05T12:00:00Z"
IN_M, OUT_M, EDGE_M = 10.0, 2000.0, 195.0
SILENCE_MIN = 16  # 60 s between fixes, 600 s between uploads, 300 s of grace
Route = list[tuple[float, float]]
"""(minute, metres from the middle of the zone)"""


def zone(kind: str = "exclusion", wearers: Any = "*", **more: Any) -> Zone:
    given = {"id": "z", "name": "Park", "kind": kind, "wearers": wearers, "radius_m": 200} | more
    feature = {"type": "Feature", "properties": given, "geometry": {"type": "Point", "coordinates": [-1, 53]}}
    return read_zones({"type": "FeatureCollection", "features": [feature]})[0]


def fixes_of(route: Route, accuracy_m: float = 8.0, start: str = START) -> Fixes:
    minute, metres = (np.array(c, np.float64) for c in zip(*route, strict=True))
    n = len(route)
    return Fixes.of(
        ("tag",), device=np.zeros(n), time_us=parse_time(start) + (minute * MINUTE_US).astype(np.int64),
        lat_e7=np.round(530_000_000 + metres * 89.86), lon_e7=np.full(n, -10_000_000), accuracy_cm=np.full(n, accuracy_m * 100),
        source=np.ones(n),
    )  # fmt: skip


def at(minute: float, start: str = START) -> int:
    return parse_time(start) + round(minute * MINUTE_US)


def clock(minute: float) -> str:
    total = 12 * 60 + minute
    return f"2026-01-05T{int(total) // 60:02d}:{int(total) % 60:02d}:{round(total * 60) % 60:02d}.000Z"


def alerts(route: Route, as_of: float | None = None, rule: Zone | None = None, accuracy_m: float = 8.0) -> list[Alert]:
    """The alerts as of a minute, by default that of the newest fix."""
    minute = max(m for m, _ in route) if as_of is None else as_of
    return of_zone(replay(fixes_of(route, accuracy_m), Conditions([rule or zone()]), at(minute)).alerts)


def of_zone(found: list[Alert]) -> list[Alert]:
    """Without what is said of the tag."""
    return [alert for alert in found if alert.rule.startswith("zone.")]


def stay(start: int, stop: int, metres: float) -> Route:
    return [(minute, metres) for minute in range(start, stop)]


def test_one_wild_fix_raises_nothing() -> None:
    route = [*stay(0, 5, OUT_M), (5, IN_M), *stay(6, 12, OUT_M)]
    assert [alerts(route, as_of) for as_of in (5, 6, 11, 60)] == [[]] * 4


def test_two_good_fixes_inside_raise() -> None:
    route = [*stay(0, 5, OUT_M), *stay(5, 7, IN_M)]
    assert alerts(route, 5) == []
    (alert,) = alerts(route, 6)
    assert (alert.rule, alert.subject, alert.grade, alert.condition) == ("zone.exclusion", "z", "critical", "active")
    assert (alert.wearer, alert.device) == ("tag", "tag")
    assert (alert.began, alert.began_after, alert.ended) == (clock(5), clock(4), None)
    assert (alert.minutes, alert.n_fixes, len(alert.fixes)) == (1.0, 2, 2)
    assert alert.posterior >= 0.95
    assert [fix.time for fix in alert.fixes] == [clock(5), clock(6)]
    assert alert.fixes[0].p > 0.99
    assert alert.fixes[0].accuracy_m == 8.0
    assert alert.why["decided_at"] == clock(6)
    assert alert.why["threshold"] == 0.95
    assert alert.why["margin"] == pytest.approx(alert.posterior - 0.95, abs=1e-6)
    assert 0 < alert.why["posterior_without_strongest_fix"] < alert.posterior
    assert alert.why["subject_version"] == zone().version
    assert from_json(to_json(alert)) == alert


def test_inside_from_the_first_fix_on_has_nothing_before_it() -> None:
    (alert,) = alerts(stay(0, 3, IN_M))
    assert (alert.began, alert.began_after) == (clock(0), None)


def test_two_good_fixes_outside_clear_and_one_does_not() -> None:
    route = [*stay(0, 5, OUT_M), *stay(5, 15, IN_M), *stay(15, 17, OUT_M)]
    (still,) = alerts(route, 15)
    assert (still.condition, still.ended) == ("active", None)
    (cleared,) = alerts(route, 16)
    assert (cleared.condition, cleared.ended, cleared.minutes) == ("cleared", clock(15), 10.0)
    assert cleared.began == still.began
    one_wild = [*stay(0, 5, OUT_M), *stay(5, 15, IN_M), (15, OUT_M), *stay(16, 20, IN_M)]
    assert [(a.condition, a.minutes) for a in alerts(one_wild)] == [("active", 14.0)]


@pytest.mark.parametrize(("away_min", "n_alerts"), [(2, 1), (29, 1), (30, 2), (31, 2)])
def test_breaches_less_than_half_an_hour_apart_are_one_alert(away_min: int, n_alerts: int) -> None:
    back = 15 + away_min
    route = [*stay(0, 5, OUT_M), *stay(5, 15, IN_M), *stay(15, back, OUT_M), *stay(back, back + 5, IN_M)]
    found = alerts(route)
    assert len(found) == n_alerts
    assert (found[0].began, found[-1].condition) == (clock(5), "active")
    if n_alerts == 1:
        assert found[0].minutes == 14.0  # ten and four: the time outside does not count
        assert found[0].why["entries"] == 2
        assert found[0].n_fixes == 15
    else:
        assert [a.minutes for a in found] == [10.0, 4.0]
        assert (found[0].ended, found[1].began, found[1].began_after) == (clock(15), clock(back), clock(back - 1))


def test_in_a_silence_an_alert_stays_active_and_says_since_when_nothing_is_known() -> None:
    route = [*stay(0, 5, OUT_M), *stay(5, 15, IN_M)]
    speaks = 14 + SILENCE_MIN
    (before,) = alerts(route, speaks)
    assert (before.why["unknown_since"], before.minutes) == (None, 25.0)
    (after,) = alerts(route, 200)
    assert (after.condition, after.ended, after.why["unknown_since"]) == ("active", None, clock(speaks))
    assert after.minutes == 25.0  # unknown time is not time in breach
    assert "unknown since" in after.why["text"]


def test_after_a_silence_two_fixes_outside_clear_at_the_first_of_them() -> None:
    route = [*stay(0, 5, OUT_M), *stay(5, 15, IN_M), *stay(100, 102, OUT_M)]
    assert [a.condition for a in alerts(route, 100)] == ["active"]
    (alert,) = alerts(route)
    assert (alert.condition, alert.ended, alert.minutes, alert.why["unknown_since"]) == ("cleared", clock(100), 25.0, None)


def test_after_a_silence_two_fixes_inside_go_on_with_the_alert() -> None:
    (alert,) = alerts([*stay(0, 5, OUT_M), *stay(5, 15, IN_M), *stay(100, 103, IN_M)])
    assert (alert.condition, alert.began, alert.minutes) == ("active", clock(5), 27.0)
    assert (alert.why["entries"], alert.why["unknown_since"]) == (1, None)
    assert "gaps" in alert.why["text"]


def test_a_silence_outside_raises_nothing() -> None:
    assert alerts(stay(0, 10, OUT_M), 300) == []


def test_a_single_fix_deep_inside_that_stays_the_last_word_is_raised_one_grade_lower() -> None:
    route = [*stay(0, 5, OUT_M), (5, IN_M)]
    assert alerts(route, 5 + SILENCE_MIN) == []
    (alert,) = alerts(route, 5 + SILENCE_MIN + 1)
    assert (alert.grade, alert.condition, alert.began, alert.began_after) == ("high", "active", clock(5), clock(4))
    assert (alert.minutes, alert.n_fixes) == (0.0, 1)
    assert "single fix" in alert.why["text"]
    assert alert.why["posterior_without_strongest_fix"] is None
    assert isinstance(alert.why["margin"], float)
    assert to_json(alert)
    low = zone(grade="low")
    assert alerts(route, 60, low)[0].grade == "low"
    assert [lower_grade(g) for g in ("critical", "high", "medium", "low")] == ["high", "medium", "low", "low"]


def test_a_single_fix_at_the_edge_or_followed_by_another_is_not_raised() -> None:
    assert alerts([*stay(0, 5, OUT_M), (5, EDGE_M)], 60) == []
    assert alerts([*stay(0, 5, OUT_M), (5, IN_M), (6, OUT_M)], 60) == []


def test_a_single_fix_is_not_raised_for_an_inclusion_zone() -> None:
    assert alerts([*stay(0, 5, IN_M), (5, OUT_M)], 60, zone("inclusion")) == []


def test_a_single_fix_then_two_inside_hours_later_is_one_alert_without_the_time_between() -> None:
    (alert,) = alerts([*stay(0, 5, OUT_M), (5, IN_M), *stay(200, 203, IN_M)])
    assert (alert.grade, alert.began, alert.minutes) == ("critical", clock(5), 2.0)


def test_a_single_fix_then_two_outside_is_cleared() -> None:
    (alert,) = alerts([*stay(0, 5, OUT_M), (5, IN_M), *stay(200, 203, OUT_M)])
    assert (alert.condition, alert.ended, alert.grade, alert.minutes) == ("cleared", clock(200), "high", 0.0)


def test_wide_fixes_raise_nothing_and_clear_nothing() -> None:
    assert alerts(stay(0, 10, IN_M), accuracy_m=5000.0) == []
    inside = fixes_of(stay(0, 5, IN_M))
    wide = fixes_of(stay(5, 15, OUT_M), accuracy_m=20_000.0)
    columns = {
        name: np.concatenate([inside.column(name), wide.column(name)]) for name in Fixes.__slots__ if name != "devices"
    }
    (alert,) = of_zone(replay(Fixes(("tag",), **columns), Conditions([zone()]), at(14)).alerts)
    assert alert.condition == "active"


def test_a_fix_that_no_path_leads_to_raises_nothing() -> None:
    """100 km away a minute before: implausible, and kept out of the alert's fixes too."""
    assert alerts([(0, 100_000), (1, IN_M), (2, 100_000), (3, 100_000)], 60) == []
    (alert,) = alerts([*stay(0, 5, IN_M), (5, 100_000), *stay(6, 9, IN_M)])
    assert alert.n_fixes == 8
    assert clock(5) not in [fix.time for fix in alert.fixes]


def test_a_schedule_that_starts_while_the_wearer_is_inside_is_a_breach_from_then_on() -> None:
    weekly = {"timezone": "UTC", "weekly": [{"days": ["mon"], "start": "13:00", "end": "14:00"}]}
    timed = zone(schedule=weekly)
    route = [*stay(0, 10, OUT_M), *stay(10, 150, IN_M)]
    assert alerts(route, 59, timed) == []
    assert alerts(route, 60, timed) == []
    (alert,) = alerts(route, 90, timed)
    assert (alert.condition, alert.began, alert.minutes) == ("active", clock(60), 30.0)
    assert alert.began_after == clock(9)
    (over,) = alerts(route, 140, timed)
    assert (over.condition, over.ended, over.minutes) == ("cleared", clock(120), 60.0)
    assert over.n_fixes == 60


def test_a_zone_out_of_its_dates_raises_nothing() -> None:
    assert alerts(stay(0, 9, IN_M), rule=zone(valid_from="2026-01-06")) == []
    assert alerts(stay(0, 9, IN_M), rule=zone(valid_to="2026-01-04")) == []
    assert len(alerts(stay(0, 9, IN_M), rule=zone(valid_to="2026-01-05"))) == 1


def test_an_inclusion_zone_is_the_other_way_round() -> None:
    route = [*stay(0, 5, IN_M), *stay(5, 15, OUT_M), *stay(15, 20, IN_M)]
    (alert,) = alerts(route, 14, zone("inclusion"))
    assert (alert.rule, alert.grade, alert.condition) == ("zone.inclusion", "high", "active")
    assert (alert.began, alert.began_after) == (clock(5), clock(4))
    assert alert.fixes[0].p < 0.01
    (alert,) = alerts(route, 19, zone("inclusion"))
    assert (alert.condition, alert.ended, alert.minutes) == ("cleared", clock(15), 10.0)


def test_a_zone_is_for_its_wearers_and_grades_as_it_says() -> None:
    route = stay(0, 9, IN_M)
    assert alerts(route, rule=zone(wearers=["somebody else"])) == []
    assert [a.grade for a in alerts(route, rule=zone(wearers=["tag"], grade="medium"))] == ["medium"]


def test_an_alert_lists_at_most_twenty_fixes_first_and_last_and_deciding_among_them() -> None:
    (alert,) = alerts([*stay(0, 5, OUT_M), *stay(5, 65, IN_M)])
    assert (alert.n_fixes, len(alert.fixes)) == (60, MOST_FIXES)
    times = [fix.time for fix in alert.fixes]
    assert times == sorted(times)
    assert {clock(5), clock(6), clock(64)} <= set(times)


def test_fixes_a_second_apart_count_for_little_more_than_one() -> None:
    """At the edge, where one fix says little: the same number of fixes raises when spread over minutes, not in a burst."""
    n = 12
    burst = [*stay(0, 5, OUT_M), *[(5 + k / 60, 150.0) for k in range(n)]]
    spread = [*stay(0, 5, OUT_M), *[(5 + 5 * k, 150.0) for k in range(n)]]
    assert alerts(burst, accuracy_m=40.0) == []
    assert len(alerts(spread, accuracy_m=40.0)) == 1


def test_fixes_within_a_schedule_that_is_over_still_count_when_they_come_in_order_but_late() -> None:
    weekly = {"timezone": "UTC", "weekly": [{"days": ["mon"], "start": "13:00", "end": "14:00"}]}
    fixes, conditions = fixes_of([*stay(50, 70, OUT_M), *stay(70, 140, IN_M)]), Conditions([zone(schedule=weekly)])
    monitor = Monitor(conditions)
    monitor.take(fixes.take(slice(0, 60)), at(121))  # to 13:49; the schedule ended at 14:00
    assert [(a.condition, a.n_fixes) for a in monitor.alerts("tag", at(121))[0]] == [("cleared", 40)]
    monitor.take(fixes.take(slice(60, None)), at(140))
    found = monitor.alerts("tag", at(140))[0]
    assert found == of_zone(replay(fixes, conditions, at(140)).alerts)
    assert found[0].n_fixes == 50


def test_an_instant_that_was_passed_may_be_asked_for_again() -> None:
    weekly = {"timezone": "UTC", "weekly": [{"days": ["mon"], "start": "13:00", "end": "14:00"}]}
    monitor = Monitor(Conditions([zone(schedule=weekly)]))
    monitor.take(fixes_of([*stay(50, 70, OUT_M), *stay(70, 118, IN_M)]), at(118))
    assert [monitor.alerts("tag", at(minute))[0][0].condition for minute in (130, 118, 130)] == [
        "cleared",
        "active",
        "cleared",
    ]


def test_the_next_change_is_named() -> None:
    weekly = {"timezone": "UTC", "weekly": [{"days": ["mon"], "start": "13:00", "end": "14:00"}]}
    monitor = Monitor(Conditions([zone(schedule=weekly)]))
    monitor.take(fixes_of([*stay(30, 40, OUT_M), *stay(40, 56, IN_M)]), at(55))
    found, due_us = monitor.alerts("tag", at(55))
    assert (found, due_us) == ([], at(60) + 1)
    found, due_us = monitor.alerts("tag", due_us)
    assert [a.condition for a in found] == ["active"]
    assert due_us == at(55 + SILENCE_MIN) + 1
    found, due_us = monitor.alerts("tag", due_us)
    assert [a.why["unknown_since"] for a in found] == [clock(55 + SILENCE_MIN)]
    assert due_us == at(120)
    assert [a.condition for a in monitor.alerts("tag", due_us)[0]] == ["cleared"]
