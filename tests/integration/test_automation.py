"""Sensor and schedules, evaluated as the daemon evaluates them."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from tests.integration.world import World, session
from voiceai_assets.automation.schedules import busy_days, repair_requests
from voiceai_assets.partitions import first_day, remember_first_day, today
from voiceai_assets.runs import run_days


def _sensor(world: World, cursor: str | None = None) -> Any:
    definitions = world.definitions()
    context = dg.build_sensor_context(
        instance=world.instance, definitions=definitions, resources=dict(definitions.resources or {}), cursor=cursor
    )
    return definitions.resolve_sensor_def("landing_sensor").evaluate_tick(context)


def _repairs(world: World) -> list[tuple[str, str]]:
    requests = repair_requests(world.pipeline, busy_days(world.instance), datetime.now(UTC).isoformat())
    return [_days(request) for request in requests]


def _days(request: Any) -> tuple[str, str]:
    day = request.tags.get("dagster/partition")
    start = request.tags.get("dagster/asset_partition_range_start", day)
    return start, request.tags.get("dagster/asset_partition_range_end", day)


def test_many_files_of_a_day_become_one_run_and_a_rewritten_one_another(world: World) -> None:
    for n in range(25):
        world.land(f"part-{n:02}.jsonl", session(f"s{n}", "2026-08-01T10:00"))
    first = _sensor(world)
    assert [_days(r) for r in first.run_requests] == [("2026-08-01", "2026-08-01")]
    assert not _sensor(world, first.cursor).run_requests

    world.land("part-07.jsonl", session("s7", "2026-08-01T10:00", turns=4))
    second = _sensor(world, first.cursor)
    assert [_days(r) for r in second.run_requests] == [("2026-08-01", "2026-08-01")]
    assert second.run_requests[0].run_key != first.run_requests[0].run_key


def test_a_file_that_is_still_being_written_waits(home: Any) -> None:
    world = World(home / "home", os.environ.get("TEST_DATABASE_URL"), start_date="2026-08-01")
    object.__setattr__(world.settings, "quiet_seconds", 60)
    try:
        path = world.landing / "turns.jsonl"
        path.write_text('{"session_id": "a", "turn_number": 1, "timestamp": "2026-08-01T10:00:00"}\n')
        result = _sensor(world)
        assert not result.run_requests
        assert "still being written" in result.skip_message
        old = time.time() - 120
        os.utime(path, (old, old))
        assert [_days(r) for r in _sensor(world).run_requests] == [("2026-08-01", "2026-08-01")]
    finally:
        world.close()


def test_a_file_for_days_outside_the_partitions_is_kept_and_not_run(home: Any) -> None:
    world = World(home / "home", os.environ.get("TEST_DATABASE_URL"), start_date="2026-08-01")
    try:
        world.land("old.jsonl", session("a", "2026-07-01T10:00"))
        world.land("new.jsonl", session("b", "2026-08-02T10:00"))
        assert [_days(r) for r in _sensor(world).run_requests] == [("2026-08-02", "2026-08-02")]
        assert world.query("select count(*) as n from governance.landing_files") == [{"n": 2}]
    finally:
        world.close()


def test_the_sensor_picks_up_a_file_of_every_adapter(world: World) -> None:
    """Each on a day of its own; one tick asks for all of them, and none is reported as unreadable."""
    files = {
        "canonical/a.jsonl": '{"session_id": "a", "turn_number": 1, "timestamp": "2026-08-01T10:00:00"}\n',
        "irembo/voice_turns.csv": "turn_id,session_id,turn_number,speaker,created_at\nT1,b,1,user,2026-08-02\n",
        "bakame/user_sessions.csv": "timestamp,session_id,interaction_type,phone_number,turn\n"
        "2026-08-03T10:00:00Z,c,voice,+250788000001,1\n",
        "converza/call.json": '{"call_id": "d", "timestamp": "2026-08-04T10:00:00Z", "transcript_text": "Agent: Hi"}',
        "events/events.jsonl": '{"id": "e", "event_type": "user_dropped_off", "timestamp": "2026-08-05T10:00:00Z"}\n',
    }
    for name, text in files.items():
        path = world.settings.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    remember_first_day(world.settings, ["2026-08-01"])
    tick = _sensor(world)
    problems = {f.path: f.problem for f in world.pipeline.files() if f.problem}
    assert problems == {}
    assert {f.path.split("/")[0] for f in world.pipeline.files()} == {name.split("/")[0] for name in files}
    assert [_days(request) for request in tick.run_requests] == [("2026-08-01", "2026-08-05")]
    assert not _sensor(world, tick.cursor).run_requests


def test_what_was_loaded_before_the_sensor_first_looked_is_not_run_again(world: World) -> None:
    world.land("one.jsonl", session("a", "2026-08-01T10:00"))
    assert world.run("2026-08-01").success
    assert not _sensor(world).run_requests


@pytest.mark.slow  # 28 s
def test_ten_thousand_files_are_indexed_once_and_the_cursor_stays_small(world: World) -> None:
    for n in range(10_000):
        (world.landing / f"{n:05}.jsonl").write_text(
            f'{{"session_id": "s{n}", "turn_number": 1, "timestamp": "2026-08-{n % 28 + 1:02}T10:00:00"}}\n'
        )
    world.look()
    result = _sensor(world)
    assert [_days(r) for r in result.run_requests] == [("2026-08-01", "2026-08-28")]
    assert len(result.cursor) < 10_000
    started = time.perf_counter()
    assert not _sensor(world, result.cursor).run_requests
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
