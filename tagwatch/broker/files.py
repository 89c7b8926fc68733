"""Files written whole or not at all, keys readable by their owner only and never written over; one command at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import InputError

SECRET, PUBLIC = 0o600, 0o644


def put(path: Path, data: bytes, mode: int) -> None:
    """Write a new file; InputError where one is there already or it cannot be written."""
    try:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")
    except FileExistsError:
        raise InputError("is there already, and is never written over", place=str(path)) from None
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", place=str(path)) from None
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink()
        raise InputError(f"cannot be written: {error.strerror}", place=str(path)) from None


def replace(path: Path, data: bytes, mode: int) -> None:
    """Write a file, in the place of the one that is there; that one stays where something goes wrong."""
    partial = path.with_name(path.name + ".part")
    partial.unlink(missing_ok=True)
    put(partial, data, mode)
    partial.replace(path)


def read(path: Path, otherwise: str) -> bytes:
    """The bytes of a file; InputError says what to do where it is not there."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", place=str(path), expected=otherwise) from None


def make(folder: Path) -> None:
    """The folder, for its owner only where it is not there yet; InputError where it cannot be made."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made: {error.strerror}", place=str(folder), expected="a folder of yours") from None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other command changes the folder meanwhile; it is made where it is not there, for its owner only."""
    make(folder)
    try:
        lock = (folder / ".lock").open("a")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", place=str(folder)) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
