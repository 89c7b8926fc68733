"""What of a wearer's past may still matter: from when on alerts can change, and the rows of the trail that they rest on.

Everything before is closed for fixes that come in order, and for late ones down to the trail's mark; an older late fix has
the wearer read from the store again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.alert import Alert
from alerts.evidence import Scene, rows_within
from alerts.zone_rules import MERGE_GAP_US, is_wrong
from engine import flags
from engine.times import parse_time
from geofence.curfew import Curfew
from geofence.curfew_windows import open_since_us
from geofence.episodes import Episode, episodes
from geofence.filter import IN, OUT, UNKNOWN
from geofence.zone import Zone


def closed_before_us(scenes: Sequence[Scene], mark_us: int) -> int:
    """An instant such that no alert that ended before it can become another: mark_us is the time of the row at the mark."""
    closed = mark_us
    for scene in scenes:
        for state in (scene.watch.state(scene.slot), scene.slot.marked[0]):
            if _may_turn(state):
                closed = min(closed, int(scene.trail.column("time_us")[state["run_start"]]))
        if scene.slot.subject.kind == "curfew":
            closed = min(closed, _unknown_since_us(scene))
    # What is said of a window may change until it is over; windows that are over by then are told from their beginning.
    return _windows_begin(scenes, closed - MERGE_GAP_US - 1)


def _windows_begin(scenes: Iterable[Scene], instant_us: int) -> int:
    """When the first window began that a curfew has open at an instant or that ends then; the instant where there is none.

    Windows that end where that one begins, or overlap it as another curfew's, are not drawn in: they may follow one another
    without an end.
    """
    curfews: dict[str, list[Curfew]] = {}
    for scene in scenes:
        if isinstance(scene.slot.subject.of, Curfew):
            curfews.setdefault(scene.slot.subject.of.id, []).append(scene.slot.subject.of)
    chains = [sorted(versions, key=lambda c: c.holds) for versions in curfews.values()]
    return min([instant_us, *(open_since_us(chain, instant_us) for chain in chains)])


def _may_turn(state: Any) -> bool:
    """Whether a run goes on that is not what the state says: the change it may bring is dated at its first fix."""
    if not state["run_length"]:
        return False
    return bool(state["state"] != (IN if state["run_sign"] > 0 else OUT))


def _unknown_since_us(scene: Scene) -> int:
    """Since when nobody knows where the wearer is: what an absence before was, the next known state tells."""
    every = episodes(scene.slot, scene.trail, scene.watch, scene.as_of_us)
    return every[-1].start_us if every and every[-1].state == UNKNOWN else 2**62


def open_from_us(scenes: Iterable[Scene], alerts: Iterable[Alert], since_us: int) -> int:
    """The instant from which on states are needed for all alerts that did not end before since_us, raised or to be."""
    begins = [parse_time(a.began) for a in alerts if a.ended is None or parse_time(a.ended) >= since_us]
    return _windows_begin(scenes, min([since_us, *begins])) - 1


def needed_rows(scenes: Iterable[Scene], from_us: int) -> set[int]:
    """The rows that carry what may be said of the time from an instant on: with weight, in a wrong state, while that counts."""
    rows: set[int] = set()
    for scene in scenes:
        every = episodes(scene.slot, scene.trail, scene.watch, scene.as_of_us)
        wrong = [e for e in every if e.state in is_wrong(scene) and e.end_us >= from_us]
        for e in wrong:
            rows.update(_weighty(scene, e.began_row, e.decided_row + 1))
            rows.update(rows_within(scene, _counted(scene, e, from_us)))
    return rows


def _counted(scene: Scene, episode: Episode, from_us: int) -> list[tuple[int, int]]:
    """The parts of an episode in which it is a breach of something."""
    start, end = max(episode.start_us, from_us), min(episode.end_us, scene.as_of_us + 1)
    of = scene.slot.subject.of
    if start >= end:
        return []
    windows = of.in_force(start, end) if isinstance(of, Zone) else of.windows(start, end)
    return [(max(start, a), min(end, b)) for a, b in windows if max(start, a) < min(end, b)]


def _weighty(scene: Scene, start: int, stop: int) -> list[int]:
    bits: NDArray[np.uint8] = scene.trail.column("flags")[start:stop]
    found: list[int] = (np.flatnonzero((bits & flags.WEIGHTLESS) == 0) + start).tolist()
    return found
