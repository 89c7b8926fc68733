"""Who was near a place in a window: the verdict of every wearer whom the account may see."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Request
from fastapi.responses import Response
from pydantic import Field

from crime_match.question import Question
from engine.times import SECOND_US, to_iso
from tagwatch.console.api.answers import tagged
from tagwatch.console.api.call import calls, new_router
from tagwatch.console.api.match_told import EVERY, MatchTold, Verdict
from tagwatch.console.api.values import Instant, Reason, Taken, Told
from tagwatch.console.caller import Caller
from tagwatch.console.managers.standings import Stood
from tagwatch.console.office import Here
from tagwatch.near import near_in_database
from tagwatch.nearby.memory import HourMemory

router = new_router("matching")


class How(Taken):
    """By which parameters a place is looked at."""

    radius_m: float = Field(default=100.0, ge=1, le=100_000)
    pad_s: float = Field(default=600.0, ge=0, le=86_400)
    max_speed_mps: float = Field(default=55.0, ge=1, le=1_000)
    min_fixes: int = Field(default=1, ge=1, le=1_000)
    verdicts: list[Verdict] = Field(default=[*EVERY], min_length=1, max_length=4, description="Those that are listed")


class NearAsked(How):
    """A place [degrees, WGS84], a window, and why it is asked."""

    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)
    from_: Instant = Field(alias="from")
    to: Instant
    uncertainty_m: float = Field(default=0.0, ge=0, le=100_000)
    reason: Reason
    case_ref: Reason


class Near(Told):
    """How many wearers have which verdict, and the matches that were asked for, placed ones first."""

    counts: dict[str, int]
    matches: list[MatchTold]


@router.post("/near", summary="Who was near", response_model=Near)
def ask_near(
    request: Request, office: Here, caller: Annotated[Caller, calls("near.ask")], stood: Stood, asked: NearAsked
) -> Response:
    """Placed, possible, excluded or unmonitored, and why; wearers of other forces are neither listed nor counted."""
    question = Question(
        asked.lat, asked.lon, asked.from_, asked.to, asked.radius_m, asked.uncertainty_m, round(asked.pad_s * SECOND_US),
        asked.max_speed_mps, asked.min_fixes,
    )  # fmt: skip
    with office.database.reading() as connection:
        worn = stood.conditions(office, connection).activations
        found = near_in_database(
            connection, question, worn, office.settings.default_plan, only=asked.verdicts, wearers=caller.scope.wearers,
            memory=office.one(HourMemory, HourMemory),
        )  # fmt: skip
    counts = dict(found.counts)
    window: dict[str, Any] = {"from": to_iso(question.from_us), "to": to_iso(question.to_us)}
    office.log(
        caller, "near asked", reason=asked.reason, case_ref=asked.case_ref, counts=counts, radius_m=question.radius_m,
        pad_s=asked.pad_s, **window,
    )  # fmt: skip
    matches = [match.record() for match in found.matches if caller.scope.holds(match.wearer)]
    return tagged(request, msgspec.json.encode({"counts": counts, "matches": matches}))
