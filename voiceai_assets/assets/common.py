"""What several layers share: the resource that reaches the pipeline, owners, and metadata in one spelling.

Belongs here: adapters between Dagster and ``pipeline``. Does not belong here: any step of a day.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import dagster as dg

from voiceai_assets.checks.expectations import Validator
from voiceai_assets.lake.account import DayLoad
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.settings import Settings

OWNERS = ["team:voice-analytics"]
#: One run handles a whole range: 90 days cost what 90 runs would spend on start-up alone.
ONE_RUN_PER_RANGE = dg.BackfillPolicy.single_run()


def nobody_listens(_step: str, _day: str) -> None:
    """Hears of a finished day of a step and does nothing."""


class PipelineResource:
    """Reaches the warehouse on first use, so that loading definitions needs no server."""

    def __init__(self, settings: Settings, on_day: Callable[[str, str], None] = nobody_listens) -> None:
        """``on_day(step, day)`` hears of each finished day of each step: the command line draws its bar from it."""
        self.settings = settings
        self.on_day = on_day

    @cached_property
    def pipeline(self) -> Pipeline:
        """The platform on the configured warehouse."""
        return Pipeline.open(self.settings)

    @cached_property
    def validator(self) -> Validator:
        """Great Expectations, imported once per process."""
        return Validator(self.pipeline.warehouse.owner)


def remember(context: dg.AssetExecutionContext, said: Mapping[dg.AssetKey, Mapping[str, Mapping[str, Any]]]) -> None:
    """Metadata of many assets (asset -> day -> metadata), for the results of the step that will be yielded.

    What ``context.add_asset_metadata`` does, which copies all that was added before at each call: 4 s for the 3,000 of
    thirty marts on ninety days. What is private of Dagster in it is here alone.
    """
    from dagster._core.execution.context.metadata_logging import AssetMetadataHandle

    step = context.get_step_execution_context()
    known = step._metadata_accumulator
    handles = {
        AssetMetadataHandle(asset_key=key, partition_key=day): metadata
        for key, days in said.items()
        for day, metadata in days.items()
    }
    step._metadata_accumulator = type(known)(per_output_metadata={**known.per_output_metadata, **handles})


def day_metadata(loads: Sequence[DayLoad]) -> dict[str, Any]:
    """What a person wants to know of a day in the lake: the account of each dataset, each file with its checksum."""
    return {
        "dagster/partition_row_count": sum(load.rows_loaded for load in loads),
        "datasets": records_table(
            [
                {
                    "dataset": load.dataset,
                    "load_id": load.load_id,
                    "in": load.rows_in,
                    "loaded": load.rows_loaded,
                    "quarantined": load.rows_quarantined,
                    "repeated": load.rows_duplicate,
                }
                for load in loads
            ],
            ["dataset", "load_id", "in", "loaded", "quarantined", "repeated"],
        ),
        "files": _files_table(loads),
    }


def load_metadata(load: DayLoad) -> dict[str, Any]:
    """What a person wants to know of a loaded day: rows, account, and each file with its checksum."""
    return {
        "dagster/partition_row_count": load.rows_loaded,
        "load_id": load.load_id,
        "rows_in": load.rows_in,
        "rows_quarantined": load.rows_quarantined,
        "rows_duplicate": load.rows_duplicate,
        "files": _files_table([load]),
    }


def _files_table(loads: Sequence[DayLoad]) -> dg.MetadataValue:
    columns = ["dataset", "file", "sha256", "bytes", "rows", "loaded", "problem"]
    return records_table(
        [
            {
                "dataset": load.dataset,
                "file": f.file,
                "sha256": f.sha256,
                "bytes": f.size_bytes,
                "rows": f.rows_in,
                "loaded": f.rows_loaded,
                "problem": f.problem or ("breaks off" if f.is_truncated else ""),
            }
            for load in loads
            for f in load.files
        ],
        columns,
    )


def records_table(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> dg.MetadataValue:
    """A table as the UI shows it; cells are text so that any value fits."""
    return dg.MetadataValue.table(
        records=[dg.TableRecord({c: _cell(record.get(c)) for c in columns}) for record in records],
        schema=dg.TableSchema(columns=[dg.TableColumn(c) for c in columns]),
    )


def _cell(value: Any) -> str | int | float | bool | None:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
