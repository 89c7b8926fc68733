"""Handling: what people did with an alert. It stands beside the content and never changes it.

Everything that happens to an alert's handling is an action; the present is the fold of the actions, and nothing else. No
clock, no database: who, when and in which role come with the action.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from engine.errors import TagwatchError
from engine.times import HOUR_US, MINUTE_US

WAITING = ("new", "escalated")
"""States in which an alert waits for somebody."""

STATES = ("closed", "shelved", "acknowledged", *WAITING)
"""All states, the one that asks least of people first."""

SYSTEM = "tagwatch"
"""The actor of what time or the ledger does."""

OPERATORS = ("operator", "senior operator", "administrator")
SENIORS = ("senior operator", "administrator")
TAMPERS = ("tag.strap", "tag.case")
"""Never shelved, and closed only with a note: they never clear by themselves, so a person's word is all that ends them."""

OUTCOMES = ("breach", "authorised", "equipment", "welfare", "false_alarm", "no_action")


class HandlingError(TagwatchError):
    """An action that may not be taken; the message says why and what would be needed."""


class StaleActionError(HandlingError):
    """Somebody, or the ledger, was faster: the alert is not any more what the action was taken upon."""


class Handling(msgspec.Struct, frozen=True):
    """The present. `since_us` is when the state began, `waiting_since_us` since when nobody has it in hand; `by` is the
    last person who changed the state, `version` the number of actions."""

    state: str
    since_us: int
    waiting_since_us: int | None
    version: int = 0
    why: str = ""
    by: str = ""
    assigned: str = ""
    escalations: int = 0
    until_us: int | None = None
    outcome: str = ""

    @property
    def waiting(self) -> bool:
        """Whether it waits for somebody."""
        return self.state in WAITING


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One thing done: by whom, in which role, when; the rest as its kind needs it. `taken` is what was taken over."""

    kind: str
    actor: str
    at_us: int
    role: str = ""
    note: str = ""
    reason: str = ""
    outcome: str = ""
    whom: str = ""
    channel: str = ""
    said: str = ""
    until_us: int | None = None
    taken: Handling | None = None


class Limits(msgspec.Struct, frozen=True):
    """What the settings say. An unacknowledged alert escalates after so long by its grade (absent: never), to the next
    role at each further time; an acknowledged one without an outcome returns; a shelf has a longest time [us]."""

    escalate_after_us: Mapping[str, int] = MappingProxyType({"critical": 5 * MINUTE_US, "high": 15 * MINUTE_US})
    escalate_to: tuple[str, ...] = SENIORS
    return_after_us: int = 2 * HOUR_US
    longest_shelf_us: int = 8 * HOUR_US
    outcomes: tuple[str, ...] = OUTCOMES


def unhandled(raised_us: int) -> Handling:
    """The handling of an alert that nobody has touched."""
    return Handling("new", raised_us, raised_us)


def fold(raised_us: int, actions: Iterable[Action]) -> Handling:
    """The present: all actions, one after the other."""
    handling = unhandled(raised_us)
    for action in actions:
        handling = apply(handling, action)
    return handling


def apply(handling: Handling, action: Action) -> Handling:
    """What the handling is after an action; nothing is refused here (see `handling_checks.check`)."""
    told = msgspec.structs.replace(handling, version=handling.version + 1)
    match action.kind:
        case "acknowledge":
            return _into("acknowledged", told, action)
        case "escalate":
            waits_us = action.at_us if handling.waiting_since_us is None else handling.waiting_since_us
            count = handling.escalations + 1
            return _into("escalated", told, action, waiting_since_us=waits_us, escalations=count, why=action.reason)
        case "shelve":
            return _into("shelved", told, action, until_us=action.until_us, why=action.reason)
        case "close":
            return _into("closed", told, action, outcome=action.outcome)
        case "unshelve" | "return" | "change" | "reopen":
            return _into("new", told, action, waiting_since_us=action.at_us, why=action.reason)
        case "assign":
            return msgspec.structs.replace(told, assigned=action.whom)
        case "take_over":
            return told if action.taken is None else _joined(told, action.taken, action.reason)
    return told


def _into(state: str, told: Handling, action: Action, **rest: object) -> Handling:
    """A new state; what belonged to the one before ends with it."""
    fresh: dict[str, object] = {"waiting_since_us": None, "why": "", "escalations": 0, "until_us": None, "outcome": ""}
    by = told.by if action.actor == SYSTEM else action.actor
    return msgspec.structs.replace(told, state=state, since_us=action.at_us, by=by, **(fresh | rest))


def _joined(told: Handling, taken: Handling, reason: str) -> Handling:
    """The handling of two alerts that became one: the state that asks more of people wins, and nothing waits anew."""
    most = max(told.state, taken.state, key=STATES.index)
    alike = sorted((h for h in (told, taken) if h.state == most), key=lambda h: h.since_us)
    waits = [h.waiting_since_us for h in (told, taken) if h.waiting_since_us is not None]
    return msgspec.structs.replace(
        alike[0], version=told.version, assigned=told.assigned or taken.assigned,
        why=told.why if told.state == most else reason,
        escalations=max(h.escalations for h in alike),
        until_us=min((h.until_us for h in alike if h.until_us is not None), default=None),
        waiting_since_us=min(waits, default=None),
    )  # fmt: skip
