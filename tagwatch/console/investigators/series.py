"""Series: wearers placed at several crimes of a run, ranked, crimes that share wearers, and who was in company."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from crime_match.runs.seen import SeenRun
from crime_match.runs.staleness import run_crimes
from tagwatch.access.scope import Scope
from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.investigators.answers import shelf_of
from tagwatch.console.investigators.match_work import Series, series_of
from tagwatch.console.investigators.reach import run_of
from tagwatch.console.jobs import Progress, Result
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Reads = Annotated[Caller, needs("matches.read")]
Runs = Annotated[Caller, needs("matches.run")]
IN_A_TABLE = 200


@router.post("/matches/{run_id}/series")
def rank(request: Request, office: Here, caller: Runs, run_id: str) -> Response:
    """Rank the series of a kept run, in the background."""
    with office.database.reading() as connection:
        run = run_of(connection, caller, run_id)
        if any(not caller.scope.holds_force(one.force) for one in run_crimes(connection, run_id)):
            raise NotAllowed("this run is about crimes of other forces too: rank a run of your own crimes")
    office.log(caller, "series ranked", run_id)
    keep = partial(shelf_of(request, "series").put, caller)
    job = office.jobs.start(caller, "series", f"Rank series of run {run_id[:12]}", partial(_work, office, run, keep))
    return RedirectResponse(f"/jobs/{job.id}", 303)


@router.get("/matches/{run_id}/series")
def series(request: Request, office: Here, caller: Reads, run_id: str, told: str = "") -> Response:
    """The ranking that was made, of wearers whom the caller may see."""
    with office.database.reading() as connection:
        run = run_of(connection, caller, run_id)
    records = shelf_of(request, "series").find(caller, told)
    if records is None or records[0]["run"] != run_id:
        raise NotAllowed("there is no such ranking of yours; they are kept for an hour, rank again")
    office.log(caller, "series opened", run_id)
    kinds = seen_records(records, caller.scope)
    return page(
        request, office, caller, "investigators/series.html", run=run, kinds=kinds, head=records[0], most=IN_A_TABLE,
        limited=caller.scope.wearers is not None,
    )  # fmt: skip


def seen_records(records: Series, scope: Scope) -> dict[str, list[dict[str, Any]]]:
    """By kind the records about wearers of this scope: names of others are left out, and what then tells of nobody."""
    found: dict[str, list[dict[str, Any]]] = {"ranked": [], "group": [], "pair": [], "company": []}
    found["ranked"] = [row for row in records[0]["ranked"] if scope.holds(row["wearer"])]
    for record in records[1:]:
        wearers = scope.only(record["wearers"])
        least = len(record["wearers"]) if record["kind"] == "company" else 1
        if len(wearers) >= least:
            found[record["kind"]].append({**record, "wearers": wearers})
    return found


def _work(office: Office, run: SeenRun, keep: Callable[[Series], str], progress: Progress) -> Result:
    with office.database.reading() as connection:
        records = series_of(connection, office.settings, run, progress)
    return Result(page=f"/matches/{run.id}/series?told={keep(records)}", note="The series are ranked.")
