"""Marts to readers: the gate, the publication of each day that passes it, and the dashboards that may then show it.

Certified tables and dashboards are one step: in a range run no output marks the whole range and a missing output
skips what is downstream, so good days are recorded one by one here and the step then fails, naming the blocked ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from voiceai_assets.assets.common import ONE_RUN_PER_RANGE, OWNERS, PipelineResource, records_table
from voiceai_assets.checks.gate import Verdict
from voiceai_assets.settings import Settings
from voiceai_assets.warehouse.publications import CERTIFIED_MARTS, Publication

DASHBOARD = dg.AssetKey(["dashboards", "overview"])


def certified_key(mart: str) -> dg.AssetKey:
    """Asset of a certified mart."""
    return dg.AssetKey(["certified", mart])


def certified_assets(settings: Settings, partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """Certified marts and the dashboards on them."""
    # a day is late when the day after it has passed and it is still not certified
    freshness = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=48), warn_window=timedelta(hours=30))
    specs = [
        dg.AssetSpec(
            certified_key(mart),
            deps=[dg.AssetKey(["marts", mart])],
            group_name="certified",
            kinds={"postgres", "view"},
            owners=OWNERS,
            skippable=True,
            freshness_policy=freshness,
            description=(
                f"Live version of marts.{mart}, day by day: a day is here only if every critical check passed on the "
                "load it was built from. All that bi_reader can read."
            ),
            metadata={"dagster/table_name": f"certified.{mart}"},
        )
        for mart in CERTIFIED_MARTS
    ]
    dashboard = dg.AssetSpec(
        DASHBOARD,
        deps=[certified_key(mart) for mart in CERTIFIED_MARTS],
        group_name="dashboards",
        kinds={"dash", "dashboard"},
        owners=OWNERS,
        skippable=True,
        description="The overview page, connected as bi_reader. A blocked day is a hatched gap with its reason.",
        metadata={"url": dg.MetadataValue.url(settings.dashboard_url)},
    )

    @dg.multi_asset(
        name="publish",
        specs=[*specs, dashboard],
        can_subset=True,
        partitions_def=partitions,
        backfill_policy=ONE_RUN_PER_RANGE,
    )
    def publish(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[PipelineResource]) -> Iterator[Any]:
        days = list(context.partition_keys)
        blocked: dict[str, Verdict] = {}
        for day in days:
            verdict, publications = pipeline.pipeline.publish(day, context.run.run_id)
            pipeline.on_day("publish", day)
            if not verdict.may_publish:
                blocked[day] = verdict
                context.log.error(f"{day} is {verdict.status}: {_first_reason(verdict)}")
                continue
            for key, metadata in _events(settings, day, verdict, publications).items():
                if key not in context.selected_asset_keys:
                    continue
                if context.has_partition_key:
                    yield dg.MaterializeResult(asset_key=key, metadata=metadata)
                else:
                    yield dg.AssetMaterialization(asset_key=key, partition=day, metadata=metadata)
        if blocked:
            raise _failure(blocked, len(days))

    return publish


def _events(
    settings: Settings, day: str, verdict: Verdict, publications: Sequence[Publication]
) -> dict[dg.AssetKey, dict[str, Any]]:
    """Metadata of each asset that became visible."""
    shared: dict[str, Any] = {
        "status": verdict.status.value,
        "certificate": publications[0].certificate_id,
        "dashboard": dg.MetadataValue.url(f"{settings.dashboard_url}?from={day}&to={day}"),
    }
    if verdict.reasons:
        shared["warnings"] = records_table([r.as_dict() for r in verdict.reasons], ["check", "kind", "text", "mend"])
    events: dict[dg.AssetKey, dict[str, Any]] = {
        certified_key(p.mart): {
            "dagster/partition_row_count": p.row_count,
            "version": p.version,
            "content_sha256": p.content_sha256,
            "unchanged": not p.is_new,
            **shared,
        }
        for p in publications
    }
    events[DASHBOARD] = shared
    return events


def _first_reason(verdict: Verdict) -> str:
    return verdict.reasons[0].text if verdict.reasons else "no reason recorded"


def _failure(blocked: Mapping[str, Verdict], days: int) -> dg.Failure:
    reasons = [
        {"day": day, "check": r.check, "kind": r.kind, "why": r.text, "what next": r.mend}
        for day, verdict in blocked.items()
        for r in verdict.reasons
        if r.severity == "critical"
    ]
    names = ", ".join(f"{day} ({_first_reason(v)})" for day, v in list(blocked.items())[:5])
    more = f" and {len(blocked) - 5} more" if len(blocked) > 5 else ""
    return dg.Failure(
        f"{len(blocked)} of {days} day(s) blocked by the gate, the others are published: {names}{more}",
        metadata={"blocked": records_table(reasons, ["day", "check", "kind", "why", "what next"])},
        allow_retries=False,
    )
