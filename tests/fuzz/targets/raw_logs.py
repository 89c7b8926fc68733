"""The raw log: its lines, whole folders verified and opened again, roots, proofs, redactions."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Hashable
from functools import cache
from pathlib import Path

from engine.errors import InputError
from ingest.raw_log import RawLog
from ingest.raw_orders import FILE, read_redactions
from ingest.raw_proof import holds, prove, read_proof
from ingest.raw_record import Broken, line_of, read_head, read_line
from ingest.raw_redaction import redact
from ingest.raw_root import make_roots, read_root
from ingest.raw_verify import verify
from tests.fuzz.target import Target, is_one_in, require

_DAY_US = 86_400_000_000
_FIRST_US = 1_795_300_000_000_000
_MESSAGES = [
    (_FIRST_US + k * _DAY_US // 3, "tags/T1/fixes", json.dumps({"time": 1795300000 + k, "lat": 53, "lon": -0.5}).encode())
    for k in range(7)
]


@cache
def _folder() -> dict[str, bytes]:
    """The files of a log of three days with roots and a redaction."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with RawLog(folder) as log:
            log.append(_MESSAGES)
        make_roots(folder)
        redact(folder, [("T1", _FIRST_US, _FIRST_US + _DAY_US // 2)], "order 1")
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.stat().st_size}


def _line(data: bytes) -> Hashable:
    record, head = read_line(data), read_head(data)
    if isinstance(record, Broken):
        require(record.reason != "", "broken without a reason")
        raise InputError(record.reason)
    require(not isinstance(head, Broken), "a record without a head")
    require(line_of(record).rstrip(b"\n") == data.rstrip(b"\n"), "a line written and read again differs")
    return record.payload is None


_DAY_FILES = [name for name in ("raw-2026-11-22.jsonl", "raw-2026-11-23.jsonl") if name]


def _whole(data: bytes) -> Hashable:
    """A folder of which one file is the input: named by its first line. Changed in any way, it does not verify."""
    name, _, content = data.partition(b"\n")
    files = _folder()
    chosen = sorted(files)[len(name) % len(files)]
    with tempfile.TemporaryDirectory(dir=_fast()) as place:
        folder = Path(place)
        for each, told in files.items():
            (folder / each).write_bytes(content if each == chosen else told)
        found = verify(folder)
        require(chosen.endswith(".sig") or bool(found.faults) == (content != files[chosen]) or not content.strip()
                or _is_shorter(chosen, content, files), "a change that verify does not see")  # fmt: skip
        if is_one_in(4, data):
            with contextlib.suppress(InputError):
                make_roots(folder)
                redact(folder, [("T1", _FIRST_US, _FIRST_US + _DAY_US)], "order 2", dry_run=True)
            with RawLog(folder) as log:
                log.tail(5)
                log.append([(_FIRST_US + 9 * _DAY_US, "tags/T1/fixes", b"{}")])
                require(log.tail(1)[0][2] == b"{}", "what was written is not the last")
        return chosen, found.faults[0].code if found.faults else ""


def _is_shorter(chosen: str, content: bytes, files: dict[str, bytes]) -> bool:
    """Lines cut off at the end of the newest day, or of the redactions, are seen only against a head that was noted elsewhere."""
    newest = max(name for name in files if name.endswith(".jsonl") and name.startswith("raw-"))
    return chosen in (newest, FILE) and files[chosen].startswith(content)


def _fast() -> str | None:
    return "/dev/shm" if shutil.os.path.isdir("/dev/shm") else None


def _root(data: bytes) -> Hashable:
    with tempfile.TemporaryDirectory(dir=_fast()) as place:
        path = Path(place) / "raw-2026-11-22.root.json"
        path.write_bytes(data)
        return read_root(path).n


def _proof(data: bytes) -> Hashable:
    proof = read_proof(data)
    found = holds(proof)
    require(proof.to_json() == data, "a proof written and read again differs")
    _ = proof.origin, proof.erased
    if not found:
        _ = proof.said
        require(data in _proofs(), "a proof that holds and that nobody made")
    return tuple(text[:30] for text in found)


@cache
def _proofs() -> list[bytes]:
    with tempfile.TemporaryDirectory() as place:
        for name, content in _folder().items():
            (Path(place) / name).write_bytes(content)
        root = next(name for name in _folder() if name.endswith(".root.json"))
        first = read_root(Path(place) / root)
        return [prove(place, first.day, n).to_json() for n in range(first.first_n, first.last_n + 1)]


def _orders(data: bytes) -> Hashable:
    with tempfile.TemporaryDirectory(dir=_fast()) as place:
        (Path(place) / FILE).write_bytes(data)
        found = read_redactions(Path(place))
        for one in found:
            for _, n in zip(range(1000), one.numbers(), strict=False):
                require(isinstance(n, int), "a number that is none")
        return len(found)


def _lines() -> list[bytes]:
    return [line + b"\n" for name, content in _folder().items() if name.endswith(".jsonl") for line in content.splitlines()]


def _whole_seeds() -> list[bytes]:
    return [b"x" * k + b"\n" + _folder()[name] for k, name in enumerate(sorted(_folder()))]


TARGETS = (
    Target("raw_lines", _line, _lines, ("json",), (b'"rest":"', b'"payload":null', b"=="), most_bytes=1_024),
    Target("raw_folders", _whole, _whole_seeds, ("json", "lines"), most_bytes=8_192, share=0.1),
    Target(
        "raw_roots",
        _root,
        lambda: [c for n, c in _folder().items() if n.endswith(".root.json")],
        ("json",),
        most_bytes=1_024,
        share=0.5,
    ),
    Target("raw_proofs", _proof, lambda: [*_proofs()], ("json",), most_bytes=4_096),
    Target("redactions", _orders, lambda: [_folder()[FILE]], ("json", "lines"), most_bytes=2_048, share=0.5),
)
