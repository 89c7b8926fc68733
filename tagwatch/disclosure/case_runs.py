"""The runs of a case: every run that ever matched the crime, in any of its versions, with every line about any wearer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from crime_match.runs import staleness
from crime_match.runs.holdings import lines_of_crime
from crime_match.runs.staleness import RunCrime
from crime_match.runs.store import VERDICTS, makings
from engine.database import Connection
from engine.times import MINUTE_US, SECOND_US, to_iso
from tagwatch.disclosure.container import Container
from tagwatch.disclosure.schedule import Schedule
from tagwatch.disclosure.values import json_of

COLUMNS = {
    "number": "place in the run", "wearer": "who", "verdict": "placed, possible, excluded or unmonitored",
    "support": "how far a placement carries", "closest_m": "how near the nearest position was [m]",
    "closest_at": "when (UTC)", "n_fixes": "positions in the window",
    "required_speed_mps": "lowest speed at which presence would be possible [m/s]", "reasons": "why, in words",
}  # fmt: skip
_PAD_US = 10 * MINUTE_US


@dataclass
class InRuns:
    """Who is in the runs of a case: by wearer the verdicts, with the run's number, and devices; the longest padding [us]."""

    verdicts: dict[str, list[str]] = field(default_factory=dict)
    devices: dict[str, set[str]] = field(default_factory=dict)
    near: set[str] = field(default_factory=set)
    pad_us: int = _PAD_US
    versions_used: dict[int, str] = field(default_factory=dict)


def write_runs(container: Container, connection: Connection, schedule: Schedule, crime: tuple[str, str]) -> InRuns:
    """A folder a run, by the version of the crime that it used; what is listed in the schedule, and who is in them."""
    found = InRuns()
    for number, about in enumerate(staleness.runs_of(connection, *crime), 1):
        _write_run(container, connection, schedule, found, (number, about))
    return found


def _write_run(
    container: Container, connection: Connection, schedule: Schedule, found: InRuns, numbered: tuple[int, RunCrime]
) -> None:  # fmt: skip
    number, about = numbered
    folder, run = f"runs/{number:03d}", staleness.run(connection, about.run)
    made = makings(connection, about.run)
    for one in made:
        container.told.note(one.made_us)
    found.pad_us = max(found.pad_us, _pad_us(run.parameters))
    told = {
        "id": run.id, "algorithm": run.algorithm, "parameters": run.parameters, "inputs": run.inputs,
        "made": [{"at": to_iso(m.made_us), "by": m.made_by, "reason": m.reason} for m in made],
        "crime": {"version": about.version, "latest": about.latest, "stale": about.stale, "changed": about.changed},
        "counts": about.counts, "lines": about.n_lines,
    }  # fmt: skip
    stale = f", which version {about.latest} has overtaken (stale)" if about.stale else ""
    what = f"a search with version {about.version} of the crime{stale}: parameters, inputs, when, by whom and why"
    container.document(f"{folder}/run.json", f"Run {run.id[:12]}: {what}", told)
    schedule.add(f"run {number} ({run.id[:12]})", f"{folder}/run.json", what, run=run.id)
    if any(pack.run == run.id for pack in schedule.packs):
        found.versions_used[about.version] = f"matched by run {number}, on which an evidence pack rests"
    lines = f"{folder}/verdicts.jsonl"
    pieces = ((row["line"].encode() + b"\n", 1) for row in lines_of_crime(connection, run.id, *_key(about)))
    container.pieces(lines, f"Run {number}: every recorded verdict, as it was written", {}, pieces)
    kept = _write_table(container, connection, schedule, found, (number, about))
    for verdict in VERDICTS:
        if lacking := about.counts[verdict] - kept[verdict]:
            schedule.add(f"run {number}: {lacking} wearers {verdict}", f"{folder}/run.json",
                         "only their number is held: the run was made with --only, or the lines were erased")  # fmt: skip


def _write_table(
    container: Container, connection: Connection, schedule: Schedule, found: InRuns, numbered: tuple[int, RunCrime]
) -> Counter[str]:  # fmt: skip
    number, about = numbered
    kept, file = Counter[str](), f"runs/{number:03d}/verdicts.csv"

    def rows() -> Iterator[tuple[Any, ...]]:
        for row in lines_of_crime(connection, about.run, *_key(about)):
            line = {**json_of(row["line"]), **row}
            if row.get("erased") is not None:
                schedule.add(f"run {number}: a verdict", file, f"erased by order {row['erased']}: nothing is held")
                continue
            kept[row["verdict"]] += 1
            _note(found, number, line)
            what = f"verdict about {row['wearer']}: {row['verdict']}" + (f" ({row['support']})" if row["support"] else "")
            schedule.add(f"run {number}, {row['wearer']}", file, what, run=about.run, wearer=row["wearer"])
            yield tuple("; ".join(line["reasons"]) if name == "reasons" else line.get(name) for name in COLUMNS)

    container.table(file, f"Run {number}: the verdicts as a table, whoever is placed, possible, excluded or unmonitored",
                    COLUMNS, rows())  # fmt: skip
    return kept


def _note(found: InRuns, number: int, line: dict[str, Any]) -> None:
    wearer = line["wearer"]
    found.verdicts.setdefault(wearer, []).append(f"run {number}: {line['verdict']}")
    found.devices.setdefault(wearer, set()).update([line["device"]] if line.get("device") else [])
    if line["verdict"] in ("placed", "possible"):
        found.near.add(wearer)


def _key(about: RunCrime) -> tuple[str, str]:
    return about.force, about.reference


def _pad_us(parameters: dict[str, Any]) -> int:
    """The padding of a run's windows, as its parameters tell it."""
    told = parameters.get("pad_us", parameters.get("pad_s", 0) * SECOND_US)
    return int(told) if isinstance(told, (int, float)) else _PAD_US
