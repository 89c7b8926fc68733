"""Which pairs of fixes bound a gap where fixes contradict each other, against all largest sets by brute force."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crime_match.explanations import MOST_IN_DOUBT, bounding_pairs


def conflicts_of(opponents):
    return np.array(sorted(opponents), np.int64).reshape(-1, 2)


def brute_force(n, opponents, gap):
    """Last before and first after the gap in every set without contradiction to which no fix can be added."""
    agree = [
        set(chosen)
        for size in range(n + 1)
        for chosen in combinations(range(n), size)
        if not any(one in chosen and two in chosen for one, two in opponents)
    ]
    largest = [s for s in agree if not any(s < other for other in agree)]
    return {(max((k for k in s if k <= gap), default=-1), min((k for k in s if k > gap), default=n)) for s in largest}


def pairs_of(n, opponents, gap):
    return {(i, j) for _, i, j in bounding_pairs(conflicts_of(opponents), range(gap, gap + 1), n).tolist()}


def test_without_contradiction_each_gap_has_its_own_fixes():
    rows = bounding_pairs(conflicts_of([]), range(-1, 4), 4)
    assert rows.tolist() == [[-1, -1, 0], [0, 0, 1], [1, 1, 2], [2, 2, 3], [3, 3, 4]]


def test_either_of_two_is_left_out_never_both():
    assert pairs_of(4, [(1, 2)], 1) == {(0, 2), (1, 3)}


def test_a_fix_in_doubt_does_not_bound_its_other_gap_alone():
    assert pairs_of(4, [(1, 2)], 2) == {(2, 3), (1, 3)}


def test_one_wild_fix_among_many():
    opponents = [(0, 2), (1, 2), (2, 3), (2, 4)]
    assert pairs_of(5, opponents, 1) == brute_force(5, opponents, 1) == {(1, 3), (-1, 2)}


def test_a_long_run_in_doubt_is_left_out_whole():
    n = 2 * MOST_IN_DOUBT + 8
    opponents = [(k, k + 1) for k in range(1, n - 2)]
    assert pairs_of(n, opponents, n // 2) == {(0, n - 1)}


def test_an_opponent_beyond_the_fixes_at_hand_puts_in_doubt_too():
    """Nothing at hand bounds the gap but fix 1 on one side: its opponent is far away, and the explanation may be that one's."""
    assert pairs_of(3, [(-7, 1)], 0) == {(0, 1), (0, 2)}
    assert pairs_of(2, [(1, 90)], 0) == {(0, 1), (0, 2)}


@given(data=st.data(), n=st.integers(2, 7))
def test_every_explanation_is_heard(data, n):
    opponents = data.draw(st.sets(st.sampled_from(list(combinations(range(n), 2)))))
    for gap in range(-1, n):
        assert brute_force(n, opponents, gap) <= pairs_of(n, opponents, gap)
