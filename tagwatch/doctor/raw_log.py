"""The raw log: its chain, its roots, the room that is left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ingest.raw_log import day_files, day_of
from ingest.raw_root import root_path, signature_path
from ingest.raw_verify import verify
from tagwatch.doctor.finding import FAULT, OK, WARNING, Finding, Scene
from tagwatch.health.vital import disk

_PART = "raw log"
QUICK_BYTES = 100_000_000
"""A log of up to this size is verified whole each time."""


def examine(scene: Scene) -> Iterator[Finding]:
    """The chain where that is quick or asked for; else what the names of its files tell."""
    folder = scene.settings.raw_log.folder
    if not folder.exists():
        yield Finding(_PART, OK, f"{folder} is not there yet; the service makes it")
        return
    space = disk(folder, scene.settings.health)
    if not space.is_well:
        yield Finding(_PART, FAULT, space.said, "make room, or move the folder to a larger disk")
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(_PART, WARNING, "this user may not write it", "run the doctor as the service's user")
    n_bytes = sum(path.stat().st_size for path in day_files(folder))
    if scene.thorough or n_bytes <= QUICK_BYTES:
        yield from _verified(folder)
    else:
        yield Finding(
            _PART, OK, f"{len(day_files(folder))} days, {n_bytes / 1e9:,.1f} GB, not verified: doctor --thorough does"
        )
        yield from _roots(folder)


def _verified(folder: Path) -> Iterator[Finding]:
    found = verify(folder)
    torn = [fault for fault in found.faults if "torn" in str(fault)]
    if len(found.faults) > len(torn):
        first = next(fault for fault in found.faults if fault not in torn)
        yield Finding(_PART, FAULT, f"{len(found.faults)} faults in the chain, the first: {first.place}: {first.message}",
                      "keep the folder as it is, compare with a backup: somebody changed it, or a disk did")  # fmt: skip
        return
    roots = f"{found.n_rooted} days have a root, {found.n_signed} of them signed"
    erased = f"; {found.n_erased:,} erased by order, {found.n_partly:,} of them in part" if found.n_erased else ""
    cut = f"; {len(torn)} half-written last lines were set aside after a crash" if torn else ""
    yield Finding(_PART, OK, f"{found.n_messages:,} messages, the chain holds; {roots}{erased}{cut}")
    if found.unrooted:
        yield _lacking(len(found.unrooted))
    if found.n_signed < found.n_rooted:
        yield _unsigned(found.n_rooted - found.n_signed)


def _roots(folder: Path) -> Iterator[Finding]:
    closed = [day_of(path) for path in day_files(folder)[:-1]]
    lacking = sum(not root_path(folder, day).exists() for day in closed)
    unsigned = sum(not signature_path(root_path(folder, day)).exists() for day in closed) - lacking
    if lacking:
        yield _lacking(lacking)
    if unsigned > 0:
        yield _unsigned(unsigned)


def _lacking(n: int) -> Finding:
    return Finding(
        _PART,
        WARNING,
        f"{n} closed days have no root",
        "the service makes them at the end of each day: its log says why not",
    )


def _unsigned(n: int) -> Finding:
    return Finding(
        _PART, WARNING, f"{n} roots are not signed: who can write the folder can make them anew", "set [raw_log] key"
    )
