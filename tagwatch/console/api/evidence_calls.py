"""Evidence packs: one about a crime and a wearer of a kept run, built as a job."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import HTTPException, Request
from fastapi.responses import Response
from pydantic import Field

from engine.errors import InputError
from geofence.schedule import time_zone
from tagwatch.console.api.call import calls, new_router
from tagwatch.console.api.job_calls import JobTold, accepted
from tagwatch.console.api.values import Reason, Taken, Text, Word
from tagwatch.console.caller import Caller
from tagwatch.console.investigators.evidence import About, make_pack, told_of
from tagwatch.console.office import Here

router = new_router("evidence")


class EvidenceAsked(Taken):
    """Crime and wearer, and why; without a run the last one that tells of both."""

    force: Word
    reference: Word
    wearer: Word
    run: Text = ""
    timezone: Word = Field(default="Europe/London", description="Of the local times beside UTC")
    reason: Reason
    case_ref: Text = ""


@router.post(
    "/evidence", summary="Build an evidence pack", status_code=202, response_model=JobTold, response_description="Taken up"
)
def build_evidence(
    request: Request, office: Here, caller: Annotated[Caller, calls("evidence.build")], asked: EvidenceAsked
) -> Response:
    """In the background; the job's file is the pack. It computes nothing new: the run must have kept the line."""
    try:
        time_zone(asked.timezone)
    except InputError as fault:
        raise InputError(fault.message, field="timezone", value=asked.timezone, expected=fault.expected) from None
    about = About(asked.force, asked.reference, asked.wearer, asked.run, asked.timezone)
    with office.database.reading() as connection:
        run = told_of(connection, caller, about)
    if run is None:
        raise HTTPException(404, "no run that you may see keeps a line about this crime and this wearer")
    about = about._replace(run=run)
    detail = {"run": run, "crime": asked.reference, "force": asked.force}
    case_ref = asked.case_ref or asked.reference
    office.log(caller, "evidence built", asked.wearer, reason=asked.reason, case_ref=case_ref, **detail)
    job = office.jobs.start(
        caller, "evidence", f"Evidence pack: {asked.reference}, {asked.wearer}", partial(make_pack, office, caller, about),
        action="evidence downloaded", subject=asked.wearer,
    )  # fmt: skip
    return accepted(request, job)
