"""Roots of the raw log's closed days: what they hold, when they are made, and that whatever is wrong with them is found."""

import hashlib
import json
from pathlib import Path

import pytest

from ingest.message import Message
from ingest.raw_log import RawLog
from ingest.raw_record import GENESIS, Record, canonical_of, records_of
from ingest.raw_root import hash_of_root, make_roots, read_root, root_bytes, root_path, signature_path
from ingest.raw_verify import verify
from tests.property.test_ingest_merkle import mth

DAY_US = 86_400_000_000
START_US = 1774742400_000000  # 2026-03-29
DAYS = ["2026-03-29", "2026-03-30", "2026-03-31", "2026-04-01"]


def fill(folder: Path, *counts: int) -> None:
    """So many messages on each day, and a file for the day after."""
    with RawLog(folder) as log:
        for day, n in enumerate(counts):
            at_us = START_US + day * DAY_US
            log.turn(at_us)
            log.append([Message(at_us + k * 1000, f"tags/t{k % 3}/fixes", b'{"n": %d}' % k) for k in range(n)])
        log.turn(START_US + len(counts) * DAY_US)


def signed(data: bytes) -> bytes:
    return b"signed " + hashlib.sha256(data).digest()


def leaves(path: Path) -> list[bytes]:
    records = [record for _, record in records_of(path) if isinstance(record, Record)]
    return [canonical_of(r.n, r.received, r.topic, r.sha256) for r in records]


def found(folder: Path) -> list[str]:
    return [fault.code for fault in verify(folder).faults]


def test_a_root_says_what_its_day_holds(tmp_path: Path) -> None:
    fill(tmp_path, 3, 5)
    assert make_roots(tmp_path, signed) == ([DAYS[0], DAYS[1]], [])
    before = GENESIS
    for day, n, first_n in ((DAYS[0], 3, 1), (DAYS[1], 5, 4)):
        data = (tmp_path / f"raw-{day}.root.json").read_bytes()
        lines = [json.loads(line) for line in (tmp_path / f"raw-{day}.jsonl").read_text().splitlines()]
        document = {
            "day": day, "n": n, "first_n": first_n, "last_n": first_n + n - 1, "earliest": lines[0]["received"],
            "latest": lines[-1]["received"], "root": mth(leaves(tmp_path / f"raw-{day}.jsonl")).hex(),
            "chain": lines[-1]["chain"], "before": before,
        }  # fmt: skip
        assert data == json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"
        assert (tmp_path / f"raw-{day}.root.sig").read_bytes() == signed(data)
        before = hashlib.sha256(data).hexdigest()
    result = verify(tmp_path)
    assert (result.faults, result.n_rooted, result.n_signed, result.unrooted) == ([], 2, 2, ())


def test_only_closed_days_with_messages_have_one(tmp_path: Path) -> None:
    assert make_roots(tmp_path) == ([], [])
    with RawLog(tmp_path) as log:
        log.append([Message(START_US, "t", b"1")])
        assert make_roots(tmp_path) == ([], [])
        assert log.turn(START_US + DAY_US - 1) == DAYS[0]
        assert log.turn(START_US + DAY_US) == DAYS[1]
        assert verify(tmp_path).unrooted == (DAYS[0],)
        assert make_roots(tmp_path).days == [DAYS[0]]
        assert log.turn(START_US + 3 * DAY_US) == DAYS[3]
        log.append([Message(START_US + 3 * DAY_US, "t", b"2")])
        assert make_roots(tmp_path) == ([], [])  # a day without a message
        log.turn(START_US + 4 * DAY_US)
        assert make_roots(tmp_path).days == [DAYS[3]]
    assert read_root(root_path(tmp_path, DAYS[3])).before == hash_of_root(read_root(root_path(tmp_path, DAYS[0])))
    assert (found(tmp_path), verify(tmp_path).unrooted) == ([], ())


def test_a_clock_set_back_adds_nothing_to_a_closed_day(tmp_path: Path) -> None:
    with RawLog(tmp_path) as log:
        log.append([Message(START_US + 5, "t", b"1")])
        log.turn(START_US + DAY_US)
        make_roots(tmp_path)
        assert log.turn(START_US) == DAYS[1]
        log.append([Message(START_US + 6, "t", b"2"), Message(START_US + DAY_US, "t", b"3")])
        log.turn(START_US + 2 * DAY_US)
    with RawLog(tmp_path) as log:  # and started again with the clock still behind
        assert log.turn(START_US) == DAYS[2]
        log.append([Message(START_US + 7, "t", b"4")])
    assert make_roots(tmp_path).days == [DAYS[1]]
    root = read_root(root_path(tmp_path, DAYS[1]))
    assert (root.n, root.earliest, root.latest) == (2, "2026-03-29T00:00:00.000006Z", "2026-03-30T00:00:00.000000Z")
    assert found(tmp_path) == []


def test_an_erased_payload_leaves_the_root(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    make_roots(tmp_path)
    with RawLog(tmp_path) as log:
        log.erase(DAYS[0], 2)
    assert (found(tmp_path), verify(tmp_path).n_erased) == ([], 1)
    root_path(tmp_path, DAYS[0]).rename(tmp_path / "kept")
    make_roots(tmp_path)
    assert root_path(tmp_path, DAYS[0]).read_bytes() == (tmp_path / "kept").read_bytes()


@pytest.mark.parametrize("n_written", range(7))
def test_a_crash_anywhere_between_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_written: int) -> None:
    """Whatever has been written, the next start makes the rest, and all is as without the crash."""
    import ingest.raw_root

    for name in ("whole", "crashed"):
        fill(tmp_path / name, 2, 3, 4)
    make_roots(tmp_path / "whole", signed)
    rewrite, left = ingest.raw_root.rewrite, [n_written]

    def crashing(path: Path, lines: list[bytes]) -> None:
        if not left[0]:
            path.with_name(path.name + ".new").write_bytes(b"".join(lines)[:10])
            raise KeyboardInterrupt
        left[0] -= 1
        rewrite(path, lines)

    monkeypatch.setattr(ingest.raw_root, "rewrite", crashing)
    try:
        make_roots(tmp_path / "crashed", signed)
    except KeyboardInterrupt:
        assert found(tmp_path / "crashed") == []
    assert n_written == 6 or len(verify(tmp_path / "crashed").unrooted) == 3 - (n_written + 1) // 2
    monkeypatch.undo()
    make_roots(tmp_path / "crashed", signed)
    told = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("whole", "crashed")]
    assert told[0] == told[1]


def test_a_signature_can_come_later(tmp_path: Path) -> None:
    fill(tmp_path, 1, 1)
    make_roots(tmp_path)
    assert verify(tmp_path).n_signed == 0
    assert make_roots(tmp_path, signed).days == []
    assert verify(tmp_path).n_signed == 2
    path = root_path(tmp_path, DAYS[1])
    assert signature_path(path).read_bytes() == signed(root_bytes(read_root(path)))


def test_a_day_that_does_not_hold_stops_the_roots(tmp_path: Path) -> None:
    fill(tmp_path, 3, 3, 3)
    path = tmp_path / f"raw-{DAYS[1]}.jsonl"
    whole = path.read_bytes()
    for broken in (whole.replace(b"t1", b"t2"), whole[:-5], b"{}\n" + whole, whole[whole.index(b"\n") + 1 :] + whole[:50]):
        path.write_bytes(broken)
        made = make_roots(tmp_path)
        assert (made.days or [DAYS[0]], [fault.code for fault in made.faults]) == ([DAYS[0]], ["no_root"])
        assert path.name in made.faults[0].place
        assert verify(tmp_path).unrooted[-1] == DAYS[2]
    path.write_bytes(whole)
    assert make_roots(tmp_path) == ([DAYS[1], DAYS[2]], [])


def test_a_torn_end_is_cut_before_its_day_gets_a_root(tmp_path: Path) -> None:
    with RawLog(tmp_path) as log:
        log.append([Message(START_US, "t", b"1")])
    path = tmp_path / f"raw-{DAYS[0]}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"n":2,"rec')
    with RawLog(tmp_path) as log:  # the service that starts again on the next day
        log.turn(START_US + DAY_US)
        assert make_roots(tmp_path) == ([DAYS[0]], [])
    assert read_root(root_path(tmp_path, DAYS[0])).n == 1


def test_a_day_put_in_the_place_of_another(tmp_path: Path) -> None:
    fill(tmp_path, 3, 3)
    (tmp_path / f"raw-{DAYS[1]}.jsonl").write_bytes((tmp_path / f"raw-{DAYS[0]}.jsonl").read_bytes())
    made = make_roots(tmp_path)
    assert (made.days, made.faults[0].message) == ([DAYS[0]], "message 1 comes after message 3")


def test_a_day_chained_to_another_past(tmp_path: Path) -> None:
    fill(tmp_path / "one", 3, 3)
    with RawLog(tmp_path / "two") as log:
        log.append([Message(START_US, "other", b"%d" % k) for k in range(3)])
        log.append([Message(START_US + DAY_US, "other", b"4")])
    name = f"raw-{DAYS[1]}.jsonl"
    (tmp_path / "one" / name).write_bytes((tmp_path / "two" / name).read_bytes())
    assert make_roots(tmp_path / "one").faults[0].message == "does not follow from message 3"


def test_days_taken_away(tmp_path: Path) -> None:
    fill(tmp_path, 2, 2, 2)
    make_roots(tmp_path)
    (tmp_path / f"raw-{DAYS[0]}.jsonl").unlink()
    assert found(tmp_path) == []
    assert make_roots(tmp_path) == ([], [])
    root_path(tmp_path, DAYS[0]).unlink()
    assert (found(tmp_path), verify(tmp_path).n_rooted) == ([], 2)


def test_a_day_that_is_gone_in_between_does_not_stop_later_ones(tmp_path: Path) -> None:
    fill(tmp_path, 2, 2, 2)
    (tmp_path / f"raw-{DAYS[1]}.jsonl").rename(tmp_path / "away")
    assert make_roots(tmp_path) == ([DAYS[0], DAYS[2]], [])
    (tmp_path / "away").rename(tmp_path / f"raw-{DAYS[1]}.jsonl")
    made = make_roots(tmp_path)
    assert (made.days, "made without this day" in made.faults[0].message) == ([], True)


def test_a_lost_root_is_made_again_and_another_is_not(tmp_path: Path) -> None:
    fill(tmp_path, 2, 2, 2)
    make_roots(tmp_path)
    path = root_path(tmp_path, DAYS[1])
    data = path.read_bytes()
    path.unlink()
    assert (found(tmp_path), verify(tmp_path).unrooted) == (["broken_root_chain"], (DAYS[1],))
    assert make_roots(tmp_path) == ([DAYS[1]], [])
    assert path.read_bytes() == data


def test_every_changed_byte_of_a_root_file_is_found(tmp_path: Path) -> None:
    fill(tmp_path, 2, 2)
    make_roots(tmp_path)
    path = root_path(tmp_path, DAYS[0])
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert verify(tmp_path).faults, at
    path.unlink()
    path.mkdir()
    assert found(tmp_path) == ["broken_root"]


def test_a_day_changed_after_its_root(tmp_path: Path) -> None:
    """Even where the whole chain has been written anew, the root tells."""
    fill(tmp_path / "log", 3)
    make_roots(tmp_path / "log")
    with RawLog(tmp_path / "other") as log:
        log.append([Message(START_US + k * 1000, f"tags/t{k % 3}/fixes", b'{"n": %d}' % (k or 7)) for k in range(3)])
    name = f"raw-{DAYS[0]}.jsonl"
    (tmp_path / "log" / name).write_bytes((tmp_path / "other" / name).read_bytes())
    assert found(tmp_path / "log") == ["wrong_root"]
