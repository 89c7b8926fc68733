"""Planted crimes: those that the town's burglars committed, places where wearers truly were, and places far from them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from crime_match.question import Question
from engine.times import HOUR_US, MINUTE_US
from tagwatch.simulate.journeys import DRIVE, HOME, INDOOR, OUTDOOR, WALK
from tagwatch.simulate.spans import Span, common
from tagwatch.simulate.world import World

RADIUS_M, PAD_US = 100.0, 10 * MINUTE_US
EDGE_US = 3 * HOUR_US
"""No crime so near the beginning or the end of a world."""
WAYS = ((WALK, DRIVE), (WALK, DRIVE), (INDOOR, OUTDOOR), (HOME,))
"""In what settings a wearer is caught, each as often as the others: half of the time under way."""
WIDTHS_MIN = (0, 5, 20, 60)
"""Widths of the windows about a place where a wearer was: short ones, which exclude most."""
LONGER_MIN = (0, 5, 20, 60, 180)
NEAR_M, FAR_M = 150.0, 20_000.0


class Plant(NamedTuple):
    """A crime laid into a world: what is asked, of whom (nobody named: of all), who did it, if a wearer did."""

    question: Question
    asked: tuple[str, ...] = ()
    culprit: str = ""


def committed(world: World) -> Iterator[Plant]:
    """The town's crimes as the police report them: two in five by wearers, some next door to one, the rest by nobody."""
    for crime, presence in zip(world.crimes, world.truth.crimes, strict=True):
        if _inside(world, crime.from_us - PAD_US, crime.to_us + PAD_US):
            question = Question(crime.lat, crime.lon, crime.from_us, crime.to_us, uncertainty_m=crime.uncertainty_m)
            yield Plant(question, culprit=presence.wearer)


def where_they_were(world: World, count: int, rng: Generator) -> Iterator[Plant]:
    """Places that a wearer passed or stayed at, within the vicinity's radius at an instant of the padded window; asked of
    all who truly were there."""
    made = 0
    while made < count:
        wearer = world.truth.wearers[int(rng.integers(len(world.truth.wearers)))]
        spans = common(world.truth.paths[wearer].stays(WAYS[int(rng.integers(len(WAYS)))]), world.truth.tagged[wearer])
        if not spans:
            continue
        at_us = _instant(spans, rng)
        lat, lon = _aside(world, wearer, at_us, RADIUS_M * math.sqrt(rng.random()), rng)
        window = _window(at_us, float(rng.choice(WIDTHS_MIN)), rng)
        if _inside(world, window[0] - PAD_US, window[1] + PAD_US):
            made += 1
            question = Question(lat, lon, *window)
            yield Plant(question, present(world, question))


def grazed(world: World, count: int, rng: Generator) -> Iterator[Plant]:
    """Places whose vicinity a wearer just touched at the one instant that is asked about, without padding: the hardest."""
    wearers = world.truth.wearers
    made = 0
    while made < count:
        wearer = wearers[int(rng.integers(len(wearers)))]
        at_us = _instant(world.truth.tagged[wearer], rng)
        lat, lon = _aside(world, wearer, at_us, RADIUS_M * 0.999, rng)
        if _inside(world, at_us, at_us):
            made += 1
            yield Plant(Question(lat, lon, at_us, at_us, pad_us=0), (wearer,))


def far_off(world: World, count: int, n_asked: int, rng: Generator) -> Iterator[Plant]:
    """Places at 150 m to 20 km from where a wearer was, each factor of distance alike; asked of that one and some others."""
    wearers = world.truth.wearers
    made = 0
    while made < count:
        asked = tuple(wearers[k] for k in rng.choice(len(wearers), min(n_asked, len(wearers)), replace=False))
        at_us = _instant(world.truth.tagged[asked[0]], rng)
        lat, lon = _aside(world, asked[0], at_us, NEAR_M * (FAR_M / NEAR_M) ** rng.random(), rng)
        window = _window(at_us, float(rng.choice(LONGER_MIN)), rng)
        if _inside(world, window[0] - PAD_US, window[1] + PAD_US):
            made += 1
            yield Plant(Question(lat, lon, *window), tuple(sorted(asked)))


def present(world: World, question: Question, radius_m: float = RADIUS_M) -> tuple[str, ...]:
    """Who truly was within this radius of the place in the padded window."""
    window = question.start_us, question.end_us
    place = question.lat_e7 / 1e7, question.lon_e7 / 1e7
    return tuple(w for w in world.truth.wearers if world.truth.near(w, *place, radius_m, window))


def _instant(spans: list[Span] | tuple[Span, ...], rng: Generator) -> int:
    """An instant in one of the spans, each moment alike."""
    lengths = np.array([end - start for start, end in spans], np.float64)
    start, end = spans[int(rng.choice(len(spans), p=lengths / lengths.sum()))]
    return int(rng.integers(start, end))


def _aside(world: World, wearer: str, at_us: int, off_m: float, rng: Generator) -> tuple[float, float]:
    """A place so far from where a wearer truly was at an instant."""
    x, y = world.truth.paths[wearer].at(at_us)
    angle = rng.uniform(0.0, 2.0 * math.pi)
    lat, lon = world.truth.plane.degrees(x + off_m * math.cos(angle), y + off_m * math.sin(angle))
    return float(lat), float(lon)


def _window(at_us: int, width_min: float, rng: Generator) -> Span:
    """A window of this width whose padded time holds the instant, anywhere in it."""
    padded_us = round(width_min * MINUTE_US) + 2 * PAD_US
    start_us = at_us - int(rng.random() * padded_us) + PAD_US
    return start_us, start_us + round(width_min * MINUTE_US)


def _inside(world: World, from_us: int, to_us: int) -> bool:
    return world.start_us + EDGE_US <= from_us and to_us <= world.end_us - EDGE_US
