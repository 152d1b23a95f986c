"""Why a day was published again: each difference between two certificates has its reason, and no other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from voiceai_assets.contracts import DATASETS
from voiceai_assets.governance.lineage import datasets_of, exposures_reading, marts_fed_by, views_reading
from voiceai_assets.governance.restatement import reasons
from voiceai_assets.warehouse.marts import day_marts

OLD: dict[str, Any] = {
    "marts": {"m": {"load_id": "k1"}},
    "loads": [
        {
            "dataset": "turns",
            "code_version": "c1",
            "inputs": [{"file": "canonical/a.jsonl", "sha256": "a" * 64, "rows_in": 3, "rows_erased": 0}],
        }
    ],
    "checks": [{"check_name": "plausible.range", "suite_version": "s1"}],
    "definitions": {"completion": 1},
    "code": {"revision": "r1", "marts": "m1", "lock": "p1"},
    "settings": {"key_id": "key1", "source_timezone": "UTC", "session_timeout_minutes": 30},
}
_LATE = {"file": "canonical/b.jsonl", "sha256": "b" * 64, "rows_in": 1200}


def _first_file(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["loads"][0]["inputs"][0]
    return found


CASES: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("late data", lambda new: new["loads"][0]["inputs"].append(_LATE)),
    ("changed data", lambda new: _first_file(new).update(sha256="c" * 64)),
    ("deleted data", lambda new: new["loads"][0].update(inputs=[])),
    ("erasure", lambda new: _first_file(new).update(rows_erased=2)),
    ("key", lambda new: new["settings"].update(key_id="key2")),
    ("new definition", lambda new: new["definitions"].update(completion=2)),
    ("code", lambda new: new["code"].update(marts="m2")),
    ("code", lambda new: new["code"].update(revision="r2")),
    ("code", lambda new: new["loads"][0].update(code_version="c2")),
    ("code", lambda new: new["settings"].update(session_timeout_minutes=45)),
    ("checks", lambda new: new["checks"][0].update(suite_version="s2")),
    ("neighbouring day", lambda new: new["marts"]["m"].update(load_id="k2")),
]


@pytest.mark.parametrize(("kind", "change"), CASES, ids=[f"{n} {kind}" for n, (kind, _) in enumerate(CASES)])
def test_each_change_has_its_reason_and_no_other(kind: str, change: Callable[[dict[str, Any]], Any]) -> None:
    new = copy.deepcopy(OLD)
    change(new)
    assert [reason.kind for reason in reasons(OLD, new)] == [kind]


def test_late_data_says_how_much_and_no_name_of_a_file() -> None:
    new = copy.deepcopy(OLD)
    new["loads"][0]["inputs"].append(_LATE)
    (found,) = reasons(OLD, new)
    assert found.text == "1 file(s) arrived later, with 1,200 records"


def test_several_reasons_stand_side_by_side() -> None:
    new = copy.deepcopy(OLD)
    new["loads"][0]["inputs"].append(_LATE)
    new["definitions"]["completion"] = 2
    assert [reason.kind for reason in reasons(OLD, new)] == ["late data", "new definition"]


@pytest.mark.parametrize("mart", sorted(day_marts()))
def test_each_mart_is_made_from_datasets(mart: str) -> None:
    assert datasets_of(mart)
    assert datasets_of(mart) <= set(DATASETS)


def test_lineage_leads_from_calls_to_their_marts_and_from_sessions_to_the_dashboard() -> None:
    assert "gold_performance_metrics" in marts_fed_by("calls")
    assert "fact_voice_ai_sessions" not in marts_fed_by("calls")
    assert "certified.agent_performance" in views_reading(["agent_performance_daily"])
    assert "overview" in exposures_reading(["fact_voice_ai_sessions"])
    assert exposures_reading(["agent_performance_daily"]) == []
