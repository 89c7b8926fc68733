"""Importing a file: read by the readers of the commands, every fault told, then a draft that shows what would be new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import RedirectResponse, Response

from geofence.versions import FAR_US
from ingest.fault import Fault
from tagwatch.configuration_files import faults_of, read
from tagwatch.console.administrators.change import Change, marks_of
from tagwatch.console.administrators.drafts import Kept
from tagwatch.console.administrators.editing import visible_zones
from tagwatch.console.administrators.entries import Of
from tagwatch.console.administrators.kinds import Kind, rows_of
from tagwatch.console.administrators.reach import Reach, reach_of
from tagwatch.console.administrators.uploads import held
from tagwatch.console.caller import Caller, needs
from tagwatch.console.office import Here, Office
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
Edits = Annotated[Caller, needs("configuration.edit")]
MOST_BYTES, MOST_FAULTS = 20_000_000, 200


@router.get("/configuration/{plural}/import")
def form(request: Request, office: Here, caller: Edits, kind: Of) -> Response:
    """Choose a file."""
    return _page(request, office, caller, kind, [])


@router.post("/configuration/{plural}/import")
def check(
    request: Request, office: Here, caller: Edits, drafts: Kept, kind: Of, file: Annotated[UploadFile | None, File()] = None,
    repair: Annotated[bool, Form()] = False, holds: Annotated[str, Form()] = "now",
) -> Response:  # fmt: skip
    """Read the file: its faults, or a draft."""
    data = file.file.read(MOST_BYTES + 1) if file is not None else b""
    name = (file.filename or "")[:200] if file is not None else ""
    if not name or len(data) > MOST_BYTES:
        expected = f"a file of {MOST_BYTES // 1_000_000} MB at most"
        told = Fault(0, "file", "file", name or None, "is too large" if name else "", expected)
        return _page(request, office, caller, kind, [told], name=name, repair=repair, holds=holds)
    now_us = office.clock()
    with office.database.reading() as connection:
        reach = reach_of(office, caller, connection)
        zones: Sequence[Any] = visible_zones(connection, reach) if kind.name == "curfew" else ()
    content = None
    with held(data) as path:
        faults = [fault._replace(file="") for fault in faults_of(kind.plural, path, zones, repair=repair)]
        if not faults:
            content = read(kind.plural, path, zones, repair)
        faults = [fault._replace(message=fault.message.replace(path, name)) for fault in faults]
    if not faults:
        faults = _beyond(kind, content, reach)
    if faults or not rows_of(kind, content):
        faults = faults or [Fault(0, "empty", "file", name, "holds no entries", f"{kind.plural} to import")]
        return _page(request, office, caller, kind, faults, name=name, repair=repair, holds=holds)
    since = None if not kind.versioned else -FAR_US if holds == "beginning" else now_us
    with office.database.reading() as connection:
        marks = marks_of(connection, kind, list({name for name, _ in rows_of(kind, content)}))
    change = Change(kind, content, (), since, marks, f"import of {name}")
    draft = drafts.keep(caller, f"Import {kind.plural} from {name}", change)
    return RedirectResponse(f"/configuration/drafts/{draft.id}", 303)


def _beyond(kind: Kind, content: Any, reach: Reach) -> list[Fault]:
    """Rows about somebody whom the account does not administer."""
    return [
        Fault(number, "beyond", "id", name, "is beyond what you may change", "wearers of your own force only")
        for number, (name, row) in enumerate(rows_of(kind, content), 1)
        if row is not None and not reach.edits(kind, name, row)
    ]


def _page(
    request: Request, office: Office, caller: Caller, kind: Kind, faults: Sequence[Fault], *, name: str = "",
    repair: bool = False, holds: str = "now",
) -> Response:  # fmt: skip
    told = [
        (f.row or "", f.line or "", f.field, "" if f.value is None else str(f.value)[:120], f.message, f.expected)
        for f in faults[:MOST_FAULTS]
    ]
    return page(
        request, office, caller, "administrators/import.html", status=422 if faults else 200, kind=kind, faults=told,
        n_faults=len(faults), file=name, repair=repair, holds=holds, most_mb=MOST_BYTES // 1_000_000,
    )  # fmt: skip
