"""Suites as Dagster asset checks that keep one verdict per day, in one-day runs and in range runs alike.

Belongs here: how results reach Dagster. Does not belong here: evaluation (``expectations``, ``measured``), decisions
(``gate``).

All suites of a stage are one step, so that ninety days and fifty suites cost one pass over each table and one verdict
per day; each suite is a check of its own asset all the same, and can be run alone.

Dagster 1.13 records a partitioned ``AssetCheckResult`` only in a run of one partition; in a range run the result has
no partition and every day of the range would read EXECUTION_FAILED. There we emit one ``AssetCheckEvaluation`` per
day instead. What is private of Dagster in that is in ``_targets`` and ``tell`` alone, and
``tests/integration/test_partition_status.py`` fails when a new version changes what the UI then shows.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from voiceai_assets.assets.common import PipelineResource, records_table
from voiceai_assets.checks.gate import seen
from voiceai_assets.checks.reviewed import Waiver
from voiceai_assets.checks.suites import MARTS, Suite
from voiceai_assets.warehouse.ledger import CheckResult

_RULE_COLUMNS = ("rule", "status", "severity", "demanded", "observed", "sample")
#: Step that judges what was taken in, before the marts are built from it; and the one that judges the marts.
STEPS = ("judge_raw", "judge_marts")


def suite_checks(suites: Sequence[Suite], partitions: dg.PartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """The asset checks of all suites: blocking, partitioned, one verdict per day, one step per stage."""
    stages = ([s for s in suites if s.dataset != MARTS], [s for s in suites if s.dataset == MARTS])
    return [_step(name, stage, partitions) for name, stage in zip(STEPS, stages, strict=True) if stage]


def check_key(suite: Suite) -> dg.AssetCheckKey:
    """The check of a suite as Dagster names it."""
    return dg.AssetCheckKey(dg.AssetKey(list(suite.asset)), suite.suite)


def _step(name: str, suites: Sequence[Suite], partitions: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
    specs = [
        dg.AssetCheckSpec(
            suite.suite,
            asset=dg.AssetKey(list(suite.asset)),
            partitions_def=partitions,
            blocking=True,
            description=f"{suite.doc} Rules: {', '.join(rule.id for rule in suite.rules)}.",
        )
        for suite in suites
    ]

    @dg.multi_asset_check(specs=specs, name=name, can_subset=True)
    def judge(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[PipelineResource]) -> Iterator[Any]:
        op = context.op_execution_context
        days = list(op.partition_keys)
        chosen = [suite for suite in suites if check_key(suite) in op.selected_asset_check_keys]
        found = pipeline.pipeline.judge(chosen, days, pipeline.validator, context.run.run_id)
        for day in days:
            pipeline.on_day("check", day)
        waived = {day: pipeline.pipeline.waived(day) for day in days}
        evaluations: list[dg.AssetCheckEvaluation] = []
        for suite in chosen:
            summaries = {day: _summary(suite, day, found[day].get(suite.suite), waived[day]) for day in days}
            if op.has_partition_key:
                passed, severity, metadata = summaries[days[0]]
                yield dg.AssetCheckResult(
                    passed=passed,
                    severity=severity,
                    metadata=metadata,
                    asset_key=dg.AssetKey(list(suite.asset)),
                    check_name=suite.suite,
                )
            else:
                evaluations += _evaluations(op, suite, summaries)
        if not op.has_partition_key:
            tell(op, evaluations)
            # the range goes on whatever single days gave: the gate blocks those, and only those
            for spec in specs:
                if spec.key in op.selected_asset_check_keys:
                    yield dg.Output(None, output_name=spec.get_python_identifier())

    return judge


def _summary(
    suite: Suite, day: str, results: Sequence[CheckResult] | None, waived: Mapping[str, Waiver]
) -> tuple[bool, dg.AssetCheckSeverity, dict[str, Any]]:
    """Passed or not, how grave, and what the UI shows: critical failures are errors unless waived."""
    if results is None:
        nothing = {"day": day, "rules": 0, "not asked": f"the day has nothing of {suite.dataset}"}
        return True, dg.AssetCheckSeverity.WARN, nothing
    broken = [r for r in results if r.status != "passed"]
    excused = {r.check_name: waived[r.check_name] for r in broken if r.status == "failed" and r.check_name in waived}
    critical = [r for r in broken if r.severity == "critical" and r.check_name not in excused]
    severity = dg.AssetCheckSeverity.ERROR if critical or not broken else dg.AssetCheckSeverity.WARN
    metadata: dict[str, Any] = {
        "day": day,
        "rules": len(results),
        "broken": len([r for r in broken if r.status == "failed"]),
        "could not check": len([r for r in broken if r.status == "error"]),
    }
    said = [r for r in results if r.status != "passed" or r.observed]
    if said:  # of rules that hold of all rows there is nothing to say; a table of them for each day of a year is slow
        metadata["results"] = _table(said)
    if excused:
        metadata["waived"] = dg.MetadataValue.md(
            "\n".join(f"- **{name}** until {w.until} by {w.owner}: {w.reason}" for name, w in excused.items())
        )
    if broken:
        mend = {suite.check_name(rule): rule.mend for rule in suite.rules}
        metadata["what next"] = dg.MetadataValue.md(
            "\n".join(f"- **{r.check_name.split('.', 1)[1]}**: {mend[r.check_name]}" for r in broken)
        )
    return not broken, severity, metadata


def _table(results: Sequence[CheckResult]) -> dg.MetadataValue:
    return records_table(
        [
            {
                "rule": r.check_name.split(".", 1)[1],
                "status": r.status,
                "severity": r.severity,
                "demanded": r.description,
                "observed": seen(r.observed).strip(" ()"),
                "sample": "" if r.sample is None else r.sample,
            }
            for r in sorted(results, key=lambda r: (r.status == "passed", r.check_name))
        ],
        _RULE_COLUMNS,
    )


def _evaluations(
    op: dg.OpExecutionContext,
    suite: Suite,
    summaries: Mapping[str, tuple[bool, dg.AssetCheckSeverity, dict[str, Any]]],
) -> Iterator[dg.AssetCheckEvaluation]:
    key = check_key(suite)
    targets = _targets(op, key.asset_key, list(summaries))
    for day, (passed, severity, metadata) in summaries.items():
        yield dg.AssetCheckEvaluation(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=passed,
            partition=day,
            severity=severity,
            blocking=False,
            metadata=metadata,
            target_materialization_data=targets.get(day),
        )


def tell(op: dg.OpExecutionContext, evaluations: Sequence[dg.AssetCheckEvaluation]) -> None:
    """Evaluations into the event log as one batch, as Dagster does with materialisations of a range and not with these.

    One by one, those of fifty suites on ninety days would be 4,500 transactions and twice as many statements.
    """
    from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata, DagsterEventType

    batch, last = str(uuid.uuid4()), len(evaluations) - 1
    for number, evaluation in enumerate(evaluations):
        said = "passed" if evaluation.passed else "did not pass"
        event = DagsterEvent.from_step(
            event_type=DagsterEventType.ASSET_CHECK_EVALUATION,
            step_context=op.get_step_execution_context(),
            event_specific_data=evaluation,
            message=f"Asset check '{evaluation.check_name}' on '{evaluation.asset_key.to_user_string()}' {said}.",
            batch_metadata=DagsterEventBatchMetadata(batch, is_end=number == last),
        )
        op._events.append(event)  # what log_event does, which knows no batches


def _targets(op: dg.OpExecutionContext, key: dg.AssetKey, days: Sequence[str]) -> dict[str, Any]:
    """Day -> the materialisation that was judged, all in one question (90 days x 50 suites would be 4,500)."""
    from dagster._core.definitions.asset_checks.asset_check_evaluation import (
        AssetCheckEvaluationTargetMaterializationData,
    )

    asked = dg.AssetRecordsFilter(asset_key=key, asset_partitions=list(days))
    found: dict[str, Any] = {}
    cursor = None
    while len(found) < len(days):
        page = op.instance.fetch_materializations(asked, limit=2 * len(days), cursor=cursor)
        for record in page.records:
            if record.partition_key and record.partition_key not in found:
                found[record.partition_key] = AssetCheckEvaluationTargetMaterializationData(
                    run_id=record.event_log_entry.run_id, storage_id=record.storage_id, timestamp=record.timestamp
                )
        if not page.has_more:
            break
        cursor = page.cursor
    return found
