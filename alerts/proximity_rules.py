"""The rule zone.proximity: a wearer was near a protected person, whose zone moves with her own tag or phone.

The alert is the wearer's. It lists his fixes only and says of her no more than her identifier, the distance, and how old her
position was.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.alert import ALGORITHM, GRADE_ORDER, GRADES, Alert, AlertFix, iso, on_grid
from alerts.evidence import chosen
from alerts.zone_rules import LOOK_AHEAD_US, MERGE_GAP_US
from engine.activations import Activation
from engine.fixes import ABSENT, SOURCE_NAMES
from engine.times import MINUTE_US, SECOND_US
from engine.trail import Trail
from geofence.check import FilterSettings
from geofence.closeness import news_of
from geofence.evidence import LEAST_EVIDENCE
from geofence.filter import gained, relaxed
from geofence.meetings import Meeting, Memory, Near, follow_pair, memory_at, spans
from geofence.proximity import Proximity

RULE = "zone.proximity"


class PairScene(NamedTuple):
    """What the rule looks at: one version of a condition, both trails, as of an instant.

    `plans` are activations of both people (others do no harm): their fix intervals say when a position is stale. Alerts that
    ended before `since_us` are not asked for. `memory` stands for all rows before its end (`remember_pairs`).
    """

    condition: Proximity
    trail: Trail
    protected: Trail
    devices: tuple[str, ...]
    settings: FilterSettings
    as_of_us: int
    plans: Sequence[Activation] = ()
    since_us: int = -(2**62)
    memory: Memory | None = None

    @property
    def pair(self) -> tuple[Proximity, Trail, Trail, FilterSettings, Sequence[Activation]]:
        """What makes the meetings, whatever the instant."""
        return self.condition, self.trail, self.protected, self.settings, self.plans


class _Part(NamedTuple):
    """A meeting, or what of it lies in one window in force, by one version of the condition."""

    version: int
    scene: PairScene
    compared: NDArray[Any]
    meeting: Meeting


def proximity_alerts(scenes: Sequence[PairScene], due: list[int]) -> list[Alert]:
    """The zone.proximity alerts of one condition as of the scenes' instant; instants at which they may change go into `due`.

    The scenes are those of its versions, oldest first: a meeting that goes on when a version is replaced is one alert.
    """
    parts = [part for k, scene in enumerate(scenes) for part in _in_force(k, scene, due)]
    parts.sort(key=lambda part: (part.meeting.start_us, part.version))
    return [_alert(group) for group in _joined(parts) if group[-1].meeting.end_us >= scenes[0].since_us]


def remember_pairs(scenes: Sequence[PairScene]) -> list[Memory]:
    """Of each version of one condition a memory; rows before their common `until_us` may go from all their trails.

    It is as late as it can be, since_us or before: no alert that ends at since_us or later, or is still to join one, begins
    before it. A new version, or a fix before it, asks for the whole trails again.
    """
    until_us, memory = scenes[0].since_us, scenes[0].memory
    every = [span for scene in scenes for span in spans(*scene.pair, until_us, scene.memory)]
    for start_us, end_us in sorted(every, key=lambda span: -span[1]):
        if end_us > until_us - MERGE_GAP_US:
            until_us = min(until_us, start_us)
    if memory and until_us <= memory.until_us:
        return [scene.memory for scene in scenes if scene.memory]
    return [memory_at(*scene.pair, until_us, scene.memory) for scene in scenes]


def _in_force(version: int, scene: PairScene, due: list[int]) -> Iterable[_Part]:
    """The meetings of one version, as far as it is in force."""
    as_of = scene.as_of_us
    done = follow_pair(*scene.pair, as_of, scene.memory)
    due.append(done.speaks_us + 1)
    if not done.meetings:
        return
    horizon = as_of + LOOK_AHEAD_US
    # what begins at an instant shows just after it, what ends there at it; what begins now too
    edges = [edge for start, end in scene.condition.in_force(as_of - 1, horizon)[:3] for edge in (start + 1, end)]
    due += [edge for edge in edges if as_of < edge < horizon]
    windows = [window for window in scene.condition.in_force(done.meetings[0].start_us, horizon) if window[0] < as_of]
    for meeting in done.meetings:
        for window in windows:
            if (cut := _cut(meeting, *window)) is not None:
                yield _Part(version, scene, done.compared, cut)


def _cut(meeting: Meeting, start_us: int, end_us: int) -> Meeting | None:
    """The part of a meeting within a window, None where they are never near in it."""
    near = tuple(
        stretch._replace(start_us=max(stretch.start_us, start_us), end_us=min(stretch.end_us, end_us))
        for stretch in meeting.near
        if stretch.start_us < end_us and stretch.end_us > start_us
    )
    if not near:
        return None
    return meeting._replace(start_us=near[0].start_us, end_us=min(meeting.end_us, end_us), near=near)


def _joined(parts: list[_Part]) -> list[list[_Part]]:
    """Meetings that begin less than the merge gap after the one before ended are one alert."""
    groups: list[list[_Part]] = []
    for part in parts:
        if groups and part.meeting.start_us - groups[-1][-1].meeting.end_us < MERGE_GAP_US:
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _alert(group: list[_Part]) -> Alert:
    scene, last = group[0].scene, group[-1].meeting
    as_of, active = scene.as_of_us, last.end_us > scene.as_of_us
    every = [(part, near) for part in group for near in part.meeting.near]
    part, strongest = max(every, key=lambda pn: (pn[1].posterior, -pn[1].start_us))
    shown = _shown(every, as_of)
    first, condition = every[0][1], part.scene.condition
    minutes = sum(min(n.end_us, as_of) - n.start_us for _, n in every if n.start_us < as_of) / MINUTE_US
    unknown = last.unknown_since_us if active else None
    kept = set(chosen(list(shown), [row for row in shown if _decides(row, scene.trail, [n for _, n in every])]))
    return Alert(
        wearer=scene.trail.wearer, device=_device(scene, shown, first), rule=RULE, subject=condition.id,
        grade=max((p.scene.condition.grade or GRADES[RULE] for p in group), key=GRADE_ORDER.index),
        condition="active" if active else "cleared", began=iso(first.start_us),
        began_after=None if first.after_us is None else iso(first.after_us), ended=None if active else iso(last.end_us),
        posterior=on_grid(strongest.posterior), minutes=round(minutes, 3), n_fixes=len(shown),
        fixes=_listed(scene.trail, {row: p for row, p in shown.items() if row in kept}),
        why=_why(group, part, strongest, unknown),
    )  # fmt: skip


def _shown(every: Sequence[tuple[_Part, Near]], as_of_us: int) -> dict[int, float]:
    """By row of the wearer's trail P(near), of his fixes that were compared while they were near."""
    found: dict[int, float] = {}
    for part, near in every:
        rows = _while(part.compared, near.start_us, min(near.end_us, as_of_us + 1))
        rows = rows[rows["row"] >= 0]
        found |= dict(zip(rows["row"].tolist(), rows["p"].tolist(), strict=True))
    return dict(sorted(found.items()))


def _while(compared: NDArray[Any], start_us: int, end_us: int) -> NDArray[Any]:
    """The comparisons of [start_us, end_us)."""
    low, high = np.searchsorted(compared["time_us"], (start_us, end_us), side="left")
    return compared[low:high]


def _decides(row: int, trail: Trail, every: Sequence[Near]) -> bool:
    time_us = int(trail.column("time_us")[row])
    return any(near.run_us <= time_us <= near.decided_us for near in every)


def _device(scene: PairScene, shown: dict[int, float], first: Near) -> str:
    """The device of the first of the wearer's fixes that carries the alert, else of his last one before it."""
    row = next(iter(shown), int(np.searchsorted(scene.trail.column("time_us"), first.decided_us, side="right")) - 1)
    return scene.devices[int(scene.trail.column("device")[row])] if row >= 0 else ""


def _listed(trail: Trail, by_row: dict[int, float]) -> list[AlertFix]:
    rows = list(by_row)
    columns = [trail.column(name)[rows].tolist() for name in ("time_us", "lat_e7", "lon_e7", "accuracy_cm", "source")]
    return [
        AlertFix(iso(t), lat / 1e7, lon / 1e7, None if acc == ABSENT else acc / 100, SOURCE_NAMES[source], on_grid(p))
        for t, lat, lon, acc, source, p in zip(*columns, by_row.values(), strict=True)
    ]


def _why(group: Sequence[_Part], part: _Part, strongest: Near, unknown_us: int | None) -> dict[str, Any]:
    condition, settings = part.scene.condition, part.scene.settings
    left = without_strongest(part.compared, strongest, settings)
    every = [(p.compared, near) for p in group for near in p.meeting.near]
    stretches = [_while(compared, n.start_us, min(n.end_us, part.scene.as_of_us + 1)) for compared, n in every]
    closest = min(((float(c["apart_m"]), int(c["time_us"])) for s in stretches for c in _closest(s)), default=None)
    versions = list(dict.fromkeys(p.scene.condition.version for p in group))
    return {
        "text": _text(group, condition, unknown_us), "protected": condition.protected, "radius_m": condition.radius_m,
        "distance_m": round(strongest.apart_m, 3) if math.isfinite(strongest.apart_m) else None,
        "partner_age_s": strongest.age_us / SECOND_US,
        "closest_m": None if closest is None else round(closest[0], 3),
        "closest_at": None if closest is None else iso(closest[1]),
        "decided_at": iso(strongest.decided_us), "threshold": settings.raise_at,
        "margin": on_grid(strongest.posterior - settings.raise_at),
        "posterior_without_strongest_fix": None if left is None else on_grid(left),
        "subject_version": condition.version, "algorithm": ALGORITHM, "entries": len(group),
        "unknown_since": None if unknown_us is None else iso(unknown_us),
        **({} if len(versions) == 1 else {"versions": versions}),
    }  # fmt: skip


def _closest(stretch: NDArray[Any]) -> NDArray[Any]:
    """The comparison with the least distance, the first of them; none of none."""
    return stretch[[int(np.argmin(stretch["apart_m"]))]] if len(stretch) else stretch


def without_strongest(compared: NDArray[Any], near: Near, settings: FilterSettings) -> float | None:
    """The posterior of a stretch without the comparison of its deciding run that speaks loudest; None where it is alone."""
    run = _while(compared, near.run_us, near.decided_us + 1)
    run = run[np.abs(run["says"]) >= LEAST_EVIDENCE]
    if len(run) < 2:
        return None
    left = np.delete(run, int(np.argmax(np.abs(run["says"]))))
    log_odds, before_us, clearest = near.prior, int(left["time_us"][0]), 0.0
    for said in left:
        time_us, says = int(said["time_us"]), float(said["says"])
        dt_s = (time_us - before_us) * 1e-6
        news = news_of(said, dt_s, settings.correlation_s) if clearest else 1.0
        relaxing = relaxed(log_odds, settings.base_exclusion, dt_s, settings.relax_s)
        log_odds = gained(relaxing, says, news, clearest)
        before_us, clearest = time_us, max(clearest, abs(says))
    return 1.0 / (1.0 + math.exp(-log_odds))


def _text(group: Sequence[_Part], condition: Proximity, unknown_us: int | None) -> str:
    text = f"Within {condition.radius_m:g} m of {condition.protected}, who is protected"
    n = sum(len(part.meeting.near) for part in group)
    if n > 1:
        text += f", in {n} stretches less than 30 minutes apart or with gaps between"
    if unknown_us is None:
        return text
    return f"{text}; unknown since {iso(unknown_us)}, for no position of one or of both says more: that is not far"
