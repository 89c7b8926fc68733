"""The verdicts of many questions about all wearers: candidates by a plan, then each pair exactly; nothing is left out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match.batch import pair_kernels as codes
from crime_match.batch.plans import Coded, Cost, Crimes, Grid, by_hours, by_scan, cost_of, in_threads
from crime_match.explanations import MOST_IN_DOUBT
from crime_match.passage import passage_of
from crime_match.question import Question
from crime_match.tag_state import TagState
from crime_match.trails import Trails
from crime_match.verdicts import EXCLUDED, PLACED, POSSIBLE, UNMONITORED, VERDICTS, verdict_of
from engine.flags import STRAY
from engine.hours import Hours, span_of
from engine.kernels import distances_m
from engine.tracks import Tracks

NUMBERS = {name: k for k, name in enumerate(VERDICTS)}
"""Verdicts as numbers, in the order in which they are listed."""
_OF_CODE = np.array([NUMBERS[v] for v in (PLACED, POSSIBLE, UNMONITORED, EXCLUDED, EXCLUDED)], np.uint8)
_OFF = np.array([NUMBERS[v] for v in (PLACED, POSSIBLE, UNMONITORED, POSSIBLE, UNMONITORED)], np.uint8)
"""What a code means where the tag was on, and where something speaks against excluding."""
_MANY_CRIMES = 16  # so many are shared out to the threads; of fewer, the wearers
_WORTH_A_THREAD = 20_000  # summaries of wearers' hours: about half a millisecond


class Answers(NamedTuple):
    """Verdicts of the pairs that are not excluded, by crime and then wearer, (n,) each; every other wearer is excluded."""

    crime: NDArray[np.int32]
    wearer: NDArray[np.int32]
    verdict: NDArray[np.uint8]
    n_crimes: int
    n_wearers: int

    def counts(self) -> NDArray[np.int64]:
        """How many wearers have each verdict, (n_crimes, 4) in the order of `VERDICTS`."""
        found = np.zeros((self.n_crimes, len(VERDICTS)), np.int64)
        np.add.at(found, (self.crime, self.verdict), 1)
        found[:, NUMBERS[EXCLUDED]] = self.n_wearers - found.sum(axis=1)
        return found


class Matcher:
    """Answers questions about one set of trails; the summaries that it needs are made once."""

    def __init__(self, trails: Trails) -> None:
        self.trails = trails
        self._has_hours = False
        """Whether the summaries are there."""

    def cost(self, crimes: Crimes) -> Cost:
        """What the plans would take."""
        tracks = self.trails.tracks
        return cost_of(crimes, tracks.n_fixes, len(self.trails), span_of(tracks)[1], self._has_hours)

    def answer(self, questions: Sequence[Question], plan: str = "auto") -> Answers:
        """The verdicts of these questions, which share one maximum speed; plan: auto, index or scan."""
        crimes = Crimes.of(questions)
        if not len(crimes) or not len(self.trails):
            none = np.empty(0, np.int32)
            return Answers(none, none, none.astype(np.uint8), len(crimes), len(self.trails))
        if plan == "auto":
            plan = self.cost(crimes).plan
        tracks = self.trails.tracks
        hours = self.trails.hours if plan == "index" else None
        if hours is not None:
            self._has_hours = True
            found = near_by_index(crimes, tracks, hours)
        else:  # also where the tracks are spread too far for summaries: the answer is the same
            found = near_by_scan(crimes, tracks)
        crime, wearer, code = (
            np.concatenate(columns)
            for columns in zip(*found, self._off(crimes), self._doubted_by_strays(crimes), strict=True)
        )
        pair = crime.astype(np.int64) * len(self.trails) + wearer
        order = np.argsort(pair * 8 + code, kind="stable")  # they come in long runs, which this merges
        crime, wearer, code = crime[order], wearer[order], code[order]
        once = np.append(True, (np.diff(crime) != 0) | (np.diff(wearer) != 0))[: len(crime)]
        return self._verdicts(questions, crimes, crime[once], wearer[once], code[once])

    @cached_property
    def tags(self) -> list[TagState]:
        """What speaks against excluding each wearer."""
        return [TagState(trail) for trail in self.trails]

    @cached_property
    def _worn(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """From when to when nothing speaks against excluding each wearer; nothing where that is not one stretch."""
        spans = np.array([tag.unbroken or (0, 0) for tag in self.tags], np.int64).reshape(-1, 2)
        return spans[:, 0], spans[:, 1]

    @cached_property
    def strays(self) -> tuple[NDArray[Any], ...]:
        """All wearers' fixes that may be right after all, by time: time [us], latitude, longitude [1e-7 degree], radius [m],
        wearer; (n,) each."""
        rows = self.trails.rows
        found = np.flatnonzero(rows.flags & STRAY)
        found = found[np.argsort(rows.fixes.time_us[found], kind="stable")]
        fixes = rows.fixes
        wearer = np.searchsorted(self.trails.start, found, side="right") - 1
        columns = (fixes.time_us, fixes.lat_e7, fixes.lon_e7, rows.radius_m)
        return (*(column[found] for column in columns), wearer.astype(np.int32))

    def _doubted_by_strays(self, crimes: Crimes) -> Coded:
        """The pairs in which a fix that was left out lies at the place in the window: they must be looked at closely."""
        time_us, lat_e7, lon_e7, radius_m, wearer = self.strays
        found = []
        for c, (low, high) in enumerate(np.searchsorted(time_us, crimes.rows[:, 2:4] + [0, 1]).tolist()):
            if low < high:
                part, place = slice(low, high), crimes.rows[c]
                lat, lon = (np.full(high - low, e7, np.int32) for e7 in place[:2])
                apart_m = distances_m(lat, lon, lat_e7[part], lon_e7[part])
                there = wearer[part][apart_m <= radius_m[part] + crimes.shapes[c, 1]]
                found += [(c, w) for w in np.unique(there).tolist()]
        pairs = np.array(found, np.int32).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1], np.full(len(pairs), codes.IN_DOUBT, np.uint8)

    def _off(self, crimes: Crimes) -> Coded:
        """The pairs in which a tag may not exclude, wherever its wearer was, with their codes."""
        start_us, end_us = crimes.rows[:, 2], crimes.rows[:, 3]
        from_us, to_us = self._worn
        doubted = np.flatnonzero((from_us > start_us.min()) | (to_us <= end_us.max())).tolist()
        found = [np.flatnonzero(self._may_speak_against(w, start_us, end_us)) for w in doubted]
        crime = np.concatenate([np.empty(0, np.int64), *found]).astype(np.int32)
        wearer = np.repeat(np.array(doubted, np.int32), [len(rows) for rows in found])
        return crime, wearer, codes_of(crimes, self.trails.tracks, crime, wearer)

    def _may_speak_against(self, wearer: int, start_us: NDArray[np.int64], end_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Windows in which the tag cannot exclude, or could not if an exclusion rested on a fix after its strap was cut."""
        tag, tracks = self.tags[wearer], self.trails.tracks
        against = tag.speaks_against(start_us, end_us)
        ticks = tracks.tick[tracks.start[wearer] : tracks.start[wearer + 1]]
        if tag.strap_us is None or not len(ticks):
            return against
        time_us = tracks.base_us + ticks.astype(np.int64) * tracks.tick_us
        used = np.searchsorted(time_us, end_us) + 1 + MOST_IN_DOUBT
        used_until_us = time_us[np.minimum(used, len(time_us) - 1)]
        return against | (tag.strap_us <= used_until_us)

    def _verdicts(
        self, questions: Sequence[Question], crimes: Crimes, crime: NDArray[np.int32], wearer: NDArray[np.int32],
        code: NDArray[np.uint8],
    ) -> Answers:  # fmt: skip
        """Codes to verdicts: pairs in doubt and tags that may not exclude are looked at closely."""
        verdict = np.full(len(code), NUMBERS[EXCLUDED], np.uint8)
        clear = code != codes.IN_DOUBT
        verdict[clear] = _OF_CODE[code[clear]]
        close = ~clear
        outside = (code == codes.OUTSIDE) | (code == codes.OUTSIDE_UNSEEN)
        for w in np.unique(wearer[outside]).tolist():
            rows = np.flatnonzero(outside & (wearer == w))
            start_us, end_us = crimes.rows[crime[rows], 2], crimes.rows[crime[rows], 3]
            surely = self.tags[w].speaks_against(start_us, end_us)
            verdict[rows[surely]] = _OFF[code[rows[surely]]]
            close[rows[~surely]] = self._may_speak_against(w, start_us[~surely], end_us[~surely])
        for row in np.flatnonzero(close).tolist():
            verdict[row] = NUMBERS[self._closely(questions[crime[row]], int(wearer[row]))]
        kept = verdict != NUMBERS[EXCLUDED]
        return Answers(crime[kept], wearer[kept], verdict[kept], len(crimes), len(self.trails))

    def _closely(self, question: Question, wearer: int) -> str:
        trail = self.trails[wearer]
        return verdict_of(question, trail, passage_of(question, trail), None, self.tags[wearer]).name


def near_by_index(crimes: Crimes, tracks: Tracks, hours: Hours) -> list[Coded]:
    """Pairs that are not surely excluded by where the wearer was, by the hours' summaries; a thread a core."""

    order = np.argsort(crimes.rows[:, 2], kind="stable").astype(np.int32)  # what one has read, the next one finds at hand
    crimes = crimes.take(order)

    def some_crimes(first: int, stop: int) -> list[Coded]:
        coded = by_hours(crimes.take(slice(first, stop)), tracks, hours, 0, tracks.n_wearers)
        return [(order[first:stop][crime], wearer, code) for crime, wearer, code in coded]

    def some_wearers(first: int, stop: int) -> list[Coded]:
        coded = by_hours(crimes, tracks, hours, first, stop)
        return [(order[crime], wearer, code) for crime, wearer, code in coded]

    if len(crimes) >= _MANY_CRIMES:
        return in_threads(some_crimes, len(crimes))
    few = max(1, _WORTH_A_THREAD // crimes.n_hours)
    return in_threads(some_wearers, tracks.n_wearers, few)


def near_by_scan(crimes: Crimes, tracks: Tracks) -> list[Coded]:
    """The same pairs in one pass over the tracks."""
    grid = Grid.of(crimes)
    return in_threads(lambda first, stop: list(by_scan(crimes, tracks, grid, first, stop)), tracks.n_wearers)


def codes_of(crimes: Crimes, tracks: Tracks, crime: NDArray[np.int32], wearer: NDArray[np.int32]) -> NDArray[np.uint8]:
    """The codes of pairs, see `pair_kernels`; (n,)."""
    out = np.empty(len(crime), np.uint8)
    codes.pair_codes(*(crimes.rows, crimes.shapes, crimes.max_speed_mps, crime, wearer, *tracks.arrays, out))
    return out
