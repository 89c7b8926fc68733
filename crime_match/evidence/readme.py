"""The first file of a pack: what it is, what is in it, and how anybody can check it."""

from __future__ import annotations

from crime_match.evidence.case import Case
from crime_match.evidence.rows import local_text
from crime_match.evidence.tables import visible

_UNSIGNED = """\
*********************************************************************
*  THIS PACK IS NOT SIGNED. Whoever had it in hand could have made   *
*  it anew. Its hashes show damage, they do not show who made it.    *
*********************************************************************

"""
_TEXT = """\
Evidence pack of Tagwatch
=========================

Crime     {reference} ({force})
Wearer    {wearer}
Verdict   {verdict}
Date      {dated}, the newest of its inputs
Signed    {signed}

What is in it
-------------
report.pdf       the report; read this first
statement.docx   a draft statement: facts only, blanks to fill
fixes.csv        the positions as a table; fixes.geojson, fixes.gpkg, fixes.kml: the same for maps
crime.csv        what was asked
method.txt       how the answer is found, and its limits
record/          what the answer is computed from, as files of Tagwatch, for programs
manifest.json    SHA-256 of each file, parameters, versions, and where each position came from
manifest.sig     the signature of manifest.json (CMS), where the pack is signed
SHA256SUMS       the same sums, for sha256sum

How to check it
---------------
With Tagwatch, on any machine, without a database:

    tagwatch evidence verify PACK.zip

It looks at every byte, the hashes and the signatures, computes the verdict anew from the positions in the pack, and makes
the documents anew from the record to compare them. It says what fails, and what it could not check. In a pack that is not
signed, or by a key that you do not know, it shows that one thing follows from the other, not that the record is true.
Without Tagwatch: unpack it, then

    sha256sum --check SHA256SUMS
    openssl cms -verify -binary -inform DER -in manifest.sig -content manifest.json -noverify -out /dev/null

The second line is for a pack signed with an RSA key (few programs know Ed25519 in this form). It says that the
signature is right, not whose key it is: compare the certificate's fingerprint with the one that its owner tells you.
The date above, and the one in the signature of the PDF, is that of the newest input, not of the moment at which
somebody signed.

To compute the answer yourself, in the unpacked folder:

    tagwatch match --crimes record/crimes.csv --trails record/fixes.csv \\
        --activations record/activations.csv --events record/events.csv {options}

A position places a tag, not a person's hands. Nothing here says that anybody committed a crime.
"""


def readme(case: Case) -> bytes:
    """The text, in UTF-8 with plain line ends."""
    parameters = case.run.parameters
    options = (
        f"--radius {parameters['radius_m']:g} --pad {parameters['pad_us'] / 60e6:g} "
        f"--max-speed {parameters['max_speed_mps']:g} --min-fixes {parameters['min_fixes']}"
    )
    text = _TEXT.format(
        reference=visible(case.crime.reference), force=visible(case.crime.force) or "no force told",
        wearer=visible(case.person.wearer), verdict=case.verdict, dated=local_text(case.dated_us, "UTC"),
        signed=f"by {visible(case.signer)}" if case.signer else "no", options=options,
    )  # fmt: skip
    return (text if case.signer else _UNSIGNED + text).encode()
