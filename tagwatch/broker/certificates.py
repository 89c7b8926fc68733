"""X.509 as the broker needs it: authorities, what they certify, and the list of what they have revoked. EC keys, P-256."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from engine.errors import InputError

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
_BEFORE = timedelta(days=1)  # clocks that are slow
_NO_USAGE = dict.fromkeys(
    ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
     "crl_sign", "encipher_only", "decipher_only"), False,
)  # fmt: skip


class Pair(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def serial(self) -> str:
        """The certificate's number, in hexadecimal."""
        return f"{self.certificate.serial_number:x}"

    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self) -> bytes:
        """The key as PEM (PKCS#8), not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def pkcs12(self, name: str, passphrase: str) -> bytes:
        """Both as PKCS#12, encrypted."""
        locked = BestAvailableEncryption(passphrase.encode())
        return pkcs12.serialize_key_and_certificates(name.encode(), self.key, self.certificate, None, locked)


def make_authority(name: str, now: datetime, days: int) -> Pair:
    """A new authority, certified by itself, that certifies ends only and no further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(**_NO_USAGE | {"key_cert_sign": True, "crl_sign": True})
    made = (
        _builder(name, name, key, now, now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return Pair(made.sign(key, hashes.SHA256()), key)


def certify(
    authority: Pair, name: str, purpose: ObjectIdentifier, now: datetime, days: int, hosts: Sequence[str] = ()
) -> Pair:
    """A new key, certified for one purpose, at most until the authority itself ends; `hosts`: names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    until = min(now + timedelta(days=days), authority.certificate.not_valid_after_utc)
    issuer = authority.key.public_key()
    made = (
        _builder(name, _name_of(authority.certificate), key, now, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**_NO_USAGE | {"digital_signature": True}), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
    )
    if hosts:
        made = made.add_extension(x509.SubjectAlternativeName([_host(each) for each in hosts]), critical=False)
    return Pair(made.sign(authority.key, hashes.SHA256()), key)


def revocations(
    authority: Pair, old: x509.CertificateRevocationList | None, serials: Iterable[int], now: datetime
) -> bytes:
    """The list of all that the authority has revoked, with these, as PEM.

    It stays valid as long as the authority: a list that has run out would shut everybody out.
    """
    revoked = {each.serial_number: each for each in old} if old is not None else {}
    number = 1 if old is None else old.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number + 1
    for serial in serials:
        if serial not in revoked:
            revoked[serial] = x509.RevokedCertificateBuilder(serial, now).build()
    builder = x509.CertificateRevocationListBuilder(
        authority.certificate.subject, now - _BEFORE, authority.certificate.not_valid_after_utc,
        revoked_certificates=list(revoked.values()),
    )  # fmt: skip
    issuer = authority.key.public_key()
    made = builder.add_extension(x509.CRLNumber(number), critical=False).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False
    )
    return made.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def read_pair(certificate: bytes, key: bytes) -> Pair:
    """A pair from PEM; ValueError where the bytes are none, or do not belong together."""
    read, found = x509.load_pem_x509_certificate(certificate), load_pem_private_key(key, None)
    if not isinstance(found, ec.EllipticCurvePrivateKey) or found.public_key() != read.public_key():
        raise ValueError("the key is another's")
    return Pair(read, found)


def utc_now() -> datetime:
    """The moment, in whole seconds as certificates have it."""
    return datetime.now(UTC).replace(microsecond=0)


def _builder(
    name: str, issuer: str, key: ec.EllipticCurvePrivateKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    """What every certificate has."""
    made = x509.CertificateBuilder(
        _called(issuer), _called(name), key.public_key(), x509.random_serial_number(), now - _BEFORE, until
    )
    return made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _name_of(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    labels = text.split(".")
    if (
        len(text) > 253
        or not all(0 < len(label) < 64 and label.replace("-", "").isalnum() for label in labels)
        or not text.isascii()
    ):
        raise InputError(field="--host", value=text, expected="a host name such as mqtt.centre.example, or an IP address")
    return x509.DNSName(text)
