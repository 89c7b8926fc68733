"""zone.crossed by hand-made scenes: what is a finding, what is none, what it says, and that it obeys the ledger law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.alert import Alert, from_json, to_json
from alerts.crossing_rules import crossing_alerts
from alerts.evidence import Scene
from alerts.zone_rules import zone_alerts
from engine.fixes import Fixes
from engine.times import MINUTE_US, parse_time
from geofence.zone import Zone, read_zones
from tagwatch.monitor import Conditions, Monitor

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
START_US = parse_time("2026-01-05T12:00:00Z")
Route = list[tuple[float, float]]
"""(minute, metres east of the middle of the zone)"""
ACROSS: Route = [(0, -900), (1, -500), (2, 500), (3, 900)]


def zone(kind: str = "exclusion", **more: Any) -> Zone:
    given = {"id": "z", "name": "Park", "kind": kind, "wearers": ["tag"], "radius_m": 200} | more
    feature = {"type": "Feature", "properties": given, "geometry": {"type": "Point", "coordinates": [-1, 53]}}
    return read_zones({"type": "FeatureCollection", "features": [feature]})[0]


def fixes_of(route: Route, accuracy_m: float = 8.0, north_m: float = 0.0) -> Fixes:
    minute, metres = (np.array(c, np.float64) for c in zip(*route, strict=True))
    n = len(route)
    return Fixes.of(
        ("tag",), device=np.zeros(n), time_us=START_US + (minute * MINUTE_US).astype(np.int64),
        lat_e7=np.full(n, round(530_000_000 + north_m * 89.86)), lon_e7=np.round(-10_000_000 + metres * 148.95),
        accuracy_cm=np.full(n, accuracy_m * 100), source=np.ones(n),
    )  # fmt: skip


def clock(minute: float) -> str:
    return f"2026-01-05T12:{int(minute):02d}:{round(minute * 60) % 60:02d}.000Z"


def at(minute: float) -> int:
    return START_US + round(minute * MINUTE_US)


def crossed(monitor: Monitor, as_of_us: int) -> list[Alert]:
    found: list[Alert] = []
    for wearer, trail in monitor.trails.items():
        for slot in monitor.watch.slots(wearer):
            settled = monitor._settled.setdefault(wearer, {})
            scene = Scene(slot, trail, monitor.watch, monitor.devices, as_of_us, settled)
            found += crossing_alerts(scene, zone_alerts([scene], []))
    return found


def alerts(route: Route, as_of: float | None = None, rule: Zone | None = None, **more: float) -> list[Alert]:
    minute = max(m for m, _ in route) if as_of is None else as_of
    monitor = Monitor(Conditions([rule or zone()]))
    monitor.take(fixes_of(route, **more), at(minute))
    return crossed(monitor, at(minute))


def test_a_way_across_is_one_low_alert_that_says_what_it_is() -> None:
    (alert,) = alerts(ACROSS)
    assert (alert.rule, alert.grade, alert.condition, alert.minutes) == ("zone.crossed", "low", "cleared", 0.0)
    assert (alert.began_after, alert.began, alert.ended) == (clock(1), clock(1.3), clock(1.7))
    assert [fix.time for fix in alert.fixes] == [clock(minute) for minute in range(4)]
    assert max(fix.p for fix in alert.fixes) < 1e-6
    assert alert.posterior > 0.99
    (told,) = alert.why["crossings"]
    assert (told["class"], told["from"], told["to"], told["gap_s"]) == ("crossed", clock(1), clock(2), 60.0)
    assert told["inside_m"] == pytest.approx(400, rel=2e-3)
    assert told["way_m"] == pytest.approx(1000, rel=2e-3)
    assert 15 < told["required_mps"] < told["speed_mps"] < 17
    assert "not a certain entry" in alert.why["text"]
    assert alert.why["decided_at"] == clock(3)
    assert from_json(to_json(alert)) == alert


def test_two_fixes_on_either_side_are_needed_and_the_second_must_be_past() -> None:
    assert alerts(ACROSS[1:]) == []
    assert alerts(ACROSS[:3]) == []
    monitor = Monitor(Conditions([zone()]))
    monitor.take(fixes_of(ACROSS), at(3))
    assert [len(crossed(monitor, at(minute))) for minute in (3, 2.9, 3)] == [1, 0, 1]


def test_a_corner_that_is_clipped_is_no_finding() -> None:
    assert alerts(ACROSS, north_m=195.0) == []
    assert alerts(ACROSS, north_m=195.0, accuracy_m=50.0) == []
    assert len(alerts(ACROSS, north_m=120.0)) == 1


def test_there_and_back_by_one_wild_fix_is_no_finding() -> None:
    assert alerts([(0, -900), (1, -500), (2, 500), (3, -500), (4, -500)]) == []


def test_a_flagged_fix_raises_nothing() -> None:
    """100 km away: implausible; the way there and the way back lead across the zone."""
    assert alerts([(0, -900), (1, -500), (2, 100_000), (3, -500), (4, -500), (5, -600)]) == []


def test_a_gap_longer_than_silence_is_not_judged() -> None:
    assert len(alerts([(0, -900), (16, -500), (17, 500), (18, 900)])) == 1
    assert alerts([(0, -900), (16.1, -500), (17.1, 500), (18.1, 900)]) == []


def test_a_way_of_more_than_five_minutes_is_not_taken_for_straight() -> None:
    assert len(alerts([(0, -900), (1, -500), (6, 500), (7, 900)])) == 1
    assert alerts([(0, -900), (1, -500), (6.1, 500), (7.1, 900)]) == []


def test_a_fix_between_is_shown() -> None:
    (alert,) = alerts([(0, -900), (1, -500), (2, 30), (3, 500), (4, 900)])
    assert [fix.p > 0.9 for fix in alert.fixes] == [False, False, True, False, False]
    assert alert.why["crossings"][0]["n_between"] == 1
    assert alert.why["text"].endswith("; 1 fix between them inside it or too near to tell")


def test_time_that_a_breach_covers_is_left_to_it() -> None:
    inside = [(1 + k, 20.0 * k) for k in range(1, 5)]
    assert alerts([(0, -900), (1, -500), *inside, (6, 500), (7, 900)]) == []
    assert len(alerts([(0, -900), (1, -500), (2, 30), (3, 500), (4, 900)])) == 1  # one fix inside decides nothing


def test_a_breach_and_a_crossing_before_it_are_two_alerts() -> None:
    stay = [(float(k), 0.0) for k in range(10, 16)]
    monitor = Monitor(Conditions([zone()]))
    monitor.take(fixes_of([*ACROSS, (4, 900), (9, 600), *stay]), at(15))
    (scene,) = (
        Scene(slot, monitor.trails["tag"], monitor.watch, monitor.devices, at(15), {})
        for slot in monitor.watch.slots("tag")
    )
    assert [a.began for a in zone_alerts([scene], [])] == [clock(10)]
    assert [a.began for a in crossing_alerts(scene, zone_alerts([scene], []))] == [clock(1.3)]


def test_crossings_less_than_half_an_hour_apart_are_one_alert() -> None:
    back = [(minute, -metres) for minute, metres in ACROSS]
    between = [(minute, 900.0) for minute in range(4, 60)]
    for pause, n_alerts in ((20, 1), (29, 1), (33, 2)):
        route = [*ACROSS, *between[: pause - 4], *((minute + pause, metres) for minute, metres in back)]
        found = alerts(route)
        assert len(found) == n_alerts
        assert sum(len(a.why["crossings"]) for a in found) == 2
    assert "2 such ways" in alerts([*ACROSS, *((m + 10, x) for m, x in back)])[0].why["text"]


def test_the_zone_must_be_in_force_from_fix_to_fix() -> None:
    def weekly(start: str, end: str) -> dict[str, Any]:
        return {"timezone": "UTC", "weekly": [{"days": ["mon"], "start": start, "end": end}]}

    assert len(alerts(ACROSS, rule=zone(schedule=weekly("12:01", "12:02")))) == 1
    assert alerts(ACROSS, rule=zone(schedule=weekly("12:02", "13:00"))) == []
    assert alerts(ACROSS, rule=zone(schedule=weekly("11:00", "12:01"))) == []
    assert alerts(ACROSS, rule=zone(valid_from="2026-01-06")) == []


def test_an_inclusion_zone_is_not_crossed() -> None:
    assert alerts(ACROSS, rule=zone("inclusion")) == []


def test_wide_fixes_are_not_clear_of_the_zone() -> None:
    assert alerts(ACROSS, accuracy_m=400.0) == []


def test_a_late_fix_that_went_round_retracts_it() -> None:
    monitor = Monitor(Conditions([zone()]))
    monitor.take(fixes_of(ACROSS), at(3))
    assert len(crossed(monitor, at(3))) == 1
    monitor.take(fixes_of([(1.5, 0)], north_m=900.0), at(3))
    assert crossed(monitor, at(3)) == []


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_batches=st.integers(1, 12))
def test_arrival_order_and_batches_change_nothing(seed: int, n_batches: int) -> None:
    """Walks to and fro across the zone with gaps, wild and wide fixes: asked after every batch, the last answer is the same."""
    rng = np.random.default_rng(seed)
    n = 80
    minute = np.cumsum(rng.choice([1 / 3, 1, 5, 17, 40], n, p=[0.2, 0.5, 0.2, 0.05, 0.05]))
    metres = np.repeat(rng.choice([-700, -400, 0, 210, 500, 900], n // 4), 4) + rng.normal(0, 30, n)
    metres += (rng.random(n) < 0.03) * 60_000
    fixes = fixes_of(list(zip(minute.tolist(), metres.tolist(), strict=True)))
    fixes.accuracy_cm[:] = rng.choice([600, 1500, 20_000], n, p=[0.7, 0.25, 0.05])
    end_us, conditions = int(fixes.time_us.max()) + 1, Conditions([zone(), zone(id="y", radius_m=120)])
    whole = Monitor(conditions)
    whole.take(fixes, end_us)
    monitor = Monitor(conditions)
    order = rng.permutation(n) if rng.random() < 0.5 else np.arange(n)
    for rows in np.array_split(order, n_batches):
        monitor.take(fixes.take(rows), end_us)
        crossed(monitor, end_us)
    assert [to_json(a) for a in crossed(monitor, end_us)] == [to_json(a) for a in crossed(whole, end_us)]
