"""The journal of erasures beside the raw log: an older database that is put back learns from it what must go again."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from engine.errors import InputError
from ingest.raw_log import sync_folder
from tagwatch.retention.orders import Order

FILE = "erasures.jsonl"


class Noted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order, as the database keeps it; times [us UTC]."""

    number: int
    wearer: str
    from_us: int | None
    to_us: int
    kinds: tuple[str, ...]
    reason: str
    reference: str
    ordered_by: str
    ordered_us: int

    @property
    def order(self) -> Order:
        """The order, with everything still to do."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return Order(**given, state="begun", done={})


_DECODER = msgspec.json.Decoder(Noted)


def note(folder: Path, order: Order) -> None:
    """Append an order, on the disk when this returns, where it is not there yet. Without a raw log nothing is noted."""
    if order.wearer is None or not folder.is_dir():
        return
    given = {name: getattr(order, name) for name in Noted.__struct_fields__}
    one = Noted(**given)
    if one in read(folder):
        return
    with (folder / FILE).open("ab") as file:
        if file.tell() and not (folder / FILE).read_bytes().endswith(b"\n"):
            file.write(b"\n")  # a crash tore the last line: what it noted is noted again
        file.write(msgspec.json.encode(one) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)


def read(folder: Path) -> list[Noted]:
    """Every order that is noted, each once. InputError for a line that is none; one torn by a crash at the end of writing is
    left out."""
    path = folder / FILE
    found: dict[tuple[int, int], Noted] = {}
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True) if path.exists() else (), 1):
        try:
            one = _DECODER.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            if not line.startswith(b'{"number":') or line.rstrip().endswith(b"}"):
                raise InputError(f"not an order: {str(fault)[:120]}", place=f"{path}, line {number}") from None
            continue
        found[one.number, one.ordered_us] = one
    return list(found.values())
