"""Minutes of simulation: how often the claim is made where it holds and where it does not, and true coefficients."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from voiceai_assets.models.abandonment.coefficients import coefficients
from voiceai_assets.models.abandonment.encoding import Schema
from voiceai_assets.models.abandonment.evidence import claim
from voiceai_assets.models.abandonment.features import prefix_table
from voiceai_assets.models.abandonment.training import TrainingConfig, train
from voiceai_assets.synthetic.config import WorldConfig, linear, null_asr
from voiceai_assets.synthetic.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def _verdicts(worlds: list[WorldConfig]) -> list[str]:
    found = []
    with threadpool_limits(limits=1):
        for config in worlds:
            result = train(prefix_table(*World(config).facts()), TrainingConfig(resamples=100))
            found.append(claim(result, "hazard").verdict)
    return found


def test_the_claim_is_made_in_twenty_of_twenty_worlds_where_it_holds() -> None:
    worlds = [linear(users=3000, days=20, sessions_per_day=250, seed=seed) for seed in range(20)]
    assert _verdicts(worlds) == ["true"] * 20


def test_the_claim_is_made_in_none_of_forty_worlds_where_it_does_not_hold() -> None:
    worlds = [null_asr(users=3000, days=20, sessions_per_day=250, seed=seed) for seed in range(40)]
    assert "true" not in _verdicts(worlds)


def test_the_true_coefficients_are_found() -> None:
    config = linear(users=30_000, days=30, sessions_per_day=2500, seed=9)
    table = prefix_table(*World(config).facts())
    names = ("asr_now", "asr_mean", "error_now", "errors_in_row", "log_latency", "k")
    schema = Schema(names, {"user_type": ("returning", "first_time")})
    spread = {name: table[name].std(ddof=0) for name in names} | {"user_type = first_time": 1.0}
    found = {
        c.name: (np.log(c.odds_ratio) / spread[c.name], np.log([c.low, c.high]) / spread[c.name])
        for c in coefficients(table, schema, "hazard")
    }
    truth = {
        "asr_now": config.hazard.asr_now,
        "asr_mean": config.hazard.asr_mean,
        "error_now": config.hazard.error_now,
        "errors_in_row": config.hazard.errors_in_row,
        "log_latency": config.hazard.log_latency,
        "k": config.hazard.turn,
        "user_type = first_time": config.hazard.first_time,
    }
    for name, true in truth.items():
        value, (low, high) = found[name]
        standard_error = (high - low) / (2 * 1.96)
        assert abs(value - true) <= 3 * standard_error, name
        print(name, true, value, standard_error)
    # both are lines of the same confidence: what they do together is known best
    together = found["asr_now"][0] + found["asr_mean"][0]
    assert together == pytest.approx(config.hazard.asr_now + config.hazard.asr_mean, rel=0.03)
