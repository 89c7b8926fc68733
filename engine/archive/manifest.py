"""The manifest of an archive: what it holds, file by file, with hashes; and what was erased from it."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from pathlib import Path

import msgspec

from engine.errors import InputError
from engine.times import from_datetime

NAME = "manifest.json"
FORMAT, VERSION = "tagwatch archive", 1
_OWN_HASH = re.compile(rb'("sha256": ")([0-9a-f]{64})("\n\}\n)\Z')
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_BLANK = "0" * 64


class DayFile(msgspec.Struct, frozen=True):
    """A Parquet file of a day: its path, the SHA-256 of its bytes, how many bytes and rows; the first and last time in it, and
    its box (west, south, east, north)."""

    path: str
    sha256: str
    bytes: int
    rows: int
    first: str
    last: str
    box_e7: list[int]


class Day(msgspec.Struct, frozen=True):
    """A UTC day: how many fixes, a SHA-256 of them that no other order or cutting of the files would change, and the files."""

    day: str
    fixes: int
    digest: str
    files: list[DayFile]


class Device(msgspec.Struct, frozen=True):
    """Of a device how many fixes there are, the first and the last."""

    fixes: int
    first: str
    last: str


class Table(msgspec.Struct, frozen=True):
    """A CSV file beside the days: its path, the SHA-256 of its bytes, how many rows."""

    path: str
    sha256: str
    rows: int


class Erasure(msgspec.Struct, frozen=True):
    """What is gone: of which device, from when up to before when, how many fixes and events, on whose order, why, and when."""

    device: str
    from_: str = msgspec.field(name="from")
    to: str
    fixes: int
    events: int
    order: str
    reason: str
    at: str


class Manifest(msgspec.Struct, frozen=True):
    """All of it; `sha256` is that of the manifest itself with 64 zeros in its place."""

    format: str = FORMAT
    version: int = VERSION
    software: str = ""
    fixes: int = 0
    bytes: int = 0
    digest: str = ""
    days: list[Day] = []
    devices: dict[str, Device] = {}
    events: Table | None = None
    activations: Table | None = None
    erasures: list[Erasure] = []
    sha256: str = _BLANK

    @property
    def files(self) -> list[DayFile]:
        """The files of all days."""
        return [file for day in self.days for file in day.files]


def settled(manifest: Manifest) -> Manifest:
    """The manifest with its days and devices in order and its totals as they follow from them."""
    days = sorted(manifest.days, key=lambda day: day.day)
    listed = "".join(f"{day.day} {day.digest}\n" for day in days)
    return msgspec.structs.replace(
        manifest, days=days, devices=dict(sorted(manifest.devices.items())), fixes=sum(day.fixes for day in days),
        bytes=sum(file.bytes for day in days for file in day.files), digest=hashlib.sha256(listed.encode()).hexdigest(),
    )  # fmt: skip


def to_bytes(manifest: Manifest) -> bytes:
    """The manifest as JSON that a person can read, with its own hash as the last key."""
    blank = msgspec.structs.replace(settled(manifest), sha256=_BLANK)
    data = msgspec.json.format(msgspec.json.encode(blank), indent=1) + b"\n"
    return data.replace(
        f'"sha256": "{_BLANK}"\n}}\n'.encode(), f'"sha256": "{hashlib.sha256(data).hexdigest()}"\n}}\n'.encode()
    )


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an archive; InputError where there is none, it is damaged, or is of a later format."""
    path = folder / NAME
    try:
        data = path.read_bytes()
        found = msgspec.json.decode(data, type=Manifest)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", place=str(path), expected="an archive") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"damaged: {error}", place=str(path), expected="the manifest of an archive") from None
    if found.format != FORMAT or found.version != VERSION:
        told = f"{found.format} {found.version}"
        raise InputError(place=str(path), field="format", value=told, expected=f"{FORMAT} {VERSION}")
    own = _OWN_HASH.search(data)
    if (
        own is None
        or hashlib.sha256(_OWN_HASH.sub(rb"\g<1>" + _BLANK.encode() + rb"\g<3>", data)).hexdigest() != own[2].decode()
    ):
        raise InputError("has been changed since it was written: its own hash is another", place=str(path))
    _require_form(found, path)
    return found


def _require_form(found: Manifest, path: Path) -> None:
    """InputError where a manifest, whose hash anybody can compute, names other files than an archive has, or times that are
    none: an archive may be a stranger's, and its files are read, moved and taken away by these names."""
    paths = [(file.path, rf"day={day.day}/fixes(-\d+)?\.parquet") for day in found.days for file in day.files]
    paths += [(table.path, r"[a-z]+\.csv") for table in (found.events, found.activations) if table]
    wrong = [name for name, form in paths if not re.fullmatch(form, name, re.ASCII)]
    wrong += [day.day for day in found.days if not _DAY.fullmatch(day.day) or not day.files]
    wrong += [file.path for file in found.files if len(file.box_e7) != 4 or not _are_instants(file.first, file.last)]
    wrong += [name for name, told in found.devices.items() if not _are_instants(told.first, told.last)]
    if wrong or len({name for name, _ in paths}) != len(paths):
        raise InputError("tells of a file, a day or a time that no archive has", place=str(path), field="path",
                         value=wrong[0] if wrong else paths[-1][0], expected="as an export writes it")  # fmt: skip


def _are_instants(*texts: str) -> bool:
    try:
        return all(isinstance(instant_of(text), int) for text in texts)
    except (ValueError, TypeError, OverflowError):
        return False


def instant_of(text: str) -> int:
    """A time of the manifest [us UTC], exactly."""
    return from_datetime(datetime.fromisoformat(text))


def is_archive(folder: str | Path) -> bool:
    """Whether this is a folder that holds a manifest."""
    return (Path(folder) / NAME).is_file()
