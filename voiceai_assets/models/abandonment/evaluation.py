"""How good are these probabilities, overall, by turn and by kind of caller?

Belongs here: which measures are taken of what. Does not belong here: the measures themselves (``measures``), how rows
are parted and what may be shown (``slices``), fitting, files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from voiceai_assets.models.abandonment.measures import (
    Bin,
    Estimate,
    Floats,
    UserBootstrap,
    calibration_bins,
    calibration_error_by_chance,
    corrected,
    row_losses,
    weighted_auc,
    weighted_average_precision,
    weighted_calibration_error,
    weighted_mean,
    weighted_slope,
)
from voiceai_assets.models.abandonment.slices import Outcomes, Rows, most_bins, parts_of, shown
from voiceai_assets.stats.intervals import PRECISE_USERS, Precision, clustered_rate


@dataclass(frozen=True)
class Quality:
    """Measures of some probabilities with user-bootstrap intervals. Loss in nats, the rest as shares.

    ``ece`` is what the rows show, chance included; its interval is of what lies behind, so it may lie below. A model
    that is right would show ``ece_by_chance`` on rows of as many and as similar callers.
    """

    auc: Estimate
    pr_auc: Estimate
    log_loss: Estimate
    brier: Estimate
    calibration_slope: Estimate
    ece: Estimate
    ece_by_chance: float


@dataclass(frozen=True)
class Slice(Quality):
    """Measures of a part of the test rows: a turn or a kind of caller. ``users``: units, of 30 or more.

    ``precision``: below 200 users, "low precision".
    """

    rows: int
    users: int
    precision: Precision
    rate: Estimate


@dataclass(frozen=True)
class Evaluation(Quality):
    """Measures of one head on the test days.

    ``design_effect``: so many rows say as much as one that is independent of all others: sessions of a caller are
    alike, and the turns of a session share their end (None where it cannot be computed). ``slices`` are by turn
    (``turn 1``) and by kind of caller (``region rural``). No part, and no bin, holds fewer than ten users.
    """

    rows: int
    sessions: int
    users: int
    base_rate: float
    design_effect: float | None
    auc_by_turn: Mapping[str, Estimate]
    slices: Mapping[str, Slice]
    bins: tuple[Bin, ...]


def evaluate(outcomes: Outcomes, probabilities: Floats, bootstrap: UserBootstrap, bins: int = 10) -> Evaluation:
    """Every measure of one vector of probabilities.

    Args:
        outcomes: the test rows, at least one.
        probabilities: one per row.
        bootstrap: made for the same rows.
        bins: of the calibration curve and its error; fewer where one would hold fewer than ten users.
    """
    events, units = outcomes.events, outcomes.units
    everything = np.ones(len(events), dtype=np.bool_)
    return Evaluation(
        **_quality(everything, outcomes, probabilities, bootstrap, bins),
        rows=len(events),
        sessions=len(np.unique(outcomes.sessions)),
        users=outcomes.users,
        base_rate=float(events.mean()),
        design_effect=clustered_rate(np.bincount(units, events), np.bincount(units)).design_effect,
        auc_by_turn={str(turn): _auc_at(turn, outcomes, probabilities, bootstrap) for turn in (1, 2)},
        slices={
            name: _slice(at, outcomes, probabilities, bootstrap, bins)
            for parts in parts_of(outcomes).values()
            for name, at in shown(parts, units).items()
        },
        bins=calibration_bins(events, probabilities, most_bins(probabilities, units, bins)),
    )


def _quality(
    at: Rows, outcomes: Outcomes, probabilities: Floats, bootstrap: UserBootstrap, bins: int
) -> dict[str, Any]:
    """The fields of ``Quality`` on some of the rows."""
    events, predicted, units = outcomes.events[at], probabilities[at], outcomes.units[at]
    bins = most_bins(predicted, units, bins)
    estimate = bootstrap.of(at).estimate
    return {
        "auc": estimate(weighted_auc(events, predicted)),
        "pr_auc": estimate(weighted_average_precision(events, predicted)),
        "log_loss": estimate(weighted_mean(row_losses(events, predicted))),
        "brier": estimate(weighted_mean((predicted - events) ** 2)),
        "calibration_slope": estimate(weighted_slope(events, predicted)),
        "ece": corrected(estimate(weighted_calibration_error(events, predicted, bins))),
        "ece_by_chance": calibration_error_by_chance(events, predicted, units, bins),
    }


def _slice(at: Rows, outcomes: Outcomes, probabilities: Floats, bootstrap: UserBootstrap, bins: int) -> Slice:
    events = outcomes.events[at].astype(np.float64)
    users = len(np.unique(outcomes.units[at]))
    return Slice(
        **_quality(at, outcomes, probabilities, bootstrap, bins),
        rows=int(at.sum()),
        users=users,
        precision="ok" if users >= PRECISE_USERS else "low precision",
        rate=bootstrap.of(at).estimate(weighted_mean(events)),
    )


def _auc_at(turn: int, outcomes: Outcomes, probabilities: Floats, bootstrap: UserBootstrap) -> Estimate:
    at = outcomes.turn == turn
    return bootstrap.of(at).estimate(weighted_auc(outcomes.events[at], probabilities[at]))
