"""Watching the champion day by day: quiet where it is right, loud where the world changed or it is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from voiceai_assets.models.abandonment import drift
from voiceai_assets.models.abandonment.encoding import Schema
from voiceai_assets.models.abandonment.prefix import CATEGORICAL, NUMERIC
from voiceai_assets.models.abandonment.slices import FEW_USERS
from voiceai_assets.models.abandonment.watch import WatchedDay, watch

END = pd.Timestamp("2026-02-01", tz="UTC")


def days(seed: int, number: int = 1, users: int = 600, frailty: float = 0.6) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of two user turns a session whose callers differ, and the true chances of each; outcomes are drawn."""
    draw = np.random.default_rng(seed)
    count = 2 * users * number
    who = np.repeat(np.arange(users * number), 2)
    chance = 1 / (1 + np.exp(1.5 - np.repeat(draw.normal(0, frailty, users * number), 2)))
    ends = draw.random(users * number)[who] < chance
    table = pd.DataFrame(
        {name: draw.normal(size=count) for name in NUMERIC}
        | {name: draw.choice(["a", "b"], count) for name in CATEGORICAL}
    ).assign(
        session_date=[f"2026-01-{1 + n // (2 * users):02}" for n in range(count)],
        session_id=[f"s{n}" for n in who],
        user_id=[f"u{n}" for n in who],
        k=np.tile([1, 2], users * number),
        started_at=pd.Timestamp("2026-01-31T10:00", tz="UTC"),
        final_outcome=np.where(ends, "abandoned", "completed"),
        label_hazard=(draw.random(count) < chance).astype(int),
        label_landmark=ends.astype(int),
    )
    return table, pd.DataFrame({"hazard": chance, "landmark": chance})


def watched(table: pd.DataFrame, scores: pd.DataFrame, then: pd.DataFrame) -> list[WatchedDay]:
    return watch(table, scores, drift.reference(then, Schema.of(then)), END, 2.0)


def test_a_champion_that_is_right_about_callers_who_have_not_changed_is_left_alone() -> None:
    """Four weeks at once: a limit that is too close would find one of the days."""
    then, _ = days(0, users=3000)
    found = watched(*days(1, number=28), then)
    assert len(found) == 28
    assert {day.drift for day in found} == {"stable"}
    assert not [day.day for day in found if day.is_off]
    assert all(set(day.heads) == {"hazard", "landmark"} for day in found)


@pytest.mark.parametrize(("shift", "state"), [(0.0, "stable"), (0.4, "warn"), (1.0, "act")])
def test_callers_who_changed_are_named_with_their_day(shift: float, state: str) -> None:
    then, _ = days(0, users=3000)
    table, scores = days(2)
    [day] = watched(table.assign(asr_now=table["asr_now"] - shift), scores, then)
    assert day.drift == state
    assert (day.worst_feature == "asr_now") == (shift > 0)
    assert not day.needs_action, "as many gave up as was said"


def test_that_callers_have_been_there_before_grows_anyhow() -> None:
    then, _ = days(0, users=3000)
    table, scores = days(2)
    older = table.assign(earlier_sessions=table["earlier_sessions"] + 5, earlier_abandoned_share=0.5)
    [day] = watched(older, scores, then)
    assert day.drift == "stable"


def test_a_champion_that_is_wrong_by_a_third_is_off_on_its_day_alone() -> None:
    then, _ = days(0, users=3000)
    table, scores = days(3, number=3)
    is_second = (table["session_date"] == "2026-01-02").to_numpy()
    scores.loc[is_second, "hazard"] *= 1.5
    found = watched(table, scores, then)
    assert [day.is_off for day in found] == [False, True, False]
    off = found[1].heads
    assert (off["hazard"].is_off, off["landmark"].is_off) == (True, False)
    assert off["hazard"].observed < off["hazard"].expected


def test_only_both_together_call_for_action() -> None:
    then, _ = days(0, users=3000)
    table, scores = days(2)
    changed = table.assign(asr_now=table["asr_now"] - 1)
    assert watched(changed, scores * 1.5, then)[0].needs_action
    assert not watched(table, scores * 1.5, then)[0].needs_action


def test_turns_of_one_caller_are_no_independent_evidence() -> None:
    """One caller of many turns gives up more often than was said: that is one person, and no finding."""
    then, _ = days(0, users=3000)
    table, scores = days(4, users=200)
    one = table.assign(user_id=["one" if n < 200 else f"u{n}" for n in range(len(table))])
    one.loc[one["user_id"] == "one", ["label_hazard", "label_landmark"]] = 1
    [day] = watched(one, scores, then)
    naive = (one["label_hazard"] - scores["hazard"]).sum() / np.sqrt((scores["hazard"] * (1 - scores["hazard"])).sum())
    assert abs(naive) > 10
    assert abs(day.heads["hazard"].deviations) < 3


def test_sessions_that_have_not_had_time_to_end_and_few_callers_say_nothing() -> None:
    then, _ = days(0, users=3000)
    table, scores = days(5)
    [fresh] = watched(table.assign(started_at=END - pd.Timedelta(hours=1)), scores, then)
    assert (fresh.users, dict(fresh.heads), fresh.is_off) == (0, {}, False)
    few = 2 * (FEW_USERS - 1)
    [small] = watched(table[:few], scores[:few] * 0, then)
    assert (small.drift, dict(small.heads)) == ("too few rows", {})
    assert watched(table[:0], scores[:0], then) == []
