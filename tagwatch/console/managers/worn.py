"""Which tags wearers wear and wore; without any activations everybody wears the device of the own name."""

from __future__ import annotations

from collections.abc import Iterable

from engine.activations import Activation
from tagwatch.monitor import Conditions


def worn_now(conditions: Conditions, wearers: Iterable[str], now_us: int) -> dict[str, list[Activation]]:
    """By wearer the activations that hold at an instant."""
    if not conditions.activations.rows:
        return {wearer: worn_by(conditions, wearer) for wearer in wearers}
    worn: dict[str, list[Activation]] = {wearer: [] for wearer in wearers}
    for row in conditions.activations.rows:
        if row.wearer in worn and row.from_us <= now_us < row.to_us:
            worn[row.wearer].append(row)
    return worn


def worn_by(conditions: Conditions, wearer: str) -> list[Activation]:
    """Every activation of a wearer, oldest first."""
    if conditions.activations.rows:
        return conditions.activations.of_wearer(wearer)
    return [conditions.plan._replace(device=wearer, wearer=wearer)]
