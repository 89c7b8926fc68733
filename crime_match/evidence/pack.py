"""The container of a pack: a ZIP of stored members that has exactly one form, so that one byte more, less or other is found.

Nothing is compressed: what a compressor writes depends on its version, and a pack must be the same bytes everywhere.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping

from engine.errors import InputError

FORMAT = "tagwatch-evidence-1"
DOCUMENTS = (
    "README.txt", "report.pdf", "statement.docx", "fixes.csv", "fixes.geojson", "fixes.gpkg", "fixes.kml", "crime.csv",
    "method.txt",
)  # fmt: skip
"""For people."""
RECORD = (
    "record/match.json", "record/case.json", "record/crimes.csv", "record/fixes.csv", "record/activations.csv",
    "record/events.csv", "record/payloads.jsonl", "record/root_signatures.json",
)  # fmt: skip
"""What the verdict is computed from, and what was recorded; `tagwatch match` reads the files."""
MANIFEST, SIGNATURE, SUMS = "manifest.json", "manifest.sig", "SHA256SUMS"
ORDER = (*DOCUMENTS, *RECORD, MANIFEST, SIGNATURE, SUMS)
"""All names that a pack may hold, in the order in which it does."""
_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP can say


def write(members: Mapping[str, bytes]) -> bytes:
    """The pack of these members; the same bytes whenever and wherever it is made. ValueError for a name that is none."""
    unknown = members.keys() - {*ORDER}
    if unknown:
        raise ValueError(f"no members of a pack: {', '.join(sorted(unknown))}")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as file:
        for name in _in_order(members):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            file.writestr(entry, members[name])
    return out.getvalue()


def read(data: bytes) -> dict[str, bytes]:
    """The members of a pack. InputError where it is no ZIP, holds what no pack holds, or is not byte for byte as `write`
    writes it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            entries = file.infolist()
            for entry in entries:
                if entry.filename not in ORDER or entry.compress_type != zipfile.ZIP_STORED:
                    raise InputError("holds what no pack holds", field="member", value=entry.filename)
            members = {entry.filename: file.read(entry) for entry in entries}
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"its container is damaged: {error}") from None
    again = write(members)
    if again != data:
        raise InputError(f"its container is not as it was written: {_first_difference(data, again)}")
    return members


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=ORDER.index)


def _first_difference(data: bytes, again: bytes) -> str:
    at = next((k for k, (one, two) in enumerate(zip(data, again, strict=False)) if one != two), min(len(data), len(again)))
    return f"byte {at:,} of {len(data):,}, expected {len(again):,} bytes"
