"""Proofs of single messages: that a message stands in the raw log under a day's root, shown without the log.

A proof is one line of JSON. With the root file's signature, which is over `root_bytes(proof.root)`, it needs nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection
from pathlib import Path

import msgspec
from msgspec import UNSET, UnsetType

from engine.errors import InputError
from ingest.merkle import root_by
from ingest.raw_record import Broken, Record, canonical_of, read_head, read_line
from ingest.raw_root import DaySum, Root, hash_of_root, read_root, root_path


class Proof(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A message (n, received, topic, sha256 of its payload; payload in base64, None once erased), its audit path (hashes in
    hex, from the leaf up), the root of its day, and the SHA-256 of the root file. `rest`: what stays of a payload of which a
    part was erased; nothing proves it but who keeps the log."""

    n: int
    received: str
    topic: str
    sha256: str
    payload: str | None
    path: tuple[str, ...]
    root: Root
    root_sha256: str
    rest: str | UnsetType = UNSET

    @property
    def erased(self) -> bool:
        """Whether the payload is gone: the proof then shows when and on which topic a message with that hash came, and
        nothing of what it said."""
        return self.payload is None

    @property
    def said(self) -> bytes | None:
        """What can be read of the message: the payload, or the rest of it; None where nothing is left."""
        text = self.rest if self.payload is None else self.payload
        return None if isinstance(text, UnsetType) else base64.b64decode(text)

    @property
    def canonical(self) -> bytes:
        """The canonical form of the message: the leaf."""
        return canonical_of(self.n, self.received, self.topic, self.sha256)

    @property
    def origin(self) -> tuple[str, str, int]:
        """As a fix names where it came from: the file of the raw log, the SHA-256 of the canonical form, the number."""
        return f"raw-{self.root.day}.jsonl", hashlib.sha256(self.canonical).hexdigest(), self.n

    def to_json(self) -> bytes:
        """One line of JSON, keys sorted, with its end."""
        return msgspec.json.encode(self, order="sorted") + b"\n"


def read_proof(line: bytes) -> Proof:
    """The proof of a line; InputError where it is none, or not written as one is. Whether it holds: `holds`."""
    try:
        proof = msgspec.json.decode(line, type=Proof)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"not a proof: {str(error)[:120]}") from None
    if not _is_written(proof, line):
        raise InputError("not written as a proof is")
    return proof


def prove(folder: str | Path, day: str, n: int) -> Proof:
    """The proof of message `n` of a day (2026-11-22); errors as in `proofs_of`."""
    return proofs_of(folder, day, [n])[n]


def proofs_of(folder: str | Path, day: str, numbers: Collection[int]) -> dict[int, Proof]:
    """The proofs of several messages of a day by their numbers, in one pass over its file.

    InputError where the day has no root, has no such message, or does not have the root that its root file says.
    """
    path, root = Path(folder) / f"raw-{day}.jsonl", read_root(root_path(Path(folder), day))
    missing = [n for n in numbers if not root.first_n <= n <= root.last_n]
    if missing or not path.exists():
        raise InputError("no such message", place=str(path), field="n", value=min(missing, default=None))
    wanted, digest = sorted({n - root.first_n for n in numbers}), hash_of_root(root)
    total, found = _summed(path, wanted)
    summed, paths = total.close(day, root.before)
    if summed != root:
        raise InputError("does not have the root that its root file says", place=str(path))
    return {record.n: _proof(record, paths[index], root, digest) for index, record in found.items()}


def holds(proof: Proof) -> list[str]:
    """What does not hold in a proof, in words; empty where all does. An erased payload is no fault: see `erased`.

    Whether the root file is the one that was signed is not seen here: check its signature.
    """
    wrong = []
    if not _is_payload(proof.payload, proof.sha256):
        wrong.append("the payload does not have its sha256")
    if not isinstance(proof.rest, UnsetType) and (proof.payload is not None or not _is_base64(proof.rest)):
        wrong.append("it has a rest and is not written as an erased message is")
    if proof.root.last_n - proof.root.first_n + 1 != proof.root.n:
        wrong.append("the root's numbers do not agree with its count")
    if not proof.root.earliest <= proof.received <= proof.root.latest:
        wrong.append("received outside the time of the root")
    if not _leads_to_root(proof):
        wrong.append("the audit path does not lead from the message to the root")
    if hash_of_root(proof.root) != proof.root_sha256:
        wrong.append("the root file does not have its sha256")
    return wrong


def _is_written(proof: Proof, line: bytes) -> bool:
    try:
        return proof.to_json() == line
    except (OverflowError, UnicodeEncodeError):  # a number or a text that JSON can hold and we never write
        return False


def _summed(path: Path, wanted: Collection[int]) -> tuple[DaySum, dict[int, Record]]:
    """A day added up, and by index the records that are wanted; only of these the payload is looked at."""
    total, found = DaySum(wanted), dict[int, Record]()
    kept = set(wanted)
    with path.open("rb") as file:
        for index, line in enumerate(file):
            record = read_line(line) if index in kept else read_head(line)
            if isinstance(record, Broken) or not line.endswith(b"\n"):
                reason = record.reason if isinstance(record, Broken) else "torn: has no end"
                raise InputError(reason, place=f"{path}, line {index + 1}")
            total.add(record)
            if isinstance(record, Record):
                found[index] = record
    return total, found


def _proof(record: Record, path: list[bytes], root: Root, digest: str) -> Proof:
    return Proof(record.n, record.received, record.topic, record.sha256, record.payload, tuple(p.hex() for p in path), root,
                 digest, record.rest)  # fmt: skip


def _is_payload(payload: str | None, sha256: str) -> bool:
    if payload is None:
        return True
    return _is_base64(payload) and hashlib.sha256(base64.b64decode(payload)).hexdigest() == sha256


def _is_base64(text: str) -> bool:
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except ValueError:
        return False


def _leads_to_root(proof: Proof) -> bool:
    try:
        path = [bytes.fromhex(part) for part in proof.path]
    except ValueError:
        return False
    if [part.hex() for part in path] != list(proof.path) or any(len(part) != 32 for part in path):
        return False
    root = root_by(proof.canonical, proof.n - proof.root.first_n, proof.root.n, path)
    return root is not None and root.hex() == proof.root.root
