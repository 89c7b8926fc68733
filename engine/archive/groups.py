"""Row groups of one file of an archive: which of them may answer a question, and their columns in the units of `Fixes`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.archive.columns import LEAVES, TEXTS, codes_of, columns_of, paths_of
from engine.errors import InputError
from engine.fixes import NAMES, Fixes, concat
from engine.times import from_datetime

CREATED_BY = "tagwatch version 1"
"""What a file of an archive says of its writer."""
Box = tuple[int, int, int, int]
"""West, south, east, north [1e-7 degree]; all four edges belong to it."""


class Span(NamedTuple):
    """Times from first to last [us], both included; None is open."""

    first_us: int | None = None
    last_us: int | None = None

    def meets(self, first_us: int, last_us: int) -> bool:
        """Whether the span has a time in common with another."""
        return (self.last_us is None or first_us <= self.last_us) and (self.first_us is None or last_us >= self.first_us)

    def within(self, first_us: int, last_us: int) -> Span:
        """What the span asks of fixes that are known to lie between two times: open on the sides that they cannot cross."""
        first = None if self.first_us is None or self.first_us <= first_us else self.first_us
        return Span(first, None if self.last_us is None or self.last_us >= last_us else self.last_us)

    def holds(self, time_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these times (n,) are in it."""
        held = np.ones(len(time_us), np.bool_)
        if self.first_us is not None:
            held &= time_us >= self.first_us
        if self.last_us is not None:
            held &= time_us <= self.last_us
        return held


class Group(NamedTuple):
    """Columns of one row group, by their names in `Fixes`; `device` indexes `devices`."""

    devices: Sequence[str]
    columns: dict[str, NDArray[Any]]


def fixes_of(group: Group) -> Fixes:
    """A row group as a batch."""
    return Fixes.of(group.devices, **group.columns)


class GroupFile:
    """A Parquet file of an archive, opened."""

    def __init__(self, source: Path | bytes, name: str = "") -> None:
        """`source` is its path or its bytes, `name` what messages call it. InputError where it is missing or not readable."""
        self._name = name or str(source)
        try:
            opened = pa.BufferReader(source) if isinstance(source, bytes) else pa.memory_map(str(source))
            self._file = pq.ParquetFile(opened, read_dictionary=[*TEXTS])
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise self._damaged(error) from None
        schema, wanted = self._file.metadata.schema, paths_of(LEAVES)
        if [schema.column(k).path for k in range(len(schema))] != wanted:
            raise InputError("does not have the columns of an archive", place=self._name, expected=", ".join(wanted))
        self._at = {path: k for k, path in enumerate(wanted)}

    def __len__(self) -> int:
        return int(self._file.metadata.num_row_groups)

    def candidates(self, span: Span = Span(), box_e7: Box | None = None) -> list[int]:
        """The row groups that may hold a fix of the span and the box, by their own statistics."""
        return [k for k in range(len(self)) if self._may_hold(k, span, box_e7)]

    def read(self, group: int, names: Collection[str], *, threads: bool = True) -> Group:
        """These columns of a row group."""
        try:
            table = self._file.read_row_group(group, paths_of(names), use_threads=threads)
            devices: Sequence[str] = ()
            columns = columns_of(table, names)
            if "device" in names:
                columns["device"], devices = codes_of(table["device"])
        except (pa.ArrowException, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise self._damaged(error) from None
        if "device" in names and not _are_within(columns["device"], 0, len(devices) - 1):
            raise InputError("a row without a device", place=self._name, expected="a device in each row")
        return Group(devices, columns)

    def all(self, names: Collection[str]) -> Iterator[Group]:
        """These columns of all row groups, one after the other."""
        return (self.read(k, names) for k in range(len(self)))

    def _may_hold(self, group: int, span: Span, box_e7: Box | None) -> bool:
        row_group = self._file.metadata.row_group(group)
        if span != Span():
            found = row_group.column(self._at["time"]).statistics
            if found is None or not found.has_min_max:
                return True
            if not span.meets(from_datetime(found.min), from_datetime(found.max)):
                return False
        if box_e7 is None:
            return True
        for path, edges in (("geometry.x", box_e7[::2]), ("geometry.y", box_e7[1::2])):
            found = row_group.column(self._at[path]).statistics
            if found is None or not found.has_min_max:
                return True
            if found.max < (edges[0] - 0.5) / 1e7 or found.min > (edges[1] + 0.5) / 1e7:
                return False
        return True

    def _damaged(self, error: Exception) -> InputError:
        return InputError(f"cannot be read: {(str(error).splitlines() or [''])[0][:120]}", place=self._name)


def _are_within(column: NDArray[Any], least: int, most: int) -> bool:
    return not len(column) or bool(least <= column.min() and column.max() <= most)


def is_archived(source: str | Path | bytes) -> bool:
    """Whether a Parquet file, or its bytes, is one of an archive."""
    try:
        opened = pa.BufferReader(source) if isinstance(source, bytes) else str(source)
        return bool(pq.read_metadata(opened).created_by == CREATED_BY)
    except (pa.ArrowException, OSError, ValueError):
        return False


def read_rows(source: bytes, name: str) -> Fixes:
    """The fixes of one file of an archive in the order of its rows. InputError where it is damaged."""
    groups = GroupFile(source, name).all(NAMES)
    return concat([*map(fixes_of, groups)])
