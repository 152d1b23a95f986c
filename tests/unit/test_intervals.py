"""Intervals: they cover what they promise, and say so when they cannot be computed."""

from __future__ import annotations

from dataclasses import replace
from math import isclose, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceai_assets.stats.intervals import (
    Change,
    CrossSums,
    Rate,
    Sums,
    change,
    clustered_mean,
    clustered_rate,
    rate,
)

RUNS = 400
COVERAGE = (0.9125, 0.98)  # band for a 95 % interval at R = 400


def simulated_users(seed: int, users: int, p: float, concentration: float, runs: int = RUNS):
    """Per run and user: sessions that completed and sessions, with a completion probability of one's own."""
    generator = np.random.default_rng(seed)
    sessions = generator.geometric(0.2, size=(runs, users))
    own = generator.beta(p * concentration, (1 - p) * concentration, size=(runs, users))
    return generator.binomial(sessions, own), sessions


def coverage(rates: list[Rate], truth: float) -> float:
    return float(np.mean([r.low <= truth <= r.high for r in rates]))


def naive_coverage(n: np.ndarray, d: np.ndarray, truth: float) -> float:
    """The textbook binomial interval that takes sessions for independent."""
    p, total = n.sum(axis=1) / d.sum(axis=1), d.sum(axis=1)
    half = 1.96 * np.sqrt(p * (1 - p) / total)
    return float(np.mean((p - half <= truth) & (truth <= p + half)))


@pytest.mark.parametrize(
    ("users", "p", "concentration"), [(40, 0.7, 2.0), (150, 0.9, 3.0), (400, 0.5, 1.0), (250, 0.06, 4.0)]
)
def test_a_95_percent_interval_covers_the_truth_in_95_percent_of_worlds(users, p, concentration):
    completed, sessions = simulated_users(7, users, p, concentration)
    rates = [clustered_rate(n, d) for n, d in zip(completed, sessions, strict=True)]
    assert COVERAGE[0] <= coverage(rates, p) <= COVERAGE[1]


def test_the_naive_interval_covers_clearly_less():
    completed, sessions = simulated_users(7, 150, 0.9, 3.0)
    assert naive_coverage(completed, sessions, 0.9) < 0.85


def test_two_hundred_groups_of_users_cover_as_users_do():
    completed, sessions = simulated_users(13, 3000, 0.7, 2.0)
    groups = np.random.default_rng(1).integers(0, 200, 3000)
    n, d = (np.stack([np.bincount(groups, row, 200) for row in rows]) for rows in (completed, sessions))
    rates = [rate(replace(Sums.of(*row), cluster="group of users")) for row in zip(n, d, strict=True)]
    assert COVERAGE[0] <= coverage(rates, 0.7) <= COVERAGE[1]
    assert {(r.method, r.precision) for r in rates} == {("Wilson, clustered by group of users", "ok")}


def test_independent_sessions_are_not_punished():
    generator = np.random.default_rng(3)
    sessions = generator.geometric(0.2, size=(RUNS, 300))
    completed = generator.binomial(sessions, 0.8)
    rates = [clustered_rate(n, d) for n, d in zip(completed, sessions, strict=True)]
    assert COVERAGE[0] <= coverage(rates, 0.8) <= COVERAGE[1]
    assert np.median([r.design_effect for r in rates]) < 1.15


def test_the_interval_of_a_mean_covers_it():
    generator = np.random.default_rng(11)
    counts = generator.geometric(0.1, size=(RUNS, 120))
    own = generator.normal(0.8, 0.05, size=counts.shape)
    sums = own * counts + generator.normal(0, 0.1, size=counts.shape) * np.sqrt(counts)
    means = [clustered_mean(s, c) for s, c in zip(sums, counts, strict=True)]
    assert COVERAGE[0] <= coverage(means, 0.8) <= COVERAGE[1]


def test_the_interval_of_a_change_covers_it_when_the_same_users_return():
    generator = np.random.default_rng(5)
    users, p, shift = 200, 0.6, 0.05
    own = generator.beta(p * 2, (1 - p) * 2, size=(RUNS, users))
    hits, widths = [], {"paired": [], "unpaired": []}
    for row in own:
        d0, d1 = generator.geometric(0.3, users), generator.geometric(0.3, users)
        n0, n1 = generator.binomial(d0, row * (1 - shift)), generator.binomial(d1, row)
        before, now = Sums.of(n0, d0), Sums.of(n1, d1)
        cross = CrossSums(float(n1 @ n0), float(n1 @ d0), float(d1 @ n0), float(d1 @ d0))
        found = change(rate(now), rate(before), cross.correlation(now, before))
        hits.append(found.low <= p * shift <= found.high)
        widths["paired"].append(found.high - found.low)
        unpaired = change(rate(now), rate(before))
        widths["unpaired"].append(unpaired.high - unpaired.low)
    assert COVERAGE[0] <= np.mean(hits) <= COVERAGE[1]
    assert np.mean(widths["paired"]) < 0.9 * np.mean(widths["unpaired"])


def test_one_session_per_user_gives_the_plain_wilson_interval_with_a_t_quantile():
    found = clustered_rate([1] * 80 + [0] * 20, [1] * 100)
    t, n, p = 1.9842169515864164, 100, 0.8
    effect = 100 / 99  # the small-sample factor is all that is left of the design effect
    n /= effect
    centre, half = p + t * t / (2 * n), t * sqrt(p * (1 - p) / n + t * t / (4 * n * n))
    assert isclose(found.design_effect, effect)
    assert isclose(found.low, (centre - half) / (1 + t * t / n))
    assert isclose(found.high, (centre + half) / (1 + t * t / n))


def test_users_whose_sessions_all_end_alike_count_once_each():
    alike = clustered_rate([10] * 30 + [0] * 30, [10] * 60)
    once = clustered_rate([1] * 30 + [0] * 30, [1] * 60)
    assert isclose(alike.design_effect, 10 * once.design_effect)
    assert isclose(alike.low, once.low)
    assert isclose(alike.high, once.high)


def test_a_design_effect_below_one_does_not_narrow_the_interval():
    evenly = clustered_rate([1] * 50, [2] * 50)  # every user completes exactly one of two: robust variance 0
    assert evenly.design_effect == 1
    assert evenly.low < 0.42
    assert evenly.high > 0.58


def test_no_rows_give_none_and_not_nan():
    for found in (clustered_rate([], []), clustered_mean([], []), clustered_rate([0, 0], [0, 0])):
        assert (found.estimate, found.low, found.high, found.design_effect, found.n_users) == (None,) * 4 + (0,)
        assert found.precision == "no comparison"


def test_one_user_gives_an_estimate_without_an_interval():
    found = clustered_rate([3], [4])
    assert (found.estimate, found.low, found.high, found.design_effect) == (0.75, None, None, None)
    assert clustered_mean([3.2], [4]).low is None


@pytest.mark.parametrize("all_of_them", [False, True])
def test_none_of_n_and_n_of_n_count_every_user_once(all_of_them):
    sessions = np.full(40, 5)
    found = clustered_rate(sessions * all_of_them, sessions)
    assert found.estimate == float(all_of_them)
    assert found.design_effect == 5
    assert 0.05 < found.high - found.low < 0.15  # 40 users say something, 200 sessions would say too much


@pytest.mark.parametrize(
    ("numerators", "denominators"),
    [([1], [1, 2]), ([float("nan")], [1]), ([1], [-1]), ([1], [0]), ([5], [4]), ([-1], [4])],
)
def test_sums_that_are_no_share_raise(numerators, denominators):
    with pytest.raises(ValueError, match=r"\w"):
        clustered_rate(numerators, denominators)


def test_precision_follows_the_number_of_users():
    assert clustered_rate([1] * 29, [2] * 29).precision == "no comparison"
    assert clustered_rate([1] * 30, [2] * 30).precision == "low precision"
    assert clustered_rate([1] * 199, [2] * 199).precision == "low precision"
    assert clustered_rate([1] * 200, [2] * 200).precision == "ok"


def test_below_thirty_users_there_is_no_comparison():
    few, many = clustered_rate([1] * 29, [2] * 29), clustered_rate([1] * 300, [2] * 300)
    assert change(few, many) == change(many, few) == Change(0.0, None, None)
    assert not change(few, many).is_clear


per_user = st.lists(
    st.integers(0, 50).flatmap(lambda d: st.tuples(st.integers(0, d), st.just(d))), min_size=0, max_size=60
)


@given(per_user)
def test_low_estimate_and_high_are_in_order_and_within_the_scale(users):
    found = clustered_rate([n for n, _ in users], [d for _, d in users])
    if found.low is not None:
        assert 0 <= found.low <= found.estimate <= found.high <= 1
        assert found.low < found.high
        assert found.design_effect >= 1
    else:
        assert found.n_users < 2


@given(per_user)
def test_the_order_of_users_does_not_matter_and_users_without_denominator_do_not_count(users):
    n, d = [n for n, _ in users], [d for _, d in users]
    here, there = clustered_rate(n, d), clustered_rate([0, *n[::-1]], [0, *d[::-1]])
    assert here == there


@given(per_user)
def test_completed_and_not_completed_mirror_each_other(users):
    here = clustered_rate([n for n, _ in users], [d for _, d in users])
    there = clustered_rate([d - n for n, d in users], [d for _, d in users])
    if here.low is not None:
        assert isclose(here.low, 1 - there.high, abs_tol=1e-9)
        assert isclose(here.high, 1 - there.low, abs_tol=1e-9)


@given(per_user)
def test_a_mean_stays_within_its_bounds(users):
    found = clustered_mean([n for n, _ in users], [d for _, d in users], bounds=(0, 1))
    if found.low is not None:
        assert 0 <= found.low <= found.estimate <= found.high <= 1
