"""The queue: its page, its list alone for when it is loaded anew, and the alerts under a head."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response

from alerts.queue import SECTIONS, Line
from tagwatch.console.caller import Caller, needs
from tagwatch.console.office import Here, Office, office_of
from tagwatch.console.operators.desk import Desk, Queue, parts_of, shown_rows
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Reads = Annotated[Caller, needs("alerts.read")]
MOST_UNDER = 500


def desk_of(request: Request) -> Desk:
    """The one desk of the application."""
    return office_of(request).one(Desk, Desk)


@router.get("/queue")
def queue(request: Request, office: Here, caller: Reads, section: str = "", first: int = 0, under: str = "") -> Response:
    """The open queue; `under`: all alerts under the head that holds this one."""
    if under:
        return _under(request, office, caller, under, "operators/under.html")
    return _list(request, office, caller, section, first, "operators/queue.html")


@router.get("/queue/list")
def queue_list(request: Request, office: Here, caller: Reads, section: str = "", first: int = 0) -> Response:
    """The list alone."""
    return _list(request, office, caller, section, first, "operators/queue_list.html")


@router.get("/queue/under/{identifier}")
def queue_under(request: Request, office: Here, caller: Reads, identifier: str) -> Response:
    """The rows under a head alone."""
    return _under(request, office, caller, identifier, "operators/under_rows.html")


def _list(request: Request, office: Office, caller: Caller, section: str, first: int, name: str) -> Response:
    section = section if section in SECTIONS else ""
    first = min(max(0, first), 10_000_000)
    with office.database.reading() as connection:
        found = desk_of(request).queue(connection, office, caller.scope)
        parts = parts_of(connection, office, found, section, first)
    return page(
        request, office, caller, name, parts=parts, number=found.number, section=section, first=first,
        whole=caller.scope.wearers is None, limits=office.settings.handling_limits,
    )  # fmt: skip


def _under(request: Request, office: Office, caller: Caller, identifier: str, name: str) -> Response:
    with office.database.reading() as connection:
        found = desk_of(request).queue(connection, office, caller.scope)
        line = _line_of(found, identifier)
        rows = line.rows if line else ()
        shown = shown_rows(connection, office, rows[:MOST_UNDER], found.incidents)
    return page(
        request, office, caller, name, head=line and line.head, shown_rows=shown, n_alerts=len(rows), number=found.number,
        limits=office.settings.handling_limits,
    )  # fmt: skip


def _line_of(found: Queue, identifier: str) -> Line | None:
    return next((line for line in found.lines if line.head and identifier in line.head.ids), None)
