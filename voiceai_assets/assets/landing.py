"""Landing to lake: ``lake/turn_files``, Parquet per dataset and day, typed, pseudonymised, redacted, accounted for."""

import dagster as dg

from voiceai_assets.assets.common import ONE_RUN_PER_RANGE, OWNERS, PipelineResource, day_metadata

TURN_FILES = dg.AssetKey(["lake", "turn_files"])


def turn_files_asset(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """The asset that reads landing; one for all datasets, because one file may feed several and is parsed once."""

    @dg.asset(
        key=TURN_FILES,
        partitions_def=partitions,
        backfill_policy=ONE_RUN_PER_RANGE,
        group_name="lake",
        kinds={"parquet", "duckdb"},
        owners=OWNERS,
        description=(
            "Grain: one row per turn, session, call, ... of the day, as it arrived, typed by its contract, in "
            "lake/<dataset>/date=<day>. Whoever a record names is a keyed pseudonym, texts are redacted, exact repeats "
            "are counted once, refused records lie in quarantine with file, line and reason. The same files give the "
            "same bytes."
        ),
    )
    def turn_files(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[PipelineResource]) -> None:
        step = pipeline.pipeline
        found = step.look_into_landing()
        for waiting in found.waiting:
            context.log.warning(f"{waiting} is still being written; it will be read once it is quiet")
        for left_aside in found.left_aside:
            context.log.warning(f"not read: {left_aside}")
        for day, loads, problem in step.refine(context.partition_keys):
            pipeline.on_day("read", day)
            if problem is None:
                context.add_asset_metadata(day_metadata(loads), asset_key=TURN_FILES, partition_key=day)
            elif context.has_partition_key:
                raise dg.Failure(str(problem))
            else:
                context.log.error(f"{day} of the range is left out: {problem}")

    return turn_files
