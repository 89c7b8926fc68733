"""Which plan is taken: by what there is to read, never by what the answer may be."""

import numpy as np
import pytest

from crime_match.batch.plans import HOUR_NS, Crimes, cost_of
from crime_match.question import Question
from engine.hours import MOST_SUMMARIES
from engine.times import HOUR_US

START_US = 1_772_359_200_000_000
MONTH_H = 720


def crimes(n, hours):
    return Crimes.of([Question(51.5, 0.0, START_US, START_US + int(hours * HOUR_US)) for _ in range(n)])


def plan(n, hours, *, n_wearers=1000, has_hours=True, n_hours=MONTH_H):
    return cost_of(crimes(n, hours), n_wearers * MONTH_H * 60, n_wearers, n_hours, has_hours).plan


def test_few_crimes_are_looked_up_and_many_or_long_ones_scanned():
    assert plan(1, 1) == plan(100, 1) == "index"
    assert plan(10_000, 4) == "scan"
    assert plan(2, 24) == "index"
    assert plan(500, MONTH_H) == "scan"


def test_summaries_are_not_made_for_one_pass():
    assert plan(1, 1, has_hours=False) == plan(10_000, 4, has_hours=False) == "scan"


def test_both_sides_of_the_break_even():
    """It lies where the hours that windows meet are some fifty times those of the tracks. Of few wearers the crimes
    are too many to be put into stretches of time."""
    assert plan(50_000, 1, n_wearers=10) == "index"
    for n_wearers in (200, 1000, 20_000):
        found = [plan(n, 1, n_wearers=n_wearers) for n in (100, 1000, 10_000, 50_000)]
        assert found == sorted(found)
        assert set(found) == {"index", "scan"}


def test_tracks_spread_too_far_are_never_summarised():
    assert plan(1, 1, n_wearers=2000, n_hours=MOST_SUMMARIES // 2000 + 1) == "scan"


def test_costs_grow_with_what_there_is_to_read():
    one, two = (cost_of(crimes(n, 1), 10**6, 100, 100, True) for n in (1, 2))
    assert one.index_s < two.index_s
    assert one.scan_s < two.scan_s
    assert np.isfinite(two.index_s)
    assert one.index_s == pytest.approx(crimes(1, 1).n_hours * 100 * HOUR_NS * 1e-9)
