"""Attacks on the way from a message to a verdict, and on the commands: what is forged fails, in words, with exit code 1."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

from crime_match.evidence import again
from crime_match.evidence.build import build, facts
from crime_match.evidence.case import Case
from crime_match.evidence.manifest import encode, manifest_of, sums_of
from crime_match.evidence.pack import MANIFEST, SUMS, read, write
from crime_match.evidence.signing import detached
from crime_match.evidence.signing.keys import Signer
from crime_match.evidence.signing.trial_key import make_trial_key, write_pem
from crime_match.question import Parameters
from engine.times import DAY_US, SECOND_US
from ingest.merkle import leaf_hash, node_hash, root_by
from ingest.payload_text import fix_texts
from ingest.raw_log import RawLog
from ingest.raw_proof import Proof, read_proof
from ingest.raw_root import root_bytes
from tagwatch.cli.main import app
from tagwatch.evidence import match_in, record_of, verify_pack
from tagwatch.provenance import PROOFS, SIGNATURES, traced
from tagwatch.rooting import roots_in
from tests.evidence_case import case

CASE = "record/case.json"


def logged(folder: Path, key: Path, one: Case, more: bytes = b"[]") -> None:
    """The case's fixes as messages: two of each three in one, some brought again later; rooted and signed, a day later."""
    fixes = one.trail.fixes
    texts = [text for _, text in sorted(zip(fixes.received_s.tolist(), fix_texts(fixes), strict=True))]
    seconds = sorted(fixes.received_s.tolist())
    rows: list[tuple[int, str, bytes]] = []
    for k in range(0, len(texts), 3):
        rows.append((seconds[k], "tags/T1001/fixes", texts[k]))
        if pair := texts[k + 1 : k + 3]:
            rows.append((seconds[k + 1], "tags/T1001/fixes", b"[" + b",".join(pair) + b"]"))
            if len(pair) == 2:
                rows.append((seconds[k + 2], "tags/T1001/fixes", pair[1]))
        if k % 9 == 0:
            rows.append((seconds[min(k + 2, len(texts) - 1)], "tags/T1001/fixes", texts[k]))
    with RawLog(folder) as log:
        for at_s, topic, payload in rows:
            log.append([(at_s * SECOND_US, topic, payload), (at_s * SECOND_US, "tags/T2/events", more)])
        log.append([(seconds[-1] * SECOND_US + DAY_US, "tags/T2/events", b"[]")])
    assert roots_in(folder, str(key)).faults == []


def packed(one: Case, folder: Path) -> tuple[Case, bytes]:
    files = record_of(one.crime, one.trail, Parameters(), one.match)
    trail, _ = match_in(files, Parameters())
    origins, proofs = traced(folder, trail.fixes)
    one = replace(one, trail=trail, origins=origins)
    return one, build(one, {**files, **proofs})


class Scene:
    """A pack of live fixes with the key of the centre; another log of the same days, and what it proves."""

    def __init__(self, home: Path) -> None:
        self.centre: Signer = make_trial_key("The centre", "ed25519")
        write_pem(home / "centre.pem", self.centre)
        logged(home / "one", home / "centre.pem", case())
        self.case, self.pack = packed(case(), home / "one")
        logged(home / "other", home / "centre.pem", case(), b'[{"other":1}]')
        _, self.other = packed(case(), home / "other")
        self.proofs = proofs_in(self.pack)

    def forged(self, **changes: Any) -> bytes:
        """The pack with other members (origins: of the case), all sums made anew: nobody has signed it."""
        one = replace(self.case, origins=changes.pop("origins", self.case.origins))
        members = read(self.pack) | {CASE: encode(facts(one))}
        members |= {{"proofs": PROOFS, "signatures": SIGNATURES}[name]: data for name, data in changes.items()}
        return summed(one, members)


def summed(one: Case, members: Mapping[str, bytes | None]) -> bytes:
    kept = {name: data for name, data in members.items() if data is not None and name not in (MANIFEST, SUMS)}
    kept[MANIFEST] = manifest_of(one, kept)
    kept[SUMS] = sums_of(kept)
    return write(kept)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents are not made anew, where a test is about something else: that takes the most time."""
    monkeypatch.setattr(again, "compare", lambda *given: [])


def proofs_in(pack: bytes) -> list[Proof]:
    return [read_proof(line + b"\n") for line in read(pack)[PROOFS].splitlines()]


def lines(proofs: list[Proof]) -> bytes:
    return b"".join(proof.to_json() for proof in proofs)


def changed(proof: Proof, **changes: Any) -> Proof:
    return msgspec.structs.replace(proof, **changes)


def texts(pack: bytes, holds: bool | None, **asked: Any) -> list[str]:
    return [finding.text for finding in verify_pack(pack, **asked).findings if finding.holds is holds]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("attack"))


def test_messages_of_one_and_of_two_fixes_and_repeated_ones_lead_to_the_verdict(scene: Scene) -> None:
    n = len(scene.case.trail.fixes)
    assert texts(scene.pack, False) == []
    assert any(text.startswith(f"origins: {n} positions decoded from ") for text in texts(scene.pack, True))
    assert {origin.position for origin in scene.case.origins if origin} == {-1, 0, 1}
    assert texts(scene.forged(), False) == []


def later(proofs: list[Proof]) -> list[Proof]:
    """One proof more: of a message whose root nobody signed, made up beside the true root of the day."""
    one = proofs[0]
    payload = base64.b64encode(b'{"made":"up"}').decode()
    made = changed(one, n=one.n, payload=payload, sha256=hashlib.sha256(b'{"made":"up"}').hexdigest(), path=())
    root = msgspec.structs.replace(one.root, n=1, first_n=one.n, last_n=one.n, root=leaf_hash(made.canonical).hex())
    digest = hashlib.sha256(root_bytes(root)).hexdigest()
    return [changed(made, root=root, root_sha256=digest), *proofs]


def inner(proofs: list[Proof]) -> list[Proof]:
    """A leaf that is claimed at the place of a node above it: a shorter path, a smaller tree."""
    one = next(proof for proof in proofs if len(proof.path) > 2)
    return [changed(one, path=one.path[1:]), *(proof for proof in proofs if proof is not one)]


ATTACKS: dict[str, tuple[Callable[[list[Proof]], list[Proof]], str]] = {
    "root of another log beside it": (later, "roots, a day has one"),
    "an inner node for a leaf": (inner, "the audit path does not lead"),
    "another number": (lambda all: [changed(all[0], n=all[0].n + 1), *all[1:]], "the audit path does not lead"),
    "a negative number": (lambda all: [changed(all[0], n=-1), *all[1:]], "the audit path does not lead"),
    "another topic": (lambda all: [changed(all[0], topic="tags/T2/fixes"), *all[1:]], "the audit path does not lead"),
    "another time": (lambda all: [changed(all[0], received="2026-06-15T22:59:59.000Z"), *all[1:]], "the audit path does not"),
    "no time": (lambda all: [changed(all[0], received="~"), *all[1:]], "received outside the time"),
    "another payload": (lambda all: [changed(all[0], payload=all[1].payload), *all[1:]], "does not have its sha256"),
    "a payload that is no base64": (lambda all: [changed(all[0], payload="="), *all[1:]], "does not have its sha256"),
    "a message taken out": (lambda all: all[1:], "its proof is missing, the day's others are there"),
    "a message twice": (lambda all: [all[0], *all], "holds a message twice"),
    "all of the last day taken out": (lambda all: [one for one in all if one.root.day == all[0].root.day], "of which there is no"),
}  # fmt: skip


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("attack", ATTACKS)
def test_proofs_that_were_forged(attack: str, scene: Scene) -> None:
    forge, expected = ATTACKS[attack]
    found = texts(scene.forged(proofs=lines(forge(scene.proofs))), False)
    assert any(expected in text for text in found), found


@pytest.mark.usefixtures("undrawn")
def test_the_proofs_and_signatures_of_another_log(scene: Scene) -> None:
    """The same fixes at the same times: only the other messages of the day differ, and so do its root and its numbers."""
    other = read(scene.other)
    assert any("its root: the data are not those" in text for text in texts(scene.forged(proofs=other[PROOFS]), False))
    found = texts(scene.forged(signatures=other[SIGNATURES]), False)
    assert any("its root: the data are not those that were signed" in text for text in found)
    days = msgspec.json.decode(read(scene.pack)[SIGNATURES])
    assert len(days) == 2
    swapped = dict(zip(days, reversed(days.values()), strict=True))
    found = texts(scene.forged(signatures=encode(swapped)), False)
    assert sum("its root: the data are not those that were signed" in text for text in found) == 2
    found = texts(scene.forged(signatures=encode({**days, "2020-01-01": "AA=="})), False)
    assert any("signature of 2020-01-01, of which there is no message" in text for text in found)
    for data in (b"[]", b"{}", b'{"a":1}', b'{"2026-06-15":"!"}', b'{"2026-06-15":""}\n'):
        assert texts(scene.forged(signatures=data), False), data


@pytest.mark.usefixtures("undrawn")
def test_roots_without_a_signature_or_by_another_key(scene: Scene) -> None:
    [*unsigned] = texts(scene.forged(signatures=None), None)
    assert sum("its root is not signed: WHOEVER" in text for text in unsigned) == 2
    stranger = make_trial_key("The centre", "ed25519")
    roots = {proof.root.day: proof.root for proof in scene.proofs}
    signed = {day: base64.b64encode(detached.sign(root_bytes(root), stranger)).decode() for day, root in roots.items()}
    pack = scene.forged(signatures=encode(signed))
    assert sum("whose key it is was not checked" in text for text in texts(pack, True)) == 2
    trust = [scene.centre.certificate.public_bytes(Encoding.PEM)]
    assert sum("the certificate is not trusted" in text for text in texts(pack, False, trust=trust)) == 2
    assert not any("raw log" in text for text in texts(scene.pack, False, trust=trust))


@pytest.mark.usefixtures("undrawn")
def test_origins_that_name_something_else(scene: Scene) -> None:
    first, *rest = scene.case.origins
    assert first is not None
    pair = next(k for k, origin in enumerate(rest) if origin and origin.position == 0)
    wrong = replace(rest[pair], position=1)  # type: ignore[type-var]
    assert any(
        "does not say what" in text
        for text in texts(scene.forged(origins=[first, *rest[:pair], wrong, *rest[pair + 1 :]]), False)
    )
    for other in (
        replace(first, sha256="0" * 64),
        replace(first, row=1_000_000),
        replace(first, file="raw-2026-06-16.jsonl"),
    ):
        found = texts(scene.forged(origins=[other, *rest]), False)
        assert any("its proof is missing" in text for text in found), found
    found = texts(scene.forged(origins=[None, *rest]), None)
    assert any("1 position WITHOUT A PROOF" in text for text in found)
    assert any(
        "brought none of the positions" in text for text in texts(scene.forged(origins=[None] * len([first, *rest])), False)
    )


def test_a_leaf_cannot_be_taken_for_a_node(scene: Scene) -> None:
    """RFC 6962: the two are hashed apart, so the data that would be a node's are no leaf of the same tree."""
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    top = node_hash(left, right)
    assert root_by(left + right, 0, 1, []) != top
    assert root_by(b"\x01" + left + right, 0, 1, []) != top
    assert root_by(b"a", 0, 2, [right]) == top


@pytest.mark.usefixtures("undrawn")
def test_a_position_that_was_changed_is_found_by_its_message(scene: Scene) -> None:
    """A speed is no part of the match: only the message tells."""
    members = read(scene.pack)
    data = members["record/fixes.csv"].split(b"\n")
    data[1] = data[1].replace(b",1.00,", b",2.00,", 1)
    members["record/fixes.csv"] = b"\n".join(data)
    found = texts(summed(scene.case, members), False)
    assert any("does not say what the position of T1001" in text for text in found)


def test_the_command_says_what_fails_in_words_and_ends_with_1(scene: Scene, tmp_path: Path) -> None:
    packs = {
        "damaged.zip": scene.pack[:-1], "empty.zip": b"", "forged.zip": scene.forged(proofs=lines(scene.proofs[1:])),
        "deep.zip": write({MANIFEST: b"[" * 100_000}), "twice.zip": scene.pack * 2,
    }  # fmt: skip
    for name, data in packs.items():
        (tmp_path / name).write_bytes(data)
        found = CliRunner().invoke(app, ["evidence", "verify", str(tmp_path / name)])
        assert found.exit_code == 1, name
        assert isinstance(found.exception, SystemExit)
        assert found.stdout.endswith("NOT VERIFIED\n")
        assert "\nFAIL  " in f"\n{found.stdout}"


BUILD = """
import os, sys
os.umask(int(sys.argv[1], 8))
from tests.evidence_case import hostile_case
from tagwatch.evidence import record_of
from crime_match.evidence import again
from crime_match.evidence.build import build, facts
from crime_match.question import Parameters
one = hostile_case()
sys.stdout.buffer.write(build(one, record_of(one.crime, one.trail, Parameters(), one.match)))
"""


def test_the_same_bytes_under_another_umask_folder_zone_language_and_hash_seed(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    found = set()
    for seed, zone, language, umask, folder in (
        ("1", "Pacific/Apia", "C", "000", root), ("99", "Asia/Kathmandu", "tr_TR.UTF-8", "077", str(tmp_path)),
    ):  # fmt: skip
        place = {"PYTHONHASHSEED": seed, "TZ": zone, "LANG": language, "LC_ALL": language, "PYTHONPATH": root}
        words = [sys.executable, "-c", BUILD, umask]
        found.add(subprocess.run(words, env=os.environ | place, cwd=folder, capture_output=True, check=True).stdout)
    assert len(found) == 1
