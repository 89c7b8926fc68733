"""Thrift's compact protocol, as far as a Parquet file's headers and footer need it: bytes out, nothing read."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any


class Kind(IntEnum):
    """The type of a field, by its code in the protocol."""

    YES = 1
    NO = 2
    I16 = 4
    I32 = 5
    I64 = 6
    BINARY = 8
    LIST = 9
    STRUCT = 12


Field = tuple[int, Kind, Any]
"""Number, type and value; a field whose value is None is left out."""


def struct(*fields: Field) -> bytes:
    """A struct of fields in the order of their numbers, no two more than 15 apart."""
    out, last = bytearray(), 0
    for number, kind, value in fields:
        if value is None:
            continue
        if not 0 < number - last < 16:
            raise ValueError(f"field {number} cannot follow field {last}")
        out.append((number - last) << 4 | kind)
        out += _bytes(kind, value)
        last = number
    out.append(0)
    return bytes(out)


def items(kind: Kind, values: Sequence[Any]) -> bytes:
    """The value of a LIST field."""
    head = bytes([len(values) << 4 | kind]) if len(values) < 15 else bytes([0xF0 | kind]) + varint(len(values))
    return head + b"".join(_bytes(kind, value) for value in values)


def varint(number: int) -> bytes:
    """A number that is not negative, seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number: int) -> bytes:
    """A signed number of 64 bits; small ones are short."""
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _bytes(kind: Kind, value: Any) -> bytes:
    if kind in (Kind.YES, Kind.NO):
        return b""
    if kind in (Kind.I16, Kind.I32, Kind.I64):
        return zigzag(value)
    if kind is Kind.BINARY:
        data = value.encode() if isinstance(value, str) else value
        return varint(len(data)) + data
    return value if isinstance(value, bytes) else bytes(value)
