"""How match runs are told, and how a new one is asked for."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tagwatch.console.api.near_calls import How
from tagwatch.console.api.values import Instant, Iso, Reason, Text, Told


class RunTold(Told):
    """A run as far as the account may see its crimes; `n_stale` of them have changed since."""

    id: str
    algorithm: str
    parameters: dict[str, Any]
    n_crimes: int
    n_stale: int
    made: Iso | None
    made_by: str
    reason: str


class RunCrime(Told):
    """A crime of a run. Counts are of the wearers whom the account may see, by verdict (of placements by how far they carry);
    null where the run listed none of them."""

    force: str
    reference: str
    version: int
    latest: int
    changed: list[str]
    stale: bool
    counts: dict[str, int | None]


class RunWhole(RunTold):
    """A run with its crimes."""

    crimes: list[RunCrime]


class RunAsked(How):
    """Which crimes are to be matched, by which parameters, and why; without `new` and `stale`: all that the rest names."""

    force: Text | None = None
    reference: Text | None = None
    batch: Text | None = None
    from_: Instant | None = Field(default=None, alias="from")
    to: Instant | None = None
    new: bool = Field(default=False, description="Those that were not matched yet")
    stale: bool = Field(default=False, description="Those that have changed since they were matched")
    reason: Reason
    case_ref: Text = ""
