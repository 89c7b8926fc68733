"""A draft on its page: what it comes to, what if it had held, saving it, or going back to what was typed."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from engine.errors import InputError
from geofence.schedule import read_date
from tagwatch.console.administrators.change import StaleError, marks_of, write
from tagwatch.console.administrators.drafts import Draft, Kept
from tagwatch.console.administrators.preview import preview_of
from tagwatch.console.administrators.typed import Form
from tagwatch.console.administrators.whatif_job import DAYS, sentence, work_of
from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.geo_features import answer
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Edits = Annotated[Caller, needs("configuration.edit")]


@router.get("/configuration/drafts/{identifier}")
def look(request: Request, office: Here, caller: Edits, drafts: Kept, identifier: str, week: str = "") -> Response:
    """What a draft comes to."""
    return _page(request, office, caller, drafts.find(caller, identifier), week=week)


@router.get("/configuration/drafts/{identifier}/map.json")
def map_of(office: Here, caller: Edits, drafts: Kept, identifier: str) -> Response:
    """The places as they would be, for the map."""
    return answer(preview_of(office, caller, drafts.find(caller, identifier).change).features)


@router.post("/configuration/drafts/{identifier}/save")
def save(request: Request, office: Here, caller: Edits, drafts: Kept, identifier: str, typed: Form) -> Response:
    """Save it, if nobody changed meanwhile what it was made from; who saw that may save it over the other's."""
    draft = drafts.find(caller, identifier)
    if typed.text("over") == "yes":
        with office.database.reading() as connection:
            fresh = marks_of(connection, draft.change.kind, draft.change.ids)
        if typed.text("seen") == _seen(fresh):
            draft.change = draft.change._replace(marks=fresh)
    try:
        counts = write(office, caller, draft.change)
    except (InputError, NotAllowed, StaleError) as fault:
        return _page(request, office, caller, draft, fault=fault)
    drafts.drop(draft)
    kind, ids = draft.change.kind, draft.change.ids
    done = ", ".join(f"{n} {'as before' if name == 'same' else name}" for name, n in counts.items() if n)
    return page(
        request, office, caller, "administrators/saved.html", kind=kind, ids=ids, done=done or "nothing was different",
        title=draft.title,
    )  # fmt: skip


@router.post("/configuration/drafts/{identifier}/what-if")
def what_if(request: Request, office: Here, caller: Edits, drafts: Kept, identifier: str, typed: Form) -> Response:
    """Ask what would have been different, as a job; it leads back here."""
    draft = drafts.find(caller, identifier)
    try:
        n_days = int(typed.text("days") or 0)
        work = work_of(office, caller, draft, n_days)
    except ValueError as fault:  # an InputError is one
        return _page(request, office, caller, draft, fault=fault if isinstance(fault, InputError) else InputError(
            field="days", value=typed.text("days"), expected=f"one of {', '.join(map(str, DAYS))}"))  # fmt: skip
    office.log(caller, "what-if asked", draft.change.ids[0], days=n_days, ids=draft.change.ids[:50])
    job = office.jobs.start(caller, "what-if", f"What if: {draft.title}", work, subject=draft.change.ids[0])
    return RedirectResponse(f"/jobs/{job.id}", 303)


def _page(
    request: Request, office: Office, caller: Caller, draft: Draft, *, week: str = "", fault: Exception | None = None
) -> Response:  # fmt: skip
    preview: Any = None
    try:
        preview = preview_of(office, caller, draft.change, _day(week))
    except (InputError, NotAllowed, StaleError) as found:
        fault = fault or found
    seen = ""
    if isinstance(fault, StaleError):
        with office.database.reading() as connection:
            seen = _seen(marks_of(connection, draft.change.kind, draft.change.ids))
    status = 200 if fault is None else 409 if isinstance(fault, StaleError) else 422
    return page(
        request, office, caller, "administrators/draft.html", status=status, draft=draft, kind=draft.change.kind,
        ids=draft.change.ids, preview=preview, fault=str(fault) if fault else "", stale=seen, days=DAYS,
        outcome=draft.outcome, outcome_words=sentence(draft.outcome) if draft.outcome else "",
        asks=draft.change.kind.name not in ("team", "wearer"),
    )  # fmt: skip


def _seen(marks: dict[str, str]) -> str:
    """A name for what holds now, so that nobody saves over what was not seen."""
    from geofence.zone import version_of

    return version_of(marks)


def _day(text: str) -> date | None:
    try:
        return read_date(text, "week")
    except InputError:
        return None
