"""What is dated ahead: handed out once when its time has come, and no more in memory than the next day of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.events import DeviceEvent
from engine.fixes import Fixes, concat
from engine.times import DAY_US, SECOND_US
from tagwatch.ahead import Ahead

T0_US = 1_780_000_000_000_000


def fixes_at(times_us: list[int]) -> Fixes:
    n = len(times_us)
    return Fixes.of(["a"], device=np.zeros(n, np.int32), time_us=times_us, lat_e7=np.full(n, 1), lon_e7=np.full(n, 2),
                    accuracy_cm=np.full(n, 500), received_s=np.full(n, T0_US // SECOND_US))  # fmt: skip


class Kept:
    """A store: everything that was ever put in."""

    def __init__(self) -> None:
        self.fixes, self.events = Fixes.empty(), list[DeviceEvent]()

    def between(self, from_us: int, to_us: int) -> tuple[Fixes, list[DeviceEvent]]:
        held = self.fixes
        within = (held.time_us >= from_us) & (held.time_us <= to_us)
        return held.take(within), [e for e in self.events if from_us <= e.time_us <= to_us]


_HOURS = st.integers(-30, 24 * 400)


@given(st.lists(st.tuples(st.integers(0, 40), st.lists(_HOURS, max_size=5), st.lists(_HOURS, max_size=2)), max_size=12))
def test_with_a_store_as_without(rounds: list[tuple[int, list[int], list[int]]]) -> None:
    """However far ahead they are dated, the same are handed out at the same time."""
    kept, now_us, n_seen = Kept(), T0_US, 0
    bounded, whole = Ahead(kept.between), Ahead()
    for step_h, fix_hours, event_hours in [*rounds, (24 * 500, [], [])]:
        now_us += step_h * DAY_US // 24
        new = fixes_at([now_us + h * DAY_US // 24 + n_seen + k for k, h in enumerate(fix_hours)])
        events = [DeviceEvent("a", now_us + h * DAY_US // 24 + n_seen + k, "motion") for k, h in enumerate(event_hours)]
        n_seen += 10
        found, told = bounded.due(new, events, now_us)
        wanted, wanted_events = whole.due(new, events, now_us)
        assert sorted(found.time_us.tolist()) == sorted(wanted.time_us.tolist())
        assert sorted(told) == sorted(wanted_events)
        kept.fixes, kept.events = concat([kept.fixes, new]), [*kept.events, *events]
    assert len(whole) == len(bounded) == 0


def test_years_ahead_is_not_held() -> None:
    kept = Kept()
    ahead = Ahead(kept.between)
    kept.fixes = fixes_at([T0_US + 365 * DAY_US + k for k in range(10_000)])
    ahead.due(kept.fixes, [], T0_US)
    assert len(ahead) == 0
    found, _ = ahead.due(Fixes.empty(), [], T0_US + 364 * DAY_US + DAY_US // 2)
    assert not len(found)
    assert len(ahead) == 10_000, "a day before, they are read"
    ahead.put_once(kept.fixes, [])
    assert len(ahead) == 10_000, "each once"
    found, _ = ahead.due(Fixes.empty(), [], T0_US + 366 * DAY_US)
    assert len(found) == 10_000
    assert len(ahead) == 0
