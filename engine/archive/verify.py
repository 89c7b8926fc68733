"""Whether an archive is what its manifest says: every byte, every fix once, in its day, in its order, and no file besides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine.archive.day_file import day_of, digest_of
from engine.archive.export import devices_of
from engine.archive.groups import fixes_of
from engine.archive.manifest import NAME, Day, DayFile, Device, Manifest, Table, read_manifest, settled
from engine.archive.order import by_place, once
from engine.archive.reader import Archive
from engine.archive.staging import STAGE, finish, hash_of, paths_of
from engine.archive.tables import rank, read_activations, read_events
from engine.errors import InputError
from engine.fixes import NAMES, Fixes, concat
from engine.times import DAY_US, to_iso


class Flaw(NamedTuple):
    """What is wrong: in which file, a code, and in words."""

    file: str
    code: str
    message: str


def verify(folder: str | Path) -> Iterator[Flaw]:
    """Everything that is wrong with an archive, nothing where it is whole; one day is held at a time."""
    folder = Path(folder)
    try:
        finish(folder)
        manifest = read_manifest(folder)
    except InputError as fault:
        yield Flaw(NAME, "manifest", str(fault))
        return
    yield from _strangers(folder, manifest)
    if settled(manifest) != manifest:
        yield Flaw(NAME, "totals", "the totals do not follow from the days, or the days are not in order")
    devices: dict[str, Device] = {}
    n_flawed = 0
    for day in manifest.days:
        flaws = [*_files(folder, day.files)]
        if not flaws:
            flaws += _day(Archive(folder), day, devices)
        yield from flaws
        n_flawed += bool(flaws)
    if not n_flawed:
        yield from _devices(devices, manifest.devices)
    yield from _tables(folder, manifest)


def _strangers(folder: Path, manifest: Manifest) -> Iterator[Flaw]:
    if (folder / STAGE).exists():
        yield Flaw(STAGE, "leftover", "a change was interrupted before it was made; the next export removes what it left")
    known = paths_of(manifest)
    for path in sorted(folder.rglob("*.parquet")):
        name = path.relative_to(folder).as_posix()
        if name not in known and not name.startswith(f"{STAGE}/"):
            yield Flaw(name, "unknown", "is not in the manifest")


def _files(folder: Path, files: Iterable[DayFile | Table]) -> Iterator[Flaw]:
    """Whether the files are there, byte for byte."""
    for file in files:
        path = folder / file.path
        if not path.is_file():
            yield Flaw(file.path, "missing", "is in the manifest, and not there")
        elif (found := hash_of(path)) != file.sha256:
            yield Flaw(file.path, "hash", f"SHA-256 is {found}, the manifest says {file.sha256}")


def _day(archive: Archive, day: Day, devices: dict[str, Device]) -> Iterator[Flaw]:
    """Whether the files of a day, whose bytes are right, hold what the manifest says; counts the day's devices."""
    parts = []
    for file in day.files:
        try:
            groups = [*map(fixes_of, archive.file(file).all(NAMES))]
        except InputError as fault:
            yield Flaw(file.path, "unreadable", str(fault))
            return
        parts.append(concat(groups))
        yield from _said(archive.folder, file, parts[-1])
    rows, first = concat(parts), day.files[0].path
    fixes = once(rows)
    if {day_of(number) for number in np.unique(fixes.time_us // DAY_US).tolist()} != {day.day}:
        yield Flaw(first, "day", f"holds fixes of other days than {day.day}")
    if len(fixes) != len(rows):
        yield Flaw(first, "twice", f"{len(rows) - len(fixes):,} of the fixes are there more than once")
    elif not _same_rows(by_place(fixes), rows):
        yield Flaw(first, "order", "the rows are not in the order of an archive")
    if (len(fixes), digest_of(fixes)) != (day.fixes, day.digest):
        yield Flaw(first, "content", f"holds {len(fixes):,} fixes that are not those of {day.day} in the manifest")
    for name, told in devices_of(fixes).items():
        known = devices.get(name)
        devices[name] = told if known is None else Device(known.fixes + told.fixes, known.first, told.last)


def _said(folder: Path, file: DayFile, rows: Fixes) -> Iterator[Flaw]:
    """Whether a file holds as much, and from where and when, as the manifest says of it."""
    edges = [int(edge(column)) for edge in (np.min, np.max) for column in (rows.lon_e7, rows.lat_e7)]
    first, last = (to_iso(int(edge)) for edge in (rows.time_us.min(), rows.time_us.max()))
    found = ((folder / file.path).stat().st_size, len(rows), first, last, edges)
    if found != (file.bytes, file.rows, file.first, file.last, file.box_e7):
        yield Flaw(file.path, "count", f"holds {found}, the manifest says otherwise")


def _same_rows(one: Fixes, two: Fixes) -> bool:
    index = {name: k for k, name in enumerate(one.devices)}
    device = np.array([index.get(name, -1) for name in two.devices], np.int32)[two.device]
    return np.array_equal(one.device, device) and all(
        np.array_equal(one.column(name), two.column(name)) for name in NAMES if name != "device"
    )


def _devices(found: dict[str, Device], told: dict[str, Device]) -> Iterator[Flaw]:
    for name in sorted(found.keys() | told.keys()):
        if found.get(name) != told.get(name):
            yield Flaw(
                NAME, "devices", f"device {name}: the days hold {found.get(name)}, the manifest says {told.get(name)}"
            )


def _tables(folder: Path, manifest: Manifest) -> Iterator[Flaw]:
    """The files of events and activations, where there are any."""
    flaws = [*_files(folder, [table for table in (manifest.events, manifest.activations) if table])]
    yield from flaws
    if flaws:
        return
    try:
        if manifest.events:
            events, n_rows = read_events(folder / manifest.events.path), manifest.events.rows
            n_pairs = sum(1 if rank(one) < rank(two) else -n_rows for one, two in pairwise(events))
            if n_pairs != max(0, n_rows - 1):
                yield Flaw(manifest.events.path, "order", "the events are not as many as told, in order, each once")
        if (
            manifest.activations
            and len(read_activations(folder / manifest.activations.path).rows) != manifest.activations.rows
        ):
            yield Flaw(manifest.activations.path, "count", "the activations are not as many as told")
    except (InputError, ValueError) as fault:
        yield Flaw("", "unreadable", str(fault))
