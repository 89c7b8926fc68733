"""The outbox: what could not be told, and what waits to be."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.counts import count_dead, not_served, pending_deliveries
from engine.times import MINUTE_US, SECOND_US
from tagwatch import configuration
from tagwatch.channels import centre_of, kinds_of, routing_of
from tagwatch.doctor.finding import FAULT, OK, WARNING, Finding, Scene
from tagwatch.settings import Settings

_PART = "outbox"
_LONG_US = 15 * MINUTE_US


def examine(scene: Scene) -> Iterator[Finding]:
    """Dead letters, the oldest that waits, and channels that nobody serves."""
    assert scene.connection is not None
    pending = pending_deliveries(scene.connection)
    n_pending = sum(one.n_deliveries for one in pending)
    if n_dead := count_dead(scene.connection):
        yield Finding(_PART, WARNING, f"{n_dead:,} deliveries were given up: somebody was not told",
                      "tagwatch outbox dead says why; repair that, then tagwatch outbox resend")  # fmt: skip
    waits_us = scene.now_us - min((one.oldest_us for one in pending), default=scene.now_us)
    if waits_us > _LONG_US:
        yield Finding(_PART, FAULT, f"{n_pending:,} deliveries wait, the oldest for {waits_us / SECOND_US / 60:,.0f} minutes",
                      "is the service running, and its receiver there? tagwatch outbox list says what is tried")  # fmt: skip
    for one in not_served(pending, served_kinds(scene.settings)):
        part = "alerts_mqtt" if one.kind == "mqtt" else one.kind
        yield Finding(_PART, FAULT, f"{one.n_deliveries:,} deliveries wait for a channel without settings", f"set [{part}]")
    if n_lost := len(routing_of(scene.settings, *configuration.load_teams(scene.connection)).unserved()):
        yield Finding(_PART, WARNING, f"{n_lost} teams have channels that are not served, or were never imported",
                      "tagwatch teams list")  # fmt: skip
    if not n_dead and waits_us <= _LONG_US:
        yield Finding(_PART, OK, f"{n_pending:,} deliveries wait")


def served_kinds(settings: Settings) -> set[str]:
    """The kinds of channel that the settings serve."""
    return {channel.partition(":")[0] for channel in centre_of(settings)} | {*kinds_of(settings)}
