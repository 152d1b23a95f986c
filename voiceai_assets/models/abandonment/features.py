"""The training table: the prefix features of many sessions, what their callers had done before, and the labels.

Belongs here: labels, the caller's history, and which sessions may be learned from at all (maturity).
Does not belong here: what a feature is (``prefix``), encoding (``encoding``), reading tables (``certified``).

``prefix_table`` makes the table from turns and sessions in Python, as ``certified`` does in SQL from published days.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from voiceai_assets.models.abandonment.prefix import CATEGORICAL, NUMERIC, STATIC, Prefix, Turn

KEYS = ("session_date", "session_id", "k")
LABELS = ("label_hazard", "label_landmark")
FINAL_OUTCOMES = ("abandoned", "completed", "transferred")

_NUMBERS = ("asr_confidence", "intent_confidence", "total_ms")
_TURN_COLUMNS = (*KEYS[:2], "turn_number", "turn_at", "is_user_turn", "is_error_turn", *_NUMBERS, *STATIC)
_SESSION_COLUMNS = (*KEYS[:2], "user_id", "started_at", "ended_at", "final_outcome", "outcome_basis")


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
        ``KEYS``, ``user_id``, ``NUMERIC`` (floats, NaN where unknown), ``CATEGORICAL`` (text or null), ``LABELS`` (0 or
        1) and ``final_outcome``. ``label_hazard``: abandoned before user turn k+1. ``label_landmark``: the session ends
        abandoned.

    Raises:
        ValueError: for missing columns, or two sessions under one (session_date, session_id).
    """
    _require(turns, _TURN_COLUMNS, "turns")
    _require(sessions, _SESSION_COLUMNS, "sessions")
    ended = sessions.loc[sessions["final_outcome"].isin(FINAL_OUTCOMES), list(_SESSION_COLUMNS)]
    if ended.duplicated(["session_date", "session_id"]).any():
        raise ValueError("sessions: more than one row for a (session_date, session_id)")
    ended = ended.sort_values(["session_date", "session_id"], ignore_index=True)
    found = list(_prefixes(_in_order(turns, ended)))
    session = np.array([number for number, _ in found], dtype=np.int64)
    table = pd.DataFrame([features for _, features in found], columns=[*NUMERIC[:-2], *STATIC])
    for name in ("session_date", "session_id", "final_outcome"):
        table[name] = ended[name].take(session).to_numpy()
    history = _history(ended, timeout_minutes)
    for name in history.columns:
        table[name] = history[name].take(session).to_numpy()
    table = table.astype(dict.fromkeys(NUMERIC, float)) if len(table) else table
    return with_labels(table)[[*KEYS, "user_id", *NUMERIC[1:], *CATEGORICAL, *LABELS, "final_outcome"]]


def with_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Add ``LABELS``: from how the session ended and which of its rows is the last.

    Args:
        table: all rows of its sessions, with ``KEYS`` and ``final_outcome``.
    """
    last = table.groupby(["session_date", "session_id"])["k"].transform("max") if len(table) else table["k"]
    abandoned = table["final_outcome"] == "abandoned"
    return table.assign(
        label_hazard=(abandoned & (table["k"] == last)).astype(np.int8), label_landmark=abandoned.astype(np.int8)
    )


def mature(table: pd.DataFrame, observed_until: pd.Timestamp, hours: float) -> pd.DataFrame:
    """Rows of sessions that started so long before the end of what was observed that they have had time to end.

    By the start and not by the end: near the edge, only short sessions have ended, and a model that learned from those
    alone would think that sessions are short. What has not ended even so stays in progress and is left out of labels.

    Args:
        table: with ``started_at`` (UTC).
        observed_until: the last moment that anything is known of.
        hours: the watermark; longer than nearly all sessions take.
    """
    return table[table["started_at"] <= observed_until - pd.Timedelta(hours=hours)].reset_index(drop=True)


def _require(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ValueError(f"{name}: columns missing: {', '.join(missing)}")


def _in_order(turns: pd.DataFrame, ended: pd.DataFrame) -> pd.DataFrame:
    """Turns of ended sessions in the order of their dialogue; ``session`` is the position in ``ended``."""
    keys = ended[["session_date", "session_id"]].assign(session=np.arange(len(ended)))
    rows = turns[list(_TURN_COLUMNS)].merge(keys, on=["session_date", "session_id"], how="inner", validate="m:1")
    for column in ("is_user_turn", "is_error_turn"):
        rows[column] = rows[column].fillna(False).astype(bool)
    for column in _NUMBERS:
        rows[column] = pd.to_numeric(rows[column]).astype(float)
    rows["turn_at"] = pd.to_datetime(rows["turn_at"], utc=True).astype("datetime64[us, UTC]")
    # Values last: repeated turn numbers are possible (the contract calls them a finding), and the order of rows in the
    # query's answer must not decide the features.
    rows["is_reply"] = ~rows["is_user_turn"]
    order = ["session", "turn_number", "turn_at", "is_reply", *_NUMBERS, "is_error_turn"]
    return rows.sort_values(order, ignore_index=True)


def _prefixes(rows: pd.DataFrame) -> Iterator[tuple[int, dict[str, float | str | None]]]:
    """(session, features) of each user turn, once it has been answered."""
    columns = [_plain(rows[name]) for name in ("session", *(field.name for field in fields(Turn)))]
    current, waiting, prefix = -1, False, Prefix()
    for session, *values in zip(*columns, strict=True):
        turn = Turn(*values)
        if waiting and (session != current or turn.is_user_turn):
            yield current, prefix.features()
            waiting = False
        if session != current:
            current, prefix = session, Prefix()
        prefix.add(turn)
        waiting = waiting or turn.is_user_turn
    if waiting:
        yield current, prefix.features()


def _plain(column: pd.Series) -> list[Any]:
    return list(column.astype(object).where(column.notna(), None))


def _history(ended: pd.DataFrame, timeout_minutes: int) -> pd.DataFrame:
    """For each row of ``ended``: sessions of the same caller whose end was known before this one started.

    A declared end is known with the last turn; an inferred one only after the timeout. Unknown callers have no
    history (NaN); known ones without earlier sessions have 0 of them and an unknown share.
    """
    known = ended[ended["user_id"].notna()].astype({"user_id": str})
    started = pd.to_datetime(known["started_at"], utc=True).astype("datetime64[us, UTC]")
    waited = pd.to_timedelta(np.where(known["outcome_basis"] == "inferred", timeout_minutes, 0), unit="min")
    known_at = pd.to_datetime(known["ended_at"], utc=True).astype("datetime64[us, UTC]") + waited
    # not before the session's own start, whatever ended_at says: a session must never be its own history
    ends = pd.DataFrame(
        {
            "user_id": known["user_id"],
            "at": known_at.where(known_at > started, started),
            "is_end": 1.0,
            "is_abandoned": (known["final_outcome"] == "abandoned").astype(float),
        }
    )
    starts = pd.DataFrame({"user_id": known["user_id"], "at": started, "is_end": 0.0, "is_abandoned": 0.0})
    # a start comes before an end of the same moment: what ends as this one starts was not known before it
    events = pd.concat([starts.assign(row=known.index), ends]).sort_values(["user_id", "at", "is_end"], kind="stable")
    sums = events.groupby("user_id")[["is_end", "is_abandoned"]].cumsum()
    asked = events["is_end"] == 0
    of_row = sums[asked].set_index(events.loc[asked, "row"].astype(np.int64)).reindex(ended.index)
    count = of_row["is_end"]
    return pd.DataFrame(
        {"earlier_sessions": count, "earlier_abandoned_share": of_row["is_abandoned"] / count.where(count > 0)}
    )
