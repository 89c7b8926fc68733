"""Verification of a pack: its bytes, its hashes, its signature; and what was computed, computed anew by whoever can.

Whatever fails is told, not only the first. Nothing but the pack is read, and nothing in it is believed: what makes a reader
stumble is told as a failure, and what is told cannot look like a line of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from crime_match.crimes.crime import Crime
from crime_match.evidence.manifest import (
    RECOMPUTED,
    RECORDED,
    UNREADABLE,
    check_form,
    read_manifest,
    read_shape,
    sha256_of,
    sums_of,
)
from crime_match.evidence.pack import DOCUMENTS, FORMAT, MANIFEST, RECORD, SIGNATURE, SUMS, read
from crime_match.runs.run import ALGORITHM
from crime_match.trails import WearerTrail
from engine.errors import InputError

Members = Mapping[str, bytes]
OPTIONAL = ("record/payloads.jsonl", "record/root_signatures.json")
"""What proves where live positions came from."""
EARLIER: tuple[str, ...] = ()
"""Algorithms of earlier versions whose packs are verified too: their match is computed by today's algorithm."""
_LONGEST_TEXT = 2_000


class Finding(NamedTuple):
    """One thing that was looked at: whether it holds (None: a note), and what is to be said of it."""

    holds: bool | None
    text: str


class Anew(NamedTuple):
    """What the files of a record give: the crime, the trail, and the match computed from them."""

    crime: Crime
    trail: WearerTrail
    match: Mapping[str, Any]


Recompute = Callable[[Members, Mapping[str, Any]], Anew]
"""The match of a pack's own record by its manifest, computed anew; InputError where the record cannot be read."""
Look = Callable[[Members, Mapping[str, Any], Anew | None], list[Finding]]
"""What else is to be said of members and manifest, and of what was computed anew, None where it could not be."""


class Verification(NamedTuple):
    """What was found, in the order in which it was looked at; the manifest, empty where it cannot be read."""

    findings: list[Finding]
    manifest: Mapping[str, Any]

    @property
    def holds(self) -> bool:
        """Whether nothing failed."""
        return all(finding.holds is not False for finding in self.findings)


def verify(data: bytes, recompute: Recompute, looks: Mapping[str, Look], *, trusted: bool = False) -> Verification:
    """Look at all of a pack; looks: by what they look at; trusted: nothing passes that is not signed by somebody trusted."""
    found, manifest = _looked(data, recompute, looks, trusted)
    return Verification([Finding(holds, _one_line(text)) for holds, text in found], manifest)


def _looked(
    data: bytes, recompute: Recompute, looks: Mapping[str, Look], trusted: bool
) -> tuple[list[Finding], Mapping[str, Any]]:
    manifest: Mapping[str, Any] = {}
    try:
        members = read(data)
        found = [Finding(True, f"container: {len(members)} members, {len(data):,} bytes, exactly as a pack is written")]
        manifest = read_manifest(members)
        if manifest.get("format") != FORMAT:
            newer = f"its format is {_short(manifest.get('format'))}, this Tagwatch knows {FORMAT!r}: use a later one"
            raise InputError(newer)
        read_shape(manifest)
    except InputError as error:
        return [Finding(False, str(error))], manifest
    found += _hashes(members, manifest)
    anew: list[Anew] = []

    def record(members: Members, manifest: Mapping[str, Any], none: Anew | None) -> list[Finding]:
        anew.append(recompute(members, manifest))
        return _compared(members, manifest, anew[0].match, trusted)

    found += _told("record: cannot be computed anew", record, members, manifest, None)
    for what, look in looks.items():
        found += _told(f"{what}: cannot be looked at", look, members, manifest, anew[0] if anew else None)
    return found, manifest


def _told(what: str, look: Look, members: Members, manifest: Mapping[str, Any], anew: Anew | None) -> list[Finding]:
    try:
        return look(members, manifest, anew)
    except InputError as error:
        return [Finding(False, f"{what}: {error}")]
    except Exception as error:  # what is forged makes readers raise whatever they like: it fails, and the rest is looked at
        return [Finding(False, f"{what}: it makes a reader fail ({type(error).__name__}: {error})")]


def _hashes(members: Members, manifest: Mapping[str, Any]) -> list[Finding]:
    listed, found = manifest["members"], []
    lacking = [name for name in (*DOCUMENTS, *RECORD) if name not in members and name not in OPTIONAL]
    found += [Finding(False, f"{name}: is not in the pack") for name in lacking]
    for name in sorted({*listed, *members} - {MANIFEST, SIGNATURE, SUMS} - {*lacking}):
        if name not in members:
            found.append(Finding(False, f"{name}: is not in the pack, the manifest lists it"))
        elif listed.get(name) != {"bytes": len(members[name]), "sha256": sha256_of(members[name])}:
            found.append(
                Finding(False, f"{name}: is not what the manifest says: its SHA-256 is {sha256_of(members[name])}")
            )
    if members.get(SUMS) != sums_of(members):
        found.append(Finding(False, f"{SUMS}: does not hold the sums of this pack"))
    whole = not any(finding.holds is False for finding in found)
    return [*found, Finding(True, f"hashes: all {len(listed)} members are what the manifest says")] if whole else found


def _compared(members: Members, manifest: Mapping[str, Any], match: Mapping[str, Any], trusted: bool) -> list[Finding]:
    """The recorded match beside the one that was computed anew."""
    name = "record/match.json"
    try:
        told = msgspec.json.decode(members[name], type=dict[str, Any])
    except (KeyError, *UNREADABLE) as error:
        return [Finding(False, f"{name}: cannot be read: {error}")]
    check_form(name, members[name], told)
    if any(told.get(key) != manifest.get(key) for key in ("verdict", "wearer", "support")):
        return [Finding(False, f"{name}: is of another wearer or verdict than the manifest")]
    if unknown := told.keys() - {*RECOMPUTED, *RECORDED, "crime", "force"}:
        return [Finding(False, f"{name}: says what no match says: {_short(sorted(unknown))}")]
    algorithm = manifest["run"]["algorithm"]
    other = [key for key in RECOMPUTED if _plain(match.get(key)) != told.get(key)]
    if other:
        said = ", ".join(f"{key} {_short(told.get(key))}, computed anew {_short(_plain(match.get(key)))}" for key in other)
        return [_other(said, algorithm, trusted)]
    n = len(told.get("fixes", ()))
    by = algorithm if algorithm == ALGORITHM else f"{ALGORITHM}; {algorithm} had found the same"
    recorded = ", ".join(key for key in RECORDED if key in told or key in ("counts", "others"))
    return [
        Finding(True, f"record: {told['verdict']} computed anew from the pack's own fixes ({n} in the window) by {by}"),
        Finding(
            None,
            f"as recorded, not computed anew: {recorded}; the wearer's name and force, the crime's text, "
            "versions of software and configuration",
        ),
    ]


def _other(said: str, algorithm: str, trusted: bool) -> Finding:
    """A match that does not come out again: wrong, but for an earlier algorithm where somebody trusted vouches for it."""
    if algorithm not in EARLIER:
        return Finding(False, f"record: the match is another when it is computed from the pack's own fixes: {said}")
    text = f"record: NOT COMPUTED ANEW: by {algorithm} it was another than {ALGORITHM} finds: {said}"
    return Finding(None, f"{text}; it rests on the signature") if trusted else Finding(
        False, f"{text}; without a trusted signature (--trust) nothing shows that it was found at all"
    )  # fmt: skip


def refuse_algorithm(algorithm: str, software: Mapping[str, str]) -> None:
    """InputError for an algorithm that this Tagwatch does not know: a later one, or none at all."""
    if algorithm not in (ALGORITHM, *EARLIER):
        made = ", ".join(f"{name} {version}" for name, version in software.items() if name == "tagwatch") or "none told"
        raise InputError(
            f"another algorithm, which the version of Tagwatch that built the pack has: {made}", field="algorithm",
            value=algorithm, expected=" or ".join((ALGORITHM, *EARLIER)),
        )  # fmt: skip


def _plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _one_line(text: str) -> str:
    """The text so that it stays one line on any screen: what cannot be printed as its number, not without end."""
    cut = text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 3]}..."
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in cut)
