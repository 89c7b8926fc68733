"""Kernels of the filter of a pair: near, far or unknown over the trails of two people, merged in event time. Arrays only.

At each instant of either side's fixes the two are compared once, and the log odds go into the same forward filter as those of
a place. A position that is stale says nothing: neither near nor far.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel, kernel_part
from engine.kernels import distance_m
from geofence.closeness import MOST_MPS, STILL_MPS, STRANGE_MPS, compare, news_of
from geofence.evidence import LEAST_EVIDENCE
from geofence.filter import IN, OUT, UNKNOWN, gained, relaxed

NEVER_US = -(2**62)

PAIR = np.dtype((np.record,
    [("logit", "f8"), ("prior", "f8"), ("evidence", "f8"), ("last_us", "i8"), ("last_silence_us", "i8"), ("run_sign", "i8"),
     ("run_start_us", "i8"), ("seen_one", "i8"), ("n_one", "i8"), ("seen_two", "i8"), ("n_two", "i8"),
     ("last_in_us", "i8"), ("last_out_us", "i8"), ("state", "i8")]
))  # fmt: skip
"""The filter's state of a pair. In a run, `n_one` and `n_two` count each side's different fixes, `seen` is the newest one's
number; NEVER_US where nothing came yet."""

TURN_OF_STATE = np.dtype((np.record,
    [("state", "i8"), ("start_us", "i8"), ("decided_us", "i8"), ("after_us", "i8"), ("posterior", "f8"), ("prior", "f8"),
     ("apart_m", "f8"), ("age_us", "i8")]
))  # fmt: skip
"""A change of state: since when, decided when, the last contrary comparison before (or NEVER_US), P(near) there, log odds
before the run, the distance compared, and how old the protected person's newest position was."""


class Walk(NamedTuple):
    """One side's trail (n,) in event-time order: as `geofence.filter.Columns`, and the age from which on a fix is stale."""

    time_us: NDArray[np.int64]
    lat_e7: NDArray[np.int32]
    lon_e7: NDArray[np.int32]
    sigma_m: NDArray[np.float64]
    model: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    silence_us: NDArray[np.int64]
    stale_us: NDArray[np.int64]


class PairRules(NamedTuple):
    """Constants of a run: radius [m], thresholds in log odds, base rate, time constants [s], flags that take weight, TAILS."""

    radius_m: float
    raise_logit: float
    clear_logit: float
    base: float
    relax_s: float
    correlation_s: float
    weightless: int
    tails: NDArray[np.float64]


@kernel
def follow(wearer: Any, protected: Any, rules: Any, sides: Any, pair: Any, turns: Any, compared: Any) -> tuple[int, int]:
    """The filter over two walks, merged in event time; what happens at one instant is one comparison.

    sides (2,) SIDE and pair (1,) PAIR are read and left as after the last fix. `turns` (TURN_OF_STATE) needs room for two an
    instant, `compared` (COMPARED) for one; returns how many of each were written.
    """
    n_turns = n_compared = i = j = 0
    one, two, s = sides[0], sides[1], pair[0]
    while True:
        i, j = _weighty(wearer, i, rules.weightless), _weighty(protected, j, rules.weightless)
        if i == len(wearer.flags) and j == len(protected.flags):
            return n_turns, n_compared
        t = _instant(wearer, i, protected, j)
        ours = i < len(wearer.flags) and wearer.time_us[i] == t
        theirs = j < len(protected.flags) and protected.time_us[j] == t
        if (ours and is_stale(one, t)) or (theirs and is_stale(two, t)):
            n_turns = _lose(s, min(one.time_us + one.stale_us, two.time_us + two.stale_us), rules, turns, n_turns)
        row = -1
        if ours:
            row, i = _take(one, wearer, i, rules.weightless)
        if theirs:
            _, j = _take(two, protected, j, rules.weightless)
        if one.number > 0 and two.number > 0 and not is_stale(one, t) and not is_stale(two, t):
            said = compared[n_compared]
            n_compared += 1
            said.row = row
            n_turns = _feed(s, said, t, one, two, rules, turns, n_turns)


@kernel_part
def _weighty(walk: Any, row: int, weightless: int) -> int:
    """The first row from this one on that carries weight."""
    while row < len(walk.flags) and walk.flags[row] & weightless:
        row += 1
    return row


@kernel_part
def _instant(wearer: Any, i: int, protected: Any, j: int) -> Any:
    """The time of the next fix of either."""
    if i == len(wearer.flags):
        return np.int64(protected.time_us[j])
    if j == len(protected.flags):
        return np.int64(wearer.time_us[i])
    return min(np.int64(wearer.time_us[i]), np.int64(protected.time_us[j]))


@kernel
def is_stale(side: Any, time_us: int) -> bool:
    """Whether a side's newest fix is too old at this instant; not where there is none."""
    late: bool = side.number > 0 and time_us - side.time_us > side.stale_us
    return late


@kernel_part
def _take(side: Any, walk: Any, row: int, weightless: int) -> tuple[int, int]:
    """Take a side's fixes of one instant: the most accurate that carries weight. Returns its row, and the row after them."""
    t, best = walk.time_us[row], row
    while row < len(walk.flags) and walk.time_us[row] == t:
        if walk.flags[row] & weightless == 0 and walk.sigma_m[row] < walk.sigma_m[best]:
            best = row
        row += 1
    lat, lon, span_us = np.int64(walk.lat_e7[best]), np.int64(walk.lon_e7[best]), t - side.time_us
    side.before_lat, side.before_lon, side.before_sigma_m, side.before_model = side.lat, side.lon, side.sigma_m, side.model
    if side.number > 0 and span_us <= side.stale_us:
        across_mps = distance_m(side.lat, side.lon, lat, lon) / (span_us * 1e-6)
        side.span_us = span_us
        side.mps = min(MOST_MPS, math.sqrt(STILL_MPS * STILL_MPS + 0.5 * across_mps * across_mps))
    else:
        side.span_us, side.mps = 0, STRANGE_MPS
    side.time_us, side.lat, side.lon, side.sigma_m, side.model = t, lat, lon, walk.sigma_m[best], walk.model[best]
    side.silence_us, side.stale_us = walk.silence_us[best], walk.stale_us[best]
    side.number += 1
    return best, row


@kernel_part
def _feed(s: Any, said: Any, t: int, one: Any, two: Any, rules: Any, turns: Any, n_turns: int) -> int:
    """Compare the sides at an instant and feed what that says to the filter; returns how many turns there are now."""
    if one.time_us == t:
        mine, other = compare(said, one, two, rules)
    else:
        other, mine = compare(said, two, one, rules)
    said.time_us = t
    if abs(said.says) < LEAST_EVIDENCE:
        return n_turns
    dt_us = t - s.last_us
    if s.last_us != NEVER_US and dt_us > s.last_silence_us:  # nothing told for too long
        n_turns = _lose(s, s.last_us + s.last_silence_us, rules, turns, n_turns)
    elif s.run_sign != 0:
        s.logit = relaxed(s.logit, rules.base, dt_us * 1e-6, rules.relax_s)
    sign = 1 if said.says > 0.0 else -1
    if sign == s.run_sign:
        s.logit = gained(s.logit, said.says, news_of(said, dt_us * 1e-6, rules.correlation_s), s.evidence)
        s.evidence = max(s.evidence, abs(said.says))
        s.n_one += 1 if mine > s.seen_one else 0
        s.n_two += 1 if other > s.seen_two else 0
    else:
        s.run_sign, s.run_start_us, s.prior, s.evidence = sign, t, s.logit, abs(said.says)
        s.logit = gained(s.logit, said.says, 1.0, 0.0)
        s.n_one = s.n_two = 1
        s.seen_one = s.seen_two = 0
    s.seen_one, s.seen_two = max(mine, s.seen_one), max(other, s.seen_two)
    s.last_us, s.last_silence_us = t, min(one.silence_us, two.silence_us)
    return _decide(s, said, t - two.time_us, rules, turns, n_turns)


@kernel_part
def _lose(s: Any, since_us: int, rules: Any, turns: Any, n_turns: int) -> int:
    """From this instant on nobody can say: the filter starts anew."""
    if s.state != UNKNOWN:
        turn = turns[n_turns]
        turn.state, turn.start_us, turn.decided_us, turn.after_us = UNKNOWN, since_us, since_us, NEVER_US
        turn.posterior, turn.prior, turn.apart_m, turn.age_us = rules.base, s.prior, 0.0, 0
        n_turns += 1
    s.state, s.run_sign, s.logit = UNKNOWN, 0, math.log(rules.base / (1.0 - rules.base))
    s.last_us = NEVER_US
    return n_turns


@kernel_part
def _decide(s: Any, said: Any, age_us: int, rules: Any, turns: Any, n_turns: int) -> int:
    """Decide where the posterior is clear and two fixes of either side, at least, carry the run."""
    two_each = s.n_one >= 2 and s.n_two >= 2
    near = s.run_sign > 0
    state = IN if near else OUT
    sure = s.logit >= rules.raise_logit if near else s.logit <= rules.clear_logit
    if two_each and sure and s.state != state:
        s.state = state
        turn = turns[n_turns]
        turn.state, turn.start_us, turn.decided_us = state, s.run_start_us, said.time_us
        turn.after_us = s.last_out_us if near else s.last_in_us
        turn.posterior, turn.prior, turn.apart_m, turn.age_us = (
            1.0 / (1.0 + math.exp(-s.logit)),
            s.prior,
            said.apart_m,
            age_us,
        )
        n_turns += 1
    if near:
        s.last_in_us = said.time_us
    else:
        s.last_out_us = said.time_us
    return n_turns
