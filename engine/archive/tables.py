"""What lies beside the days of an archive as CSV: device events, oldest first, each once, and activations."""

from __future__ import annotations

import csv
import heapq
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from engine.activations import FOREVER_US, Activation, Activations
from engine.archive.manifest import Table, instant_of
from engine.archive.staging import hash_of, sync
from engine.errors import InputError
from engine.events import DeviceEvent
from engine.times import SECOND_US, to_iso

EVENTS, ACTIVATIONS = "events.csv", "activations.csv"
_EVENT = ("device", "time", "event", "value", "received")
_ACTIVATION = ("device", "wearer", "from", "to", "percentile", "fix_interval_s", "upload_interval_s", "grace_s", "model")


def together(*sources: Iterable[DeviceEvent]) -> Iterator[DeviceEvent]:
    """The events of sources that are in order, in order, each once with the earliest `received`."""
    for _, same in groupby(heapq.merge(*sources, key=rank), key=rank):
        yield min(same, key=lambda event: event.received_s)


def rank(event: DeviceEvent) -> tuple[int, str, str, str]:
    """The order of events: by time, device, kind, value."""
    return event.time_us, event.device, event.kind, event.value


def write_events(folder: Path, events: Iterable[DeviceEvent]) -> Table:
    """Write events, which are in order, to the folder's file of them."""
    rows = ([e.device, to_iso(e.time_us), e.kind, e.value, to_iso(e.received_s * SECOND_US)] for e in events)
    return _write(folder, EVENTS, _EVENT, rows)


def read_events(path: Path) -> Iterator[DeviceEvent]:
    """The events of an archive's file, one at a time."""
    for row in _rows(path, _EVENT):
        with _told(path, row):
            event = _event(*row)
        yield event


def _event(device: str, time: str, kind: str, value: str, received: str) -> DeviceEvent:
    return DeviceEvent(device, instant_of(time), kind, value, instant_of(received) // SECOND_US)


@contextmanager
def _told(path: Path, row: list[str]) -> Iterator[None]:
    """What a row holds that is no time or number, as an InputError: the file may be a stranger's."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"a row cannot be read: {error}", place=str(path), field="row", value=row) from None


def write_activations(folder: Path, activations: Activations) -> Table:
    """Write activations to the folder's file of them."""
    rows = (
        [a.device, a.wearer, to_iso(a.from_us), "" if a.to_us == FOREVER_US else to_iso(a.to_us), *a[4:]]
        for a in activations.rows
    )
    return _write(folder, ACTIVATIONS, _ACTIVATION, rows)


def read_activations(path: Path) -> Activations:
    """The activations of an archive's file."""
    found = []
    for row in _rows(path, _ACTIVATION):
        with _told(path, row):
            device, wearer, since, until, percentile, fix_s, upload_s, grace_s, model = row
            to_us = instant_of(until) if until else FOREVER_US
            plan = float(percentile), int(fix_s), int(upload_s), int(grace_s)
            found.append(Activation(device, wearer, instant_of(since), to_us, *plan, model))
    return Activations(found)


def joined(old: Activations, new: Activations) -> Activations:
    """The activations of both; where both tell of the same device, wearer and beginning, the new one counts. InputError where a
    device would be on two wearers at one time."""
    return Activations({(a.device, a.wearer, a.from_us): a for a in (*old.rows, *new.rows)}.values())


def _write(folder: Path, name: str, header: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    path, n_rows = folder / name, 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow(row)
            n_rows += 1
    with path.open("rb") as file:
        sync(file)
    return Table(name, hash_of(path), n_rows)


def _rows(path: Path, header: tuple[str, ...]) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            if next(reader, []) != [*header]:
                raise InputError("has another header", place=str(path), expected=",".join(header))
            for row in reader:
                if len(row) != len(header):
                    raise InputError(
                        f"has {len(row)} fields", place=f"{path}, line {reader.line_num}", expected=str(len(header))
                    )
                yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot be read: {error}", place=str(path)) from None
