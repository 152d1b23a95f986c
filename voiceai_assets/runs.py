"""Run jobs in this process against the real instance, so that each run shows in the UI.

Belongs here: ranges of days in, outcome out. Does not belong here: printing (``cli``), what a job does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from voiceai_assets.assets.certified import GATE_SAID_NO
from voiceai_assets.assets.common import PipelineResource, nobody_listens
from voiceai_assets.automation.jobs import DAYS_PER_RUN
from voiceai_assets.automation.planning import DayRange, ranges
from voiceai_assets.build import build_defs
from voiceai_assets.instance import instance_environment
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.stopping import means_stop
from voiceai_assets.warehouse.ledger import SESSION_SPAN_DAYS

#: A day that shares sessions with a neighbour is built again when the neighbour arrives; chains of such days are short.
MOST_ROUNDS = 3


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    success: bool
    run_ids: tuple[str, ...]
    failures: tuple[str, ...]


def run_days(pipeline: Pipeline, days: Sequence[str], on_day: Callable[[str, str], None]) -> Outcome:
    """Materialise days, then the neighbours whose sessions they changed, until nothing is left to do.

    Raises:
        KeyboardInterrupt: when a run was stopped by it; Dagster books it as a failed one.
    """
    todo = list(days)
    done: list[Outcome] = []
    for _ in range(MOST_ROUNDS):
        done += [_run("daily_job", pipeline, chunk.tags, on_day) for chunk in ranges(todo, DAYS_PER_RUN)]
        before, todo = todo, _changed_neighbours(pipeline, days)
        if not todo or todo == before:
            break
    # a run that was overtaken by a later round has had its say; what counts is the last one of each day
    return Outcome(
        all(outcome.success for outcome in done),
        tuple(run_id for outcome in done for run_id in outcome.run_ids),
        tuple(message for outcome in done for message in outcome.failures),
    )


def _changed_neighbours(pipeline: Pipeline, days: Sequence[str]) -> list[str]:
    span = DayRange(min(days), max(days)).widened(SESSION_SPAN_DAYS)
    due = pipeline.days_to_repair(span.days)
    return [day for day, why in due.items() if why.startswith("stale: a neighbouring day")]


def run_training(pipeline: Pipeline) -> Outcome:
    """Train the abandonment model."""
    return _run("train_job", pipeline, {}, nobody_listens)


def _run(job: str, pipeline: Pipeline, tags: dict[str, str], on_day: Callable[[str, str], None]) -> Outcome:
    log = pipeline.settings.home / "logs" / "runs.log"
    with instance_environment(pipeline), terminal_output_to(log), stored_instance() as instance:
        defs = build_defs(settings=pipeline.settings, pipeline=PipelineResource(pipeline.settings, on_day))
        result = defs.resolve_job_def(job).execute_in_process(
            instance=instance,
            raise_on_error=False,
            partition_key=tags.get("dagster/partition"),
            tags={key: value for key, value in tags.items() if key != "dagster/partition"},
        )
        if _was_stopped(result):
            raise KeyboardInterrupt  # or the next range would be run
        # what a check or the gate refused is a verdict, which the table of days shows, and not a step that broke
        failures = tuple(_message(event) for event in result.get_step_failure_events() if not _is_verdict(event))
        return Outcome(result.success, (result.run_id,), failures)


@contextmanager
def stored_instance() -> Iterator[dg.DagsterInstance]:
    """The real instance, disposed of in the end.

    Not ``with DagsterInstance.get()``: a run enters the instance once more, and 1.13 then forgets to put back what the
    first entry had set, so that a second run in the process would ask a dead instance.
    """
    instance = dg.DagsterInstance.get()
    try:
        yield instance
    finally:
        instance.dispose()


def _was_stopped(result: dg.ExecuteInProcessResult) -> bool:
    """Whether Ctrl-C ended it, of which Dagster makes a failed run."""
    ends = [event.job_failure_data.error for event in result.all_events if event.is_job_failure]
    ends += [event.step_failure_data.error for event in result.get_step_failure_events()]
    roots = [error for error in map(_root, ends) if error]
    return any(means_stop(error.cls_name or "", error.message.strip().partition(": ")[2]) for error in roots)


def _is_verdict(event: dg.DagsterEvent) -> bool:
    data = event.step_failure_data
    if data.user_failure_data and GATE_SAID_NO in (data.user_failure_data.description or ""):
        return True
    return bool(data.error and "DagsterAssetCheckFailedError" in (data.error.cls_name or ""))


def _message(event: dg.DagsterEvent) -> str:
    """What a failed step said: our own sentence where there is one."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = _root(data.error)
    return f"{event.step_key}: {error.message.strip() if error else 'failed without a message'}"


def _root(error: SerializableErrorInfo | None) -> SerializableErrorInfo | None:
    """What went wrong in the first place; the outermost error only says that the step failed."""
    while error and error.cause:
        error = error.cause
    return error


@contextmanager
def terminal_output_to(log: Path) -> Iterator[None]:
    """Send what Dagster, dbt and their children print to a log; events are in the instance, the terminal has a bar.

    At the level of file descriptors, because dbt is a child process and Dagster mirrors both streams.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    saved = os.dup(1), os.dup(2)
    with log.open("ab") as target:
        os.dup2(target.fileno(), 1)
        os.dup2(target.fileno(), 2)
    try:
        yield
    finally:
        for number, original in zip((1, 2), saved, strict=True):
            os.dup2(original, number)
            os.close(original)
