"""What people do with an alert: forms of its page and keys of the queue, each taken upon what the person was looking at."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from alerts.handling import Action, HandlingError, StaleActionError
from alerts.handling_store import act
from engine.times import MINUTE_US
from tagwatch.access import audit
from tagwatch.console.caller import Caller, needs
from tagwatch.console.faults import problem
from tagwatch.console.managers.standings import Standings, Stood
from tagwatch.console.office import Here, Office
from tagwatch.console.operators.alert_view import alert_answer, role_of, seen_row

router = APIRouter(include_in_schema=False)
OPERATIONS = {
    "acknowledge": "alerts.handle", "assign": "alerts.handle", "escalate": "alerts.handle", "close": "alerts.handle",
    "unshelve": "alerts.handle", "reopen": "alerts.handle", "shelve": "alerts.shelve", "note": "alerts.note",
    "contact": "alerts.note",
}  # fmt: skip
"""By kind of action, what it needs."""


class Typed:
    """The fields of all forms, as they came."""

    def __init__(
        self, upon: Annotated[str, Form()] = "", note: Annotated[str, Form()] = "", reason: Annotated[str, Form()] = "",
        outcome: Annotated[str, Form()] = "", whom: Annotated[str, Form()] = "", channel: Annotated[str, Form()] = "",
        said: Annotated[str, Form()] = "", minutes: Annotated[str, Form()] = "",
    ) -> None:  # fmt: skip
        self.upon = upon
        texts = {"note": note, "reason": reason, "outcome": outcome, "whom": whom, "channel": channel, "said": said}
        self.texts: dict[str, Any] = {name: text.strip() for name, text in texts.items()}
        self.minutes = minutes.strip()

    def action(self, kind: str, caller: Caller, now_us: int) -> Action:
        """The action that these fields ask for; HandlingError where the time of a shelf is no number."""
        until_us = now_us + _length_us(self.minutes) if kind == "shelve" else None
        name = caller.account.login
        return Action(kind=kind, actor=name, role=role_of(caller), at_us=now_us, until_us=until_us, **self.texts)

    def to_dict(self) -> dict[str, Any]:
        """For the form that shows them again."""
        return {**self.texts, "minutes": self.minutes}


Fields = Annotated[Typed, Depends(Typed)]


def _length_us(minutes: str) -> int:
    try:
        length = float(minutes)
    except ValueError:
        length = math.nan
    if not 0 < length < 1e6:
        raise HandlingError(f"for how many minutes: {minutes!r} is no number of minutes")
    return round(length * MINUTE_US)


def _route(kind: str, operation: str) -> Callable[..., Response]:
    def take(
        request: Request, office: Here, stood: Stood, identifier: str, typed: Fields, caller: Caller = needs(operation)
    ) -> Response:  # fmt: skip
        return _take(request, office, caller, stood, identifier, kind, typed)

    take.__name__, take.__doc__ = f"{kind}_alert", f"Take the action {kind!r} upon an alert."
    return take


def _take(
    request: Request, office: Office, caller: Caller, stood: Standings, identifier: str, kind: str, typed: Typed
) -> Response:  # fmt: skip
    with office.database.reading() as connection:
        seen_row(connection, caller, identifier)
    try:
        action = typed.action(kind, caller, office.clock())
        with office.database.writing() as connection:
            entry = office.entry(
                caller, f"alert: {kind}", seen_row(connection, caller, identifier).wearer, alert=identifier
            )
            audit.write(connection, entry, office.wall())
            now = act(connection, identifier, action, office.settings.handling_limits, typed.upon or None)
    except HandlingError as fault:
        status = 409 if isinstance(fault, StaleActionError) else 422
        if _wants_json(request):
            return problem(status, told(fault, identifier))
        more: dict[str, Any] = {"status": status, "kind": kind, "typed": typed, "fault": told(fault, identifier)}
        return alert_answer(request, office, caller, stood, identifier, **more)
    if _wants_json(request):
        return JSONResponse({"mark": now.mark, "handling": now.handling.state})
    return RedirectResponse(f"/alerts/{identifier}", 303)


def told(fault: HandlingError, identifier: str) -> str:
    """What was wrong, as a sentence of the page."""
    text = str(fault).removeprefix(f"alert {identifier}: ")
    if isinstance(fault, StaleActionError):
        text = "it changed since you looked: " + text.partition(": ")[2].removesuffix("; look again")
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


for _kind, _operation in OPERATIONS.items():
    router.post(f"/alerts/{{identifier}}/{_kind}")(_route(_kind, _operation))
