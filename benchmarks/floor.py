r"""The bare floor: what somebody would type into psql for the same rows, without any check, lineage or account.

``\\copy`` of the turns from CSV into a plain table of the same columns, the session fact by hand, and one insert of
sessions and turns into the tables that readers use.
"""

from __future__ import annotations

import os
import subprocess
import time
from functools import partial
from pathlib import Path

from voiceai_assets.cli.tools import psql_program
from voiceai_assets.warehouse.server import Warehouse

SESSIONS = """
create table floor.sessions as
select turn_date as session_date, session_id, min(source) as source, min(user_id) as user_id, min(channel) as channel,
  min(user_type) as user_type, min(region) as region, min(disability) as disability, min(language) as language,
  min(agent_name) as agent_name, min(model_version) as model_version, min(deployment_id) as deployment_id,
  min(experiment_id) as experiment_id, min(experiment_variant) as experiment_variant,
  min(timestamp) as started_at, max(timestamp) as ended_at,
  extract(epoch from max(timestamp) - min(timestamp))::double precision as duration_seconds, count(*) as turn_count,
  count(*) filter (where speaker in ('user', 'exchange')) as user_turn_count,
  count(*) filter (where error_type in ('misunderstanding', 'silence', 'repeated_intent_failure')) as error_turn_count,
  count(*) filter (where error_type = 'misunderstanding') as misunderstanding_turn_count,
  count(*) filter (where error_type = 'silence') as silence_turn_count,
  count(*) filter (where error_type = 'repeated_intent_failure') as repeated_intent_failure_turn_count,
  count(*) filter (where speaker in ('user', 'exchange') and asr_confidence is not null) as asr_turn_count,
  avg(asr_confidence) filter (where speaker in ('user', 'exchange')) as avg_asr_confidence,
  min(asr_confidence) filter (where speaker in ('user', 'exchange')) as min_asr_confidence,
  avg(intent_confidence) filter (where speaker in ('user', 'exchange')) as avg_intent_confidence,
  sum(cost_usd) as cost_usd, max(csat) as csat, max(session_outcome) as final_outcome,
  min(transfer_reason) as transfer_reason
from floor.turns group by 1, 2
"""

TURNS = """
select turn_date, session_id, turn_number, timestamp, speaker, user_id, channel, user_type, region, language, module,
  intent, intent_confidence, asr_confidence, error_type, asr_ms, llm_ms, tts_ms, total_ms, cancelled, model_version,
  experiment_variant, load_id
from floor.turns
"""
TABLES = (
    "create table floor.published_sessions (like floor.sessions)",
    f"create table floor.published_turns as {TURNS} limit 0",
)
INSERT = (
    "insert into floor.published_sessions select * from floor.sessions",
    f"insert into floor.published_turns {TURNS}",
)


def floor_seconds(warehouse: Warehouse, folder: Path, day: str) -> dict[str, float]:
    """Seconds of each part of the floor, on the rows that ``raw.turns`` holds for the day."""
    psql = partial(_psql, warehouse)
    try:
        seconds = {
            "\\copy": _copy(warehouse, folder, day),
            "session SQL": psql("analyze floor.turns", SESSIONS),
        }
        psql(*TABLES)
        return {**seconds, "insert": psql(*INSERT)}
    finally:
        psql("drop schema floor cascade")


def copy_seconds(warehouse: Warehouse, folder: Path, day: str) -> float:
    r"""Seconds of ``\copy`` alone."""
    try:
        return _copy(warehouse, folder, day)
    finally:
        _psql(warehouse, "drop schema floor cascade")


def _copy(warehouse: Warehouse, folder: Path, day: str) -> float:
    csv = folder / "floor.csv"
    psql = partial(_psql, warehouse)
    psql(f"\\copy (select * from raw.turns where turn_date = '{day}') to '{csv}' csv")
    psql("drop schema if exists floor cascade", "create schema floor", "create table floor.turns (like raw.turns)")
    return psql(f"\\copy floor.turns from '{csv}' csv")


def _psql(warehouse: Warehouse, *commands: str) -> float:
    environment = {**os.environ, **warehouse.owner.libpq_environment()}
    began = time.perf_counter()
    arguments = [psql_program(), "-q", "-v", "ON_ERROR_STOP=1"]
    for command in commands:
        arguments += ["-c", command]
    subprocess.run(arguments, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
