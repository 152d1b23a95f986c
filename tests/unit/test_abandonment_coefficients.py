"""Odds ratios against true coefficients: found one by one, nulls called something as often as chance does.

Tables come straight from the blocks of the world: ``prefix_table`` makes the same columns (``test_synthetic_world``
holds them to 1e-12), a hundred times more slowly.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from voiceai_assets.models.abandonment.coefficients import Coefficient, coefficients
from voiceai_assets.models.abandonment.encoding import Schema
from voiceai_assets.synthetic.config import Hazard, Speech, WorldConfig, linear
from voiceai_assets.synthetic.dialogue import ABANDONED
from voiceai_assets.synthetic.world import Block, World

NUMBERS = ("asr_now", "asr_mean", "error_now", "errors_in_row", "log_latency", "k")
SCHEMA = Schema(NUMBERS, {"user_type": ("returning", "first_time"), "region": ("urban", "rural")})
MANY_ERRORS = Speech(error_base=-1.0, error_by_doubt=2.0, turn_sd=1.0, user_sd=0.6, session_sd=0.6)
RUNS = 400
AA_BAND, COVERAGE_BAND = (0.020, 0.0875), (0.9125, 0.98)  # of a true 5 % and 95 % with 400 runs


def _table(config: WorldConfig) -> pd.DataFrame:
    """Features and ``label_hazard`` of every turn."""
    world = World(config)
    return pd.concat([_rows(block) for day in range(config.days) for block in world.blocks(day)], ignore_index=True)


def _rows(block: Block) -> pd.DataFrame:
    turns, sessions, of = block.turns, block.sessions, block.turns.session
    return pd.DataFrame(
        {
            "session_date": block.day.date.isoformat(),
            "session_id": sessions.id[of],
            "user_id": pd.Series(sessions.user[of]).astype(str),
            "asr_now": turns.asr,
            "asr_mean": turns.asr_mean,
            "error_now": (turns.error > 0).astype(float),
            "errors_in_row": turns.errors_in_row,
            "log_latency": np.log1p(turns.total_ms),
            "k": turns.k.astype(float),
            "user_type": np.where(sessions.is_first[of], "first_time", "returning"),
            "region": np.where(sessions.is_rural[of], "rural", "urban"),
            "label_hazard": (turns.ended == ABANDONED).astype(np.int64),
        }
    )


def _truth(hazard: Hazard) -> dict[str, float]:
    return {
        "asr_now": hazard.asr_now,
        "asr_mean": hazard.asr_mean,
        "error_now": hazard.error_now,
        "errors_in_row": hazard.errors_in_row,
        "log_latency": hazard.log_latency,
        "k": hazard.turn,
        "user_type = first_time": hazard.first_time,
        "region = rural": hazard.rural,
    }


def _per_unit(found: tuple[Coefficient, ...], table: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Name -> (estimate, low, high) on the logit, per unit of the feature instead of per standard deviation."""
    per_unit = {}
    for one in found:
        spread = float(table[one.name].std(ddof=0)) if one.name in NUMBERS else 1.0
        value, low, high = np.log([one.odds_ratio, one.low, one.high]) / spread
        per_unit[one.name] = (value, low, high)
    return per_unit


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nulls_are_found_and_true_coefficients_missed_as_often_as_chance_does() -> None:
    """400 small worlds without frailty; to be rural and to call for the first time do nothing in them.

    Errors are frequent, or a world of 1,500 turns has none in a row and cannot tell its two coefficients apart.
    """
    hazard = replace(linear().hazard, first_time=0.0, rural=0.0)
    truth = _truth(hazard)
    nulls = ("user_type = first_time", "region = rural")
    fired, covered = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0)
    with threadpool_limits(limits=1):
        for seed in range(RUNS):
            table = _table(
                linear(users=400, days=2, sessions_per_day=200, seed=seed, hazard=hazard, speech=MANY_ERRORS)
            )
            found = coefficients(table, SCHEMA, "hazard")
            for one in found:
                fired[one.name] += one.p_value < 0.05
            for name, (_, low, high) in _per_unit(found, table).items():
                covered[name] += low <= truth[name] <= high
    assert {name: share for name in nulls if not AA_BAND[0] <= (share := fired[name] / RUNS) <= AA_BAND[1]} == {}
    outside = {
        name: share for name in truth if not COVERAGE_BAND[0] <= (share := covered[name] / RUNS) <= COVERAGE_BAND[1]
    }
    print({name: (fired[name] / RUNS, covered[name] / RUNS) for name in truth})
    assert outside == {}
    assert fired["asr_now"] / RUNS > 0.5, "what does something is found more often"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_each_true_coefficient_is_found_to_three_percent() -> None:
    """Two and a half million turns of a world in which every part matters, so that 3 % is more than chance.

    In the default world errors and latency matter so little that chance alone would need hundreds of millions.
    """
    hazard = Hazard(
        base=-3.2,
        asr_now=-5.0,
        asr_mean=-4.0,
        error_now=0.8,
        errors_in_row=0.6,
        log_latency=1.0,
        turn=-0.3,
        first_time=0.8,
        rural=0.6,
        frailty=0.0,
    )
    table = _table(linear(users=400_000, days=5, sessions_per_day=160_000, seed=9, hazard=hazard, speech=MANY_ERRORS))
    found = _per_unit(coefficients(table, SCHEMA, "hazard"), table)
    for name, true in _truth(hazard).items():
        value, low, high = found[name]
        print(f"{name}: {value:.4f} [{low:.4f}, {high:.4f}], true {true}, off {value / true - 1:+.2%}")
        assert (high - low) / 2 < 0.03 * abs(true), f"{name}: 3 % would be chance"
        assert abs(value - true) <= 0.03 * abs(true), name
