"""The rules of zones: zone.exclusion (was inside) and zone.inclusion (was outside), while the zone is in force."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from alerts.alert import GRADES, Alert, iso, lower_grade, on_grid
from alerts.evidence import Scene, after, chosen, deciding_rows, device_of, listed, rows_within, settled_to_us, why
from engine.times import DAY_US, MINUTE_US
from geofence.episodes import OPEN_US, Episode, episodes, speaks_at_us
from geofence.filter import IN, OUT, SINGLE, UNKNOWN
from geofence.zone import Zone

MERGE_GAP_US = 30 * MINUTE_US
LOOK_AHEAD_US = 8 * DAY_US


class Breach(NamedTuple):
    """A stretch in the wrong state, unknown time within it included; `wrong` are its episodes in that state."""

    start_us: int
    end_us: int
    wrong: tuple[Episode, ...]
    unknown_since_us: int | None = None


def zone_alerts(scene: Scene, due: list[int]) -> list[Alert]:
    """The alerts of one zone and wearer as of the scene's instant; instants at which they may change are put into `due`."""
    zone, as_of = scene.slot.subject.of, scene.as_of_us
    assert isinstance(zone, Zone)
    wrong = (OUT,) if zone.kind == "inclusion" else (IN, SINGLE)
    every = episodes(scene.slot, scene.trail, scene.watch, as_of)
    due.append(speaks_at_us(scene.slot, scene.watch) + 1)
    breaches = list(_breaches(every, wrong))
    if not breaches:
        return []
    horizon = as_of + LOOK_AHEAD_US
    windows = [window for window in zone.in_force(breaches[0].start_us, horizon) if window[0] < as_of]
    # what begins at an instant shows just after it, what ends there at it
    edges = [edge for start, end in zone.in_force(as_of, horizon)[:2] for edge in (start + 1, end)]
    due += [edge for edge in edges if as_of + 1 < edge < horizon]
    in_force = [cut for breach in breaches for window in windows if (cut := _cut(breach, *window)) is not None]
    return [_settled_alert(scene, zone, group) for group in _joined(in_force)]


def _breaches(every: Iterable[Episode], wrong: tuple[int, ...]) -> Iterable[Breach]:
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
            yield Breach(run[0].start_us, episode.start_us, tuple(run))
            run, unknown_since = [], None
        if run and episode.end_us == OPEN_US:
            yield Breach(run[0].start_us, OPEN_US, tuple(run), unknown_since)


def _cut(breach: Breach, start_us: int, end_us: int) -> Breach | None:
    """The part of a breach within a window in force, None where no wrong episode reaches into it."""
    within = tuple(
        e._replace(start_us=max(e.start_us, start_us), end_us=min(e.end_us, end_us))
        for e in breach.wrong
        if e.start_us < end_us and e.end_us > start_us
    )
    if not within:
        return None
    return Breach(within[0].start_us, min(breach.end_us, end_us), within, breach.unknown_since_us)


def _joined(breaches: list[Breach]) -> list[list[Breach]]:
    """Breaches that begin less than the merge gap after the one before ended are one alert."""
    groups: list[list[Breach]] = []
    for breach in breaches:
        if groups and breach.start_us - groups[-1][-1].end_us < MERGE_GAP_US:
            groups[-1].append(breach)
        else:
            groups.append([breach])
    return groups


def _settled_alert(scene: Scene, zone: Zone, group: list[Breach]) -> Alert:
    if group[-1].end_us > settled_to_us(scene):
        return _alert(scene, zone, group)
    key = (scene.slot.number, *group)
    alert: Alert | None = scene.settled.get(key)
    if alert is None:
        alert = scene.settled[key] = _alert(scene, zone, group)
    return alert


def _alert(scene: Scene, zone: Zone, group: list[Breach]) -> Alert:
    as_of, wrong = scene.as_of_us, [e for breach in group for e in breach.wrong]
    active = group[-1].end_us > as_of
    pieces = [(e.start_us, min(e.end_us, as_of + 1)) for e in wrong]
    rows = rows_within(scene, pieces)
    strongest = max(wrong, key=lambda e: (e.posterior, -e.start_us))
    alone = all(e.state == SINGLE for e in wrong)
    grade = zone.grade or GRADES[f"zone.{zone.kind}"]
    unknown = group[-1].unknown_since_us if active else None
    # One lone fix says nothing of time, and after it silence speaks: unknown time is not time in breach.
    timed = [(e.start_us, min(e.end_us, as_of)) for e in wrong if e.state != SINGLE and e.start_us < as_of]
    minutes = sum(end - start for start, end in timed) / MINUTE_US
    text = _text(zone, len(wrong), alone, unknown)
    return Alert(
        wearer=scene.trail.wearer, device=device_of(scene, rows, wrong[0]), rule=f"zone.{zone.kind}", subject=zone.id,
        grade=lower_grade(grade) if alone else grade, condition="active" if active else "cleared",
        began=iso(group[0].start_us), began_after=after(scene, wrong[0]),
        ended=None if active else iso(group[-1].end_us), posterior=on_grid(strongest.posterior),
        minutes=round(minutes, 3), n_fixes=len(rows), fixes=listed(scene, chosen(rows, deciding_rows(wrong))),
        why=why(
            scene, strongest, text, zone=zone.name, entries=len(group),
            unknown_since=None if unknown is None else iso(unknown),
        ),
    )  # fmt: skip


def _text(zone: Zone, n_episodes: int, alone: bool, unknown_since_us: int | None) -> str:
    what = f"Outside inclusion zone {zone.name}" if zone.kind == "inclusion" else f"Inside exclusion zone {zone.name}"
    if alone:
        return f"{what}: a single fix deep inside, and nothing after it; one grade lower for that reason"
    text = what if n_episodes == 1 else f"{what}, in {n_episodes} stretches less than 30 minutes apart or with gaps between"
    return f"{text}; unknown since {iso(unknown_since_us)}" if unknown_since_us is not None else text
