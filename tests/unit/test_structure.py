"""What dbt found of a day's marts reaches the gate as reasons of that load, and of no other."""

from __future__ import annotations

from types import SimpleNamespace

from voiceai_assets.assets.dbt_calls import _failed_nodes
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


def _a_test(name: str, nodes: list[str], *, attached_node: str | None = None, meta: object = None) -> SimpleNamespace:
    return SimpleNamespace(
        unique_id=f"test.v.{name}",
        name=name,
        schema="tests",
        resource_type="test",
        attached_node=attached_node,
        depends_on=SimpleNamespace(nodes=nodes),
        config=SimpleNamespace(meta=meta or {}),
    )


def test_what_failed_names_its_table_and_what_was_skipped_is_not_among_it() -> None:
    """A seed depends on no node, and a test in a file of its own is attached to none."""
    fact = SimpleNamespace(unique_id="model.v.fact", name="fact", schema="marts", resource_type="model")
    seed = SimpleNamespace(unique_id="seed.v.prices", name="prices", schema="reference", resource_type="seed")
    exposure = SimpleNamespace(unique_id="exposure.v.page", name="page", resource_type="exposure")
    attached = _a_test("a", ["model.v.fact"], attached_node="model.v.fact")
    alone = _a_test("b", ["model.v.x"])
    declared = _a_test("c", ["model.v.x", "model.v.fact"], meta={"dagster": {"ref": {"name": "fact"}}})
    results = [
        SimpleNamespace(node=node, status=status, failures=failures, message="said")
        for node, status, failures in (
            (fact, "success", None),
            (seed, "error", None),
            (exposure, "skipped", None),
            (attached, "fail", 2),
            (alone, "error", None),
            (declared, "fail", 1),
        )
    ]
    assert _failed_nodes(results) == [
        FailedNode("prices", "reference/prices", is_finding=False, count=0, message="said"),
        FailedNode("a", "marts/fact", is_finding=True, count=2, message="said"),
        FailedNode("b", "x", is_finding=False, count=0, message="said"),
        FailedNode("c", "marts/fact", is_finding=True, count=1, message="said"),
    ]
