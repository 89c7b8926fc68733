"""Redaction of the raw log: what devices said of given spans of time is taken out; hashes, chain, roots and proofs hold on.

A message goes by the times of its fixes and events, one that cannot be read, or has no time, by when it was received. Where
some of a list is to go and some to stay, the payload is replaced by the rest: the list with `null` for what is gone. The rest
is not covered by the message's hash; its own hash is in the redactions (raw_orders). Topics stay: they are in the hash.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
from msgspec import UNSET

from engine.errors import InputError, StoreError
from engine.times import parse_time
from ingest.raw_log import REDACTION, RawLog, day_files, day_of, locked, rewrite
from ingest.raw_orders import MOST_ORDER, Redaction, cut_torn, head_of, note, ordered, read_redactions
from ingest.raw_record import Record, line_of, read_line
from ingest.raw_remainder import remainder
from ingest.topics import route_of

_TOPIC = re.compile(rb'"topic":("(?:[^"\\]|\\.)*")')
_AT_ONCE = 1 << 24
_Spans = Sequence[tuple[int, int]]


class Claim(NamedTuple):
    """What a device said of [from_us, to_us) [us UTC] is to go."""

    device: str
    from_us: int
    to_us: int


class Redacted(NamedTuple):
    """How many messages lost their payload, how many a part of it, in how many files of days; `n_torn`: half-written lines of
    a crash, in side files; `n_left`: lines that are no records, which are left as they are (raw_verify tells them).

    `n_waiting`: messages of `open_day`, which another process writes: they are done when this is done again after midnight.
    `head`: the chain value of the redactions, to be noted elsewhere.
    """

    n_erased: int = 0
    n_partly: int = 0
    n_files: int = 0
    n_torn: int = 0
    n_left: int = 0
    open_day: str = ""
    n_waiting: int = 0
    head: str = ""


class _Change(NamedTuple):
    """The line at [start, end) of a file loses its payload, of which the rest is kept, if any. Millions are held at once."""

    start: int
    end: int
    n: int
    rest: bytes | None = None


class _Found(NamedTuple):
    changes: list[_Change]
    n_left: int

    @property
    def n_partly(self) -> int:
        return sum(change.rest is not None for change in self.changes)


def redact(
    folder: str | Path, claims: Iterable[tuple[str, int, int]], order: str, *, log: RawLog | None = None,
    dry_run: bool = False,
) -> Redacted:  # fmt: skip
    """Erase from the log of a folder what the claims (device, from_us, to_us) name; safe to repeat, also after a crash.

    Closed days are rewritten beside a service that writes today's, one at a time, whole or not at all; today's file only where
    nobody else writes it, or where the caller does and gives its `log`. `dry_run` only counts. InputError for an order without
    a name, or redactions that do not hold; StoreError where another redaction is under way.
    """
    folder, spans = Path(folder), _spans_of(claims)
    if not order.strip() or len(order) > MOST_ORDER or not order.isprintable():
        raise InputError(field="order", value=order, expected=f"a name of at most {MOST_ORDER} printable characters")
    if not spans or not folder.is_dir():
        return Redacted()
    with locked(folder, *REDACTION):
        if dry_run:  # what a crash left stays too, so that a plan can be made whatever there is
            return _Work(folder, spans, order, [], dry_run).all(log)._replace(head="")
        _clear(folder)
        return _Work(folder, spans, order, read_redactions(folder), dry_run).all(log)


class _Work(NamedTuple):
    folder: Path
    spans: Mapping[str, _Spans]
    order: str
    redactions: list[Redaction]
    dry_run: bool

    def all(self, log: RawLog | None) -> Redacted:
        """All closed days, those that closed meanwhile too, then the open one."""
        found, seen = Redacted(), set[Path]()
        while closed := [path for path in day_files(self.folder)[:-1] if path not in seen]:
            for path in closed:
                found = self._add(found, self._of_file(path))
                seen.add(path)
        found = self._open_day(found, [path for path in day_files(self.folder) if path not in seen], log)
        n_torn = sum(self._of_side_file(path) for path in sorted(self.folder.glob("raw-*.jsonl.torn-*")))
        return found._replace(n_torn=n_torn, head=head_of(self.redactions))

    def _open_day(self, found: Redacted, paths: Sequence[Path], log: RawLog | None) -> Redacted:
        if not paths:
            return found
        if log is not None:
            log.flush()
            found = self._add(found, self._of_file(paths[-1]))
            log.reopen()
            return found
        try:
            with locked(self.folder):
                return self._add(found, self._of_file(paths[-1]))
        except StoreError:  # the service writes it
            waiting = self._changes(paths[-1])
            return found._replace(
                open_day=day_of(paths[-1]) if waiting.changes else "", n_waiting=len(waiting.changes),
                n_left=found.n_left + waiting.n_left,
            )  # fmt: skip

    def _add(self, so_far: Redacted, found: _Found) -> Redacted:
        return so_far._replace(
            n_erased=so_far.n_erased + len(found.changes) - found.n_partly, n_partly=so_far.n_partly + found.n_partly,
            n_files=so_far.n_files + bool(found.changes), n_left=so_far.n_left + found.n_left,
        )  # fmt: skip

    def _of_file(self, path: Path) -> _Found:
        found = self._changes(path)
        if found.changes and not self.dry_run:
            noted = ordered(one for one in self.redactions if one.day == day_of(path)).get(day_of(path), {})
            hashes = {c.n: hashlib.sha256(c.rest).hexdigest() if c.rest is not None else "" for c in found.changes}
            news = {n: sha256 for n, sha256 in hashes.items() if (self.order, sha256) != noted.get(n)}
            if news:  # none: noted before a crash
                note(self.folder, self.redactions, day_of(path), self.order, news)
            rewrite(path, _rewritten(path, found.changes, _without_payload))
        return found

    def _changes(self, path: Path) -> _Found:
        """The lines of a file that are to become others; lines that are no records are counted."""
        changes, n_left = list[_Change](), 0
        for start, end, device, line in _lines_of(path, self.spans):
            record = read_line(line)
            if not isinstance(record, Record):
                n_left += line.endswith(b"\n")
            elif (change := _change(record, self.spans[device], start, end)) is not None:
                changes.append(change)
        return _Found(changes, n_left)

    def _of_side_file(self, path: Path) -> int:
        """Lines torn by a crash were never acknowledged, so their tag sent them again: of these devices all go. Returns how
        many."""
        changes = []
        for start, end, _, line in _lines_of(path, self.spans):
            head = _TOPIC.search(line)
            if head is not None and len(line.rstrip(b"\n")) > head.end():
                changes.append(_Change(start, end, 0))
        if changes and not self.dry_run:
            rewrite(path, _rewritten(path, changes, _head_alone))
        return len(changes)


def _spans_of(claims: Iterable[tuple[str, int, int]]) -> dict[str, _Spans]:
    found: dict[str, list[tuple[int, int]]] = {}
    for device, from_us, to_us in claims:
        if from_us < to_us:
            found.setdefault(device, []).append((from_us, to_us))
    return {device: sorted(spans) for device, spans in found.items()}


def _clear(folder: Path) -> None:
    """What a crash left: a half-written line of the redactions, and files that were not put in place."""
    cut_torn(folder)
    for path in folder.glob("raw-*.jsonl*.new"):
        path.unlink()


def _lines_of(path: Path, devices: Mapping[str, object]) -> Iterator[tuple[int, int, str, bytes]]:
    """The lines of these devices: where each begins and ends, its device, and itself."""
    if not path.stat().st_size:
        return
    known: dict[bytes, str] = {}
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        for match in _TOPIC.finditer(data):
            topic = match[1]
            if (device := known.get(topic)) is None:
                device = known[topic] = _device_of(topic)
            if device not in devices:
                continue
            start, end = data.rfind(b"\n", 0, match.start()) + 1, data.find(b"\n", match.end()) + 1 or len(data)
            yield start, end, device, data[start:end]


def _device_of(topic: bytes) -> str:
    try:
        return route_of(msgspec.json.decode(topic, type=str)).device
    except msgspec.MsgspecError:
        return ""


def _change(record: Record, spans: _Spans, start: int, end: int) -> _Change | None:
    """What is left of a record once what lies in these spans is gone; None where nothing is to go."""
    held = record.rest if record.payload is None else record.payload
    if held is UNSET:
        return None
    payload = base64.b64decode(held)
    kept = remainder(record.topic, payload, parse_time(record.received), spans)
    return None if kept == payload else _Change(start, end, record.n, kept)


def _without_payload(line: bytes, rest: bytes | None) -> bytes:
    record = read_line(line)
    assert isinstance(record, Record)
    record.payload, record.rest = None, UNSET if rest is None else base64.b64encode(rest).decode("ascii")
    return line_of(record)


def _head_alone(line: bytes, rest: bytes | None) -> bytes:
    head = _TOPIC.search(line)
    assert head is not None
    return line[: head.end()] + b"\n" * line.endswith(b"\n")


def _rewritten(
    path: Path, changes: Sequence[_Change], changed: Callable[[bytes, bytes | None], bytes]
) -> Iterator[bytes]:  # fmt: skip
    """The bytes of a file with these lines changed, a piece at a time."""
    with path.open("rb") as file:
        at = 0
        for change in changes:
            yield from _piece(file, change.start - at)
            yield changed(file.read(change.end - change.start), change.rest)
            at = change.end
        yield from _piece(file, path.stat().st_size - at)


def _piece(file: BinaryIO, n_bytes: int) -> Iterator[bytes]:
    while n_bytes > 0 and (part := file.read(min(n_bytes, _AT_ONCE))):
        n_bytes -= len(part)
        yield part
