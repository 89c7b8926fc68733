"""The update of a PDF that carries a signature, appended by pyHanko without clock and without chance."""

from __future__ import annotations

import hashlib
from io import BytesIO

from pyhanko.pdf_utils.generic import ArrayObject, ByteStringObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import InvisSigSettings, MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigMDPSetup, SigObjSetup
from pyhanko.sign.signers.pdf_byterange import SignatureObject

from crime_match.evidence.signing import cms
from crime_match.evidence.signing.keys import Signer
from crime_match.evidence.signing.signed import earliest
from engine.errors import InputError

FIELD = SigFieldSpec(
    "Signature",
    # Printable and without an extent off the page: the one place for an untagged field that PDF/A and PDF/UA both allow.
    invis_sig_settings=InvisSigSettings(set_print_flag=True, set_hidden_flag=False, box_out_of_bounds=True),
    readable_field_name="Signature of the whole document",
)


class _Update(IncrementalPdfFileWriter):
    """pyHanko gives the file a random identifier and the clock's date in its metadata; here both come from the file."""

    @classmethod
    def _handle_id(cls, prev: PdfFileReader) -> ArrayObject:
        prev.stream.seek(0)
        second = ByteStringObject(hashlib.sha256(prev.stream.read()).digest()[:16])
        first = ByteStringObject(prev.document_id[0]) if "/ID" in prev.trailer else second
        return ArrayObject([first, second])

    def _update_meta(self) -> None:
        """The document's own dates stay: the signature changes nothing that it says."""


def append(pdf: bytes, signer: Signer, *, dated_us: int, reason: str, location: str, name: str) -> bytes:
    """As `pdf.sign`."""
    try:
        reader = PdfFileReader(BytesIO(pdf))
        is_signed = bool(reader.embedded_signatures)
        update = _Update(reader.stream, prev=reader)
    except (PdfError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the PDF cannot be read: {error}") from None
    if is_signed:
        raise InputError("the PDF is signed already")
    algorithm = cms.digest_name(signer.certificate)
    n_bytes = len(cms.make(bytes(hashlib.new(algorithm).digest_size), signer))  # of all signatures by this key
    steps = PdfCMSEmbedder(new_field_spec=FIELD).write_cms(FIELD.sig_field_name, update)
    next(steps)
    place = SignatureObject(
        timestamp=earliest(signer.chain, dated_us), subfilter=SigSeedSubFilter.PADES, reason=reason or None,
        location=location or None, name=name or signer.name, bytes_reserved=2 * n_bytes,
    )  # fmt: skip
    steps.send(SigObjSetup(place, SigMDPSetup(algorithm, certify=True, docmdp_perms=MDPPerm.NO_CHANGES)))
    prepared, out = steps.send(SigIOSetup(algorithm))
    steps.send(cms.make(prepared.document_digest, signer))
    return bytes(out.getvalue())
