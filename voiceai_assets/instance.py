"""Dagster's own instance: where it lives and how it is configured.

Belongs here: ``DAGSTER_HOME``, ``dagster.yaml`` and the environment of Dagster's processes.
Does not belong here: assets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from voiceai_assets.pipeline import Pipeline
from voiceai_assets.settings import REPOSITORY

WORKSPACE = REPOSITORY / "workspace.yaml"

DAGSTER_YAML = """\
# written by voiceai at every start
event_log_storage:
  module: voiceai_assets.event_log
  class: EventLog
  config: &database
    postgres_url:
      env: DAGSTER_POSTGRES_URL
run_storage:
  module: dagster_postgres.run_storage
  class: PostgresRunStorage
  config: *database
schedule_storage:
  module: dagster_postgres.schedule_storage
  class: PostgresScheduleStorage
  config: *database
telemetry:
  enabled: false
nux:
  enabled: false          # no first-visit pop-up
concurrency:
  runs:
    max_concurrent_runs: 1   # runs of neighbouring days share tables; on two cores a second one gains nothing
run_monitoring:
  enabled: true
  free_slots_after_run_end_seconds: 300   # a killed run would keep its slot for ever
freshness:
  enabled: true
python_logs:
  managed_python_loggers: [voiceai_assets]   # what plain modules say stands in the run's log
"""


def prepare_instance(pipeline: Pipeline) -> dict[str, str]:
    """Write ``dagster.yaml`` and return the environment that Dagster's processes need."""
    home: Path = pipeline.settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    target = home / "dagster.yaml"
    if not target.exists() or target.read_text() != DAGSTER_YAML:
        target.write_text(DAGSTER_YAML)
    return {
        "DAGSTER_HOME": str(home),
        "DAGSTER_POSTGRES_URL": pipeline.warehouse.dagster.sqlalchemy(),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DAGSTER_EVENT_BATCH_SIZE": "1000",  # the materialisations of the days of a range, 8 ms each by themselves
        "VOICEAI_HOME": str(pipeline.settings.home),
        "GX_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


@contextmanager
def instance_environment(pipeline: Pipeline) -> Iterator[None]:
    """Make this process one of Dagster's for a while."""
    with environment(prepare_instance(pipeline)):
        yield


@contextmanager
def environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables, or unset those whose value is None, and put back what was there."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
