"""The governance report as an asset, and what must hold of the whole installation as checks on it.

Belongs here: how both reach Dagster. Does not belong here: the report (``governance.report``), the questions
(``governance.standing``).
"""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from voiceai_assets.assets.common import OWNERS, PipelineResource, records_table
from voiceai_assets.governance.report import Report, median_hours
from voiceai_assets.governance.reporting import make_report, period
from voiceai_assets.governance.standing import CHECKS, Standing
from voiceai_assets.settings import Settings

REPORT = dg.AssetKey(["governance", "report"])


class ReportPeriod(dg.Config):
    """What a report may vary.

    Attributes:
        last_days: so many days, ending with the newest that anything is known of.
        with_data_docs: write Great Expectations' own pages as well.
    """

    last_days: int = 90
    with_data_docs: bool = True


def report_asset(settings: Settings) -> dg.AssetsDefinition:
    """The report of the last ninety days."""

    @dg.asset(
        key=REPORT,
        group_name="governance",
        kinds={"html", "python"},
        owners=OWNERS,
        description=(
            "Grain: one folder per period. One printable HTML page, JSON and CSV: coverage of certification, failures "
            "and time to mend, warnings, contradictions, quarantine, restatements, erasures, freshness, and the days "
            "that wait for somebody."
        ),
    )
    def report(config: ReportPeriod, pipeline: dg.ResourceParam[PipelineResource]) -> dg.MaterializeResult[None]:
        span = period(pipeline.pipeline, None, None)
        if span is None:
            raise dg.Failure("no day is known yet: land files and run their days", allow_retries=False)
        first = max(span[0], span[1] - timedelta(days=config.last_days - 1))
        made, paths = make_report(pipeline.pipeline, first, span[1], with_docs=config.with_data_docs)
        return dg.MaterializeResult(metadata=_metadata(settings, made, paths, (first, span[1])))

    return report


def _metadata(settings: Settings, made: Report, paths: dict[str, Path], span: tuple[date, date]) -> dict[str, Any]:
    covered = made.coverage
    folder = f"{settings.dashboard_url}reports/{span[0]}_{span[1]}"
    return {
        "report": dg.MetadataValue.url(f"{folder}/report.html"),
        "json": dg.MetadataValue.url(f"{folder}/report.json"),
        "csv": dg.MetadataValue.url(f"{folder}/days.csv"),
        **{f"file: {name}": dg.MetadataValue.path(str(path)) for name, path in paths.items()},
        "days": f"{made.first} to {made.last}",
        "certified": f"{covered['certified_days']} of {covered['known_days']} known day(s)",
        "waiting": records_table(made.open_days, ["day", "status", "why", "what_next"]),
        "health": records_table(
            [{"must hold": s.name.replace("_", " "), "does": s.summary, "to do": "" if s.holds else s.mend}
             for s in made.standing],
            ["must hold", "does", "to do"],
        ),
        "contradictions": records_table(
            [dict(row) for row in made.contradictions if row["found_count"]],
            ["source", "contradiction", "found_count", "out_of"],
        ),
        "withheld": records_table(
            [dict(row) for row in made.withheld], ["source", "kpi", "ways", "lowest", "highest"]
        ),
        "restatements": len(made.restatements),
        "median hours to mend": median_hours(made.failures),
        "end of the chain": made.chain["head"] or "no certificate yet",
    }  # fmt: skip


def standing_checks() -> list[dg.AssetChecksDefinition]:
    """What must hold at any time, asked of the ledgers alone."""
    return [_standing_check(ask) for ask in CHECKS]


def _standing_check(ask: Callable[[Any], Standing]) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=REPORT, name=ask.__name__, description=ask.__doc__, blocking=False)
    def check(pipeline: dg.ResourceParam[PipelineResource]) -> dg.AssetCheckResult:
        with pipeline.pipeline.warehouse.connect() as connection:
            found = ask(connection)
        return dg.AssetCheckResult(
            passed=found.holds,
            metadata={
                "problems": len(found.problems),
                "which": records_table([{"problem": text} for text in found.problems], ["problem"]),
                **({} if found.holds else {"what next": found.mend}),
            },
        )

    return check
