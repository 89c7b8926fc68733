"""What the page of an alert says: its figures by name, and its history."""

from __future__ import annotations

from typing import Any, NamedTuple

from alerts.alert import Alert
from alerts.handling_store import Done
from alerts.records import Step, Text
from engine.times import to_iso
from tagwatch.console.wording import duration_words, percent_words, rule_words, time_words

KINDS = {
    "acknowledge": "Acknowledge", "note": "Add a note", "escalate": "Escalate", "shelve": "Shelve", "close": "Close",
    "assign": "Assign", "contact": "Note a contact", "unshelve": "Take from the shelf", "reopen": "Open again",
}  # fmt: skip
"""What can be done, in the order in which it is offered."""
DONE = {
    "acknowledge": "Acknowledged", "note": "Note", "escalate": "Escalated", "shelve": "Shelved", "close": "Closed",
    "assign": "Assigned", "contact": "Contact", "unshelve": "Taken from the shelf", "reopen": "Opened again",
    "return": "Came back", "change": "Came back", "take_over": "Took over", "retract": "Retracted",
}  # fmt: skip
"""By kind of action, what the history calls it."""
_SHOWN = (
    "text", "decided_at", "threshold", "margin", "posterior_without_strongest_fix", "subject_version", "algorithm", "zone"
)  # fmt: skip


class Event(NamedTuple):
    """One line of the history: a version of the content or an action; `new` where it came after what somebody looked at."""

    at: str
    title: str
    text: str
    who: str
    new: bool = False


def facts(text: Text, latency_ms: float | None) -> list[tuple[str, str]]:
    """The explanation in figures, as name and value."""
    alert, why = text.alert, text.alert.why
    left, margin = why.get("posterior_without_strongest_fix"), why.get("margin")
    told = [
        ("Probability", percent_words(alert.posterior)),
        ("Without its strongest fix", percent_words(left) if left is not None else "it rests on one fix, or on no fix"),
        ("Threshold, and the margin over it",
         f"{percent_words(why.get('threshold'))}, {margin:+.4f}" if margin is not None else "–"),
        ("Began", _after(alert)), ("Ended", time_words(alert.ended) if alert.ended else "it goes on"),
        ("Lasted", f"{alert.minutes:g} min" + (f", seen by {alert.n_fixes} fixes" if alert.n_fixes else "")),
        ("Decided at", time_words(why.get("decided_at"))),
        ("Known", f"{duration_words(text.late_s)} after the fix that decided it"
         + (f"; stored in {latency_ms:.0f} ms" if latency_ms is not None else "")),
        ("Tag", alert.device or "–"),
        ("About", f"{text.place} ({alert.subject})" if text.place else alert.subject),
        ("Version of the zone or curfew", str(why.get("subject_version") or "")),
        ("Version of the rules", str(why.get("algorithm") or "")),
    ]  # fmt: skip
    more = [(_name(name), _plain(value)) for name, value in why.items() if name not in _SHOWN and value is not False]
    return [(name, value) for name, value in told + more if value not in ("", "–", "None")]


def _name(key: str) -> str:
    words = key.replace("_", " ")
    return ("Number of " + words[2:] if words.startswith("n ") else words.capitalize()).removesuffix(" us")


def _after(alert: Alert) -> str:
    after = f"; last seen otherwise {time_words(alert.began_after)}" if alert.began_after else ""
    return time_words(alert.began) + after


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)


def history(steps: list[Step], done: list[Done], seen: str = "") -> list[Event]:
    """Versions and actions in the order of time; `seen` is the mark of what somebody looked at."""
    version, _, number = seen.partition(".")
    n_seen, n_done = (int(part) if part.isdigit() else 2**31 for part in (version, number))
    found = [(step.as_of_us, _of_version(step, step.version > n_seen)) for step in steps]
    found += [(one.action.at_us, _of_action(one, one.number > n_done)) for one in done]
    return [event for _, event in sorted(found, key=lambda pair: pair[0])]


def _of_version(step: Step, new: bool) -> Event:
    told = (
        f"{rule_words(step.alert.rule)}, {step.alert.grade}, {step.alert.condition}, {percent_words(step.alert.posterior)}"
    )
    reason = step.reason if step.version > 1 else "raised"
    late = f", known {duration_words(step.late_s)} after the fix" if step.version > 1 and step.late_s >= 300 else ""
    return Event(to_iso(step.as_of_us), f"Version {step.version}: {reason}", told + late, "", new)


def _of_action(done: Done, new: bool) -> Event:
    action = done.action
    parts = [
        f"to {action.whom}" if action.kind in ("assign", "escalate") and action.whom else "",
        f"with {action.whom} by {action.channel}: {action.said}" if action.kind == "contact" else "",
        f"until {time_words(to_iso(action.until_us))}" if action.until_us is not None else "",
        action.outcome.replace("_", " "), action.reason, action.note,
    ]  # fmt: skip
    who = f"{action.actor}, {action.role}" if action.role else action.actor
    return Event(to_iso(action.at_us), DONE.get(action.kind, action.kind),
                 "; ".join(part for part in parts if part), who, new)  # fmt: skip
