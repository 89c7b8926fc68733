"""The update of a PDF that carries a signature, appended by pyHanko without clock and without chance."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO

from cryptography import x509
from pyhanko.pdf_utils.generic import ArrayObject, ByteStringObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import InvisSigSettings, MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigMDPSetup, SigObjSetup
from pyhanko.sign.signers.pdf_byterange import SignatureObject

from crime_match.evidence.signing import cms
from crime_match.evidence.signing.keys import Signer, name_of
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
    algorithm = cms.digest_name(signer.certificate)
    n_bytes = len(cms.make(bytes(hashlib.new(algorithm).digest_size), signer))  # of all signatures by this key
    made = partial(cms.make, signer=signer)
    return _update(pdf, signer.chain, made, n_bytes, dated_us, (reason, location, name or signer.name))


def append_again(pdf: bytes, container: bytes, *, dated_us: int, reason: str, location: str, name: str) -> bytes:
    """What `append` gave where it made this container: shows that a signed PDF is this one, and nothing else beside it."""
    chain = cms.read(container).chain
    told = reason, location, name or name_of(chain[0])
    return _update(pdf, chain, lambda digest: container, len(container), dated_us, told)


def _update(
    pdf: bytes, chain: Sequence[x509.Certificate], made: Callable[[bytes], bytes], n_bytes: int, dated_us: int,
    told: tuple[str, str, str],
) -> bytes:  # fmt: skip
    """The PDF with the container that is made over its digest; told: reason, location and name."""
    try:
        reader = PdfFileReader(BytesIO(pdf))
        is_signed = bool(reader.embedded_signatures)
        update = _Update(reader.stream, prev=reader)
    except (PdfError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the PDF cannot be read: {error}") from None
    if is_signed:
        raise InputError("the PDF is signed already")
    algorithm, (reason, location, name) = cms.digest_name(chain[0]), told
    steps = PdfCMSEmbedder(new_field_spec=FIELD).write_cms(FIELD.sig_field_name, update)
    next(steps)
    place = SignatureObject(
        timestamp=earliest(chain, dated_us), subfilter=SigSeedSubFilter.PADES, reason=reason or None,
        location=location or None, name=name, bytes_reserved=2 * n_bytes,
    )  # fmt: skip
    steps.send(SigObjSetup(place, SigMDPSetup(algorithm, certify=True, docmdp_perms=MDPPerm.NO_CHANGES)))
    prepared, out = steps.send(SigIOSetup(algorithm))
    steps.send(made(prepared.document_digest))
    return bytes(out.getvalue())
