"""One's own tokens for other systems: made once, shown once, with scopes and an end; and revoked."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from engine.errors import InputError
from engine.times import to_iso
from tagwatch.access import audit, tokens
from tagwatch.access.roles import OPERATIONS
from tagwatch.console.administrators.typed import Faults, Form, Typed, sentence
from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Own = Annotated[Caller, needs("own account")]
LABELS = {"scope": "Scopes", "scopes": "Scopes", "name": "Name", "days": "Days"}


@router.get("/account/tokens")
def own(request: Request, office: Here, caller: Own) -> Response:
    """The tokens of the account."""
    return _page(request, office, caller, Typed({"days": ["90"]}))


@router.post("/account/tokens")
def make(request: Request, office: Here, caller: Own, typed: Form) -> Response:
    """Make a token; it is shown on the answer and never again."""
    _require_session(caller)
    text = typed.text("days")
    days = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
    try:
        with office.database.writing() as connection:
            token = tokens.make(
                connection, caller.account, typed.text("name")[:200], typed.all("scopes"), days, office.wall()
            )
            told: dict[str, Any] = {"name": typed.text("name")[:200], "scopes": sorted(typed.all("scopes")), "days": days}
            audit.write(connection, office.entry(caller, "token made", caller.account.login, **told), office.wall())
    except InputError as fault:
        name = "scopes" if fault.field == "scope" else fault.field
        given = InputError(
            fault.message, field=name, value=text if name == "days" else fault.value, expected=fault.expected
        )
        return _page(request, office, caller, typed, {name: sentence(given, LABELS)})
    return _page(request, office, caller, Typed({"days": ["90"]}), token=token)


@router.post("/account/tokens/{identifier}/revoke")
def revoke(office: Here, caller: Own, identifier: str) -> Response:
    """Revoke one of the account's own tokens."""
    _require_session(caller)
    with office.database.writing() as connection:
        if tokens.revoke(connection, caller.account, identifier, office.wall()):
            entry = office.entry(caller, "token revoked", caller.account.login, token=identifier[:16])
            audit.write(connection, entry, office.wall())
    return RedirectResponse("/account/tokens", 303)


def _require_session(caller: Caller) -> None:
    """A token must not make tokens: it would give itself what it was not given."""
    if not caller.session:
        raise NotAllowed("tokens are made and revoked by somebody who is signed in, not by a token")


def _page(
    request: Request, office: Office, caller: Caller, typed: Typed, faults: Faults | None = None, token: str = ""
) -> Response:  # fmt: skip
    now_us = office.wall()
    with office.database.reading() as connection:
        held = [
            (t, to_iso(t.ends_us), to_iso(t.used_us) if t.used_us else None, not t.revoked and now_us < t.ends_us)
            for t in tokens.of_account(connection, caller.account)
        ]
    scopes = [name for name in OPERATIONS if caller.may(name)]
    return page(
        request, office, caller, "administrators/own_tokens.html", status=422 if faults else 200, typed=typed,
        faults=faults or {}, token=token, tokens=held, scopes=scopes, most_days=tokens.MOST_DAYS,
    )  # fmt: skip
