"""What people may do with an alert, in which role and from which state; everything else is refused with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from alerts.handling import OPERATORS, SENIORS, STATES, SYSTEM, TAMPERS, Action, Handling, HandlingError, Limits
from engine.times import MINUTE_US, to_iso

MOST_TEXT = 4000
PARTNERS = "offender manager"
"""The role that may add to an alert's history and do nothing else to it."""

_FROM = {
    "acknowledge": ("new", "escalated"), "assign": ("new", "acknowledged", "escalated", "shelved"),
    "escalate": ("new", "acknowledged", "escalated"), "shelve": ("new", "acknowledged", "escalated"),
    "unshelve": ("shelved",), "close": ("new", "acknowledged", "escalated", "shelved"), "reopen": ("closed",),
    "note": STATES, "contact": STATES,
}  # fmt: skip
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "note": ("note",), "assign": ("whom",), "escalate": ("whom",), "shelve": ("reason", "until_us"), "close": ("outcome",),
    "unshelve": ("reason",), "reopen": ("reason",), "contact": ("whom", "channel", "said"),
}  # fmt: skip
_MAY = {"shelve": SENIORS, "note": (*OPERATORS, PARTNERS), "contact": (*OPERATORS, PARTNERS)}
KINDS = tuple(_FROM)
"""What people can do; time and the ledger also `return`, `change`, `take_over` and `retract`."""


class About(NamedTuple):
    """What a check must know of the alert that an action is about."""

    rule: str
    condition: str


def check(handling: Handling, action: Action, about: About, limits: Limits) -> None:
    """HandlingError where a person may not do this now."""
    kind = action.kind
    if kind not in _FROM:
        raise HandlingError(f"{kind!r} is nothing that people do: expected {', '.join(KINDS)}")
    if not action.actor.strip() or action.actor == SYSTEM:
        raise HandlingError(f"every action needs an actor, and a person is not {SYSTEM!r}")
    if action.role not in _MAY.get(kind, OPERATORS):
        raise HandlingError(f"role {action.role!r} may not {kind}: expected {' or '.join(_MAY.get(kind, OPERATORS))}")
    if about.condition == "retracted" and kind not in ("note", "contact"):
        raise HandlingError(f"cannot {kind}: the alert was retracted; notes and contacts can still be added")
    if handling.state not in _FROM[kind]:
        raise HandlingError(f"cannot {kind}: {standing(handling)}")
    _check_texts(action)
    if kind == "close":
        _check_close(action, about, limits)
    if kind == "shelve":
        _check_shelf(action, about, limits)


def standing(handling: Handling) -> str:
    """How an alert stands, in one clause."""
    who = f" by {handling.by}" if handling.by and not handling.waiting else ""
    until = f" until {to_iso(handling.until_us)}" if handling.until_us is not None else ""
    return f"it is {handling.state} since {to_iso(handling.since_us)}{who}{until}"


def _check_texts(action: Action) -> None:
    for name in _NEEDS.get(action.kind, ()):
        value = getattr(action, name)
        if value is None or not str(value).strip():
            raise HandlingError(f"cannot {action.kind} without {name.removesuffix('_us')}")
    for name in ("actor", "note", "reason", "outcome", "whom", "channel", "said"):
        text = getattr(action, name)
        if "\0" in text or len(text) > MOST_TEXT:
            raise HandlingError(f"{name} has {len(text)} characters: expected at most {MOST_TEXT}, without NUL")


def _check_close(action: Action, about: About, limits: Limits) -> None:
    if action.outcome not in limits.outcomes:
        raise HandlingError(f"cannot close with outcome {action.outcome!r}: expected one of {', '.join(limits.outcomes)}")
    if about.rule in TAMPERS and not action.note.strip():
        raise HandlingError(f"cannot close a {about.rule} without note: say how it was looked into")


def _check_shelf(action: Action, about: About, limits: Limits) -> None:
    length_us = (action.until_us or 0) - action.at_us
    if about.rule in TAMPERS:
        raise HandlingError(f"a {about.rule} is never shelved")
    if length_us <= 0:
        raise HandlingError(f"cannot shelve until {to_iso(action.until_us or 0)}: that is not after now")
    if length_us > limits.longest_shelf_us:
        longest, asked = limits.longest_shelf_us / MINUTE_US, length_us / MINUTE_US
        raise HandlingError(f"cannot shelve for {asked:g} min: expected at most {longest:g}")
