"""The audit log for auditors: searched, verified, exported. An auditor of one force sees what accounts of that force did."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Form, Request
from fastapi.responses import Response, StreamingResponse

from engine.database import Connection
from engine.times import from_datetime, to_iso
from tagwatch.access import accounts, audit
from tagwatch.access.accounts import EVERY_FORCE
from tagwatch.access.audit import Row
from tagwatch.access.audit_search import Search, actions_of, each_row, found_rows
from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Reads = Annotated[Caller, needs("audit.read")]
A_PAGE = 100
_FIELDS = ("number", "at", "actor", "roles", "via", "action", "subject", "reason", "case_ref", "detail", "hash")


class Asked(NamedTuple):
    """What somebody searches for, as typed: days are UTC, the last one included."""

    actor: str = ""
    subject: str = ""
    action: str = ""
    first: str = ""
    last: str = ""


@router.get("/audit")
def search(
    request: Request, office: Here, caller: Reads, actor: str = "", subject: str = "", action: str = "", first: str = "",
    last: str = "", before: int = 0,
) -> Response:  # fmt: skip
    """Rows that a search finds, the newest first; the search itself is noted."""
    asked = Asked(*(text.strip()[:200] for text in (actor, subject, action, first, last)))
    faults = {name: _fault(text) for name, text in (("first", asked.first), ("last", asked.last)) if _fault(text)}
    if any(asked) and not faults:
        office.log(
            caller, "audit searched", asked.subject, **{n: v for n, v in asked._asdict().items() if v and n != "subject"}
        )
    with office.database.reading() as connection:
        sought = _search(connection, caller, asked if not faults else Asked())
        found = [] if faults else found_rows(connection, sought, before=before or None, most=A_PAGE + 1)
        actions = actions_of(connection)
    return _page(request, office, caller, asked, found, faults=faults, actions=actions, before=before)


@router.post("/audit/verify")
def verify(request: Request, office: Here, caller: Reads, head: Annotated[str, Form()] = "") -> Response:
    """Look at every row's hash, and whether a head that was noted elsewhere is among them."""
    office.log(caller, "audit verified")
    with office.database.reading() as connection:
        verdict = audit.verify(connection, head.strip()[:64])
        actions = actions_of(connection)
        found = found_rows(connection, _search(connection, caller, Asked()), most=A_PAGE + 1)
    return _page(request, office, caller, Asked(), found, actions=actions, verdict=verdict, head=head.strip()[:64])


@router.get("/audit/export")
def export(
    office: Here, caller: Reads, actor: str = "", subject: str = "", action: str = "", first: str = "", last: str = ""
) -> Response:  # fmt: skip
    """The rows of a search as CSV, oldest first, with their hashes."""
    asked = Asked(*(text.strip()[:200] for text in (actor, subject, action, first, last)))
    if _fault(asked.first) or _fault(asked.last):
        raise NotAllowed(_fault(asked.first) or _fault(asked.last))
    office.log(
        caller, "audit exported", asked.subject, **{n: v for n, v in asked._asdict().items() if v and n != "subject"}
    )
    headers = {"content-disposition": 'attachment; filename="audit.csv"'}
    return StreamingResponse(_csv(office, caller, asked), media_type="text/csv; charset=utf-8", headers=headers)


def _csv(office: Office, caller: Caller, asked: Asked) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_FIELDS)
    with office.database.reading() as connection:
        for row in each_row(connection, _search(connection, caller, asked)):
            told = {**row._asdict(), "at": to_iso(row.at_us), "hash": row.hash.hex()}
            writer.writerow([_harmless(str(told[name])) for name in _FIELDS])
            if text.tell() > 60_000:
                yield text.getvalue().encode()
                text.seek(0)
                text.truncate()
    yield text.getvalue().encode()


def _harmless(text: str) -> str:
    """What a spreadsheet would take for a formula is marked as text: anybody may type a login."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _search(connection: Connection, caller: Caller, asked: Asked) -> Search:
    force = caller.account.force
    actors = None
    if force != EVERY_FORCE:
        actors = [one.login for one in accounts.everybody(connection) if one.force == force]
    first, last = _day(asked.first), _day(asked.last)
    from_us = _start_us(first) if first else None
    to_us = _start_us(last + timedelta(days=1)) if last else None
    return Search(asked.actor, asked.subject, asked.action, (), from_us, to_us, actors)


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _start_us(day: date) -> int:
    return from_datetime(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _fault(text: str) -> str:
    try:
        if text and not 2000 <= date.fromisoformat(text).year < 2100:
            raise ValueError
    except ValueError:
        return f"Day “{text[:40]}” is none: expected such as 2026-03-29"
    return ""


def _page(
    request: Request, office: Office, caller: Caller, asked: Asked, found: list[Row], *, faults: dict[str, str] | None = None,
    actions: list[str], before: int = 0, verdict: Any = None, head: str = "",
) -> Response:  # fmt: skip
    rows = [(row, to_iso(row.at_us), _words(row.detail)) for row in found[:A_PAGE]]
    query = urlencode({name: value for name, value in asked._asdict().items() if value})
    older = found[A_PAGE - 1].number if len(found) > A_PAGE else 0
    return page(
        request, office, caller, "administrators/audit.html", status=422 if faults else 200, asked=asked, rows=rows,
        faults=faults or {}, actions=actions, query=query, older=older, before=before, verdict=verdict, head=head,
        force=caller.account.force,
    )  # fmt: skip


def _words(detail: str) -> list[tuple[str, str]]:
    """The detail as names and texts."""
    found = msgspec.json.decode(detail)
    return [(name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)) for name, value in found.items()]
