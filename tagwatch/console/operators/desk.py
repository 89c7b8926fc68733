"""The desk: the open queue as consoles show it. It is read once for all of them and again only after something changed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from alerts.changes import bounds, read_changes
from alerts.queue import SECTIONS, Line, Row, is_stale, queue, section_of
from alerts.queue_store import incident_of, open_rows, raised_between, raised_since
from alerts.records import Text, incident_heads, rows_of, texts_of
from engine.database import Connection
from engine.times import DAY_US, MINUTE_US, SECOND_US, to_iso
from tagwatch.access.scope import Scope
from tagwatch.console.office import Office

PAGE = 50
"""Lines of a section on one page."""
_MOST_CHANGES, _OLD_US = 500, 10 * MINUTE_US
"""Of more changes, or after so long, everything is read anew."""
_SAME_US = 5 * SECOND_US
"""For so long a grouping holds although nothing changed: floods end by themselves."""


class Shown(NamedTuple):
    """One alert as a row of the list: `key` orders rows within a section as the server does."""

    row: Row
    section: str | None
    key: str
    text: Text
    incident: str
    stale: bool
    now_us: int

    @property
    def age_s(self) -> float:
        """How long ago it was raised [s]."""
        return max(0, self.now_us - self.row.raised_us) / SECOND_US

    @property
    def raised(self) -> str:
        """When it was raised, ISO UTC."""
        return to_iso(self.row.raised_us)

    @property
    def waits_s(self) -> float:
        """How long it waits, or is as it is [s]."""
        return max(0, self.now_us - self.row.waits_from_us) / SECOND_US

    @property
    def until(self) -> str:
        """Until when it is shelved, ISO UTC, or empty."""
        until_us = self.row.handling.until_us
        return "" if until_us is None else to_iso(until_us)


class ShownLine(NamedTuple):
    """A line of the list: one alert, or a head that stands for `n_alerts`."""

    line: Line
    shown: tuple[Shown, ...]

    @property
    def n_alerts(self) -> int:
        """How many alerts it stands for."""
        return len(self.line.rows)

    @property
    def key(self) -> str:
        """Its place in the section."""
        return _key(self.line)


class Part(NamedTuple):
    """A section, or a page of it: lines first to first + len(lines) of n_lines."""

    name: str
    lines: list[ShownLine]
    first: int
    n_lines: int
    n_alerts: int
    grades: dict[str, int]

    @property
    def before(self) -> int | None:
        """Where the page before begins."""
        return max(0, self.first - PAGE) if self.first else None

    @property
    def after(self) -> int | None:
        """Where the next page begins."""
        end = self.first + len(self.lines)
        return end if end < self.n_lines else None


class Queue(NamedTuple):
    """The open queue of a scope after the change with this number."""

    number: int
    lines: list[Line]
    incidents: dict[str, str]

    @property
    def rows(self) -> list[Row]:
        """Every alert in it."""
        return [row for line in self.lines for row in line.rows]


class _Held(NamedTuple):
    """What was read of all, after the change with this number; `grouped` by scope and time is made of it when asked for."""

    number: int
    read_us: int
    rows: dict[str, Row]
    raised_us: list[int]
    incidents: dict[str, str]
    grouped: dict[tuple[frozenset[str] | None, int], list[Line]]


class Desk:
    """Holds the queue as it was last read; any number of threads may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: _Held | None = None

    def queue(self, connection: Connection, office: Office, scope: Scope) -> Queue:
        """The queue of those whom a scope holds; `connection` must read one snapshot."""
        now_us = office.clock()
        with self._lock:
            held = self._held
            number = bounds(connection).newest
            if held is None or held.number != number or number == 0:
                held = self._held = _brought_up(connection, held, number, now_us) or _whole(connection, number, now_us)
            key = (scope.wearers, now_us // _SAME_US)
            lines = held.grouped.get(key)
            if lines is None:
                if len(held.grouped) > 50:
                    held.grouped.clear()
                lines = held.grouped[key] = self._lines(connection, held, office, scope, now_us)
        return Queue(held.number, lines, held.incidents)

    def _lines(self, connection: Connection, held: _Held, office: Office, scope: Scope, now_us: int) -> list[Line]:
        rows, raised_us = list(held.rows.values()), held.raised_us
        if scope.wearers is not None:  # a flood of other people's alerts is none here
            rows = [row for row in rows if scope.holds(row.wearer)]
            raised = raised_between(connection, now_us - DAY_US, now_us + 1)
            raised_us = [one.raised_us for one in raised if scope.holds(one.wearer)]
        return queue(rows, raised_us, office.settings.flood_thresholds, now_us)


def _whole(connection: Connection, number: int, now_us: int) -> _Held:
    """The whole queue, read anew."""
    rows = {row.id: row for row in open_rows(connection)}
    return _Held(number, now_us, rows, raised_since(connection, now_us - DAY_US), incident_of(connection), {})


def _brought_up(connection: Connection, held: _Held | None, number: int, now_us: int) -> _Held | None:
    """What was held, with what changed since; None where it is better read anew."""
    if held is None or not held.number < number <= held.number + _MOST_CHANGES or not 0 <= now_us - held.read_us < _OLD_US:
        return None
    changes = read_changes(connection, held.number, _MOST_CHANGES)
    changed, raised = {c.alert_id for c in changes}, {c.alert_id for c in changes if c.kind == "raised"}
    fresh = rows_of(connection, changed)
    rows = {identifier: row for identifier, row in held.rows.items() if identifier not in changed}
    rows |= {row.id: row for row in fresh if section_of(row)}
    raised_us = held.raised_us + [row.raised_us for row in fresh if row.id in raised]
    wearers = {row.wearer for row in fresh if row.rule.startswith("tag.")}
    incidents = {i: head for i, head in held.incidents.items() if i in rows and rows[i].wearer not in wearers}
    return _Held(number, held.read_us, rows, raised_us, incidents | incident_heads(connection, wearers), {})


def parts_of(connection: Connection, office: Office, found: Queue, section: str = "", first: int = 0) -> list[Part]:
    """The sections, each with its first lines; of the one that is named the lines from `first` on."""
    by_section: dict[str, list[Line]] = {name: [] for name in SECTIONS}
    for line in found.lines:
        by_section[line.section].append(line)
    starts = {name: first if name == section else 0 for name in SECTIONS}
    pages = {name: lines[starts[name] : starts[name] + PAGE] for name, lines in by_section.items()}
    shown = shown_lines(connection, office, [line for lines in pages.values() for line in lines], found.incidents)
    by_line = {id(one.line): one for one in shown}
    return [
        Part(name, [by_line[id(line)] for line in pages[name]], starts[name], len(lines), sum(len(one.rows) for one in lines),
             Counter(row.grade for one in lines for row in one.rows))
        for name, lines in by_section.items()
    ]  # fmt: skip


def shown_lines(
    connection: Connection, office: Office, lines: Sequence[Line], incidents: dict[str, str]
) -> list[ShownLine]:
    """Lines with what is said of their alerts; a head's alerts are left to when it is opened."""
    rows = [line.rows[0] for line in lines if line.head is None]
    by_id = {one.row.id: one for one in shown_rows(connection, office, rows, incidents)}
    return [ShownLine(line, tuple(by_id[r.id] for r in line.rows if not line.head and r.id in by_id)) for line in lines]


def shown_rows(connection: Connection, office: Office, rows: Iterable[Row], incidents: dict[str, str]) -> list[Shown]:
    """Rows of the list with their texts, in the order given."""
    rows, now_us = list(rows), office.clock()
    texts = texts_of(connection, [row.id for row in rows])
    stale_us = round(office.settings.handling.stale_hours * 3600 * SECOND_US)
    return [
        Shown(row, section, _key(Line(section or SECTIONS[0], (row,))), texts[row.id], incidents.get(row.id, ""),
              is_stale(row, now_us, stale_us), now_us)
        for row in rows if row.id in texts for section in (section_of(row),)
    ]  # fmt: skip


def _key(line: Line) -> str:
    _, rank, waits_from_us, identifier = line.sort_key
    return f"{rank}.{waits_from_us:020d}.{identifier}"
