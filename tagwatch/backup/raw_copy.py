"""The raw log into a backup and out of it. A file that the backup before has with the same bytes is linked, not copied."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from engine.errors import InputError, StoreError
from ingest.raw_log import REDACTION, day_files, locked, sync_folder
from ingest.raw_record import GENESIS, Record, read_line
from tagwatch.backup.manifest import RAW, Manifest, Stored, private, stored

_BLOCK = 1 << 20
_JOURNALS = ("redactions.jsonl", "erasures.jsonl")
"""What was erased; a newer one may have been kept elsewhere, and is put in place before the backup's log is."""
_OURS = ("raw-", *_JOURNALS)
_WAIT_S = 60.0


class Copied(NamedTuple):
    """The files of a copy; number, chain value and arrival of its last message; how many files were linked."""

    files: dict[str, Stored]
    last_n: int
    chain: str
    received: str
    n_linked: int


@contextmanager
def unredacted(folder: Path) -> Iterator[None]:
    """Within this no payload is taken out of the log; StoreError where that is done for longer than a minute."""
    if not folder.is_dir():
        yield
        return
    give_up = time.monotonic() + _WAIT_S
    while True:
        try:
            lock = locked(folder, *REDACTION)
            break
        except StoreError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)
    with lock:
        yield


def copy_log(
    folder: Path, into: Path, before: tuple[Path, Manifest] | None, tell: Callable[[int], None] = lambda n: None
) -> Copied:
    """Copy the log, which may be written meanwhile, into a new folder; `before`: the backup whose files may be linked.

    `tell` hears the bytes so far. Of the day that is written its whole lines are taken.
    """
    into.mkdir(mode=0o700)
    files, n_linked, n_bytes = dict[str, Stored](), 0, 0
    if not folder.is_dir():
        return Copied(files, 0, GENESIS, "", 0)
    days = day_files(folder)
    for path in kept_files(folder):
        length = _whole_lines(path) if days and path == days[-1] else None
        one = _linked(path, into / path.name, before) if length is None else None
        n_linked += one is not None
        files[f"{RAW}/{path.name}"] = one = one or _copied(path, into / path.name, length)
        tell(n_bytes := n_bytes + one.n_bytes)
    sync_folder(into)
    return Copied(files, *last_of(into), n_linked)


def kept_files(folder: Path) -> list[Path]:
    """The files of a log that are kept: days, their roots and signatures, torn ends, and what was erased by whose order."""
    return sorted(p for p in folder.iterdir() if p.name.startswith(_OURS) and p.is_file() and not p.name.endswith(".new"))


def is_part(folder: Path, manifest: Manifest) -> bool:
    """Whether all that is in a folder is what a backup's log has: none, or what a restore that was cut off has put there. The
    journals of what was erased may be there already, and newer."""
    if not folder.is_dir():
        return True
    days = [path for path in kept_files(folder) if path.name not in _JOURNALS]
    return all(stored(path) == manifest.files.get(f"{RAW}/{path.name}") for path in days)


def put_back(backup: Path, files: list[str], folder: Path, tell: Callable[[int], None] = lambda n: None) -> None:
    """Copy a backup's log into a folder that has none; a file is there whole, or not at all. InputError where it cannot be."""
    n_bytes = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in files:
            path = folder / Path(name).name
            if path.name in _JOURNALS and path.exists() and path.stat().st_size >= (backup / name).stat().st_size:
                continue
            part = path.with_name(path.name + ".new")
            n_bytes += _copied(backup / name, part, None).n_bytes
            part.replace(path)
            tell(n_bytes)
        sync_folder(folder)
    except OSError as fault:
        raise InputError(f"cannot be written: {fault.strerror or fault}", place=str(folder)) from None


def last_of(folder: Path) -> tuple[int, str, str]:
    """Number, chain value and arrival of the last message of a log."""
    for path in reversed(day_files(folder)):
        for line in _lines_backward(path):
            record = read_line(line)
            if isinstance(record, Record):
                return record.n, record.chain, record.received
    return 0, GENESIS, ""


def require_continuation(folder: Path, manifest: Manifest) -> None:
    """InputError where the log in a folder does not hold the message with which the backup's ends: it is another log."""
    if manifest.raw_n == 0:
        return
    for path in reversed(day_files(folder)):
        with path.open("rb") as file:
            first = read_line(file.readline())
            if not isinstance(first, Record) or first.n > manifest.raw_n:
                continue
            file.seek(0)
            for line in file:
                record = read_line(line)
                if isinstance(record, Record) and record.n == manifest.raw_n:
                    if record.chain == manifest.raw_chain:
                        return
                    break
        break
    raise InputError(
        "is not the log that the backup was made of, nor one that goes on after it", place=str(folder),
        expected="the log as it went on, or an empty folder into which the backup's is put",
    )  # fmt: skip


def _linked(path: Path, into: Path, before: tuple[Path, Manifest] | None) -> Stored | None:
    """The file taken over from the backup before, where both that one and the log have it with the bytes of its manifest."""
    if before is None:
        return None
    there, known = before[0] / RAW / path.name, before[1].files.get(f"{RAW}/{path.name}")
    if known is None or not there.is_file() or path.stat().st_size != known.n_bytes:
        return None
    if stored(path) != known or stored(there) != known:
        return None
    try:
        into.hardlink_to(there)
    except OSError:  # another file system, or one without links
        return None
    return known


def _copied(path: Path, into: Path, length: int | None) -> Stored:
    """Copy a file, or its beginning, on the disk when this returns; then read the copy's own hash."""
    with path.open("rb") as source, open(into, "wb", opener=private) as out:
        if length is None:
            shutil.copyfileobj(source, out, _BLOCK)
        else:
            left = length
            while left and (block := source.read(min(_BLOCK, left))):
                out.write(block)
                left -= len(block)
        out.flush()
        os.fsync(out.fileno())
    return stored(into)


def _whole_lines(path: Path) -> int:
    """Up to where the lines of a file are whole."""
    size = path.stat().st_size
    with path.open("rb") as file:
        for start in range(max(0, size - 65_536), -1, -65_536) or (0,):
            file.seek(start)
            at = file.read(size - start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
        file.seek(0)
        return file.read(size).rfind(b"\n") + 1


def _lines_backward(path: Path) -> Iterator[bytes]:
    """The last lines of a file, the last one first: of the last MiB, then all."""
    size = path.stat().st_size
    for window in (1 << 20, size):
        start = max(0, size - window)
        with path.open("rb") as file:
            file.seek(start)
            lines = file.read().splitlines(keepends=True)
        yield from reversed(lines[0 if start == 0 else 1 :])
        if start == 0:
            return
