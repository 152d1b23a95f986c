"""Intervals for rates and means whose sessions come from returning users.

Belongs here: the mathematics, from per-user sums (or their squares and products) to an estimate with an interval.
Does not belong here: SQL, I/O, rounding, words for people.

Users return, so sessions are not independent: the naive binomial interval covered 85-87 % instead of 95 %. A user is
therefore one cluster. A session without a user id counts as a cluster of its own; the caller passes it as one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

CONFIDENCE = 0.95
#: Below this many users there is no comparison, below the second figure an estimate is called imprecise.
MIN_USERS, PRECISE_USERS = 30, 200

Precision = Literal["no comparison", "low precision", "ok"]
#: What is taken as independent: a user, or a bucket of users where there are too many to tell apart. Hashing users into
#: 200 buckets that never change keeps one user's sessions together; false positives stay at 4.5 to 5.5 %.
Cluster = Literal["user", "group of users"]


@dataclass(frozen=True)
class Rate:
    """An estimate with what it rests on; what could not be computed is None, never NaN."""

    numerator: float
    denominator: float
    n_users: int
    estimate: float | None
    low: float | None
    high: float | None
    design_effect: float | None
    method: str
    cluster: Cluster = "user"

    @property
    def precision(self) -> Precision:
        """What may be done with the estimate, by the number of users (or of groups of many) behind it."""
        if self.n_users < MIN_USERS:
            return "no comparison"
        return "low precision" if self.cluster == "user" and self.n_users < PRECISE_USERS else "ok"


@dataclass(frozen=True)
class Sums:
    """All that an interval needs to know of the users: sums over users of n, d, n*n, n*d and d*d.

    ``n`` and ``d`` are one user's numerator and denominator; only users with ``d > 0`` are counted in ``n_users``.
    With ``cluster="group of users"`` read "group" for "user" everywhere.
    """

    n_users: int
    n: float
    d: float
    nn: float
    nd: float
    dd: float
    cluster: Cluster = "user"

    @classmethod
    def of(cls, numerators: ArrayLike, denominators: ArrayLike) -> Sums:
        """From one value per user.

        Raises:
            ValueError: for arrays of different length, values that are not finite, or a negative denominator, or a
                numerator where there is no denominator.
        """
        n = np.asarray(numerators, dtype=float).ravel()
        d = np.asarray(denominators, dtype=float).ravel()
        if n.shape != d.shape:
            raise ValueError(f"{n.size} numerators but {d.size} denominators; expected one of each per user")
        if not (np.isfinite(n).all() and np.isfinite(d).all()):
            raise ValueError("a user's sum is not finite; leave the missing value out of both sums")
        if (d < 0).any() or (n[d == 0] != 0).any():
            raise ValueError("a user has a negative denominator, or a numerator without a denominator")
        return cls(int((d > 0).sum()), float(n.sum()), float(d.sum()), float(n @ n), float(n @ d), float(d @ d))

    def robust_variance(self) -> float | None:
        """Variance of n / d by linearisation with users as clusters; None with fewer than two users.

        ``v = m / (m - 1) * sum(r_i^2) / d^2`` with ``r_i = n_i - p * d_i`` over m users (Cochran 1977, Sampling
        Techniques, 6.4 and 9A; Rao & Scott 1992, Biometrics 48:577).
        """
        if self.n_users <= 1:
            return None
        p = self.n / self.d
        residuals = self.nn - 2 * p * self.nd + p * p * self.dd
        return self.n_users / (self.n_users - 1) * max(0.0, residuals) / self.d**2


@dataclass(frozen=True)
class CrossSums:
    """Sums over users of products across two periods: (n or d now) times (n or d before)."""

    nn: float
    nd: float
    dn: float
    dd: float

    def correlation(self, now: Sums, before: Sums) -> float:
        """Correlation of the two ratios through users who were there in both periods; 0 where there is none."""
        v1, v0 = now.robust_variance(), before.robust_variance()
        if not v1 or not v0:
            return 0.0
        p1, p0 = now.n / now.d, before.n / before.d
        covariance = (self.nn - p0 * self.nd - p1 * self.dn + p1 * p0 * self.dd) / (now.d * before.d)
        return min(1.0, max(-1.0, covariance / sqrt(v1 * v0)))


@dataclass(frozen=True)
class Change:
    """Difference of two estimates; ``low`` and ``high`` are None where no comparison is allowed or possible."""

    estimate: float | None
    low: float | None
    high: float | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes no change at all."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def clustered_rate(numerators: ArrayLike, denominators: ArrayLike) -> Rate:
    """Ratio of sums of a share, with an interval that knows that one user's sessions are alike; see `rate`.

    Args:
        numerators: one value per user: sessions (or turns) of theirs that count.
        denominators: one value per user: all of theirs that could have counted.
    """
    return rate(Sums.of(numerators, denominators))


def clustered_mean(sums: ArrayLike, counts: ArrayLike, *, bounds: tuple[float, float] = (-inf, inf)) -> Rate:
    """Mean over all observations from each user's sum and count, with users as clusters; see `mean`."""
    return mean(Sums.of(sums, counts), bounds=bounds)


def rate(sums: Sums) -> Rate:
    """Wilson interval of a share with ``n_eff = n / design effect`` and a t quantile with users - 1 degrees of freedom.

    The design effect is the robust over the binomial variance (Rao & Scott 1992, Biometrics 48:577); Wilson with that
    effective size and t is among what Dean & Pagano (2015, J. Survey Stat. Methodol. 3:484) recommend for clusters.

    Below 1 the design effect is set to 1: a handful of users yields small ones by chance, and an interval narrower
    than that of independent sessions would promise more than the data hold (Korn & Graubard 1998, Survey Methodology
    24:193, truncate the effective size at n for the same reason). With 0 of n or n of n both variances are 0 and say
    nothing; there the worst case is taken, in which a user's sessions all end alike: ``sum(d_i^2) / sum(d_i)``.

    Raises:
        ValueError: when the numerator is negative or exceeds the denominator, which is no share.
    """
    if not 0 <= sums.n <= sums.d:
        raise ValueError(f"{sums.n} of {sums.d} is not a share")
    if sums.d == 0:
        return _nothing(sums)
    p = sums.n / sums.d
    variance = sums.robust_variance()
    if variance is None:
        return Rate(sums.n, sums.d, sums.n_users, p, None, None, None, f"one {sums.cluster}: no interval", sums.cluster)
    binomial = p * (1 - p) / sums.d
    effect = max(1.0, variance / binomial if binomial > 0 else sums.dd / sums.d)
    low, high = _wilson(p, sums.d / effect, t_quantile(sums.n_users - 1))
    method = f"Wilson, clustered by {sums.cluster}"
    return Rate(sums.n, sums.d, sums.n_users, p, low, high, effect, method, sums.cluster)


def mean(sums: Sums, *, bounds: tuple[float, float] = (-inf, inf)) -> Rate:
    """Ratio estimator of a mean with a t interval, cut at ``bounds`` where the scale ends there.

    There is no design effect: the variance within a user is not in the sums.
    """
    if sums.d == 0:
        return _nothing(sums)
    estimate = sums.n / sums.d
    variance = sums.robust_variance()
    if variance is None:
        method = f"one {sums.cluster}: no interval"
        return Rate(sums.n, sums.d, sums.n_users, estimate, None, None, None, method, sums.cluster)
    half = t_quantile(sums.n_users - 1) * sqrt(variance)
    low, high = max(bounds[0], estimate - half), min(bounds[1], estimate + half)
    low, high, method = min(low, estimate), max(high, estimate), f"t, clustered by {sums.cluster}"
    return Rate(sums.n, sums.d, sums.n_users, estimate, low, high, None, method, sums.cluster)


def change(now: Rate, before: Rate, correlation: float = 0.0) -> Change:
    """Difference of two rates or means, its interval put together from theirs (MOVER).

    Zou & Donner 2008, Statistics in Medicine 27:1693, with the correlation term for users seen in both periods. Fewer
    than 30 users on either side: no comparison, hence no interval.
    """
    if now.estimate is None or before.estimate is None:
        return Change(None, None, None)
    estimate = now.estimate - before.estimate
    if "no comparison" in (now.precision, before.precision):
        return Change(estimate, None, None)
    if now.low is None or now.high is None or before.low is None or before.high is None:
        return Change(estimate, None, None)
    down = (now.estimate - now.low, before.high - before.estimate)
    up = (now.high - now.estimate, before.estimate - before.low)
    return Change(estimate, estimate - _joined(*down, correlation), estimate + _joined(*up, correlation))


def _joined(a: float, b: float, correlation: float) -> float:
    return sqrt(max(0.0, a * a + b * b - 2 * correlation * a * b))


def _nothing(sums: Sums) -> Rate:
    return Rate(sums.n, sums.d, 0, None, None, None, None, "nothing to count", sums.cluster)


def t_quantile(degrees_of_freedom: int) -> float:
    """Two-sided quantile; ``scipy.special`` because importing ``scipy.stats`` takes a second."""
    return float(stdtrit(degrees_of_freedom, (1 + CONFIDENCE) / 2))


def _wilson(p: float, n: float, z: float) -> tuple[float, float]:
    """Score interval (Wilson 1927, JASA 22:209); always contains ``p``."""
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half))
