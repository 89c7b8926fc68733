"""Attacks on a pack by somebody who knows how it is made: what was changed fails, or what is not proved is said loudly."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from crime_match.evidence import again
from crime_match.evidence import verify as verifying
from crime_match.evidence.build import build
from crime_match.evidence.manifest import encode, sha256_of, sums_of
from crime_match.evidence.pack import DOCUMENTS, MANIFEST, ORDER, SIGNATURE, SUMS, read, write
from crime_match.evidence.signing import detached, pdf
from crime_match.evidence.signing.keys import Signer
from crime_match.evidence.signing.trial_key import make_trial_key
from crime_match.question import Parameters
from crime_match.runs.run import Run
from tagwatch.evidence import record_of, verify_pack
from tests.evidence_case import case, hostile_case

DRAWN = ("report.pdf", "statement.docx", "fixes.gpkg")
MATCH, CASE = "record/match.json", "record/case.json"


def ordered(one):
    """The case with its run in the order in which JSON keeps it."""
    run = one.run
    return replace(one, run=Run(run.algorithm, dict(sorted(run.parameters.items())), dict(sorted(run.inputs.items()))))


def packed(one, signer=None):
    one = ordered(one)
    return build(one, record_of(one.crime, one.trail, Parameters(), one.match), signer)


def signed_by(signer):
    return packed(case(signer=signer.name), signer)


@pytest.fixture(scope="module")
def signer():
    return make_trial_key("A force", "ed25519")


@pytest.fixture(scope="module")
def stranger():
    return make_trial_key("A force", "ed25519")  # of the same name


@pytest.fixture
def undrawn(monkeypatch):
    """Documents are not made anew, where a test is about something else: that takes the most time."""
    monkeypatch.setattr(again, "compare", lambda *given: [])


@pytest.fixture(scope="module")
def unsigned():
    return packed(case())


@pytest.fixture(scope="module")
def signed(signer):
    return signed_by(signer)


def told(pack, holds, **asked):
    return [finding.text for finding in verify_pack(pack, **asked).findings if finding.holds is holds]


def failures(pack, **asked):
    return told(pack, False, **asked)


def forged(pack, changes=None, manifest=None, signer=None):
    """A pack with other members and another manifest, all sums made anew, signed where somebody signs it."""
    members = {**read(pack), **(changes or {})}
    members = {name: data for name, data in members.items() if data is not None}
    said = msgspec.json.decode(members[MANIFEST])
    if manifest:
        manifest(said)
    names = [name for name in ORDER if name in members and name not in (MANIFEST, SIGNATURE, SUMS)]
    said["members"] = {name: {"bytes": len(members[name]), "sha256": sha256_of(members[name])} for name in names}
    members[MANIFEST] = encode(said)
    if signer:
        members[SIGNATURE] = detached.sign(members[MANIFEST], signer)
    members[SUMS] = sums_of(members)
    return write(members)


def changed(pack, name, change):
    """A JSON member after a change, as whoever knows the form writes it."""
    value = msgspec.json.decode(read(pack)[name])
    change(value)
    return {name: encode(value)}


def put(*path_and_value):
    *path, last, value = path_and_value

    def change(found):
        for key in path:
            found = found[key]
        found[last] = value

    return change


def test_what_was_not_touched_is_made_anew_byte_for_byte(unsigned, signed):
    """Also the report with its signature: nothing was added to it but that."""
    for pack in (unsigned, signed, packed(hostile_case())):
        assert failures(pack) == []
        [text] = [text for text in told(pack, True) if text.startswith("documents: made anew")]
        assert all(name in text for name in DOCUMENTS)


# What the record says: a forger who makes all sums anew


RECORD_ATTACKS = {
    "verdict in the manifest": (None, put("verdict", "excluded"), "another wearer or verdict"),
    "support in the manifest": (None, put("support", "weak"), "another wearer or verdict"),
    "radius in the manifest": (None, put("run", "parameters", "radius_m", 5_000.0), "the match is another"),
    "no radius": (None, lambda said: said["run"]["parameters"].pop("radius_m"), "lacks a parameter"),
    "radius of text": (None, put("run", "parameters", "radius_m", "wide"), "radius_m"),
    "radius without end": (None, put("run", "parameters", "radius_m", 1e300), "radius_m"),
    "minimum of fixes as a list": (None, put("run", "parameters", "min_fixes", []), "min_fixes"),
    "timezone of the run": (None, put("run", "parameters", "timezone", "Mars"), "its run is not what the record says"),
    "name of the run": (None, put("run", "id", "0" * 64), "its run is not what the record says"),
    "software": (None, put("software", "tagwatch", "0.0.1"), "its software is not"),
    "configuration": (None, put("configuration", "wearers", "version 9"), "its configuration is not"),
    "date": (None, put("dated", "2020-01-01T00:00:00.000Z"), "its dated is not"),
    "origins": (None, put("origins", []), "its origins is not"),
    "what is computed": (None, put("recomputed", []), "its recomputed is not"),
    "something more": (None, put("note", "confessed"), "its note is not"),
    "crime in the manifest": (None, put("crime", "reference", "CR/2"), "reference of the crime is another"),
    "window in the manifest": (None, put("crime", "from", "2026-06-15T22:00:00.000Z"), "from of the crime is another"),
    "crime without a type": (None, lambda said: said["crime"].pop("type"), "the case cannot be read"),
    "signer": (None, put("signer", {"name": "CN=Court", "fingerprint": "0" * 64}), "do not agree whether it is signed"),
    "verdict of the match": ((MATCH, put("verdict", "excluded")), put("verdict", "excluded"), "the match is another"),
    "wearer": ((MATCH, put("wearer", "W2")), put("wearer", "W2"), "the match is another"),
    "crime of the match": ((MATCH, put("crime", "CR/2")), None, "reference of the crime is another"),
    "a distance": ((MATCH, put("fixes", 3, "distance_m", 1.0)), None, "the match is another"),
    "a reason": ((MATCH, put("reasons", 0, "He was seen.")), None, "the match is another"),
    "a field of the match": ((MATCH, put("confession", "yes")), None, "says what no match says"),
    "name of the person": ((CASE, put("person", "name", "Sam Other")), None, "statement.docx"),
    "counts": ((CASE, put("counts", "placed", 1)), None, "report.pdf"),
    "date of the case": ((CASE, put("dated_us", 0)), put("dated", "1970-01-01T00:00:00.000Z"), "the newest of its inputs"),
    "signer of the case": ((CASE, put("signer", "CN=Court")), None, "its signer is not"),
    "an origin": ((CASE, put("origins", 0, "row", 7)), None, "fixes.csv: is not what the record gives"),
    "an origin too few": ((CASE, lambda said: said["origins"].pop()), None, "tells the origins of"),
    "an origin that is none": ((CASE, put("origins", 0, "none")), None, "cannot be read"),
    "a person of another form": ((CASE, put("person", [])), None, "cannot be read"),
    "a zone that is none": ((CASE, put("timezone", "../etc")), None, "documents"),
    "something more in the case": ((CASE, put("note", "confessed")), None, "is not written as a record is"),
}  # fmt: skip


@pytest.mark.parametrize("attack", RECORD_ATTACKS)
def test_one_fact_is_changed_in_one_place_and_all_sums_are_made_anew(attack, unsigned):
    """What a document shows and no computation proves stands in a note: the document is another than the record gives."""
    at, manifest, expected = RECORD_ATTACKS[attack]
    pack = forged(unsigned, changed(unsigned, *at) if at else None, manifest)
    found = verify_pack(pack)
    texts = [finding.text for finding in found.findings if finding.holds is not True]
    assert any(expected in text for text in texts), texts
    assert not found.holds or any(expected in text and "IS NOT WHAT THE RECORD GIVES" in text for text in texts)
    assert any("THE PACK IS NOT SIGNED" in text or "whether it is signed" in text for text in texts)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_says_something_else(name, unsigned):
    """It fails, but for those that may be other bytes elsewhere: of these it is said loudly."""
    pack = forged(unsigned, {name: read(unsigned)[name].replace(b"51", b"52") + b"\n"})
    holds, expected = (None, "IS NOT WHAT THE RECORD GIVES") if name in DRAWN else (False, "is not what the record gives")
    assert any(text.startswith(f"{name}: {expected}") for text in told(pack, holds))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("record/fixes.csv", lambda data: b"\n".join([data.split(b"\n")[0], *data.split(b"\n")[-2:0:-1], b""])),
        ("record/fixes.csv", lambda data: data + data.splitlines(keepends=True)[-1]),
        ("record/fixes.csv", lambda data: data.replace(b"received", b"received,confessed", 1)),
        ("record/fixes.csv", lambda data: b"\x1f\x8b" + data),
        ("record/fixes.csv", lambda data: b"PAR1" + data),
        ("record/fixes.csv", lambda data: b""),
        ("record/fixes.csv", lambda data: data.replace(b"T1001", b"T\xff001", 1)),
        ("record/fixes.csv", lambda data: data.replace(b"51.5", b"nan", 1)),
        ("record/crimes.csv", lambda data: data + data.splitlines(keepends=True)[-1].replace(b"CR/1", b"CR/2")),
        ("record/crimes.csv", lambda data: data.replace(b"51.5", b"1e400")),
        ("record/crimes.csv", lambda data: data.replace(b"2026-06-16T", b"9999-06-16T")),
        ("record/activations.csv", lambda data: data + b"T9,W9,2026-06-14T22:00:00.000Z,,0.95,60,600,300,\r\n"),
        ("record/activations.csv", lambda data: data.replace(b"0.95", b"-1")),
        ("record/events.csv", lambda data: data + b'T1001,"' + b"x" * 200_000),
    ],
)  # fmt: skip
def test_files_of_the_record_in_another_form(name, change, unsigned):
    texts = failures(forged(unsigned, {name: change(read(unsigned)[name])}))
    assert any(text.startswith("record") for text in texts), texts


DEEP = b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}"


@pytest.mark.parametrize("name", [MANIFEST, MATCH, CASE, "record/root_signatures.json", "record/payloads.jsonl"])
@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0", b"[]", b"null", b"{", DEEP, b'{"a":NaN}', b'{"a":1e999}', b'{"a":"\xff"}', b'{"a":' + b"9" * 400 + b"}",
        b"\xef\xbb\xbf{}", b'{"members":[]}', b'{"format":"tagwatch-evidence-1","members":[1],"run":3}',
        b'{"n":' + b"9" * 40 + b',"origins":[' + b"9" * 40 + b"]}",
    ],
)  # fmt: skip
def test_json_that_is_none_or_of_other_types(name, data, unsigned, request):
    if name not in (MATCH, CASE, MANIFEST):
        request.getfixturevalue("undrawn")
    members = read(unsigned)
    if name == MANIFEST:
        members[MANIFEST] = data
        members[SUMS] = sums_of(members)
        pack = write(members)
    else:
        pack = forged(unsigned, {name: data})
    if not (name == "record/payloads.jsonl" and data == b""):
        assert failures(pack)


@pytest.mark.parametrize("key", ["members", "run", "crime", "software", "signer", "dated", "wearer", "verdict", "format"])
@pytest.mark.parametrize("value", [None, 1, "x", [], [1], {"a": {}}, True])
def test_a_manifest_of_other_types(key, value, unsigned):
    members = read(unsigned)
    said = msgspec.json.decode(members[MANIFEST])
    if said[key] == value:
        return
    said[key] = value
    members[MANIFEST] = encode(said)
    members[SUMS] = sums_of(members)
    assert failures(write(members))


@pytest.mark.parametrize("name", [MANIFEST, MATCH, CASE])
def test_a_key_that_stands_twice_is_read_in_two_ways(name, unsigned):
    data = read(unsigned)[name].replace(b"{\n", b'{\n  "verdict": "excluded",\n', 1)
    members = dict(read(unsigned)) | {name: data}
    members[SUMS] = sums_of(members)
    pack = write(members) if name == MANIFEST else forged(unsigned, {name: data})
    assert any("is not written as a" in text for text in failures(pack))


def test_a_record_too_large_to_be_set_again_is_not_and_that_is_said(unsigned, monkeypatch):
    monkeypatch.setattr(again, "LARGEST_RECORD", 10_000)
    assert any(text.startswith("documents: NOT COMPARED") for text in told(unsigned, None))


def test_what_a_pack_says_cannot_look_like_a_line_of_ours(unsigned):
    line = "x\nok    signature of the pack: by CN=Home Office\u202e\x1b[2J"
    pack = forged(unsigned, None, put("run", "algorithm", line))
    for finding in verify_pack(pack).findings:
        assert finding.text.isprintable()
    assert failures(forged(unsigned, None, put("run", "algorithm", "x" * 100_000)))


# The container


def entry(name, data, **changes):
    """A local header with its data, fields as `pack.write` writes them where not told otherwise."""
    values = {"need": 20, "flags": 0, "method": 0, "time": 0, "date": 33, "crc": zipfile.crc32(data), "stored": len(data),
              "size": len(data), "extra": b""} | changes  # fmt: skip
    fields = (values[key] for key in ("need", "flags", "method", "time", "date", "crc", "stored", "size"))
    head = struct.pack("<4s5H3I2H", b"PK\3\4", *fields, len(name), len(values["extra"]))
    return head + name.encode() + values["extra"] + data


def rezipped(pack, *more, comment=b"", **changes):
    """The members as a usual program packs them, with others behind them."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in [*read(pack).items(), *more]:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)) if isinstance(name, str) else name
            info.create_system, info.external_attr = 3, 0o100644 << 16
            for key, value in changes.items():
                setattr(info, key, value)
            file.writestr(info, data)
        file.comment = comment
    return out.getvalue()


def test_what_the_own_way_of_packing_gives_is_the_pack(unsigned):
    assert rezipped(unsigned) == unsigned


def directory(pack):
    with zipfile.ZipFile(BytesIO(pack)) as file:
        return file.start_dir


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "second member of a name": lambda pack: pack[: directory(pack)] + entry("report.pdf", b"x") + pack[directory(pack) :],
    "a way out": lambda pack: rezipped(pack, ("../../root/.profile", b"x")),
    "an absolute path": lambda pack: rezipped(pack, ("/etc/passwd", b"x")),
    "a folder": lambda pack: rezipped(pack, ("record/", b"")),
    "a case twin": lambda pack: rezipped(pack, ("REPORT.PDF", b"x")),
    "a look-alike": lambda pack: rezipped(pack, ("r\u0435port.pdf", b"x")),
    "a backslash": lambda pack: rezipped(pack, ("record\\match.json", b"x")),
    "a symbolic link": lambda pack: rezipped(pack, external_attr=0o120777 << 16),
    "an executable": lambda pack: rezipped(pack, external_attr=0o100755 << 16),
    "from Windows": lambda pack: rezipped(pack, create_system=0),
    "compressed": lambda pack: rezipped(pack, compress_type=zipfile.ZIP_DEFLATED),
    "a later time": lambda pack: rezipped(pack, date_time=(2026, 1, 1, 0, 0, 0)),
    "extra fields": lambda pack: rezipped(pack, extra=b"UT\x05\x00\x01\x00\x00\x00\x00"),
    "other attributes": lambda pack: rezipped(pack, internal_attr=1),
    "a comment": lambda pack: rezipped(pack, comment=b"see also"),
    "data before": lambda pack: b"MZ" + pack,
    "data after": lambda pack: pack + b"x",
    "another pack behind": lambda pack: pack + pack,
    "data between": lambda pack: pack[: directory(pack)] + b"hidden" + pack[directory(pack) :],
    "a member more than the directory": lambda pack: entry("record/payloads.jsonl", b"") + pack,
    "a name in the local header": lambda pack: pack.replace(b"method.txt", b"mEthod.txt", 1),
    "a name in the directory": lambda pack: pack[::-1].replace(b"txt.dohtem", b"txt.dohtEm", 1)[::-1],
    "a size without end": lambda pack: entry("README.txt", b"x", stored=0xFFFFFFFF, size=0xFFFFFFFF) + pack,
    "ZIP64": lambda pack: entry("README.txt", b"x", need=45, extra=struct.pack("<2H2Q", 1, 16, 1 << 60, 1 << 60)) + pack,
    "a streamed member": lambda pack: entry("README.txt", b"", flags=8) + pack,
    "an encrypted member": lambda pack: entry("README.txt", b"", flags=1) + pack,
    "a stored size of its own": lambda pack: entry("README.txt", b"x", size=1 << 31) + pack,
    "a name without end": lambda pack: entry("r" * 65_000, b"") + pack,
    "a name that is no text": lambda pack: entry("r", b"").replace(b"r", b"\xff") + pack,
    "a header that is cut": lambda pack: pack[:20],
    "a bomb of one place": lambda pack: pack[: directory(pack)] + pack[directory(pack) :] * 3_000,
}  # fmt: skip


@pytest.mark.parametrize("attack", CONTAINERS)
def test_a_container_of_another_form(attack, unsigned):
    [text] = failures(CONTAINERS[attack](unsigned))
    assert "container" in text or "holds what no pack holds" in text
    assert len(text) < 400


@pytest.mark.usefixtures("undrawn")
def test_missing_members(unsigned, signed):
    names = (*DOCUMENTS, MATCH, CASE, "record/fixes.csv")
    for lacking in (names, *((name,) for name in names[::3])):
        texts = failures(forged(unsigned, dict.fromkeys(lacking)))
        assert all(any(text.startswith(f"{name}: is not in the pack") for text in texts) for name in lacking)
    for name in (MANIFEST, SUMS):
        assert failures(write({key: data for key, data in read(unsigned).items() if key != name}))
    assert failures(write({key: data for key, data in read(signed).items() if key != SIGNATURE}))


# Signatures


def test_the_signature_is_taken_off(signed, unsigned):
    """The report still carries one; without it too, all that is left is an unsigned pack, which says so."""
    bare = {SIGNATURE: None, **changed(signed, CASE, put("signer", ""))}
    texts = failures(forged(signed, bare, put("signer", None)))
    assert any("the report carries one and the pack does not" in text for text in texts)
    bare |= {name: data for name, data in read(unsigned).items() if name in DOCUMENTS}
    again = forged(signed, bare, put("signer", None))
    assert again == unsigned
    assert failures(again, must_be_signed=True)


@pytest.mark.usefixtures("undrawn")
def test_signed_anew_by_another_key_of_the_same_name(signed, signer, stranger):
    """Passes as whoever's it is; its fingerprint is told, and it fails where one key is trusted."""
    own = signer.certificate.public_bytes(Encoding.PEM)
    assert failures(signed, trust=[own]) == []
    pack = signed_by(stranger)
    assert any(stranger.fingerprint in text and "was not checked" in text for text in told(pack, True))
    assert any("the certificate is not trusted" in text for text in failures(pack, trust=[own]))
    half = forged(signed, None, put("signer", "fingerprint", stranger.fingerprint), stranger)
    assert any("signature in the report: made by another key" in text for text in failures(half))
    assert any("made by another key" in text for text in failures(forged(signed, None, None, stranger)))
    renamed = forged(signed, None, put("signer", "name", "CN=Court"), signer)
    assert any("the manifest names CN=Court" in text for text in failures(renamed))


@pytest.mark.usefixtures("undrawn")
def test_a_manifest_with_its_signature_from_another_pack(signed, signer):
    other = packed(case(reference="CR/2", signer=signer.name), signer)
    members = dict(read(signed)) | {name: read(other)[name] for name in (MANIFEST, SIGNATURE)}
    members[SUMS] = sums_of(members)
    assert any("is not what the manifest says" in text for text in failures(write(members)))
    members = dict(read(signed)) | {SIGNATURE: read(other)[SIGNATURE]}
    members[SUMS] = sums_of(members)
    assert any("the data are not those that were signed" in text for text in failures(write(members)))


def test_the_report_is_changed_after_it_was_signed(signed, signer):
    """An update of the PDF behind the signature fails; one before it, signed again by the same key, is another report."""
    report = read(signed)["report.pdf"]
    texts = failures(forged(signed, {"report.pdf": report + b"\n% more\n"}, None, signer))
    assert any("does not cover the whole PDF" in text for text in texts)
    bare = read(packed(case(signer=signer.name)))["report.pdf"]
    reason, dated_us = "Evidence pack: crime CR/1", case().dated_us
    assert pdf.sign(bare, signer, dated_us=dated_us, reason=reason) == report
    for other in (
        pdf.sign(bare + b"\n% more\n", signer, dated_us=dated_us, reason=reason),
        pdf.sign(bare, signer, dated_us=dated_us + 10**9, reason=reason),
        pdf.sign(bare, signer, dated_us=dated_us, reason="Seen by the court"),
    ):
        pack = forged(signed, {"report.pdf": other}, None, signer)
        assert any(text.startswith("report.pdf: IS NOT WHAT THE RECORD GIVES") for text in told(pack, None))
    texts = failures(forged(signed, {"report.pdf": bare}, None, signer))
    assert any("the PDF is not signed" in text for text in texts)


def certified(begin, end):
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A force")])
    built = x509.CertificateBuilder(name, name, key.public_key(), 7, begin, end)
    return Signer(key, (built.sign(key, None),))


@pytest.mark.usefixtures("undrawn")
def test_a_certificate_of_another_time_than_the_pack():
    """Without trust it is told; where it is trusted, one that had ended by the pack's date fails."""
    early, dated, late = (datetime(year, 6, 16, tzinfo=UTC) for year in (2020, 2025, 2030))
    for signer, expected, is_trusted in (
        (certified(early, dated), "the certificate ended at 2025-06-16", False),
        (certified(late, late + timedelta(days=900)), "the certificate begins at 2030-06-16", True),
    ):
        pack = signed_by(signer)
        assert sum(expected in text for text in told(pack, None)) == 2
        trust = [signer.certificate.public_bytes(Encoding.PEM)]
        assert (failures(pack, trust=trust) == []) == is_trusted


# Versions


def test_a_format_or_an_algorithm_that_is_not_known(unsigned):
    assert "use a later one" in failures(forged(unsigned, None, put("format", "tagwatch-evidence-2")))[0]
    for name in ("tagwatch-match-2", "tagwatch-match-0", ""):
        texts = failures(forged(unsigned, None, put("run", "algorithm", name)))
        assert any("another algorithm" in text and "tagwatch 0.1.0" in text for text in texts)


@pytest.mark.usefixtures("undrawn")
def test_a_pack_of_an_earlier_algorithm(unsigned, signer, monkeypatch):
    """The match of today is the same: it verifies. It is another: it rests on a signature that is trusted, or it fails."""
    monkeypatch.setattr(verifying, "EARLIER", ("tagwatch-match-0",))
    one = case(signer=signer.name)
    one = replace(one, run=one.run._replace(algorithm="tagwatch-match-0"))
    pack = packed(one, signer)
    assert failures(pack) == []
    assert any("tagwatch-match-0 had found the same" in text for text in told(pack, True))
    other = changed(pack, MATCH, put("coverage", 0.5))
    pack = forged(pack, other, None, signer)
    assert any("without a trusted signature" in text for text in failures(pack))
    trust = [signer.certificate.public_bytes(Encoding.PEM)]
    assert not any(text.startswith("record") for text in failures(pack, trust=trust))
    assert any("NOT COMPUTED ANEW" in text for text in told(pack, None, trust=trust))


def test_documents_of_another_version_are_not_compared_and_that_is_said(unsigned):
    software = changed(unsigned, CASE, put("software", "tagwatch", "0.0.9"))
    pack = forged(unsigned, software | {"method.txt": b"Stars.\n"}, put("software", "tagwatch", "0.0.9"))
    assert failures(pack) == []
    [text] = [text for text in told(pack, None) if "NOT COMPARED" in text]
    assert "method.txt" in text
    assert "tagwatch 0.0.9 (here 0.1.0)" in text


GOLDEN_KEYS = [
    "configuration", "crime", "dated", "format", "members", "origins", "recomputed", "recorded", "run", "signer", "software",
    "support", "verdict", "wearer",
]  # fmt: skip
GOLDEN_CRIME = [
    "batch", "easting_m", "force", "from", "lat", "lon", "northing_m", "reference", "text", "to", "type", "uncertainty_m",
]  # fmt: skip
GOLDEN = {
    "record/match.json": "75466bdffab0c25a81422b8b9823f551a23f3d765972ef4f083a3e55bc1fdb1c",
    "record/case.json": "7ed5ee85ff0d32a5366008676fb8778911d47e9bf767074197cdedeb8551ddd4",
    "record/crimes.csv": "73e40a67d9a9a3bb5380e7f076dd86fc501fede57497507e1a3bf096b65b653c",
    "record/fixes.csv": "910f4a2104aeef934a6503b27fc346105c01dd789ea17999e4286c62853fa52f",
    "record/activations.csv": "f9cfe90447ae5f21a9140bada48dd9b78be2f4839651e8bb6905626c26f4dd76",
    "record/events.csv": "abe0eb926e9bd41c1ebee8c70c610ab7146a8d5ee4d32bb9f42e3aa07c3d6b46",
}


def test_the_form_of_a_pack_and_of_its_record_is_what_it_was():
    """A pack stands for years: whoever changes one of these constants changes what a court holds.

    Where this fails and nobody meant to change the pack, find out what did. Where it was meant:
    another container, order of members or manifest is another `FORMAT` (tagwatch-evidence-2), and the reader of the old one
    stays; a verdict, or a field of a match, that comes out another is another `ALGORITHM`, the old one goes into
    `crime_match.evidence.verify.EARLIER`, and its packs are verified by the rule there; another way of writing files of the
    record is another `FORMAT` too, as `verify` writes them anew and compares. Only then set the constants anew.
    """
    members = read(packed(case(software={"tagwatch": "0.1.0", "numpy": "2.4.6"})))
    said = msgspec.json.decode(members[MANIFEST])
    assert (said["format"], said["run"]["algorithm"]) == ("tagwatch-evidence-1", "tagwatch-match-1")
    assert list(said) == GOLDEN_KEYS
    assert tuple(members) == tuple(name for name in ORDER if name in members)
    assert list(said["crime"]) == GOLDEN_CRIME
    assert {name: sha256_of(data) for name, data in members.items() if name.startswith("record/")} == GOLDEN
