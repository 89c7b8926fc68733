"""What the check of a signature tells."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509

from crime_match.evidence.signing import cms
from crime_match.evidence.signing.keys import fingerprint_of, is_issued_by, name_of
from engine.errors import InputError
from engine.times import from_datetime, to_datetime, to_iso


class Signed(NamedTuple):
    """intact: the data are those that were signed, all of them; valid: the signature was made by the key of the certificate;
    by, fingerprint: subject and SHA-256 of the certificate; problems: why not, empty exactly where all is well;
    self_signed: certified by nobody but itself; trusted: None where nothing was given to trust; notes: what should be told.
    """

    intact: bool
    valid: bool
    by: str
    fingerprint: str
    problems: tuple[str, ...]
    self_signed: bool
    trusted: bool | None = None
    notes: tuple[str, ...] = ()


def refused(problem: str) -> Signed:
    """The answer where there is no signature that can be read."""
    return Signed(False, False, "", "", (problem,), False)


def check_container(
    container: bytes, feed: Callable[[str], bytes], trust: Sequence[bytes] = (), dated_us: int | None = None
) -> Signed:
    """Checks a container over data of which `feed` gives the digest by name; trust: certificates in PEM; dated_us: the date of
    what is signed. No clock: a chain is judged at the earliest instant at which the signature can have been made."""
    try:
        parts = cms.read(container)
    except InputError as error:
        return refused(str(error))
    own = parts.chain[0]
    intact, valid = parts.digest == feed(cms.digest_name(own)), cms.holds(parts)
    problems = [] if intact else ["the data are not those that were signed"]
    if not valid:
        problems.append("the signature was not made by the key of its certificate")
    doubt = _distrust(parts.chain, trust, dated_us) if trust else ""
    if doubt:
        problems.append(doubt)
    return Signed(
        intact, valid, name_of(own), fingerprint_of(own), tuple(problems), is_issued_by(own, own),
        not doubt if trust else None, notes_on(own, dated_us),
    )  # fmt: skip


def notes_on(certificate: x509.Certificate, dated_us: int | None = None) -> tuple[str, ...]:
    """What a reader should be told of a certificate that signs, or is to sign, something of this date."""
    notes = []
    if is_issued_by(certificate, certificate):
        notes.append("the certificate is self-signed: only its fingerprint tells whose it is")
    ends_us = from_datetime(certificate.not_valid_after_utc)
    if dated_us is not None and ends_us < dated_us:
        notes.append(f"the certificate ended at {to_iso(ends_us)}, before the date of what it signs, {to_iso(dated_us)}")
    begins_us = from_datetime(certificate.not_valid_before_utc)
    if dated_us is not None and begins_us > dated_us:
        notes.append(f"the certificate begins at {to_iso(begins_us)}: it was not signed before that, {to_iso(dated_us)} is the "
                     "date of what is signed")  # fmt: skip
    if _may_not_sign(certificate):
        notes.append("the certificate is not meant for signatures (its key usage says so)")
    return tuple(notes)


def earliest(chain: Sequence[x509.Certificate], dated_us: int | None = None) -> datetime:
    """The earliest instant at which the chain can have signed something of this date, UTC, whole seconds: needs no clock."""
    begins = max(each.not_valid_before_utc for each in chain)
    if dated_us is None:
        return begins
    return max(begins, to_datetime(dated_us).astimezone(UTC).replace(microsecond=0))


def digest_of(*pieces: bytes | memoryview) -> Callable[[str], bytes]:
    """A digest by name, of the pieces one after the other."""

    def feed(name: str) -> bytes:
        found = hashlib.new(name)
        for piece in pieces:
            found.update(piece)
        return found.digest()

    return feed


def _may_not_sign(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return not (usage.digital_signature or usage.content_commitment)


def _distrust(chain: Sequence[x509.Certificate], trust: Sequence[bytes], dated_us: int | None) -> str:
    from crime_match.evidence.signing.trust import distrust  # noqa: PLC0415  takes 0.3 s to import, and is seldom asked for

    return distrust(chain, trust, earliest(chain, dated_us))
