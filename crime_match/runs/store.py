"""Match runs in the database: written once, named by their hash. The same run again must give the same bytes."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import count, islice, zip_longest
from typing import Any, NamedTuple

import msgspec
from psycopg.errors import ForeignKeyViolation

from engine.database import Connection
from engine.errors import StoreError
from engine.times import from_datetime, to_datetime

VERDICTS = ("placed", "possible", "excluded", "unmonitored")
_AT_ONCE = 256
"""Crimes whose results are written together: what has to be in memory at one time."""
_CRIME = ("run", "number", "force", "reference", "version", *(f"n_{verdict}" for verdict in VERDICTS), "n_lines")
_RESULT = ("run", "number", "force", "reference", "version", "wearer", "verdict", "support", "line")
_ERASED = "SELECT number FROM run_result WHERE run = %s AND erased IS NOT NULL"


class Line(NamedTuple):
    """One result: the wearer, the verdict and how far it carries, and the JSON line as it is written (no line's end)."""

    wearer: str
    verdict: str
    support: str | None
    text: str


class Found(NamedTuple):
    """What a run found about one version of a crime: how many wearers by verdict, and the lines that it wrote."""

    force: str
    reference: str
    version: int
    counts: Mapping[str, int]
    lines: Sequence[Line]


class Result(NamedTuple):
    """A result as it is kept: its place in the run, the crime's version, and the line as it was written."""

    number: int
    force: str
    reference: str
    version: int
    wearer: str
    verdict: str
    support: str | None
    line: str


class LineOf(NamedTuple):
    """A line as it was written, with its run and the force of its crime."""

    run: str
    force: str
    line: str


class Made(NamedTuple):
    """When [us], by whom and why a run was made."""

    made_us: int
    made_by: str
    reason: str


def record_run(
    connection: Connection, run_id: str, algorithm: str, parameters: Mapping[str, Any], inputs: Mapping[str, Any],
    results: Iterable[Found],
) -> bool:  # fmt: skip
    """Write a run and its results, all or nothing; False where it is there already, after comparing every byte.

    StoreError where the run is there with anything else, or a crime's version is not in the database.
    """
    with connection.transaction():
        given = [msgspec.json.encode(part).decode() for part in (parameters, inputs)]
        row = connection.execute(
            "INSERT INTO run (id, algorithm, parameters, inputs) VALUES (%s, %s, %s::json, %s::json)"
            " ON CONFLICT (id) DO NOTHING RETURNING id",
            [run_id, algorithm, *given],
        ).fetchone()
        if row is None:
            _require_same(connection, run_id, (algorithm, *map(msgspec.json.decode, given)), results)
            return False
        try:
            _write(connection, run_id, results)
        except ForeignKeyViolation as fault:
            detail = fault.diag.message_detail or "a version of a crime is missing"
            raise StoreError(f"run {run_id[:12]} is not recorded, its crimes must be imported first: {detail}") from None
    return True


def record_making(connection: Connection, run_id: str, made_us: int, made_by: str, reason: str = "") -> None:
    """Note that a run was made, by whom and why; nothing of it goes into the result."""
    connection.execute(
        "INSERT INTO run_made (run, made_at, made_by, reason) VALUES (%s, %s, %s, %s)",
        [run_id, to_datetime(made_us), made_by, reason],
    )


def results_of(connection: Connection, run_id: str) -> Generator[Result]:
    """The results of a run in its order, read in portions within the caller's transaction; in place of those that were erased
    stand lines that say so."""
    with connection.cursor("run_results") as cursor:
        cursor.itersize = 2_000
        cursor.execute(f"SELECT {', '.join(_RESULT[1:])} FROM run_result WHERE run = %s ORDER BY number", [run_id])
        for row in cursor:
            yield Result(*row)


def lines_about(
    connection: Connection, reference: str, wearer: str, force: str | None = None, run_id: str | None = None
) -> list[LineOf]:
    """The lines about a crime and a wearer, those of the run that was made last first."""
    rows = connection.execute(
        "SELECT run, force, line FROM run_result r WHERE reference = %(reference)s AND wearer = %(wearer)s"
        " AND (%(force)s::text IS NULL OR force = %(force)s) AND (%(run)s::text IS NULL OR run = %(run)s)"
        " ORDER BY (SELECT max(made_at) FROM run_made m WHERE m.run = r.run) DESC NULLS LAST, run, force",
        {"reference": reference, "wearer": wearer, "force": force, "run": run_id},
    )
    return [LineOf(*row) for row in rows]


def placed_at(connection: Connection, run_id: str, force: str, reference: str) -> list[tuple[str, str]]:
    """Who is placed at a crime by a run, and the line that says it."""
    return connection.execute(
        "SELECT wearer, line FROM run_result WHERE run = %s AND force = %s AND reference = %s AND verdict = 'placed'"
        " AND erased IS NULL ORDER BY number",
        [run_id, force, reference],
    ).fetchall()


def makings(connection: Connection, run_id: str) -> list[Made]:
    """When, by whom and why a run was made, in that order."""
    rows = connection.execute("SELECT made_at, made_by, reason FROM run_made WHERE run = %s ORDER BY made_at", [run_id])
    return [Made(from_datetime(row[0]), *row[1:]) for row in rows]


def _write(connection: Connection, run_id: str, found: Iterable[Found]) -> None:
    crimes, numbers = enumerate(found, 1), count(1)
    while portion := list(islice(crimes, _AT_ONCE)):
        with connection.cursor() as cursor:
            with cursor.copy(f"COPY run_crime ({', '.join(_CRIME)}) FROM STDIN") as copy:
                for number, one in portion:
                    copy.write_row((run_id, number, *_crime_row(one)))
            with cursor.copy(f"COPY run_result ({', '.join(_RESULT)}) FROM STDIN") as copy:
                for _, one in portion:
                    for row in _result_rows(one):
                        copy.write_row((run_id, next(numbers), *row))


def _require_same(connection: Connection, run_id: str, asked: tuple[Any, ...], results: Iterable[Found]) -> None:
    """StoreError where a run that is there differs in anything from the one that is given."""
    held = connection.execute("SELECT algorithm, parameters, inputs FROM run WHERE id = %s", [run_id]).fetchone()
    if held != asked:
        raise StoreError(f"run {run_id} is recorded with another algorithm, other parameters or other inputs")
    stored = connection.execute(f"SELECT {', '.join(_CRIME[2:])} FROM run_crime WHERE run = %s ORDER BY number", [run_id])
    erased = {row[0] for row in connection.execute(_ERASED, [run_id])}
    with closing(results_of(connection, run_id)) as lines:
        for one, crime in zip_longest(results, stored):
            if one is None or crime is None or _crime_row(one) != crime:
                raise _other(run_id, crime[:2] if crime else (one.force, one.reference))
            for row in _result_rows(one):
                if (line := next(lines, None)) is None or (line.number not in erased and line[1:] != row):
                    raise _other(run_id, row[:2], row[3])


def _other(run_id: str, crime: Sequence[str], wearer: str = "") -> StoreError:
    what = f"crime {crime[1]} of {crime[0]}" + (f", wearer {wearer}" if wearer else "")
    return StoreError(
        f"run {run_id} is recorded with other results, first at {what}: the same run must give the same bytes"
    )


def _crime_row(found: Found) -> tuple[Any, ...]:
    unknown = found.counts.keys() - {*VERDICTS}
    if unknown:
        raise StoreError(f"a run counts {', '.join(VERDICTS)}, not {', '.join(sorted(unknown))}")
    counts = (found.counts.get(verdict, 0) for verdict in VERDICTS)
    return (found.force, found.reference, found.version, *counts, len(found.lines))


def _result_rows(found: Found) -> Iterator[tuple[Any, ...]]:
    for line in found.lines:
        yield (found.force, found.reference, found.version, line.wearer, line.verdict, line.support, line.text)
