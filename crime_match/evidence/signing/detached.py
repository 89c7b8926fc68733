"""The detached signature of a pack's manifest, which `openssl cms -verify` checks too."""

from __future__ import annotations

from collections.abc import Sequence

from crime_match.evidence.signing import cms
from crime_match.evidence.signing.keys import Signer
from crime_match.evidence.signing.signed import Signed, check_container, digest_of


def sign(data: bytes, signer: Signer) -> bytes:
    """The signature of the data (CMS, DER): the same bytes each time."""
    return cms.make(digest_of(data)(cms.digest_name(signer.certificate)), signer)


def check(data: bytes, signature: bytes, trust: Sequence[bytes] = (), dated_us: int | None = None) -> Signed:
    """Whether the signature is of these data; trust: certificates in PEM that are believed; dated_us: the date of the data."""
    return check_container(signature, digest_of(data), trust, dated_us)
