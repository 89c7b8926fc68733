"""Episodes: maximal intervals of one state (in, out, unknown) of a wearer and a place, as of an instant."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from engine import flags
from engine.error_model import TAILS
from engine.trail import NEVER_US, Trail
from geofence.evidence import LEAST_EVIDENCE, place_evidence
from geofence.filter import IN, OUT, SINGLE, UNKNOWN, gained, relaxed, share_of_news
from geofence.masses import inside_masses
from geofence.watch import Slot, Watch

OPEN_US = 2**62
"""The end of an episode that is still going on."""


class Episode(NamedTuple):
    """One state over [start_us, end_us); rows are indices of the trail, -1 where there is none.

    began_row is the first fix of the unbroken run that decided it, decided_row the fix at which it was decided, after_row
    the last contrary fix before; decided_us and after_us are their times; posterior is that of the state itself at the
    deciding fix. Two episodes are equal where their times and probabilities are: a late fix gives rows other numbers.
    """

    state: int
    start_us: int
    end_us: int
    began_row: int = -1
    decided_row: int = -1
    after_row: int = -1
    posterior: float = 0.0
    prior: float = 0.0
    decided_us: int = NEVER_US
    after_us: int = NEVER_US

    @property
    def told(self) -> tuple[int | float, ...]:
        """Everything but the numbers of rows."""
        return self[:3] + self[6:]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Episode) and self.told == other.told

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.told)


def episodes(slot: Slot, trail: Trail, watch: Watch, as_of_us: int) -> list[Episode]:
    """The episodes of a slot, oldest first, the last one open. Empty before the first fix."""
    if not len(trail):
        return []
    times, silence = trail.column("time_us"), trail.column("silence_us")
    starts = [(UNKNOWN, int(times[0]), -1, -1, -1, 0.0, 0.0)]
    for _, state, at, began, after, posterior, prior in slot.changes.tolist():
        start = int(times[at] + silence[at]) if state == UNKNOWN else int(times[began])
        starts.append((state, start, began, at, after, posterior if state != OUT else 1.0 - posterior, prior))
    starts += _tail(slot, watch.state(slot), trail, watch, as_of_us)
    ends = [s[1] for s in starts[1:]] + [OPEN_US]

    def moment(row: int) -> int:
        return int(times[row]) if row >= 0 else NEVER_US

    return [
        Episode(s[0], s[1], end, *s[2:], moment(s[3]), moment(s[4]))
        for s, end in zip(starts, ends, strict=True)
        if s[1] < end
    ]


def speaks_at_us(slot: Slot, watch: Watch) -> int:
    """When silence speaks if nothing more comes, OPEN_US where nothing came yet."""
    column, k = watch.check.column, slot.number
    return int(column["last_us"][k] + column["last_silence_us"][k]) if column["last"][k] >= 0 else OPEN_US


def _tail(slot: Slot, state: Any, trail: Trail, watch: Watch, as_of_us: int) -> list[tuple[Any, ...]]:
    """What silence says after the last fix, where it speaks by now."""
    last, speaks = int(watch.check.column["last"][slot.number]), speaks_at_us(slot, watch)
    if last < 0 or as_of_us <= speaks:
        return []
    alone = slot.subject.kind == "exclusion" and state["run_length"] == 1 and state["state"] != IN
    if alone and state["run_sign"] > 0 and state["evidence"] >= watch.raise_logit:
        posterior = 1.0 / (1.0 + math.exp(-float(state["logit"])))
        start = int(trail.column("time_us")[last])
        return [(SINGLE, start, last, last, int(state["last_out"]), posterior, float(state["prior"]))]
    return [(UNKNOWN, speaks, last, last, -1, 0.0, 0.0)] if state["state"] != UNKNOWN else []


def probabilities(slot: Slot, trail: Trail, watch: Watch, rows: list[int]) -> list[float]:
    """P(inside) of single fixes, by the exact mass, as they are shown to people."""
    x, y, sigma, model = (trail.column(name)[rows] for name in ("lon_e7", "lat_e7", "sigma_m", "model"))
    masses = inside_masses(x, y, sigma, model, TAILS, slot.subject.place, watch.places)
    return [float(m) for m in masses]


def without_strongest(slot: Slot, trail: Trail, watch: Watch, episode: Episode) -> float | None:
    """The posterior of the episode's state if the fix that speaks loudest in its deciding run had not been there.

    None where the run is that one fix.
    """
    says = [e for e in _evidence(slot, trail, watch, episode) if abs(e[1]) >= LEAST_EVIDENCE]
    if len(says) < 2:
        return None
    strongest = max(range(len(says)), key=lambda k: (abs(says[k][1]), -k))
    left = says[:strongest] + says[strongest + 1 :]
    settings, base = watch.settings, watch.base(slot)
    logit, before_us, clearest = episode.prior, left[0][0], 0.0
    for time_us, evidence, sigma in left:
        dt_s = (time_us - before_us) * 1e-6
        news = share_of_news(dt_s, sigma, settings.correlation_s) if clearest else 1.0
        logit = gained(relaxed(logit, base, dt_s, settings.relax_s), evidence, news, clearest)
        before_us, clearest = time_us, max(clearest, abs(evidence))
    posterior = 1.0 / (1.0 + math.exp(-logit))
    return posterior if episode.state != OUT else 1.0 - posterior


def _evidence(slot: Slot, trail: Trail, watch: Watch, episode: Episode) -> list[tuple[int, float, float]]:
    """(time, evidence, sigma) of the fixes that carry weight in the deciding run."""
    place, absent = slot.subject.place, watch.check.slots.absent[slot.number]
    names = ("time_us", "lon_e7", "lat_e7", "sigma_m", "model", "flags")
    rows = slice(episode.began_row, episode.decided_row + 1)
    columns = zip(*(trail.column(name)[rows].tolist() for name in names), strict=True)
    return [
        (t, place_evidence(x, y, sigma, TAILS[model, 0], TAILS[model, 1], place, watch.places, absent), sigma)
        for t, x, y, sigma, model, bits in columns
        if not bits & flags.WEIGHTLESS
    ]
