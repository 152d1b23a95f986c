"""Schedules: yesterday every night, repair every hour, training every week."""

from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from voiceai_assets.assets.common import PipelineResource
from voiceai_assets.automation.jobs import DAYS_PER_RUN
from voiceai_assets.automation.planning import DayRange, ranges
from voiceai_assets.partitions import first_day, today
from voiceai_assets.settings import Settings

_ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def daily_schedule(settings: Settings, partitions: dg.PartitionsDefinition, job: Any) -> dg.ScheduleDefinition:
    """Runs yesterday at 02:30 whether or not files came: a day without any event fails its check, it is not silent."""

    @dg.schedule(
        name="daily_schedule",
        job=job,
        cron_schedule="30 2 * * *",
        execution_timezone=settings.source_timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
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
        name="repair_schedule",
        job=job,
        cron_schedule="15 * * * *",
        execution_timezone=settings.source_timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Missing, failed and stale days (changed files, dbt code or checks), as few ranges as possible.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[PipelineResource]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        pipeline.pipeline.look_into_landing()
        within = DayRange(first_day(settings).isoformat(), today(settings).isoformat()).days
        due = pipeline.pipeline.days_to_repair(within)
        busy = _busy_days(context.instance)
        chosen = [day for day in due if day not in busy]
        if not chosen:
            yield dg.SkipReason(f"nothing to repair ({len(due)} due, all running)" if due else "nothing to repair")
        stamp = context.scheduled_execution_time.astimezone(UTC).isoformat()
        for chunk in ranges(chosen, DAYS_PER_RUN):
            why = "; ".join(sorted({due[day] for day in chunk.days}))
            yield dg.RunRequest(
                run_key=f"repair {chunk.first}..{chunk.last} {stamp}", tags={**chunk.tags, "why": why[:200]}
            )

    return schedule


def _busy_days(instance: dg.DagsterInstance) -> set[str]:
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


def train_schedule(settings: Settings, job: Any) -> dg.ScheduleDefinition:
    """Trains on Monday mornings."""
    return dg.ScheduleDefinition(
        name="train_schedule",
        job=job,
        cron_schedule="0 4 * * 1",
        execution_timezone=settings.source_timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="The abandonment model on all certified days, Monday mornings.",
    )
