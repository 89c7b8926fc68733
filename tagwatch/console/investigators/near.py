"""Who was near: the form with its map, the answer as page, map and files."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from crime_match.runs.results_csv import guarded
from crime_match.verdicts import PLACED, POSSIBLE
from engine.errors import InputError
from engine.times import to_iso
from tagwatch import configuration
from tagwatch.console import geo_features
from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.investigators.answers import Shelf, shelf_of
from tagwatch.console.investigators.files import csv_of, download
from tagwatch.console.investigators.form_fields import Texts, said
from tagwatch.console.investigators.moments import clock_words
from tagwatch.console.investigators.near_form import BLANK, Asked, read_form
from tagwatch.console.investigators.near_rows import UNREAD, Row, counts_of, features_of, groups_of
from tagwatch.console.investigators.places import read_place
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page
from tagwatch.near import Found, near_in_database
from tagwatch.nearby.memory import HourMemory

router = APIRouter(include_in_schema=False)
Asks = Annotated[Caller, needs("near.ask")]
IN_A_TABLE = 50
"""So many wearers of a group are shown at first."""
AT_ONCE = 100
"""So many excluded and not monitored wearers are listed at once; more are counted, and listed when somebody asks for them."""
COLUMNS = (
    "wearer", "verdict", "support", "closest_m", "closest_at", "n_fixes", "dwell_s", "probability", "required_speed_mps",
    "coverage", "worst_gap_s", "device", "reasons",
)  # fmt: skip


class Answer(NamedTuple):
    """What was asked, and the matches of the wearers whom the asker may see: with their fixes where they are placed; and all
    of them with everything, as packed JSON lines. Where not everybody is listed the others are in the counts alone, which are
    of the wearers whom the asker might see (`seen`, None: all) then."""

    asked: Asked
    rows: list[Row]
    packed: bytes
    counts: dict[str, int]
    is_whole: bool
    seen: frozenset[str] | None


class _Named(msgspec.Struct):
    wearer: str


@router.get("/near")
def near_form(request: Request, office: Here, caller: Asks) -> Response:
    """The form, empty."""
    return _form(request, office, caller, BLANK, {})


@router.post("/near")
def near(request: Request, office: Here, caller: Asks, texts: Texts) -> Response:
    """Ask; what is wrong with the form is told on it."""
    asked, faults = read_form(texts)
    if asked is None:
        return _form(request, office, caller, {**BLANK, **texts}, faults)
    found, is_whole = _found(office, caller, asked)
    answer = _kept(asked, found, is_whole, caller)
    _log(office, caller, "near asked", answer, counts=answer.counts)
    return RedirectResponse(f"/near/{_shelf(request).put(caller, answer)}", 303)


def _found(office: Office, caller: Caller, asked: Asked, *, everybody: bool = False) -> tuple[Found, bool]:
    """Who is placed and who is possible, and everybody where that is asked for or the others are few; whether it is."""
    settings = office.settings
    with office.database.reading() as connection:
        worn = configuration.load(connection, settings.filter_settings, settings.default_plan).activations
        ask = partial(
            near_in_database, connection, asked.question, worn, settings.default_plan, wearers=caller.scope.wearers,
            memory=office.one(HourMemory, HourMemory),
        )  # fmt: skip
        found = ask(only=None if everybody else (PLACED, POSSIBLE))
        is_whole = everybody or sum(found.counts.values()) - len(found.matches) <= AT_ONCE
        return (found if everybody or not is_whole else ask()), is_whole


@router.post("/near/place")
def near_place(caller: Asks, text: Annotated[str, Form()] = "") -> Response:
    """Where a place text is, for the map beside the form."""
    try:
        return JSONResponse(read_place(text[:200])._asdict())
    except InputError as fault:
        return JSONResponse({"fault": said(fault)}, 422)


@router.get("/near/{number}")
def near_answer(request: Request, office: Here, caller: Asks, number: str, all: str = "") -> Response:
    """The answer, by groups; all: the group of which more than the first few are shown."""
    answer = _answer(request, caller, number)
    if all in UNREAD and not answer.is_whole:
        answer = _kept(answer.asked, *_found(office, caller, answer.asked, everybody=True), caller)
        number = _shelf(request).put(caller, answer)
        return RedirectResponse(f"/near/{number}?all={all}#{all}", 303)
    question = answer.asked.question
    _log(office, caller, "near opened", answer)
    return page(
        request, office, caller, "investigators/near_answer.html", number=number, asked=answer.asked, question=question,
        groups=groups_of(answer.rows), counts=_counts(answer, caller), all=all, most=IN_A_TABLE, trail=_trail(answer.asked),
        local=lambda time_us: clock_words(time_us, answer.asked.zone), limited=caller.scope.wearers is not None,
        unread=() if answer.is_whole else UNREAD,
    )  # fmt: skip


@router.get("/near/{number}/map.json")
def near_map(request: Request, caller: Asks, number: str) -> Response:
    """The place and the fixes of who is placed."""
    answer = _answer(request, caller, number)
    return geo_features.answer(features_of(answer.asked.question, answer.rows, "Place asked about"))


@router.get("/near/{number}/file.{form}")
def near_file(request: Request, office: Here, caller: Asks, number: str, form: str) -> Response:
    """The answer as JSON lines or CSV."""
    answer = _answer(request, caller, number)
    if form not in ("jsonl", "csv"):
        raise NotAllowed("there is no such file")
    _log(office, caller, "near downloaded", answer, file=form)
    if form == "csv":
        return download(csv_of(COLUMNS, map(_cells, answer.rows)), "near.csv", "text/csv")
    lines = (line for line in zlib.decompress(answer.packed).splitlines(keepends=True) if caller.scope.holds(_wearer(line)))
    return download(b"".join(lines), "near.jsonl", "application/jsonl")


def _kept(asked: Asked, found: Found, is_whole: bool, caller: Caller) -> Answer:
    """The answer as it is kept: the fixes of two thousand wearers would take a hundred megabytes."""
    records = [match.record() for match in found.matches if caller.scope.holds(match.wearer)]
    packed = zlib.compress(b"".join(msgspec.json.encode(record) + b"\n" for record in records), 1)
    rows: list[Row] = [record if record["verdict"] == PLACED else {**record, "fixes": ()} for record in records]
    unread = {} if is_whole else {verdict: found.counts[verdict] for verdict in UNREAD}
    return Answer(asked, rows, packed, counts_of(rows) | unread, is_whole, caller.scope.wearers)


def _counts(answer: Answer, caller: Caller) -> dict[str, int | None]:
    """How many wearers each group has; not known of those that are not listed where the caller may see others by now."""
    told: dict[str, int | None] = {**counts_of(answer.rows)}
    if not answer.is_whole:
        is_same = answer.seen == caller.scope.wearers
        told |= {verdict: answer.counts[verdict] if is_same else None for verdict in UNREAD}
    return told


def _wearer(line: bytes) -> str:
    return msgspec.json.decode(line, type=_Named).wearer


def _form(request: Request, office: Office, caller: Caller, texts: dict[str, str], faults: dict[str, str]) -> Response:
    status = 422 if faults else 200
    return page(request, office, caller, "investigators/near.html", status=status, texts=texts, faults=faults)


def _shelf(request: Request) -> Shelf[Answer]:
    return shelf_of(request, "near")


def _answer(request: Request, caller: Caller, number: str) -> Answer:
    """The answer, of wearers whom the caller may still see. NotAllowed where there is none of the caller's."""
    answer = _shelf(request).find(caller, number)
    if answer is None:
        raise NotAllowed("there is no such answer of yours; answers are kept for an hour, ask again")
    return answer._replace(rows=[row for row in answer.rows if caller.scope.holds(row["wearer"])])


def _log(office: Office, caller: Caller, action: str, answer: Answer, **more: Any) -> None:
    asked, question = answer.asked, answer.asked.question
    detail = {
        "from": to_iso(question.from_us), "to": to_iso(question.to_us), "radius_m": question.radius_m,
        "pad_s": question.pad_us / 1e6, **more,
    }  # fmt: skip
    office.log(caller, action, reason=asked.reason, case_ref=asked.case_ref, **detail)


def _trail(asked: Asked) -> str:
    """The span of a trail around the window, as the query of its page."""
    return urlencode({"from": to_iso(asked.question.start_us), "to": to_iso(asked.question.end_us)})


def _cells(row: Row) -> Iterable[object]:
    for name in COLUMNS:
        value = "; ".join(row[name]) if name == "reasons" else row[name]
        yield guarded(value) if isinstance(value, str) else "" if value is None else value
