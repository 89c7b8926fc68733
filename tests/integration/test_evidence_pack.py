"""A pack as it is built, signed and verified: the same bytes each time, and one changed byte is found, wherever it is."""

import os
import random
import subprocess
import sys
import zipfile
from io import BytesIO

import msgspec
import pytest

from crime_match.evidence.build import build
from crime_match.evidence.manifest import encode, manifest_of, sha256_of, sums_of
from crime_match.evidence.pack import MANIFEST, ORDER, SIGNATURE, SUMS, read, write
from crime_match.evidence.signing.detached import sign
from crime_match.evidence.signing.trial_key import make_trial_key
from crime_match.evidence.verify import OPTIONAL
from crime_match.question import Parameters
from engine.errors import InputError
from tagwatch.evidence import match_in, record_of, verify_pack
from tests.evidence_case import case, hostile_case

BUILD = """
import sys
from tests.evidence_case import case
from tagwatch.evidence import record_of
from crime_match.evidence.build import build
from crime_match.question import Parameters
one = case()
sys.stdout.buffer.write(build(one, record_of(one.crime, one.trail, Parameters(), one.match)))
"""


def packed(one, signer=None):
    return build(one, record_of(one.crime, one.trail, Parameters(), one.match), signer)


def of_signer(signer, **changes):
    return case(signer=signer.name, **changes)


@pytest.fixture(scope="module")
def signer():
    return make_trial_key("A force", "ed25519")


@pytest.fixture(scope="module")
def signed(signer):
    return packed(of_signer(signer), signer)


@pytest.fixture(scope="module")
def unsigned():
    return packed(case())


def failures(pack, **asked):
    return [finding.text for finding in verify_pack(pack, **asked).findings if finding.holds is False]


def test_a_pack_verifies_and_says_what_was_looked_at(signed, unsigned):
    assert not failures(signed, must_be_signed=True)
    told = [finding.text for finding in verify_pack(signed).findings]
    assert any("computed anew from the pack's own fixes" in text for text in told)
    assert any(text.startswith("signature of the pack: by CN=A force") for text in told)
    loud = [finding for finding in verify_pack(unsigned).findings if "NOT SIGNED" in finding.text]
    assert [finding.holds for finding in loud] == [None]
    assert verify_pack(unsigned).holds
    assert failures(unsigned, must_be_signed=True) == [loud[0].text]


def test_the_same_bytes_twice_and_in_another_process_with_another_clock_zone_and_hash_seed(unsigned, signed, signer):
    assert packed(case()) == unsigned
    assert packed(of_signer(signer), signer) == signed
    for seed, zone, language in (("1", "Asia/Kolkata", "C"), ("77", "America/St_Johns", "C.UTF-8")):
        place = {"PYTHONHASHSEED": seed, "TZ": zone, "LANG": language, "LC_ALL": language}
        ran = subprocess.run([sys.executable, "-c", BUILD], env=os.environ | place, capture_output=True, check=True)
        assert sha256_of(ran.stdout) == sha256_of(unsigned)


@pytest.mark.parametrize("kind", ["signed", "unsigned"])
def test_one_flipped_bit_is_found_wherever_it_is(kind, request):
    """In each member at its beginning, its end and places between, and in what the container has around them."""
    pack, rng = request.getfixturevalue(kind), random.Random(7)
    spots = {0, len(pack) - 1, *(rng.randrange(len(pack)) for _ in range(20))}
    with zipfile.ZipFile(BytesIO(pack)) as file:
        for entry in file.infolist():
            begin = entry.header_offset
            spots |= {
                begin + 10,
                begin + 35,
                begin + 30 + len(entry.filename),
                begin + 30 + len(entry.filename) + entry.file_size - 1,
            }
        spots |= {file.start_dir + 3, file.start_dir + 40, file.start_dir + 60}
    for at in sorted(spots):
        broken = bytearray(pack)
        broken[at] ^= 1 << rng.randrange(8)
        assert failures(bytes(broken)), at


@pytest.mark.parametrize("name", [name for name in ORDER if name not in (MANIFEST, SIGNATURE, SUMS, *OPTIONAL)])
def test_a_member_changed_with_all_its_sums_is_found_by_the_signature(name, signed):
    members = dict(read(signed))
    members[name] = members[name] + b" "
    manifest = msgspec.json.decode(members[MANIFEST])
    manifest["members"][name] = {"bytes": len(members[name]), "sha256": sha256_of(members[name])}
    members[MANIFEST] = encode(manifest)
    members[SUMS] = sums_of(members)
    assert any("signature of the pack" in text for text in failures(write(members)))


def test_another_key_than_the_manifest_names_and_a_key_that_is_not_trusted(signed, signer):
    other = make_trial_key("Somebody else", "ed25519")
    members = dict(read(signed))
    members[SIGNATURE] = sign(members[MANIFEST], other)
    members[SUMS] = sums_of(members)
    assert any("made by another key" in text for text in failures(write(members)))
    from cryptography.hazmat.primitives.serialization import Encoding

    own, foreign = (each.certificate.public_bytes(Encoding.PEM) for each in (signer, other))
    assert not failures(signed, trust=[own])
    assert failures(signed, trust=[foreign])


def test_fixes_that_give_another_verdict_are_found_even_where_all_sums_are_made_anew(unsigned):
    members = dict(read(unsigned))
    lines = members["record/fixes.csv"].splitlines(keepends=True)
    members["record/fixes.csv"] = b"".join([lines[0], *(line.replace(b",51.5", b",52.5", 1) for line in lines[1:])])
    one = case()
    del members[MANIFEST], members[SUMS]
    members[MANIFEST] = manifest_of(one, members)
    members[SUMS] = sums_of(members)
    assert any("the match is another" in text for text in failures(write(members)))


def test_what_is_no_pack(unsigned):
    for data in (b"", b"PK", b"%PDF-1.7", unsigned[:-1], unsigned + b"\0", unsigned[:1000] + unsigned[2000:]):
        assert failures(data), data[:4]
    members = dict(read(unsigned))
    for name in ("report.pdf", "record/match.json", MANIFEST):
        less = {key: value for key, value in members.items() if key != name}
        assert failures(write(less))
    compressed = BytesIO()
    with zipfile.ZipFile(compressed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    with pytest.raises(InputError, match="what no pack holds"):
        read(compressed.getvalue())


@pytest.mark.parametrize(
    "one", [case(far_m=90_000.0), case(far_m=30_000.0), hostile_case()], ids=["excluded", "possible", "hostile"]
)
def test_every_verdict_and_hostile_texts(one):
    assert not failures(packed(one))


def test_the_record_carries_no_more_fixes_than_the_match_needs():
    one = case(5_000)
    files = record_of(one.crime, one.trail, Parameters(), one.match)
    trail, found = match_in(files, Parameters())
    assert len(trail.fixes) < 1_000
    assert found["verdict"] == one.verdict
    assert found["fixes"] == one.match["fixes"]


def test_a_match_of_other_fixes_is_refused():
    one = case()
    with pytest.raises(InputError, match="does not come out of these fixes"):
        record_of(one.crime, one.trail, Parameters(), {**one.match, "closest_m": 1.0})
