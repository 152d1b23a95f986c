"""The bars of STATISTICS.md for both heads: lift of the oracle's, slope, calibration error, both baselines.

The oracle is ``synthetic.oracle.Known``: whoever knows all columns of all the caller's sessions, and of the end of a
session also its level of ASR confidence. The calibration error contains chance (``ece_by_chance``): with 2,400 sessions
to judge by, the truth itself shows up to .017 and the model .008 to .023, so there are twice as many or more here.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from voiceai_assets.models.abandonment.features import prefix_table
from voiceai_assets.models.abandonment.training import HeadResult, TrainingConfig, train
from voiceai_assets.synthetic.config import Release, WorldConfig, linear
from voiceai_assets.synthetic.world import World

LARGE = {"users": 5000, "days": 20, "sessions_per_day": 1000}
FIRST_TEST_DAY = 15
WORLDS = {
    "linear": linear,
    "frailty": lambda **changes: WorldConfig(releases=(Release(0, "dialogue-1.4"),), **changes),
}


@dataclass(frozen=True)
class Bars:
    """What the bars ask of a head: ``gain`` is the lowest bound of the log loss saved against a baseline."""

    lift: float
    slope: float
    ece: float
    gain: float

    def hold(self) -> bool:
        return self.lift >= 0.90 and 0.90 <= self.slope <= 1.10 and self.ece <= 0.02 and self.gain > 0


def _measured(config: WorldConfig, draws: int, resamples: int) -> dict[str, Bars]:
    turns, sessions = World(config).facts(landmark_draws=draws, landmark_from=FIRST_TEST_DAY)
    with threadpool_limits(limits=1):
        result = train(prefix_table(turns, sessions), TrainingConfig(resamples=resamples))
    assert result.test_days[0] == config.day(FIRST_TEST_DAY).isoformat()
    names = ["session_id", "k", "true_hazard_known", "true_landmark_known"]
    later = result.parts.later.merge(turns.rename(columns={"turn_number": "k"})[names], validate="1:1")

    def bars(name: str, head: HeadResult) -> Bars:
        measured = head.evaluation
        oracle = roc_auc_score(later[f"label_{name}"], later[f"true_{name}_known"])
        return Bars(
            lift=(measured.auc.value - 0.5) / (oracle - 0.5),
            slope=measured.calibration_slope.value,
            ece=measured.ece.value,
            gain=min(baseline.gain.low for baseline in head.baselines.values()),
        )

    return {name: bars(name, head) for name, head in result.heads.items()}


def test_both_heads_reach_the_bars_in_the_linear_world() -> None:
    found = _measured(linear(**LARGE, seed=1), draws=100, resamples=60)
    assert {head: bars for head, bars in found.items() if not bars.hold()} == {}
    assert all(bars.lift < 1.02 for bars in found.values()), "the oracle is an upper bound"


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("world", WORLDS)
def test_both_heads_reach_the_bars_whatever_the_seed(world: str) -> None:
    missed = {}
    for seed in range(10, 20):
        for head, bars in _measured(WORLDS[world](**LARGE, seed=seed), draws=200, resamples=200).items():
            print(f"{world} {seed} {head:8} {bars}")
            missed |= {} if bars.hold() else {(seed, head): bars}
            assert bars.lift < 1.02, "the oracle is an upper bound"
    assert missed == {}
