"""What time and the ledger do to the handling of an alert, and who is told. Their actor is `tagwatch`."""

from __future__ import annotations

from typing import NamedTuple

from alerts.alert import GRADE_ORDER, Alert
from alerts.handling import OPERATORS, SYSTEM, TAMPERS, Action, Handling, Limits
from alerts.handling_checks import PARTNERS
from alerts.ledger import Version
from engine.times import MINUTE_US

_TOLD = {"escalate": "escalated", "assign": "assigned"}
_TOLD_BY_SYSTEM = {"return": "returned", "change": "changed", "unshelve": "unshelved", "retract": "retracted"}


class Notice(NamedTuple):
    """Somebody is to be told of an action: a role, and the person where one is known."""

    kind: str
    role: str
    person: str
    text: str


def due(handling: Handling, grade: str, limits: Limits) -> tuple[int, str] | None:
    """When time alone changes this handling [us], and what it does then: `escalate`, `return`, `unshelve`; None: never."""
    if handling.waiting:
        after_us = limits.escalate_after_us.get(grade)
        if after_us is not None and handling.escalations < len(limits.escalate_to):
            return handling.since_us + after_us, "escalate"
    if handling.state == "acknowledged":
        return handling.since_us + limits.return_after_us, "return"
    if handling.state == "shelved" and handling.until_us is not None:
        return handling.until_us, "unshelve"
    return None


def by_time(handling: Handling, grade: str, limits: Limits, now_us: int) -> Action | None:
    """What time does to it at `now_us`, None where nothing is due."""
    found = due(handling, grade, limits)
    if found is None or found[0] > now_us:
        return None
    kind, whom = found[1], ""
    for_minutes = f"{(now_us - handling.since_us) / MINUTE_US:.0f} min"
    if kind == "escalate":
        whom = limits.escalate_to[handling.escalations]
        reason = f"{grade}, not acknowledged for {for_minutes}"
    elif kind == "return":
        reason = f"acknowledged by {handling.by}, no outcome for {for_minutes}"
    else:
        reason = f"the shelf ended (by {handling.by}: {handling.why})"
    return Action(kind=kind, actor=SYSTEM, at_us=now_us, reason=reason, whom=whom)


def by_ledger(handling: Handling, before: Alert | None, version: Version, now_us: int) -> Action | None:
    """What a new version of the content does to the handling; `before` is the content of the version before it."""
    if version.retracted:
        told = version.reason if version.reason.startswith("retracted") else f"retracted: {version.reason}"
        return Action(kind="retract", actor=SYSTEM, at_us=now_us, reason=told) if handling.version else None
    reason = worse(before, version.alert) if before is not None and not handling.waiting else ""
    if not reason:
        return None
    return Action(kind="change", actor=SYSTEM, at_us=now_us, reason=f"changed since {handling.state}: {reason}")


def worse(before: Alert, now: Alert) -> str:
    """In what an amendment made an alert worse, empty where it did not: a higher grade, active again, a further tamper."""
    found = []
    if GRADE_ORDER.index(now.grade) > GRADE_ORDER.index(before.grade):
        found.append(f"grade {before.grade} to {now.grade}")
    if now.active and not before.active:
        found.append("active again")
    if now.rule in TAMPERS and now.why.get("n_events", 0) > before.why.get("n_events", 0):
        found.append("tampered with again")
    return ", ".join(found)


def by_joining(handling: Handling, taken: Handling, identifier: str, now_us: int) -> Action | None:
    """How an alert takes over the handling of another that is joined into it; None where there is nothing to take."""
    if not taken.version and (handling.waiting or not taken.waiting):
        return None
    reason = f"took over {identifier} ({taken.state})"
    return Action(kind="take_over", actor=SYSTEM, at_us=now_us, reason=reason, whom=identifier, taken=taken)


def notice(before: Handling, action: Action) -> Notice | None:
    """Who is told of an action: the role or person it names, else whoever had the alert in hand."""
    if action.kind in _TOLD:
        named = action.whom in (*OPERATORS, PARTNERS)
        role, person = (action.whom, "") if named else (OPERATORS[0], action.whom)
        return Notice(_TOLD[action.kind], role, person, action.reason or action.note)
    if action.actor != SYSTEM or action.kind not in _TOLD_BY_SYSTEM:
        return None
    return Notice(_TOLD_BY_SYSTEM[action.kind], OPERATORS[0], before.assigned or before.by, action.reason)
