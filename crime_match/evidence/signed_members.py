"""What is to be said of a pack's signatures: that of the manifest, which covers every member, and that inside the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crime_match.evidence.pack import MANIFEST, SIGNATURE
from crime_match.evidence.signing import detached, pdf
from crime_match.evidence.signing.signed import Signed
from crime_match.evidence.verify import Finding
from engine.errors import InputError
from engine.times import parse_time

_REPORT = "report.pdf"


def check_signatures(
    members: Mapping[str, bytes], manifest: Mapping[str, Any], *, must_be_signed: bool, trust: Sequence[bytes]
) -> list[Finding]:
    """An unsigned pack is told of loudly, and fails only where it must be signed; trust: certificates in PEM."""
    signer = manifest.get("signer")
    if signer is None and SIGNATURE not in members:
        loud = (
            "THE PACK IS NOT SIGNED: whoever had it in hand could have made it anew, with other positions, names and "
            "documents: it says what follows from its record, not that the record is true"
        )
        unsigned = [Finding(False if must_be_signed else None, loud)]
        if pdf.is_signed(members.get(_REPORT, b"")):
            unsigned.append(Finding(False, "signature: the report carries one and the pack does not: it was taken off"))
        return unsigned
    if not isinstance(signer, Mapping) or SIGNATURE not in members:
        return [Finding(False, "signature: the manifest and the pack do not agree whether it is signed")]
    try:
        dated_us = parse_time(str(manifest.get("dated")))
    except InputError as error:
        return [Finding(False, f"manifest.json: {error}")]
    found = [
        ("signature of the pack", detached.check(members[MANIFEST], members[SIGNATURE], trust, dated_us)),
        ("signature in the report", pdf.check(members.get(_REPORT, b""), trust, dated_us)),
    ]
    return [finding for what, signed in found for finding in _told(what, signed, signer)]


def _told(what: str, signed: Signed, signer: Mapping[str, Any]) -> list[Finding]:
    problems = list(signed.problems)
    if not problems and signed.fingerprint != signer.get("fingerprint"):
        problems.append("made by another key than the manifest names")
    elif not problems and signed.by != signer.get("name"):
        problems.append(f"made by {signed.by}, the manifest names {signer.get('name')}")
    if problems:
        return [Finding(False, f"{what}: {'; '.join(problems)}")]
    known = "certified by nobody but itself" if signed.self_signed else "its certificate"
    whose = "a key that is trusted here" if signed.trusted else f"{known}; whose key it is was not checked (--trust)"
    notes = [Finding(None, f"{what}: {note}") for note in signed.notes]
    return [Finding(True, f"{what}: by {signed.by}, SHA-256 {signed.fingerprint}, {whose}"), *notes]
