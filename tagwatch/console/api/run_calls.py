"""Match runs: the list, one with its crimes, what it found, and a new one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Annotated, Any

from fastapi import HTTPException, Path, Request
from fastapi.responses import Response, StreamingResponse

from crime_match.crimes.store import Choice, Key, crimes
from crime_match.question import Parameters
from crime_match.runs import staleness
from crime_match.runs.seen import SeenRun, seen_results, seen_run, seen_runs, supports
from crime_match.runs.staleness import run_crimes
from engine.database import Connection
from engine.errors import InputError
from engine.times import SECOND_US, to_iso
from tagwatch.console.api.answers import CACHE, After, Limit, Page, after_key, read_cursor, told, told_page
from tagwatch.console.api.call import calls, is_head, new_router
from tagwatch.console.api.fix_stream import NDJSON
from tagwatch.console.api.job_calls import JobTold, accepted
from tagwatch.console.api.run_told import RunAsked, RunCrime, RunTold, RunWhole
from tagwatch.console.api.values import KNOWN, Word
from tagwatch.console.caller import Caller
from tagwatch.console.investigators.match_form import Order
from tagwatch.console.investigators.match_work import match
from tagwatch.console.investigators.matches import counts_at
from tagwatch.console.investigators.reach import Reach, reach_of
from tagwatch.console.office import Here, Office

router = new_router("matching")
Reads = Annotated[Caller, calls("matches.read")]
Identifier = Annotated[Word, Path(description="The run's identifier, whole")]


@router.get("/runs", summary="Match runs", response_model=Page[RunTold], responses=KNOWN)
def list_runs(request: Request, office: Here, caller: Reads, limit: Limit = 100, after: After = "") -> Response:
    """Those with a crime that the account may see, by identifier: `made` says when."""
    key = read_cursor(after, str)
    with office.database.reading() as connection:
        everything = sorted(seen_runs(connection, reach_of(caller).forces, 10**9), key=_key)
    found = after_key(everything, key, _key, limit)
    return told_page(request, Page[RunTold], found, limit, _key, lambda rows: [RunTold(**_values(run)) for run in rows])


@router.get("/runs/{identifier}", summary="One run", response_model=RunWhole, responses=KNOWN)
def get_run(request: Request, office: Here, caller: Reads, identifier: Identifier) -> Response:
    """Its parameters, and how many wearers have which verdict at each crime."""
    reach = reach_of(caller)
    with office.database.reading() as connection:
        run = _seen(connection, reach, identifier)
        listed = supports(connection, identifier, *reach)
        rows = [
            _crime(one, counts_at(run, one, listed.get((one.force, one.reference), {}), every=reach.wearers is None))
            for one in run_crimes(connection, identifier)
            if caller.scope.holds_force(one.force)
        ]
    return told(request, RunWhole(**_values(run), crimes=rows))


@router.get(
    "/runs/{identifier}/matches", summary="What a run found", response_class=Response,
    responses={200: {"description": "A line for each match, as the run wrote it", "content": {NDJSON: {
        "schema": {"type": "string"}, "x-item-schema": {"$ref": "#/components/schemas/MatchTold"}
    }}}},
)  # fmt: skip
def stream_matches(request: Request, office: Here, caller: Reads, identifier: Identifier) -> Response:
    """Every line about crimes and wearers that the account may see, in the run's order, byte for byte; sent as it is read."""
    with office.database.reading() as connection:
        _seen(connection, reach_of(caller), identifier)
        keys = [(one.force, one.reference) for one in run_crimes(connection, identifier)]
    seen = [key for key in keys if caller.scope.holds_force(key[0])]
    office.log(caller, "matches downloaded", identifier, file="ndjson")
    headers = {"cache-control": CACHE}
    if is_head(request):
        return Response(media_type=NDJSON, headers=headers)
    return StreamingResponse(_lines(office, reach_of(caller), identifier, seen), media_type=NDJSON, headers=headers)


@router.post(
    "/runs", summary="Match crimes", status_code=202, response_model=JobTold, response_description="Taken up as a job"
)
def start_run(request: Request, office: Here, caller: Annotated[Caller, calls("matches.run")], asked: RunAsked) -> Response:
    """Every wearer against the crimes that are asked for, in the background. The same run again gives the same bytes."""
    if asked.from_ is not None and asked.to is not None and asked.to < asked.from_:
        raise InputError(field="to", value=to_iso(asked.to), expected=f"not before from, {to_iso(asked.from_)}")
    order = _order(asked, reach_of(caller))
    with office.database.reading() as connection:
        n = len(crimes(connection, order.choice))
    if not n:
        raise InputError(
            "there is no such crime among those you may see: nothing to match", field="body", expected="crimes"
        )
    office.log(caller, "match run", reason=order.reason, case_ref=order.case_ref, crimes=n)
    title = f"Match {n:,} crime{'s' if n != 1 else ''}"
    return accepted(request, office.jobs.start(caller, "match", title, partial(match, office, caller, order, lambda _: "")))


def _order(asked: RunAsked, reach: Reach) -> Order:
    choice = Choice(asked.force, asked.batch, asked.reference, asked.from_, asked.to, asked.stale, asked.new, reach.forces)
    parameters = Parameters(asked.radius_m, round(asked.pad_s * SECOND_US), asked.max_speed_mps, asked.min_fixes)
    only = tuple(verdict for verdict in ("placed", "possible", "excluded", "unmonitored") if verdict in asked.verdicts)
    return Order(choice, parameters, only, links=False, reason=asked.reason, case_ref=asked.case_ref)


def _seen(connection: Connection, reach: Reach, identifier: str) -> SeenRun:
    run = seen_run(connection, identifier, reach.forces)
    if run is None:
        raise HTTPException(404, f"there is no run {identifier!r} among those you may see")
    return run


def _lines(office: Office, reach: Reach, identifier: str, keys: Sequence[Key]) -> Iterator[bytes]:
    """Crime after crime: a connection is held for the reading, not for the sending."""
    for key in keys:
        with office.database.reading() as connection, closing(seen_results(connection, identifier, *reach, key)) as results:
            lines = [result.line.encode() + b"\n" for result in results]
        yield b"".join(lines)


def _crime(one: staleness.RunCrime, counts: dict[str, int | None]) -> RunCrime:
    return RunCrime(
        force=one.force, reference=one.reference, version=one.version, latest=one.latest, changed=list(one.changed),
        stale=one.stale, counts=counts,
    )  # fmt: skip


def _key(run: SeenRun) -> tuple[str]:
    return (run.id,)


def _values(run: SeenRun) -> dict[str, Any]:
    made = run.made
    return {
        "id": run.id, "algorithm": run.algorithm, "parameters": run.parameters, "n_crimes": run.n_crimes,
        "n_stale": run.n_stale,
        "made": made and to_iso(made.made_us), "made_by": made.made_by if made else "", "reason": made.reason if made else "",
    }  # fmt: skip
