"""Laws of retention: spans as sets of minutes; and alerts at a horizon, which are neither retracted nor doubled by what is gone."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.horizon import Horizon, across
from alerts.ledger import Ledger, Version
from engine.fixes import Fixes
from engine.times import DAY_US, HOUR_US, parse_time
from tagwatch.monitor import Monitor
from tagwatch.replay import replay
from tagwatch.retention.places import steps
from tagwatch.retention.spans import DeviceSpan, clipped, common, merged, without
from tagwatch.retention.terms import KEPT, Term, read_term
from tests.property.test_ledger_law import SEED, T0_US, conditions, world

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8)


def minutes(spans: Any) -> set[int]:
    return {m for start, end in spans for m in range(start, end)}


@given(SPANS, SPANS)
def test_spans_are_sets_of_minutes(one: list[tuple[int, int]], two: list[tuple[int, int]]) -> None:
    assert minutes(merged(one)) == minutes(one)
    assert minutes(without(one, two)) == minutes(one) - minutes(two)
    assert minutes(common(one, two)) == minutes(one) & minutes(two)
    for found in (merged(one), without(one, two), common(one, two)):
        assert all(a < b for a, b in found)
        assert all(a[1] <= b[0] for a, b in pairwise(found))


@given(SPANS, st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(0, 40)), max_size=8))
def test_device_spans_are_cut_to_spans(spans: list[tuple[int, int]], worn: list[tuple[str, int, int]]) -> None:
    rows = [DeviceSpan(*row) for row in worn]
    found = {(span.device, m) for span in clipped(rows, spans) for m in range(span.from_us, span.to_us)}
    assert found == {(d, m) for d, a, b in worn for m in range(a, b)} & {(d, m) for d in "ab" for m in minutes(spans)}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 90), st.integers(1, 90)), max_size=8), st.integers(0, 60))
def test_steps_cover_what_is_stored_a_day_at_a_time_and_no_more(worn: list[tuple[str, int, int]], first: int) -> None:
    hour = [DeviceSpan(d, T0_US + a * HOUR_US, T0_US + (a + n) * HOUR_US) for d, a, n in worn]
    first_us = dict.fromkeys("ab", T0_US + first * HOUR_US)  # of c nothing is stored
    wanted = {(s.device, h) for s in hour for h in range((s.from_us - T0_US) // HOUR_US, (s.to_us - T0_US) // HOUR_US)}
    found = set()
    for devices, from_us, to_us in steps(hour, first_us):
        assert from_us // DAY_US == (to_us - 1) // DAY_US
        assert len(devices) <= 64
        found |= {(d, h) for d in devices for h in range((from_us - T0_US) // HOUR_US, (to_us - T0_US) // HOUR_US)}
    assert found <= wanted
    assert {(d, h) for d, h in wanted if d != "c" and h >= first} <= found


@given(st.integers(0, 5000), st.booleans(), st.integers(0, 4_000 * DAY_US), st.integers(0, 4_000 * DAY_US) | st.none())
def test_terms_are_written_as_they_are_read(days: int, after_end: bool, now: int, ended: int | None) -> None:
    term, now_us = Term(days, after_end), T0_US + now
    ended_us = None if ended is None else T0_US + ended
    assert read_term(str(term)) == term
    assert read_term("kept") == KEPT
    cut_us = term.cut_us(now_us, ended_us)
    if not after_end:
        assert cut_us == now_us - days * DAY_US
    else:
        assert (cut_us == now_us) == (ended_us is not None and ended_us + days * DAY_US <= now_us)
    assert KEPT.cut_us(now_us, ended_us) is None


def until(fixes: Fixes, as_of_us: int) -> Fixes:
    return fixes.take(fixes.time_us <= as_of_us)


@settings(max_examples=25)
@given(SEED, st.integers(20, 160), st.booleans(), st.floats(0.2, 0.9), st.sampled_from([0, 1, 8]))
def test_what_is_gone_neither_retracts_nor_doubles(seed: int, n: int, activated: bool, at: float, warm_h: int) -> None:
    """A ledger as it stood, time closed, the fixes before it gone: the ledger goes on as if they were there."""
    rng = np.random.default_rng(seed)
    rules, fixes = conditions(activated), world(rng, n)
    newest_us = int(fixes.time_us.max())
    closed_us = T0_US + int(at * (newest_us - T0_US)) // 1000 * 1000
    reads_us = closed_us - warm_h * HOUR_US
    before_us = closed_us if not warm_h else int(rng.integers(closed_us, newest_us + 1))
    ledger = Ledger()
    stood = replay(until(fixes, before_us), rules, before_us).alerts
    for wearer in {a.wearer for a in stood}:
        ledger.apply(wearer, [a for a in stood if a.wearer == wearer], before_us)
    closed = {e.id: e.alert for e in ledger.entries() if parse_time(e.alert.began) < closed_us}
    monitor = Monitor(rules)
    versions: list[Version] = []
    for as_of_us in sorted({before_us, newest_us, *rng.integers(before_us, newest_us + 1, 3).tolist()}):
        part = until(fixes, as_of_us)
        monitor.take(part.take(part.time_us >= reads_us), as_of_us)
        for wearer in monitor.trails:
            horizon = Horizon(closed_us, reads_us, monitor.usable_span(wearer))
            found = across(monitor.alerts(wearer, as_of_us)[0], [e.alert for e in ledger.entries(wearer)], horizon)
            versions += ledger.apply(wearer, found, as_of_us)
            assert ledger.apply(wearer, across(monitor.alerts(wearer, as_of_us)[0], found, horizon), as_of_us) == []
    assert not [v for v in versions if v.retracted and v.id in closed]
    assert not [v for v in versions if v.version == 1 and parse_time(v.alert.began) < closed_us]
    left = {e.id: e.alert for e in ledger.entries()}
    for identifier, alert in closed.items():
        now = left[identifier]
        assert (now.began, now.family, now.fixes, now.device) == (alert.began, alert.family, alert.fixes, alert.device)
        if alert.ended is not None and parse_time(alert.ended) < closed_us:
            assert now == alert
    active = [(a.wearer, a.rule, a.subject) for a in left.values() if a.active]
    assert len(active) == len(set(active))
