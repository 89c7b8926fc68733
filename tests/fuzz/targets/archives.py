"""Archives from a stranger: a manifest that says anything, with right hashes of it, and files of days that hold anything."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Hashable
from functools import cache
from pathlib import Path

import numpy as np

from engine.activations import Activation, Activations
from engine.archive.export import export
from engine.archive.manifest import NAME
from engine.archive.reader import Archive
from engine.archive.spill import by_day
from engine.archive.tables import read_activations
from engine.archive.verify import verify
from engine.errors import InputError
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.times import DAY_US, SECOND_US
from ingest.trail_files import read_trail
from tests.fuzz.laws import check_fixes, from_stdin
from tests.fuzz.target import Target, require

_START_US = 20_600 * DAY_US
_HASH = re.compile(rb'"sha256": "[0-9a-f]{64}"\n\}\n\Z')


@cache
def _files() -> dict[str, bytes]:
    rng, n = np.random.default_rng(1), 60
    fixes = Fixes.of(
        ("a", "b"), device=rng.integers(0, 2, n), time_us=_START_US + np.arange(n) * 3_000 * SECOND_US,
        lat_e7=rng.integers(530_000_000, 531_000_000, n), lon_e7=rng.integers(-5_000_000, -4_000_000, n),
        accuracy_cm=rng.integers(100, 9000, n), source=rng.choice([1, 5], n),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "a"
        worn = Activations([Activation("a", "W1", _START_US)])
        export(
            folder,
            lambda spill: by_day([fixes], spill),
            events=[DeviceEvent("a", _START_US + 5, "charging", "50", 7)],
            activations=worn,
        )
        return {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
        }


def _signed(manifest: bytes) -> bytes:
    """The manifest with its own hash put right, where it has a place for it."""
    try:
        text = json.dumps(json.loads(manifest), indent=1)
    except (ValueError, RecursionError):
        return manifest
    data = (text + "\n").encode()
    blank = _HASH.sub(b'"sha256": "' + b"0" * 64 + b'"\n}\n', data)
    return blank.replace(
        b'"sha256": "' + b"0" * 64 + b'"\n}\n', b'"sha256": "' + hashlib.sha256(blank).hexdigest().encode() + b'"\n}\n'
    )


def _folder(data: bytes) -> Hashable:
    """The first byte chooses which file is the input's; the manifest's hashes are put right, so that it is believed."""
    files = dict(_files())
    chosen = sorted(files)[data[0] % len(files)] if data else NAME
    files[chosen] = data[1:]
    if chosen == NAME:
        files[NAME] = _signed(data[1:])
    else:
        old, new = (hashlib.sha256(each[chosen]).hexdigest().encode() for each in (_files(), files))
        files[NAME] = _signed(files[NAME].replace(old, new))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        folder = Path(place) / "a"
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        beside = Path(place) / "beside"
        beside.write_bytes(b"not yours")
        flaws = [*verify(folder)]
        require(all(flaw.message for flaw in flaws), "a flaw that says nothing")
        try:
            return _read(folder), flaws[0].code if flaws else ""
        except InputError:
            require(bool(flaws), "right for verify and not readable")
            raise
        finally:
            require(beside.exists(), "a file beside the archive is gone")


def _read(folder: Path) -> Hashable:
    archive = Archive(folder)
    fixes = archive.read()
    check_fixes(fixes)
    check_fixes(
        archive.read(
            devices=["a"], from_us=_START_US, to_us=_START_US + DAY_US, box_e7=(-5_000_000, 530_000_000, 0, 531_000_000)
        )
    )
    archive.nearest(_START_US + DAY_US, before=True)
    n_events = len([*archive.events()])
    if archive.activations_path:
        read_activations(archive.activations_path)
    return len(fixes) > 0, n_events


def _day(data: bytes) -> Hashable:
    """One file of an archive by itself, as a trail."""
    fixes = from_stdin(read_trail, data)
    check_fixes(fixes)
    return min(len(fixes), 2)


def _seeds() -> list[bytes]:
    return [bytes([k]) + content for k, (_, content) in enumerate(sorted(_files().items()))]


def _days() -> list[bytes]:
    return [content for name, content in _files().items() if name.endswith(".parquet")]


TARGETS = (
    Target(
        "archives",
        _folder,
        _seeds,
        ("json", "csv"),
        (b"..", b"/", b'"path": "../beside"', b'"2026-05-27'),
        most_bytes=20_000,
        share=0.05,
    ),
    Target("archive_days", _day, _days, (), most_bytes=20_000, share=0.3),
)
