"""Minutes of simulation: how often the claim is made where it holds and where it does not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, rel_entr
from threadpoolctl import threadpool_limits

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
    "user": replace(_BASE, base=-3.3, asr_now=-2.2, asr_mean=-1.2, first_time=1.3, rural=1.0),
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
