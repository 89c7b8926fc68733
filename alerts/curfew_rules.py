"""The rules of curfews: what an absence in a window is, and windows that nobody could verify."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from alerts.alert import ALGORITHM, GRADES, Alert, AlertFix, iso, on_grid
from alerts.curfew_absences import Absence, Night, Stretch, absences_of, nights_of
from alerts.evidence import Scene, after, chosen, deciding_rows, device_of, listed, rows_within, settled_to_us, why
from engine.times import DAY_US, MINUTE_US, to_datetime
from geofence.curfew import Curfew
from geofence.curfew_windows import windows_of
from geofence.episodes import Episode, episodes, speaks_at_us
from geofence.filter import UNKNOWN
from geofence.schedule import Interval, time_zone

LOOK_AHEAD_US = 8 * DAY_US

_TEXTS = {
    "curfew.start": "Out when the curfew began at {start}",
    "curfew.late": "Out when the curfew began at {start}; came home late",
    "curfew.left": "Left home during the curfew of {start} to {end}",
    "curfew.end": "Left home during the curfew and out when it ended at {end}",
    "curfew.absent": "Out for the whole curfew of {start} to {end}",
}
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LOST = "; nobody can say where the wearer was when it ended"


class Versions(NamedTuple):
    """The versions of one curfew, oldest first, and the scene of each."""

    curfews: tuple[Curfew, ...]
    scenes: Sequence[Scene]

    @property
    def now(self) -> Scene:
        """A scene for what all share: the trail, the instant."""
        return self.scenes[-1]


def curfew_alerts(scenes: Sequence[Scene], monitored: Sequence[Interval], due: list[int]) -> list[Alert]:
    """The alerts of one curfew as of the scenes' instant, from the scenes of all its versions, oldest first; instants at which
    they may change are put into `due`.

    monitored are the intervals in which the wearer wore an activated device: nothing is expected outside of them. Looked at are
    the windows that end at the scenes' since_us or after it; alerts that ended before it are left out.
    """
    if not monitored:
        return []
    curfews = tuple(scene.slot.subject.of for scene in scenes if isinstance(scene.slot.subject.of, Curfew))
    versions, as_of, since = Versions(curfews, scenes), scenes[0].as_of_us, scenes[0].since_us
    states = [_episodes(scene, monitored[0][0]) for scene in scenes]
    due += [speaks_at_us(scene.slot, scene.watch) + 1 for scene in scenes]
    due += [instant for start, end in monitored for instant in (start + 1, end)]
    ahead = windows_of(curfews, as_of, as_of + LOOK_AHEAD_US)[:2]
    due += [instant for window in ahead for part in window.parts for instant in (part.start_us + 1, part.end_us)]
    due.append(as_of + LOOK_AHEAD_US)
    windows = windows_of(curfews, min(as_of, max(monitored[0][0], since - 1)), as_of)
    found: list[Alert] = []
    for night in nights_of(windows, monitored, states, as_of):
        found += _absence_alerts(versions, night, due) + _unverified_alerts(versions, night, due)
    return found


def _episodes(scene: Scene, monitored_from_us: int) -> list[Episode]:
    """The episodes of a version, unknown from the beginning on."""
    every = episodes(scene.slot, scene.trail, scene.watch, scene.as_of_us)
    if not every or every[0].start_us > monitored_from_us:
        every.insert(0, Episode(UNKNOWN, monitored_from_us, every[0].start_us if every else 2**62))
    return every


def _absence_alerts(versions: Versions, night: Night, due: list[int]) -> list[Alert]:
    """An alert for each absence that lasted longer than the grace of the version that held when it began."""
    found = []
    for absence in absences_of(night):
        grace_us = versions.curfews[absence.out[0].version].grace_us
        if absence.away_us > grace_us:
            active = not absence.returned and not night.over
            if active or absence.end_us >= versions.now.since_us:
                found.append(
                    _settled(versions, night, absence, partial(_absence_alert, versions, night, absence, grace_us))
                )
        elif absence.out[-1].episode.end_us == night.as_of_us and not night.over:
            due.append(night.as_of_us + grace_us - absence.away_us + 1)
    return found


def _unverified_alerts(versions: Versions, night: Night, due: list[int]) -> list[Alert]:
    """An alert where more of a window than the limit is unknown; the limit is that of the version that held when it began."""
    scene, unknown = versions.now, night.unknown
    limit_us = versions.curfews[night.window.parts[0].version].unverified_us
    unknown_us = sum(stretch.length_us for stretch in unknown)
    if unknown_us > limit_us:
        active = not night.over and unknown[-1].episode.end_us >= night.as_of_us
        if not active and unknown[-1].episode.end_us < scene.since_us:
            return []
        return [_settled(versions, night, unknown, partial(_unverified_alert, versions, night, unknown_us, limit_us))]
    if unknown and unknown[-1].episode.end_us == night.as_of_us and not night.over:
        due.append(night.as_of_us + limit_us - unknown_us + 1)
    elif not night.over:
        due.append(min(speaks_at_us(s.slot, s.watch) for s in versions.scenes) + limit_us - unknown_us + 2)
    return []


def _settled(versions: Versions, night: Night, what: Hashable, write: Callable[[], Alert]) -> Alert:
    """The alert of a window that is over, for the fixes too, is written once."""
    scene = versions.now
    slots = tuple(versions.scenes[part.version].slot.number for part in night.window.parts)
    key = (slots, night.window, night.whole, what)
    alert: Alert | None = scene.settled.get(key)
    if alert is None:
        alert = write()
        if settled_to_us(scene) >= night.window.end_us:
            scene.settled[key] = alert
    return alert


def _absence_alert(versions: Versions, night: Night, absence: Absence, grace_us: int) -> Alert:
    as_of, out, rule = night.as_of_us, absence.out, absence.rule
    active = not absence.returned and not night.over
    first, strongest = out[0], max(out, key=lambda s: (s.episode.posterior, -s.episode.start_us))
    curfew, scene = versions.curfews[first.version], versions.scenes[first.version]
    # an episode that goes on at the instant has its newest fix at it
    rows = _rows(scene, [(s, (s.episode.start_us, s.episode.end_us + (s.episode.end_us == as_of and active))) for s in out])
    text = _TEXTS[rule].format(start=_local(night.whole[0], curfew), end=_local(night.whole[1], curfew))
    if rule == "curfew.start" and active:
        text += " and still out"
    elif not active and not absence.returned and not absence.at_end:
        text += _LOST
    return Alert(
        wearer=scene.trail.wearer, device=device_of(scene, [row for row, _ in rows], first.episode), rule=rule,
        subject=curfew.id, grade=GRADES[rule], condition="active" if active else "cleared",
        began=iso(first.episode.start_us), began_after=after(scene, first.episode),
        ended=None if active else iso(absence.end_us), posterior=on_grid(strongest.episode.posterior),
        minutes=round(absence.away_us / MINUTE_US, 3), n_fixes=len(rows), fixes=_listed(versions, rows, out),
        why=why(
            versions.scenes[strongest.version], strongest.episode, text,
            window=[iso(night.window.start_us), iso(night.window.end_us)], grace_minutes=grace_us / MINUTE_US,
            minutes_away_in_window=round(absence.away_in_window_us / MINUTE_US, 3), unknown_since=None,
            **_several(versions, out),
        ),
    )  # fmt: skip


def _unverified_alert(versions: Versions, night: Night, unknown_us: int, limit_us: int) -> Alert:
    unknown, first = night.unknown, night.window.parts[0].version
    scene, curfew = versions.scenes[first], versions.curfews[first]
    active = not night.over and unknown[-1].episode.end_us >= night.as_of_us
    start, end = _local(night.whole[0], curfew), _local(night.whole[1], curfew)
    text = f"Nobody can say where the wearer was for {unknown_us / MINUTE_US:.0f} minutes of the curfew of {start} to {end}"
    last = max(unknown, key=lambda s: s.episode.began_row)
    row = last.episode.began_row
    return Alert(
        wearer=scene.trail.wearer, device=device_of(scene, [], unknown[0].episode), rule="curfew.unverified",
        subject=curfew.id, grade=GRADES["curfew.unverified"], condition="active" if active else "cleared",
        began=iso(unknown[0].episode.start_us), began_after=None,
        ended=None if active else iso(unknown[-1].episode.end_us), posterior=0.0,
        minutes=round(unknown_us / MINUTE_US, 3), n_fixes=0,
        fixes=listed(versions.scenes[last.version], [row] if row >= 0 else []),
        why={
            "text": text, "window": [iso(night.window.start_us), iso(night.window.end_us)],
            "limit_minutes": limit_us / MINUTE_US, "subject_version": curfew.version, "algorithm": ALGORITHM,
            "unknown_since": None, **_several(versions, unknown),
        },
    )  # fmt: skip


def _rows(scene: Scene, stretches: Sequence[tuple[Stretch, Interval]]) -> list[tuple[int, int]]:
    """The rows of fixes with weight within the stretches, and the version that each belongs to."""
    return [(row, stretch.version) for stretch, span in stretches for row in rows_within(scene, [span])]


def _listed(versions: Versions, rows: Sequence[tuple[int, int]], out: Sequence[Stretch]) -> list[AlertFix]:
    """The fixes that the alert lists, each with the probability that it was at the places of its own version."""
    shown = set(chosen([row for row, _ in rows], deciding_rows([s.episode for s in out])))
    fixes: list[AlertFix] = []
    for version, group in groupby(rows, key=lambda r: r[1]):
        fixes += listed(versions.scenes[version], [row for row, _ in group if row in shown])
    return fixes


def _several(versions: Versions, stretches: Sequence[Stretch]) -> dict[str, Any]:
    """The versions that decided, where more than one did."""
    numbers = sorted({stretch.version for stretch in stretches})
    return {"versions": [versions.curfews[k].version for k in numbers]} if len(numbers) > 1 else {}


def _local(time_us: int, curfew: Curfew) -> str:
    """Local wall time in words of our own: content must not depend on the locale of the machine."""
    local = to_datetime(time_us).astimezone(time_zone(curfew.schedule.timezone))
    return f"{_WEEKDAYS[local.weekday()]} {local.day:02d} {_MONTHS[local.month - 1]} {local.hour:02d}:{local.minute:02d}"
