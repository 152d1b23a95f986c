"""What the voice marts are tried on: real calls, the contradictory tables, and small sessions for the traps.

Belongs here: the rows and the order in which they land. Does not belong here: what is expected of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pandas as pd

from tests.conftest import SHARED_DATA
from tests.integration.world import World, session

CALLS = ("2013-03-22", "2013-03-23")
TABLES = ("2025-01-01", "2025-01-10")
MADE = ("2026-08-01", "2026-08-09")
LAST = "2026-08-10"


def _made() -> dict[str, list[dict[str, Any]]]:
    """Small sessions; the first turn of the day is early enough that none but the last is in progress."""
    found = {
        # latency: two channels whose p95 are 100 and 900; the cancelled reply took a minute
        "fast": session("fast", "2026-08-01T01:00", 10, channel="web", total_ms=100.9),
        "slow": session("slow", "2026-08-01T02:00", 11, total_ms=900),
        # errors: one of ten turns, and one of one
        "long": session("long", "2026-08-01T03:00", 10),
        "short": session("short", "2026-08-01T04:00", 1, error_type="silence", error="LLM request timed out"),
        "crossing": session("crossing", "2026-08-01T23:58", 5, module="english"),
        # come back after less and more than 24 hours, less and more than seven days
        "r1": session("r1", "2026-08-01T10:00", 1, user_id="within a day"),
        "r2": session("r2", "2026-08-02T10:00", 1, user_id="within a day"),
        "s1": session("s1", "2026-08-01T10:00", 1, user_id="within a week"),
        "s2": session("s2", "2026-08-02T10:01", 1, user_id="within a week"),
        "t1": session("t1", "2026-08-01T10:00", 1, user_id="later"),
        "t2": session("t2", "2026-08-08T10:01", 1, user_id="later"),
        "handed": session("handed", "2026-08-01T05:00", 2, session_outcome="transferred"),
        "spoken": session(
            "spoken", "2026-08-03T05:00", 3, tts_provider="deepgram", tts_voice="luna", tts_characters=1000,
            tokens_in=300, tokens_out=20, transcode_ms=1.25, tts_fallback_count=1, barge_in=True, model_version="m",
        ),
        "mixed": session("mixed", "2026-08-03T06:00", 3, user_id="learner", module="english"),
        "open": session("open", "2026-08-09T20:00", 2),
        # whose region stands in the list of users alone, or in both: before and after a move, and when they have left
        "said": session("said", "2026-08-02T07:00", 1, user_id="stays", region="urban"),
        "listed": session("listed", "2026-08-02T08:00", 1, user_id="leaves"),
        "not moved yet": session("not moved yet", "2026-08-03T08:00", 1, user_id="moves"),
        "no longer listed": session("no longer listed", "2026-08-06T08:00", 1, user_id="leaves"),
        # every column of a session says something
        "rich": session(
            "rich", "2026-08-05T07:00", 4, region="rural", disability="visual", language="rw", user_type="first_time",
            deployment_id="d", experiment_id="e", experiment_variant="v", tokens_in=7, tokens_out=5, cost_usd=0.000123,
            intent_confidence=0.25,
        ),
    }  # fmt: skip
    found["rich"][0] |= {"speaker": "agent", "error_type": "silence"}
    found["rich"][1] |= {"speaker": "user", "error_type": "noise", "csat": 2, "asr_confidence": 0.123456789012}
    found["rich"][2] |= {"speaker": "user", "error_type": "misunderstanding", "csat": 4, "barge_in": True}
    found["rich"][3] |= {"speaker": "agent", "session_outcome": "transferred", "transfer_reason": "asked"}
    found["slow"][-1] |= {"cancelled": True, "total_ms": 60_000}
    found["long"][0]["error_type"] = "misunderstanding"
    found["mixed"][1]["module"] = "math"
    for row in found["open"]:
        del row["session_outcome"]
    for n in range(4, 9):  # so that every day of the week is published
        found[f"day {n}"] = session(f"day {n}", f"2026-08-0{n}T10:00", 1)
    return found


MADE_SESSIONS = _made()
#: Day of August on which a list of users was exported -> user -> region.
LISTS = {
    1: {"stays": "rural", "moves": "rural", "leaves": "urban"},
    4: {"stays": "rural", "moves": "urban", "leaves": "urban"},
    5: {"stays": "rural", "moves": "rural"},
}
TABLES_MADE = {
    "sessions": {
        "sessions-2026-08-03.csv": [
            {"session_id": "mixed", "started_at": "2026-08-03T06:00:00", "final_outcome": "completed"},
            {"session_id": "nobody spoke", "started_at": "2026-08-03T07:00:00", "final_outcome": "abandoned"},
        ]
    },
    "applications": {
        "applications-2026-08-02.csv": [
            {"application_id": n, "session_id": at, "user_id": who, "status": status,
             "submitted_at": "2026-08-02T12:00:00"}
            for n, at, who, status in (
                ("a1", "r1", "within a day", "completed"),
                ("a2", "r1", "a neighbour", "completed"),
                ("a3", "s1", "a neighbour", "completed"),
                ("a4", "handed", "user of handed", "completed"),
                ("a5", "t1", "later", "failed"),
            )
        ]
    },
    "users": {
        f"users-2026-08-0{day}.csv": [{"user_id": who, "region": region} for who, region in people.items()]
        for day, people in LISTS.items()
    },
}  # fmt: skip


def land_in_parts(world: World) -> Iterator[tuple[str, str]]:
    """Lands each part and names the days to run."""
    if (SHARED_DATA / "dstc2").is_dir():
        world.land_copies(*(SHARED_DATA / "dstc2" / f"{day}.jsonl" for day in CALLS))
        yield CALLS
    if (SHARED_DATA / "irembo").is_dir():
        folder = world.settings.landing / "irembo"
        folder.mkdir(parents=True)
        for path in (SHARED_DATA / "irembo").glob("*.csv"):
            shutil.copyfile(path, folder / path.name)
        world.look()
        yield TABLES
    _land_made(world)
    yield MADE
    world.land(f"turns-{LAST}.jsonl", session("of the next day", f"{LAST}T10:00", 1))
    yield MADE[1], LAST


def _land_made(world: World) -> None:
    for folder, files in TABLES_MADE.items():
        (world.landing / folder).mkdir(parents=True, exist_ok=True)
        for name, rows in files.items():
            pd.DataFrame(rows).to_csv(world.landing / folder / name, index=False)
    world.land("turns.jsonl", [row for rows in MADE_SESSIONS.values() for row in rows])
