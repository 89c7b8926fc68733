"""Proofs of single messages: every one holds, without the log, and any change of a byte is found."""

import base64
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from ingest.message import Message
from ingest.raw_log import RawLog
from ingest.raw_proof import Proof, holds, proofs_of, prove, read_proof
from ingest.raw_root import hash_of_root, make_roots, root_path
from tests.property.test_ingest_merkle import hashed, mth, path

DAY_US = 86_400_000_000
START_US = 1774742400_000000
DAY, NEXT = "2026-03-29", "2026-03-30"

messages = st.lists(
    st.tuples(st.integers(0, DAY_US - 1), st.text(max_size=12), st.binary(max_size=30)), min_size=1, max_size=40
)


def written(folder: Path, some: list[tuple[int, str, bytes]], n_before: int = 2) -> None:
    with RawLog(folder) as log:
        log.append([Message(START_US - DAY_US, "t", b"%d" % k) for k in range(n_before)])
        log.turn(START_US)
        log.append([Message(START_US + at, topic, payload) for at, topic, payload in some])
        log.turn(START_US + DAY_US)
    make_roots(folder)


def canonical(line: str) -> bytes:
    record = json.loads(line)
    fields = [record["n"], record["received"], record["topic"], record["sha256"]]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


@settings(max_examples=60)
@given(messages, st.integers(0, 3), st.data())
def test_every_proof_holds(some: list[tuple[int, str, bytes]], n_before: int, data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        written(folder, some, n_before)
        lines = (folder / f"raw-{DAY}.jsonl").read_text("utf-8").split("\n")[:-1]
        root_file = root_path(folder, DAY).read_bytes()
        wanted = data.draw(st.sets(st.integers(1, len(some)), min_size=1))
        proofs = proofs_of(folder, DAY, [n_before + k for k in wanted])
    assert proofs.keys() == {n_before + k for k in wanted}
    leaves = [canonical(line) for line in lines]
    for n, proof in proofs.items():
        k = n - n_before - 1
        assert holds(proof) == []
        assert not proof.erased
        assert proof.canonical == leaves[k]
        assert (proof.topic, base64.b64decode(proof.payload or "")) == some[k][1:]
        assert proof.root.root == mth(leaves).hex()
        assert [bytes.fromhex(part) for part in proof.path] == path(k, leaves)
        assert proof.root_sha256 == hashed(root_file).hex()
        assert read_proof(proof.to_json()) == proof
        assert proof.to_json().count(b"\n") == 1


def read_and_check(line: bytes) -> list[str]:
    try:
        return holds(read_proof(line))
    except InputError as error:
        return [str(error)]


def changed(line: bytes) -> Iterator[tuple[int, bytes]]:
    for at in range(len(line)):
        for bit in (1, 2, 32, 128):
            yield at, line[:at] + bytes([line[at] ^ bit]) + line[at + 1 :]
        yield at, line[:at] + line[at + 1 :]


@pytest.mark.parametrize("n", [3, 6, 13])
def test_every_changed_byte_is_found(tmp_path: Path, n: int) -> None:
    written(tmp_path, [(k, f"tags/é{k}/fixes", b"[%d]" % k) for k in range(11)])
    line = prove(tmp_path, DAY, n).to_json()
    assert read_and_check(line) == []
    for at, other in changed(line):
        assert read_and_check(other), (at, line[at : at + 20])


@cache
def proofs_of_two_days() -> tuple[list[Proof], list[Proof]]:
    with TemporaryDirectory() as name:
        written(Path(name), [(k, f"t{k % 2}", b"%d" % (k % 3)) for k in range(7)])
        return list(proofs_of(name, DAY, range(3, 10)).values()), list(proofs_of(name, "2026-03-28", [1, 2]).values())


@given(st.data())
@settings(max_examples=200)
def test_no_part_can_be_exchanged(data: st.DataObject) -> None:
    """Parts of one proof in another: also where each is written as it should be."""
    proofs, others = proofs_of_two_days()
    proof = data.draw(st.sampled_from(proofs))
    other = data.draw(st.sampled_from([*proofs, *others]))
    fields = data.draw(st.sets(st.sampled_from(Proof.__struct_fields__), min_size=1))
    mixed = msgspec.structs.replace(proof, **{name: getattr(other, name) for name in fields})
    assert (holds(mixed) == []) == (mixed in (*proofs, *others))


def test_what_does_not_hold_is_said(tmp_path: Path) -> None:
    written(tmp_path, [(k, "t", b"%d" % k) for k in range(3)])
    proof = prove(tmp_path, DAY, 4)
    root = msgspec.structs.replace(proof.root, last_n=99)
    for changes, said in (
        ({"payload": "MQ=="} if proof.payload != "MQ==" else {"payload": "Mg=="}, ["the payload does not have its sha256"]),
        ({"payload": "???"}, ["the payload does not have its sha256"]),
        ({"topic": "u"}, ["the audit path does not lead from the message to the root"]),
        ({"path": (*proof.path, "zz")}, ["the audit path does not lead from the message to the root"]),
        ({"path": (proof.path[0].upper(), *proof.path[1:])}, ["the audit path does not lead from the message to the root"]),
        ({"path": ("", *proof.path)}, ["the audit path does not lead from the message to the root"]),
        ({"root_sha256": "0" * 64}, ["the root file does not have its sha256"]),
        ({"root": root, "root_sha256": hash_of_root(root)}, ["the root's numbers do not agree with its count"]),
    ):
        assert holds(msgspec.structs.replace(proof, **changes)) == said
    late = msgspec.structs.replace(proof, received="2026-03-30T00:00:00.000000Z")
    assert holds(late)[0] == "received outside the time of the root"


def test_an_erased_payload_is_told_and_proves_the_message(tmp_path: Path) -> None:
    written(tmp_path, [(k, "t", b"%d" % k) for k in range(3)])
    before = prove(tmp_path, DAY, 4)
    with RawLog(tmp_path) as log:
        log.erase(DAY, 4)
    proof = prove(tmp_path, DAY, 4)
    assert (proof.erased, proof.payload, holds(proof)) == (True, None, [])
    assert msgspec.structs.replace(proof, payload=before.payload) == before
    assert proof.sha256 == hashlib.sha256(b"1").hexdigest()


def test_what_cannot_be_proved(tmp_path: Path) -> None:
    written(tmp_path, [(k, "t", b"%d" % k) for k in range(3)])
    for n in (0, 2, 6):
        with pytest.raises(InputError, match="no such message"):
            prove(tmp_path, DAY, n)
    with pytest.raises(InputError, match=r"raw-2026-03-30\.root\.json: cannot be read"):
        prove(tmp_path, NEXT, 6)
    file = tmp_path / f"raw-{DAY}.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.rindex(b"{")])
    with pytest.raises(InputError, match="does not have the root"):
        prove(tmp_path, DAY, 3)
    file.write_bytes(whole[:-1])
    with pytest.raises(InputError, match="line 3: torn"):
        prove(tmp_path, DAY, 3)
    file.unlink()
    with pytest.raises(InputError, match="no such message"):
        prove(tmp_path, DAY, 3)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_what_is_no_proof(line: bytes) -> None:
    with pytest.raises(InputError, match="not a proof"):
        read_proof(line)
