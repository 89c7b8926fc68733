"""Roots of the raw log's closed days, made and signed by a process of its own, so that no batch waits for them.

`python -m tagwatch.rooting FOLDER [KEY]` makes what is missing and says what it made; exit code 1 where a day has faults.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import structlog

from engine.errors import TagwatchError
from ingest.raw_log import RawLog
from ingest.raw_root import Made, make_roots

log = structlog.get_logger()


class Rooting:
    """Watches for the end of a day, at the start and from then on; one process at a time."""

    def __init__(self, folder: Path, key: str) -> None:
        self._words = [sys.executable, "-m", "tagwatch.rooting", str(folder), *([key] if key else [])]
        self._day = ""
        self._process: subprocess.Popen[str] | None = None

    def turn(self, raw_log: RawLog, now_us: int) -> None:
        """Begin the day's file where a day has ended, and have the closed ones rooted. Nearly free where none has."""
        self._tell_end()
        if self._process is None and (day := raw_log.turn(now_us)) != self._day:
            self._day = day
            self._process = subprocess.Popen(self._words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def close(self) -> None:
        """Wait for a process that is at work: what it leaves undone is done at the next start."""
        if self._process is not None:
            self._process.wait()
            self._tell_end()

    def _tell_end(self) -> None:
        if self._process is None or self._process.poll() is None:
            return
        assert self._process.stderr is not None
        with self._process.stderr as said:
            text = said.read().strip()
        if self._process.returncode:
            log.error("a day of the raw log has no root", lines=len(text.splitlines()))
        self._process = None


def roots_in(folder: Path, key: str = "", password: bytes | None = None) -> Made:
    """Make the roots of all closed days that have none, signed where there is a key; a missing folder holds no days."""
    return make_roots(folder, _signs(key, password)) if folder.is_dir() else Made([], [])


def _signs(key: str, password: bytes | None) -> Callable[[bytes], bytes] | None:
    if not key:
        return None
    from crime_match.evidence.signing import detached
    from crime_match.evidence.signing.keys import password_of, read_key

    return partial(detached.sign, signer=read_key(key, password or password_of()))


def main(words: Sequence[str]) -> int:
    """What the process does; the password of the key is in the environment."""
    try:
        made = roots_in(Path(words[0]), words[1] if len(words) > 1 else "")
    except TagwatchError as error:
        print(error, file=sys.stderr)
        return 1
    for fault in made.faults:
        print(f"{fault.place}: {fault.message}", file=sys.stderr)
    return 1 if made.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
