"""Blocks of the world as data frames with the columns of the certified facts, as the dbt models would give them.

Belongs here: names instead of indices, times instead of milliseconds. Does not belong here: files (``files``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voiceai_assets.synthetic.config import (
    CHANNELS,
    ERRORS,
    LANGUAGES,
    MODULES,
    OUTCOMES,
    REGIONS,
    WorldConfig,
)
from voiceai_assets.synthetic.dialogue import IN_PROGRESS, NOT_MEASURED, TECHNICAL, Turns
from voiceai_assets.synthetic.oracle import known, landmark
from voiceai_assets.synthetic.streams import Floats, Ints, Words
from voiceai_assets.synthetic.world import Block, Sessions

_LATENCIES = ("asr_ms", "llm_ms", "tts_ms", "total_ms")
_OF_SESSION = ("session_date", "session_id", "user_id", "user_type", "channel", "region", "language", "module")


def facts(
    config: WorldConfig, blocks: Sequence[Block], landmark_draws: int = 0, landmark_from: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(turns, sessions) of the blocks; see ``world``.

    Raises:
        ValueError: when there is no block.
    """
    if not blocks:
        raise ValueError("no day asked for, so there is nothing to show")
    counts = [len(block.sessions.id) for block in blocks]
    shift = np.concatenate([[0], np.cumsum(counts)])
    sessions = Sessions(
        **{p.name: np.concatenate([getattr(b.sessions, p.name) for b in blocks], -1) for p in fields(Sessions)}
    )
    turns = Turns.of(
        [replace(b.turns, session=b.turns.session + first) for b, first in zip(blocks, shift[:-1], strict=True)]
    )
    number = np.repeat([block.day.number for block in blocks], counts)
    frame = session_frame(config, sessions, number)
    of_turns = turn_frame(turns, frame)
    if not landmark_draws:
        return of_turns, frame
    return with_oracles(config, blocks, of_turns, frame, landmark_draws, landmark_from), frame


def with_oracles(
    config: WorldConfig, blocks: Sequence[Block], turns: pd.DataFrame, sessions: pd.DataFrame, draws: int, first: int
) -> pd.DataFrame:
    """The turns with what could be known at best (``oracle``): of the end for whoever knows all, of both for others.

    Args:
        config: the world; with day shocks nothing is said of those who do not know all.
        blocks: of the turns, in their order.
        turns: of ``turn_frame``.
        sessions: of ``session_frame``.
        draws: futures of each turn.
        first: number of the first day whose ends are simulated; NaN before.
    """

    def ends(at: int, *known_of_turn: Floats | None) -> Floats:
        if blocks[at].day.number < first:
            return np.full(len(blocks[at].turns.session), np.nan)
        hazard, frailties = known_of_turn or (None, None)
        return landmark(config, blocks[at], draws, hazard=hazard, frailties=frailties)

    turns = turns.assign(true_landmark=np.concatenate([ends(at) for at in range(len(blocks))]))
    if config.hazard.day_shock:
        return turns
    if not config.hazard.frailty:
        return turns.assign(true_hazard_known=turns["true_hazard"], true_landmark_known=turns["true_landmark"])
    best = known(config.hazard, turns, sessions)
    bounds = np.cumsum([0, *(len(block.turns.session) for block in blocks)])
    rng, seen = np.random.default_rng(config.seed), []
    for at, (start, end) in enumerate(pairwise(bounds)):
        part = best.of(slice(start, end))
        seen.append(ends(at, part.hazard, part.frailties(draws, rng)))
    return turns.assign(true_hazard_known=best.hazard, true_landmark_known=np.concatenate(seen))


def session_frame(config: WorldConfig, sessions: Sessions, day: Ints) -> pd.DataFrame:
    """Columns of ``certified.fact_voice_ai_sessions`` that a model reads, and truth.

    Args:
        config: the world.
        sessions: of any days.
        day: number of each session's day.
    """
    s = sessions
    release = np.searchsorted([r.day for r in config.releases], day, side="right") - 1
    is_known = s.is_declared | (s.outcome == IN_PROGRESS)
    frame = {
        "session_date": _named([config.day(n) for n in range(config.days)], day),
        "session_id": session_names(s.id),
        "user_id": user_names(s.user),
        "user_type": _named(("returning", "first_time"), s.is_first.astype(np.int8)),
        "channel": _named(CHANNELS, s.channel),
        "region": _named(REGIONS, (~s.is_rural).astype(np.int8)),
        "language": _named(LANGUAGES, s.language),
        "module": _named(MODULES, s.module),
        "started_at": _instants(config, day, s.start_ms),
        "ended_at": _instants(config, day, s.end_ms),
        "turn_count": s.turn_count.astype(np.int64),
        "final_outcome": _named(OUTCOMES, s.outcome),
        "outcome_basis": _named(("inferred", "declared"), is_known.astype(np.int8)),
        "model_version": _named([r.version for r in config.releases], release),
        "is_callback": s.is_callback,
        "true_outcome": _named(OUTCOMES, s.true_outcome),
        "true_frailty": s.frailty,
    }
    for experiment, row in zip(config.experiments, s.variants, strict=True):
        frame[f"variant_{experiment.name}"] = _named((*(v.name for v in experiment.variants), None), row)
    return pd.DataFrame(frame)


def turn_frame(turns: Turns, sessions: pd.DataFrame) -> pd.DataFrame:
    """Columns of ``certified.fact_voice_ai_turns`` that a model reads, and truth."""
    t = turns
    midnight = pd.to_datetime(sessions["session_date"], utc=True).take(t.session).reset_index(drop=True)
    return pd.DataFrame(
        {
            **{name: sessions[name].take(t.session).array for name in (*_OF_SESSION, "model_version")},
            "turn_number": t.k.astype(np.int64),
            "turn_at": midnight + pd.to_timedelta(t.at_ms, unit="ms"),
            "speaker": "exchange",
            "is_user_turn": True,
            "intent_confidence": t.intent,
            "asr_confidence": t.asr,
            "error_type": _named(ERRORS, t.error),
            "is_error_turn": (t.error > 0) & (t.error != TECHNICAL),
            **{name: _measured(getattr(t, name)) for name in _LATENCIES},
            "true_hazard": t.hazard,
            "true_hazard_seen": t.hazard_seen,
            "true_transfer": t.transfer,
            "true_complete": t.complete,
        }
    )


def _measured(values: NDArray[np.int32]) -> Floats:
    return np.where(values == NOT_MEASURED, np.nan, values)


def _instants(config: WorldConfig, day: Ints, milliseconds: Ints) -> pd.DatetimeIndex:
    return pd.Timestamp(config.first_day, tz="UTC") + pd.to_timedelta(day * 86_400_000 + milliseconds, unit="ms")


def _named(names: Sequence[object], index: NDArray[np.int8] | Ints) -> NDArray[np.object_]:
    choices = np.empty(len(names), dtype=object)
    choices[:] = names
    found: NDArray[np.object_] = choices[index]
    return found


def session_names(ids: Words) -> list[str]:
    """Names of sessions; nothing in them leads to a caller."""
    text = ids.astype(">u8").tobytes().hex()
    return [f"s{text[at : at + 16]}" for at in range(0, len(text), 16)]


def user_names(users: Ints) -> list[str]:
    """Names of callers."""
    return [f"caller-{number:08d}" for number in users.tolist()]
