"""Laws of closeness: pure, free of order, mirrored, the same from a memory, without the compiler, and in plain Python."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import Geod
from scipy.special import chndtr

from alerts.alert import to_json
from alerts.proximity_rules import PairScene, proximity_alerts, remember_pairs
from engine import flags
from engine.error_model import TAILS
from engine.fixes import Fixes
from engine.times import MINUTE_US, SECOND_US
from engine.trail import Arranged, Trail, arrange
from geofence.check import FilterSettings
from geofence.filter import IN, OUT, UNKNOWN
from geofence.meetings import Memory, follow_pair
from geofence.proximity import read_proximities

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
HOME = Path(__file__).resolve().parents[2]
T0_US = 1_772_000_000_000_000
RADIUS_M = 200.0
RULE = read_proximities([{"id": "c", "wearer": "dan", "protected": "eve", "radius_m": RADIUS_M}])[0]
SETTING = FilterSettings()
WGS84 = Geod(ellps="WGS84")


def batch(rng: np.random.Generator, name: str, n: int, lon_e7: int = 0) -> Arranged:
    """A person who is at the other's, about, or far, for a while each: gaps, coarse fixes, wild ones, several at one instant."""
    seconds = np.cumsum(rng.choice([0, 15, 30, 60, 120, 240, 1000], n, p=[0.03, 0.1, 0.25, 0.45, 0.1, 0.05, 0.02]))
    level = np.repeat(rng.choice([0.0, 0.7, 1.0, 1.4, 6.0, 30.0], n // 8 + 1), 8)[:n] * RADIUS_M
    accuracy = rng.choice([0.0, 8.0, 30.0, 200.0, 3000.0], n, p=[0.05, 0.65, 0.2, 0.07, 0.03])
    metres = rng.normal(0, 1, (2, n)) * accuracy / 2.5
    wild = rng.random(n) < 0.03
    metres[1] += level + wild * rng.normal(0, 800, n)
    fixes = Fixes.of(
        (f"tag of {name}",), device=np.zeros(n), time_us=T0_US + (seconds * SECOND_US).astype(np.int64),
        lat_e7=np.round(530_000_000 + metres[0] * 89.86),
        lon_e7=np.round((lon_e7 + metres[1] * 149.0 + 1.8e9) % 3.6e9 - 1.8e9), accuracy_cm=np.round(accuracy * 100),
        source=np.ones(n), received_s=(T0_US + seconds * SECOND_US) // SECOND_US,
    )  # fmt: skip
    return arrange(fixes, np.zeros(n, np.int32), np.full(n, 0.95), np.full(n, 960 * SECOND_US))[0]


def trail(name: str, *pieces: Arranged) -> Trail:
    made = Trail(name)
    for piece in pieces:
        made.merge(piece.take(slice(0, len(piece))))
    return made


def world(seed: int, n: int = 120, lon_e7: int = -10_000_000) -> tuple[Trail, Trail]:
    rng = np.random.default_rng(seed)
    ours, theirs = (trail(name, batch(rng, name, n, lon_e7)) for name in ("dan", "eve"))
    for each in (ours, theirs):
        bits = each.column("flags")
        bits[rng.random(len(each)) < 0.03] |= flags.IMPLAUSIBLE
    return ours, theirs


def ledger(ours: Trail, theirs: Trail, as_of_us: int, **more: Any) -> list[bytes]:
    devices = (f"tag of {ours.wearer}",)
    return [to_json(a) for a in proximity_alerts([PairScene(RULE, ours, theirs, devices, SETTING, as_of_us, **more)], [])]


def end_us(*trails: Trail) -> int:
    return max(int(t.column("time_us")[-1]) for t in trails)


# --- plain Python -----------------------------------------------------------------------------------------------------------


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def instants(each: Trail) -> list[tuple[int, float, float, float, int, int]]:
    """(time, lat, lon, sigma, model, silence) of the best fix with weight of each instant."""
    best: dict[int, tuple[int, float, float, float, int, int]] = {}
    names = ("time_us", "lat_e7", "lon_e7", "sigma_m", "model", "silence_us", "flags")
    for t, lat, lon, sigma, model, silence, bits in zip(*(each.column(n).tolist() for n in names), strict=True):
        if not bits & flags.WEIGHTLESS and (t not in best or sigma < best[t][3]):
            best[t] = (t, lat, lon, sigma, model, silence)
    return [best[t] for t in sorted(best)]


def apart(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    return float(WGS84.inv(lon1 / 1e7, lat1 / 1e7, lon2 / 1e7, lat2 / 1e7)[2])


def mps(side: list[Any], k: int, stale: int) -> tuple[float, int]:
    """How fast a side seems to move after its k-th instant, and how long the way there took (0: it leads from nowhere)."""
    dt = side[k][0] - side[k - 1][0] if k else 0
    if not 0 < dt <= stale:
        return 3.0, 0
    return min(40.0, math.hypot(0.5, apart(*side[k - 1][1:3], *side[k][1:3]) / (dt * 1e-6) / math.sqrt(2))), dt


def compared(new: list[Any], n: int, old: list[Any], o: int, stale: int) -> tuple[float, float, float, float, int]:
    """Evidence, sigma of the errors, of the movement, its time [s], and how many fixes back the new side's is (0 or 1)."""
    (t, lat, lon, sigma, model, _), (then, lat2, lon2, sigma2, model2, _) = new[n], old[o]
    age, back = (t - then) * 1e-6, 0
    moved, way = mps(old, o, stale)[0] * age, age
    speed, span = mps(new, n, stale)
    if 0 < age <= span * 1e-6:
        g = 1 - age / (span * 1e-6)
        _, lat0, lon0, sigma0, model0, _ = new[n - 1]
        on_way, strays = (1 - g) * sigma0 + g * sigma, speed * age * g
        if math.hypot(on_way, strays) < math.hypot(sigma, moved):
            dlon = (lon - lon0 + 1.8e9) % 3.6e9 - 1.8e9
            lat, lon, sigma, moved, way = (
                lat0 + math.floor(g * (lat - lat0) + 0.5),
                lon0 + math.floor(g * dlon + 0.5),
                on_way,
                strays,
                span * 1e-6,
            )
            model, back = (model0, 1) if g < 0.5 else (model, 0)
    p = most = 0.0
    distance = apart(lat, lon, lat2, lon2)
    for w1, k1 in ((1 - TAILS[model, 0], 1.0), tuple(TAILS[model])):
        for w2, k2 in ((1 - TAILS[model2, 0], 1.0), tuple(TAILS[model2])):
            variance = (k1 * sigma) ** 2 + (k2 * sigma2) ** 2 + moved**2
            p += w1 * w2 * float(chndtr(RADIUS_M**2 / variance, 2, distance**2 / variance))
            most += w1 * w2 * -math.expm1(-(RADIUS_M**2) / 2 / variance)
    odds = max(p, 1e-12) / max(1 - p, 1e-12)
    says = math.log(odds) if p >= 0.5 else min(0.0, math.log(odds / most))
    clear = logit(1 - 0.0011)
    return max(-clear, min(clear, says)), math.hypot(sigma, sigma2), moved, way, back


def plain_turns(ours: Trail, theirs: Trail) -> tuple[list[tuple[int, int, int]], float]:
    """(state, since, decided) by the words of docs/method.md; all fixes are stale after three minutes. And how near any number
    came to where it would have decided otherwise."""
    stale, base, sides = 3 * MINUTE_US, SETTING.base_exclusion, (instants(ours), instants(theirs))
    turns: list[tuple[int, int, int]] = []
    at, margin = [-1, -1], 1.0  # the newest of each side
    state, value, sign, since, said, last, silence = UNKNOWN, logit(base), 0, 0, 0.0, 0, 0
    seen: list[set[int]] = [set(), set()]
    times = [{row[0]: k for k, row in enumerate(side)} for side in sides]
    for t in sorted(times[0].keys() | times[1].keys()):
        came = [t in times[k] for k in (0, 1)]
        newest = [sides[k][at[k]][0] if at[k] >= 0 else None for k in (0, 1)]
        if any(came[k] and newest[k] is not None and t - newest[k] > stale for k in (0, 1)):
            if state != UNKNOWN:
                turns.append((UNKNOWN, min(n for n in newest if n is not None) + stale, 0))
            state, value, sign = UNKNOWN, logit(base), 0
        at = [times[k][t] if came[k] else at[k] for k in (0, 1)]
        if min(at) < 0 or any(t - sides[k][at[k]][0] > stale for k in (0, 1)):
            continue
        new = 0 if came[0] else 1
        says, sigma, moved, way, back = compared(sides[new], at[new], sides[1 - new], at[1 - new], stale)
        margin = min(margin, abs(abs(says) - 0.1))
        if abs(says) < 0.1:
            continue
        if sign and t - last > silence:
            if state != UNKNOWN:
                turns.append((UNKNOWN, last + silence, 0))
            state, value, sign = UNKNOWN, logit(base), 0
        dt = (t - last) * 1e-6
        if sign:
            p = 1 / (1 + math.exp(-value))
            value = logit(base + (p - base) * math.exp(-dt / SETTING.relax_s))
        if sign != (1 if says > 0 else -1):
            sign, since, said, news, seen = (1 if says > 0 else -1), t, 0.0, 1.0, [set(), set()]
        else:
            lasting = sigma**2 / (sigma**2 + moved**2)
            news = lasting * -math.expm1(-dt / (SETTING.correlation_s * max(1.0, sigma / 20)))
            news += (1 - lasting) * -math.expm1(-dt / way) if moved else 0.0
        value = min(3.9, max(-3.9, value + news * says + (1 - news) * sign * max(0.0, abs(says) - said)))
        said, last, silence = max(said, abs(says)), t, min(sides[k][at[k]][5] for k in (0, 1))
        margin = min(margin, abs(abs(value) - logit(0.95)))
        seen[new].add(at[new] - back)
        seen[1 - new].add(at[1 - new])
        decided = IN if value >= logit(0.95) else OUT if value <= logit(0.05) else UNKNOWN
        if len(seen[0]) > 1 and len(seen[1]) > 1 and decided == (IN if sign > 0 else OUT) and decided != state:
            state = decided
            turns.append((state, since, t))
    newest = [side[-1] for side in sides]
    end = max(t for t, *_ in newest)  # as of the last fix: has silence spoken by then?
    spoken = [min(row[0] for row in newest) + stale] if end > min(row[0] + row[5] for row in newest) else []
    spoken += [last + silence] if sign and end > last + silence else []
    return [*turns, (UNKNOWN, min(spoken), 0)] if spoken and state != UNKNOWN else turns, margin


def near_of(turns: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    ends = [*(turn[1] for turn in turns[1:]), 2**62]
    return [(since, end, t) for (state, since, t), end in zip(turns, ends, strict=False) if state == IN]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([-10_000_000, 1_799_999_000]))
def test_meetings_are_those_of_plain_python(seed: int, lon_e7: int) -> None:
    ours, theirs = world(seed, 100, lon_e7)
    as_of_us = max(side[-1][0] for side in (instants(ours), instants(theirs)))
    followed = follow_pair(RULE, ours, theirs, SETTING, (), as_of_us)
    ours_found = [(n.start_us, n.end_us, n.decided_us) for m in followed.meetings for n in m.near]
    turns, margin = plain_turns(ours, theirs)
    assume(margin > 1e-3)
    assert ours_found == near_of(turns)


def test_the_worlds_of_these_tests_have_meetings() -> None:
    worlds = [world(seed) for seed in range(40)]
    found = [ledger(*each, end_us(*each)) for each in worlds]
    assert sum(map(len, found)) > 30
    assert any(b'"unknown_since":"' in alert for alerts in found for alert in alerts)


# --- laws -------------------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 119), max_size=4), st.integers(0, 2**32 - 1))
def test_the_order_of_arrival_of_either_side_makes_no_difference(seed: int, cuts: list[int], order: int) -> None:
    rng = np.random.default_rng(seed)
    whole = [batch(rng, name, 120) for name in ("dan", "eve")]
    as_of_us = max(int(b.fixes.time_us[-1]) for b in whole)
    straight = ledger(trail("dan", whole[0]), trail("eve", whole[1]), as_of_us)
    shuffle, late = np.random.default_rng(order), []
    for name, rows in zip(("dan", "eve"), whole, strict=True):
        pieces = [rows.take(k) for k in np.split(np.arange(len(rows)), sorted(c for c in cuts if c < len(rows)))]
        late.append(trail(name, *(pieces[k] for k in shuffle.permutation(len(pieces)) if len(pieces[k]))))
    assert ledger(late[0], late[1], as_of_us) == straight


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_fixes_after_the_instant_change_nothing(seed: int, share: float) -> None:
    ours, theirs = world(seed)
    as_of_us = T0_US + round(share * (end_us(ours, theirs) - T0_US))
    until = [each.column("time_us") <= as_of_us for each in (ours, theirs)]
    assert ledger(_kept(ours, until[0]), _kept(theirs, until[1]), as_of_us) == ledger(ours, theirs, as_of_us)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_mirrored_pair_meets_at_the_same_times_and_distances(seed: int) -> None:
    ours, theirs = world(seed)
    one, two = (follow_pair(RULE, *pair, SETTING, (), end_us(ours, theirs)) for pair in ((ours, theirs), (theirs, ours)))
    assert np.array_equal(one.compared["time_us"], two.compared["time_us"])
    for name in ("p", "apart_m"):
        assert np.allclose(one.compared[name], two.compared[name], rtol=1e-12, atol=1e-9)
    plain = [
        [n._replace(posterior=0.0, prior=0.0, apart_m=0.0, age_us=0) for m in f.meetings for n in m.near]
        for f in (one, two)
    ]
    assert plain[0] == plain[1]


@settings(max_examples=80)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1))
def test_from_a_memory_all_that_ended_later_comes_out_the_same(seed: int, first: float, second: float) -> None:
    ours, theirs = world(seed, 160)
    as_of_us = end_us(ours, theirs)
    memory: Memory | None = None
    whole = PairScene(RULE, ours, theirs, ("tag of dan",), SETTING, as_of_us)
    for share in sorted((first, second)):
        since_us = T0_US + round(share * (as_of_us - T0_US))
        (memory,) = remember_pairs([whole._replace(since_us=since_us, memory=memory)])
        assert memory.until_us <= since_us
        kept = [_kept(each, each.column("time_us") >= memory.until_us) for each in (ours, theirs)]
        assert ledger(kept[0], kept[1], as_of_us, since_us=since_us, memory=memory) == ledger(
            ours, theirs, as_of_us, since_us=since_us
        )


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1))
def test_the_versions_of_a_condition_have_one_memory(seed: int, change: float, share: float) -> None:
    ours, theirs = world(seed, 160)
    as_of_us = end_us(ours, theirs)
    change_us, since_us = (T0_US + round(s * (as_of_us - T0_US)) for s in (change, share))
    versions = [
        RULE._replace(holds=(-(2**62), change_us)),
        RULE._replace(radius_m=320.0, holds=(change_us, 2**62), version="2"),
    ]
    scenes = [PairScene(v, ours, theirs, ("tag of dan",), SETTING, as_of_us, since_us=since_us) for v in versions]
    memories = remember_pairs(scenes)
    until_us = memories[0].until_us
    ours, theirs = (_kept(each, each.column("time_us") >= until_us) for each in (ours, theirs))
    short = [s._replace(trail=ours, protected=theirs, memory=m) for s, m in zip(scenes, memories, strict=True)]
    assert [to_json(a) for a in proximity_alerts(short, [])] == [to_json(a) for a in proximity_alerts(scenes, [])]


def _kept(each: Trail, rows: np.ndarray) -> Trail:
    """The trail with some of its rows only, their flags as they were."""
    made = Trail(each.wearer)
    made.n = int(np.count_nonzero(rows))
    made._blocks = [block[:, : each.n][:, rows].copy() for block in each._own_blocks(each.n)]
    return made


SCENE = """
import warnings
import numpy as np
warnings.simplefilter("ignore", RuntimeWarning)  # the hash overflows on purpose
from tests.property.test_proximity_laws import RULE, SETTING, end_us, follow_pair, ledger, world
for seed in range(6):
    pair = world(seed, 40, 1_799_999_000 if seed % 2 else -10_000_000)
    for alert in ledger(*pair, end_us(*pair)):
        print(alert.decode())
    done = follow_pair(RULE, *pair, SETTING, (), end_us(*pair))
    print([float(x).hex() for name in ("p", "says", "apart_m") for x in done.compared[name]])
    print([n.posterior.hex() for m in done.meetings for n in m.near])
"""


def test_with_and_without_the_compiler_the_bits_are_the_same() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", SCENE], cwd=HOME, env=os.environ | {"NUMBA_DISABLE_JIT": off}, capture_output=True,
            text=True, check=True, timeout=300,
        ).stdout
        for off in ("0", "1")
    ]  # fmt: skip
    assert said[0].count("zone.proximity") > 3
    assert said[0] == said[1]
