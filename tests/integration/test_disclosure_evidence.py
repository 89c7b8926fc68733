"""Evidence packs built after a redaction: what stays of a message still tells, what is gone is said to be gone."""

from __future__ import annotations

from pathlib import Path

from crime_match.evidence.pack import read
from engine.times import SECOND_US
from ingest.payload_text import fix_texts
from ingest.raw_log import RawLog
from ingest.raw_proof import read_proof
from ingest.raw_redaction import redact
from ingest.raw_verify import verify
from tagwatch.provenance import PROOFS
from tagwatch.rooting import main
from tests.evidence_case import case
from tests.integration.test_evidence_live import packed, texts

AT_ONCE = 10


def test_a_pack_after_a_backlog_was_erased_in_part(tmp_path: Path) -> None:
    one = case()
    fixes = one.trail.fixes
    bodies = sorted(zip(fixes.received_s.tolist(), fixes.time_us.tolist(), fix_texts(fixes), strict=True))
    with RawLog(tmp_path / "log") as log:
        for start in range(0, len(bodies), AT_ONCE):
            part = bodies[start : start + AT_ONCE]
            text = b"[" + b",".join(body for _, _, body in part) + b"]"
            for received_s in sorted({received_s for received_s, *_ in part}):  # sent again until it is acknowledged
                log.append([(received_s * SECOND_US, "tags/T1001/fixes", text)])
        log.append([((bodies[-1][0] + 86_400) * SECOND_US, "tags/T2/events", b"[]")])
    assert main([str(tmp_path / "log")]) == 0
    whole = packed(one, tmp_path / "log")
    n = len(fixes)
    assert any(text.startswith(f"origins: {n} positions decoded from") for text in texts(whole, True))
    cut_us = bodies[AT_ONCE * 3 + 4][1]
    done = redact(tmp_path / "log", [("T1001", 0, cut_us)], "erase/3")
    assert done.n_partly > 0
    pack = packed(one, tmp_path / "log")
    assert texts(pack, False) == []
    assert any("6 positions stand in what was kept of messages that were erased in part" in t for t in texts(pack, None))
    assert texts(whole, False) == []  # built before: it holds what it held
    proofs = [read_proof(line + b"\n") for line in read(pack)[PROOFS].splitlines()]
    assert {proof.erased for proof in proofs} == {True, False}
    assert [proof for proof in proofs if proof.erased and isinstance(proof.rest, str)]
    assert verify(tmp_path / "log").faults == []
