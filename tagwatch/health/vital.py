"""What a running service shows of its state, and the parts of its health that follow from it at once."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tagwatch.health.part import Part

if TYPE_CHECKING:
    from tagwatch.service import Service
    from tagwatch.settings import Health as Bounds


_COMPILING_S = 900.0


def loop(service: Service, bounds: Bounds) -> Part:
    """Whether the service does anything: it shows a sign of life with each turn and each transaction."""
    silent_s = time.monotonic() - service.counts.beat_s
    if not service.warmed.is_set() and silent_s < _COMPILING_S:
        return Part("loop", True, silent_s, "kernels are made ready")
    if silent_s > bounds.hang_s:
        return Part("loop", False, silent_s, f"no sign of life for {silent_s:.0f} s, more than {bounds.hang_s:g} s")
    return Part("loop", True, silent_s, f"last sign of life {silent_s:.1f} s ago")


def session(service: Service) -> Part:
    """Whether a session is up, so that messages are taken."""
    is_up = service.ready.is_set() and not service.stopping.is_set()
    if service.stopping.is_set():
        return Part("session", False, 0.0, "the service is stopping")
    if service.standing_by.is_set():
        return Part("session", True, 0.0, "another instance leads: this one stands by")
    return Part("session", is_up, float(is_up), "messages are taken" if is_up else "the service is taking up its state")


def broker(service: Service) -> Part:
    """Whether the broker is there now."""
    subscriber = service.subscriber
    is_up = service.reaches_broker if subscriber is None else subscriber.connected
    return Part("broker", is_up, float(is_up), "connected" if is_up else "the broker is not there")


def backlog(service: Service, bounds: Bounds) -> Part:
    """Whether decisions keep up with what arrives: how long the oldest message of the last batch had waited."""
    subscriber = service.subscriber
    n_waiting = subscriber.waiting if subscriber is not None else 0
    waited_s = max(0.0, service.counts.lag_s) if n_waiting else 0.0
    said = f"{n_waiting} messages wait, the last batch had waited {waited_s:.1f} s"
    if waited_s > bounds.most_waiting_s:
        return Part("backlog", False, waited_s, f"{said}, more than {bounds.most_waiting_s:g} s")
    return Part("backlog", True, waited_s, said)


def raw_log(folder: Path) -> Part:
    """Whether the raw log's folder can be written."""
    is_well = os.access(folder, os.W_OK | os.X_OK)
    return Part("raw log", is_well, float(is_well), "can be written" if is_well else "its folder cannot be written")


def disk(folder: Path, bounds: Bounds) -> Part:
    """Whether there is space for the raw log; the figure is MB."""
    try:
        free_mb = shutil.disk_usage(folder).free / 1e6
    except OSError:
        return Part("disk", False, 0.0, "the raw log's folder is not there")
    said = f"{free_mb:,.0f} MB are free for the raw log"
    if free_mb < bounds.least_free_mb:
        return Part("disk", False, free_mb, f"{said}, less than {bounds.least_free_mb:,} MB: make room before it is full")
    return Part("disk", True, free_mb, said)
