"""Evidence packs, by somebody who knows how they are made: hashes and sums are put right after a change."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from functools import cache

import msgspec

from crime_match.evidence.build import build
from crime_match.evidence.manifest import encode, sha256_of, sums_of
from crime_match.evidence.pack import MANIFEST, ORDER, RECORD, SUMS, read, write
from crime_match.evidence.signing.trial_key import make_trial_key
from crime_match.question import Parameters
from crime_match.runs.run import Run
from tagwatch.evidence import record_of, verify_pack
from tests.evidence_case import case
from tests.fuzz.target import Target, require

_CHOICES = tuple(name for name in ORDER if name in (*RECORD, MANIFEST, "manifest.sig", "report.pdf"))


@cache
def _pack(signed: bool) -> dict[str, bytes]:
    signer = make_trial_key("A force", "ed25519") if signed else None
    one = case(40, **({"signer": signer.name} if signer else {}))
    run = Run(one.run.algorithm, dict(sorted(one.run.parameters.items())), dict(sorted(one.run.inputs.items())))
    one = replace(one, run=run)
    return read(build(one, record_of(one.crime, one.trail, Parameters(), one.match), signer))


def _member(data: bytes) -> Hashable:
    """The first byte chooses the member that the input becomes, and whether the pack is signed."""
    choice = data[0] if data else 0
    members = dict(_pack(bool(choice & 0x80)))
    name = _CHOICES[choice % 0x80 % len(_CHOICES)]
    is_same = members.get(name) == data[1:]
    members[name] = data[1:]
    if name != MANIFEST:
        told = msgspec.json.decode(members[MANIFEST])
        if name in told["members"]:
            told["members"][name] = {"bytes": len(members[name]), "sha256": sha256_of(members[name])}
        members[MANIFEST] = encode(told)
    members[SUMS] = sums_of(members)
    found = verify_pack(write(members))
    require(all(finding.text and "\n" not in finding.text for finding in found.findings), "a finding of two lines")
    require(is_same or not choice & 0x80 or not found.holds, "a signed pack was changed and verifies")
    return name, found.holds, tuple(sorted({finding.text[:24] for finding in found.findings if finding.holds is False}))[:3]


def _container(data: bytes) -> Hashable:
    members = read(data)
    require(write(members) == data, "a pack written and read again differs")
    return len(members)


def _seeds() -> list[bytes]:
    found = []
    for signed in (False, True):
        for k, name in enumerate(_CHOICES):
            if name in _pack(signed):
                found.append(bytes([k | 0x80 * signed]) + _pack(signed)[name])
    return found


def _containers() -> list[bytes]:
    few = {name: content[:200] for name, content in _pack(True).items()}
    return [write(few), write({"README.txt": b"x"})]


TARGETS = (
    Target(
        "evidence_container",
        _container,
        _containers,
        (),
        (b"PK\3\4", b"PK\1\2", b"PK\5\6", b"record/case.json"),
        most_bytes=8_192,
    ),
    Target("evidence_members", _member, _seeds, ("json", "csv", "lines"), most_bytes=60_000, share=0.02, limit_s=20.0),
)
