"""The search for ways between fixes that lead across an exclusion zone: what is found once is kept, and a trail that forgets
its beginning takes the search up where it becomes whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.alert import Alert
from alerts.evidence import Scene
from engine import flags
from engine.error_model import TAILS
from engine.times import SECOND_US, parse_time
from geofence.crossing import CROSSING, LONGEST_US, STRETCH, STRETCH_BOX, clear_sigmas, find_crossings, find_stretches
from geofence.filter import Columns

_ROOM = 64
_MUCH = 8 * STRETCH


@cache
def clear_circles() -> NDArray[np.float64]:
    """By error model the radius of a circle that must keep off a zone for its fix to be clear of it [core sigmas]."""
    return clear_sigmas(TAILS)


class Passage(NamedTuple):
    """One way across: rows of the trail, its times [us], where on it the zone is met [0 to 1], how much lies inside."""

    before: int
    start: int
    end: int
    after: int
    start_us: int
    end_us: int
    first: float
    last: float
    share: float
    posterior: float

    @property
    def entered_us(self) -> int:
        """When the way meets the zone at an even speed, in whole seconds."""
        return max(self.start_us, self._at(self.first) // SECOND_US * SECOND_US)

    @property
    def left_us(self) -> int:
        """When the way leaves the zone at an even speed, in whole seconds."""
        return min(self.end_us, -(-self._at(self.last) // SECOND_US) * SECOND_US)

    def _at(self, share: float) -> int:
        return self.start_us + round(share * (self.end_us - self.start_us))


class Searched(NamedTuple):
    """How far a trail was searched for ways across a zone: rows seen, the last clear fixes (-1: none), the ways found."""

    n_seen: int = 0
    clear: tuple[int, int, int] = (-1, -1, -1)
    found: tuple[Passage, ...] = ()

    @property
    def start(self) -> int:
        """The row to go on from."""
        return next((row for row in self.clear if row >= 0), self.n_seen)


def searched(scene: Scene) -> Searched:
    """All ways across the zone in the trail, oldest first, however improbable; what fixes in order cannot change is kept."""
    key = search_key(scene)
    done: Searched = scene.settled.get(key, Searched())
    n = len(scene.trail)
    if done.n_seen < n:
        columns = Columns(*(scene.trail.column(name) for name in Columns._fields))
        rules = flags.WEIGHTLESS, TAILS, clear_circles(), scene.watch.settings.correlation_s
        room: NDArray[Any] = np.empty(_ROOM, CROSSING)
        place, start = scene.slot.subject.place, done.start
        where = place, scene.watch.places, room, _stretches(scene, columns, start), scene.watch.check.bounds.outer[place]
        n_found, clear, found = _ROOM, done.clear, list(done.found)
        while n_found == _ROOM:
            n_found, *clear_rows = find_crossings(columns, start, *rules, *where)
            clear = (clear_rows[0], clear_rows[1], clear_rows[2])
            start = clear[0]
            for before, left, reached, after, *more in room[:n_found].tolist():
                times = int(columns.time_us[left]), int(columns.time_us[reached])
                found.append(Passage(before, left, reached, after, *times, *more))
        done = scene.settled[key] = Searched(n, clear, tuple(found))
    return done


def passages(scene: Scene) -> tuple[Passage, ...]:
    """All ways across the zone in the trail, oldest first, however improbable."""
    return searched(scene).found


def search_key(scene: Scene) -> tuple[str, int]:
    """What a search is kept by."""
    return "search", scene.slot.number


def may_go_on_from_us(scene: Scene, done: Searched | None) -> int | None:
    """The time of the first of the last clear fixes between which, or after which, a way may yet be found; None where none."""
    if done is None or done.clear[2] < 0:
        return None
    times, newest = scene.trail.column("time_us"), done.clear[2]
    if times[done.n_seen - 1] - times[newest] > scene.trail.column("silence_us")[newest]:
        return None
    return int(times[done.clear[1]] if done.clear[1] >= 0 else times[newest])


def rows_of_search(scene: Scene, done: Searched) -> set[int]:
    """The rows that the search and what it found rest on."""
    times, bits = scene.trail.column("time_us"), scene.trail.column("flags")
    rows = {row for row in done.clear if row >= 0}
    spans = [(p.start, p.end) for p in done.found]
    for p in done.found:
        rows.update((p.before, p.start, p.end, p.after))
    if done.clear[1] >= 0:  # the way between the last two waits for the fix that confirms it
        spans.append((done.clear[1], done.clear[2]))
    if done.clear[2] >= 0 and times[done.n_seen - 1] - times[done.clear[2]] <= LONGEST_US:
        spans.append((done.clear[2], done.n_seen))
    for start, stop in spans:
        rows.update((np.flatnonzero((bits[start:stop] & flags.WEIGHTLESS) == 0) + start).tolist())
    return rows


def outside_of(found: Iterable[Passage], breaches: Sequence[Alert]) -> list[Passage]:
    """The passages that no breach covers any time of."""
    during = [(parse_time(a.began), parse_time(a.ended) if a.ended else 2**62) for a in breaches]
    return [p for p in found if not any(began < p.end_us and p.start_us < ended for began, ended in during)]


def still_open(done: Searched, from_us: int, closed: Sequence[Alert]) -> Searched:
    """A search without the passages of the time before an instant, and without those that closed breaches cover."""
    return done._replace(found=tuple(p for p in outside_of(done.found, closed) if p.end_us >= from_us))


def renumbered(done: Searched, moved: NDArray[np.int64], base: int) -> Searched:
    """A search up to the row where the trail becomes whole, now `base`; its rows have new numbers (n,)."""

    def row(old: int) -> int:
        return int(moved[old]) if old >= 0 else -1

    found = tuple(
        p._replace(before=row(p.before), start=row(p.start), end=row(p.end), after=row(p.after)) for p in done.found
    )
    return Searched(base, (row(done.clear[0]), row(done.clear[1]), row(done.clear[2])), found)


def _stretches(scene: Scene, columns: Columns, start: int) -> NDArray[Any]:
    """The trail's stretches, once for all of a wearer's zones; none where there is not much to look at."""
    n = len(scene.trail) // STRETCH
    if len(scene.trail) - start < _MUCH:
        return np.empty(0, STRETCH_BOX)
    stretches: NDArray[Any] = scene.settled.get("stretches", np.empty(0, STRETCH_BOX))
    if len(stretches) != n:
        stretches = scene.settled["stretches"] = np.empty(n, STRETCH_BOX)
        find_stretches(columns, flags.WEIGHTLESS, clear_circles(), stretches)
    return stretches
