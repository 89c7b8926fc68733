"""The queue: everything that is still open, in the order in which an operator should look at it. Nothing is hidden.

Four sections: what waits for somebody, what somebody has in hand, what is shelved, and what was closed while its condition
goes on. In each by grade, then by how long it waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from alerts.alert import GRADE_ORDER
from alerts.floods import Head, Thresholds, find_floods, group
from alerts.handling import TAMPERS, Handling
from engine.times import DAY_US, SECOND_US, to_iso

SECTIONS = ("waiting", "in_hand", "shelved", "closed_active")
_SECTION = {"new": "waiting", "escalated": "waiting", "acknowledged": "in_hand", "shelved": "shelved"}
_RANK = {grade: rank for rank, grade in enumerate(reversed(GRADE_ORDER))}
STALE_US = DAY_US
"""Active for longer than this is stale (ANSI/ISA-18.2 and EEMUA 191 take a day)."""


class Row(NamedTuple):
    """One open alert as the queue shows it; `place` is where its wearer was last, in degrees, where grouping needs it."""

    id: str
    version: int
    wearer: str
    rule: str
    subject: str
    grade: str
    condition: str
    began_us: int
    raised_us: int
    handling: Handling
    place: tuple[float, float] | None = None

    @property
    def untouched(self) -> bool:
        """Whether no person has done anything with it, and nothing but time has."""
        return self.handling.waiting and not self.handling.by and self.handling.version == self.handling.escalations

    @property
    def mark(self) -> str:
        """Names this content and this handling: what an action may say it was taken upon."""
        return f"{self.version}.{self.handling.version}"

    @property
    def waits_from_us(self) -> int:
        """Since when it waits, or since when it is as it is."""
        waiting_us = self.handling.waiting_since_us
        return self.handling.since_us if waiting_us is None else waiting_us


class Line(NamedTuple):
    """One line of the queue: an alert, or a head with the alerts under it (worst and longest waiting first)."""

    section: str
    rows: tuple[Row, ...]
    head: Head | None = None

    @property
    def sort_key(self) -> tuple[int, int, int, str]:
        """Section, grade, time waited; the identifier breaks ties."""
        worst = self.rows[0]
        waits_from_us = worst.waits_from_us if self.head is None else min(row.waits_from_us for row in self.rows)
        return (SECTIONS.index(self.section), _RANK[worst.grade], waits_from_us, worst.id)


def section_of(row: Row) -> str | None:
    """Where an alert stands in the queue; None where it is done with (closed and over, a closed tamper, retracted)."""
    if row.condition == "retracted":
        return None
    if row.handling.state == "closed":
        return "closed_active" if row.condition == "active" and row.rule not in TAMPERS else None
    return _SECTION[row.handling.state]


def queue(
    rows: Iterable[Row], recent_us: Sequence[int], thresholds: Thresholds, now_us: int, grouped: bool = True
) -> list[Line]:
    """All lines, in order. `recent_us`: when alerts were raised of late, the handled ones too; it tells whether this is a
    flood. Without `grouped` every alert has a line of its own."""
    by_section: dict[str, list[Row]] = {}
    for row in rows:
        section = section_of(row)
        if section:
            by_section.setdefault(section, []).append(row)
    lines = [Line(name, (row,)) for name, these in by_section.items() if name != "waiting" for row in these]
    waiting = by_section.get("waiting", [])
    by_id = {row.id: row for row in waiting}
    heads = group(waiting, find_floods(recent_us, thresholds, now_us), thresholds) if grouped else []
    for head in heads:
        under = sorted((by_id.pop(i) for i in head.ids), key=_row_key)
        lines.append(Line("waiting", tuple(under), head))
    lines += [Line("waiting", (row,)) for row in by_id.values()]
    return sorted(lines, key=lambda line: line.sort_key)


def to_dict(
    line: Line, now_us: int, stale_us: int = STALE_US, incident_of: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A line as JSON: an alert, or a head with all its alerts."""
    shown = [_row_dict(row, line.section, now_us, stale_us, incident_of or {}) for row in line.rows]
    if line.head is None:
        return shown[0]
    return {
        "section": line.section, "head": line.head.kind, "text": line.head.text, "n_alerts": len(shown),
        "grade": line.rows[0].grade, "waits_s": max(row["waits_s"] for row in shown), "alerts": shown,
    }  # fmt: skip


def is_stale(row: Row, now_us: int, stale_us: int = STALE_US) -> bool:
    """Whether it has been active for so long that nobody can be said to be dealing with it."""
    return row.condition == "active" and now_us - row.raised_us > stale_us


def _row_key(row: Row) -> tuple[int, int, str]:
    return (_RANK[row.grade], row.waits_from_us, row.id)


def _row_dict(row: Row, section: str, now_us: int, stale_us: int, incident_of: Mapping[str, str]) -> dict[str, Any]:
    handling = row.handling
    return {
        "section": section, "id": row.id, "mark": row.mark, "grade": row.grade, "rule": row.rule, "subject": row.subject,
        "wearer": row.wearer, "condition": row.condition, "began": to_iso(row.began_us), "raised": to_iso(row.raised_us),
        "handling": handling.state, "why": handling.why, "waits_s": max(0, now_us - row.waits_from_us) // SECOND_US,
        "by": handling.by, "assigned": handling.assigned, "escalations": handling.escalations,
        "until": None if handling.until_us is None else to_iso(handling.until_us), "outcome": handling.outcome,
        "stale": is_stale(row, now_us, stale_us), "incident": incident_of.get(row.id),
    }  # fmt: skip
