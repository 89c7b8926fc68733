"""The plan of an erasure: what goes and how much of it, what is held back and by which holds, what is kept, which copies are
elsewhere. It reads and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import alerts.erasure
import crime_match.erasure
import geofence.erasure
import ingest.erasure
from engine import kept
from engine.database import Connection
from engine.times import to_iso
from tagwatch.retention.copies import copies
from tagwatch.retention.holds import Holds
from tagwatch.retention.orders import Order
from tagwatch.retention.people import Person
from tagwatch.retention.places import redact_raw
from tagwatch.retention.spans import DeviceSpan, Span, clipped, common, without


@dataclass(frozen=True, slots=True)
class Target:
    """One wearer's data of a span: the part of it that is free, and the part that holds cover."""

    person: Person
    span: Span
    holds: Holds

    @property
    def free(self) -> list[Span]:
        """The time that no hold covers."""
        return without([self.span], self.holds.spans(self.person.wearer))

    @property
    def worn(self) -> list[DeviceSpan]:
        """The devices that were worn in it."""
        return list(clipped(self.person.worn, self.free))

    @property
    def held(self) -> list[DeviceSpan]:
        """The devices that were worn in the time that is held."""
        return list(clipped(self.person.worn, common([self.span], self.holds.spans(self.person.wearer))))

    @property
    def stretches(self) -> tuple[list[alerts.erasure.Stretch], list[alerts.erasure.Stretch]]:
        """The span, and all the held time there is: what reaches into it is held as a whole."""
        wearer = self.person.wearer
        every = [alerts.erasure.Stretch(wearer, *span) for span in self.holds.spans(wearer)]
        return [alerts.erasure.Stretch(wearer, *self.span)], every

    @property
    def held_lines(self) -> crime_match.erasure.Held:
        """What of match lines is held."""
        wearer = self.person.wearer
        return crime_match.erasure.Held(self.stretches[1], [(wearer, *crime) for crime in self.holds.crimes(wearer)])


@dataclass(slots=True)
class Plan:
    """Counts by place of what goes and of what is held back; holds by number; what is kept and why; copies elsewhere."""

    erased: dict[str, int] = field(default_factory=dict)
    held_back: dict[str, int] = field(default_factory=dict)
    holds: list[int] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    copies: dict[str, Any] = field(default_factory=dict)

    def put(self, place: str, n: int, n_held: int = 0) -> None:
        """Note how many go and how many are held back."""
        if n:
            self.erased[place] = self.erased.get(place, 0) + n
        if n_held:
            self.held_back[place] = self.held_back.get(place, 0) + n_held


def plan_of(connection: Connection, order: Order, target: Target, raw_log: Path) -> Plan:
    """The plan of an order as of now."""
    plan = Plan(holds=target.holds.over(target.person.wearer, [target.span]))
    for kind in order.kinds:
        _PLANNED[kind](connection, plan, target, raw_log)
    if "positions" in order.kinds and "matches" not in order.kinds:
        n = len(crime_match.erasure.chosen(connection, target.stretches[0], crime_match.erasure.Held()))
        if n:
            plan.kept.append(f"{n} lines of match runs hold positions: --kind matches")
    plan.copies = copies(connection, target.person.wearer)
    return plan


def _positions(connection: Connection, plan: Plan, target: Target, raw_log: Path) -> None:
    held = kept.count_within(connection, target.held)
    for place, n, n_held in zip(("fixes", "events"), kept.count_within(connection, target.worn), held, strict=True):
        plan.put(place, n, n_held)


def _raw(connection: Connection, plan: Plan, target: Target, raw_log: Path) -> None:
    free, held = (redact_raw(raw_log, spans, "plan", dry_run=True) for spans in (target.worn, target.held))
    plan.put("raw messages", free["messages"] + free["waiting"], held["messages"] + held["waiting"])
    if free["waiting"]:
        plan.kept.append(
            f"{free['waiting']} raw messages are of the day that is open: erased by the first run after midnight"
        )


def _quarantine(connection: Connection, plan: Plan, target: Target, raw_log: Path) -> None:
    counts = (ingest.erasure.count_within(connection, spans) for spans in (target.worn, target.held))
    plan.put("quarantine", *counts)


def _alerts(connection: Connection, plan: Plan, target: Target, raw_log: Path) -> None:
    wanted, held = target.stretches
    ids = alerts.erasure.chosen(connection, wanted, held)
    plan.put("alerts", len(ids), len(alerts.erasure.chosen(connection, wanted, held, are_held=True)))
    if delivered := alerts.erasure.n_delivered(connection, ids):
        told = ", ".join(f"{n} by {kind}" for kind, n in delivered.items())
        plan.kept.append(f"alerts that were delivered stay with their receivers: {told}")


def _matches(connection: Connection, plan: Plan, target: Target, raw_log: Path) -> None:
    chosen, wanted = crime_match.erasure.chosen, target.stretches[0]
    n_held = len(chosen(connection, wanted, target.held_lines, are_held=True))
    plan.put("match lines", len(chosen(connection, wanted, target.held_lines)), n_held)


def _configuration(connection: Connection, plan: Plan, target: Target, raw_log: Path) -> None:
    about = geofence.erasure.about(connection, target.person.wearer)
    plan.kept += shared_words(about)
    if why := why_needed(connection, target, planned=plan):
        plan.put("configuration", 0, len(about.own) if plan.held_back else 0)
        plan.kept.append(why)
    else:
        plan.put("configuration", len(about.own))


def why_needed(connection: Connection, target: Target, planned: Plan | None = None) -> str:
    """Why a wearer's configuration cannot go yet, empty where it can: it tells whose other data are. planned: what of these is
    about to go."""
    person = target.person
    if person.is_worn:
        return "configuration stays while a device is worn: end the activation first"
    named = any(person.wearer in hold.wearers for hold in target.holds.of(person.wearer))
    if named or common([span[1:] for span in person.worn], target.holds.spans(person.wearer)):
        return "configuration stays while a hold names the wearer or covers a time when a device was worn"
    n_left = sum(kept.count_within(connection, person.worn)) + ingest.erasure.count_within(connection, person.worn)
    if planned is not None:
        n_left -= sum(planned.erased.get(place, 0) for place in ("fixes", "events", "quarantine"))
    if n_left > 0:
        return f"configuration stays: it tells whose {n_left} positions, events or payloads are that are kept"
    return ""


def shared_words(about: geofence.erasure.About) -> list[str]:
    """What is kept of the configuration because it is about others too."""
    return [f"{kind} {name} names others too: import it anew without this wearer" for kind, name in about.shared]


def told(order: Order, plan: Plan) -> dict[str, Any]:
    """The plan as it is shown and audited."""
    return {
        "wearer": order.wearer, "from": None if order.from_us is None else to_iso(order.from_us), "to": to_iso(order.to_us),
        "kinds": list(order.kinds), "reason": order.reason, "order": order.reference, "erase": plan.erased,
        "held_back": plan.held_back, "holds": plan.holds, "kept": plan.kept, "copies": plan.copies,
    }  # fmt: skip


_PLANNED = {
    "positions": _positions, "raw": _raw, "quarantine": _quarantine, "alerts": _alerts, "matches": _matches,
    "configuration": _configuration,
}  # fmt: skip
