"""Minutes of simulation: how often the claim is made where it holds and where it does not, and true coefficients."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, rel_entr
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


def test_the_claim_is_made_in_none_of_forty_worlds_where_asr_does_nothing() -> None:
    worlds = [null_asr(users=3000, days=20, sessions_per_day=250, seed=seed) for seed in range(40)]
    found = _verdicts(worlds)
    print(Counter(found))
    assert "true" not in found


#: ASR matters in each of these, and another group matters more: by half as much again, or several times.
_BASE = linear().hazard
STRONGER = {
    "errors": replace(_BASE, base=-3.0, asr_now=-2.2, asr_mean=-1.2, error_now=1.0, errors_in_row=0.6),
    "latency": replace(_BASE, base=-2.7, asr_now=-2.2, asr_mean=-1.2, log_latency=2.4),
    "position": replace(_BASE, base=-3.2, asr_now=-2.2, asr_mean=-1.2, turn=0.35),
    "user": replace(_BASE, base=-3.1, asr_now=-2.2, asr_mean=-1.2, first_time=1.1, rural=0.8),
    "user by far": replace(_BASE, base=-3.3, asr_now=-1.0, asr_mean=-0.5, first_time=1.5, rural=1.0),
}


def _world(stronger: str, seed: int) -> WorldConfig:
    return linear(users=3000, days=20, sessions_per_day=250, seed=seed, hazard=STRONGER[stronger])


@pytest.mark.parametrize("stronger", STRONGER)
def test_in_these_worlds_another_group_truly_is_stronger(stronger: str) -> None:
    """By the truth itself: each group's part of the true logit is exchanged between turns, as the claim does."""
    config = _world(stronger, 1)
    table, hazard = prefix_table(*World(config).facts()), config.hazard
    parts = {
        "asr": hazard.asr_now * table["asr_now"] + hazard.asr_mean * table["asr_mean"],
        "errors": hazard.error_now * table["error_now"] + hazard.errors_in_row * table["errors_in_row"],
        "latency": hazard.log_latency * table["log_latency"],
        "position": hazard.turn * table["k"],
        "user": hazard.first_time * (table["user_type"] == "first_time") + hazard.rural * (table["region"] == "rural"),
    }
    logit = sum(part.to_numpy() for part in parts.values())
    logit = logit - logit.mean() + np.log(0.09)
    rng, truth = np.random.default_rng(1), expit(logit)
    grows = {}
    for name, part in parts.items():
        exchanged = expit(logit - part + rng.permutation(part))
        grows[name] = float(np.mean(rel_entr(truth, exchanged) + rel_entr(1 - truth, 1 - exchanged)))
    print(stronger, grows)
    assert grows[stronger.split(maxsplit=1)[0]] > 1.3 * grows["asr"] > 0


@pytest.mark.parametrize("stronger", STRONGER)
def test_the_claim_is_never_made_where_another_group_is_stronger(stronger: str) -> None:
    found = _verdicts([_world(stronger, seed) for seed in range(8)])
    print(stronger, Counter(found))
    assert "true" not in found
    assert found.count("false") >= 4, "and it is not for want of power"


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
