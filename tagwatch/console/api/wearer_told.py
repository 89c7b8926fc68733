"""How wearers are told: who that is, what is worn, and how conditions were kept."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tagwatch.console.api.values import Iso, Told


class WearerTold(Told):
    """A wearer as the configuration names them."""

    wearer: str
    name: str
    cohort: str
    scheme: str
    force: str
    basis: str
    team: str


class Worn(Told):
    """A device on a wearer; null where it has no beginning or goes on, or where nothing was heard."""

    device: str
    from_: Iso | None = Field(alias="from")
    to: Iso | None
    heard: Iso | None


class WearerWhole(WearerTold):
    """A wearer with the tags and the open alerts by grade; null where the account may not read alerts."""

    worn: list[Worn]
    open: dict[str, int] | None


class Night(Told):
    """One window of a curfew and how it was kept."""

    curfew: str
    day: str
    start: Iso
    end: Iso
    verdict: str
    required_minutes: float
    away_minutes: float
    unknown_minutes: float
    authorised_minutes: float


class Compliance(Told):
    """How one wearer kept the conditions over some days, from presence, as known at `as_of`."""

    kind: Literal["wearer"]
    wearer: str
    name: str
    cohort: str
    from_: str = Field(alias="from")
    to: str
    as_of: Iso
    timezone: str
    curfew: dict[str, float]
    zones: dict[str, dict[str, float]]
    tag: dict[str, float]
    alerts: dict[str, Any]
    nights: list[Night]
