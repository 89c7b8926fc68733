"""The manifest: what a pack is about, the hash of each member, and the way back to what was received."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from crime_match.evidence.case import Case
from crime_match.evidence.pack import FORMAT, MANIFEST, ORDER, SIGNATURE, SUMS
from engine.errors import InputError
from engine.times import to_iso

RECOMPUTED = (
    "verdict", "support", "closest_m", "closest_at", "n_fixes", "visits", "dwell_s", "probability", "required_speed_mps",
    "coverage", "worst_gap_s", "sources", "fixes", "parameters", "reasons", "before", "after", "device", "wearer",
)  # fmt: skip
"""What `verify` computes anew from the pack's own fixes."""
RECORDED = ("routine", "chance", "counts", "others", "compatible")
"""What rests on more than the pack holds: 28 days of this wearer, all other wearers. As the run recorded it."""


UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError)
"""What reading and writing JSON may raise for what somebody else wrote."""


class Ran(msgspec.Struct, frozen=True):
    """The run of a manifest."""

    id: str
    algorithm: str
    parameters: dict[str, Any]
    inputs: dict[str, Any]


class Named(msgspec.Struct, frozen=True):
    """Who signed, as the manifest says."""

    name: str
    fingerprint: str


class Listed(msgspec.Struct, frozen=True):
    """A member as the manifest lists it."""

    bytes: int
    sha256: str


class Shape(msgspec.Struct, frozen=True):
    """A manifest, as far as checks need it."""

    wearer: str
    verdict: str
    dated: str
    crime: dict[str, Any]
    run: Ran
    software: dict[str, str]
    signer: Named | None
    members: dict[str, Listed]


def manifest_of(case: Case, members: Mapping[str, bytes], fingerprint: str = "") -> bytes:
    """The manifest of these members, in canonical JSON that a person can read."""
    files = sorted(
        {(origin.file, origin.sha256) for origin in case.origins if origin and not origin.file.startswith("raw-")}
    )
    return encode({
        "format": FORMAT,
        "crime": case.crime.record(),
        "wearer": case.person.wearer, "verdict": case.verdict, "support": case.match["support"],
        "dated": to_iso(case.dated_us),
        "run": {"id": case.run.id, **case.run._asdict()},
        "software": dict(case.software), "configuration": dict(case.configuration),
        "origins": [{"file": file, "sha256": sha256} for file, sha256 in files],
        "recomputed": list(RECOMPUTED), "recorded": list(RECORDED),
        "signer": {"name": case.signer, "fingerprint": fingerprint} if case.signer else None,
        "members": {name: {"bytes": len(members[name]), "sha256": sha256_of(members[name])} for name in _covered(members)},
    })  # fmt: skip


def sums_of(members: Mapping[str, bytes]) -> bytes:
    """The lines of SHA256SUMS, as `sha256sum --check` reads them, over all members but itself."""
    names = (name for name in ORDER if name in members and name != SUMS)
    return "".join(f"{sha256_of(members[name])}  {name}\n" for name in names).encode()


def read_manifest(members: Mapping[str, bytes]) -> dict[str, Any]:
    """The manifest of a pack; InputError where there is none, or it is not written as manifests are."""
    if MANIFEST not in members:
        raise InputError("has no manifest.json")
    try:
        found: dict[str, Any] = msgspec.json.decode(members[MANIFEST], type=dict[str, Any])
    except UNREADABLE as error:
        raise InputError(f"manifest.json is no manifest: {error}") from None
    check_form(MANIFEST, members[MANIFEST], found)
    return found


def read_shape(manifest: Mapping[str, Any]) -> Shape:
    """What the checks need of a manifest of this format; InputError where it is of other types."""
    try:
        return msgspec.convert(manifest, Shape)
    except msgspec.MsgspecError as error:
        raise InputError(f"manifest.json: {error}") from None


def check_form(name: str, data: bytes, value: Any) -> None:
    """InputError where a member is not written as `encode` writes its value: a key that stands twice is read in two ways."""
    try:
        same = encode(value) == data
    except (*UNREADABLE, TypeError):
        same = False
    if not same:
        raise InputError(f"{name} is not written as a {'manifest' if name == MANIFEST else 'record'} is")


def encode(value: Any) -> bytes:
    """JSON with keys in order and two blanks of indent, and a line's end."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def sha256_of(data: bytes) -> str:
    """As hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _covered(members: Mapping[str, bytes]) -> list[str]:
    return [name for name in ORDER if name in members and name not in (MANIFEST, SIGNATURE, SUMS)]
