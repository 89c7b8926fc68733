"""The service's state as metric families: plain numbers are read at the moment of the scrape."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from alerts.dead_letters import STATES
from engine.times import SECOND_US
from tagwatch import build
from tagwatch.log.setting_up import LEVELS, written
from tagwatch.metrics import codes
from tagwatch.metrics.database_figures import DatabaseFigures, Figures
from tagwatch.metrics.delivered import Delivered
from tagwatch.metrics.distribution import Distribution

if TYPE_CHECKING:
    from tagwatch.counts import Counts
    from tagwatch.health.examiner import Examiner
    from tagwatch.service import Service


class ServiceFamilies(Collector):
    """What the service itself knows; `collect` is called for each scrape, in a thread of the listener."""

    def __init__(self, service: Service, examiner: Examiner, delivered: Delivered) -> None:
        self._service, self._examiner, self._delivered = service, examiner, delivered
        self._build = _build()

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of a scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Everything, as it is now."""
        service = self._service
        yield self._build
        yield from _traffic(service.counts)
        yield from self._broker_and_raw_log()
        yield from _upkeep(service)
        yield from self._health()
        yield from self._clock()
        yield _by("tagwatch_log_lines", "Lines of the log", "level", {x: written[x] for x in (*LEVELS, "critical")})
        yield _histograms("tagwatch_delivery_latency_seconds", "From an alert's version or notice to its delivery", "kind",
                          self._delivered.latency_s)  # fmt: skip

    def _broker_and_raw_log(self) -> Iterator[Metric]:
        service, subscriber = self._service, self._service.subscriber
        up, waiting = (subscriber.connected, subscriber.waiting) if subscriber else (service.reaches_broker, 0)
        yield _gauge("tagwatch_broker_connected", "Whether the broker is there", float(up))
        yield _gauge("tagwatch_subscriber_waiting_messages", "Messages that have arrived and are not taken yet", waiting)
        yield _gauge("tagwatch_leads", "Whether this instance serves; where it does not, it stands by",
                     float(service.leadership.leads.is_set()))  # fmt: skip
        yield _gauge("tagwatch_leader_term", "The term it leads in, one more with each leader, 0 where it does not",
                     service.leadership.term)  # fmt: skip
        yield _total("tagwatch_troubles", "How often the service began again from what is stored", service.n_troubles)
        yield _total("tagwatch_raw_log_payload_bytes", "Payload that went into the raw log", service.counts.raw_bytes)
        yield _histogram("tagwatch_raw_log_write_seconds", "Writing a batch to the disk", service.counts.flush_s)
        try:
            usage = shutil.disk_usage(service.settings.raw_log.folder)
        except OSError:
            return
        yield _gauge("tagwatch_raw_log_free_bytes", "Free space on the disk of the raw log", usage.free)
        yield _gauge("tagwatch_raw_log_disk_bytes", "Size of the disk of the raw log", usage.total)

    def _health(self) -> Iterator[Metric]:
        live, ready = self._examiner.live(), self._examiner.ready()
        yield _gauge("tagwatch_live", "Whether the service shows signs of life", float(all(p.is_well for p in live)))
        yield _gauge("tagwatch_ready", "Whether every part is well", float(all(p.is_well for p in ready)))
        parts = GaugeMetricFamily("tagwatch_part_well", "Whether a part is well", labels=["part"])
        for part in ready:
            parts.add_metric([part.name], float(part.is_well))
        yield parts
        silent_s = time.monotonic() - self._service.counts.beat_s
        yield _gauge("tagwatch_heartbeat_age_seconds", "Since the service's last sign of life", silent_s)
        yield _gauge("tagwatch_backlog_seconds", "What the first of the last batch had waited", self._service.counts.lag_s)

    def _clock(self) -> Iterator[Metric]:
        clock, tags = self._examiner.clock, self._service.counts.tags
        offsets = GaugeMetricFamily(
            "tagwatch_clock_offset_seconds", "How far this clock is ahead, negative: behind", labels=["source"]
        )
        for source, offset_s in clock.offsets_s().items():
            offsets.add_metric([source], offset_s)
        yield offsets
        yield _gauge("tagwatch_clock_bound_seconds", "By how much it may be wrong", clock.bound_s)
        yield _total("tagwatch_clock_steps", "How often the clock was set", clock.steps.n_steps)
        if tags.delay_s is not None:
            yield _gauge("tagwatch_clock_ahead_of_tags_most_seconds",
                         "Median over tags of the least delay: this clock is ahead by this at most", tags.delay_s)  # fmt: skip
        if clock.kernel is not None:
            known = clock.kernel
            yield _gauge("tagwatch_clock_synchronised", "Whether the kernel's clock is kept right", known.is_synchronised)
            yield _gauge("tagwatch_clock_largest_error_seconds", "What the kernel reckons with", known.most_s)


class DatabaseFamilies(Collector):
    """What is read from the database, as old as it may be."""

    def __init__(self, figures: DatabaseFigures) -> None:
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of a scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The last reading, or that there is none."""
        found = self._figures.current()
        yield _gauge("tagwatch_database_figures_up", "Whether the last reading succeeded", float(self._figures.is_up))
        yield _total("tagwatch_database_figures_readings", "How often the database was asked", self._figures.n_readings)
        if found is not None:
            yield _gauge("tagwatch_database_figures_age_seconds", "How old these figures are", self._figures.age_s)
            yield from _ledger(found)
            yield from _outbox(found)
            yield _gauge(
                "tagwatch_summarised_until_timestamp_seconds", "Hours are summarised until", found.summarised_until_s
            )
            yield _gauge("tagwatch_stale_hours", "Hours whose summaries are to be made again", found.n_stale_hours)
            yield _gauge("tagwatch_database_size_bytes", "Size of the database", found.size_bytes)
            yield _gauge("tagwatch_database_connections", "Connections to the database", found.n_connections)


def _traffic(counts: Counts) -> Iterator[Metric]:
    for name, told, n in (
        ("tagwatch_messages", "Messages taken", counts.messages), ("tagwatch_fixes", "Fixes read", counts.fixes),
        ("tagwatch_events", "Device events read", counts.events),
        ("tagwatch_duplicates", "Fixes that were there already", counts.duplicates),
        ("tagwatch_unassigned", "Fixes of devices that nobody wore", counts.unassigned),
        ("tagwatch_batches", "Transactions of messages", counts.batches),
        ("tagwatch_recalls", "Times a past was read again", counts.recalls),
    ):  # fmt: skip
        yield _total(name, told, n)
    yield _by(
        "tagwatch_quarantined", "Payloads not taken", "reason", {code: counts.by_reason[code] for code in codes.REASONS}
    )
    yield _by("tagwatch_versions", "Versions of alerts", "reason", {code: counts.by_step[code] for code in codes.VERSIONS})
    yield _histogram(
        "tagwatch_decision_latency_seconds", "From arrival to the commit of what it decided", counts.decision_s
    )
    yield _histogram("tagwatch_fix_age_seconds", "From the time of a fix to its commit", counts.age_s)
    yield _histogram("tagwatch_batch_messages", "Messages in a transaction", counts.batch)


def _upkeep(service: Service) -> Iterator[Metric]:
    upkeep, retention = service.upkeep, service.settings.retention
    yield _gauge("tagwatch_upkeep_last_success_timestamp_seconds", "The last turn without a failure, 0 for none",
                 upkeep.succeeded_us / SECOND_US)  # fmt: skip
    yield _gauge("tagwatch_upkeep_duration_seconds", "How long the last turn took", upkeep.took_s)
    yield _total("tagwatch_upkeep_failures", "Works of upkeep that failed", upkeep.n_failures)
    yield _gauge("tagwatch_retention_enforced", "Whether the policy is in force", float(retention.enforce))
    yield _gauge("tagwatch_retention_last_run_timestamp_seconds", "The last daily run, 0 for none",
                 service.daily.done_us / SECOND_US)  # fmt: skip


def _ledger(found: Figures) -> Iterator[Metric]:
    alerts = GaugeMetricFamily("tagwatch_alerts", "Alerts in the ledger", labels=["condition", "rule", "grade"])
    for labels, n in sorted(found.alerts.items()):
        alerts.add_metric(labels, n)
    yield alerts
    yield _gauge("tagwatch_alerts_standing", "Alerts that are still open", found.standing)
    yield _gauge("tagwatch_alerts_waiting", "Open alerts that nobody has in hand", found.waiting)
    yield _gauge("tagwatch_alerts_stale", "Alerts that have held for longer than they should", found.stale)
    rates = GaugeMetricFamily(
        "tagwatch_alarm_rate", "Alerts raised in ten minutes an operator, over a window (EEMUA 191)", labels=["window"]
    )
    for window, rate in found.rates.items():
        rates.add_metric([window], rate)
    yield rates
    yield _gauge("tagwatch_alarm_flood", "Whether this is a flood", float(found.is_flood))


def _outbox(found: Figures) -> Iterator[Metric]:
    kinds = sorted({kind for kind, _ in found.outbox} | {*codes.KINDS[:-1]})
    deliveries = GaugeMetricFamily("tagwatch_outbox_deliveries", "Deliveries; dead: given up", labels=["kind", "state"])
    oldest = GaugeMetricFamily("tagwatch_outbox_oldest_pending_seconds", "Age of the oldest pending one", labels=["kind"])
    for kind in kinds:
        oldest.add_metric([kind], found.oldest_pending_s.get(kind, 0.0))
        for state in STATES:
            deliveries.add_metric([kind, state], found.outbox[kind, state])
    yield from (deliveries, oldest)


def _build() -> Metric:
    which = build.build()
    told = {"version": which.version, "commit": which.commit, "built": which.time, "python": build.python()}
    return InfoMetricFamily("tagwatch_build", "Which build this is", value=told)


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(name, told, value=float(value))


def _total(name: str, told: str, value: float) -> Metric:
    return CounterMetricFamily(name, told, value=float(value))


def _by(name: str, told: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, told, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def _histogram(name: str, told: str, values: Distribution) -> Metric:
    return HistogramMetricFamily(name, told, buckets=values.buckets(), sum_value=values.total)


def _histograms(name: str, told: str, label: str, values: Mapping[str, Distribution]) -> Metric:
    family = HistogramMetricFamily(name, told, labels=[label])
    for word, one in values.items():
        family.add_metric([word], one.buckets(), one.total)
    return family
