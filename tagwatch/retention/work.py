"""The work of an order: first the time is closed and the alerts go, in one transaction, so that a service never writes them
again; then positions day by day, archives, the raw log, and the rest. Every step may be done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import alerts.erasure
import crime_match.erasure
import geofence.erasure
import ingest.erasure
from engine import kept
from engine.database import Connection
from engine.times import EARLIEST_US, to_iso
from tagwatch.access import audit
from tagwatch.retention import holds as hold_store
from tagwatch.retention import journal, orders, places
from tagwatch.retention.holds import Holds
from tagwatch.retention.horizon import Horizon, close, horizon_after
from tagwatch.retention.orders import Order
from tagwatch.retention.people import People, read_people, require_known
from tagwatch.retention.plan import Target, plan_of, told, why_needed
from tagwatch.retention.spans import DeviceSpan
from tagwatch.settings import Settings

MOST_ROWS = 1_000
"""Alerts, payloads or lines that go in one transaction."""
Step = Callable[["Work"], None]


class Actor(NamedTuple):
    """Who has it done: an operating user on the command line, or the service."""

    name: str
    via: str


class Receipt(NamedTuple):
    """What came of an order or a run: its number, its state, and the counts by place, of all its steps."""

    number: int
    state: str
    told: dict[str, Any]


class Work(NamedTuple):
    """One order under way."""

    connection: Connection
    settings: Settings
    order: Order
    target: Target
    now_us: int

    @contextmanager
    def step(self) -> Iterator[None]:
        """A transaction in which no hold is placed. HoldsMovedError where one was since the work began."""
        with self.connection.transaction():
            hold_store.require_unmoved(self.connection, self.target.holds.mark)
            yield

    def note(self, **counts: int) -> None:
        """Add to the order's counts."""
        orders.note(self.connection, self.order.number, {place.replace("_", " "): n for place, n in counts.items()})


def order(
    connection: Connection, settings: Settings, request: orders.Request, actor: Actor, now_us: int, *, dry_run: bool = False,
    tell: Callable[[dict[str, Any]], None] | None = None,
) -> Receipt:  # fmt: skip
    """Order an erasure, tell its plan, and carry it out; dry_run: only the plan. InputError where it makes no sense, StoreError
    where another erasure is under way."""
    with orders.alone(connection):
        with connection.transaction(force_rollback=dry_run):
            asked = request.checked(now_us)
            people = read_people(connection, now_us)
            require_known(connection, people, asked.wearer)
            entered = orders.enter(connection, asked, actor.name, now_us)
            target = _target(connection, people, entered)
            plan = told(entered, plan_of(connection, entered, target, settings.raw_log.folder))
            if not dry_run:
                _audit(connection, actor, "erasure ordered", entered, plan, now_us)
        if tell is not None:
            tell(plan)
        if dry_run:
            with connection.transaction():
                _audit(connection, actor, "erasure planned", entered._replace(number=0), plan, now_us)
            return Receipt(0, "planned", plan)
        return carry_out(connection, settings, entered, actor, now_us)


def resume(connection: Connection, settings: Settings, actor: Actor, now_us: int) -> list[Receipt]:
    """Carry out what is left of orders: after a crash, after midnight, or after a hold was released. Within `orders.alone`."""
    with connection.transaction():
        left = orders.unfinished(connection)
    return [carry_out(connection, settings, one, actor, now_us) for one in left]


def carry_out(connection: Connection, settings: Settings, entered: Order, actor: Actor, now_us: int) -> Receipt:
    """Do all steps of an order, done ones too; returns the receipt. Within `orders.alone`."""
    journal.note(settings.raw_log.folder, entered)
    target = _steps(connection, settings, entered, now_us)
    with connection.transaction():
        left = plan_of(connection, entered, target, settings.raw_log.folder)
        state = "begun" if left.erased else "held" if left.held_back else "done"
        orders.finish(connection, entered.number, state, now_us)
        done = orders.one(connection, entered.number).done
        receipt = {
            **told(entered, left), "number": entered.number, "state": state, "erased": dict(done), "waiting": dict(left.erased),
            "ordered": to_iso(entered.ordered_us), "ordered_by": entered.ordered_by, "ended": to_iso(now_us),
        }  # fmt: skip
        del receipt["erase"]
        if state != entered.state or done != entered.done:
            _audit(connection, actor, "erasure carried out", entered, receipt, now_us)
    return Receipt(entered.number, state, receipt)


def _steps(connection: Connection, settings: Settings, entered: Order, now_us: int) -> Target:
    """Do the steps, again from the first where a hold was placed meanwhile; returns what was free at last."""
    while True:
        with connection.transaction():
            target = _target(connection, read_people(connection, now_us), entered)
        work = Work(connection, settings, entered, target, now_us)
        try:
            for step in STEPS:
                step(work)
        except hold_store.HoldsMovedError:
            continue
        return target


# --- the steps


def _close(work: Work) -> None:
    """Close the time, and erase the alerts or the positions in them."""
    connection, target = work.connection, work.target
    kinds, wearer = work.order.kinds, target.person.wearer
    if not {"positions", "alerts"} & {*kinds} or not target.free:
        return
    with work.step():
        to_us = work.order.to_us
        horizon = horizon_after(to_us, work.now_us) if "positions" in kinds else Horizon(to_us, EARLIEST_US)
        close(connection, {wearer: horizon})
        if "alerts" in kinds:
            erased = alerts.erasure.erase_alerts(connection, alerts.erasure.chosen(connection, *target.stretches))
            work.note(alerts=erased.pop("alert", 0), **{f"alerts' {name}": n for name, n in erased.items()})
        if "positions" in kinds:
            n = alerts.erasure.strip_positions(connection, wearer, target.free, work.order.name)
            work.note(alerts_without_positions=n)


def _positions(work: Work) -> None:
    if "positions" not in work.order.kinds:
        return
    with work.connection.transaction():
        first_us = kept.first_times(work.connection, sorted({one.device for one in work.target.worn}))
    for devices, from_us, to_us in places.steps(work.target.worn, first_us):
        with work.step():
            n_fixes, n_events = places.erase_fixes(work.connection, devices, from_us, to_us)
            work.note(fixes=n_fixes, events=n_events)
    places.refresh_summaries(work.connection)


def _archives(work: Work) -> None:
    if "positions" not in work.order.kinds:
        return
    for folder in work.settings.retention.archives:
        told = work.order.name, work.order.reason
        with work.step():
            n_fixes, n_events = places.erase_in_archive(folder, work.target.worn, *told, work.now_us)
            work.note(archived_fixes=n_fixes, archived_events=n_events)


def _raw(work: Work) -> None:
    if "raw" not in work.order.kinds:
        return
    with work.step():
        found = places.redact_raw(work.settings.raw_log.folder, work.target.worn, work.order.name)
        work.note(raw_messages=found["messages"])


def _quarantine(work: Work) -> None:
    n = MOST_ROWS if "quarantine" in work.order.kinds else 0
    while n == MOST_ROWS:
        with work.step():
            n = ingest.erasure.erase_within(work.connection, work.target.worn, MOST_ROWS)
            work.note(quarantine=n)


def _matches(work: Work) -> None:
    n = MOST_ROWS if "matches" in work.order.kinds else 0
    while n == MOST_ROWS:
        with work.step():
            wanted, held = work.target.stretches[0], work.target.held_lines
            lines = crime_match.erasure.chosen(work.connection, wanted, held, most=MOST_ROWS)
            n = crime_match.erasure.erase_lines(work.connection, lines, work.order.number, work.order.name)
            work.note(match_lines=n)


def _configuration(work: Work) -> None:
    if "configuration" not in work.order.kinds:
        return
    waits = any(places.redact_raw(work.settings.raw_log.folder, work.target.worn, work.order.name, dry_run=True).values())
    with work.step():
        if not waits and not why_needed(work.connection, work.target):
            work.note(configuration=erase_configuration(work.connection, work.target, work.now_us))


STEPS: list[Step] = [_close, _positions, _archives, _raw, _quarantine, _matches, _configuration]


def erase_configuration(connection: Connection, target: Target, now_us: int) -> int:
    """Erase what is about a wearer alone, in the caller's transaction; the devices' time stays closed. Returns the rows."""
    wearer = target.person.wearer
    spans = [DeviceSpan(s.device, s.from_us, min(s.to_us, now_us)) for s in target.person.worn if s.from_us < now_us]
    close(connection, {}, spans)
    connection.execute("DELETE FROM retention_term WHERE wearer = %s", [wearer])
    return geofence.erasure.erase_configuration(connection, geofence.erasure.about(connection, wearer).own)


def _target(connection: Connection, people: People, entered: Order) -> Target:
    return Target(people.of(str(entered.wearer)), entered.span, Holds(hold_store.listed(connection)))


def _audit(connection: Connection, actor: Actor, action: str, entered: Order, detail: dict[str, Any], now_us: int) -> None:
    entry = audit.Entry(
        actor.name, "", actor.via, action, entered.wearer or "", entered.reason, entered.reference,
        {**detail, "number": entered.number},
    )  # fmt: skip
    audit.write(connection, entry, now_us)
