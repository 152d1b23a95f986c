"""docker-compose.yml and its neighbours: valid, closed by default, built from the lock. No engine is needed.

Not here: whether the commands work (``tests/integration/test_compose_commands.py``).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from tests.conftest import REPOSITORY

COMPOSE_FILE = REPOSITORY / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
ENV_EXAMPLE = (REPOSITORY / ".env.example").read_text()
SECRETS = {"POSTGRES_PASSWORD", "VOICEAI_READER_PASSWORD", "VOICEAI_PSEUDONYM_KEY"}

_REFERENCE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z_]+)(?P<operator>:\?|:-)?(?P<rest>[^}]*)\}")
_PINNED = re.compile(r"[a-z0-9./-]+:\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?")
_LOCKED = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^\s;\\]+)", re.MULTILINE)

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def references() -> dict[str, set[str]]:
    """Variables that the file reads, with the operators that follow them (``:?`` required, ``:-`` default)."""
    found: dict[str, set[str]] = {}
    for match in _REFERENCE.finditer(COMPOSE_FILE.read_text()):
        found.setdefault(match["name"], set()).add(match["operator"] or "")
    return found


def validate(path: Path) -> subprocess.CompletedProcess[str]:
    """Check a file against the Compose specification that comes with check-jsonschema."""
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [str(program), "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def locked(name: str) -> dict[str, set[str]]:
    """Versions of each package in a lock file; more than one where they depend on the Python version."""
    found: dict[str, set[str]] = {}
    for match in _LOCKED.finditer((REPOSITORY / name).read_text()):
        found.setdefault(match["name"], set()).add(match["version"])
    return found


# -- the specification -------------------------------------------------------------------------------------------------


def test_the_file_follows_the_compose_specification() -> None:
    done = validate(COMPOSE_FILE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_misspelt_key_is_noticed(tmp_path: Path) -> None:
    copy = tmp_path / "docker-compose.yml"
    copy.write_text(COMPOSE_FILE.read_text().replace("healthcheck:", "health_check:"))
    done = validate(copy)
    assert done.returncode == 1
    assert "health_check" in done.stdout


def test_the_services_are_those_of_the_platform() -> None:
    assert set(SERVICES) == {"postgres", "code", "webserver", "daemon", "dashboards"}


@each_service
def test_every_service_has_a_health_check(service: dict[str, Any]) -> None:
    check = service["healthcheck"]
    assert check["test"][0] == "CMD", "without a shell: the exit status is the program's own"
    assert not {"curl", "wget", "nc"} & set(check["test"]), "not in the image"
    assert {"interval", "timeout", "retries", "start_period"} <= check.keys()


def test_services_wait_until_what_they_need_is_healthy() -> None:
    needs = {name: service.get("depends_on", {}) for name, service in SERVICES.items()}
    assert {name: set(need) for name, need in needs.items()} == {
        "postgres": set(),
        "code": {"postgres"},
        "webserver": {"code"},
        "daemon": {"code"},
        "dashboards": {"code"},
    }
    assert {c["condition"] for need in needs.values() for c in need.values()} == {"service_healthy"}


# -- closed by default -------------------------------------------------------------------------------------------------


def test_ports_are_published_on_loopback_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"webserver", "dashboards"}
    for ports in published.values():
        assert all(isinstance(port, str) and port.startswith("127.0.0.1:") for port in ports)


def test_the_database_is_on_a_network_without_a_way_out() -> None:
    assert COMPOSE["networks"]["warehouse"] == {"internal": True}
    for name in ("postgres", "code", "daemon"):
        assert SERVICES[name]["networks"] == ["warehouse"]


@each_service
def test_every_service_runs_with_as_little_as_possible(service: dict[str, Any]) -> None:
    assert service["user"] in {"10001:10001", "postgres"}
    assert service["init"] is True
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "env_file"} & service.keys()
    assert "docker.sock" not in json.dumps(service)


@each_service
def test_no_password_stands_in_the_file(service: dict[str, Any]) -> None:
    for name, value in service.get("environment", {}).items():
        if re.search("PASSWORD|KEY|SECRET|TOKEN", name):
            assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value), f"{name} has a value or a default"
        for password in re.findall(r"://[^:/@\s]+:(.*)@", str(value)):
            assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", password), f"{name} holds a password"


def test_secrets_are_required_and_nothing_else_is() -> None:
    required = {name for name, operators in references().items() if ":?" in operators}
    assert required == SECRETS
    assert all(references()[name] == {":?"} for name in required), "required in one place, optional in another"


def test_each_service_gets_the_secrets_it_needs() -> None:
    def holders(name: str) -> set[str]:
        return {service for service, s in SERVICES.items() if "${" + name in json.dumps(s.get("environment", {}))}

    assert holders("VOICEAI_PSEUDONYM_KEY") == {"code"}
    assert holders("VOICEAI_READER_PASSWORD") == {"code", "dashboards"}


def test_only_the_code_service_sees_landing_and_none_writes_there() -> None:
    mounts = [
        (name, volume)
        for name, service in SERVICES.items()
        for volume in service.get("volumes", [])
        if isinstance(volume, dict) or not re.match("(warehouse|home|dagster|models|reports):/", volume)
    ]
    assert [(name, v["target"], v["read_only"]) for name, v in mounts] == [("code", "/data/landing", True)]


def test_the_dashboards_read_models_and_reports_and_write_neither() -> None:
    assert SERVICES["dashboards"]["volumes"] == ["models:/data/models:ro", "reports:/data/reports:ro"]


# -- images ------------------------------------------------------------------------------------------------------------


@each_service
def test_every_image_is_pinned(service: dict[str, Any]) -> None:
    assert _PINNED.fullmatch(service["image"]), service["image"]


def test_postgresql_keeps_its_data_where_the_image_puts_it() -> None:
    """Up to 17 it was /var/lib/postgresql/data; a volume there would stay empty, and the data go with the container."""
    assert SERVICES["postgres"]["image"].startswith("postgres:18.")
    assert SERVICES["postgres"]["volumes"] == ["warehouse:/var/lib/postgresql"]


def test_the_version_of_our_image_is_that_of_the_package() -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    ours = [service for service in SERVICES.values() if "build" in service]
    assert len(ours) == len(SERVICES) - 1
    assert {service["image"] for service in ours} == {f"voiceai-assets:{version}"}
    assert {service["pull_policy"] for service in ours} == {"build"}, "a registry may hold another one of that name"


def test_the_dockerfile_starts_from_pinned_images_and_ends_without_root() -> None:
    stages = {name: base for base, name in re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE)}
    assert len(stages) == DOCKERFILE.count("FROM "), "every stage has a name"
    assert all(_PINNED.fullmatch(base) for base in stages.values()), stages
    assert list(stages)[-1] == "runtime", "what `docker build .` makes"
    assert stages["build"] == stages["runtime"], "a venv works where it was made"
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)[-1] == SERVICES["code"]["user"]


def test_the_image_is_installed_from_the_lock_with_hashes() -> None:
    installs = re.findall(r"pip install (.*)", DOCKERFILE)
    assert installs == ["--no-deps --only-binary=:all: --require-hashes -r /tmp/requirements.lock"]
    assert "COPY requirements.lock /tmp/requirements.lock" in DOCKERFILE


def test_the_lock_holds_hashes_and_no_address() -> None:
    text = (REPOSITORY / "requirements.lock").read_text()
    assert not re.search(r"://|--index|--extra|--find-links| @ ", text)
    packages = re.split(r"\n(?=\S)", text.strip())
    assert len(packages) > 100
    for package in packages:
        assert re.fullmatch(r"\S+==\S+( ; [^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", package), package[:80]


def test_the_lock_fits_the_project_and_the_developers_lock() -> None:
    runtime, developers = locked("requirements.lock"), locked("requirements-dev.lock")
    assert {name: developers.get(name) for name in runtime} == runtime, "compile both locks again"
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for text in project["dependencies"]:
        need = Requirement(text)
        versions = runtime.get(re.sub(r"[-_.]+", "-", need.name).lower(), set())
        assert versions, f"{text} is not locked"
        assert all(need.specifier.contains(version) for version in versions), f"{text} is locked as {versions}"


def test_only_named_paths_go_into_the_image() -> None:
    rules = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert let_in == {"requirements.lock", "workspace.docker.yaml", "voiceai_assets", "dbt_project", "expectations"}
    assert all((REPOSITORY / path).exists() for path in let_in)


# -- neighbours --------------------------------------------------------------------------------------------------------


def test_the_example_names_every_variable_and_gives_no_secret_away() -> None:
    assigned = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", ENV_EXAMPLE, re.MULTILINE))
    passed_on = {name for s in SERVICES.values() for name, value in s.get("environment", {}).items() if value is None}
    assert set(assigned) == set(references()) | passed_on
    for name in SECRETS:
        assert re.search(rf"^{name}=$", ENV_EXAMPLE, re.MULTILINE), f"{name} must stand there, empty"
    assert "openssl rand -hex 24" in ENV_EXAMPLE


def test_the_example_shows_the_defaults_of_the_file() -> None:
    shown = dict(re.findall(r"^#([A-Z_]+)=(.*)$", ENV_EXAMPLE, re.MULTILINE))
    for match in _REFERENCE.finditer(COMPOSE_FILE.read_text()):
        if match["operator"] == ":-":
            assert shown[match["name"]] == match["rest"]


def test_the_workspace_leads_to_the_code_service() -> None:
    (entry,) = yaml.safe_load((REPOSITORY / "workspace.docker.yaml").read_text())["load_from"]
    command = SERVICES["code"]["command"]
    assert entry["grpc_server"] == {
        "host": "code",
        "port": int(command[command.index("-p") + 1]),
        "location_name": "voiceai",
    }
    for name in ("webserver", "daemon"):
        assert SERVICES[name]["command"][-2:] == ["-w", "workspace.docker.yaml"]


def test_published_ports_lead_to_the_ports_that_are_served() -> None:
    webserver = SERVICES["webserver"]
    served = webserver["command"][webserver["command"].index("-p") + 1]
    assert [port.rsplit(":", 1)[1] for port in webserver["ports"]] == [served]
    assert f"127.0.0.1:{served}/server_info" in webserver["healthcheck"]["test"][-1]
    dashboards = SERVICES["dashboards"]
    assert [port.rsplit(":", 1)[1] for port in dashboards["ports"]] == ["8050"]
    assert "VOICEAI_DASHBOARD_PORT" not in dashboards["environment"], "the setting's own default is served"
    assert "127.0.0.1:8050/health" in dashboards["healthcheck"]["test"][-1]


def test_the_dev_container_is_built_from_the_same_dockerfile() -> None:
    folder = REPOSITORY / ".devcontainer"
    build = json.loads((folder / "devcontainer.json").read_text())["build"]
    assert (folder / build["dockerfile"]).resolve() == REPOSITORY / "Dockerfile"
    assert f" AS {build['target']}\n" in DOCKERFILE
