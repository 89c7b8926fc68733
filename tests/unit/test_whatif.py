"""What-if: two ledgers matched as the ledger matches, each difference with what changed and why, and the operators' load."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.alert import Alert
from alerts.ledger_difference import FIELDS, differences, load_of, raised_us
from engine.activations import Activation, Activations
from engine.fixes import Fixes
from engine.times import HOUR_US, MINUTE_US, parse_time, to_iso
from geofence.check import FilterSettings
from geofence.curfew import Curfew, read_curfews
from geofence.zone import Zone, read_zones
from tagwatch.monitor import Conditions
from tagwatch.replay import replay
from tagwatch.whatif import record, summary, what_if

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
START = "2026-01-05T22:00:00Z"


def at(minute: float) -> int:
    return parse_time(START) + round(minute * MINUTE_US)


def alert(began: float, ended: float | None, rule: str = "zone.exclusion", wearer: str = "W", **more: Any) -> Alert:
    content: dict[str, Any] = {
        "wearer": wearer, "device": "tag", "rule": rule, "subject": "z", "grade": "critical",
        "condition": "cleared" if ended is not None else "active", "began": to_iso(at(began)), "began_after": None,
        "ended": None if ended is None else to_iso(at(ended)), "posterior": 0.99, "minutes": 1.0, "n_fixes": 3, "fixes": [],
        "why": {"decided_at": to_iso(at(began))},
    }  # fmt: skip
    return Alert(**content | more)


def told(before: list[Alert], after: list[Alert]) -> list[tuple[str, float]]:
    found = differences(before, after, at(9999))
    return [(d.change, (parse_time(d.alert.began) - at(0)) / MINUTE_US) for d in found]


def test_added_removed_changed() -> None:
    one, two = alert(0, 10), alert(100, 110)
    assert told([one, two], [one, two]) == []
    assert told([one], [one, two]) == [("added", 100)]
    assert told([one, two], [two]) == [("removed", 0)]
    (found,) = differences([one], [alert(0, 20, minutes=20.0)], at(9999))
    assert found.change == "changed"
    assert found.changes() == {"ended": (to_iso(at(10)), to_iso(at(20))), "minutes": (1.0, 20.0)}
    assert told([one], [alert(20, 30)]) == [("removed", 0), ("added", 20)]
    assert told([one], [alert(0, 10, subject="other")]) == [("added", 0), ("removed", 0)]
    assert told([one], [alert(0, 10, wearer="V")]) == [("added", 0), ("removed", 0)]


def test_all_absences_of_a_curfew_are_one_family() -> None:
    (found,) = differences([alert(0, None, "curfew.start")], [alert(0, 30, "curfew.late")], at(9999))
    assert found.changes()["rule"] == ("curfew.start", "curfew.late")


def test_joined_and_split_alerts_follow_the_ledger() -> None:
    apart, joined = [alert(0, 10), alert(50, 60)], [alert(0, 60)]
    into = differences(apart, joined, at(9999))
    assert [(d.change, d.joined_into) for d in into] == [("changed", None), ("removed", to_iso(at(0)))]
    assert told(joined, apart) == [("changed", 0), ("added", 50)]


def test_a_new_version_alone_is_no_difference() -> None:
    assert told([alert(0, 10)], [alert(0, 10, why={"decided_at": to_iso(at(0)), "subject_version": "x"}, n_fixes=9)]) == []


SPANS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 10), st.sampled_from("VW")), max_size=8, unique_by=lambda s: s[0]
)


def apart(spans: list[tuple[int, int, str]]) -> list[Alert]:
    """At most one alert of a family at a time, as in every ledger."""
    made: list[Alert] = []
    for began, length, wearer in sorted(spans):
        if not any(a.wearer == wearer and parse_time(a.ended or "") >= at(began) for a in made):
            made.append(alert(began, began + length, wearer=wearer))
    return made


@given(SPANS, SPANS)
def test_the_differences_lead_from_one_ledger_to_the_other(one: Any, two: Any) -> None:
    before, after = apart(one), apart(two)
    found = differences(before, after, at(9999))
    left = Counter(map(msgspec.json.encode, before))
    left.subtract(msgspec.json.encode(d.before) for d in found if d.before)
    left.update(msgspec.json.encode(d.after) for d in found if d.after)
    assert +left == Counter(map(msgspec.json.encode, after))
    assert min(left.values(), default=0) >= 0
    back = Counter(d.change for d in differences(after, before, at(9999)))
    assert len(after) - len(before) == sum((d.change == "added") - (d.change == "removed") for d in found)
    assert back["added"] - back["removed"] == len(before) - len(after)
    assert all(set(d.changes()) <= set(FIELDS) for d in found)


@given(st.lists(st.integers(0, 200), max_size=60), st.integers(1, 3))
def test_the_load_is_that_of_a_plain_count(minutes: list[int], n_operators: int) -> None:
    load = load_of([alert(m, m + 1) for m in minutes], 2.0, 4 * HOUR_US, n_operators)
    most = max((sum(m - 10 < k <= m for k in minutes) for m in minutes), default=0)
    first = min(minutes, default=0)
    slots = Counter((m - first) // 10 for m in minutes)
    assert load.n_alerts == len(minutes)
    assert load.per_wearer_day == len(minutes) / 2
    assert load.per_operator_hour == pytest.approx(len(minutes) / 4 / n_operators)
    assert load.peak == most / n_operators
    assert load.n_floods == sum(n > 10 * n_operators for n in slots.values())


def test_an_alert_is_raised_when_decided_and_when_its_grace_is_over() -> None:
    assert raised_us(alert(5, 9, why={"decided_at": to_iso(at(7))})) == at(7)
    assert raised_us(alert(5, 9, why={"decided_at": to_iso(at(-60)), "grace_minutes": 15.0})) == at(20)
    assert raised_us(alert(5, 9, why={"limit_minutes": 30.0})) == at(35)
    assert raised_us(alert(5, 9, why={})) == at(5)
    assert load_of([], 0.0, 0, 1) == (0, 0.0, 0.0, 0.0, 0)


def zones(*rows: dict[str, Any]) -> list[Zone]:
    base = {"kind": "exclusion", "wearers": ["tag"], "radius_m": 100}
    features = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [-1, 53]}, "properties": base | row}
        for row in rows
    ]
    return read_zones({"type": "FeatureCollection", "features": features})


def curfew(**more: Any) -> list[Curfew]:
    row = {
        "id": "c", "wearer": "tag", "place": {"lat": 53, "lon": -1, "radius_m": 80}, "timezone": "Europe/London",
        "weekly": [{"days": DAYS, "start": "22:00", "end": "06:00"}],
    }  # fmt: skip
    return read_curfews([row | more])


def walk(pieces: list[tuple[int, int, float]]) -> Fixes:
    """(from minute, to minute, metres north of the place)"""
    route = [(m, metres) for start, stop, metres in pieces for m in range(start, stop)]
    minute, metres = (np.array(c, np.float64) for c in zip(*route, strict=True))
    n = len(route)
    return Fixes.of(
        ("tag",), device=np.zeros(n), time_us=[at(m) for m in minute], lat_e7=np.round(530_000_000 + metres * 89.86),
        lon_e7=np.full(n, -10_000_000), accuracy_cm=np.full(n, 800), source=np.ones(n),
    )  # fmt: skip


VISIT = walk([(-60, 60, 1500), (60, 80, 160), (80, 100, 1500), (100, 120, 0), (120, 500, 1500)])


def asked(before: Conditions, after: Conditions) -> list[tuple[str, str, str]]:
    outcome = what_if(VISIT, before, after, at(499))
    assert outcome.before == replay(VISIT, before, at(499)).alerts
    assert outcome.after == replay(VISIT, after, at(499)).alerts
    return [
        (d.change, d.alert.rule, why)
        for d, why in outcome.differences
        if d.alert.rule.startswith(("zone.exclusion", "curfew."))
    ]


def test_a_larger_zone_adds_a_visit_and_says_why() -> None:
    before, after = Conditions(zones({"id": "z"})), Conditions(zones({"id": "z", "radius_m": 250}))
    why = "zone z has a radius of 250 m instead of 100"
    assert asked(before, after) == [("changed", "zone.exclusion", why)]
    apart = walk([(-60, 10, 1500), (10, 30, 160), (30, 100, 1500), (100, 120, 0), (120, 500, 1500)])
    found = what_if(apart, before, after, at(499)).differences
    assert next((d.change, why) for d, why in found if d.alert.rule == "zone.exclusion") == ("added", why)


def test_a_zone_that_is_new_or_gone_or_for_others() -> None:
    none, one = Conditions(), Conditions(zones({"id": "z"}))
    assert asked(none, one) == [("added", "zone.exclusion", "zone z is new")]
    assert asked(one, none) == [("removed", "zone.exclusion", "zone z is not there any more")]
    other = Conditions(zones({"id": "z", "wearers": ["V"]}))
    assert asked(one, other) == [("removed", "zone.exclusion", "zone z is not for tag any more")]
    assert asked(other, one) == [("added", "zone.exclusion", "zone z is for tag now")]
    grade = Conditions(zones({"id": "z", "grade": "low"}))
    assert asked(one, grade) == [("changed", "zone.exclusion", "zone z has the grade low")]
    assert asked(one, one) == []


def test_another_grace_another_posterior_another_activation() -> None:
    strict, mild = Conditions((), curfew()), Conditions((), curfew(grace_minutes=600))
    (found,) = asked(strict, mild)[:1]
    assert found[0] == "removed"
    assert found[2] == "curfew c has a grace of 600 minutes instead of 0"
    surer = replace(strict, filter=FilterSettings(raise_at=0.98))
    assert {why.partition(" (")[0] for _, _, why in asked(strict, surer)} <= {"a state is decided at 0.98 instead of 0.95"}
    worn = [Conditions(zones({"id": "z"}), activations=Activations([Activation("tag", "tag", at(a))])) for a in (-100, 200)]
    assert asked(*worn) == [("removed", "zone.exclusion", "the activations of tag are others")]


def test_the_record_and_the_summary_tell_both_sides() -> None:
    before, after = Conditions(zones({"id": "z"})), Conditions(zones({"id": "z", "radius_m": 250}))
    outcome = what_if(VISIT, before, after, at(499))
    row = record(*outcome.differences[0])
    assert list(row) == ["change", "wearer", "rule", "subject", "grade", "began", "ended", "minutes", "why", "changes",
                         "before", "after"]  # fmt: skip
    assert outcome.wearer_days == pytest.approx((499 + 60) / 1440)
    from io import StringIO

    from rich.console import Console

    text = StringIO()
    Console(file=text, width=80).print(summary(outcome, 2))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in text.getvalue()
    assert next(line.split() for line in lines if "alerts" in line)[1:3] == [
        str(len(outcome.before)),
        str(len(outcome.after)),
    ]
