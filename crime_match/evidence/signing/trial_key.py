"""A key for trying out: certified by nobody but itself, and its name says so."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from crime_match.evidence.signing.keys import Signer
from engine.errors import InputError

RSA_BITS: Final = 3072
_FROM = datetime(2000, 1, 1, tzinfo=UTC)
_TO = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280, 4.1.2.5: no well-defined end
_LONGEST_NAME: Final = 64  # RFC 5280, ub-common-name


def make_trial_key(name: str = "Tagwatch trial key", kind: Literal["rsa", "ed25519"] = "rsa") -> Signer:
    """A new key, self-signed, without an end; InputError for a name that no certificate can carry."""
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise InputError(field="name", value=name, expected=f"1 to {_LONGEST_NAME} printable characters")
    key = Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, RSA_BITS)
    subject = x509.Name([
        x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "For trial only: certified by nobody"),
        x509.NameAttribute(x509.NameOID.COMMON_NAME, name),
    ])  # fmt: skip
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), _FROM, _TO)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256())
    )
    return Signer(key, (certificate,))


def write_pem(path: str | Path, signer: Signer, password: bytes | None = None) -> None:
    """The key and its certificates as PEM, readable by its owner only; with a password encrypted. Never over a file that is
    there: InputError."""
    locked: KeySerializationEncryption = BestAvailableEncryption(password) if password else NoEncryption()
    text = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
    text += b"".join(each.public_bytes(Encoding.PEM) for each in signer.chain)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
    except FileExistsError:
        raise InputError("is there already, and a key is never written over", place=str(path)) from None
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", place=str(path)) from None


_USAGE = x509.KeyUsage(
    digital_signature=True, content_commitment=True, key_encipherment=False, data_encipherment=False, key_agreement=False,
    key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
)  # fmt: skip
