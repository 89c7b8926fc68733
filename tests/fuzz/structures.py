"""Mutations that know a structure: a JSON or MessagePack value, lines, the cells of a table, the tags of XML."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import msgspec

from tests.fuzz import odd

_ODD_JSON: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, -0.0, 1e300, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40, 10**400, [], {}, [[]], [None], "",
    *odd.TIMES, *odd.TEXTS, "1780000000", "5", 1780000000, 1780000000.5, 90, 91, 181, -181, 360.5, {"type": "Point"}, [0, 0], ["*"],
)  # fmt: skip
_ODD_PACKED = (
    *(value for value in _ODD_JSON if not isinstance(value, int) or -(2**63) <= value < 2**64),
    b"\xff", float("nan"), float("inf"), msgspec.msgpack.Ext(-1, b"\0\0\0\1"), msgspec.msgpack.Ext(5, b"x"), {1: 2}, {None: 1},
)  # fmt: skip
_TAG = re.compile(rb"<[^<>]{1,200}>")
_ATTRIBUTE = re.compile(rb'"[^"<>]{0,100}"')
_XML_WORDS = tuple(
    text.encode() for text in (*odd.NUMBERS, *odd.TIMES, *odd.TEXTS) if text.isprintable() and not set("<&") & set(text)
)  # fmt: skip


def mutate_json(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """One place of a JSON value changed; what is no JSON is given back as it is."""
    before, value, rest = _json_of(data, rng)
    if value is _NOTHING:
        return data
    if rng.random() < 0.05:
        return _raw_json(data, rng)
    changed = _changed(value, _ODD_JSON, rng)
    try:
        text = json.dumps(
            changed, ensure_ascii=rng.random() < 0.5, separators=(",", ":") if rng.random() < 0.7 else (", ", ": ")
        )
    except (ValueError, TypeError, RecursionError):
        return data
    return before + text.encode("utf-8", "surrogatepass") + rest


def mutate_msgpack(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """One place of a MessagePack value changed, or of a JSON value that is then packed."""
    try:
        value = json.loads(data) if data[:1] in (b"{", b"[") else msgspec.msgpack.decode(data, strict=False)
        changed = _changed(value, _ODD_PACKED, rng)
        packed = msgspec.msgpack.encode(changed)
    except (ValueError, TypeError, RecursionError, OverflowError, msgspec.MsgspecError):
        return data
    if rng.random() < 0.1:  # a list or a map that claims to be longer
        return (
            rng.choice((b"\xdd\xff\xff\xff\xff", b"\xdf\x00\x00\x00\x02", b"\xdc\xff\xff", b"\x9f", b"\x8f")) + packed[1:]
        )
    return packed


def mutate_lines(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Lines doubled, dropped, swapped, mixed with another input's."""
    lines = data.split(b"\n")
    k, strange = rng.randrange(len(lines)), other.split(b"\n")
    match rng.randrange(6):
        case 0:
            lines.insert(k, lines[rng.randrange(len(lines))])
        case 1:
            del lines[k]
        case 2:
            j = rng.randrange(len(lines))
            lines[j], lines[k] = lines[k], lines[j]
        case 3:
            lines.insert(k, rng.choice(strange))
        case 4:
            lines[k] = lines[k][: rng.randrange(len(lines[k]) + 1)]
        case _:
            lines[k:k] = [b""] * rng.choice((1, 3))
    return b"\n".join(lines)


def mutate_csv(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """One cell changed, or a column dropped, doubled, swapped; the row may lose a cell or gain one."""
    lines = data.split(b"\n")
    k = rng.randrange(len(lines)) if rng.random() < 0.85 else 0
    cells = lines[k].split(b",")
    j = rng.randrange(len(cells))
    match rng.randrange(10):
        case 0:
            cells.insert(j, rng.choice(odd.BYTES))
        case 1:
            del cells[j]
        case 2:
            cells[j] = b'"' + cells[j] + b'"'
        case 3:
            cells[j] = rng.choice((b'"', b'""', b'"a\nb"', b'"a""b"', b' "x"', b'x"y'))
        case 4:
            one, two = rng.randrange(len(cells)), j
            lines = [_swapped(line, one, two) for line in lines]
            return b"\n".join(lines)
        case 5:
            cells[j] = rng.choice((b" ", b"\t", b"")) + cells[j] + rng.choice((b" ", b"\0", b""))
        case _:
            cells[j] = rng.choice(odd.BYTES)
    lines[k] = b",".join(cells)
    return b"\n".join(lines)


def mutate_xml(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """One tag dropped, doubled, replaced by another's; the text behind it changed; entities declared."""
    tags = [*_TAG.finditer(data)]
    if not tags:
        return data
    tag = rng.choice(tags)
    match rng.randrange(12):
        case 0:
            return data[: tag.start()] + data[tag.end() :]
        case 5 | 6 | 7 | 8:
            attribute = rng.choice([*_ATTRIBUTE.finditer(data)] or [tag])
            return data[: attribute.start()] + b'"' + rng.choice(_XML_WORDS) + b'"' + data[attribute.end() :]
        case 9 | 10:
            end = data.find(b"<", tag.end())
            return data[: tag.end()] + rng.choice(_XML_WORDS) + data[end if end >= 0 else len(data) :]
        case 1:
            return data[: tag.end()] + tag[0] * rng.choice((1, 2, 50)) + data[tag.end() :]
        case 2:
            return data[: tag.start()] + rng.choice(tags)[0] + data[tag.end() :]
        case 3:
            entity = rng.choice(
                (b"&a;", b"&lt;", b"&#0;", b"&#x110000;", b"&b;", b"<![CDATA[x]]>", b"<!-- -- -->", b"<?x?>")
            )
            return data[: tag.end()] + entity + data[tag.end() :]
        case 4:
            return rng.choice((
                b'<!DOCTYPE gpx [<!ENTITY a "1"><!ENTITY b "&a;&a;">]>', b'<?xml version="1.0" encoding="UTF-7"?>',
                b'<!DOCTYPE gpx SYSTEM "file:///etc/passwd">', b'<?xml version="1.1" encoding="utf-16"?>', b"<!--",
            )) + data  # fmt: skip
        case _:
            end = data.find(b"<", tag.end())
            return data[: tag.end()] + rng.choice(odd.BYTES) + data[end if end >= 0 else len(data) :]


_NOTHING = object()


def _json_of(data: bytes, rng: random.Random) -> tuple[bytes, Any, bytes]:
    """The value of an input, or at the end of one of its lines, and what stands before and behind it."""
    try:
        return b"", json.loads(data), b""
    except (ValueError, RecursionError):
        pass
    lines = data.split(b"\n")
    k = rng.randrange(len(lines))
    at = max(lines[k].find(b"{"), 0)
    try:
        value = json.loads(lines[k][at:])
    except (ValueError, RecursionError):
        return b"", _NOTHING, b""
    return b"\n".join([*lines[:k], lines[k][:at]]), value, b"\n" + b"\n".join(lines[k + 1 :])


def _raw_json(data: bytes, rng: random.Random) -> bytes:
    """What no dictionary can hold: a key twice, numbers that are none, endless nesting, comments, a comma too many."""
    at = data.find(b"{") + 1
    match rng.randrange(6):
        case 0:
            end = data.find(b",", at)
            return data[:at] + data[at : end + 1] + data[at:] if end > at else data
        case 1:
            return re.sub(
                rb":\s*-?\d[\d.]*", b":" + rng.choice((b"NaN", b"1e999", b"-Infinity", b"01", b"1" * 5000)), data, count=1
            )
        case 2:
            n = rng.choice((10, 200, 1_500))
            return data.replace(b":", b":" + b"[" * n + b"]" * n + b',"x":', 1)
        case 3:
            n = rng.choice((10, 200, 1_500))
            return b"[" * n + data + b"]" * n
        case 4:
            return data.replace(b"}", b",}", 1)
        case _:
            return b"/* */" + data


def _changed(value: Any, strange: tuple[Any, ...], rng: random.Random) -> Any:
    """The value with one node of it changed: a walk from the top, which may stop anywhere."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice([*value])
        copy = dict(value)
        match rng.randrange(9):
            case 0:
                del copy[key]
            case 1:
                copy[rng.choice(odd.TEXTS)] = copy.pop(key)
            case 2:
                copy[key] = copy[rng.choice([*value])]
            case 3:
                copy[key] = rng.choice(strange)
            case _:
                copy[key] = _changed(value[key], strange, rng)
        return copy
    if isinstance(value, list) and value and rng.random() < 0.85:
        k, items = rng.randrange(len(value)), list(value)
        match rng.randrange(8):
            case 0:
                del items[k]
            case 1:
                items.insert(k, items[rng.randrange(len(items))])
            case 2:
                items.insert(k, rng.choice(strange))
            case 3:
                items += items[k:] * rng.choice((1, 3))
            case _:
                items[k] = _changed(items[k], strange, rng)
        return items
    if isinstance(value, (int, float)) and not isinstance(value, bool) and rng.random() < 0.4:
        if abs(value) > 1e300:
            return -value
        return rng.choice((value + 1, -value, value * 10, value * 1e-9, value + 1e-7, float(value), repr(value)))
    if isinstance(value, str) and rng.random() < 0.4:
        return rng.choice(
            (
                value + rng.choice(odd.TEXTS),
                value[: len(value) // 2],
                value.upper(),
                value * 3,
                rng.choice(odd.TEXTS) + value,
            )
        )
    return rng.choice((rng.choice(strange), rng.choice(strange), [value], {"x": value}, [value] * 3))


def _swapped(line: bytes, one: int, two: int) -> bytes:
    cells = line.split(b",")
    if max(one, two) < len(cells):
        cells[one], cells[two] = cells[two], cells[one]
    return b",".join(cells)
