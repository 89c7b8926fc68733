"""Evidence packs that were built from the database, as the audit log tells them: it is the only record there is.

A pack goes to whoever asked for it and is not kept. A row says that one was asked for, about whom, for which crime, by whom
and why; once it is written another says so, with its `sha256` and `file`. Packs built from files alone leave no row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from engine.database import Connection
from engine.times import from_datetime, to_datetime

WRITTEN = "evidence written"
ACTIONS = ("evidence built", "evidence asked", WRITTEN)
"""By the console, by the command before it reads, and by the command once the pack is written."""


class Pack(NamedTuple):
    """One pack: the number of its row in the audit log, when [us], by whom, why; crime, wearer, and the run that it was built
    from (empty where nothing tells)."""

    number: int
    at_us: int
    actor: str
    via: str
    action: str
    wearer: str
    force: str
    crime: str
    run: str
    reason: str
    case_ref: str
    sha256: str = ""
    file: str = ""


def packs_built(
    connection: Connection, *, wearer: str | None = None, crime: tuple[str, str] | None = None, until: int | None = None
) -> list[Pack]:
    """The packs about a wearer, or a crime (force, reference), or both; oldest first. until: the last row that is looked at."""
    rows = connection.execute(
        "SELECT number, at, actor, via, action, subject, reason, case_ref, detail FROM audit_entry"
        " WHERE action = ANY(%s) AND (%s::text IS NULL OR subject = %s) AND number <= %s ORDER BY number",
        [list(ACTIONS), wearer, wearer, 2**62 if until is None else until],
    ).fetchall()
    found = _once([_pack(connection, row) for row in rows])
    return [pack for pack in found if crime is None or _is_about(pack, crime)]


def _once(rows: list[Pack]) -> list[Pack]:
    """Each pack once: where a row says that it was written, the row that says it was asked for is left out."""
    left: list[Pack] = []
    for row in rows:
        asked = [k for k, earlier in enumerate(left) if row.action == WRITTEN != earlier.action and _same(row, earlier)]
        before = left.pop(asked[-1]) if asked else row
        left.append(row._replace(reason=row.reason or before.reason, case_ref=row.case_ref or before.case_ref))
    return left


def _same(one: Pack, other: Pack) -> bool:
    return (one.actor, one.wearer, one.crime, one.run) == (other.actor, other.wearer, other.crime, other.run)


def _pack(connection: Connection, row: tuple[Any, ...]) -> Pack:
    number, at, actor, via, action, wearer, reason, case_ref, detail = row
    told = msgspec.json.decode(detail)
    asked = told.get("asked") or told
    force, crime, run = (str(asked.get(name) or "") for name in ("force", "crime", "run"))
    if not force or len(run) < 64:
        force, run = _meant(connection, wearer, (force, crime, run), at)
    rest = (str(told.get(name) or "") for name in ("sha256", "file"))
    return Pack(number, from_datetime(at), actor, via, action, wearer, force, crime, run, reason, case_ref, *rest)


def _meant(connection: Connection, wearer: str, named: tuple[str, str, str], at: Any) -> tuple[str, str]:
    """Force and run where the command named none, or the beginning of one: the run made last until then that tells of both."""
    force, crime, run = named
    row = connection.execute(
        "SELECT r.force, r.run FROM run_result r JOIN run_made m ON m.run = r.run"
        " WHERE r.reference = %s AND r.wearer = %s AND (%s = '' OR r.force = %s) AND starts_with(r.run, %s)"
        " AND m.made_at <= %s ORDER BY m.made_at DESC, r.run, r.force LIMIT 1",
        [crime, wearer, force, force, run.lower(), at],
    ).fetchone()
    return (row[0], row[1]) if row else (force, run)


def _is_about(pack: Pack, crime: tuple[str, str]) -> bool:
    return pack.crime == crime[1] and pack.force in ("", crime[0])


def told(pack: Pack) -> dict[str, Any]:
    """A pack as a row, its time as a moment."""
    return {**pack._asdict(), "at": to_datetime(pack.at_us)}
