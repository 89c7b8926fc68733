"""Erasing lines of match runs; every write belongs to the caller's transaction.

A run stays what it was found to be: its counts, and in place of each erased line one that says by what it was erased. It names
nobody and holds no position.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from engine.database import Connection
from engine.times import to_datetime

_CHOSEN = (
    "SELECT r.run, r.number, r.force, r.reference, r.verdict, r.support FROM unnest(%(wearers)s::text[],"
    " %(since)s::timestamptz[], %(until)s::timestamptz[]) s (wearer, since, until) JOIN run_result r USING (wearer)"
    " JOIN crime_version v USING (force, reference, version)"
    " WHERE r.erased IS NULL AND v.from_time >= s.since AND v.from_time < s.until"
    " AND (NOT %(over)s OR greatest(v.to_time, (SELECT max(made_at) FROM run_made m WHERE m.run = r.run)) < s.until)"
    " AND %(held)s = (EXISTS (SELECT FROM unnest(%(h_wearers)s::text[], %(h_since)s::timestamptz[], %(h_until)s::timestamptz[])"
    " h (wearer, since, until) WHERE h.wearer = r.wearer AND v.from_time < h.until AND v.to_time >= h.since)"
    " OR EXISTS (SELECT FROM unnest(%(c_wearers)s::text[], %(c_forces)s::text[], %(c_references)s::text[])"
    " c (wearer, force, reference) WHERE c.wearer = r.wearer AND c.force = r.force AND c.reference = r.reference))"
    " ORDER BY r.run, r.number LIMIT %(most)s"
)
_ERASE = "UPDATE run_result SET wearer = %s, line = %s, erased = %s WHERE run = %s AND number = %s AND erased IS NULL"

Stretch = tuple[str, int, int]
"""Wearer, from_us, to_us."""


class Chosen(NamedTuple):
    """A line of a run: its place, its crime, and what it found."""

    run: str
    number: int
    force: str
    reference: str
    verdict: str
    support: str | None


class Held(NamedTuple):
    """Stretches that are held, and crimes (wearer, force, reference) of which the lines are."""

    stretches: Iterable[Stretch] = ()
    crimes: Iterable[tuple[str, str, str]] = ()


def chosen(
    connection: Connection, wanted: Iterable[Stretch], held: Held, *, only_over: bool = False, are_held: bool = False,
    most: int | None = None,
) -> list[Chosen]:  # fmt: skip
    """The lines about these wearers whose crime's window began in their stretch, and that are not held (are_held: that are).

    only_over: only where the run was made for the last time before the stretch ends.
    """
    crimes = list(held.crimes)
    given = {f"h_{name}": column for name, column in _columns(held.stretches).items()} | _columns(wanted)
    given |= {f"c_{name}": [row[k] for row in crimes] for k, name in enumerate(("wearers", "forces", "references"))}
    rows = connection.execute(_CHOSEN, {**given, "over": only_over, "held": are_held, "most": most})
    return [Chosen(*row) for row in rows]


def erase_lines(connection: Connection, lines: Sequence[Chosen], number: int, by: str) -> int:
    """Put a line that says by what it was erased in place of each; returns how many. number: of the erasure."""
    rows = []
    for line in lines:
        nobody = f"erased-{number}-{line.number}"
        told = {"crime": line.reference, "force": line.force, "wearer": nobody, "verdict": line.verdict,
                "support": line.support, "erased": by}  # fmt: skip
        rows.append((nobody, msgspec.json.encode(told).decode(), number, line.run, line.number))
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_ERASE, rows)
    return len(rows)


def _columns(stretches: Iterable[Stretch]) -> dict[str, list[object]]:
    rows = list(stretches)
    return {
        "wearers": [row[0] for row in rows], "since": [to_datetime(row[1]) for row in rows],
        "until": [to_datetime(row[2]) for row in rows],
    }  # fmt: skip
