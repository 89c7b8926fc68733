"""The laws of handling under anything that people, time and the ledger do: nothing unhandled is ever out of sight, history is
only appended to, and the present is the fold of the actions."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from alerts.alert import GRADE_ORDER, Alert
from alerts.floods import Thresholds
from alerts.handling import OUTCOMES, SYSTEM, Action, Handling, HandlingError, Limits, apply, fold, unhandled
from alerts.handling_checks import KINDS, About, check
from alerts.handling_events import by_joining, by_ledger, by_time
from alerts.ledger import Version
from alerts.queue import Row, queue
from engine.times import HOUR_US, MINUTE_US, SECOND_US

LIMITS = Limits()
THRESHOLDS = Thresholds(begin_over=4, end_under=2, outage_wearers=3)
TAMPERS = ("tag.strap", "tag.case")
RULES = ("zone.exclusion", *TAMPERS, "tag.no_contact", "tag.battery_low")
ROLES = ("operator", "senior operator", "administrator", "auditor")


@dataclass
class Held:
    """One alert. `answer` is the oracle: what a person last said that still counts, kept apart from the code under test."""

    content: Alert
    raised_us: int
    handling: Handling
    version: int = 1
    retracted: bool = False
    actions: list[Action] = field(default_factory=list)
    answer: tuple[str, int] | None = None

    @property
    def about(self) -> About:
        return About(self.content.rule, "retracted" if self.retracted else self.content.condition)


DEMAND = ("closed", "shelve", "acknowledge")


def joined_answer(a: tuple[str, int] | None, b: tuple[str, int] | None) -> tuple[str, int] | None:
    if a is None or b is None:
        return None
    most = max(a[0], b[0], key=DEMAND.index)
    return (most, min(time_us for kind, time_us in (a, b) if kind == most))


class HandlingLaws(RuleBasedStateMachine):
    """Alerts come, change, join and go; people act on them, well and badly; time passes."""

    alerts = Bundle("alerts")

    def __init__(self) -> None:
        super().__init__()
        self.now_us = 1_800_000_000 * SECOND_US
        self.held: dict[str, Held] = {}
        self.seen: dict[str, list[Action]] = {}
        self.names = count()

    def do(self, held: Held, action: Action | None) -> None:
        if action is not None:
            held.handling = apply(held.handling, action)
            held.actions.append(action)

    @rule(target=alerts, kind=st.sampled_from(RULES), grade=st.sampled_from(GRADE_ORDER), wearer=st.integers(0, 6))
    def raise_alert(self, kind: str, grade: str, wearer: int) -> str:
        name = f"a{next(self.names)}"
        content = Alert(f"W{wearer}", "T", kind, "S", grade, "active", "", None, None, 1.0, 0.0, 0, [], {})
        self.held[name] = Held(content, self.now_us, unhandled(self.now_us))
        return name

    @rule(name=alerts, grade=st.sampled_from(GRADE_ORDER), over=st.booleans())
    def amend(self, name: str, grade: str, over: bool) -> None:
        self.become(name, grade, "cleared" if over else "active")

    @rule(name=alerts)
    def clear_or_go_on(self, name: str) -> None:
        content = self.held[name].content
        self.become(name, content.grade, "cleared" if content.active else "active")

    def become(self, name: str, grade: str, condition: str) -> None:
        held = self.held[name]
        if held.retracted:
            return
        before = held.content
        held.content = msgspec.structs.replace(before, grade=grade, condition=condition)
        held.version += 1
        self.do(held, by_ledger(held.handling, before, self.version_of(name, "amended"), self.now_us))
        if GRADE_ORDER.index(grade) > GRADE_ORDER.index(before.grade) or (condition, before.condition) == (
            "active",
            "cleared",
        ):
            held.answer = None

    @rule(name=consumes(alerts))
    def retract(self, name: str) -> None:
        self.take_back(name, "retracted: the data received since then do not bear it out")

    @rule(into=alerts, source=consumes(alerts))
    def join(self, into: str, source: str) -> None:
        self.join_into(into, source)

    @rule(into=alerts, kind=st.sampled_from(["none", "acknowledge", "close", "shelve"]), minutes=st.integers(0, 40))
    def join_with_another(self, into: str, kind: str, minutes: int) -> None:
        """A second alert, handled in its own way some time later, then found to be one with the first."""
        first = self.held[into].content
        self.wait(minutes)
        source = self.raise_alert(first.rule, "low", 0)
        if kind != "none":
            self.act_well(source, kind)
        self.join_into(into, source)

    def join_into(self, into: str, source: str) -> None:
        target, other = self.held[into], self.held[source]
        if into == source or target.retracted or other.retracted:
            return
        self.do(target, by_joining(target.handling, other.handling, source, self.now_us))
        target.answer = joined_answer(target.answer, other.answer)
        self.take_back(source, f"joined into {into}")

    @rule(name=alerts, kind=st.sampled_from(["acknowledge", "close", "shelve", "escalate", "unshelve", "reopen"]))
    def act_well(self, name: str, kind: str) -> None:
        self.act(name, kind, "ann", "senior operator", "seen", "breach", 30)

    @rule(
        name=alerts, kind=st.sampled_from([*KINDS, "change"]), actor=st.sampled_from(["ann", "ben", "", SYSTEM]),
        role=st.sampled_from(ROLES), word=st.sampled_from(["", "seen"]), outcome=st.sampled_from(["", *OUTCOMES, "odd"]),
        minutes=st.sampled_from([None, -1, 0, 30, 480, 481]),
    )  # fmt: skip
    def act_anyhow(self, name: str, kind: str, actor: str, role: str, word: str, outcome: str, minutes: int | None) -> None:
        self.act(name, kind, actor, role, word, outcome, minutes)

    def act(self, name: str, kind: str, actor: str, role: str, word: str, outcome: str, minutes: int | None) -> None:
        held = self.held[name]
        until_us = None if minutes is None else self.now_us + minutes * MINUTE_US
        action = Action(kind=kind, actor=actor, role=role, at_us=self.now_us, note=word, reason=word, whom=word, channel=word,
                        said=word, outcome=outcome, until_us=until_us)  # fmt: skip
        try:
            check(held.handling, action, held.about, LIMITS)
        except HandlingError:
            return
        self.do(held, action)
        assert actor in ("ann", "ben")
        assert role != "auditor"
        if kind == "acknowledge":
            held.answer = (kind, self.now_us + 2 * HOUR_US)
        elif kind == "shelve":
            assert role in ("senior operator", "administrator")
            assert held.content.rule not in TAMPERS
            held.answer = (kind, until_us or 0)
        elif kind == "close":
            assert outcome in OUTCOMES
            assert word or held.content.rule not in TAMPERS
            held.answer = ("closed", 0)
        elif kind in ("unshelve", "reopen", "escalate"):
            held.answer = None

    @rule(minutes=st.sampled_from([1, 4, 6, 20, 130, 500]))
    def wait(self, minutes: int) -> None:
        """Time passes, and the timers run each minute as the service would run them each second."""
        for _ in range(minutes):
            self.now_us += MINUTE_US
            for held in self.held.values():
                if not held.retracted:
                    self.do(held, by_time(held.handling, held.content.grade, LIMITS, self.now_us))
                if held.answer and held.answer[0] != "closed" and held.answer[1] <= self.now_us:
                    held.answer = None

    def take_back(self, name: str, reason: str) -> None:
        held = self.held[name]
        if held.retracted:
            return
        held.retracted = True
        held.version += 1
        self.do(held, by_ledger(held.handling, held.content, self.version_of(name, reason, True), self.now_us))

    def version_of(self, name: str, reason: str, retracted: bool = False) -> Version:
        held = self.held[name]
        return Version(name, held.version, reason, held.content, self.now_us, 0.0, retracted)

    @invariant()
    def the_present_is_the_fold_of_the_actions(self) -> None:
        for held in self.held.values():
            assert held.handling == fold(held.raised_us, held.actions)
            assert held.handling.version == len(held.actions)

    @invariant()
    def history_is_only_appended_to(self) -> None:
        for name, held in self.held.items():
            before = self.seen.get(name, [])
            assert held.actions[: len(before)] == before
            self.seen[name] = list(held.actions)

    @invariant()
    def nothing_unhandled_is_out_of_sight(self) -> None:
        lines = queue(self.rows(), [h.raised_us for h in self.held.values()], THRESHOLDS, self.now_us)
        seen = [(row.id, line) for line in lines for row in line.rows]
        where = dict(seen)
        assert len(where) == len(seen)
        for name, held in self.held.items():
            if held.retracted:
                assert name not in where
                continue
            if held.answer is None:
                assert where[name].section == "waiting"
            elif held.answer[0] != "closed":
                assert where[name].section == {"acknowledge": "in_hand", "shelve": "shelved"}[held.answer[0]]
            elif held.content.active and held.content.rule not in TAMPERS:
                assert where[name].section == "closed_active"
            else:
                assert name not in where
            if name in where and where[name].head:
                assert held.content.rule not in ("zone.exclusion", *TAMPERS)
                assert held.content.grade != "critical"

    @invariant()
    def what_is_urgent_and_unanswered_was_escalated(self) -> None:
        for held in self.held.values():
            limit_us = {"critical": 5 * MINUTE_US, "high": 15 * MINUTE_US}.get(held.content.grade)
            waits_us = held.handling.waiting_since_us
            if held.retracted or held.answer or limit_us is None:
                continue
            assert waits_us is not None
            amended = held.handling.state == "new" and self.now_us - waits_us < limit_us
            assert amended or held.handling.state == "escalated" or self.just_amended(held)

    def just_amended(self, held: Held) -> bool:
        """Since the last minute a low one may have become urgent: the next run of the timers will find it."""
        return by_time(held.handling, held.content.grade, LIMITS, self.now_us) is not None

    def rows(self) -> list[Row]:
        return [
            Row(name, h.version, h.content.wearer, h.content.rule, "S", h.content.grade, h.about.condition, h.raised_us,
                h.raised_us, h.handling, (53.0, 0.0))
            for name, h in self.held.items()
        ]  # fmt: skip


HandlingLaws.TestCase.settings = settings(stateful_step_count=40)
TestHandlingLaws = HandlingLaws.TestCase


def test_the_oracle_of_joins_is_commutative() -> None:
    answers = [None, ("closed", 0), ("shelve", 5), ("shelve", 7), ("acknowledge", 3)]
    assert all(joined_answer(a, b) == joined_answer(b, a) for a in answers for b in answers)
