"""Slow work on its page: how far it is, and what it made."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.jobs import Job
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Own = Annotated[Caller, needs("own account")]


@router.get("/jobs/{identifier}")
def watch(request: Request, office: Here, caller: Own, identifier: str) -> Response:
    """How a job stands."""
    return page(request, office, caller, "job.html", job=_own(office, caller, identifier))


@router.get("/jobs/{identifier}/state")
def state(office: Here, caller: Own, identifier: str) -> Response:
    """The same as JSON, for the page that shows it."""
    return JSONResponse(_own(office, caller, identifier).told())


@router.get("/jobs/{identifier}/file")
def fetch(office: Here, caller: Own, identifier: str) -> Response:
    """What the job made."""
    job = _own(office, caller, identifier)
    if job.path is None:
        raise NotAllowed("this job has no file")
    office.log(caller, job.action, job.subject, file=job.result.name)
    return FileResponse(job.path, media_type=job.result.media_type, filename=job.result.name)


def _own(office: Office, caller: Caller, identifier: str) -> Job:
    job = office.jobs.find(caller, identifier)
    if job is None:
        raise NotAllowed("there is no such job of yours; jobs are forgotten when the server is started again")
    return job
