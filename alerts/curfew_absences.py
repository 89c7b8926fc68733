"""What was seen of a wearer in one window of a curfew: home, away, unknown, by the version that held; and its absences."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from geofence.curfew_windows import Window
from geofence.episodes import Episode
from geofence.filter import IN, OUT, SINGLE, UNKNOWN
from geofence.schedule import Interval


class Stretch(NamedTuple):
    """An episode, cut to the window, and the number of the version of the curfew whose places it is about."""

    version: int
    episode: Episode

    @property
    def length_us(self) -> int:
        """How long it is."""
        return self.episode.end_us - self.episode.start_us


class Absence(NamedTuple):
    """One absence in one window: its stretches out, whether it began before the window or with it, how it ended, and all time
    away in the window until then."""

    out: tuple[Stretch, ...]
    end_us: int
    from_start: bool
    returned: bool
    at_end: bool
    away_in_window_us: int

    @property
    def away_us(self) -> int:
        """Time away; unknown time is not."""
        return sum(stretch.length_us for stretch in self.out)

    @property
    def rule(self) -> str:
        """What this absence is called, by all that is known of it."""
        if self.returned:
            return "curfew.late" if self.from_start else "curfew.left"
        if self.at_end:
            return "curfew.absent" if self.from_start else "curfew.end"
        return "curfew.start" if self.from_start else "curfew.left"


class Night(NamedTuple):
    """One window as far as it was monitored and is past, the whole of it, and what was seen in it."""

    window: Window
    whole: Interval
    seen: tuple[Stretch, ...]
    as_of_us: int
    out_at_end: bool

    @property
    def over(self) -> bool:
        """Whether the window is past."""
        return self.as_of_us >= self.window.end_us

    @property
    def unknown(self) -> tuple[Stretch, ...]:
        """The stretches of which nobody can say anything."""
        return tuple(s for s in self.seen if s.episode.state in (UNKNOWN, SINGLE))


def nights_of(
    windows: Sequence[Window], monitored: Sequence[Interval], states: Sequence[list[Episode]], as_of_us: int
) -> Iterator[Night]:
    """Each window as far as it was monitored, with what was seen by the episodes of each version, oldest first."""
    begins = [[e.start_us for e in every] for every in states]
    for window in windows:
        for watched in monitored:
            cut = window.within(*watched)
            if cut is None or cut.start_us >= as_of_us:
                continue
            seen: list[Stretch] = []
            for start, end, k in cut.parts:
                near = states[k][max(0, bisect_right(begins[k], start) - 1) : bisect_left(begins[k], min(end, as_of_us))]
                seen += [Stretch(k, e) for e in _within(near, start, min(end, as_of_us))]
            over = as_of_us >= cut.end_us
            out_at_end = over and _is_out(states[cut.parts[-1].version], begins[cut.parts[-1].version], cut.end_us)
            yield Night(cut, (window.start_us, window.end_us), tuple(seen), as_of_us, out_at_end)


def absences_of(night: Night) -> list[Absence]:
    """The absences of a window: a decided return ends one, unknown time and a new version do not."""
    found: list[Absence] = []
    out: list[Stretch] = []
    seen_in, from_start, away_us = False, False, 0
    for stretch in night.seen:
        if stretch.episode.state == OUT:
            from_start = from_start or (not out and not seen_in)
            out.append(stretch)
            away_us += stretch.length_us
        elif stretch.episode.state == IN:
            if out:
                found.append(Absence(tuple(out), stretch.episode.start_us, from_start, True, False, away_us))
            out, seen_in, from_start = [], True, False
    if out:
        end = min(night.window.end_us, night.as_of_us)
        found.append(Absence(tuple(out), end, from_start, False, night.out_at_end, away_us))
    return found


def _within(every: Sequence[Episode], start_us: int, end_us: int) -> list[Episode]:
    cut = [e._replace(start_us=max(e.start_us, start_us), end_us=min(e.end_us, end_us)) for e in every]
    return [e for e in cut if e.start_us < e.end_us]


def _is_out(every: Sequence[Episode], begins: Sequence[int], instant_us: int) -> bool:
    """Whether the fixes say `out` at an instant: by the state that stands there, else by the first decided after it."""
    for k in range(max(0, bisect_left(begins, instant_us) - 1), len(every)):
        episode = every[k]
        if episode.end_us >= instant_us and episode.state in (IN, OUT):
            return episode.state == OUT
    return False
