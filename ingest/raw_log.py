"""The raw log: every payload as received, one line each in the file of its day, hash-chained over all days.

The chain runs in the order of files and lines. A day never goes back: a message stamped before the newest file's day
(a clock set back) is kept in the newest file, so that this order is the order of arrival. Verification: raw_verify.
"""

from __future__ import annotations

import base64
import fcntl
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

from engine.errors import InputError, StoreError
from engine.times import DAY_US, SECOND_US, from_datetime, parse_time, to_iso
from ingest.raw_record import GENESIS, Broken, Record, line_of, read_line, record_of

_NAME = re.compile(r"raw-\d{4}-\d\d-\d\d\.jsonl")
_TAIL = 1 << 16
REDACTION = ("redaction.lock", "a redaction of the raw log is under way")
"""The lock of whoever rewrites files of the log, and what is said where somebody has it."""

Arrival = tuple[int, str, bytes, *tuple[Any, ...]]
"""received_us [us UTC], topic, payload, and whatever follows; a Message is one."""


class RawLog:
    """The log in one folder, open for appending by this process alone.

    `torn` names the side files into which half-written last lines (a crash; never acknowledged) were cut on opening.
    """

    def __init__(self, folder: str | Path) -> None:
        """Opens or makes the folder; raises StoreError where another process has it open."""
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = locked(self.folder)
        self.torn: list[Path] = []
        self._n, self._chain = 0, GENESIS
        self._day, self._day_ends_us = "", -(2**63)
        self._file: FileIO | None = None
        self._safe = (0, 0, GENESIS)  # size of the file, number and chain, of what is certainly on the disk
        self._second, self._second_text = -1, ""
        self._resume()

    def append(self, messages: Iterable[Arrival]) -> int:
        """Write (received_us, topic, payload, ...) of each, in order; returns the number of the last one. No fsync.

        Raises OSError with nothing kept of the day's part that could not be written.
        """
        for day, group in groupby(messages, key=self._day_of):
            self._append_to(day, group)
        return self._n

    def turn(self, now_us: int) -> str:
        """The day that is written now. It begins with `now_us` [us UTC] even if nothing has come yet: those before are closed.

        Nearly free where no day has ended.
        """
        if now_us >= self._day_ends_us:
            self._open(max(to_iso(now_us)[:10], self._day))
        return self._day

    def flush(self) -> None:
        """Everything appended so far is on the disk when this returns. OSError with nothing kept of what may not be there."""
        if self._file is None:
            return
        number = self._file.fileno()
        try:
            os.fdatasync(number)
        except OSError:  # the system may have dropped what it could not write: to try again would prove nothing
            size, self._n, self._chain = self._safe
            os.ftruncate(number, size)
            raise
        self._safe = os.fstat(number).st_size, self._n, self._chain

    def tail(self, n: int) -> list[tuple[int, str, bytes]]:
        """The last n messages that are kept, oldest first: (received_us in whole seconds, topic, payload)."""
        found: list[tuple[int, str, bytes]] = []
        for path in reversed(day_files(self.folder)):
            records = [r for r in map(read_line, _last_lines(path, n - len(found))) if isinstance(r, Record)]
            whole = [
                (parse_time(r.received), r.topic, base64.b64decode(r.payload)) for r in records if r.payload is not None
            ]
            found = whole + found
            if len(found) >= n:
                break
        return found

    def erase(self, day: str, n: int) -> None:
        """Take the payload of message `n` of a day (2026-11-22) out; its hash and the chain stay and still verify.

        By order, and of many at once: `raw_redaction`. What that left of a message stays.
        Raises InputError where there is no such message.
        """
        path = self.folder / f"raw-{day}.jsonl"
        if not path.exists():
            raise InputError("no raw log of that day", field="day", value=day)
        self.flush()
        with locked(self.folder, *REDACTION):
            rewrite(path, _erased(path, n))
        if day == self._day:
            self.reopen()

    def reopen(self) -> None:
        """Go on in the file of the day after it was rewritten."""
        if self._file is not None:
            self._open(self._day)

    def close(self) -> None:
        """Flush and let go of the folder, whether or not that could be flushed."""
        try:
            self._leave()
        finally:
            self._lock.close()

    def __enter__(self) -> RawLog:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _day_of(self, message: Arrival) -> str:
        return self._day if message[0] < self._day_ends_us else max(to_iso(message[0])[:10], self._day)

    def _append_to(self, day: str, messages: Iterable[Arrival]) -> None:
        if day != self._day or self._file is None:
            self._open(day)
        n, chain, lines = self._n, self._chain, []
        for received_us, topic, payload, *_ in messages:
            n += 1
            record = record_of(n, self._received(received_us), topic, payload, chain)
            chain = record.chain
            lines.append(line_of(record))
        self._write(b"".join(lines))
        self._n, self._chain = n, chain

    def _received(self, received_us: int) -> str:
        second, micros = divmod(received_us, SECOND_US)
        if second != self._second:  # messages come thousands a second: its text is made once
            self._second, self._second_text = second, to_iso(second * SECOND_US)[:19]
        return f"{self._second_text}.{micros:06d}Z"

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        start = os.fstat(self._file.fileno()).st_size
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            os.ftruncate(self._file.fileno(), start)
            raise

    def _open(self, day: str) -> None:
        self._leave()
        self._file = FileIO(self.folder / f"raw-{day}.jsonl", "ab")
        self._day, self._day_ends_us = day, _end_us(day)
        self._safe = os.fstat(self._file.fileno()).st_size, self._n, self._chain
        sync_folder(self.folder)

    def _leave(self) -> None:
        """Flush and close the file that is open."""
        file = self._file
        try:
            self.flush()
        finally:
            self._file = None
            if file is not None:
                file.close()

    def _resume(self) -> None:
        """Go on after the last whole line; what follows it was torn by a crash."""
        for path in reversed(day_files(self.folder)):
            last, end = _last_record(path)
            if end < path.stat().st_size:
                self.torn.append(_cut(path, end))
            self._day = max(self._day, day_of(path))
            if last is not None:
                self._n, self._chain = last.n, last.chain
                return


def day_files(folder: Path) -> list[Path]:
    """The files of the log, oldest day first."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def day_of(path: Path) -> str:
    """The day of a file of the log, or of its root: 2026-11-22."""
    return path.name[4:14]


def _end_us(day: str) -> int:
    """When a day ends [us]; long ago for a name that is no day."""
    try:
        return from_datetime(datetime.fromisoformat(day).replace(tzinfo=UTC)) + DAY_US
    except ValueError:
        return -(2**63)


def locked(folder: Path, name: str = "raw.lock", held: str = "the raw log is open in another process") -> BinaryIO:
    """A lock file, held until it is closed; StoreError where another process holds it."""
    lock = open(folder / name, "ab")  # noqa: SIM115
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StoreError(f"{held} ({folder})") from None
    return lock


def _last_record(path: Path) -> tuple[Record | None, int]:
    """The last whole record and where it ends; all lines behind it, whole or not, are no records."""
    size = path.stat().st_size
    window = _TAIL
    while True:
        start = max(0, size - window)
        with path.open("rb") as file:
            file.seek(start)
            data = file.read()
        begin = 0 if start == 0 else data.find(b"\n") + 1
        end = data.rfind(b"\n") + 1
        while end > begin:
            line_at = data.rfind(b"\n", begin, end - 1) + 1 or begin
            record = read_line(data[line_at:end])
            if isinstance(record, Record):
                return record, start + end
            end = line_at
        if start == 0:
            return None, 0
        window *= 8


def _last_lines(path: Path, n: int) -> list[bytes]:
    """At most the last n lines of a file."""
    size, window = path.stat().st_size, _TAIL
    while True:
        start = max(0, size - window)
        with path.open("rb") as file:
            file.seek(start)
            lines = file.read().splitlines(keepends=True)
        if start == 0 or len(lines) > n:  # the first may be cut
            return lines[-n:] if n else []
        window *= 8


def _cut(path: Path, end: int) -> Path:
    """Move what follows `end` into a side file: nothing is deleted."""
    with path.open("rb") as file:
        file.seek(end)
        tail = file.read()
    side = next(name for i in range(1, 1_000_000) if not (name := path.with_name(f"{path.name}.torn-{i}")).exists())
    with side.open("wb") as out:
        out.write(tail)
        os.fsync(out.fileno())
    with path.open("r+b") as file:
        file.truncate(end)
        os.fsync(file.fileno())
    sync_folder(path.parent)
    return side


def _erased(path: Path, n: int) -> Iterable[bytes]:
    found = False
    with path.open("rb") as file:
        for line in file:
            record = read_line(line)
            if not isinstance(record, Broken) and record.n == n:
                found, record.payload = True, None
                yield line_of(record)
            else:
                yield line
    if not found:
        raise InputError("no such message", place=path.name, field="n", value=n)


def rewrite(path: Path, lines: Iterable[bytes]) -> None:
    """Put a file in place of another, whole or not at all, on the disk when this returns."""
    new = path.with_name(path.name + ".new")
    try:
        with new.open("wb") as out:
            for line in lines:
                out.write(line)
            out.flush()
            _keep_owner(path, out.fileno())
            os.fsync(out.fileno())
    except BaseException:  # a full disk too: what is half-written would outlive its erasure
        new.unlink()
        raise
    new.replace(path)
    sync_folder(path.parent)


def _keep_owner(path: Path, number: int) -> None:
    """The file that takes another's place is its owner's as far as we may: else the service could not write on in it."""
    with suppress(FileNotFoundError, PermissionError):
        old = path.stat()
        os.fchmod(number, old.st_mode & 0o777)
        os.fchown(number, old.st_uid, old.st_gid)


def sync_folder(folder: Path) -> None:
    """A file that was made, renamed or taken away in a folder is so on the disk too."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
