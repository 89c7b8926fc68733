"""A call of the API: a route that knows its operation, bounds what comes in, and answers HEAD and OPTIONS as it should.

What every call has in common stands here, so that none can forget it: who asks, how often, how much, and in known words.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from engine.errors import InputError
from tagwatch.access import roles
from tagwatch.console.api.limits import limits_of
from tagwatch.console.caller import Caller, Need, NotAllowed, SignInNeeded

PREFIX = "/api/v1"
MOST_BYTES, MOST_FILE_BYTES = 1_000_000, 20_000_000
"""How long the body of a request may be; that of a file."""
_METHODS: dict[str, set[str]] = {}


class CallNeed(Need):
    """The dependency of one call: as for a page, and the account's calls are counted."""

    def __call__(self, request: Request) -> Caller:  # type: ignore[override]
        """As `Need`; 429 where the account asks too often. Here is no form, so the word of the session is in a header."""
        try:
            caller = super().__call__(request, request.headers.get("x-csrf-token", ""))
        except NotAllowed:
            held: Caller | None = getattr(request.state, "caller", None)
            if held and held.scopes is not None and roles.may(held.account.roles, self.operation):
                raise NotAllowed(f"this token is not for {self.operation!r}: it was made for other operations") from None
            raise
        limits_of(request).count(request, caller)
        return caller


def calls(operation: str) -> Any:
    """What a call's parameter `caller: Annotated[Caller, calls("...")]` declares."""
    return Depends(CallNeed(operation))


class Call(APIRoute):
    """One route of the API."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        given["operation_id"] = given.get("operation_id") or endpoint.__name__
        super().__init__(path, endpoint, **given)
        self.known_methods: set[str] = set(self.methods or ())
        _METHODS.setdefault(self.path_format, set()).update(self.known_methods)
        needed = [need.call.operation for need in self.dependant.dependencies if isinstance(need.call, Need)]
        if needed:
            told = {"x-operation": needed[0], "x-roles": sorted(roles.OPERATIONS[needed[0]])}
            self.openapi_extra = {**(self.openapi_extra or {}), **told}
        self.most_bytes = MOST_FILE_BYTES if "x-file" in (self.openapi_extra or {}) else MOST_BYTES

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its bounds about it."""
        answer = super().get_route_handler()
        known = {each.alias for each in get_flat_params(self.dependant) if isinstance(each.field_info, Query)}

        async def call(request: Request) -> Response:
            _require_known(request, known)
            bounded = Request(request.scope, _bounded(request, self.most_bytes))
            try:
                found = await answer(bounded)
            except SignInNeeded as fault:
                limits_of(request).count_failure(request)
                raise HTTPException(401, str(fault), {"www-authenticate": 'Bearer realm="tagwatch"'}) from None
            found.headers.update(limits_of(request).headers(request))
            return found

        return call

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As any route; HEAD is answered where GET is."""
        match, more = super().matches(scope)
        asks_head = match is Match.PARTIAL and scope["method"] == "HEAD" and "GET" in self.known_methods
        return (Match.FULL if asks_head else match), more

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """HEAD is a GET whose body the server drops; OPTIONS, and methods that are not there, are told what is."""
        method, there = scope["method"], _METHODS[self.path_format]
        if method == "HEAD" and "GET" in self.known_methods:
            await super().handle({**scope, "method": "GET", "tagwatch.head": True}, receive, send)
            return
        if method in self.known_methods:
            await super().handle(scope, receive, send)
            return
        allow = {"allow": ", ".join(sorted(there | {"OPTIONS"} | ({"HEAD"} if "GET" in there else set())))}
        if method != "OPTIONS":
            raise HTTPException(405, f"{method} is not done here: expected one of {allow['allow']}", allow)
        await Response(status_code=204, headers=allow)(scope, receive, send)


def new_router(tag: str) -> APIRouter:
    """A router for calls about one thing."""
    return APIRouter(prefix=PREFIX, route_class=Call, tags=[tag])


def is_head(request: Request) -> bool:
    """Whether nobody will see the body of the answer."""
    return bool(request.scope.get("tagwatch.head"))


def _require_known(request: Request, known: set[str]) -> None:
    """InputError for a parameter that this call does not know, or that is there twice."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            expected = f"only {', '.join(sorted(known))}" if known else "no parameters"
            raise InputError(
                "is no parameter of this call", field=name[:100], value=request.query_params[name], expected=expected
            )
        if names.count(name) > 1:
            raise InputError(
                "is given more than once", field=name, value=request.query_params.getlist(name), expected="one value"
            )


def _bounded(request: Request, most_bytes: int) -> Receive:
    """What is received, up to so many bytes; 413 beyond."""
    told, n_bytes = request.headers.get("content-length", ""), 0
    too_long = HTTPException(413, f"the body is too long: expected at most {most_bytes:,} bytes")

    async def receive() -> Message:
        nonlocal n_bytes
        if told.isdecimal() and int(told) > most_bytes:
            raise too_long
        message = await request.receive()
        n_bytes += len(message.get("body", b""))
        if n_bytes > most_bytes:
            raise too_long
        return message

    return receive
