"""Roots of the raw log: one Merkle root for the messages of each closed day, chained from day to day, for signing.

Written beside the log, `raw-2026-11-22.root.json`, with a detached signature in `raw-2026-11-22.root.sig`. A leaf is the
canonical form of raw_record, so that a message whose payload was erased still proves. A day is closed once the file of a
later day is there: nothing is added to it any more, whatever the clock does. A day without a message has no root.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.errors import InputError
from ingest.fault import Fault
from ingest.merkle import Tree
from ingest.raw_log import day_files, day_of, rewrite
from ingest.raw_record import GENESIS, Broken, Head, Record, break_between, canonical_of, follows, records_of

_NAME = re.compile(r"raw-\d{4}-\d\d-\d\d\.root\.json")
Sign = Callable[[bytes], bytes]
"""From the bytes of a root file to its detached signature."""


class Root(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is said of a day: its n messages, numbered first_n to last_n, when the earliest and the latest were received;
    root: of their Merkle tree; chain: the log's chain value at the last; before: SHA-256 of the root file before."""

    day: str
    n: int
    first_n: int
    last_n: int
    earliest: str
    latest: str
    root: str
    chain: str
    before: str


class Made(NamedTuple):
    """The days whose roots were made now, and why others could not be."""

    days: list[str]
    faults: list[Fault]


class DaySum:
    """The messages of one day, added up one by one; `wanted` are indices (from 0) whose audit paths are kept."""

    def __init__(self, wanted: Collection[int] = ()) -> None:
        self._tree = Tree(wanted)
        self._first_n = 0
        self._earliest, self._latest = "~", ""
        self.last: Head | None = None

    def add(self, record: Head) -> None:
        """One more message."""
        self._tree.add(canonical_of(record.n, record.received, record.topic, record.sha256))
        self._first_n = self._first_n or record.n
        self._earliest, self._latest = min(self._earliest, record.received), max(self._latest, record.received)
        self.last = record

    def close(self, day: str, before: str) -> tuple[Root | None, dict[int, list[bytes]]]:
        """The root, None of a day without a message, and by index the audit paths that were wanted."""
        root, paths = self._tree.close()
        if self.last is None:
            return None, paths
        last = self.last
        return Root(day, self._tree.n, self._first_n, last.n, self._earliest, self._latest, root.hex(), last.chain,
                    before), paths  # fmt: skip


def make_roots(folder: str | Path, sign: Sign | None = None) -> Made:
    """Make the roots, and the signatures, that closed days do not have yet; oldest day first, safe to repeat.

    It stops with a fault at a day whose lines do not hold: what is signed is whole. Such a day has to be mended, or taken
    away, before later days get roots.
    """
    folder, made = Path(folder), Made([], [])
    closed = {day_of(path) for path in day_files(folder)[:-1]}
    existing = {day_of(path) for path in root_files(folder)}
    last, before = None, GENESIS
    for day in sorted(closed | existing):
        path = root_path(folder, day)
        try:
            if day not in existing:
                root = _summed(folder, day, last, before)
                if root is None:
                    continue
                _check_next(folder, root, existing)
                rewrite(path, [root_bytes(root)])
                made.days.append(day)
            last = read_root(path)
        except InputError as error:
            made.faults.append(Fault(0, "no_root", error.field, error.value, error.message, "", error.place or str(path)))
            break
        before = hash_of_root(last)
        if sign is not None and not signature_path(path).exists():
            rewrite(signature_path(path), [sign(root_bytes(last))])
    return made


def root_files(folder: Path) -> list[Path]:
    """The root files of a log, oldest day first."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def root_path(folder: Path, day: str) -> Path:
    """Where the root of a day is."""
    return folder / f"raw-{day}.root.json"


def signature_path(root: Path) -> Path:
    """Where the signature of a root file is."""
    return root.with_suffix(".sig")


def root_bytes(root: Root) -> bytes:
    """The root file: one line of JSON, keys sorted, nothing between; what a signature is over."""
    return msgspec.json.encode(root, order="sorted") + b"\n"


def hash_of_root(root: Root) -> str:
    """The SHA-256 of its root file."""
    return hashlib.sha256(root_bytes(root)).hexdigest()


def read_root(path: Path) -> Root:
    """A root file; InputError where it is not one, or not written as one is."""
    try:
        data = path.read_bytes()
        root = msgspec.json.decode(data, type=Root)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", place=str(path)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"not a root file: {str(error)[:120]}", place=str(path)) from None
    if root_bytes(root) != data or day_of(path) != root.day:
        raise InputError("not written as a root file is", place=str(path))
    return root


def _summed(folder: Path, day: str, last: Root | None, before: str) -> Root | None:
    """The root of a day after the last root; InputError at the first line that does not hold."""
    path, total = folder / f"raw-{day}.jsonl", DaySum()
    for line, record in records_of(path):
        wrong = record.reason if isinstance(record, Broken) else _break_after(total.last, last, record)
        if isinstance(record, Broken) or wrong:
            raise InputError(wrong, place=f"{path}, line {line}")
        total.add(record)
    return total.close(day, before)[0]


def _break_after(previous: Head | None, last: Root | None, record: Record) -> str:
    """What is wrong between a record and the one before it in its day, or the day before: days may have been taken away."""
    if previous is not None or last is None:
        return break_between(previous, record)
    if record.n <= last.last_n:
        return f"message {record.n} comes after message {last.last_n}"
    fine = record.n > last.last_n + 1 or follows(record, last.chain)
    return "" if fine else f"does not follow from message {last.last_n}"


def _check_next(folder: Path, root: Root, existing: Collection[str]) -> None:
    """A root that was lost may be made again; one that later roots do not know may not be put before them."""
    later = min((day for day in existing if day > root.day), default="")
    if later and read_root(root_path(folder, later)).before != hash_of_root(root):
        raise InputError(f"the root of {later} was made without this day, or the day has changed since",
                         place=str(folder / f"raw-{root.day}.jsonl"))  # fmt: skip
