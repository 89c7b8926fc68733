"""How alerts are told: the line of a list, the content, its versions, and what people did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from pydantic import Field

from alerts.alert import Alert
from alerts.handling_store import Done
from alerts.queue import Row, section_of
from alerts.records import Step, texts_of
from engine.database import Connection
from engine.times import to_iso
from tagwatch.console.api.values import Iso, Told


class AlertFix(Told):
    """One fix that an alert lists; `p` is the probability that it was inside the place."""

    time: Iso
    lat: float
    lon: float
    accuracy_m: float | None
    source: str
    p: float


class AlertContent(Told):
    """The content of an alert: a pure function of what happened."""

    wearer: str
    device: str
    rule: str
    subject: str
    grade: str
    condition: str
    began: Iso
    began_after: Iso | None
    ended: Iso | None
    posterior: float
    minutes: float
    n_fixes: int
    fixes: list[AlertFix]
    why: dict[str, Any] = Field(description="The explanation: a sentence in `text`, and what it rests on, by rule")


class AlertLine(Told):
    """An alert as lists tell it; `mark` names content and handling, and is what an action says it is taken `upon`."""

    id: str
    mark: str
    version: int
    wearer: str
    rule: str
    subject: str
    grade: str
    condition: str = Field(description="active, cleared or retracted")
    began: Iso
    raised: Iso
    section: str | None = Field(description="Where it stands in the queue; null where it is done with")
    handling: str
    since: Iso = Field(description="Since when it waits, or is as it is")
    by: str
    assigned: str
    escalations: int
    until: Iso | None = Field(description="Until when it is shelved")
    outcome: str
    text: str = Field(description="The explanation in a sentence")


class AlertVersion(Told):
    """One step of an alert's history: why it came, as of when, how late after the fix that decided it."""

    version: int
    reason: str
    as_of: Iso
    late_s: float
    latency_ms: float | None
    content: AlertContent


class AlertAction(Told):
    """One thing that was done; `alert` is another where this one took over its handling."""

    alert: str
    number: int
    alert_version: int
    state: str
    kind: str
    actor: str
    role: str
    at: Iso
    note: str
    reason: str
    outcome: str
    whom: str
    channel: str
    said: str
    until: Iso | None


class AlertWhole(AlertLine):
    """An alert with everything that is known of it."""

    content: AlertContent
    versions: list[AlertVersion]
    actions: list[AlertAction]


def content_of(alert: Alert) -> AlertContent:
    """The content of an alert."""
    return AlertContent(**msgspec.to_builtins(alert))


def line_values(row: Row, text: str) -> dict[str, Any]:
    """The fields of a line."""
    handling = row.handling
    return {
        "id": row.id, "mark": row.mark, "version": row.version, "wearer": row.wearer, "rule": row.rule, "subject": row.subject,
        "grade": row.grade, "condition": row.condition, "began": to_iso(row.began_us), "raised": to_iso(row.raised_us),
        "section": section_of(row), "handling": handling.state, "since": to_iso(row.waits_from_us), "by": handling.by,
        "assigned": handling.assigned, "escalations": handling.escalations, "until": _iso(handling.until_us),
        "outcome": handling.outcome, "text": text,
    }  # fmt: skip


def lines_of(rows: Sequence[Row], connection: Connection) -> list[AlertLine]:
    """Rows with their sentences."""
    texts = texts_of(connection, [row.id for row in rows])
    return [AlertLine(**line_values(row, texts[row.id].why if row.id in texts else "")) for row in rows]


def whole_of(row: Row, steps: list[Step], done: Iterable[Done]) -> AlertWhole:
    """An alert with its history."""
    latest = steps[-1].alert
    versions = [
        AlertVersion(
            version=step.version, reason=step.reason, as_of=to_iso(step.as_of_us), late_s=step.late_s,
            latency_ms=step.latency_ms, content=content_of(step.alert),
        )
        for step in steps
    ]  # fmt: skip
    values = line_values(row, str(latest.why.get("text", "")))
    return AlertWhole(**values, content=content_of(latest), versions=versions, actions=[_action(one) for one in done])


def _action(done: Done) -> AlertAction:
    a = done.action
    return AlertAction(
        alert=done.alert_id, number=done.number, alert_version=done.alert_version, state=done.state, kind=a.kind,
        actor=a.actor, role=a.role, at=to_iso(a.at_us), note=a.note, reason=a.reason, outcome=a.outcome, whom=a.whom,
        channel=a.channel, said=a.said, until=_iso(a.until_us),
    )  # fmt: skip


def _iso(time_us: int | None) -> str | None:
    return None if time_us is None else to_iso(time_us)
