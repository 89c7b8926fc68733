"""A match: the answer for one wearer (and one crime), and its JSON form. Nothing in it is made up: what was not computed is
null or left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from crime_match.crimes.crime import Crime


@dataclass(frozen=True, slots=True)
class Match:
    """The fields of one line of matches, in their order; see the interfaces. `crime`, `force`, `routine`, `chance` and
    `compatible` are left out of the JSON while they are None. `before` and `after` are the nearest fixes outside the window
    that carry weight."""

    wearer: str
    device: str
    verdict: str
    support: str | None
    closest_m: float | None
    closest_at: str | None
    n_fixes: int
    visits: list[dict[str, Any]]
    dwell_s: float
    probability: float | None
    required_speed_mps: float | None
    coverage: float
    worst_gap_s: float
    sources: dict[str, int]
    fixes: list[dict[str, Any]]
    parameters: dict[str, Any]
    reasons: list[str]
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    crime: str | None = None
    routine: dict[str, Any] | None = None
    chance: dict[str, Any] | None = None
    force: str | None = None
    compatible: dict[str, Any] | None = None

    def record(self) -> dict[str, Any]:
        """The match as a dictionary with keys in the order of the contract."""
        return {key: getattr(self, key) for key in _KEYS if key not in _LEFT_OUT or getattr(self, key) is not None}

    def to_json(self) -> str:
        """One line of JSON, without the line's end."""
        return msgspec.json.encode(self.record()).decode()


class CrimeMatches(NamedTuple):
    """What a run found about one crime: the matches that were asked for, in order, and how many wearers by verdict, all of
    them counted."""

    crime: Crime
    matches: Sequence[Match]
    counts: Mapping[str, int]


_KEYS = (
    "crime", "force", "wearer", "device", "verdict", "support", "closest_m", "closest_at", "n_fixes", "visits", "dwell_s",
    "probability", "required_speed_mps", "coverage", "worst_gap_s", "sources", "fixes", "routine", "chance", "parameters",
    "reasons", "before", "after", "compatible",
)  # fmt: skip
_LEFT_OUT = ("crime", "force", "routine", "chance", "compatible")
