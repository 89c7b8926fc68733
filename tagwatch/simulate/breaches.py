"""What the minority does: comes home late, leaves in the night, stays out, walks into a zone, or along its edge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

import shapely
from numpy.random import Generator

from engine.times import HOUR_US, MINUTE_US
from tagwatch.simulate.curfews import at_clock
from tagwatch.simulate.journeys import INDOOR, OUTDOOR, Diary, Stop, plan_journey
from tagwatch.simulate.people import Person
from tagwatch.simulate.shapes import Disc
from tagwatch.simulate.spans import Span
from tagwatch.simulate.streets import Place, Routes
from tagwatch.simulate.town import Town
from tagwatch.simulate.zones import Zone


def break_rules(
    person: Person, town: Town, diary: Diary, days: Sequence[date], windows: Sequence[Span], rng: Generator
) -> None:
    """About one breach in two or three days, of any kind, and as many walks along a zone's edge."""
    for _ in range(max(1, int(rng.poisson(len(days) * 0.4)))):
        if windows and rng.random() < 0.6:
            _break_curfew(person, diary, windows, rng)
        elif rng.random() < 0.15 and any(zone.kind == "inclusion" for zone in person.zones):
            _leave_town(person, town, diary, days, rng)
        else:
            _walk_into_zone(person, town, diary, days, rng)
    for _ in range(int(rng.poisson(len(days) * 0.25))):
        pass_by(person, town, diary, days, rng)


def target_in(zone: Zone, town: Town) -> Place:
    """A place inside a zone, as far from its edge as may be, reached from the nearest street."""
    shape = zone.shape
    point = shapely.Point(shape.x, shape.y) if isinstance(shape, Disc) else _deepest(shape.outline)
    return town.streets.nearest(point.x, point.y)


def pass_by(person: Person, town: Town, diary: Diary, days: Sequence[date], rng: Generator) -> None:
    """A walk to a spot 5 to 60 m off a zone's edge, by streets that do not touch it: near, and no breach."""
    zone = _any_zone(person, rng)
    edge = zone.shape.outline.exterior if zone.shape.outline.geom_type == "Polygon" else zone.shape.outline.boundary
    for _ in range(20):
        on_edge = edge.interpolate(rng.uniform(0, edge.length))
        angle, gap = rng.uniform(0, 2 * math.pi), rng.uniform(5, 60)
        spot = town.streets.nearest(
            on_edge.x + gap * math.cos(angle), on_edge.y + gap * math.sin(angle), person.routes.closed
        )
        off_street = shapely.LineString([(spot.x, spot.y), (spot.street_x, spot.street_y)])
        if any(z.kind == "exclusion" and z.shape.outline.distance(off_street) < 4.0 for z in person.zones):
            continue
        journey = plan_journey(person.home, (Stop(spot, rng.uniform(20, 240), OUTDOOR),), person.routes, person.gait, rng)
        if journey and diary.enter(journey.leaving(at_clock(_any_day(days, rng), rng.uniform(9, 17)))):
            return


def _break_curfew(person: Person, diary: Diary, windows: Sequence[Span], rng: Generator) -> None:
    """Late home, out in the night for a while, or the whole window out."""
    start, end = windows[int(rng.integers(len(windows)))]
    kind = rng.random()
    friend = person.haunts[-1 - int(rng.integers(3))]
    dwell_s = rng.uniform(900, 7200)
    if kind > 0.85:
        dwell_s = (end - start) * 1e-6 + rng.uniform(1200, 4000)
    journey = plan_journey(person.home, (Stop(friend, dwell_s, INDOOR),), person.routes, person.gait, rng)
    if journey is None:
        return
    if kind < 0.45:
        diary.enter(journey.returning(start + int(rng.uniform(8, 95) * MINUTE_US)))
    elif kind <= 0.85:
        diary.enter(journey.leaving(start + int((end - start) * rng.uniform(0.2, 0.7))))
    else:
        diary.enter(journey.arriving(start - int(rng.uniform(0.1, 0.3) * HOUR_US)))


def _walk_into_zone(person: Person, town: Town, diary: Diary, days: Sequence[date], rng: Generator) -> None:
    """Into the middle of an own zone, for half a minute to twenty minutes, by day."""
    spot = target_in(_any_zone(person, rng), town)
    stop = Stop(spot, rng.choice([30.0, 120.0, 300.0, 600.0, 1200.0]) * rng.uniform(0.8, 1.2), OUTDOOR)
    journey = plan_journey(person.home, (stop,), Routes(town.streets), person.gait, rng)
    for _ in range(4):
        if journey and diary.enter(journey.leaving(at_clock(_any_day(days, rng), rng.uniform(9, 17)))):
            return


def _leave_town(person: Person, town: Town, diary: Diary, days: Sequence[date], rng: Generator) -> None:
    """A drive to a village by somebody who must stay in the town."""
    boundary = next(zone.shape for zone in person.zones if zone.kind == "inclusion")
    houses = [town.house(rng, urban=False) for _ in range(20)]
    outside = [house for house in houses if not boundary.contains(house.x, house.y)]
    if outside:
        stop = Stop(outside[0], rng.uniform(900, 5400), INDOOR)
        journey = plan_journey(person.home, (stop,), Routes(town.streets), person.gait, rng)
        if journey:
            diary.enter(journey.leaving(at_clock(_any_day(days, rng), rng.uniform(9, 15))))


def _any_zone(person: Person, rng: Generator) -> Zone:
    return person.exclusions[int(rng.integers(len(person.exclusions)))]


def _any_day(days: Sequence[date], rng: Generator) -> date:
    return days[int(rng.integers(len(days)))]


def _deepest(outline: shapely.Geometry) -> shapely.Point:
    """A point well inside the largest part."""
    part = max(shapely.get_parts(outline), key=lambda polygon: polygon.area)
    return shapely.maximum_inscribed_circle(part, tolerance=2.0).interpolate(0.0)
