"""Who was near a place: from files, or from the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from crime_match.match import Match
from crime_match.near import near
from crime_match.question import Question
from engine.activations import Activation, Activations
from engine.database import Connection
from engine.events import DeviceEvent
from engine.fixes import Fixes, concat
from engine.store import FixStore
from engine.times import HOUR_US
from geofence.schedule import merged
from tagwatch.matching import NO_PLAN, beside_all, presence_about, trails_of
from tagwatch.wearing import Wearing

MARGIN_US = 6 * HOUR_US
"""How far beyond the window fixes are read from the database; beyond that the nearest few on each side."""


def near_from(
    fixes: Fixes, question: Question, activations: Activations | None = None, events: Sequence[DeviceEvent] = (),
    plan: Activation | None = None, *, compatible: bool = False,
) -> list[Match]:  # fmt: skip
    """The matches of all wearers that these fixes and activations know of; `compatible`: the ministry's answer beside."""
    trails = trails_of(fixes, activations, events, plan)
    found = near(question, trails, presence_about)
    return beside_all(question, trails, found) if compatible else found


def near_in_database(
    connection: Connection, question: Question, activations: Activations | None = None, plan: Activation | None = None,
    *, compatible: bool = False, wearers: Collection[str] | None = None,
) -> list[Match]:  # fmt: skip
    """The matches of all wearers, or of these, from the fixes in the database: those about the window, and the nearest on both
    sides."""
    store, devices = FixStore(connection), None
    if wearers is not None:
        devices = Wearing(activations or Activations(), plan or NO_PLAN).devices_of(wearers)
        if not devices:
            return []
        if activations and activations.rows:
            activations = Activations(row for row in activations.rows if row.wearer in wearers)
    fixes, events = fixes_about(store, [question], devices=devices), store.read_events(devices=devices)
    return near_from(fixes, question, activations, events, plan, compatible=compatible)


def fixes_about(
    store: FixStore, questions: Iterable[Question], margin_us: int = MARGIN_US, devices: Sequence[str] | None = None
) -> Fixes:
    """The stored fixes of these devices (None: all) about the windows of these questions: those up to margin_us away, and the
    nearest on both sides.

    A slower wearer takes longer to come, and to contradict himself: the margin is for a maximum speed of 55 m/s.
    """
    spans = merged(
        (question.start_us - margin, question.end_us + margin)
        for question in questions
        for margin in [round(margin_us * max(1.0, 55.0 / question.max_speed_mps))]
    )
    return concat(
        part
        for from_us, to_us in spans
        for part in (
            store.nearest(from_us, before=True, devices=devices),
            store.read(devices=devices, from_us=from_us, to_us=to_us),
            store.nearest(to_us, before=False, devices=devices),
        )
    )
