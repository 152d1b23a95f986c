"""Which days run: pure decisions, without Dagster, files or SQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceai_assets.automation.planning import (
    DayRange,
    DayState,
    changed_days,
    days_to_repair,
    name_of_change,
    ranges,
    split_by_range,
    why_to_repair,
)

SUITES = frozenset({"s1", "s2"})
GOOD = DayState(
    day="2026-08-01",
    expected_load="in",
    loaded="in",
    expected_mart="mart",
    built_mart="mart",
    judged_suites=SUITES,
    status="certified",
    has_error=False,
    published_load="mart",
    demanded_suites=SUITES,
)
BLOCKED = replace(GOOD, status="blocked", published_load=None, built_mart=None, judged_suites=frozenset({"s1"}))


def test_a_certified_day_is_left_alone() -> None:
    assert why_to_repair(GOOD) is None


def test_a_day_blocked_by_bad_data_is_left_alone_until_something_changes() -> None:
    assert why_to_repair(BLOCKED) is None
    assert why_to_repair(replace(BLOCKED, waivers_changed=True)) == "stale: a waiver was given or has ended"
    assert why_to_repair(replace(BLOCKED, expected_load="new file")) == "stale: its files changed"
    assert (
        why_to_repair(replace(BLOCKED, demanded_suites=frozenset({"s1 mended", "s2"}))) == "stale: its checks changed"
    )


def test_a_day_blocked_by_its_marts_comes_back_with_other_code_and_only_then() -> None:
    refused = replace(BLOCKED, is_blocked_by_marts=True, tried_mart="mart")  # dbt's tests leave no marts
    assert why_to_repair(refused) is None
    code_changed = "stale: a neighbouring day or the dbt code changed"
    assert why_to_repair(replace(refused, expected_mart="mended")) == code_changed
    judged = replace(refused, built_mart="mart", judged_suites=SUITES)  # a suite does
    assert why_to_repair(judged) is None
    assert why_to_repair(replace(judged, expected_mart="mended")) == code_changed
    by_raw = replace(BLOCKED, tried_mart="of an earlier load")
    assert why_to_repair(by_raw) is None, "other marts would not help it"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"loaded": None}, "missing: landed, not loaded"),
        ({"expected_load": "other"}, "stale: its files changed"),
        ({"expected_mart": "other"}, "stale: a neighbouring day or the dbt code changed"),
        ({"built_mart": None}, "failed: marts not built"),
        ({"has_error": True}, "failed: a check could not be evaluated"),
        ({"status": None}, "failed: it was never judged"),
        ({"status": "not judged"}, "failed: it was never judged"),
        ({"judged_suites": frozenset({"s1"})}, "stale: its checks changed"),
        ({"demanded_suites": frozenset({"s1"})}, "stale: its checks changed"),
        ({"waivers_changed": True}, "stale: a waiver was given or has ended"),
        ({"published_load": None}, "failed: judged and not published"),
    ],
)
def test_a_day_is_repaired_when(change: dict[str, object], why: str) -> None:
    assert why_to_repair(replace(GOOD, **change)) == why  # type: ignore[arg-type]


def test_only_days_within_the_partitions_are_repaired() -> None:
    states = [replace(GOOD, day=day, loaded=None) for day in ("2026-07-31", "2026-08-01")]
    assert list(days_to_repair(states, ["2026-08-01"])) == ["2026-08-01"]


def test_a_day_that_nothing_ever_touched_is_not_repaired() -> None:
    assert why_to_repair(replace(GOOD, expected_load=None, loaded=None)) is None


def test_days_become_as_few_ranges_as_possible() -> None:
    days = ["2026-08-03", "2026-08-01", "2026-08-02", "2026-08-05"]
    assert ranges(days, 90) == [DayRange("2026-08-01", "2026-08-03"), DayRange("2026-08-05", "2026-08-05")]


@given(st.sets(st.integers(0, 400), max_size=120), st.integers(1, 100))
def test_ranges_hold_exactly_the_days_and_are_never_too_long(offsets: set[int], longest: int) -> None:
    days = [(date(2026, 1, 1) + timedelta(n)).isoformat() for n in offsets]
    found = ranges(days, longest)
    assert sorted(day for r in found for day in r.days) == sorted(days)
    assert all(len(r.days) <= longest for r in found)


def test_one_day_runs_as_a_partition_and_several_as_a_range() -> None:
    assert DayRange("2026-08-01", "2026-08-01").tags == {"dagster/partition": "2026-08-01"}
    assert DayRange("2026-08-01", "2026-08-02").tags == {
        "dagster/asset_partition_range_start": "2026-08-01",
        "dagster/asset_partition_range_end": "2026-08-02",
    }


def test_new_different_and_vanished_days_have_changed() -> None:
    assert changed_days({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"}) == ["b", "c", "d"]


def test_days_outside_the_partitions_are_told_apart() -> None:
    assert split_by_range(["2026-08-02", "1970-01-01", "2999-01-01"], "2026-08-01", "2026-08-31") == (
        ["2026-08-02"],
        ["1970-01-01", "2999-01-01"],
    )


def test_a_change_that_comes_again_has_another_name_and_one_that_is_told_again_the_same() -> None:
    """A, B, A, B, A: to what came before the last state alone, the second A -> B would be the first."""
    names, last, before = [], "", None
    for now in ["a", "b", "a", "b", "a", None, "a"]:
        change = {"2026-08-01": (before, now)}
        assert name_of_change(last, change) == name_of_change(last, dict(change))
        last, before = name_of_change(last, change), now
        names.append(last)
    assert len(set(names)) == len(names)
