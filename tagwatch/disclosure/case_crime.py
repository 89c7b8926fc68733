"""The crime of a case: every version that the force sent, and the files that they came in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crime_match.crimes.store import Version, batches, history, seen_again
from engine.database import Connection
from engine.times import to_iso
from tagwatch.disclosure.container import Container
from tagwatch.disclosure.schedule import Schedule

VERSIONS, IMPORTS = "crime/versions.csv", "crime/imports.csv"
_VERSIONS = {
    "version": "number of the version", "changed": "what changed against the one before", "type": "type of the crime",
    "from": "start of the window (UTC)", "to": "end of it (UTC)", "lat": "latitude [degrees]", "lon": "longitude [degrees]",
    "uncertainty_m": "how far the true place may lie from it [m]", "text": "as the force wrote it",
    "batch": "the force's batch", "easting_m": "British National Grid, as given [m]",
    "northing_m": "British National Grid, as given [m]", "import": "number of the import",
}  # fmt: skip
_IMPORTS = {
    "number": "number of the import", "file": "name of the file", "sha256": "SHA-256 of the file", "form": "its form",
    "imported": "when (UTC)", "versions": "versions of this crime that came with it", "again": "versions that it repeated",
}  # fmt: skip


def write_crime(
    container: Container, connection: Connection, listed: Schedule, crime: tuple[str, str], used: Mapping[int, str]
) -> list[Version]:  # fmt: skip
    """The files about a crime (force, reference); `used` says why a version is used. Returns the versions, oldest first."""
    force, reference = crime
    versions = history(connection, reference, force)
    container.table(VERSIONS, "The crime in every version that the force sent", _VERSIONS, map(_version_row, versions))
    for one in versions:
        what = f"version {one.version} of the crime"
        said = f"{what}, {'overtaken by a later one' if one.version < versions[-1].version else 'the latest'}"
        if one.version in used:
            listed.used(what, VERSIONS, said, used[one.version])
        else:
            listed.add(what, VERSIONS, said)
    _write_imports(container, connection, listed, versions)
    return versions


def _version_row(one: Version) -> tuple[Any, ...]:
    told = {**one.crime.record(), "version": one.version, "changed": ", ".join(one.changed), "import": one.batch_number}
    return tuple(told[name] for name in _VERSIONS)


def _write_imports(container: Container, connection: Connection, listed: Schedule, versions: list[Version]) -> None:
    again = seen_again(connection, versions[0].crime.reference, versions[0].crime.force)
    rows = list[tuple[Any, ...]]()
    numbers = {one.batch_number for one in versions} | {one.batch_number for one in again}
    for batch in batches(connection, numbers=numbers):
        container.told.note(batch.imported_us)
        brought = ", ".join(str(one.version) for one in versions if one.batch_number == batch.number)
        repeated = ", ".join(str(one.version) for one in again if one.batch_number == batch.number)
        file = batch.file
        rows.append((batch.number, file.name, file.sha256, file.form, to_iso(batch.imported_us), brought, repeated))
        listed.add(f"import {batch.number}", IMPORTS, "a file of crimes that held this one")
    container.table(IMPORTS, "The files that the crime came in", _IMPORTS, rows)
