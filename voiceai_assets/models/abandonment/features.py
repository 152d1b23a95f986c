"""The prefix table: one row per user turn, holding only what was known once that turn had been answered.

Belongs here: features, labels, and the rule of what is known when.
Does not belong here: imputation and encoding (the pipeline in ``training``), reading tables.

A turn is scored after its reply: the user (or exchange) row and the first agent row that follows it. Later agent rows
are left out even when they come before the next user turn, since "are you still there?" is said to callers who left.
Static columns (channel, region, ...) are read from turns up to k and not from the session fact, whose values are
minima over the whole session.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

KEYS = ("session_date", "session_id", "k")
NUMERIC = (
    "k",
    "asr_now",
    "asr_mean",
    "asr_min",
    "asr_change",
    "intent_now",
    "error_now",
    "errors_so_far",
    "errors_in_row",
    "log_latency",
    "earlier_sessions",
    "earlier_abandoned_share",
)
CATEGORICAL = ("user_type", "language", "channel", "region", "module")
LABELS = ("label_hazard", "label_landmark")
FINAL_OUTCOMES = ("abandoned", "completed", "transferred")

_STATIC = (*CATEGORICAL, "user_id")
_TURN_COLUMNS = (
    "session_date",
    "session_id",
    "turn_number",
    "turn_at",
    "speaker",
    "is_user_turn",
    "asr_confidence",
    "intent_confidence",
    "is_error_turn",
    "total_ms",
    *_STATIC,
)
_SESSION_COLUMNS = ("session_date", "session_id", "user_id", "ended_at", "final_outcome", "outcome_basis")


def feature_hash(numeric: Sequence[str] = NUMERIC, categorical: Sequence[str] = CATEGORICAL) -> str:
    """sha256 (hexadecimal) of the feature list in order: a model only scores tables made for the same list."""
    return hashlib.sha256(json.dumps([list(numeric), list(categorical)]).encode()).hexdigest()


def prefix_table(turns: pd.DataFrame, sessions: pd.DataFrame, *, timeout_minutes: int = 30) -> pd.DataFrame:
    """One row per (session_date, session_id, user turn k), sorted by them.

    Sessions in progress are censored: nobody knows yet how they end, so they give neither rows nor history. History is
    counted within ``sessions``; a caller's sessions before its first day are unknown to it.

    Args:
        turns: columns of ``certified.fact_voice_ai_turns``, in any order of rows; may hold more sessions.
        sessions: columns of ``certified.fact_voice_ai_sessions``.
        timeout_minutes: silence after which an undeclared session counts as abandoned. Until then nobody knew.

    Returns:
        ``KEYS``, ``user_id``, ``NUMERIC`` (floats, NaN where unknown), ``CATEGORICAL`` (text or null) and ``LABELS``
        (0 or 1). k counts user turns from 1. ``label_hazard``: abandoned before user turn k+1. ``label_landmark``: the
        session ends abandoned. ASR and intent confidence in their own units (0 to 1); ``log_latency`` is
        log(1 + milliseconds).

    Raises:
        ValueError: for missing columns, or two sessions under one (session_date, session_id).
    """
    _require(turns, _TURN_COLUMNS, "turns")
    _require(sessions, _SESSION_COLUMNS, "sessions")
    ended = sessions.loc[sessions["final_outcome"].isin(FINAL_OUTCOMES), list(_SESSION_COLUMNS)]
    if ended.duplicated(["session_date", "session_id"]).any():
        raise ValueError("sessions: more than one row for a (session_date, session_id)")
    ended = ended.sort_values(["session_date", "session_id"], ignore_index=True)

    rows = _scored_turns(turns, ended)
    session = rows["session"].to_numpy(dtype=np.int64)
    table = pd.DataFrame(
        {
            "session_date": ended["session_date"].take(session).to_numpy(),
            "session_id": ended["session_id"].take(session).to_numpy(),
            "k": (rows.groupby("session").cumcount() + 1).astype(float),
        }
    )
    for column in _STATIC:
        # the last known value up to k; a value that only a later turn carries is not known yet
        table[column] = rows.groupby("session")[column].ffill()
    _add_confidences(table, rows)
    _add_errors(table, rows)
    table["log_latency"] = np.log1p(rows["total_ms"].where(rows["total_ms"] >= 0))
    _add_history(table, rows, ended, timeout_minutes)

    abandoned = (ended["final_outcome"] == "abandoned").take(session).to_numpy()
    is_last = ~rows["session"].duplicated(keep="last").to_numpy()
    table["label_hazard"] = (abandoned & is_last).astype(np.int8)
    table["label_landmark"] = abandoned.astype(np.int8)
    return table[[*KEYS, "user_id", *NUMERIC[1:], *CATEGORICAL, *LABELS]]


def _require(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ValueError(f"{name}: columns missing: {', '.join(missing)}")


def _scored_turns(turns: pd.DataFrame, ended: pd.DataFrame) -> pd.DataFrame:
    """User turns of ended sessions in order, the reply folded in; ``session`` is the position in ``ended``."""
    keys = ended[["session_date", "session_id"]].assign(session=np.arange(len(ended)))
    rows = turns[list(_TURN_COLUMNS)].merge(keys, on=["session_date", "session_id"], how="inner", validate="m:1")
    rows["is_user_turn"] = rows["is_user_turn"].fillna(False).astype(bool)
    rows["is_error_turn"] = rows["is_error_turn"].fillna(False).astype(bool)
    for column in ("asr_confidence", "intent_confidence", "total_ms"):
        rows[column] = pd.to_numeric(rows[column]).astype(float)
    rows["turn_at"] = pd.to_datetime(rows["turn_at"], utc=True).astype("datetime64[us, UTC]")
    # Values last: repeated turn numbers are possible (the contract calls them a finding), and the order of rows in the
    # query's answer must not decide the features.
    rows["is_reply"] = ~rows["is_user_turn"]
    order = ["session", "turn_number", "turn_at", "is_reply", "asr_confidence", "intent_confidence", "total_ms"]
    rows = rows.sort_values([*order, "is_error_turn"], ignore_index=True)

    # the session starts with its first turn of any speaker: the time before which history must have ended
    rows["started_at"] = rows.groupby("session")["turn_at"].transform("first")
    following = rows[["session", "is_reply", "is_error_turn", "total_ms"]].shift(-1)
    answered = (following["session"] == rows["session"]) & following["is_reply"].eq(True)
    rows["is_error_turn"] |= answered & following["is_error_turn"].eq(True)
    rows["total_ms"] = rows["total_ms"].fillna(following["total_ms"].where(answered).astype(float))
    return rows[rows["is_user_turn"]].reset_index(drop=True)


def _add_confidences(table: pd.DataFrame, rows: pd.DataFrame) -> None:
    asr, session = rows["asr_confidence"], rows["session"]
    known = asr.notna()
    seen = known.groupby(session).cumsum()
    table["asr_now"] = asr
    table["asr_mean"] = asr.fillna(0.0).groupby(session).cumsum() / seen.where(seen > 0)
    table["asr_min"] = asr.groupby(session).cummin().groupby(session).ffill()
    table["asr_change"] = asr - asr.groupby(session).ffill().groupby(session).shift(1)
    table["intent_now"] = rows["intent_confidence"]


def _add_errors(table: pd.DataFrame, rows: pd.DataFrame) -> None:
    error, session = rows["is_error_turn"].astype(float), rows["session"]
    table["error_now"] = error
    table["errors_so_far"] = error.groupby(session).cumsum()
    stretch = (error == 0).groupby(session).cumsum()  # a turn without error opens the next stretch
    table["errors_in_row"] = error.groupby([session, stretch]).cumsum()


def _add_history(table: pd.DataFrame, rows: pd.DataFrame, ended: pd.DataFrame, timeout_minutes: int) -> None:
    """Earlier sessions of the same caller whose end was known before this session started.

    A declared end is known with the last turn; an inferred one only after the timeout. Unknown callers have no
    history (NaN); known ones without earlier sessions have 0 of them and an unknown share.
    """
    history = ended.loc[ended["user_id"].notna(), ["user_id", "final_outcome", "outcome_basis", "ended_at"]].copy()
    waited = pd.to_timedelta(np.where(history["outcome_basis"] == "inferred", timeout_minutes, 0), unit="min")
    known_at = pd.to_datetime(history["ended_at"], utc=True) + waited
    # not before the session's own start, whatever ended_at says: a session must never be its own history
    own_start = rows.groupby("session")["started_at"].first().reindex(history.index)
    history["known_at"] = pd.concat([known_at, own_start], axis=1).max(axis=1).astype("datetime64[us, UTC]")
    history["abandoned"] = (history["final_outcome"] == "abandoned").astype(float)
    history["user_id"] = history["user_id"].astype(str)
    history = history.sort_values("known_at", kind="stable")
    by_user = history.groupby("user_id")
    history["earlier_sessions"] = by_user.cumcount() + 1.0
    history["earlier_abandoned"] = by_user["abandoned"].cumsum()

    asked = pd.DataFrame({"user_id": table["user_id"], "started_at": rows["started_at"], "row": np.arange(len(table))})
    asked = asked[asked["user_id"].notna()].astype({"user_id": str}).sort_values("started_at", kind="stable")
    found = pd.merge_asof(
        asked,
        history[["user_id", "known_at", "earlier_sessions", "earlier_abandoned"]],
        left_on="started_at",
        right_on="known_at",
        by="user_id",
        allow_exact_matches=False,
    ).set_index("row")
    count = found["earlier_sessions"].fillna(0.0)
    table["earlier_sessions"] = count.reindex(table.index)
    table["earlier_abandoned_share"] = (found["earlier_abandoned"] / count.where(count > 0)).reindex(table.index)
