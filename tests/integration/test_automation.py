"""Sensor and schedules, evaluated as the daemon evaluates them."""

from __future__ import annotations

import io
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from rich.console import Console

from tests.integration.world import World, days_of, session
from voiceai_assets.automation.schedules import busy_days, repair_requests
from voiceai_assets.cli.days import show_status
from voiceai_assets.partitions import first_day, today
from voiceai_assets.runs import run_days


def _repairs(world: World) -> list[tuple[str, str]]:
    requests = repair_requests(world.pipeline, busy_days(world.instance), datetime.now(UTC).isoformat())
    return [days_of(request) for request in requests]


def test_many_files_of_a_day_become_one_run_and_a_rewritten_one_another(world: World) -> None:
    for n in range(25):
        world.land(f"part-{n:02}.jsonl", session(f"s{n}", "2026-08-01T10:00"))
    first = world.tick()
    assert [days_of(r) for r in first.run_requests] == [("2026-08-01", "2026-08-01")]
    assert not world.tick(first.cursor).run_requests

    world.land("part-07.jsonl", session("s7", "2026-08-01T10:00", turns=4))
    second = world.tick(first.cursor)
    assert [days_of(r) for r in second.run_requests] == [("2026-08-01", "2026-08-01")]
    assert second.run_requests[0].run_key != first.run_requests[0].run_key


def test_a_file_that_goes_and_comes_back_as_it_was_is_another_request_each_time(world: World) -> None:
    cursor, keys = None, []
    for n in range(6):
        if n % 2 == 0:
            path = world.land("turns.jsonl", session("a", "2026-08-01T10:00"))
        else:
            path.unlink()
        tick = world.tick(cursor)
        assert [r.run_key for r in world.tick(cursor).run_requests] == [r.run_key for r in tick.run_requests], "retried"
        keys += [r.run_key for r in tick.run_requests]
        cursor = tick.cursor
        assert not world.tick(cursor).run_requests
    assert len(set(keys)) == len(keys) == 6, "Dagster starts no run for a key that it has seen"


def test_a_file_that_is_still_being_written_waits(home: Any) -> None:
    world = World(home / "home", os.environ.get("TEST_DATABASE_URL"), start_date="2026-08-01")
    object.__setattr__(world.settings, "quiet_seconds", 60)
    try:
        path = world.landing / "turns.jsonl"
        path.write_text('{"session_id": "a", "turn_number": 1, "timestamp": "2026-08-01T10:00:00"}\n')
        result = world.tick()
        assert not result.run_requests
        assert "still being written" in result.skip_message
        old = time.time() - 120
        os.utime(path, (old, old))
        assert [days_of(r) for r in world.tick().run_requests] == [("2026-08-01", "2026-08-01")]
    finally:
        world.close()


def test_a_file_for_days_outside_the_partitions_is_kept_reported_and_not_run(home: Any) -> None:
    world = World(home / "home", os.environ.get("TEST_DATABASE_URL"), start_date="2026-08-01")
    try:
        world.land("old.jsonl", session("a", "2026-07-01T10:00"))
        assert "kept outside the partitions: 2026-07-01" in world.tick().skip_message
        world.land("new.jsonl", session("b", "2026-08-02T10:00"))
        assert [days_of(r) for r in world.tick().run_requests] == [("2026-08-02", "2026-08-02")]
        assert world.query("select count(*) as n from governance.landing_files") == [{"n": 2}]
        assert world.status("2026-07-01") == "not loaded"
        shown = io.StringIO()
        assert show_status(world.pipeline, None, None, Console(file=shown, width=250)) == 2
        assert "outside the partitions (2026-08-01 to " in shown.getvalue()
        assert "): 2026-07-01; kept in landing, not run. VOICEAI_START_DATE moves the start" in shown.getvalue()
        assert "materialize --from 2026-07-01" not in shown.getvalue(), "which that command would refuse"
    finally:
        world.close()


def test_what_was_loaded_before_the_sensor_first_looked_is_not_run_again(world: World) -> None:
    world.land("one.jsonl", session("a", "2026-08-01T10:00"))
    assert world.run("2026-08-01").success
    assert not world.tick().run_requests


@pytest.mark.slow  # 28 s
def test_ten_thousand_files_are_indexed_once_and_the_cursor_stays_small(world: World) -> None:
    for n in range(10_000):
        (world.landing / f"{n:05}.jsonl").write_text(
            f'{{"session_id": "s{n}", "turn_number": 1, "timestamp": "2026-08-{n % 28 + 1:02}T10:00:00"}}\n'
        )
    world.look()
    result = world.tick()
    assert [days_of(r) for r in result.run_requests] == [("2026-08-01", "2026-08-28")]
    assert len(result.cursor) < 10_000
    started = time.perf_counter()
    assert not world.tick(result.cursor).run_requests
    print(f"a tick over 10,000 known files took {time.perf_counter() - started:.2f} s")


def test_the_daily_schedule_runs_yesterday_even_without_files(world: World) -> None:
    world.land("one.jsonl", session("a", "2026-08-01T10:00"))
    schedule = world.definitions().resolve_schedule_def("daily_schedule")
    at = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 8, 3, 2, 30, tzinfo=UTC))
    request = schedule(at)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2026-08-02"
    before = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 8, 1, 2, 30, tzinfo=UTC))
    assert isinstance(schedule(before), dg.SkipReason)


def test_the_repair_schedule_finds_missing_and_stale_days_and_runs_just_those_as_ranges(world: World) -> None:
    last = today(world.settings)
    days = [(last - timedelta(days=n)).isoformat() for n in range(6, 0, -1)]
    for day in days:
        world.land(f"turns-{day}.jsonl", session(f"s {day}", f"{day}T10:00"))
    assert _repairs(world) == [(days[0], days[-1])]
    run_days(world.pipeline, days, lambda step, day: None)
    assert not _repairs(world)

    # one day gets another file, one turns bad, one loses what was published
    world.land(f"late-{days[1]}.jsonl", session("late", f"{days[1]}T12:00"))
    world.land(f"turns-{days[4]}.jsonl", session("bad", f"{days[4]}T10:00", asr_confidence=-5.0))
    world.unpublish(days[5])
    assert _repairs(world) == [(days[1], days[1]), (days[4], days[5])]

    # the bad day stays blocked, and is not run again and again for the same verdict
    run_days(world.pipeline, [days[1], days[4], days[5]], lambda step, day: None)
    assert world.status(days[4]) == "blocked"
    assert not _repairs(world), world.pipeline.days_to_repair(days)


def test_changed_dbt_code_makes_every_day_stale(world: World) -> None:
    world.land("one.jsonl", session("a", "2026-08-01T10:00"))
    assert world.run("2026-08-01").success
    changed = world.pipeline.__class__(
        world.settings.model_copy(update={"session_timeout_minutes": 45}), world.pipeline.warehouse
    )
    within = [first_day(world.settings).isoformat()]
    assert changed.days_to_repair(within) == {"2026-08-01": "stale: a neighbouring day or the dbt code changed"}
