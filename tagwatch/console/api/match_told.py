"""A match as it is told: the shape of the contract, for what is computed now and for lines that a run wrote."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from tagwatch.console.api.values import Iso, Told

Verdict = Literal["placed", "possible", "excluded", "unmonitored"]

EVERY: tuple[Verdict, ...] = ("placed", "possible", "excluded", "unmonitored")


class MatchTold(Told):
    """The answer for one wearer and one place or crime; `crime`, `force`, `routine`, `chance` are of runs alone."""

    model_config = ConfigDict(extra="allow")

    wearer: str
    device: str
    verdict: Verdict
    support: Literal["strong", "weak", "cell"] | None
    closest_m: float | None
    closest_at: Iso | None
    n_fixes: int
    visits: list[dict[str, Any]]
    dwell_s: float
    probability: float | None
    required_speed_mps: float | None
    coverage: float
    worst_gap_s: float | None
    sources: dict[str, int]
    fixes: list[dict[str, Any]]
    parameters: dict[str, Any]
    reasons: list[str]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    crime: str = ""
    force: str = ""
    routine: dict[str, Any] | None = None
    chance: dict[str, Any] | None = None
