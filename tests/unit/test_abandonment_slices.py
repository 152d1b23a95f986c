"""What is said of parts of the rows: complete, with intervals that are right, and never of a few people."""

from __future__ import annotations

import math
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from voiceai_assets.models.abandonment.card import card_markdown
from voiceai_assets.models.abandonment.contest import Contest, compete
from voiceai_assets.models.abandonment.evaluation import Quality, Slice
from voiceai_assets.models.abandonment.features import prefix_table
from voiceai_assets.models.abandonment.measures import (
    Estimate,
    UserBootstrap,
    calibration_error_by_chance,
    corrected,
    weighted_calibration_error,
)
from voiceai_assets.models.abandonment.plots import pictures
from voiceai_assets.models.abandonment.slices import most_bins, shown
from voiceai_assets.models.abandonment.training import TrainingConfig
from voiceai_assets.synthetic.config import linear
from voiceai_assets.synthetic.world import World


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Four regions: one of six callers, one of some forty, one of a hundred or so, and everybody else."""
    table = prefix_table(*World(linear(users=1500, days=12, sessions_per_day=150, seed=6)).facts())
    number = table["user_id"].str[-8:].astype(int)
    later = table["session_date"].astype(str) > "2026-01-09"
    callers = sorted(number[later].unique())
    region = np.select(
        [number <= callers[5], number <= callers[45], number <= callers[145]], ["islands", "hills", "coast"], "plain"
    )
    return table.assign(region=region)


@pytest.fixture(scope="module")
def contest(table: pd.DataFrame) -> Contest:
    return compete(table, TrainingConfig(resamples=40), None)


def _slices(contest: Contest) -> dict[str, Slice]:
    return dict(contest.result.heads["landmark"].evaluation.slices)


def test_a_turn_and_a_kind_of_caller_have_every_measure_with_its_interval(contest: Contest) -> None:
    found = _slices(contest)
    assert {"turn 1", "turn 2", "turn 3", "region plain", "language rw", "user_type first_time"} <= found.keys()
    for name in ("turn 1", "region plain"):
        for part in fields(Quality):
            measure = getattr(found[name], part.name)
            if isinstance(measure, Estimate):
                assert None not in (measure.value, measure.low, measure.high), (name, part.name)
                assert measure.low < measure.high, (name, part.name)
    assert found["turn 1"].rows > found["turn 2"].rows > found["turn 3"].rows
    assert found["turn 1"].brier.value == pytest.approx(0.15, abs=0.05)


def test_few_callers_are_marked_and_very_few_are_not_judged(contest: Contest) -> None:
    found = _slices(contest)
    assert found["region plain"].precision == "ok"
    assert found["region plain"].users >= 200
    assert found["region coast"].precision == "low precision"
    assert 30 <= found["region coast"].users < 200
    assert all(part.users >= 30 for part in found.values())
    assert "region islands" not in found
    assert "(low precision)" in card_markdown(contest, [])


def test_what_is_left_out_does_not_follow_from_what_is_shown(contest: Contest, table: pd.DataFrame) -> None:
    """Six callers of the islands would be all callers minus the three other regions, so the hills go, too."""
    found = _slices(contest)
    assert "region hills" not in found
    rest = contest.result.heads["landmark"].evaluation.rows
    rest -= sum(part.rows for name, part in found.items() if name.startswith("region "))
    callers = table[table["region"].isin(["islands", "hills"])]
    assert rest == callers["session_date"].astype(str).isin(contest.result.test_days).sum()


def test_no_small_cell_follows_from_any_way_of_parting_rows() -> None:
    rng = np.random.default_rng(12)
    for _ in range(300):
        sizes = rng.integers(1, 60, rng.integers(2, 7))
        units = np.arange(sizes.sum())
        part = np.repeat(np.arange(len(sizes)), sizes)
        found = shown({str(n): part == n for n in range(len(sizes))}, units)
        assert all(at.sum() >= 30 for at in found.values())
        rest = len(units) - sum(int(at.sum()) for at in found.values())
        assert not found or rest == 0 or rest >= 10


def test_no_bin_holds_fewer_than_ten_callers() -> None:
    units = np.repeat(np.arange(40), 25)  # a caller's rows all have the caller's prediction
    predicted = np.repeat(np.linspace(0.1, 0.9, 40), 25)
    assert most_bins(predicted, units, 10) == 4
    assert most_bins(predicted, np.arange(1000), 10) == 10
    assert most_bins(predicted[:50], units[:50], 10) == 1


def test_hazards_of_kinds_of_callers_are_in_card_and_picture_and_stop_at_the_same_turn(contest: Contest) -> None:
    found = contest.evidence.hazard_by_segment
    assert {"user_type", "region", "language"} <= found.keys()
    assert "channel" not in found, "everybody calls by voice here"
    for values in found.values():
        assert len({len(hazards) for hazards in values.values()}) == 1
        for hazards in values.values():
            assert [turn.k for turn in hazards] == list(range(1, len(hazards) + 1))
            assert all(a.sessions > b.sessions for a, b in pairwise(hazards))
            for turn in hazards:
                assert turn.hazard.low is not None
                assert turn.hazard.low <= turn.hazard.value <= turn.hazard.high
    card = card_markdown(contest, [])
    assert "| User type | Turn 1 | Turn 2 |" in card
    first = found["user_type"]["first_time"][0]
    assert f"| first_time | {first.hazard.value:.3f} [" in card
    drawn = pictures(contest.result, contest.evidence)
    assert drawn["hazard_by_segment.png"].startswith(b"\x89PNG")
    assert drawn["hazard_by_segment.png"] != drawn["hazard_by_turn.png"]


def test_the_hazard_of_a_kind_is_that_of_its_rows(contest: Contest, table: pd.DataFrame) -> None:
    rows = table[(table["user_type"] == "first_time") & (table["k"] == 2)]
    found = contest.evidence.hazard_by_segment["user_type"]["first_time"][1]
    assert (found.sessions, found.hazard.value) == (len(rows), pytest.approx(rows["label_hazard"].mean()))


def test_the_card_says_how_many_rows_are_worth_one(contest: Contest) -> None:
    effect = contest.result.heads["landmark"].evaluation.design_effect
    assert effect is not None
    assert 3 < effect < 8, "turns of a session share their end"
    assert f"| Design effect | {effect:.1f} |" in card_markdown(contest, [])


# -- calibration error and chance --------------------------------------------------------------------------------------


def _sample(rng: np.random.Generator, off: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """400 callers of four rows that share their end; predictions that are right, or ``off`` too high."""
    chance = rng.uniform(0.05, 0.4, 400)
    units = np.repeat(np.arange(400), 4)
    return (rng.random(400) < chance)[units].astype(np.int64), chance[units] + off, units


def test_the_error_by_chance_is_what_a_model_that_is_right_shows() -> None:
    rng, shown_by_it, said, by_rows = np.random.default_rng(13), [], [], []
    for _ in range(200):
        events, predicted, units = _sample(rng)
        shown_by_it.append(weighted_calibration_error(events, predicted, 10)(np.ones(len(events))))
        said.append(calibration_error_by_chance(events, predicted, units, 10))
        by_rows.append(calibration_error_by_chance(events, predicted, np.arange(len(events)), 10))
    assert np.mean(said) == pytest.approx(np.mean(shown_by_it), rel=0.05)
    assert np.mean(by_rows) < 0.6 * np.mean(shown_by_it), "the control must fail: rows are not independent"


@pytest.mark.parametrize(("off", "is_found"), [(0.0, False), (0.12, True)])
def test_the_interval_of_the_calibration_error_takes_chance_off(off: float, is_found: bool) -> None:
    rng, above, naive = np.random.default_rng(14), 0, 0
    for run in range(40):
        events, predicted, units = _sample(rng, off)
        percentiles = UserBootstrap(units, 60, run).estimate(weighted_calibration_error(events, predicted, 10))
        turned = corrected(percentiles)
        assert turned.value == percentiles.value
        above += turned.low > 0.02
        naive += percentiles.low > 0.02
    assert (above >= 38) if is_found else (above <= 2)
    assert naive >= 20, "percentiles accuse a model that is right"


def test_an_error_without_interval_stays_as_it_is() -> None:
    assert corrected(Estimate(0.1, None, None)) == Estimate(0.1, None, None)
    assert corrected(Estimate(None, None, None)).value is None
    assert math.isclose(corrected(Estimate(0.03, 0.02, 0.05)).high, 0.04)
