"""The signature inside the PDF: PAdES, level B, over every byte of the file but its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crime_match.evidence.signing.keys import Signer
from crime_match.evidence.signing.signed import Signed, check_container, digest_of, refused

_RANGE = re.compile(rb"/ByteRange \[0 (\d{1,12}) (\d{1,12}) (\d{1,12})\]")


def sign(
    pdf: bytes, signer: Signer, *, dated_us: int, reason: str = "", location: str = "", name: str = "",
) -> bytes:  # fmt: skip
    """The PDF with a signature appended that allows no change after it: the same bytes each time.

    The time in it is the date given, or where the certificate begins later, that: the earliest at which it can have been made.
    InputError where the PDF cannot be read, or is signed already.
    """
    from crime_match.evidence.signing.pdf_update import append  # noqa: PLC0415  pyHanko takes 0.4 s to import

    return append(pdf, signer, dated_us=dated_us, reason=reason, location=location, name=name)


def check(pdf: bytes, trust: Sequence[bytes] = (), dated_us: int | None = None) -> Signed:
    """Whether the PDF has a signature that covers the whole file, and is right; trust, dated_us: as in `detached.check`."""
    ranges = [[int(number) for number in found.groups()] for found in _RANGE.finditer(pdf)]
    if not ranges:
        return refused("the PDF is not signed")
    whole = [(start, end) for start, end, rest in ranges if start < end and end + rest == len(pdf)]
    if not whole:
        return refused("the signature does not cover the whole PDF")
    start, end = whole[-1]
    try:
        container = _unhex(pdf[start:end])
    except ValueError:
        return refused("the place of the PDF's signature holds no signature")
    view = memoryview(pdf)
    return check_container(container, digest_of(view[:start], view[end:]), trust, dated_us)


def _unhex(place: bytes) -> bytes:
    container = bytes.fromhex(place[1:-1].decode("ascii"))
    if place != b"<" + container.hex().upper().encode() + b">":
        raise ValueError
    return container
