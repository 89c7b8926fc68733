"""An alert: its content, which is a pure function of what happened, and its JSON form with keys in a fixed order."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.times import parse_time, to_iso

ALGORITHM = "tagwatch-3"
"""Version of the rules and of the filter; a new one decides from its release on."""

GRADES = {
    "zone.exclusion": "critical", "zone.inclusion": "high", "zone.crossed": "low", "zone.buffer": "low",
    "zone.proximity": "critical",
    "curfew.absent": "high", "curfew.left": "high",
    "curfew.start": "medium", "curfew.late": "medium", "curfew.end": "medium", "curfew.unverified": "medium",
    "tag.strap": "critical", "tag.case": "high", "tag.jamming": "high", "tag.no_contact": "high",
    "tag.battery_critical": "medium", "tag.battery_dead": "medium", "tag.no_fix": "medium", "tag.clock": "medium",
    "tag.battery_low": "low", "tag.no_charge": "low", "tag.implausible": "low", "tag.fault": "low",
}  # fmt: skip
"""The grade of each rule unless the zone or the settings say otherwise."""

GRADE_ORDER = ("low", "medium", "high", "critical")
MOST_FIXES = 20


class AlertFix(msgspec.Struct, frozen=True):
    """One fix that an alert lists; `p` is the probability that it was inside the place."""

    time: str
    lat: float
    lon: float
    accuracy_m: float | None
    source: str
    p: float


class Alert(msgspec.Struct, frozen=True):
    """The content of one alert, as in the contract; `began_us`, `ended_us` are its sort key and are not written."""

    wearer: str
    device: str
    rule: str
    subject: str
    grade: str
    condition: str
    began: str
    began_after: str | None
    ended: str | None
    posterior: float
    minutes: float
    n_fixes: int
    fixes: list[AlertFix]
    why: dict[str, Any]

    @property
    def active(self) -> bool:
        """Whether the condition still holds."""
        return self.condition == "active"

    @property
    def family(self) -> tuple[str, str]:
        """Rule family and subject: what an amendment may not change. All absences of a curfew are one family."""
        absence = self.rule.startswith("curfew.") and self.rule != "curfew.unverified"
        return ("curfew.absence" if absence else self.rule, self.subject)

    @property
    def sort_key(self) -> tuple[str, str, str, str]:
        """The order of a ledger: start, wearer, rule, subject."""
        return (instant_key(self.began), self.wearer, self.rule, self.subject)

    def substance(self) -> tuple[Any, ...]:
        """What makes a new version when it changes; fixes that only prolong an alert are left out, a further tamper is not."""
        return (self.rule, self.grade, self.condition, self.began, self.began_after, self.ended, self.posterior,
                self.device, self.why.get("unknown_since"), self.why.get("n_events"))  # fmt: skip


def to_json(alert: Alert) -> bytes:
    """The content as one line of JSON without its line end: the form in which ledgers are compared."""
    return msgspec.json.encode(alert)


def from_json(text: bytes | str) -> Alert:
    """The content from its JSON form."""
    return msgspec.json.decode(text, type=Alert)


def lower_grade(grade: str) -> str:
    """One grade lower, `low` at the least."""
    return GRADE_ORDER[max(0, GRADE_ORDER.index(grade) - 1)]


def on_grid(probability: float) -> float:
    """A probability on the grid of 1e-6 on which all are kept, compared and printed."""
    return round(probability, 6)


def instant_key(text: str) -> str:
    """The time of an alert in a form that sorts by time: `.000Z` would come after `.000123Z`."""
    return text.removesuffix("Z")


def ends_before(alert: Alert, instant_us: int) -> bool:
    """Whether the condition ended before an instant."""
    return alert.ended is not None and parse_time(alert.ended) < instant_us


def is_apart(alert: Alert, from_us: int, to_us: int) -> bool:
    """Whether nothing that happened in [from_us, to_us] can be in the alert: it ended before, or its fixes, and those that
    decided it, are not of that time."""
    if ends_before(alert, from_us):
        return True
    first = parse_time(min([alert.began, *(fix.time for fix in alert.fixes[:1])], key=instant_key))
    decided, after = alert.why.get("decided_at"), alert.began_after
    if first <= to_us or decided is None:
        return False
    return parse_time(decided) < from_us or (after is not None and parse_time(after) > to_us)


def iso(time_us: int) -> str:
    """The time as ledgers print it."""
    return to_iso(time_us)
