"""Runs as somebody sees them who may see the crimes of some forces and some of the wearers: the rest is neither listed nor
counted. forces, wearers: None for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator
from typing import Any, NamedTuple

from crime_match.crimes.store import Key
from crime_match.runs.store import VERDICTS, Made, Result
from engine.database import Connection
from engine.times import from_datetime

Some = Collection[str] | None
_LATER = (
    "EXISTS (SELECT FROM crime_version n WHERE n.force = t.force AND n.reference = t.reference AND n.version > t.version)"
)
_RUNS = (
    f"SELECT r.id, r.algorithm, r.parameters, count(*), count(*) FILTER (WHERE {_LATER}), m.made_at, m.made_by, m.reason"
    " FROM run r JOIN run_crime t ON t.run = r.id"
    " LEFT JOIN LATERAL (SELECT * FROM run_made m WHERE m.run = r.id ORDER BY made_at DESC LIMIT 1) m ON true"
    " WHERE (%(forces)s::text[] IS NULL OR t.force = ANY(%(forces)s)) AND (%(run)s::text IS NULL OR r.id = %(run)s)"
    " GROUP BY r.id, m.made_at, m.made_by, m.reason ORDER BY m.made_at DESC NULLS LAST, r.id LIMIT %(most)s OFFSET %(skip)s"
)
_OF_RUN = (
    " FROM run_result WHERE run = %(run)s AND (%(forces)s::text[] IS NULL OR force = ANY(%(forces)s))"
    " AND (%(wearers)s::text[] IS NULL OR wearer = ANY(%(wearers)s))"
)
_OF_CRIME = " AND (%(force)s::text IS NULL OR (force = %(force)s AND reference = %(reference)s))"


class SeenRun(NamedTuple):
    """A run, how many crimes of it are seen and how many of these have changed since, and when it was made last."""

    id: str
    algorithm: str
    parameters: dict[str, Any]
    n_crimes: int
    n_stale: int
    made: Made | None

    @property
    def listed(self) -> tuple[str, ...]:
        """The verdicts of which the run wrote lines."""
        return tuple(self.parameters.get("verdicts", VERDICTS))


def seen_runs(connection: Connection, forces: Some, most: int, skip: int = 0) -> list[SeenRun]:
    """Runs with a crime that may be seen, the one that was made last first."""
    return _runs(connection, {"forces": _list(forces), "run": None, "most": most, "skip": skip})


def seen_run(connection: Connection, run_id: str, forces: Some) -> SeenRun | None:
    """The run with this id, None where there is none with a crime that may be seen."""
    found = _runs(connection, {"forces": _list(forces), "run": run_id, "most": 1, "skip": 0})
    return found[0] if found else None


def supports(connection: Connection, run_id: str, forces: Some, wearers: Some) -> dict[Key, Counter[str]]:
    """By crime, how many of these wearers have which verdict; of placements, how far they carry (strong, weak, cell)."""
    query = f"SELECT force, reference, coalesce(support, verdict), count(*){_OF_RUN} GROUP BY 1, 2, 3"
    found: dict[Key, Counter[str]] = {}
    for force, reference, kind, n in connection.execute(query.encode(), _given(run_id, forces, wearers)):
        found.setdefault((force, reference), Counter())[kind] = n
    return found


def seen_results(
    connection: Connection, run_id: str, forces: Some, wearers: Some, key: Key | None = None, *, erased: bool = False
) -> Generator[Result]:  # fmt: skip
    """The results of these wearers at a crime, or at all that may be seen, in the run's order; read in portions. erased: with
    the lines that stand in place of erased ones."""
    columns = "number, force, reference, version, wearer, verdict, support, line"
    force, reference = key or (None, None)
    given = _given(run_id, forces, wearers) | {"force": force, "reference": reference}
    with connection.cursor("seen_results") as cursor:
        cursor.itersize = 2_000
        kept = "" if erased else " AND erased IS NULL"
        cursor.execute(f"SELECT {columns}{_OF_RUN}{_OF_CRIME}{kept} ORDER BY number".encode(), given)
        for row in cursor:
            yield Result(*row)


def _runs(connection: Connection, given: dict[str, Any]) -> list[SeenRun]:
    rows = connection.execute(_RUNS.encode(), given)
    return [SeenRun(row[0], row[1], row[2], row[3], row[4], _made(*row[5:])) for row in rows]


def _made(at: Any, by: str, reason: str) -> Made | None:
    return None if at is None else Made(from_datetime(at), by, reason)


def _given(run_id: str, forces: Some, wearers: Some) -> dict[str, Any]:
    return {"run": run_id, "forces": _list(forces), "wearers": _list(wearers)}


def _list(some: Some) -> list[str] | None:
    return None if some is None else sorted(some)
