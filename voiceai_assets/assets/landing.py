"""Landing to lake: ``lake/turn_files``, one Parquet per day, typed, pseudonymised, redacted and accounted for."""

import dagster as dg

from voiceai_assets.assets.common import ONE_RUN_PER_RANGE, OWNERS, PipelineResource, load_metadata

TURN_FILES = dg.AssetKey(["lake", "turn_files"])


def turn_files_asset(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """The asset that reads landing."""

    @dg.asset(
        key=TURN_FILES,
        partitions_def=partitions,
        backfill_policy=ONE_RUN_PER_RANGE,
        group_name="lake",
        kinds={"parquet", "duckdb"},
        owners=OWNERS,
        description=(
            "Grain: one row per turn of the day, as it arrived, typed by the turn contract. User ids are keyed "
            "pseudonyms, texts are redacted, exact repeats are counted once, refused records lie in quarantine with "
            "file, line and reason. The same files give the same bytes."
        ),
    )
    def turn_files(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[PipelineResource]) -> None:
        step = pipeline.pipeline
        found = step.look_into_landing()
        for waiting in found.waiting:
            context.log.warning(f"{waiting} is still being written; it will be read once it is quiet")
        for load, problem in step.refine(context.partition_keys):
            if load is not None:
                context.add_asset_metadata(load_metadata(load), asset_key=TURN_FILES, partition_key=load.day)
            elif context.has_partition_key:
                raise dg.Failure(str(problem))
            else:
                context.log.error(f"one day of the range is left out: {problem}")
            pipeline.on_day("read", load.day if load else "")

    return turn_files
