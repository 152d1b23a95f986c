"""In worlds whose truth is known: the bars of the model, what is claimed of ASR, and leaks that must be caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from voiceai_assets.models.abandonment.audit import features_that_know_more
from voiceai_assets.models.abandonment.card import card_markdown
from voiceai_assets.models.abandonment.contest import Contest, compete
from voiceai_assets.models.abandonment.evidence import claim
from voiceai_assets.models.abandonment.features import LABELS, prefix_table
from voiceai_assets.models.abandonment.measures import Estimate
from voiceai_assets.models.abandonment.plots import pictures
from voiceai_assets.models.abandonment.prefix import NUMERIC
from voiceai_assets.models.abandonment.promotion import decide
from voiceai_assets.models.abandonment.training import TrainingConfig, TrainingResult, train
from voiceai_assets.synthetic.config import WorldConfig, curved, linear, null_asr
from voiceai_assets.synthetic.world import World

QUICK = TrainingConfig(resamples=60)
Frames = tuple[pd.DataFrame, pd.DataFrame]


def _facts(config: WorldConfig) -> Frames:
    return World(config).facts()


@pytest.fixture(scope="module")
def straight() -> Frames:
    return _facts(linear(users=3000, days=30, sessions_per_day=300, seed=1))


@pytest.fixture(scope="module")
def straight_contest(straight: Frames) -> Contest:
    return compete(prefix_table(*straight), QUICK, None)


def _low(estimate: Estimate) -> float:
    assert estimate.low is not None
    return estimate.low


def test_in_the_linear_world_the_model_reaches_the_bars(straight: Frames, straight_contest: Contest) -> None:
    result = straight_contest.results["logistic"]
    head = result.heads["hazard"]
    truth = straight[0].rename(columns={"turn_number": "k"})[["session_id", "k", "true_hazard_seen"]]
    later = result.parts.later.merge(truth, on=["session_id", "k"], validate="1:1")
    oracle = roc_auc_score(later["label_hazard"], later["true_hazard_seen"])
    assert head.evaluation.auc.value - 0.5 >= 0.9 * (oracle - 0.5)
    assert 0.90 <= head.evaluation.calibration_slope.value <= 1.10
    assert head.evaluation.ece.value <= 0.02
    for baseline in head.baselines.values():
        assert _low(baseline.gain) > 0
    assert _low(result.heads["landmark"].baselines["rate_by_turn"].gain) > 0


def test_in_the_linear_world_boosting_does_not_win_and_the_claim_holds(straight_contest: Contest) -> None:
    assert _low(straight_contest.boosting_gain["hazard"]) <= 0
    assert straight_contest.candidate == "logistic"
    assert straight_contest.decision.action == "promote"
    found = straight_contest.evidence.claims["hazard"]
    assert found.verdict == "true"
    assert _low(found.lead) > 0


def test_in_the_curved_world_the_challenger_wins() -> None:
    contest = compete(prefix_table(*_facts(curved(users=3000, days=20, sessions_per_day=300, seed=2))), QUICK, None)
    assert _low(contest.boosting_gain["hazard"]) > 0
    assert contest.candidate == "boosting"


def test_where_asr_does_nothing_the_claim_is_refused() -> None:
    contest = compete(prefix_table(*_facts(null_asr(users=3000, days=20, sessions_per_day=300, seed=3))), QUICK, None)
    assert {head: made.verdict for head, made in contest.evidence.claims.items()} == {
        "hazard": "false",
        "landmark": "false",
    }
    assert contest.evidence.claims["hazard"].best_other == "errors"


def test_nothing_is_claimed_of_a_model_that_predicts_nothing(straight: Frames) -> None:
    table = prefix_table(*straight)
    shuffled = table["label_hazard"].sample(frac=1, random_state=4).to_numpy()
    result = train(table.assign(label_hazard=shuffled), QUICK)
    found = claim(result, "hazard")
    assert found.verdict == "undecided"
    assert "does not demonstrably beat" in found.because
    assert decide(result, None).action == "refuse"


# -- leaks -------------------------------------------------------------------------------------------------------------


def _honest(turns: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    return prefix_table(turns, sessions).drop(columns=[*LABELS, "final_outcome"])


def _with_session_mean(turns: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    mean = turns.groupby("session_id")["asr_confidence"].mean()
    return _honest(turns, sessions).assign(leak=lambda table: table["session_id"].map(mean))


def _with_last_turn(turns: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    table = _honest(turns, sessions)
    return table.assign(leak=(table["k"] == table.groupby("session_id")["k"].transform("max")).astype(float))


def _with_what_was_filled_in_afterwards(turns: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    reason = sessions.set_index("session_id")["final_outcome"].eq("abandoned").astype(float)
    return _honest(turns, sessions).assign(leak=lambda table: table["session_id"].map(reason))


@pytest.fixture(scope="module")
def few(straight: Frames) -> Frames:
    turns, sessions = straight
    chosen = sessions[sessions["session_id"].isin(sessions["session_id"][:1500])]
    return turns[turns["session_id"].isin(chosen["session_id"])].reset_index(drop=True), chosen.reset_index(drop=True)


@pytest.mark.parametrize("k", [1, 3])
def test_no_feature_of_the_table_knows_what_comes_later(few: Frames, k: int) -> None:
    assert features_that_know_more(_honest, *few, k) == []


@pytest.mark.parametrize("make", [_with_session_mean, _with_last_turn, _with_what_was_filled_in_afterwards])
def test_a_leak_is_caught(few: Frames, make) -> None:  # type: ignore[no-untyped-def]
    assert features_that_know_more(make, *few, 1) == ["leak"]


def test_a_model_with_a_leak_is_not_promoted_however_good_it_looks(few: Frames) -> None:
    turns, sessions = few
    leaky = _with_session_mean(turns, sessions).merge(
        prefix_table(turns, sessions)[["session_id", "k", *LABELS]], on=["session_id", "k"]
    )
    result = train(leaky, replace(QUICK, resamples=20, numeric=(*NUMERIC, "leak")))
    decision = decide(result, None)
    assert decision.action == "refuse"
    assert "outside the catalogue: leak" in decision.because


# -- promotion ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(straight_contest: Contest) -> TrainingResult:
    return straight_contest.results["logistic"]


def _predicted(result: TrainingResult) -> dict[str, np.ndarray]:
    return {name: head.predicted for name, head in result.heads.items()}


def test_on_a_tie_the_champion_stays(good: TrainingResult) -> None:
    assert decide(good, _predicted(good)).action == "keep"


def test_a_better_model_replaces_the_champion(good: TrainingResult) -> None:
    rate = {name: np.full(len(head.predicted), head.evaluation.base_rate) for name, head in good.heads.items()}
    assert decide(good, rate).action == "promote"


def test_a_model_that_is_too_sure_of_itself_is_refused(good: TrainingResult) -> None:
    measured = replace(good.heads["landmark"].evaluation, calibration_slope=Estimate(0.7, 0.6, 0.8))
    heads = {**good.heads, "landmark": replace(good.heads["landmark"], evaluation=measured)}
    decision = decide(replace(good, heads=heads), None)
    assert decision.action == "refuse"
    assert decision.because.startswith("landmark is calibrated: slope 0.7000")


def test_a_model_that_fails_one_kind_of_caller_is_refused(good: TrainingResult) -> None:
    champion = _predicted(good)
    rural = good.parts.outcomes["hazard"].segments["region"] == "rural"
    worse = np.where(rural, np.random.default_rng(5).permutation(champion["hazard"]), champion["hazard"])
    heads = {**good.heads, "hazard": replace(good.heads["hazard"], predicted=worse)}
    decision = decide(replace(good, heads=heads), champion)
    assert decision.action == "refuse"
    assert "hazard, region rural: AUC -" in decision.because


# -- card --------------------------------------------------------------------------------------------------------------


def test_the_card_says_in_words_what_was_found_and_names_its_pictures(straight_contest: Contest) -> None:
    drawn = pictures(straight_contest.result, straight_contest.evidence)
    assert all(png.startswith(b"\x89PNG") for png in drawn.values())
    card = card_markdown(straight_contest, list(drawn))
    assert "**Gives up before the next turn: true.** ASR leads" in card
    assert all(f"({name})" in card for name in drawn)
    assert "nan" not in card.lower().replace("finance", "")
