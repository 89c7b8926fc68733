"""A bound for what browsers and callers may send: far too much is refused before any of it is read or written to disk."""

from __future__ import annotations

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tagwatch.console.faults import API, problem

MOST_BYTES = 20_000_000
LARGER = {"/evidence/verify": 80_000_000}
"""By path, where more may be sent; forms tell smaller bounds in words of their own."""


class BodyBound:
    """ASGI middleware; a body must say its length, which the server then holds it to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it: 413 where its body is too large, 411 where it does not say how large it is."""
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            length, most = headers.get(b"content-length", b"0"), LARGER.get(scope["path"], MOST_BYTES)
            if b"transfer-encoding" in headers:
                await _refusal(scope, 411, "Say how long this is (Content-Length).")(scope, receive, send)
                return
            if not length.isdigit() or int(length) > most:
                told = f"This is too large: at most {most // 1_000_000} MB can be sent."
                await _refusal(scope, 413, told)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _refusal(scope: Scope, status: int, told: str) -> Response:
    answer = problem(status, told) if scope["path"].startswith(API) else PlainTextResponse(told, status)
    answer.headers["connection"] = "close"
    return answer
