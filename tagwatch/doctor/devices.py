"""Devices that are worn and silent beyond their plan. Which they are is not told here: the page `Ingest` shows them."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.health import newest_since
from tagwatch import configuration
from tagwatch.doctor.finding import FAULT, OK, WARNING, Finding, Scene

_PART = "devices"
_MANY = 0.2


def examine(scene: Scene) -> Iterator[Finding]:
    """How many of those that are worn have not been heard of for longer than their plan allows."""
    assert scene.connection is not None
    settings, now_us = scene.settings, scene.now_us
    conditions = configuration.load(scene.connection, settings.filter_settings, settings.default_plan)
    worn = {row.device: row.silence_us for row in conditions.activations.rows if row.from_us <= now_us < row.to_us}
    if not worn:
        yield Finding(_PART, OK, "no activation holds now")
        return
    newest_us = newest_since(scene.connection, [*worn], now_us - max(worn.values()))
    silent = [device for device, silence_us in worn.items() if now_us - newest_us.get(device, 0) > silence_us]
    if silent:
        grade = FAULT if len(silent) > max(5, _MANY * len(worn)) else WARNING
        yield Finding(_PART, grade, f"{len(silent):,} of {len(worn):,} worn devices are silent beyond their plan",
                      "many at once: is the broker reachable for them? one: the page Ingest says which")  # fmt: skip
    else:
        yield Finding(_PART, OK, f"all {len(worn):,} worn devices were heard of within their plan")
