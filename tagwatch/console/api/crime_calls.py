"""Crimes: the list, one with its versions, and the import of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Path, Query, Request
from fastapi.responses import Response

from crime_match.crimes.crime import Crime
from crime_match.crimes.fault import Remark
from crime_match.crimes.listing import crimes_after
from crime_match.crimes.store import Choice, Version, compare, history, import_crimes, key_of, latest
from crime_match.runs.staleness import n_runs_made_stale, runs_of
from engine.errors import InputError
from engine.times import to_iso
from tagwatch.access import audit
from tagwatch.console.api.answers import After, Limit, Page, read_cursor, told, told_page
from tagwatch.console.api.call import MOST_FILE_BYTES, calls, new_router
from tagwatch.console.api.contract import problems
from tagwatch.console.api.crime_told import MOST_FAULTS, CrimeTold, CrimeWhole, ImportTold, Matched, RowRemark
from tagwatch.console.api.values import KNOWN, Instant, Number, Text, Word
from tagwatch.console.caller import Caller
from tagwatch.console.investigators.imports import Upload, read_upload
from tagwatch.console.investigators.reach import reach_of
from tagwatch.console.office import Here, Office

router = new_router("crimes")
Reads = Annotated[Caller, calls("crimes.read")]
MEDIA = ("text/csv", "application/gzip", "application/octet-stream")


@router.get("/crimes", summary="Crimes", response_model=Page[CrimeTold], responses=KNOWN)
def list_crimes(
    request: Request, office: Here, caller: Reads, limit: Limit = 100, after: After = "",
    force: Annotated[Text | None, Query()] = None, reference: Annotated[Text | None, Query()] = None,
    batch: Annotated[Text | None, Query(description="As the force calls it")] = None,
    words: Annotated[Text | None, Query(description="What reference, type or text holds")] = None,
    from_: Annotated[Instant | None, Query(alias="from", description="Windows that end then or later")] = None,
    to: Annotated[Instant | None, Query(description="Windows that begin then or earlier")] = None,
    import_: Annotated[Number | None, Query(alias="import", description="What came with an import")] = None,
    new: Annotated[bool, Query(description="Not matched yet")] = False,
    stale: Annotated[bool, Query(description="Changed since it was matched")] = False,
) -> Response:  # fmt: skip
    """The latest version of each, by force and reference."""
    key = read_cursor(after, str, str)
    choice = Choice(force, batch, reference, from_, to, stale, new, reach_of(caller).forces, words, import_)
    if words:
        office.log(caller, "crimes searched", words)
    with office.database.reading() as connection:
        found = crimes_after(connection, choice, key and (key[0], key[1]), limit + 1)
    return told_page(
        request, Page[CrimeTold], found, limit, lambda version: key_of(version.crime), lambda rows: list(map(_crime, rows))
    )


@router.get("/crimes/{force}/{reference:path}", summary="One crime", response_model=CrimeWhole, responses=KNOWN)
def get_crime(
    request: Request, office: Here, caller: Reads, force: Annotated[Word, Path()], reference: Annotated[Word, Path()]
) -> Response:
    """Its latest version, those before it, and the runs that matched it."""
    with office.database.reading() as connection:
        versions = history(connection, reference, force) if caller.scope.holds_force(force) else []
        if not versions:
            raise HTTPException(404, f"there is no crime {reference!r} of {force!r} among those you may see")
        runs = runs_of(connection, force, reference)
    return told(request, CrimeWhole(
        **_values(versions[-1]), versions=[_crime(version) for version in versions],
        runs=[Matched(run=run.run, version=run.version, stale=run.stale) for run in runs],
    ))  # fmt: skip


async def file_of(request: Request) -> bytes:
    """The body of a request as a file; 415 where it says that it is something else."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in MEDIA:
        raise HTTPException(415, f"the body is {media or 'of no kind'}: expected {' or '.join(MEDIA)}")
    return await request.body()


_FILE = {
    "x-file": True,
    "requestBody": {"required": True, "content": {
        kind: {"schema": {"type": "string", "maxLength": MOST_FILE_BYTES}} for kind in MEDIA
    }},
}  # fmt: skip


@router.post(
    "/crimes", summary="Import a batch of crimes", response_model=ImportTold, openapi_extra=_FILE,
    responses=problems(415) | {201: {"model": ImportTold, "description": "Imported"}},
)  # fmt: skip
def import_batch(
    request: Request, office: Here, caller: Annotated[Caller, calls("crimes.import")], data: Annotated[bytes, Depends(file_of)],
    check: Annotated[bool, Query(description="Only look: nothing is written")] = False,
    name: Annotated[Word, Query(description="What the file is called in the list of imports")] = "by the API",
    timezone: Annotated[Text, Query(description="Of times without an offset, in our own form of CSV")] = "",
) -> Response:  # fmt: skip
    """The police batch or our own CSV, told apart by content, also packed with gzip. Rows with faults are left out and told;
    the others are imported (201), each compared with what is known of the crime. 422 where no row is left."""
    upload = read_upload(name, data, timezone, caller.scope)
    if check:
        office.log(caller, "crimes checked", upload.file.sha256, file=name, rows=upload.file.n_rows)
        return told(request, _checked(office, upload))
    if not upload.crimes:
        first = upload.faults[0] if upload.faults else None
        what = f"row {first.row}: {first.message}" if first else "it holds no rows"
        raise InputError(f"there is no row that can be imported; {what}", field="body", value=name, expected="crimes")
    return told(request, _imported(office, caller, upload), status=201)


def _checked(office: Office, upload: Upload) -> ImportTold:
    with office.database.reading() as connection:
        new, _ = compare(upload.crimes, latest(connection, {key_of(crime) for crime in upload.crimes}))
    n_new = sum(version.version == 1 for version in new)
    return _told(upload, None, (n_new, len(new) - n_new, len(upload.crimes) - len(new)), 0)


def _imported(office: Office, caller: Caller, upload: Upload) -> ImportTold:
    file = upload.file
    with office.database.writing() as connection:
        batch = import_crimes(connection, upload.crimes, file, office.clock())
        n_stale = n_runs_made_stale(connection, batch.number)
        entry = office.entry(
            caller, "crimes imported", file.sha256, file=file.name, batch=batch.number, new=batch.n_new,
            changed=batch.n_changed, same=batch.n_same, refused=file.n_refused,
        )  # fmt: skip
        audit.write(connection, entry, office.wall())
    return _told(upload, batch.number, (batch.n_new, batch.n_changed, batch.n_same), n_stale)


def _told(upload: Upload, number: int | None, counts: tuple[int, int, int], n_stale: int) -> ImportTold:
    file, (n_new, n_changed, n_same) = upload.file, counts
    return ImportTold(
        number=number, form=file.form, n_rows=file.n_rows, n_refused=file.n_refused, n_faults=file.n_faults, n_new=n_new,
        n_changed=n_changed, n_same=n_same, n_stale_runs=n_stale, faults=_remarks(upload.faults), hints=_remarks(upload.hints),
    )  # fmt: skip


def _remarks(remarks: Sequence[Remark]) -> list[RowRemark]:
    return [RowRemark(line=one.line, **one.record()) for one in remarks[:MOST_FAULTS]]


def _crime(version: Version) -> CrimeTold:
    return CrimeTold(**_values(version))


def _values(version: Version) -> dict[str, Any]:
    crime: Crime = version.crime
    times = {"from": to_iso(crime.from_us), "to": to_iso(crime.to_us)}
    return {
        **crime.record(), **times, "version": version.version, "changed": list(version.changed), "import": version.batch_number
    }  # fmt: skip
