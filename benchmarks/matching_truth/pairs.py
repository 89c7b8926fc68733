"""Pairs of a crime and a wearer: the truth of each, beside what the matcher says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.matching_truth.plants import Plant
from benchmarks.matching_truth.reporting import Reported
from crime_match.match import Match
from crime_match.near import match_of
from crime_match.question import Question
from crime_match.tag_state import TagState
from engine.flags import WEIGHTLESS, flag_names
from tagwatch.matching import presence_about
from tagwatch.simulate.world import World

STAYED_S = 120.0
"""Whoever was there for less at a stretch passed by."""


class Pair(NamedTuple):
    """Truth: role, closest_m to the place in the padded window, dwell_s in the vicinity, was_there in the vicinity or the
    place's uncertainty about it, tagged throughout the window. Answer: verdict, support, speed_mps (None: none would do),
    the widest circle that places [m], gap_s between fixes that bound the window's instants and worst_gap_s as told, masts: a
    mast fix among them, hindered: only the tag's state or a fix left out at the place forbids it."""

    role: str
    closest_m: float
    dwell_s: float
    was_there: bool
    tagged: bool
    verdict: str
    support: str
    speed_mps: float | None
    circle_m: float
    gap_s: float
    worst_gap_s: float
    masts: bool
    hindered: bool


def pairs(reported: Reported, plants: Iterable[Plant], max_speed_mps: float | None = None) -> Iterator[Pair]:
    """What the product answers to each planted crime about those who are asked, beside the truth; who was given no tag in
    the window is left out."""
    trails, world = reported.trails, reported.world
    tags = [TagState(trail) for trail in trails]
    number = {wearer: k for k, wearer in enumerate(trails.wearers)}
    for plant in plants:
        question = plant.question if max_speed_mps is None else replace(plant.question, max_speed_mps=max_speed_mps)
        for wearer in plant.asked or world.truth.wearers:
            trail = trails[number[wearer]]
            if any(worn.from_us <= question.end_us and worn.to_us > question.start_us for worn in trail.activations):
                match = match_of(question, trail, presence_about, tags[number[wearer]])
                yield _pair(world, plant.culprit, question, match)


def _pair(world: World, culprit: str, question: Question, match: Match) -> Pair:
    window = question.start_us, question.end_us
    place = question.lat_e7 / 1e7, question.lon_e7 / 1e7
    closest_m = closest(world, match.wearer, question)
    dwell_us = sum(end - start for start, end in world.truth.near(match.wearer, *place, question.radius_m, window))
    tagged = any(start <= window[0] and window[1] <= end for start, end in world.truth.tagged[match.wearer])
    placing = [fix["radius_m"] for fix in match.fixes if fix["label"] is not None]
    bounding = [fix for fix in (match.before, *match.fixes, match.after) if fix is not None]
    outside = match.required_speed_mps is None or match.required_speed_mps > question.max_speed_mps
    hindered = match.verdict in ("possible", "unmonitored") and any("not excluded:" in r for r in match.reasons)
    return Pair(
        _role(world, culprit, question, match.wearer, closest_m), closest_m, dwell_us * 1e-6,
        closest_m <= question.reach_m, tagged, match.verdict, match.support or "",
        match.required_speed_mps, max(placing, default=0.0), _gap_s(match, question), match.worst_gap_s,
        any(fix["source"] == "lbs" and not _weightless(fix) for fix in bounding), hindered and outside,
    )  # fmt: skip


def closest(world: World, wearer: str, question: Question) -> float:
    """The true distance of closest approach to the place in the padded window [m]."""
    path, plane = world.truth.paths[wearer], world.truth.plane
    x0, y0 = plane.from_e7(question.lat_e7, question.lon_e7)
    first, last = np.searchsorted(path.t_us, (question.start_us, question.end_us)).tolist()
    t_us = np.concatenate([[question.start_us], path.t_us[first:last], [question.end_us]])
    x, y = path.at(t_us)
    east, north = plane.stretch(float(y0))
    x, y = (x - x0) * east, (y - y0) * north
    dx, dy = np.diff(x), np.diff(y)
    length2 = np.maximum(dx * dx + dy * dy, 1e-12)
    share = np.clip(-(x[:-1] * dx + y[:-1] * dy) / length2, 0.0, 1.0)
    return float(np.hypot(x[:-1] + share * dx, y[:-1] + share * dy).min())


def _role(world: World, culprit: str, question: Question, wearer: str, closest_m: float) -> str:
    """Burglar, neighbour (lives within the vicinity), visitor or passer-by; else how far away."""
    if wearer == culprit:
        return "burglar"
    path = world.truth.paths[wearer]
    home = replace(question, from_us=int(path.t_us[0]), to_us=int(path.t_us[0]), pad_us=0)
    if closest(world, wearer, home) <= question.radius_m:
        return "neighbour"
    if closest_m > question.radius_m:
        return "far" if closest_m > 3000.0 else "away" if closest_m > 500.0 else "near by"
    place = question.lat_e7 / 1e7, question.lon_e7 / 1e7
    spans = world.truth.near(wearer, *place, question.radius_m, (question.start_us, question.end_us))
    longest_us = max((end - start for start, end in spans), default=0)
    return "visitor" if longest_us >= STAYED_S * 1e6 else "passer-by"


def _gap_s(match: Match, question: Question) -> float:
    """The longest time between two fixes that bound an instant of the window [s]; inf where one side has none."""
    if match.before is None or match.after is None:
        return float("inf")
    bounding = (match.before, *(fix for fix in match.fixes if not _weightless(fix)), match.after)
    times = np.array([fix["time"].rstrip("Z") for fix in bounding], "datetime64[us]").astype(np.int64)
    return float(np.diff(times).max()) * 1e-6


def _weightless(fix: dict[str, Any]) -> bool:
    return bool(fix["flags"]) and not _WEIGHTLESS.isdisjoint(fix["flags"])


_WEIGHTLESS = frozenset(flag_names(WEIGHTLESS))
