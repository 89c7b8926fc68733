"""Fixes that come in any order, put down on the disk by day, so that no more than one day is ever held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from engine.fixes import NAMES, Fixes, concat
from engine.times import DAY_US

_HELD = 2_000_000
"""So many fixes wait in memory until they are put down."""
_CODEC = "zstd"


def by_day(pieces: Iterable[Fixes], folder: Path) -> Iterator[tuple[int, Fixes]]:
    """The fixes of each day, counted from 1970-01-01, day after day; meanwhile they lie in files of this folder."""
    names: dict[str, int] = {}
    held: list[Fixes] = []
    for piece in pieces:
        held.append(_renamed(piece, names))
        if sum(map(len, held)) >= _HELD:
            _put_down(concat(held), folder)
            held.clear()
    _put_down(concat(held), folder)
    devices = tuple(names)
    for day in sorted(int(path.name) for path in folder.iterdir()):
        path = folder / str(day)
        yield day, _taken_up(path, devices)
        path.unlink()


def _renamed(fixes: Fixes, names: dict[str, int]) -> Fixes:
    """The fixes with devices numbered as in `names`, which grows."""
    numbers = np.array([names.setdefault(name, len(names)) for name in fixes.devices], np.int32)
    return Fixes(tuple(names), numbers[fixes.device], **{name: fixes.column(name) for name in NAMES[1:]})


def _put_down(fixes: Fixes, folder: Path) -> None:
    day = fixes.time_us // DAY_US
    order = np.argsort(day, kind="stable")
    cuts = np.flatnonzero(np.diff(day[order], prepend=day[order][:1] - 1))
    for rows in np.split(order, cuts[1:]):
        if len(rows):
            part = fixes.take(rows)
            image = b"".join(part.column(name).tobytes() for name in NAMES)
            packed = pa.compress(image, _CODEC, asbytes=True)
            with (folder / str(int(day[rows[0]]))).open("ab") as file:
                file.write(len(packed).to_bytes(8, "little") + len(part).to_bytes(8, "little") + packed)


def _taken_up(path: Path, devices: tuple[str, ...]) -> Fixes:
    parts, kinds = [], [Fixes.dtype(name) for name in NAMES]
    with path.open("rb") as file:
        while head := file.read(16):
            n_bytes, n = int.from_bytes(head[:8], "little"), int.from_bytes(head[8:], "little")
            size = n * sum(kind.itemsize for kind in kinds)
            image = pa.decompress(file.read(n_bytes), size, _CODEC, asbytes=True)
            ends = np.cumsum([0, *(n * kind.itemsize for kind in kinds)]).tolist()
            columns = [np.frombuffer(image, kind, n, start) for kind, start in zip(kinds, ends, strict=False)]
            parts.append(Fixes(devices, *columns))
    return concat(parts)
