"""Has what callers bring changed since the model learned? Population stability index per feature.

Belongs here: the index and its verdict. Does not belong here: what is done about it.

PSI = sum over bins of (now - then) * ln(now / then); bins are deciles of the reference, plus one for unknown values
(Siddiqi 2006; .10 and .20 are his thresholds). Below 1,000 rows on either side it is noise and not computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from voiceai_assets.models.abandonment.encoding import UNKNOWN, Floats, Schema

BINS = 10
FEWEST_ROWS = 1000
WARN, ACT = 0.10, 0.20
LEAST_SHARE = 1e-4  # an empty bin would be infinitely far away
#: What is known of callers from before grows with the age of the platform, and an alarm every week says nothing. What
#: comes of it shows in the calibration.
GROWS_ANYHOW = frozenset({"earlier_sessions", "earlier_abandoned_share"})

State = Literal["stable", "warn", "act", "too few rows"]


def reference(table: pd.DataFrame, schema: Schema) -> dict[str, Any]:
    """What the card remembers of the training rows: edges and shares of each feature, and the number of rows."""
    features: dict[str, Any] = {}
    for name in schema.numeric:
        values = table[name].to_numpy(dtype=np.float64)
        known = values[~np.isnan(values)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.empty(0)
        features[name] = {"edges": edges.tolist(), "shares": _number_shares(values, edges).tolist()}
    for name, levels in schema.levels.items():
        if levels:
            features[name] = {"levels": list(levels), "shares": _level_shares(table[name], levels).tolist()}
    return {"rows": len(table), "features": features}


def stability(then: Mapping[str, Any], table: pd.DataFrame) -> dict[str, float]:
    """Feature -> PSI of ``table`` against a ``reference``, without what grows anyhow.

    Empty where either side has too few rows.
    """
    if min(int(then["rows"]), len(table)) < FEWEST_ROWS:
        return {}
    found = {}
    for name, known in then["features"].items():
        if name in GROWS_ANYHOW:
            continue
        if "edges" in known:
            now = _number_shares(table[name].to_numpy(dtype=np.float64), np.array(known["edges"]))
        else:
            now = _level_shares(table[name], known["levels"])
        found[name] = population_stability_index(np.array(known["shares"]), now)
    return found


def population_stability_index(then: Floats, now: Floats) -> float:
    """PSI of two vectors of shares over the same bins."""
    before, after = np.maximum(then, LEAST_SHARE), np.maximum(now, LEAST_SHARE)
    return float(((after - before) * np.log(after / before)).sum())


def state(indices: Mapping[str, float]) -> State:
    """The verdict by the worst feature."""
    if not indices:
        return "too few rows"
    worst = max(indices.values())
    return "act" if worst >= ACT else "warn" if worst >= WARN else "stable"


def _number_shares(values: Floats, edges: Floats) -> Floats:
    unknown = np.isnan(values)
    bins = np.where(unknown, len(edges) + 1, np.searchsorted(edges, np.where(unknown, 0.0, values), side="left"))
    return np.bincount(bins, minlength=len(edges) + 2) / max(len(values), 1)


def _level_shares(column: pd.Series, levels: list[str] | tuple[str, ...]) -> Floats:
    values = column.astype(object).where(column.notna(), UNKNOWN).astype(str)
    shares = [float((values == level).mean()) for level in levels]
    return np.array([*shares, max(0.0, 1 - sum(shares))])
