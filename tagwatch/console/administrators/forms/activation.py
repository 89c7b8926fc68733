"""The form of an activation: a device on a wearer from one instant to another."""

from __future__ import annotations

from typing import Any

from engine.error_model import DEVICE_MODELS
from engine.errors import InputError
from geofence.schedule import time_zone
from ingest.activation_files import COLUMNS, read_activations
from ingest.fault import Fault
from tagwatch.configuration import activation_rows
from tagwatch.console.administrators.forms.parts import TIMEZONE, Fields, FormError, fill_texts
from tagwatch.console.administrators.typed import Typed, sentence
from tagwatch.console.administrators.uploads import held, one_row

LABELS = {
    "device": "Device", "wearer": "Wearer", "from": "Fitted", "to": "Taken off", "percentile": "Percentile",
    "fix_interval_s": "Fix interval", "upload_interval_s": "Upload interval", "grace_s": "Grace", "model": "Model",
    "timezone": "Time zone",
}  # fmt: skip
ID = "device"
CHOICES = {"model": tuple(DEVICE_MODELS)}


def read(typed: Typed, base: Any, zones: Any) -> tuple[str, Any]:
    """The identifier (device and start) and the content; FormError says what is wrong."""
    try:
        zone = time_zone(typed.text("timezone") or TIMEZONE)
    except InputError as fault:
        raise FormError({"timezone": sentence(fault, LABELS)}) from None
    found: list[Fault] = []
    with held(one_row({name: typed.text(name) for name in COLUMNS})) as path:
        try:
            worn = read_activations(path, zone, on_fault=found.append)
        except InputError as fault:
            raise FormError({"to": sentence(fault, LABELS)}) from None
    if found:
        raise FormError({f.field or ID: sentence(f._replace(file="").error(), LABELS) for f in found})
    return next(iter(activation_rows(worn).items()))


def fill(content: Any) -> Fields:
    """The fields of a content; times are UTC."""
    times = {"from": [content["from_us"]], "to": [content["to_us"]], "timezone": [TIMEZONE]}
    return {**fill_texts(content, *(name for name in COLUMNS if name not in ("from", "to"))), **times}
