"""Quarantine: what could not be decoded, kept as sent, with the reason."""

from __future__ import annotations

from typing import NamedTuple


class Quarantined(NamedTuple):
    """A payload, or one entry of a payload, as sent; `field`, `value`, `expected` are empty where they do not apply."""

    received_s: int
    topic: str
    device: str
    payload: bytes
    reason: str
    field: str = ""
    value: str = ""
    expected: str = ""
