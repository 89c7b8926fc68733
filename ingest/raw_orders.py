"""The redactions beside the raw log: which order had the payloads of which messages erased. One line each, only appended to.

A line is on the disk before a payload goes, so that nothing is ever gone without its order; a crash in between is told by
`raw_verify`, and the order done again. The lines are chained like those of the log. Nothing of what was erased is in them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.errors import InputError
from ingest.raw_log import sync_folder
from ingest.raw_record import GENESIS

FILE = "redactions.jsonl"
MOST_ORDER = 200


class Redaction(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One line: the messages of a day that an order erased, by number, [first, last] where they follow one another; of what
    was kept of a payload the SHA-256, by number; `chain` = SHA-256(chain before || the rest as a JSON list)."""

    number: int
    day: str
    order: str
    erased: list[int | tuple[int, int]]
    rests: dict[str, str]
    chain: str

    def numbers(self) -> Iterable[int]:
        """The messages one by one."""
        for one in self.erased:
            yield from (one,) if isinstance(one, int) else range(one[0], one[1] + 1)


class Ordered(NamedTuple):
    """By which order a message was erased last, and the SHA-256 of what was kept of it (empty: nothing)."""

    order: str
    rest_sha256: str


_DECODER = msgspec.json.Decoder(Redaction)


def read_redactions(folder: Path) -> list[Redaction]:
    """Every line in order, none where there is no file; InputError at the first that does not hold."""
    path, found, before = folder / FILE, list[Redaction](), GENESIS
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True) if path.exists() else (), 1):
        try:
            one = _DECODER.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"not a redaction: {str(error)[:120]}", place=f"{path}, line {number}") from None
        if line != _line_of(one) or one.number != number or _chain_of(one, before) != one.chain:
            raise InputError("does not follow from the line before it", place=f"{path}, line {number}")
        found.append(one)
        before = one.chain
    return found


def ordered(redactions: Iterable[Redaction]) -> dict[str, dict[int, Ordered]]:
    """By day and message the order that erased it last."""
    found: dict[str, dict[int, Ordered]] = {}
    for one in redactions:
        day = found.setdefault(one.day, {})
        for n in one.numbers():
            day[n] = Ordered(one.order, one.rests.get(str(n), ""))
    return found


def head_of(redactions: list[Redaction]) -> str:
    """The chain value of the last line: noted elsewhere, it shows that no line was cut off."""
    return redactions[-1].chain if redactions else GENESIS


def note(folder: Path, redactions: list[Redaction], day: str, order: str, erased: Mapping[int, str]) -> None:
    """Append a line, to the list too; on the disk then. erased: by number the SHA-256 of what is kept, or empty."""
    rests = {str(n): sha256 for n, sha256 in sorted(erased.items()) if sha256}
    bare = Redaction(len(redactions) + 1, day, order, _runs(sorted(erased)), rests, "")
    one = msgspec.structs.replace(bare, chain=_chain_of(bare, head_of(redactions)))
    with (folder / FILE).open("ab") as file:
        file.write(_line_of(one))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)
    redactions.append(one)


def cut_torn(folder: Path) -> None:
    """Cut off a last line that a crash left half-written: nothing was erased by it yet."""
    path = folder / FILE
    if path.exists() and not (data := path.read_bytes()).endswith(b"\n") and data:
        with path.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)
            os.fsync(file.fileno())


def _runs(numbers: Iterable[int]) -> list[int | tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for n in numbers:
        if found and found[-1][1] == n - 1:
            found[-1] = found[-1][0], n
        else:
            found.append((n, n))
    return [first if first == last else (first, last) for first, last in found]


def _chain_of(one: Redaction, before: str) -> str:
    told = msgspec.json.encode((one.number, one.day, one.order, one.erased, one.rests))
    return hashlib.sha256(bytes.fromhex(before) + told).hexdigest()


def _line_of(one: Redaction) -> bytes:
    return msgspec.json.encode(one) + b"\n"
