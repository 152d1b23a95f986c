"""The catalogue's figures of what was published, kept per version: the series as reported and as restated.

Belongs here: sums of numerators and denominators per publication. Does not belong here: what a metric means
(``catalogue``), intervals (``stats``).

A metric without denominator (a percentile) cannot be added up over days and is left out; the versions of its mart are
all kept, so its history is ``certified.<mart>_versions``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from voiceai_assets.catalogue import Metric, catalogue
from voiceai_assets.warehouse.marts import certified_marts

Connection = psycopg.Connection[Any]


@functools.cache
def metrics_of(mart: str) -> tuple[Metric, ...]:
    """Ratios of sums over the rows of a day mart."""
    return tuple(metric for metric in catalogue().values() if metric.relation == mart and metric.denominator)


def record_figures(connection: Connection, day: str, publications: Mapping[str, int]) -> None:
    """Keep the figures of what was just published: mart -> publication."""
    if query := figures_query(day, publications):
        names = "publication_id, metric, metric_version, numerator, denominator"
        connection.execute(sql.SQL(f"insert into governance.figures ({names}) ") + query)


def figures_query(day: str, publications: Mapping[str, int]) -> sql.Composed | None:
    """Figures of published rows, in one round trip: (publication_id, metric, metric_version, numerator, denominator).

    Cast row by row: a sum of floats would depend on the order of rows, and could not be computed again. Amounts of more
    than one currency have no sum.
    """
    parts = [_of_mart(day, mart, number) for mart, number in publications.items() if metrics_of(mart)]
    return sql.SQL(" union all ").join(parts) if parts else None


def _of_mart(day: str, mart: str, publication_id: int) -> sql.Composed:
    metrics = metrics_of(mart)
    sums = ", ".join(
        f"{_sum_of(m)} as n{i}, coalesce(sum(({m.denominator})::numeric), 0) as d{i}" for i, m in enumerate(metrics)
    )
    rows = sql.SQL(", ").join(
        sql.SQL(f"({{}}, {{}}, s.n{i}, s.d{i})").format(sql.Literal(m.metric), sql.Literal(m.version))
        for i, m in enumerate(metrics)
    )
    # SQL of a reviewed file of this repository (seeds/metrics.csv), not of anybody's input
    return sql.SQL(
        f"select {{number}}, f.* from (select {sums} from published.{{mart}} "
        "where publication_id = {number} and {column} = {day}) s "
        "cross join lateral (values {rows}) as f (metric, metric_version, numerator, denominator) "
        "where f.numerator is not null"
    ).format(
        number=sql.Literal(publication_id),
        mart=sql.Identifier(mart),
        column=sql.Identifier(certified_marts()[mart]),
        day=sql.Literal(day),
        rows=rows,
    )


def _sum_of(metric: Metric) -> str:
    total = f"coalesce(sum(({metric.numerator})::numeric), 0)"
    if metric.unit != "currency":
        return total
    return f"case when count(distinct currency) filter (where ({metric.numerator}) <> 0) <= 1 then {total} end"
