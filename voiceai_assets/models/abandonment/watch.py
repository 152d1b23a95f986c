"""Day by day: are callers as they were when the champion learned, and do as many of them give up as it says?

Belongs here: the verdict on a day. Does not belong here: the index itself (``drift``), what a check does about it.

Calibration in the large: the sum of the probabilities against the number that came true, over sessions that have had
time to end. Residuals are summed by caller before they are squared (Liang and Zeger 1986), because the turns of a
session share their outcome. Days are many, so one is off only where chance alone would give that once in a thousand
days, and where the model is also wrong by more than a tenth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from voiceai_assets.models.abandonment import drift
from voiceai_assets.models.abandonment.features import FINAL_OUTCOMES, mature
from voiceai_assets.models.abandonment.measures import Integers
from voiceai_assets.models.abandonment.slices import FEW_USERS
from voiceai_assets.models.abandonment.training import HEADS, units_of

MOST_DEVIATIONS = 3.29  # two-sided, p = .001
LARGEST_ERROR = 0.10  # of what was expected


@dataclass(frozen=True)
class HeadOfDay:
    """One head on the matured sessions of a day; ``deviations`` is the difference over its standard error."""

    expected: float
    observed: int
    deviations: float
    is_off: bool


@dataclass(frozen=True)
class WatchedDay:
    """A scored day; ``heads`` is empty below 30 callers with matured sessions."""

    day: str
    rows: int
    drift: drift.State
    worst_feature: str | None
    psi: float | None
    users: int
    heads: Mapping[str, HeadOfDay]

    @property
    def is_off(self) -> bool:
        """Whether more or fewer gave up than the champion said."""
        return any(head.is_off for head in self.heads.values())

    @property
    def needs_action(self) -> bool:
        """Callers changed a lot, and the champion is wrong about them: either alone may have no consequence."""
        return self.drift == "act" and self.is_off

    def as_row(self) -> dict[str, Any]:
        """For a table of days."""
        found: dict[str, Any] = {"day": self.day, "drift": self.drift, "feature": self.worst_feature, "psi": self.psi}
        for name, head in self.heads.items():
            found |= {f"{name} expected": round(head.expected, 1), f"{name} observed": head.observed}
        return found


def watch(
    table: pd.DataFrame,
    scores: pd.DataFrame,
    reference: Mapping[str, Any],
    observed_until: pd.Timestamp,
    maturity_hours: float,
) -> list[WatchedDay]:
    """The verdict on each day of a table.

    Args:
        table: prefix rows of whole days, as of ``certified.read_certified_days``.
        scores: ``hazard`` and ``landmark`` of the same rows.
        reference: of what the champion learned from (``drift.reference``).
        observed_until: the last moment that anything is known of.
        maturity_hours: sessions that started later than so long before it are not asked how they ended.
    """
    days = table["session_date"].astype(str)
    ripe = mature(table.join(scores), observed_until, maturity_hours)
    ripe = ripe[ripe["final_outcome"].isin(FINAL_OUTCOMES)]
    return [
        _day(day, rows, ripe[ripe["session_date"].astype(str) == day], reference)
        for day, rows in table.groupby(days, sort=True)
    ]


def _day(day: Any, rows: pd.DataFrame, ripe: pd.DataFrame, reference: Mapping[str, Any]) -> WatchedDay:
    indices = drift.stability(reference, rows) if reference else {}
    worst = max(indices, key=lambda name: indices[name], default=None)
    caller = units_of(ripe)
    users = len(np.unique(caller))
    asked = HEADS if users >= FEW_USERS else {}
    heads = {name: _head(ripe[name], ripe[label], caller) for name, label in asked.items()}
    psi = None if worst is None else round(indices[worst], 4)
    return WatchedDay(str(day), len(rows), drift.state(indices), worst, psi, users, heads)


def _head(predicted: pd.Series, came_true: pd.Series, caller: Integers) -> HeadOfDay:
    residuals = (came_true - predicted).groupby(caller).sum()
    error = math.sqrt(float((residuals**2).sum()))
    expected, observed = float(predicted.sum()), int(came_true.sum())
    deviations = (observed - expected) / error if error else 0.0
    is_wrong = abs(observed - expected) > LARGEST_ERROR * expected
    return HeadOfDay(expected, observed, deviations, is_wrong and abs(deviations) > MOST_DEVIATIONS)
