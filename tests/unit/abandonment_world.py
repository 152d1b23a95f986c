"""Frames with the columns of the certified facts, made from sample files with pandas alone (no server, no dbt)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

ERRORS = ("misunderstanding", "silence", "repeated_intent_failure")
COLUMNS = [
    *("session_id", "turn_number", "turn_at", "speaker", "user_id", "channel", "user_type", "region", "language"),
    *("module", "intent_confidence", "asr_confidence", "error_type", "total_ms", "session_outcome"),
]


def frames(paths: Iterable[Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(turns, sessions) as the dbt models would give them, for files whose sessions are all over."""
    lines = [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    turns = pd.DataFrame(lines).rename(columns={"timestamp": "turn_at", "total_latency_ms": "total_ms"})
    turns = turns.reindex(columns=COLUMNS)
    turns["turn_at"] = pd.to_datetime(turns["turn_at"], utc=True, format="ISO8601")
    turns["speaker"] = turns["speaker"].astype(object).fillna("exchange")
    turns["is_user_turn"] = True
    turns["is_error_turn"] = turns["error_type"].isin(ERRORS)
    # what the checks would have blocked (the bad day) never reaches the certified facts
    days = turns["turn_at"].dt.date
    turns = turns[~days.isin(set(days[turns["asr_confidence"] < 0]))]
    sessions = (
        turns.groupby("session_id")
        .agg(
            user_id=("user_id", "first"),
            started_at=("turn_at", "min"),
            ended_at=("turn_at", "max"),
            declared=("session_outcome", "first"),
        )
        .reset_index()
    )
    sessions["session_date"] = sessions["started_at"].dt.date
    sessions["final_outcome"] = sessions["declared"].fillna("abandoned")
    sessions["outcome_basis"] = np.where(sessions["declared"].notna(), "declared", "inferred")
    turns = turns.merge(sessions[["session_id", "session_date"]], on="session_id").drop(columns="session_outcome")
    return turns, sessions.drop(columns="declared")
