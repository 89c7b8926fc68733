"""Who was near a place: from files, or from the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crime_match.compatible import beside
from crime_match.match import Match
from crime_match.near import near
from crime_match.question import Question
from engine.activations import Activation, Activations
from engine.database import Connection
from engine.events import DeviceEvent
from engine.fixes import Fixes, concat
from engine.store import FixStore
from engine.times import HOUR_US
from tagwatch.matching import presence_about, trails_of

MARGIN_US = 6 * HOUR_US
"""How far beyond the window fixes are read from the database; beyond that the nearest on each side."""


def near_from(
    fixes: Fixes, question: Question, activations: Activations | None = None, events: Sequence[DeviceEvent] = (),
    plan: Activation | None = None, *, compatible: bool = False,
) -> list[Match]:  # fmt: skip
    """The matches of all wearers that these fixes and activations know of; where `compatible`, the ministry's answer beside."""
    trails = trails_of(fixes, activations, events, plan)
    matches = near(question, trails, presence_about)
    if not compatible:
        return matches
    number = {wearer: k for k, wearer in enumerate(trails.wearers)}
    return [beside(question, trails[number[match.wearer]], match) for match in matches]


def near_in_database(
    connection: Connection, question: Question, activations: Activations | None = None, plan: Activation | None = None,
    *, compatible: bool = False,
) -> list[Match]:  # fmt: skip
    """The matches of all wearers from the fixes in the database: those about the window, and the nearest on both sides."""
    store = FixStore(connection)
    fixes = fixes_about(store, [question])
    return near_from(fixes, question, activations, store.read_events(), plan, compatible=compatible)


def fixes_about(store: FixStore, questions: Iterable[Question]) -> Fixes:
    """The stored fixes about the windows of these questions, and each device's nearest on both sides of every stretch."""
    stretches: list[list[int]] = []
    for from_us, to_us in sorted((q.start_us - MARGIN_US, q.end_us + MARGIN_US) for q in questions):
        if stretches and from_us <= stretches[-1][1]:
            stretches[-1][1] = max(stretches[-1][1], to_us)
        else:
            stretches.append([from_us, to_us])
    return concat(part for from_us, to_us in stretches for part in _about(store, from_us, to_us))


def _about(store: FixStore, from_us: int, to_us: int) -> tuple[Fixes, Fixes, Fixes]:
    return (
        store.nearest(from_us, before=True), store.read(from_us=from_us, to_us=to_us), store.nearest(to_us, before=False),
    )  # fmt: skip
