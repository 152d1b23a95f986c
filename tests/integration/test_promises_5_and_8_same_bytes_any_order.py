"""Promises 5 and 8: the same input gives the same bytes; a session is one row on its start day in any order."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.integration.world import World, session
from voiceai_assets.runs import run_days

FIRST, SECOND = "2026-08-01", "2026-08-02"
KEY = {"pseudonym_key": "the same key in every test"}


def _land_midnight(world: World) -> None:
    crossing = session("crossing", f"{FIRST}T23:58", turns=5)
    world.land("turns-2026-08-01.jsonl", [*session("early", f"{FIRST}T10:00"), *crossing[:2]])
    world.land("turns-2026-08-02.jsonl", [*crossing[2:], *session("late", f"{SECOND}T10:00")])


def _published(world: World) -> list[dict[str, Any]]:
    return world.query(
        "select p.mart, p.day::text, p.content_sha256, p.certificate_id from governance.publications p "
        "where is_live order by 1, 2"
    )


def _sessions(world: World) -> list[tuple[Any, ...]]:
    with world.as_reader() as reader:
        return reader.execute(
            "select session_date::text, session_id, turn_count from certified.fact_voice_ai_sessions order by 1, 2"
        ).fetchall()


EXPECTED = [(FIRST, "crossing", 5), (FIRST, "early", 3), (SECOND, "late", 3)]


@pytest.mark.parametrize("order", list(itertools.permutations([FIRST, SECOND])), ids=["in order", "reversed"])
def test_a_session_across_midnight_is_one_row_on_its_start_day(world: World, order: tuple[str, str]) -> None:
    _land_midnight(world)
    for day in order:
        run_days(world.pipeline, [day], lambda step, day: None)
    assert _sessions(world) == EXPECTED
    assert {world.status(day) for day in (FIRST, SECOND)} == {"certified"}


def test_a_day_whose_neighbour_arrived_late_is_due_until_it_is_run(world: World) -> None:
    crossing = session("crossing", f"{FIRST}T23:58", turns=5)
    world.land("turns-2026-08-01.jsonl", crossing[:2])
    assert world.run(FIRST).success
    world.land("turns-2026-08-02.jsonl", crossing[2:] + session("late", f"{SECOND}T10:00"))
    assert world.run(SECOND).success
    due = world.pipeline.days_to_repair([FIRST, SECOND])
    assert due == {FIRST: "stale: a neighbouring day or the dbt code changed"}
    assert world.run(FIRST).success
    assert world.pipeline.days_to_repair([FIRST, SECOND]) == {}
    assert _sessions(world) == [(FIRST, "crossing", 5), (SECOND, "late", 3)]


def test_running_again_changes_no_byte(world: World, dstc2: Path) -> None:
    days = ["2013-03-22", "2013-03-23"]
    world.land_copies(*(dstc2 / f"{day}.jsonl" for day in days))
    assert world.run(days[0], days[1]).success
    lake, published = world.lake_bytes(), _published(world)
    assert world.run(days[0]).success
    assert world.run(days[0], days[1]).success
    assert world.lake_bytes() == lake
    assert _published(world) == published
    assert world.query("select max(version) as latest from governance.publications") == [{"latest": 1}]


def test_two_installations_give_the_same_certificates(home: Path, dstc2: Path) -> None:
    """One day by day in reverse, one as a range: neither order nor history leaves a trace in the evidence."""
    import os

    url = os.environ.get("TEST_DATABASE_URL")
    days = ["2013-03-22", "2013-03-23"]
    one, two = World(home / "one", url, **KEY), World(home / "two", url, **KEY)
    try:
        for world in (one, two):
            world.land_copies(*(dstc2 / f"{day}.jsonl" for day in days))
        assert one.run(days[0], days[1]).success
        for day in reversed(days):
            assert two.run(day).success
        assert _published(one) == _published(two)
        assert one.lake_bytes() == two.lake_bytes()
    finally:
        one.close()
        two.close()


def test_a_session_without_outcome_is_settled_by_the_next_day(world: World) -> None:
    open_end = session("open", f"{FIRST}T23:50", turns=2)
    for row in open_end:
        del row["session_outcome"]
    world.land("turns-2026-08-01.jsonl", open_end + session("early", f"{FIRST}T10:00"))
    run_days(world.pipeline, [FIRST], lambda step, day: None)
    assert _outcomes(world)["open"] == ("in_progress", "inferred")
    world.land("turns-2026-08-02.jsonl", session("late", f"{SECOND}T10:00"))
    run_days(world.pipeline, [SECOND], lambda step, day: None)
    assert _outcomes(world)["open"] == ("abandoned", "inferred")
    assert _outcomes(world)["early"] == ("completed", "declared")


def _outcomes(world: World) -> dict[str, tuple[str, str]]:
    with world.as_reader() as reader:
        found = reader.execute("select session_id, final_outcome, outcome_basis from certified.fact_voice_ai_sessions")
        return {row[0]: (row[1], row[2]) for row in found.fetchall()}
