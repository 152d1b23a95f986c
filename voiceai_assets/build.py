"""Assembles everything into Dagster definitions; keyword overrides let tests build a graph of their own.

Belongs here: which parts there are. Does not belong here: the parts.
"""

from __future__ import annotations

import warnings

import dagster as dg

from voiceai_assets.assets.abandonment import abandonment_model_asset, champion_asset, scores_asset
from voiceai_assets.assets.calls import call_signals_asset
from voiceai_assets.assets.certified import certified_assets
from voiceai_assets.assets.common import PipelineResource
from voiceai_assets.assets.dbt import dbt_model_assets
from voiceai_assets.assets.dbt_calls import DbtCalls
from voiceai_assets.assets.governance import report_asset, standing_checks
from voiceai_assets.assets.landing import turn_files_asset
from voiceai_assets.assets.raw import raw_assets
from voiceai_assets.automation.jobs import (
    check_job,
    daily_job,
    publish_job,
    report_job,
    retention_job,
    score_job,
    standing_job,
    train_job,
)
from voiceai_assets.automation.schedules import (
    daily_schedule,
    repair_schedule,
    retention_schedule,
    schedules_without_conditions,
    score_schedule,
)
from voiceai_assets.automation.sensors import landing_sensor
from voiceai_assets.checks.asset_checks import suite_checks
from voiceai_assets.checks.suites import Suite, all_suites
from voiceai_assets.partitions import daily
from voiceai_assets.settings import Settings, load_settings


def build_defs(
    *,
    settings: Settings | None = None,
    suites: tuple[Suite, ...] | None = None,
    pipeline: PipelineResource | None = None,
) -> dg.Definitions:
    """The whole graph.

    Args:
        settings: else read from the environment.
        suites: else all of ``expectations/``.
        pipeline: else one on the settings' warehouse, reached when the first step needs it.
    """
    # Partitioned checks, backfill policies and code references are beta or preview in 1.13; we rely on them knowingly,
    # and tests/integration/test_partition_status.py notices when they change.
    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    warnings.filterwarnings("ignore", category=dg.PreviewWarning)
    settings = settings or load_settings()
    partitions = daily(settings)
    every_job = (daily_job, publish_job, train_job, score_job, retention_job, report_job, standing_job)
    jobs = {job.name: job for job in (check_job(suites or all_suites()), *(define() for define in every_job))}
    assets = [
        turn_files_asset(partitions),
        raw_assets(partitions),
        call_signals_asset(partitions),
        *dbt_model_assets(settings, partitions),
        certified_assets(settings, partitions),
        abandonment_model_asset(),
        champion_asset(),
        scores_asset(),
        report_asset(settings),
    ]
    return dg.Definitions(
        assets=[a for a in dg.with_source_code_references(assets) if isinstance(a, dg.AssetsDefinition)],
        asset_checks=[*suite_checks(suites or all_suites(), partitions), *standing_checks()],
        jobs=list(jobs.values()),
        sensors=[landing_sensor(settings, partitions, jobs["daily_job"])],
        schedules=[
            daily_schedule(settings, partitions, jobs["daily_job"]),
            repair_schedule(settings, jobs["daily_job"]),
            score_schedule(settings, jobs["score_job"]),
            retention_schedule(settings, jobs["retention_job"]),
            *schedules_without_conditions(settings, jobs),
        ],
        resources={"dbt": DbtCalls(settings), "pipeline": pipeline or PipelineResource(settings)},
        # multiprocess would pay 5-10 s of imports per step: 31-47 s for one small day instead of 13 s
        executor=dg.in_process_executor,
    )
