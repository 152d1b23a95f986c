"""Does a feature know what came later? Everything after turn k is changed, and the rows until k must stay the same.

Belongs here: the audit of any function that makes a table. Does not belong here: what features there are.

An alarm on the AUC finds only leaks that give nearly everything away. Whole-session averages lift the AUC at turn 1
from .72 to .84 and stay below any sensible alarm; this finds them, the last-turn flag, and what is filled in later.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

MakeTable = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]

_FLIPPED = {"abandoned": "completed", "completed": "abandoned", "transferred": "abandoned"}


def features_that_know_more(make: MakeTable, turns: pd.DataFrame, sessions: pd.DataFrame, k: int) -> list[str]:
    """Names of the columns whose values at turns 1 to ``k`` change with what comes after turn ``k``.

    Only each caller's last session is changed, since the outcome of an earlier one is rightly known to the later ones.

    Args:
        make: turns and sessions in, a table with ``session_id`` and ``k`` out; labels are to be left out of it.
        turns: with ``session_id``, ``turn_number`` and whatever ``make`` reads.
        sessions: one row per session.
        k: the turn.
    """
    last = sessions.sort_values("started_at").drop_duplicates("user_id", keep="last")["session_id"]
    before = _rows(make(turns, sessions), last, k)
    after = _rows(make(_changed(turns, last, k), _ended_otherwise(sessions, last)), last, k)
    return [name for name in before.columns if not before[name].equals(after[name])]


def _rows(table: pd.DataFrame, last: pd.Series, k: int) -> pd.DataFrame:
    kept = table[table["session_id"].isin(last) & (table["k"] <= k)]
    return kept.sort_values(["session_id", "k"], ignore_index=True)


def _changed(turns: pd.DataFrame, last: pd.Series, k: int) -> pd.DataFrame:
    """Other values in every later turn, and one turn more at the end of every session that got to turn k."""
    rng = np.random.default_rng(k)
    later = (turns["session_id"].isin(last) & (turns["turn_number"] > k)).to_numpy()
    changed = turns.copy()
    for name in ("asr_confidence", "intent_confidence"):
        changed.loc[later, name] = rng.uniform(size=later.sum())
    changed.loc[later, "total_ms"] = rng.integers(1, 9000, size=later.sum()).astype(float)
    changed.loc[later, "is_error_turn"] = ~changed.loc[later, "is_error_turn"].astype(bool)
    for name in ("user_type", "language", "channel", "region", "module"):
        changed.loc[later, name] = "changed"
    own = changed[changed["session_id"].isin(last)].sort_values("turn_number")
    ends = own.drop_duplicates("session_id", keep="last")
    ends = ends[ends["turn_number"] >= k]
    return pd.concat([changed, ends.assign(turn_number=ends["turn_number"] + 1, asr_confidence=0.5)])


def _ended_otherwise(sessions: pd.DataFrame, last: pd.Series) -> pd.DataFrame:
    own = sessions["session_id"].isin(last)
    outcome = sessions["final_outcome"].where(~own, sessions["final_outcome"].map(_FLIPPED))
    ended = sessions["ended_at"].where(~own, sessions["ended_at"] + pd.Timedelta(minutes=7))
    return sessions.assign(final_outcome=outcome, ended_at=ended)
