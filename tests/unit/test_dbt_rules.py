"""The dbt project keeps its rules, and each rule finds the project that breaks it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import voiceai_assets
from tests.unit import dbt_rules
from voiceai_assets.assets.dbt import prepare_manifest
from voiceai_assets.settings import Settings


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dbt_rules.Manifest:
    path = prepare_manifest(Settings(home=tmp_path_factory.mktemp("home")))
    parsed: dbt_rules.Manifest = json.loads(Path(path).read_text())
    return parsed


@pytest.mark.parametrize("rule", dbt_rules.RULES, ids=lambda rule: rule.__name__)
def test_the_project_keeps(rule: Any, manifest: dbt_rules.Manifest) -> None:
    assert list(rule(manifest)) == []


def _model(
    name: str, folder: str, *, reads: tuple[str, ...] = (), sql: str = "select 1", **more: Any
) -> dict[str, Any]:
    config = {"materialized": "day_replace", "contract": {"enforced": True}, "meta": {"day_column": "session_date"}}
    return {
        "resource_type": "model",
        "name": name,
        "fqn": ["voiceai", folder, name],
        "depends_on": {"nodes": list(reads)},
        "description": "Grain: one row.",
        "columns": {},
        "constraints": [],
        "raw_code": sql,
        **more,
        "config": {**config, **more.get("config", {})},
    }


_RAW = {"resource_type": "source", "unique_id": "raw", "source_name": "raw", "name": "turns", "description": "Turns.",
        "columns": {}}  # fmt: skip
_PLAIN = {"description": ""}


@pytest.mark.parametrize(
    ("rule", "model"),
    [
        ("layers_are_kept", _model("fact", "marts", reads=("raw",))),
        ("layers_are_kept", _model("stg_turns", "staging", reads=("mart",))),
        ("staging_is_one_to_one", _model("stg_turns", "staging", reads=("raw", "mart"))),
        ("names_say_the_layer", _model("stg_turns", "marts")),
        ("names_say_the_layer", _model("turns", "staging")),
        ("everything_is_described", _model("fact", "marts", description="A table.")),
        ("everything_is_described", _model("fact", "marts", columns={"n": _PLAIN})),
        ("everything_is_used", _model("int_turns", "intermediate")),
        ("what_others_read_keeps_a_contract", _model("fact", "marts", config={"contract": {"enforced": False}})),
        ("what_others_read_keeps_a_contract", _model("view", "exp", config={"contract": {"enforced": False}})),
        ("what_others_read_keeps_a_contract", _model("fact", "marts", config={"meta": {}})),
        ("what_others_read_keeps_a_contract", _model("fact", "marts", config={"meta": {"grain": ["nothing"]}})),
        ("relations_are_referred_to", _model("fact", "marts", reads=("mart",), sql="select 1 from raw.turns")),
        ("relations_are_referred_to", _model("fact", "marts", reads=())),
        ("sql_scales", _model("fact", "marts", sql="select a from t group by rollup (a)")),
        ("sql_scales", _model("fact", "marts", sql="with recursive a as (select 1) select 1")),
        ("sql_scales", _model("fact", "marts", sql="merge into t using s on true")),
        ("sql_scales", _model("fact", "marts", sql="create temporary table t as select 1")),
        ("sql_scales", _model("fact", "marts", sql="select random()")),
        ("sql_scales", _model("fact", "marts", sql="select percentile_cont(0.5) within group (order by a)")),
        ("sql_scales", _model("fact", "marts", sql="select hll_add_agg(a) from t")),
        ("sql_scales", _model("fact", "marts", sql="select avg(confidence) from t")),
        ("sql_scales", _model("fact", "marts", sql="select lag(a) over (partition by user_id order by b) from t")),
        ("sql_scales", _model("fact", "marts", sql="select rank() over (order by session_id) from t")),
        ("sql_scales", _model("fact", "marts", sql="select rank() over (partition by a order by session_id) from t")),
        ("sql_scales", _model("fact", "marts", sql="select current_timestamp as at from t")),
        (
            "facts_have_day_and_session_in_their_key",
            _model("fact", "marts", columns={"session_id": _PLAIN},
                   constraints=[{"type": "primary_key", "columns": ["session_id"]}]),
        ),
        ("only_days_are_replaced", _model("fact", "marts", config={"materialized": "table"})),
        (
            "only_days_are_replaced",
            _model("fact", "marts", config={"materialized": "incremental", "incremental_strategy": "merge"}),
        ),
    ],
)  # fmt: skip
def test_a_bad_model_is_found_by(rule: str, model: dict[str, Any]) -> None:
    mart = _model("mart", "marts")
    bad = {"nodes": {"bad": model, "mart": mart}, "sources": {"raw": _RAW}, "exposures": {},
           "child_map": {"raw": ["x"], "mart": ["x"]}}  # fmt: skip
    assert [found for found in getattr(dbt_rules, rule)(bad) if model["name"] in found]


def test_a_dashboard_that_reads_what_was_not_tested_is_found() -> None:
    exposure = {"name": "page", "owner": {"email": "a@example.org"}, "depends_on": {"nodes": ["staged"]}}
    bad = {"nodes": {"staged": _model("stg_turns", "staging")}, "exposures": {"page": exposure}}
    assert list(dbt_rules.exposures_read_what_is_published(bad)) == ["exposure page reads staged"]


def test_a_comment_may_speak_of_anything() -> None:
    fine = {"nodes": {"fact": _model("fact", "marts", sql="-- no random(), no rollup\nselect 1 {# merge into #}")}}
    assert list(dbt_rules.sql_scales(fine)) == []


#: Exposure -> modules whose SQL reads for it.
_READERS = {
    "overview": ("dashboard/queries.py", "governance/withheld.py"),
    "trace": ("dashboard/trace.py", "governance/trace.py", "governance/withheld.py"),
    "governance_report": ("governance/report.py", "governance/withheld.py", "governance/gaps.py"),
    "abandonment_model": ("models/abandonment/certified.py",),
}


def test_an_exposure_declares_the_models_that_its_page_reads_and_no_others(manifest: dbt_rules.Manifest) -> None:
    """Restatements name who is affected by these declarations: a missing one would be an answer left out."""
    models = {node["name"] for node in dbt_rules.models(manifest)}
    declared = {
        exposure["name"]: {name.rpartition(".")[2] for name in exposure["depends_on"]["nodes"]}
        for exposure in manifest["exposures"].values()
    }
    package = Path(voiceai_assets.__file__).parent
    read = {
        name: models
        & set(re.findall(r"\b(?:certified|exp)\.(\w+)", " ".join((package / m).read_text() for m in modules)))
        for name, modules in _READERS.items()
    }
    assert declared == read
