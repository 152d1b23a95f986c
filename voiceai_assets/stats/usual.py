"""What is usual: limits for a count from counts of the past, and how far a distribution has moved. Pure.

Belongs here: mathematics. Does not belong here: which days are the past (``checks.measured``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, log, sqrt

import numpy as np
from scipy.special import stdtrit

#: Below so many observations a distribution is not compared: a PSI of chance alone is about categories / n.
LEAST_OBSERVATIONS = 1_000
#: A category that one side does not have counts as half an observation, or its logarithm would be infinite.
_HALF = 0.5


def count_limits(past: Sequence[int], alpha: float) -> tuple[int, int]:
    """Least and most that a count may be, given independent counts of comparable days.

    A prediction interval on the scale of ``2 sqrt(x + 3/8)``, where a Poisson count has variance 1 whatever its mean
    (Anscombe, Biometrika 35, 1948). Days vary more than Poisson, so the larger of 1 and the sample variance is taken,
    widened by 1 + 1/k for the mean's own error, with Student's quantile of k - 1 degrees of freedom. Hence a source of
    3 records a day may send 0, one of 30,000 may not send 20,000.

    Args:
        past: counts of at least two days.
        alpha: probability that a usual day lies outside.

    Raises:
        ValueError: for fewer than two counts.
    """
    if len(past) < 2:
        raise ValueError("limits need at least two counts")
    scaled = 2 * np.sqrt(np.asarray(past, dtype=float) + 3 / 8)
    spread = max(1.0, float(np.std(scaled, ddof=1))) * sqrt(1 + 1 / len(past))
    reach = float(stdtrit(len(past) - 1, 1 - alpha / 2)) * spread
    low, high = float(scaled.mean()) - reach, float(scaled.mean()) + reach
    least = 0 if low <= 0 else max(0, int(np.ceil(low * low / 4 - 3 / 8)))
    return least, int(np.floor(high * high / 4 - 3 / 8))


def population_stability(now: Mapping[str, float], before: Mapping[str, float]) -> float | None:
    """Population stability index: sum of (p - q) log(p / q) over the categories; .10 is a shift, .20 a large one.

    None where either side has fewer than ``LEAST_OBSERVATIONS``.
    """
    totals = sum(now.values()), sum(before.values())
    if min(totals) < LEAST_OBSERVATIONS:
        return None
    index = 0.0
    for category in sorted(now.keys() | before.keys()):
        p, q = (max(side.get(category, 0.0), _HALF) / total for side, total in zip((now, before), totals, strict=True))
        index += (p - q) * log(p / q)
    return index if index < inf else None
