"""What ``voiceai up`` does before it starts the servers: a sample where nothing landed, due days, a first model."""

from __future__ import annotations

from datetime import timedelta

from rich.console import Console

from voiceai_assets.automation.planning import DayRange
from voiceai_assets.cli.days import run_with_bar
from voiceai_assets.lake.inbox import scan
from voiceai_assets.partitions import first_day, remember_first_day, today
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.runs import run_training
from voiceai_assets.synthetic.sample import bad_day, write_sample


def first_run(pipeline: Pipeline, console: Console, *, with_sample: bool) -> None:
    """Leave the platform with something to look at; later only what is due is run."""
    settings = pipeline.settings
    closed: list[str] = []
    is_empty = not pipeline.landing_store and next(scan(settings.landing, closed), None) is None and not closed
    if is_empty and not with_sample:
        (settings.landing / "canonical").mkdir(parents=True, exist_ok=True)
        return
    if is_empty:
        last = today(settings) - timedelta(days=1)
        with console.status("generating a sample of 30 days"):
            write_sample(settings.landing / "canonical", last)
        console.print(f"a generated sample landed; on {bad_day(last)} its confidences are log scores, on purpose")
    found = pipeline.look_into_landing(quiet_seconds=0 if is_empty else None)
    remember_first_day(settings, found.home_days)
    within = DayRange(first_day(settings).isoformat(), today(settings).isoformat()).days
    due = pipeline.days_to_repair(within)
    if due:
        console.print(f"running {len(due)} day(s): {', '.join(sorted(set(due.values())))}")
        run_with_bar(pipeline, sorted(due), console)
    from voiceai_assets.cli.models import verdict_of_training
    from voiceai_assets.models.abandonment.registry import Registry  # scikit-learn: only when a model may be missing

    if Registry(settings.models).candidate() is None:
        with console.status("training the abandonment model"):
            outcome = run_training(pipeline)
        failed = f"no model yet: {outcome.failures[0]}" if outcome.failures else None
        console.print(failed or f"the abandonment model is trained: {verdict_of_training(Registry(settings.models))}")
