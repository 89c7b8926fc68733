"""Battery low, critical, dead and not charged, from the readings that come with fixes and from what the tag says.

A level at or below its limit raises, one some points above it clears, and so does charging. While it charges nothing is
raised anew, until the level falls again. Dead is 0 %, or power off below 10 %. Not charged is low for an hour by its own
readings, with no charging in between: never because nothing came.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts import spans
from alerts.device_finding import Finding
from alerts.device_memory import Battery, Span
from alerts.device_scene import DeviceSettings, Past
from engine import flags
from engine.events import DeviceEvent
from engine.fixes import ABSENT
from engine.times import MINUTE_US

KINDS = frozenset(("battery", "charging", "power_off", "power_on"))
DEAD_BELOW_PCT = 10
FALLING_POINTS = 2
_NONE = np.empty(0, np.int64)

_TEXTS = {
    "tag.battery_low": "The battery was at or below {low} %",
    "tag.battery_critical": "The battery was at or below {critical} %",
    "tag.battery_dead": "The battery was empty",
    "tag.no_charge": "The battery was at or below {low} % for {minutes:.0f} minutes and was not put on charge",
}


def battery(past: Past) -> tuple[Battery, list[DeviceEvent]]:
    """What is known of the battery after the scene, and the `power_off` events that no low battery explains."""
    before, told = past.before.battery, past.scene.settings
    said = [e for e in past.events if e.kind in KINDS] if past.events else []
    calm = before.peak < 0 and not any(spans.is_open(some) for some in (before.low, before.critical, before.dead))
    if calm and not said and not _falls(past, told.low_pct):
        return _passed(past, before, told), []
    times, levels = _readings(past, told)
    walk = _Walk(past, before, times)
    for at, level, event in _steps(before, times, levels, said):
        if event is None:
            walk.read(at, level)
        else:
            walk.hear(event)
    row_level = int(levels[-1]) if len(times) else before.row_level
    if said and (not len(times) or said[-1].time_us >= times[-1]):
        row_level = -1
    return walk.state(row_level), walk.other_offs


def battery_findings(known: Battery, told: DeviceSettings) -> Iterable[Finding]:
    """The findings of the four battery rules."""
    uncharged = list(known.no_charge)
    if known.low and known.low[-1].ended_us is None:
        _leave_uncharged(uncharged, known.low[-1], known.read_us, None, told)
    every = (known.low, known.critical, known.dead, uncharged)
    for (rule, text), found in zip(_TEXTS.items(), every, strict=True):
        words = text.format(low=told.low_pct, critical=told.critical_pct, minutes=told.no_charge_us / MINUTE_US)
        for span in found:
            source = f" ({span.words[0]})" if span.words else ""
            yield Finding(rule, span.began_us, span.ended_us, span.decided_us, words + source, span.place,
                          more={"n_joined": span.n})  # fmt: skip


def _falls(past: Past, low_pct: int) -> bool:
    """Whether any reading is at or below a level; ABSENT is far above all of them as an unsigned number."""
    return bool(past.n) and int(past.rows.battery_pct[: past.n].view(np.uint32).min()) <= low_pct


def _passed(past: Past, before: Battery, told: DeviceSettings) -> Battery:
    """The state after readings of which none matters: only the last one is kept."""
    if not past.n:
        return before
    column = past.rows.battery_pct
    read = column[: past.n] != ABSENT
    if past.bits & flags.CLOCK_WRONG:
        read &= (past.rows.flags[: past.n] & flags.CLOCK_WRONG) == 0
    row = past.n - 1 - int(read[::-1].argmax())
    if not read[row]:
        return before
    level = min(int(column[row]), told.well_pct)
    return before._replace(level=level, row_level=level, read_us=int(past.rows.time_us[row]))


def _readings(past: Past, told: DeviceSettings) -> tuple[NDArray[Any], NDArray[Any]]:
    """Times [us] and levels [%], clipped where all is well, of the fixes that have one and whose clock is right."""
    column = past.rows.battery_pct[: past.n]
    fine = column != ABSENT
    if past.bits & flags.CLOCK_WRONG:
        fine &= (past.rows.flags[: past.n] & flags.CLOCK_WRONG) == 0
    return past.rows.time_us[: past.n][fine], np.minimum(column[fine], told.well_pct)


def _steps(
    before: Battery, times: NDArray[Any], levels: NDArray[Any], said: Sequence[DeviceEvent]
) -> Iterable[tuple[int, int, DeviceEvent | None]]:
    """Readings that differ from the one before or follow an event, and the events: in order, fixes first at one instant."""
    new = np.diff(levels, prepend=before.row_level) != 0
    places = np.searchsorted(times, np.array([e.time_us for e in said], np.int64), side="right") if said else _NONE
    new[places[places < len(new)]] = True
    rows = np.flatnonzero(new)
    merged = zip(rows.tolist(), times[rows].tolist(), levels[rows].tolist(), strict=True)
    k = 0
    for row, at, level in merged:
        while k < len(said) and places[k] <= row:
            yield said[k].time_us, -1, said[k]
            k += 1
        yield at, level, None
    for event in said[k:]:
        yield event.time_us, -1, event


class _Walk:
    """Goes through readings and events in order of time; `heard`: when events told a level."""

    def __init__(self, past: Past, before: Battery, times: NDArray[Any]) -> None:
        self.past, self.told, self.times, self.before = past, past.scene.settings, times, before
        self.level, self.peak = before.level, before.peak
        self.heard: list[int] = []
        self.low, self.critical, self.dead = list(before.low), list(before.critical), list(before.dead)
        self.uncharged = list(before.no_charge)
        self.limits = ((self.low, self.told.low_pct), (self.critical, self.told.critical_pct), (self.dead, 0))
        self.other_offs: list[DeviceEvent] = []

    def state(self, row_level: int) -> Battery:
        """What is to be kept."""
        kept = (tuple(some) for some in (self.low, self.critical, self.dead, self.uncharged))
        return Battery(self.level, row_level, self._last_read_us(2**62), self.peak, *kept)

    def hear(self, event: DeviceEvent) -> None:
        """One battery, charging or power event."""
        at = event.time_us
        if event.kind == "battery":
            self.read(at, min(math.ceil(float(event.value)), self.told.well_pct))
            self.heard.append(at)
        elif event.kind == "charging":
            self.peak = max(0, self.level)
            self._close(self.low, at)
            for found in (self.critical, self.dead):
                spans.close_span(found, at)
        elif event.kind == "power_on":
            spans.close_span(self.dead, at)
        elif 0 <= self.level < DEAD_BELOW_PCT:
            if not spans.is_open(self.dead):
                self._open(self.dead, at, f"power off at {self.level} %")
        else:
            self.other_offs.append(event)

    def read(self, at: int, level: int) -> None:
        """One reading, clipped where all is well."""
        if self.peak >= 0:
            self.peak = -1 if level <= self.peak - FALLING_POINTS else max(self.peak, level)
        for found, limit in self.limits:
            if not spans.is_open(found):
                if level <= limit and self.peak < 0:
                    self._open(found, at, "")
            elif level >= limit + self.told.clear_points:
                self._close(found, at)
        if level >= self.told.well_pct:
            self.peak = -1
        self.level = level

    def _open(self, found: list[Span], at: int, word: str) -> None:
        spans.open_span(found, at, at, self.told.merge_gap_us, self.past.place_at(at), word)

    def _close(self, found: list[Span], at: int) -> None:
        if found is self.low and spans.is_open(found):
            _leave_uncharged(self.uncharged, found[-1], self._last_read_us(at), at, self.told)
        spans.close_span(found, at)

    def _last_read_us(self, before_us: int) -> int:
        """The last reading before an instant, from fixes, from events or from before the scene."""
        k, h = int(np.searchsorted(self.times, before_us)), bisect_left(self.heard, before_us)
        found = [self.before.read_us, *self.times[k - 1 : k].tolist(), *self.heard[max(0, h - 1) : h]]
        return max(int(at) for at in found if at < before_us)


def _leave_uncharged(found: list[Span], low: Span, read_us: int, ended_us: int | None, told: DeviceSettings) -> None:
    """Not charged, where the low battery's present stretch was still read after the time allowed."""
    since_us = low.last_us
    if read_us - since_us < told.no_charge_us:
        return
    spans.open_span(found, since_us, since_us + told.no_charge_us, told.merge_gap_us, low.place)
    if ended_us is not None:
        spans.close_span(found, ended_us)
