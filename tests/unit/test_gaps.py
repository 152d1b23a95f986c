"""Gaps between groups of callers: by hand, by property, and with intervals that cover what was planted."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceai_assets.governance.gaps import COMPARISONS, Comparison, gap_of
from voiceai_assets.stats.gaps import Gap, completion_gap

BUCKETS = 200


def _gap(rows: list[tuple[Any, bool, int, int, int]]) -> Gap | None:
    """From rows (stratum, is member, cluster, completed, ended)."""
    return completion_gap(*(list(column) for column in zip(*rows, strict=True)))


def test_a_gap_that_is_all_mix_disappears_at_the_same_mix() -> None:
    """Simpson's table: rural callers do as well within each stratum, and are more often new."""
    rows = [
        ("new", True, 1, 40, 80),
        ("new", False, 2, 10, 20),
        ("known", True, 3, 18, 20),
        ("known", False, 4, 72, 80),
    ]
    gap = _gap(rows)
    assert gap is not None
    assert gap.observed.estimate == pytest.approx(58 / 100 - 82 / 100)
    assert gap.standardised.estimate == pytest.approx(0, abs=1e-12)
    assert (gap.n_sessions, gap.n_others, gap.compared_share) == (100, 100, 1.0)
    assert gap.observed.low is None, "four clusters bear no interval"


def test_a_stratum_that_holds_one_group_only_is_compared_with_nothing() -> None:
    rows = [("a", True, 1, 6, 10), ("a", False, 2, 5, 10), ("only rural", True, 3, 0, 20)]
    gap = _gap(rows)
    assert gap is not None
    assert gap.standardised.estimate == pytest.approx(0.1)
    assert gap.compared_share == 0.5
    assert gap.observed.estimate == pytest.approx(6 / 30 - 5 / 10)


def test_groups_that_share_no_stratum_have_no_standardised_gap() -> None:
    gap = _gap([("a", True, 1, 6, 10), ("b", False, 2, 5, 10)])
    assert gap is not None
    assert (gap.standardised.estimate, gap.compared_share) == (None, 0.0)


def test_a_group_without_sessions_has_no_gap_and_nonsense_is_refused() -> None:
    assert _gap([("a", True, 1, 6, 10)]) is None
    with pytest.raises(ValueError, match="more completed sessions"):
        _gap([("a", True, 1, 11, 10), ("a", False, 1, 1, 1)])


ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 5), st.integers(0, 9), st.integers(1, 9)).map(
        lambda row: (*row[:3], min(row[3], row[4]), row[4])
    ),
    min_size=1,
    max_size=30,
)


@given(ROWS)
def test_the_estimates_are_those_of_fractions_and_change_sides_with_the_groups(
    rows: list[tuple[str, bool, int, int, int]],
) -> None:
    gap = _gap(rows)
    turned = _gap([(stratum, not side, cluster, done, ended) for stratum, side, cluster, done, ended in rows])
    if gap is None or turned is None:
        assert gap is turned is None
        return
    sums = {(s, g): [sum(r[n] for r in rows if (r[0], r[1]) == (s, g)) for n in (3, 4)] for s in "abc" for g in (0, 1)}
    both = [s for s in "abc" if sums[s, 0][1] and sums[s, 1][1]]
    weights = {s: sums[s, 0][1] + sums[s, 1][1] for s in both}
    if both:
        wanted = sum(
            weights[s] * (Fraction(*sums[s, 1]) - Fraction(*sums[s, 0])) for s in both
        ) / sum(weights.values())  # fmt: skip
        assert gap.standardised.estimate == pytest.approx(float(wanted), abs=1e-12)
        assert turned.standardised.estimate == pytest.approx(-float(wanted), abs=1e-12)
    else:
        assert gap.standardised.estimate is None
    assert gap.compared_share == pytest.approx(sum(weights.values()) / sum(ended for _, ended in sums.values()))
    assert gap.observed.estimate is not None
    assert turned.observed.estimate == pytest.approx(-gap.observed.estimate, abs=1e-12)


def _world(rng: np.random.Generator, gap: float) -> dict[str, Any]:
    """2,000 callers who come back: rural ones are more often new, and new callers complete less often."""
    users = 2_000
    is_rural = rng.random(users) < 0.4
    is_new = rng.random(users) < np.where(is_rural, 0.7, 0.3)
    habit = rng.normal(0, 0.12, users)
    sessions = rng.geometric(0.27, users)
    likely = np.clip(0.62 + gap * is_rural - 0.2 * is_new + habit, 0, 1)
    return {
        "strata": is_new, "is_member": is_rural, "clusters": rng.integers(0, BUCKETS, users),
        "completed": rng.binomial(sessions, likely), "ended": sessions,
    }  # fmt: skip


@pytest.fixture(scope="module")
def found() -> list[Gap]:
    gaps = [completion_gap(**_world(np.random.default_rng(seed), gap=0.0)) for seed in range(400)]
    return [gap for gap in gaps if gap]


def test_no_gap_is_called_one_as_often_as_an_interval_may_err_and_mix_alone_nearly_always(found: list[Gap]) -> None:
    """R = 400; STATISTICS.md's band. The observed gap is the negative control: it takes the mix for the place."""
    assert len(found) == 400
    called = np.mean([gap.standardised.is_clear for gap in found])
    assert 0.020 <= called <= 0.0875
    assert np.mean([gap.observed.is_clear for gap in found]) > 0.95


def test_intervals_cover_the_planted_gap() -> None:
    gaps = [completion_gap(**_world(np.random.default_rng(1_000 + seed), gap=-0.05)) for seed in range(400)]
    within = [g.standardised.low <= -0.05 <= g.standardised.high for g in gaps if g and g.standardised.low is not None]  # type: ignore[operator]
    assert len(within) == 400
    assert 0.9125 <= np.mean(within) <= 0.98


def test_sessions_taken_for_independent_would_be_called_different_too_often(found: list[Gap]) -> None:
    """Negative control: the interval that forgets that callers come back."""
    wrong = []
    for seed, gap in enumerate(found):
        world = _world(np.random.default_rng(seed), gap=0.0)
        p = world["completed"].sum() / world["ended"].sum()
        naive = np.sqrt(p * (1 - p) * (1 / gap.n_sessions + 1 / gap.n_others))
        assert gap.standardised.estimate is not None
        wrong.append(abs(gap.standardised.estimate) > 1.96 * naive)
    assert np.mean(wrong) > 0.0875


def _row(**more: Any) -> dict[str, Any]:
    return {"user_bucket": 1, "user_type": None, "region": None, "language": "en", "channel": "voice", "completed": 1,
            "ended": 2, **more}  # fmt: skip


def test_who_is_compared_and_what_is_held_equal() -> None:
    first, rural, voice = COMPARISONS
    assert [voice.side(_row(channel=channel)) for channel in ("voice", "web", None)] == [True, False, None]
    assert [rural.side(_row(region=region)) for region in ("rural", "urban", "coast")] == [True, False, None]
    rows = [_row(user_type="first_time"), _row(user_type="returning", completed=2), _row()]
    gap = gap_of(rows, first)
    assert gap is not None
    assert (gap.n_sessions, gap.n_others) == (2, 2)
    assert gap.standardised.estimate == pytest.approx(-0.5)
    rows = [_row(user_type="first_time"), _row(user_type="returning", language="rw")]
    apart = gap_of(rows, first)
    assert apart is not None
    assert apart.standardised.estimate is None, "they share no language"
    assert gap_of([_row()], Comparison("nobody", "region", "rural", "urban", "x")) is None
