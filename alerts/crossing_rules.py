"""The rule zone.crossed: the straight way between two fixes that are both outside an exclusion zone leads through it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from alerts.alert import ALGORITHM, GRADES, Alert, iso, on_grid
from alerts.crossing_search import Passage, outside_of, passages
from alerts.evidence import Scene, chosen, listed
from alerts.zone_rules import MERGE_GAP_US
from engine import flags
from engine.kernels import distance_m
from geofence.crossing import CLEAR_SHARE
from geofence.detour import least_way_m
from geofence.zone import Zone

RULE = "zone.crossed"


def crossing_alerts(scene: Scene, breaches: Sequence[Alert]) -> list[Alert]:
    """The zone.crossed alerts of one version of a zone as of the scene's instant. Time alone never changes them.

    A passage counts where the zone is in force from fix to fix, and no breach of it (`breaches` are its zone.exclusion alerts)
    is on record for any of that time.
    """
    zone = scene.slot.subject.of
    if scene.slot.subject.kind != "exclusion" or not isinstance(zone, Zone):
        return []
    sure = scene.watch.settings.raise_at
    found = [p for p in passages(scene) if on_grid(p.posterior) >= sure and _is_known(scene, p) and _in_force(zone, p)]
    if not found:
        return []
    free = outside_of(found, breaches)
    return [_alert(scene, zone, group) for group in _joined(free) if group[-1].left_us >= scene.since_us]


def _is_known(scene: Scene, passage: Passage) -> bool:
    """Whether the fix that confirms the passage is past."""
    return int(scene.trail.column("time_us")[passage.after]) <= scene.as_of_us


def _in_force(zone: Zone, passage: Passage) -> bool:
    whole = (passage.start_us, passage.end_us)
    return whole in zone.in_force(*whole)


def _joined(free: Sequence[Passage]) -> list[list[Passage]]:
    """Passages that begin less than the merge gap after the one before ended are one alert."""
    groups: list[list[Passage]] = []
    for passage in free:
        if groups and passage.entered_us - groups[-1][-1].left_us < MERGE_GAP_US:
            groups[-1].append(passage)
        else:
            groups.append([passage])
    return groups


def _alert(scene: Scene, zone: Zone, group: list[Passage]) -> Alert:
    sure, strongest = scene.watch.settings.raise_at, max(group, key=lambda p: (p.posterior, -p.start_us))
    rows = sorted({row for p in group for row in (p.before, p.start, *_between(scene, p), p.end, p.after)})
    told = [_told(scene, p) for p in group]
    return Alert(
        wearer=scene.trail.wearer, device=scene.devices[int(scene.trail.column("device")[group[0].start])], rule=RULE,
        subject=zone.id, grade=GRADES[RULE], condition="cleared", began=iso(group[0].entered_us),
        began_after=iso(group[0].start_us), ended=iso(group[-1].left_us), posterior=on_grid(strongest.posterior), minutes=0.0,
        n_fixes=len(rows),
        fixes=listed(scene, chosen(rows, [row for p in group for row in (p.start, *_between(scene, p), p.end)])),
        why={
            "text": _text(zone, group, told[0]),
            "decided_at": iso(int(scene.trail.column("time_us")[strongest.after])),
            "threshold": sure, "margin": on_grid(strongest.posterior - sure), "clear_share": CLEAR_SHARE,
            "subject_version": zone.version, "algorithm": ALGORITHM, "zone": zone.name, "crossings": told,
        },
    )  # fmt: skip


def _between(scene: Scene, passage: Passage) -> list[int]:
    """The rows with weight between the two fixes: inside the zone, or too near to it to tell."""
    bits = scene.trail.column("flags")[passage.start + 1 : passage.end]
    return [passage.start + 1 + int(k) for k in np.flatnonzero((bits & flags.WEIGHTLESS) == 0)]


def _told(scene: Scene, passage: Passage) -> dict[str, Any]:
    """What is known of one passage; the speed needed is rounded down, so that it never says too much."""
    column, i, j = scene.trail.column, passage.start, passage.end
    lat, lon, exclusion_m = column("lat_e7"), column("lon_e7"), column("exclusion_m")
    gap_s = (passage.end_us - passage.start_us) / 1e6
    way_m = distance_m(lat[i], lon[i], lat[j], lon[j])
    needed_m = least_way_m(
        lon[i], lat[i], exclusion_m[i], lon[j], lat[j], exclusion_m[j], scene.slot.subject.place, scene.watch.places
    )
    return {
        "class": "crossed", "from": iso(passage.start_us), "to": iso(passage.end_us), "gap_s": gap_s,
        "n_between": len(_between(scene, passage)),
        "way_m": round(way_m, 3), "inside_m": round(passage.share * way_m, 3), "speed_mps": round(way_m / gap_s, 2),
        "required_mps": math.floor(needed_m / gap_s * 100.0) / 100.0,
        "entered_about": iso(passage.entered_us), "left_about": iso(passage.left_us), "posterior": on_grid(passage.posterior),
    }  # fmt: skip


def _text(zone: Zone, group: list[Passage], first: dict[str, Any]) -> str:
    text = f"The straight way between two fixes outside exclusion zone {zone.name}, {first['gap_s']:.0f} s apart, "
    text += f"runs {'less than 1' if first['inside_m'] < 1 else format(first['inside_m'], '.0f')} m through it: "
    text += "probable if the way was straight, not a certain entry"
    if n := first["n_between"]:
        text += f"; {n} {'fix' if n == 1 else 'fixes'} between them inside it or too near to tell"
    return text if len(group) == 1 else f"{text}; the first of {len(group)} such ways less than 30 minutes apart"
