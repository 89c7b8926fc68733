"""A monitor that forgets what is closed, and reads a wearer's past again where something late needs it, tells the ledger of one
that forgets nothing: at any instant, for any order of arrival. Compared by content, byte for byte."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alerts.alert import Alert
from engine.fixes import Fixes, concat
from engine.times import HOUR_US, MINUTE_US, SECOND_US
from geofence.curfew import read_curfews
from tagwatch.monitor import NEVER_US, Conditions, Monitor
from tagwatch.replay import replay
from tests.property.test_ledger_law import DAYS, LAT, LON, SEED, T0_US, conditions, cut, text, world

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled


class Keeper:
    """A service in miniature: what came is stored, and alerts that the monitor no longer tells are kept here."""

    def __init__(self, rules: Conditions, **more: Any) -> None:
        self.monitor = Monitor(rules, self.recall, **more)
        self.stored: list[Fixes] = []
        self.closed: dict[str, list[Alert]] = {}
        self.n_recalled = 0

    def recall(self, devices: Any) -> tuple[Fixes, list[Any]]:
        self.n_recalled += 1
        fixes = concat(self.stored)
        return fixes.take(np.isin(np.array(fixes.devices)[fixes.device], devices)), []

    def take(self, fixes: Fixes, now_us: int) -> None:
        taken = self.monitor.take(fixes, now_us)
        self.stored.append(fixes)
        for wearer in taken.recalled:
            self.closed.pop(wearer, None)

    def forget(self, wearer: str, now_us: int) -> None:
        before = self.monitor.alerts(wearer, now_us)[0]
        self.monitor.forget(wearer, now_us)
        after = self.monitor.alerts(wearer, now_us)[0]
        left = [a for a in before if a not in after]
        assert all(a in before for a in after)
        assert all(not a.active for a in left)
        self.closed.setdefault(wearer, []).extend(left)

    def present(self, now_us: int) -> list[Alert]:
        monitor = self.monitor
        told = [a for wearer in monitor.trails for a in monitor.alerts(wearer, now_us)[0]]
        return told + [a for alerts in self.closed.values() for a in alerts]


@settings(max_examples=80)
@given(
    SEED, st.integers(1, 110) | st.just(330), st.integers(1, 60), st.booleans(),
    st.sampled_from(["time", "received", "shuffled", "late"]),
)  # fmt: skip
@example(0, 330, 60, True, "time")
def test_what_is_forgotten_makes_no_difference(seed: int, n: int, n_batches: int, activated: bool, order: str) -> None:
    rng = np.random.default_rng(seed)
    rules, fixes = conditions(activated), world(rng, n)
    arrival = {
        "time": np.arange(len(fixes)), "received": np.argsort(fixes.received_s, kind="stable"),
        "shuffled": rng.permutation(len(fixes)), "late": np.argsort(rng.random(len(fixes)) < 0.05, kind="stable"),
    }[order]  # fmt: skip
    keeper, now_us = Keeper(rules), T0_US
    came: list[Fixes] = []
    for batch in cut(rng, fixes.take(arrival), n_batches):
        if len(batch) and rng.random() < 0.9:  # else some may be dated ahead
            now_us = max(now_us, int(batch.time_us.max()))
        now_us += int(rng.integers(0, 60)) * SECOND_US
        batch.received_s[:] = now_us // SECOND_US  # as the centre stamps what comes
        came.append(batch)
        keeper.take(batch, now_us)
        if rng.random() < 0.7:
            for wearer in list(keeper.monitor.trails):
                if len(keeper.monitor.trails[wearer]):
                    keeper.forget(wearer, now_us)
        if rng.random() < 0.15:
            assert text(keeper.present(now_us)) == text(replay(concat(came), rules, now_us).alerts)
    as_of_us = max(now_us, int(fixes.time_us.max())) + int(rng.choice([0, 20 * MINUTE_US, 9 * HOUR_US]))
    keeper.take(Fixes.empty(), as_of_us)
    assert text(keeper.present(as_of_us)) == text(replay(concat(came), rules, as_of_us).alerts)


def test_a_long_trail_stays_short_in_memory() -> None:
    rng = np.random.default_rng(5)
    rules, fixes = conditions(), world(rng, 1500)
    fixes = fixes.take(np.array(fixes.devices)[fixes.device] == "ann")
    keeper, most = Keeper(rules), 0
    for batch in cut(rng, fixes, 300):
        if not len(batch):
            continue
        now_us = int(batch.time_us.max())
        keeper.take(batch, now_us)
        trail = keeper.monitor.trails["ann"]
        if len(trail) - trail.base > 64 or trail.marked < 0:
            keeper.forget("ann", now_us)
        most = max(most, len(trail))
    assert keeper.monitor.trails["ann"].floor_us != NEVER_US
    now_us = int(fixes.time_us.max())
    assert text(keeper.present(now_us)) == text(replay(fixes, rules, now_us).alerts)
    assert most < 700, most


def test_curfews_that_leave_no_free_minute_can_be_forgotten() -> None:
    """Windows that follow one another for ever, each of one curfew or of two in turns, are no reason to look back for ever."""
    rng = np.random.default_rng(8)
    rows = {"whole": [("00:00", "24:00")], "day": [("05:00", "20:00")], "night": [("19:00", "06:00")]}
    place = {"lat": LAT, "lon": LON, "radius_m": 120}
    curfews = read_curfews(
        [
            {"id": name, "wearer": "ann", "place": place, "timezone": "Europe/London",
             "weekly": [{"days": DAYS, "start": start, "end": end} for start, end in windows]}
            for name, windows in rows.items()
        ]
    )  # fmt: skip
    rules, fixes = Conditions(curfews=curfews), world(rng, 150)
    keeper, came = Keeper(rules), []
    for batch in cut(rng, fixes.take(np.array(fixes.devices)[fixes.device] == "ann"), 40):
        if len(batch):
            now_us = int(batch.time_us.max())
            batch.received_s[:] = now_us // SECOND_US
            came.append(batch)
            keeper.take(batch, now_us)
            keeper.forget("ann", now_us)
    assert keeper.monitor.trails["ann"].floor_us != NEVER_US
    assert text(keeper.present(now_us)) == text(replay(concat(came), rules, now_us).alerts)
