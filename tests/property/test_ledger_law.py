"""The ledger law: at any instant the alerts are a pure function of what happened, whatever came when and in which batches.

Small random worlds with everything that the rules know: walks in and out of zones, gaps, wild fixes, wide fixes, duplicates
with other arrival times, two tags on one wearer, schedules, curfews over a clock change. Compared by content, byte for byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alerts.alert import Alert, from_json, to_json
from alerts.ledger import Ledger, Version
from engine.activations import Activation, Activations
from engine.fixes import ABSENT, Fixes, concat
from engine.times import HOUR_US, MINUTE_US, parse_time
from geofence.curfew import read_curfews
from geofence.zone import read_zones
from tagwatch.monitor import Conditions, Monitor
from tagwatch.replay import history, replay

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
T0_US = parse_time("2026-03-28T18:00:00Z")  # the evening before the clocks go forward
LAT, LON = 53.0, -1.0
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def zone(name: str, kind: str, east_m: float, wearers: Any = "*", radius_m: float = 150, **more: Any) -> dict[str, Any]:
    centre = [LON + east_m * 1.493e-5, LAT]
    properties = {"id": name, "kind": kind, "wearers": wearers, "radius_m": radius_m} | more
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Point", "coordinates": centre}}


def conditions(activated: bool = False) -> Conditions:
    """Two exclusion zones, one by schedule; an inclusion zone; a curfew at home with an exception; perhaps activations."""
    nights = {"timezone": "Europe/London", "weekly": [{"days": DAYS, "start": "20:00", "end": "23:00"}]}
    zones = read_zones(
        {"type": "FeatureCollection", "features": [
            zone("near", "exclusion", 600), zone("evening", "exclusion", 900, radius_m=250, schedule=nights),
            zone("stay", "inclusion", 0, ["ann"], 2000), zone("far", "exclusion", 90_000),
        ]}
    )  # fmt: skip
    curfews = read_curfews(
        [
            {"id": f"home-{who}", "wearer": who, "place": {"lat": LAT, "lon": LON, "radius_m": 120},
             "timezone": "Europe/London", "weekly": [{"days": DAYS, "start": "19:00", "end": "06:00"}], "grace_minutes": 5,
             "exceptions": [{"from": "2026-03-28T21:00", "to": "2026-03-28T21:40", "kind": "authorised"}]}
            for who in ("ann", "bob")
        ]
    )  # fmt: skip
    if not activated:
        return Conditions(zones, curfews)
    end = T0_US + 7 * HOUR_US
    rows = [Activation("ann", "ann", T0_US - HOUR_US), Activation("bob", "ann", T0_US, end), Activation("bob", "bob", end)]
    return Conditions(zones, curfews, Activations(rows))


def world(rng: np.random.Generator, n: int) -> Fixes:
    """The fixes of two devices in the order of their times, each with the time at which it was received."""
    batches = []
    for device in ("ann", "bob"):
        steps_s = rng.choice([0, 0.5, 20, 60, 300, 930, 1500, 5000], n, p=[0.03, 0.02, 0.15, 0.5, 0.2, 0.04, 0.04, 0.02])
        time_us = T0_US + (np.cumsum(steps_s) * 1_000_000).astype(np.int64)
        place = np.repeat(rng.choice([0, 0, 140, 600, 900, 2500], n // 5 + 1), 5)[:n] + rng.normal(0, 15, n)
        place += (rng.random(n) < 0.03) * 30_000
        accuracy = rng.choice([ABSENT, 0, 600, 1500, 20_000, 400_000], n, p=[0.05, 0.05, 0.5, 0.3, 0.05, 0.05])
        batches.append(
            Fixes.of(
                (device,), device=np.zeros(n), time_us=time_us,
                lat_e7=np.round((LAT + rng.normal(0, 5e-5, n)) * 1e7), lon_e7=np.round((LON + place * 1.493e-5) * 1e7),
                accuracy_cm=accuracy, source=rng.choice([1, 1, 1, 6], n),
                received_s=time_us // 1_000_000 + rng.choice([-400, 0, 1, 5, 40, 700, 9000], n, p=[0.02, *[0.2] * 4, 0.1, 0.08]),
            )
        )  # fmt: skip
    fixes = concat(batches)
    again = fixes.take(rng.integers(0, len(fixes), len(fixes) // 8))
    again.received_s[:] += rng.integers(-500, 3000, len(again))
    fixes = concat([fixes, again])
    return fixes.take(np.argsort(fixes.time_us, kind="stable"))


def text(alerts: list[Alert]) -> bytes:
    return b"\n".join(to_json(alert) for alert in sorted(alerts, key=lambda a: a.sort_key))


def present(monitor: Monitor, as_of_us: int) -> list[Alert]:
    return [alert for wearer in monitor.trails for alert in monitor.alerts(wearer, as_of_us)[0]]


def cut(rng: np.random.Generator, fixes: Fixes, n_batches: int) -> list[Fixes]:
    edges = np.sort(rng.integers(0, len(fixes) + 1, n_batches - 1))
    return [fixes.take(piece) for piece in np.split(np.arange(len(fixes)), edges)]


SEED = st.integers(0, 2**32)


@settings(max_examples=60)
@given(
    SEED,
    st.integers(1, 110) | st.just(330),
    st.integers(1, 25),
    st.booleans(),
    st.sampled_from(["time", "received", "shuffled", "late"]),
)
def test_any_order_and_any_batches_give_the_ledger_of_a_replay(
    seed: int, n: int, n_batches: int, activated: bool, order: str
) -> None:
    rng = np.random.default_rng(seed)
    rules, fixes = conditions(activated), world(rng, n)
    newest = int(fixes.time_us.max())
    as_of_us = int(
        rng.choice([newest, newest + 20 * MINUTE_US, newest - 40 * MINUTE_US, (newest + T0_US) // 2, newest + 9 * HOUR_US])
    )
    expected = replay(fixes, rules, as_of_us)
    arrival = {
        "time": np.arange(len(fixes)), "received": np.argsort(fixes.received_s, kind="stable"),
        "shuffled": rng.permutation(len(fixes)), "late": np.argsort(rng.random(len(fixes)) < 0.2, kind="stable"),
    }[order]  # fmt: skip
    monitor, n_duplicates, n_unassigned = Monitor(rules), 0, 0
    now_us = T0_US
    for batch in cut(rng, fixes.take(arrival), n_batches):
        now_us = min(as_of_us, now_us + int(rng.integers(0, max(1, (as_of_us - T0_US) // n_batches * 2))))
        taken = monitor.take(batch, now_us)
        n_duplicates, n_unassigned = n_duplicates + taken.n_duplicates, n_unassigned + taken.n_unassigned
        if rng.random() < 0.5:
            present(monitor, now_us)  # looking on the way changes nothing
    taken = monitor.take(Fixes.empty(), as_of_us)
    assert taken.n_ahead == np.count_nonzero(fixes.time_us > as_of_us)
    assert text(present(monitor, as_of_us)) == text(expected.alerts)
    assert n_duplicates + taken.n_duplicates == expected.n_duplicates
    assert n_unassigned + taken.n_unassigned == expected.n_unassigned
    assert expected.n_fixes + expected.n_duplicates + expected.n_unassigned + expected.n_after == len(fixes)
    assert [from_json(to_json(alert)) for alert in expected.alerts] == expected.alerts


@settings(max_examples=15)
@given(SEED)
def test_fixes_of_the_future_wait(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rules, fixes = conditions(), world(rng, 60)
    monitor = Monitor(rules)
    times = np.quantile(fixes.time_us, [0.3, 0.6, 1.0]).astype(np.int64).tolist()
    monitor.take(fixes, times[0])
    for as_of_us in times:
        taken = monitor.take(Fixes.empty(), as_of_us)
        assert taken.n_ahead == np.count_nonzero(fixes.time_us > as_of_us)
        assert text(present(monitor, as_of_us)) == text(replay(fixes, rules, as_of_us).alerts)


@settings(max_examples=15)
@given(SEED, st.booleans())
def test_the_ledger_may_be_asked_for_an_earlier_instant_again(seed: int, activated: bool) -> None:
    """Silence that spoke, windows that ended: what was answered for later does not leak into what holds earlier."""
    rng = np.random.default_rng(seed)
    rules, fixes = conditions(activated), world(rng, 50)
    newest = int(fixes.time_us.max())
    monitor = Monitor(rules)
    monitor.take(fixes, newest)
    for as_of_us in (newest + 9 * HOUR_US, newest + 50 * MINUTE_US, newest, newest + 3 * HOUR_US):
        assert text(present(monitor, as_of_us)) == text(replay(fixes, rules, as_of_us).alerts)


@settings(max_examples=10)
@given(SEED)
def test_the_number_of_threads_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rules, fixes = conditions(), world(rng, 60)
    as_of_us = int(fixes.time_us.max())
    one, two = replay(fixes, rules, as_of_us, processes=1), replay(fixes, rules, as_of_us, processes=2)
    assert text(one.alerts) == text(two.alerts)
    assert (one.n_fixes, one.n_duplicates, one.wearers) == (two.n_fixes, two.n_duplicates, two.wearers)


@settings(max_examples=30)
@given(SEED, st.integers(30, 120), st.booleans())
def test_nothing_changes_between_two_instants_that_the_monitor_names(seed: int, n: int, activated: bool) -> None:
    """Without new data the alerts may change, in what makes a version, only at the instants that are said to be due."""
    rng = np.random.default_rng(seed)
    rules, fixes = conditions(activated), world(rng, n)
    monitor, now_us = Monitor(rules), int(fixes.time_us.max())
    monitor.take(fixes, now_us)
    for wearer in monitor.trails:
        at_us = now_us
        for _ in range(40):
            alerts, due_us = monitor.alerts(wearer, at_us)
            assert due_us > at_us
            if due_us > now_us + 30 * HOUR_US:
                break
            for between in {at_us + 1, (at_us + due_us) // 2, due_us - 1}:
                if at_us < between < due_us:
                    then, _ = monitor.alerts(wearer, between)
                    assert [a.substance() for a in then] == [a.substance() for a in alerts]
            at_us = due_us


# --- histories


def check_history(versions: list[Version]) -> dict[str, Alert]:
    """Walk through a history; returns what stands at its end by identifier. Asserts the laws of identifiers on the way."""
    standing: dict[str, Alert] = {}
    number: dict[str, int] = {}
    families: dict[str, tuple[str, ...]] = {}
    for step in versions:
        key = (step.alert.wearer, *step.alert.family)
        assert families.setdefault(step.id, key) == key
        assert step.version == number.get(step.id, 0) + 1
        number[step.id] = step.version
        if step.version == 1:
            assert step.reason == "raised"
        else:
            assert step.id in standing, "a retracted alert never comes back under its identifier"
        if step.reason.startswith("joined into "):
            assert step.reason.removeprefix("joined into ") in standing
        if step.retracted:
            assert step.reason.startswith(("joined into ", "retracted: "))
            del standing[step.id]
        else:
            standing[step.id] = step.alert
    return standing


@settings(max_examples=40)
@given(SEED, st.integers(5, 90), st.booleans())
@example(124168, 5, False)  # the last fix is dated half a second ahead of its arrival
def test_a_history_ends_in_the_ledger_of_a_replay(seed: int, n: int, activated: bool) -> None:
    rng = np.random.default_rng(seed)
    rules, fixes = conditions(activated), world(rng, n)
    as_of_us = int(fixes.time_us.max() + rng.choice([0, 30 * MINUTE_US, 9 * HOUR_US]))
    standing = check_history(list(history(fixes, rules, as_of_us)))
    expected = replay(fixes, rules, as_of_us).alerts
    # A fix that only prolongs an alert makes no version: compare what does.
    ours = sorted(standing.values(), key=lambda a: a.sort_key)
    assert [a.substance() for a in ours] == [a.substance() for a in expected]
    active = [(a.wearer, a.rule, a.subject) for a in expected if a.active]
    assert len(active) == len(set(active))


@settings(max_examples=25)
@given(SEED, st.integers(5, 80))
def test_a_ledger_that_is_applied_anyhow_holds_the_content(seed: int, n: int) -> None:
    """Whatever the steps, the content after the last is that of a replay, and applying it again makes no version."""
    rng = np.random.default_rng(seed)
    rules, fixes = conditions(), world(rng, n)
    as_of_us = int(fixes.time_us.max())
    monitor, ledger = Monitor(rules), Ledger()
    versions: list[Version] = []
    for batch in cut(rng, fixes.take(rng.permutation(len(fixes))), 8):
        for wearer in monitor.take(batch, as_of_us).wearers:
            versions += ledger.apply(wearer, monitor.alerts(wearer, as_of_us)[0], as_of_us)
    assert text(ledger.content()) == text(replay(fixes, rules, as_of_us).alerts)
    standing = check_history(versions)
    assert {e.id: e.alert.substance() for e in ledger.entries()} == {i: a.substance() for i, a in standing.items()}
    for wearer in monitor.trails:
        assert ledger.apply(wearer, monitor.alerts(wearer, as_of_us)[0], as_of_us) == []
