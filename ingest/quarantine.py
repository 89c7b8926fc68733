"""Quarantine: what could not be decoded, kept as sent, and what comes from closed time, as a tag sends it; with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.times import to_iso
from ingest.payload_text import event_text, fix_texts

CLOSED = "its time is before the retention horizon of who wore the device"
POISON = "poison: taking this message failed again and again"
"""`value` is what was raised and where, `expected` the version that raised it."""


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


def closed_fixes(fixes: Fixes, events: Sequence[DeviceEvent]) -> list[Quarantined]:
    """Fixes and events from before a horizon, each one entry: `value` is its own time, by which it is told whose it is."""
    texts = fix_texts(fixes) if len(fixes) else []
    rows = zip(fixes.device.tolist(), fixes.time_us.tolist(), fixes.received_s.tolist(), texts, strict=True)
    found = [_closed(fixes.devices[k], "fixes", time_us, received_s, text) for k, time_us, received_s, text in rows]
    return found + [_closed(e.device, "events", e.time_us, e.received_s, event_text(e)) for e in events]


def _closed(device: str, kind: str, time_us: int, received_s: int, text: bytes) -> Quarantined:
    return Quarantined(
        received_s, f"tags/{device}/{kind}", device, text, CLOSED, "time", to_iso(time_us), "a time that is not closed"
    )
