"""Promise 1: one bad day blocks that day and nothing else, whichever way it is run."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from tests.integration.world import World, session, with_log_scores
from voiceai_assets.pipeline import Pipeline

DAYS = [f"2013-03-{n}" for n in range(22, 30)]
#: Counted from the files alone: distinct session ids per day.
SESSIONS = {
    "2013-03-22": 25, "2013-03-23": 149, "2013-03-24": 120, "2013-03-25": 234,
    "2013-03-26": 305, "2013-03-27": 358, "2013-03-28": 453, "2013-03-29": 116,
}  # fmt: skip
BAD = "2013-03-26"
GOOD = {day: count for day, count in SESSIONS.items() if day != BAD}
RULE = "turns_are_plausible.asr_confidence_is_a_probability"


def _land_with_bad_day(world: World, dstc2: Path) -> None:
    world.land_copies(*(path for path in sorted(dstc2.glob("*.jsonl")) if path.stem != BAD))
    with_log_scores(dstc2 / f"{BAD}.jsonl", world.landing / f"{BAD}.jsonl")
    world.look()


def test_real_calls_reach_the_dashboard_whole(world: World, dstc2: Path) -> None:
    world.land_copies(*dstc2.glob("*.jsonl"))
    assert world.run(DAYS[0], DAYS[-1]).success
    assert world.certified() == SESSIONS
    with world.as_reader() as reader:
        assert reader.execute("select count(*) from certified.fact_voice_ai_turns").fetchone() == (12_962,)
        assert reader.execute("select sum(turn_count) from certified.fact_voice_ai_sessions").fetchone() == (12_962,)


def test_a_bad_day_in_a_range_blocks_only_itself_and_heals(world: World, dstc2: Path) -> None:
    _land_with_bad_day(world, dstc2)
    result = world.run(DAYS[0], DAYS[-1])
    assert not result.success, "a run with a blocked day must not look successful"
    assert world.certified() == GOOD
    assert world.status(BAD) == "blocked"
    assert world.reasons(BAD)[0]["check"] == RULE
    assert "2,247 of 2,247" in world.reasons(BAD)[0]["text"]

    # materialising only the publish step later does not let it through
    later = world.run(BAD, job="publish_job")
    assert not later.success
    assert world.certified() == GOOD

    # the good file returns: the day heals, the others are untouched
    world.land_copies(dstc2 / f"{BAD}.jsonl")
    assert world.run(BAD).success
    assert world.certified() == SESSIONS
    assert world.status(BAD) == "certified"


def test_a_bad_day_run_alone_is_blocked_at_its_raw_check(world: World, dstc2: Path) -> None:
    _land_with_bad_day(world, dstc2)
    assert world.run("2013-03-25").success
    result = world.run(BAD)
    assert [event.step_key for event in result.get_step_failure_events()] == ["judge_raw"]
    assert world.run("2013-03-27").success
    assert world.certified() == {day: SESSIONS[day] for day in ("2013-03-25", "2013-03-27")}
    assert world.status(BAD) == "blocked"
    assert world.reasons(BAD)[0]["check"] == RULE


def test_a_day_that_was_certified_disappears_when_its_file_turns_bad(world: World, dstc2: Path) -> None:
    world.land_copies(dstc2 / "2013-03-25.jsonl", dstc2 / f"{BAD}.jsonl")
    assert world.run("2013-03-25", BAD).success
    with_log_scores(dstc2 / f"{BAD}.jsonl", world.landing / f"{BAD}.jsonl")
    assert not world.run(BAD).success
    assert world.certified() == {"2013-03-25": SESSIONS["2013-03-25"]}


def test_automation_requests_each_day_and_the_bad_one_stays_blocked(world: World, dstc2: Path) -> None:
    """Through the real sensor: its requests are executed as the daemon would execute them."""
    _land_with_bad_day(world, dstc2)
    definitions = world.definitions()
    sensor = definitions.resolve_sensor_def("landing_sensor")
    context = dg.build_sensor_context(
        instance=world.instance, definitions=definitions, resources=dict(definitions.resources or {})
    )
    evaluated = sensor.evaluate_tick(context)
    assert [request.tags["dagster/asset_partition_range_start"] for request in evaluated.run_requests] == [DAYS[0]]
    for request in evaluated.run_requests:
        first = request.tags["dagster/asset_partition_range_start"]
        world.run(first, request.tags["dagster/asset_partition_range_end"])
    assert world.certified() == GOOD

    # the same landing gives no further request: the cursor remembers what was asked for
    again = dg.build_sensor_context(
        instance=world.instance,
        definitions=definitions,
        resources=dict(definitions.resources or {}),
        cursor=evaluated.cursor,
    )
    assert not sensor.evaluate_tick(again).run_requests


@pytest.mark.parametrize("in_range", [False, True], ids=["one-day run", "range run"])
def test_a_day_without_any_event_fails_its_check(world: World, in_range: bool) -> None:
    world.land("turns-2026-08-01.jsonl", session("a", "2026-08-01T10:00"))
    world.land("turns-2026-08-03.jsonl", session("b", "2026-08-03T10:00"))
    if in_range:
        world.run("2026-08-01", "2026-08-03")
    else:
        for day in ("2026-08-01", "2026-08-02", "2026-08-03"):
            world.run(day)
    assert world.certified() == {"2026-08-01": 1, "2026-08-03": 1}
    assert world.status("2026-08-02") == "blocked"
    assert world.reasons("2026-08-02")[0]["check"] == "intake_is_complete.day_has_files"


def test_a_model_that_fails_on_one_day_of_a_range_blocks_only_that_day_and_says_why(world: World) -> None:
    """Found by a dbt test, which is asked of the range as a whole."""
    days = ["2026-08-01", "2026-08-02", "2026-08-03"]
    for day in days:
        world.land(f"turns-{day}.jsonl", session(f"s {day}", f"{day}T10:00"))
    world.spoil("marts.agg_sessions_daily", "session_date", days[1], "completed_session_count := 99")
    assert not world.run(days[0], days[-1]).success
    assert {day: world.status(day) for day in days} == {days[0]: "certified", days[1]: "blocked", days[2]: "certified"}
    _is_blocked_by_dbt(world, days[1])
    assert world.pipeline.days_to_repair(days) == {}, "it would fail again"
    other_code = Pipeline(world.settings.model_copy(update={"session_timeout_minutes": 45}), world.pipeline.warehouse)
    assert days[1] in other_code.days_to_repair(days), "a corrected model brings it back"
    assert not world.run(days[1]).success, "alone it fails as well"
    _is_blocked_by_dbt(world, days[1])
    with world.pipeline.warehouse.connect() as connection:
        connection.execute("drop trigger spoil_2026_08_02 on marts.agg_sessions_daily")
    assert world.run(days[1]).success
    assert world.status(days[1]) == "certified"
    assert world.query("select check_name from governance.quality_results where check_name like 'dbt.%%'") == []


def _is_blocked_by_dbt(world: World, day: str) -> None:
    assert world.status(day) == "blocked"
    first, *others = world.reasons(day)
    assert first["check"].startswith("dbt.")
    assert first["asset"] == "marts/agg_sessions_daily"
    assert first["kind"] == "failed"
    assert first["text"].endswith("(1 found)")
    assert "correct the model" in first["mend"]
    assert [r["text"] for r in others if r["kind"] == "missing"] == [
        "marts does not hold the day as it lies in landing now"
    ]
