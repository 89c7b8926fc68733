"""The own account: what it may do and see, and its tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import HTTPException, Path, Request
from fastapi.responses import Response
from pydantic import Field

from engine.times import DAY_US, to_iso
from tagwatch.access import audit, tokens
from tagwatch.access.roles import OPERATIONS
from tagwatch.console.api.answers import After, Limit, Page, after_key, read_cursor, told, told_page
from tagwatch.console.api.call import calls, new_router
from tagwatch.console.api.values import KNOWN, Iso, Taken, Told, Word
from tagwatch.console.caller import Caller, NotAllowed
from tagwatch.console.office import Here

router = new_router("account")
Own = Annotated[Caller, calls("own account")]


class Account(Told):
    """Who asks: the operations are those that account and token both allow."""

    login: str
    name: str
    roles: list[str]
    forces: list[str] = Field(description="Whose wearers may be seen; `*` is every force")
    operations: list[str]
    via: str


class Token(Told):
    """A token without the token itself."""

    id: str
    name: str
    scopes: list[str]
    ends: Iso
    used: Iso | None
    revoked: bool


class NewToken(Taken):
    """What a new token is for, which operations, and for how many days."""

    name: Word
    scopes: list[Word] = Field(min_length=1, max_length=len(OPERATIONS))
    days: int = Field(ge=1, le=tokens.MOST_DAYS)


class MadeToken(Told):
    """A new token. It is told this once."""

    token: str
    name: str
    scopes: list[str]
    ends: Iso


@router.get("/account", summary="Who asks", response_model=Account, responses=KNOWN)
def get_account(request: Request, caller: Own) -> Response:
    """The account behind the token or the session, and what it may do with it."""
    who = caller.account
    allowed = [operation for operation in OPERATIONS if caller.may(operation)]
    return told(request, Account(
        login=who.login, name=who.name, roles=sorted(who.roles), forces=sorted(caller.scope.forces), operations=allowed,
        via=caller.via,
    ))  # fmt: skip


@router.get("/tokens", summary="The own tokens", response_model=Page[Token], responses=KNOWN)
def list_tokens(request: Request, office: Here, caller: Own, limit: Limit = 100, after: After = "") -> Response:
    """Those of the account, by their identifiers; also those that are over."""
    key = read_cursor(after, str)
    with office.database.reading() as connection:
        found = sorted(tokens.of_account(connection, caller.account))
    return told_page(request, Page[Token], after_key(found, key, lambda t: (t.id,), limit), limit, lambda t: (t.id,),
                     lambda rows: [_token(row) for row in rows])  # fmt: skip


@router.post("/tokens", summary="Make a token", status_code=201, response_model=MadeToken)
def make_token(request: Request, office: Here, caller: Own, asked: NewToken) -> Response:
    """Only with a session: who holds a token must not be able to prolong it."""
    if caller.scopes is not None:
        raise NotAllowed("a token makes no tokens: it takes a session of the console")
    now_us = office.wall()
    with office.database.writing() as connection:
        made = tokens.make(connection, caller.account, asked.name, asked.scopes, asked.days, now_us)
        entry = office.entry(caller, "token made", asked.name, scopes=asked.scopes, days=asked.days)
        audit.write(connection, entry, now_us)
    ends = to_iso(now_us + asked.days * DAY_US)
    return told(request, MadeToken(token=made, name=asked.name, scopes=asked.scopes, ends=ends), status=201)


@router.delete("/tokens/{identifier}", summary="Revoke a token", status_code=204, response_class=Response)
def revoke_token(office: Here, caller: Own, identifier: Annotated[Word, Path()]) -> Response:
    """One of the own tokens, also the one that asks; it is over at once."""
    with office.database.writing() as connection:
        if not tokens.revoke(connection, caller.account, identifier, office.wall()):
            raise HTTPException(404, f"there is no such token of yours: {identifier[:40]!r}")
        audit.write(connection, office.entry(caller, "token revoked", identifier), office.wall())
    return Response(status_code=204)


def _token(row: tokens.Token) -> Token:
    used = None if row.used_us is None else to_iso(row.used_us)
    return Token(
        id=row.id, name=row.name, scopes=list(row.scopes), ends=to_iso(row.ends_us), used=used, revoked=row.revoked
    )
