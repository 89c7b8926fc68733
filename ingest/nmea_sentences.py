"""NMEA 0183 logs cut into sentences: what stands around them is passed over, and every checksum is checked.

A sentence is `$`, a talker of two letters, a type of three, fields between commas, `*` and the exclusive or of all
characters between `$` and `*` in two hexadecimal digits (IEC 61162-1, section 7).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from ingest.fault import Fault, Faults

_FRAME = re.compile(rb"([^*]+)\*([0-9A-Fa-f]{2})\s*")
_AIS = re.compile(rb"![A-Z]{5},")
_EXPECTED = "$, the fields, * and two hexadecimal digits"


class Sentence(NamedTuple):
    """One sentence with a right checksum: its line in the file, and its text between `$` and `*`."""

    line: int
    text: str


class _Frames(NamedTuple):
    """What is framed as a sentence: lines, contents and checksums as written, one list each."""

    lines: list[int]
    contents: list[bytes]
    checksums: list[bytes]


def sentences_of(data: bytes, wanted: Collection[bytes], faults: Faults) -> tuple[list[Sentence], Counter[str]]:
    """The sentences of the types wanted (b"RMC"), in file order, and how many others were skipped, by name.

    Skipped are other types, proprietary sentences (`$P...`, their checksum is not looked at) and AIS (`!AIVDM`). Comments
    (`#`), blank lines and what stands before a `$` (a time, a tag block) are passed over. Faults: a line without a
    sentence, a sentence that is cut off, and a wrong checksum of any other sentence, for it might have been a fix.
    """
    skipped: Counter[bytes] = Counter()
    frames = _frames(data, skipped, faults)
    out: list[Sentence] = []
    for line, content, checksum, fine in zip(*frames, _are_right(frames), strict=True):
        if not fine:
            message = f"wrong checksum, the text gives {_checksum(content):02X}"
            faults.add(_fault(line, "bad_checksum", b"$" + content + b"*" + checksum, message))
        elif content[2:5] in wanted and content[5:6] == b",":
            out.append(Sentence(line, _text(content)))
        else:
            skipped[content.split(b",", 1)[0]] += 1
    return out, Counter({_text(name[:8]): n for name, n in skipped.items()})


def _frames(data: bytes, skipped: Counter[bytes], faults: Faults) -> _Frames:
    frames = _Frames([], [], [])
    for line, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        before, dollar, rest = raw.partition(b"$")
        if not dollar:
            _pass_over(raw.strip(), line, skipped, faults)
        elif not before.lstrip().startswith(b"#"):
            for piece in rest.split(b"$"):  # a sentence that is cut off may have the next one behind it
                found = _FRAME.fullmatch(piece)
                if piece.startswith(b"P"):
                    skipped[piece.split(b",", 1)[0]] += 1
                elif found is None:
                    faults.add(_fault(line, "no_checksum", b"$" + piece.strip(), "cut off, or without a checksum"))
                else:
                    frames.lines.append(line)
                    frames.contents.append(found[1])
                    frames.checksums.append(found[2])
    return frames


def _pass_over(text: bytes, line: int, skipped: Counter[bytes], faults: Faults) -> None:
    if _AIS.search(text):
        skipped[b"AIS"] += 1
    elif text and not text.startswith(b"#"):
        faults.add(_fault(line, "wrong_line", text, "no NMEA sentence"))


def _are_right(frames: _Frames) -> list[bool]:
    """Whether each checksum is the exclusive or of its content."""
    if not frames.lines:
        return []
    sizes = np.fromiter(map(len, frames.contents), np.int64, len(frames.contents))
    octets = np.frombuffer(b"".join(frames.contents), np.uint8)
    sums = np.bitwise_xor.reduceat(octets, np.cumsum(sizes) - sizes)
    told = np.frombuffer(bytes.fromhex(b"".join(frames.checksums).decode("ascii")), np.uint8)
    right: list[bool] = (sums == told).tolist()
    return right


def _checksum(content: bytes) -> int:
    out = 0
    for octet in content:
        out ^= octet
    return out


def _text(data: bytes) -> str:
    return data.decode("ascii", "backslashreplace")


def _fault(line: int, code: str, value: bytes, message: str) -> Fault:
    return Fault(0, code, "sentence", _text(value), message, _EXPECTED, line=line)
