"""What is due by the policy: of each wearer and kind of data, what is older than its term, less what holds cover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import crime_match.erasure
from alerts.erasure import Stretch
from engine.times import EARLIEST_US
from tagwatch.retention.holds import Holds
from tagwatch.retention.horizon import Horizon, horizon_after
from tagwatch.retention.people import NOBODY, People, Person
from tagwatch.retention.spans import DeviceSpan, clipped, common, without
from tagwatch.retention.term_store import Policy


@dataclass(slots=True)
class Due:
    """What a run of the policy erases. `over`: alerts and lines by their own time; `ended`: where terms count from the end."""

    positions: list[DeviceSpan] = field(default_factory=list)
    raw: list[DeviceSpan] = field(default_factory=list)
    quarantine: list[DeviceSpan] = field(default_factory=list)
    alerts_over: list[Stretch] = field(default_factory=list)
    alerts_ended: list[Stretch] = field(default_factory=list)
    matches_over: list[Stretch] = field(default_factory=list)
    matches_ended: list[Stretch] = field(default_factory=list)
    configuration: list[Person] = field(default_factory=list)
    horizons: dict[str, Horizon] = field(default_factory=dict)
    held: list[Stretch] = field(default_factory=list)
    held_crimes: list[tuple[str, str, str]] = field(default_factory=list)
    held_spans: list[DeviceSpan] = field(default_factory=list)
    holds: set[int] = field(default_factory=set)
    mark: tuple[int, int] = (0, 0)

    @property
    def held_lines(self) -> crime_match.erasure.Held:
        """What of match lines is held."""
        return crime_match.erasure.Held(self.held, self.held_crimes)


def due_of(people: People, policy: Policy, holds: Holds, now_us: int) -> Due:
    """What is due now of everybody, and of what devices sent while nobody wore them."""
    due = Due(mark=holds.mark)
    for person in [*map(people.of, people.names()), people.nobodys()]:
        _add(due, person, policy, holds, now_us)
    return due


def _add(due: Due, person: Person, policy: Policy, holds: Holds, now_us: int) -> None:
    name, kinds = person.wearer, ("positions", "raw", "quarantine", "alerts", "matches", "configuration")
    terms = {kind: policy.term(name, person.basis, kind) for kind in kinds}
    cuts = {kind: cut for kind, term in terms.items() if (cut := term.cut_us(now_us, person.ended_us)) is not None}
    if not cuts:
        return
    held = holds.spans(name)
    if numbers := holds.over(name, [(EARLIEST_US, max(cuts.values()))]):
        due.holds.update(numbers)
        due.held += [Stretch(name, *span) for span in held]
    due.held_crimes += [(name, *crime) for crime in holds.crimes(name)]
    for kind, spans in (("positions", due.positions), ("raw", due.raw), ("quarantine", due.quarantine)):
        if kind in cuts:
            spans.extend(clipped(person.worn, without([(EARLIEST_US, cuts[kind])], held)))
    due.held_spans += clipped(person.worn, common([(EARLIEST_US, cuts.get("positions", EARLIEST_US))], held))
    if name != NOBODY:
        _add_own(due, person, cuts, {kind for kind, term in terms.items() if term.after_end}, now_us)


def _add_own(due: Due, person: Person, cuts: dict[str, int], after_end: set[str], now_us: int) -> None:
    """What is of the wearer by name, and the horizon that keeps it from coming up again."""
    name = person.wearer
    for kind, over, ended in (
        ("alerts", due.alerts_over, due.alerts_ended), ("matches", due.matches_over, due.matches_ended),
    ):  # fmt: skip
        if kind in cuts:
            (ended if kind in after_end else over).append(Stretch(name, EARLIEST_US, cuts[kind]))
    if "configuration" in cuts and all(cuts.get(k, 0) >= cuts["configuration"] for k in ("positions", "raw", "quarantine")):
        due.configuration.append(person)
    last_us = now_us if person.ended_us is None else person.ended_us
    if "positions" in cuts and person.worn:
        due.horizons[name] = horizon_after(min(cuts["positions"], last_us), now_us)
    elif "alerts" in cuts and person.worn:
        due.horizons[name] = Horizon(min(cuts["alerts"], last_us), EARLIEST_US)


def gone_before_us(spans: Iterable[DeviceSpan], first_us: Mapping[str, int]) -> int:
    """The instant before which all that is stored is due. first_us: of each device of which anything is stored, its first."""
    reach = dict(first_us)
    for span in sorted(spans, key=lambda one: (one.device, one.from_us)):
        if span.device in reach and span.from_us <= reach[span.device]:
            reach[span.device] = max(reach[span.device], span.to_us)
    return min(reach.values(), default=EARLIEST_US)
