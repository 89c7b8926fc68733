"""Verification of a pack: its bytes, its hashes, its signature; and what was computed, computed anew by whoever can.

Whatever fails is told, not only the first. Nothing but the pack is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from crime_match.evidence.manifest import RECOMPUTED, read_manifest, sha256_of, sums_of
from crime_match.evidence.pack import DOCUMENTS, FORMAT, MANIFEST, RECORD, SIGNATURE, SUMS, read
from engine.errors import InputError

Members = Mapping[str, bytes]
Recompute = Callable[[Members], Mapping[str, Any]]
"""The match of a pack's own record, computed anew; raises InputError where the record cannot be read."""
OPTIONAL = ("record/payloads.jsonl", "record/root_signatures.json")
"""What proves where live positions came from."""


class Finding(NamedTuple):
    """One thing that was looked at: whether it holds (None: a note), and what is to be said of it."""

    holds: bool | None
    text: str


class Verification(NamedTuple):
    """What was found, in the order in which it was looked at; the manifest, empty where it cannot be read."""

    findings: list[Finding]
    manifest: Mapping[str, Any]

    @property
    def holds(self) -> bool:
        """Whether nothing failed."""
        return all(finding.holds is not False for finding in self.findings)


def verify(
    data: bytes, recompute: Recompute, looks: Sequence[Callable[[Members, Mapping[str, Any]], list[Finding]]] = ()
) -> Verification:
    """Look at all of a pack; looks: what else is to be said of its members and its manifest, such as of signatures."""
    try:
        members = read(data)
    except InputError as error:
        return Verification([Finding(False, str(error))], {})
    found = [Finding(True, f"container: {len(members)} members, {len(data):,} bytes, exactly as a pack is written")]
    try:
        manifest = read_manifest(members)
    except InputError as error:
        return Verification([*found, Finding(False, str(error))], {})
    if manifest.get("format") != FORMAT:
        newer = f"its format is {manifest.get('format')!r}, this Tagwatch knows {FORMAT!r}: use a later one"
        return Verification([*found, Finding(False, newer)], manifest)
    found += [*_hashes(members, manifest), *_recomputed(members, manifest, recompute)]
    found += [finding for look in looks for finding in look(members, manifest)]
    return Verification(found, manifest)


def _hashes(members: Members, manifest: Mapping[str, Any]) -> list[Finding]:
    listed, found = manifest.get("members", {}), []
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


def _recomputed(members: Members, manifest: Mapping[str, Any], recompute: Recompute) -> list[Finding]:
    try:
        told = msgspec.json.decode(members["record/match.json"], type=dict[str, Any])
        found = recompute(members)
    except (InputError, KeyError, msgspec.MsgspecError) as error:
        return [Finding(False, f"record: cannot be computed anew: {error}")]
    run = manifest.get("run", {})
    if told.get("verdict") != manifest.get("verdict") or told.get("wearer") != manifest.get("wearer"):
        return [Finding(False, "record/match.json: is of another wearer or verdict than the manifest")]
    other = [key for key in RECOMPUTED if _plain(found.get(key)) != told.get(key)]
    if other:
        said = ", ".join(f"{key} {_short(told.get(key))}, computed anew {_short(_plain(found.get(key)))}" for key in other)
        return [Finding(False, f"record: the match is another when it is computed from the pack's own fixes: {said}")]
    n = len(told.get("fixes", ()))
    text = (
        f"record: {told['verdict']} computed anew from the pack's own fixes ({n} in the window) by {run.get('algorithm')}"
    )
    return [
        Finding(True, text),
        Finding(None, "as recorded, not computed anew: routine, chance, the counts of other wearers"),
    ]


def _plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
