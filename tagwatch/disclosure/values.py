"""What a database holds, as plain texts and numbers; and the newest moment in it, which dates a disclosure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from engine.times import from_datetime, to_iso

_HAPPENED = ("received", "as_of", "at", "raised_at", "made_at", "since", "imported", "placed_at", "released_at", "set_at",
             "ordered_at", "ended_at", "delivered")  # fmt: skip
"""Columns that tell when something came to be; others may lie in the future."""


class Told:
    """Turns values into texts; `newest_us` is the latest moment that anything came to be."""

    def __init__(self) -> None:
        self.newest_us = 0

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of a table, keys as they are."""
        for name in _HAPPENED:
            if isinstance(moment := row.get(name), datetime):
                self.note(from_datetime(moment))
        return {name: self.value(value) for name, value in row.items()}

    def value(self, value: Any) -> Any:
        """One value: times in UTC, bytes as text where they are text."""
        if isinstance(value, datetime):
            return to_iso(from_datetime(value))
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, bytes):
            return text_of(value)
        if isinstance(value, Mapping):
            return {str(key): self.value(one) for key, one in value.items()}
        return [self.value(one) for one in value] if isinstance(value, (list, tuple)) else value

    def note(self, moment_us: int) -> None:
        """Something came to be then."""
        self.newest_us = max(self.newest_us, moment_us)


def text_of(data: bytes) -> str:
    """Bytes as text, else in base64, which is then said."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    return text if text.isprintable() and (text or not data) else f"base64:{base64.b64encode(data).decode()}"


def json_of(text: str) -> Any:
    """The value of a JSON text that the database holds."""
    return msgspec.json.decode(text)
