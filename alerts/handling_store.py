"""Handling in the database: actions are appended, the present stands beside the alert; all in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from alerts.alert import GRADE_ORDER, Alert, from_json
from alerts.handling import Action, Handling, HandlingError, Limits, StaleActionError, apply
from alerts.handling_checks import About, check, standing
from alerts.handling_events import by_joining, by_ledger, by_time, notice
from alerts.ledger import Version
from engine.database import Connection
from engine.times import from_datetime, to_datetime

SCHEMA = Path(__file__).with_name("schema")
MOST_TIMERS = 200
"""How many timers one pass takes, the gravest first; the rest follow in the next. More would hold up the alerts themselves."""

JOINED = "joined into "


def instant(column: str) -> str:
    """SQL for a time as microseconds UTC: exact until the year 2106, and cheaper than a datetime for each of many rows."""
    return f"(date_part('epoch', {column}) * 1000000)::bigint"


STATE_COLUMNS = (
    f"handling, {instant('coalesce(handling_since, raised_at)')},"
    f" {instant('CASE handling_version WHEN 0 THEN raised_at ELSE waiting_since END')}, handling_version, handling_why,"
    f" handled_by, assigned, escalations, {instant('shelved_until')}, outcome"
)
"""The handling beside an alert, in the order of the fields of `Handling`."""

_THESE = f"SELECT id, version, rule, condition, grade, {STATE_COLUMNS} FROM alert WHERE id = ANY(%s) ORDER BY id"
_WAITS = (
    "(handling = ANY(ARRAY['new', 'escalated']) AND grade = '{0}' AND coalesce(handling_since, raised_at) <= %({0})s"
    " AND escalations < %(most)s)"
)
_DUE = (
    f"SELECT id, version, rule, condition, grade, {STATE_COLUMNS} FROM alert"
    " WHERE condition <> 'retracted' AND handling <> 'closed'"
    " AND ((handling = 'acknowledged' AND coalesce(handling_since, raised_at) <= %(returned)s)"
    " OR (handling = 'shelved' AND shelved_until <= %(now)s){})"
    " ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], grade), id LIMIT %(limit)s FOR UPDATE SKIP LOCKED"
)
_PRESENT = (
    "UPDATE alert SET handling = %s, handling_since = %s, waiting_since = %s, handling_version = %s, handling_why = %s,"
    " handled_by = %s, assigned = %s, escalations = %s, shelved_until = %s, outcome = %s WHERE id = %s"
)
_ACTION = (
    "INSERT INTO handling_action (alert_id, number, kind, actor, role, at, alert_version, state, note, reason, outcome,"
    " whom, channel, said, until, taken) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_NOTICE = "INSERT INTO handling_notice (alert_id, number, kind, at, role, person, text) VALUES (%s, %s, %s, %s, %s, %s, %s)"
_ACTIONS = (
    "WITH RECURSIVE chain (id) AS (SELECT %s::text UNION"
    " SELECT a.whom FROM handling_action a JOIN chain ON a.alert_id = chain.id WHERE a.kind = 'take_over')"
    " SELECT a.alert_id, a.number, a.alert_version, a.state, a.kind, a.actor, a.role, a.at, a.note, a.reason, a.outcome,"
    " a.whom, a.channel, a.said, a.until, a.taken FROM handling_action a JOIN chain ON a.alert_id = chain.id"
    " ORDER BY a.at, a.alert_id = %s, a.alert_id, a.number"
)


class Standing(NamedTuple):
    """One alert as it stands, with its row locked: what an action is checked against."""

    id: str
    version: int
    about: About
    grade: str
    handling: Handling

    @property
    def mark(self) -> str:
        """Names this content and this handling: what an action may say it was taken upon."""
        return f"{self.version}.{self.handling.version}"


class Done(NamedTuple):
    """One action as it is kept: its number in the history of its alert, the content it was taken upon, what it led to."""

    alert_id: str
    number: int
    alert_version: int
    state: str
    action: Action


def act(connection: Connection, identifier: str, action: Action, limits: Limits, upon: str | None = None) -> Standing:
    """Take a person's action; returns how the alert stands after it.

    `upon` is the mark of what the person was looking at. HandlingError where there is no such alert or the action may not be
    taken; StaleActionError where the mark is not the present one any more.
    """
    held = _lock(connection, [identifier]).get(identifier)
    if held is None:
        raise HandlingError(f"there is no alert {identifier!r}")
    if upon is not None and upon != held.mark:
        raise StaleActionError(f"alert {identifier} is {held.mark} now, not {upon}: {standing(held.handling)}; look again")
    try:
        check(held.handling, action, held.about, limits)
    except HandlingError as fault:
        raise type(fault)(f"alert {identifier}: {fault}") from None
    return _write(connection, [(held, action)])[0]


def run_timers(connection: Connection, now_us: int, limits: Limits = Limits()) -> int:
    """Take every action that time makes due: escalations, returns, ends of shelves; returns how many.

    Exactly once, also with two processes: a row is locked while its action is written, and rows that others hold are left
    to them. At most MOST_TIMERS a pass.
    """
    grades = [grade for grade in GRADE_ORDER if grade in limits.escalate_after_us]
    query = _DUE.format("".join(f" OR {_WAITS.format(grade)}" for grade in grades))
    cut = {grade: to_datetime(now_us - limits.escalate_after_us[grade]) for grade in grades}
    rows = connection.execute(
        query.encode(),
        {**cut, "most": len(limits.escalate_to), "now": to_datetime(now_us), "limit": MOST_TIMERS,
         "returned": to_datetime(now_us - limits.return_after_us)},
        prepare=False,  # planned for these instants: a plan for any would read the whole table
    )  # fmt: skip
    held = [_standing(row) for row in rows]
    steps = [(s, action) for s in held if (action := by_time(s.handling, s.grade, limits, now_us))]
    return len(_write(connection, steps))


def follow(connection: Connection, versions: Sequence[Version], now_us: int) -> int:
    """Let handling follow the ledger, after these versions were written; returns how many actions that made.

    Joined alerts hand over, retracted ones are told of, and what became worse comes back to the queue.
    """
    pairs = [(v.id, v.reason.removeprefix(JOINED)) for v in versions if v.retracted and v.reason.startswith(JOINED)]
    count = take_over(connection, pairs, now_us)
    touched = [v for v in versions if v.version > 1]
    held = _lock(connection, {v.id for v in touched})
    before = _contents_before(connection, [v for v in touched if not v.retracted and not held[v.id].handling.waiting])
    for version in touched:
        action = by_ledger(held[version.id].handling, before.get((version.id, version.version)), version, now_us)
        if action:
            held[version.id] = _write(connection, [(held[version.id], action)])[0]
            count += 1
    return count


def take_over(connection: Connection, pairs: Iterable[tuple[str, str]], now_us: int) -> int:
    """For each (from, into): the second alert takes over the handling of the first; returns how many had any to take."""
    pairs = list(pairs)
    held = _lock(connection, {identifier for pair in pairs for identifier in pair})
    count = 0
    for source, target in pairs:
        action = by_joining(held[target].handling, held[source].handling, source, now_us)
        if action:
            held[target] = _write(connection, [(held[target], action)])[0]
            count += 1
    return count


def actions(connection: Connection, identifier: str) -> list[Done]:
    """Everything done to an alert and to those it took over, in the order it was done."""
    rows = connection.execute(_ACTIONS, [identifier, identifier]).fetchall()
    return [Done(row[0], row[1], row[2], row[3], _action(row[4:])) for row in rows]


def one(connection: Connection, identifier: str) -> Standing | None:
    """How an alert stands, None where there is none of this identifier."""
    row = connection.execute(_THESE.encode(), [[identifier]]).fetchone()
    return None if row is None else _standing(row)


def _lock(connection: Connection, identifiers: Iterable[str]) -> dict[str, Standing]:
    """The alerts as they stand, locked in one order so that two transactions never wait for each other."""
    wanted = list(identifiers)
    rows = connection.execute(f"{_THESE} FOR UPDATE".encode(), [wanted]) if wanted else ()
    return {row[0]: _standing(row) for row in rows}


def _standing(row: tuple[Any, ...]) -> Standing:
    identifier, version, rule, condition, grade, *state = row
    return Standing(identifier, version, About(rule, condition), grade, Handling(*state))


def _write(connection: Connection, steps: Sequence[tuple[Standing, Action]]) -> list[Standing]:
    """Append the actions, one an alert, set the present, and leave the notices."""
    after = [held._replace(handling=apply(held.handling, action)) for held, action in steps]
    if not steps:
        return after
    notices = [
        (now, told) for (held, action), now in zip(steps, after, strict=True) if (told := notice(held.handling, action))
    ]
    at = {now.id: to_datetime(action.at_us) for (_, action), now in zip(steps, after, strict=True)}
    with connection.cursor() as cursor:
        cursor.executemany(_ACTION, [_action_row(now, action) for (_, action), now in zip(steps, after, strict=True)])
        cursor.executemany(_PRESENT, [(*_state_row(now.handling), now.id) for now in after])
        if notices:
            cursor.executemany(
                _NOTICE,
                [(now.id, now.handling.version, n.kind, at[now.id], n.role, n.person, n.text) for now, n in notices],
            )
    return after


def _state_row(h: Handling) -> tuple[Any, ...]:
    return (h.state, to_datetime(h.since_us), _moment(h.waiting_since_us), h.version, h.why, h.by, h.assigned, h.escalations,
            _moment(h.until_us), h.outcome)  # fmt: skip


def _action_row(now: Standing, a: Action) -> tuple[Any, ...]:
    taken = None if a.taken is None else msgspec.json.encode(a.taken).decode()
    return (now.id, now.handling.version, a.kind, a.actor, a.role, to_datetime(a.at_us), now.version, now.handling.state,
            a.note, a.reason, a.outcome, a.whom, a.channel, a.said, _moment(a.until_us), taken)  # fmt: skip


def _action(row: Sequence[Any]) -> Action:
    kind, actor, role, at, note, reason, outcome, whom, channel, said, until, taken = row
    return Action(
        kind=kind, actor=actor, role=role, at_us=from_datetime(at), note=note, reason=reason, outcome=outcome, whom=whom,
        channel=channel, said=said, until_us=None if until is None else from_datetime(until),
        taken=None if taken is None else msgspec.convert(taken, Handling),
    )  # fmt: skip


def _contents_before(connection: Connection, versions: Sequence[Version]) -> Mapping[tuple[str, int], Alert]:
    """The content of the version before each, by (identifier, version)."""
    if not versions:
        return {}
    rows = connection.execute(
        "SELECT v.id, v.version + 1, v.content FROM alert_version v"
        " JOIN unnest(%s::text[], %s::integer[]) AS wanted (id, version)"
        " ON v.id = wanted.id AND v.version = wanted.version - 1",
        [[v.id for v in versions], [v.version for v in versions]],
    )
    return {(identifier, version): from_json(content) for identifier, version, content in rows}


def _moment(time_us: int | None) -> Any:
    return None if time_us is None else to_datetime(time_us)
