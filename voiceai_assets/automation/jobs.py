"""Jobs: which assets run together."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from voiceai_assets import retention
from voiceai_assets.assets.abandonment import SCORES
from voiceai_assets.assets.common import PipelineResource
from voiceai_assets.assets.governance import REPORT
from voiceai_assets.checks.asset_checks import check_key
from voiceai_assets.checks.suites import Suite

#: Days in one run; a year would hold one transaction log and one process for too long.
DAYS_PER_RUN = 90


def daily_job() -> Any:
    """Landing to dashboards with every check, for one day or a range."""
    return dg.define_asset_job(
        "daily_job",
        # seeds and staging views are the same for every day: the dbt step sees to them when their code changed
        selection=dg.AssetSelection.all()
        - dg.AssetSelection.assets(REPORT)
        - dg.AssetSelection.groups("staging", "reference", "models"),
        description="Landing to certified dashboards with every check, for one day or a range of days.",
    )


def check_job(suites: Sequence[Suite]) -> Any:
    """The checks alone, on what is loaded and built; nothing is published, but what proves bad is withdrawn."""
    return dg.define_asset_job(
        "check_job",
        selection=dg.AssetSelection.checks(*(check_key(suite) for suite in suites)),
        description="Judge days again as they are loaded and built. Publishes nothing; withdraws what proves bad.",
    )


def publish_job() -> Any:
    """The publish step alone; the gate decides from the ledger, so a blocked day stays blocked."""
    return dg.define_asset_job(
        "publish_job",
        selection=dg.AssetSelection.groups("certified", "exp", "dashboards"),
        description="Publish again what the ledger says may be published. A blocked day stays blocked.",
    )


def train_job() -> Any:
    """The abandonment model on all certified days, and the champion if the model's criteria hold."""
    return dg.define_asset_job(
        "train_job",
        selection=dg.AssetSelection.groups("models"),
        description="Train the abandonment model on certified days; the champion changes if the criteria hold.",
    )


def report_job() -> Any:
    """The governance report, with the standing checks."""
    return dg.define_asset_job(
        "report_job",
        selection=dg.AssetSelection.assets(REPORT),
        description="The governance report of the last ninety days, and what must hold of the whole installation.",
    )


def standing_job() -> Any:
    """The standing checks alone."""
    return dg.define_asset_job(
        "standing_job",
        selection=dg.AssetSelection.checks_for_assets(REPORT),
        description="No day left failed or stale, no certified day without certificate, no mart that nobody governs.",
    )


def score_job() -> Any:
    """Scores of the days that were published since, by the champion as it is."""
    return dg.define_asset_job(
        "score_job",
        selection=dg.AssetSelection.assets(SCORES),
        description="Score published turns that have no score of the champion yet.",
    )


def retention_job() -> dg.JobDefinition:
    """Deletes what is older than the limits; no asset changes, so it is a plain job."""

    @dg.op(description="Landed files and free text older than the limits. Days stay as they were certified.")
    def retain(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[PipelineResource]) -> None:
        chosen = retention.plan(pipeline.pipeline)
        for path, why in chosen.files.kept.items():
            context.log.warning(f"{path} is old and stays: {why}")
        for problem in chosen.unread:
            context.log.warning(f"never read, and stays: {problem}")
        failed = retention.carry_out(pipeline.pipeline, chosen, lambda what: context.log.info(f"kept too long: {what}"))
        if failed:
            raise dg.Failure(f"{len(failed)} thing(s) are older than kept and could not be removed: {failed}")

    @dg.job(name="retention_job", description="Delete what is older than the limits of the settings.")
    def job() -> None:
        retain()

    return job
