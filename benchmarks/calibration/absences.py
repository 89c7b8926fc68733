"""Absences from curfews in simulated towns: those raised that never were, those that were and were not raised."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from alerts.alert import Alert
from engine.activations import Activations
from engine.times import MINUTE_US, parse_time
from geofence.curfew import read_curfews
from geofence.schedule import Interval
from geofence.zone import read_zones
from tagwatch.monitor import Conditions
from tagwatch.replay import replay
from tagwatch.simulate.world import simulate

RULES = ("curfew.start", "curfew.late", "curfew.left", "curfew.end", "curfew.absent")
MARGIN_US = 2 * MINUTE_US
"""An absence need not be found that is longer than the grace by less than two fixes."""


class Absences(NamedTuple):
    """Counts over towns: curfew windows, absences raised that overlap no true one, true ones over the grace, those found."""

    n_windows: int
    n_false: int
    n_true: int
    n_found: int


def absences(seeds: Iterable[int], wearers: int = 60, days: int = 4) -> Absences:
    """The counts over the towns of these seeds, by the product's own replay."""
    return Absences(*(sum(each) for each in zip(*(_of_town(seed, wearers, days) for seed in seeds), strict=True)))


def _of_town(seed: int, wearers: int, days: int) -> Absences:
    world = simulate(wearers, days, seed)
    curfews = read_curfews(world.curfews)
    conditions = Conditions(read_zones(world.zones), curfews, Activations(world.activations))
    raised: dict[str, list[Interval]] = {}
    for alert in replay(world.fixes, conditions, int(world.fixes.time_us.max())).alerts:
        if alert.rule in RULES:
            raised.setdefault(alert.subject, []).append(span_of(alert, world.end_us))
    away: dict[str, list[Interval]] = {}
    for kept in world.truth.curfews:
        away.setdefault(kept.curfew, []).extend(kept.away)
    grace_us = {curfew.id: curfew.grace_us for curfew in curfews}
    true = [
        (name, span) for name, spans in away.items() for span in spans if span[1] - span[0] > grace_us[name] + MARGIN_US
    ]
    n_false = sum(not meets(span, away.get(name, [])) for name, spans in raised.items() for span in spans)
    return Absences(
        len(world.truth.curfews), n_false, len(true), sum(meets(span, raised.get(name, [])) for name, span in true)
    )


def span_of(alert: Alert, end_us: int) -> Interval:
    """From when to when an alert says, to `end_us` where it is open."""
    return parse_time(alert.began), parse_time(alert.ended) if alert.ended else end_us


def meets(span: Interval, others: Iterable[Interval]) -> bool:
    """Whether an interval has time in common with any of the others."""
    return any(start < span[1] and span[0] < end for start, end in others)
