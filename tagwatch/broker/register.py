"""The register of what was issued: a line of JSON for each credential, written before the credential itself is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from engine.errors import InputError


class Issued(msgspec.Struct, frozen=True):
    """One credential: for whom, of which kind (tag, service, server, password), and of a certificate number and end."""

    name: str
    kind: str
    issued: datetime
    serial: str = ""
    until: datetime | None = None


def append(path: Path, entries: Iterable[Issued]) -> None:
    """Write entries behind the others, to the disk; what a crash left of a last line is cut off."""
    data = b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        whole = file.read().rfind(b"\n") + 1
        file.seek(whole)
        file.truncate()
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def entries(path: Path) -> Iterator[Issued]:
    """All entries in order, a torn last line left out: what it told of was not issued. InputError at what is no entry."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            yield msgspec.json.decode(line, type=Issued)
        except msgspec.MsgspecError as error:
            if number == len(lines) and not line.endswith(b"\n"):
                return
            raise InputError(f"is no entry: {error}", place=f"{path}, line {number}") from None
