"""What goes wrong, told as it should be: pages to browsers, problem details (RFC 9457) to callers of the API."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from alerts.handling import HandlingError, StaleActionError
from engine.errors import InputError, StoreError, UnreachableError
from tagwatch.console.caller import NotAllowed, ReasonNeeded, SignInNeeded, sign_in_path
from tagwatch.console.office import office_of
from tagwatch.console.rendering import page

API = "/api/"
_MOST_SHOWN = 200
_STATUS: dict[type[Exception], int] = {
    SignInNeeded: 401, NotAllowed: 403, ReasonNeeded: 403, InputError: 422, StaleActionError: 409, HandlingError: 422,
    UnreachableError: 503, StoreError: 503,
}  # fmt: skip


def add_faults(app: FastAPI) -> None:
    """Let the application answer every fault of ours."""
    for kind in _STATUS:
        app.add_exception_handler(kind, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unforeseen)


def problem(status: int, detail: str, **more: Any) -> Response:
    """Problem details as JSON."""
    text = detail.encode("utf-8", "backslashreplace").decode()  # a name that was asked for may hold what UTF-8 does not
    told = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": text, **more}
    return Response(msgspec.json.encode(told), status, media_type="application/problem+json")


def _ours(request: Request, fault: Exception) -> Response:
    status = next(code for kind, code in _STATUS.items() if isinstance(fault, kind))
    if not request.url.path.startswith(API):
        if isinstance(fault, SignInNeeded) and request.headers.get("sec-fetch-mode", "navigate") == "navigate":
            return RedirectResponse(sign_in_path(request), 303)
        if isinstance(fault, ReasonNeeded) and request.method == "GET":
            back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/open?wearer={quote(fault.wearer, safe='')}&next={quote(back, safe='')}", 303)
    more: dict[str, Any] = {}
    if isinstance(fault, InputError):
        more = {"field": fault.field, "value": _plain(fault.value), "expected": fault.expected}
    if isinstance(fault, ReasonNeeded):
        more = {"field": "X-Reason", "value": None, "expected": "why these locations are looked at"}
    return _told(request, status, str(fault), **more)


def _http(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    return _told(request, fault.status_code, str(fault.detail), fault.headers)


def _invalid(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, RequestValidationError)
    faults = [_invalid_part(one) for one in fault.errors()]
    told = "; ".join(f"{one['field']}: {one['detail']}" for one in faults)
    return _told(request, 422, told, **{key: faults[0][key] for key in ("field", "value", "expected")}, faults=faults)


def _unforeseen(request: Request, fault: Exception) -> Response:
    """A fault of ours: what it was stands in the server's log, it may name people and places."""
    return _told(request, 500, "This failed for a reason that is not yours; it was noted for who runs this system.")


def _invalid_part(one: Any) -> dict[str, Any]:
    """One fault of a request: the field, what stands there, what was expected."""
    if one["type"] == "json_invalid":
        told = f"no JSON: {one['ctx']['error']} at character {one['loc'][-1]}"
        return {"field": "body", "value": None, "expected": "JSON", "detail": told}
    field = ".".join(map(str, one["loc"][1:])) or str(one["loc"][0])
    ours = one.get("ctx", {}).get("error")
    expected = ours.expected if isinstance(ours, InputError) else one["msg"].removeprefix("Input should be ")
    value = None if one["type"] == "missing" else _plain(one.get("input"))
    return {"field": field, "value": value, "expected": expected, "detail": one["msg"]}


def _plain(value: Any) -> Any:
    """A value as it can be told in any JSON: short, and without what no text can hold."""
    if value is None or (isinstance(value, (bool, int)) and abs(value) < 2**53):
        return value
    text = value if isinstance(value, str) else repr(value)
    return text.encode("utf-8", "backslashreplace").decode()[:_MOST_SHOWN]


def _told(request: Request, status: int, text: str, headers: Any = None, **more: Any) -> Response:
    if request.url.path.startswith(API):
        answer = problem(status, text, **more)
    else:
        caller = getattr(request.state, "caller", None)
        title = {404: "There is no such page", 403: "This is not open to you", 503: "The database cannot be reached"}.get(
            status, "This could not be done"
        )
        answer = page(request, office_of(request), caller, "fault.html", status=status, title=title, text=text)
    for name, value in (headers or {}).items():
        answer.headers[name] = value
    return answer
