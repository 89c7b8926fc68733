"""Who asks: the account behind a session's cookie or a token, what it may do, and whom it may see.

Every route declares its operation with `needs`; a route without one is refused by a test. Requests that change something and
come with a cookie must come from a page of ours: the same origin, and the session's own word in the form or in a header.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from fastapi import Depends, Request

from engine.errors import TagwatchError
from tagwatch.access import roles, sessions, tokens
from tagwatch.access.accounts import Account, forces_of
from tagwatch.access.scope import Scope, scope_of

COOKIE = "tagwatch_session"
CSRF_HEADER = "x-csrf-token"
_SAFE = ("GET", "HEAD", "OPTIONS")


class SignInNeeded(TagwatchError):
    """Nobody is signed in, or not any more."""


class NotAllowed(TagwatchError):
    """Somebody asks for what the account may not do, or for whom it may not see."""


class ReasonNeeded(TagwatchError):
    """A person's locations are to be opened and nobody said why yet; `wearer` is whose."""

    def __init__(self, wearer: str) -> None:
        self.wearer = wearer
        super().__init__(f"say why the locations of {wearer} are opened")


class Caller(NamedTuple):
    """Somebody who is signed in: `session` is empty for tokens, `scopes` is None for sessions."""

    account: Account
    scope: Scope
    via: str
    csrf: str = ""
    session: bytes = b""
    scopes: frozenset[str] | None = None

    def may(self, operation: str) -> bool:
        """Whether this caller may use an operation."""
        return roles.may(self.account.roles, operation) and (self.scopes is None or operation in self.scopes)

    def require(self, wearer: str) -> None:
        """NotAllowed where this wearer is outside the caller's scope; says no more than where there is no such wearer."""
        if not self.scope.holds(wearer):
            raise NotAllowed(f"there is no wearer {wearer!r} among those you may see")


async def _csrf_of(request: Request) -> str:
    """The word that the form or the header says."""
    if request.method in _SAFE or CSRF_HEADER in request.headers:
        return request.headers.get(CSRF_HEADER, "")
    kind = request.headers.get("content-type", "")
    if not kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        return ""
    return str((await request.form()).get("csrf", ""))


class Need:
    """The dependency of one route: the caller, if that account may use the operation."""

    def __init__(self, operation: str) -> None:
        if operation not in roles.OPERATIONS:
            raise ValueError(f"{operation!r} is no operation of roles.py")
        self.operation = operation

    def __call__(self, request: Request, told: Annotated[str, Depends(_csrf_of)] = "") -> Caller:
        """SignInNeeded or NotAllowed where it may not."""
        caller = request.state.caller = _caller(request)
        if request.method not in _SAFE and caller.via == "console":
            _require_own_page(request, caller, told)
        if not caller.may(self.operation):
            raise NotAllowed(f"{caller.account.login} may not use this: it needs the role "
                             + " or ".join(sorted(roles.OPERATIONS[self.operation])))  # fmt: skip
        return caller


def needs(operation: str) -> Any:
    """What a route's parameter `caller: Annotated[Caller, needs("...")]` declares."""
    return Depends(Need(operation))


def _caller(request: Request) -> Caller:
    office = request.app.state.office
    authorization = request.headers.get("authorization", "")
    now_us = office.wall()
    with office.database.writing() as connection:
        if authorization:
            kind, _, token = authorization.partition(" ")
            held = tokens.holder_of(connection, token.strip(), now_us) if kind.lower() == "bearer" else None
            if held is None:
                raise SignInNeeded("this token is unknown, over, or revoked")
            account, scopes = held
            return Caller(account, _scope(connection, office, account, now_us), "api", scopes=scopes)
        session = sessions.session_of(connection, request.cookies.get(COOKIE, ""), now_us)
        if session is None:
            raise SignInNeeded("sign in")
        scope = _scope(connection, office, session.account, now_us)
        return Caller(session.account, scope, "console", session.csrf, session.id)


def _scope(connection: Any, office: Any, account: Account, now_us: int) -> Scope:
    wearers, teams = office.people.read(connection)
    return scope_of(account, forces_of(connection, account, now_us), wearers.values(), teams)


def _require_own_page(request: Request, caller: Caller, told: str) -> None:
    if not is_same_origin(request) or not hmac.compare_digest(told.encode(), caller.csrf.encode()):
        raise NotAllowed("this did not come from a page of this console: open the page again and repeat it")


def is_same_origin(request: Request) -> bool:
    """Whether a browser says that a page of ours sent this: by Sec-Fetch-Site, else by Origin."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or origin == f"{request.url.scheme}://{request.headers.get('host', '')}"


def sign_in_path(request: Request) -> str:
    """Where to sign in, to come back to what was asked for."""
    query = f"?{request.url.query}" if request.url.query else ""
    back = request.url.path + query if request.method == "GET" else "/"
    return "/sign-in" if back == "/" else f"/sign-in?next={quote(back, safe='')}"
