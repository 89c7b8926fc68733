"""Canonical payloads, JSON or MessagePack, into typed readings: quick where all is well, else entry by entry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from engine.errors import InputError
from ingest.json_text import error_of, read_json

Number = float | UnsetType | None
Seq = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | UnsetType | None


class PlainFix(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """One fix with nothing but what we ask for: all its values are numbers and texts."""

    time: str | int | float
    lat: float
    lon: float
    accuracy_m: Number = UNSET
    source: str | UnsetType | None = UNSET
    speed_mps: Number = UNSET
    course_deg: Number = UNSET
    altitude_m: Number = UNSET
    hdop: Number = UNSET
    satellites: Number = UNSET
    battery_pct: Number = UNSET
    seq: Seq = UNSET


class FixReading(PlainFix, gc=False, forbid_unknown_fields=False):
    """One fix as sent; `received` and `device` are taken only to be ignored (the centre and the topic say them)."""

    received: msgspec.Raw | UnsetType = UNSET
    device: msgspec.Raw | UnsetType = UNSET


class EventReading(msgspec.Struct, gc=False):
    """One device event as sent."""

    time: str | int | float
    event: str
    value: str | int | float | UnsetType | None = UNSET
    seq: Seq = UNSET
    received: msgspec.Raw | UnsetType = UNSET
    device: msgspec.Raw | UnsetType = UNSET


class Entry(NamedTuple):
    """One entry of a payload: its bytes as sent, its position (-1: the payload is the entry), and reading or error."""

    data: bytes
    position: int
    reading: Any
    error: InputError | None = None
    seq: int | None = None


_DECODING = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MemoryError)
_PLAIN = msgspec.json.Decoder(list[PlainFix])
_TEXTS = (PlainFix.__struct_fields__.index("time"), PlainFix.__struct_fields__.index("source"))
_JSON_RAW = msgspec.json.Decoder(list[msgspec.Raw])
_PACK_RAW = msgspec.msgpack.Decoder(list[msgspec.Raw])
_QUOTES = {"time": 2, "source": 2, "event": 2, "value": 2}


class Dialect:
    """The decoders of one kind of reading."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        self.kind = kind
        self.json_one: Any = msgspec.json.Decoder(kind)
        self.json_many: Any = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]
        self.pack_one: Any = msgspec.msgpack.Decoder(kind)
        self.texts = [name for name in kind.__struct_fields__ if name in _QUOTES]


FIXES = Dialect(FixReading)
EVENTS = Dialect(EventReading)


def plain_columns(data: bytes) -> list[tuple[Any, ...]] | None:
    """The columns of a JSON list of fixes, in the order of PlainFix, else None: where there is no fix, or anything is odd.

    Keys twice are seen by counting, as below.
    """
    try:
        columns = list(zip(*map(msgspec.structs.astuple, _PLAIN.decode(data)), strict=True))
    except _DECODING:
        return None
    if not columns:
        return None
    n_keys = sum(len(column) - column.count(UNSET) for column in columns)
    n_texts = sum(list(map(type, columns[k])).count(str) for k in _TEXTS)
    return columns if data.count(b'"') == 2 * (n_keys + n_texts) else None


def joined(objects: Sequence[bytes]) -> bytes:
    """JSON objects as one list, so that `plain_columns` gives as many rows as there are objects only if each is one fix.

    Each begins with a brace. A line's end is not allowed in a text, a brace not behind a comma in an object, and a plain fix
    holds no list: so no separator can end up within a fix, and each object is one row or more.
    """
    return b"[" + b",\n".join(objects) + b"]"


def read_quickly(payload: bytes, dialect: Dialect) -> list[Any] | None:
    """The readings of a payload in which nothing is odd, else None: odd is any error, key unknown or key twice.

    Keys twice are seen by counting: in such a payload the only quotes are those of its known keys and text values.
    """
    first = payload[:1]
    try:
        if first == b"{":
            readings = [dialect.json_one.decode(payload)]
        elif first == b"[":
            readings = dialect.json_many.decode(payload)
        elif first and 0x80 <= first[0] <= 0x8F:
            return _one_packed(payload, dialect)
        else:
            return None
    except _DECODING:
        return None
    quotes = sum(_n_quotes(reading, dialect) for reading in readings)
    return readings if payload.count(b'"') == quotes else None


def entries_of(payload: bytes, dialect: Dialect) -> Iterator[Entry]:
    """Every entry of a payload with its own reading or error; InputError where the payload as a whole is none."""
    parts = _split(payload)
    single = payload.lstrip()[:1] == b"{" or _is_map(payload)
    for index, data in enumerate(parts):
        yield _entry(data, -1 if single else index, dialect)


def is_packed(payload: bytes) -> bool:
    """Whether the first byte begins a MessagePack map or list."""
    return bool(payload) and (0x80 <= payload[0] <= 0x9F or 0xDC <= payload[0] <= 0xDF)


def _is_map(payload: bytes) -> bool:
    return 0x80 <= payload[0] <= 0x8F or payload[0] in (0xDE, 0xDF)


def _split(payload: bytes) -> list[bytes]:
    if is_packed(payload):
        return [payload] if _is_map(payload) else _raw_list(payload, _PACK_RAW, "MessagePack")
    start = payload.lstrip()[:1]
    if start == b"{":
        return [payload]
    if start == b"[":
        return _raw_list(payload, _JSON_RAW, "JSON")
    raise InputError("empty payload" if not payload.strip() else "neither JSON nor MessagePack",
                     expected="an object or a list of objects")  # fmt: skip


def _raw_list(payload: bytes, decoder: Any, name: str) -> list[bytes]:
    try:
        return [bytes(raw) for raw in decoder.decode(payload)]
    except _DECODING as error:
        raise InputError(f"not {name} that can be read: {str(error)[:120]}") from None


def _entry(data: bytes, index: int, dialect: Dialect) -> Entry:
    document: Any = None
    try:
        document = _document(data)
        if not isinstance(document, dict):
            raise InputError("not an object", expected="an object with time, lat, lon")
        reading = msgspec.convert(_without_ignored(document), dialect.kind)
        _refuse_nan(document)
    except InputError as error:
        return Entry(data, index, None, error, _seq_of(document))
    except (msgspec.ValidationError, RecursionError) as error:
        return Entry(data, index, None, error_of(error, document), _seq_of(document))
    except UnicodeEncodeError:
        return Entry(data, index, None, InputError("a key has half a surrogate pair", expected="UTF-8"), _seq_of(document))
    for name in ("received", "device"):
        if name in document:
            setattr(reading, name, msgspec.Raw(b""))
    return Entry(data, index, reading)


def _document(data: bytes) -> Any:
    if not is_packed(data):
        return read_json(data)
    try:
        document = msgspec.msgpack.decode(data, ext_hook=_refuse_extension)
    except (*_DECODING, TypeError, ValueError) as error:
        raise InputError(f"not MessagePack that can be read: {str(error)[:120]}") from None
    if isinstance(document, dict) and len(document) != _n_pairs(data):
        raise InputError("a key comes twice")
    return document


def _refuse_extension(code: int, data: memoryview) -> Any:
    raise ValueError(f"an extension of type {code}")


def _one_packed(payload: bytes, dialect: Dialect) -> list[Any] | None:
    reading = dialect.pack_one.decode(payload)
    values = msgspec.structs.astuple(reading)
    plain = len(values) - values.count(UNSET) == payload[0] & 0x0F and not any(map(_is_nan, values))
    return [reading] if plain else None


def _n_pairs(data: bytes) -> int:
    size = {0xDE: 2, 0xDF: 4}.get(data[0], 0)
    return int.from_bytes(data[1 : 1 + size], "big") if size else data[0] & 0x0F


def _n_quotes(reading: Any, dialect: Dialect) -> int:
    values = msgspec.structs.astuple(reading)
    n_texts = sum(type(getattr(reading, name)) is str for name in dialect.texts)
    ignored = [value for value in (reading.received, reading.device) if value is not UNSET]
    in_ignored = sum(bytes(raw).count(b'"') for raw in ignored)
    return 2 * (len(values) - values.count(UNSET) + n_texts) + in_ignored


def _without_ignored(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in ("received", "device")}


def _refuse_nan(document: dict[str, Any]) -> None:
    for key, value in document.items():
        if _is_nan(value):
            raise InputError(field=str(key), value=value, expected="a number")


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _seq_of(document: Any) -> int | None:
    seq = document.get("seq") if isinstance(document, dict) else None
    return seq if isinstance(seq, int) and not isinstance(seq, bool) and 0 <= seq < 2**63 else None
