"""The file of a disclosure: a ZIP of stored members in one exact form, written member by member, whole or not at all.

Names of members are ours alone: nothing that comes from data is ever part of one.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from crime_match.runs.results_csv import guarded
from engine.errors import InputError
from tagwatch.disclosure.values import Told

FORMAT = "tagwatch-disclosure-1"
_NAME = re.compile(r"[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*\.[a-z]+")
_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP can say
_AT_ONCE = 1_000


class Member(NamedTuple):
    """A file within: what it is, for a person; what its columns mean; rows (or lines, or features), bytes, SHA-256."""

    name: str
    title: str
    columns: Mapping[str, str]
    n_rows: int
    n_bytes: int
    sha256: str


class Container:
    """A disclosure while it is written; `told` turns what a database holds into texts, and knows the newest of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
        self.members: list[Member] = []
        self.told = Told()

    def table(self, name: str, title: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> int:
        """A CSV of these columns (by name what each means); no text in it is a formula. Returns the number of rows."""
        return self._add(name, title, columns, _csv(columns, rows))

    def lines(self, name: str, title: str, objects: Iterable[Any]) -> int:
        """JSON, one object a line. Returns how many."""
        return self._add(name, title, {}, ((msgspec.json.encode(one) + b"\n", 1) for one in objects))

    def document(self, name: str, title: str, value: Any) -> None:
        """One JSON value, for reading."""
        self._add(name, title, {}, [(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n", 1)])

    def pieces(self, name: str, title: str, columns: Mapping[str, str], pieces: Iterable[tuple[bytes, int]]) -> int:
        """Bytes as they come, each with the number of rows in it. Returns the number of rows."""
        return self._add(name, title, columns, pieces)

    def close(self, about: Mapping[str, Any], readme: str) -> None:
        """The readme, and the manifest: what the file is about, and the SHA-256 of each other member."""
        self._add("README.txt", "What this is, file by file", {}, [(readme.encode(), 1)])
        listed = {
            m.name: {"bytes": m.n_bytes, "sha256": m.sha256, "rows": m.n_rows, "title": m.title} for m in self.members
        }
        self.document("manifest.json", "Hashes", {"format": FORMAT, **about, "members": dict(sorted(listed.items()))})
        self._zip.close()

    def abandon(self) -> None:
        """Let go of a file that is not to be, before it is closed; nothing where it is whole."""
        with suppress(OSError, ValueError):
            self._zip.close()

    def _add(self, name: str, title: str, columns: Mapping[str, str], pieces: Iterable[tuple[bytes, int]]) -> int:
        if not _NAME.fullmatch(name) or name in {member.name for member in self.members}:
            raise ValueError(f"{name!r} is no name of a member")
        entry = zipfile.ZipInfo(name, _TIME)
        entry.create_system, entry.external_attr = 3, 0o100644 << 16
        digest, n_bytes, n_rows = hashlib.sha256(), 0, 0
        with self._zip.open(entry, "w", force_zip64=True) as out:
            for data, n in pieces:
                out.write(data)
                digest.update(data)
                n_bytes, n_rows = n_bytes + len(data), n_rows + n
        self.members.append(Member(name, title, columns, n_rows, n_bytes, digest.hexdigest()))
        return n_rows


@contextmanager
def written(path: str, *, overwrite: bool = False) -> Iterator[Container]:
    """A container that becomes the file in the end, readable by its owner alone; nothing is left of one that fails."""
    final = Path(path)
    _require_place(final, overwrite)
    partial = final.with_name(final.name + ".part")
    try:
        partial.unlink(missing_ok=True)
        with open(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
            container = Container(file)
            try:
                yield container
            finally:
                container.abandon()
            file.flush()
            os.fsync(file.fileno())
        _require_place(final, overwrite)
        partial.replace(final)
    except OSError as fault:
        raise InputError(f"cannot be written: {fault.strerror or fault}", place=path) from None
    finally:
        partial.unlink(missing_ok=True)


def _require_place(path: Path, overwrite: bool) -> None:
    if not path.parent.is_dir():
        raise InputError(field="--out", value=str(path), expected="a file in a folder that there is")
    if str(path) == "-" or path.is_dir() or (path.exists() and not path.is_file()):
        raise InputError(field="--out", value=str(path), expected="a file")
    if path.exists() and not overwrite:
        raise InputError("is there already", field="--out", value=str(path), expected="another name, or --overwrite")


def _csv(columns: Iterable[str], rows: Iterable[Sequence[Any]]) -> Iterator[tuple[bytes, int]]:
    text, n = io.StringIO(newline=""), 0
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for row in rows:
        table.writerow([_cell(value) for value in row])
        n += 1
        if n == _AT_ONCE:
            yield text.getvalue().encode(), n
            text.seek(0)
            text.truncate()
            n = 0
    yield text.getvalue().encode(), n


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return guarded(value)
    if value is None or isinstance(value, (int, float)):
        return value
    return guarded(msgspec.json.encode(value).decode())
