"""Proximity to a protected person: her file, P(near) against scipy, and scenes of two people on a line."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from scipy.stats import ncx2

from alerts.alert import Alert, from_json, to_json
from alerts.proximity_rules import PairScene, proximity_alerts
from engine.activations import Activation
from engine.errors import InputError
from engine.fixes import Fixes
from engine.times import DAY_US, MINUTE_US, SECOND_US, parse_time
from engine.trail import Trail, arrange
from geofence.check import FilterSettings
from geofence.closeness import near_mass
from geofence.proximity import Proximity, read_proximities, strangers
from geofence.versions import ALWAYS, FAR_US

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
START_US = parse_time("2026-01-05T12:00:00Z")
ROW = {"id": "keep-away", "wearer": "dan", "protected": "eve", "radius_m": 200}
SILENCE_MIN = 16
Route = list[tuple[float, float]]
"""(minute, metres north)"""


def condition(**more: Any) -> Proximity:
    return read_proximities([ROW | more])[0]


def trail(name: str, route: Route, accuracy_m: float = 8.0, silence_min: float = SILENCE_MIN) -> Trail:
    made = Trail(name)
    if route:
        minute, metres = (np.array(c, np.float64) for c in zip(*route, strict=True))
        n = len(route)
        fixes = Fixes.of(
            (f"tag of {name}",), device=np.zeros(n), time_us=START_US + np.round(minute * MINUTE_US).astype(np.int64),
            lat_e7=np.round(530_000_000 + metres * 89.86), lon_e7=np.full(n, -10_000_000),
            accuracy_cm=np.full(n, accuracy_m * 100), source=np.ones(n),
        )  # fmt: skip
        silence_us = np.full(n, round(silence_min * MINUTE_US))
        made.merge(arrange(fixes, np.zeros(n, np.int32), np.full(n, 0.95), silence_us)[0])
    return made


def at(minute: float) -> int:
    return START_US + round(minute * MINUTE_US)


def clock(minute: float) -> str:
    total = round((12 * 60 + minute) * 60)
    return f"2026-01-05T{total // 3600:02d}:{total // 60 % 60:02d}:{total % 60:02d}.000Z"


def scene(ours: Route, theirs: Route, as_of: float | None = None, rule: Proximity | None = None, **more: Any) -> PairScene:
    minute = max(m for m, _ in (*ours, *theirs)) if as_of is None else as_of
    devices = ("tag of dan",)
    return PairScene(
        rule or condition(), trail("dan", ours), trail("eve", theirs), devices, FilterSettings(), at(minute), **more
    )


def alerts(
    ours: Route, theirs: Route, as_of: float | None = None, rule: Proximity | None = None, **more: Any
) -> list[Alert]:
    return proximity_alerts([scene(ours, theirs, as_of, rule, **more)], [])


def walk(start: float, stop: float, from_m: float, to_m: float | None = None, every: float = 1.0) -> Route:
    """Fixes from a minute to before another, at an even speed; from_m is where the first is, to_m where one at `stop` would be."""
    minutes = np.arange(start, stop, every)
    to_m = from_m if to_m is None else to_m
    return [(float(m), from_m + (to_m - from_m) * (m - start) / (stop - start)) for m in minutes]


AT_HOME = walk(0.5, 40.5, 0.0)  # eve, her fixes half a minute after the minute


# --- the file ---------------------------------------------------------------------------------------------------------------


def test_a_condition_is_read_and_its_version_is_its_content() -> None:
    read = condition(name="Eve", stale_minutes=5, grade="high")
    assert (read.id, read.name, read.wearer, read.protected, read.radius_m) == ("keep-away", "Eve", "dan", "eve", 200.0)
    assert (read.stale_us, read.grade, read.holds) == (5 * MINUTE_US, "high", ALWAYS)
    assert read.version != condition().version
    assert condition(holds_from="2026-02-01T00:00:00Z").version == condition().version
    assert read.in_force(5, 10) == [(5, 10)]


@pytest.mark.parametrize(("change", "words"), [
    ({"id": " "}, "id is ' '"), ({"wearer": None}, "wearer is missing"), ({"protected": "dan"}, "somebody else"),
    ({"radius_m": 0}, "metres from 1 to 50000"), ({"radius_m": True}, "metres from"), ({"radius_m": float("nan")}, "metres"),
    ({"stale_minutes": 0}, "minutes from 0.1 to 1440"), ({"grade": "huge"}, "one of critical"), ({"radius": 5}, "is no key of"),
    ({"timezone": "Mars/Base"}, "IANA"), ({"valid_from": "2026-02-30"}, "a date"), ({"exceptions": {"kind": "authorised"}}, "a list"),
    ({"valid_from": "2026-03-01", "valid_to": "2026-02-01"}, "or later"), ({"note": 1, "notes": 2}, "expected note"),
    ({"exceptions": [{"kind": "maybe"}]}, "authorised or suspended or extra"),
    ({"exceptions": [{"kind": "extra", "from": "2026-01-05T12:00", "to": "2026-01-05T13:00"}]}, "without a schedule"),
    ({"exceptions": [{"kind": "authorised", "from": "2026-01-05T12:00", "to": "2026-01-05T12:00"}]}, "later than"),
    ({"schedule": {"timezone": "UTC", "weekly": []}}, "weekly"), ({"holds_from": "soon"}, "holds_from"),
])  # fmt: skip
def test_what_is_wrong_is_refused_with_row_field_and_value(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match="proximity 1") as fault:
        read_proximities([ROW | change])
    assert words in str(fault.value)


def test_a_list_is_asked_for_and_an_id_comes_once_a_version() -> None:
    with pytest.raises(InputError, match="a JSON list"):
        read_proximities({})
    with pytest.raises(InputError, match="a JSON object"):
        read_proximities(["x"])
    with pytest.raises(InputError, match="proximity 2: id is 'keep-away': is also the id of proximity 1"):
        read_proximities([ROW, ROW])
    with pytest.raises(InputError, match="proximity keep-away: wearer is 'bob': expected dan"):
        read_proximities([ROW, ROW | {"wearer": "bob", "holds_from": "2026-02-01T00:00:00Z"}])


def test_versions_hold_one_after_the_other_and_an_end_ends() -> None:
    first, second, third = (parse_time(f"2026-0{month}-01T00:00:00Z") for month in (2, 3, 4))
    rows = [
        {"id": "keep-away", "holds_from": "2026-04-01T00:00:00Z", "removed": True},
        ROW | {"radius_m": 300, "holds_from": "2026-03-01T00:00:00Z"}, ROW | {"holds_from": "2026-02-01T00:00:00Z"},
    ]  # fmt: skip
    read = read_proximities(rows)
    assert [(c.radius_m, c.holds) for c in read] == [(200.0, (first, second)), (300.0, (second, third))]
    assert read[0].in_force(0, FAR_US) == [(first, second)]
    assert strangers(read, {"dan"}) == [("keep-away", "protected", "eve")] * 2
    assert strangers(read, {"dan", "eve"}) == []


def test_dates_schedule_and_exceptions_cut_what_is_in_force() -> None:
    day = parse_time("2026-01-05T00:00:00Z")
    hour = 60 * MINUTE_US
    dated = condition(valid_from="2026-01-05", valid_to="2026-01-05", timezone="Europe/London")
    assert dated.in_force(day - DAY_US, day + 3 * DAY_US) == [(day, day + DAY_US)]
    weekly = {"timezone": "Europe/London", "weekly": [{"days": ["mon"], "start": "08:00", "end": "18:00"}]}
    leave = {"kind": "authorised", "from": "2026-01-05T10:00", "to": "2026-01-05T11:00", "reason": "court"}
    extra = {"kind": "extra", "from": "2026-01-05T20:00", "to": "2026-01-05T21:00"}
    timed = condition(schedule=weekly, exceptions=[leave, extra])
    expected = [(day + a * hour, day + b * hour) for a, b in ((8, 10), (11, 18), (20, 21))]
    assert timed.in_force(day, day + DAY_US) == expected
    assert condition(exceptions=[leave | {"kind": "suspended"}]).in_force(day, day + DAY_US) == [
        (day, day + 10 * hour), (day + 11 * hour, day + DAY_US)
    ]  # fmt: skip


# --- P(near) ----------------------------------------------------------------------------------------------------------------


def test_the_chance_of_near_is_the_noncentral_chi_squared_of_four_mixtures() -> None:
    rng = np.random.default_rng(4)
    worst = 0.0
    for _ in range(400):
        s1, s2, radius = 10.0 ** rng.uniform([0.3, 0.3, 0.3], [3.0, 3.0, 3.5])
        moved, apart = rng.choice([0.0, 40.0, 900.0]), rng.uniform(0.0, 3.0) * (radius + s1 + s2)
        w1, w2, k1, k2 = *rng.uniform(0.0, 0.3, 2), *rng.uniform(1.0, 8.0, 2)
        exact = most = 0.0
        for wa, a in ((1 - w1, s1), (w1, s1 * k1)):
            for wb, b in ((1 - w2, s2), (w2, s2 * k2)):
                variance = a * a + b * b + moved * moved
                exact += wa * wb * ncx2.cdf(radius**2 / variance, 2, max(1e-12, apart**2 / variance))
                most += wa * wb * -np.expm1(-(radius**2) / (2 * variance))
        p, at_best = near_mass(apart, radius, moved, s1, w1, k1, s2, w2, k2)
        worst = max(worst, abs(p - exact))
        assert at_best == pytest.approx(most, rel=1e-9)
        assert near_mass(apart, radius, moved, s2, w2, k2, s1, w1, k1)[0] == pytest.approx(p, abs=1e-12)
    assert worst < 1e-7


def test_the_chance_of_near_is_that_of_random_draws() -> None:
    rng, n = np.random.default_rng(5), 400_000
    tail = rng.random((2, n)) < np.array([[0.06], [0.18]])
    scale = np.where(tail, [[3.5], [6.8]], 1.0) * np.array([[20.0], [35.0]])
    errors = rng.normal(0, 1, (2, 2, n)) * scale + np.array([0.0, 0.0])[:, None, None]
    apart = np.hypot(errors[0, 0] - errors[0, 1] + 150.0, errors[1, 0] - errors[1, 1])
    p, _ = near_mass(150.0, 120.0, 0.0, 20.0, 0.06, 3.5, 35.0, 0.18, 6.8)
    assert p == pytest.approx(np.mean(apart < 120.0), abs=0.003)


# --- scenes -----------------------------------------------------------------------------------------------------------------


def test_who_comes_and_stays_is_near_from_the_first_fix_of_the_run() -> None:
    ours = [*walk(0, 20, 3000.0), *walk(20, 40, 60.0)]
    (alert,) = alerts(ours, AT_HOME, 39.9)
    assert (alert.rule, alert.subject, alert.wearer, alert.device) == ("zone.proximity", "keep-away", "dan", "tag of dan")
    assert (alert.grade, alert.condition, alert.began, alert.ended) == ("critical", "active", clock(20), None)
    assert alert.began_after == clock(19.5)
    assert alert.n_fixes == 20
    assert [fix.time for fix in alert.fixes] == [clock(m) for m in range(20, 40)]
    assert {fix.lat for fix in alert.fixes} == {round(530_000_000 + 60 * 89.86) / 1e7}  # never hers
    assert all(fix.p > 0.9 for fix in alert.fixes[1:])
    assert alert.posterior >= 0.95
    assert alert.why["decided_at"] == clock(21)
    assert (alert.why["protected"], alert.why["radius_m"], alert.why["unknown_since"]) == ("eve", 200.0, None)
    assert alert.why["distance_m"] == pytest.approx(60.0, abs=0.5)
    assert alert.why["closest_m"] == pytest.approx(60.0, abs=0.5)
    assert alert.why["partner_age_s"] == 30.0
    assert 0 < alert.why["posterior_without_strongest_fix"] <= alert.posterior
    assert alert.why["subject_version"] == condition().version
    assert from_json(to_json(alert)) == alert


def test_who_goes_away_again_clears_it_and_the_grade_may_be_another() -> None:
    ours = [*walk(0, 10, 3000.0), *walk(10, 20, 60.0), *walk(20, 40, 3000.0)]
    (alert,) = alerts(ours, AT_HOME, rule=condition(grade="medium"))
    assert (alert.grade, alert.condition, alert.ended) == ("medium", "cleared", clock(20))
    assert alert.minutes == 10.0


def test_it_is_not_raised_before_two_fixes_of_either_say_so() -> None:
    ours = [*walk(0, 10, 3000.0), *walk(10, 20, 60.0)]
    assert [len(alerts(ours, AT_HOME, as_of)) for as_of in (10, 10.5, 11)] == [0, 0, 1]
    theirs = [*walk(0.5, 10.5, 3000.0), *walk(10.5, 30.5, 60.0)]
    assert [len(alerts(walk(0, 30, 60.0), theirs, as_of)) for as_of in (10.5, 11, 11.5)] == [0, 0, 1]


@pytest.mark.parametrize("which", ["wearer", "protected"])
def test_one_wild_fix_of_either_raises_nothing_and_clears_nothing(which: str) -> None:
    for usual, wild in ((3000.0, 30.0), (30.0, 3000.0)):
        ours, theirs = walk(0, 40, usual), list(AT_HOME)
        if which == "wearer":
            ours[20] = (20.0, wild)
        else:
            theirs[20] = (20.5, usual - wild)
        found = alerts(ours, theirs, 40)
        assert [(a.condition, a.began) for a in found] == ([] if usual > 1000 else [("active", clock(0.5))])


def test_cars_that_pass_each_other_raise_nothing() -> None:
    for offset in (0.0, 0.2, 0.5):
        ours, theirs = walk(0, 20, -12_000.0, 12_000.0), walk(offset, 20, 12_000.0, -12_000.0)
        assert alerts(ours, theirs) == []


@pytest.mark.parametrize("offset", [0.0, 0.3, 0.5])
def test_both_in_one_bus_are_near_however_their_fixes_fall(offset: float) -> None:
    stops = [(m, 600.0 * m) for m in np.arange(0.0, 25.0, 1.0)]
    hers = [(m + offset, 600.0 * (m + offset)) for m in np.arange(0.0, 25.0, 1.0)]
    (alert,) = alerts(stops, hers)
    assert alert.condition == "active"
    assert alert.began <= clock(3)
    behind = [(m, metres - 2500.0) for m, metres in hers]  # another bus on the same road
    assert alerts(stops, behind) == []


def test_where_her_tag_falls_silent_it_is_unknown_and_not_far() -> None:
    ours = [*walk(0, 10, 3000.0), *walk(10, 20, 60.0), *walk(20, 90, 3000.0)]
    theirs = walk(0.5, 20.0, 0.0)  # the last at 19.5
    speaks = 19.5 + SILENCE_MIN
    (told,) = alerts(ours, theirs, speaks)
    (unknown,) = alerts(ours, theirs, speaks + 0.1)
    (later,) = alerts(ours, theirs, 89)
    assert (told.condition, told.why["unknown_since"]) == ("active", None)
    assert (unknown.condition, unknown.ended, unknown.why["unknown_since"]) == ("active", None, clock(22.5))
    assert "unknown since" in unknown.why["text"]
    assert later == unknown  # unknown time is no time near: minutes stand still
    assert later.minutes == 12.5
    assert later.n_fixes == 10 + 3  # his at 20, 21 and 22, before her position was stale


def test_a_stale_position_raises_nothing_either() -> None:
    ours = [*walk(0, 20, 3000.0), *walk(20, 60, 20.0)]
    assert alerts(ours, walk(0.5, 15, 0.0), 60) == []
    assert alerts(ours, [], 60) == []
    assert alerts([], AT_HOME, 60) == []


def test_unknown_time_within_a_meeting_is_part_of_it_and_of_no_minutes() -> None:
    theirs = [*walk(0.5, 10, 0.0), *walk(20.5, 30, 0.0)]
    (alert,) = alerts(walk(0, 30, 50.0), theirs, 30)
    assert (alert.condition, alert.began, alert.why["unknown_since"]) == ("active", clock(0.5), None)
    assert alert.minutes == pytest.approx((9.5 + 3 - 0.5) + (30 - 20.5))
    assert "in 2 stretches" in alert.why["text"]


def test_how_old_is_stale_follows_the_fix_interval_or_the_condition() -> None:
    ours, theirs = walk(0, 60, 50.0), walk(0.5, 60, 0.0, every=10.0)
    assert [
        a.minutes for a in alerts(ours, theirs, 60)
    ] == []  # hers are stale after 3 of 10 minutes: two never meet in a run
    slow = Activation("tag of eve", "eve", START_US - DAY_US, fix_interval_s=600)
    other = slow._replace(wearer="bob", fix_interval_s=60)
    (by_plan,) = alerts(ours, theirs, 60, plans=[other, slow])
    (by_rule,) = alerts(ours, theirs, 60, rule=condition(stale_minutes=15))
    assert by_plan.condition == by_rule.condition == "active"
    assert by_plan.began == clock(0.5)


def test_only_while_it_is_in_force() -> None:
    weekly = {"timezone": "UTC", "weekly": [{"days": ["mon"], "start": "12:20", "end": "12:30"}]}
    timed = condition(schedule=weekly)
    due: list[int] = []
    ours = walk(0, 40, 50.0)
    assert proximity_alerts([scene(ours, AT_HOME, 15, timed)], due) == []
    assert at(20) + 1 in due
    (alert,) = alerts(ours, AT_HOME, 39, timed)
    assert (alert.began, alert.ended, alert.minutes, alert.n_fixes) == (clock(20), clock(30), 10.0, 10)
    leave = {"kind": "authorised", "from": "2026-01-05T12:00", "to": "2026-01-05T13:00"}
    assert alerts(ours, AT_HOME, 39, condition(exceptions=[leave])) == []


def test_meetings_less_than_half_an_hour_apart_are_one_alert() -> None:
    def twice(gap: float) -> list[Alert]:
        away = 10 + gap
        ours = [
            *walk(0, 10, 50.0),
            *walk(10, away, 3000.0),
            *walk(away, away + 20, 50.0),
            *walk(away + 20, away + 25, 3000.0),
        ]
        return alerts(ours, walk(0.5, away + 25, 0.0))

    assert [len(twice(gap)) for gap in (29, 31)] == [1, 2]
    assert twice(29)[0].why["entries"] == 2


def test_a_meeting_over_a_change_of_version_is_one_alert() -> None:
    rows = [ROW, ROW | {"radius_m": 500, "holds_from": "2026-01-05T12:20:00Z"}]
    versions = read_proximities(rows)
    scenes = [scene(walk(0, 40, 50.0), AT_HOME, 39, rule) for rule in versions]
    (alert,) = proximity_alerts(scenes, [])
    assert (alert.began, alert.condition, alert.minutes) == (clock(0.5), "active", 38.5)
    assert alert.why["versions"] == [rule.version for rule in versions]
    wider = [scene(walk(0, 40, 380.0), AT_HOME, 39, rule) for rule in versions]
    (late,) = proximity_alerts(wider, [])
    assert (late.began, late.why["subject_version"]) == (clock(20), versions[1].version)


def test_what_has_ended_is_not_told_again_and_time_that_tells_is_due() -> None:
    ours = [*walk(0, 10, 50.0), *walk(10, 40, 3000.0)]
    assert len(alerts(ours, AT_HOME, since_us=at(10))) == 1
    assert alerts(ours, AT_HOME, since_us=at(10) + 1) == []
    due: list[int] = []
    proximity_alerts([scene(walk(0, 10, 50.0), walk(0.5, 10, 0.0), 10)], due)
    assert min(due) == at(9 + SILENCE_MIN) + 1  # his last is at 9, and hers at 9.5


def test_fixes_without_weight_say_nothing() -> None:
    made = scene([*walk(0, 20, 3000.0), *walk(20, 40, 60.0)], AT_HOME, 39.9)
    flagged = copy.copy(made.trail)
    flagged.column("flags")[20:] = 1
    assert proximity_alerts([made._replace(trail=flagged)], []) == []


def test_coarse_positions_say_neither_near_nor_far() -> None:
    hers, his = trail("eve", AT_HOME, accuracy_m=3000.0), trail("dan", walk(0, 40, 900.0))
    for rule in (condition(), condition(radius_m=20)):
        assert proximity_alerts([PairScene(rule, his, hers, ("x",), FilterSettings(), at(40))], []) == []


def test_two_fixes_at_one_instant_are_one_comparison_with_the_better_of_them() -> None:
    both = trail("dan", walk(0, 3, 60.0))
    n = len(both)
    coarse = trail("dan", walk(0, 3, 900.0), accuracy_m=900.0)
    joined = Trail("dan")
    for name in (both, coarse):
        rows = name.fixes(("tag", "other"))
        rows.device[:] = 0 if name is both else 1
        joined.merge(arrange(rows, np.zeros(n, np.int32), np.full(n, 0.95), np.full(n, 960 * SECOND_US))[0])
    found = [
        proximity_alerts(
            [PairScene(condition(), t, trail("eve", AT_HOME[:3]), ("tag", "other"), FilterSettings(), at(3))], []
        )[0]
        for t in (both, joined)
    ]
    assert [(a.began, a.posterior, a.n_fixes, a.device) for a in found[:1]] == [
        (a.began, a.posterior, a.n_fixes, a.device) for a in found[1:]
    ]  # fmt: skip
