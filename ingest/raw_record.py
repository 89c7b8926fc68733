"""One line of the raw log, and the lines of a file: how they are written, read and chained.

`chain` = SHA-256(chain before || SHA-256(canonical form)), where the canonical form is the JSON list of n, received,
topic and the payload's SHA-256. The payload itself is not in it, so that the chain holds when a payload is erased.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

GENESIS = "0" * 64
"""The chain before the first message of all."""


class Head(msgspec.Struct):
    """All of a record but its payload."""

    n: int
    received: str
    topic: str
    sha256: str
    chain: str


class Record(Head, forbid_unknown_fields=True):
    """One message as kept, keys in their order on the line; `payload` is base64, None once erased.

    `rest`, where only a part was erased: base64 of what stays, which `sha256` does not cover (raw_redaction).
    """

    payload: str | None
    rest: str | UnsetType = UNSET


class Broken(NamedTuple):
    """What does not hold in a line."""

    reason: str


_DECODER = msgspec.json.Decoder(Record)
_HEADS = msgspec.json.Decoder(Head)
_encode = msgspec.json.encode


def record_of(n: int, received: str, topic: str, payload: bytes, before: str) -> Record:
    """The record of a new message after the chain value `before`."""
    digest = hashlib.sha256(payload).hexdigest()
    chain = chain_of(n, received, topic, digest, before)
    return Record(n, received, topic, digest, chain, _base64(payload))


def chain_of(n: int, received: str, topic: str, digest: str, before: str) -> str:
    """The chain value of a message after the chain value `before`."""
    canonical = hashlib.sha256(canonical_of(n, received, topic, digest)).digest()
    return hashlib.sha256(bytes.fromhex(before) + canonical).hexdigest()


def canonical_of(n: int, received: str, topic: str, digest: str) -> bytes:
    """The canonical form of a message: what is chained, and what a leaf of the day's tree holds."""
    return _encode((n, received, topic, digest))


def line_of(record: Record) -> bytes:
    """The line of a record, with its end."""
    return _encode(record) + b"\n"


def read_line(line: bytes) -> Record | Broken:
    """The record of a line, or what is wrong with it; the payload's hash is checked, the chain is not."""
    try:
        record = _DECODER.decode(line)
        payload = None if record.payload is None else base64.b64decode(record.payload, validate=True)
        rest = b"" if isinstance(record.rest, UnsetType) else base64.b64decode(record.rest, validate=True)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Broken(f"not a record: {str(error)[:120]}")
    if line.rstrip(b"\n") != _encode(record) or (payload is not None and _base64(payload) != record.payload):
        return Broken("not written as a record is")
    if not isinstance(record.rest, UnsetType) and (payload is not None or not rest or _base64(rest) != record.rest):
        return Broken("not written as a record is")
    if payload is not None and hashlib.sha256(payload).hexdigest() != record.sha256:
        return Broken("the payload does not have its sha256")
    return record


def read_head(line: bytes) -> Head | Broken:
    """The record of a line without its payload, nothing of it checked: for those who check the root it leads to."""
    try:
        return _HEADS.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Broken(f"not a record: {str(error)[:120]}")


def records_of(path: Path) -> Iterator[tuple[int, Record | Broken]]:
    """The lines of a file, numbered from 1."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            yield number, read_line(line) if line.endswith(b"\n") else Broken("torn: has no end")


def break_between(before: Head | None, record: Record) -> str:
    """What is wrong with a record after another, in words; nothing where it may be the first or follows."""
    if before is None:
        if record.n != 1:
            return ""  # older days are gone: here the chain is taken up
        return "" if follows(record, GENESIS) else "does not begin the chain"
    if record.n != before.n + 1:
        return f"message {record.n} comes after message {before.n}"
    return "" if follows(record, before.chain) else f"does not follow from message {before.n}"


def follows(record: Record, before: str) -> bool:
    """Whether the record's chain value is right after `before`."""
    try:
        return chain_of(record.n, record.received, record.topic, record.sha256, before) == record.chain
    except ValueError:
        return False


def _base64(payload: bytes) -> str:
    return base64.b64encode(payload).decode("ascii")
