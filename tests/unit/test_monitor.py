"""Whose alerts may have changed: the live service settles only those, so nobody may be missing."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.ledger import Ledger
from engine.activations import Activation, Activations
from engine.fixes import Fixes
from engine.times import MINUTE_US, parse_time
from geofence.curfew import read_curfews
from geofence.zone import Circle, Zone
from tagwatch.monitor import Conditions
from tests.unit.place_monitor import Monitor

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
START_US = parse_time("2026-06-01T18:00:00Z")
HOME = Circle(532_000_000, -5_000_000, 200.0)


def fixes_of(minutes: list[int], north_m: float = 0.0) -> Fixes:
    n = len(minutes)
    return Fixes.of(
        ("tag",), device=np.zeros(n), time_us=START_US + np.array(minutes) * MINUTE_US,
        lat_e7=np.full(n, 532_000_000 + round(north_m * 90)), lon_e7=np.full(n, -5_000_000), accuracy_cm=np.full(n, 800),
        source=np.ones(n),
    )  # fmt: skip


@pytest.mark.parametrize("n_before", [511, 512, 513])
def test_a_late_fix_that_takes_a_change_back_is_told_wherever_the_checkpoints_lie(n_before: int) -> None:
    monitor = Monitor(Conditions([Zone("z", "z", "inclusion", ("tag",), HOME, "")]))
    now_us = START_US + 600 * MINUTE_US
    monitor.take(fixes_of(list(range(n_before))), now_us)
    monitor.take(fixes_of([n_before, n_before + 1], 3000.0), now_us)
    assert [a.rule for a in monitor.alerts("tag", now_us)[0]] == ["zone.inclusion"]
    taken = monitor.take(fixes_of([n_before]), now_us)  # contradicts its twin: neither counts any more
    assert monitor.alerts("tag", now_us)[0] == []
    assert taken.moved == ["tag"]


@pytest.mark.parametrize("north_m", [0.0, 5000.0])
def test_a_backlog_in_order_after_silence_had_spoken_is_told(north_m: float) -> None:
    """At home or away all night, and all of it uploaded in the morning: no state changes, but what is known does."""
    curfews = read_curfews([{
        "id": "c", "wearer": "ann", "place": {"lat": 53.2, "lon": -0.5, "radius_m": 200}, "timezone": "UTC",
        "weekly": [{"days": ["mon"], "start": "19:00", "end": "06:00"}],
    }])  # fmt: skip
    conditions = Conditions((), curfews, Activations([Activation("tag", "ann", START_US - 30 * MINUTE_US)]))
    monitor, ledger = Monitor(conditions), Ledger()

    def settle(now_us: int) -> list[str]:
        ledger.apply("ann", monitor.alerts("ann", now_us)[0], now_us)
        return [e.alert.rule for e in ledger.entries("ann")]

    monitor.take(fixes_of(list(range(50)), north_m), START_US + 50 * MINUTE_US)
    assert "curfew.unverified" in settle(START_US + 12 * 60 * MINUTE_US)
    now_us = START_US + 13 * 60 * MINUTE_US
    taken = monitor.take(fixes_of(list(range(50, 13 * 60)), north_m), now_us)
    assert taken.moved == ["ann"]
    assert settle(now_us) == ([] if north_m == 0.0 else ["curfew.absent"])
