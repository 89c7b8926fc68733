"""A series: wearers placed at several crimes of a batch, ranked, with a permutation test of how often chance does as much.

Under the null hypothesis the day of an event says nothing of where the wearers were: each is shifted by whole days, for itself,
its clock hours and class of weekday kept. The days and the wearers' trails stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match.strength.placements import n_bits
from crime_match.strength.series_kernels import add_drawn, count_as_many, fill_tails, least_tails
from crime_match.strength.survey import Crimes, Rows, Survey

PERMUTATIONS = 999
SEED = 20_260_101
LEAST_CRIMES = 2
_TRIES = 8
_MASK, _GOLDEN = 2**64 - 1, 0x9E3779B97F4A7C15


class Permuted(NamedTuple):
    """For the wearers (n,) who can be placed at an event: how many places them, how many chance would on average, the chance of
    at least so many (by the days' own shares, exactly), in how many permutations he has, and in how many any wearer's chance is
    as small."""

    wearer: NDArray[np.int64]
    n_placed: NDArray[np.int64]
    expected: NDArray[np.float64]
    tail: NDArray[np.float64]
    as_many: NDArray[np.int64]
    as_small: NDArray[np.int64]


def series(
    found: Survey, crimes: Crimes, wearers: Sequence[str], permutations: int = PERMUTATIONS, seed: int = SEED,
    least_crimes: int = LEAST_CRIMES,
) -> dict[str, Any]:  # fmt: skip
    """The JSON of a series: who is placed at `least_crimes` or more, ranked by the adjusted p, then by the exact one.

    `p` is (1 + permutations in which he is placed at as many events) / (1 + permutations) (Phipson, Smyth 2010); `p_adjusted`
    the same for the smallest chance of any wearer, so it allows for having looked at all of them (Westfall, Young 1993).
    """
    test = permute(found.rows, len(found.events), found.n_days, permutations, seed)
    names = _placed_at(found, crimes)
    several = [k for k, w in enumerate(test.wearer.tolist()) if len(names.get(w, ())) >= least_crimes]
    of = 1 + permutations
    ranked = [
        {
            "wearer": wearers[w], "crimes": names[w], "events": int(test.n_placed[k]),
            "events_monitored": int(found.n_events[w]), "expected": round(float(test.expected[k]), 6),
            "as_many": int(test.as_many[k]), "p": round((1 + int(test.as_many[k])) / of, 9),
            "p_exact": float(f"{test.tail[k]:.6g}"), "p_adjusted": round((1 + int(test.as_small[k])) / of, 9),
        }
        for k, w in zip(several, test.wearer[several].tolist(), strict=True)
    ]  # fmt: skip
    ranked.sort(key=lambda row: (row["p_adjusted"], row["p_exact"], -row["events"], row["wearer"]))
    return {
        "crimes": len(crimes), "events": len(found.events), "wearers": int(np.count_nonzero(found.n_events)),
        "days": {"least": min(found.n_days, default=0), "most": max(found.n_days, default=0)},
        "permutations": permutations, "seed": seed, "ranked": ranked,
        "same_event": [[crimes[k][0] for k in event] for event in found.events if len(event) > 1],
    }  # fmt: skip


def permute(rows: Rows, n_events: int, n_days: Sequence[int], permutations: int, seed: int) -> Permuted:
    """The permutation test; the same rows and seed give the same bytes."""
    wearer, column = np.unique(rows.wearer, return_inverse=True)
    placed = (rows.placed & rows.own) != 0
    observed = np.bincount(column[placed], minlength=len(wearer))
    order = np.argsort(column, kind="stable")
    first = np.searchsorted(column[order], np.arange(len(wearer) + 1))
    shares = n_bits(rows.placed)[order], n_bits(rows.monitored)[order]
    tail_start = first[:-1] + np.arange(len(wearer))
    tails = np.empty(len(order) + len(wearer))
    fill_tails(first, *shares, tail_start, tails, np.empty(len(order) + 1))
    counts = np.zeros((permutations, len(wearer)), np.uint16)
    edges = np.searchsorted(rows.event, np.arange(n_events + 1))
    for event in range(n_events):
        mine = slice(edges[event], edges[event + 1])
        if mine.start < mine.stop:
            days, last = _draws(seed, event, permutations, n_days[event])
            add_drawn(days, last, column[mine], rows.monitored[mine], rows.placed[mine], counts)
    tail, as_many, least = tails[tail_start + observed], np.zeros(len(wearer), np.int64), np.empty(permutations)
    count_as_many(counts, observed, as_many)
    least_tails(counts, tail_start, tails, least)
    as_small = np.searchsorted(np.sort(least), tail, side="right")
    return Permuted(wearer, observed, _sums(first, *shares), tail, as_many, as_small)


def _sums(first: NDArray[np.int64], n_placed: NDArray[np.int64], n_monitored: NDArray[np.int64]) -> NDArray[np.float64]:
    """How many events place each wearer on average, over the days on which he was monitored."""
    shares = (n_placed / n_monitored).tolist()
    return np.array([sum(shares[a:b]) for a, b in pairwise(first.tolist())], np.float64)


def _draws(seed: int, event: int, permutations: int, n_days: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Days (permutations, tries) and shares (permutations,) drawn for an event: SplitMix64 (Steele, Lea, Flood 2014) of a
    counter, so that they depend on seed and place alone."""
    n = permutations * (_TRIES + 1)
    start = (seed * 0xD1342543DE82EF95 + event * n * _GOLDEN) & _MASK
    z = np.uint64(start) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = (z ^ (z >> np.uint64(31))).reshape(permutations, _TRIES + 1)
    return (z[:, :-1] % np.uint64(n_days)).astype(np.int64), (z[:, -1] >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _placed_at(found: Survey, crimes: Crimes) -> dict[int, list[str]]:
    """The names of the crimes at which each wearer is placed, in order of event."""
    names: dict[int, list[str]] = {}
    for event in found.events:
        for k in event:
            for w in found.placed[k].tolist():
                names.setdefault(w, []).append(crimes[k][0])
    return names
