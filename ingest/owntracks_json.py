"""OwnTracks JSON: objects as the phones send them, or as the recorder's REST interface gives them back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from engine.errors import InputError
from engine.fixes import Fixes
from engine.times import parse_time
from ingest.fault import Faults
from ingest.fix_checks import check_device
from ingest.gathered import Gathered, Place
from ingest.json_items import Item
from ingest.owntracks import NAMES, Values, is_ping, location, type_of

_TOPIC = re.compile(r"owntracks/(?P<user>[^/]+)/(?P<device>[^/]+)")
_KEYS = tuple(key for key in Values._fields if key != "time")


def read_owntracks(items: Iterable[Item], faults: Faults, stem: str) -> Fixes:
    """The locations, in order; objects of other types and pings are no fixes and are left out.

    The device is `user/device` of the topic, else of the keys `username` (or `user`) and `device`, else the `tid`, else the
    file. The recorder's `isorcv` repeats `tst`: it is no arrival time, so the arrival is unknown.
    """
    gathered = Gathered(faults, _KEYS, _as_written)
    for item in items:
        place = Place(item.row, item.line)
        if item.error is not None:
            gathered.refuse(place, item.error, "bad_json")
            continue
        try:
            document = item.value
            if type_of(document) != "location" or is_ping(document):
                continue
            device, values = check_device(_device(document, stem)), location(document)
            time_us = parse_time(values.time, field="tst")
        except InputError as error:
            gathered.refuse(place, error, "bad_time" if error.field == "tst" else "bad_value")
            continue
        gathered.add(place, device, time_us, values._asdict(), origin=document)
    return gathered.fixes()


def _device(document: dict[str, Any], stem: str) -> str:
    told = _TOPIC.fullmatch(_text(document, "topic"))
    if told:
        return f"{told['user']}/{told['device']}"
    user, device = _text(document, "username") or _text(document, "user"), _text(document, "device")
    return f"{user}/{device}" if user and device else _text(document, "tid") or stem


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    return value.strip() if isinstance(value, str) else ""


def _as_written(document: dict[str, Any], field: str) -> tuple[str, object]:
    name = NAMES.get(field, field)
    return name, document.get(name)
