"""The synthetic world holds what its switches say, can be made again, and knows the truth about itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit

from voiceai_assets.models.abandonment.features import prefix_table
from voiceai_assets.synthetic.config import (
    Effect,
    Experiment,
    Hazard,
    Outage,
    Population,
    Release,
    Speech,
    Variant,
    WorldConfig,
    curved,
    linear,
    null_asr,
)
from voiceai_assets.synthetic.people import USERS_PER_BLOCK
from voiceai_assets.synthetic.streams import Stream, permuted
from voiceai_assets.synthetic.world import World

Facts = tuple[pd.DataFrame, pd.DataFrame]
LARGE = {"users": 6_000, "sessions_per_day": 1_500, "days": 10}


@pytest.fixture(scope="module")
def plain() -> Facts:
    return World(WorldConfig(**LARGE)).facts()


@pytest.fixture(scope="module")
def straight() -> Facts:
    return World(linear(**LARGE)).facts()


def gave_up(facts: Facts) -> np.ndarray:
    """For each turn, whether the caller gave up after it."""
    turns, sessions = facts
    last = ~turns["session_id"].duplicated(keep="last")
    return (last & turns["session_id"].map(sessions.set_index("session_id")["true_outcome"]).eq("abandoned")).to_numpy()


def z_of(happened: np.ndarray, chance: np.ndarray) -> float:
    """Standard errors between what happened and what was to be expected, for independent events."""
    return float((happened - chance).sum() / np.sqrt((chance * (1 - chance)).sum()))


# -- the same world again ----------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_world_and_another_seed_another() -> None:
    first, again = World(WorldConfig(days=3)).facts(), World(WorldConfig(days=3)).facts()
    pd.testing.assert_frame_equal(first[0], again[0])
    pd.testing.assert_frame_equal(first[1], again[1])
    other = World(WorldConfig(days=3, seed=1)).facts()
    assert set(first[1]["session_id"]).isdisjoint(other[1]["session_id"])


def test_a_day_is_the_same_alone_and_among_others() -> None:
    world = World(WorldConfig(days=6))
    turns, sessions = world.facts()
    for number in (0, 3, 5):
        alone = world.facts(number, number)
        day = world.config.day(number)
        pd.testing.assert_frame_equal(alone[0], turns[turns["session_date"] == day].reset_index(drop=True))
        pd.testing.assert_frame_equal(alone[1], sessions[sessions["session_date"] == day].reset_index(drop=True))


def test_a_switch_that_is_not_touched_changes_nothing_else() -> None:
    before = World(WorldConfig(days=2)).facts()
    after = World(WorldConfig(days=2, hazard=replace(Hazard(), base=-9.0))).facts()
    # hardly anybody gives up any more, but the same people call at the same time
    first, second = (
        sessions.loc[~sessions["is_callback"], ["session_id", "started_at"]] for _, sessions in (before, after)
    )
    pd.testing.assert_frame_equal(first.reset_index(drop=True), second.reset_index(drop=True))
    assert after[1]["true_outcome"].eq("abandoned").sum() < 0.1 * before[1]["true_outcome"].eq("abandoned").sum()


def test_many_blocks_of_callers_are_one_world() -> None:
    world = World(WorldConfig(users=3 * USERS_PER_BLOCK, sessions_per_day=2_000, days=2))
    blocks = list(world.blocks(1))
    assert len(blocks) == 3
    sessions = world.facts(1, 1)[1]
    assert sessions["session_id"].is_unique
    assert len(sessions) == pytest.approx(2_000, rel=0.1)


def test_ids_of_sessions_never_collide() -> None:
    keys = np.arange(200_000)
    found = permuted(7, Stream.SESSION_ID, keys)
    assert len(np.unique(found)) == len(keys)
    assert int(found.max()) < 1 << 48


def test_a_day_outside_the_world_is_refused() -> None:
    with pytest.raises(IndexError, match="days 0 to 4, not 5"):
        next(World(WorldConfig(days=5)).blocks(5))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"days": 0}, "at least 1"),
        ({"users": 10**8 + 1}, "at most 100,000,000"),
        ({"releases": ()}, "first release"),
        ({"releases": (Release(0, "a"), Release(5, "b"), Release(3, "c"))}, "in order"),
        ({"population": Population(rural=0.9, rural_shift=0.2)}, "between 0 and 1"),
        ({"experiments": (Experiment("e", (), unit="user"),)}, "needs variants"),
        ({"experiments": (Experiment("e", (Variant("a", 1.0),), unit="turn"),)}, "user or session"),
        ({"outages": (Outage(1, 12, 9),)}, "hours in order"),
    ],
)
def test_a_world_that_cannot_be_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        WorldConfig(**change)  # type: ignore[arg-type]


# -- the truth ---------------------------------------------------------------------------------------------------------


def test_the_features_and_the_coefficients_give_the_true_hazard_of_every_turn(straight: Facts) -> None:
    turns, sessions = straight
    table = prefix_table(turns, sessions).merge(
        turns.rename(columns={"turn_number": "k"})[["session_id", "k", "true_hazard"]], on=["session_id", "k"]
    )
    h = linear().hazard
    expected = expit(
        h.base
        + h.asr_now * (table["asr_now"] - 0.8)
        + h.asr_mean * (table["asr_mean"] - 0.8)
        + h.error_now * table["error_now"]
        + h.errors_in_row * table["errors_in_row"]
        + h.log_latency * (table["log_latency"] - 7.1)
        + h.turn * (table["k"] - 1)
        + h.first_time * (table["user_type"] == "first_time")
    )
    assert len(table) > 50_000
    np.testing.assert_allclose(table["true_hazard"], expected, atol=1e-12)


def test_as_many_give_up_as_the_hazard_says_overall_and_at_every_level_of_it(plain: Facts) -> None:
    turns = plain[0]
    happened, chance = gave_up(plain), turns["true_hazard"].to_numpy()
    assert abs(z_of(happened, chance)) < 3.5
    tenths = np.digitize(chance, np.quantile(chance, np.linspace(0.1, 0.9, 9)))
    assert all(abs(z_of(happened[tenths == t], chance[tenths == t])) < 4 for t in range(10))
    # the check can fail: a hazard that is a tenth too high is noticed
    assert abs(z_of(happened, 1.1 * chance)) > 5


def test_who_does_not_see_the_frailty_is_right_on_average_and_at_every_turn(plain: Facts) -> None:
    turns = plain[0]
    first_calls = ~turns["session_id"].map(plain[1].set_index("session_id")["is_callback"]).to_numpy()
    happened, chance, k = gave_up(plain), turns["true_hazard_seen"].to_numpy(), turns["turn_number"].to_numpy()
    assert np.std(chance) < np.std(turns["true_hazard"])
    for turn in (1, 2, 4, 6):
        rows = first_calls & (k == turn)
        assert abs(z_of(happened[rows], chance[rows])) < 4  # sessions of a caller are alike, so not quite normal


def test_transfers_and_completions_compete_as_they_should(plain: Facts) -> None:
    turns, sessions = plain
    last = ~turns["session_id"].duplicated(keep="last").to_numpy()
    outcome = turns["session_id"].map(sessions.set_index("session_id")["true_outcome"]).to_numpy()
    stays = 1 - turns["true_hazard"].to_numpy()
    transfer = stays * turns["true_transfer"].to_numpy()
    complete = (stays - transfer) * turns["true_complete"].to_numpy()
    assert abs(z_of(last & (outcome == "transferred"), transfer)) < 3.5
    assert abs(z_of(last & (outcome == "completed"), complete)) < 3.5


def test_the_landmark_chance_is_the_share_that_ends_abandoned() -> None:
    turns, sessions = World(linear(users=2_000, sessions_per_day=1_000, days=2)).facts(landmark_draws=20)
    ends = turns["session_id"].map(sessions.set_index("session_id")["true_outcome"]).eq("abandoned")
    for turn in (1, 2, 3):
        rows = turns["turn_number"] == turn
        assert abs(z_of(ends[rows].to_numpy(), turns.loc[rows, "true_landmark"].to_numpy())) < 3.5
    assert (turns["true_landmark"] >= turns["true_hazard"]).all()


def test_in_the_curved_world_confidence_and_latency_only_matter_together() -> None:
    turns, _ = World(curved(**LARGE)).facts()
    chance = logit(turns["true_hazard"].to_numpy())
    unsure = turns["asr_confidence"].to_numpy() < 0.7
    slow = turns["total_ms"].to_numpy() > 1_500
    quick = turns["total_ms"].to_numpy() < 950
    assert chance[unsure & slow].mean() > chance[~unsure & slow].mean() + 1
    assert chance[unsure & quick].mean() < chance[~unsure & quick].mean()


def test_in_the_null_world_confidence_says_nothing_about_errors_intents_or_giving_up() -> None:
    facts = World(null_asr(**LARGE)).facts()
    turns = facts[0][facts[0]["channel"] == "voice"]
    happened = gave_up(facts)[facts[0]["channel"] == "voice"]
    asr = turns["asr_confidence"].to_numpy()
    # each turn's own deviation from its session's mean: what is the same all session long is confounded with nothing
    for other in (happened, turns["is_error_turn"].to_numpy(), turns["intent_confidence"].to_numpy()):
        found = stats.pearsonr(asr, other.astype(float))
        assert abs(found.statistic) < 4 / np.sqrt(len(asr))
    # the same three in the plain world, so that the test can fail
    plain_turns, plain_happened = World(WorldConfig(**{**LARGE, "days": 2})).facts(), None
    plain_happened = gave_up(plain_turns)
    spoken = (plain_turns[0]["channel"] == "voice").to_numpy()
    assert stats.pearsonr(plain_turns[0].loc[spoken, "asr_confidence"], plain_happened[spoken]).statistic < -0.1


# -- switches ----------------------------------------------------------------------------------------------------------


def test_frailty_makes_sessions_of_a_caller_alike() -> None:
    def design_effect(frailty: float) -> float:
        config = WorldConfig(users=2_000, sessions_per_day=370, days=20, hazard=replace(Hazard(), frailty=frailty))
        sessions = World(config).facts()[1]
        abandoned = sessions["true_outcome"].eq("abandoned").astype(float)
        residual = (abandoned - abandoned.mean()).groupby(sessions["user_id"]).sum()
        return float((residual**2).sum() / (abandoned.var() * len(abandoned)))

    assert design_effect(0.8) > design_effect(0.0) + 0.15


def test_day_shocks_move_whole_days() -> None:
    def spread(shock: float) -> float:
        config = WorldConfig(
            users=12_000, sessions_per_day=2_000, days=14, hazard=replace(Hazard(), frailty=0.0, day_shock=shock)
        )
        sessions = World(config).facts()[1]
        by_day = sessions["true_outcome"].eq("abandoned").groupby(sessions["session_date"]).mean()
        return float(by_day.std())

    assert spread(0.5) > 3 * spread(0.0)


def test_the_mix_shifts_by_as_much_as_asked_and_the_volume_does_not() -> None:
    config = WorldConfig(
        users=12_000, sessions_per_day=3_000, days=8, population=Population(rural=0.3, rural_shift=0.3)
    )
    sessions = World(config).facts()[1]
    rural = sessions["region"].eq("rural").groupby(sessions["session_date"]).mean()
    assert rural.iloc[0] == pytest.approx(0.3, abs=0.03)
    assert rural.iloc[-1] == pytest.approx(0.6, abs=0.03)
    same = World(replace(config, population=Population(rural=0.3))).facts()[1]
    assert len(sessions) == pytest.approx(len(same), rel=0.04)


def test_weekdays_growth_and_season_move_the_volume() -> None:
    config = WorldConfig(users=8_000, sessions_per_day=800, days=28)  # from a Thursday on
    per_day = World(config).facts()[1].groupby("session_date").size()
    weekday = per_day.groupby([day.weekday() for day in per_day.index]).mean() / per_day.mean()
    np.testing.assert_allclose(weekday, config.population.weekday, atol=0.06)
    grown = World(replace(config, population=Population(growth=1.0))).facts()[1].groupby("session_date").size()
    assert grown.iloc[-7:].sum() / grown.iloc[:7].sum() == pytest.approx(1.8, abs=0.12)
    wave = World(replace(config, population=Population(season=0.5))).facts()[1]
    assert len(wave) > 1.08 * per_day.sum()  # the first quarter of the year is its high


def test_drift_and_releases_move_confidence_and_latency() -> None:
    release = (Release(0, "a"), Release(5, "b", Effect(asr=0.5, llm_factor=0.5)))
    turns = World(WorldConfig(users=6_000, sessions_per_day=1_000, days=10, releases=release)).facts()[0]
    before, after = (turns[turns["model_version"] == version] for version in ("a", "b"))
    assert after["asr_confidence"].mean() > before["asr_confidence"].mean() + 0.04
    assert after["llm_ms"].median() / before["llm_ms"].median() == pytest.approx(0.5, abs=0.03)
    drifting = WorldConfig(
        users=6_000, sessions_per_day=1_000, days=10, releases=(Release(0, "a"),),
        speech=replace(Speech(), drift_per_30_days=-2.0),
    )  # fmt: skip
    mean = World(drifting).facts()[0].groupby("session_date")["asr_confidence"].mean()
    assert mean.iloc[-1] < mean.iloc[0] - 0.06


def _experiment(**treatment: float | Effect) -> Experiment:
    return Experiment(
        "greeting", (Variant("control", 0.5, is_control=True), Variant("treatment", 0.5, **treatment)), first_day=1
    )  # type: ignore[arg-type]


def test_a_variant_has_the_effect_that_it_was_given_and_none_before_the_experiment() -> None:
    config = WorldConfig(**LARGE, experiments=(_experiment(effect=Effect(hazard=-0.7)),))
    turns, sessions = World(config).facts()
    of_session = sessions.set_index("session_id")["variant_greeting"]
    assert of_session[sessions.set_index("session_id")["session_date"] == config.day(0)].isna().all()
    arm = turns["session_id"].map(of_session)
    without = World(replace(config, experiments=(_experiment(),))).facts()[0]
    # the first turn of a session sees the same confidence, error and latency in both worlds
    first = (turns["turn_number"] == 1) & ~turns["session_id"].map(sessions.set_index("session_id")["is_callback"])
    both = turns[first].merge(without[without["turn_number"] == 1], on="session_id", suffixes=("", "_without"))
    shift = logit(both["true_hazard"]) - logit(both["true_hazard_without"])
    treated = both["session_id"].map(of_session).eq("treatment")
    np.testing.assert_allclose(shift[treated], -0.7, atol=1e-9)
    np.testing.assert_allclose(shift[~treated], 0, atol=1e-9)
    assert arm.notna().mean() > 0.8


def test_a_caller_keeps_the_variant_and_a_session_draws_its_own() -> None:
    per_user = World(WorldConfig(**LARGE, experiments=(_experiment(),))).facts()[1].dropna(subset="variant_greeting")
    assert per_user.groupby("user_id")["variant_greeting"].nunique().max() == 1
    config = WorldConfig(**LARGE, experiments=(replace(_experiment(), unit="session"),))
    per_session = World(config).facts()[1].dropna(subset="variant_greeting")
    assert per_session.groupby("user_id")["variant_greeting"].nunique().max() == 2


@pytest.mark.parametrize(("served", "is_mismatch"), [(None, False), (0.4, True)])
def test_a_sample_ratio_mismatch_is_there_when_asked_for_and_only_then(served: float | None, is_mismatch: bool) -> None:
    arms = (Variant("control", 0.5, is_control=True), Variant("treatment", 0.5, served=served))
    sessions = World(WorldConfig(**LARGE, experiments=(Experiment("greeting", arms),))).facts()[1]
    users = sessions.drop_duplicates("user_id")["variant_greeting"].value_counts()
    assert (stats.chisquare(users).pvalue < 0.001) == is_mismatch


def test_an_outage_fails_its_component_in_its_hours_and_nowhere_else() -> None:
    config = WorldConfig(users=6_000, sessions_per_day=1_500, days=3, outages=(Outage(1, 10, 12, "llm", share=0.9),))
    turns = World(config).facts()[0]
    hours = turns["turn_at"].dt.hour
    inside = (turns["session_date"] == config.day(1)) & hours.isin([10, 11])
    technical = turns["error_type"].eq("technical")
    assert technical[inside].mean() == pytest.approx(0.9, abs=0.05)
    assert not technical[~inside].any()
    assert turns.loc[technical, "llm_ms"].isna().all()
    assert turns.loc[technical, "total_ms"].min() > 4_000
    assert not turns.loc[technical, "is_error_turn"].any()


# -- people and time ---------------------------------------------------------------------------------------------------


def test_sessions_of_one_caller_never_overlap_and_only_the_first_is_first_time(plain: Facts) -> None:
    sessions = plain[1].sort_values(["user_id", "started_at"])
    same = sessions["user_id"].eq(sessions["user_id"].shift())
    assert (sessions["started_at"] > sessions["ended_at"].shift())[same].all()
    assert not sessions.loc[same, "user_type"].eq("first_time").any()
    assert sessions["user_type"].eq("first_time").sum() > 800


def test_who_gave_up_calls_again_as_often_as_asked(plain: Facts) -> None:
    sessions = plain[1]
    gave_up_first = sessions["true_outcome"].eq("abandoned") & ~sessions["is_callback"]
    # a few would call after midnight, and do not
    assert sessions["is_callback"].sum() / gave_up_first.sum() == pytest.approx(0.1, abs=0.02)


def test_what_reaches_beyond_the_last_day_is_in_progress_and_declares_nothing() -> None:
    config = WorldConfig(**{**LARGE, "days": 2}, population=Population(near_midnight=0.1))
    turns, sessions = World(config).facts()
    open_ones = sessions[sessions["final_outcome"] == "in_progress"]
    assert len(open_ones) > 50
    assert set(open_ones["session_date"]) == {config.day(1)}
    assert set(open_ones["true_outcome"]) <= {"abandoned", "completed", "transferred"}
    assert (turns["turn_at"] < pd.Timestamp(config.day(2), tz="UTC")).all()
    assert Counter(turns["session_id"]) == dict(zip(sessions["session_id"], sessions["turn_count"], strict=True))
    uncut = World(replace(config, cut_at_end=False)).facts()[1]
    assert not uncut["final_outcome"].eq("in_progress").any()


def test_nobody_crosses_a_calm_midnight() -> None:
    config = WorldConfig(
        **{**LARGE, "days": 4}, population=Population(near_midnight=0.1), calm_midnights=frozenset({2})
    )
    sessions = World(config).facts()[1]
    crossing = sessions[sessions["ended_at"].dt.date > sessions["session_date"]]
    assert {config.day(0), config.day(2)} <= set(crossing["session_date"])
    assert config.day(1) not in set(crossing["session_date"])
