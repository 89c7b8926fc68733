"""Jobs: work that takes a while, how far it is, and what it made."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import HTTPException, Path, Request
from fastapi.responses import FileResponse, Response
from pydantic import Field

from tagwatch.console.api.answers import CACHE, told
from tagwatch.console.api.call import PREFIX, calls, new_router
from tagwatch.console.api.contract import problems
from tagwatch.console.api.values import KNOWN, Told, Word
from tagwatch.console.caller import Caller
from tagwatch.console.jobs import Job
from tagwatch.console.office import Here, Office

router = new_router("jobs")
Own = Annotated[Caller, calls("own account")]
Identifier = Annotated[Word, Path()]
OPERATIONS = {"match": "matches.run", "evidence": "evidence.build"}
"""By kind of job that the API starts, the operation that its caller must still have."""


class JobTold(Told):
    """How a job stands."""

    id: str
    kind: str
    title: str
    state: Literal["waiting", "running", "done", "failed"]
    share: float = Field(ge=0, le=1)
    text: str
    result: str | None = Field(description="Where what it made is fetched, once it is done")


@router.get("/jobs/{identifier}", summary="How a job stands", response_model=JobTold, responses=KNOWN)
def get_job(request: Request, office: Here, caller: Own, identifier: Identifier) -> Response:
    """One of the account's own jobs; they are forgotten when the server is started again. A token needs `own account`
    beside the operation that started the job."""
    return told(request, _told(_own(office, caller, identifier)))


@router.get(
    "/jobs/{identifier}/file", summary="What a job made", response_class=Response,
    responses=problems(409) | {200: {"description": "The file", "content": {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "application/zip": {"schema": {"type": "string", "format": "binary"}},
    }}},
)  # fmt: skip
def get_job_file(office: Here, caller: Own, identifier: Identifier) -> Response:
    """Its file, such as an evidence pack; 409 where it is not done, or made none."""
    job = _own(office, caller, identifier)
    if job.path is None:
        raise HTTPException(409, f"this job has no file: it is {job.state}")
    office.log(caller, job.action, job.subject, file=job.result.name)
    return FileResponse(
        job.path, media_type=job.result.media_type, filename=job.result.name, headers={"cache-control": CACHE}
    )


def accepted(request: Request, job: Job) -> Response:
    """The answer to what started a job: where to ask how it stands."""
    answer = told(request, _told(job), status=202)
    answer.headers["location"] = f"{PREFIX}/jobs/{quote(job.id)}"
    return answer


def _own(office: Office, caller: Caller, identifier: str) -> Job:
    """A job of the caller's account; a token sees those of its own operations."""
    job = office.jobs.find(caller, identifier)
    needed = OPERATIONS.get(job.kind, "") if job else ""
    if job is None or (caller.scopes is not None and needed not in caller.scopes) or (needed and not caller.may(needed)):
        raise HTTPException(404, f"there is no job {identifier[:40]!r} of yours; they end with the server")
    return job


def _told(job: Job) -> JobTold:
    page = job.result.page
    run = f"{PREFIX}/runs/{page.removeprefix('/matches/').partition('/')[0]}" if page.startswith("/matches/") else None
    return JobTold.model_validate({
        "id": job.id, "kind": job.kind, "title": job.title, "state": job.state, "share": job.share, "text": job.text,
        "result": f"{PREFIX}/jobs/{quote(job.id)}/file" if job.path else run,
    })  # fmt: skip
