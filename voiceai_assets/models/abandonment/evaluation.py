"""How good are these probabilities? Discrimination, calibration and user-bootstrap intervals.

Belongs here: measures of a vector of probabilities against 0/1 outcomes; arrays in, frozen values out.
Does not belong here: fitting, features, files.

Callers return and sessions have many turns, so rows are not independent: intervals resample users with all their rows.
Whatever cannot be computed is None, never NaN and never a default that looks like a finding.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

CLIP = 1e-12  # keeps log loss finite for a probability of exactly 0 or 1
SAME_LOGIT = 1e-9  # predictions closer than this are one value, which has no slope
USABLE_RESAMPLES = 0.9  # with fewer usable ones (both classes present) the percentiles would be of a selection


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; None where it cannot be computed."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Bin:
    """Rows of similar predicted probability: mean prediction, share of events, number of rows."""

    predicted: float
    observed: float
    count: int


@dataclass(frozen=True)
class Evaluation:
    """Measures of one head on the test days. Loss in nats, the rest as shares."""

    rows: int
    sessions: int
    users: int
    base_rate: float
    auc: Estimate
    pr_auc: float | None
    log_loss: Estimate
    brier: float
    calibration_slope: float | None
    ece: float
    auc_by_turn: Mapping[str, Estimate]
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Outcomes:
    """What happened on the test rows: 0/1 ``events``, the ``turn`` k, and codes from 0 of ``sessions`` and ``units``.

    A unit is what the bootstrap resamples: a user, or a session whose user is unknown. ``users`` counts the known ones.
    """

    events: Integers
    turn: Integers
    sessions: Integers
    units: Integers
    users: int


@dataclass(frozen=True)
class UserBootstrap:
    """Percentile intervals over resampled units (Efron and Tibshirani 1993, ch. 13); the same resamples every time."""

    units: Integers
    resamples: int
    seed: int

    def estimate(self, measure: Callable[[Floats], float]) -> Estimate:
        """Value and 95 % interval of a measure that takes one weight per row and returns NaN where undefined."""
        value = measure(np.ones(len(self.units)))
        if not math.isfinite(value):
            return Estimate(None, None, None)
        rng = np.random.default_rng(self.seed)
        count = int(self.units.max()) + 1
        values = np.empty(self.resamples)
        for index in range(self.resamples):
            drawn = np.bincount(rng.integers(count, size=count), minlength=count)
            values[index] = measure(drawn[self.units].astype(np.float64))
        usable = values[np.isfinite(values)]
        if len(usable) < max(1, USABLE_RESAMPLES * self.resamples):
            return Estimate(float(value), None, None)
        low, high = np.percentile(usable, [2.5, 97.5])
        return Estimate(float(value), float(low), float(high))


def weighted_auc(events: Integers, scores: Floats) -> Callable[[Floats], float]:
    """AUC as a function of row weights: the Mann-Whitney form with ties counted half; NaN where a class is missing.

    Sorting is done once, so that a bootstrap costs one pass per resample.
    """
    order = np.argsort(scores, kind="stable")
    ranked, event = scores[order], events[order].astype(np.float64)
    starts = np.flatnonzero(np.r_[True, np.diff(ranked) > 0]) if len(ranked) else np.zeros(0, dtype=np.int64)

    def auc(weights: Floats) -> float:
        if not len(ranked):
            return math.nan
        weight = weights[order]
        positive = np.add.reduceat(weight * event, starts)
        negative = np.add.reduceat(weight * (1 - event), starts)
        pairs = positive.sum() * negative.sum()
        below = np.cumsum(negative) - negative
        return float((positive * (below + negative / 2)).sum() / pairs) if pairs > 0 else math.nan

    return auc


def row_losses(events: Integers, probabilities: Floats) -> Floats:
    """Log loss of each row, in nats."""
    clipped = np.clip(probabilities, CLIP, 1 - CLIP)
    return -np.where(events == 1, np.log(clipped), np.log1p(-clipped))


def weighted_mean(values: Floats) -> Callable[[Floats], float]:
    """Mean of ``values`` as a function of row weights."""

    def mean(weights: Floats) -> float:
        total = weights.sum()
        return float((weights * values).sum() / total) if total > 0 else math.nan

    return mean


def calibration_bins(events: Integers, probabilities: Floats, bins: int) -> tuple[Bin, ...]:
    """Bins of equal mass by predicted probability; the last ones are a row smaller where it does not divide."""
    order = np.argsort(probabilities, kind="stable")
    return tuple(
        Bin(float(probabilities[part].mean()), float(events[part].mean()), len(part))
        for part in np.array_split(order, bins)
        if len(part)
    )


def expected_calibration_error(bins: tuple[Bin, ...]) -> float:
    """Mean distance between prediction and share of events, weighted by rows (Naeini et al. 2015, equal mass)."""
    rows = sum(part.count for part in bins)
    return sum(abs(part.predicted - part.observed) * part.count for part in bins) / rows


def calibration_slope(events: Integers, probabilities: Floats) -> float | None:
    """Slope of a logistic regression of the outcome on the predicted logit (Cox 1958); 1 is perfect.

    Below 1 the predictions are too extreme. None where there is no slope: one class, or one predicted value.
    """
    clipped = np.clip(probabilities, CLIP, 1 - CLIP)
    logits = np.log(clipped) - np.log1p(-clipped)
    if events.min() == events.max() or np.ptp(logits) < SAME_LOGIT:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            # C=inf: without penalty, as the definition asks
            fit = LogisticRegression(C=np.inf, solver="newton-cholesky").fit(logits.reshape(-1, 1), events)
        except ConvergenceWarning:  # perfectly separated: the slope has no finite value
            return None
    return _finite(float(fit.coef_[0, 0]))


def evaluate(outcomes: Outcomes, probabilities: Floats, bootstrap: UserBootstrap, bins: int = 10) -> Evaluation:
    """Every measure of one vector of probabilities.

    Args:
        outcomes: the test rows, at least one.
        probabilities: one per row.
        bootstrap: made for the same rows.
        bins: of the calibration curve and its error.
    """
    events = outcomes.events
    curve = calibration_bins(events, probabilities, bins)
    has_both = 0 < events.sum() < len(events)
    return Evaluation(
        rows=len(events),
        sessions=len(np.unique(outcomes.sessions)),
        users=outcomes.users,
        base_rate=float(events.mean()),
        auc=bootstrap.estimate(weighted_auc(events, probabilities)),
        pr_auc=_finite(float(average_precision_score(events, probabilities))) if has_both else None,
        log_loss=bootstrap.estimate(weighted_mean(row_losses(events, probabilities))),
        brier=float(((probabilities - events) ** 2).mean()),
        calibration_slope=calibration_slope(events, probabilities),
        ece=expected_calibration_error(curve),
        auc_by_turn={str(turn): _auc_at(turn, outcomes, probabilities, bootstrap) for turn in (1, 2)},
        bins=curve,
    )


def _auc_at(turn: int, outcomes: Outcomes, probabilities: Floats, bootstrap: UserBootstrap) -> Estimate:
    at = outcomes.turn == turn
    auc = weighted_auc(outcomes.events[at], probabilities[at])
    return bootstrap.estimate(lambda weights: auc(weights[at]))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
