"""The bytes of a file or of standard input, gzip undone, within bounds: a small file cannot become all of the memory."""

from __future__ import annotations

import os
import sys
import zlib
from pathlib import Path
from typing import BinaryIO

from engine.errors import InputError

MOST_BYTES = 4 << 30
"""Of a file that is read whole, packed or not; Parquet files and archives may be larger, they are read in pieces."""
MOST_TIMES, ALWAYS_BYTES = 250, 64 << 20
"""How many times its size a gzip file may become, where that is more than ALWAYS_BYTES; trails become 4 to 40 times it."""
LONGEST_LINE = 1 << 20
_AT_ONCE = 1 << 18


def read_file(path: str | Path, most: int = MOST_BYTES) -> tuple[str, bytes]:
    """A file's name for messages and its bytes as they lie; `-` is standard input. InputError where it cannot be read, or is
    longer than `most` bytes."""
    name = "standard input" if str(path) == "-" else str(path)
    try:
        if str(path) == "-":
            data = _read_at_most(sys.stdin.buffer, most)
        else:
            with Path(path).open("rb") as file:
                n_bytes = os.fstat(file.fileno()).st_size  # 0 of a pipe
                data = file.read() if 0 < n_bytes <= most else _read_at_most(file, most)
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", place=name) from None
    if len(data) > most:
        raise InputError("is too large", place=name, expected=f"at most {most >> 20:,} MiB")
    return name, data


def _read_at_most(file: BinaryIO, most: int) -> bytes:
    """All there is, or some more than `most` bytes; a piece at a time, for whoever asks for all at once is given the room."""
    parts, n_bytes = list[bytes](), 0
    while n_bytes <= most and (part := file.read(_AT_ONCE)):
        parts.append(part)
        n_bytes += len(part)
    return b"".join(parts)


def gunzipped(name: str, data: bytes, most: int = MOST_BYTES) -> bytes:
    """The bytes themselves, or what a gzip file holds. InputError where it is damaged, or becomes too large."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    most = min(most, max(ALWAYS_BYTES, MOST_TIMES * len(data)))
    parts, n_bytes, at = list[bytes](), 0, 0
    try:
        while at < len(data):  # a file may have several members, and zeros behind the last
            unpack = zlib.decompressobj(wbits=31)
            while not unpack.eof:
                piece = unpack.unconsumed_tail or data[at : at + _AT_ONCE]
                at += 0 if unpack.unconsumed_tail else len(piece)
                part = unpack.decompress(piece, _AT_ONCE)
                if not piece and not part:
                    raise EOFError("it ends before its end")
                parts.append(part)
                n_bytes += len(part)
                if n_bytes > most:
                    expected = f"a gzip file of at most {most >> 20:,} MiB unpacked"
                    raise InputError("becomes too large", place=name, expected=expected)
            at -= len(unpack.unused_data)
            while data[at : at + 1] == b"\0":
                at += 1
    except (EOFError, zlib.error) as error:
        raise InputError(f"damaged gzip: {error}", place=name) from None
    return b"".join(parts)


def refuse_endless_line(data: bytes, name: str) -> None:
    """InputError where a line of a text is longer than any that somebody wrote."""
    at = 0
    while len(data) - at > LONGEST_LINE:
        end = data.rfind(b"\n", at, at + LONGEST_LINE)
        if end < 0:
            raise InputError("has a line without an end", place=name, expected=f"lines of at most {LONGEST_LINE:,} bytes")
        at = end + 1
