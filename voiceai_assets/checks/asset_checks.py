"""A suite as a Dagster asset check that keeps one verdict per day, in one-day runs and in range runs alike.

Belongs here: how results reach Dagster. Does not belong here: evaluation (``expectations``), decisions (``gate``).

Dagster 1.13 records a partitioned ``AssetCheckResult`` only in a run of one partition; in a range run the result has
no partition and every day of the range would read EXECUTION_FAILED. There we emit one ``AssetCheckEvaluation`` per
day instead. Its target-data class is private: it is imported in ``_evaluation`` alone, and
``tests/integration/test_partition_status.py`` fails when a new version changes what the UI then shows.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from voiceai_assets.assets.common import PipelineResource, records_table
from voiceai_assets.checks.gate import seen
from voiceai_assets.checks.suites import Suite
from voiceai_assets.warehouse.ledger import CheckResult

_RULE_COLUMNS = ("rule", "status", "severity", "demanded", "observed", "sample")


def suite_check(suite: Suite, partitions: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
    """The asset check of one suite: blocking, partitioned, one verdict per day."""
    key = dg.AssetKey(list(suite.asset))
    spec = dg.AssetCheckSpec(
        suite.suite,
        asset=key,
        partitions_def=partitions,
        blocking=True,
        description=f"{suite.doc} Rules: {', '.join(rule.id for rule in suite.rules)}.",
    )

    @dg.multi_asset_check(specs=[spec], name=suite.suite)
    def check(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[PipelineResource]) -> Iterator[Any]:
        op = context.op_execution_context
        days = list(op.partition_keys)
        for day in days:
            results = pipeline.pipeline.judge(suite, day, pipeline.validator, context.run.run_id)
            pipeline.on_day("check", day)
            passed, severity, metadata = _summary(suite, day, results)
            if op.has_partition_key:
                yield dg.AssetCheckResult(
                    passed=passed, severity=severity, metadata=metadata, asset_key=key, check_name=suite.suite
                )
                return
            yield _evaluation(op, key, suite.suite, day, passed, severity, metadata)
        # the range goes on whatever single days gave: the gate blocks those, and only those
        yield dg.Output(None, output_name=spec.get_python_identifier())

    return check


def _summary(
    suite: Suite, day: str, results: Sequence[CheckResult]
) -> tuple[bool, dg.AssetCheckSeverity, dict[str, Any]]:
    """Passed or not, how grave, and what the UI shows: critical failures are errors, the rest warnings."""
    broken = [r for r in results if r.status != "passed"]
    critical = [r for r in broken if r.severity == "critical"]
    severity = dg.AssetCheckSeverity.ERROR if critical or not broken else dg.AssetCheckSeverity.WARN
    mend = {suite.check_name(rule): rule.mend for rule in suite.rules}
    metadata: dict[str, Any] = {
        "day": day,
        "rules": len(results),
        "broken": len([r for r in broken if r.status == "failed"]),
        "could not check": len([r for r in broken if r.status == "error"]),
        "results": records_table(
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
        ),
    }
    if broken:
        metadata["what next"] = dg.MetadataValue.md(
            "\n".join(f"- **{r.check_name.split('.', 1)[1]}**: {mend[r.check_name]}" for r in broken)
        )
    return not broken, severity, metadata


def _evaluation(
    op: dg.OpExecutionContext,
    key: dg.AssetKey,
    check: str,
    day: str,
    passed: bool,
    severity: dg.AssetCheckSeverity,
    metadata: dict[str, Any],
) -> dg.AssetCheckEvaluation:
    from dagster._core.definitions.asset_checks.asset_check_evaluation import (
        AssetCheckEvaluationTargetMaterializationData,
    )

    found = op.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key, asset_partitions=[day]), limit=1
    ).records
    target = (
        AssetCheckEvaluationTargetMaterializationData(
            run_id=found[0].event_log_entry.run_id, storage_id=found[0].storage_id, timestamp=found[0].timestamp
        )
        if found
        else None
    )
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=check,
        passed=passed,
        partition=day,
        severity=severity,
        blocking=False,
        metadata=metadata,
        target_materialization_data=target,
    )
