"""Curfews of the town and their windows as instants: an own, simple expansion, kept apart from the one that it tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from engine.times import from_datetime, to_datetime
from tagwatch.simulate.plane import Plane
from tagwatch.simulate.shapes import Disc
from tagwatch.simulate.spans import Span, union

LONDON = ZoneInfo("Europe/London")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NIGHTLY = ((DAYS, 19, 7),)
PATTERNS = (
    NIGHTLY,
    NIGHTLY,
    NIGHTLY,
    ((DAYS, 21, 6),),
    ((DAYS, 22, 6),),
    ((DAYS[:5], 19, 7), (DAYS[5:], 18, 9)),
    ((DAYS[:4], 20, 6), (DAYS[4:], 22, 8)),
    ((DAYS, 19, 7), (("sat", "sun"), 12, 14)),
)
"""Weekly patterns: days, first and last whole hour by the clock on the wall."""

Pattern = tuple[tuple[tuple[str, ...], int, int], ...]


@dataclass(frozen=True)
class Leave:
    """An exception: authorised absence, or extra hours of curfew, by the clock on the wall."""

    start: datetime
    end: datetime
    kind: str
    reason: str

    @property
    def span(self) -> Span:
        """As instants [us]."""
        return _instant(self.start), _instant(self.end, last=True)


@dataclass(frozen=True)
class Curfew:
    """Where a wearer must be (any of the places will do), when, and the exceptions."""

    id: str
    wearer: str
    places: tuple[Disc, ...]
    pattern: Pattern
    valid_from: date | None
    grace_minutes: int
    leaves: tuple[Leave, ...] = ()

    def windows(self, from_us: int, to_us: int) -> list[Span]:
        """The windows that meet [from_us, to_us), whole, overlapping ones joined, extra hours too [us]."""
        first, last = to_datetime(from_us).astimezone(LONDON).date(), to_datetime(to_us).astimezone(LONDON).date()
        spans = [leave.span for leave in self.leaves if leave.kind == "extra"]
        for number in range(-1, (last - first).days + 1):
            spans += self._windows_of(first + timedelta(days=number))
        return [span for span in union(spans) if span[1] > from_us and span[0] < to_us]

    def authorised(self) -> list[Span]:
        """When absence was allowed [us]."""
        return union(leave.span for leave in self.leaves if leave.kind == "authorised")

    def record(self, plane: Plane) -> dict[str, Any]:
        """The curfew as it is written."""
        places = []
        for disc in self.places:
            lat, lon = plane.degrees(disc.x, disc.y)
            places.append({"lat": float(lat), "lon": float(lon), "radius_m": disc.radius_m})
        weekly = [{"days": list(days), "start": f"{a:02d}:00", "end": f"{b:02d}:00"} for days, a, b in self.pattern]
        record: dict[str, Any] = {"id": self.id, "wearer": self.wearer, "place": places if len(places) > 1 else places[0]}
        record |= {"timezone": LONDON.key, "weekly": weekly}
        if self.valid_from:
            record["valid_from"] = self.valid_from.isoformat()
        record["grace_minutes"] = self.grace_minutes
        if self.leaves:
            record["exceptions"] = [
                {"from": e.start.isoformat(), "to": e.end.isoformat(), "kind": e.kind, "reason": e.reason}
                for e in self.leaves
            ]
        return record

    def _windows_of(self, day: date) -> list[Span]:
        """The windows that start on this local day."""
        if self.valid_from and day < self.valid_from:
            return []
        spans = []
        for days, start, end in self.pattern:
            if DAYS[day.weekday()] in days:
                until = day + timedelta(days=1 if end <= start else 0)
                spans.append((_at_hour(day, start), _at_hour(until, end, last=True)))
        return spans


def local_day(time_us: int) -> date:
    """The day by the clock on the wall."""
    return to_datetime(time_us).astimezone(LONDON).date()


def at_clock(day: date, hour: float) -> int:
    """The instant of an hour (fraction allowed) of a local day, counted on the wall [us]."""
    return _instant(datetime.combine(day, time()) + timedelta(seconds=round(hour * 3600)))


def _at_hour(day: date, hour: int, last: bool = False) -> int:
    return _instant(datetime.combine(day, time()) + timedelta(hours=hour), last)


def _instant(wall: datetime, last: bool = False) -> int:
    """A wall time as an instant; one that comes twice: the first, or the `last`; one just at a spring gap is the change."""
    instants = [from_datetime(wall.replace(tzinfo=LONDON, fold=fold).astimezone(UTC)) for fold in (0, 1)]
    return max(instants) if last else instants[0]
