"""Mutations of inputs: of bytes and words anywhere, and of the structure where the input has one. Seeded, so repeatable."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from tests.fuzz import odd
from tests.fuzz.structures import mutate_csv, mutate_json, mutate_lines, mutate_msgpack, mutate_xml

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_QUOTED = re.compile(rb'"[^"\n]{0,200}"')
_STRUCTURES: dict[str, Callable[[bytes, bytes, random.Random], bytes]] = {
    "json": mutate_json, "msgpack": mutate_msgpack, "lines": mutate_lines, "csv": mutate_csv, "xml": mutate_xml,
}  # fmt: skip


class Mutator:
    """Makes new inputs of known ones."""

    def __init__(self, rng: random.Random, forms: Sequence[str], words: Sequence[bytes], most_bytes: int) -> None:
        self._rng, self._most = rng, most_bytes
        self._structures = [_STRUCTURES[form] for form in forms if form in _STRUCTURES]
        self._words = [*words, *words, *odd.BYTES]

    def mutate(self, data: bytes, other: bytes) -> bytes:
        """A new input of one, with pieces of another."""
        rng = self._rng
        if self._structures and rng.random() < 0.7:
            for _ in range(rng.choice((1, 1, 1, 2, 3))):
                data = rng.choice(self._structures)(data, other, rng)
            if rng.random() < 0.8:
                return data[: self._most]
        for _ in range(rng.choice((1, 1, 2, 4))):
            data = self._step(data, other)
        return data[: self._most]

    def _step(self, data: bytes, other: bytes) -> bytes:
        rng, n = self._rng, len(data)
        at = rng.randrange(n + 1)
        end = min(n, at + min(rng.choice((0, 1, 1, 2, 4, 8, 16, 64, 400)), 1 + n // 3))
        match rng.randrange(14):
            case 0 if n:
                at = min(at, n - 1)
                return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
            case 1:
                return (
                    data[:at]
                    + bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF, 0x22, 0x2C, 0x0A, rng.randrange(256)))])
                    + data[at + 1 :]
                )
            case 2:
                return data[:at] + rng.choice(self._words) + data[at:]
            case 3:
                return data[:at] + rng.choice(self._words) + data[end:]
            case 4:
                return data[:at] + data[end:]
            case 5:
                return data[:end] + data[at:end] * rng.choice((1, 2, 7, 60)) + data[end:]
            case 6:
                start = rng.randrange(len(other) + 1)
                return data[:at] + other[start:]
            case 7:
                start = rng.randrange(len(other) + 1)
                return data[:at] + other[start : start + end - at + 8] + data[end:]
            case 8:
                return data[:at]
            case 9 | 10:
                return self._replace(_NUMBER, data, b"")
            case 11:
                return self._replace(_QUOTED, data, b'"')
            case 12:
                return self._encoded(data)
            case _:
                return data[:at] + rng.randbytes(rng.choice((1, 2, 4, 9))) + data[end:]

    def _replace(self, pattern: re.Pattern[bytes], data: bytes, around: bytes) -> bytes:
        """One of the matches for an odd number, time or word."""
        found = pattern.search(data, self._rng.randrange(len(data) + 1)) or pattern.search(data)
        if not found:
            return data
        word = self._rng.choice(self._words)
        return data[: found.start()] + around + word + around + data[found.end() :]

    def _encoded(self, data: bytes) -> bytes:
        """The same text in another encoding, or with another end of line."""
        text = data.decode("utf-8", "replace")
        kind = self._rng.randrange(6)
        if kind == 0:
            return text.encode("utf-16", "surrogatepass")
        if kind == 1:
            return text.encode("latin-1", "replace")
        if kind == 2:
            return b"\xef\xbb\xbf" + data
        if kind == 3:
            return data.replace(b"\n", b"\r\n")
        return data.replace(b"\n", b"\r") if kind == 4 else data.swapcase()
