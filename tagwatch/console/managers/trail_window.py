"""The window of a trail as somebody typed it: from, to, and the time zone that both are in."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from crime_match.strength.shifts import LONDON
from engine.errors import InputError
from engine.times import DAY_US, EARLIEST_US, MINUTE_US, in_range, to_datetime
from geofence.schedule import read_interval, time_zone

USUAL_ZONE = LONDON
LONGEST_US = 400 * DAY_US
USUAL_US = DAY_US
LABELS = {"from": "From", "to": "To", "tz": "Time zone"}
"""What the fields are called on the page."""
ZONES = (LONDON, "UTC")
"""What is offered beside the time zone of the wearer's curfew."""


class Window(NamedTuple):
    """[from_us, to_us] with the time zone that times are shown in."""

    from_us: int
    to_us: int
    timezone: str

    def given(self) -> dict[str, str]:
        """The window as the form and addresses hold it: instants with their offset where the clock shows them twice."""
        return {"from": self._text(self.from_us), "to": self._text(self.to_us), "tz": self.timezone}

    def _text(self, time_us: int) -> str:
        at = to_datetime(time_us).astimezone(time_zone(self.timezone))
        twice = at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset()
        whole = time_us % MINUTE_US == 0
        shown = at.isoformat(timespec="minutes" if whole else "microseconds")
        return shown if twice else shown[:16] if whole else datetime.fromisoformat(shown).replace(tzinfo=None).isoformat()


def read_window(raw_from: str, raw_to: str, raw_zone: str, usual_zone: str, now_us: int) -> Window:
    """The window that was typed; the last day where nothing was. InputError names the field."""
    name = raw_zone.strip() or usual_zone
    try:
        zone = time_zone(name)
    except InputError:
        raise InputError(field="tz", value=name, expected="a time zone such as Europe/London") from None
    if not raw_from.strip() and not raw_to.strip():
        to_us = -(-now_us // MINUTE_US) * MINUTE_US
        return Window(to_us - USUAL_US, to_us, name)
    for field, raw in (("from", raw_from), ("to", raw_to)):
        if not raw.strip():
            raise InputError(field=field, value="", expected="a day and a time")
    from_us, to_us = read_interval(raw_from, raw_to, zone)
    for field, time_us, raw in (("from", from_us, raw_from), ("to", to_us, raw_to)):
        in_range(time_us, raw, field)
    if to_us - from_us > LONGEST_US:
        raise InputError(field="to", value=raw_to, expected=f"at most {LONGEST_US // DAY_US} days after the beginning")
    return Window(from_us, to_us, name)


def beside(window: Window, now_us: int) -> dict[str, Window]:
    """The windows that are a step away, by what they are called; none that begins in the future."""
    length_us = window.to_us - window.from_us
    steps = {"Window before": -length_us, "Window after": length_us}
    moved = {
        words: window._replace(from_us=window.from_us + step, to_us=window.to_us + step) for words, step in steps.items()
    }
    middle_us, week_us = (window.from_us + window.to_us) // 2 // MINUTE_US * MINUTE_US, 7 * DAY_US
    if length_us < week_us:
        moved["A week about it"] = window._replace(from_us=middle_us - week_us // 2, to_us=middle_us + week_us // 2)
    return {words: other for words, other in moved.items() if EARLIEST_US <= other.from_us < now_us}
