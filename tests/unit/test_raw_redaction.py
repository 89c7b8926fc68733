"""Redaction of the raw log: beside a running service, after a crash, against those who tamper with what it says."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import InputError, StoreError
from ingest import raw_redaction
from ingest.message import Message
from ingest.payload import decode_fixes
from ingest.raw_log import REDACTION, RawLog, locked
from ingest.raw_orders import FILE, read_redactions
from ingest.raw_redaction import redact
from ingest.raw_root import make_roots
from ingest.raw_search import messages_of, origins_of
from ingest.raw_verify import verify

SECOND_US, DAY_US = 1_000_000, 86_400_000_000
START_US = 1774742400_000000  # 2026-03-29
S = START_US // SECOND_US
DAY, NEXT = "2026-03-29", "2026-03-30"
ALWAYS = -(2**62), 2**62


def fix(at_s: int) -> dict[str, object]:
    return {"time": S + at_s, "lat": 51.5, "lon": -0.1, "accuracy_m": 5}


def tag(received_s: int, device: str, *fixes: dict[str, object]) -> Message:
    body = fixes[0] if len(fixes) == 1 else list(fixes)
    return Message(START_US + received_s * SECOND_US, f"tags/{device}/fixes", json.dumps(body).encode())


def logged(folder: Path, *some: Message) -> Path:
    with RawLog(folder) as log:
        log.append(some)
    return folder


def two_days(folder: Path) -> Path:
    logged(
        folder, tag(10, "a", fix(1)), tag(20, "b", fix(2)), tag(30, "a", fix(3), fix(30), fix(4)),
        Message(START_US + DAY_US, "tags/b/fixes", b"{}"), tag(86_410, "a", fix(5), fix(86_405)),
    )  # fmt: skip
    make_roots(folder)
    return folder


def span(from_s: int, to_s: int, device: str = "a") -> list[tuple[str, int, int]]:
    return [(device, START_US + from_s * SECOND_US, START_US + to_s * SECOND_US)]


def test_a_backlog_across_the_boundary_keeps_its_rest(tmp_path: Path) -> None:
    two_days(tmp_path)
    done = redact(tmp_path, span(0, 10), "erase/1")
    assert done[:5] == (1, 2, 2, 0, 0)
    found = [one.record for one in messages_of(tmp_path, ["a"], S, S + 90_000)]
    assert [one.payload for one in found] == [None] * 3
    assert isinstance(found[1].rest, str)
    fixes, _ = decode_fixes([tag(30, "a", fix(3), fix(30), fix(4))])
    gone, kept, _ = origins_of(tmp_path, fixes)
    assert kept is not None
    assert (kept.n, kept.position, kept.erased, kept.order) == (3, 1, False, "erase/1")
    assert gone is not None
    assert (gone.n, gone.position, gone.erased, gone.order) == (3, -1, True, "erase/1")
    result = verify(tmp_path)
    assert (result.faults, result.n_messages, result.n_erased, result.n_partly, result.n_ordered) == ([], 5, 3, 2, 3)
    assert result.head == done.head


def test_days_that_hold_nothing_of_it_are_not_rewritten(tmp_path: Path) -> None:
    two_days(tmp_path)
    files = {path: path.stat().st_ino for path in tmp_path.glob("raw-*")}
    assert redact(tmp_path, span(2, 10, "b"), "x").n_files == 1
    assert [path.name for path, inode in files.items() if path.stat().st_ino != inode] == [f"raw-{DAY}.jsonl"]
    assert redact(tmp_path, [("c", *ALWAYS)], "x")[:3] == (0, 0, 0)


def test_beside_the_service_today_waits(tmp_path: Path) -> None:
    two_days(tmp_path)
    with RawLog(tmp_path) as log:
        log.append([tag(86_420, "a", fix(6))])
        done = redact(tmp_path, span(0, 10), "x")
        assert (done.n_erased, done.n_partly, done.open_day, done.n_waiting) == (1, 1, NEXT, 2)
        log.append([tag(86_430, "a", fix(86_430))])
        log.turn(START_US + 2 * DAY_US)
        assert redact(tmp_path, span(0, 10), "x")[:3] == (1, 1, 1)
        log.append([tag(2 * 86_400, "a", fix(7))])
        mine = redact(tmp_path, span(0, 10), "x", log=log)
        assert (mine.n_erased, mine.n_waiting) == (1, 0)
        log.append([tag(2 * 86_400 + 1, "a", fix(2 * 86_400))])
    assert (verify(tmp_path).faults, verify(tmp_path).n_messages, verify(tmp_path).n_erased) == ([], 9, 5)


def test_a_service_that_appends_in_another_process(tmp_path: Path) -> None:
    two_days(tmp_path)
    script = (
        "import sys\nfrom ingest.raw_log import RawLog\nwith RawLog(sys.argv[1]) as log:\n"
        " for line in sys.stdin:\n  log.append([(int(line), 'tags/a/fixes', b'{}')]); log.flush()"
        "\n  print(flush=True)\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdin is not None
        assert service.stdout is not None
        for k in range(20):
            service.stdin.write(f"{START_US + DAY_US * (1 + k // 5) + 20 * SECOND_US + k}\n")
            service.stdin.flush()
            service.stdout.readline()
            redact(tmp_path, [("a", START_US, START_US + 9 * DAY_US)], "x")
        service.stdin.close()
    redact(tmp_path, [("a", START_US, START_US + 9 * DAY_US)], "x")
    found = verify(tmp_path)
    assert (found.faults, found.n_messages, found.n_erased, found.n_ordered) == ([], 25, 23, 23)


def test_a_crash_between_the_order_and_the_file_is_told_and_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    two_days(tmp_path)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(raw_redaction, "rewrite", cut)
    with pytest.raises(KeyboardInterrupt):
        redact(tmp_path, span(0, 10), "x")
    monkeypatch.undo()
    faults = verify(tmp_path).faults
    assert {fault.code for fault in faults} == {"broken_redaction"}
    assert "do the order again" in faults[0].message
    (tmp_path / f"raw-{DAY}.jsonl.new").write_bytes(b"what a crash left of a file: payloads")
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"number":2,"da')
    n_lines = len((tmp_path / FILE).read_bytes().splitlines())
    assert redact(tmp_path, span(0, 10), "x", dry_run=True)[:3] == (1, 2, 2)
    assert redact(tmp_path, span(0, 10), "x")[:3] == (1, 2, 2)
    assert verify(tmp_path).faults == []
    assert len(read_redactions(tmp_path)) == n_lines  # the day that was noted already is not noted twice
    assert not list(tmp_path.glob("*.new"))


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_days(tmp_path)
    whole = (tmp_path / f"raw-{DAY}.jsonl").read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(raw_redaction, "_piece", full)
    with pytest.raises(OSError, match="No space"):
        redact(tmp_path, span(0, 10), "x")
    assert (tmp_path / f"raw-{DAY}.jsonl").read_bytes() == whole
    assert not list(tmp_path.glob("*.new"))


def test_an_old_copy_put_back_and_a_rest_made_up_are_found(tmp_path: Path) -> None:
    two_days(tmp_path)
    path = tmp_path / f"raw-{DAY}.jsonl"
    old = path.read_bytes()
    redact(tmp_path, span(0, 10), "7")
    new = path.read_bytes()
    path.write_bytes(old)
    assert any("an older copy was put back" in fault.message for fault in verify(tmp_path).faults)
    lines = [json.loads(line) for line in new.splitlines()]
    for changed, said in (("W10=", "not what order 7 left"), (None, "not what order 7 left")):
        lines[2]["rest"] = changed
        told = {k: v for k, v in lines[2].items() if v is not None or k == "payload"}
        path.write_bytes(b"\n".join(json.dumps(one, separators=(",", ":")).encode() for one in [*lines[:2], told]) + b"\n")
        assert any(said in fault.message for fault in verify(tmp_path).faults), changed
    path.write_bytes(new)
    redactions = (tmp_path / FILE).read_bytes()
    for at in range(0, len(redactions), 7):
        (tmp_path / FILE).write_bytes(redactions[:at] + bytes([redactions[at] ^ 1]) + redactions[at + 1 :])
        assert verify(tmp_path).faults, at
    (tmp_path / FILE).unlink()
    found = verify(tmp_path)
    assert any("a part is left of it by no order" in fault.message for fault in found.faults)
    assert found.n_ordered == 0


def test_what_a_crash_tore_is_searched_too(tmp_path: Path) -> None:
    logged(tmp_path, tag(1, "a", fix(1)))
    path = tmp_path / f"raw-{DAY}.jsonl"
    half = (
        b'{"n":2,"received":"2026-03-29T00:00:02.000000Z","topic":"tags/a/fixes","sha256":"00","chain":"00","payload":"eyJ0'
    )
    path.write_bytes(path.read_bytes() + half)
    with RawLog(tmp_path) as log:
        (side,) = log.torn
    assert redact(tmp_path, [("b", *ALWAYS)], "x").n_torn == 0
    assert redact(tmp_path, span(0, 9), "x").n_torn == 1
    assert side.read_bytes() == half[: half.index(b',"sha256"')]
    assert redact(tmp_path, span(0, 9), "x").n_torn == 0


def test_a_broken_line_is_left_and_counted(tmp_path: Path) -> None:
    two_days(tmp_path)
    path = tmp_path / f"raw-{DAY}.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"payload":"ey', b'"payload":"ez', 1))
    assert redact(tmp_path, span(0, 10), "x")[:5] == (0, 2, 2, 0, 1)


def test_one_redaction_at_a_time_and_orders_have_names(tmp_path: Path) -> None:
    two_days(tmp_path)
    said = "a redaction of the raw log is under way"
    with locked(tmp_path, *REDACTION), RawLog(tmp_path) as log:
        with pytest.raises(StoreError, match=said):
            redact(tmp_path, span(0, 9), "x")
        with pytest.raises(StoreError, match=said):
            log.erase(DAY, 2)
    for order in ("", " ", "a\nb", "x" * 201):
        with pytest.raises(InputError, match="order"):
            redact(tmp_path, span(0, 9), order)


def test_the_file_stays_its_owners(tmp_path: Path) -> None:
    two_days(tmp_path)
    path = tmp_path / f"raw-{DAY}.jsonl"
    os.chmod(path, 0o640)
    redact(tmp_path, span(0, 9), "x")
    assert path.stat().st_mode & 0o777 == 0o640


def test_erasing_one_by_number_needs_no_order(tmp_path: Path) -> None:
    two_days(tmp_path)
    redact(tmp_path, span(0, 4), "x")
    with RawLog(tmp_path) as log:
        log.erase(DAY, 2)
        log.erase(DAY, 3)
    found = verify(tmp_path)
    assert (found.faults, found.n_erased, found.n_partly, found.n_ordered) == ([], 3, 1, 2)
