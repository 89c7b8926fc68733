"""Which results rest on a version of a crime that another has overtaken: asked of the database each time, never stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from crime_match.crimes.store import STORED, Choice, Version, changes, key_of, version_of_row
from crime_match.runs.store import VERDICTS
from engine.database import Connection
from engine.errors import InputError

_OVERTAKEN = (
    " FROM crime_version n JOIN run_crime t"
    " ON t.force = n.force AND t.reference = n.reference AND t.version = n.version - 1 WHERE n.version > 1"
)
"""What was matched and has a version after it: from the few crimes that ever changed, not from all that were matched."""
_RUNS = (
    "SELECT r.id, r.algorithm, r.parameters, r.inputs, coalesce(c.n, 0), coalesce(c.lines, 0)::bigint,"
    " coalesce(s.n, 0), coalesce(c.counts, '{0,0,0,0}')"
    " FROM run r LEFT JOIN LATERAL (SELECT count(*) n, sum(n_lines) lines,"
    f" ARRAY[{', '.join(f'sum(n_{verdict})' for verdict in VERDICTS)}]::bigint[] counts"
    " FROM run_crime t WHERE t.run = r.id) c ON true"
    f" LEFT JOIN (SELECT t.run, count(*) n{_OVERTAKEN} GROUP BY t.run) s ON s.run = r.id"
)
_NEWEST = " ORDER BY (SELECT max(made_at) FROM run_made m WHERE m.run = r.id) DESC NULLS LAST, r.id"
_CRIMES = (
    f"SELECT t.run, t.n_lines, {', '.join(f't.n_{verdict}' for verdict in VERDICTS)},"
    f" {', '.join(f'u.{name}' for name in STORED)}, {', '.join(f'l.{name}' for name in STORED)}"
    " FROM run_crime t JOIN crime_version u ON u.force = t.force AND u.reference = t.reference AND u.version = t.version"
    " JOIN crime l ON l.force = t.force AND l.reference = t.reference"
)
_OF_CRIME = "FROM run_crime t WHERE t.force = c.force AND t.reference = c.reference"
_LISTED = (
    f"SELECT {', '.join(f'c.{name}' for name in STORED)}, (SELECT count(*) {_OF_CRIME}),"
    f" (SELECT count(*) {_OF_CRIME} AND t.version < c.version)"
)


class Listed(NamedTuple):
    """The latest version of a crime, in how many runs it was matched, and in how many of them by an earlier version."""

    version: Version
    n_runs: int
    n_stale: int


class Run(NamedTuple):
    """A run as it is kept: how many crimes it matched, how many lines it wrote, of how many crimes a later version has come
    since, and its sums by verdict."""

    id: str
    algorithm: str
    parameters: dict[str, Any]
    inputs: dict[str, Any]
    n_crimes: int
    n_lines: int
    n_stale: int
    counts: dict[str, int]


class RunCrime(NamedTuple):
    """A crime of a run: the version that was matched, the latest there is, and in what these two differ."""

    run: str
    force: str
    reference: str
    version: int
    latest: int
    changed: tuple[str, ...]
    n_lines: int
    counts: dict[str, int]

    @property
    def stale(self) -> bool:
        """A later version of the crime has come since, even one that says again what this one said."""
        return self.latest > self.version


def newest_crimes(
    connection: Connection, most: int | None = None, choice: Choice = Choice(), skip: int = 0
) -> tuple[list[Listed], int]:  # fmt: skip
    """The latest version of the crimes that are asked for, newest window first, `most` at most after those to skip, and how
    many in all."""
    condition, values = choice.where()
    chosen = f" FROM crime c WHERE {condition}"
    order = " ORDER BY c.from_time DESC, c.force, c.reference LIMIT %(most)s OFFSET %(skip)s"
    rows = connection.execute(_LISTED + chosen + order, values | {"most": most, "skip": skip}).fetchall()
    total = connection.execute(f"SELECT count(*){chosen}", values).fetchone()
    return [Listed(version_of_row(row[:-2]), row[-2], row[-1]) for row in rows], total[0] if total else 0


def runs(connection: Connection) -> list[Run]:
    """Every run, the one that was made last first; those of which nobody said when at the end."""
    return [_run(row) for row in connection.execute(_RUNS + _NEWEST)]


def run(connection: Connection, prefix: str) -> Run:
    """The run whose identifier begins so; InputError where there is none, or more than one."""
    ids = [row[0] for row in connection.execute("SELECT id FROM run WHERE starts_with(id, %s) LIMIT 2", [prefix.lower()])]
    if len(ids) != 1 or not prefix:
        several = ids and prefix
        expected = "more of it, several begin so" if several else "the beginning of an id that `runs list` shows"
        raise InputError(field="run", value=prefix, expected=expected)
    row = connection.execute(_RUNS + " WHERE r.id = %s", [ids[0]]).fetchone()
    assert row is not None
    return _run(row)


def run_crimes(connection: Connection, run_id: str) -> list[RunCrime]:
    """The crimes of a run in its order, each with what changed since."""
    return [_run_crime(row) for row in connection.execute(_CRIMES + " WHERE t.run = %s ORDER BY t.number", [run_id])]


def runs_of(connection: Connection, force: str, reference: str) -> list[RunCrime]:
    """The runs that matched a crime, by the version that they used."""
    where = " WHERE t.force = %s AND t.reference = %s ORDER BY t.version, t.run"
    return [_run_crime(row) for row in connection.execute(_CRIMES + where, [force, reference])]


def n_runs_made_stale(connection: Connection, batch_number: int) -> int:
    """How many runs had matched the version before one that came with this batch."""
    query = f"SELECT count(DISTINCT t.run){_OVERTAKEN} AND n.batch_number = %s"
    row = connection.execute(query, [batch_number]).fetchone()
    return int(row[0]) if row else 0


def _run(row: Sequence[Any]) -> Run:
    counts = dict(zip(VERDICTS, row[7], strict=True))
    return Run(row[0], row[1], row[2], row[3], row[4], row[5], row[6], counts)


def _run_crime(row: Sequence[Any]) -> RunCrime:
    half = len(row) - len(STORED)
    used, last = version_of_row(row[6:half]), version_of_row(row[half:])
    counts = dict(zip(VERDICTS, row[2:6], strict=True))
    changed = changes(used.crime, last.crime)
    return RunCrime(row[0], *key_of(used.crime), used.version, last.version, changed, row[1], counts)
