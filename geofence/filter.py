"""Kernels of the forward filter: in, out or unknown over time for every (wearer, place). Arrays only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.jit import kernel
from geofence.evidence import FAR_SIGMAS, LEAST_EVIDENCE, MOST_EVIDENCE, place_evidence

UNKNOWN, IN, OUT, SINGLE = 0, 1, 2, 3
"""States; SINGLE is one fix deep inside that stayed the last word when silence began to speak."""

MOST_LOGIT = 3.5  # how sure the filter can become: it stays ready to change its mind
COARSE_M = 20.0  # sigma from which on errors last longer than the correlation time: the same mast, the same walls

# numpy's record type: fields are attributes without the compiler too
FILTER_STATE = np.dtype((np.record,
    [("logit", "f8"), ("last_us", "i8"), ("last", "i8"), ("run_sign", "i8"), ("run_length", "i8"), ("run_start", "i8"),
     ("prior", "f8"), ("last_silence_us", "i8"), ("last_in", "i8"), ("last_out", "i8"), ("state", "i8"), ("evidence", "f8")]
))  # fmt: skip
"""What the filter remembers of one (wearer, place): see `filter_places`."""

CHANGE = np.dtype((np.record,
    [("slot", "i8"), ("state", "i8"), ("at", "i8"), ("began", "i8"), ("after", "i8"), ("posterior", "f8"), ("prior", "f8")]
))  # fmt: skip
"""A change of state: decided at fix `at`, of a run that began at `began`; `after` is the last contrary fix before (or -1)."""


@kernel
def relaxed(logit: float, base: float, dt_s: float, relax_s: float) -> float:
    """Log odds after dt without a fix: the probability goes back to the base rate exponentially."""
    p = 1.0 / (1.0 + math.exp(-logit))
    p = base + (p - base) * math.exp(-dt_s / relax_s)
    return math.log(p / (1.0 - p))


@kernel
def filter_places(
    jobs: Any, states: Any, places: Any, bases: Any, singles: Any, changes: Any, checkpoints: Any,
    time_us: Any, lat_e7: Any, lon_e7: Any, sigma_m: Any, model: Any, flags: Any, silence_us: Any, weightless: int,
    tails: Any, raise_logit: float, clear_logit: float, relax_s: float, correlation_s: float,
    geometry: Any,
) -> tuple[int, int]:  # fmt: skip
    """The forward filter in event time: for every job, feed its fixes to its slot, and write the changes of state.

    jobs (n_jobs, 5) int64: slot, first row and last row + 1 in the fix columns (n,), the trail index of row 0 of the trail
    (row + offset = index), first row of `checkpoints` for it. A slot is one (wearer, place): states[slot] (FILTER_STATE) is
    read and left as after the last fix; places, bases (base rate) and singles (n_slots,) belong to it. silence_us (n,) is how
    long after a fix silence speaks. model (n,) is the row of each fix's error model in tails (n_models, 2).
    changes (CHANGE) is filled from the start; returns how many were written and how many jobs were done: fewer than
    n_jobs where there was no room left, then the last job's state is as before it. A copy of the state is written to
    `checkpoints` after each trail index that is a multiple of 512 (512, 1024, ...).
    """
    n_changes = 0
    for j in range(len(jobs)):
        slot, first, last, offset, kept = jobs[j, 0], jobs[j, 1], jobs[j, 2], jobs[j, 3], jobs[j, 4]
        if n_changes + 2 * (last - first) + 2 > len(changes):
            return n_changes, j
        s = states[slot]
        place, base = places[slot], bases[slot]
        base_logit = math.log(base / (1.0 - base))
        west, south, east, north = (
            geometry.box[place, 0],
            geometry.box[place, 1],
            geometry.box[place, 2],
            geometry.box[place, 3],
        )
        area = geometry.size[place, 0]
        for i in range(first, last):
            index = i + offset
            if flags[i] & weightless == 0:
                # --- what this fix says: bounds from the box first, so that a far fix costs next to nothing
                x, y, sigma = lon_e7[i], lat_e7[i], sigma_m[i]
                tail_weight, tail_ratio = tails[model[i], 0], tails[model[i], 1]
                dx, dy = max(west - x, x - east, 0.0), max(south - y, y - north, 0.0)
                far = False
                if dx > 0.0 or dy > 0.0:
                    kx, ky = geometry.size[place, 2], geometry.size[place, 3]
                    reach = FAR_SIGMAS * tail_ratio * sigma
                    far = (dx * kx) ** 2 + (dy * ky) ** 2 > reach * reach and area > 0.03 * reach * reach / (
                        FAR_SIGMAS * FAR_SIGMAS
                    )
                if far:
                    says = -MOST_EVIDENCE
                else:
                    says = place_evidence(x, y, sigma, tail_weight, tail_ratio, place, geometry)
                if abs(says) >= LEAST_EVIDENCE:
                    sign = 1 if says > 0.0 else -1
                    dt_us = time_us[i] - s.last_us
                    if s.run_length > 0 and dt_us > s.last_silence_us:
                        # --- silence spoke between the last fix and this one
                        if singles[slot] and s.run_length == 1 and s.evidence >= raise_logit and s.state != IN:
                            _write(changes, n_changes, slot, SINGLE, s.last, s.run_start, s.last_out, s.logit, s.prior)
                            n_changes += 1
                        elif s.state != UNKNOWN:
                            _write(changes, n_changes, slot, UNKNOWN, s.last, s.last, -1, s.logit, s.prior)
                            n_changes += 1
                        s.state, s.run_length, s.run_sign, s.logit = UNKNOWN, 0, 0, base_logit
                    elif s.last < 0:
                        s.logit = base_logit
                    elif not (
                        far and s.logit == -MOST_LOGIT and s.state == OUT and dt_us >= 1_000_000 and sigma <= COARSE_M
                    ):
                        s.logit = relaxed(s.logit, base, dt_us * 1e-6, relax_s)
                    weight = 1.0
                    if sign == s.run_sign:
                        # errors of neighbouring fixes are alike: the nearer in time and the coarser, the less is new. A far
                        # fix on top of a sure `out` ends at the bound whatever its weight (tested), so that needs no exp
                        s.run_length += 1
                        if not (far and s.logit == -MOST_LOGIT):
                            weight = -math.expm1(-dt_us * 1e-6 / (correlation_s * max(1.0, sigma / COARSE_M)))
                    else:
                        s.run_sign, s.run_length, s.run_start, s.prior = sign, 1, index, s.logit
                    s.logit = min(MOST_LOGIT, max(-MOST_LOGIT, s.logit + weight * says))
                    s.last_us, s.last, s.evidence, s.last_silence_us = time_us[i], index, says, silence_us[i]
                    if sign > 0:
                        s.last_in = index
                        if s.run_length >= 2 and s.logit >= raise_logit and s.state != IN:
                            s.state = IN
                            _write(changes, n_changes, slot, IN, index, s.run_start, s.last_out, s.logit, s.prior)
                            n_changes += 1
                    else:
                        s.last_out = index
                        if s.run_length >= 2 and s.logit <= clear_logit and s.state != OUT:
                            s.state = OUT
                            _write(changes, n_changes, slot, OUT, index, s.run_start, s.last_in, s.logit, s.prior)
                            n_changes += 1
            if (index + 1) % 512 == 0:
                checkpoints[kept] = s
                kept += 1
    return n_changes, len(jobs)


@kernel
def _write(
    changes: Any, k: int, slot: int, state: int, at: int, began: int, after: int, logit: float, prior: float
) -> None:
    c = changes[k]
    c.slot, c.state, c.at, c.began, c.after = slot, state, at, began, after
    c.posterior, c.prior = 1.0 / (1.0 + math.exp(-logit)), prior
