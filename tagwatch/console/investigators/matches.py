"""Match runs: the list, the order of a new one, one run with its crimes, one crime with everybody's verdict."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from crime_match.crimes.store import Version, crimes, forces_with_crimes, versions_of
from crime_match.runs.seen import SeenRun, seen_results, seen_runs, supports
from crime_match.runs.staleness import RunCrime, run_crimes
from crime_match.verdicts import VERDICTS
from engine.database import Connection
from engine.times import to_iso
from tagwatch.console import geo_features
from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.investigators.answers import shelf_of
from tagwatch.console.investigators.crimes import shown
from tagwatch.console.investigators.form_fields import Texts
from tagwatch.console.investigators.match_form import BLANK, WHICH, read_order
from tagwatch.console.investigators.match_work import match
from tagwatch.console.investigators.near_rows import Row, features_of, groups_of
from tagwatch.console.investigators.reach import reach_of, run_of
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page
from tagwatch.evidence import parameters_in

router = APIRouter(include_in_schema=False)
Reads = Annotated[Caller, needs("matches.read")]
Runs = Annotated[Caller, needs("matches.run")]
ON_A_PAGE, IN_A_TABLE = 50, 50
_SUPPORTS = ("strong", "weak", "cell")


@router.get("/matches")
def matches(request: Request, office: Here, caller: Reads) -> Response:
    """The runs with a crime that the caller may see, the one that was made last first."""
    text = request.query_params.get("page", "1")
    number = min(int(text), 10**6) if text.isdecimal() and int(text) else 1
    with office.database.reading() as connection:
        found = seen_runs(connection, reach_of(caller).forces, ON_A_PAGE + 1, ON_A_PAGE * (number - 1))
    return page(
        request, office, caller, "investigators/matches.html", runs=found[:ON_A_PAGE], number=number, iso=to_iso,
        more=len(found) > ON_A_PAGE,
    )  # fmt: skip


@router.get("/matches/new")
def order_form(request: Request, office: Here, caller: Runs) -> Response:
    """The order of a run; which crimes may come with the address."""
    known = {name: value[:200] for name, value in request.query_params.items() if name in BLANK}
    return _form(request, office, caller, {**BLANK, **known}, {})


@router.post("/matches/new")
def order(request: Request, office: Here, caller: Runs, texts: Texts) -> Response:
    """Take the order: the run is made in the background."""
    ordered, faults = read_order(texts, reach_of(caller))
    n = 0
    if ordered:
        with office.database.reading() as connection:
            n = len(crimes(connection, ordered.choice))
        if not n:
            faults = {"which": "No crime that you may see is asked for by this: nothing to match."}
    if ordered is None or faults:
        ticked = {name: texts.get(name, "") for name in BLANK if name.startswith("list_") or name == "links"}
        return _form(request, office, caller, {**BLANK, **texts, **ticked}, faults)
    office.log(caller, "match run", reason=ordered.reason, case_ref=ordered.case_ref, crimes=n)
    keep = partial(shelf_of(request, "series").put, caller)
    title = f"Match {n:,} crime{'s' if n != 1 else ''}"
    job = office.jobs.start(caller, "match", title, partial(match, office, caller, ordered, keep))
    return RedirectResponse(f"/jobs/{job.id}", 303)


@router.get("/matches/{run_id}")
def run(request: Request, office: Here, caller: Reads, run_id: str) -> Response:
    """One run: its parameters, and what it found at each crime that the caller may see."""
    reach = reach_of(caller)
    with office.database.reading() as connection:
        found = run_of(connection, caller, run_id)
        listed = supports(connection, run_id, *reach)
        rows = [
            (one, counts_at(found, one, listed.get((one.force, one.reference), {}), every=reach.wearers is None))
            for one in run_crimes(connection, run_id)
            if caller.scope.holds_force(one.force)
        ]
    return page(
        request, office, caller, "investigators/run.html", run=found, rows=rows, iso=to_iso, limited=reach.wearers is not None,
        link=lambda one: urlencode({"force": one.force, "reference": one.reference}),
    )  # fmt: skip


@router.get("/matches/{run_id}/crime")
def crime(
    request: Request, office: Here, caller: Reads, run_id: str, force: str = "", reference: str = "", all: str = ""
) -> Response:
    """What a run found at one crime, of the wearers whom the caller may see; all: the group of which everybody is shown."""
    reach = reach_of(caller)
    with office.database.reading() as connection:
        found, one, version, rows = _found(connection, caller, run_id, force, reference)
    detail = {"run": run_id, "force": force}
    office.log(caller, "match opened", reference, case_ref=reference, **detail)
    question = parameters_in(found.parameters).ask(version.crime)
    groups = groups_of(rows)
    listed = {group.key: len(group.rows) for group in groups}
    about = {"force": force, "reference": reference}
    return page(
        request, office, caller, "investigators/match.html", run=found, one=one, crime=version.crime, groups=groups, all=all,
        counts=counts_at(found, one, listed, every=reach.wearers is None), most=IN_A_TABLE, limited=reach.wearers is not None,
        trail=urlencode({"from": to_iso(question.start_us), "to": to_iso(question.end_us)}), question=question,
        shown=shown(version.crime), about=urlencode(about),
        pack="/evidence?" + urlencode({"run": run_id, **about, "wearer": ""}) if caller.may("evidence.build") else "",
    )  # fmt: skip


@router.get("/matches/{run_id}/crime/map.json")
def crime_map(office: Here, caller: Reads, run_id: str, force: str = "", reference: str = "") -> Response:
    """The crime with its vicinity, and the fixes of who is placed."""
    with office.database.reading() as connection:
        found, _, version, rows = _found(connection, caller, run_id, force, reference)
    question = parameters_in(found.parameters).ask(version.crime)
    return geo_features.answer(features_of(question, rows, reference))


def counts_at(run: SeenRun, one: RunCrime, listed: Row, *, every: bool) -> dict[str, int | None]:
    """How many wearers each group has at a crime: of those that the run listed from its lines, of others from its sums where
    every wearer may be seen, else None: not known. Of placements that were not listed it is not known how far they carry."""
    of_sums = {verdict: one.counts[verdict] if every and verdict != "placed" else None for verdict in VERDICTS}
    keys = [("placed", support) for support in _SUPPORTS] + [(verdict, verdict) for verdict in VERDICTS[1:]]
    return {key: listed.get(key, 0) if verdict in run.listed else of_sums[verdict] for verdict, key in keys}


def _found(
    connection: Connection, caller: Caller, run_id: str, force: str, reference: str
) -> tuple[SeenRun, RunCrime, Version, list[Row]]:  # fmt: skip
    """A run, a crime of it, the version that was matched, and the lines about wearers whom the caller may see. NotAllowed
    where any of these is not there or not the caller's, told alike."""
    found = run_of(connection, caller, run_id)
    ones = [one for one in run_crimes(connection, run_id) if (one.force, one.reference) == (force, reference)]
    if not ones or not caller.scope.holds_force(force):
        raise NotAllowed("there is no such crime in this run among those you may see")
    [version] = versions_of(connection, [(force, reference, ones[0].version)])
    results = seen_results(connection, run_id, *reach_of(caller), key=(force, reference))
    return found, ones[0], version, [msgspec.json.decode(result.line) for result in results]


def _form(
    request: Request, office: Office, caller: Caller, texts: dict[str, str], faults: dict[str, str]
) -> Response:  # fmt: skip
    with office.database.reading() as connection:
        forces = [force for force in forces_with_crimes(connection) if caller.scope.holds_force(force)]
    return page(
        request, office, caller, "investigators/match_order.html", status=422 if faults else 200, texts=texts, faults=faults,
        which=WHICH, forces=forces, verdicts=VERDICTS,
    )  # fmt: skip
