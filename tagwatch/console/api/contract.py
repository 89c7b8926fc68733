"""The contract of the API as an OpenAPI 3.1 document: every call, what it needs, what it answers and how it refuses."""

from __future__ import annotations

from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from fastapi import Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from fastapi.routing import iter_route_contexts

from tagwatch.console.api.answers import tagged
from tagwatch.console.api.call import PREFIX, new_router
from tagwatch.console.api.values import KNOWN
from tagwatch.console.office import office_of

router = new_router("contract")
_ABOUT = """The operations of the console for other systems. Times are ISO 8601 with an offset; those of answers are UTC.

**Who asks**: a token (`Authorization: Bearer tw_...`), made by somebody on the page of the account, for some operations and
until some day; or the cookie of a session of the console, then with the session's word in `X-CSRF-Token` for all but GET.
`x-operation` of a call is the operation that account and token must both have. Nobody sees wearers, alerts, crimes or counts of
another force than the account's, unless a grant says so: what may not be seen is not there (404).

**Why**: calls that show where somebody was take the reason and the case in `X-Reason` and `X-Case-Ref`, or in their body; they
are in the audit log before the answer is.

**Lists** come in pages: `next` of one is `after` of the following one. Pages go by keys, not by numbers of rows: a walk meets
every row that was there when it began exactly once. **ETag** and `If-None-Match` spare what is known already.

**Faults** are problem details (RFC 9457); those of input name the field, its value and what was expected, and say all faults at
once under `faults`. A call that is asked too often answers 429 and says when to come back (`Retry-After`)."""
_FAULTS = {
    "400": "The body cannot be read", "401": "There is no right token and no session",
    "403": "The operation is not allowed, or no reason was given", "404": "There is no such thing among those that may be seen",
    "411": "The body does not say how long it is", "413": "The body is too long",
    "422": "Something in the request is not as it should be", "429": "Asked too often", "503": "The database cannot be reached",
}  # fmt: skip
_OF_BODIES = ("400", "411", "413")
_PROBLEM = {
    "type": "object",
    "description": "Problem details, RFC 9457",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"},
        "field": {"type": "string", "description": "What is wrong in the request"},
        "value": {"description": "What stands there"},
        "expected": {"type": "string", "description": "What should stand there"},
        "faults": {"type": "array", "items": {"type": "object"}},
    },
}  # fmt: skip
_MATCH = {
    "name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"},
    "description": "ETag of what is known: 304 where it is still so",
}  # fmt: skip


def problems(*more: int) -> dict[int | str, dict[str, Any]]:
    """Refusals that a call has beside those of all calls, for its `responses`."""
    return {status: {"description": HTTPStatus(status).phrase, "x-problem": True} for status in more}


@router.get(
    "/openapi.json", summary="This document", operation_id="get_contract", response_model=dict[str, Any],
    responses=KNOWN,
)  # fmt: skip
def get_contract(request: Request) -> Response:
    """Readable by everybody: it says nothing of anybody."""
    made = office_of(request).one("contract", lambda: msgspec.json.encode(contract_of(request.app)))
    return tagged(request, made)


def contract_of(app: Any) -> dict[str, Any]:
    """The document for an application: its calls, none of its pages."""
    routes = [each for each in iter_route_contexts(app.routes) if (each.path or "").startswith(PREFIX)]
    found = get_openapi(
        title="Tagwatch", version=version("tagwatch"), openapi_version="3.1.0", description=_ABOUT, routes=routes
    )
    parts = found.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    for name in ("HTTPValidationError", "ValidationError"):  # what FastAPI would answer; ours are problems
        schemas.pop(name, None)
    parts["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token of an account, tw_..."},
        "session": {"type": "apiKey", "in": "cookie", "name": "tagwatch_session"},
    }
    parts["responses"] = {f"Problem{status}": _response(text) for status, text in _FAULTS.items()}
    parts["responses"]["Problem429"]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    for path in found["paths"].values():
        for call in path.values():
            _complete(call)
    return found


def _complete(call: dict[str, Any]) -> None:
    """What all calls have in common."""
    answers = call["responses"]
    for status, answer in answers.items():
        if answer.pop("x-problem", False):
            answers[status] = _response(answer["description"])
    answers.pop("422", None)
    call.pop("x-file", None)
    if "x-operation" in call:
        call["security"] = [{"token": []}, {"session": []}]
        common = [status for status in _FAULTS if "requestBody" in call or status not in _OF_BODIES]
        answers.update({status: {"$ref": f"#/components/responses/Problem{status}"} for status in common})
        if "304" in answers:
            call.setdefault("parameters", []).append(_MATCH)
    else:
        call["security"] = []
        answers["422"] = {"$ref": "#/components/responses/Problem422"}
    for status, answer in answers.items():
        if status.startswith("2") and "304" in answers:
            answer["headers"] = {"ETag": {"schema": {"type": "string"}}}
        if status == "202":
            answer["headers"] = {
                "Location": {"schema": {"type": "string"}, "description": "Where the job tells how it stands"}
            }


def _response(text: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {"application/problem+json": {"schema": schema}}}
