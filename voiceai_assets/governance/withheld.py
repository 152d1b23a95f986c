"""Numbers that nobody should quote, because defensible ways of computing them disagree.

Belongs here: reading ``certified.contradiction_report``, and which metrics of the catalogue fall with a KPI of it.
Does not belong here: the ways and their limits (dbt), how a page says it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

from voiceai_assets.catalogue import catalogue
from voiceai_assets.warehouse.readers import is_there

Connection = psycopg.Connection[Any]

_WITHHELD = """
select kpi, source, count(*)::int as ways, min(value)::float8 as lowest, max(value)::float8 as highest
from certified.contradiction_report where verdict = 'withheld' group by kpi, source order by source, kpi
"""


@dataclass(frozen=True)
class Withheld:
    """A KPI of one source: how many ways there are and how far apart they lie, in the KPI's own unit."""

    kpi: str
    source: str
    ways: int
    lowest: float
    highest: float

    @property
    def name(self) -> str:
        """In words."""
        known = catalogue().get(self.kpi)
        return (known.label if known else self.kpi.replace("_", " ")).lower()


def read_withheld(connection: Connection) -> list[Withheld]:
    """All that is withheld over the published days; nothing before there are any."""
    if not is_there(connection, "certified.contradiction_report"):
        return []
    with connection.cursor(row_factory=class_row(Withheld)) as cursor:
        return cursor.execute(_WITHHELD).fetchall()


def withheld_by_metric(found: Iterable[Withheld]) -> Mapping[str, list[Withheld]]:
    """Metric of the catalogue -> why it is withheld, its own KPI first; metrics that stand are left out."""
    found = list(found)
    reasons = {
        name: sorted((w for w in found if w.kpi in metric.rests_on.split()), key=lambda w: w.kpi != name)
        for name, metric in catalogue().items()
    }
    return {name: why for name, why in reasons.items() if why}
