"""What `crimes import` does: read a file of crimes, tell its faults and hints, store what is good."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from engine.errors import InputError
from tagwatch.cli.crime_tables import counted, print_lines
from tagwatch.cli.options import say, say_unused_tz, zone_of

if TYPE_CHECKING:
    from crime_match.crimes.fault import CrimeHint
    from crime_match.crimes.files import BackgroundFile, CrimeFile
    from crime_match.crimes.store import File
    from engine.database import Connection

HINTS = 10
"""Of each kind of hint so many are told one by one."""


def read(file: str, form: str | None, tz: str | None) -> tuple[CrimeFile | BackgroundFile, File]:
    """The file's crimes and faults, and what is remembered of the file."""
    import hashlib

    from crime_match.crimes.files import FORMS, read_background, read_crimes
    from crime_match.crimes.store import File

    if form not in (None, *FORMS):
        raise InputError(field="--format", value=form, expected=f"one of {', '.join(FORMS)}")
    data = _bytes_of(file)
    _put_back(file, data)
    form = form or _form_of(file)
    _put_back(file, data)
    zone = zone_of(tz)
    say_unused_tz(tz, form)
    found = read_background(file) if form == "police-uk" else read_crimes(file, form, zone)
    digest, n_refused = hashlib.sha256(data).hexdigest(), found.n_rows - len(found.crimes)
    return found, File(found.name, digest, form, found.n_rows, n_refused, len(found.faults))


def _form_of(file: str) -> str:
    from crime_match.crimes.csv_records import lines_of
    from crime_match.crimes.files import read_bytes, tell_form

    name, data = read_bytes(file)
    return "police-uk" if data.startswith(b"PK") else tell_form(lines_of(data, name), name)


def _bytes_of(file: str) -> bytes:
    """A file as it is, packed or not: what its hash is taken of."""
    from ingest.file_bytes import read_file

    return read_file(file)[1]


def _put_back(file: str, data: bytes) -> None:
    """What was read of standard input, so that the next reader finds it."""
    import io

    if file == "-":
        sys.stdin = io.TextIOWrapper(io.BytesIO(data))


def tell(read: CrimeFile | BackgroundFile, file: File) -> None:
    """Faults to standard output, hints and what was read to standard error; of published crimes, what they are good for."""
    print_lines(fault.record() for fault in read.faults)
    _say_hints(getattr(read, "hints", ()))
    refused = f", {counted(file.n_refused, 'row')} left out" if file.n_refused else ""
    faults = counted(file.n_faults, "fault") if file.n_faults else "no fault found"
    say(f"{file.name} ({file.form}): {counted(file.n_rows, 'row')}, {faults}{refused}")
    if file.form == "police-uk":
        say("a month and a map point only: kept as background when imported, never matched")


def _say_hints(hints: Iterable[CrimeHint]) -> None:
    """The first hints of each kind, and how many more there are: what is odd in every row must not bury the rest."""
    seen: Counter[str] = Counter()
    for hint in hints:
        seen[hint.code] += 1
        if seen[hint.code] <= HINTS:
            where = " ".join(text for text in (hint.field, hint.value) if text)
            say(f"hint: row {hint.row}{f', {where}' if where else ''}: {hint.message}")
    for code, n in seen.items():
        if n > HINTS:
            say(f"hint: {n - HINTS:,} more of this kind ({code})")


def store(connection: Connection, read: CrimeFile | BackgroundFile, told: File) -> None:
    """Import, and say what came of it."""
    from crime_match.crimes.background_store import import_background
    from crime_match.crimes.files import CrimeFile
    from crime_match.crimes.store import batches, import_crimes
    from crime_match.runs.staleness import n_runs_made_stale
    from engine.times import system_clock
    from tagwatch.cli.crime_tables import moment

    for before in batches(connection, sha256=told.sha256)[-1:]:
        say(f"this very file was imported before: import {before.number}, {moment(before.imported_us)}")
    if not isinstance(read, CrimeFile):
        batch = import_background(connection, read.crimes, told, system_clock())
        say(f"import {batch.number}: {batch.n_new:,} new, {batch.n_same:,} known")
        return
    batch = import_crimes(connection, read.crimes, told, system_clock())
    say(f"import {batch.number}: {batch.n_new:,} new, {batch.n_changed:,} changed, {batch.n_same:,} as before")
    if n_stale := n_runs_made_stale(connection, batch.number):
        say(f"{counted(n_stale, 'run')} matched what has changed now: `tagwatch crimes list --stale` names the crimes")
