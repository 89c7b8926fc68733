"""Kernels of a series of crimes: which are one event, how often chance places a wearer at so many, and permuted counts. Arrays
only."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import kernel
from engine.kernels import distance_m

_LEAST_M_PER_E7 = 0.01105  # no 1e-7 degree of latitude is shorter


@kernel
def join_events(lat_e7: Any, lon_e7: Any, from_us: Any, to_us: Any, apart_m: float, event: Any) -> None:
    """Write to event (n,) of each crime the first crime of its event; crimes are in order of the start of their windows.

    Crimes whose windows overlap and whose places lie at most apart_m from each other are of one event, and so on from each to
    the next.
    """
    for i in range(len(event)):
        event[i] = i
        for j in range(i):
            if to_us[j] < from_us[i] or abs(np.int64(lat_e7[i]) - lat_e7[j]) * _LEAST_M_PER_E7 > apart_m:
                continue
            if distance_m(lat_e7[i], lon_e7[i], lat_e7[j], lon_e7[j]) > apart_m:
                continue
            one, two = event[i], event[j]
            if one != two:
                low, high = min(one, two), max(one, two)
                for k in range(i + 1):
                    if event[k] == high:
                        event[k] = low


@kernel
def add_drawn(draws: Any, last: Any, wearer: Any, monitored: Any, placed: Any, counts: Any) -> None:
    """Add one event to the permuted counts (n_permutations, n_wearers): 1 where the day drawn places the wearer.

    The rows (n,) are the wearers whom some day places, the days on which they were monitored and placed as bits. A wearer's day
    is the first of draws (n_permutations, n_tries) on which he was monitored: all wearers take the same as far as they can.
    Where none will do, `last` (n_permutations,), a share from 0 to 1, chooses one of his own.
    """
    for b in range(len(draws)):
        for i in range(len(wearer)):
            day = -1
            for k in range(draws.shape[1]):
                if monitored[i] >> draws[b, k] & 1:
                    day = int(draws[b, k])
                    break
            if day < 0:
                day = _nth_day(monitored[i], last[b])
            counts[b, wearer[i]] += placed[i] >> day & 1


@kernel
def _nth_day(days: int, share: float) -> int:
    """One of the days that are set, by a share from 0 to 1 (not included)."""
    n = 0
    for k in range(63):
        n += days >> k & 1
    left, found = int(share * n), 0
    for k in range(63):
        if days >> k & 1:
            if left == 0:
                found = k
            left -= 1
    return found


@kernel
def fill_tails(first: Any, n_placed: Any, n_monitored: Any, tail_start: Any, tails: Any, room: Any) -> None:
    """Write P(at least t events by chance), t from 0 to the number of a wearer's events, to tails[tail_start[w] + t].

    The rows first[w]:first[w + 1] are the events at which wearer w can be placed, each with its own chance n_placed /
    n_monitored: the sum of unlike coin throws (Poisson binomial distribution), by adding one throw after the other.
    `room` holds as many numbers as any wearer's tail.
    """
    for w in range(len(first) - 1):
        n = first[w + 1] - first[w]
        room[0] = 1.0
        for j in range(n):
            p = n_placed[first[w] + j] / n_monitored[first[w] + j]
            room[j + 1] = room[j] * p
            for t in range(j, 0, -1):
                room[t] = room[t] * (1.0 - p) + room[t - 1] * p
            room[0] *= 1.0 - p
        total = 0.0
        for t in range(n, 0, -1):
            total += room[t]
            tails[tail_start[w] + t] = min(1.0, total)
        tails[tail_start[w]] = 1.0


@kernel
def least_tails(counts: Any, tail_start: Any, tails: Any, least: Any) -> None:
    """For each permutation the smallest tail of any wearer, for counts (n_permutations, n_wearers); least (n_permutations,)."""
    for b in range(len(counts)):
        least[b] = 1.0
        for w in range(counts.shape[1]):
            if counts[b, w] > 0:
                least[b] = min(least[b], tails[tail_start[w] + counts[b, w]])


@kernel
def count_as_many(counts: Any, observed: Any, as_many: Any) -> None:
    """For each wearer (n_wearers,) in how many permutations his count is at least the one observed."""
    for b in range(len(counts)):
        for w in range(counts.shape[1]):
            if counts[b, w] >= observed[w]:
                as_many[w] += 1
