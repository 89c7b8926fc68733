"""Verification of the raw log: every line, every payload's hash, the numbers and the chain over all days."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ingest.fault import Fault
from ingest.raw_log import day_files
from ingest.raw_record import GENESIS, Broken, Record, follows, read_line


class Verification(NamedTuple):
    """`faults` in order, the first is the first broken line; `roots`: by day the chain value of its last line.

    `first_n` is 1 where the log is whole from its beginning; above 1 older days have been taken away, and the chain is
    checked from the first line that is there.
    """

    faults: list[Fault]
    n_messages: int
    n_erased: int
    first_n: int
    roots: dict[str, str]


def verify(folder: str | Path) -> Verification:
    """Check the log in a folder; a break is told once, and the lines after it are checked among themselves."""
    faults: list[Fault] = []
    roots: dict[str, str] = {}
    n_messages = n_erased = first_n = 0
    before: Record | None = None
    for path, line, record in _lines(Path(folder)):
        if isinstance(record, Broken):
            faults.append(Fault(0, "broken_line", "", None, record.reason, "", str(path), line))
            continue
        first_n = first_n or record.n
        fault = _break_between(before, record)
        if fault:
            faults.append(Fault(0, "broken_chain", "chain", record.chain, fault, "", str(path), line))
        n_messages += 1
        n_erased += record.payload is None
        roots[path.stem.removeprefix("raw-")] = record.chain
        before = record
    return Verification(faults, n_messages, n_erased, first_n, roots)


def _break_between(before: Record | None, record: Record) -> str:
    if before is None:
        if record.n != 1:
            return ""  # older days are gone: here the chain is taken up
        return "" if follows(record, GENESIS) else "does not begin the chain"
    if record.n != before.n + 1:
        return f"message {record.n} comes after message {before.n}"
    return "" if follows(record, before.chain) else f"does not follow from message {before.n}"


def _lines(folder: Path) -> Iterator[tuple[Path, int, Record | Broken]]:
    for path in day_files(folder):
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield path, number, read_line(line) if line.endswith(b"\n") else Broken("torn: has no end")
