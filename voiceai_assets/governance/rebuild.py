"""Marts built a second time from what ``raw`` holds, beside the real ones, and compared with those.

Belongs here: the shadow build and its comparison. Does not belong here: SQL of models (``dbt_project``).

A mart that somebody changed by hand has the checksum it was certified with only if the ledger was changed, too; built
again it cannot be had at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from voiceai_assets.assets.common import PipelineResource
from voiceai_assets.assets.dbt import SAME_FOR_EVERY_DAY, dbt_environment
from voiceai_assets.assets.dbt_calls import DbtCalls, DbtError
from voiceai_assets.governance.findings import Finding, remark
from voiceai_assets.instance import environment
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.warehouse import ledger
from voiceai_assets.warehouse.calls import replace_day
from voiceai_assets.warehouse.marts import certified_marts
from voiceai_assets.warehouse.readers import CHECKSUM, columns_of

_PREFIX = "verify_"
_LAYERS = ("staging", "intermediate", "marts", "reference")


class RebuildError(RuntimeError):
    """The marts could not be built a second time; the message is dbt's."""


def rebuilt_findings(pipeline: Pipeline, days: Sequence[str]) -> list[Finding]:
    """Marts that ``raw`` does not give.

    Raises:
        RebuildError: when dbt fails.
    """
    built, found = _built(pipeline, days)
    for day in built:
        found += _calls(pipeline, day)
    if not built:
        return found
    with _shadow(pipeline, built):
        for day in built:
            found += _compare(pipeline, day)
    return found


def _built(pipeline: Pipeline, days: Iterable[str]) -> tuple[list[str], list[Finding]]:
    """Days whose marts are built from what is loaded now, by the present code; the others would differ rightly."""
    built, found = [], []
    with pipeline.warehouse.connect() as connection:
        for day in days:
            live = ledger.live_load_id(connection, "marts", day)
            if live is None:
                continue
            if live == pipeline.expected_mart_load(connection, day):
                built.append(day)
            else:
                text = "built from other data or by other code than now (stale), so they are not built again"
                found.append(remark("marts", day, text))
    return built, found


def _calls(pipeline: Pipeline, day: str) -> list[Finding]:
    """What transcripts say, read again in a transaction that is rolled back."""
    query = sql.SQL(f"select {CHECKSUM} from intermediate.call_signals t where call_date = %s")
    with psycopg.connect(pipeline.warehouse.owner.libpq()) as connection:
        stored = connection.execute(query, [day]).fetchone()
        replace_day(connection, day, pipeline.texts_from())
        again = connection.execute(query, [day]).fetchone()
        connection.rollback()
    if stored == again:
        return []
    return [Finding("intermediate.call_signals", day, "differs from what the transcripts give, read again")]


@contextmanager
def _shadow(pipeline: Pipeline, days: Sequence[str]) -> Iterator[None]:
    """The marts of some days in schemas of their own, which go in the end."""
    resource = PipelineResource(pipeline.settings)
    _drop(pipeline)
    selection = [*SAME_FOR_EVERY_DAY, "path:models/intermediate", "path:models/marts"]
    tests = ["--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"]
    try:
        with (
            dbt_environment(resource, min(days), max(days)),
            environment({"DBT_SCHEMA_PREFIX": _PREFIX, "DBT_SHAPES": "check"}),
        ):
            try:
                DbtCalls(pipeline.settings).build(["--select", *selection, *tests])
            except DbtError as error:
                raise RebuildError(f"the marts could not be built a second time: {error}") from error
        yield
    finally:
        _drop(pipeline)


def _drop(pipeline: Pipeline) -> None:
    with pipeline.warehouse.connect() as connection:
        for layer in _LAYERS:
            connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(_PREFIX + layer)))


def _compare(pipeline: Pipeline, day: str) -> list[Finding]:
    """One checksum per mart and schema, in one round trip."""
    with pipeline.warehouse.connect() as connection:
        parts = [
            sql.SQL(
                f"select {{name}}, {{schema}}, count(*), {CHECKSUM} "
                "from (select {names} from {table} where {at} = {day}) t"
            ).format(
                name=sql.Literal(mart),
                schema=sql.Literal(schema),
                names=sql.SQL(", ").join(sql.Identifier(n) for n, _ in columns_of(connection, "marts", mart)),
                table=sql.Identifier(schema, mart),
                at=sql.Identifier(column),
                day=sql.Literal(day),
            )
            for mart, column in certified_marts().items()
            for schema in ("marts", f"{_PREFIX}marts")
        ]
        found: dict[str, dict[str, tuple[int, str]]] = {}
        for name, schema, count, checksum in connection.execute(sql.SQL(" union all ").join(parts)).fetchall():
            found.setdefault(name, {})[schema] = (count, checksum)
    pairs = {mart: (both["marts"], both[f"{_PREFIX}marts"]) for mart, both in found.items()}
    return [
        Finding(f"marts.{mart}", day, f"{stored[0]:,} row(s) that differ from the {again[0]:,} that raw gives")
        for mart, (stored, again) in pairs.items()
        if stored != again
    ]
