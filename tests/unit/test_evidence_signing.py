"""Signatures of the pack: one form, found when touched, and right for openssl, pyHanko, cryptography and pikepdf."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import shutil
import socket
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pikepdf
import pytest
import typst
from asn1crypto import cms as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import async_validate_detached_cms, validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from crime_match.evidence.signing import detached, pdf
from crime_match.evidence.signing.keys import Signer, key_of, read_key
from crime_match.evidence.signing.signed import notes_on
from crime_match.evidence.signing.trial_key import make_trial_key, write_pem
from engine.errors import InputError
from engine.times import from_datetime

DATA = b'{"format": "tagwatch-evidence-1"}\n' * 40
DATED = datetime(2026, 3, 1, 2, 14, 7, 500_000, tzinfo=UTC)
DATED_US = from_datetime(DATED)
BEGIN, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
PASSWORD = b"correct horse 7!"
OPENSSL = shutil.which("openssl")


def new_key(kind):
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, 2048)


def named(name):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def certify(key, name, issuer=None, *, ca=False, begin=BEGIN, end=END, usage=True):
    """A certificate of the key: by the issuer (key, certificate), or by itself."""
    by, above = issuer if issuer else (key, None)
    built = (
        x509.CertificateBuilder(
            above.subject if above else named(name), named(name), key.public_key(), x509.random_serial_number(), begin, end
        )
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(usage and not ca, usage and not ca, False, False, False, ca, ca, False, False), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )
    edwards = isinstance(by, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return built.sign(by, None if edwards else hashes.SHA256())


def new_stranger():
    return certify(new_key("ed25519"), "Root", ca=True)


def pem(*certificates):
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def private_pem(key, password=None, form=PrivateFormat.PKCS8):
    return key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(password) if password else NoEncryption())


@pytest.fixture(scope="module")
def signers():
    return {
        kind: Signer(key, (certify(key, f"Force of {kind}"),)) for kind in ("rsa", "ed25519") for key in [new_key(kind)]
    }


@pytest.fixture(scope="module", params=["rsa", "ed25519"])
def signer(request, signers):
    return signers[request.param]


@pytest.fixture(scope="module")
def chain_signer():
    root_key, middle_key, key = new_key("rsa"), new_key("ed25519"), new_key("ed25519")
    root = certify(root_key, "Root", ca=True)
    middle = certify(middle_key, "Middle", (root_key, root), ca=True)
    own = certify(key, "Analyst 7", (middle_key, middle))
    return key_of(private_pem(key) + pem(root, own, middle)), root


@pytest.fixture(scope="module")
def document():
    source = b"""#set document(title: "Pack", date: datetime(year: 2026, month: 3, day: 1))
#set text(lang: "en")
= What was asked
#lorem(30) https://example.org
#table(columns: 2, table.header[Time][Place], [02:14:07], [51.5, -0.1])"""
    return typst.compile(source, format="pdf", pdf_standards=["a-3a", "ua-1"])


@pytest.fixture(scope="module")
def signed_pdfs(signers, document):
    return {kind: sign_pdf(document, signer) for kind, signer in signers.items()}


def sign_pdf(document, signer, reason="Evidence pack of 01/1", **changes):
    return pdf.sign(
        document, signer, **{"dated_us": DATED_US, "reason": reason, "location": "Leeds", "name": "", **changes}
    )


def flipped(data, place):
    touched = bytearray(data)
    touched[place] ^= 1 << (place % 8)
    return bytes(touched)


# The detached signature


def test_detached_is_right_and_the_same_each_time(signer):
    signature = detached.sign(DATA, signer)
    assert signature == detached.sign(DATA, signer)
    found = detached.check(DATA, signature)
    assert found[:5] == (True, True, signer.name, signer.fingerprint, ())
    assert found.self_signed
    assert found.trusted is None
    assert any("self-signed" in note for note in found.notes)


def test_detached_over_other_data_is_not_intact(signer):
    found = detached.check(DATA + b" ", detached.sign(DATA, signer))
    assert (found.intact, found.valid) == (False, True)
    assert found.problems == ("the data are not those that were signed",)


@pytest.mark.parametrize(("kind", "step"), [("ed25519", 2), ("rsa", 9)])
def test_detached_one_bit_flipped_anywhere_is_found(signers, kind, step):
    signature = detached.sign(DATA, signers[kind])
    places = range(0, len(signature), step)
    missed = [place for place in places if not detached.check(DATA, flipped(signature, place)).problems]
    assert missed == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda s: b"",
        lambda s: s[:-1],
        lambda s: s + b"\0",
        lambda s: b"0" * 50,
        lambda s: s[:200],
        lambda s: b"\x30\x80" + s[4:] + b"\0\0",
    ],
)
def test_detached_damaged_is_refused(signer, damage):
    found = detached.check(DATA, damage(detached.sign(DATA, signer)))
    assert not found.intact
    assert not found.valid
    assert "damaged" in found.problems[0]


def test_signature_of_another_key_under_the_same_certificate_is_not_valid(signers):
    right = signers["ed25519"]
    forged = detached.check(DATA, detached.sign(DATA, Signer(new_key("ed25519"), right.chain)))
    assert forged.intact
    assert not forged.valid
    assert forged.problems == ("the signature was not made by the key of its certificate",)


def test_signature_with_an_unsigned_part_is_refused(signers):
    """Nothing may be added that nobody signed, nor a second signer."""
    for change in ("attribute", "signer"):
        container = asn1.ContentInfo.load(detached.sign(DATA, signers["rsa"]))
        infos = container["content"]["signer_infos"]
        if change == "attribute":
            infos[0]["unsigned_attrs"] = [{"type": "1.2.3.4", "values": []}]
        else:
            infos.append(infos[0])
        assert detached.check(DATA, container.dump(force=True)).problems


@pytest.mark.skipif(OPENSSL is None, reason="no openssl on this machine")
@pytest.mark.parametrize("cades", [[], ["-cades"]])
def test_openssl_verifies_rsa(signers, tmp_path, cades):
    signer = signers["rsa"]
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "sig").write_bytes(detached.sign(DATA, signer))
    (tmp_path / "root.pem").write_bytes(pem(signer.certificate))
    command = [OPENSSL, "cms", "-verify", "-binary", "-inform", "DER", "-in", "sig", "-content", "data", "-CAfile", "root.pem",
               "-purpose", "any", "-attime", str(int(DATED.timestamp())), "-out", "out", *cades]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes() == DATA
    (tmp_path / "data").write_bytes(DATA + b"x")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0


@pytest.mark.skipif(OPENSSL is None, reason="no openssl on this machine")
def test_openssl_verifies_ed25519_over_the_signed_attributes(signers, tmp_path):
    """`openssl cms` up to 3.6 cannot check Ed25519 with signed attributes (its issues 11915, 32248); its signature check can."""
    signer = signers["ed25519"]
    (info,) = asn1.ContentInfo.load(detached.sign(DATA, signer))["content"]["signer_infos"]
    (tmp_path / "signed").write_bytes(info["signed_attrs"].untag().dump())
    (tmp_path / "value").write_bytes(info["signature"].native)
    (tmp_path / "key.pem").write_bytes(
        signer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    command = [OPENSSL, "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem", "-in", "signed", "-sigfile", "value"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    digest = next(each["values"][0].native for each in info["signed_attrs"] if each["type"].native == "message_digest")
    assert digest == hashlib.sha512(DATA).digest()
    assert info["digest_algorithm"]["algorithm"].native == "sha512"  # RFC 8419, 3.1


def pyhanko_context(certificate):
    return ValidationContext(trust_roots=[asn1_certificate(certificate)], moment=DATED, allow_fetching=False)


def asn1_certificate(certificate):
    from asn1crypto import x509 as der

    return der.Certificate.load(certificate.public_bytes(Encoding.DER))


def test_pyhanko_verifies_detached(signer):
    container = asn1.ContentInfo.load(detached.sign(DATA, signer))["content"]
    context = pyhanko_context(signer.certificate)
    status = asyncio.run(async_validate_detached_cms(DATA, container, signer_validation_context=context))
    assert status.intact
    assert status.valid
    assert status.trusted
    assert status.signer_reported_dt is None  # no time in it


# Chains and trust


def test_chain_is_in_order_and_carried(chain_signer):
    signer, root = chain_signer
    assert [each.subject.rfc4514_string() for each in signer.chain] == ["CN=Analyst 7", "CN=Middle", "CN=Root"]
    twice = key_of(private_pem(signer.key) + pem(*signer.chain, *reversed(signer.chain), new_stranger()))
    assert twice.chain == signer.chain
    signature = detached.sign(DATA, signer)
    assert len(asn1.ContentInfo.load(signature)["content"]["certificates"]) == 3
    found = detached.check(DATA, signature, [pem(root)], DATED_US)
    assert (found.intact, found.valid, found.trusted, found.problems, found.self_signed, found.notes) == (
        True,
        True,
        True,
        (),
        False,
        (),
    )


def test_a_stranger_is_not_trusted(chain_signer, signers):
    signer, root = chain_signer
    signature, stranger = detached.sign(DATA, signer), signers["rsa"].certificate
    found = detached.check(DATA, signature, [pem(stranger)], DATED_US)
    assert (found.intact, found.valid, found.trusted) == (True, True, False)
    assert found.problems == ("the certificate leads to none of those that are trusted",)
    assert detached.check(DATA, signature, [pem(stranger), pem(root)], DATED_US).trusted
    assert detached.check(DATA, signature, [pem(stranger, root)], DATED_US).trusted
    with pytest.raises(InputError, match="trusted certificate"):
        detached.check(DATA, signature, [b"none"], DATED_US)


def test_trust_does_not_depend_on_who_runs_an_event_loop(chain_signer):
    signer, root = chain_signer
    signature = detached.sign(DATA, signer)

    async def within():
        return detached.check(DATA, signature, [pem(root)], DATED_US).trusted

    assert asyncio.run(within()) is True


def test_a_self_signed_certificate_is_trusted_where_it_is_given(signer):
    assert detached.check(DATA, detached.sign(DATA, signer), [pem(signer.certificate)], DATED_US).trusted


def test_every_bit_of_the_certificates_above_is_bound(chain_signer):
    """Also those of a certificate whose issuer is not in the file: nothing else would hold them."""
    signer, _ = chain_signer
    signature = detached.sign(DATA, Signer(signer.key, signer.chain[:2]))
    middle = signer.chain[1].public_bytes(Encoding.DER)
    start = signature.index(middle)
    places = range(start, start + len(middle), 7)
    assert [place for place in places if not detached.check(DATA, flipped(signature, place)).problems] == []


def test_certificate_that_ended_before_the_date_is_told_and_not_trusted():
    key = new_key("ed25519")
    signer = Signer(key, (certify(key, "Old", begin=BEGIN - timedelta(days=900), end=BEGIN),))
    signature = detached.sign(DATA, signer)
    assert "ended at 2025-01-01T00:00:00" in " ".join(notes_on(signer.certificate, DATED_US))
    found = detached.check(DATA, signature, dated_us=DATED_US)
    assert found.problems == ()
    assert any("ended" in note for note in found.notes)
    assert detached.check(DATA, signature, [pem(signer.certificate)], DATED_US).trusted is False
    assert detached.check(DATA, signature, [pem(signer.certificate)], from_datetime(BEGIN) - 1).trusted


def test_certificate_that_begins_after_the_date_is_fine():
    """A key of this week signs a crime of last month: the pack's date is that of its inputs."""
    key = new_key("ed25519")
    signer = Signer(key, (certify(key, "New", begin=DATED + timedelta(days=30)),))
    found = detached.check(DATA, detached.sign(DATA, signer), [pem(signer.certificate)], DATED_US)
    assert found.trusted
    assert not any("ended" in note for note in found.notes)


def test_certificate_not_meant_for_signing_is_told():
    key = new_key("ed25519")
    assert any("not meant for signatures" in note for note in notes_on(certify(key, "Web", usage=False)))


def test_name_cannot_write_on_the_screen():
    key = new_key("ed25519")
    assert Signer(key, (certify(key, "A\u202eB\x1b[31m"),)).name == "CN=A\\u202eB\\u001b[31m"


# The signature in the PDF


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_pdf_is_right_and_the_same_each_time(signers, document, signed_pdfs, kind):
    signed = signed_pdfs[kind]
    assert signed == sign_pdf(document, signers[kind])
    assert signed.startswith(document)  # an update: not one byte of the report is touched
    found = pdf.check(signed)
    assert found[:5] == (True, True, signers[kind].name, signers[kind].fingerprint, ())


def test_pdf_is_the_same_in_another_process_zone_and_locale(signers, document, signed_pdfs, tmp_path):
    for kind, signer in signers.items():
        (tmp_path / f"{kind}.pem").write_bytes(private_pem(signer.key) + pem(*signer.chain))
    (tmp_path / "in.pdf").write_bytes(document)
    program = f"""
import hashlib
from crime_match.evidence.signing import detached, pdf
from crime_match.evidence.signing.keys import read_key
for kind in ("rsa", "ed25519"):
    signer, data = read_key(kind + ".pem"), open("in.pdf", "rb").read()
    signed = pdf.sign(data, signer, dated_us={DATED_US}, reason="Evidence pack of 01/1", location="Leeds", name="")
    print(hashlib.sha256(signed + detached.sign(data, signer)).hexdigest())
"""
    env = {**os.environ, "PYTHONHASHSEED": "77", "TZ": "Asia/Kathmandu", "LANG": "tr_TR.UTF-8", "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [
        hashlib.sha256(signed_pdfs[kind] + detached.sign(document, signers[kind])).hexdigest()
        for kind in ("rsa", "ed25519")
    ]


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_pyhanko_verifies_the_pdf(signers, signed_pdfs, kind):
    (embedded,) = PdfFileReader(io.BytesIO(signed_pdfs[kind])).embedded_signatures
    status = validate_pdf_signature(embedded, pyhanko_context(signers[kind].certificate))
    assert status.intact
    assert status.valid
    assert status.trusted
    assert status.docmdp_ok
    assert status.bottom_line
    assert status.coverage == SignatureCoverageLevel.ENTIRE_FILE
    assert embedded.self_reported_timestamp == DATED.replace(microsecond=0)


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_byte_range_and_digest_by_pikepdf(signed_pdfs, kind):
    signed = signed_pdfs[kind]
    with pikepdf.open(io.BytesIO(signed)) as found:
        (field,) = found.Root.AcroForm.Fields
        first, start, end, rest = (int(number) for number in field.V.ByteRange)
        contents = bytes(field.V.Contents)
    assert (first, end + rest) == (0, len(signed))
    assert signed[start:end] == b"<" + contents.hex().upper().encode() + b">"
    (info,) = asn1.ContentInfo.load(contents, strict=True)["content"]["signer_infos"]
    attributes = {each["type"].native: each["values"][0] for each in info["signed_attrs"]}
    digest = hashlib.new(info["digest_algorithm"]["algorithm"].native, signed[:start] + signed[end:]).digest()
    assert attributes["message_digest"].native == digest
    assert set(attributes) == {"content_type", "message_digest", "signing_certificate_v2"}


def test_pdf_stays_what_it_was(document, signed_pdfs):
    """PDF/A-3a and PDF/UA-1: metadata and structure untouched; the field printable, never hidden, off the page, with a name."""
    with pikepdf.open(io.BytesIO(document)) as before, pikepdf.open(io.BytesIO(signed_pdfs["rsa"])) as after:
        assert after.check_pdf_syntax() == []
        assert after.Root.Metadata.read_raw_bytes() == before.Root.Metadata.read_raw_bytes()
        assert b"pdfaid" in after.Root.Metadata.read_raw_bytes()
        assert dict(after.docinfo) == dict(before.docinfo)
        assert after.pdf_version == before.pdf_version
        assert "/Version" not in after.Root
        assert after.Root.StructTreeRoot.objgen == before.Root.StructTreeRoot.objgen
        assert bytes(after.trailer.ID[0]) == bytes(before.trailer.ID[0])
        assert set(after.Root.keys()) - set(before.Root.keys()) == {"/AcroForm", "/Perms"}
        assert set(after.Root.AcroForm.keys()) == {"/Fields", "/SigFlags"}
        assert after.Root.AcroForm.SigFlags == 3
        (field,) = after.Root.AcroForm.Fields
        hidden_invisible_noview_toggle, printed = 1 | 2 | 32 | 256, 4
        assert field.F & printed
        assert not field.F & hidden_invisible_noview_toggle
        left, low, right, top = (float(number) for number in field.Rect)
        assert left == right < float(after.pages[0].MediaBox[0])
        assert low == top < float(after.pages[0].MediaBox[1])
        assert str(field.TU) == "Signature of the whole document"
        assert after.pages[0].Tabs == "/S"
        assert not {"/A", "/AA"} & set(field.keys())
        assert field.V.SubFilter == "/ETSI.CAdES.detached"
        assert str(field.V.M) == "D:20260301021407Z"
        assert after.Root.Perms.DocMDP.Reference[0].TransformParams.P == 1
    rewritten = signed_pdfs["rsa"][len(document) :]
    assert b"xpacket" not in rewritten
    assert b"/ModDate" not in rewritten


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_pdf_one_bit_flipped_anywhere_is_found(document, signed_pdfs, kind):
    signed = signed_pdfs[kind]
    gap = signed.index(b"/Contents <", len(document))
    places = {
        *range(0, len(signed), 401),
        *range(len(document) - 20, gap, 19),
        *range(gap, gap + 40),
        *range(len(signed) - 900, len(signed), 29),
    }
    places |= {*range(gap + 10, signed.index(b">", gap) + 3, 23 if kind == "ed25519" else 97), signed.index(b">", gap)}
    assert [place for place in sorted(places) if not pdf.check(flipped(signed, place)).problems] == []


def test_pdf_case_of_a_digit_is_found(signed_pdfs, document):
    signed = bytearray(signed_pdfs["rsa"])
    gap = signed.index(b"/Contents <", len(document)) + 11
    at = next(place for place in range(gap, len(signed)) if signed[place] in b"ABCDEF")
    signed[at] += 32  # the same number, another byte
    assert pdf.check(bytes(signed)).problems == ("the place of the PDF's signature holds no signature",)


def test_pdf_longer_shorter_unsigned_or_no_pdf(document, signed_pdfs):
    signed = signed_pdfs["ed25519"]
    assert pdf.check(signed + b"\n").problems == ("the signature does not cover the whole PDF",)
    assert pdf.check(b" " + signed).problems == ("the signature does not cover the whole PDF",)
    assert pdf.check(signed[:-1]).problems == ("the signature does not cover the whole PDF",)
    for unsigned in (document, b"", b"%PDF-1.7", signed[: len(document)]):
        found = pdf.check(unsigned)
        assert found.problems == ("the PDF is not signed",)
        assert not found.intact
        assert not found.valid


def test_pdf_update_appended_after_signing_is_found(signed_pdfs):
    with pikepdf.open(io.BytesIO(signed_pdfs["ed25519"])) as changed:
        out = io.BytesIO()
        changed.save(out)
    assert pdf.check(out.getvalue()).problems


def test_pdf_trust(chain_signer, document):
    signer, root = chain_signer
    signed = sign_pdf(document, signer)
    assert pdf.check(signed, [pem(root)], DATED_US).trusted
    assert not pdf.check(signed, [pem(make_trial_key(kind="ed25519").certificate)], DATED_US).trusted


def test_pdf_hostile_words_are_data(signers, document):
    reason = "/ByteRange [0 1 2 3] (\u05d0\u05d1\u202e) >> endobj \\ \x07 " + "x" * 10_000
    signed = sign_pdf(document, signers["ed25519"], reason, location="/Contents <00>", name=") >> /V 7")
    assert pdf.check(signed).problems == ()
    with pikepdf.open(io.BytesIO(signed)) as found:
        value = found.Root.AcroForm.Fields[0].V
        assert (str(value.Reason), str(value.Location), str(value.Name)) == (reason, "/Contents <00>", ") >> /V 7")


def test_pdf_time_is_never_before_the_key(document):
    key = new_key("ed25519")
    signer = Signer(key, (certify(key, "New", begin=DATED + timedelta(days=30)),))
    with pikepdf.open(io.BytesIO(sign_pdf(document, signer))) as found:
        assert str(found.Root.AcroForm.Fields[0].V.M) == "D:20260331021407Z"


@pytest.mark.parametrize("form", ["no identifier", "streams"])
def test_pdf_of_another_build(signers, document, form):
    """What another version of the typesetter may write: no identifier in the trailer, tables of objects in streams."""
    other = document.replace(b"/ID", b"/IX")
    if form == "streams":
        with pikepdf.open(io.BytesIO(document)) as opened:
            opened.save(out := io.BytesIO(), object_stream_mode=pikepdf.ObjectStreamMode.generate, deterministic_id=True)
        other = out.getvalue()
    signed = sign_pdf(other, signers["ed25519"])
    assert signed == sign_pdf(other, signers["ed25519"])
    assert pdf.check(signed).problems == ()
    (embedded,) = PdfFileReader(io.BytesIO(signed)).embedded_signatures
    assert validate_pdf_signature(embedded, pyhanko_context(signers["ed25519"].certificate)).bottom_line


def test_pdf_that_cannot_be_signed(signers, signed_pdfs):
    with pytest.raises(InputError, match="signed already"):
        sign_pdf(signed_pdfs["rsa"], signers["rsa"])
    for data in (b"", b"no PDF", b"%PDF-1.7\n%%EOF", b"%PDF-1.7\nstartxref\n0\n%%EOF"):
        with pytest.raises(InputError, match="PDF cannot be read"):
            sign_pdf(data, signers["rsa"])


# Keys


@pytest.mark.parametrize("form", ["pem", "pem locked", "pem old form", "pem certificate first", "p12", "p12 locked"])
def test_keys_are_read_by_content(signer, tmp_path, form):
    certificate, key, password = signer.certificate, signer.key, PASSWORD if "locked" in form else None
    locked = BestAvailableEncryption(PASSWORD) if password else NoEncryption()
    old = PrivateFormat.TraditionalOpenSSL if isinstance(key, rsa.RSAPrivateKey) else PrivateFormat.PKCS8
    content = {
        "pem": lambda: private_pem(key) + pem(certificate),
        "pem locked": lambda: private_pem(key, PASSWORD) + pem(certificate),
        "pem old form": lambda: private_pem(key, form=old) + pem(certificate),
        "pem certificate first": lambda: b"Bag attributes\n" + pem(certificate) + private_pem(key),
        "p12": lambda: pkcs12.serialize_key_and_certificates(None, key, certificate, None, locked),
        "p12 locked": lambda: pkcs12.serialize_key_and_certificates(b"k", key, certificate, None, locked),
    }[form]()
    path = tmp_path / "key.file"
    path.write_bytes(content)
    found = read_key(path, password)
    assert found.certificate == certificate
    assert detached.sign(DATA, found) == detached.sign(DATA, signer)
    assert found.fingerprint == hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    assert "PrivateKey" not in repr(found)


def test_p12_with_a_chain(chain_signer):
    signer, root = chain_signer
    others = [root, signer.chain[1]]
    data = pkcs12.serialize_key_and_certificates(
        b"k", signer.key, signer.certificate, others, BestAvailableEncryption(PASSWORD)
    )
    assert key_of(data, PASSWORD).chain == signer.chain


def test_a_password_that_is_not_needed_does_no_harm(signers):
    signer = signers["ed25519"]
    assert key_of(private_pem(signer.key) + pem(signer.certificate), b"unneeded").chain == signer.chain


def refused(data, password=None):
    with pytest.raises(InputError) as error:
        key_of(data, password)
    assert PASSWORD.decode() not in str(error.value)
    assert "horse" not in repr(error.value)
    return str(error.value)


def test_wrong_or_missing_password(signers):
    signer = signers["rsa"]
    locked = BestAvailableEncryption(b"another")
    files = [
        private_pem(signer.key, b"another") + pem(signer.certificate),
        private_pem(signer.key, b"another", PrivateFormat.TraditionalOpenSSL) + pem(signer.certificate),
        pkcs12.serialize_key_and_certificates(None, signer.key, signer.certificate, None, locked),
    ]
    for data in files:
        assert "password is wrong" in refused(data, PASSWORD)
        assert "password" in refused(data)


def test_files_without_key_or_certificate(signers):
    signer, other = signers["rsa"], signers["ed25519"]
    assert "private key is missing" in refused(pem(signer.certificate))
    assert "no certificate" in refused(private_pem(signer.key))
    assert "private keys is 2" in refused(private_pem(signer.key) + private_pem(other.key) + pem(signer.certificate))
    assert "does not belong to it" in refused(private_pem(signer.key) + pem(other.certificate))
    only = pkcs12.serialize_key_and_certificates(None, None, signer.certificate, None, BestAvailableEncryption(PASSWORD))
    assert "private key is missing" in refused(only, PASSWORD)
    for data in (b"", b"nothing", b"PK\x03\x04"):
        assert "is no key file" in refused(data)
    assert "damaged" in refused(b"\x30\x82\x01\x00garbage", PASSWORD)
    assert "damaged" in refused(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert "damaged" in refused(private_pem(signer.key) + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert "too large" in refused(b"\x30" * (1 << 20) + b"x")


def test_kinds_of_keys_that_are_refused():
    curve, small, long = (
        ec.generate_private_key(ec.SECP256R1()),
        rsa.generate_private_key(65537, 1024),
        ed448.Ed448PrivateKey.generate(),
    )
    for key, told in ((curve, "its signatures differ each time"), (small, "1024 bits"), (long, "Ed448")):
        message = refused(private_pem(key) + pem(certify(key, "K")))
        assert told in message
        assert "2048" in message
    assert "DSA" in refused(private_pem(dsa.generate_private_key(1024)))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.p12: cannot be read"):
        read_key(tmp_path / "none.p12")
    with pytest.raises(InputError, match="cannot be read"):
        read_key(tmp_path)


@pytest.mark.parametrize("password", [None, PASSWORD])
@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_trial_key(tmp_path, kind, password):
    made = make_trial_key("Try \u05d0", kind)
    path = tmp_path / "trial.pem"
    write_pem(path, made, password)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = read_key(path, password)
    assert found.chain == made.chain
    assert "trial" in found.name
    assert notes_on(found.certificate, DATED_US) == (
        "the certificate is self-signed: only its fingerprint tells whose it is",
    )
    assert detached.check(DATA, detached.sign(DATA, found)).self_signed
    with pytest.raises(InputError, match="is there already"):
        write_pem(path, made)
    assert read_key(path, password).chain == made.chain


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb", "\u202e"])
def test_trial_key_of_a_name_that_cannot_be(name):
    with pytest.raises(InputError, match="name is"):
        make_trial_key(name, "ed25519")


def test_trial_key_where_nothing_can_be_written(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_pem(tmp_path / "no" / "key.pem", make_trial_key(kind="ed25519"))


# Neither network nor slow starts


def test_no_connection_is_opened(monkeypatch, chain_signer, document):
    def refuse(*arguments, **named):
        raise AssertionError("a connection was tried")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    signer, root = chain_signer
    assert detached.check(DATA, detached.sign(DATA, signer), [pem(root)], DATED_US).trusted
    assert pdf.check(sign_pdf(document, signer), [pem(root)], DATED_US).trusted


def test_checking_imports_no_pyhanko():
    program = "import sys; from crime_match.evidence.signing import detached, pdf, keys, trial_key; print([name for name in sys.modules if name.startswith(('pyhanko', 'aiohttp'))])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
