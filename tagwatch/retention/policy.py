"""A run of the policy: orders that are not done first, then what is due, in transactions of at most about 100,000 rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import alerts.erasure
import crime_match.erasure
import ingest.erasure
from engine import kept
from engine.database import Connection
from engine.times import to_iso
from engine.whole_days import drop_before
from tagwatch.access import audit
from tagwatch.retention import holds as hold_store
from tagwatch.retention import orders, places
from tagwatch.retention.due import Due, due_of, gone_before_us
from tagwatch.retention.holds import Holds, HoldsMovedError, require_unmoved
from tagwatch.retention.horizon import close, read_horizons
from tagwatch.retention.orders import Order
from tagwatch.retention.people import Person, read_people
from tagwatch.retention.plan import Target, why_needed
from tagwatch.retention.spans import EVER
from tagwatch.retention.term_store import Policy, set_terms
from tagwatch.retention.terms import KINDS
from tagwatch.retention.work import MOST_ROWS, Actor, Receipt, erase_configuration, resume
from tagwatch.settings import Settings

SERVICE = Actor("service", "service")


def run_policy(connection: Connection, settings: Settings, now_us: int, actor: Actor = SERVICE) -> Receipt:
    """Do what is left of orders, and erase what is due. Without `enforce` in the settings orders alone are done.

    The connection must have no transaction open. StoreError where another erasure is under way.
    """
    with orders.alone(connection):
        resumed = resume(connection, settings, actor, now_us)
        told: dict[str, Any] = {"orders": [one.told for one in resumed]}
        if not settings.retention.enforce:
            return Receipt(0, "not in force", told)
        with connection.transaction():
            order = orders.enter_run(connection, KINDS, actor.name, now_us)
        due = _erased(connection, settings, order, now_us)
        with connection.transaction():
            orders.finish(connection, order.number, "done", now_us)
            done = dict(orders.one(connection, order.number).done)
            told |= {"number": order.number, "erased": done, "holds": sorted(due.holds), "ended": to_iso(now_us)}
            if done:
                audit.write(
                    connection, audit.Entry(actor.name, "", actor.via, "retention run", "", order.reason, "", told), now_us
                )
    return Receipt(order.number, "done", told)


def plan_policy(connection: Connection, settings: Settings, now_us: int) -> dict[str, Any]:
    """What a run would erase now, by place, what holds keep back, and which orders are not done; nothing is changed."""
    with connection.transaction():
        _, due = _due(connection, settings, now_us)
        counted = zip(("fixes", "events"), kept.count_within(connection, due.positions), strict=True)
        found = dict(counted) | {"quarantine": ingest.erasure.count_within(connection, due.quarantine)}
        found["alerts"] = sum(len(_alerts(connection, due, over=over)) for over in (True, False))
        found["match lines"] = sum(len(_lines(connection, due, over=over)) for over in (True, False))
        raw = places.redact_raw(settings.raw_log.folder, due.raw, "plan", dry_run=True)
        found["raw messages"] = raw["messages"] + raw["waiting"]
        n_fixes, n_events = kept.count_within(connection, due.held_spans)
        left = [one.number for one in orders.unfinished(connection)]
    held = {"fixes": n_fixes, "events": n_events}
    return {
        "enforce": settings.retention.enforce, "erase": {k: n for k, n in found.items() if n},
        "held_back": {k: n for k, n in held.items() if n}, "holds": sorted(due.holds), "orders": left,
        "wearers_of_configuration": len(due.configuration),
    }  # fmt: skip


def _due(connection: Connection, settings: Settings, now_us: int) -> tuple[list[str], Due]:
    """All devices, and what is due."""
    people = read_people(connection, now_us)
    policy, holds = Policy(settings.retention, set_terms(connection)), Holds(hold_store.listed(connection))
    return people.devices, due_of(people, policy, holds, now_us)


def _erased(connection: Connection, settings: Settings, order: Order, now_us: int) -> Due:
    """Erase what is due, anew where a hold was placed meanwhile; returns what was due at last."""
    while True:
        with connection.transaction():
            devices, due = _due(connection, settings, now_us)
        try:
            _Run(connection, settings, order, due, now_us).all(devices)
        except HoldsMovedError:
            continue
        return due


class _Run:
    """One run under way."""

    def __init__(self, connection: Connection, settings: Settings, order: Order, due: Due, now_us: int) -> None:
        self._connection, self._settings, self._order, self._due = connection, settings, order, due
        self._now_us = now_us

    def all(self, devices: list[str]) -> None:
        self._close()
        self._positions(devices)
        for folder in self._settings.retention.archives:
            with self._step():
                told = self._order.name, self._order.reason
                n_fixes, n_events = places.erase_in_archive(folder, self._due.positions, *told, self._now_us)
                self._note(archived_fixes=n_fixes, archived_events=n_events)
        with self._step():
            raw = places.redact_raw(self._settings.raw_log.folder, self._due.raw, self._order.name)
            self._note(raw_messages=raw["messages"])
        self._portions(self._quarantine)
        for over in (True, False):
            self._portions(lambda over=over: self._alerts(over=over))  # type: ignore[misc]
            self._portions(lambda over=over: self._matches(over=over))  # type: ignore[misc]
        for person in self._due.configuration:
            self._configuration(person)

    @contextmanager
    def _step(self) -> Iterator[None]:
        with self._connection.transaction():
            require_unmoved(self._connection, self._due.mark)
            yield

    def _close(self) -> None:
        """Move the horizons that move."""
        with self._step():
            before = read_horizons(self._connection).of
            moved = {
                wearer: h
                for wearer, h in self._due.horizons.items()
                if wearer not in before or h.closed_us > before[wearer].closed_us or h.reads_us > before[wearer].reads_us
            }
            if moved:
                close(self._connection, moved)

    def _positions(self, devices: list[str]) -> None:
        with self._connection.transaction():
            first_us = kept.first_times(self._connection, devices)
        with self._step():
            self._note(fixes=drop_before(self._connection, gone_before_us(self._due.positions, first_us)))
        for some, from_us, to_us in places.steps(self._due.positions, first_us):
            with self._step():
                n_fixes, n_events = places.erase_fixes(self._connection, some, from_us, to_us)
                orders.note(self._connection, self._order.number, {"fixes": n_fixes, "events": n_events})
        places.refresh_summaries(self._connection)

    def _portions(self, step: Callable[[], int]) -> None:
        n = MOST_ROWS
        while n == MOST_ROWS:
            with self._step():
                n = step()

    def _quarantine(self) -> int:
        n = ingest.erasure.erase_within(self._connection, self._due.quarantine, MOST_ROWS)
        orders.note(self._connection, self._order.number, {"quarantine": n})
        return n

    def _alerts(self, *, over: bool) -> int:
        ids = _alerts(self._connection, self._due, over=over, most=MOST_ROWS)
        n = alerts.erasure.erase_alerts(self._connection, ids).get("alert", 0)
        orders.note(self._connection, self._order.number, {"alerts": n})
        return n

    def _matches(self, *, over: bool) -> int:
        lines = _lines(self._connection, self._due, over=over, most=MOST_ROWS)
        n = crime_match.erasure.erase_lines(self._connection, lines, self._order.number, self._order.name)
        orders.note(self._connection, self._order.number, {"match lines": n})
        return n

    def _configuration(self, person: Person) -> None:
        with self._step():
            target = Target(person, EVER, Holds(hold_store.listed(self._connection)))
            if not why_needed(self._connection, target):
                n = erase_configuration(self._connection, target, self._now_us)
                orders.note(self._connection, self._order.number, {"configuration": n})

    def _note(self, **counts: int) -> None:
        with self._connection.transaction():
            told = {place.replace("_", " "): n for place, n in counts.items()}
            orders.note(self._connection, self._order.number, told)


def _alerts(connection: Connection, due: Due, *, over: bool, most: int | None = None) -> list[str]:
    wanted = due.alerts_over if over else due.alerts_ended
    return alerts.erasure.chosen(connection, wanted, due.held, only_over=over, most=most) if wanted else []


def _lines(connection: Connection, due: Due, *, over: bool, most: int | None = None) -> list[crime_match.erasure.Chosen]:
    wanted = due.matches_over if over else due.matches_ended
    return crime_match.erasure.chosen(connection, wanted, due.held_lines, only_over=over, most=most) if wanted else []
