"""What could be known at best: right on average wherever one looks, and better than whoever knows less."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from voiceai_assets.models.abandonment.measures import row_losses
from voiceai_assets.synthetic.config import Hazard, Release, WorldConfig
from voiceai_assets.synthetic.world import World

ONE_RELEASE = (Release(0, "dialogue-1.4"),)


@pytest.fixture(scope="module")
def turns() -> pd.DataFrame:
    """A world whose callers differ a lot and return often, with what happened: ``gave_up`` and ``ends_abandoned``."""
    config = WorldConfig(users=800, days=20, sessions_per_day=300, seed=11, releases=ONE_RELEASE)
    turns, sessions = World(config).facts(landmark_draws=20)
    turns = turns.merge(sessions[["session_id", "final_outcome", "started_at", "true_frailty"]], on="session_id")
    before = sessions.sort_values("started_at").assign(was_left=lambda s: s["final_outcome"] == "abandoned")
    left = before.groupby("user_id")["was_left"]
    earlier = pd.Series((left.cumsum() - before["was_left"]).to_numpy(), index=before["session_id"])
    abandoned = turns["final_outcome"] == "abandoned"
    is_last = ~turns["session_id"].duplicated(keep="last")
    turns = turns.assign(
        gave_up=(abandoned & is_last).astype(int),
        ends_abandoned=abandoned.astype(int),
        earlier_abandoned=turns["session_id"].map(earlier),
    )
    return turns[turns["final_outcome"] != "in_progress"]


def _deviations(happened: pd.Series, chance: pd.Series, user: pd.Series) -> float:
    """Difference of sums over its standard error, a caller's turns summed before they are squared."""
    residuals = (happened - chance).groupby(user).sum()
    return float(residuals.sum() / np.sqrt((residuals**2).sum()))


@pytest.mark.parametrize(
    ("happened", "chance"), [("gave_up", "true_hazard_known"), ("ends_abandoned", "true_landmark_known")]
)
def test_who_knows_the_history_is_right_for_patient_and_impatient_callers(
    turns: pd.DataFrame, happened: str, chance: str
) -> None:
    for earlier in (0, 1, 2, 4):
        rows = turns[turns["earlier_abandoned"] == earlier]
        assert abs(_deviations(rows[happened], rows[chance], rows["user_id"])) < 3.5, earlier


def test_who_sees_this_session_alone_is_wrong_about_them(turns: pd.DataFrame) -> None:
    """So ``true_hazard_seen`` is no upper bound for a model that knows the history."""
    rows = turns[turns["earlier_abandoned"] >= 4]
    assert _deviations(rows["gave_up"], rows["true_hazard_seen"], rows["user_id"]) > 4


def test_to_know_more_is_to_lose_less(turns: pd.DataFrame) -> None:
    events = turns["gave_up"].to_numpy()
    losses = [
        row_losses(events, turns[name].to_numpy()).mean()
        for name in ("true_hazard", "true_hazard_known", "true_hazard_seen")
    ]
    assert losses[0] + 0.005 < losses[1] < losses[2] - 0.002


def test_of_a_caller_who_never_called_before_nobody_knows_the_patience(turns: pd.DataFrame) -> None:
    first = turns.sort_values(["started_at", "turn_number"]).drop_duplicates("user_id")
    for name in ("hazard", "landmark"):
        assert first[f"true_{name}"].corr(first["true_frailty"]) > 0.3
        assert abs(first[f"true_{name}_known"].corr(first["true_frailty"])) < 0.12


def test_a_day_shock_is_known_from_others_so_there_is_no_oracle_of_columns() -> None:
    config = WorldConfig(users=50, days=2, sessions_per_day=20, hazard=Hazard(day_shock=0.5))
    assert "true_hazard_known" not in World(config).facts(landmark_draws=2)[0]
