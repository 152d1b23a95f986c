"""Lake to PostgreSQL: ``raw/<dataset>``, one range partition per day, replaced in one transaction by COPY."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from voiceai_assets.assets.common import ONE_RUN_PER_RANGE, OWNERS, PipelineResource, load_metadata, remember
from voiceai_assets.assets.landing import TURN_FILES
from voiceai_assets.contracts import DATASETS
from voiceai_assets.contracts.fields import Contract


def raw_key(dataset: str) -> dg.AssetKey:
    """Asset of a dataset in ``raw``."""
    return dg.AssetKey(["raw", dataset])


def raw_assets(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """The assets that fill ``raw``, one step.

    A day that has nothing of a dataset materialises it empty: somebody looked. To skip the output instead would skip
    every step downstream of it.
    """
    specs = [
        dg.AssetSpec(
            raw_key(contract.dataset),
            deps=[TURN_FILES],
            group_name="raw",
            kinds={"postgres"},
            owners=OWNERS,
            metadata={"dagster/column_schema": _schema(contract), "dagster/table_name": f"raw.{contract.dataset}"},
            description=(
                f"Grain: {contract.grain}. Readers wait for the commit and then see the new day, whole. Each reload "
                "with other content gets a new load_id, which no older check result fits."
            ),
        )
        for contract in DATASETS.values()
    ]

    @dg.multi_asset(name="load_raw", specs=specs, partitions_def=partitions, backfill_policy=ONE_RUN_PER_RANGE)
    def load_raw(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[PipelineResource]) -> Iterator[Any]:
        said: dict[dg.AssetKey, dict[str, dict[str, Any]]] = {}
        for day, loads, problem in pipeline.pipeline.load_days(context.partition_keys):
            pipeline.on_day("load", day)
            if problem and context.has_partition_key:
                raise dg.Failure(str(problem))
            if problem:
                context.log.error(f"{problem}; the day is left out of the range")
            elif not loads:
                context.log.error(f"{day} is not in the lake as landing has it now; it is left unloaded")
            for load in loads:
                said.setdefault(raw_key(load.dataset), {})[day] = load_metadata(load)
        remember(context, said)
        for spec in specs:
            yield dg.MaterializeResult(asset_key=spec.key)

    return load_raw


def _schema(contract: Contract) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(f.name, f.kind.postgres, f.doc, dg.TableColumnConstraints(nullable=not f.required))
            for f in contract.columns
        ]
    )
