"""docker-compose.yml without containers: every command and every health check as it stands there, as processes.

PostgreSQL is the machine's own (Debian's package), reached over TCP with passwords, so this is also the proof that the
platform runs on an external server. What differs from a container is in ``SUBSTITUTED`` and ``added_environment`` and
nowhere else. Not tested here: the image, users, mounts and networks.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from pydantic import SecretStr

from tests.conftest import REPOSITORY
from tests.integration.world import session
from voiceai_assets.settings import Settings
from voiceai_assets.warehouse.server import WarehouseError, open_warehouse

SERVICES: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
HEALTHY_WITHIN, CERTIFIED_WITHIN, STOPPED_WITHIN = 90, 100, 30  # s


def _server_programs() -> Path | None:
    """Folder of the newest PostgreSQL server that Debian's packages installed."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in versions), key=lambda p: float(p.parent.name), default=None)


POSTGRES_BIN = _server_programs()
pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(POSTGRES_BIN is None, reason="no server in /usr/lib/postgresql: apt-get install postgresql"),
]


# -- what Compose would do ---------------------------------------------------------------------------------------------

_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Z_]+)(?:(?P<operator>:[?-])(?P<rest>[^}]*))?\})")


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """Replace ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}`` in every text below ``value``."""

    def replacement(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        found = variables.get(match["name"], "")
        if found or match["operator"] is None:
            return found
        if match["operator"] == ":?":
            raise LookupError(f"{match['name']}: {match['rest']}")
        return match["rest"]

    if isinstance(value, str):
        return _REFERENCE.sub(replacement, value)
    if isinstance(value, list):
        return [interpolate(item, variables) for item in value]
    if isinstance(value, dict):
        return {key: interpolate(item, variables) for key, item in value.items()}
    return value


# -- what is different here --------------------------------------------------------------------------------------------

#: Texts of the file that mean something else without containers; longer ones first, each place is replaced once.
SUBSTITUTED: Mapping[str, str] = {
    "workspace.docker.yaml": "{folder}/workspace.yaml",  # the same file with the two substitutions below
    "postgres:5432": "127.0.0.1:{postgres}",
    "host: code": "host: 127.0.0.1",
    "0.0.0.0": "127.0.0.1",
    "/data": "{folder}/home",
    "4000": "{code}",
    "3000": "{webserver}",
    "8050": "{dashboards}",
}


def substitute(value: Any, names: Mapping[str, Any]) -> Any:
    """Apply ``SUBSTITUTED`` to every text below ``value``."""
    if isinstance(value, str):
        pattern = "|".join(re.escape(text) for text in SUBSTITUTED)
        return re.sub(pattern, lambda match: SUBSTITUTED[match[0]].format_map(names), value)
    if isinstance(value, list):
        return [substitute(item, names) for item in value]
    if isinstance(value, dict):
        return {key: substitute(item, names) for key, item in value.items()}
    return value


def added_environment(service: str, names: Mapping[str, Any]) -> dict[str, str]:
    """What the images set, and ports where the file relies on a default."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    images = {"PATH": path, "HOME": "/tmp", "PYTHONUNBUFFERED": "1"}
    if service == "postgres":
        return {
            "PATH": f"{POSTGRES_BIN}:{path}",
            "PGDATA": f"{names['folder']}/postgres",
            "PGPORT": str(names["postgres"]),
        }
    if service == "dashboards":
        return {**images, "VOICEAI_DASHBOARD_PORT": str(names["dashboards"])}
    return images


# -- processes ---------------------------------------------------------------------------------------------------------


@dataclass
class Service:
    """A service of the file as a process."""

    name: str
    definition: Mapping[str, Any]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        # env resets the one signal that a test run in the background would hand down as ignored
        command = ["/usr/bin/env", "--default-signal=INT", *self.definition["command"]]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **_as_postgres(self.name),
            )

    def is_healthy(self) -> bool:
        """Run the health check; True when it says so."""
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}\n{self.tail()}"
        kind, *command = self.definition["healthcheck"]["test"]
        assert kind == "CMD"
        done = subprocess.run(
            command, cwd=REPOSITORY, env=self.environment, capture_output=True, timeout=60, check=False
        )
        return done.returncode == 0

    def stop(self) -> float:
        """Ask as the engine would; returns the seconds until nothing of it was left."""
        begin = time.monotonic()
        self.process.send_signal(signal.Signals[self.definition.get("stop_signal", "SIGTERM")])
        self.process.wait(STOPPED_WITHIN)
        wait_for(lambda: not self._has_survivors(), 5, f"{self.name} ended and left children behind")
        return time.monotonic() - begin

    def kill(self) -> None:
        """Leave nothing behind, whatever happened."""
        if hasattr(self, "process"):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def _has_survivors(self) -> bool:
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True


def wait_for(condition: Callable[[], bool], seconds: float, failure: str | Callable[[], str]) -> None:
    """Poll until true.

    Raises:
        AssertionError: after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(failure if isinstance(failure, str) else failure())
        time.sleep(0.5)


def _as_postgres(service: str) -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if service != "postgres" or os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _letters() -> str:
    """A password without digits: no port of ``SUBSTITUTED`` can stand in it."""
    return "".join(secrets.choice(string.ascii_letters) for _ in range(24))


def _initialise(postgres: Service) -> None:
    """What the image's entry point does at its first start, with the environment of the service."""
    environment, data = postgres.environment, Path(postgres.environment["PGDATA"])
    data.mkdir()
    password = data.with_name("password")
    password.write_text(environment["POSTGRES_PASSWORD"])
    account = _as_postgres("postgres")
    if account:
        for path in (data, password):
            os.chown(path, account["user"], account["group"])
    run = partial(subprocess.run, env=environment, cwd="/", capture_output=True, check=True, text=True, **account)
    arguments = ["--username", environment["POSTGRES_USER"], "--pwfile", str(password), "--no-sync"]
    run(["initdb", *arguments, *environment["POSTGRES_INITDB_ARGS"].split()])
    password.unlink()
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write("listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n")
    run(["postgres", "--single", "postgres"], input=f"create database {environment['POSTGRES_DB']};\n")


@contextmanager
def composed() -> Iterator[tuple[dict[str, Service], dict[str, str]]]:
    """Every service, not started, with PostgreSQL's data initialised; and the variables that a person would set."""
    variables = {
        "POSTGRES_PASSWORD": _letters(),
        "VOICEAI_READER_PASSWORD": _letters(),
        "VOICEAI_PSEUDONYM_KEY": _letters(),
        "VOICEAI_START_DATE": YESTERDAY,
    }
    # not pytest's folder: PostgreSQL is another system user, who could not enter it
    folder = Path(tempfile.mkdtemp(prefix="voiceai-compose-"))
    folder.chmod(0o755)
    names = {"folder": folder, **{service: _free_port() for service in SERVICES}}
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        workspace = (REPOSITORY / "workspace.docker.yaml").read_text()
        (folder / "workspace.yaml").write_text(substitute(workspace, names))
        services = {}
        for name, raw in SERVICES.items():
            definition = substitute(interpolate(raw, variables), names)
            declared = definition["environment"].items()
            passed_on = {key: variables.get(key) if value is None else value for key, value in declared}
            environment = {key: str(value) for key, value in passed_on.items() if value is not None}
            service = Service(
                name, definition, {**environment, **added_environment(name, names)}, folder / f"{name}.log"
            )
            stack.callback(service.kill)
            services[name] = service
        _initialise(services["postgres"])
        yield services, variables


def _start(services: Mapping[str, Service]) -> None:
    """Start every service as soon as all that it depends on are healthy; return when all are."""
    started: set[str] = set()
    healthy: set[str] = set()
    deadline = time.monotonic() + HEALTHY_WITHIN
    while len(healthy) < len(services):
        for name, service in services.items():
            if name not in started and healthy.issuperset(service.definition.get("depends_on", {})):
                service.start()
                started.add(name)
        for name in sorted(started - healthy):
            if services[name].is_healthy():
                healthy.add(name)
        late = sorted(started - healthy)
        assert time.monotonic() < deadline or not late, f"not healthy: {late}\n{services[late[0]].tail()}"


def _locations(services: Mapping[str, Service]) -> dict[str, Any]:
    """Code locations as the webserver sees them, by name."""
    port = services["webserver"].definition["command"][-3]
    query = (
        "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus locationOrLoadError "
        "{ __typename ... on PythonError { message } } } } } }"
    )
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        entries = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
    return {entry["name"]: entry for entry in entries}


# -- tests -------------------------------------------------------------------------------------------------------------


def test_compose_refuses_to_start_without_a_secret() -> None:
    with pytest.raises(LookupError, match=r"POSTGRES_PASSWORD: set it in \.env"):
        interpolate(SERVICES, {})
    with pytest.raises(LookupError, match="VOICEAI_READER_PASSWORD"):
        interpolate(SERVICES, {"POSTGRES_PASSWORD": "a", "VOICEAI_READER_PASSWORD": ""})


def test_every_service_works_together_certifies_a_landed_day_and_stops() -> None:
    with composed() as (services, variables):
        landing = Path(services["code"].environment["VOICEAI_HOME"]) / "landing" / "canonical"
        landing.mkdir(parents=True)
        rows = [row for n in range(40) for row in session(f"s{n}", f"{YESTERDAY}T{10 + n % 8}:{n:02}")]
        (landing / "turns.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

        _start(services)

        wait_for(
            lambda: all(entry["loadStatus"] == "LOADED" for entry in _locations(services).values()), 30, "still loading"
        )
        locations = _locations(services)
        assert list(locations) == ["voiceai"]
        assert locations["voiceai"]["locationOrLoadError"] == {"__typename": "RepositoryLocation"}

        # the daemon asks the sensor in the code service, queues a run, and has the code service carry it out
        url, password = services["code"].environment["VOICEAI_DATABASE_URL"], variables["VOICEAI_READER_PASSWORD"]
        with psycopg.connect(url, user="bi_reader", password=password, autocommit=True) as reader:

            def status() -> str | None:
                row = reader.execute("select status from certified.day_status where day = %s", [YESTERDAY]).fetchone()
                return None if row is None else str(row[0])

            wait_for(
                lambda: status() == "certified",
                CERTIFIED_WITHIN,
                lambda: f"the day is {status()}\n{services['daemon'].tail()}\n{services['code'].tail()}",
            )
            assert reader.execute("select count(*) from certified.fact_voice_ai_sessions").fetchone() == (40,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute("select 1 from raw.turns")

        for service in reversed(services.values()):
            assert service.stop() < STOPPED_WITHIN, service.name


def test_a_login_that_is_no_superuser_is_enough(home: Path) -> None:
    with composed() as (services, variables):
        postgres = services["postgres"]
        postgres.start()
        wait_for(postgres.is_healthy, 30, postgres.tail)
        server = f"host=127.0.0.1 port={postgres.environment['PGPORT']}"
        with psycopg.connect(
            f"{server} user=voiceai dbname=voiceai password={variables['POSTGRES_PASSWORD']}", autocommit=True
        ) as admin:
            admin.execute("create role loader login createdb createrole password 'of the loader'")
            admin.execute("create database calls owner loader")
        settings = Settings(
            home=home,
            database_url=SecretStr(f"{server} user=loader dbname=calls password='of the loader'"),
            reader_password=SecretStr("of the reader"),
        )
        for _ in range(2):  # the second start finds everything in place
            open_warehouse.cache_clear()
            warehouse = open_warehouse(settings)
            with warehouse.connect() as connection:
                assert connection.execute("select session_user, current_user").fetchone() == ("loader", "voiceai_owner")
            with psycopg.connect(warehouse.reader.libpq()) as reader:
                assert reader.execute("select count(*) from certified.day_status").fetchone() == (0,)
        with psycopg.connect(warehouse.dagster.libpq()) as dagster:
            dagster.execute("create table may_create_tables (a int)")
        open_warehouse.cache_clear()
        foreign = SecretStr(f"{server} user=loader dbname=voiceai password='of the loader'")
        with pytest.raises(WarehouseError, match="alter database voiceai owner to loader"):
            open_warehouse(settings.model_copy(update={"database_url": foreign}))
