"""Schedules: yesterday every night, repair every hour, training and report every week."""

from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from voiceai_assets.assets.common import PipelineResource
from voiceai_assets.automation.jobs import DAYS_PER_RUN
from voiceai_assets.automation.planning import DayRange, ranges
from voiceai_assets.partitions import first_day, today
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.settings import Settings

_ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def _always_on(settings: Settings, job: Any, name: str, cron: str) -> dict[str, Any]:
    """What all schedules have in common: on from the start, in the hours of the source."""
    return {
        "name": name,
        "job": job,
        "cron_schedule": cron,
        "execution_timezone": settings.source_timezone,
        "default_status": dg.DefaultScheduleStatus.RUNNING,
    }


def daily_schedule(settings: Settings, partitions: dg.PartitionsDefinition, job: Any) -> dg.ScheduleDefinition:
    """Runs yesterday at 02:30 whether or not files came: a day without any event fails its check, it is not silent."""

    @dg.schedule(
        **_always_on(settings, job, "daily_schedule", "30 2 * * *"),
        description="Yesterday, whether or not files came: a day without any event is a failed check, not silence.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        local = context.scheduled_execution_time.astimezone(ZoneInfo(settings.source_timezone))
        day = (local.date() - timedelta(days=1)).isoformat()
        if day < (partitions.get_first_partition_key() or ""):
            return dg.SkipReason(f"{day} lies before the first partition")
        return dg.RunRequest(run_key=f"daily {day}", partition_key=day)

    return schedule


def repair_schedule(settings: Settings, job: Any) -> dg.ScheduleDefinition:
    """Finds missing, failed and stale days every hour and runs just those, as ranges."""

    @dg.schedule(
        **_always_on(settings, job, "repair_schedule", "15 * * * *"),
        description="Missing, failed and stale days (changed files, dbt code or checks), as few ranges as possible.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[PipelineResource]
    ) -> list[dg.RunRequest] | dg.SkipReason:
        stamp = context.scheduled_execution_time.astimezone(UTC).isoformat()
        requests = repair_requests(pipeline.pipeline, busy_days(context.instance), stamp)
        return requests or dg.SkipReason("nothing to repair that is not running already")

    return schedule


def repair_requests(pipeline: Pipeline, busy: set[str], stamp: str) -> list[dg.RunRequest]:
    """A run for each range of days that are due and not being worked on; ``stamp`` makes the requests of one tick."""
    pipeline.look_into_landing()
    settings = pipeline.settings
    due = pipeline.days_to_repair(DayRange(first_day(settings).isoformat(), today(settings).isoformat()).days)
    return [
        dg.RunRequest(
            run_key=f"repair {chunk.first}..{chunk.last} {stamp}",
            tags={**chunk.tags, "why": "; ".join(sorted({due[day] for day in chunk.days}))[:200]},
        )
        for chunk in ranges(due.keys() - busy, DAYS_PER_RUN)
    ]


def busy_days(instance: dg.DagsterInstance) -> set[str]:
    """Days that a queued or running run is already working on."""
    busy: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=_ACTIVE)):
        if day := run.tags.get("dagster/partition"):
            busy.add(day)
        start = run.tags.get("dagster/asset_partition_range_start")
        end = run.tags.get("dagster/asset_partition_range_end")
        if start and end:
            busy.update(DayRange(start, end).days)
    return busy


def retention_schedule(settings: Settings, job: Any) -> dg.ScheduleDefinition:
    """Keeps to the limits at 03:30, where there are any."""

    @dg.schedule(
        **_always_on(settings, job, "retention_schedule", "30 3 * * *"),
        description="Landed files and free text older than VOICEAI_KEEP_LANDING_DAYS and VOICEAI_KEEP_TEXT_DAYS.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if settings.keep_landing_days is None and settings.keep_text_days is None:
            return dg.SkipReason("no limit is set: everything is kept")
        return dg.RunRequest(run_key=f"retention {context.scheduled_execution_time.date()}")

    return schedule


def schedules_without_conditions(settings: Settings, jobs: Mapping[str, Any]) -> list[dg.ScheduleDefinition]:
    """Training and report on Monday mornings, once the week's last day has been run; standing checks every morning."""
    return [
        dg.ScheduleDefinition(
            **_always_on(settings, jobs["train_job"], "train_schedule", "0 4 * * 1"),
            description="The abandonment model on all certified days, Monday mornings.",
        ),
        dg.ScheduleDefinition(
            **_always_on(settings, jobs["report_job"], "report_schedule", "0 6 * * 1"),
            description="The governance report of the last ninety days, Monday mornings.",
        ),
        dg.ScheduleDefinition(
            **_always_on(settings, jobs["standing_job"], "standing_schedule", "30 6 * * *"),
            description="No day left failed or stale, no certified day without certificate, every mart governed.",
        ),
    ]


def score_schedule(settings: Settings, job: Any) -> dg.ScheduleDefinition:
    """Scores yesterday at 05:30, when it has been published, where there is a champion."""

    @dg.schedule(
        **_always_on(settings, job, "score_schedule", "30 5 * * *"),
        description="Published turns without a score of the champion, every morning.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        from voiceai_assets.models.abandonment.registry import Registry  # scikit-learn takes two seconds

        if Registry(settings.models).champion() is None:
            return dg.SkipReason("no version is the champion yet")
        return dg.RunRequest(run_key=f"scores {context.scheduled_execution_time.date()}")

    return schedule
