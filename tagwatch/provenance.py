"""From a fix back to what was received: the messages of the raw log that brought it, by the signed root of their day."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from crime_match.evidence.case import Origin
from crime_match.evidence.manifest import encode
from crime_match.evidence.signing import detached
from crime_match.evidence.verify import Finding
from engine.errors import InputError
from engine.fixes import Fixes
from engine.times import parse_time
from ingest.message import Message
from ingest.payload import decode_fixes
from ingest.raw_proof import Proof, holds, proofs_of, read_proof
from ingest.raw_root import root_bytes, root_path, signature_path
from ingest.raw_search import MessageOrigin, origins_of

PROOFS, SIGNATURES = "record/payloads.jsonl", "record/root_signatures.json"
_Identity = tuple[str, int, int]


def traced(folder: Path, fixes: Fixes) -> tuple[list[Origin | None], dict[str, bytes]]:
    """Where each fix came from, None where the log does not tell; and the members of a pack that prove it, as far as the
    days of the messages have ended."""
    if not folder.is_dir():
        return [], {}
    found = origins_of(folder, fixes)
    by_day: dict[str, set[int]] = {}
    for origin in found:
        if origin is not None:
            by_day.setdefault(_day_of(origin), set()).add(origin.n)
    proofs, signatures = list[Proof](), dict[str, str]()
    for day, numbers in sorted(by_day.items()):
        try:
            proofs += [proof for _, proof in sorted(proofs_of(folder, day, numbers).items())]
        except InputError:
            continue  # the day has not ended, or has no root: told by `findings`
        if (path := signature_path(root_path(folder, day))).exists():
            signatures[day] = base64.b64encode(path.read_bytes()).decode()
    members = {PROOFS: b"".join(proof.to_json() for proof in proofs)} if proofs else {}
    if signatures:
        members[SIGNATURES] = encode(signatures)
    return [origin and Origin(origin.file, origin.sha256, origin.n, origin.position) for origin in found], members


def findings(members: Mapping[str, bytes], fixes: Fixes, trust: Sequence[bytes] = ()) -> list[Finding]:
    """What is to be said of the way back from these fixes, as the pack's own members prove it."""
    try:
        facts = msgspec.json.decode(members["record/case.json"], type=dict[str, Any])
        origins = [origin and Origin(**origin) for origin in facts["origins"]]
        proofs = [read_proof(line + b"\n") for line in members.get(PROOFS, b"").splitlines()]
    except (InputError, KeyError, TypeError, msgspec.MsgspecError) as error:
        return [Finding(False, f"origins: cannot be read: {error}")]
    if not any(origins):
        return [Finding(None, "origins: where the positions came from is not told")]
    if not proofs:
        n_files = len({origin.sha256 for origin in origins if origin})
        return [Finding(None, f"origins: {_count(n_files, 'file')}, by SHA-256 and row; compare with the originals")]
    broken = [Finding(False, f"message {proof.n}: {fault}") for proof in proofs for fault in holds(proof)]
    return broken or [*_told(proofs, origins, fixes), *_signed(members, proofs, trust)]


def _told(proofs: Sequence[Proof], origins: Sequence[Origin | None], fixes: Fixes) -> Iterator[Finding]:
    """Whether each fix is what its message says."""
    said: dict[int, set[_Identity]] = {}
    messages = (_message(proof) for proof in proofs if not proof.erased)
    decoded, places = decode_fixes(messages)
    for identity, place in zip(_identities(decoded), places, strict=True):
        said.setdefault(place.message.mid, set()).add(identity)
    erased, n_proved, n_erased, n_open = {proof.n for proof in proofs if proof.erased}, 0, 0, 0
    for identity, origin in zip(_identities(fixes), origins, strict=True):
        if origin is None or (origin.row not in said and origin.row not in erased):
            n_open += 1
        elif origin.row in erased:
            n_erased += 1
        elif identity in said[origin.row]:
            n_proved += 1
        else:
            yield Finding(False, f"message {origin.row} does not say what the position of {identity[0]} from it says")
    of_log = f"{_count(len(proofs), 'message')} of the raw log"
    yield Finding(True, f"origins: {_count(n_proved, 'position')} decoded from {of_log}, each in the root of its day")
    if n_erased:
        gone = "have been erased since: proved is that they came, not what they said"
        yield Finding(None, f"origins: the messages of {_count(n_erased, 'position')} {gone}")
    if n_open:
        why = "the day had not ended, or the raw log does not hold the message"
        yield Finding(None, f"origins: {_count(n_open, 'position')} without a proof: {why}")


def _signed(members: Mapping[str, bytes], proofs: Iterable[Proof], trust: Sequence[bytes]) -> Iterator[Finding]:
    try:
        signatures = msgspec.json.decode(members.get(SIGNATURES, b"{}"), type=dict[str, str])
        held = {day: base64.b64decode(text, validate=True) for day, text in signatures.items()}
    except (msgspec.MsgspecError, ValueError) as error:
        yield Finding(False, f"{SIGNATURES}: cannot be read: {error}")
        return
    for day, root in sorted({proof.root.day: proof.root for proof in proofs}.items()):
        if day not in held:
            yield Finding(None, f"raw log of {day}: its root is not signed")
            continue
        signed = detached.check(root_bytes(root), held[day], trust)
        if signed.problems:
            yield Finding(False, f"raw log of {day}: its root: {'; '.join(signed.problems)}")
        else:
            yield Finding(True, f"raw log of {day}: its root is signed by {signed.by}, SHA-256 {signed.fingerprint}")


def _message(proof: Proof) -> Message:
    return Message(parse_time(proof.received), proof.topic, base64.b64decode(proof.payload or ""), proof.n)


def _identities(fixes: Fixes) -> list[_Identity]:
    names = (fixes.devices[k] for k in fixes.device.tolist())
    return list(zip(names, fixes.time_us.tolist(), fixes.content().tolist(), strict=True))


def _day_of(origin: MessageOrigin) -> str:
    return origin.file.removeprefix("raw-").removesuffix(".jsonl")


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'s' if n != 1 else ''}"
