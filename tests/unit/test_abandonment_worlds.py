"""In worlds whose truth is known: the bars of the model, what is claimed of ASR, and leaks that must be caught."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from voiceai_assets.assets.abandonment import AUDITED_SESSIONS, check_results
from voiceai_assets.models.abandonment.audit import features_that_know_more, leaks
from voiceai_assets.models.abandonment.card import card_markdown
from voiceai_assets.models.abandonment.contest import Contest, compete
from voiceai_assets.models.abandonment.evidence import claim
from voiceai_assets.models.abandonment.features import LABELS, prefix_table
from voiceai_assets.models.abandonment.measures import Estimate
from voiceai_assets.models.abandonment.plots import pictures
from voiceai_assets.models.abandonment.prefix import NUMERIC
from voiceai_assets.models.abandonment.promotion import decide, is_in_range
from voiceai_assets.models.abandonment.registry import ModelVersion, Registry
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
def audited(straight: Frames) -> Frames:
    """So many sessions as a training run looks at."""
    return _first_sessions(straight, AUDITED_SESSIONS)


def _first_sessions(facts: Frames, count: int) -> Frames:
    turns, sessions = facts
    chosen = sessions[:count]
    return turns[turns["session_id"].isin(chosen["session_id"])].reset_index(drop=True), chosen.reset_index(drop=True)


@pytest.fixture(scope="module")
def straight_contest(straight: Frames, audited: Frames) -> Contest:
    table = prefix_table(*straight)
    return compete(table, QUICK, None, leaks(table, *audited))


def _low(estimate: Estimate) -> float:
    assert estimate.low is not None
    return estimate.low


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
    assert decide(result, None, []).because.startswith("hazard better than the rate by turn: log loss lower by -")


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
    return _first_sessions(straight, 1500)


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
    decision = decide(result, None, [])
    assert decision.action == "refuse"
    assert "outside the catalogue: leak" in decision.because


def test_a_table_is_what_its_turns_give(audited: Frames) -> None:
    table = prefix_table(*audited)
    assert leaks(table, *audited) == []
    mean = audited[0].groupby("session_id")["asr_confidence"].mean()
    assert leaks(table.assign(asr_mean=table["session_id"].map(mean)), *audited) == ["asr_mean"]
    assert leaks(table.assign(region=table["region"].where(table["k"] > 1, "abroad")), *audited) == ["region"]
    both = table.assign(asr_mean=table["session_id"].map(mean), region="abroad")
    assert leaks(both, *audited) == ["asr_mean", "region"]
    assert leaks(table.assign(earlier_sessions=table["earlier_sessions"] + 1), *audited) == ["earlier_sessions"]
    assert leaks(table[1:], *audited) == ["k"], "a row is missing"


def test_two_rows_for_an_exchange_are_no_leak(audited: Frames) -> None:
    """The platform's reply is a row of its own, with the latency; it belongs to the turn before it."""
    turns, sessions = audited
    said, replied = turns.assign(total_ms=None), turns.assign(is_user_turn=False, asr_confidence=None)
    both = pd.concat(
        [said.assign(turn_number=2 * turns["turn_number"] - 1), replied.assign(turn_number=2 * turns["turn_number"])]
    )
    table = prefix_table(both, sessions)
    assert table["log_latency"].notna().all()
    assert leaks(table, both, sessions) == []


def test_nothing_known_and_repeated_turn_numbers_are_no_leak(audited: Frames) -> None:
    """As real sources are: a column without a value, whole milliseconds, and turns without an order of their own."""
    turns, sessions = audited
    bare = turns.assign(region=np.nan, total_ms=turns["total_ms"].fillna(0).astype(int))
    assert leaks(prefix_table(bare, sessions), bare, sessions) == []
    half = bare["session_id"].isin(sessions["session_id"][::2])
    begun = bare.groupby("session_id")["turn_at"].transform("min")  # and bare dates instead of times
    repeated = bare.assign(turn_number=bare["turn_number"].where(~half, 1), turn_at=begun)
    assert leaks(prefix_table(repeated, sessions), repeated, sessions) == []
    long = bare[bare.duplicated("session_id", keep=False)].assign(turn_number=1)
    assert leaks(prefix_table(long, sessions), long, sessions) == ["k"], "nothing could be looked at"


# -- promotion ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(straight_contest: Contest) -> TrainingResult:
    return straight_contest.results["logistic"]


def _predicted(result: TrainingResult) -> dict[str, np.ndarray]:
    return {name: head.predicted for name, head in result.heads.items()}


def test_on_a_tie_the_champion_stays(good: TrainingResult) -> None:
    assert decide(good, _predicted(good), []).action == "keep"


@pytest.mark.parametrize(
    ("found", "because"),
    [(None, "made again from the turns until then: nobody looked"), (["asr_mean"], "until then: differ: asr_mean")],
)
def test_without_a_clean_audit_nothing_is_promoted(good: TrainingResult, found: list[str] | None, because: str) -> None:
    decision = decide(good, None, found)
    assert decision.action == "refuse"
    assert because in decision.because
    assert decide(good, None, []).action == "promote"


@pytest.mark.parametrize("head", ["hazard", "landmark"])
def test_both_heads_must_beat_the_rate_by_turn(good: TrainingResult, head: str) -> None:
    rate = replace(good.heads[head].baselines["rate_by_turn"], gain=Estimate(0.001, -0.001, 0.003))
    worse = replace(good.heads[head], baselines={**good.heads[head].baselines, "rate_by_turn": rate})
    decision = decide(replace(good, heads={**good.heads, head: worse}), None, [])
    assert decision.action == "refuse"
    assert (
        decision.because
        == f"{head} better than the rate by turn: log loss lower by 0.0010 [-0.0010, 0.0030] nats per turn"
    )


@pytest.mark.parametrize("head", ["hazard", "landmark"])
def test_better_in_one_head_alone_is_a_tie(good: TrainingResult, head: str) -> None:
    result = good.heads[head]
    champion = _predicted(good) | {head: np.full(len(result.predicted), result.evaluation.base_rate)}
    assert decide(good, champion, []).action == "keep"


@pytest.mark.parametrize(
    ("slope", "error", "holds"),
    [
        (Estimate(1.0, 0.95, 1.05), Estimate(0.015, 0.0, 0.02), True),
        (Estimate(0.85, 0.7, 0.99), Estimate(0.015, 0.0, 0.02), True),  # few callers: chance explains it
        (Estimate(0.85, 0.82, 0.88), Estimate(0.015, 0.0, 0.02), False),  # many callers: it does not
        (Estimate(1.15, 1.11, 1.2), Estimate(0.015, 0.0, 0.02), False),
        (Estimate(1.0, 0.95, 1.05), Estimate(0.04, 0.018, 0.05), True),
        (Estimate(1.0, 0.95, 1.05), Estimate(0.03, 0.021, 0.04), False),
        (Estimate(2.0, 0.8, 3.5), Estimate(0.015, 0.0, 0.02), False),  # a wide interval excuses nothing
        (Estimate(1.0, 0.5, 1.5), Estimate(0.06, 0.0, 0.1), False),
        (Estimate(0.85, None, None), Estimate(0.015, None, None), False),
        (Estimate(None, None, None), Estimate(0.015, 0.0, 0.02), False),
    ],
)
def test_calibration_fails_where_its_interval_excludes_the_bar(slope: Estimate, error: Estimate, holds: bool) -> None:
    assert is_in_range(slope, error) is holds


def test_a_better_model_replaces_the_champion(good: TrainingResult) -> None:
    rate = {name: np.full(len(head.predicted), head.evaluation.base_rate) for name, head in good.heads.items()}
    assert decide(good, rate, []).action == "promote"


def test_a_model_that_is_too_sure_of_itself_is_refused(good: TrainingResult) -> None:
    measured = replace(good.heads["landmark"].evaluation, calibration_slope=Estimate(0.7, 0.6, 0.8))
    heads = {**good.heads, "landmark": replace(good.heads["landmark"], evaluation=measured)}
    decision = decide(replace(good, heads=heads), None, [])
    assert decision.action == "refuse"
    assert decision.because.startswith("landmark is calibrated: slope 0.7000")


def test_a_model_that_fails_one_kind_of_caller_is_refused(good: TrainingResult) -> None:
    champion = _predicted(good)
    rural = good.parts.outcomes["hazard"].segments["region"] == "rural"
    worse = np.where(rural, np.random.default_rng(5).permutation(champion["hazard"]), champion["hazard"])
    heads = {**good.heads, "hazard": replace(good.heads["hazard"], predicted=worse)}
    decision = decide(replace(good, heads=heads), champion, [])
    assert decision.action == "refuse"
    assert "hazard, region rural: AUC -" in decision.because


# -- the champion, watched by the weekly training ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def champion(straight_contest: Contest, tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    registry = Registry(tmp_path_factory.mktemp("models"))
    return registry.load(registry.save(straight_contest.result, {}, "rev1", straight_contest.as_dict()))


def _weekly_checks(champion: ModelVersion, **changes: object) -> dict[str, dg.AssetCheckResult]:
    """What a training on other callers says of the champion."""
    world = linear(users=1500, days=8, sessions_per_day=250, seed=7, **changes)
    contest = compete(prefix_table(*_facts(world)), replace(QUICK, resamples=20), champion, [])
    return {str(found.check_name): found for found in check_results(contest)}


def test_callers_as_before_raise_no_alarm(champion: ModelVersion) -> None:
    found = _weekly_checks(champion)
    assert found["features_have_not_drifted"].passed
    assert found["features_have_not_drifted"].description == "stable"
    assert found["champion_is_still_calibrated"].passed
    assert found["champion_is_still_calibrated"].description == "hazard: True, landmark: True"


def test_a_planted_drift_is_named_and_the_champion_is_no_longer_calibrated(champion: ModelVersion) -> None:
    """Everybody is understood worse, and less patient than the same confidence said before."""
    before = linear()
    found = _weekly_checks(
        champion,
        speech=replace(before.speech, base=before.speech.base - 0.8),
        hazard=replace(before.hazard, base=before.hazard.base + 0.8),
    )
    drifted = found["features_have_not_drifted"]
    assert (drifted.passed, drifted.severity, drifted.description) == (False, dg.AssetCheckSeverity.WARN, "act")
    worst = drifted.metadata["psi"].value.records[0].data
    assert worst["feature"].startswith("asr_")
    assert worst["psi"] > 0.2
    assert not found["champion_is_still_calibrated"].passed
    assert "hazard: False" in str(found["champion_is_still_calibrated"].description)


# -- card --------------------------------------------------------------------------------------------------------------


def test_the_card_says_in_words_what_was_found_and_names_its_pictures(straight_contest: Contest) -> None:
    drawn = pictures(straight_contest.result, straight_contest.evidence)
    assert all(png.startswith(b"\x89PNG") for png in drawn.values())
    card = card_markdown(straight_contest, list(drawn))
    assert "**Gives up before the next turn: true.** ASR leads" in card
    assert all(f"({name})" in card for name in drawn)
    assert "nan" not in card.lower().replace("finance", "")
