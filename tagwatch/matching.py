"""Matching as the commands do it: fixes to the trails of all wearers, crimes to matches, with the posterior of the zones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crime_match.batch.matcher import NUMBERS, Answers, Matcher
from crime_match.compatible import beside
from crime_match.crimes.crime import Crime
from crime_match.kernels import OVERLAP
from crime_match.match import CrimeMatches, Match
from crime_match.near import match_of, rank
from crime_match.question import STRONG_FIXES, STRONG_POSTERIOR, Parameters, Question
from crime_match.runs.run import Run
from crime_match.runs.run import run_of as of_inputs
from crime_match.strength.chance import chance, period_of
from crime_match.strength.routine import routines
from crime_match.strength.shifts import LONDON, Calendar
from crime_match.trails import Trails, WearerTrail
from crime_match.verdicts import CELL, EXCLUDED, PLACED, VERDICTS
from engine.activations import Activation, Activations
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.flags import CONTRADICTORY, IMPLAUSIBLE, SAME_TIME, SET_ASIDE, WEIGHTLESS
from engine.kernels import flag_same_time
from engine.trail import FAST_MPS, MOST_MPS
from engine.two_sided import flag_two_sided
from geofence.presence import presence
from geofence.zone import Circle
from tagwatch.wearing import Wearing

NO_PLAN = Activation("", "", -(2**62))


def trails_of(
    fixes: Fixes, activations: Activations | None = None, events: Sequence[DeviceEvent] = (), plan: Activation | None = None
) -> Trails:
    """The trails of all wearers that these fixes and activations know of, flagged on both sides."""
    wearing = Wearing(activations or Activations(), plan or NO_PLAN)
    rows, number, _, _ = wearing.arrange(fixes)
    wearers = sorted({*(wearing.names[n] for n in np.unique(number).tolist()), *(row.wearer for row in wearing.rows)})
    rank_of = {name: k for k, name in enumerate(wearers)}
    owner = np.array([rank_of.get(name, -1) for name in wearing.names], np.int64)[number]
    if np.any(np.diff(owner) < 0):
        order = np.argsort(owner, kind="stable")
        rows, owner = rows.take(order), owner[order]
    start = np.searchsorted(owner, np.arange(len(wearers) + 1))
    _flag(rows, start)
    mine: dict[str, list[DeviceEvent]] = {}
    for event in events:
        wearer = wearing.wearer_of(event)
        if wearer is not None:
            mine.setdefault(wearer, []).append(event)
    return Trails(wearers, start, rows, {wearer: wearing.worn_by(wearer) for wearer in wearers}, mine)


def _flag(rows: Any, start: NDArray[np.int64]) -> None:
    fixes = rows.fixes
    flag_same_time(
        fixes.device, fixes.time_us, fixes.lat_e7, fixes.lon_e7, rows.radius_m, rows.exclusion_m, rows.flags,
        SAME_TIME, CONTRADICTORY, SET_ASIDE,
    )  # fmt: skip
    flag_two_sided(
        start, fixes.time_us, fixes.lat_e7, fixes.lon_e7, rows.radius_m, rows.flags, MOST_MPS, FAST_MPS,
        WEIGHTLESS & ~IMPLAUSIBLE, IMPLAUSIBLE,
    )  # fmt: skip


def run_of(
    crimes: Sequence[Crime], trails: Trails, parameters: Parameters, *, only: tuple[str, ...] = VERDICTS,
    compatible: bool = False, counted: bool = False, timezone: str = LONDON,
) -> Run:  # fmt: skip
    """The run that `match_crimes` makes of this: everything that its bytes depend on. `counted`: a line of counts a crime."""
    fixed = {"overlap": OVERLAP, "strong_posterior": STRONG_POSTERIOR, "strong_fixes": STRONG_FIXES}
    asked = {"verdicts": list(only), "compatible": compatible, "counted": counted, "timezone": timezone}
    return of_inputs(crimes, trails, parameters._asdict() | fixed | asked)


def match_crimes(
    trails: Trails, crimes: Sequence[Crime], parameters: Parameters, *, only: tuple[str, ...] = VERDICTS,
    compatible: bool = False, timezone: str = LONDON, plan: str = "auto", progress: Callable[[int], None] | None = None,
) -> Iterator[CrimeMatches]:  # fmt: skip
    """The matches of each crime, in the order of the crimes; the verdicts of all are found before the first is told.

    With each placed match how usual that place is for the wearer, and for anybody (`routine`, `chance`); `timezone` is the
    one whose clock and weekdays are compared.
    """
    questions = [parameters.ask(crime) for crime in crimes]
    matcher = Matcher(trails)
    answers = matcher.answer(questions, plan)
    counts = answers.counts()
    wanted = np.isin(answers.verdict, [NUMBERS[verdict] for verdict in only])
    starts = np.searchsorted(answers.crime, np.arange(len(crimes) + 1))
    for c, (crime, question) in enumerate(zip(crimes, questions, strict=True)):
        part = slice(int(starts[c]), int(starts[c + 1]))
        wearers = answers.wearer[part][wanted[part]].tolist()
        if EXCLUDED in only:
            wearers = np.setdiff1d(np.arange(len(trails)), answers.wearer[part][~wanted[part]]).tolist()
        found = [(w, match_of(question, trails[w], presence_about, matcher.tags[w], crime)) for w in wearers]
        _require_same(answers, part, found)
        found = _with_strength(trails, question, found, timezone)
        matches = sorted((match for _, match in found), key=rank)
        told = dict(zip(VERDICTS, counts[c].tolist(), strict=True))
        yield CrimeMatches(crime, beside_all(question, trails, matches) if compatible else matches, told)
        if progress:
            progress(c + 1)


def _require_same(answers: Answers, part: slice, found: Sequence[tuple[int, Match]]) -> None:
    """The counts come from the batch and the lines from each match by itself: they never differ."""
    told = dict(zip(answers.wearer[part].tolist(), answers.verdict[part].tolist(), strict=True))
    for w, match in found:
        if told.get(w, NUMBERS[EXCLUDED]) != NUMBERS[match.verdict]:
            raise AssertionError(f"{match.crime}: {match.wearer} is {match.verdict}, and something else in the batch")


def beside_all(question: Question, trails: Trails, matches: Sequence[Match]) -> list[Match]:
    """The matches with the ministry's answer in each."""
    return [beside(question, trails.of(match.wearer), match) for match in matches]


def _with_strength(
    trails: Trails, question: Question, found: list[tuple[int, Match]], timezone: str
) -> list[tuple[int, Match]]:
    """Placements by telephone masts alone are compared with such, all others with all others: no count mixes them."""
    strength: dict[int, dict[str, Any]] = {}
    for masts in (False, True):
        placed = [w for w, match in found if match.verdict == PLACED and (match.support == CELL) == masts]
        if placed:
            tracks = trails.tracks.counting(masts=masts)
            by_chance = chance(tracks, question, Calendar(*period_of(tracks), timezone), trails.hours)
            for w, usual in zip(placed, routines(tracks, question, placed, timezone), strict=True):
                strength[w] = {"routine": usual, "chance": by_chance}
    return [(w, replace(match, **strength.get(w, {}))) for w, match in found]


def presence_about(
    trail: WearerTrail, first: int, last: int, lat_e7: int, lon_e7: int, radius_m: float
) -> NDArray[np.float64]:
    """Posterior of presence about a place for the fixes first:last that come near it; nan elsewhere."""
    found = np.full(last - first, np.nan)
    close = is_close(trail.fixes.take(slice(first, last)), lat_e7, lon_e7, radius_m)
    if not close.any():
        return found
    columns: dict[str, NDArray[Any]] = {
        "time_us": trail.fixes.time_us, "lat_e7": trail.fixes.lat_e7, "lon_e7": trail.fixes.lon_e7,
        "sigma_m": trail.sigma_m, "model": trail.model, "flags": trail.flags, "silence_us": trail.silence_us,
    }  # fmt: skip
    circle = Circle(lat_e7, lon_e7, radius_m)
    for one, two in _runs(close):
        found[one:two] = presence(columns, circle, first + one, first + two)
    return found


def is_close(fixes: Fixes, lat_e7: int, lon_e7: int, radius_m: float) -> NDArray[np.bool_]:
    """Which fixes come so near a place that the posterior is told; (n,)."""
    reach_e7 = _CLOSE_E7 + radius_m * 100.0
    aside = np.abs(fixes.lon_e7.astype(np.int64) - lon_e7)
    aside = np.minimum(aside, 3_600_000_000 - aside)
    north = np.abs(fixes.lat_e7.astype(np.int64) - lat_e7)
    return np.asarray((north < reach_e7) & (aside < reach_e7 / max(np.cos(np.radians(lat_e7 / 1e7)), 1e-3)), np.bool_)


_CLOSE_E7 = 50_000  # about 550 m


def _runs(mask: NDArray[np.bool_]) -> Iterable[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
