"""Completion of first-time, rural and voice callers beside that of the others, out of certified sums.

Belongs here: which groups are compared, at which mix, and reading their sums. Does not belong here: the mathematics
(``stats.gaps``), how a page says it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any

import psycopg

from voiceai_assets.governance.withheld import Withheld
from voiceai_assets.stats.gaps import Gap, completion_gap
from voiceai_assets.stats.intervals import Change
from voiceai_assets.warehouse import ledger
from voiceai_assets.warehouse.readers import is_there

Connection = psycopg.Connection[Any]

#: Known before the session. How sure recognition was is not among them: it lies on the way from the caller to the
#: outcome, and to hold it equal would explain away what is to be shown.
COVARIATES = ("user_type", "region", "language", "channel")

_SUMS = """
select source, user_bucket, user_type, lower(region) as region, language, channel,
       sum(completed_session_count)::bigint as completed,
       sum(completed_session_count + abandoned_session_count + transferred_session_count)::bigint as ended
from certified.agg_sessions_daily
where session_date between %(first)s and %(last)s
group by 1, 2, 3, 4, 5, 6
having sum(completed_session_count + abandoned_session_count + transferred_session_count) > 0
order by source collate "C"
"""


@dataclass(frozen=True)
class Comparison:
    """One group beside another; ``other`` None: everybody else of whom the attribute is known."""

    name: str
    attribute: str
    group: str
    other: str | None
    kpi: str

    def side(self, row: Mapping[str, Any]) -> bool | None:
        """Whether a row is of the group; None where it is of neither."""
        value = row[self.attribute]
        if value == self.group:
            return True
        is_other = value is not None if self.other is None else value == self.other
        return False if is_other else None


COMPARISONS = (
    Comparison("first-time callers less returning ones", "user_type", "first_time", "returning", "first_time_gap"),
    Comparison("rural callers less urban ones", "region", "rural", "urban", "rural_urban_gap"),
    Comparison("voice less other channels", "channel", "voice", None, "voice_share"),
)


@dataclass(frozen=True)
class FoundGap:
    """A comparison within one source; ``gap`` is None where it is withheld."""

    source: str
    comparison: str
    gap: Gap | None

    @property
    def row(self) -> dict[str, Any]:
        """For a table: figures in points, two to a cell where they belong together."""
        if self.gap is None:
            nothing = {"observed": "withheld", "standardised": "withheld", "compared": "", "sessions": ""}
            return {"source": self.source, "comparison": self.comparison, **nothing}
        return {
            "source": self.source,
            "comparison": self.comparison,
            "observed": _points(self.gap.observed),
            "standardised": _points(self.gap.standardised),
            "compared": f"{self.gap.compared_share:.0%}",
            "sessions": f"{self.gap.n_sessions:,} and {self.gap.n_others:,}",
        }


def read_gaps(connection: Connection, first: date, last: date, withheld: Iterable[Withheld]) -> list[FoundGap]:
    """Every comparison within every source over a period of published days; nothing before there are any."""
    if not is_there(connection, "certified.agg_sessions_daily"):
        return []
    no_claim = {(w.source, w.kpi) for w in withheld}
    rows = ledger.rows(connection, _SUMS, {"first": first, "last": last})
    return [
        found
        for source, those in groupby(rows, key=itemgetter("source"))
        for found in _of_source(source, list(those), no_claim)
    ]


def _of_source(source: str, rows: list[dict[str, Any]], no_claim: set[tuple[str, str]]) -> Iterable[FoundGap]:
    for comparison in COMPARISONS:
        gap = gap_of(rows, comparison)
        if gap is not None:
            is_withheld = not no_claim.isdisjoint({(source, comparison.kpi), (source, "completion")})
            yield FoundGap(source, comparison.name, None if is_withheld else gap)


def gap_of(rows: Iterable[Mapping[str, Any]], comparison: Comparison) -> Gap | None:
    """The gap out of sums by group of users and covariates; None where one of the groups has no session."""
    sided = [(row, comparison.side(row)) for row in rows]
    kept = [(row, side) for row, side in sided if side is not None]
    held = [name for name in COVARIATES if name != comparison.attribute]
    if not kept:
        return None
    return completion_gap(
        strata=["|".join(str(row[name]) for name in held) for row, _ in kept],
        is_member=[side for _, side in kept],
        clusters=[row["user_bucket"] for row, _ in kept],
        completed=[row["completed"] for row, _ in kept],
        ended=[row["ended"] for row, _ in kept],
    )


def _points(change: Change) -> str:
    """Points of completion with their interval: ``-3.1 (-5.0 to -1.2)``."""
    if change.estimate is None:
        return "no common stratum"
    if change.low is None or change.high is None:
        return f"{100 * change.estimate:+.1f}, too few users for an interval"
    return f"{100 * change.estimate:+.1f} ({100 * change.low:+.1f} to {100 * change.high:+.1f})"
