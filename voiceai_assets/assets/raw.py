"""Lake to PostgreSQL: ``raw/turns``, one range partition per day, replaced in one transaction by COPY."""

import dagster as dg

from voiceai_assets.assets.common import ONE_RUN_PER_RANGE, OWNERS, PipelineResource, load_metadata
from voiceai_assets.assets.landing import TURN_FILES
from voiceai_assets.contracts.turns import TURNS

RAW_TURNS = dg.AssetKey(["raw", "turns"])


def raw_turns_asset(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """The asset that fills ``raw.turns``."""
    columns = [
        dg.TableColumn(f.name, f.kind.postgres, f.doc, dg.TableColumnConstraints(nullable=not f.required))
        for f in TURNS.columns
    ]

    @dg.asset(
        key=RAW_TURNS,
        deps=[TURN_FILES],
        partitions_def=partitions,
        backfill_policy=ONE_RUN_PER_RANGE,
        group_name="raw",
        kinds={"postgres"},
        owners=OWNERS,
        metadata={"dagster/column_schema": dg.TableSchema(columns=columns), "dagster/table_name": "raw.turns"},
        description=(
            "Grain: one row per turn (turn_date, session_id, turn_id or turn_number and speaker). Readers keep the old "
            "day until the new one is committed. Each reload with other content gets a new load_id, which no older "
            "check result fits."
        ),
    )
    def turns(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[PipelineResource]) -> None:
        for day in context.partition_keys:
            load = pipeline.pipeline.load(day)
            pipeline.on_day("load", day)
            if load is None:
                context.log.error(f"{day} is not in the lake as landing has it now; it is left unloaded")
                continue
            context.add_asset_metadata(load_metadata(load), asset_key=RAW_TURNS, partition_key=day)

    return turns
