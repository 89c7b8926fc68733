"""Changes of an archive, one writer at a time: all of a change, or nothing of it, whatever happens in between.

New files are gathered in a folder of their own. The new manifest put beside them is the moment from which the change is made:
whoever comes next finishes it. A gathering without a manifest is thrown away.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from engine.archive.manifest import NAME, Manifest, read_manifest, to_bytes
from engine.errors import InputError

STAGE = ".next"


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """The folder where a change of an archive is gathered, empty. InputError where another process is writing, or the disk
    does not take it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            _finish(folder)
            (folder / STAGE).mkdir()
            try:
                yield folder / STAGE
            finally:
                if not (folder / STAGE / NAME).exists():
                    shutil.rmtree(folder / STAGE, ignore_errors=True)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror or error}", place=str(error.filename or folder)) from error


def commit(folder: Path, manifest: Manifest) -> None:
    """Make the change that was gathered: its files and this manifest become the archive's."""
    stage = folder / STAGE
    for path in [stage, *stage.rglob("*")]:
        if path.is_dir():
            _sync_folder(path)
    unborn = stage / "manifest"
    with unborn.open("wb") as file:
        file.write(to_bytes(manifest))
        sync(file)
    unborn.rename(stage / NAME)
    _sync_folder(stage)
    _finish(folder)


def finish(folder: Path) -> None:
    """Finish a change that was made, and interrupted before all of its files were in their places."""
    if (folder / STAGE / NAME).exists():
        with _locked(folder):
            _finish(folder)


def sync(file: IO[bytes]) -> None:
    """Have what was written on the disk."""
    file.flush()
    os.fsync(file.fileno())


def hash_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def paths_of(manifest: Manifest) -> set[str]:
    """The files that a manifest tells of."""
    return {file.path for file in (*manifest.files, manifest.events, manifest.activations) if file is not None}


def _finish(folder: Path) -> None:
    stage = folder / STAGE
    if (stage / NAME).exists():
        kept = paths_of(read_manifest(stage))
        gone = paths_of(read_manifest(folder)) - kept if (folder / NAME).exists() else set()
        for path in kept:
            if (stage / path).exists():
                (folder / path).parent.mkdir(exist_ok=True)
                (stage / path).replace(folder / path)
        for path in gone:
            (folder / path).unlink(missing_ok=True)
            if (folder / path).parent != folder and not any((folder / path).parent.iterdir()):
                (folder / path).parent.rmdir()
        for touched in {(folder / path).parent for path in kept}:
            _sync_folder(touched)
        (stage / NAME).replace(folder / NAME)
        _sync_folder(folder)
    shutil.rmtree(stage, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InputError(
            "is being written by another process", place=str(folder), expected="one writer at a time"
        ) from None
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
