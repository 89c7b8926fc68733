"""Compliance: how a wearer kept curfews and zones over a period, from the states of the filter and never from alerts.

A window that nobody could verify is never said to be kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.times import DAY_US, to_datetime
from geofence.curfew import Curfew
from geofence.episodes import Episode
from geofence.filter import IN, OUT, SINGLE, UNKNOWN
from geofence.schedule import Interval, day_start, time_zone, without
from geofence.zone import ALWAYS, Zone

VERDICTS = ("kept", "partly_kept", "missed", "not_verifiable")
APART = ("running", "excused", "not_monitored")
"""Windows that are not judged: not over yet; authorised as a whole; while the wearer wore no activated device."""

_MARGIN_US = 3 * DAY_US


class Period(NamedTuple):
    """Local days, both inclusive, as known at an instant [us]."""

    first: date
    last: date
    as_of_us: int

    def interval(self, zone: ZoneInfo) -> Interval:
        """From the beginning of the first local day to the end of the last, or to the instant."""
        return day_start(self.first, zone), min(day_start(self.last + timedelta(days=1), zone), self.as_of_us)


class Window(NamedTuple):
    """One window of a curfew and how its time was spent [us]; `day` is the local day on which it starts.

    in + out + unknown is the monitored part of it, authorised absences left out.
    """

    curfew: str
    day: date
    start_us: int
    end_us: int
    grace_us: int
    limit_us: int
    in_us: int = 0
    out_us: int = 0
    unknown_us: int = 0
    authorised_us: int = 0
    verdict: str = ""

    @property
    def required_us(self) -> int:
        """The time in which the wearer had to be there and was monitored."""
        return self.in_us + self.out_us + self.unknown_us


class Stays(NamedTuple):
    """Stays on the wrong side of zones of one kind while they were in force [us].

    n_entries: times inside (exclusion) or outside (inclusion); n_single: lone fixes deep inside that stayed the last word.
    """

    n_entries: int = 0
    wrong_us: int = 0
    unknown_us: int = 0
    in_force_us: int = 0
    n_single: int = 0


def verdict_of(in_us: int, out_us: int, unknown_us: int, grace_us: int, limit_us: int) -> str:
    """How a window was kept, from the time [us] in, out and unknown within it.

    Kept is said only where no more is unknown than the limit, or than half of a short window. Missed is said of a window in
    which the wearer was never seen to be there and was away for half of it at least.
    """
    required_us = in_us + out_us + unknown_us
    if out_us > grace_us:
        return "missed" if in_us == 0 and 2 * out_us >= required_us else "partly_kept"
    return "not_verifiable" if unknown_us > min(limit_us, required_us // 2) else "kept"


def presence_windows(
    versions: Sequence[tuple[Curfew, Sequence[Episode]]], monitored: Sequence[Interval], period: Period
) -> list[Window]:
    """The windows of one curfew that start on the period's days, oldest first, each with its verdict.

    versions: all versions of the curfew, oldest first, with the episodes of each. A window that runs over a change of version
    is one window. Windows that have not begun are left out.
    """
    found: list[Window] = []
    open_end = False
    for curfew, every in versions:
        for start, end in _written(curfew, period):
            held = max(start, curfew.holds[0]), min(end, curfew.holds[1])
            if held[0] >= held[1] or held[0] >= period.as_of_us:
                continue
            part = _spent(curfew, every, monitored, held, period.as_of_us)._replace(day=_day(start, curfew))
            if found and open_end and start < held[0] == found[-1].end_us:
                part = _joined(found.pop(), part)
            found.append(part)
            open_end = held[1] < end
    judged = (w._replace(verdict=_verdict(w, period.as_of_us)) for w in found)
    return [w for w in judged if period.first <= w.day <= period.last]


def _written(curfew: Curfew, period: Period) -> list[Interval]:
    """The windows about the period as they were written, cut neither by leave nor by version."""
    extra = tuple(e for e in curfew.exceptions if e.kind == "extra")
    zone = time_zone(curfew.schedule.timezone)
    start, end = day_start(period.first, zone), day_start(period.last + timedelta(days=1), zone)
    return curfew._replace(exceptions=extra, holds=ALWAYS).windows(start - _MARGIN_US, end + _MARGIN_US)


def _spent(
    curfew: Curfew, every: Sequence[Episode], monitored: Sequence[Interval], held: Interval, as_of_us: int
) -> Window:  # fmt: skip
    """How the time of a window was spent, as far as it is known."""
    leave = [(e.start_us, e.end_us) for e in curfew.exceptions if e.kind == "authorised"]
    due = without([held], leave)
    asked = list(_common([(a, min(b, as_of_us)) for a, b in due], monitored))
    in_us, out_us = time_in(every, asked, IN), time_in(every, asked, OUT)
    return Window(
        curfew.id, date.min, *held, curfew.grace_us, curfew.unverified_us, in_us, out_us, _length(asked) - in_us - out_us,
        held[1] - held[0] - _length(due),
    )  # fmt: skip


def _joined(one: Window, two: Window) -> Window:
    """One window that runs over a change of version; the larger grace and limit hold."""
    return one._replace(
        end_us=two.end_us, grace_us=max(one.grace_us, two.grace_us), limit_us=max(one.limit_us, two.limit_us),
        in_us=one.in_us + two.in_us, out_us=one.out_us + two.out_us, unknown_us=one.unknown_us + two.unknown_us,
        authorised_us=one.authorised_us + two.authorised_us,
    )  # fmt: skip


def _verdict(window: Window, as_of_us: int) -> str:
    if window.end_us > as_of_us:
        return "running"
    if window.authorised_us == window.end_us - window.start_us:
        return "excused"
    if window.required_us == 0:
        return "not_monitored"
    return verdict_of(window.in_us, window.out_us, window.unknown_us, window.grace_us, window.limit_us)


def zone_stays(
    versions: Sequence[tuple[Zone, Sequence[Episode]]], monitored: Sequence[Interval], within: Interval
) -> Stays:  # fmt: skip
    """The stays on the wrong side of one zone, all its versions together, in [from, to) while it was in force.

    Unknown time within a stay neither ends it nor counts; a stay over a change of version is one.
    """
    if within[0] >= within[1]:
        return Stays()
    wrong_us = in_force_us = known_us = n_single = 0
    stays: list[Interval] = []
    for zone, every in versions:
        wrong, right = (OUT, IN) if zone.kind == "inclusion" else (IN, OUT)
        asked = list(_common(zone.in_force(*within), monitored))
        wrong_us += (here := time_in(every, asked, wrong))
        in_force_us += _length(asked)
        known_us += here + time_in(every, asked, right)
        n_single += sum(e.state == SINGLE and any(a <= e.start_us < b for a, b in asked) for e in every)
        for run in _runs(every, wrong):
            stays += [(cut[0][0], cut[-1][1]) for span in asked if (cut := list(_common(run, [span])))]
    stays.sort()
    n_entries = sum(one[1] != two[0] for one, two in pairwise(stays)) + bool(stays)
    return Stays(n_entries, wrong_us, in_force_us - known_us, in_force_us, n_single)


def _runs(every: Iterable[Episode], wrong: int) -> Iterator[list[Interval]]:
    """The wrong intervals of each stay: a decided contrary state ends it, unknown time does not."""
    run: list[Interval] = []
    for episode in every:
        if episode.state == wrong:
            run.append((episode.start_us, episode.end_us))
        elif episode.state not in (UNKNOWN, SINGLE) and run:
            yield run
            run = []
    if run:
        yield run


def time_in(every: Sequence[Episode], pieces: Iterable[Interval], state: int) -> int:
    """How long a state held within the pieces [us]; the episodes are in order and do not overlap."""
    begins, ends = [e.start_us for e in every], [e.end_us for e in every]
    return sum(
        min(e.end_us, end) - max(e.start_us, start)
        for start, end in pieces
        for e in every[bisect_right(ends, start) : bisect_left(begins, end)]
        if e.state == state
    )


def _common(ones: Iterable[Interval], others: Sequence[Interval]) -> Iterator[Interval]:
    for start, end in ones:
        yield from ((max(start, a), min(end, b)) for a, b in others if max(start, a) < min(end, b))


def _length(pieces: Iterable[Interval]) -> int:
    return sum(end - start for start, end in pieces)


def _day(time_us: int, curfew: Curfew) -> date:
    return to_datetime(time_us).astimezone(time_zone(curfew.schedule.timezone)).date()
