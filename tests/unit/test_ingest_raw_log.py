import json
import os
from pathlib import Path

import pytest

from engine.errors import InputError, StoreError
from ingest.message import Message
from ingest.raw_log import RawLog
from ingest.raw_verify import verify

DAY_US = 86_400_000_000
START_US = 1774742400_000000  # 2026-03-29


def messages(n: int, start_us: int = START_US) -> list[Message]:
    return [Message(start_us + i, f"tags/t{i}/fixes", b'{"n": %d}' % i) for i in range(n)]


def test_lines_have_fixed_keys_and_the_chain_goes_over_days(tmp_path: Path) -> None:
    with RawLog(tmp_path) as log:
        assert log.append(messages(3)) == 3
        log.append([*messages(1, START_US + DAY_US), *messages(1, START_US)])  # a clock set back stays in the newest file
        log.flush()
    first = (tmp_path / "raw-2026-03-29.jsonl").read_text().splitlines()
    assert list(json.loads(first[0])) == ["n", "received", "topic", "sha256", "chain", "payload"]
    assert json.loads(first[1])["received"] == "2026-03-29T00:00:00.000001Z"
    assert len((tmp_path / "raw-2026-03-30.jsonl").read_text().splitlines()) == 2
    result = verify(tmp_path)
    assert (result.faults, result.n_messages, result.first_n, sorted(result.roots)) == (
        [],
        5,
        1,
        ["2026-03-29", "2026-03-30"],
    )


def test_it_goes_on_after_closing(tmp_path: Path) -> None:
    for i in range(4):
        with RawLog(tmp_path) as log:
            log.append(messages(2, START_US + i * DAY_US // 2))
            assert log.torn == []
    result = verify(tmp_path)
    assert (result.faults, result.n_messages) == ([], 8)


@pytest.mark.parametrize("tail", [b'{"n":4,"rec', b"\0" * 5000, b"\n\n", b'{"n":4}\n{"n":5', b"x" * 200_000])
def test_a_torn_last_line_is_cut_off_and_kept_beside(tmp_path: Path, tail: bytes) -> None:
    with RawLog(tmp_path) as log:
        log.append(messages(3))
    path = tmp_path / "raw-2026-03-29.jsonl"
    path.write_bytes(path.read_bytes() + tail)
    with RawLog(tmp_path) as log:
        assert [side.read_bytes() for side in log.torn] == [tail]
        log.append(messages(1))
    result = verify(tmp_path)
    assert (result.faults, result.n_messages) == ([], 4)


def test_a_file_torn_at_its_first_line(tmp_path: Path) -> None:
    with RawLog(tmp_path) as log:
        log.append(messages(2))
    (tmp_path / "raw-2026-03-30.jsonl").write_bytes(b'{"n"')
    with RawLog(tmp_path) as log:
        assert len(log.torn) == 1
        log.append(messages(1, START_US + DAY_US))
    assert (verify(tmp_path).faults, verify(tmp_path).n_messages) == ([], 3)


def test_every_changed_byte_is_found(tmp_path: Path) -> None:
    with RawLog(tmp_path) as log:
        log.append(messages(3))
    path = tmp_path / "raw-2026-03-29.jsonl"
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    third = whole.index(b"\n", second) + 1
    for at in range(second, third):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        faults = verify(tmp_path).faults
        assert faults, at
        assert faults[0].line in (2, 3)
    path.write_bytes(whole[:second] + whole[third:])
    assert "message 3 comes after message 1" in verify(tmp_path).faults[0].message


def test_erasing_leaves_the_chain(tmp_path: Path) -> None:
    with RawLog(tmp_path) as log:
        log.append(messages(3))
        log.erase("2026-03-29", 2)
        with pytest.raises(InputError, match="no such message"):
            log.erase("2026-03-29", 9)
        with pytest.raises(InputError, match="no raw log of that day"):
            log.erase("2026-04-01", 2)
        log.append(messages(1))
    result = verify(tmp_path)
    assert (result.faults, result.n_messages, result.n_erased) == ([], 4, 1)
    assert json.loads((tmp_path / "raw-2026-03-29.jsonl").read_text().splitlines()[1])["payload"] is None
    assert not list(tmp_path.glob("*.new"))


def test_older_days_may_be_taken_away(tmp_path: Path) -> None:
    with RawLog(tmp_path) as log:
        log.append(messages(2))
        log.append(messages(2, START_US + DAY_US))
    (tmp_path / "raw-2026-03-29.jsonl").unlink()
    result = verify(tmp_path)
    assert (result.faults, result.first_n, result.n_messages) == ([], 3, 2)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with RawLog(tmp_path), pytest.raises(StoreError, match="open in another process"):
        RawLog(tmp_path)
    RawLog(tmp_path).close()


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawLog(tmp_path) as log:
        log.append(messages(2))
        whole = (tmp_path / "raw-2026-03-29.jsonl").read_bytes()

        class Full:
            def __init__(self, file) -> None:  # type: ignore[no-untyped-def]
                self.file, self.written = file, False

            def fileno(self) -> int:
                return int(self.file.fileno())

            def write(self, data: memoryview) -> int:
                if self.written:
                    raise OSError(28, "No space left on device")
                self.written = True
                return int(self.file.write(data[:10]))

        good = log._file
        monkeypatch.setattr(log, "_file", Full(good))
        with pytest.raises(OSError, match="No space"):
            log.append(messages(2))
        assert (tmp_path / "raw-2026-03-29.jsonl").read_bytes() == whole
        monkeypatch.setattr(log, "_file", good)
        assert log.append(messages(1)) == 3
    assert verify(tmp_path).faults == []
    assert os.listdir(tmp_path)
