"""Marts to readers: the gate, the publication of each day that passes it, and the dashboards that may then show it.

Certified tables and dashboards are one step: in a range run no output marks the whole range and a missing output
skips what is downstream, so good days are recorded one by one here and the step then fails, naming the blocked ones.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from voiceai_assets.assets.common import ONE_RUN_PER_RANGE, OWNERS, PipelineResource, records_table, remember
from voiceai_assets.assets.dbt import build_views_over_days
from voiceai_assets.assets.dbt_calls import DbtCalls
from voiceai_assets.checks.gate import Verdict
from voiceai_assets.settings import Settings
from voiceai_assets.warehouse.marts import View, day_marts, views_over_days
from voiceai_assets.warehouse.publications import Publication

DASHBOARD = dg.AssetKey(["dashboards", "overview"])
#: How a failure reads that is the gate's verdict and no fault of a step.
GATE_SAID_NO = "blocked by the gate"


def certified_key(mart: str) -> dg.AssetKey:
    """Asset of a certified mart."""
    return dg.AssetKey(["certified", mart])


def certified_assets(settings: Settings, partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """Certified marts, the views over their days, and the dashboards on them."""
    # a day is late when the day after it has passed and it is still not certified
    freshness = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=48), warn_window=timedelta(hours=30))
    specs = [
        dg.AssetSpec(
            certified_key(mart.name),
            deps=[dg.AssetKey(["marts", mart.name])],
            group_name="certified",
            kinds={"postgres", "view"},
            owners=[mart.owner],
            skippable=True,
            freshness_policy=freshness,
            description=(
                f"{mart.description}\n\nLive version of marts.{mart.name}, day by day: a day is here only if every "
                "critical check passed on the load it was built from."
            ),
            metadata={"dagster/table_name": f"certified.{mart.name}"},
        )
        for mart in day_marts().values()
    ]
    views = [_view_spec(view) for view in views_over_days().values()]
    dashboard = dg.AssetSpec(
        DASHBOARD,
        deps=[spec.key for spec in (*specs, *views)],
        group_name="dashboards",
        kinds={"dash", "dashboard"},
        owners=OWNERS,
        skippable=True,
        description="The overview page, connected as bi_reader. A blocked day is a hatched gap with its reason.",
        metadata={"url": dg.MetadataValue.url(settings.dashboard_url)},
    )

    @dg.multi_asset(
        name="publish",
        specs=[*specs, *views, dashboard],
        can_subset=True,
        partitions_def=partitions,
        backfill_policy=ONE_RUN_PER_RANGE,
    )
    def publish(
        context: dg.AssetExecutionContext,
        dbt: dg.ResourceParam[DbtCalls],
        pipeline: dg.ResourceParam[PipelineResource],
    ) -> Iterator[Any]:
        days = list(context.partition_keys)
        build_views_over_days(dbt, pipeline)
        blocked: dict[str, Verdict] = {}
        published: dict[str, dict[dg.AssetKey, dict[str, Any]]] = {}
        for day, verdict, publications in pipeline.pipeline.publish_days(days, context.run.run_id):
            pipeline.on_day("publish", day)
            if not verdict.may_publish:
                blocked[day] = verdict
                context.log.error(f"{day} is {verdict.status}: {_first_reason(verdict)}")
                continue
            published[day] = _events(settings, day, verdict, publications)
        yield from _materialised(context, published, is_whole=not blocked)
        if blocked:
            raise _failure(blocked, len(days))

    return publish


def _view_spec(view: View) -> dg.AssetSpec:
    """A view over published days: current as soon as a day it reads is published."""
    schemas = dict.fromkeys(day_marts(), "certified") | {v.name: v.schema for v in views_over_days().values()}
    return dg.AssetSpec(
        dg.AssetKey([view.schema, view.name]),
        deps=[dg.AssetKey([schemas.get(name, "reference"), name]) for name in view.reads],  # else a seed
        group_name=view.schema,
        kinds={"postgres", "view"},
        owners=[view.owner],
        skippable=True,
        description=f"{view.description}\n\nA view over published days: it never sees a day that did not pass.",
        metadata={"dagster/table_name": f"{view.schema}.{view.name}"},
    )


def _materialised(
    context: dg.AssetExecutionContext, published: Mapping[str, Mapping[dg.AssetKey, dict[str, Any]]], *, is_whole: bool
) -> Iterator[Any]:
    """What became visible.

    One result per asset where that is every day of the run, which Dagster stores at once; else one per asset and day.
    """
    keys = [key for key in next(iter(published.values()), {}) if key in context.selected_asset_keys]
    if not is_whole:
        for key, (day, events) in itertools.product(keys, published.items()):
            yield dg.AssetMaterialization(asset_key=key, partition=day, metadata=events[key])
        return
    remember(context, {key: {day: events[key] for day, events in published.items()} for key in keys})
    for key in keys:
        yield dg.MaterializeResult(asset_key=key)


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
    events |= {dg.AssetKey([view.schema, view.name]): {} for view in views_over_days().values()}
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
        f"{len(blocked)} of {days} day(s) {GATE_SAID_NO}, the others are published: {names}{more}",
        metadata={"blocked": records_table(reasons, ["day", "check", "kind", "why", "what next"])},
        allow_retries=False,
    )
