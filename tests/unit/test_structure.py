"""What dbt found of a day's marts reaches the gate as reasons of that load, and of no other."""

from __future__ import annotations

from voiceai_assets.checks import structure
from voiceai_assets.checks.gate import Recorded, Status, decide
from voiceai_assets.checks.structure import FailedNode

TEST = FailedNode("unique_fact_session_id", "marts/fact", is_finding=True, count=3, message="Got 3 results")
MODEL = FailedNode("fact", "marts/fact", is_finding=False, count=0, message="division by zero")


def recorded(*nodes: FailedNode, load_id: str = "now") -> list[Recorded]:
    return [
        Recorded(r.asset, r.check_name, load_id, r.suite_version, r.status, r.observed)
        for r in structure.as_results(nodes)
    ]


def test_a_test_that_found_rows_is_bad_data_and_says_how_many() -> None:
    found = recorded(TEST)
    verdict = decide(structure.demanded(found, "now"), found)
    assert verdict.status is Status.BLOCKED
    assert verdict.is_bad_data
    assert verdict.reasons[0].text == "not so: unique_fact_session_id (3 found)"


def test_a_model_that_could_not_be_built_is_no_bad_data() -> None:
    found = recorded(MODEL)
    verdict = decide(structure.demanded(found, "now"), found)
    assert verdict.status is Status.BLOCKED
    assert not verdict.is_bad_data
    assert "division by zero" in verdict.reasons[0].text


def test_what_was_found_of_another_load_demands_nothing() -> None:
    assert structure.demanded(recorded(TEST, load_id="before"), "now") == []
