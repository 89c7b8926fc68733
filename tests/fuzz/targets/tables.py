"""Files of activations, wearers and device events."""

from __future__ import annotations

import json
from collections.abc import Hashable

from engine.errors import InputError
from engine.times import EARLIEST_US
from ingest.activation_files import read_activations
from ingest.event_files import read_events
from ingest.fault import Fault
from ingest.fix_checks import check_device
from ingest.wearer_files import read_wearers
from tests.fuzz.laws import check_events, from_stdin
from tests.fuzz.target import Target, require

_ACTIVATIONS = (
    b"device,wearer,from,to,percentile,fix_interval_s,upload_interval_s,grace_s,model\nT1,W1,2026-11-01T00:00:00Z,,0.95,60,600,300,\n"
    b"T2,W2,2026-11-01T00:00:00Z,2026-11-02T00:00:00Z,,,,,tag\n"
)
_WEARERS = b'wearer,name,cohort,scheme,force,basis,team\nW1,"Ann, Ex",fixed,s,MPS,bail,A\nW2,,,,,,\n'
_EVENTS = b"device,time,event,value,received\nT1,2026-11-22T10:00:00Z,battery,15,\nT1,2026-11-22T10:01:00Z,strap_tamper,,2026-11-22T10:02:00Z\n"


def _event_seeds() -> list[bytes]:
    one = {"device": "T1", "time": "2026-11-22T10:00:00Z", "event": "battery", "value": 15}
    values = [json.dumps(v).encode() for v in ([one, one], one)]
    return [_EVENTS, *values, b"\n".join(values)]


def _activations(data: bytes) -> Hashable:
    faults: list[Fault] = []
    found = from_stdin(lambda path: read_activations(path, None, faults.append), data)
    for row in found.rows:
        check_device(row.device)
        check_device(row.wearer)
        require(EARLIEST_US <= row.from_us < row.to_us and 0 < row.percentile < 1, "an activation out of bounds")
        require(row.fix_interval_s >= 1 and row.silence_us > 0, "a plan out of bounds")
    return min(len(found.rows), 2), faults[0].code if faults else ""


def _wearers(data: bytes) -> Hashable:
    faults: list[Fault] = []
    found = from_stdin(lambda path: read_wearers(path, faults.append), data)
    require(len({one.wearer for one in found}) == len(found), "a wearer twice")
    return min(len(found), 2), faults[0].code if faults else ""


def _events(data: bytes) -> Hashable:
    faults: list[Fault] = []
    found = from_stdin(lambda path: read_events(path, None, faults.append), data)
    check_events(found)
    try:
        strict = from_stdin(read_events, data)
    except InputError:
        require(bool(faults), "refused without a fault")
    else:
        require(strict == found and not faults, "read twice, and something else came")
    return min(len(found), 2), faults[0].code if faults else ""


TARGETS = (
    Target("activations", _activations, lambda: [_ACTIVATIONS], ("csv", "lines")),
    Target("wearers", _wearers, lambda: [_WEARERS], ("csv", "lines")),
    Target("device_events", _events, _event_seeds, ("csv", "json", "lines"), most_bytes=2_048),
)
