"""Drift: contract, DDL, dbt project, suites, locks and repository say the same."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from voiceai_assets.adapters import ADAPTERS
from voiceai_assets.adapters.base import Adapter
from voiceai_assets.catalogue import catalogue
from voiceai_assets.checks.suites import SUITES_FOLDER, SuiteError, agreed_columns, all_suites, read_suite
from voiceai_assets.contracts import DATASETS
from voiceai_assets.contracts.__main__ import generated
from voiceai_assets.contracts.fields import EXTRA, Contract
from voiceai_assets.contracts.turns import TURNS
from voiceai_assets.lake.typing import known_columns
from voiceai_assets.settings import REPOSITORY
from voiceai_assets.versions import DBT_PROJECT
from voiceai_assets.warehouse.ledger import SESSION_SPAN_DAYS
from voiceai_assets.warehouse.marts import certified_marts, day_marts, views_over_days

MODELS = {path.stem: path for path in (DBT_PROJECT / "models").rglob("*.sql")}


def _documented(model: str) -> dict[str, str]:
    described = yaml.safe_load(MODELS[model].with_suffix(".yml").read_text())["models"][0]
    return {column["name"]: column.get("description", "") for column in described.get("columns", [])}


def test_dbt_and_python_agree_on_how_long_a_session_may_span() -> None:
    project = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text())
    assert project["vars"]["session_span_days"] == SESSION_SPAN_DAYS


@pytest.mark.parametrize("model", sorted(MODELS))
def test_each_model_has_a_yaml_beside_it_that_states_its_grain(model: str) -> None:
    text = MODELS[model].with_suffix(".yml").read_text()
    assert "Grain:" in text


@pytest.mark.parametrize("mart", sorted(certified_marts()))
def test_each_certified_mart_has_an_owner_and_documented_columns(mart: str) -> None:
    assert day_marts()[mart].owner.startswith("team:")
    columns = _documented(mart)
    assert columns
    assert all(columns.values())
    assert {"load_id", day_marts()[mart].day_column} <= columns.keys()


@pytest.mark.parametrize("view", sorted(views_over_days()))
def test_each_view_over_days_has_an_owner_documented_columns_and_reads_only_what_is_published(view: str) -> None:
    assert views_over_days()[view].owner.startswith("team:")
    columns = _documented(view)
    assert columns
    assert all(columns.values())
    text = MODELS[view].read_text()
    seeds = {path.stem for path in (DBT_PROJECT / "seeds").glob("*.csv")}
    assert set(views_over_days()[view].reads) <= certified_marts().keys() | views_over_days().keys() | seeds
    assert not re.search(r"ref\(\s*'(?:" + "|".join(certified_marts()) + r")'", text), "use certified('...')"
    assert "source(" not in text


def test_the_sums_of_metrics_are_those_of_the_catalogue() -> None:
    metrics = [name for name, metric in catalogue().items() if metric.relation == "fact_voice_ai_sessions"]
    sums = {f"{name}_{part}" for name in metrics for part in "nd"}
    others = {"session_date", "user_bucket", "session_count", "in_progress_session_count", "load_id"}
    assert _documented("agg_metrics_daily").keys() == sums | others


def test_staging_reads_only_columns_of_the_contract() -> None:
    contract = {field.name for field in TURNS.columns}
    body = MODELS["stg_turns"].read_text().split("from {{")[0]
    read = set(re.findall(r"^\s+(?:coalesce\()?(\w+)", body, flags=re.MULTILINE)) - {"select", "lower", "as"}
    assert read <= contract


@pytest.mark.parametrize("suite", all_suites(), ids=lambda suite: suite.suite)
def test_suites_speak_of_columns_that_exist(suite) -> None:  # type: ignore[no-untyped-def]
    governance = {
        "governance.load_files": {
            "file",
            "problem",
            "is_truncated",
            "is_open_ended",
            "rows_in",
            "rows_loaded",
            "rows_quarantined",
            "rows_duplicate",
        },
        "governance.day_accounts": {"turns_loaded", "conversation_rows_loaded", "rows_loaded"},
    }
    known = governance.get(suite.table) or agreed_columns(suite).keys() | suite.computed.keys()
    for rule in suite.rules:
        named = {rule.kwargs[key] for key in ("column", "column_A", "column_B") if key in rule.kwargs}
        assert named <= known, rule.id


@pytest.mark.parametrize(("path", "text"), generated().items(), ids=lambda value: getattr(value, "name", ""))
def test_what_follows_from_the_contracts_is_up_to_date(path: Path, text: str) -> None:
    assert path.read_text() == text, "run python -m voiceai_assets.contracts"


@pytest.mark.parametrize("contract", DATASETS.values(), ids=DATASETS)
def test_each_contract_is_sound(contract: Contract) -> None:
    names = [field.name for field in contract.columns]
    assert len(set(names)) == len(names)
    assert contract.fields[-1] == EXTRA
    assert sum(field.person for field in contract.fields) <= 1
    assert contract.time_field is None or contract.of(contract.time_field).required
    assert {name for part in contract.identity for name in part.split("|")} <= set(names)
    assert all(field.doc for field in contract.columns)


@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
def test_each_adapter_maps_to_fields_of_its_contract_and_says_what_it_needs(adapter: Adapter) -> None:
    assert adapter.doc
    for table in adapter.tables:
        fields = {field.name for field in table.contract.fields}
        assert set(table.mapping) <= fields
        assert {field.name for field in table.contract.fields if field.required} <= set(table.mapping)
        assert set(table.required) <= known_columns(table)
        assert table.contract.dataset in DATASETS


@pytest.mark.parametrize("suite", all_suites(), ids=lambda suite: suite.suite)
def test_each_rule_says_what_why_and_what_next(suite) -> None:  # type: ignore[no-untyped-def]
    for rule in suite.rules:
        assert len(rule.description) > 10
        assert len(rule.why) > 5
        assert len(rule.mend) > 5


def test_a_suite_with_a_mistake_is_refused_with_its_file(tmp_path: Path) -> None:
    text = (SUITES_FOLDER / "turns_are_plausible.json").read_text()
    path = tmp_path / "turns_are_plausible.json"
    path.write_text(text.replace('"critical"', '"crucial"', 1))
    with pytest.raises(SuiteError, match=r"turns_are_plausible\.json.*severity"):
        read_suite(path)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_pin_with_hashes_and_name_no_index(lock: str) -> None:
    text = (REPOSITORY / lock).read_text()
    assert "://" not in text
    pinned = re.findall(r"^[a-zA-Z0-9._-]+==", text, flags=re.MULTILINE)
    assert len(pinned) > 100
    assert text.count("--hash=sha256:") >= len(pinned)


def test_the_two_locks_agree() -> None:
    def versions(lock: str) -> set[str]:
        return set(re.findall(r"^([a-zA-Z0-9._-]+==[^ ;\\]+)", (REPOSITORY / lock).read_text(), flags=re.MULTILINE))

    assert versions("requirements.lock") <= versions("requirements-dev.lock")


def test_no_machine_path_and_no_index_host_is_committed() -> None:
    forbidden = re.compile(r"(?<![\w.])/(?:work|root|farm)/|" + "pypi" + r"\.org/simple|" + "pythonhosted")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in listed:
        path = REPOSITORY / name
        if path.suffix in {".png", ".lock"} or path == Path(__file__) or not path.is_file():
            continue
        assert not forbidden.search(path.read_text(errors="replace")), name


def test_every_setting_is_documented_with_its_default() -> None:
    from voiceai_assets.settings import PREFIX, Settings

    text = (REPOSITORY / "docs" / "settings.md").read_text()
    documented = set(re.findall(rf"`({PREFIX}[A-Z_]+)`", text))
    assert documented == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
