"""The container of a pack: a ZIP of stored members that has exactly one form, so that one byte more, less or other is found.

Nothing is compressed: what a compressor writes depends on its version, and a pack must be the same bytes everywhere.
"""

from __future__ import annotations

import io
import struct
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
_LOCAL, _HEADER, _LONGEST_NAME = b"PK\3\4", struct.Struct("<4s5H3I2H"), 100  # of a member; APPNOTE.TXT, 4.3.7
_AT_ONCE = 1 << 16
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
    members = _members(data)
    again = write(members)
    if again != data:
        raise InputError(f"its container is not as it was written: {_first_difference(data, again)}")
    return members


def _members(data: bytes) -> dict[str, bytes]:
    """The members one after the other, each at most once and none inflated: no more memory than the pack itself takes, no
    place that is read twice. What the directory at the end says of them is compared by `read`, not believed."""
    found: dict[str, bytes] = {}
    at = 0
    while data.startswith(_LOCAL, at) and at + _HEADER.size <= len(data):
        _, _, flags, method, _, _, _, n_stored, n_bytes, n_name, n_extra = _HEADER.unpack_from(data, at)
        begin = at + _HEADER.size + n_name
        name = data[at + _HEADER.size : begin].decode("utf-8", "backslashreplace")
        if name not in ORDER or name in found or method != zipfile.ZIP_STORED or flags or n_extra or n_stored != n_bytes:
            raise InputError("holds what no pack holds", field="member", value=name[:_LONGEST_NAME])
        at = begin + n_bytes
        if at > len(data):
            raise InputError(f"its container is damaged: {name} is cut off")
        found[name] = data[begin:at]
    if not found:
        raise InputError("its container is damaged: it does not begin as a pack does")
    return found


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=ORDER.index)


def _first_difference(data: bytes, again: bytes) -> str:
    most = min(len(data), len(again))
    part = next((k for k in range(0, most, _AT_ONCE) if data[k : k + _AT_ONCE] != again[k : k + _AT_ONCE]), most)
    at = next((k for k in range(part, most) if data[k] != again[k]), most)
    return f"byte {at:,} of {len(data):,}, expected {len(again):,} bytes"
