"""A training run as a whole: both kinds are trained, one becomes the candidate, and the candidate meets the champion.

Belongs here: the order of these steps, from a table to a decision. Does not belong here: any of the steps, files,
Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from voiceai_assets.models.abandonment import drift
from voiceai_assets.models.abandonment.coefficients import Coefficient, coefficients
from voiceai_assets.models.abandonment.evidence import Evidence, gather
from voiceai_assets.models.abandonment.measures import (
    Estimate,
    Floats,
    UserBootstrap,
    corrected,
    weighted_calibration_error,
    weighted_slope,
)
from voiceai_assets.models.abandonment.promotion import Decision, decide
from voiceai_assets.models.abandonment.registry import ModelVersion
from voiceai_assets.models.abandonment.training import HEADS, Kind, TrainingConfig, TrainingResult, gain_over, train


@dataclass(frozen=True)
class Calibration:
    """How the champion's probabilities fare on days that it had not seen and whose outcomes are known by now."""

    slope: Estimate
    ece: Estimate


@dataclass(frozen=True)
class Contest:
    """What came of a training run.

    Attributes:
        results: both kinds.
        boosting_gain: head -> log loss of logistic regression minus that of boosting on the same rows.
        candidate: the kind that is proposed: boosting only where its interval excludes 0.
        champion: the champion's calibration by head; empty without one.
        drift: feature -> PSI of the test rows against what the champion (else the candidate) learned from.
    """

    results: Mapping[Kind, TrainingResult]
    boosting_gain: Mapping[str, Estimate]
    candidate: Kind
    evidence: Evidence
    odds: Mapping[str, tuple[Coefficient, ...]]
    decision: Decision
    champion: Mapping[str, Calibration]
    drift: Mapping[str, float]
    drift_reference: Mapping[str, Any]

    @property
    def result(self) -> TrainingResult:
        """The candidate's."""
        return self.results[self.candidate]

    def as_dict(self) -> dict[str, Any]:
        """What the card says beyond the measures of the model itself."""
        return {
            "candidate": self.candidate,
            "boosting_gain": {head: asdict(gain) for head, gain in self.boosting_gain.items()},
            "evidence": asdict(self.evidence),
            "odds_ratios": {head: [asdict(c) for c in found] for head, found in self.odds.items()},
            "drift_reference": self.drift_reference,
        }


def compete(
    table: pd.DataFrame, config: TrainingConfig, champion: ModelVersion | None, leaks: Sequence[str] | None = None
) -> Contest:
    """Train both kinds, choose the candidate, gather the evidence and decide.

    Args:
        table: mature rows, sessions in progress included.
        config: ``kind`` is set here.
        champion: the version that scores now.
        leaks: what ``audit.leaks`` found of the table; None where nobody looked, and then nothing is promoted.

    Raises:
        NotEnoughData: as ``training.train``.
    """
    # trees wake all cores for each prediction, which takes longer than the prediction where others use them
    with threadpool_limits(limits=1):
        return _compete(table, config, champion, leaks)


def _compete(
    table: pd.DataFrame, config: TrainingConfig, champion: ModelVersion | None, leaks: Sequence[str] | None
) -> Contest:
    kinds: tuple[Kind, ...] = ("logistic", "boosting")
    results = {kind: train(table, replace(config, kind=kind)) for kind in kinds}
    logistic, boosting = results["logistic"], results["boosting"]
    gains = {
        head: gain_over(
            logistic.parts.outcomes[head], logistic.heads[head].predicted, boosting.heads[head].predicted, config
        )
        for head in HEADS
    }
    low = gains["hazard"].low
    candidate: Kind = "boosting" if low is not None and low > 0 else "logistic"
    result, parts = results[candidate], logistic.parts
    theirs = None if champion is None else champion.score(champion.schema.matrix(parts.later))
    reference = drift.reference(parts.earlier, result.schema)
    then = reference if champion is None else champion.card["extra"].get("drift_reference", reference)
    return Contest(
        results=results,
        boosting_gain=gains,
        candidate=candidate,
        evidence=gather(result, table),
        odds={head: coefficients(parts.earlier, logistic.schema, head) for head in HEADS},
        decision=decide(result, theirs, leaks),
        champion={} if theirs is None else _calibration(result, theirs),
        drift=drift.stability(then, parts.later),
        drift_reference=reference,
    )


def _calibration(result: TrainingResult, predicted: Mapping[str, Floats]) -> dict[str, Calibration]:
    config, found = result.config, {}
    for head, outcomes in result.parts.outcomes.items():
        bootstrap = UserBootstrap(outcomes.units, config.resamples, config.seed)
        values: Floats = np.asarray(predicted[head])
        found[head] = Calibration(
            slope=bootstrap.estimate(weighted_slope(outcomes.events, values)),
            ece=corrected(bootstrap.estimate(weighted_calibration_error(outcomes.events, values, config.bins))),
        )
    return found
