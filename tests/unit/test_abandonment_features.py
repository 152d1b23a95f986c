"""A prefix row holds what was known after turn k's reply, and nothing of what came later."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from tests.unit.abandonment_world import frames
from voiceai_assets.models.abandonment.features import KEYS, LABELS, feature_hash, prefix_table
from voiceai_assets.models.abandonment.prefix import CATEGORICAL, NUMERIC, Prefix, Turn, prefix_features
from voiceai_assets.synthetic.sample import write_sample

DAY = date(2026, 8, 1)
FEATURES = [*KEYS, "user_id", *NUMERIC[1:], *CATEGORICAL]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame]:
    return frames(write_sample(tmp_path_factory.mktemp("sample"), DAY, days=10, sessions_per_day=60))


def a_turn(session_id: str, turn_number: int, minute: float, **values: object) -> dict[str, object]:
    return {
        "session_date": DAY,
        "session_id": session_id,
        "turn_number": turn_number,
        "turn_at": pd.Timestamp(DAY, tz="UTC") + pd.Timedelta(minutes=minute),
        "speaker": "exchange",
        "is_user_turn": True,
        "user_id": "u1",
        "channel": "voice",
        "user_type": None,
        "region": None,
        "language": None,
        "module": None,
        "intent_confidence": None,
        "asr_confidence": None,
        "is_error_turn": False,
        "total_ms": None,
    } | values


def a_session(session_id: str, end_minute: float, start_minute: float = 0, **values: object) -> dict[str, object]:
    return {
        "session_date": DAY,
        "session_id": session_id,
        "user_id": "u1",
        "started_at": pd.Timestamp(DAY, tz="UTC") + pd.Timedelta(minutes=start_minute),
        "ended_at": pd.Timestamp(DAY, tz="UTC") + pd.Timedelta(minutes=end_minute),
        "final_outcome": "completed",
        "outcome_basis": "declared",
    } | values


def table_of(turns: list[dict[str, object]], sessions: list[dict[str, object]]) -> pd.DataFrame:
    return prefix_table(pd.DataFrame(turns), pd.DataFrame(sessions))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_changing_everything_after_turn_k_leaves_row_k_identical(
    world: tuple[pd.DataFrame, pd.DataFrame], k: int
) -> None:
    turns, sessions = world
    # the last session of each caller: its outcome is nobody's history, so nothing at all may change
    last = sessions.sort_values("started_at").drop_duplicates("user_id", keep="last")["session_id"]
    in_last = turns["session_id"].isin(last)
    later = in_last & (turns["turn_number"] > k)
    assert later.sum() > 20
    rng = np.random.default_rng(1)
    changed = turns.copy()
    for column in ("asr_confidence", "intent_confidence"):
        changed.loc[later, column] = rng.uniform(size=later.sum())
    changed.loc[later, "total_ms"] = rng.integers(1, 9000, size=later.sum())
    changed.loc[later, "is_error_turn"] = ~changed.loc[later, "is_error_turn"]
    changed.loc[later, "error_type"] = "silence"
    changed.loc[later, [*CATEGORICAL, "user_id"]] = "changed"
    changed.loc[later, "turn_at"] += pd.Timedelta(hours=3)
    one_more = changed[later].assign(turn_number=lambda frame: frame["turn_number"] + 50)
    changed = pd.concat([changed, one_more]).sample(frac=1, random_state=2)
    outcome = sessions.copy()
    own = outcome["session_id"].isin(last)
    outcome.loc[own, "final_outcome"] = outcome.loc[own, "final_outcome"].map(
        {"abandoned": "completed", "completed": "abandoned", "transferred": "abandoned"}
    )
    outcome.loc[own, "outcome_basis"] = "inferred"
    outcome.loc[own, "ended_at"] -= pd.Timedelta(days=2)

    before = prefix_table(turns, sessions)
    after = prefix_table(changed, outcome)
    kept = before["session_id"].isin(last) & (before["k"] <= k)
    still = after["session_id"].isin(last) & (after["k"] <= k)
    pd.testing.assert_frame_equal(
        before.loc[kept, FEATURES].reset_index(drop=True),
        after.loc[still, FEATURES].reset_index(drop=True),
        check_exact=True,
    )
    assert not before.loc[kept, "label_landmark"].equals(
        after.loc[still, "label_landmark"].set_axis(before.index[kept])
    )


def test_cutting_sessions_after_turn_k_leaves_row_k_identical(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    turns, sessions = world
    before = prefix_table(turns, sessions)
    after = prefix_table(turns[turns["turn_number"] <= 2], sessions)
    pd.testing.assert_frame_equal(
        before.loc[before["k"] <= 2, FEATURES].reset_index(drop=True), after[FEATURES], check_exact=True
    )


def test_the_order_of_rows_does_not_matter(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    turns, sessions = world
    shuffled = prefix_table(turns.sample(frac=1, random_state=3), sessions.sample(frac=1, random_state=4))
    pd.testing.assert_frame_equal(prefix_table(turns, sessions), shuffled, check_exact=True)


def test_there_is_one_row_per_user_turn_of_an_ended_session(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    turns, sessions = world
    table = prefix_table(turns, sessions)
    assert len(table) == len(turns)
    assert list(table.columns) == [*FEATURES, *LABELS, "final_outcome"]
    per_session = table.groupby(["session_date", "session_id"])
    abandoned = sessions.set_index(["session_date", "session_id"])["final_outcome"].eq("abandoned").astype(int)
    pd.testing.assert_series_equal(per_session["label_hazard"].sum(), abandoned, check_names=False, check_dtype=False)
    pd.testing.assert_series_equal(per_session["label_landmark"].max(), abandoned, check_names=False, check_dtype=False)
    assert table.loc[table["label_hazard"] == 1, "k"].equals(
        per_session["k"].transform("max")[table["label_hazard"] == 1]
    )


def test_sessions_in_progress_give_neither_rows_nor_history() -> None:
    table = table_of(
        [a_turn("open", 1, 0), a_turn("next", 1, 90)],
        [a_session("open", 0, final_outcome="in_progress", outcome_basis="inferred"), a_session("next", 90, 90)],
    )
    assert table["session_id"].tolist() == ["next"]
    assert table["earlier_sessions"].tolist() == [0]


def test_confidences_run_over_the_turns_so_far() -> None:
    values = [0.8, None, 0.4, 0.6]
    table = table_of(
        [a_turn("s", n + 1, n, asr_confidence=value) for n, value in enumerate(values)], [a_session("s", 3)]
    )
    np.testing.assert_allclose(table["asr_now"], [0.8, np.nan, 0.4, 0.6])
    np.testing.assert_allclose(table["asr_mean"], [0.8, 0.8, 0.6, 0.6])
    np.testing.assert_allclose(table["asr_min"], [0.8, 0.8, 0.4, 0.4])
    np.testing.assert_allclose(table["asr_change"], [np.nan, np.nan, -0.4, 0.2])


def test_errors_are_counted_so_far_and_in_a_row() -> None:
    flags = [True, True, False, True]
    table = table_of([a_turn("s", n + 1, n, is_error_turn=flag) for n, flag in enumerate(flags)], [a_session("s", 3)])
    assert table["error_now"].tolist() == [1, 1, 0, 1]
    assert table["errors_so_far"].tolist() == [1, 2, 2, 3]
    assert table["errors_in_row"].tolist() == [1, 2, 0, 1]


def test_the_first_reply_belongs_to_the_turn_and_later_agent_rows_do_not() -> None:
    agent = {"speaker": "agent", "is_user_turn": False}
    table = table_of(
        [
            a_turn("s", 1, 0, **agent, total_ms=5000),
            a_turn("s", 2, 1, speaker="user"),
            a_turn("s", 3, 2, **agent, total_ms=999),
            a_turn("s", 4, 3, **agent, total_ms=1, is_error_turn=True),  # "are you still there?"
            a_turn("s", 5, 4, speaker="user", total_ms=99),
        ],
        [a_session("s", 4, final_outcome="abandoned")],
    )
    assert table["k"].tolist() == [1, 2]
    np.testing.assert_allclose(table["log_latency"], np.log([1000, 100]))
    assert table["errors_so_far"].tolist() == [0, 0]
    assert table["label_hazard"].tolist() == [0, 1]


def test_a_static_value_that_only_a_later_turn_carries_is_not_known_yet() -> None:
    table = table_of([a_turn("s", 1, 0), a_turn("s", 2, 1, region="rural"), a_turn("s", 3, 2)], [a_session("s", 2)])
    assert table["region"].isna().tolist() == [True, False, False]


def test_history_counts_only_sessions_whose_end_was_known() -> None:
    table = table_of(
        [a_turn("now", 1, 60), *(a_turn(name, 1, 0) for name in ("a", "b", "c", "d", "other"))],
        [
            a_session("now", 60, 60, final_outcome="abandoned"),
            a_session("a", 10, final_outcome="abandoned"),
            a_session("b", 20),
            a_session("c", 60, final_outcome="abandoned"),  # ended as this one started: not before it
            a_session("d", 45, final_outcome="abandoned", outcome_basis="inferred"),  # known at minute 75 only
            a_session("other", 1, user_id="u2", final_outcome="abandoned"),
        ],
    ).set_index("session_id")
    assert table.loc["now", "earlier_sessions"] == 2
    assert table.loc["now", "earlier_abandoned_share"] == 0.5
    assert table.loc["a", "earlier_sessions"] == 0
    assert np.isnan(table.loc["a", "earlier_abandoned_share"])


def test_an_unknown_caller_has_no_history_rather_than_an_empty_one() -> None:
    table = table_of([a_turn("s", 1, 60, user_id=None)], [a_session("s", 60, user_id=None)])
    assert np.isnan(table["earlier_sessions"]).all()


def test_no_sessions_give_an_empty_table_with_all_columns(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    turns, sessions = world
    table = prefix_table(turns.head(0), sessions.head(0))
    assert table.empty
    assert list(table.columns) == [*FEATURES, *LABELS, "final_outcome"]


def test_missing_columns_and_doubled_sessions_are_refused(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    turns, sessions = world
    with pytest.raises(ValueError, match="turns: columns missing: asr_confidence"):
        prefix_table(turns.drop(columns="asr_confidence"), sessions)
    with pytest.raises(ValueError, match="more than one row"):
        prefix_table(turns, pd.concat([sessions, sessions]))


def test_the_feature_hash_depends_on_names_and_order() -> None:
    assert feature_hash() == feature_hash(NUMERIC, CATEGORICAL)
    assert feature_hash(NUMERIC[::-1]) != feature_hash()


def test_people_do_not_touch_one_another_however_many_there_are(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """A hundred thousand turns: the table of the copies is so many copies of the table."""
    numbers = range(-(-100_000 // len(world[0])))

    def copies(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.concat(
            frame.assign(copy=n, **{key: frame[key] + f"-{n}" for key in ("session_id", "user_id") if key in frame})
            for n in numbers
        )

    turns, sessions = map(copies, world)
    table = prefix_table(turns, sessions)
    copy = table["session_id"].str.rpartition("-")[2].astype(int)
    expected = copies(prefix_table(*world)).sort_values(["session_id", "k"], ignore_index=True)
    got = table.assign(copy=copy).sort_values(["session_id", "k"], ignore_index=True)
    pd.testing.assert_frame_equal(got, expected, check_like=True)


def test_scored_while_it_goes_on_a_session_gets_the_rows_of_the_table(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    turns, sessions = world
    table = prefix_table(turns, sessions).set_index(["session_id", "k"])
    one = turns[turns["session_id"] == sessions["session_id"].iloc[7]].sort_values("turn_number")
    said = [
        Turn(True, row.asr_confidence, None, row.is_error_turn, row.total_ms, row.channel) for row in one.itertuples()
    ]
    for k in range(1, len(said) + 1):
        row = table.loc[(one["session_id"].iloc[0], k)]
        known = {"earlier_sessions": row["earlier_sessions"], "region": row["region"]}
        found = prefix_features(said[:k], known)
        for name in ("asr_now", "asr_mean", "asr_min", "errors_so_far", "log_latency", "earlier_sessions"):
            assert found[name] == pytest.approx(row[name], abs=1e-12), name
        assert found["region"] == row["region"]


def test_a_reply_counts_once_and_what_is_said_after_it_does_not() -> None:
    prefix = Prefix()
    prefix.add(Turn(is_user_turn=False, is_error_turn=True))  # the greeting
    prefix.add(Turn(is_user_turn=True, asr_confidence=0.5))
    prefix.add(Turn(is_user_turn=False, is_error_turn=True, total_ms=100))
    answered = prefix.features()
    prefix.add(Turn(is_user_turn=False, is_error_turn=True, total_ms=9000))
    assert prefix.features() == answered
    assert (answered["errors_so_far"], answered["log_latency"]) == (1.0, pytest.approx(np.log(101)))


def test_nothing_can_be_scored_before_the_caller_spoke() -> None:
    with pytest.raises(LookupError, match="no user turn yet"):
        prefix_features([Turn(is_user_turn=False)])
