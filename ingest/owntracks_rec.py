"""OwnTracks recorder files: `time<TAB>kind<TAB>{json}` a line. The leading time repeats `tst`; it is no arrival time."""

from __future__ import annotations

import re
from itertools import compress
from pathlib import PurePath
from zoneinfo import ZoneInfo

import numpy as np

from engine.errors import InputError
from engine.fixes import Fixes
from engine.times import SECOND_US, parse_time
from ingest.fault import Fault, Faults, from_error
from ingest.fix_checks import Raw, assemble, check_device
from ingest.json_text import read_json
from ingest.owntracks import NAMES, Values, is_ping, location, type_of

_TOPIC = re.compile(r"^owntracks/(?P<user>[^/]+)/(?P<device>[^/]+)$")


def read_rec(data: bytes, faults: Faults, path: str, tz: ZoneInfo | None = None) -> Fixes:
    """The locations of a recorder file, in its order; lines of other kinds and pings are no fixes and are left out.

    Last wills too: their time is when a connection was made, and the file does not say when it was lost.
    """
    default = _device_of_path(path)
    devices: dict[str, int] = {}
    device: list[int] = []
    read: list[Values] = []
    times: list[int] = []
    lines: list[int] = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            found = _line(line, default)
            if found is None:
                continue
            name, values = found
            time_us = parse_time(values.time, field="tst")
        except InputError as error:
            faults.add(from_error(error, 0, number))
            continue
        device.append(devices.setdefault(name, len(devices)))
        read.append(values)
        times.append(time_us)
        lines.append(number)
    return _fixes(tuple(devices), device, times, read, lines, faults)


def _line(line: bytes, default: str) -> tuple[str, Values] | None:
    parts = line.rstrip(b"\r").split(b"\t", 2)
    if len(parts) != 3:
        raise InputError("not a recorder line", value=line[:40], expected="time<TAB>kind<TAB>{json}")
    document = read_json(parts[2])
    if type_of(document) != "location" or is_ping(document):
        return None
    topic = document.get("topic")
    told = _TOPIC.match(topic) if isinstance(topic, str) else None
    name = f"{told['user']}/{told['device']}" if told else default
    return check_device(name), location(document)


def _device_of_path(path: str) -> str:
    """The recorder keeps `rec/<user>/<device>/<month>.rec`; any other file is its own device."""
    parts = PurePath(path).parts
    if len(parts) >= 4 and parts[-4] == "rec":
        return f"{parts[-3]}/{parts[-2]}"
    return PurePath(path).stem


def _fixes(
    devices: tuple[str, ...], device: list[int], times: list[int], read: list[Values], lines: list[int], faults: Faults
) -> Fixes:
    columns = {key: np.array([_number(getattr(values, key)) for values in read], np.float64)
               for key in Values._fields if key != "time"}  # fmt: skip
    time_us = np.array(times, np.int64)
    unknown = np.zeros(len(times), np.int32)
    raw = Raw(devices, np.array(device, np.int32), time_us, columns, unknown, time_us // SECOND_US)
    fixes, good, doubts = assemble(raw)
    faults.keep(compress(lines, good))
    for doubt in doubts:
        name = NAMES.get(doubt.field, doubt.field)
        fault = Fault(0, doubt.code, name, doubt.value, doubt.message, doubt.expected, line=lines[doubt.row])
        faults.add(fault)
    return fixes


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
