"""A small disk for one folder of a stand: a tmpfs of its own, filled to the last block and emptied again. It takes root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FILLER = ".filler"


@contextmanager
def mounted(folder: Path, size_mb: int) -> Iterator[None]:
    """A disk of so many MB on a folder, which is made; unmounted at the end whoever still uses it."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=755", "tagwatch-fault", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path, left: int = 0) -> None:
    """Fill the folder's disk but for so many bytes (rounded to its blocks)."""
    block = bytes(4096)
    with (folder / _FILLER).open("ab", buffering=0) as file:
        while (room := _room(folder)) > left:
            try:
                file.write(block * max(1, (room - left) // 4096))
            except OSError:  # somebody was quicker
                return


def empty(folder: Path) -> None:
    """Take out what filled it."""
    (folder / _FILLER).unlink(missing_ok=True)


def lacks_mount() -> str:
    """Why no disk can be mounted here, empty where one can."""
    if os.geteuid() != 0:
        return "root may mount a disk, nobody else"
    tried = subprocess.run(["mount", "--fake", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    return tried.stderr.decode().strip()


def _room(folder: Path) -> int:
    here = os.statvfs(folder)
    return here.f_bavail * here.f_frsize
