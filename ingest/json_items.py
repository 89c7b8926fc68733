"""The entries of a JSON file of whatever shape: one value, a list, a list in a wrapper, or one value a line."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from engine.errors import InputError
from ingest.json_text import read_json

_WRAPPERS = ("data", "locations")  # the recorder's REST answer, and what its `ocat` and some loggers write
_AROUND = b" \t\r\x1e"  # \x1e begins an entry of a JSON text sequence (RFC 7464)


class Item(NamedTuple):
    """One entry: counted from 1, and the line it is on where each line is an entry, else 0; `error` where it is no JSON."""

    row: int
    line: int
    value: Any
    error: InputError | None = None


def items_of(data: bytes, file: str) -> list[Item]:
    """The entries in order, lines that are no JSON with their error; InputError where the file as a whole is none."""
    lines = _lines(data)
    if lines is not None:
        return list(_items_of_lines(lines))
    try:
        value = read_json(data.strip(_AROUND + b"\n"))
    except InputError as error:
        raise error.at(file) from None
    return [Item(row, 0, entry) for row, entry in enumerate(_unwrapped(value), start=1)]


def _lines(data: bytes) -> list[bytes] | None:
    """The lines, where each is a value of its own: the first one is, or the file is no value as a whole but the next are."""
    lines = [line.strip(_AROUND) for line in data.split(b"\n")]
    first = list(islice(filter(None, lines), 3))
    if len(first) < 2:
        return None
    if _is_object(first[0]):
        return lines
    return lines if any(map(_is_object, first[1:])) and not _is_json(data) else None


def _is_object(text: bytes) -> bool:
    return text.startswith(b"{") and _is_json(text)


def _is_json(text: bytes) -> bool:
    try:
        read_json(text.strip(_AROUND + b"\n"))
    except InputError:
        return False
    return True


def _items_of_lines(lines: list[bytes]) -> Iterator[Item]:
    row = 0
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            entries = _unwrapped(read_json(line))
        except InputError as error:
            row += 1
            yield Item(row, number, None, error)
            continue
        for entry in entries:
            row += 1
            yield Item(row, number, entry)


def _unwrapped(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and not value.keys() & {"_type", "type"}:
        for name in _WRAPPERS:
            if isinstance(value.get(name), list):
                return value[name]  # type: ignore[no-any-return]
    return [value]
