"""One line of the raw log: how it is written, read and chained.

`chain` = SHA-256(chain before || SHA-256(canonical form)), where the canonical form is the JSON list of n, received,
topic and the payload's SHA-256. The payload itself is not in it, so that the chain holds when a payload is erased.
"""

from __future__ import annotations

import base64
import hashlib
from typing import NamedTuple

import msgspec

GENESIS = "0" * 64
"""The chain before the first message of all."""


class Record(msgspec.Struct, forbid_unknown_fields=True):
    """One message as kept, keys in their order on the line; `payload` is base64, None once erased."""

    n: int
    received: str
    topic: str
    sha256: str
    chain: str
    payload: str | None


class Broken(NamedTuple):
    """What does not hold in a line."""

    reason: str


_DECODER = msgspec.json.Decoder(Record)
_encode = msgspec.json.encode


def record_of(n: int, received: str, topic: str, payload: bytes, before: str) -> Record:
    """The record of a new message after the chain value `before`."""
    digest = hashlib.sha256(payload).hexdigest()
    chain = chain_of(n, received, topic, digest, before)
    return Record(n, received, topic, digest, chain, _base64(payload))


def chain_of(n: int, received: str, topic: str, digest: str, before: str) -> str:
    """The chain value of a message after the chain value `before`."""
    canonical = hashlib.sha256(_encode((n, received, topic, digest))).digest()
    return hashlib.sha256(bytes.fromhex(before) + canonical).hexdigest()


def line_of(record: Record) -> bytes:
    """The line of a record, with its end."""
    return _encode(record) + b"\n"


def read_line(line: bytes) -> Record | Broken:
    """The record of a line, or what is wrong with it; the payload's hash is checked, the chain is not."""
    try:
        record = _DECODER.decode(line)
        payload = None if record.payload is None else base64.b64decode(record.payload, validate=True)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Broken(f"not a record: {str(error)[:120]}")
    if line.rstrip(b"\n") != _encode(record) or (payload is not None and _base64(payload) != record.payload):
        return Broken("not written as a record is")
    if payload is not None and hashlib.sha256(payload).hexdigest() != record.sha256:
        return Broken("the payload does not have its sha256")
    return record


def follows(record: Record, before: str) -> bool:
    """Whether the record's chain value is right after `before`."""
    try:
        return chain_of(record.n, record.received, record.topic, record.sha256, before) == record.chain
    except ValueError:
        return False


def _base64(payload: bytes) -> str:
    return base64.b64encode(payload).decode("ascii")
