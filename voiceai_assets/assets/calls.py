"""Transcripts to figures: ``intermediate/call_signals``, the one step between raw and dbt that SQL cannot do.

It comes before dbt and not between two of its models: dbt starts once a run, and a second start would cost 3 s of every
day. So the models read its table as a source, and lineage is raw/calls -> intermediate/call_signals ->
marts/silver_calls -> marts/gold_performance_metrics.
"""

from collections import Counter
from dataclasses import asdict
from typing import Any

import dagster as dg

from voiceai_assets.assets.common import ONE_RUN_PER_RANGE, OWNERS, PipelineResource, records_table
from voiceai_assets.assets.raw import raw_key
from voiceai_assets.transcripts.version import code_version
from voiceai_assets.warehouse.calls import replace_day

CALL_SIGNALS = dg.AssetKey(["intermediate", "call_signals"])


def call_signals_asset(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """What every call's transcript says, day by day."""

    @dg.asset(
        key=CALL_SIGNALS,
        deps=[raw_key("calls")],
        partitions_def=partitions,
        backfill_policy=ONE_RUN_PER_RANGE,
        group_name="intermediate",
        kinds={"postgres", "python"},
        owners=OWNERS,
        metadata={"dagster/table_name": "intermediate.call_signals"},
        description=(
            "Grain: one row per call. Conversion, extras offered, accepted and taken back, and the customer's "
            "sentiment, read out of the transcript; what the business system booked wins over the text. Holds text "
            "and is never published."
        ),
    )
    def call_signals(
        context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[PipelineResource]
    ) -> dg.MaterializeResult[Any]:
        texts_from = pipeline.pipeline.texts_from()
        total: Counter[str] = Counter()
        # a rotation of the key between reading a call and writing its signals would leave the old pseudonym in them
        with pipeline.pipeline.held_key():
            for day in context.partition_keys:
                with pipeline.pipeline.warehouse.connect() as connection:
                    counts = replace_day(connection, day, texts_from)
                pipeline.on_day("calls", day)
                rows = {"dagster/partition_row_count": counts["calls"], **counts}
                context.add_asset_metadata(rows, partition_key=day)
                total += counts
        return dg.MaterializeResult(
            metadata={**total, "code_version": code_version(), "evaluation": evaluation_table()}
        )

    return call_signals


def evaluation_table() -> dg.MetadataValue:
    """How often the rules are right on the labelled dialogues, those that they were not tuned on apart."""
    from voiceai_assets.transcripts.evaluation import report

    found = [{"part": part, **_rounded(asdict(measures))} for part, measures in report().items()]
    return records_table(found, list(found[0]))


def _rounded(measures: dict[str, float | int | None]) -> dict[str, float | int | None]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in measures.items()}
