"""A target of fuzzing: a reader, examples that it takes, and the law that holds for any bytes whatever."""

from __future__ import annotations

import hashlib
import re
import traceback
import zlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InputError, TagwatchError

ROOT = Path(__file__).resolve().parents[2]
_VARYING = re.compile(r"\d+|'[^']*'?|\"[^\"]*\"?|“[^”]*”?|[^ -~]")


class Breach(Exception):
    """A law that does not hold: what came of an input contradicts itself, or is out of bounds."""


class TooSlow(BaseException):
    """An input that took longer than it may; no reader can catch it by accident."""


@dataclass(frozen=True)
class Target:
    """One reader.

    `read` takes any bytes; it returns what kind of thing came of them (its own words, for the counts and as a guide to new
    inputs), raises TagwatchError (or one of `refusals`) where it refuses, and Breach where its law does not hold.
    `seeds` makes examples by code; `forms` names the structures that mutations know of: json, msgpack, lines, csv, text, xml.
    `limit_s` bounds the processor time of one input; `most_bytes` how long inputs become.
    """

    name: str
    read: Callable[[bytes], Hashable]
    seeds: Callable[[], list[bytes]]
    forms: tuple[str, ...] = ()
    words: tuple[bytes, ...] = ()
    refusals: tuple[type[Exception], ...] = ()
    limit_s: float = 2.0
    most_bytes: int = 4_096
    share: float = 1.0

    def outcome(self, data: bytes) -> tuple[bool, Hashable]:
        """Whether the input was taken, and what came of it; raises what is a failure."""
        try:
            return True, self.read(data)
        except (TagwatchError, *self.refusals) as refused:
            return False, shape_of(refused)


def shape_of(error: Exception) -> str:
    """An error's sentence without what varies in it: what an input newly teaches."""
    if isinstance(error, InputError):
        field = error.field if error.field.isidentifier() else ""
        return f"{field[:20]} {_VARYING.sub('', error.message[:120])[:60]} {error.expected[:16]}"
    return f"{type(error).__name__} {_VARYING.sub('', str(error)[:160])[:80]}"


def signature_of(error: BaseException) -> str:
    """Kind and place of a failure: failures of one signature are one finding."""
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    own = [frame for frame in ours if "/tests/" not in frame.filename] or ours
    where = f"{Path(own[-1].filename).name}:{own[-1].name}" if own else ""
    told = f" {str(error)[:60]}" if isinstance(error, Breach) else ""
    return f"{type(error).__name__} in {where}{_VARYING.sub('', told)}"


def name_of(signature: str) -> str:
    """A file name for a finding."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", signature)[:60].strip("-")
    return f"{plain}-{hashlib.sha256(signature.encode('utf-8', 'replace')).hexdigest()[:6]}"


def is_one_in(n: int, data: bytes) -> bool:
    """Whether an input is among one in n, for laws that cost more than the reader: decided by its bytes, so repeatable."""
    return zlib.crc32(data) % n == 0


def require(holds: bool, told: str) -> None:
    """Raise Breach unless it holds."""
    if not holds:
        raise Breach(told)
