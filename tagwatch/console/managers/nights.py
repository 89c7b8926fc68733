"""Nights in words: what each verdict is called and shown by, the last night of a wearer, and weeks as a calendar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from alerts.compliance import Period, Stays, Window
from engine.times import HOUR_US, MINUTE_US, to_datetime
from geofence.curfew import Curfew
from geofence.schedule import day_start, time_zone
from tagwatch.compliance import Report

LEGEND = {
    "kept": ("✓", "kept", "There for all of it, but for no more than the grace; and not more unknown than the limit."),
    "partly_kept": ("◐", "partly kept", "Away for longer than the grace, and there for some of it."),
    "missed": ("✗", "missed", "Never seen to be there, and away for half of it at least."),
    "not_verifiable": ("?", "not verifiable", "Too much of it is unknown to say. This is not a kept night."),
    "running": ("…", "not over", "The window has begun and is not over: nothing is said of it yet."),
    "excused": ("–", "authorised", "The whole window was an authorised absence."),
    "not_monitored": ("○", "not monitored", "No activated tag was worn: nothing is known, and nothing is counted."),
}
"""By verdict: its sign, its words, and what they mean."""


class Night(NamedTuple):
    """One window as it is shown: local times, and how long away and unknown it was."""

    verdict: str
    curfew: str
    day: date
    times: str
    length: str
    away: str
    unknown: str
    change: str

    @property
    def sign(self) -> str:
        """The sign of the verdict."""
        return LEGEND[self.verdict][0]

    @property
    def words(self) -> str:
        """The words of the verdict."""
        return LEGEND[self.verdict][1]

    def told(self) -> dict[str, str]:
        """As JSON."""
        return {"verdict": self.verdict, "sign": self.sign, "words": self.words, "times": self.times, "away": self.away}


class Day(NamedTuple):
    """A day of the calendar; `inside` is false for those that only fill a week, `coming` are windows that have not begun."""

    day: date
    inside: bool
    nights: list[Night]
    coming: list[str]


def clock_words(time_us: int) -> str:
    """Hours and minutes, seconds rounded up: what is not nothing is never shown as nothing."""
    minutes = -(-time_us // MINUTE_US)
    return f"{minutes // 60:,}:{minutes % 60:02d}" if minutes else "0"


def length_words(time_us: int) -> str:
    """`9 h`, `7 h 30 min`, `12 min`; seconds rounded up."""
    minutes = -(-time_us // MINUTE_US)
    parts = ([f"{minutes // 60:,} h"] if minutes >= 60 else []) + ([f"{minutes % 60} min"] if minutes % 60 else [])
    return " ".join(parts) or "0 min"


def share_words(stays: Stays) -> str:
    """How much of the time in which zones were in force is unknown, rounded up: doubt is never rounded away."""
    return f"{-(-100 * stays.unknown_us // stays.in_force_us)} %" if stays.in_force_us else "–"


def change_words(start_us: int, end_us: int, zone_name: str) -> str:
    """What the clocks do within an interval, empty where they do nothing."""
    start, end = (to_datetime(t).astimezone(time_zone(zone_name)).utcoffset() for t in (start_us, end_us))
    if start == end or start is None or end is None:
        return ""
    return f"clocks go {'forward' if end > start else 'back'}"


def times_words(start_us: int, end_us: int, zone_name: str) -> str:
    """`21:00 to 06:00`, with the day of the end where that is not the day or the day after."""
    start, end = (to_datetime(t).astimezone(time_zone(zone_name)) for t in (start_us, end_us))
    far = end.date() - start.date() > timedelta(days=1)
    return f"{start:%H:%M} to {end:{'%a %d %b %H:%M' if far else '%H:%M'}}"


def night_of(window: Window, zone_name: str) -> Night:
    """A window in words."""
    return Night(
        window.verdict, window.curfew, window.day, times_words(window.start_us, window.end_us, zone_name),
        length_words(window.end_us - window.start_us), length_words(window.out_us) if window.out_us else "",
        length_words(window.unknown_us) if window.unknown_us else "",
        change_words(window.start_us, window.end_us, zone_name),
    )  # fmt: skip


def last_night(report: Report) -> Night | None:
    """The last window that is over; None where there was none in the report's days."""
    over = [w for w in report.windows if w.verdict != "running"]
    return night_of(max(over, key=lambda w: (w.end_us, w.curfew)), report.timezone) if over else None


def calendar(report: Report, period: Period, curfews: Sequence[Curfew]) -> list[list[Day]]:
    """The weeks of a period, Monday first, each of seven days; curfews are those of the wearer, for what has not begun."""
    nights: dict[date, list[Night]] = {}
    for window in report.windows:
        nights.setdefault(window.day, []).append(night_of(window, report.timezone))
    coming = _coming(period, curfews)
    first = period.first - timedelta(days=period.first.weekday())
    n_days = (period.last - first).days + 1
    days = [first + timedelta(days=k) for k in range(-(-n_days // 7) * 7)]
    shown = [Day(day, period.first <= day <= period.last, nights.get(day, []), coming.get(day, [])) for day in days]
    return [shown[k : k + 7] for k in range(0, len(shown), 7)]


def _coming(period: Period, curfews: Sequence[Curfew]) -> dict[date, list[str]]:
    """By day the windows of the period that had not begun as of its instant."""
    found: dict[date, list[str]] = {}
    for curfew in curfews:
        zone = curfew.schedule.timezone
        end_us = day_start(period.last + timedelta(days=1), time_zone(zone))
        for start, end in curfew.windows(period.as_of_us, end_us) if period.as_of_us < end_us else ():
            if start >= period.as_of_us:
                day = to_datetime(start).astimezone(time_zone(zone)).date()
                found.setdefault(day, []).append(times_words(start, end, zone))
    return found


def sums(report: Report) -> dict[str, Any]:
    """The figures of a report that stand about the calendar."""
    f, out, inside = report.figures, report.figures.zones["exclusion"], report.figures.zones["inclusion"]
    return {
        "judged": f.judged, "verdicts": {name: f.windows[name] for name in LEGEND}, "away": length_words(f.away_us),
        "required": length_words(f.required_us), "unknown": length_words(f.unknown_us),
        "authorised": length_words(f.authorised_us), "entries": out.n_entries, "inside": length_words(out.wrong_us),
        "single": out.n_single, "exclusion_unknown": share_words(out),
        "inclusion_unknown": share_words(inside), "has_exclusion": out.in_force_us > 0, "exits": inside.n_entries,
        "outside": length_words(inside.wrong_us), "has_inclusion": inside.in_force_us > 0,
        "strap": f.tag.n_strap, "case": f.tag.n_case,
        "low": f.rules["tag.battery_low"], "critical": f.rules["tag.battery_critical"], "dead": f.rules["tag.battery_dead"],
        "worn": _hours(f.tag.worn_us), "no_contact": _hours(f.tag.no_contact_us), "no_fix": _hours(f.tag.no_fix_us),
    }  # fmt: skip


def _hours(time_us: int) -> str:
    return f"{time_us / HOUR_US:,.1f} h" if time_us >= HOUR_US else length_words(time_us)
