"""One day of every dataset in the canonical format, without a single fault; and how to plant one.

Belongs here: rows. Does not belong here: what must be found (``defects``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import sql

from tests.integration.world import World, session

Rows = list[dict[str, Any]]


def datasets(day: str) -> dict[str, Rows]:
    """Dataset -> records of the day."""
    at = f"{day}T10:00:00Z"
    names = [f"{day}-{n}" for n in range(4)]
    return {
        "turns": [
            {
                **row,
                "speaker": "exchange",
                "language": "rw",
                "module": "pay",
                "user_type": "returning",
                "region": "rural",
                "intent_confidence": 0.7,
                "asr_ms": 100,
                "llm_ms": 500,
                "tts_ms": 200,
                "total_ms": 900,
                "tokens_in": 10,
                "tokens_out": 20,
                "tts_characters": 30,
                "cost_usd": 0.01,
                "tts_provider": "one",
                "tts_fallback_count": 0,
                "transcode_ms": 5,
                "barge_in": False,
                "model_version": "m1",
            }
            for name in names
            for row in session(name, f"{day}T10:00")
        ],
        "sessions": [
            {
                "session_id": name,
                "user_id": f"user of {name}",
                "channel": "voice",
                "started_at": at,
                "ended_at": f"{day}T10:02:30Z",
                "duration_seconds": 150,
                "turn_count": 3,
                "final_outcome": "completed",
            }
            for name in names
        ],
        "session_metrics": [
            {
                "session_id": name,
                "avg_asr_confidence": 0.8,
                "avg_intent_confidence": 0.7,
                "misunderstanding_rate": 0.0,
                "silence_rate": 0.0,
                "recovery_success": True,
                "escalation": False,
            }
            for name in names
        ],
        "turn_metrics": [
            {"session_id": n, "call_id": n, "turn_number": 1, "timestamp": at, "asr_ms": 100, "total_ms": 900}
            for n in names
        ],
        "calls": [
            {
                "call_id": f"call {name}",
                "agent_name": "Ada",
                "timestamp": at,
                "duration_seconds": 60,
                "transcript_text": "Agent: hello. Customer: thank you, that is great.",
            }
            for name in names
        ],
        "users": [{"user_id": f"user of {name}", "region": "rural", "registered_at": at} for name in names],
        "applications": [
            {
                "application_id": f"application {name}",
                "session_id": name,
                "user_id": f"user of {name}",
                "service_code": "id",
                "channel": "voice",
                "status": "completed",
                "seconds_to_submit": 100,
                "submitted_at": f"{day}T10:05:00Z",
            }
            for name in names
        ],
        "experiments": [{"experiment_id": "e", "started_at": at, "ended_at": f"{day}T20:00:00Z"}],
        "variants": [
            {"variant_id": v, "experiment_id": "e", "allocation": 0.5, "is_control": v == "a"} for v in ("a", "b")
        ],
        "assignments": [
            {"experiment_id": "e", "variant_id": "a", "unit_id": f"user of {name}", "assigned_at": at} for name in names
        ],
        "experiment_events": [
            event
            for name in names
            for event in (
                _event(name, "conversation_started", f"{day}T10:00:00Z"),
                _event(
                    name, "message_sent", f"{day}T10:01:00Z", turn_number=1, latency_ms=300, token_count=9, edit_count=1
                ),
                _event(name, "user_dropped_off", f"{day}T10:02:00Z", total_turns=1),
            )
        ],
        "metric_aggregates": [
            {
                "experiment_id": "e",
                "variant_id": "a",
                "metric_name": "latency",
                "bucket_type": "hourly",
                "bucket_start": at,
                "bucket_end": f"{day}T11:00:00Z",
                "count": 4,
                "mean": 2,
                "stddev": 1,
                "min_value": 1,
                "max_value": 3,
                "p50": 2,
                "p95": 3,
                "p99": 3,
            }
        ],
        "policy_versions": [
            {
                "policy_version_id": "p",
                "constraint_respect_score": 0.9,
                "diversity_score": 0.5,
                "created_at": at,
                "deployed_at": f"{day}T12:00:00Z",
            }
        ],
        "deployments": [{"deployment_id": "d", "released_at": at, "ended_at": f"{day}T20:00:00Z"}],
    }


def _event(name: str, kind: str, at: str, **metrics: Any) -> dict[str, Any]:
    return {
        "id": f"{name} {kind}",
        "event_type": kind,
        "unit_id": f"user of {name}",
        "timestamp": at,
        "context": {"session_id": name, "flow_id": "f", "current_state": "s"},
        "metrics": metrics,
        "payload": {"progress": 0.5, "drop_off_reason": "timeout"} if kind == "user_dropped_off" else {},
        "experiments": {"items": [{"experiment_id": "e", "variant_id": "a"}]},
    }


def land(world: World, days: Iterable[str]) -> None:
    """Land the days, each dataset in a folder of its name."""
    for day in days:
        for dataset, rows in datasets(day).items():
            folder = world.landing if dataset == "turns" else world.landing / dataset
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{dataset}-{day}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    world.look()


def filled(table: str) -> str:
    """The table that holds a mart's rows: the turn mart is a view over an intermediate one."""
    return "intermediate.int_turns_sessionised" if table == "marts.fact_voice_ai_turns" else table


def copy_row(world: World, table: str, day_column: str, source_day: str, changes: Mapping[str, Any]) -> None:
    """Add a copy of one row of the table's day with other values: a fault that no emitter need have made."""
    schema, name = filled(table).split(".")
    with world.pipeline.warehouse.connect() as connection:
        done = connection.execute(
            sql.SQL(
                "insert into {table} select (jsonb_populate_record(null::{table}, to_jsonb(t) || %s)).* "
                "from (select * from {table} where {day} = %s limit 1) as t"
            ).format(table=sql.Identifier(schema, name), day=sql.Identifier(day_column)),
            [json.dumps(changes), source_day],
        )
        assert done.rowcount == 1, f"{table} has no row of {source_day} to copy"
