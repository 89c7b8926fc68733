"""Crimes: the list with its search, and one crime with its versions and runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from crime_match.crimes.crime import Crime
from crime_match.crimes.store import Choice, Version, batches, forces_with_crimes, history, seen_again
from crime_match.runs.staleness import newest_crimes, runs_of
from crime_match.runs.store import makings
from engine.errors import InputError
from engine.times import DAY_US, parse_time, to_iso
from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.investigators.answers import shelf_of
from tagwatch.console.investigators.form_fields import Fields
from tagwatch.console.investigators.reach import reach_of
from tagwatch.console.office import Here
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Reads = Annotated[Caller, needs("crimes.read")]
ON_A_PAGE = 50
STATES = {"": "All", "new": "Not matched yet", "stale": "Changed since matched"}
_FORMS = ("%d/%m/%Y", "%Y-%m-%d")


@router.get("/crimes")
def crimes(request: Request, office: Here, caller: Reads) -> Response:
    """The latest version of every crime that may be seen, newest window first, and in how many runs it was matched."""
    texts = {name: value[:200] for name, value in request.query_params.items()}
    choice, faults = choice_of(texts, reach_of(caller).forces)
    skip = ON_A_PAGE * (int(texts["page"]) - 1) if texts.get("page", "").isdecimal() and texts["page"] != "0" else 0
    with office.database.reading() as connection:
        found, n = newest_crimes(connection, ON_A_PAGE, choice, min(skip, 2**31)) if choice else ([], 0)
        forces = [force for force in forces_with_crimes(connection) if caller.scope.holds_force(force)]
    told = shelf_of(request, "imports").find(caller, texts.get("told", ""))
    return page(
        request, office, caller, "investigators/crimes.html", status=422 if faults else 200, texts=texts, faults=faults,
        found=found, n=n, skip=skip, forces=forces, states=STATES, told=told, shown=shown, on_a_page=ON_A_PAGE,
        other_page=lambda number: "?" + urlencode({**texts, "page": number}),
    )  # fmt: skip


@router.get("/crimes/one")
def crime(request: Request, office: Here, caller: Reads, force: str = "", reference: str = "") -> Response:
    """One crime: its versions with what changed, where they came from, and the runs that matched it."""
    with office.database.reading() as connection:
        versions = history(connection, reference, force) if caller.scope.holds_force(force) else []
        if not versions:
            raise NotAllowed("there is no such crime among those you may see")
        again, runs = seen_again(connection, reference, force), runs_of(connection, force, reference)
        numbers = {version.batch_number for version in versions} | {repeated.batch_number for repeated in again}
        imports = {batch.number: batch for batch in batches(connection, numbers=numbers)}
        made = {run.run: makings(connection, run.run) for run in runs}
    return page(
        request, office, caller, "investigators/crime.html", crime=versions[-1].crime, versions=versions[::-1],
        changes={version.version: was_and_is(versions, k) for k, version in enumerate(versions)}, again=again, runs=runs,
        imports=imports, made=made, iso=to_iso, shown=shown,
    )  # fmt: skip


def choice_of(texts: Mapping[str, str], forces: tuple[str, ...] | None) -> tuple[Choice | None, dict[str, str]]:
    """The crimes that a search asks for, of these forces alone (None: all); None where there are faults, by field."""
    fields = Fields(texts)
    from_us = fields.read("from", lambda text: day_of(text, "from") if text else 0)
    to_us = fields.read("to", lambda text: day_of(text, "to") + DAY_US - 1 if text else 0)
    number = fields.text("import_number")
    if fields.faults:
        return None, fields.faults
    state = fields.text("state")
    return Choice(
        force=fields.text("force") or None, batch=fields.text("batch") or None, from_us=from_us or None, to_us=to_us or None,
        stale=state == "stale", new=state == "new", forces=forces, words=fields.text("words") or None,
        import_number=int(number) if number.isdecimal() and len(number) < 18 else None,
    ), {}  # fmt: skip


def day_of(text: str, field: str) -> int:
    """The start of a day as written by day/month/year or year-month-day, in UTC [us]."""
    for form in _FORMS:
        try:
            return parse_time(datetime.strptime(text, form).strftime("%Y-%m-%dT00:00:00Z"))  # noqa: DTZ007 - a day, not a time
        except ValueError:
            continue
    raise InputError(field=field, value=text, expected="a day such as 27/02/2026")


def shown(crime: Crime) -> dict[str, str]:
    """A crime's fields as people read them."""
    about = f" ± {crime.uncertainty_m:g} m" if crime.uncertainty_m else ""
    grid = "" if crime.easting_m is None else f" (given as E {crime.easting_m:g} m, N {crime.northing_m:g} m)"
    start, end = (to_iso(time_us)[:19].replace("T", " ") for time_us in (crime.from_us, crime.to_us))
    window = start if start == end else f"{start} to {end[11:] if end[:10] == start[:10] else end}"
    return {
        "Type": crime.type, "Window": f"{window} UTC", "Place": f"{crime.lat:.6f}, {crime.lon:.6f}{about}{grid}",
        "Text": crime.text, "Batch": crime.batch,
    }  # fmt: skip


def was_and_is(versions: list[Version], k: int) -> list[tuple[str, Any, Any]]:
    """What is other in a version than in the one before: the field, as it was, as it is."""
    if not k:
        return []
    before, now = shown(versions[k - 1].crime), shown(versions[k].crime)
    return [(name, before[name], now[name]) for name in now if before[name] != now[name]]
