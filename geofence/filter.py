"""Kernels of the forward filter: in, out or unknown over time for every (wearer, place). Arrays only.

A slot is one (wearer, place). Most fixes are clearly far from most places and say nothing new to a state that is sure of it:
`_pass_over` skips them by comparing boxes; the rest are looked at one by one. Skipping never changes an answer (tested).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel, kernel_part
from geofence.evidence import LEAST_EVIDENCE, MOST_EVIDENCE, place_evidence, side_beyond

UNKNOWN, IN, OUT, SINGLE = 0, 1, 2, 3
"""States; SINGLE is one fix deep inside that stayed the last word when silence began to speak."""

MOST_LOGIT = 3.9  # how sure the filter can become: it stays ready to change its mind
COARSE_M = 20.0  # sigma from which on errors last longer than the correlation time: the same mast, the same walls
BLOCK = 512
"""Rows worked on at once; a copy of a state is kept after every trail index that is a multiple of it."""
SPAN = 32
"""Rows of a block that are passed over together where their common box is clear."""

# numpy's record type: fields are attributes without the compiler too
FILTER_STATE = np.dtype((np.record,
    [("logit", "f8"), ("last_us", "i8"), ("last", "i8"), ("run_sign", "i8"), ("run_length", "i8"), ("run_start", "i8"),
     ("prior", "f8"), ("last_silence_us", "i8"), ("last_in", "i8"), ("last_out", "i8"), ("state", "i8"), ("evidence", "f8")]
))  # fmt: skip
"""What the filter remembers of one slot. `last` is the trail index of the last fix that said something (-1: none yet), a run
is a sequence of fixes that say the same (its length counts to 2), `prior` the log odds before the run, `evidence` the size of
what the clearest fix of the run said."""

CHANGE = np.dtype((np.record,
    [("slot", "i8"), ("state", "i8"), ("at", "i8"), ("began", "i8"), ("after", "i8"), ("posterior", "f8"), ("prior", "f8")]
))  # fmt: skip
"""A change of state: decided at fix `at`, of a run that began at `began`; `after` is the last contrary fix before (or -1)."""

KEPT = np.dtype((np.record, [("slot", "i8"), ("state", FILTER_STATE)]))
"""A copy of a slot's state, kept to go back to when a late fix comes."""


class Columns(NamedTuple):
    """What the filter takes of trails, each of shape (n,): time [us], position [1e-7 degree], sigma of the core [m], row of
    the error model, flags, and how long after the fix silence speaks [us]."""

    time_us: NDArray[np.int64]
    lat_e7: NDArray[np.int32]
    lon_e7: NDArray[np.int32]
    sigma_m: NDArray[np.float64]
    model: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    silence_us: NDArray[np.int64]


class Rules(NamedTuple):
    """Constants of a run: `FilterSettings` in log odds, the flags that take a fix's weight, `quiet_us` (see `Bounds`)."""

    raise_logit: float
    clear_logit: float
    relax_s: float
    correlation_s: float
    weightless: int
    quiet_us: int
    tails: NDArray[np.float64]
    reach: NDArray[np.float64]


class Slots(NamedTuple):
    """By slot (n_slots,): place, base rate, whether one deep fix that stays the last word is raised, what absence adds to the
    evidence (`geofence.evidence.absence_of`; 0 for exclusion), the share of a fix's reach from which on it is deep inside, and
    the largest sigma [m] of a clear fix that leaves a sure `out`, and a sure `in`, as sure as it was."""

    place: NDArray[np.int64]
    base: NDArray[np.float64]
    single: NDArray[np.uint8]
    absent: NDArray[np.float64]
    deep: NDArray[np.float64]
    quiet_out_m: NDArray[np.float64]
    quiet_in_m: NDArray[np.float64]


class Bounds(NamedTuple):
    """By place, so that a fix may be clear at a glance.

    outer (n, 4): a box that holds it [1e-7 degree: west, south, east, north]; inner (n, 5): a disc that lies in it, longitude,
    latitude [1e-7 degree], radius [m] (0: none), metres per 1e-7 degree along the parallel and the meridian; most_m (n,): the
    largest sigma of the tail [m] for which a fix beyond its reach of the outer box is clearly outside.
    """

    outer: NDArray[np.int32]
    inner: NDArray[np.float64]
    most_m: NDArray[np.float64]


@kernel
def relaxed(logit: float, base: float, dt_s: float, relax_s: float) -> float:
    """Log odds after dt without a fix: the probability goes back to the base rate exponentially."""
    p = 1.0 / (1.0 + math.exp(-logit))
    p = base + (p - base) * math.exp(-dt_s / relax_s)
    return math.log(p / (1.0 - p))


@kernel
def share_of_news(dt_s: float, sigma_m: float, correlation_s: float) -> float:
    """How much of a fix's evidence is new when the one before said the same: errors are alike over the correlation time, and
    the longer the coarser they are."""
    return -math.expm1(-dt_s / (correlation_s * max(1.0, sigma_m / COARSE_M)))


@kernel
def gained(logit: float, says: float, news: float, before: float) -> float:
    """Log odds after a fix of which the share `news` is new; the rest counts as far as it is clearer than the clearest of the
    run before it, whose evidence has the size `before`."""
    beyond = max(0.0, abs(says) - before)
    gain = news * says + (1.0 - news) * (beyond if says > 0.0 else -beyond)
    return min(MOST_LOGIT, max(-MOST_LOGIT, logit + gain))


@kernel
def advance(
    pieces: Any, start: Any, roster: Any, states: Any, slots: Any, changes: Any, kept: Any,
    columns: Any, rules: Any, bounds: Any, places: Any, reaches: Any,
) -> tuple[int, int]:  # fmt: skip
    """The forward filter in event time over pieces of trails, each for all slots of its list.

    pieces (n, 5) int64: first row and last row + 1 in `columns`, the trail index of row 0 (row + offset = index), first and
    last + 1 of its slots in `roster`. states (n_slots,) FILTER_STATE are read and left as after the last fix. `changes`
    (CHANGE) and `kept` (KEPT) are filled from the start; returns how many of each were written. Where there is no room for
    another block and slot, start = [piece, row, place in the roster] says where to go on (piece = n where all is done).
    reaches (BLOCK + BLOCK // SPAN,) REACH is room to work in.
    """
    n_changes = n_kept = 0
    for p in range(start[0], len(pieces)):
        last_row, offset, row = pieces[p, 1], pieces[p, 2], max(pieces[p, 0], start[1])
        while row < last_row:
            stop = min(last_row, row + BLOCK - (row + offset) % BLOCK)
            _find_reaches(reaches, row, stop, columns, rules)
            for k in range(max(pieces[p, 3], start[2]), pieces[p, 4]):
                if n_changes + 2 * (stop - row) + 2 > len(changes) or n_kept == len(kept):
                    start[0], start[1], start[2] = p, row, k
                    return n_changes, n_kept
                slot = roster[k]
                n_changes = _advance_block(
                    slot, row, stop, offset, states, slots, changes, n_changes, columns, rules, bounds, places, reaches
                )
                if (stop + offset) % BLOCK == 0:
                    kept[n_kept].slot = slot
                    kept[n_kept].state = states[slot]
                    n_kept += 1
            start[1], start[2] = 0, 0
            row = stop
    start[0] = len(pieces)
    return n_changes, n_kept


REACH = np.dtype((np.record,
    [("west", "i4"), ("south", "i4"), ("east", "i4"), ("north", "i4"), ("wide", "i4"), ("high", "i4"), ("reach_m", "f8"),
     ("sigma_m", "f8"), ("tail_m", "f8"), ("pass_by", "i4"), ("latest", "i4")]
))  # fmt: skip
"""Of a row of a block: its position as a box [1e-7 degree], how far it can matter, east and north [1e-7 degree] and in metres,
sigma of its core and tail, what may be done with it (PASS, LOOK or WEIGHTLESS), and the latest row with weight up to it (-1:
none in the block). After BLOCK rows come the block's spans: the box of their rows, the largest of each, LOOK where any row
must be looked at."""
PASS, LOOK, WEIGHTLESS = 0, 1, 2


@kernel_part
def _find_reaches(reaches: Any, first: int, stop: int, columns: Any, rules: Any) -> None:
    """Fill `reaches` for the rows of a block."""
    most_lat = 0.0
    for i in range(first, stop):
        most_lat = max(most_lat, abs(float(columns.lat_e7[i])))
    # Half a degree towards the pole and the least meridian degree: a reach is then never too small
    per_m_y = 1.0 / 0.0110574
    per_m_x = 1.0 / (0.0111319 * math.cos(min(899_000_000.0, most_lat + 5_000_000.0) * 1e-7 * math.pi / 180.0))
    latest = -1
    for i in range(first, stop):
        r = reaches[i - first]
        if columns.flags[i] & rules.weightless != 0:
            r.pass_by, r.latest = WEIGHTLESS, latest
            continue
        sigma, model = columns.sigma_m[i], columns.model[i]
        r.reach_m, r.sigma_m, r.tail_m = rules.reach[model] * sigma, sigma, rules.tails[model, 1] * sigma
        r.west = r.east = columns.lon_e7[i]
        r.south = r.north = columns.lat_e7[i]
        r.wide, r.high = int(min(r.reach_m * per_m_x, 2e9)) + 2, int(min(r.reach_m * per_m_y, 2e9)) + 2
        quiet = True
        if latest >= 0:
            dt_us = columns.time_us[i] - columns.time_us[latest]
            quiet = rules.quiet_us <= dt_us <= columns.silence_us[latest]
        r.pass_by = PASS if quiet else LOOK
        latest = i
        r.latest = latest
    for k in range((stop - first) // SPAN):
        _join_reaches(reaches, k)


@kernel_part
def _join_reaches(reaches: Any, k: int) -> None:
    """Fill the span of rows k * SPAN and on."""
    span = reaches[BLOCK + k]
    span.west = span.south = 2_147_483_647
    span.east = span.north = -2_147_483_647
    span.reach_m = span.sigma_m = span.tail_m = 0.0
    span.wide, span.high, span.pass_by = 0, 0, PASS
    for i in range(k * SPAN, (k + 1) * SPAN):
        r = reaches[i]
        if r.pass_by != WEIGHTLESS:
            span.west, span.south = min(span.west, r.west), min(span.south, r.south)
            span.east, span.north = max(span.east, r.east), max(span.north, r.north)
            span.wide, span.high, span.reach_m = (
                max(span.wide, r.wide),
                max(span.high, r.high),
                max(span.reach_m, r.reach_m),
            )
            span.sigma_m, span.tail_m = max(span.sigma_m, r.sigma_m), max(span.tail_m, r.tail_m)
            span.pass_by = max(span.pass_by, r.pass_by)


@kernel_part
def _advance_block(
    slot: int, first: int, stop: int, offset: int, states: Any, slots: Any, changes: Any, n_changes: int,
    columns: Any, rules: Any, bounds: Any, places: Any, reaches: Any,
) -> int:  # fmt: skip
    """One slot over the rows of a block; returns how many changes there are now."""
    s = states[slot]
    row = first
    while row < stop:
        if abs(s.logit) == MOST_LOGIT and s.run_sign * s.logit > 0.0 and s.state == (IN if s.logit > 0.0 else OUT):
            row = _pass_over(s, row, first, stop, offset, slot, slots, columns, rules, bounds, reaches)
            if row == stop:
                break
        if reaches[row - first].pass_by != WEIGHTLESS:
            n_changes = _look_at(s, row, offset, slot, slots, changes, n_changes, columns, rules, bounds, places)
        row += 1
    return n_changes


@kernel_part
def _pass_over(
    s: Any, row: int, first: int, stop: int, offset: int, slot: int, slots: Any,
    columns: Any, rules: Any, bounds: Any, reaches: Any,
) -> int:  # fmt: skip
    """The next row that a sure state has to look at: those before it say clearly what the state is sure of.

    Each of them, no nearer in time than `quiet_us` and before silence speaks, leaves the state as sure as it was
    (`geofence.check.quiet_us` proves it for the settings), so all that is left of them is the last one's time.
    """
    while row < stop and reaches[row - first].pass_by == WEIGHTLESS:
        row += 1
    if row == stop:
        return row
    dt_us = columns.time_us[row] - s.last_us
    if dt_us < rules.quiet_us or dt_us > s.last_silence_us:
        return row
    k, sure_in = row, s.logit > 0.0
    while k < stop:
        if (k - first) % SPAN == 0 and k + SPAN <= stop:
            span = reaches[BLOCK + (k - first) // SPAN]
            if span.pass_by == PASS and _is_clear(span, sure_in, slots, slot, bounds):
                k += SPAN
                continue
        r = reaches[k - first]
        if r.pass_by != WEIGHTLESS and ((r.pass_by == LOOK and k > row) or not _is_clear(r, sure_in, slots, slot, bounds)):
            break
        k += 1
    if k > row:
        last = reaches[k - 1 - first].latest
        s.last_us, s.last, s.last_silence_us = columns.time_us[last], last + offset, columns.silence_us[last]
        s.run_length, s.evidence = 2, MOST_EVIDENCE
        if s.logit > 0.0:
            s.last_in = s.last
        else:
            s.last_out = s.last
    return k


@kernel_part
def _is_clear(r: Any, sure_in: bool, slots: Any, slot: int, bounds: Any) -> bool:
    """Whether a row, or all rows of a span, say at a glance what a sure slot is sure of, and finely enough to leave it so."""
    place = slots.place[slot]
    if sure_in:
        x, y, kx, ky = bounds.inner[place, 0], bounds.inner[place, 1], bounds.inner[place, 3], bounds.inner[place, 4]
        dx, dy = max(x - r.west, r.east - x) * kx, max(y - r.south, r.north - y) * ky
        left_m = bounds.inner[place, 2] - slots.deep[slot] * r.reach_m
        deep: bool = left_m > 0.0 and dx * dx + dy * dy < left_m * left_m
        return deep and bool(r.sigma_m <= slots.quiet_in_m[slot])
    return r.sigma_m <= slots.quiet_out_m[slot] and _is_far(r, bounds, place)


@kernel_part
def _is_far(r: Any, bounds: Any, place: int) -> bool:
    """Whether fixes are clearly outside a place: their reach does not meet the place's box."""
    wide, high = np.int64(r.wide), np.int64(r.high)
    apart: bool = (
        r.east + wide < bounds.outer[place, 0] or r.north + high < bounds.outer[place, 1]
        or r.west - wide > bounds.outer[place, 2] or r.south - high > bounds.outer[place, 3]
    )  # fmt: skip
    return apart and bool(r.tail_m <= bounds.most_m[place])


@kernel_part
def _look_at(
    s: Any, row: int, offset: int, slot: int, slots: Any, changes: Any, n_changes: int,
    columns: Any, rules: Any, bounds: Any, places: Any,
) -> int:  # fmt: skip
    """Feed one fix that carries weight to a slot; returns how many changes there are now."""
    says, sigma = _evidence(row, slot, slots, columns, rules, bounds, places), columns.sigma_m[row]
    if abs(says) < LEAST_EVIDENCE:
        return n_changes
    index, time_us, base = row + offset, columns.time_us[row], slots.base[slot]
    dt_us = time_us - s.last_us
    if s.run_length > 0 and dt_us > s.last_silence_us:  # silence spoke between the last fix and this one
        if (
            slots.single[slot]
            and s.run_length == 1
            and s.run_sign > 0
            and s.evidence >= rules.raise_logit
            and s.state != IN
        ):
            _write(changes, n_changes, slot, SINGLE, s.last, s.run_start, s.last_out, s)
            n_changes += 1
        elif s.state != UNKNOWN:
            _write(changes, n_changes, slot, UNKNOWN, s.last, s.last, -1, s)
            n_changes += 1
        s.state, s.run_length, s.run_sign, s.logit = UNKNOWN, 0, 0, math.log(base / (1.0 - base))
    elif s.last < 0:
        s.logit = math.log(base / (1.0 - base))
    elif not _stays(s, says, sigma, dt_us, slots, slot, rules):
        s.logit = relaxed(s.logit, base, dt_us * 1e-6, rules.relax_s)
    sign = 1 if says > 0.0 else -1
    if sign == s.run_sign:
        s.run_length = 2
        if not _stays(s, says, sigma, dt_us, slots, slot, rules):
            news = share_of_news(dt_us * 1e-6, sigma, rules.correlation_s)
            s.logit = gained(s.logit, says, news, s.evidence)
        s.evidence = max(s.evidence, abs(says))
    else:
        s.run_sign, s.run_length, s.run_start, s.prior, s.evidence = sign, 1, index, s.logit, abs(says)
        s.logit = gained(s.logit, says, 1.0, 0.0)
    s.last_us, s.last, s.last_silence_us = time_us, index, columns.silence_us[row]
    if sign > 0:
        s.last_in = index
        if s.run_length == 2 and s.logit >= rules.raise_logit and s.state != IN:
            s.state = IN
            _write(changes, n_changes, slot, IN, index, s.run_start, s.last_out, s)
            n_changes += 1
    else:
        s.last_out = index
        if s.run_length == 2 and s.logit <= rules.clear_logit and s.state != OUT:
            s.state = OUT
            _write(changes, n_changes, slot, OUT, index, s.run_start, s.last_in, s)
            n_changes += 1
    return n_changes


@kernel_part
def _evidence(row: int, slot: int, slots: Any, columns: Any, rules: Any, bounds: Any, places: Any) -> float:
    """What a fix says for a slot's place: at a glance where it lies beyond its reach of the boundary."""
    place, sigma, model = slots.place[slot], columns.sigma_m[row], columns.model[row]
    x, y, tail_weight, tail_ratio = columns.lon_e7[row], columns.lat_e7[row], rules.tails[model, 0], rules.tails[model, 1]
    if tail_ratio * sigma <= bounds.most_m[place]:
        side = side_beyond(x, y, rules.reach[model] * sigma, place, places)
        if side >= 0:
            return MOST_EVIDENCE if side == 1 else -MOST_EVIDENCE
    return place_evidence(x, y, sigma, tail_weight, tail_ratio, place, places, slots.absent[slot])


@kernel_part
def _stays(s: Any, says: float, sigma_m: float, dt_us: int, slots: Any, slot: int, rules: Any) -> bool:
    """Whether a sure state hears clearly what it is sure of, so that it ends where it was: see `_pass_over`."""
    if dt_us < rules.quiet_us:
        return False
    if s.logit == MOST_LOGIT:
        return says == MOST_EVIDENCE and s.run_sign > 0 and sigma_m <= slots.quiet_in_m[slot]
    return s.logit == -MOST_LOGIT and says == -MOST_EVIDENCE and s.run_sign < 0 and sigma_m <= slots.quiet_out_m[slot]


@kernel_part
def _write(changes: Any, k: int, slot: int, state: int, at: int, began: int, after: int, s: Any) -> None:
    c = changes[k]
    c.slot, c.state, c.at, c.began, c.after = slot, state, at, began, after
    c.posterior, c.prior = 1.0 / (1.0 + math.exp(-s.logit)), s.prior
