"""What every alert shows of its fixes: which ones, how many, and how much hangs on the strongest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from alerts.alert import ALGORITHM, MOST_FIXES, AlertFix, iso, on_grid
from engine import flags
from engine.fixes import ABSENT, SOURCE_NAMES
from engine.trail import Trail
from geofence.episodes import Episode, probabilities, without_strongest
from geofence.schedule import Interval
from geofence.watch import Slot, Watch


class Scene(NamedTuple):
    """What a rule looks at: one slot of one wearer, as of an instant."""

    slot: Slot
    trail: Trail
    watch: Watch
    devices: tuple[str, ...]
    as_of_us: int
    settled: dict[Any, Any]
    """Alerts of the past by what made them: they need not be written again while fixes only come in order."""
    since_us: int = -(2**62)
    """Alerts that ended before it are not asked for: they are stored, and rows that made them may be gone from the trail."""


def settled_to_us(scene: Scene) -> int:
    """The instant up to which fixes that come in order change nothing any more: the newest fix, where it is past."""
    times = scene.trail.column("time_us")
    return min(scene.as_of_us, int(times[-1])) if len(times) else -(2**62)


def rows_within(scene: Scene, pieces: Sequence[Interval]) -> list[int]:
    """The trail rows of fixes that carry weight within any of the intervals [start, end)."""
    times, bits = scene.trail.column("time_us"), scene.trail.column("flags")
    rows: list[int] = []
    for start, end in pieces:
        low, high = np.searchsorted(times, (start, min(end, scene.as_of_us + 1)), side="left")
        rows += (np.flatnonzero((bits[low:high] & flags.WEIGHTLESS) == 0) + low).tolist()
    return rows


def chosen(rows: list[int], deciding: Sequence[int]) -> list[int]:
    """At most MOST_FIXES of the rows: the first, the last, the ones that decided, then the earliest of the others."""
    if len(rows) <= MOST_FIXES:
        return rows
    there = set(rows)
    keep = dict.fromkeys([rows[0], rows[-1], *(row for row in deciding if row in there)])
    for row in rows:
        if len(keep) >= MOST_FIXES:
            break
        keep[row] = None
    return sorted(list(keep)[:MOST_FIXES])


def listed(scene: Scene, rows: list[int]) -> list[AlertFix]:
    """The fixes of these rows as an alert lists them."""
    if not rows:
        return []
    names = ("time_us", "lat_e7", "lon_e7", "accuracy_cm", "source")
    columns = [scene.trail.column(name)[rows].tolist() for name in names]
    inside = probabilities(scene.slot, scene.trail, scene.watch, rows)
    return [
        AlertFix(iso(t), lat / 1e7, lon / 1e7, None if acc == ABSENT else acc / 100, SOURCE_NAMES[source], on_grid(p))
        for t, lat, lon, acc, source, p in zip(*columns, inside, strict=True)
    ]


def deciding_rows(episodes: Sequence[Episode]) -> list[int]:
    """The rows from the first of the deciding run to the fix that decided, of each episode."""
    return [row for e in episodes for row in range(e.began_row, e.decided_row + 1)]


def after(scene: Scene, episode: Episode) -> str | None:
    """The time of the last contrary fix before the episode, None where there was none."""
    return iso(int(scene.trail.column("time_us")[episode.after_row])) if episode.after_row >= 0 else None


def device_of(scene: Scene, rows: Sequence[int], episode: Episode) -> str:
    """The device of the first fix that carries the alert."""
    row = rows[0] if rows else episode.began_row
    return scene.devices[int(scene.trail.column("device")[row])] if row >= 0 else ""


def why(scene: Scene, strongest: Episode, text: str, **more: Any) -> dict[str, Any]:
    """The explanation: a sentence, the versions that decided, the distance to the threshold, and what one fix carries."""
    threshold = scene.watch.settings.raise_at
    left = without_strongest(scene.slot, scene.trail, scene.watch, strongest)
    decided = scene.trail.column("time_us")[strongest.decided_row]
    return {
        "text": text,
        "decided_at": iso(int(decided)),
        "threshold": threshold,
        "margin": on_grid(strongest.posterior - threshold),
        "posterior_without_strongest_fix": None if left is None else on_grid(left),
        "subject_version": scene.slot.subject.of.version,
        "algorithm": ALGORITHM,
        **more,
    }
