"""The SQL of every mart by hand, and pages over ten million sessions.

Belongs here: what dbt and the dashboards are measured against. Does not belong here: timing of our own runs.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from voiceai_assets.assets.common import PipelineResource
from voiceai_assets.assets.dbt import dbt_environment, dbt_executable
from voiceai_assets.dashboard.days import Request
from voiceai_assets.dashboard.queries import BY_DAY, BY_PERIOD, CertifiedReader
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.versions import DBT_PROJECT
from voiceai_assets.warehouse.readers import columns_of, ensure_day_partition

MARTS_LAYERS = ("intermediate", "marts")


def mart_statements(pipeline: PipelineResource, day: str, target: Path) -> list[tuple[str, str]]:
    """Table and ``select`` of each model that is stored, as dbt compiles them for a day, parents first."""
    with dbt_environment(pipeline, day, day):
        arguments = ["compile", "--target-path", str(target), "--log-path", str(target), "--quiet"]
        subprocess.run([dbt_executable(), *arguments], cwd=DBT_PROJECT, check=True, stdout=subprocess.DEVNULL)
    nodes: dict[str, dict[str, Any]] = json.loads((target / "manifest.json").read_text())["nodes"]
    order = TopologicalSorter({name: node.get("depends_on", {}).get("nodes", []) for name, node in nodes.items()})
    stored = {
        name
        for name, node in nodes.items()
        if node["resource_type"] == "model"
        and node["fqn"][1] in MARTS_LAYERS
        and node["config"]["materialized"] not in {"view", "ephemeral"}
    }
    return [(nodes[name]["name"], nodes[name]["compiled_code"]) for name in order.static_order() if name in stored]


def seconds_by_hand(pipeline: Pipeline, statements: list[tuple[str, str]]) -> float:
    """Create every mart of the day once more, in a schema of its own, one statement each; seconds."""
    with psycopg.connect(pipeline.warehouse.owner.libpq(), autocommit=True) as connection:
        connection.execute("drop schema if exists by_hand cascade")
        connection.execute("create schema by_hand")
        began = time.perf_counter()
        for table, statement in statements:
            connection.execute(f"create table by_hand.{table} as {statement}")  # type: ignore[arg-type]  # dbt's own
        return time.perf_counter() - began


def insert_seconds(pipeline: Pipeline, statements: list[tuple[str, str]]) -> float:
    """One insert of every mart that ``seconds_by_hand`` made, into a table of its shape; seconds."""
    with psycopg.connect(pipeline.warehouse.owner.libpq(), autocommit=True) as connection:
        for table, _ in statements:
            connection.execute(f"create table by_hand.published_{table} (like by_hand.{table})")  # type: ignore[arg-type]
        began = time.perf_counter()
        for table, _ in statements:
            connection.execute(f"insert into by_hand.published_{table} select * from by_hand.{table}")  # type: ignore[arg-type]
        seconds = time.perf_counter() - began
        connection.execute("drop schema by_hand cascade")
        return seconds


def fill_published(pipeline: Pipeline, day: str, first: date, days: int, sessions: int) -> None:
    """Publish ``days`` days like one that was certified, with so many sessions in all; for readers only.

    The rows are the day's own, repeated under other ids: what counts for a query is how many there are.
    """
    marts = ("fact_voice_ai_sessions", "agg_metrics_daily")
    with psycopg.connect(pipeline.warehouse.owner.libpq()) as connection:
        per_day = sessions // days
        for number in range(days):
            at = (first + timedelta(days=number)).isoformat()
            _copy_ledgers(connection, day, at, turns=per_day * 10)
            for mart in marts:
                publication = connection.execute(
                    "insert into governance.publications (mart, day, version, load_id, certificate_id, row_count, "
                    "content_sha256, is_live) select mart, %s, 1, load_id, certificate_id, row_count, content_sha256, "
                    "true from governance.publications where mart = %s and day = %s and is_live "
                    "returning publication_id",
                    [at, mart, day],
                ).fetchone()
                assert publication is not None
                _repeat(connection, mart, day, at, int(publication[0]), per_day)
        connection.execute(
            "analyze published.fact_voice_ai_sessions, published.agg_metrics_daily, governance.publications"
        )


def _copy_ledgers(connection: psycopg.Connection[Any], day: str, at: str, turns: int) -> None:
    for table, changed in (
        ("loads", {"day": "%(at)s::date", "rows_in": "%(turns)s", "rows_loaded": "%(turns)s"}),
        ("verdicts", {"day": "%(at)s::date"}),
    ):
        columns = [name for name, _ in columns_of(connection, "governance", table)]
        values = ", ".join(changed.get(name, name) for name in columns)
        connection.execute(
            f"insert into governance.{table} ({', '.join(columns)}) select {values} from governance.{table} "  # type: ignore[arg-type]
            "where day = %(day)s on conflict do nothing",
            {"at": at, "day": day, "turns": turns},
        )


def _repeat(connection: psycopg.Connection[Any], mart: str, day: str, at: str, publication: int, sessions: int) -> None:
    ensure_day_partition(connection, mart, at)
    columns = [name for name, _ in columns_of(connection, "published", mart)]
    changed = {"session_date": "%(at)s::date"}
    source = f"published.{mart}"
    if mart == "fact_voice_ai_sessions":
        changed |= {
            "session_id": "session_id || '-' || copy",
            "user_id": "md5(user_id || (copy * 7 + %(shift)s) %% 997)",
        }
        copies = f"%(sessions)s / (select count(*) from {source} where session_date = %(day)s)"
        source = f"generate_series(1, {copies}) as copy, {source}"
    values = ", ".join(changed.get(name, name) for name in columns)
    connection.execute(
        f"insert into published.{mart} (publication_id, {', '.join(columns)}) "  # type: ignore[arg-type]
        f"select %(publication)s, {values} from {source} where session_date = %(day)s",
        {"publication": publication, "at": at, "day": day, "sessions": sessions, "shift": hash(at) % 997},
    )


def page_seconds(pipeline: Pipeline, first: date, last: date) -> Iterator[tuple[str, float]]:
    """Seconds of everything the overview asks the database, uncached, for a day, a month and a year."""
    for name, days in (("a day", 1), ("a week", 7), ("a month", 30), ("a year", (last - first).days + 1)):
        request = Request(last - timedelta(days=days - 1), last)
        tries = []
        for _ in range(3):
            reader = CertifiedReader(pipeline.warehouse.reader)
            began = time.perf_counter()
            reader.snapshot(request)
            tries.append(time.perf_counter() - began)
        yield name, min(tries)


def page_scans(pipeline: Pipeline, first: date, last: date) -> Iterator[tuple[str, str]]:
    """How the overview's two queries find their rows, by EXPLAIN: (query, "how on what x times, ...")."""
    parameters = {"start": first, "end": last, "before": first - (last - first)}
    with psycopg.connect(pipeline.warehouse.reader.libpq()) as connection:
        for name, queries in (("by day", BY_DAY), ("by period", BY_PERIOD)):
            for cluster, query in queries.items():
                found = connection.execute(sql.SQL("explain (format json) ") + query, parameters).fetchone()
                assert found is not None
                scans = Counter(_scans(found[0][0]["Plan"]))
                yield f"{name}, clustered by {cluster}", ", ".join(f"{how} x {n}" for how, n in scans.most_common())


def _scans(plan: Mapping[str, Any]) -> Iterator[str]:
    """Each scan of a plan: its kind and relation, partitions of a day under their parent's name."""
    if "Scan" in plan["Node Type"]:
        relation = re.sub(r"_\d{8}$", " (one day)", plan.get("Relation Name", plan.get("Index Name", "a subquery")))
        yield f"{plan['Node Type']} on {relation}"
    for part in plan.get("Plans", []):
        yield from _scans(part)
