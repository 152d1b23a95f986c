"""A fitted pipeline as one function of a matrix, without scikit-learn's checks of every call.

Belongs here: the same arithmetic, faster. Does not belong here: fitting.

The checks cost several milliseconds for a single row, the arithmetic hundredths. A test holds both equal to 1e-12;
it would notice a scikit-learn whose trees look different.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from voiceai_assets.models.abandonment.encoding import Floats
from voiceai_assets.models.abandonment.training import probabilities

FEW_ROWS = 300

Scorer = Callable[[Floats], Floats]


def compiled(pipeline: Pipeline) -> Scorer:
    """Probability of the event for each row of ``Schema.matrix``."""
    if isinstance(pipeline.steps[-1][1], LogisticRegression):
        return _logistic(pipeline)
    few = _boosting(pipeline["model"])
    return lambda matrix: few(matrix) if len(matrix) <= FEW_ROWS else probabilities(pipeline, matrix)


def _boosting(model: HistGradientBoostingClassifier) -> Scorer:
    """All trees at once, a level at a time; many rows are better off in scikit-learn's compiled loop."""
    trees = [stage[0].nodes for stage in model._predictors]
    nodes = np.concatenate(trees)
    roots = np.cumsum([0, *(len(tree) for tree in trees[:-1])])
    start = np.repeat(roots, [len(tree) for tree in trees])
    own, is_leaf = np.arange(len(nodes)), nodes["is_leaf"] == 1
    left, right = (np.where(is_leaf, own, start + nodes[side]) for side in ("left", "right"))
    feature, threshold = nodes["feature_idx"].astype(np.int64), nodes["num_threshold"]
    unknown_left, depth = nodes["missing_go_to_left"] == 1, int(nodes["depth"].max())
    baseline = float(np.ravel(model._baseline_prediction)[0])

    def score(matrix: Floats) -> Floats:
        at, row = np.tile(roots, (len(matrix), 1)), np.arange(len(matrix))[:, None]
        for _ in range(depth):
            value = matrix[row, feature[at]]
            goes_left = np.where(np.isnan(value), unknown_left[at], value <= threshold[at])
            at = np.where(goes_left, left[at], right[at])
        found: Floats = expit(baseline + nodes["value"][at].sum(axis=1))
        return found

    return score


def _logistic(pipeline: Pipeline) -> Scorer:
    fill, scale, model = (pipeline[name] for name in ("fill", "scale", "model"))
    medians = np.asarray(fill.statistics_, dtype=np.float64)
    flagged = np.asarray(fill.indicator_.features_, dtype=np.int64)
    weights = model.coef_[0] / scale.scale_
    intercept = float(model.intercept_[0] - (weights * scale.mean_).sum())
    of_values, of_flags = weights[: len(medians)], weights[len(medians) :]

    def score(matrix: Floats) -> Floats:
        unknown = np.isnan(matrix)
        filled = np.where(unknown, medians, matrix)
        found: Floats = expit(filled @ of_values + unknown[:, flagged] @ of_flags + intercept)
        return found

    return score
