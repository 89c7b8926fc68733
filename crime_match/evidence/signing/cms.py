"""The signature itself: CMS (RFC 5652) in exactly one form, so that one byte more, less or other is found.

Signed are the digest of the data and the digests of all certificates (ESS, RFC 5035: the form of CAdES and PAdES, level B).
No time and nothing random is in it: RSA PKCS #1 v1.5 with SHA-256, and Ed25519 with SHA-512 (RFC 8419), are the same each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from asn1crypto import cms, tsp
from asn1crypto import x509 as der
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from crime_match.evidence.signing.keys import Signer, chain_of, fingerprint_of, refuse_kind
from engine.errors import InputError

_HASH: Final = {"rsa": "sha256", "ed25519": "sha512"}
_MECHANISM: Final = {"rsa": "sha256_rsa", "ed25519": "ed25519"}


class Parts(NamedTuple):
    """What differs between signatures: the certificates (the signer's first), the digest of the data, the signature's value."""

    chain: tuple[x509.Certificate, ...]
    digest: bytes
    value: bytes


def digest_name(certificate: x509.Certificate) -> str:
    """The digest that is used with the certificate's key, as hashlib calls it."""
    return _HASH[_kind(certificate)]


def make(digest: bytes, signer: Signer) -> bytes:
    """The CMS container in DER over data of this digest (`digest_name`)."""
    signed = _attributes(signer.chain, digest).dump()
    key = signer.key
    value = key.sign(signed) if isinstance(key, Ed25519PrivateKey) else key.sign(signed, PKCS1v15(), hashes.SHA256())
    return write(Parts(signer.chain, digest, value))


def write(parts: Parts) -> bytes:
    """The container of these parts: the only form there is."""
    kind = _kind(parts.chain[0])
    digest_algorithm = {"algorithm": _HASH[kind]}
    info = {
        "version": "v1",
        "sid": cms.SignerIdentifier("issuer_and_serial_number", _issued_as(parts.chain[0])),
        "digest_algorithm": digest_algorithm,
        "signed_attrs": _attributes(parts.chain, parts.digest),
        "signature_algorithm": {"algorithm": _MECHANISM[kind]},
        "signature": parts.value,
    }  # fmt: skip
    signed_data = {
        "version": "v1",
        "digest_algorithms": [digest_algorithm],
        "encap_content_info": {"content_type": "data"},
        "certificates": [cms.CertificateChoices("certificate", _der(each)) for each in parts.chain],
        "signer_infos": [info],
    }
    return bytes(cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed_data)}).dump())


def read(container: bytes) -> Parts:
    """The parts of a container; InputError where it is not byte for byte as `write` writes it."""
    try:
        parts = _parts(container)
        again = write(parts)
    except InputError:
        raise
    except Exception as error:  # what is damaged makes the readers of DER raise whatever they like
        raise InputError(f"the signature is damaged, or none that Tagwatch makes ({type(error).__name__})") from None
    if again != container:
        raise InputError("the signature is damaged, or none that Tagwatch makes (it has another form)")
    return parts


def holds(parts: Parts) -> bool:
    """Whether the signature's value was made by the key of the certificate over the digest and the certificates."""
    key, signed = parts.chain[0].public_key(), _attributes(parts.chain, parts.digest).dump()
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(parts.value, signed)
        elif isinstance(key, RSAPublicKey):
            key.verify(parts.value, signed, PKCS1v15(), hashes.SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _parts(container: bytes) -> Parts:
    data = cms.ContentInfo.load(container, strict=True)["content"]
    (info,) = data["signer_infos"]
    certificates = [x509.load_der_x509_certificate(each.chosen.dump()) for each in data["certificates"]]
    own = next(each for each in certificates if _issued_as(each).dump() == info["sid"].chosen.dump())
    refuse_kind(own.public_key())
    (digest,) = next(each["values"] for each in info["signed_attrs"] if each["type"].native == "message_digest")
    return Parts(chain_of(own, certificates), digest.native, info["signature"].native)


def _attributes(chain: Sequence[x509.Certificate], digest: bytes) -> cms.CMSAttributes:
    named = [tsp.ESSCertIDv2({"cert_hash": bytes.fromhex(fingerprint_of(each))}) for each in chain]
    return cms.CMSAttributes([
        cms.CMSAttribute({"type": "content_type", "values": ["data"]}),
        cms.CMSAttribute({"type": "message_digest", "values": [digest]}),
        cms.CMSAttribute({"type": "signing_certificate_v2", "values": [tsp.SigningCertificateV2({"certs": named})]}),
    ])  # fmt: skip


def _kind(certificate: x509.Certificate) -> str:
    return "ed25519" if isinstance(certificate.public_key(), Ed25519PublicKey) else "rsa"


def _issued_as(certificate: x509.Certificate) -> cms.IssuerAndSerialNumber:
    own = _der(certificate)
    return cms.IssuerAndSerialNumber({"issuer": own.issuer, "serial_number": own.serial_number})


def _der(certificate: x509.Certificate) -> der.Certificate:
    return der.Certificate.load(certificate.public_bytes(Encoding.DER))
