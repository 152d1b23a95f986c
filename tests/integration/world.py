"""A platform of its own for each test: real PostgreSQL, real Dagster, real dbt, real Great Expectations."""

from __future__ import annotations

import atexit
import gc
import json
import math
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import yaml
from dagster._core.storage.defs_state.base import _current_storage
from psycopg import conninfo

from voiceai_assets.assets.common import PipelineResource
from voiceai_assets.assets.dbt import (
    build_once,
    build_views_over_days,
    build_what_every_day_needs,
    prepare_manifest,
)
from voiceai_assets.assets.dbt_calls import DbtCalls
from voiceai_assets.automation.planning import DayRange
from voiceai_assets.build import build_defs
from voiceai_assets.instance import DAGSTER_YAML
from voiceai_assets.lake.indexing import sha256_of
from voiceai_assets.partitions import remember_first_day
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.settings import Settings
from voiceai_assets.warehouse import ledger
from voiceai_assets.warehouse.server import leave_embedded

#: A home in which everything was built once and no day was ever run; the others of a session are copies of it, because
#: making a server and its tables takes 25 s.
_TEMPLATE = Path(tempfile.mkdtemp(prefix="voiceai-tests-")) / "home"

Rows = Iterable[Mapping[str, Any]]


def _copy_template(home: Path) -> None:
    if not _TEMPLATE.is_dir():
        _make_template()
    home.mkdir(parents=True, exist_ok=True)
    for part in ("postgres", "dbt"):
        # not shutil: run as root, the server's files belong to another system user
        subprocess.run(["cp", "-a", _TEMPLATE / part, home / part], check=True)


def _make_template() -> None:
    settings = Settings(home=_TEMPLATE)
    pipeline = PipelineResource(settings)
    prepare_manifest(settings)
    dbt = DbtCalls(settings)
    build_what_every_day_needs(dbt, pipeline)
    build_once(dbt, pipeline, ("path:models/intermediate", "path:models/marts"))
    pipeline.pipeline.record_built("marts")
    build_views_over_days(dbt, pipeline)
    leave_embedded(settings)
    atexit.register(shutil.rmtree, _TEMPLATE.parent, ignore_errors=True)
    gc.freeze()  # all that was imported: half a second of each collection in ``definitions``
    atexit.register(gc.unfreeze)


class World:
    """One home, one database, one Dagster instance."""

    def __init__(self, home: Path, database_url: str | None = None, **settings: Any) -> None:
        self._server_url = database_url
        self.database = f"voiceai_test_{uuid.uuid4().hex[:12]}"
        external: dict[str, Any] = {}
        if database_url:
            with psycopg.connect(database_url, autocommit=True) as connection:
                connection.execute(f"create database {self.database}")  # type: ignore[arg-type]  # a hex name
            parameters = {**conninfo.conninfo_to_dict(database_url), "dbname": self.database}
            external = {
                "database_url": conninfo.make_conninfo(**parameters),
                "reader_password": "reader-for-tests",
                "dagster_database": f"{self.database}_dagster",
            }
        self.settings = Settings(home=home, quiet_seconds=0, **external, **settings)
        if not database_url:
            _copy_template(home)
        self.pipeline = Pipeline.open(self.settings)
        self.instance = dg.DagsterInstance.ephemeral(
            settings={"python_logs": yaml.safe_load(DAGSTER_YAML)["python_logs"]}
        )

    def close(self) -> None:
        """Stop the server, or drop the database on an external one."""
        leave_embedded(self.settings)
        if self._server_url:
            with psycopg.connect(self._server_url, autocommit=True) as connection:
                for name in (self.database, f"{self.database}_dagster"):
                    connection.execute(f"drop database if exists {name} with (force)")  # type: ignore[arg-type]

    # -- landing ---------------------------------------------------------------------------------------------------

    @property
    def landing(self) -> Path:
        folder = self.settings.landing / "canonical"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def land(self, name: str, rows: Rows) -> Path:
        """Write rows as a canonical file."""
        path = self.landing / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.look()
        return path

    def land_copies(self, *paths: Path) -> None:
        """Copy real files into landing."""
        for path in paths:
            shutil.copyfile(path, self.landing / path.name)
        self.look()

    def look(self) -> None:
        """Bring the index up to date."""
        found = self.pipeline.look_into_landing()
        remember_first_day(self.settings, found.home_days)

    # -- running ---------------------------------------------------------------------------------------------------

    def definitions(self) -> dg.Definitions:
        """The graph, resolved.

        Dagster 1.13 may keep the state storage of an instance that was entered twice, even after it was closed (the
        lost entry is undone whenever the garbage collector finds it), and would then ask a dead instance.
        """
        gc.collect()
        if not gc.get_freeze_count():
            gc.freeze()  # the libraries, which each of hundreds of such collections would look through
        _current_storage.set(None)
        made = build_defs(settings=self.settings, pipeline=PipelineResource(self.settings))
        made.get_repository_def()
        return made

    def run(self, first: str, last: str | None = None, *, job: str = "daily_job") -> dg.ExecuteInProcessResult:
        """Run a job for a day or, as one run, for a range of days."""
        # by tag, as the daemon does: of a job of checks alone Dagster knows no asset whose partitions a key could be of
        return (
            self.definitions()
            .resolve_job_def(job)
            .execute_in_process(instance=self.instance, raise_on_error=False, tags=DayRange(first, last or first).tags)
        )

    def tick(self, cursor: str | None = None) -> Any:
        """The sensor on landing, evaluated as the daemon evaluates it."""
        definitions = self.definitions()
        context = dg.build_sensor_context(
            instance=self.instance, definitions=definitions, resources=dict(definitions.resources or {}), cursor=cursor
        )
        return definitions.resolve_sensor_def("landing_sensor").evaluate_tick(context)

    def run_requested(self, tick: Any) -> list[dg.ExecuteInProcessResult]:
        """What a tick of the sensor asks for, executed as the daemon would."""
        return [self.run(*days_of(request)) for request in tick.run_requests]

    def run_unpartitioned(self, job: str) -> dg.ExecuteInProcessResult:
        """Run a job that has no days."""
        found = self.definitions().resolve_job_def(job)
        return found.execute_in_process(instance=self.instance, raise_on_error=False)

    def unpublish(self, day: str | None = None) -> None:
        """Forget what was published of a day, or of all days, as no command of the platform would."""
        of_day = "publication_id in (select publication_id from governance.publications where day = coalesce(%s, day))"
        for ledger_table in ("figures", "publications"):
            self.query(f"delete from governance.{ledger_table} where {of_day} returning 1", day)

    def spoil(self, table: str, day_column: str, day: str, change: str) -> None:
        """Play the part of a model that is wrong on one day: a trigger that changes its rows (``column := value``)."""
        name = f"spoil_{day.replace('-', '_')}"
        with self.pipeline.warehouse.connect() as connection:
            connection.execute(
                f"create function marts.{name}() returns trigger language plpgsql as "  # type: ignore[call-overload]
                f"$$ begin new.{change}; return new; end $$"
            )
            connection.execute(
                f"create trigger {name} before insert on {table} for each row "  # type: ignore[call-overload]
                f"when (new.{day_column} = date '{day}') execute function marts.{name}()"
            )

    # -- looking ---------------------------------------------------------------------------------------------------

    def query(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """As the pipeline's role."""
        with self.pipeline.warehouse.connect() as connection:
            return ledger.rows(connection, sql, parameters)

    def as_reader(self) -> psycopg.Connection[Any]:
        """As bi_reader."""
        return psycopg.connect(self.pipeline.warehouse.reader.libpq())

    def read(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """As bi_reader: what a dashboard would get."""
        with self.as_reader() as connection:
            return ledger.rows(connection, query, parameters)

    def lake_bytes(self) -> dict[str, str]:
        """Checksum of every file of the lake, by its path."""
        files = sorted(path for path in self.settings.lake.rglob("*") if path.is_file())
        return {path.relative_to(self.settings.lake).as_posix(): sha256_of(path) for path in files}

    def certified(self) -> dict[str, int]:
        """Sessions that a dashboard sees, by day."""
        with self.as_reader() as connection:
            if connection.execute("select to_regclass('certified.fact_voice_ai_sessions')").fetchone() == (None,):
                return {}
            return dict(
                connection.execute(
                    "select session_date::text, count(*) from certified.fact_voice_ai_sessions group by 1 order by 1"
                ).fetchall()
            )

    def status(self, day: str) -> str:
        found = self.query("select status from governance.day_status where day = %s", day)
        return str(found[0]["status"]) if found else "unknown"

    def reasons(self, day: str) -> list[dict[str, Any]]:
        found = self.query("select reasons from governance.day_status where day = %s", day)
        return list(found[0]["reasons"]) if found else []


def days_of(request: dg.RunRequest) -> tuple[str, str]:
    """First and last day that a request is about."""
    first, last = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
    day = request.tags.get("dagster/partition", "")
    return request.tags.get(first, day), request.tags.get(last, day)


def session(session_id: str, start: str, turns: int = 3, **fields: Any) -> list[dict[str, Any]]:
    """A small session: one exchange a minute from ``start`` (ISO, without seconds), completed."""
    from datetime import datetime, timedelta

    begin = datetime.fromisoformat(start)
    return [
        {
            "session_id": session_id,
            "turn_number": n + 1,
            "timestamp": (begin + timedelta(minutes=n)).isoformat(),
            "user_id": f"user of {session_id}",
            "asr_confidence": 0.8,
            "session_outcome": "completed",
            **fields,
        }
        for n in range(turns)
    ]


def with_log_scores(source: Path, target: Path) -> Path:
    """Copy a day as an emitter would have written it that reports log scores instead of confidences."""
    with source.open() as lines, target.open("w") as poisoned:
        for line in lines:
            row = json.loads(line)
            row["asr_confidence"] = math.log(max(row["asr_confidence"], 1e-6))
            poisoned.write(json.dumps(row) + "\n")
    return target
