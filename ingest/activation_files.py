"""Files of activations (which wearer had which device from when to when): CSV into Activations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

from engine.activations import FOREVER_US, Activation, Activations
from engine.error_model import PERCENTILES, device_model
from engine.errors import InputError
from engine.times import parse_time
from ingest.csv_table import rows_of, table_of
from ingest.fault import Fault, Faults, OnFault, from_error
from ingest.fix_checks import check_device
from ingest.trail_files import read_bytes

COLUMNS = ("device", "wearer", "from", "to", "percentile", "fix_interval_s", "upload_interval_s", "grace_s", "model")
REQUIRED = ("device", "wearer", "from", "to")
_DEFAULTS = Activation("", "", 0)


def read_activations(path: str | Path, tz: ZoneInfo | None = None, on_fault: OnFault | None = None) -> Activations:
    """The activations of one file (`-` is standard input); faults as in `trail_files.read_trail`.

    Raises InputError also where one device would be on two wearers at one time.
    """
    name, data = read_bytes(path)
    faults = Faults(name, on_fault)
    table = table_of(data, name, COLUMNS, REQUIRED)
    activations: list[Activation] = []
    for row in rows_of(table.body, len(table.names), line=table.line):
        if row.error:
            faults.add(Fault(row.row, "wrong_row", "", None, row.error, line=row.line))
            continue
        try:
            activations.append(_activation(dict(zip(table.names, row.fields, strict=True)), tz))
        except InputError as error:
            faults.add(from_error(error, row.row, row.line))
    faults.settle()
    try:
        return Activations(activations)
    except InputError as error:
        raise error.at(name) from None


def _activation(fields: Mapping[str, str], tz: ZoneInfo | None) -> Activation:
    device, wearer = check_device(fields["device"]), check_wearer(fields["wearer"])
    from_us = parse_time(_required(fields, "from"), tz, "from")
    to_us = parse_time(fields["to"], tz, "to") if fields["to"].strip() else FOREVER_US
    if to_us <= from_us:
        raise InputError(field="to", value=fields["to"], expected=f"later than from ({fields['from']})")
    model = _model(fields.get("model", "").strip())
    percentile = _number(fields, "percentile", PERCENTILES.get(model, _DEFAULTS.percentile))
    if not 0.0 < percentile < 1.0:
        raise InputError(
            field="percentile", value=fields["percentile"], expected="more than 0 and less than 1, such as 0.95"
        )
    return Activation(
        device, wearer, from_us, to_us, percentile,
        _seconds(fields, "fix_interval_s", _DEFAULTS.fix_interval_s, least=1),
        _seconds(fields, "upload_interval_s", _DEFAULTS.upload_interval_s, least=1),
        _seconds(fields, "grace_s", _DEFAULTS.grace_s, least=0),
        model,
    )  # fmt: skip


def _model(name: str) -> str:
    """The device model, where one is named."""
    if name:
        device_model(name, _DEFAULTS.percentile)
    return name


def check_wearer(name: str) -> str:
    """The wearer's identifier itself; InputError where it is none (as for devices)."""
    try:
        return check_device(name)
    except InputError as error:
        raise InputError(
            error.message, field="wearer", value=name, expected=error.expected.replace("device", "wearer")
        ) from None


def _required(fields: Mapping[str, str], name: str) -> str:
    if not fields[name].strip():
        raise InputError("required", field=name)
    return fields[name]


def _number(fields: Mapping[str, str], name: str, default: float) -> float:
    text = fields.get(name, "").strip()
    if not text:
        return default
    try:
        return float(text)
    except ValueError:
        raise InputError("not a number", field=name, value=text, expected="a number") from None


def _seconds(fields: Mapping[str, str], name: str, default: int, least: int) -> int:
    number = _number(fields, name, default)
    if not (least <= number < 10**9 and number == int(number)):
        raise InputError(field=name, value=fields[name], expected=f"whole seconds, {least} or more")
    return int(number)
