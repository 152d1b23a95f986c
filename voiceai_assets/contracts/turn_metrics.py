"""Measurements of a turn that a source writes apart from the turn itself.

Belongs here: times, tokens and errors of one turn, with the keys that lead to it. Does not belong here: what was said.
"""

from __future__ import annotations

from voiceai_assets.contracts.fields import EXTRA, Contract, Field, Kind
from voiceai_assets.contracts.turns import TURNS, turn_number

#: Measurements mean the same on a turn and apart from it, so the definitions are the turn's own.
MEASURES = (
    "asr_ms",
    "llm_ms",
    "tts_ms",
    "total_ms",
    "transcode_ms",
    "tokens_in",
    "tokens_out",
    "asr_confidence",
    "tts_provider",
    "tts_voice",
    "tts_rate",
    "tts_pitch",
    "tts_style",
    "audio_encoding",
    "tts_fallback_count",
    "sentence_chunks",
    "chunk_pause_ms",
    "barge_in",
    "error",
)

TURN_METRICS = Contract(
    dataset="turn_metrics",
    grain="one row per measured turn of a call",
    fields=(
        Field("session_id", Kind.TEXT, "the conversation", required=True, identifier=True),
        Field("call_id", Kind.TEXT, "the telephone call within it", identifier=True),
        turn_number("the turn within the call, from 1"),
        Field("timestamp", Kind.INSTANT, "when it was measured", required=True),
        Field("user_id", Kind.TEXT, "keyed pseudonym of the caller", person=True),
        Field("module", Kind.TEXT, "what wrote the measurement, or part of the dialogue"),
        *(TURNS.of(name) for name in MEASURES),
        EXTRA,
    ),
    identity=("session_id", "call_id", "turn_number"),
    day_column="turn_date",
    time_field="timestamp",
)
