"""``user_sessions`` of the telephone learning service: a row for what was said, another for what was measured.

Belongs here: its twenty columns. Does not belong here: bringing the two rows together again (the platform does that).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from voiceai_assets.synthetic.columns import (
    Coded,
    Json,
    Number,
    Spelled,
    Table,
    Whole,
    digits,
    glued,
    hexadecimal,
    instants,
    session_ids,
)
from voiceai_assets.synthetic.config import MODULES
from voiceai_assets.synthetic.dialogue import TECHNICAL
from voiceai_assets.synthetic.files import endings
from voiceai_assets.synthetic.sources.base import Piece, Source, nothing, seconds, words
from voiceai_assets.synthetic.sources.canonical import FAILURE
from voiceai_assets.synthetic.streams import Ints
from voiceai_assets.synthetic.world import Block, World

KINDS = ("voice", "sms", "web", "turn_metrics")  # in the order of the world's channels, then the measurement
_MOODS = ('{"sentiment": 0.4}', '{"sentiment": -0.5}')
_NETWORKS = np.frombuffer(b"8923", dtype=np.uint8)  # 078, 079, 072, 073


def pieces(world: World, block: Block) -> Iterator[Piece]:
    """Each turn on the telephone gives two rows, others one."""
    spoken = block.turns.asr_ms >= 0
    rows = np.concatenate([np.arange(len(spoken)), np.flatnonzero(spoken)])
    is_measurement = np.arange(len(rows)) >= len(spoken)
    # what was measured is written when the turn is over
    moment = block.turns.at_ms[rows] + np.where(is_measurement, block.turns.total_ms[rows], 0)
    yield Piece("user_sessions", _rows(world, block, rows, is_measurement, moment), moment)


def phone_numbers(users: Ints) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Numbers of the callers, all different up to forty million."""
    network = _NETWORKS[(users // 10_000_000) % len(_NETWORKS)]
    return glued("+2507", network[:, None], digits(users % 10_000_000, 7))


def _rows(
    world: World, block: Block, rows: Ints, is_measurement: np.ndarray[tuple[int], np.dtype[np.bool_]], moment: Ints
) -> Table:
    t, s, said = block.turns, block.sessions, words(world.config, block)
    of = t.session[rows]
    only_said, only_measured = ~is_measurement, is_measurement
    called = s.channel[of] == 0
    duration = seconds(s.end_ms - s.start_ms)[of]
    mood = pa.array(_MOODS).take(pa.array(np.where(only_said, t.error[rows] > 0, -1), mask=is_measurement))
    return {
        "timestamp": Spelled(instants(block.day.date, moment)),
        "phone_number": Spelled(phone_numbers(s.user)[of]),
        "session_id": Spelled(session_ids(s.id)[of]),
        "module_name": Coded(MODULES, s.module[of]),
        "interaction_type": Coded(KINDS, np.where(only_measured, KINDS.index("turn_metrics"), s.channel[of])),
        "user_input": Coded(said.user_texts, np.where(only_said, said.user[rows], -1)),
        "ai_response": Coded(said.agent_texts, np.where(only_said, said.agent[rows], -1)),
        "session_duration": Whole(np.where(only_said, duration, -1)),
        "emotional_data": Json(mood),
        "gamification_data": Json(pa.nulls(len(rows), pa.string())),
        "call_id": Coded(_calls(block), np.where(called, of, -1)),
        "turn": Whole(t.k[rows]),
        "asr_ms": Whole(np.where(only_measured, t.asr_ms[rows], -1)),
        "llm_ms": Whole(np.where(only_measured, t.llm_ms[rows], -1)),
        "tts_ms": Whole(np.where(only_measured, t.tts_ms[rows], -1)),
        "total_ms": Whole(np.where(only_measured, t.total_ms[rows], -1)),
        "tokens_in": Whole(np.where(only_measured, t.tokens_in[rows], -1)),
        "tokens_out": Whole(np.where(only_measured, t.tokens_out[rows], -1)),
        "asr_confidence": Number(np.where(only_measured, t.asr[rows], np.nan)),
        "error": Coded((FAILURE,), np.where(only_measured & (t.error[rows] == TECHNICAL), 0, -1)),
    }


def _calls(block: Block) -> list[str]:
    text = hexadecimal(block.sessions.id).tobytes().decode()
    return [f"CA{text[at : at + 16]}" for at in range(0, len(text), 16)]


SOURCE = Source("bakame", pieces, nothing, ("csv", *(ending for ending in endings() if ending != "csv")))
