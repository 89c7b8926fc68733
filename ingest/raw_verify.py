"""Verification of the raw log: every line, every payload's hash, the numbers, the chain over all days, and the roots."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from msgspec import UnsetType

from engine.errors import InputError
from ingest.fault import Fault
from ingest.raw_log import day_files, day_of
from ingest.raw_orders import FILE, Ordered, head_of, ordered, read_redactions
from ingest.raw_record import Broken, Record, break_between, records_of
from ingest.raw_root import DaySum, Root, hash_of_root, read_root, root_files, root_path, signature_path


class Verification(NamedTuple):
    """`faults` in order, the first is the first broken line; `roots`: by day the chain value of its last line.

    `first_n` is 1 where the log is whole from its beginning; above 1 older days have been taken away, and the chain is
    checked from the first line that is there. `n_rooted` days have a root file, `n_signed` of them a signature (which is
    not checked here: that needs the key); `unrooted` are closed days with messages and no root.

    Of the `n_erased` messages `n_partly` keep a rest, `n_ordered` are in the redactions, whose last chain value is `head`.
    """

    faults: list[Fault]
    n_messages: int
    n_erased: int
    first_n: int
    roots: dict[str, str]
    n_rooted: int = 0
    n_signed: int = 0
    unrooted: tuple[str, ...] = ()
    n_partly: int = 0
    n_ordered: int = 0
    head: str = ""


def verify(folder: str | Path) -> Verification:
    """Check the log in a folder; a break is told once, and the lines after it are checked among themselves.

    Root files are checked against the lines of their day, and among themselves; redactions too: what an order erased is gone,
    and of a payload that was erased in part there stays what was noted.
    """
    check = _Check(Path(folder))
    for path in day_files(check.folder):
        check.take(path)
    return check.result()


@dataclass
class _Check:
    """What has been found so far."""

    folder: Path
    faults: list[Fault] = field(default_factory=list)
    root_faults: list[Fault] = field(default_factory=list)
    n_messages: int = 0
    n_erased: int = 0
    n_partly: int = 0
    n_ordered: int = 0
    head: str = ""
    orders: dict[str, dict[int, Ordered]] = field(default_factory=dict)
    first_n: int = 0
    before: Record | None = None
    chain: dict[str, str] = field(default_factory=dict)
    roots: dict[str, Root] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in root_files(self.folder):
            try:
                self.roots[day_of(path)] = read_root(path)
            except InputError as error:
                self.root_faults.append(Fault(0, "broken_root", "", None, error.message, "", str(path)))
        try:
            redactions = read_redactions(self.folder)
            self.orders, self.head = ordered(redactions), head_of(redactions)
        except InputError as error:
            place = error.place or str(self.folder / FILE)
            self.root_faults.append(Fault(0, "broken_redactions", "", None, error.message, "", place))

    def take(self, path: Path) -> None:
        """One day's file."""
        root, total = self.roots.get(day_of(path)), DaySum()
        for line, record in records_of(path):
            if isinstance(record, Broken):
                self.faults.append(Fault(0, "broken_line", "", None, record.reason, "", str(path), line))
                continue
            self._take_record(path, line, record)
            if root is not None:
                total.add(record)
        if root is not None and total.close(root.day, root.before)[0] != root:
            message = "its messages do not have the root that its root file says"
            self.root_faults.append(Fault(0, "wrong_root", "root", root.root, message, "", str(path)))

    def _take_record(self, path: Path, line: int, record: Record) -> None:
        fault = break_between(self.before, record)
        if fault:
            self.faults.append(Fault(0, "broken_chain", "chain", record.chain, fault, "", str(path), line))
        self.first_n = self.first_n or record.n
        self.n_messages += 1
        self.n_erased += record.payload is None
        if fault := self._break_of_order(day_of(path), record):
            self.faults.append(Fault(0, "broken_redaction", "n", record.n, fault, "", str(path), line))
        self.chain[day_of(path)] = record.chain
        self.before = record

    def _break_of_order(self, day: str, record: Record) -> str:
        """What is wrong with a message by the redactions, in words."""
        order = self.orders.get(day, {}).get(record.n)
        rest = "" if isinstance(record.rest, UnsetType) else hashlib.sha256(base64.b64decode(record.rest)).hexdigest()
        self.n_partly += bool(rest)
        self.n_ordered += order is not None and record.payload is None
        if record.payload is not None:
            gone = "its payload is here: the erasure was cut off, or an older copy was put back; do the order again"
            return f"order {order.order} erased it, and {gone}" if order else ""
        if rest == (order.rest_sha256 if order else ""):
            return ""
        return f"what is left of it is not what order {order.order} left" if order else "a part is left of it by no order"

    def result(self) -> Verification:
        """All of it."""
        faults = [*self.faults, *self.root_faults, *_breaks_between(self.folder, self.roots)]
        rooted = {day_of(path): path for path in root_files(self.folder)}
        n_signed = sum(signature_path(path).exists() for path in rooted.values())
        closed = {day_of(path) for path in day_files(self.folder)[:-1]}
        unrooted = tuple(day for day in self.chain if day in closed - rooted.keys())
        return Verification(
            faults,
            self.n_messages,
            self.n_erased,
            self.first_n,
            self.chain,
            len(rooted),
            n_signed,
            unrooted,
            self.n_partly,
            self.n_ordered,
            self.head,
        )


def _breaks_between(folder: Path, roots: dict[str, Root]) -> Iterator[Fault]:
    """Root files that do not name the one before; before the first there may have been others, taken away."""
    previous: Root | None = None
    for day, root in roots.items():
        if previous is not None and root.before != hash_of_root(previous):
            message = f"does not follow from the root of {previous.day}"
            yield Fault(0, "broken_root_chain", "before", root.before, message, "", str(root_path(folder, day)))
        previous = root
