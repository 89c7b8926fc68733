"""The rules of curfews: what an absence in a window is, and windows that nobody could verify."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from alerts.alert import ALGORITHM, GRADES, Alert, iso, on_grid
from alerts.evidence import Scene, after, chosen, deciding_rows, device_of, listed, rows_within, settled_to_us, why
from engine.times import DAY_US, MINUTE_US, to_datetime
from geofence.curfew import Curfew
from geofence.episodes import Episode, episodes, speaks_at_us
from geofence.filter import IN, OUT, SINGLE, UNKNOWN
from geofence.schedule import Interval, time_zone

UNVERIFIED_US = 30 * MINUTE_US

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


class Window(NamedTuple):
    """The part of a curfew's window [start, end) in which the wearer was monitored, and the whole of it."""

    start_us: int
    end_us: int
    whole: Interval


class Absence(NamedTuple):
    """One absence in one window: its stretches out, whether it began before the window or with it, and how it ended."""

    out: tuple[Episode, ...]
    end_us: int
    from_start: bool
    returned: bool
    at_end: bool


def curfew_alerts(scene: Scene, monitored: Sequence[Interval], due: list[int]) -> list[Alert]:
    """The alerts of one curfew as of the scene's instant; instants at which they may change are put into `due`.

    monitored are the intervals in which the wearer wore an activated device: nothing is expected outside of them.
    """
    curfew, as_of = scene.slot.subject.of, scene.as_of_us
    assert isinstance(curfew, Curfew)
    if not monitored:
        return []
    every = episodes(scene.slot, scene.trail, scene.watch, as_of)
    due.append(speaks_at_us(scene.slot, scene.watch) + 1)
    for start, end in (*curfew.windows(as_of, as_of + 8 * DAY_US)[:2], *monitored):
        due += (start + 1, end)
    if not every or every[0].start_us > monitored[0][0]:
        every.insert(0, Episode(UNKNOWN, monitored[0][0], every[0].start_us if every else 2**62))
    begins = [e.start_us for e in every]
    found: list[Alert] = []
    for start, end in curfew.windows(monitored[0][0], as_of):
        for watched_from, watched_to in monitored:
            window = Window(max(start, watched_from), min(end, watched_to), (start, end))
            if window.start_us < min(window.end_us, as_of):
                first = max(0, bisect_right(begins, window.start_us) - 1)
                found += _window_alerts(scene, curfew, window, every[first : bisect_left(begins, end) + 2], due)
    return found


def _window_alerts(scene: Scene, curfew: Curfew, window: Window, every: list[Episode], due: list[int]) -> list[Alert]:
    """All alerts of one window [start, end)."""
    known_to = min(window.end_us, scene.as_of_us)
    within = [
        e._replace(start_us=max(e.start_us, window.start_us), end_us=min(e.end_us, known_to))
        for e in every
        if e.start_us < known_to and e.end_us > window.start_us
    ]
    found = []
    for absence in _absences(scene, window, within, every):
        away_us = sum(e.end_us - e.start_us for e in absence.out)
        if away_us > curfew.grace_us:
            found.append(_settled(scene, window, absence, partial(_absence_alert, scene, curfew, window, absence, away_us)))
        elif absence.out[-1].end_us == scene.as_of_us < window.end_us:
            due.append(scene.as_of_us + curfew.grace_us - away_us + 1)
    unknown = [e for e in within if e.state in (UNKNOWN, SINGLE)]
    unknown_us = sum(e.end_us - e.start_us for e in unknown)
    if unknown_us > UNVERIFIED_US:
        found.append(
            _settled(scene, window, tuple(unknown), partial(_unverified_alert, scene, curfew, window, unknown, unknown_us))
        )
    elif unknown and unknown[-1].end_us == scene.as_of_us < window.end_us:
        due.append(scene.as_of_us + UNVERIFIED_US - unknown_us + 1)
    elif scene.as_of_us < window.end_us:
        due.append(speaks_at_us(scene.slot, scene.watch) + UNVERIFIED_US + 2)
    return found


def _settled(scene: Scene, window: Window, what: object, write: Callable[[], Alert]) -> Alert:
    """The alert of a window that is over, for the fixes too, is written once."""
    key = (scene.slot.number, window, what)
    alert: Alert | None = scene.settled.get(key)
    if alert is None:
        alert = write()
        if settled_to_us(scene) >= window.end_us:
            scene.settled[key] = alert
    return alert


def _absences(scene: Scene, window: Window, within: list[Episode], every: list[Episode]) -> list[Absence]:
    """The absences of a window: a decided return ends one, unknown time does not."""
    found: list[Absence] = []
    out: list[Episode] = []
    seen_in, from_start = False, False
    for episode in within:
        if episode.state == OUT:
            from_start = from_start or (not out and not seen_in)
            out.append(episode)
        elif episode.state == IN:
            if out:
                found.append(Absence(tuple(out), episode.start_us, from_start, True, False))
            out, seen_in, from_start = [], True, False
    if out:
        over = scene.as_of_us >= window.end_us
        end = window.end_us if over else scene.as_of_us
        found.append(Absence(tuple(out), end, from_start, False, over and _out_at(every, window.end_us)))
    return found


def _out_at(every: list[Episode], instant_us: int) -> bool:
    """Whether the fixes say `out` at an instant: by the state that stands there, else by the first decided after it."""
    for episode in every:
        if episode.end_us >= instant_us and episode.state in (IN, OUT) and episode.start_us <= instant_us:
            return episode.state == OUT
        if episode.start_us > instant_us and episode.state in (IN, OUT):
            return episode.state == OUT
    return False


def _rule(absence: Absence) -> str:
    if absence.returned:
        return "curfew.late" if absence.from_start else "curfew.left"
    if absence.at_end:
        return "curfew.absent" if absence.from_start else "curfew.end"
    return "curfew.start" if absence.from_start else "curfew.left"


def _absence_alert(scene: Scene, curfew: Curfew, window: Window, absence: Absence, away_us: int) -> Alert:
    rule = _rule(absence)
    active = not absence.returned and scene.as_of_us < window.end_us
    # an episode that goes on at the instant has its newest fix at it
    rows = rows_within(scene, [(e.start_us, e.end_us + (e.end_us == scene.as_of_us < window.end_us)) for e in absence.out])
    strongest = max(absence.out, key=lambda e: (e.posterior, -e.start_us))
    text = _TEXTS[rule].format(start=_local(window.whole[0], curfew), end=_local(window.whole[1], curfew))
    if rule == "curfew.start" and active:
        text += " and still out"
    elif not active and not absence.returned and not absence.at_end:
        text += _LOST
    return Alert(
        wearer=scene.trail.wearer, device=device_of(scene, rows, absence.out[0]), rule=rule, subject=curfew.id,
        grade=GRADES[rule], condition="active" if active else "cleared",
        began=iso(absence.out[0].start_us), began_after=after(scene, absence.out[0]),
        ended=None if active else iso(absence.end_us), posterior=on_grid(strongest.posterior),
        minutes=round(away_us / MINUTE_US, 3), n_fixes=len(rows),
        fixes=listed(scene, chosen(rows, deciding_rows(absence.out))),
        why=why(
            scene, strongest, text, window=[iso(window.start_us), iso(window.end_us)],
            grace_minutes=curfew.grace_us / MINUTE_US, unknown_since=None,
        ),
    )  # fmt: skip


def _unverified_alert(scene: Scene, curfew: Curfew, window: Window, unknown: list[Episode], unknown_us: int) -> Alert:
    active = scene.as_of_us < window.end_us and unknown[-1].end_us >= scene.as_of_us
    start, end = _local(window.whole[0], curfew), _local(window.whole[1], curfew)
    text = f"Nobody can say where the wearer was for {unknown_us / MINUTE_US:.0f} minutes of the curfew of {start} to {end}"
    last = max((e.began_row for e in unknown), default=-1)
    return Alert(
        wearer=scene.trail.wearer, device=device_of(scene, [], unknown[0]), rule="curfew.unverified", subject=curfew.id,
        grade=GRADES["curfew.unverified"], condition="active" if active else "cleared", began=iso(unknown[0].start_us),
        began_after=None, ended=None if active else iso(unknown[-1].end_us), posterior=0.0,
        minutes=round(unknown_us / MINUTE_US, 3), n_fixes=0, fixes=listed(scene, [last] if last >= 0 else []),
        why={
            "text": text, "window": [iso(window.start_us), iso(window.end_us)], "limit_minutes": UNVERIFIED_US / MINUTE_US,
            "subject_version": curfew.version, "algorithm": ALGORITHM, "unknown_since": None,
        },
    )  # fmt: skip


def _local(time_us: int, curfew: Curfew) -> str:
    """Local wall time in words of our own: content must not depend on the locale of the machine."""
    local = to_datetime(time_us).astimezone(time_zone(curfew.schedule.timezone))
    return f"{_WEEKDAYS[local.weekday()]} {local.day:02d} {_MONTHS[local.month - 1]} {local.hour:02d}:{local.minute:02d}"
