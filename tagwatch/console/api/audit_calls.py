"""The audit log: who looked at whom, searched, exported or changed something, when and why."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import Field

from engine.database import Connection
from engine.times import to_iso
from tagwatch.access import accounts, audit
from tagwatch.access.accounts import EVERY_FORCE
from tagwatch.access.audit_search import Search, found_rows
from tagwatch.console.api.answers import After, Limit, Page, read_cursor, told_page
from tagwatch.console.api.call import calls, new_router
from tagwatch.console.api.values import Instant, Iso, Text, Told
from tagwatch.console.caller import Caller
from tagwatch.console.office import Here

router = new_router("audit")


class Row(Told):
    """One row of the log. hash = SHA-256(hash of the row before, then the row as canonical JSON)."""

    number: int
    at: Iso
    actor: str
    roles: str
    via: str
    action: str
    subject: str
    reason: str
    case_ref: str
    detail: dict[str, Any]
    hash: str = Field(description="Hexadecimal")


@router.get("/audit", summary="The audit log, the newest first", response_model=Page[Row])
def list_audit(
    request: Request, office: Here, caller: Annotated[Caller, calls("audit.read")], limit: Limit = 100, after: After = "",
    actor: Annotated[Text, Query()] = "", action: Annotated[Text, Query()] = "",
    subject: Annotated[Text, Query(description="Whom or what it is about, also as one of several")] = "",
    from_: Annotated[Instant | None, Query(alias="from")] = None,
    to: Annotated[Instant | None, Query(description="That instant excluded")] = None,
) -> Response:  # fmt: skip
    """Rows by their numbers; an auditor of one force sees what accounts of that force did. That it is read is a row too."""
    key = read_cursor(after, int)
    sought = {"actor": actor, "of_action": action, "before": key and key[0]}
    office.log(caller, "audit searched", subject, **{name: value for name, value in sought.items() if value})
    with office.database.reading() as connection:
        search = Search(actor, subject, action, (), from_, to, _actors(connection, caller))
        found = found_rows(connection, search, before=key[0] if key else None, most=limit + 1)
    return told_page(request, Page[Row], found, limit, lambda row: (row.number,), lambda rows: [_row(row) for row in rows])


def _actors(connection: Connection, caller: Caller) -> list[str] | None:
    """Whose rows may be seen; None for everybody's."""
    force = caller.account.force
    return None if force == EVERY_FORCE else [one.login for one in accounts.everybody(connection) if one.force == force]


def _row(row: audit.Row) -> Row:
    told = row._asdict()
    told |= {"at": to_iso(row.at_us), "detail": msgspec.json.decode(row.detail), "hash": row.hash.hex()}
    del told["at_us"]
    return Row(**told)
