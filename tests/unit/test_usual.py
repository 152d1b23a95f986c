"""Limits for counts and the stability index: against numbers worked out elsewhere, and in simulation."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from voiceai_assets.checks.measured import (
    Past,
    day_end_finding,
    distribution_finding,
    schema_finding,
    volume_finding,
)
from voiceai_assets.checks.reviewed import Incident
from voiceai_assets.stats.usual import count_limits, population_stability


@pytest.mark.parametrize("mean", [3, 40, 2000])
@pytest.mark.parametrize("dispersion", [0.0, 0.02])
def test_usual_days_lie_within_the_limits_as_often_as_promised(mean: float, dispersion: float) -> None:
    """Poisson days, and days that vary by 14 % on top (negative binomial); 5 % are to lie outside, at most 8 % do."""
    draw = np.random.default_rng(7)
    outside, runs = 0, 2000
    for _ in range(runs):
        rates = mean * (draw.gamma(1 / dispersion, dispersion, 7) if dispersion else np.ones(7))
        *past, now = (int(n) for n in draw.poisson(rates))
        least, most = count_limits(past, 0.05)
        outside += not least <= now <= most
    assert outside / runs < 0.08
    assert outside / runs > 0.005, "limits that nothing crosses find nothing"


def test_limits_know_the_count() -> None:
    """Half of 2,000 is found, half of 4 is not: nothing can be said of so few."""
    least, most = count_limits([2000, 2040, 1985, 2010, 1990, 2025], 0.001)
    assert 1000 < least < 1990
    assert 2040 < most < 3000
    least, _ = count_limits([4, 3, 5, 4, 6, 3], 0.001)
    assert least == 0


def test_equal_counts_leave_the_room_that_chance_needs() -> None:
    least, most = count_limits([100] * 8, 0.01)
    assert least <= 80
    assert most >= 120


def test_limits_need_a_past() -> None:
    with pytest.raises(ValueError, match="two"):
        count_limits([5], 0.05)


def test_the_index_is_the_published_sum() -> None:
    """(.5 - .4) ln(.5 / .4) + (.5 - .6) ln(.5 / .6) = .0405465."""
    found = population_stability({"a": 1000, "b": 1000}, {"a": 800, "b": 1200})
    assert found == pytest.approx(0.0405465, abs=1e-6)
    assert population_stability({"a": 1000}, {"a": 5000}) == 0
    assert population_stability({"a": 999}, {"a": 5000}) is None


def test_a_category_that_one_side_lacks_is_counted() -> None:
    found = population_stability({"a": 900, "new": 100}, {"a": 1000})
    assert found is not None
    assert found > 0.1


# -- findings ----------------------------------------------------------------------------------------------------------


def test_the_past_leaves_out_the_day_itself_and_incidents() -> None:
    day = date(2026, 8, 15)
    past = Past.without([Incident(date(2026, 8, 7), date(2026, 8, 9), "outage", "team:x")])
    assert past.same_weekdays(day, 3) == [date(2026, 8, 1), date(2026, 7, 25)]
    assert past.days_before(day, 8) == [date(2026, 8, n) for n in (14, 13, 12, 11, 10)]
    assert day not in past.days_before(day, 400)


def test_too_little_history_passes_and_says_so() -> None:
    volume = volume_finding({"a": (1, [100, 100])}, "Mondays", 4, 0.001)
    drift = distribution_finding({"a": 5000}, [{"b": 5000}], 7, 0.1)
    end = day_end_finding(12.0, [21.0], 4, 3)
    for finding in (volume, drift, end):
        assert finding.passed
        assert "too little history" in finding.message


def test_a_source_that_stopped_is_not_hidden_by_another() -> None:
    past = [1000, 1010, 990, 1005]
    finding = volume_finding({"a": (2000, [2000, 1990, 2010, 2005]), "b": (0, past)}, "Mondays", 4, 0.001)
    assert not finding.passed
    assert "b: 0 records" in finding.message


def test_a_day_of_few_is_not_compared() -> None:
    assert distribution_finding({"a": 500}, [{"b": 5000}] * 8, 7, 0.1).passed
    assert not distribution_finding({"a": 5000}, [{"b": 5000}] * 8, 7, 0.1).passed


def test_a_day_that_breaks_off_early_is_found_and_foreign_time_stamps_are_not_judged() -> None:
    assert not day_end_finding(12.0, [21.0, 22.0, 21.5, 20.0], 4, 3).passed
    assert day_end_finding(18.0, [21.0, 22.0, 21.5, 20.0], 4, 3).passed
    assert day_end_finding(700.0, [21.0] * 4, 4, 3).passed
    assert day_end_finding(12.0, [700.0] * 8, 4, 3).passed


def test_a_type_that_changed_is_found_and_more_columns_do_no_harm() -> None:
    agreed = {"a": "numeric(18,6)", "b": "timestamptz"}
    assert schema_finding(agreed, {"a": "numeric(18,6)", "b": "timestamp with time zone", "c": "text"}).passed
    assert not schema_finding(agreed, {"a": "text", "b": "timestamp with time zone"}).passed
    assert not schema_finding(agreed, {"a": "numeric(18,6)"}).passed
