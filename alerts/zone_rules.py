"""The rules of zones while they are in force: zone.exclusion (was inside), zone.inclusion (was outside), zone.buffer (was in
the ring about an exclusion zone, or in it)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from alerts.alert import GRADE_ORDER, GRADES, Alert, iso, lower_grade, on_grid
from alerts.evidence import Scene, after, chosen, deciding_rows, device_of, listed, rows_within, settled_to_us, why
from engine.times import DAY_US, MINUTE_US
from geofence.episodes import OPEN_US, Episode, episodes, speaks_at_us
from geofence.filter import IN, OUT, SINGLE, UNKNOWN
from geofence.zone import Zone

MERGE_GAP_US = 30 * MINUTE_US
LOOK_AHEAD_US = 8 * DAY_US


class Breach(NamedTuple):
    """A stretch in the wrong state, unknown time within it included; `wrong` are its episodes in that state, by the version of
    the zone with this number."""

    start_us: int
    end_us: int
    wrong: tuple[Episode, ...]
    version: int
    unknown_since_us: int | None = None


def zone_alerts(scenes: Sequence[Scene], due: list[int]) -> list[Alert]:
    """The alerts of one wearer and zone as of the scenes' instant; instants at which they may change are put into `due`.

    The scenes are those of the zone's versions, oldest first: a breach that goes on when a version is replaced is one alert.
    """
    breaches = [breach for k, scene in enumerate(scenes) for breach in _in_force(k, scene, due)]
    breaches.sort(key=lambda b: (b.start_us, b.version))
    since_us = scenes[0].since_us
    return [_settled_alert(scenes, group) for group in _joined(breaches) if group[-1].end_us >= since_us]


def is_wrong(scene: Scene) -> tuple[int, ...]:
    """The states that are a breach of what the scene is about."""
    return (IN, SINGLE) if scene.slot.subject.kind in ("exclusion", "buffer") else (OUT,)


def _in_force(version: int, scene: Scene, due: list[int]) -> Iterable[Breach]:
    """The breaches of one version of a zone, as far as it is in force."""
    zone, as_of = scene.slot.subject.of, scene.as_of_us
    assert isinstance(zone, Zone)
    every = episodes(scene.slot, scene.trail, scene.watch, as_of)
    due.append(speaks_at_us(scene.slot, scene.watch) + 1)
    breaches = list(_breaches(every, is_wrong(scene), version))
    if not breaches:
        return
    horizon = as_of + LOOK_AHEAD_US
    # what begins at an instant shows just after it, what ends there at it; what begins now too
    edges = [edge for start, end in zone.in_force(as_of - 1, horizon)[:3] for edge in (start + 1, end)]
    due += [edge for edge in edges if as_of < edge < horizon]
    windows = [window for window in zone.in_force(breaches[0].start_us, horizon) if window[0] < as_of]
    for breach in breaches:
        for window in windows:
            if (cut := _cut(breach, *window)) is not None:
                yield cut


def _breaches(every: Iterable[Episode], wrong: tuple[int, ...], version: int) -> Iterable[Breach]:
    """Runs of wrong episodes; unknown ones neither begin nor end a run, a decided contrary one ends it."""
    run: list[Episode] = []
    unknown_since: int | None = None
    for episode in every:
        if episode.state in wrong:
            run.append(episode)
            unknown_since = None
        elif episode.state == UNKNOWN:
            unknown_since = episode.start_us
        elif run:
            yield Breach(run[0].start_us, episode.start_us, tuple(run), version)
            run, unknown_since = [], None
        if run and episode.end_us == OPEN_US:
            yield Breach(run[0].start_us, OPEN_US, tuple(run), version, unknown_since)


def _cut(breach: Breach, start_us: int, end_us: int) -> Breach | None:
    """The part of a breach within a window in force, None where no wrong episode reaches into it."""
    within = tuple(
        e._replace(start_us=max(e.start_us, start_us), end_us=min(e.end_us, end_us))
        for e in breach.wrong
        if e.start_us < end_us and e.end_us > start_us
    )
    if not within:
        return None
    return breach._replace(start_us=within[0].start_us, end_us=min(breach.end_us, end_us), wrong=within)


def _joined(breaches: list[Breach]) -> list[list[Breach]]:
    """Breaches that begin less than the merge gap after the one before ended are one alert."""
    groups: list[list[Breach]] = []
    for breach in breaches:
        if groups and breach.start_us - groups[-1][-1].end_us < MERGE_GAP_US:
            groups[-1].append(breach)
        else:
            groups.append([breach])
    return groups


def _settled_alert(scenes: Sequence[Scene], group: list[Breach]) -> Alert:
    scene = scenes[group[0].version]
    if group[-1].end_us > settled_to_us(scene):
        return _alert(scenes, group)
    key = (scene.slot.number, *group)
    alert: Alert | None = scene.settled.get(key)
    if alert is None:
        alert = scene.settled[key] = _alert(scenes, group)
    return alert


class _Part(NamedTuple):
    """What one version of the zone has in an alert: its scene, its episodes in the wrong state, its rows with weight."""

    scene: Scene
    wrong: list[Episode]
    rows: list[int]


def _parts(scenes: Sequence[Scene], group: list[Breach]) -> list[_Part]:
    """The parts of a group by version, oldest first; each row belongs to one."""
    parts, seen = [], set[int]()
    for k in sorted({breach.version for breach in group}):
        wrong = [e for breach in group if breach.version == k for e in breach.wrong]
        rows = rows_within(scenes[k], [(e.start_us, min(e.end_us, scenes[k].as_of_us + 1)) for e in wrong])
        parts.append(_Part(scenes[k], wrong, [row for row in rows if row not in seen]))
        seen.update(rows)
    return parts


def _alert(scenes: Sequence[Scene], group: list[Breach]) -> Alert:
    parts = _parts(scenes, group)
    scene, as_of, active = scenes[group[0].version], scenes[0].as_of_us, group[-1].end_us > scenes[0].as_of_us
    wrong = [e for part in parts for e in part.wrong]
    part, strongest = max(((p, e) for p in parts for e in p.wrong), key=lambda pe: (pe[1].posterior, -pe[1].start_us))
    zone, rows = part.scene.slot.subject.of, [row for p in parts for row in p.rows]
    assert isinstance(zone, Zone)
    alone = all(e.state == SINGLE for e in wrong)
    kind = scene.slot.subject.kind
    grade = max((_grade(p.scene) for p in parts), key=GRADE_ORDER.index)
    unknown = group[-1].unknown_since_us if active else None
    # One lone fix says nothing of time, and after it silence speaks: unknown time is not time in breach.
    timed = [(e.start_us, min(e.end_us, as_of)) for e in wrong if e.state != SINGLE and e.start_us < as_of]
    minutes = sum(end - start for start, end in timed) / MINUTE_US
    shown = set(chosen(rows, deciding_rows(wrong)))
    more = {} if len(parts) == 1 else {"versions": [p.scene.slot.subject.of.version for p in parts]}
    return Alert(
        wearer=scene.trail.wearer, device=device_of(scene, rows, wrong[0]), rule=f"zone.{kind}", subject=zone.id,
        grade=lower_grade(grade) if alone else grade, condition="active" if active else "cleared",
        began=iso(group[0].start_us), began_after=after(scene, wrong[0]),
        ended=None if active else iso(group[-1].end_us), posterior=on_grid(strongest.posterior),
        minutes=round(minutes, 3), n_fixes=len(rows),
        fixes=[fix for p in parts for fix in listed(p.scene, [row for row in p.rows if row in shown])],
        why=why(
            part.scene, strongest, _text(zone, kind, len(wrong), alone, unknown), zone=zone.name, entries=len(group),
            unknown_since=None if unknown is None else iso(unknown), **more,
        ),
    )  # fmt: skip


def _grade(scene: Scene) -> str:
    zone = scene.slot.subject.of
    assert isinstance(zone, Zone)
    return GRADES["zone.buffer"] if scene.slot.subject.kind == "buffer" else zone.grade or GRADES[f"zone.{zone.kind}"]


def _text(zone: Zone, kind: str, n_episodes: int, alone: bool, unknown_since_us: int | None) -> str:
    what = {
        "inclusion": f"Outside inclusion zone {zone.name}", "exclusion": f"Inside exclusion zone {zone.name}",
        "buffer": f"Within {zone.buffer_m:g} m of exclusion zone {zone.name}, or in it",
    }[kind]  # fmt: skip
    if alone:
        return f"{what}: a single fix deep inside, and nothing after it; one grade lower for that reason"
    text = what if n_episodes == 1 else f"{what}, in {n_episodes} stretches less than 30 minutes apart or with gaps between"
    return f"{text}; unknown since {iso(unknown_since_us)}" if unknown_since_us is not None else text
