"""Curves, odds ratios and drift against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from voiceai_assets.models.abandonment import drift
from voiceai_assets.models.abandonment.coefficients import coefficients
from voiceai_assets.models.abandonment.encoding import Schema
from voiceai_assets.models.abandonment.evidence import cumulative_incidence, decide, hazard_by_turn
from voiceai_assets.models.abandonment.features import mature, with_labels
from voiceai_assets.models.abandonment.measures import Estimate, UserBootstrap, weighted_mean
from voiceai_assets.models.abandonment.training import units_of


def _sessions(*ends: tuple[int, str]) -> pd.DataFrame:
    rows = [
        {
            "session_date": "2026-08-01",
            "session_id": f"s{n}",
            "user_id": f"u{n}",
            "k": float(k),
            "final_outcome": outcome,
        }
        for n, (last, outcome) in enumerate(ends)
        for k in range(1, last + 1)
    ]
    return with_labels(pd.DataFrame(rows))


def test_incidence_counts_what_competes_and_loses_sight_of_what_goes_on() -> None:
    ends = (1, "abandoned"), (1, "completed"), (2, "in_progress"), (3, "abandoned"), (3, "transferred")
    incidence = cumulative_incidence(_sessions(*(ends * 5), (4, "abandoned")))
    assert incidence.k == (1, 2, 3), "one caller's fourth turn is not shown"
    curves = cumulative_incidence(_sessions(*(ends * 5))).by_outcome
    # turn 1: 1/5 each; then 3 at risk, one lost from sight after turn 2; turn 3: 2 at risk of a survival of 3/5
    assert curves["abandoned"][:3] == pytest.approx((0.2, 0.2, 0.2 + 0.6 / 2))
    assert curves["completed"][:3] == pytest.approx((0.2, 0.2, 0.2))
    assert curves["transferred"][2] == pytest.approx(0.3)


def test_hazard_is_of_those_who_got_so_far() -> None:
    ends = [(1, "abandoned")] * 20, [(2, "abandoned")] * 10, [(2, "completed")] * 29, [(3, "completed")]
    hazards, difference = hazard_by_turn(_sessions(*(end for many in ends for end in many)), 50, 1)
    assert [(turn.k, turn.sessions) for turn in hazards] == [(1, 60), (2, 40)], "one caller's third turn is not shown"
    assert [turn.hazard.value for turn in hazards] == pytest.approx([20 / 60, 10 / 40])
    assert difference.value == pytest.approx(20 / 60 - 10 / 41)


def test_sessions_that_started_late_are_not_read_however_they_ended() -> None:
    ends = pd.Timestamp("2026-08-01T12:00Z")
    starts = pd.to_datetime(["2026-08-01T09:59Z", "2026-08-01T10:01Z", "2026-08-01T11:59Z"])
    table = pd.DataFrame({"started_at": starts, "final_outcome": ["in_progress", "completed", "abandoned"]})
    assert mature(table, ends, 2)["final_outcome"].tolist() == ["in_progress"]


@pytest.mark.parametrize(
    ("gain", "lead", "verdict"),
    [
        (Estimate(0.1, 0.05, 0.2), Estimate(0.1, 0.01, 0.2), "true"),
        (Estimate(0.1, 0.05, 0.2), Estimate(0.1, -0.01, 0.2), "undecided"),
        (Estimate(0.1, 0.05, 0.2), Estimate(-0.1, -0.2, -0.01), "false"),
        (Estimate(0.1, -0.01, 0.2), Estimate(0.1, 0.01, 0.2), "undecided"),
        (Estimate(0.1, None, None), Estimate(0.1, 0.01, 0.2), "undecided"),
    ],
)
def test_the_claim_is_made_only_where_both_intervals_allow_it(gain: Estimate, lead: Estimate, verdict: str) -> None:
    assert decide(gain, lead, "errors")[0] == verdict


def test_the_stability_index_is_that_of_the_textbook() -> None:
    # two bins: .5/.5 became .6/.4, (.1) ln(1.2) + (-.1) ln(.8)
    assert drift.population_stability_index(np.array([0.5, 0.5]), np.array([0.6, 0.4])) == pytest.approx(
        0.1 * np.log(1.2) - 0.1 * np.log(0.8)
    )


@pytest.mark.parametrize(("shift", "state"), [(0.0, "stable"), (0.35, "warn"), (1.0, "act")])
def test_drift_is_noticed_by_its_size(shift: float, state: str) -> None:
    rng = np.random.default_rng(1)
    schema = Schema(("asr_now",), {"region": ("rural", "urban")})
    then, now = (
        pd.DataFrame({"asr_now": rng.normal(at, 1, 5000), "region": rng.choice(["rural", "urban"], 5000)})
        for at in (0.0, shift)
    )
    assert drift.state(drift.stability(drift.reference(then, schema), now)) == state
    assert drift.state(drift.stability(drift.reference(then, schema), now[:999])) == "too few rows"


def test_a_new_value_of_a_category_and_values_that_went_missing_are_drift() -> None:
    schema = Schema(("asr_now",), {"region": ("rural", "urban")})
    then = pd.DataFrame({"asr_now": np.linspace(0, 1, 2000), "region": ["rural", "urban"] * 1000})
    moved = drift.stability(drift.reference(then, schema), then.assign(region="abroad"))
    assert moved["region"] > drift.ACT
    gone = drift.stability(drift.reference(then, schema), then.assign(asr_now=np.nan))
    assert gone["asr_now"] > drift.ACT


def test_odds_ratios_allow_for_callers_who_come_back() -> None:
    rng = np.random.default_rng(2)
    user = np.repeat(np.arange(200), 20)  # every caller 20 times, with the same value and the same luck
    value, luck = rng.normal(size=200)[user], rng.normal(0, 1, 200)[user]
    event = (rng.uniform(size=4000) < 1 / (1 + np.exp(1.5 - 0.5 * value - luck))).astype(int)
    table = pd.DataFrame(
        {
            "session_date": "2026-08-01",
            "session_id": np.arange(4000).astype(str),
            "user_id": user.astype(str),
            "k": value,
            "label_hazard": event,
        }
    )
    (clustered,) = coefficients(table, Schema(("k",), {}), "hazard")
    (naive,) = coefficients(table.assign(user_id=None), Schema(("k",), {}), "hazard")
    assert clustered.odds_ratio == pytest.approx(naive.odds_ratio)
    assert np.log(clustered.high / clustered.low) > 1.8 * np.log(naive.high / naive.low)


RUNS = 400
AA_BAND, COVERAGE_BAND = (0.020, 0.0875), (0.9125, 0.98)  # of a true 5 % and 95 % with 400 runs


def _callers(rng: np.random.Generator) -> pd.DataFrame:
    """100 callers with three sessions of two turns: a trait that does nothing, and luck that stays with the caller."""
    user = np.repeat(np.arange(100), 3)
    logit = -1 + rng.normal(0, 1.5, 100)[user]
    ends = (rng.uniform(size=len(user)) < 1 / (1 + np.exp(-logit))).astype(int)
    session = np.repeat(np.arange(len(user)), 2)
    return pd.DataFrame(
        {
            "session_date": "2026-08-01",
            "session_id": session.astype(str),
            "user_id": user[session].astype(str),
            "asr_now": rng.normal(size=100)[user][session],
            "label_landmark": ends[session],
        }
    )


def test_a_trait_that_does_nothing_is_called_something_in_five_of_a_hundred_worlds() -> None:
    rng, schema = np.random.default_rng(4), Schema(("asr_now",), {})
    fired = {"clustered": 0, "naive": 0}
    with threadpool_limits(limits=1):
        for _ in range(RUNS):
            table = _callers(rng)
            alone = table.assign(user_id=None, session_id=np.arange(len(table)).astype(str))
            for name, rows in (("clustered", table), ("naive", alone)):
                (found,) = coefficients(rows, schema, "landmark")
                fired[name] += found.p_value < 0.05
    assert AA_BAND[0] <= fired["clustered"] / RUNS <= AA_BAND[1]
    assert fired["naive"] / RUNS > 0.10, "the control must fail: rows are not independent"


def test_intervals_of_the_bootstrap_cover_the_truth_in_95_of_a_hundred_worlds() -> None:
    rng = np.random.default_rng(5)
    truth = float(np.mean([_callers(rng)["label_landmark"].mean() for _ in range(300)]))
    covered = {"users": 0, "rows": 0}
    for run in range(RUNS):
        table = _callers(rng)
        events = table["label_landmark"].to_numpy(dtype=float)
        for name, units in (("users", units_of(table)), ("rows", np.arange(len(table)))):
            found = UserBootstrap(units, 200, run).estimate(weighted_mean(events))
            covered[name] += found.low <= truth <= found.high
    assert COVERAGE_BAND[0] <= covered["users"] / RUNS <= COVERAGE_BAND[1]
    assert covered["rows"] / RUNS < 0.90, "the control must fail: rows are not independent"


def test_a_column_that_repeats_another_gets_no_coefficient() -> None:
    rng = np.random.default_rng(3)
    value = rng.normal(size=500)
    table = pd.DataFrame(
        {
            "session_date": "2026-08-01",
            "session_id": np.arange(500).astype(str),
            "user_id": None,
            "k": value,
            "asr_now": 2 * value + 1,
            "error_now": 0.0,
            "label_hazard": (rng.uniform(size=500) < 0.3).astype(int),
        }
    )
    assert len(coefficients(table, Schema(("k", "asr_now", "error_now"), {}), "hazard")) == 1
