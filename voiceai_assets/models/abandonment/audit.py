"""Does a feature know what came later? Everything after turn k is changed, and the rows until k must stay the same.

Belongs here: the audit of a table, and of any function that makes one. Does not belong here: what features there are.

An alarm on the AUC finds only leaks that give nearly everything away. Whole-session averages lift the AUC at turn 1
from .72 to .84 and stay below any sensible alarm; this finds them, the last-turn flag, and what is filled in later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from voiceai_assets.models.abandonment.features import FINAL_OUTCOMES, KEYS, LABELS, prefix_table
from voiceai_assets.models.abandonment.prefix import CATEGORICAL, NUMERIC
from voiceai_assets.models.abandonment.training import text_of

MakeTable = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]

SAME = 1e-9  # between SQL and Python
AUDITED_TURNS = (1, 3)

_NUMBERS = ("asr_confidence", "intent_confidence", "total_ms")
_TEXTS = ("user_type", "language", "channel", "region", "module")
_FLIPPED = {"abandoned": "completed", "completed": "abandoned", "transferred": "abandoned"}


def leaks(table: pd.DataFrame, turns: pd.DataFrame, sessions: pd.DataFrame, timeout_minutes: int = 30) -> list[str]:
    """Features of a training table that are not what the turns until then give.

    Two steps. The table must be what ``prefix_table`` makes of these turns, so nothing else can have got into it; and
    what that makes must not change with what comes later.

    Args:
        table: rows to learn from; those of sessions in ``turns`` are looked at.
        turns: all turns of some sessions, as of ``certified.fact_voice_ai_turns``.
        sessions: all sessions of their callers.
        timeout_minutes: silence after which an inferred end was known.

    Returns:
        Names of features, and ``k`` where rows are missing or too many.
    """
    own = sessions[sessions["session_id"].isin(turns["session_id"])]

    def make(turns: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
        made = prefix_table(turns, sessions, timeout_minutes=timeout_minutes)
        return made.drop(columns=[*LABELS, "final_outcome"])

    # sessions whose turn numbers repeat have no order but that of their values, which the audit changes
    is_repeated = turns.duplicated(["session_id", "turn_number"], keep=False)
    clear = turns[~turns["session_id"].isin(turns["session_id"][is_repeated])]
    own = own[own["session_id"].isin(clear["session_id"])]
    if own.empty:
        return ["k"]  # nothing could be looked at, which is not the same as nothing found
    knowing = {name for k in AUDITED_TURNS for name in features_that_know_more(make, clear, own, k)}
    asked = table[table["session_id"].isin(turns["session_id"]) & table["final_outcome"].isin(FINAL_OUTCOMES)]
    return sorted(knowing | _not_the_same(asked, make(turns, sessions)))


def _not_the_same(table: pd.DataFrame, made: pd.DataFrame) -> set[str]:
    """Columns of two tables that differ; only sessions of the first are compared."""
    keys = [*KEYS]
    ours, theirs = (t.assign(session_date=t["session_date"].astype(str)) for t in (table, made))
    theirs = theirs[theirs["session_id"].isin(ours["session_id"])]
    ours, theirs = (t.sort_values(keys, ignore_index=True) for t in (ours, theirs))
    if len(ours) != len(theirs) or not ours[keys].astype(str).equals(theirs[keys].astype(str)):
        return {"k"}
    numbers = {
        name
        for name in NUMERIC
        if not np.allclose(ours[name].astype(float), theirs[name].astype(float), rtol=0, atol=SAME, equal_nan=True)
    }
    return numbers | {name for name in CATEGORICAL if text_of(ours[name]).tolist() != text_of(theirs[name]).tolist()}


def features_that_know_more(make: MakeTable, turns: pd.DataFrame, sessions: pd.DataFrame, k: int) -> list[str]:
    """Names of the columns whose values at turns 1 to ``k`` change with what comes after turn ``k``.

    Only each caller's last session is changed, since the outcome of an earlier one is rightly known to the later ones.

    Args:
        make: turns and sessions in, a table with ``session_id`` and ``k`` out; labels are to be left out of it.
        turns: with ``session_id``, ``turn_number``, ``is_user_turn`` and whatever ``make`` reads.
        sessions: one row per session.
        k: the user turn.
    """
    last = sessions.sort_values("started_at").drop_duplicates("user_id", keep="last")["session_id"]
    before = _rows(make(turns, sessions), last, k)
    after = _rows(make(_changed(turns, last, k), _ended_otherwise(sessions, last)), last, k)
    return [name for name in before.columns if _plain(before[name]) != _plain(after[name])]


def _plain(column: pd.Series) -> list[Any]:
    """Values whatever the type of the column, which hangs on rows that are not compared; None where unknown."""
    return list(column.astype(object).where(column.notna(), None))


def _rows(table: pd.DataFrame, last: pd.Series, k: int) -> pd.DataFrame:
    kept = table[table["session_id"].isin(last) & (table["k"] <= k)]
    return kept.sort_values(["session_id", "k"], ignore_index=True)


def _changed(turns: pd.DataFrame, last: pd.Series, k: int) -> pd.DataFrame:
    """Other values in every later turn, and one turn more at the end of every session that got to turn k."""
    rng = np.random.default_rng(k)
    changed = turns.sort_values(["session_id", "turn_number"], ignore_index=True)
    # by user turns: a platform that writes both sides of an exchange has two rows for each
    so_far = changed["is_user_turn"].fillna(False).astype(bool).groupby(changed["session_id"]).cumsum()
    later = (changed["session_id"].isin(last) & (so_far > k)).to_numpy()
    # as objects: a column of which nothing is known, or of whole numbers, takes no other values
    changed = changed.astype(dict.fromkeys((*_NUMBERS, "is_error_turn", *_TEXTS), object))
    for name in ("asr_confidence", "intent_confidence"):
        changed.loc[later, name] = rng.uniform(size=later.sum())
    changed.loc[later, "total_ms"] = rng.integers(1, 9000, size=later.sum()).astype(float)
    changed.loc[later, "is_error_turn"] = ~changed.loc[later, "is_error_turn"].astype(bool)
    for name in _TEXTS:
        changed.loc[later, name] = "changed"
    is_end = changed["session_id"].isin(last) & ~changed["session_id"].duplicated(keep="last") & (so_far >= k)
    ends = changed[is_end]
    one_more = ends.assign(turn_number=ends["turn_number"] + 1, asr_confidence=0.5, is_user_turn=True)
    return pd.concat([changed, one_more])


def _ended_otherwise(sessions: pd.DataFrame, last: pd.Series) -> pd.DataFrame:
    own = sessions["session_id"].isin(last)
    outcome = sessions["final_outcome"].where(~own, sessions["final_outcome"].map(_FLIPPED))
    ended = sessions["ended_at"].where(~own, sessions["ended_at"] + pd.Timedelta(minutes=7))
    return sessions.assign(final_outcome=outcome, ended_at=ended)
