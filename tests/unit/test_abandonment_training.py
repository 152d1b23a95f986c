"""The model finds what the sample world holds, nothing in a null world, and refuses what cannot be judged."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tests.unit.abandonment_world import frames
from voiceai_assets.models.abandonment.features import prefix_table
from voiceai_assets.models.abandonment.measures import (
    UserBootstrap,
    calibration_bins,
    calibration_slope,
    expected_calibration_error,
    row_losses,
    weighted_auc,
    weighted_mean,
)
from voiceai_assets.models.abandonment.plots import calibration_png
from voiceai_assets.models.abandonment.prefix import NUMERIC
from voiceai_assets.models.abandonment.training import NotEnoughData, TrainingConfig, TrainingResult, train
from voiceai_assets.synthetic.sample import write_sample

QUICK = TrainingConfig(resamples=60)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame]:
    return frames(write_sample(tmp_path_factory.mktemp("sample"), date(2026, 8, 1)))


@pytest.fixture(scope="module")
def table(world: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    return prefix_table(*world)


@pytest.fixture(scope="module")
def result(table: pd.DataFrame) -> TrainingResult:
    return train(table, QUICK)


def test_the_test_days_are_the_last_quarter_of_the_days(table: pd.DataFrame, result: TrainingResult) -> None:
    assert len(result.train_days) + len(result.test_days) == table["session_date"].nunique() == 29
    assert len(result.test_days) == 7
    assert max(result.train_days) < min(result.test_days)
    on_test_days = table["session_date"].astype(str).isin(result.test_days)
    assert result.heads["hazard"].evaluation.rows == on_test_days.sum()
    assert result.train_rows == (~on_test_days).sum()


def test_the_model_beats_the_rate_by_turn_on_log_loss(result: TrainingResult) -> None:
    for head in result.heads.values():
        gain = head.baselines["rate_by_turn"].gain
        assert gain.low is not None
        assert gain.low > 0
        assert head.evaluation.log_loss.value == pytest.approx(
            head.baselines["rate_by_turn"].log_loss.value - gain.value
        )


def test_the_calibration_is_sensible(result: TrainingResult) -> None:
    for head in result.heads.values():
        assert 0.7 < head.evaluation.calibration_slope.value < 1.3
        assert head.evaluation.ece.value < 0.06
        assert len(head.evaluation.bins) == 10


def test_intervals_contain_their_estimates(result: TrainingResult) -> None:
    for head in result.heads.values():
        measured = head.evaluation
        for estimate in (measured.auc, measured.log_loss, *measured.auc_by_turn.values()):
            assert estimate.low is not None
            assert estimate.low < estimate.value < estimate.high


def test_an_honest_table_raises_no_leakage_alarm(result: TrainingResult) -> None:
    assert result.leakage_alarm is False
    assert 0.55 < result.heads["landmark"].evaluation.auc_by_turn["1"].value < 0.85


def test_shuffled_confidences_show_no_lift(world: tuple[pd.DataFrame, pd.DataFrame], result: TrainingResult) -> None:
    turns, sessions = world
    shuffled = turns["asr_confidence"].sample(frac=1, random_state=5).to_numpy()
    null = train(prefix_table(turns.assign(asr_confidence=shuffled), sessions), QUICK)
    for name, head in null.heads.items():
        lift = head.baselines["rate_by_turn"].log_loss.value - head.baselines["asr_now_and_turn"].log_loss.value
        real = result.heads[name].baselines
        assert lift < 0.002
        assert real["rate_by_turn"].log_loss.value - real["asr_now_and_turn"].log_loss.value > 5 * abs(lift)
    at_turn_1 = null.heads["hazard"].evaluation.auc_by_turn["1"].value
    assert at_turn_1 < result.heads["hazard"].evaluation.auc_by_turn["1"].value


@pytest.mark.parametrize("leak", ["last_turn", "outcome"])
def test_a_leak_raises_the_alarm(table: pd.DataFrame, leak: str) -> None:
    turns_in_session = table.groupby(["session_date", "session_id"])["k"].transform("max")
    leaks = {"last_turn": table["k"] == turns_in_session, "outcome": table["label_landmark"] == 1}
    leaked = train(table.assign(leak=leaks[leak]), TrainingConfig(resamples=5, numeric=(*NUMERIC, "leak")))
    assert leaked.leakage_alarm is True


def test_the_same_rows_in_another_order_give_the_same_result(table: pd.DataFrame, result: TrainingResult) -> None:
    again = train(table.sample(frac=1, random_state=6), QUICK)
    assert again.as_dict() == result.as_dict()
    for name, head in again.heads.items():
        assert np.array_equal(head.pipeline["model"].coef_, result.heads[name].pipeline["model"].coef_)


@pytest.mark.parametrize("tune", [False, True])
def test_the_same_callers_under_another_key_give_the_same_result(table: pd.DataFrame, tune: bool) -> None:
    def trained(key: str) -> str:
        pseudonyms = table["user_id"].map(lambda user: blake2b(user.encode(), key=key.encode()).hexdigest())
        return json.dumps(train(table.assign(user_id=pseudonyms), replace(QUICK, tune=tune)).as_dict())

    assert trained("one") == trained("another")


def test_the_result_is_json_without_nan(result: TrainingResult) -> None:
    text = json.dumps(result.as_dict(), allow_nan=False)
    assert json.loads(text)["heads"]["landmark"]["auc_by_turn"]["1"]["value"] > 0.5


def test_one_day_is_not_enough(table: pd.DataFrame) -> None:
    one = table[table["session_date"] == table["session_date"].min()]
    with pytest.raises(NotEnoughData, match=r"1 day\(s\) with ended sessions"):
        train(one, QUICK)
    with pytest.raises(NotEnoughData, match=r"0 day\(s\)"):
        train(table.head(0), QUICK)


def test_few_users_are_not_enough(table: pd.DataFrame) -> None:
    few = table[table["user_id"].isin(table["user_id"].unique()[:20])]
    with pytest.raises(NotEnoughData, match=r"20 known .* training days .* at least 30"):
        train(few, QUICK)
    with pytest.raises(NotEnoughData, match="0 known"):
        train(table.assign(user_id=None), QUICK)


@pytest.mark.parametrize(("label", "value"), [("label_hazard", 0), ("label_landmark", 1)])
def test_one_outcome_is_not_enough(table: pd.DataFrame, label: str, value: int) -> None:
    with pytest.raises(NotEnoughData, match="both outcomes are needed"):
        train(table.assign(**{label: value}), QUICK)


def test_a_source_without_confidences_regions_or_latency_can_still_be_trained(table: pd.DataFrame) -> None:
    bare = table.assign(
        asr_now=np.nan, asr_mean=np.nan, asr_min=np.nan, asr_change=np.nan, log_latency=None, region=None
    )
    for kind in ("logistic", "boosting"):
        assert train(bare, TrainingConfig(resamples=5, kind=kind)).heads["hazard"].evaluation.auc.value is not None


def test_what_cannot_be_computed_is_none_and_not_a_default(table: pd.DataFrame) -> None:
    nobody_at_turn_1 = table.assign(label_hazard=table["label_hazard"].where(table["k"] > 1, 0))
    at_turn_1 = train(nobody_at_turn_1, TrainingConfig(resamples=5)).heads["hazard"].evaluation.auc_by_turn["1"]
    assert (at_turn_1.value, at_turn_1.low, at_turn_1.high) == (None, None, None)


def test_missing_columns_and_unusable_settings_are_refused(table: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="columns missing: asr_now"):
        train(table.drop(columns="asr_now"), QUICK)
    with pytest.raises(ValueError, match="test_share"):
        TrainingConfig(test_share=1.0)


def test_measures_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(7)
    events = rng.integers(0, 2, 400)
    scores = np.round(rng.uniform(size=400) * 0.6 + 0.3 * events, 1).clip(0.05, 0.95)  # rounded: many ties
    weights = rng.integers(0, 4, 400).astype(float)
    assert weighted_auc(events, scores)(weights) == pytest.approx(roc_auc_score(events, scores, sample_weight=weights))
    losses = row_losses(events, scores)
    assert weighted_mean(losses)(weights) == pytest.approx(log_loss(events, scores, sample_weight=weights))


def test_the_calibration_slope_sees_overconfidence() -> None:
    rng = np.random.default_rng(8)
    logits = rng.normal(0, 1, 40_000)
    events = (rng.uniform(size=40_000) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    for stretch in (0.5, 1.0, 2.0):
        slope = calibration_slope(events, 1 / (1 + np.exp(-stretch * logits)))
        assert slope == pytest.approx(1 / stretch, rel=0.05)
    assert calibration_slope(events, np.full(40_000, 0.5)) is None
    assert calibration_slope(np.zeros(40_000, dtype=np.int64), 1 / (1 + np.exp(-logits))) is None


def test_the_calibration_error_is_the_mean_distance_between_prediction_and_outcome() -> None:
    events = np.array([0, 0, 1, 1])
    bins = calibration_bins(events, np.array([0.1, 0.3, 0.6, 0.8]), bins=2)
    assert [(part.predicted, part.observed, part.count) for part in bins] == [
        (pytest.approx(0.2), 0.0, 2),
        (pytest.approx(0.7), 1.0, 2),
    ]
    assert expected_calibration_error(bins) == pytest.approx(0.25)


def test_the_bootstrap_resamples_users_and_not_rows() -> None:
    # 40 users, each with 50 equal rows: by rows the interval would be seven times narrower
    units = np.repeat(np.arange(40), 50)
    values = np.repeat(np.random.default_rng(9).normal(size=40), 50)
    estimate = UserBootstrap(units, 300, 1).estimate(weighted_mean(values))
    standard_error = values[::50].std(ddof=1) / np.sqrt(40)
    assert (estimate.high - estimate.low) / (2 * 1.96 * standard_error) == pytest.approx(1, abs=0.2)


def test_the_calibration_plot_is_a_png_and_the_same_each_time(result: TrainingResult) -> None:
    png = calibration_png(result)
    assert png.startswith(b"\x89PNG")
    assert png == calibration_png(result)


def test_real_calls_raise_no_leakage_alarm(dstc2: Path) -> None:
    measured = train(prefix_table(*frames(sorted(dstc2.glob("*.jsonl")))), QUICK)
    assert measured.leakage_alarm is False
    assert measured.heads["landmark"].evaluation.sessions == 569
