"""Whether a chain of certificates leads to one that is trusted (RFC 5280, section 6), without any network."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from asn1crypto import x509 as der
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathBuildingError, ValidationError

from engine.errors import InputError


def distrust(chain: Sequence[x509.Certificate], trust: Sequence[bytes], at: datetime) -> str:
    """Why the chain is not trusted at this instant; empty where it is. trust: certificates in PEM, InputError where not."""
    roots = [each for text in trust for each in read_certificates(text)]
    if chain[0].not_valid_after_utc < at:  # asked here too, as nothing is asked of a certificate that is itself trusted
        return f"the certificate is not trusted: it ended at {chain[0].not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC"
    own, *others = (_der(each) for each in chain)
    context = ValidationContext(
        trust_roots=[_der(root) for root in roots], other_certs=others, moment=at, allow_fetching=False,
        revocation_mode="soft-fail",
    )  # fmt: skip
    validator = CertificateValidator(own, intermediate_certs=others, validation_context=context)
    try:
        with ThreadPoolExecutor(1) as own_thread:  # asyncio.run fails in a thread whose caller runs a loop, as a server may
            own_thread.submit(asyncio.run, validator.async_validate_usage(set())).result()  # type: ignore[no-untyped-call]
    except PathBuildingError:
        return "the certificate leads to none of those that are trusted"
    except ValidationError as error:
        return f"the certificate is not trusted: {error.failure_msg}"
    return ""


def read_certificates(text: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM file; InputError where there is none in it."""
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError as error:
        raise InputError(f"cannot be read: {error}", field="trusted certificate", value="a file", expected="PEM") from None


def _der(certificate: x509.Certificate) -> der.Certificate:
    return der.Certificate.load(certificate.public_bytes(Encoding.DER))
