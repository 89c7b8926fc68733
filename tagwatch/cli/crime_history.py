"""How one crime is shown: its versions, what changed from each to the next, and the runs that matched it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.times import to_iso
from tagwatch.cli.crime_tables import (
    SHORT,
    made_words,
    moment,
    place,
    plain,
    run_crime_dict,
    show,
    stale_words,
    version_dict,
    window,
)

if TYPE_CHECKING:
    from crime_match.crimes.crime import Crime
    from crime_match.crimes.store import Again, Batch, Version
    from crime_match.runs.staleness import RunCrime
    from crime_match.runs.store import Made


class History(NamedTuple):
    """All that is known of one crime: versions, where they were sent again, its runs; imports by number, makings by run."""

    versions: list[Version]
    again: list[Again]
    runs: list[RunCrime]
    imports: dict[int, Batch]
    made: dict[str, list[Made]]


def history_dicts(found: History) -> Iterator[dict[str, Any]]:
    """One object a version, oldest first."""
    for version in found.versions:
        number = version.version
        runs = [run_crime_dict(run) for run in found.runs if run.version == number]
        dropped = ("force", "crime", "version", "latest")
        yield version_dict(version) | {
            "latest": version is found.versions[-1],
            "imported": to_iso(found.imports[version.batch_number].imported_us),
            "file": found.imports[version.batch_number].file.name,
            "again": [
                {"import": a.batch_number, "imported": to_iso(found.imports[a.batch_number].imported_us), "batch": a.batch}
                for a in found.again if a.version == number
            ],
            "runs": [{key: value for key, value in run.items() if key not in dropped} for run in runs],
        }  # fmt: skip


def print_history(found: History) -> None:
    """The first version in full, of each later one what changed, as it was and as it is; then the runs."""
    before = None
    for version in found.versions:
        _print_version(version, before, found)
        before = version.crime
    if not found.runs:
        print("no run has matched it")
        return
    rows = [
        [r.run[:SHORT], *made_words(found.made[r.run]), str(r.version), *map(str, r.counts.values()), stale_words(r)]
        for r in found.runs
    ]
    verdicts = tuple(found.runs[0].counts)
    show(("run", "last made", "by", "version", *verdicts, "changed since"), rows, numbers=("version", *verdicts))


def _print_version(version: Version, before: Crime | None, found: History) -> None:
    crime, batch = version.crime, found.imports[version.batch_number]
    latest = " (the latest)" if version is found.versions[-1] and before else ""
    sent = f", the force's batch {crime.batch}" if crime.batch else ""
    print(plain(f"{crime.force} {crime.reference}".lstrip() + f", version {version.version}{latest}"))
    print(plain(f"  import   {batch.number}, {moment(batch.imported_us)}, {batch.file.name}{sent}"))
    for again in (a for a in found.again if a.version == version.version):
        when = moment(found.imports[again.batch_number].imported_us)
        print(f"           the same again in import {again.batch_number}, {when}")
    for name, text in _told(crime).items():
        old = _told(before)[name] if before else text
        if before is None or old != text:
            print(f"  {name:<9}{plain(text) or '-'}")
        if old != text:
            print(f"       was {plain(old) or '-'}")
    print()


def _told(crime: Crime) -> dict[str, str]:
    grid = "" if crime.easting_m is None else f" (given as E {crime.easting_m:g} m, N {crime.northing_m:g} m)"
    return {"type": crime.type, "window": window(crime), "location": place(crime) + grid, "text": crime.text}
