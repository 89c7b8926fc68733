"""The difference of two ledgers: alerts added, removed and changed, matched as the ledger itself matches; and their load."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from alerts.alert import Alert
from alerts.ledger import Ledger
from engine.times import HOUR_US, MINUTE_US, parse_time

FIELDS = ("rule", "grade", "condition", "began", "ended", "minutes", "posterior", "device")
"""What makes two alerts differ; fixes and explanations differ with every version of a zone, and are left out."""

FLOOD = 10
"""More alerts an operator than this in ten minutes are a flood (EEMUA publication 191)."""
AVERAGE_AN_HOUR = 6
"""What one operator copes with: one alert in ten minutes (the same)."""

_TEN_MINUTES_US = 10 * MINUTE_US


class Difference(NamedTuple):
    """One alert that only one ledger has, or that differs; `joined_into` is when the alert began that took it in."""

    before: Alert | None
    after: Alert | None
    joined_into: str | None = None

    @property
    def change(self) -> str:
        """`added`, `removed` or `changed`."""
        return "added" if self.before is None else "removed" if self.after is None else "changed"

    @property
    def alert(self) -> Alert:
        """The alert as it is in the second ledger, where it is there."""
        alert = self.after or self.before
        assert alert is not None
        return alert

    def changes(self) -> dict[str, tuple[object, object]]:
        """What differs, by field: (before, after)."""
        if self.before is None or self.after is None:
            return {}
        pairs = {name: (getattr(self.before, name), getattr(self.after, name)) for name in FIELDS}
        return {name: (one, two) for name, (one, two) in pairs.items() if one != two}


def differences(before: Iterable[Alert], after: Iterable[Alert], as_of_us: int) -> list[Difference]:
    """The differences in the order of a ledger.

    The second ledger's alerts are applied to the first as late data would be: an alert goes on where one of its family overlaps
    it, alerts are joined and split by the ledger's own rule.
    """
    ledger, by_wearer = Ledger(), _by_wearer(after)
    found: list[Difference] = []
    for wearer, alerts in _by_wearer(before).items():
        ledger.apply(wearer, alerts, as_of_us)
        by_wearer.setdefault(wearer, [])
    for wearer, alerts in by_wearer.items():
        held = {entry.id: entry.alert for entry in ledger.entries(wearer)}
        versions = ledger.apply(wearer, alerts, as_of_us)
        now = {entry.id: entry.alert for entry in ledger.entries(wearer)}
        for version in versions:
            if version.retracted:
                into = now.get(version.reason.removeprefix("joined into "))
                found.append(Difference(held[version.id], None, into.began if into else None))
        pairs = (Difference(held.get(identifier), alert) for identifier, alert in now.items())
        found += [pair for pair in pairs if pair.before is None or pair.changes()]
    return sorted(found, key=lambda d: (d.alert.sort_key, d.change))


def _by_wearer(alerts: Iterable[Alert]) -> dict[str, list[Alert]]:
    groups: dict[str, list[Alert]] = {}
    for alert in alerts:
        groups.setdefault(alert.wearer, []).append(alert)
    return groups


class Load(NamedTuple):
    """What a ledger asks of its operators; rates are alerts an operator."""

    n_alerts: int
    per_wearer_day: float
    per_operator_hour: float
    peak: float
    n_floods: int


def load_of(alerts: Sequence[Alert], wearer_days: float, span_us: int, n_operators: int) -> Load:
    """The load of a ledger over a span of time.

    peak: the most alerts an operator in any ten minutes; n_floods: how many whole tens of minutes, from the first alert on,
    bring more than FLOOD an operator.
    """
    raised = sorted(map(raised_us, alerts))
    hours = span_us / HOUR_US
    peak = max((k + 1 - bisect_left(raised, t - _TEN_MINUTES_US + 1) for k, t in enumerate(raised)), default=0)
    counts: dict[int, int] = {}
    for time_us in raised:
        slot = (time_us - raised[0]) // _TEN_MINUTES_US
        counts[slot] = counts.get(slot, 0) + 1
    return Load(
        len(raised), len(raised) / wearer_days if wearer_days else 0.0, len(raised) / hours / n_operators if hours else 0.0,
        peak / n_operators, sum(n > FLOOD * n_operators for n in counts.values()),
    )  # fmt: skip


def raised_us(alert: Alert) -> int:
    """The instant [us] at which an alert would be raised if every fix came at once: decided, and grace or limit over."""
    waits = alert.why.get("grace_minutes") or alert.why.get("limit_minutes") or 0
    decided = alert.why.get("decided_at")
    earliest = parse_time(alert.began) + round(float(waits) * MINUTE_US)
    return max(earliest, parse_time(decided)) if decided else earliest
