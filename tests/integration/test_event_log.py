"""Our event log tells the same story as Dagster's own, told the same runs."""

import threading
from collections import Counter
from contextlib import ExitStack
from typing import Any

import dagster as dg
import psycopg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from psycopg import sql

from tests.integration.world import World, session
from voiceai_assets.checks.asset_checks import tell

CHECKS = (("second", "is_sound"), ("first", "is_usual"))
DAYS = dg.DailyPartitionsDefinition("2026-08-01", end_date="2026-08-06")
NOT_PLANNED = "2026-08-01"  # a day that no run intended to look at
POOR = "2026-08-03"
OURS = {"module": "voiceai_assets.event_log", "class": "EventLog"}
DAGSTERS = {"module": "dagster_postgres.event_log", "class": "PostgresEventLogStorage"}


@dg.multi_asset(
    specs=[dg.AssetSpec("first"), dg.AssetSpec("second", deps=["first"])],
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[
        dg.AssetCheckSpec("is_sound", asset="second"),
        dg.AssetCheckSpec("is_usual", asset="first", partitions_def=DAYS),
    ],
)
def both(context: dg.AssetExecutionContext) -> Any:
    for day in context.partition_keys:
        context.add_asset_metadata({"day": day}, "first", day)
    yield dg.MaterializeResult(asset_key="first")
    tell(
        context.op_execution_context,
        [
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey("first"),
                check_name="is_usual",
                passed=day != POOR,
                partition=day,
                metadata={"day": day},
            )
            for day in [*context.partition_keys, NOT_PLANNED]
        ],
    )
    yield dg.Output(None, output_name="first_is_usual")
    yield dg.MaterializeResult(
        asset_key="second", check_results=[dg.AssetCheckResult(passed=True, asset_key="second", check_name="is_sound")]
    )


def _story(world: World, storage: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    name = f"events_{storage['class'].lower()}"
    with psycopg.connect(world.pipeline.warehouse.admin.libpq(), autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    url = world.pipeline.warehouse.dagster.with_parameters(dbname=name).sqlalchemy()
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    with dg.instance_for_test(
        overrides={"event_log_storage": {**storage, "config": {"postgres_url": url}}}
    ) as instance:
        job = dg.Definitions([both], jobs=[dg.define_asset_job("all")]).resolve_job_def("all")
        tags = {
            "dagster/asset_partition_range_start": "2026-08-02",
            "dagster/asset_partition_range_end": "2026-08-04",
        }
        first = job.execute_in_process(instance=instance, tags=tags)
        second = job.execute_in_process(instance=instance, partition_key="2026-08-05")
        assert first.success
        assert second.success
        log = instance.event_log_storage
        keys = [dg.AssetKey("first"), dg.AssetKey("second")]
        checks = [dg.AssetCheckKey(dg.AssetKey(key), name) for key, name in CHECKS]
        told = [
            Counter(entry.dagster_event_type for entry in log.get_logs_for_run(run.run_id)) for run in (first, second)
        ]
        return {
            "events": told,
            "materialised": {key: log.get_materialized_partitions(key) for key in keys},
            "planned by": {
                record.asset_entry.asset_key: [first.run_id, second.run_id].index(record.asset_entry.last_run_id or "")
                for record in instance.get_asset_records(keys)
            },
            "metadata": [
                (record.partition_key, record.asset_materialization and dict(record.asset_materialization.metadata))
                for record in instance.fetch_materializations(keys[0], limit=10).records
            ],
            "checks": [
                (check.name, record.status, record.partition)
                for check in checks
                for record in log.get_asset_check_execution_history(check, limit=10)
            ],
        }


def test_the_same_runs_are_told_as_by_dagsters_own_log(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = _story(world, OURS, monkeypatch)
    assert ours["materialised"][dg.AssetKey("first")] == {"2026-08-02", "2026-08-03", "2026-08-04", "2026-08-05"}
    assert (POOR, {"day": dg.MetadataValue.text(POOR)}) in ours["metadata"]
    failed, passed = (AssetCheckExecutionRecordStatus[name] for name in ("FAILED", "SUCCEEDED"))
    of_days = {day: status for name, status, day in ours["checks"] if name == "is_usual"}
    assert of_days == {
        NOT_PLANNED: passed,
        **dict.fromkeys(DAYS.get_partition_keys()[1:], passed),
        POOR: failed,
    }
    assert ours == _story(world, DAGSTERS, monkeypatch)


def test_a_kept_connection_that_the_server_closed_is_replaced(world: World) -> None:
    from voiceai_assets.event_log import EventLog

    log = EventLog(world.pipeline.warehouse.dagster.sqlalchemy())
    try:
        assert list(log.get_asset_records()) == []
        with psycopg.connect(world.pipeline.warehouse.admin.libpq(), autocommit=True) as connection:
            closed = connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
                [world.pipeline.warehouse.dagster.parameters["dbname"]],
            ).fetchall()
        assert closed == [(True,)], "one connection was kept"
        assert list(log.get_asset_records()) == []
    finally:
        log.dispose()


def test_a_step_that_waits_for_another_runs_day_says_so_in_its_log(world: World) -> None:
    day = "2026-08-01"
    world.land("turns.jsonl", session("a", f"{day}T10:00"))
    with ExitStack() as other_run:
        other_run.enter_context(world.pipeline.held_days([day]))
        release = threading.Timer(3, other_run.pop_all().close)
        release.start()
        result = world.run(day)
        release.join()
    assert result.success
    said = {entry.user_message for entry in world.instance.all_logs(result.run_id)}
    assert f"another run is at work on {day}; this step waits until it is done there" in said
