"""Dagster's own instance: where it lives and how it is configured.

Belongs here: ``DAGSTER_HOME``, ``dagster.yaml`` and the environment of Dagster's processes.
Does not belong here: assets.
"""

from __future__ import annotations

import os
from pathlib import Path

from voiceai_assets.pipeline import Pipeline
from voiceai_assets.settings import REPOSITORY

WORKSPACE = REPOSITORY / "workspace.yaml"

_DAGSTER_YAML = """\
# written by voiceai at every start
storage:
  postgres:
    postgres_url:
      env: DAGSTER_POSTGRES_URL
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
"""


def prepare_instance(pipeline: Pipeline) -> dict[str, str]:
    """Write ``dagster.yaml`` and return the environment that Dagster's processes need."""
    home: Path = pipeline.settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    target = home / "dagster.yaml"
    if not target.exists() or target.read_text() != _DAGSTER_YAML:
        target.write_text(_DAGSTER_YAML)
    return {
        "DAGSTER_HOME": str(home),
        "DAGSTER_POSTGRES_URL": pipeline.warehouse.dagster.sqlalchemy(),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "VOICEAI_HOME": str(pipeline.settings.home),
        "GX_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def enter_instance(pipeline: Pipeline) -> None:
    """Make this process one of Dagster's."""
    os.environ.update(prepare_instance(pipeline))
