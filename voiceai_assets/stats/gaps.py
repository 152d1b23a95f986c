"""A difference between two groups of callers that nobody randomised: as observed, and at the same mix of callers.

Belongs here: the mathematics, from sums by stratum and group of users to two differences with intervals. Does not
belong here: SQL, which groups are compared, words for people.

Both are observational. Standardisation removes what the strata explain and nothing else; of the rest, a difference
says as little about causes as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from voiceai_assets.stats.intervals import MIN_USERS, Change, t_quantile

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Gap:
    """Completion of one group minus that of the other; a share, so 0.03 is three points.

    Attributes:
        observed: rate minus rate.
        standardised: as if both groups were made up of strata as all sessions together are.
        compared_share: share of sessions that lie in strata with both groups; standardised speaks of those alone.
        n_sessions, n_others: ended sessions of either group.
        n_clusters: users, or groups of users, that the intervals rest on.
    """

    observed: Change
    standardised: Change
    compared_share: float
    n_sessions: int
    n_others: int
    n_clusters: int


def completion_gap(
    strata: npt.ArrayLike,
    is_member: npt.ArrayLike,
    clusters: npt.ArrayLike,
    completed: npt.ArrayLike,
    ended: npt.ArrayLike,
) -> Gap | None:
    """The gap from rows of sums; None where one of the groups has no ended session.

    The standardised gap is the g-formula with a saturated model: rates within strata, weighted by how many sessions of
    either group the stratum has (Robins 1986, Mathematical Modelling 7:1393; Miettinen 1972, Am. J. Epidemiol.
    96:383). Strata that hold one group only can be compared with nothing and are left out. Intervals leave out one
    cluster at a time (delete-one jackknife, Wolter 2007, Introduction to Variance Estimation, ch. 4) with a t quantile;
    there are none below 30 clusters.

    Args:
        strata: per row, any label of what is held equal.
        is_member: per row, whether its sessions are of the first group.
        clusters: per row, user or group of users.
        completed: per row, how many of its sessions completed.
        ended: per row, how many ended.

    Raises:
        ValueError: where a row completed more sessions than ended.
    """
    done, all_ended = np.asarray(completed, dtype=float), np.asarray(ended, dtype=float)
    if (done > all_ended).any() or (done < 0).any():
        raise ValueError("a row has more completed sessions than ended ones")
    stratum, n_strata = _codes(strata)
    cluster, n_clusters = _codes(clusters)
    shape = (n_clusters, n_strata, 2)
    at = (cluster, stratum, np.asarray(is_member).astype(int))
    sums = np.zeros((2, *shape))
    np.add.at(sums[0], at, done)
    np.add.at(sums[1], at, all_ended)
    total = sums.sum(axis=1)
    if not total[1].sum(axis=0).all():
        return None
    without = total[:, None] - sums  # one cluster left out at a time
    is_enough = n_clusters >= MIN_USERS
    return Gap(
        observed=_jackknifed(_observed(total), _observed(without) if is_enough else None),
        standardised=_jackknifed(_standardised(total), _standardised(without) if is_enough else None),
        compared_share=float(total[1][_holds_both(total[1])].sum() / total[1].sum()),
        n_sessions=int(total[1, :, 1].sum()),
        n_others=int(total[1, :, 0].sum()),
        n_clusters=n_clusters,
    )


def _codes(labels: npt.ArrayLike) -> tuple[npt.NDArray[np.intp], int]:
    found, codes = np.unique(np.asarray(labels), return_inverse=True)
    return codes.ravel(), len(found)


def _holds_both(ended: Floats) -> npt.NDArray[np.bool_]:
    """(..., strata): strata with sessions of either group."""
    return np.asarray((ended > 0).all(axis=-1))


def _observed(sums: Floats) -> Floats:
    """Rate minus rate of sums (2, ..., strata, group)."""
    done, ended = sums.sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = done / ended
    return np.asarray(rates[..., 1] - rates[..., 0])


def _standardised(sums: Floats) -> Floats:
    """Mean over strata of rate minus rate, by sessions, of sums (2, ..., strata, group)."""
    done, ended = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = done / ended
        gaps = np.where(_holds_both(ended), rates[..., 1] - rates[..., 0], 0.0)
        weights = np.where(_holds_both(ended), ended.sum(axis=-1), 0.0)
        return np.asarray((gaps * weights).sum(axis=-1) / weights.sum(axis=-1))


def _jackknifed(estimate: Floats, without: Floats | None) -> Change:
    """The estimate with its interval; ``without``: (clusters,) the same with one cluster left out."""
    value = float(estimate)
    if not np.isfinite(value):
        return Change(None, None, None)
    if without is None or not np.isfinite(without).all():
        return Change(value, None, None)
    n = len(without)
    variance = (n - 1) / n * float(((without - without.mean()) ** 2).sum())
    half = t_quantile(n - 1) * sqrt(variance)
    return Change(value, value - half, value + half)
