"""All targets by their names."""

from __future__ import annotations

from tests.fuzz.target import Target
from tests.fuzz.targets import (
    archives,
    conditions,
    crimes,
    evidence,
    forms,
    messages,
    raw_logs,
    settings,
    tables,
    texts,
    trails,
    wire,
)

_ROOMS = (messages, wire, texts, trails, tables, conditions, crimes, raw_logs, settings, forms, archives, evidence)
TARGETS: dict[str, Target] = {target.name: target for room in _ROOMS for target in room.TARGETS}
