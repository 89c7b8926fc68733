"""The axis of time of a chart: instants to millimetres, ticks at round times of the local clock, told in local time and UTC."""

from __future__ import annotations

from datetime import datetime
from math import gcd
from typing import NamedTuple
from zoneinfo import ZoneInfo

from crime_match.evidence.drawing.svg import FAINT, INK, SMALL_MM, line, text
from crime_match.evidence.rows import local_text, utc_text
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, to_datetime

_SIXTIETHS, _HOURS, _DAYS = (1, 2, 5, 10, 15, 30), (1, 2, 3, 6, 12), (1, 2, 7, 14)
_UNITS = ((SECOND_US, _SIXTIETHS), (MINUTE_US, _SIXTIETHS), (HOUR_US, _HOURS), (DAY_US, _DAYS))
_STEPS_US = tuple(n * unit for unit, counts in _UNITS for n in counts)
_QUARTER_US = 15 * MINUTE_US
_APART_MM = 17.0


class TimeAxis(NamedTuple):
    """A span of time [us UTC] on the paper from left to right [mm]; local times are of this zone."""

    start_us: int
    end_us: int
    left: float
    right: float
    timezone: str

    def at(self, time_us: int) -> float:
        """Where an instant lies [mm]; a span of no length is drawn in the middle."""
        if self.end_us == self.start_us:
            return (self.left + self.right) / 2.0
        return self.left + (time_us - self.start_us) / (self.end_us - self.start_us) * (self.right - self.left)

    def ticks(self) -> list[int]:
        """Instants at which the local clock shows round times, far enough apart for their labels; their steps are those of the
        local clock also where it is put forward or back."""
        least_us = (self.end_us - self.start_us) * _APART_MM / (self.right - self.left)
        step_us = next((step for step in _STEPS_US if step >= least_us), 28 * DAY_US * (1 + int(least_us // (28 * DAY_US))))
        stride_us = gcd(step_us, _QUARTER_US)
        first = -(-self.start_us // stride_us) * stride_us
        found: list[int] = []
        for time_us in range(first, self.end_us + 1, stride_us):
            if _wall_us(time_us, self.timezone) % step_us == 0:
                found += [time_us] if not found or time_us - found[-1] >= least_us / 2 else []
        return found

    def draw(self, top: float, bottom: float) -> list[str]:
        """Faint lines down the chart, the local times above and UTC below."""
        ticks, drawn = self.ticks(), []
        days: tuple[str, str] = ("", "")
        for time_us in ticks:
            x, seconds = self.at(time_us), bool(time_us % MINUTE_US)
            drawn.append(line(x, top, x, bottom, stroke="#cfcfcf", stroke_width=0.15))
            drawn += [line(x, y, x, y + 1.0, stroke=INK, stroke_width=0.25) for y in (top - 1.0, bottom)]
            local, utc = local_text(time_us, self.timezone), utc_text(time_us)
            clocks = [told[11:19] if seconds else told[11:16] for told in (local, utc)]
            clocks[0] += local[19:] if len(self.zones) > 1 else ""
            for told, day, before, clock_y, day_y in zip(
                clocks, (local[:10], utc[:10]), days, (top - 2.4, bottom + 2.6), (top - 5.4, bottom + 5.6), strict=True
            ):
                drawn.append(text(x, clock_y, told, SMALL_MM, text_anchor="middle"))
                if day != before:
                    drawn.append(text(x, day_y, day, SMALL_MM, text_anchor="middle", fill=FAINT))
            days = local[:10], utc[:10]
        change = self.clock_change()
        look = {"class_": "clock-change", "stroke": INK, "stroke_width": 0.25, "stroke_dasharray": "1.2 0.8"}
        return [*drawn, line(self.at(change[0]), top, self.at(change[0]), bottom, **look)] if change else drawn

    def clock_change(self) -> tuple[int, int] | None:
        """When the local clock is put forward or back within the span [us UTC], to the second, and by how much [us]; None where
        it shows the same offset at both ends."""
        low, high = self.start_us, self.end_us
        before_us, after_us = _offset_us(low, self.timezone), _offset_us(high, self.timezone)
        if before_us == after_us:
            return None
        low, high = low // SECOND_US, -(-high // SECOND_US)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset_us(middle * SECOND_US, self.timezone) == before_us else (low, middle)
        return high * SECOND_US, after_us - before_us

    @property
    def zones(self) -> list[str]:
        """The names of the local zone at both ends of the span."""
        return list(dict.fromkeys(local_text(end, self.timezone)[20:] for end in (self.start_us, self.end_us)))


_ERA = datetime(1970, 1, 5)  # noqa: DTZ001 (a Monday of the wall clock, so that steps of a week begin there)


def _offset_us(time_us: int, timezone: str) -> int:
    ahead = to_datetime(time_us).astimezone(ZoneInfo(timezone)).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds() * 1_000_000)


def _wall_us(time_us: int, timezone: str) -> int:
    wall = to_datetime(time_us).astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
    past = wall - _ERA
    return (past.days * 86_400 + past.seconds) * SECOND_US + past.microseconds
