"""Alerts: the list, one with its history, and what people do with it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import HTTPException, Path, Query, Request
from fastapi.responses import Response

from alerts.handling_store import actions
from alerts.listing import Key, Sought, keys_of
from alerts.queue import Row
from alerts.records import rows_of, versions_of
from engine.database import Connection
from tagwatch.console.api.alert_told import AlertLine, AlertWhole, lines_of, whole_of
from tagwatch.console.api.answers import After, Limit, Page, read_cursor, told, told_page
from tagwatch.console.api.call import calls, new_router
from tagwatch.console.api.values import KNOWN, Instant, Text, Word
from tagwatch.console.caller import Caller
from tagwatch.console.office import Here

router = new_router("alerts")
Reads = Annotated[Caller, calls("alerts.read")]
Grade = Literal["critical", "high", "medium", "low"]
Identifier = Annotated[Word, Path(description="The alert's identifier")]


@router.get("/alerts", summary="Alerts, the newest first", response_model=Page[AlertLine], responses=KNOWN)
def list_alerts(
    request: Request, office: Here, caller: Reads, limit: Limit = 100, after: After = "",
    open: Annotated[bool | None, Query(description="Those of the queue, or those that are done with")] = None,
    wearer: Annotated[Text | None, Query()] = None, rule: Annotated[Text | None, Query()] = None,
    grade: Annotated[Grade | None, Query()] = None,
    since: Annotated[Instant | None, Query(description="Raised from then on")] = None,
) -> Response:  # fmt: skip
    """Retracted ones too, unless `open` is said. An alert that is raised during a walk is not on it: `changes` has it."""
    key = read_cursor(after, int, str)
    wearers = caller.scope.wearers if wearer is None else frozenset({wearer} if caller.scope.holds(wearer) else ())
    sought = Sought(wearers, open, rule, grade, since)
    with office.database.reading() as connection:
        keys = keys_of(connection, sought, None if key is None else (key[0], key[1]), limit + 1)
        found = _lines(connection, keys)
    return told_page(request, Page[AlertLine], keys, limit, lambda one: one, lambda here: [found[one] for one in here])


@router.get("/alerts/{identifier}", summary="One alert", response_model=AlertWhole, responses=KNOWN)
def get_alert(request: Request, office: Here, caller: Reads, identifier: Identifier) -> Response:
    """Its content, every version of it, and what was done. It shows where somebody was: the alert is the reason."""
    with office.database.reading() as connection:
        wearer = seen_row(connection, caller, identifier).wearer
    office.log(caller, "alert opened", wearer, alert=identifier)
    with office.database.reading() as connection:
        row = seen_row(connection, caller, identifier)
        found = whole_of(row, versions_of(connection, identifier), actions(connection, identifier))
    return told(request, found)


def seen_row(connection: Connection, caller: Caller, identifier: str) -> Row:
    """An alert that the caller may see; 404 where there is none."""
    row = next(iter(rows_of(connection, [identifier])), None)
    if row is None or not caller.scope.holds(row.wearer):
        raise HTTPException(404, f"there is no alert {identifier!r} among those you may see")
    return row


def _lines(connection: Connection, keys: list[Key]) -> dict[Key, AlertLine]:
    rows = rows_of(connection, [identifier for _, identifier in keys])
    lines = lines_of(rows, connection)
    return {(row.raised_us, row.id): line for row, line in zip(rows, lines, strict=True)}
