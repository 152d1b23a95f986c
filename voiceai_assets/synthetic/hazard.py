"""The truth: what makes a caller give up, and what else may end a session.

Belongs here: the formulas, as functions of arrays. Does not belong here: drawing (``dialogue``).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from voiceai_assets.synthetic.config import ASR_CENTRE, LATENCY_CENTRE, MAX_TURNS, Hazard
from voiceai_assets.synthetic.streams import Floats

_NODES = 9  # of Gauss and Hermite; with a standard deviation of 1 the integral is exact to 1e-6

Bools = NDArray[np.bool_]


def hazard_logit(
    hazard: Hazard, k: int, asr: Floats, asr_mean: Floats, is_error: Bools, errors_in_row: Floats, log_latency: Floats
) -> Floats:
    """What the turns so far add to the logit; what holds for the whole session is added by the caller.

    Args:
        hazard: coefficients.
        k: the turn, from 1.
        asr: confidence of the turn, NaN where nothing was spoken.
        asr_mean: running mean of confidences, NaN likewise.
        is_error: the turn failed.
        errors_in_row: errors in a row, this one included.
        log_latency: log(1 + total_ms).
    """
    late = log_latency - LATENCY_CENTRE
    silent = np.isnan(asr)
    doubt = np.where(silent, 0.0, ASR_CENTRE - asr)
    logit = -hazard.asr_now * doubt - hazard.asr_mean * np.where(silent, 0.0, ASR_CENTRE - asr_mean)
    logit += hazard.error_now * is_error + hazard.errors_in_row * errors_in_row
    logit += hazard.log_latency * late + hazard.turn * (k - 1)
    if hazard.curve:
        logit += hazard.curve * np.clip(doubt / 0.12, -1.5, 1.5) * np.clip(late / 0.3, -1.5, 1.5)
    found: Floats = logit
    return found


def transferring(k: int, errors_in_row: Floats) -> Floats:
    """Chance to be handed over after turn k, given that the caller did not give up; certain at the last turn."""
    if k >= MAX_TURNS:
        return np.ones_like(errors_in_row)
    return np.minimum(0.01 + 0.03 * errors_in_row, 0.4)


def completing(k: int, is_error: Bools) -> Floats:
    """Chance that turn k completes the request, given that neither of the others happened."""
    chance = 0.05 if k == 1 else float(expit(-1.4 + 0.25 * (k - 2)))
    return np.where(is_error, 0.0, chance)


@cache
def _quadrature(nodes: int) -> tuple[Floats, Floats]:
    found, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return found, weights / weights.sum()


class FrailtyPosterior:
    """What can be known about frailty from a session's turns alone: it has not given up yet.

    The hazard of somebody who sees all columns but not the frailty is the mean over this posterior: the best that any
    model of one session's turns can do.
    """

    def __init__(self, standard_deviation: float, sessions: int) -> None:
        nodes, weights = _quadrature(_NODES if standard_deviation > 0 else 1)
        self._nodes = nodes * standard_deviation
        self._weights = np.broadcast_to(weights, (sessions, len(nodes)))

    def hazard(self, logit: Floats) -> Floats:
        """Mean hazard at this turn; then everybody is taken to have stayed."""
        each = expit(logit[:, None] + self._nodes)
        total: Floats = np.einsum("ij,ij->i", each, self._weights) / self._weights.sum(axis=1)
        self._weights = self._weights * (1 - each)
        return total

    def keep(self, stayed: NDArray[np.intp]) -> None:
        """Go on with these."""
        self._weights = self._weights[stayed]
