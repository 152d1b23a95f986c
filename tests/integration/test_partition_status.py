"""What the Dagster UI shows per day: the test that guards the private import in ``checks.asset_checks``."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.freshness_evaluator import TimeWindowFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time

from tests.integration.world import World, session

DAYS = ["2026-08-01", "2026-08-02", "2026-08-03"]
BAD = DAYS[1]


def _check_statuses(world: World, asset: list[str], check: str) -> dict[str, str]:
    """Status of a partitioned check for each day, from the event log as the UI reads it."""
    storage = world.instance.event_log_storage
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    latest: dict[str, str] = {}
    for record in reversed(storage.get_asset_check_execution_history(key, limit=100)):
        if record.partition:
            latest[record.partition] = record.status.value
    return latest


def _land(world: World) -> None:
    for day in DAYS:
        confidence = -2.0 if day == BAD else 0.8
        world.land(f"turns-{day}.jsonl", session(f"s{day}", f"{day}T10:00", asr_confidence=confidence))


def test_in_a_range_run_each_day_has_its_own_verdict(world: World) -> None:
    _land(world)
    world.run(DAYS[0], DAYS[-1])
    assert _check_statuses(world, ["raw", "turns"], "turns_are_plausible") == {
        DAYS[0]: "SUCCEEDED",
        BAD: "FAILED",
        DAYS[2]: "SUCCEEDED",
    }
    assert set(_check_statuses(world, ["raw", "turns"], "intake_is_complete").values()) == {"SUCCEEDED"}


def test_a_failed_day_stays_failed_when_another_day_passes(world: World) -> None:
    _land(world)
    world.run(BAD)
    world.run(DAYS[2])
    statuses = _check_statuses(world, ["raw", "turns"], "turns_are_plausible")
    assert statuses == {BAD: "FAILED", DAYS[2]: "SUCCEEDED"}
    world.land(f"turns-{BAD}.jsonl", session(f"s{BAD}", f"{BAD}T10:00"))
    world.run(BAD)
    assert _check_statuses(world, ["raw", "turns"], "turns_are_plausible")[BAD] == "SUCCEEDED"


def test_only_good_days_count_as_materialised_downstream(world: World) -> None:
    _land(world)
    world.run(DAYS[0], DAYS[-1])
    for key in (["certified", "fact_voice_ai_sessions"], ["dashboards", "overview"]):
        assert world.instance.get_materialized_partitions(dg.AssetKey(key)) == {DAYS[0], DAYS[2]}
    assert world.instance.get_materialized_partitions(dg.AssetKey(["raw", "turns"])) == set(DAYS)


def test_a_loaded_day_shows_its_files_with_checksums(world: World) -> None:
    path = world.land(f"turns-{DAYS[0]}.jsonl", session("a", f"{DAYS[0]}T10:00"))
    world.run(DAYS[0])
    import hashlib

    metadata = _metadata(world, ["raw", "turns"], DAYS[0])
    row = metadata["files"].value.records[0].data
    assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert metadata["dagster/partition_row_count"].value == 3


def test_in_a_range_each_day_has_its_own_metadata(world: World) -> None:
    world.land("one.jsonl", session("a", f"{DAYS[0]}T10:00", turns=2))
    world.land("two.jsonl", session("b", f"{DAYS[1]}T10:00", turns=7))
    world.run(DAYS[0], DAYS[1])
    counts = {day: _metadata(world, ["raw", "turns"], day)["dagster/partition_row_count"].value for day in DAYS[:2]}
    assert counts == {DAYS[0]: 2, DAYS[1]: 7}


def _metadata(world: World, asset: list[str], day: str) -> dict[str, Any]:
    found = world.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[day]), limit=1
    ).records
    assert found[0].asset_materialization is not None
    return dict(found[0].asset_materialization.metadata)


def test_certified_marts_grow_stale_when_no_day_arrives(world: World) -> None:
    _land(world)
    world.run(DAYS[0])
    node = world.definitions().resolve_asset_graph().get(dg.AssetKey(["certified", "fact_voice_ai_sessions"]))
    found = []
    for hours_later in (1, 31, 49):
        with freeze_time(time.time() + hours_later * 3600):
            evaluation = TimeWindowFreshnessPolicyEvaluator().evaluate_freshness(
                LoadingContextForTest(world.instance), node
            )
            found.append(asyncio.run(evaluation))
    assert found == [FreshnessState.PASS, FreshnessState.WARN, FreshnessState.FAIL]


def test_a_blocked_day_does_not_make_certified_marts_fresh(world: World) -> None:
    _land(world)
    world.run(BAD)
    node = world.definitions().resolve_asset_graph().get(dg.AssetKey(["certified", "fact_voice_ai_sessions"]))
    evaluation = TimeWindowFreshnessPolicyEvaluator().evaluate_freshness(LoadingContextForTest(world.instance), node)
    assert asyncio.run(evaluation) is FreshnessState.UNKNOWN
