"""How the console says things: rules in plain words, durations, times."""

from __future__ import annotations

from engine.times import parse_time

GRADES = ("critical", "high", "medium", "low")
"""The order of the queue."""

RULES = {
    "zone.exclusion": "In an exclusion zone",
    "zone.inclusion": "Outside an inclusion zone",
    "zone.buffer": "Near an exclusion zone",
    "zone.crossed": "May have crossed a zone",
    "curfew.start": "Out when curfew started",
    "curfew.late": "Returned late for curfew",
    "curfew.left": "Left during curfew",
    "curfew.end": "Out at the end of curfew",
    "curfew.absent": "Absent for the whole curfew",
    "curfew.unverified": "Curfew cannot be verified",
    "tag.strap": "Strap tampered with",
    "tag.case": "Case tampered with",
    "tag.battery_low": "Battery low",
    "tag.battery_critical": "Battery critical",
    "tag.battery_dead": "Battery dead",
    "tag.no_charge": "Not charging",
    "tag.no_contact": "No contact with the tag",
    "tag.no_fix": "Contact, but no position",
    "tag.jamming": "Jamming suspected",
    "tag.implausible": "Implausible movement",
    "tag.clock": "Tag clock wrong",
    "tag.fault": "Tag fault",
}

VERDICTS = {
    "placed": "Placed",
    "possible": "Possible",
    "excluded": "Excluded",
    "unmonitored": "Not monitored",
}

LATE_S = 300.0
"""From here on an alert is shown as late: its fixes came long after they were taken."""


def rule_words(rule: str) -> str:
    """The rule in plain words; its own name where it is new here."""
    return RULES.get(rule, rule)


def duration_words(seconds: float) -> str:
    """A duration in its two largest units."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def time_words(iso: str | None) -> str:
    """An ISO time as people read it, to the second, in UTC."""
    return iso[:19].replace("T", " ") + " UTC" if iso else "–"


def percent_words(probability: float | None) -> str:
    """A probability as a percentage that never rounds doubt away."""
    if probability is None:
        return "–"
    if 0.9995 <= probability < 1:
        return "> 99.9 %"
    return f"{100 * probability:.1f} %"


def age_words(iso: str | None, now_us: int) -> str:
    """How long ago a time was."""
    return duration_words(max(0.0, (now_us - parse_time(iso)) / 1_000_000)) if iso else "–"
