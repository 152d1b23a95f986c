"""Raw to marts: one asset per dbt model, built for the days of the run.

Belongs here: what of dbt is built when, and how its models become assets. Does not belong here: SQL (``dbt_project``).
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject, dbt_assets

from voiceai_assets.assets.common import ONE_RUN_PER_RANGE, OWNERS, PipelineResource
from voiceai_assets.assets.dbt_calls import DbtCalls, DbtError, parsing_environment
from voiceai_assets.instance import environment
from voiceai_assets.settings import Settings
from voiceai_assets.versions import DBT_PROJECT, dbt_project_version

#: What is made from published days, hence after the gate: ``build_views_over_days``.
VIEWS_OVER_DAYS = ("path:models/certified", "path:models/exp")
#: What is the same for every day, hence built when its code changes: 22 nodes, which cost 3 s of each run.
SAME_FOR_EVERY_DAY = ("tag:staging", "resource_type:seed")
#: Unit tests judge the code and not the day: the project's own tests run them.
_NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")


class LayerTranslator(DagsterDbtTranslator):
    """Key = [schema, model], group = layer; both derived from where the model lies, never typed by hand."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """First folder below ``models``; seeds are a group of their own."""
        return "reference" if dbt_resource_props["resource_type"] == "seed" else str(dbt_resource_props["fqn"][1])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """Owner from the model's meta, else the team."""
        owner = dbt_resource_props.get("config", {}).get("meta", {}).get("owner")
        return [owner] if owner else OWNERS


def dbt_executable() -> str:
    """The dbt command of our own environment."""
    return str(Path(sys.executable).with_name("dbt"))


def prepare_manifest(settings: Settings) -> Path:
    """Parse the dbt project when its files changed since last time, and return the manifest's path.

    Raises:
        RuntimeError: when the project does not parse; the message is dbt's own.
    """
    target = settings.dbt_target
    manifest, stamp = target / "manifest.json", target / "parsed_version"
    version = dbt_project_version()
    if manifest.exists() and stamp.exists() and stamp.read_text() == version:
        return manifest
    target.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(  # noqa: S603  # fixed arguments
        [dbt_executable(), "--no-use-colors", "parse", "--target-path", str(target), "--log-path", str(target)],
        cwd=DBT_PROJECT,
        env={**parsing_environment(), "DBT_PROFILES_DIR": str(DBT_PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"dbt cannot parse {DBT_PROJECT}:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    stamp.write_text(version)
    return manifest


@contextmanager
def dbt_environment(pipeline: PipelineResource, first: str, last: str) -> Iterator[None]:
    """Environment of a dbt call: where the warehouse is, and which days to build.

    The window travels by environment and not by ``--vars``, because a changed var forces a full parse (+1.6 s).
    """
    values = {
        **pipeline.pipeline.dbt_environment(),
        "DBT_WINDOW_START": first,
        "DBT_WINDOW_END": last,
        "DBT_SHAPES": "known" if pipeline.pipeline.is_built("marts") else "check",
    }
    with environment(values):
        yield


def build_what_every_day_needs(dbt: DbtCalls, pipeline: PipelineResource) -> None:
    """Seeds and staging views, unless they are of the present code."""
    if not pipeline.pipeline.is_built("staging"):
        build_once(dbt, pipeline, SAME_FOR_EVERY_DAY)
        pipeline.pipeline.record_built("staging")


def build_views_over_days(dbt: DbtCalls, pipeline: PipelineResource) -> None:
    """Make what readers read as wide as the marts are, and the views over days where their code changed.

    Not a part of the daily build, because they are made from what is published, and not once per run, because a view
    is only its text.
    """
    if pipeline.pipeline.readers_need_views():
        build_once(dbt, pipeline, VIEWS_OVER_DAYS)
        pipeline.pipeline.record_built("views")


def build_once(dbt: DbtCalls, pipeline: PipelineResource, selection: Sequence[str]) -> None:
    """Build a part of the project without telling Dagster of every node.

    Raises:
        DbtError: when dbt fails; the message is dbt's own.
    """
    with dbt_environment(pipeline, "1970-01-01", "2999-12-31"):
        dbt.build(["--select", *selection, *_NO_UNIT_TESTS, "--indirect-selection", "cautious"])


def dbt_project(settings: Settings) -> DbtProject:
    """The project as dagster-dbt sees it, with its target outside the checkout."""
    return DbtProject(project_dir=DBT_PROJECT, profiles_dir=DBT_PROJECT, target_path=settings.dbt_target)


def dbt_model_assets(settings: Settings, partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The models of a day as one step (dbt orders them itself and a second start-up would cost 3 s), and the rest."""
    manifest = prepare_manifest(settings)
    translator = LayerTranslator(
        DagsterDbtTranslatorSettings(
            enable_asset_checks=True, enable_code_references=True, enable_duplicate_source_asset_keys=True
        )
    )

    @dbt_assets(
        manifest=manifest,
        select=" ".join(SAME_FOR_EVERY_DAY),
        name="seeds_and_staging",
        project=dbt_project(settings),
        dagster_dbt_translator=translator,
    )
    def seeds_and_staging(
        context: dg.AssetExecutionContext,
        dbt: dg.ResourceParam[DbtCalls],
        pipeline: dg.ResourceParam[PipelineResource],
    ) -> Iterator[Any]:
        with dbt_environment(pipeline, "1970-01-01", "2999-12-31"):
            told, failure = dbt.build_assets(context, [*_NO_UNIT_TESTS, "--indirect-selection", "cautious"])
        yield from told
        if failure:
            raise failure
        pipeline.pipeline.record_built("staging")

    @dbt_assets(
        manifest=manifest,
        exclude=" ".join((*VIEWS_OVER_DAYS, *SAME_FOR_EVERY_DAY)),
        name="dbt_models",
        project=dbt_project(settings),
        partitions_def=partitions,
        backfill_policy=ONE_RUN_PER_RANGE,
        dagster_dbt_translator=translator,
    )
    def dbt_models(
        context: dg.AssetExecutionContext,
        dbt: dg.ResourceParam[DbtCalls],
        pipeline: dg.ResourceParam[PipelineResource],
    ) -> Iterator[Any]:
        days = list(context.partition_keys)
        build_what_every_day_needs(dbt, pipeline)
        # a rotation of the key between two statements of a model would leave old pseudonyms in its rows
        with pipeline.pipeline.held_key(), pipeline.pipeline.held_days(days):
            loads = pipeline.pipeline.name_mart_loads(days)
            for day in sorted(set(days) - set(loads)):
                context.log.warning(f"nothing is loaded for {day}; its marts are not built")
            with dbt_environment(pipeline, days[0], days[-1]):
                told, failure = dbt.build_assets(context, _NO_UNIT_TESTS)
            if failure and len(days) > 1:
                told, failure = _day_by_day(context, dbt, pipeline)
            elif failure:
                pipeline.pipeline.refuse_marts(days[0], failure.nodes, context.run.run_id)
        yield from told
        if failure:
            raise failure
        pipeline.pipeline.record_built("marts")
        for day in days:
            pipeline.on_day("dbt", day)

    return [seeds_and_staging, dbt_models]


def _day_by_day(
    context: dg.AssetExecutionContext, dbt: DbtCalls, pipeline: PipelineResource
) -> tuple[list[Any], DbtError | None]:
    """A range of which a part failed, each day alone: a model that fails on one day holds up no other one.

    The marts of a day that fails are no longer what lies in landing, so nothing can be certified from them. A test that
    failed is told as a warning, because an error would end the step and take the other days with it.
    """
    outputs: dict[str, dg.Output[Any]] = {}
    checks: dict[tuple[Any, Any], dg.AssetCheckResult] = {}
    others: list[Any] = []
    failures: list[DbtError] = []
    for day in context.partition_keys:
        with dbt_environment(pipeline, day, day):
            events, failure = dbt.build_assets(context, _NO_UNIT_TESTS)
        if failure:
            failures.append(failure)
            pipeline.pipeline.refuse_marts(day, failure.nodes, context.run.run_id)
            context.log.error(f"{day}: {failure}")
        for event in events:
            if isinstance(event, dg.Output):
                outputs[event.output_name] = event
            elif not isinstance(event, dg.AssetCheckResult):
                others.append(event)
            elif not event.passed or (event.asset_key, event.check_name) not in checks:  # the worst of the days
                checks[event.asset_key, event.check_name] = event._replace(severity=dg.AssetCheckSeverity.WARN)
    is_lost = len(failures) == len(context.partition_keys)
    return [*outputs.values(), *checks.values(), *others], failures[0] if is_lost else None
