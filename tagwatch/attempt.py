"""What a process was about when it died: a small file that says whether messages were being taken, and which.

It is written to the operating system's cache and no further: that survives the process, and costs a few microseconds a batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

MOST_DEATHS = 3
"""From so many deaths in a row while messages were taken on, these are what is suspected."""
_WIDTH = 256  # so that a note of no keys always takes the same room, which a full disk has too


class _Noted(msgspec.Struct):
    n_deaths: int = 0
    is_trying: bool = False
    keys: list[str] = []


class Attempt:
    """The attempt that is under way; without a file nothing is noted."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._noted = _read(file)
        self._number: int | None = None
        self._length = -1
        if self._noted.is_trying:
            self._noted.n_deaths += 1
            self._noted.is_trying = False

    @property
    def n_deaths(self) -> int:
        """How many processes have died one after the other while messages were taken."""
        return self._noted.n_deaths

    def died_at(self) -> list[str]:
        """Keys of the messages at which the last process died, where they were noted."""
        return self._noted.keys if self._noted.n_deaths else []

    @contextmanager
    def at(self, keys: Sequence[str]) -> Iterator[None]:
        """While messages are taken; their keys are noted where they are suspected."""
        self._note(_Noted(self._noted.n_deaths, True, list(keys)))
        try:
            yield
        except Exception:
            self._note(_Noted(self._noted.n_deaths))
            raise
        self._note(_Noted(self._noted.n_deaths if keys else 0))

    def _note(self, noted: _Noted) -> None:
        if self._file is None:
            return
        self._noted = noted
        data = msgspec.json.encode(noted).ljust(_WIDTH)
        with suppress(OSError):  # a full disk: then a death is not noted, which costs no message
            if self._number is None:
                self._number = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.pwrite(self._number, data, 0)
            if len(data) != self._length:
                os.ftruncate(self._number, len(data))
                self._length = len(data)

    def close(self) -> None:
        """Let go of the file."""
        if self._number is not None:
            os.close(self._number)
            self._number = None


def _read(file: Path | None) -> _Noted:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Noted) if file is not None else _Noted()
    except (OSError, msgspec.MsgspecError):
        return _Noted()
