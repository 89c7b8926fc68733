"""One device event as files and payloads give it, checked: kind, value, and the text that is kept of the value."""

from __future__ import annotations

from engine.errors import InputError
from engine.events import EVENT_KINDS

VALUE_MOST = 200


def check_kind(kind: str) -> str:
    """The kind itself; InputError where there is no such event."""
    if kind not in EVENT_KINDS:
        raise InputError(field="event", value=kind, expected=f"one of {', '.join(EVENT_KINDS)}")
    return kind


def check_value(kind: str, value: str | float | None) -> str:
    """The value as text, empty where absent; of a battery event it must be a percentage."""
    text = _text(value)
    if len(text) > VALUE_MOST or not (text.isprintable() or not text):
        raise InputError(field="value", value=text, expected=f"at most {VALUE_MOST} printable characters")
    if kind == "battery":
        _check_percentage(text)
    return text


def _text(value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.strip() if isinstance(value, str) else repr(value)


def _check_percentage(text: str) -> None:
    try:
        fine = text.isascii() and 0.0 <= float(text) <= 100.0
    except ValueError:
        fine = False
    if not fine:
        raise InputError(field="value", value=text or None, expected="a battery percentage from 0 to 100")
