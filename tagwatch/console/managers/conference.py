"""The case conference: how the wearers of a scheme and a cohort kept their conditions over some days; page, PDF and CSV."""

from __future__ import annotations

import io
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from crime_match.runs.results_csv import guarded
from engine.errors import InputError
from engine.times import to_iso
from engine.wearers import COHORTS, Wearer
from tagwatch.compliance import Report
from tagwatch.compliance_table import records, write_csv
from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.jobs import Progress, Result
from tagwatch.console.managers import conference_table as form
from tagwatch.console.managers.conference_pdf import pdf
from tagwatch.console.managers.conference_question import LABELS, Asked, Conference, Posted, Typed, read_conference
from tagwatch.console.managers.fault import Fault
from tagwatch.console.managers.roll import NONE, choices, roll
from tagwatch.console.managers.standings import Standings, Stood
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Confers = Annotated[Caller, needs("compliance.read")]
MOST_AT_ONCE = 12
"""So many wearers are worked out while somebody waits for the page; more are work in the background."""


@router.get("/conference")
def conference(request: Request, office: Here, caller: Confers, stood: Stood, asked: Typed) -> Response:
    """The page; where it would take long, a button that has it worked out."""
    everybody = _roll(office, stood, caller)
    told: dict[str, Any] = {
        "schemes": choices(everybody)["scheme"],
        "cohorts": (*COHORTS, NONE),
        "fault": None,
        "typed": asked,
    }
    try:
        held = read_conference(office, stood, everybody, asked)
    except InputError as fault:
        told |= {"fault": Fault(fault, LABELS), "held": None}
        return page(request, office, caller, "managers/conference.html", status=422, **told)
    n_missing = _n_missing(office, stood, held)
    told |= {"held": held, "typed": held.asked, "query": held.asked.given(), "n_missing": n_missing, "reports": None,
             "as_of": to_iso(held.period.as_of_us), "some": caller.scope.wearers is not None}  # fmt: skip
    if n_missing <= MOST_AT_ONCE:
        office.log(caller, "conference opened", **_detail(held))
        reports = stood.reports(office, held.people, held.period)
        told |= {"reports": reports, "groups": form.GROUPS, "notes": form.NOTES, "matters": form.matters(reports),
                 "blocks": form.blocks(reports), "total": form.total(reports)}  # fmt: skip
    return page(request, office, caller, "managers/conference.html", **told)


@router.post("/conference/work")
def work(office: Here, caller: Confers, stood: Stood, asked: Posted) -> Response:
    """Have the figures of many wearers worked out in the background; the page they lead to shows them."""
    held = read_conference(office, stood, _roll(office, stood, caller), asked)
    office.log(caller, "conference opened", **_detail(held))
    n = len(held.people)

    def do(progress: Progress) -> Result:
        stood.reports(office, held.people, held.period, lambda k: progress(k / n, f"{k:,} of {n:,} wearers"))
        return Result(page=_address("/conference", held.asked))

    job = office.jobs.start(caller, "conference", "Case conference", do)
    return RedirectResponse(f"/jobs/{job.id}", 303)


@router.get("/conference.pdf")
def as_pdf(office: Here, caller: Confers, stood: Stood, asked: Typed) -> Response:
    """The same as a PDF: the same bytes each time, for the same question as of the same instant."""
    held, reports = _exported(office, stood, caller, asked, "PDF")
    content = pdf(reports, held.period, held.asked.scheme, held.asked.cohort, caller.account.name)
    return _file(content, held, "pdf", "application/pdf")


@router.get("/conference.csv")
def as_csv(office: Here, caller: Confers, stood: Stood, asked: Typed) -> Response:
    """The records of `tagwatch compliance --csv`: a line a wearer, a cohort, and the total."""
    held, reports = _exported(office, stood, caller, asked, "CSV")
    text = io.StringIO(newline="")
    rows = (row | ({"wearer": guarded(row["wearer"])} if "wearer" in row else {}) for row in records(reports, held.period))
    write_csv(rows, text)
    return _file(text.getvalue().encode(), held, "csv", "text/csv; charset=utf-8")


def _exported(
    office: Office, stood: Standings, caller: Caller, asked: Asked, kind: str
) -> tuple[Conference, list[Report]]:  # fmt: skip
    held = read_conference(office, stood, _roll(office, stood, caller), asked)
    if _n_missing(office, stood, held) > MOST_AT_ONCE:
        raise NotAllowed("the figures are not worked out yet, or have grown old: open the page of the conference first")
    office.log(caller, "conference exported", format=kind, **_detail(held))
    return held, stood.reports(office, held.people, held.period)


def _roll(office: Office, stood: Standings, caller: Caller) -> list[Wearer]:
    with office.database.reading() as connection:
        return roll(connection, office.people, stood.conditions(office, connection), caller.scope)


def _n_missing(office: Office, stood: Standings, held: Conference) -> int:
    with office.database.reading() as connection:
        known = stood.held(office, connection, {who.wearer: held.period for who in held.people})
    return len(held.people) - len(known)


def _detail(held: Conference) -> dict[str, Any]:
    return {**held.asked.given(), "wearers": len(held.people)}


def _address(path: str, asked: Asked) -> str:
    return f"{path}?{urlencode(asked.given())}"


def _file(content: bytes, held: Conference, ending: str, media_type: str) -> Response:
    name = f"case-conference-{held.period.first}-to-{held.period.last}.{ending}"
    return Response(content, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})
