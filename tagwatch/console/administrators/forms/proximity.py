"""The form of a proximity: whom a wearer must keep away from, how far, and when."""

from __future__ import annotations

from typing import Any

from geofence.proximity import EXCEPTION_KINDS, KEYS, read_proximities
from geofence.zone import GRADES
from tagwatch.console.administrators.forms.parts import (
    TIMEZONE,
    Fields,
    exception_rows,
    fill_exceptions,
    fill_texts,
    fill_weekly,
    missing_reasons,
    number,
    read_with,
    weekly_rows,
)  # fmt: skip
from tagwatch.console.administrators.typed import Faults, Typed

LABELS = {
    "id": "Identifier", "name": "Name", "wearer": "Wearer", "protected": "Protected person", "radius_m": "Distance",
    "stale_minutes": "Oldest position", "timezone": "Time zone", "valid_from": "First day", "valid_to": "Last day",
    "grade": "Grade", "note": "Note", "days": "Days", "start": "From", "end": "To", "from": "From", "to": "To",
    "weekly": "Hours", "kind": "Kind",
}  # fmt: skip
ID = "id"
CHOICES = {"grade": GRADES, "exception": EXCEPTION_KINDS}
_TEXTS = ("id", "name", "wearer", "protected", "grade", "note", "valid_from", "valid_to")
_NUMBERS = ("radius_m", "stale_minutes")


def read(typed: Typed, base: Any, zones: Any) -> tuple[str, Any]:
    """The identifier and the content; FormError says what is wrong."""
    faults: Faults = {}
    weekly, rows = weekly_rows(typed)
    exceptions, numbers = exception_rows(typed)
    missing_reasons(typed, faults)
    content: dict[str, Any] = {name: typed.text(name) for name in _TEXTS}
    content |= {name: number(typed, name, LABELS[name], faults) for name in _NUMBERS}
    content["timezone"] = typed.text("timezone") or TIMEZONE
    if weekly:
        content["schedule"] = {"timezone": content["timezone"], "weekly": weekly}
    if exceptions:
        content["exceptions"] = exceptions
    content = {name: value for name, value in content.items() if value not in ("", None) or name == "id"}
    assert set(content) <= set(KEYS)
    told = {"weekly": rows, "exceptions": numbers}
    read_with(lambda: read_proximities([content]), LABELS, told, faults)
    return content["id"], content


def fill(content: Any) -> Fields:
    """The fields of a content."""
    schedule = content.get("schedule") or {}
    fields = fill_texts(content, *_TEXTS, *_NUMBERS)
    fields["timezone"] = [schedule.get("timezone") or content.get("timezone") or "UTC"]
    return fields | fill_weekly(schedule.get("weekly", [])) | fill_exceptions(content.get("exceptions"))
