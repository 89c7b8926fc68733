"""Why a person's locations are looked at: said once in a session, or with each call of the API; asked for otherwise."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from tagwatch.access import sessions
from tagwatch.console.caller import Caller, ReasonNeeded
from tagwatch.console.office import Office

REASON_HEADER, CASE_HEADER = "x-reason", "x-case-ref"


def require(
    request: Request, office: Office, caller: Caller, wearer: str, action: str, **detail: Any
) -> tuple[str, str]:  # fmt: skip
    """Reason and case for a wearer's locations, noted in the audit log under this action before anything is shown.

    NotAllowed where the wearer is outside the caller's scope, ReasonNeeded where nobody said why.
    """
    caller.require(wearer)
    if caller.session:
        with office.database.reading() as connection:
            told = sessions.opened(connection, caller.session, wearer, office.wall())
    else:
        told = (_said(request, REASON_HEADER)[:1000], _said(request, CASE_HEADER)[:200])
    if told is None or not told[0]:
        raise ReasonNeeded(wearer)
    office.log(caller, action, wearer, reason=told[0], case_ref=told[1], **detail)
    return told


def _said(request: Request, header: str) -> str:
    """A header as its sender meant it: UTF-8, which servers hand on as Latin-1."""
    raw = request.headers.get(header, "").encode("latin-1", "replace")
    return raw.decode("utf-8", "replace").strip()
