"""How good are these probabilities? Discrimination, calibration and user-bootstrap intervals.

Belongs here: measures of a vector of probabilities against 0/1 outcomes; arrays in, frozen values out.
Does not belong here: fitting, features, files.

Callers return and sessions have many turns, so rows are not independent: intervals resample users with all their rows.
Whatever cannot be computed is None, never NaN and never a default that looks like a finding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

CLIP = 1e-12  # keeps log loss finite for a probability of exactly 0 or 1
SAME_LOGIT = 1e-9  # predictions closer than this are one value, which has no slope
NEWTON_STEPS, NEWTON_DONE = 30, 1e-10
FEW_USERS = 30  # below, a slice is not judged
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
class Slice:
    """Measures of a part of the test rows: a turn or a kind of caller. The loss is in nats."""

    rows: int
    users: int
    rate: Estimate
    auc: Estimate
    log_loss: Estimate
    ece: Estimate


@dataclass(frozen=True)
class Evaluation:
    """Measures of one head on the test days. Loss in nats, the rest as shares.

    ``ece`` lies below its interval where the sample is small: a resample is always further from calibrated than its
    source. ``slices`` are by turn (``turn 1``) and by kind of caller (``region rural``).
    """

    rows: int
    sessions: int
    users: int
    base_rate: float
    auc: Estimate
    pr_auc: Estimate
    log_loss: Estimate
    brier: Estimate
    calibration_slope: Estimate
    ece: Estimate
    auc_by_turn: Mapping[str, Estimate]
    slices: Mapping[str, Slice]
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Outcomes:
    """What happened on the test rows: 0/1 ``events``, the ``turn`` k, and codes from 0 of ``sessions`` and ``units``.

    A unit is what the bootstrap resamples: a user, or a session whose user is unknown. ``users`` counts the known ones.
    ``segments``: kind -> its value on each row, such as ``region`` -> rural, urban, ...
    """

    events: Integers
    turn: Integers
    sessions: Integers
    units: Integers
    users: int
    segments: Mapping[str, npt.NDArray[np.object_]] = field(default_factory=dict)


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


def weighted_average_precision(events: Integers, scores: Floats) -> Callable[[Floats], float]:
    """Area under precision and recall as a function of row weights (average precision, ties taken together)."""
    order = np.argsort(-scores, kind="stable")
    ranked, event = scores[order], events[order].astype(np.float64)
    ends = np.flatnonzero(np.r_[np.diff(ranked) < 0, True]) if len(ranked) else np.zeros(0, dtype=np.int64)

    def average_precision(weights: Floats) -> float:
        weight = weights[order]
        hits, taken = np.cumsum(weight * event)[ends], np.cumsum(weight)[ends]
        if not len(ends) or hits[-1] <= 0 or hits[-1] >= taken[-1]:
            return math.nan
        precision = hits / np.where(taken > 0, taken, 1)
        return float((np.diff(hits, prepend=0.0) * precision).sum() / hits[-1])

    return average_precision


def weighted_slope(events: Integers, probabilities: Floats) -> Callable[[Floats], float]:
    """Slope of a logistic regression of the outcome on the predicted logit (Cox 1958), as a function of row weights.

    1 is perfect; below, the predictions are too extreme. NaN where there is no slope: one class, one predicted value,
    or perfect separation. Newton's method without penalty, as the definition asks.
    """
    clipped = np.clip(probabilities, CLIP, 1 - CLIP)
    logits = np.log(clipped) - np.log1p(-clipped)

    def slope(weights: Floats) -> float:
        positive = float((weights * events).sum())
        if np.ptp(logits) < SAME_LOGIT or positive <= 0 or positive >= weights.sum():
            return math.nan
        intercept, found = 0.0, 1.0
        for _ in range(NEWTON_STEPS):
            fitted = 1 / (1 + np.exp(-np.clip(intercept + found * logits, -500, 500)))
            residual, curvature = weights * (events - fitted), weights * fitted * (1 - fitted)
            a, b, c = curvature.sum(), (curvature * logits).sum(), (curvature * logits**2).sum()
            determinant = a * c - b * b
            if not determinant > 0:
                return math.nan
            first, second = residual.sum(), (residual * logits).sum()
            step = ((c * first - b * second) / determinant, (a * second - b * first) / determinant)
            intercept, found = intercept + step[0], found + step[1]
            if abs(step[0]) + abs(step[1]) < NEWTON_DONE:
                return float(found)
        return math.nan

    return slope


def weighted_calibration_error(events: Integers, probabilities: Floats, bins: int) -> Callable[[Floats], float]:
    """Expected calibration error over bins of equal mass, as a function of row weights; the bins stay as they are."""
    number = np.empty(len(events), dtype=np.int64)
    for index, part in enumerate(np.array_split(np.argsort(probabilities, kind="stable"), bins)):
        number[part] = index
    distance = probabilities - events

    def error(weights: Floats) -> float:
        total = weights.sum()
        return float(np.abs(np.bincount(number, weights * distance)).sum() / total) if total > 0 else math.nan

    return error


def calibration_slope(events: Integers, probabilities: Floats) -> float | None:
    """The slope of all rows, or None where there is none."""
    return _finite(weighted_slope(events, probabilities)(np.ones(len(events))))


def evaluate(outcomes: Outcomes, probabilities: Floats, bootstrap: UserBootstrap, bins: int = 10) -> Evaluation:
    """Every measure of one vector of probabilities.

    Args:
        outcomes: the test rows, at least one.
        probabilities: one per row.
        bootstrap: made for the same rows.
        bins: of the calibration curve and its error.
    """
    events = outcomes.events
    estimate = bootstrap.estimate
    return Evaluation(
        rows=len(events),
        sessions=len(np.unique(outcomes.sessions)),
        users=outcomes.users,
        base_rate=float(events.mean()),
        auc=estimate(weighted_auc(events, probabilities)),
        pr_auc=estimate(weighted_average_precision(events, probabilities)),
        log_loss=estimate(weighted_mean(row_losses(events, probabilities))),
        brier=estimate(weighted_mean((probabilities - events) ** 2)),
        calibration_slope=estimate(weighted_slope(events, probabilities)),
        ece=estimate(weighted_calibration_error(events, probabilities, bins)),
        auc_by_turn={str(turn): _auc_at(turn, outcomes, probabilities, bootstrap) for turn in (1, 2)},
        slices={
            name: _slice(at, outcomes, probabilities, bootstrap, bins)
            for name, at in slices_of(outcomes).items()
            if len(np.unique(outcomes.units[at])) >= FEW_USERS
        },
        bins=calibration_bins(events, probabilities, bins),
    )


def slices_of(outcomes: Outcomes) -> dict[str, npt.NDArray[np.bool_]]:
    """Name -> rows of each turn until the fifth, of the later ones together, and of each value of each segment."""
    found = {f"turn {turn}": outcomes.turn == turn for turn in range(1, 6)}
    found["turn 6 and later"] = outcomes.turn >= 6
    for kind, values in outcomes.segments.items():
        names = sorted({str(value) for value in values})
        if len(names) > 1:  # else it is everybody once more
            found |= {f"{kind} {value}": values == value for value in names}
    return found


def _slice(
    at: npt.NDArray[np.bool_], outcomes: Outcomes, probabilities: Floats, bootstrap: UserBootstrap, bins: int
) -> Slice:
    events, predicted = outcomes.events[at], probabilities[at]

    def estimate(measure: Callable[[Floats], float]) -> Estimate:
        return bootstrap.estimate(lambda weights: measure(weights[at]))

    return Slice(
        rows=int(at.sum()),
        users=len(np.unique(outcomes.units[at])),
        rate=estimate(weighted_mean(events.astype(np.float64))),
        auc=estimate(weighted_auc(events, predicted)),
        log_loss=estimate(weighted_mean(row_losses(events, predicted))),
        ece=estimate(weighted_calibration_error(events, predicted, bins)),
    )


def _auc_at(turn: int, outcomes: Outcomes, probabilities: Floats, bootstrap: UserBootstrap) -> Estimate:
    at = outcomes.turn == turn
    auc = weighted_auc(outcomes.events[at], probabilities[at])
    return bootstrap.estimate(lambda weights: auc(weights[at]))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
