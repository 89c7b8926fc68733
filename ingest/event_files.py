"""Files of device events, CSV or JSON (told apart by content), into DeviceEvents in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from engine.errors import InputError
from engine.events import DeviceEvent
from engine.times import SECOND_US, parse_time
from ingest.csv_table import BOM, rows_of, table_of
from ingest.event_values import check_kind, check_value
from ingest.fault import Fault, Faults, OnFault, from_error
from ingest.fix_checks import check_device
from ingest.json_text import read_json
from ingest.trail_files import read_bytes

COLUMNS = ("device", "time", "event", "value", "received")
REQUIRED = ("device", "time", "event")


def read_events(path: str | Path, tz: ZoneInfo | None = None, on_fault: OnFault | None = None) -> list[DeviceEvent]:
    """The device events of one file (`-` is standard input); faults as in `trail_files.read_trail`.

    Without a `received` an event is taken to have arrived at its own time.
    """
    name, data = read_bytes(path)
    faults = Faults(name, on_fault)
    events: list[DeviceEvent] = []
    for row, line, fields in _entries(data, faults):
        try:
            events.append(_event(fields, tz))
        except InputError as error:
            faults.add(from_error(error, row, line))
    faults.settle()
    return events


def _event(fields: Mapping[str, Any], tz: ZoneInfo | None) -> DeviceEvent:
    for name in REQUIRED:
        if fields.get(name) in (None, ""):
            raise InputError("required", field=name)
    device, kind = fields["device"], fields["event"]
    for name, text in (("device", device), ("event", kind)):
        if not isinstance(text, str):
            raise InputError(field=name, value=text, expected="text")
    value = fields.get("value")
    if isinstance(value, (bool, list, dict)):
        raise InputError(field="value", value=value, expected="text or a number")
    time_us = parse_time(fields["time"], tz)
    received = fields.get("received")
    received_us = time_us if received in (None, "") else parse_time(received, tz, "received")
    kind = check_kind(kind.strip())
    return DeviceEvent(check_device(device), time_us, kind, check_value(kind, value), received_us // SECOND_US)


def _entries(data: bytes, faults: Faults) -> Iterator[tuple[int, int, Mapping[str, Any]]]:
    if data.removeprefix(BOM).lstrip()[:1] in (b"[", b"{"):
        yield from _json_entries(data, faults)
        return
    table = table_of(data, faults.file, COLUMNS, REQUIRED)
    for row in rows_of(table.body, len(table.names), line=table.line):
        if row.error:
            faults.add(Fault(row.row, "wrong_row", "", None, row.error, line=row.line))
        else:
            yield row.row, row.line, dict(zip(table.names, row.fields, strict=True))


def _json_entries(data: bytes, faults: Faults) -> Iterator[tuple[int, int, Mapping[str, Any]]]:
    document = _read_json_or_lines(data, faults.file)
    for row, entry in enumerate(document, start=1):
        if isinstance(entry, dict):
            yield row, 0, entry
        else:
            faults.add(Fault(row, "wrong_row", "", entry, "not an object", "an object with device, time, event"))


def _read_json_or_lines(data: bytes, file: str) -> list[Any]:
    """One object, a list of them, or one object a line (JSONL)."""
    data = data.removeprefix(BOM)
    try:
        document = read_json(data)
    except InputError as error:
        lines = [line for line in data.splitlines() if line.strip()]
        if len(lines) < 2 or not lines[0].strip().endswith(b"}"):
            raise error.at(file) from None
        return [_read_line(line, number, file) for number, line in enumerate(lines, start=1)]
    return document if isinstance(document, list) else [document]


def _read_line(line: bytes, number: int, file: str) -> Any:
    try:
        return read_json(line)
    except InputError as error:
        raise error.at(f"{file}, row {number}") from None
