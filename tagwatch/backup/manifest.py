"""The manifest of a backup: what is in it, with hashes. It is written last, so that a folder with one is a whole backup."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from engine.errors import InputError
from engine.times import HOUR_US, parse_time
from ingest.raw_log import sync_folder

FILE = "manifest.json"
DUMP, RAW, SETTINGS = "database.dump", "raw-log", "settings.json"
FORM = "tagwatch backup 1"
_BLOCK = 1 << 20


class Stored(msgspec.Struct, frozen=True):
    """A file of the backup: its size and SHA-256."""

    n_bytes: int
    sha256: str


class Table(msgspec.Struct, frozen=True):
    """Rows of a table, and the sum of their hashes: it does not hang on their order."""

    n_rows: int
    digest: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup is of. Times are instants in UTC; `taken`: of the database's snapshot; the raw log is copied after it."""

    form: str
    made_by: str
    taken: str
    finished: str
    postgresql: str
    timescaledb: str
    migrations: list[str]
    tables: dict[str, Table]
    files: dict[str, Stored]
    raw_n: int
    raw_chain: str
    raw_received: str = ""
    n_linked: int = 0

    @property
    def since_us(self) -> int:
        """From when on the raw log may hold what the snapshot does not: an hour before it and before its last message."""
        taken_us = parse_time(self.taken)
        return min(taken_us, parse_time(self.raw_received) if self.raw_received else taken_us) - HOUR_US

    @property
    def n_bytes(self) -> int:
        """The size of all files."""
        return sum(one.n_bytes for one in self.files.values())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup; InputError where the folder is none, or one that was not finished."""
    path = folder / FILE
    if not path.is_file():
        raise InputError(
            "is no finished backup", place=str(folder), expected=f"a folder with a {FILE}, as `backup` makes it"
        )
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as fault:
        raise InputError(f"cannot be read: {fault}", place=str(path)) from None
    if found.form != FORM:
        raise InputError(place=str(path), field="form", value=found.form, expected=FORM)
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in found.files):
        raise InputError("names a file outside of the backup", place=str(path))
    return found


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it, on the disk when this returns."""
    write_whole(folder / FILE, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, on the disk when this returns."""
    with open(path, "wb", opener=private) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def private(path: str, flags: int) -> int:
    """Opens a file that, where it is new, only its owner may read."""
    return os.open(path, flags, 0o600)


def stored(path: Path, most: int | None = None) -> Stored:
    """Size and SHA-256 of a file, of its first `most` bytes where that is said."""
    digest, left = hashlib.sha256(), path.stat().st_size if most is None else most
    n_bytes = 0
    with path.open("rb") as file:
        while block := file.read(min(_BLOCK, left - n_bytes)):
            digest.update(block)
            n_bytes += len(block)
    return Stored(n_bytes, digest.hexdigest())
