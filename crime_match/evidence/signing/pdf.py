"""The signature inside the PDF: PAdES, level B, over every byte of the file but its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crime_match.evidence.signing.keys import Signer
from crime_match.evidence.signing.signed import Signed, check_container, digest_of, refused
from engine.errors import InputError

_RANGE = re.compile(rb"/ByteRange \[0 (\d{1,12}) (\d{1,12}) (\d{1,12})\]")


def reason_for(reference: str) -> str:
    """What a signature in the report of a crime says it is for."""
    return f"Evidence pack: crime {reference}"


def sign(
    pdf: bytes, signer: Signer, *, dated_us: int, reason: str = "", location: str = "", name: str = "",
) -> bytes:  # fmt: skip
    """The PDF with a signature appended that allows no change after it: the same bytes each time.

    The time in it is the date given, or where the certificate begins later, that: the earliest at which it can have been made.
    InputError where the PDF cannot be read, or is signed already.
    """
    from crime_match.evidence.signing.pdf_update import append  # noqa: PLC0415  pyHanko takes 0.4 s to import

    return append(pdf, signer, dated_us=dated_us, reason=reason, location=location, name=name)


def signed_again(pdf: bytes, signed: bytes, *, dated_us: int, reason: str) -> bytes:
    """The PDF with the signature that stands in another, as `sign` would have put it there: the same bytes exactly where
    nothing but the signature was added to the PDF. InputError where the other holds none."""
    from crime_match.evidence.signing.pdf_update import append_again  # noqa: PLC0415  as above

    container = _place(signed)[0]
    return append_again(pdf, container, dated_us=dated_us, reason=reason, location="", name="")


def is_signed(pdf: bytes) -> bool:
    """Whether a signature stands in it that says to cover the whole of it, right or wrong."""
    try:
        _place(pdf)
    except InputError:
        return False
    return True


def check(pdf: bytes, trust: Sequence[bytes] = (), dated_us: int | None = None) -> Signed:
    """Whether the PDF has a signature that covers the whole file, and is right; trust, dated_us: as in `detached.check`."""
    try:
        container, start, end = _place(pdf)
    except InputError as error:
        return refused(str(error))
    view = memoryview(pdf)
    return check_container(container, digest_of(view[:start], view[end:]), trust, dated_us)


def _place(pdf: bytes) -> tuple[bytes, int, int]:
    """The container of the last signature, where its place begins and ends; InputError where none covers the whole PDF."""
    ranges = [[int(number) for number in found.groups()] for found in _RANGE.finditer(pdf)]
    if not ranges:
        raise InputError("the PDF is not signed")
    whole = [(start, end) for start, end, rest in ranges if start < end and end + rest == len(pdf)]
    if not whole:
        raise InputError("the signature does not cover the whole PDF")
    start, end = whole[-1]
    try:
        return _unhex(pdf[start:end]), start, end
    except ValueError:
        raise InputError("the place of the PDF's signature holds no signature") from None


def _unhex(place: bytes) -> bytes:
    container = bytes.fromhex(place[1:-1].decode("ascii"))
    if place != b"<" + container.hex().upper().encode() + b">":
        raise ValueError
    return container
