"""Meetings: the stretches in which a wearer was near a protected person, from both trails, as of an instant.

What came before the rows in memory is a `Memory`: the law is that meetings from it are those of the whole trails.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import flags
from engine.activations import Activation
from engine.error_model import TAILS
from engine.times import MINUTE_US, SECOND_US
from engine.trail import Trail
from geofence.check import FilterSettings, logit
from geofence.closeness import COMPARED, SIDE
from geofence.filter import IN, UNKNOWN, Columns
from geofence.pair_filter import NEVER_US, PAIR, TURN_OF_STATE, PairRules, Walk, follow
from geofence.proximity import Proximity
from geofence.schedule import Interval

OPEN_US = 2**62
LEAST_STALE_US = 3 * MINUTE_US
STALE_INTERVALS = 2


class Memory(NamedTuple):
    """What the filter knows of a pair of everything before `until_us`: both sides (2,) SIDE and the state (1,) PAIR."""

    until_us: int
    sides: NDArray[Any]
    pair: NDArray[Any]


class Near(NamedTuple):
    """A stretch [start_us, end_us) in which they are near: from the first of the run that decided it, when it was decided, the
    last contrary comparison before (None: none), posterior, log odds before the run, the distance compared then, and how old
    the protected person's position was then."""

    start_us: int
    end_us: int
    run_us: int
    decided_us: int
    after_us: int | None
    posterior: float
    prior: float
    apart_m: float
    age_us: int


class Meeting(NamedTuple):
    """From near to decided far [start_us, end_us); unknown time in between is part of it, but of no stretch of `near`."""

    start_us: int
    end_us: int
    near: tuple[Near, ...]
    unknown_since_us: int | None = None


class Followed(NamedTuple):
    """Meetings, oldest first; all comparisons (COMPARED); when silence speaks if nothing more comes (OPEN_US: not at all)."""

    meetings: list[Meeting]
    compared: NDArray[Any]
    speaks_us: int


def follow_pair(
    condition: Proximity, wearer: Trail, protected: Trail, settings: FilterSettings, plans: Sequence[Activation],
    as_of_us: int, memory: Memory | None = None,
) -> Followed:  # fmt: skip
    """What a condition comes to by the fixes up to an instant; those before the memory's end are in it already."""
    turns, compared, sides, pair = _run(condition, wearer, protected, settings, plans, as_of_us, memory)
    speaks_us, since_us = _edge(sides, pair[0], as_of_us)
    if since_us is not None:
        turns.append((UNKNOWN, since_us))
    return Followed(_meetings(turns), compared, speaks_us)


def spans(
    condition: Proximity, wearer: Trail, protected: Trail, settings: FilterSettings, plans: Sequence[Activation],
    before_us: int, memory: Memory | None = None,
) -> list[Interval]:  # fmt: skip
    """What the fixes before an instant make: the meetings, and a run that may become one, which has no end yet."""
    turns, _, _, pair = _run(condition, wearer, protected, settings, plans, before_us - 1, memory)
    found = [(meeting.start_us, meeting.end_us) for meeting in _meetings(turns)]
    return [*found, (int(pair[0]["run_start_us"]), OPEN_US)] if pair[0]["run_sign"] > 0 else found


def memory_at(
    condition: Proximity, wearer: Trail, protected: Trail, settings: FilterSettings, plans: Sequence[Activation],
    until_us: int, memory: Memory | None = None,
) -> Memory:  # fmt: skip
    """What is known of everything before an instant; exact from then on where no meeting and no run goes on (`spans`)."""
    _, _, sides, pair = _run(condition, wearer, protected, settings, plans, until_us - 1, memory)
    return Memory(until_us, sides, pair)


def _run(
    condition: Proximity, wearer: Trail, protected: Trail, settings: FilterSettings, plans: Sequence[Activation],
    last_us: int, memory: Memory | None,
) -> tuple[list[tuple[Any, ...]], NDArray[Any], NDArray[Any], NDArray[Any]]:  # fmt: skip
    """Turns and comparisons by the fixes up to `last_us`, and both sides and the state after them."""
    from_us = memory.until_us if memory else NEVER_US
    ours, first = _walk(wearer, condition, plans, from_us, last_us)
    theirs, _ = _walk(protected, condition, plans, from_us, last_us)
    n = len(ours.flags) + len(theirs.flags)
    rules = PairRules(
        condition.radius_m, logit(settings.raise_at), logit(settings.clear_at), settings.base_exclusion, settings.relax_s,
        settings.correlation_s, flags.WEIGHTLESS, TAILS,
    )  # fmt: skip
    sides, pair = (memory.sides.copy(), memory.pair.copy()) if memory else (np.zeros(2, SIDE), _fresh(settings))
    turns, compared = np.empty(2 * n, TURN_OF_STATE), np.empty(n, COMPARED)
    n_turns, n_compared = follow(ours, theirs, rules, sides, pair, turns, compared)
    compared = compared[:n_compared]
    compared["row"] += np.where(compared["row"] >= 0, first, 0)
    return turns[:n_turns].tolist(), compared, sides, pair


def _fresh(settings: FilterSettings) -> NDArray[Any]:
    pair = np.zeros(1, PAIR)
    pair["logit"] = logit(settings.base_exclusion)
    pair["last_us"] = pair["last_in_us"] = pair["last_out_us"] = NEVER_US
    return pair


def _walk(trail: Trail, condition: Proximity, plans: Sequence[Activation], from_us: int, last_us: int) -> tuple[Walk, int]:
    """A trail's rows within [from_us, last_us] as the kernel takes them, and the number of the first."""
    first, stop = np.searchsorted(trail.column("time_us"), (from_us, last_us + 1), side="left").tolist()
    columns = Columns(*(trail.column(name)[first:stop] for name in Columns._fields))
    stale_us = np.full(stop - first, condition.stale_us or LEAST_STALE_US, np.int64)
    if not condition.stale_us:
        for plan in plans:
            if plan.wearer in ("", trail.wearer):
                low, high = np.searchsorted(columns.time_us, (plan.from_us, plan.to_us), side="left")
                often_us = STALE_INTERVALS * plan.fix_interval_s * SECOND_US
                np.maximum(stale_us[low:high], often_us, out=stale_us[low:high])
    return Walk(*columns, np.minimum(stale_us, columns.silence_us)), first


def _edge(sides: NDArray[Any], pair: Any, as_of_us: int) -> tuple[int, int | None]:
    """When silence speaks if nothing more comes, and since when nobody can say where it has spoken.

    A position is stale sooner than that; but until silence speaks its tag may have newer ones that it has not sent yet.
    """
    if pair["state"] == UNKNOWN or pair["last_us"] == NEVER_US:
        return OPEN_US, None
    silent_us = int((sides["time_us"] + sides["silence_us"]).min())
    untold_us = int(pair["last_us"] + pair["last_silence_us"])
    since = [int((sides["time_us"] + sides["stale_us"]).min())] if as_of_us > silent_us else []
    since += [untold_us] if as_of_us > untold_us else []
    return min(silent_us, untold_us), min(since, default=None)


def _meetings(turns: Sequence[tuple[Any, ...]]) -> list[Meeting]:
    """Runs of near; unknown time neither begins nor ends one, far ends it."""
    found: list[Meeting] = []
    near: list[Near] = []
    unknown_us: int | None = None
    ends = [*(turn[1] for turn in turns[1:]), OPEN_US]
    for turn, end_us in zip(turns, ends, strict=False):
        if turn[0] == IN:
            _, start_us, decided_us, after_us, *more = turn
            near.append(Near(start_us, end_us, start_us, decided_us, None if after_us == NEVER_US else after_us, *more))
            unknown_us = None
        elif turn[0] == UNKNOWN:
            unknown_us = turn[1]
        elif near:
            found.append(Meeting(near[0].start_us, turn[1], tuple(near)))
            near, unknown_us = [], None
    return [*found, Meeting(near[0].start_us, OPEN_US, tuple(near), unknown_us)] if near else found
