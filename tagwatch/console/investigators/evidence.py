"""Evidence packs: one about a crime and a wearer of a kept run, built in the background; and a pack that somebody brings,
verified and not kept."""

from __future__ import annotations

import threading
from functools import partial
from hashlib import sha256
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Request, UploadFile
from fastapi.responses import RedirectResponse, Response

from crime_match.runs.seen import SeenRun
from crime_match.runs.store import lines_about
from engine.database import Connection
from geofence.schedule import time_zone
from tagwatch.cases import Found, case_of, person_of
from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.investigators.form_fields import Fields, Texts
from tagwatch.console.investigators.near_form import LONDON
from tagwatch.console.investigators.reach import run_of
from tagwatch.console.jobs import Progress, Result
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page
from tagwatch.evidence import verify_pack
from tagwatch.provenance import traced
from tagwatch.recorded_cases import recorded
from tagwatch.stored_runs import stored_people

router = APIRouter(include_in_schema=False)
Builds = Annotated[Caller, needs("evidence.build")]
MOST_BYTES = 60_000_000
BLANK = {"run": "", "force": "", "reference": "", "wearer": "", "timezone": LONDON, "reason": "", "case_ref": ""}
_VERIFYING = threading.Lock()
"""One pack at a time: a verdict is computed anew and every document is made anew."""


class About(NamedTuple):
    """Crime, wearer, and the run that tells of both; the zone of the local times beside UTC."""

    force: str
    reference: str
    wearer: str
    run: str
    timezone: str


@router.get("/evidence")
def evidence(request: Request, office: Here, caller: Builds) -> Response:
    """The form; crime, wearer and run may come with the address."""
    known = {name: value[:200] for name, value in request.query_params.items() if name in BLANK}
    return _form(request, office, caller, {**BLANK, **known}, {})


@router.post("/evidence")
def build(request: Request, office: Here, caller: Builds, texts: Texts) -> Response:
    """Take the order: the pack is built in the background."""
    fields = Fields(texts)
    force = fields.needed("force", "Say of which force the crime is.")
    reference = fields.needed("reference", "Give the reference of the crime.")
    wearer = fields.needed("wearer", "Say which wearer it is about.")
    reason = fields.needed("reason", "Say why the pack is built.")
    fields.read("timezone", lambda text: time_zone(text or LONDON))
    about = About(force, reference, wearer, fields.text("run"), fields.text("timezone") or LONDON)
    if not fields.faults:
        with office.database.reading() as connection:
            found = told_of(connection, caller, about)
        if found is None:
            fields.faults["wearer"] = (
                "No run that you may see keeps a line about this crime and this wearer. Match the crime, and keep the reasons."
            )
        else:
            about = about._replace(run=found)
    if fields.faults:
        return _form(request, office, caller, {**BLANK, **texts}, fields.faults)
    detail = {"run": about.run, "crime": reference, "force": force}
    office.log(caller, "evidence built", wearer, reason=reason, case_ref=fields.text("case_ref") or reference, **detail)
    job = office.jobs.start(
        caller, "evidence", f"Evidence pack: {reference}, {wearer}", partial(make_pack, office, caller, about),
        action="evidence downloaded", subject=wearer,
    )  # fmt: skip
    return RedirectResponse(f"/jobs/{job.id}", 303)


@router.get("/evidence/verify")
def verify_form(request: Request, office: Here, caller: Builds) -> Response:
    """The form for a pack."""
    return page(request, office, caller, "investigators/verify.html", faults={}, pack="", found=None, most=MOST_BYTES)


@router.post("/evidence/verify")
def verify(request: Request, office: Here, caller: Builds, file: UploadFile | None = None) -> Response:
    """What is found in a pack, of which nothing is kept."""
    name = ((file.filename if file else "") or "")[:200]
    data = file.file.read(MOST_BYTES + 1) if file and name else b""
    told = "" if data else "Choose a pack." if not name else "This file is empty."
    if len(data) > MOST_BYTES:
        told = f"This is too large: at most {MOST_BYTES // 1_000_000} MB."
    if told:
        return page(
            request, office, caller, "investigators/verify.html", status=422, faults={"file": told}, pack="", found=None,
            most=MOST_BYTES,
        )  # fmt: skip
    with _VERIFYING:
        found = verify_pack(data)
    office.log(caller, "evidence verified", holds=found.holds)
    return page(request, office, caller, "investigators/verify.html", faults={}, pack=name, found=found, most=MOST_BYTES)


def _form(
    request: Request, office: Office, caller: Caller, texts: dict[str, str], faults: dict[str, str]
) -> Response:  # fmt: skip
    status = 422 if faults else 200
    signed = bool(office.settings.evidence.key)
    return page(
        request, office, caller, "investigators/evidence.html", status=status, texts=texts, faults=faults, signed=signed
    )


def told_of(connection: Connection, caller: Caller, about: About) -> str | None:
    """The run that keeps a line about both and that the caller may see, the last that was made where none is named; None where
    there is none, or crime or wearer are not the caller's to see."""
    if not caller.scope.holds_force(about.force) or not caller.scope.holds(about.wearer):
        return None
    lines = lines_about(connection, about.reference, about.wearer, about.force, about.run or None)
    for line in lines:
        try:
            run: SeenRun = run_of(connection, caller, line.run)
        except NotAllowed:
            continue
        return run.id
    return None


def make_pack(office: Office, caller: Caller, about: About, progress: Progress) -> Result:
    """The pack about a crime and a wearer, as the work of a job; InputError where the match does not come out again."""
    from crime_match.evidence.build import build as build_pack  # takes 0.5 s to import
    from crime_match.evidence.signing.keys import password_of, read_key

    key = office.settings.evidence.key
    signer = read_key(key, password_of()) if key else None
    progress(0.05, "Reading what the run was made of")
    with office.database.reading() as connection:
        found = recorded(connection, office.settings, about.reference, about.force, about.wearer, about.run)
        person = person_of(about.wearer, stored_people(connection))
    trace = partial(traced, office.settings.raw_log.folder)
    progress(0.3, "Computing the match anew, looking up where each fix came from")
    made = Found(found.matched, found.trails, found.parameters, person, found.configuration, trace)
    case, record = case_of(made, timezone=about.timezone, signer=signer.name if signer else "")
    progress(0.5, "Drawing the maps, writing report and statement")
    pack = build_pack(case, record, signer)
    office.log(
        caller, "evidence written", about.wearer, case_ref=about.reference, crime=about.reference, force=about.force,
        run=case.run.id, file=_name(about), sha256=sha256(pack).hexdigest(),
    )  # fmt: skip
    told = f"{case.verdict}{f' ({support})' if (support := case.match['support']) else ''}"
    stale = " STALE: the crime has changed since it was matched." if case.stale else ""
    unsigned = "" if signer else " THE PACK IS NOT SIGNED."
    return Result(
        _name(about), "application/zip", pack, note=f"{about.reference}, {about.wearer}: {told}.{stale}{unsigned}"
    )


def _name(about: About) -> str:
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in f"{about.reference}-{about.wearer}")
    return f"evidence-{plain[:120]}.zip"
