"""The laws of device findings: a memory of the past and the rest give what the whole gives; arrival order says nothing.

Small random lives of one tag with everything that the rules know: backlog, silence, gaps in the fixes, falling batteries,
charging, power, motion, jamming, faults, tampers, flags, wrong clocks, ended activations. Compared as JSON, byte for byte.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.alert import Alert, to_json
from alerts.device_rules import device_alerts, follows, may_move, remember, unsettled
from alerts.device_scene import DeviceScene, Rows
from engine import flags
from engine.activations import FOREVER_US, Activation
from engine.events import EVENT_KINDS, DeviceEvent
from engine.fixes import ABSENT
from engine.times import HOUR_US, MINUTE_US, SECOND_US, parse_time

T0_US = 1_774_720_800_000_000
SEED = st.integers(0, 2**32)
BEGINNING_US = -(2**62)


class Life(NamedTuple):
    """All that one tag sent on one wearer."""

    rows: Rows
    events: tuple[DeviceEvent, ...]
    worn: Activation


def life(rng: np.random.Generator, n: int, n_events: int) -> Life:
    steps_s = rng.choice([0, 1, 60, 300, 961, 1500, 5000], n, p=[0.06, 0.1, 0.54, 0.1, 0.08, 0.06, 0.06])
    time_s = T0_US // SECOND_US + np.cumsum(steps_s)
    uploads = rng.choice([-400, -2, 0, 5, 700, 4000, 30_000], n, p=[0.04, 0.05, 0.31, 0.2, 0.2, 0.1, 0.1])
    received_s = time_s + uploads
    received_s -= rng.choice([0, 20_000], n, p=[0.97, 0.03])  # a clock that was hours ahead
    bits = rng.choice([0, flags.IMPLAUSIBLE, flags.SET_ASIDE, flags.CONTRADICTORY], n, p=[0.85, 0.08, 0.04, 0.03])
    bits[time_s - received_s > 300] |= flags.CLOCK_WRONG
    battery = np.clip(
        rng.choice([30, 14, 6]) + np.cumsum(rng.choice([-4, -1, 0, 1, 12], n, p=[0.1, 0.4, 0.3, 0.15, 0.05])), 0, 100
    )
    battery = np.where(rng.random(n) < 0.1, ABSENT, battery)
    rows = Rows(
        (time_s * SECOND_US).astype(np.int64), received_s.astype(np.int64), bits.astype(np.uint8),
        rng.integers(530_000_000, 530_100_000, n).astype(np.int32), np.full(n, -10_000_000, np.int32),
        rng.choice([ABSENT, 500], n).astype(np.int32), rng.choice([1, 1, 1, 0, 5], n).astype(np.int32),
        rng.choice([ABSENT, 12, 11, 5, 3], n).astype(np.int32), battery.astype(np.int32),
    )  # fmt: skip
    last_s = int(time_s[-1]) if n else T0_US // SECOND_US
    events = []
    for _ in range(n_events):
        kind = str(rng.choice(EVENT_KINDS))
        at_s = int(rng.choice(time_s)) if n and rng.random() < 0.3 else int(rng.integers(T0_US // SECOND_US, last_s + 9000))
        value = str(rng.choice([0, 5, 9.5, 10, 20, 21, 60])) if kind == "battery" else str(rng.choice(["", "E1", "E2"]))
        events.append(DeviceEvent("T1", at_s * SECOND_US, kind, value, at_s + int(rng.choice([-500, 0, 3, 600, 20_000]))))
    events = {(e.time_us, e.kind, e.value): e for e in events}.values()
    start = int(rng.choice([T0_US - 2 * HOUR_US, T0_US - MINUTE_US, BEGINNING_US]))
    end = int(rng.choice([FOREVER_US, (last_s + 3600) * SECOND_US]))
    return Life(rows, ordered(events), Activation("T1", "ann", start, end, upload_interval_s=int(rng.choice([60, 600]))))


def ordered(events: Any) -> tuple[DeviceEvent, ...]:
    return tuple(sorted(events, key=lambda e: (e.time_us, e.kind, e.value)))


def text(alerts: list[Alert]) -> bytes:
    return b"\n".join(to_json(alert) for alert in alerts)


def cut(of: Life, from_us: int, to_us: int) -> tuple[Rows, tuple[DeviceEvent, ...]]:
    """The rows and events in [from, to)."""
    low, high = np.searchsorted(of.rows.time_us, (from_us, to_us)).tolist()
    return of.rows.part(low, high), tuple(e for e in of.events if from_us <= e.time_us < to_us)


def newest_us(of: Life) -> int:
    instants = [int(t) for t in of.rows.time_us] + [int(r) * SECOND_US for r in of.rows.received_s]
    return max([T0_US, *instants, *(e.time_us for e in of.events), *(e.received_s * SECOND_US for e in of.events)])


@settings(max_examples=300)
@given(SEED, st.integers(0, 60), st.integers(0, 14), st.integers(1, 4))
def test_a_memory_of_any_prefix_and_the_rest_give_what_the_whole_gives(
    seed: int, n: int, n_events: int, n_cuts: int
) -> None:
    rng = np.random.default_rng(seed)
    of = life(rng, n, n_events)
    end_us = newest_us(of)
    as_of_us = end_us + int(rng.choice([0, 1, 20 * MINUTE_US, 40 * MINUTE_US, 9 * HOUR_US]))
    cuts = sorted(int(c) for c in rng.integers(T0_US - SECOND_US, end_us + 2 * SECOND_US, n_cuts))
    edges = [BEGINNING_US, *cuts, 2**62]
    memory, since_us = None, BEGINNING_US
    for k, (low, high) in enumerate(pairwise(edges)):
        rows, events = cut(of, low, high)
        if not follows(since_us, of.rows.part(len(of.rows.time_us) - len(cut(of, low, 2**62)[0].time_us), n)):
            return
        if k == n_cuts:
            due: list[int] = []
            scene = DeviceScene("ann", of.worn, rows, events, as_of_us, since_us, memory)
            whole = DeviceScene("ann", of.worn, of.rows, of.events, as_of_us, since_us)
            expected: list[int] = []
            assert text(device_alerts(scene, due)) == text(device_alerts(whole, expected))
            wanted = [d for d in expected if d > as_of_us]
            assert min(wanted, default=0) == min((d for d in due if d > as_of_us), default=0)
            return
        since_us = max(since_us, int(rng.choice([BEGINNING_US, high, high - HOUR_US, high - 5 * HOUR_US])))
        memory = remember(DeviceScene("ann", of.worn, rows, events, as_of_us, since_us, memory))


@settings(max_examples=60)
@given(SEED, st.integers(0, 50), st.integers(0, 14))
def test_what_is_dated_and_comes_later_says_nothing_of_now(seed: int, n: int, n_events: int) -> None:
    rng = np.random.default_rng(seed)
    of = life(rng, n, n_events)
    if of.worn.from_us == BEGINNING_US:
        return
    as_of_us = int(rng.integers(T0_US - HOUR_US, newest_us(of) + HOUR_US))
    by_now = (of.rows.time_us <= as_of_us) | (of.rows.received_s * SECOND_US <= as_of_us)
    rows = Rows(*(column[by_now] for column in of.rows))
    events = tuple(e for e in of.events if e.time_us <= as_of_us or e.received_s * SECOND_US <= as_of_us)
    whole, past = (
        DeviceScene("ann", of.worn, of.rows, of.events, as_of_us),
        DeviceScene("ann", of.worn, rows, events, as_of_us),
    )
    assert text(device_alerts(whole, [])) == text(device_alerts(past, []))
    assert all(parse_time(a.began) <= as_of_us for a in device_alerts(whole, []))


@settings(max_examples=50)
@given(SEED, st.integers(0, 40), st.integers(0, 14))
def test_nothing_changes_between_the_instants_that_are_due(seed: int, n: int, n_events: int) -> None:
    rng = np.random.default_rng(seed)
    of = life(rng, n, n_events)
    as_of_us = newest_us(of)

    def substance(at_us: int, due: list[int]) -> list[tuple[Any, ...]]:
        scene = DeviceScene("ann", of.worn, of.rows, of.events, at_us)
        return [(a.began, a.substance()) for a in device_alerts(scene, due)]

    for _ in range(8):
        due: list[int] = []
        now = substance(as_of_us, due)
        following = min((d for d in due if d > as_of_us), default=as_of_us + 10 * HOUR_US)
        for at_us in (as_of_us + 1, (as_of_us + following) // 2, following - 1):
            if as_of_us < at_us < following:
                assert substance(at_us, []) == now
        as_of_us = min(following, as_of_us + 20 * HOUR_US)


@settings(max_examples=60)
@given(SEED, st.integers(1, 25), st.integers(0, 8))
def test_a_fix_that_may_not_move_anything_does_not(seed: int, n: int, n_events: int) -> None:
    rng = np.random.default_rng(seed)
    of = life(rng, n, n_events)
    if of.worn.from_us == BEGINNING_US:
        return
    rows = of.rows
    received = np.maximum.accumulate(rows.received_s)  # the service stamps them one after the other
    wrong = rows.time_us > received * SECOND_US + 300_000_000
    bits = np.where(wrong, flags.CLOCK_WRONG, rows.flags & (255 - flags.CLOCK_WRONG)).astype(np.uint8)
    rows = rows._replace(received_s=received, flags=bits)
    events = tuple(e for e in of.events if e.received_s <= received[0])
    for k in range(1, len(rows.time_us)):
        at_us = max(int(received[k]) * SECOND_US, int(rows.time_us[: k + 1].max()), *(e.time_us for e in events), 0)
        before, after = (device_alerts(DeviceScene("ann", of.worn, rows.part(0, m), events, at_us), []) for m in (k, k + 1))
        heard_s = max(int(received[k - 1]), of.worn.from_us // SECOND_US, *(e.received_s for e in events), 0)
        one = rows.part(k, k + 1)
        moves = may_move(
            one.time_us, one.received_s, one.flags, one.battery_pct, np.array([rows.time_us[k - 1]]), np.array([heard_s]),
            np.array([of.worn.silence_us // SECOND_US]), np.array([unsettled(before)]),
        )  # fmt: skip
        if not moves[0]:
            assert [(a.began, a.substance()) for a in before] == [(a.began, a.substance()) for a in after]
