"""What people do with an alert by way of another system: each action a call, taken upon what was looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import Field

from alerts.handling import Action, StaleActionError
from alerts.handling_store import act
from tagwatch.access import audit
from tagwatch.console.api.alert_calls import Identifier, seen_row
from tagwatch.console.api.alert_told import AlertLine, lines_of
from tagwatch.console.api.answers import told
from tagwatch.console.api.call import calls, new_router
from tagwatch.console.api.contract import problems
from tagwatch.console.api.values import Instant, LongText, Taken, Word
from tagwatch.console.caller import Caller
from tagwatch.console.faults import problem
from tagwatch.console.office import Here, Office
from tagwatch.console.operators.actions import OPERATIONS
from tagwatch.console.operators.alert_view import role_of

router = new_router("alerts")
Needed = Annotated[LongText, Field(min_length=1)]


class Acknowledge(Taken):
    """`upon` is the alert's mark as it was looked at; an action upon another one is refused (409)."""

    upon: Word = Field(description="The alert's `mark`, such as 2.1")
    note: LongText = ""


class Note(Acknowledge):
    """A note is nothing without a text."""

    note: Needed


class Pass(Acknowledge):
    """To a person, or to a role."""

    whom: Word
    reason: LongText = ""


class Shelve(Acknowledge):
    """Out of sight until an instant, with a reason."""

    reason: Needed
    until: Instant


class Because(Acknowledge):
    """With a reason."""

    reason: Needed


class Close(Acknowledge):
    """With one of the outcomes of the settings."""

    outcome: Word


class Contact(Acknowledge):
    """Who was reached, how, and what was said."""

    whom: Word
    channel: Word
    said: Needed


_BODIES: dict[str, type[Acknowledge]] = {
    "acknowledge": Acknowledge, "note": Note, "assign": Pass, "escalate": Pass, "shelve": Shelve, "unshelve": Because,
    "reopen": Because, "close": Close, "contact": Contact,
}  # fmt: skip


def _call(kind: str, body: type[Acknowledge]) -> Callable[..., Response]:
    Who = Annotated[Caller, calls(OPERATIONS[kind])]
    Body = body

    def take(request: Request, office: Here, caller: Who, identifier: Identifier, asked: Body) -> Response:  # type: ignore[valid-type]
        return _take(request, office, caller, identifier, kind, asked)

    take.__annotations__ |= {"caller": Who, "asked": Body}
    take.__name__, take.__doc__ = f"{kind}_alert", f"The action `{kind}` upon an alert; answers how it stands after it."
    return take


def _take(request: Request, office: Office, caller: Caller, identifier: str, kind: str, asked: Acknowledge) -> Response:
    with office.database.reading() as connection:
        wearer = seen_row(connection, caller, identifier).wearer
    try:
        with office.database.writing() as connection:
            audit.write(connection, office.entry(caller, f"alert: {kind}", wearer, alert=identifier), office.wall())
            act(connection, identifier, _action(office, caller, kind, asked), office.settings.handling_limits, asked.upon)
    except StaleActionError as fault:
        return problem(409, str(fault), field="upon", value=asked.upon, expected="the alert's mark as it is now")
    with office.database.reading() as connection:
        row = seen_row(connection, caller, identifier)
        return told(request, lines_of([row], connection)[0])


def _action(office: Office, caller: Caller, kind: str, asked: Acknowledge) -> Action:
    given: dict[str, Any] = asked.model_dump(exclude={"upon"})
    until_us = given.pop("until", None)
    now_us = office.clock()
    return Action(kind=kind, actor=caller.account.login, role=role_of(caller), at_us=now_us, until_us=until_us, **given)


for _kind, _body in _BODIES.items():
    router.post(
        f"/alerts/{{identifier}}/{_kind}", summary=f"{_kind.capitalize()} an alert", response_model=AlertLine,
        responses=problems(409),
    )(_call(_kind, _body))  # fmt: skip
