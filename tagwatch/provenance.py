"""From a fix back to what was received: the messages of the raw log that brought it, by the signed root of their day."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path

import msgspec

from crime_match.evidence.case import Origin
from crime_match.evidence.manifest import UNREADABLE, check_form, encode
from crime_match.evidence.signing import detached
from crime_match.evidence.verify import Finding
from engine.errors import InputError
from engine.fixes import Fixes
from engine.times import parse_time
from ingest.message import Message
from ingest.payload import decode_fixes
from ingest.raw_proof import Proof, holds, proofs_of, read_proof
from ingest.raw_root import Root, root_bytes, root_path, signature_path
from ingest.raw_search import origins_of

PROOFS, SIGNATURES = "record/payloads.jsonl", "record/root_signatures.json"
_Identity = tuple[str, int, int]
_LOG_FILE = re.compile(r"raw-\d{4}-\d\d-\d\d\.jsonl")


def traced(folder: Path, fixes: Fixes) -> tuple[list[Origin | None], dict[str, bytes]]:
    """Where each fix came from, None where the log does not tell; and the members of a pack that prove it, as far as the
    days of the messages have ended."""
    if not folder.is_dir():
        return [], {}
    found = origins_of(folder, fixes)
    by_day: dict[str, set[int]] = {}
    for origin in found:
        if origin is not None:
            by_day.setdefault(_day_of(origin.file), set()).add(origin.n)
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
        origins = msgspec.json.decode(members["record/case.json"], type=_Origins).origins
        proofs = [read_proof(line + b"\n") for line in members.get(PROOFS, b"").splitlines()]
    except (InputError, KeyError, *UNREADABLE) as error:
        return [Finding(False, f"origins: cannot be read: {error}")]
    if len(origins) not in (0, len(fixes)):
        return [Finding(False, f"origins: of {_count(len(origins), 'position')}, the record holds {len(fixes):,}")]
    if not any(origins):
        return [Finding(None, "origins: where the positions came from is not told"), *_stray(proofs)]
    broken = [Finding(False, f"message {proof.n}: {fault}") for proof in proofs for fault in holds(proof)]
    return broken or [*_in_files(origins), *_told(proofs, origins, fixes), *_signed(members, proofs, trust)]


def _stray(proofs: Sequence[Proof]) -> list[Finding]:
    return [Finding(False, f"{PROOFS}: message {proof.n} brought none of the positions") for proof in proofs]


def _in_files(origins: Sequence[Origin | None]) -> Iterator[Finding]:
    files = {(origin.file, origin.sha256) for origin in origins if origin and not _is_live(origin)}
    if files:
        yield Finding(None, f"origins: {_count(len(files), 'file')}, by SHA-256 and row; compare with the originals")


def _told(proofs: Sequence[Proof], origins: Sequence[Origin | None], fixes: Fixes) -> Iterator[Finding]:
    """Whether each fix is what its message says, where in it, and the message is the one that the origin names."""
    said = _said(proofs)
    by_origin = {proof.origin: proof for proof in proofs}
    days, used = {proof.root.day for proof in proofs}, set[tuple[str, str, int]]()
    n_proved, n_rest, n_erased, n_open = 0, 0, 0, 0
    for identity, origin in zip(_identities(fixes), origins, strict=True):
        if origin is None or not _is_live(origin):
            n_open += origin is None
            continue
        name = origin.file, origin.sha256, origin.row
        used.add(name)
        if name not in by_origin:
            n_open += 1
            if _day_of(origin.file) in days:
                yield Finding(
                    False, f"message {origin.row} of {origin.file}: its proof is missing, the day's others are there"
                )
        elif by_origin[name].erased:
            is_in_rest = origin.position in said[name].get(identity, ())
            n_rest, n_erased = n_rest + is_in_rest, n_erased + (not is_in_rest)
        elif origin.position in said[name].get(identity, ()):
            n_proved += 1
        else:
            yield Finding(False, f"message {origin.row} does not say what the position of {identity[0]} from it says")
    yield from _stray([proof for name, proof in by_origin.items() if name not in used])
    if len(by_origin) != len(proofs):
        yield Finding(False, f"{PROOFS}: holds a message twice")
    if n_proved:
        of_log = f"{_count(len(proofs), 'message')} of the raw log"
        yield Finding(True, f"origins: {_count(n_proved, 'position')} decoded from {of_log}, each in the root of its day")
    if n_erased:
        gone = "have been erased since: proved is that they came, not what they said"
        yield Finding(None, f"origins: the messages of {_count(n_erased, 'position')} {gone}")
    if n_rest:
        kept = "stand in what was kept of messages that were erased in part: proved is that these came, who keeps the log"
        yield Finding(None, f"origins: {_count(n_rest, 'position')} {kept} answers for what was kept")
    if n_open:
        why = "the day had not ended, or the raw log does not hold the message"
        yield Finding(
            None, f"origins: {_count(n_open, 'position')} WITHOUT A PROOF: {why}, or somebody took it out of the pack"
        )


def _said(proofs: Sequence[Proof]) -> dict[tuple[str, str, int], dict[_Identity, set[int]]]:
    """By origin what each message says: its fixes, and at which places in it. Messages are decoded by their place in this
    list, as two logs may have the same numbers."""
    said: dict[tuple[str, str, int], dict[_Identity, set[int]]] = {proof.origin: {} for proof in proofs}
    messages = (_message(proof, k) for k, proof in enumerate(proofs) if proof.said is not None)
    decoded, places = decode_fixes(messages)
    for identity, place in zip(_identities(decoded), places, strict=True):
        said[proofs[place.message.mid].origin].setdefault(identity, set()).add(place.position)
    return said


def _signed(members: Mapping[str, bytes], proofs: Sequence[Proof], trust: Sequence[bytes]) -> Iterator[Finding]:
    try:
        signatures = msgspec.json.decode(members.get(SIGNATURES, b"{}"), type=dict[str, str])
        held = {day: base64.b64decode(text, validate=True) for day, text in signatures.items()}
        check_form(SIGNATURES, members.get(SIGNATURES, encode({})), signatures)
    except (InputError, ValueError, *UNREADABLE) as error:
        yield Finding(False, f"{SIGNATURES}: cannot be read: {error}")
        return
    roots = sorted({root_bytes(proof.root): proof.root for proof in proofs}.values(), key=attrgetter("day"))
    days = [root.day for root in roots]
    for day in sorted({day for day in days if days.count(day) > 1}):
        yield Finding(False, f"raw log of {day}: has {days.count(day)} roots, a day has one: the messages are of two logs")
    for day in sorted(held.keys() - {*days}):
        yield Finding(False, f"{SIGNATURES}: holds a signature of {day}, of which there is no message")
    for root in roots:
        yield from _root(root, held.get(root.day), trust)


def _root(root: Root, signature: bytes | None, trust: Sequence[bytes]) -> Iterator[Finding]:
    """A root is signed after its day: by then the certificate must hold."""
    what = f"raw log of {root.day}: its root"
    if signature is None:
        yield Finding(None, f"{what} is not signed: WHOEVER BUILT THE PACK COULD HAVE MADE THE MESSAGES UP")
        return
    signed = detached.check(root_bytes(root), signature, trust, parse_time(root.latest))
    if signed.problems:
        yield Finding(False, f"{what}: {'; '.join(signed.problems)}")
        return
    whose = "trusted here" if signed.trusted else "whose key it is was not checked (--trust)"
    yield Finding(True, f"{what} is signed by {signed.by}, SHA-256 {signed.fingerprint}, {whose}")
    yield from (Finding(None, f"{what}: {note}") for note in signed.notes)


def _message(proof: Proof, k: int) -> Message:
    return Message(parse_time(proof.received), proof.topic, proof.said or b"", k)


def _is_live(origin: Origin) -> bool:
    return _LOG_FILE.fullmatch(origin.file) is not None


def _identities(fixes: Fixes) -> list[_Identity]:
    names = (fixes.devices[k] for k in fixes.device.tolist())
    return list(zip(names, fixes.time_us.tolist(), fixes.content().tolist(), strict=True))


def _day_of(file: str) -> str:
    return file.removeprefix("raw-").removesuffix(".jsonl")


class _Origins(msgspec.Struct):
    """Of record/case.json what is needed here."""

    origins: list[Origin | None]


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'s' if n != 1 else ''}"
