"""What the logistic model says of each feature: odds ratios per standard deviation, with intervals for returning users.

Belongs here: the unpenalised regression that is read. Does not belong here: the penalised one that predicts.

Penalised coefficients have no honest interval, so the same rows are fitted again without penalty. Users return, so the
variance is that of a cluster per user (Liang and Zeger 1986), which statsmodels computes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy.linalg import qr
from statsmodels.tools.sm_exceptions import PerfectSeparationError, PerfectSeparationWarning

from voiceai_assets.models.abandonment.encoding import Floats, Schema
from voiceai_assets.models.abandonment.training import HEADS, units_of

INDEPENDENT = 1e-8  # a column that the others explain but for this share is left out
MOST_ODDS = 700.0  # exp overflows beyond


@dataclass(frozen=True)
class Coefficient:
    """Odds ratio of a feature: per standard deviation for numbers, against all other values for a category's level.

    The interval is None where a value is so rare that the users who have it do not vary.
    """

    name: str
    odds_ratio: float
    low: float | None
    high: float | None
    p_value: float | None


def coefficients(table: pd.DataFrame, schema: Schema, head: str) -> tuple[Coefficient, ...]:
    """Fit on the training rows, by the names of ``schema.columns``; what the others already say is left out.

    Unknown numbers take the mean. Empty where the outcome is separated perfectly: there is no finite ratio then.
    """
    matrix, names = _standardised(schema.matrix(table), schema)
    events = table[HEADS[head]].to_numpy(dtype=np.float64)
    design = sm.add_constant(matrix, has_constant="add")
    with warnings.catch_warnings():
        warnings.simplefilter("error", PerfectSeparationWarning)
        try:
            fit = sm.GLM(events, design, family=sm.families.Binomial()).fit(
                cov_type="cluster", cov_kwds={"groups": units_of(table)}
            )
        except (PerfectSeparationError, PerfectSeparationWarning):
            return ()
    bounds = np.clip(np.asarray(fit.conf_int()), -MOST_ODDS, MOST_ODDS)
    return tuple(
        Coefficient(
            name=name,
            odds_ratio=float(np.exp(fit.params[index])),
            low=_known(np.exp(bounds[index, 0])),
            high=_known(np.exp(bounds[index, 1])),
            p_value=_known(fit.pvalues[index]),
        )
        for index, name in enumerate(names, start=1)
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _standardised(matrix: Floats, schema: Schema) -> tuple[Floats, list[str]]:
    """Numbers in standard deviations, levels as 0 and 1 without the most frequent one; linearly independent columns."""
    filled = np.where(np.isnan(matrix), np.nanmean(np.where(np.isnan(matrix).all(0), 0.0, matrix), axis=0), matrix)
    numbers = len(schema.numeric)
    names, kept = schema.columns, []
    reference = {f"{name} = {levels[0]}" for name, levels in schema.levels.items() if levels}
    for index, name in enumerate(names):
        if filled[:, index].std() > 0 and name not in reference:
            kept.append(index)
    columns = filled[:, kept]
    scale = np.where(np.array(kept) < numbers, columns.std(axis=0), 1.0)
    columns = (columns - columns.mean(axis=0)) / scale
    _, triangle, order = qr(columns / columns.std(axis=0), mode="economic", pivoting=True)
    sizes = np.abs(np.diag(triangle))
    independent = sorted(order[: int((sizes > INDEPENDENT * sizes[0]).sum())])
    return columns[:, independent], [names[kept[index]] for index in independent]
