"""A platform in Kigali: days, hours and naive times are those of its clocks, whatever zone an emitter writes.

On three days across the end of a price's validity, because that is a question of the local day, too. Every figure is
compared with one made from the landed lines by slow and plain code.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.integration import slow_path, slow_path_events, slow_path_turns
from tests.integration.callers import MESSAGES, around_midnights, written
from tests.integration.emitter import Emitter
from tests.integration.slow_path_events import same
from tests.integration.slow_path_turns import Told
from tests.integration.world import World
from voiceai_assets.privacy.pseudonyms import load_pseudonymiser
from voiceai_assets.settings import REPOSITORY

pytestmark = pytest.mark.timeout(900)

KIGALI = ZoneInfo("Africa/Kigali")
DAYS = ("2024-12-30", "2024-12-31", "2025-01-01")
SEEDS = REPOSITORY / "dbt_project" / "seeds"
#: Users whom no turn describes, in two lists: the first is of the second day.
USERS = {
    "2024-12-31": {f"caller {n}": ("rural", "urban")[n % 2] for n in range(20)},
    "2025-01-01": {f"caller {n}": ("urban", "rural")[n % 2] for n in range(10, 30)},
}
#: Written as (call, timestamp, day in Kigali).
CALLS = (
    ("naive, before midnight", "2024-12-30T23:59:59", "2024-12-30"),
    ("UTC, after midnight", "2024-12-30T22:00:00Z", "2024-12-31"),
    ("New York, after midnight", "2024-12-31T17:30:00-05:00", "2025-01-01"),
)
Row = dict[str, Any]


@pytest.fixture(scope="module")
def kigali() -> Iterator[World]:
    """Three local days landed and certified as one range."""
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    world = World(folder / "home", os.environ.get("TEST_DATABASE_URL"), source_timezone=str(KIGALI))
    try:
        _land(world)
        assert world.run(DAYS[0], DAYS[-1]).success
        yield world
    finally:
        world.close()
        shutil.rmtree(folder, ignore_errors=True)


def _land(world: World) -> None:
    emitter = Emitter(11, DAYS, KIGALI, stamp=lambda at: written(at, KIGALI, emitter.draw.randrange(4)))
    for number in range(90):
        emitter.conversation(number)
    tables = {
        "calls": [
            {"call_id": name, "agent_name": "Ada", "timestamp": at, "transcript_text": "Agent: Hello. Customer: Hi."}
            for name, at, _ in CALLS
        ],
        "applications": [
            {"application_id": name, "session_id": name, "user_id": "u", "status": "completed", "submitted_at": at}
            for name, at, _ in CALLS
        ],
    }
    _write(_events(world), [event for event in emitter.events if _local_day(event) <= DAYS[-1]])
    for table, rows in tables.items():
        _write(world.landing / table / f"{table}.jsonl", rows)
    for day, regions in USERS.items():
        users = [{"user_id": user, "region": region} for user, region in regions.items()]
        _write(world.landing / "users" / f"users-{day}.jsonl", users)
    world.land("turns.jsonl", around_midnights(5, KIGALI, DAYS, 120))


def _events(world: World) -> Path:
    return world.settings.landing / "events" / "events.jsonl"


def _write(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _local_day(event: Row) -> str:
    at = datetime.fromisoformat(event["timestamp"])
    return str((at if at.tzinfo else at.replace(tzinfo=KIGALI)).astimezone(KIGALI).date())


# -- the same figures, slowly ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told(kigali: World) -> Told:
    """Every session of the landed turns and its turns."""
    rows = [json.loads(line) for line in (kigali.landing / "turns.jsonl").read_text().splitlines()]
    turns = slow_path.filed(rows, KIGALI)
    last = date.fromisoformat(DAYS[-1])
    users = {
        date.fromisoformat(day): {user: {"region": region} for user, region in regions.items()}
        for day, regions in USERS.items()
    }
    seen = {last: max(row["at"] for of in turns.values() for row in of if of[0]["at"].date() == last)}
    elsewhere = slow_path.Elsewhere(zone=KIGALI, users=users, seen_until=seen)
    return Told(slow_path.sessions(rows, load_pseudonymiser(kigali.settings), elsewhere), turns)


@pytest.fixture(scope="module")
def events(kigali: World) -> list[Row]:
    return slow_path_events.events_of([_events(kigali)], KIGALI)


def read(world: World, relation: str) -> list[Row]:
    """As a dashboard does."""
    return world.read(f"select * from certified.{relation}")


def by(rows: list[Row], *names: str) -> dict[tuple[Any, ...], Row]:
    return {tuple(row[name] for name in names): row for row in rows}


def test_the_world_holds_every_edge(told: Told) -> None:
    """Else the comparisons below would prove less than they seem to."""
    outcomes = Counter(row["final_outcome"] for row in told.sessions.values())
    assert outcomes.keys() == {"completed", "abandoned", "transferred", "in_progress"}
    utc_days = {name: {row["at"].astimezone(UTC).date() for row in turns} for name, turns in told.turns.items()}
    assert sum(told.sessions[name]["session_date"] not in days for name, days in utc_days.items()) > 10
    assert sum(len(days) > 1 for days in utc_days.values()) > 5, "across midnight of UTC"
    local = {name: {row["at"].date() for row in turns} for name, turns in told.turns.items()}
    assert sum(len(days) > 1 for days in local.values()) > 5, "across midnight of Kigali"


def test_every_column_of_every_session_is_that_of_its_local_day(kigali: World, told: Told) -> None:
    found = by(read(kigali, "fact_voice_ai_sessions"), "session_id")
    same(found, {(name,): row for name, row in told.sessions.items()})


def test_daily_sums_are_of_local_days(kigali: World, told: Told) -> None:
    wanted: dict[Any, Counter[str]] = defaultdict(Counter)
    for row in told.sessions.values():
        for name, of in slow_path.SUMS.items():
            wanted[row["session_date"]][name] += of(row)
    found: dict[Any, Counter[str]] = defaultdict(Counter)
    for row in read(kigali, "agg_sessions_daily"):
        for name in slow_path.SUMS:
            found[row["session_date"]][name] += row[name] or 0
    assert found == wanted
    assert [str(day) for day in sorted(found)] == list(DAYS)


def test_latencies_and_service_levels_of_every_component_are_those_of_the_sorted_values(
    kigali: World, told: Told
) -> None:
    segment = ("session_date", "component", "channel", "language", "model_version", "experiment_variant", "latency_ms")
    counts = read(kigali, "agg_latency_histogram_daily")
    assert {key: row["turn_count"] for key, row in by(counts, *segment).items()} == slow_path_turns.histogram(told)
    levels = slow_path_turns.service_levels(told, SEEDS / "sla_limits.csv", MESSAGES.__getitem__)
    same(by(read(kigali, "sla_daily"), "session_date", "component"), levels)
    assert {row["is_met"] for row in levels.values()} == {True, False, None}
    assert all(0.5 < row["coverage"] < 1 for row in levels.values())


def test_costs_are_of_the_prices_of_the_local_day(kigali: World, told: Told) -> None:
    prices = slow_path_turns.Prices.read(SEEDS / "prices.csv")
    key = ("session_date", "channel", "model_version", "experiment_variant")
    same(by(read(kigali, "cost_daily"), *key), slow_path_turns.costs(told, prices))
    rises = prices.of("tts_character", "deepgram", date(2025, 1, 1)) / prices.of(
        "tts_character", "deepgram", date(2024, 12, 31)
    )
    assert rises == 2


def test_speech_synthesis_of_every_setting_is_what_its_turns_say(kigali: World, told: Told) -> None:
    found = by(read(kigali, "tts_metrics_daily"), "session_date", *slow_path_turns.SETTINGS)
    same(found, slow_path_turns.synthesis(told))
    assert len(found) > 50


def test_languages_and_durations_are_of_local_days(kigali: World, told: Told) -> None:
    heard = by(read(kigali, "asr_by_language"), "session_date", "language", "model_version")
    same(heard, slow_path_turns.recognition(told))
    lengths = by(read(kigali, "session_duration_daily"), "session_date", "source")
    same(lengths, slow_path_turns.durations(told.sessions.values()))


def test_time_in_modules_does_not_end_at_midnight(kigali: World, told: Told) -> None:
    uses = slow_path_turns.uses(told)
    same(by(read(kigali, "user_sessions"), "session_id", "user_id", "module"), uses)
    same(by(read(kigali, "module_usage"), "user_id", "module"), slow_path_turns.module_usage(uses))


def test_events_are_of_local_days_and_hours(kigali: World, events: list[Row]) -> None:
    of_days = slow_path_events.conversations(events, load_pseudonymiser(kigali.settings), by_day=True)
    same(by(read(kigali, "conversation_sessions"), "event_date", "session_id"), of_days)
    key = ("event_date", "event_hour", "event_type", "flow_id", "experiment_id", "variant_id")
    same(by(read(kigali, "conversation_events_hourly"), *key), slow_path_events.hourly(events, of_days))
    assert any(e["at"].astimezone(UTC).date() != e["day"] for e in events)


def test_calls_and_applications_are_of_local_days(kigali: World) -> None:
    wanted = {name: date.fromisoformat(day) for name, _, day in CALLS}
    calls = read(kigali, "gold_performance_metrics")
    assert {row["call_id"]: row["call_date"] for row in calls} == wanted
    applications = read(kigali, "fact_applications")
    assert {row["application_id"]: row["submitted_date"] for row in applications} == wanted
