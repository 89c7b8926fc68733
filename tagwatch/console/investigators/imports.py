"""A batch of crimes: looked at first, when nothing is written; then imported. Rows of forces that are not the caller's are
refused like any other fault."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Form, Request, UploadFile
from fastapi.responses import RedirectResponse, Response

from crime_match.crimes.crime import Crime
from crime_match.crimes.fault import CrimeFault, CrimeHint
from crime_match.crimes.files import crimes_of
from crime_match.crimes.store import Batch, File, batches, compare, import_crimes, key_of, latest
from crime_match.runs.results_csv import guarded
from crime_match.runs.staleness import n_runs_made_stale
from engine.errors import InputError
from geofence.schedule import time_zone
from tagwatch.access import audit
from tagwatch.access.scope import Scope
from tagwatch.console.caller import Caller, NotAllowed, needs
from tagwatch.console.investigators.answers import Shelf, shelf_of
from tagwatch.console.investigators.files import csv_of, download
from tagwatch.console.investigators.form_fields import said
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Imports = Annotated[Caller, needs("crimes.import")]
MOST_BYTES = 10_000_000
IN_A_TABLE, HINTS = 500, 10
"""Of faults so many are shown, of each kind of hint so many."""
NOT_YOURS = "FORCE_NOT_YOURS"


class Upload(NamedTuple):
    """A file that was looked at: what is kept of it, the crimes that may be imported, the faults and hints of its rows."""

    file: File
    crimes: list[Crime]
    faults: list[CrimeFault]
    hints: list[CrimeHint]


@router.get("/crimes/import")
def import_form(request: Request, office: Here, caller: Imports) -> Response:
    """The form."""
    return _form(request, office, caller, {}, {})


@router.post("/crimes/import")
def check(
    request: Request, office: Here, caller: Imports, file: UploadFile | None = None, timezone: Annotated[str, Form()] = ""
) -> Response:
    """Look at a file: nothing is written yet."""
    try:
        name, data = _bytes_of(file)
        upload = read_upload(name, data, timezone.strip()[:100], caller.scope)
    except InputError as fault:
        where = "timezone" if fault.field == "timezone" else "file"
        return _form(request, office, caller, {"timezone": timezone}, {where: said_of_file(fault)})
    office.log(caller, "crimes checked", upload.file.sha256, file=upload.file.name, rows=upload.file.n_rows)
    return RedirectResponse(f"/crimes/import/{_shelf(request).put(caller, upload)}", 303)


@router.get("/crimes/import/{number}")
def checked(request: Request, office: Here, caller: Imports, number: str) -> Response:
    """What was found in the file, and what an import would do."""
    upload = _upload(request, caller, number)
    with office.database.reading() as connection:
        held = latest(connection, {key_of(crime) for crime in upload.crimes})
        before = {key: version.version for key, version in held.items()}
        new, _ = compare(upload.crimes, held)
        same_file = batches(connection, sha256=upload.file.sha256)[-1:]
    changed = [version for version in new if version.version > 1]
    return page(
        request, office, caller, "investigators/import_check.html", number=number, upload=upload, file=upload.file,
        faults=upload.faults[:IN_A_TABLE], hints=_hints(upload.hints), changed=changed, n_new=len(new) - len(changed),
        n_same=len(upload.crimes) - len(new), before=before, seen_before=bool(same_file and upload.crimes), most=IN_A_TABLE,
    )  # fmt: skip


@router.post("/crimes/import/{number}")
def import_(request: Request, office: Here, caller: Imports, number: str) -> Response:
    """Import what was looked at; who did it stands in the audit log together with it."""
    upload = _upload(request, caller, number)
    if not upload.crimes:
        raise NotAllowed("there is no row in this file that can be imported")
    with office.database.writing() as connection:
        batch = import_crimes(connection, upload.crimes, upload.file, office.clock())
        n_stale = n_runs_made_stale(connection, batch.number)
        counts = {"new": batch.n_new, "changed": batch.n_changed, "same": batch.n_same, "refused": upload.file.n_refused}
        told: dict[str, Any] = {"file": upload.file.name, "batch": batch.number, **counts}
        entry = office.entry(caller, "crimes imported", upload.file.sha256, **told)
        audit.write(connection, entry, office.wall())
    _shelf(request).drop(caller, number)
    done: Shelf[tuple[Batch, int]] = shelf_of(request, "imports")
    return RedirectResponse(f"/crimes?import_number={batch.number}&told={done.put(caller, (batch, n_stale))}", 303)


@router.get("/crimes/import/{number}/faults.csv")
def faults(request: Request, caller: Imports, number: str) -> Response:
    """Every fault of the file as CSV, to send back to who wrote it."""
    upload = _upload(request, caller, number)
    rows = ([f.row, f.line or "", f.code, f.field or "", guarded(f.value or ""), guarded(f.message)] for f in upload.faults)
    return download(csv_of(("row", "line", "code", "field", "value", "message"), rows), "faults.csv", "text/csv")


def read_upload(name: str, data: bytes, timezone: str, scope: Scope) -> Upload:
    """What a file says to somebody of this scope. InputError where it is no file of crimes, or the time zone is none."""
    zone = time_zone(timezone) if timezone else None
    digest = hashlib.sha256(data).hexdigest()
    found = crimes_of(name, _unpacked(data, name), None, zone)
    pairs = list(zip(found.rows, found.crimes, strict=True))
    message = "is not a force whose crimes your account may see: the row is left out; expected one of your own"
    foreign = [
        CrimeFault(row, NOT_YOURS, "force", crime.force, message)
        for row, crime in pairs
        if not scope.holds_force(crime.force)
    ]
    crimes = [crime for _, crime in pairs if scope.holds_force(crime.force)]
    faults = sorted([*found.faults, *foreign], key=lambda fault: fault.row)
    file = File(name, digest, found.form, found.n_rows, found.n_rows - len(crimes), len(faults))
    return Upload(file, crimes, faults, found.hints)


def said_of_file(fault: InputError) -> str:
    """An error about a file as a sentence."""
    return said(fault) if fault.field == "timezone" else f"{str(fault)[:1].upper()}{str(fault)[1:]}."


def _unpacked(data: bytes, name: str) -> bytes:
    """Gzip undone, to a bound: a small file may hold a very large one."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    unpacking = zlib.decompressobj(31)
    try:
        found = unpacking.decompress(data, 4 * MOST_BYTES + 1)
    except zlib.error as fault:
        raise InputError(f"damaged gzip: {fault}", place=name) from None
    if len(found) > 4 * MOST_BYTES or not unpacking.eof:
        raise InputError("is too large unpacked, or cut off", place=name, expected=f"at most {4 * MOST_BYTES:,} bytes")
    return found


def _bytes_of(file: UploadFile | None) -> tuple[str, bytes]:
    if file is None or not file.filename:
        raise InputError("choose a file", place="No file")
    data = file.file.read(MOST_BYTES + 1)
    name = "".join(c for c in file.filename.replace("\\", "/").rpartition("/")[2] if c.isprintable())[:200] or "file"
    if len(data) > MOST_BYTES:
        raise InputError("is too large", place=name, expected=f"at most {MOST_BYTES:,} bytes; split the batch")
    return name, data


def _hints(hints: list[CrimeHint]) -> list[tuple[str, list[CrimeHint], int]]:
    """By kind of hint the first few, and how many more there are."""
    n = Counter(hint.code for hint in hints)
    return [(code, [h for h in hints if h.code == code][:HINTS], max(0, n[code] - HINTS)) for code in n]


def _form(
    request: Request, office: Office, caller: Caller, texts: dict[str, str], faults: dict[str, str]
) -> Response:  # fmt: skip
    status = 422 if faults else 200
    return page(
        request, office, caller, "investigators/import.html", status=status, texts=texts, faults=faults, most=MOST_BYTES
    )


def _shelf(request: Request) -> Shelf[Upload]:
    return shelf_of(request, "uploads")


def _upload(request: Request, caller: Caller, number: str) -> Upload:
    """What was looked at, of the forces that the caller may still see. NotAllowed where there is none of the caller's."""
    upload = _shelf(request).find(caller, number)
    if upload is None or any(not caller.scope.holds_force(crime.force) for crime in upload.crimes):
        raise NotAllowed("there is no such file of yours; files that were looked at are kept for an hour, choose it again")
    return upload
