"""From messages to a pack: positions that came live are decoded again from the messages in it, by the signed root of their day."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crime_match.evidence.build import build
from crime_match.evidence.case import Case
from crime_match.evidence.manifest import manifest_of, sums_of
from crime_match.evidence.pack import MANIFEST, SUMS, read, write
from crime_match.evidence.signing.trial_key import make_trial_key, write_pem
from crime_match.question import Parameters
from engine.times import DAY_US, SECOND_US
from ingest.payload_text import fix_texts
from ingest.raw_log import RawLog, day_files
from tagwatch.evidence import match_in, record_of, verify_pack
from tagwatch.provenance import PROOFS, SIGNATURES, traced
from tagwatch.rooting import Rooting, main, roots_in
from tests.evidence_case import case


def logged(folder: Path) -> Case:
    """A case whose fixes came one a message, with others between them; the log goes on a day later."""
    one = case()
    fixes = one.trail.fixes
    arrivals = sorted(zip(fixes.received_s.tolist(), fix_texts(fixes), strict=True))
    with RawLog(folder) as log:
        for at_s, text in arrivals:
            log.append([(at_s * SECOND_US, "tags/T1001/fixes", text), (at_s * SECOND_US, "tags/T2/events", b"[]")])
        log.append([((arrivals[-1][0] + 86_400) * SECOND_US, "tags/T2/events", b"[]")])
    return one


def packed(one: Case, folder: Path) -> bytes:
    files = record_of(one.crime, one.trail, Parameters(), one.match)
    trail, _ = match_in(files, Parameters())
    origins, proofs = traced(folder, trail.fixes)
    return build(replace(one, trail=trail, origins=origins), {**files, **proofs})


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Case]:
    home = tmp_path_factory.mktemp("live")
    one = logged(home / "raw-log")
    write_pem(home / "centre.pem", make_trial_key("The centre", "ed25519"))
    made = roots_in(home / "raw-log", str(home / "centre.pem"))
    assert made.faults == []
    assert len(made.days) == len(day_files(home / "raw-log")) - 1
    return home / "raw-log", one


def texts(pack: bytes, holds: bool | None) -> list[str]:
    return [finding.text for finding in verify_pack(pack).findings if finding.holds is holds]


def test_each_position_is_decoded_again_from_the_message_that_brought_it(scene: tuple[Path, Case]) -> None:
    folder, one = scene
    pack = packed(one, folder)
    n = len(one.trail.fixes)
    assert any(text.startswith(f"origins: {n} positions decoded from {n} messages") for text in texts(pack, True))
    assert any("its root is signed by CN=The centre" in text for text in texts(pack, True))
    assert texts(pack, False) == []
    assert b"tags/T2/" not in read(pack)[PROOFS]  # nobody else's messages
    assert pack == packed(one, folder)


def forged(pack: bytes, one: Case, **changes: bytes) -> bytes:
    members = {**read(pack), **{name.replace("__", "/"): data for name, data in changes.items()}}
    del members[MANIFEST], members[SUMS]
    members[MANIFEST] = manifest_of(one, members)
    members[SUMS] = sums_of(members)
    return write(members)


def test_a_message_a_position_or_a_signature_that_was_changed_is_found(scene: tuple[Path, Case]) -> None:
    folder, one = scene
    pack = packed(one, folder)
    members = read(pack)
    for name, data in (
        (PROOFS, members[PROOFS].replace(b'"n":3,', b'"n":4,', 1)),
        (SIGNATURES, members[SIGNATURES].replace(b"M", b"N", 1)),
        ("record/fixes.csv", members["record/fixes.csv"].replace(b",12,", b",13,", 1)),
        ("record/fixes.csv", members["record/fixes.csv"].replace(b"100.5", b"100.4")),
    ):
        if data != members[name]:
            assert texts(forged(pack, one, **{name: data}), False), name


def test_what_was_erased_is_said_to_have_come_and_no_more(tmp_path: Path) -> None:
    one = logged(tmp_path / "raw-log")
    first = one.trail.fixes.received_s.min() * SECOND_US
    with RawLog(tmp_path / "raw-log") as log:
        for day in {path.stem.removeprefix("raw-") for path in day_files(tmp_path / "raw-log")}:
            if day == f"{case().match['closest_at'][:10]}":
                log.erase(day, 1 + 2 * 20)
    assert first
    assert main([str(tmp_path / "raw-log")]) == 0
    pack = packed(one, tmp_path / "raw-log")
    assert texts(pack, False) == []
    assert any("have been erased since" in text for text in texts(pack, None))
    assert any("its root is not signed" in text for text in texts(pack, None))


def test_without_a_log_or_before_the_day_has_ended(tmp_path: Path) -> None:
    assert traced(tmp_path / "none", case().trail.fixes) == ([], {})
    one = logged(tmp_path / "raw-log")  # no root is made
    pack = packed(one, tmp_path / "raw-log")
    assert texts(pack, False) == []
    assert PROOFS not in read(pack)


def test_the_service_has_closed_days_rooted_beside_it(tmp_path: Path) -> None:
    now_us = case().dated_us
    with RawLog(tmp_path) as log:
        log.append([(now_us, "tags/a/fixes", b"{}")])
        rooting = Rooting(tmp_path, "")
        rooting.turn(log, now_us)
        rooting.close()
        assert not list(tmp_path.glob("*.root.json"))
        rooting.turn(log, now_us + DAY_US)
        rooting.close()
        assert len(list(tmp_path.glob("*.root.json"))) == 1
        rooting.turn(log, now_us + DAY_US)  # the same day: nothing is started
        rooting.close()
