"""The key that signs: read from PKCS#12 or PEM, together with its certificate and those above it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

from engine.errors import InputError

PASSWORD: Final = "TAGWATCH_KEY_PASSWORD"
LEAST_RSA_BITS: Final = 2048
_WANTED: Final = f"an Ed25519 key, or an RSA key of {LEAST_RSA_BITS} bits or more"
_PEM_KEY: Final = re.compile(rb"-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_LARGEST_FILE: Final = 1 << 20
_BROKEN: Final = (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature)


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with the chain of its certificates: its own first, then that of its issuer, and so on."""

    key: Ed25519PrivateKey | RSAPrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...]

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate of the key."""
        return self.chain[0]

    @property
    def name(self) -> str:
        """The subject of the certificate, as text."""
        return name_of(self.certificate)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as hexadecimal digits."""
        return fingerprint_of(self.certificate)


def read_key(path: str | Path, password: bytes | None = None) -> Signer:
    """The key in a file, PKCS#12 (.p12, .pfx) or PEM with the certificate beside it, told apart by content.

    InputError: no such file, no key in it, wrong password, certificate of another key, a kind of key that is not taken.
    The password is in no message.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", place=str(path)) from None
    try:
        return key_of(data, password)
    except InputError as error:
        raise error.at(str(path)) from None


def password_of() -> bytes | None:
    """The password of the key, from the environment: never an argument, which every process of the machine could read."""
    text = os.environ.get(PASSWORD)
    return text.encode() if text else None


def key_of(data: bytes, password: bytes | None = None) -> Signer:
    """As `read_key`, from the bytes of the file."""
    if len(data) > _LARGEST_FILE:
        raise InputError("is too large for a key", expected="a file of at most 1 MiB")
    key, certificates = _from_pem(data, password) if b"-----BEGIN" in data else _from_pkcs12(data, password)
    refuse_kind(key.public_key())
    if not certificates:
        raise InputError("has a private key and no certificate", field="certificate", expected="the certificate of the key")
    assert isinstance(key, Ed25519PrivateKey | RSAPrivateKey)  # all others are refused above
    own = next((each for each in certificates if _belongs(each, key)), None)
    if own is None:
        raise InputError(
            "is of another key: the private key in the file does not belong to it", field="certificate",
            value=name_of(certificates[0]), expected="the certificate of the private key",
        )  # fmt: skip
    return Signer(key, chain_of(own, certificates))


def chain_of(own: x509.Certificate, others: Iterable[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """The certificate and those above it, as far as they are among the others and their signatures are right."""
    chain, left = [own], sorted({*others} - {own}, key=fingerprint_of)
    while above := [other for other in left if is_issued_by(chain[-1], other)]:
        chain.append(above[0])
        left.remove(above[0])
    return tuple(chain)


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's name is the one that the certificate gives, and its key made the certificate's signature."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except _BROKEN:
        return False
    return True


def refuse_kind(key: object) -> None:
    """InputError for a public key that does not give the same signature each time, or a weak one."""
    match key:
        case Ed25519PublicKey():
            return
        case RSAPublicKey():
            if key.key_size < LEAST_RSA_BITS:
                raise InputError(field="RSA key", value=f"{key.key_size} bits", expected=_WANTED)
        case EllipticCurvePublicKey():
            raise InputError(
                "its signatures differ each time, and a pack that is built twice must be the same bytes",
                field="key", value=f"ECDSA {key.curve.name}", expected=_WANTED,
            )  # fmt: skip
        case _:
            kind = type(key).__name__.removesuffix("PublicKey").removesuffix("PrivateKey").lstrip("_")
            raise InputError(field="key", value=kind, expected=_WANTED)


def name_of(certificate: x509.Certificate) -> str:
    """The subject as text (RFC 4514); what cannot be printed is written as its number, so that a screen stays as it is."""
    text = certificate.subject.rfc4514_string() or f"no name, serial number {certificate.serial_number}"
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)


def fingerprint_of(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, as hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _belongs(certificate: x509.Certificate, key: Ed25519PrivateKey | RSAPrivateKey) -> bool:
    try:
        return certificate.public_key() == key.public_key()
    except _BROKEN:
        return False


def _from_pem(data: bytes, password: bytes | None) -> tuple[PrivateKeyTypes, Sequence[x509.Certificate]]:
    keys = list(_PEM_KEY.finditer(data))
    if not keys:
        raise InputError(field="private key", expected="one in the file, in PEM (BEGIN PRIVATE KEY) or PKCS#12")
    if len(keys) > 1:
        raise InputError(field="private keys", value=len(keys), expected="one in the file")
    block = keys[0][0]
    locked = keys[0][1].startswith(b"ENCRYPTED") or b"Proc-Type: 4,ENCRYPTED" in block
    if locked and not password:
        expected = f"the password of the key: --password-file, or the variable {PASSWORD}"
        raise InputError("the private key is encrypted", field="password", expected=expected)
    try:
        key = load_pem_private_key(block, password if locked else None)
    except _BROKEN as error:
        raise _not_opened(locked, error) from None
    try:
        return key, x509.load_pem_x509_certificates(data) if b"-----BEGIN CERTIFICATE-----" in data else []
    except _BROKEN as error:
        raise InputError(f"cannot be read: {error}", field="certificate", value="damaged") from None


def _from_pkcs12(data: bytes, password: bytes | None) -> tuple[PrivateKeyTypes, Sequence[x509.Certificate]]:
    if not data.startswith(b"\x30"):
        raise InputError("is no key file", expected="PKCS#12 (.p12, .pfx), or PEM with private key and certificate")
    try:
        found = pkcs12.load_pkcs12(data, password)
    except _BROKEN as error:
        raise _not_opened(True, error) from None
    if found.key is None:
        raise InputError(field="private key", expected="one in the file")
    own = [found.cert] if found.cert else []
    return found.key, [each.certificate for each in (*own, *found.additional_certs)]


def _not_opened(locked: bool, error: Exception) -> InputError:
    if isinstance(error, UnsupportedAlgorithm):
        return InputError(f"is of a kind, or locked in a way, that is not known here: {error}", expected=_WANTED)
    if locked:
        return InputError(
            "cannot be opened: the password is wrong, or the file is damaged", expected="the password of the key"
        )
    return InputError("cannot be read: the private key is damaged", expected=_WANTED)
