"""Curfew alerts by hand-made scenes: what an absence is called at each instant, its minutes, silences, and both DST nights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from alerts.alert import Alert
from engine.activations import Activation, Activations
from engine.fixes import Fixes
from engine.times import MINUTE_US, parse_time, to_iso
from geofence.curfew import Curfew, read_curfews
from tagwatch.monitor import Conditions, Monitor
from tagwatch.replay import history, replay

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
NIGHT = "2026-01-05"  # a Monday; the curfew is 22:00 to 06:00 in London, which is UTC
HOME, AWAY = 0.0, 1500.0
SILENCE_MIN = 16
Route = list[tuple[float, float]]
"""(minutes after 22:00 of the night, metres from home)"""


def curfew(**more: Any) -> Curfew:
    row = {
        "id": "c", "wearer": "tag", "place": {"lat": 53, "lon": -1, "radius_m": 80}, "timezone": "Europe/London",
        "weekly": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": "22:00", "end": "06:00"}],
    }  # fmt: skip
    return read_curfews([row | more])[0]


def at(minute: float, night: str = NIGHT) -> int:
    """Minutes after 22:00 in UTC."""
    return parse_time(f"{night}T22:00:00Z") + round(minute * MINUTE_US)


def clock(minute: float, night: str = NIGHT) -> str:
    return to_iso(at(minute, night))


def fixes_of(route: Route, night: str = NIGHT, device: str = "tag") -> Fixes:
    minute, metres = (np.array(c, np.float64) for c in zip(*route, strict=True))
    n = len(route)
    return Fixes.of(
        (device,), device=np.zeros(n), time_us=[at(m, night) for m in minute], lat_e7=np.round(530_000_000 + metres * 89.86),
        lon_e7=np.full(n, -10_000_000), accuracy_cm=np.full(n, 800), source=np.ones(n),
    )  # fmt: skip


def stay(start: int, stop: int, metres: float) -> Route:
    return [(minute, metres) for minute in range(start, stop)]


def alerts(route: Route, as_of: float | None = None, night: str = NIGHT, **more: Any) -> list[Alert]:
    minute = max(m for m, _ in route) if as_of is None else as_of
    return of_curfew(replay(fixes_of(route, night), Conditions((), [curfew(**more)]), at(minute, night)).alerts)


def of_curfew(found: list[Alert]) -> list[Alert]:
    """Without what is said of the tag."""
    return [alert for alert in found if alert.rule.startswith("curfew.")]


def brief(found: list[Alert]) -> list[tuple[str, str, float]]:
    return [(a.rule, a.condition, a.minutes) for a in found]


def test_a_night_at_home_raises_nothing() -> None:
    assert alerts(stay(-60, 540, HOME)) == []


def test_out_when_the_curfew_begins_and_still_out_is_curfew_start() -> None:
    route = [*stay(-60, 500, AWAY)]
    assert alerts(route, 0) == []
    (alert,) = alerts(route, 30)
    assert brief([alert]) == [("curfew.start", "active", 30.0)]
    assert (alert.began, alert.began_after, alert.ended, alert.grade) == (clock(0), None, None, "medium")
    assert (alert.subject, alert.why["window"]) == ("c", [clock(0), clock(480)])
    assert alert.why["text"] == "Out when the curfew began at Mon 05 Jan 22:00 and still out"
    assert alert.n_fixes == 31
    assert alert.fixes[0].p < 0.01


def test_back_after_the_curfew_began_is_curfew_late() -> None:
    route = [*stay(-60, 40, AWAY), *stay(40, 500, HOME)]
    (alert,) = alerts(route, 60)
    assert brief([alert]) == [("curfew.late", "cleared", 40.0)]
    assert (alert.began, alert.ended) == (clock(0), clock(40))
    assert alerts(route) == [alert]


def test_out_within_the_curfew_is_curfew_left() -> None:
    route = [*stay(-60, 180, HOME), *stay(180, 240, AWAY), *stay(240, 500, HOME)]
    assert brief(alerts(route, 200)) == [("curfew.left", "active", 20.0)]
    (alert,) = alerts(route)
    assert brief([alert]) == [("curfew.left", "cleared", 60.0)]
    assert (alert.began, alert.began_after, alert.ended, alert.grade) == (clock(180), clock(179), clock(240), "high")


def test_out_when_the_curfew_ends_is_curfew_end() -> None:
    route = [*stay(-60, 420, HOME), *stay(420, 500, AWAY)]
    assert brief(alerts(route, 470)) == [("curfew.left", "active", 50.0)]
    (alert,) = alerts(route, 480)
    assert brief([alert]) == [("curfew.end", "cleared", 60.0)]
    assert (alert.began, alert.ended) == (clock(420), clock(480))
    assert brief(alerts(route)) == [("curfew.end", "cleared", 60.0)]


def test_out_for_the_whole_window_is_curfew_absent() -> None:
    route = stay(-60, 500, AWAY)
    assert brief(alerts(route, 479)) == [("curfew.start", "active", 479.0)]
    (alert,) = alerts(route)
    assert brief([alert]) == [("curfew.absent", "cleared", 480.0)]
    assert alert.grade == "high"


def test_an_absence_is_raised_when_it_has_lasted_longer_than_the_grace_and_counts_all_of_it() -> None:
    route = [*stay(-60, 10, AWAY), *stay(10, 60, HOME)]
    assert alerts(route, grace_minutes=10) == []
    assert brief(alerts(route, grace_minutes=9.9)) == [("curfew.late", "cleared", 10.0)]
    out = stay(-60, 60, AWAY)
    assert alerts(out, 10, grace_minutes=10) == []
    assert brief(alerts(out, 10.5, grace_minutes=10)) == [("curfew.start", "active", 10.5)]


def test_two_absences_of_one_window_are_two_alerts() -> None:
    route = [*stay(-60, 60, HOME), *stay(60, 80, AWAY), *stay(80, 90, HOME), *stay(90, 110, AWAY), *stay(110, 120, HOME)]
    assert brief(alerts(route)) == [("curfew.left", "cleared", 20.0)] * 2
    assert brief(alerts([(m, AWAY if d == AWAY and m < 80 else HOME) for m, d in route])) == [
        ("curfew.left", "cleared", 20.0)
    ]


def test_the_rule_changes_with_time_and_the_identifier_stays() -> None:
    fixes = fixes_of([*stay(-60, 40, AWAY), *stay(40, 60, HOME)])
    versions = list(history(fixes, Conditions((), [curfew(grace_minutes=5)]), at(59)))
    assert [(v.version, v.reason, v.alert.rule) for v in versions] == [
        (1, "raised", "curfew.start"),
        (2, "cleared", "curfew.late"),
    ]
    assert len({v.id for v in versions}) == 1
    raised = versions[0]
    assert raised.as_of_us == at(5) + 1  # at the instant at which the grace is over, without a fix


def test_a_short_silence_changes_nothing() -> None:
    route = [*stay(-60, 60, HOME), *stay(60 + SILENCE_MIN - 1, 120, HOME)]
    assert alerts(route) == []


def test_a_long_silence_is_not_verifiable_and_not_an_absence() -> None:
    route = [*stay(-60, 60, HOME), *stay(180, 500, HOME)]
    began = 59 + SILENCE_MIN
    assert alerts(route, began + 30) == []
    (alert,) = alerts(route, began + 31)
    assert brief([alert]) == [("curfew.unverified", "active", 31.0)]
    assert (alert.began, alert.ended, alert.n_fixes, alert.posterior) == (clock(began), None, 0, 0.0)
    (alert,) = alerts(route)
    assert brief([alert]) == [("curfew.unverified", "cleared", 180.0 - began)]
    assert alert.ended == clock(180)
    assert [fix.time for fix in alert.fixes] == [clock(59)]


def test_away_then_silent_counts_the_known_time_only() -> None:
    route = [*stay(-60, 60, HOME), *stay(60, 70, AWAY), *stay(300, 500, HOME)]
    found = alerts(route)
    assert brief(found) == [
        ("curfew.left", "cleared", 9.0 + SILENCE_MIN),
        ("curfew.unverified", "cleared", 300 - 69 - SILENCE_MIN),
    ]
    assert found[0].ended == clock(300)


def test_silent_when_the_curfew_begins_is_out_only_when_fixes_say_so() -> None:
    """The last fix was out but an hour old, and nothing came: not verifiable. Home at the first fix after: no absence."""
    before = stay(-120, -60, AWAY)
    assert brief(alerts(before, 60)) == [("curfew.unverified", "active", 60.0)]
    assert brief(alerts([*before, *stay(60, 500, HOME)])) == [("curfew.unverified", "cleared", 60.0)]
    (absence, unverified) = sorted(alerts([*before, *stay(60, 90, AWAY), *stay(90, 500, HOME)]), key=lambda a: a.rule)
    assert brief([absence]) == [("curfew.late", "cleared", 30.0)]
    assert absence.began == clock(60)  # not before a fix says so
    assert unverified.minutes == 60.0


def test_out_a_few_minutes_before_the_curfew_is_out_when_it_begins() -> None:
    """The last fix before, no older than the silence that is allowed, stands."""
    route = [*stay(-60, -5, AWAY), *stay(8, 20, AWAY), *stay(20, 60, HOME)]
    (alert,) = alerts(route)
    assert brief([alert]) == [("curfew.late", "cleared", 20.0)]
    assert alert.began == clock(0)


@pytest.mark.parametrize(("night", "start_utc", "hours"), [("2026-03-28", 0, 7), ("2026-10-24", -60, 9)])
def test_a_whole_night_out_is_as_long_as_the_wall_clock_says(night: str, start_utc: int, hours: int) -> None:
    route = stay(start_utc - 60, start_utc + hours * 60 + 30, AWAY)
    absent = [a for a in alerts(route, night=night) if a.rule == "curfew.absent"]
    assert brief(absent) == [("curfew.absent", "cleared", hours * 60.0)]
    assert absent[0].began == clock(start_utc, night)
    assert absent[0].why["text"].startswith("Out for the whole curfew of Sat")
    assert absent[0].why["text"].endswith("06:00")


def test_an_authorised_absence_is_no_absence_and_an_extra_window_is_one() -> None:
    leave = [{"from": "2026-01-05T23:00", "to": "2026-01-06T01:00", "kind": "authorised", "reason": "work"}]
    out = [*stay(-60, 60, HOME), *stay(60, 180, AWAY), *stay(180, 500, HOME)]
    assert alerts(out, exceptions=leave) == []
    late = [*stay(-60, 60, HOME), *stay(60, 200, AWAY), *stay(200, 500, HOME)]
    (alert,) = alerts(late, exceptions=leave)
    assert brief([alert]) == [("curfew.late", "cleared", 20.0)]
    assert alert.began == clock(180)
    extra = [{"from": "2026-01-05T21:30", "to": "2026-01-05T22:00", "kind": "extra"}]
    assert brief(alerts([*stay(-60, 0, AWAY), *stay(0, 60, HOME)], exceptions=extra)) == [("curfew.late", "cleared", 30.0)]


def test_any_of_several_places_will_do() -> None:
    places = [{"lat": 53, "lon": -1, "radius_m": 80}, {"lat": 53 + AWAY / 111_290, "lon": -1, "radius_m": 80}]
    assert alerts([*stay(-60, 100, HOME), *stay(100, 500, AWAY)], place=places) == []


def test_only_the_days_of_validity_count() -> None:
    assert alerts(stay(-60, 500, AWAY), valid_from="2026-01-06") == []
    assert alerts(stay(-60, 500, AWAY), valid_to="2026-01-04") == []
    assert brief(alerts(stay(-60, 500, AWAY), valid_to="2026-01-05")) == [("curfew.absent", "cleared", 480.0)]


def activated(*rows: Activation) -> Conditions:
    return Conditions((), [curfew(wearer="ann")], Activations(rows))


def test_a_tag_of_which_nothing_ever_came_is_not_verifiable() -> None:
    monitor = Monitor(activated(Activation("tag", "ann", at(-60))))
    assert of_curfew(monitor.alerts("ann", at(30))[0]) == []
    found = of_curfew(monitor.alerts("ann", at(60))[0])
    assert brief(found) == [("curfew.unverified", "active", 60.0)]
    assert (found[0].device, found[0].fixes) == ("", [])


def test_nothing_is_expected_outside_of_the_activation() -> None:
    """Fitted at one in the morning and taken off at four: only that part of the window counts."""
    conditions = activated(Activation("tag", "ann", at(180), at(360)))
    found = replay(fixes_of(stay(180, 360, AWAY)), conditions, at(600)).alerts
    assert brief(found) == [("curfew.absent", "cleared", 180.0)]
    assert found[0].began == clock(180)
    outside = replay(fixes_of([*stay(100, 180, AWAY), *stay(180, 360, HOME)]), conditions, at(600))
    assert (outside.alerts, outside.n_unassigned) == ([], 80)


def test_two_tags_of_one_wearer_are_one_trail() -> None:
    """A swap: the second tag goes on where the first one ends."""
    conditions = activated(Activation("tag", "ann", at(-60), at(100)), Activation("new", "ann", at(90)))
    monitor = Monitor(conditions)
    monitor.take(fixes_of(stay(100, 200, HOME), device="new"), at(200))
    monitor.take(fixes_of(stay(-60, 100, HOME)), at(200))
    assert monitor.alerts("ann", at(199))[0] == []
    assert len(monitor.trails["ann"]) == 260


def test_the_minutes_of_a_window_add_up() -> None:
    """Home, away and unknown: what is away and what is not verifiable never overlap."""
    route = [*stay(-60, 60, HOME), *stay(60, 120, AWAY), *stay(300, 330, AWAY), *stay(330, 500, HOME)]
    found = alerts(route)
    away = sum(a.minutes for a in found if a.rule != "curfew.unverified")
    unknown = sum(a.minutes for a in found if a.rule == "curfew.unverified")
    assert away == (119 - 60 + SILENCE_MIN) + 30
    assert unknown == 300 - 119 - SILENCE_MIN
    assert brief(found)[0] == ("curfew.left", "cleared", away)  # unknown time between does not end an absence


def test_fixes_of_a_window_that_is_over_still_count_when_they_come_in_order_but_late() -> None:
    """Nothing is late by its time, the window only ended before the upload: the alert must not be the one written then."""
    route = [*stay(400, 440, HOME), *stay(440, 500, AWAY)]
    fixes, conditions = fixes_of(route), Conditions((), [curfew()])
    monitor = Monitor(conditions)
    monitor.take(fixes.take(slice(0, 72)), at(481))  # to 05:51; silence does not speak before 06:07
    assert brief(monitor.alerts("tag", at(481))[0]) == [("curfew.end", "cleared", 40.0)]
    monitor.take(fixes.take(slice(72, None)), at(500))
    found = monitor.alerts("tag", at(500))[0]
    assert found == replay(fixes, conditions, at(500)).alerts
    assert found[0].n_fixes == 40


def test_the_next_change_is_named_also_where_the_activation_begins_within_a_window() -> None:
    monitor = Monitor(activated(Activation("tag", "ann", at(180))))
    found, due_us = monitor.alerts("ann", at(100))
    assert (found, due_us) == ([], at(180) + 1)
    found, due_us = monitor.alerts("ann", due_us)
    assert (found, due_us) == ([], at(180 + SILENCE_MIN) + 1)  # no contact
    found, due_us = monitor.alerts("ann", due_us)
    assert (of_curfew(found), due_us) == ([], at(210) + 1)
    found, due_us = monitor.alerts("ann", due_us)
    assert brief(of_curfew(found)) == [("curfew.unverified", "active", 30.0)]
    assert due_us == at(480)
    assert brief(of_curfew(monitor.alerts("ann", due_us)[0])) == [("curfew.unverified", "cleared", 300.0)]


# --- versions: what changes while the curfew runs

TWO = 53 + AWAY / 111_290  # where AWAY is


def changed(minute: float, *more: dict[str, Any]) -> list[Curfew]:
    """The curfew, and what it is from so many minutes after 22:00 on."""
    row = {
        "id": "c", "wearer": "tag", "place": {"lat": 53, "lon": -1, "radius_m": 80}, "timezone": "Europe/London",
        "weekly": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": "22:00", "end": "06:00"}],
    }  # fmt: skip
    return read_curfews([row, *(row | {"holds_from": clock(minute)} | change for change in more)])


def told(route: Route, curfews: list[Curfew], as_of: float | None = None) -> list[Alert]:
    minute = max(m for m, _ in route) if as_of is None else as_of
    return of_curfew(replay(fixes_of(route), Conditions((), curfews), at(minute)).alerts)


def test_an_absence_over_a_change_of_version_is_one_alert() -> None:
    curfews = changed(200, {"grace_minutes": 90})
    route = [*stay(-60, 150, HOME), *stay(150, 260, AWAY), *stay(260, 500, HOME)]
    assert brief(told(route, curfews, 199)) == [("curfew.left", "active", 49.0)]
    assert brief(told(route, curfews, 230)) == [("curfew.left", "active", 80.0)]  # the grace of when it began
    (alert,) = told(route, curfews)
    assert brief([alert]) == [("curfew.left", "cleared", 110.0)]
    assert (alert.began, alert.began_after, alert.ended) == (clock(150), clock(149), clock(260))
    assert alert.why["window"] == [clock(0), clock(480)]
    assert alert.why["versions"] == [c.version for c in curfews]
    assert len({c.version for c in curfews}) == 2
    assert alert.n_fixes == 110


def test_a_change_that_concerns_nobody_leaves_the_alert_as_it_is() -> None:
    route = [*stay(-60, 150, HOME), *stay(150, 180, AWAY), *stay(180, 500, HOME)]
    (alert,) = told(route, changed(200, {"grace_minutes": 90}))
    assert [alert] == told(route, changed(0))
    assert "versions" not in alert.why


def test_the_old_home_is_no_home_from_the_change_on() -> None:
    """The place moves at one in the morning: who stays is out from then on, who is there already is at home."""
    curfews = changed(180, {"place": {"lat": TWO, "lon": -1, "radius_m": 80}})
    (alert,) = told(stay(-60, 500, HOME), curfews)
    assert brief([alert]) == [("curfew.end", "cleared", 300.0)]
    assert (alert.began, alert.ended) == (clock(180), clock(480))
    assert all(fix.p < 0.01 for fix in alert.fixes)
    assert told([*stay(-60, 180, HOME), *stay(180, 500, AWAY)], curfews) == []
    (late,) = told(stay(-60, 500, AWAY), curfews)
    assert brief([late]) == [("curfew.late", "cleared", 180.0)]
    assert late.ended == clock(180)


def test_other_hours_from_the_change_on() -> None:
    """A change at one in the morning to 21:00-07:00: one window from 22:00 to 07:00."""
    later = {"weekly": [{"days": ["mon", "tue"], "start": "21:00", "end": "07:00"}]}
    (alert,) = told(stay(-120, 600, AWAY), changed(180, later))
    assert brief([alert]) == [("curfew.absent", "cleared", 540.0)]
    assert alert.why["text"] == "Out for the whole curfew of Mon 05 Jan 22:00 to Tue 06 Jan 07:00"


def test_an_end_in_the_night_ends_the_window() -> None:
    curfews = changed(180, {"removed": True})
    (alert,) = told(stay(-60, 500, AWAY), curfews)
    assert brief([alert]) == [("curfew.absent", "cleared", 180.0)]
    assert alert.ended == clock(180)


def test_leave_given_in_the_night_counts_from_when_it_holds() -> None:
    """Away from midnight, and at one leave from midnight to three is written down: the hour before stays an absence."""
    leave = [{"from": "2026-01-06T00:00", "to": "2026-01-06T03:00", "kind": "authorised", "reason": "hospital"}]
    route = [*stay(-60, 120, HOME), *stay(120, 320, AWAY), *stay(320, 500, HOME)]
    found = told(route, changed(180, {"exceptions": leave}))
    assert brief(found) == [("curfew.end", "cleared", 60.0), ("curfew.late", "cleared", 20.0)]
    from_the_start = changed(-600, {"exceptions": leave})
    assert brief(told(route, from_the_start)) == [("curfew.late", "cleared", 20.0)]


def test_unknown_time_over_a_change_counts_once_by_the_limit_of_when_the_window_began() -> None:
    curfews = changed(100, {"unverified_minutes": 500})
    (alert,) = told([*stay(-60, 60, HOME), *stay(200, 500, HOME)], curfews)
    assert brief([alert]) == [("curfew.unverified", "cleared", 200.0 - 59 - SILENCE_MIN)]
    assert (alert.why["limit_minutes"], alert.why["versions"]) == (30.0, [c.version for c in curfews])


def test_the_limit_of_unknown_time_is_the_curfews_own() -> None:
    route = [*stay(-60, 60, HOME), *stay(180, 500, HOME)]
    minutes = 180.0 - 59 - SILENCE_MIN
    assert alerts(route, unverified_minutes=minutes) == []
    assert brief(alerts(route, unverified_minutes=minutes - 1)) == [("curfew.unverified", "cleared", minutes)]
    short = [*stay(-60, 60, HOME), *stay(60 + SILENCE_MIN + 3, 500, HOME)]
    assert brief(alerts(short, unverified_minutes=0)) == [("curfew.unverified", "cleared", 4.0)]


def test_the_minutes_away_of_the_window_count_what_the_grace_left_unsaid() -> None:
    route = [*stay(-60, 60, HOME), *stay(60, 68, AWAY), *stay(68, 120, HOME), *stay(120, 150, AWAY), *stay(150, 200, HOME),
             *stay(200, 240, AWAY), *stay(240, 500, HOME)]  # fmt: skip
    found = alerts(route, grace_minutes=10)
    assert [(a.minutes, a.why["minutes_away_in_window"]) for a in found] == [(30.0, 38.0), (40.0, 78.0)]


def test_windows_that_touch_are_one_and_whole_days_are_not() -> None:
    """Friday 22:00 to 24:00 and Saturday 00:00 to 06:00, as courts write it; and two whole days."""
    weekly = [{"days": ["mon"], "start": "22:00", "end": "24:00"}, {"days": ["tue"], "start": "00:00", "end": "06:00"}]
    out = [*stay(-60, 60, HOME), *stay(60, 180, AWAY), *stay(180, 500, HOME)]
    assert brief(alerts(out, weekly=weekly)) == [("curfew.left", "cleared", 120.0)]
    days = [{"days": ["mon", "tue"], "start": "00:00", "end": "24:00"}]
    assert brief(alerts(out, weekly=days)) == [("curfew.end", "cleared", 60.0), ("curfew.late", "cleared", 60.0)]


def test_a_curfew_that_starts_weeks_from_now_wakes_the_monitor_in_time() -> None:
    conditions = Conditions(
        (), [curfew(wearer="ann", valid_from="2026-02-02")], Activations([Activation("tag", "ann", at(-60))])
    )
    monitor = Monitor(conditions)
    monitor.take(fixes_of(stay(-60, 0, AWAY)), at(0))
    instant, woken = at(0), 0
    while instant < parse_time("2026-02-02T22:30:00Z"):
        _, instant = monitor.alerts("ann", instant)
        woken += 1
    assert woken < 12
    assert brief(of_curfew(monitor.alerts("ann", instant)[0])) == [("curfew.unverified", "active", 30.0)]
