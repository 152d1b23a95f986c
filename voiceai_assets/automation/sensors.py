"""The sensor on landing: new, rewritten and deleted files become runs of the days they touch."""

import json
from typing import Any

import dagster as dg

from voiceai_assets.assets.common import PipelineResource
from voiceai_assets.automation.jobs import DAYS_PER_RUN
from voiceai_assets.automation.planning import changed_days, name_of_change, ranges, split_by_range
from voiceai_assets.partitions import first_day, remember_first_day, today
from voiceai_assets.settings import Settings

#: In the cursor, beside the days: the name of the change that was asked for last.
_LAST_CHANGE = "last change"
#: New bytes looked into per tick: about two seconds of hashing and counting, far below the daemon's time limit.
BYTES_PER_TICK = 512 * 2**20


def landing_sensor(settings: Settings, partitions: dg.PartitionsDefinition, job: Any) -> dg.SensorDefinition:
    """Looks into landing every 30 s. The cursor holds one fingerprint per day, not per file (10 KB for 10k files).

    It holds the name of the last change, too: a tick that is tried again asks for the same runs, and a later one for
    others, whatever landing looks like then.
    """

    @dg.sensor(
        name="landing_sensor",
        job=job,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Runs the days that new, rewritten or deleted files touch, once the files are quiet.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[PipelineResource]
    ) -> dg.SensorResult | dg.SkipReason:
        step = pipeline.pipeline
        found = step.look_into_landing(limit_bytes=BYTES_PER_TICK)
        moved = remember_first_day(settings, found.home_days)
        for problem in found.problems():
            context.log.warning(f"not read: {problem}")
        if moved:
            context.log.warning(f"partitions now start at {first_day(settings)}; reload the code location to see them")
        late = step.late_files() if found.fresh else {}
        for file in found.fresh:
            if file.path in late:
                context.log.warning(f"{file.path} is not read for {', '.join(late[file.path][:10])}: retired days")
        before: dict[str, str] = json.loads(context.cursor) if context.cursor else step.loaded_fingerprints()
        last = before.pop(_LAST_CHANGE, "")
        now = step.input_fingerprints()
        inside, outside = split_by_range(
            changed_days(before, now), partitions.get_first_partition_key() or "", today(settings).isoformat()
        )
        if outside:
            context.log.warning(f"days outside the partitions are kept, not run: {', '.join(outside[:10])}")
        if not inside:
            waiting = f"; {len(found.waiting)} file(s) still being written" if found.waiting else ""
            kept = f"; kept outside the partitions: {', '.join(outside[:10])}" if outside else ""
            return dg.SkipReason(f"nothing new in landing{waiting}{kept}")
        cursor = {day: now[day] for day in now if day in inside or before.get(day) == now[day]}
        changes = {day: (before.get(day), now.get(day)) for day in inside}
        requests = []
        for chunk in ranges(inside, DAYS_PER_RUN):
            name = name_of_change(last, {day: changes[day] for day in chunk.days})
            requests.append(dg.RunRequest(run_key=f"{chunk.first}..{chunk.last}:{name}", tags=chunk.tags))
        cursor[_LAST_CHANGE] = name_of_change(last, changes)
        return dg.SensorResult(run_requests=requests, cursor=json.dumps(cursor))

    return sensor
