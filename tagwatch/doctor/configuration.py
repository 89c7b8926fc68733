"""Zones and curfews that cannot work: for nobody, or over. Which they are is not told here: `tagwatch zones list` does."""

from __future__ import annotations

from collections.abc import Iterator

from engine.times import DAY_US
from tagwatch import configuration
from tagwatch.doctor.finding import FAULT, OK, WARNING, Finding, Scene
from tagwatch.monitor import Conditions

_PART = "configuration"
_AHEAD_US = 366 * DAY_US


def examine(scene: Scene) -> Iterator[Finding]:
    """Counts by what is wrong with them."""
    assert scene.connection is not None
    settings, now_us = scene.settings, scene.now_us
    conditions = configuration.load(scene.connection, settings.filter_settings, settings.default_plan)
    known = {row.wearer for row in conditions.activations.rows}
    worn = {row.wearer for row in conditions.activations.rows if row.from_us <= now_us < row.to_us}
    zones = [zone for zone in conditions.zones if zone.holds[0] <= now_us < zone.holds[1]]
    curfews = [curfew for curfew in conditions.curfews if curfew.holds[0] <= now_us < curfew.holds[1]]
    if known:
        stray = [zone for zone in zones if zone.wearers != ("*",) and not set(zone.wearers) & worn]
        yield from _counted(
            len(stray), "zones are for nobody who wears a tag now", "import activations, or end these zones"
        )
        idle = [curfew for curfew in curfews if curfew.wearer not in worn]
        yield from _counted(
            len(idle), "curfews are of nobody who wears a tag now", "import activations, or end these curfews"
        )
    over = [zone for zone in zones if not zone.in_force(now_us, now_us + _AHEAD_US)]
    yield from _counted(len(over), "zones are never in force in the year to come", "end them, or correct their dates")
    spent = [curfew for curfew in curfews if not curfew.windows(now_us, now_us + _AHEAD_US)]
    yield from _counted(len(spent), "curfews have no window in the year to come", "end them, or correct their dates")
    if not worn and (zones or curfews) and known:
        yield Finding(_PART, FAULT, "nobody wears a tag, by the activations", "tagwatch activations import")
    yield Finding(_PART, OK, _told(conditions, len(zones), len(curfews), len(worn)))


def _counted(n: int, said: str, advice: str) -> Iterator[Finding]:
    if n:
        yield Finding(_PART, WARNING, f"{n:,} {said}", advice)


def _told(conditions: Conditions, n_zones: int, n_curfews: int, n_worn: int) -> str:
    who = f"{n_worn:,} wearers" if conditions.activations.rows else "every device is its own wearer"
    return f"{n_zones:,} zones, {n_curfews:,} curfews, {len(conditions.proximities):,} proximities, {who}"
