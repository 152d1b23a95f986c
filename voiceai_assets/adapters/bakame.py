"""Bakame: ``user_sessions.csv`` of a telephone learning service, rotated daily.

Belongs here: which column is which field. Does not belong here: bringing measurements and turns together.

A voice turn and its measurements are two rows of the file. They stay two rows, of two datasets: a record that were
merged into another one would be neither loaded nor quarantined nor a duplicate, and the account would not add up. The
dbt staging joins them by session, call and turn.
"""

from __future__ import annotations

from voiceai_assets.adapters.base import Adapter, Table
from voiceai_assets.contracts.turn_metrics import MEASURES, TURN_METRICS
from voiceai_assets.contracts.turns import TURNS

_FILES = "*user_sessions*"
_REQUIRED = ("timestamp", "phone_number", "session_id", "interaction_type")
_JSON = ("emotional_data", "gamification_data")
_COLUMNS = ("user_input", "ai_response", "session_duration", "call_id", "turn", "module_name")
_IS_METRICS = "coalesce(lower(trim(s.interaction_type)), '') = 'turn_metrics'"
_TURN = "nullif(trim(s.turn), '')"
_CALL = "nullif(trim(s.call_id), '')"
_KIND = "nullif(lower(trim(s.interaction_type)), '')"

#: The source's document also names TTS columns that its 20-column header does not have; they are read when they come.
_RENAMED = {"transcode_ms": "audio_transcode_ms", "barge_in": "barge_in_triggered"}
_MEASURED = {name: f"s.{_RENAMED.get(name, name)}" for name in MEASURES}


def _number_or_text(column: str) -> str:
    return f"coalesce(to_json(try_cast({column} AS DOUBLE)), to_json({column}))"


def _extra(**members: str) -> str:
    """Object of the members that have a value, or null; text that is no JSON after all stays as a JSON string."""
    pairs = ", ".join(f"'{name}', {value}" for name, value in members.items())
    return f"CAST(nullif(CAST(json_merge_patch('{{}}', json_object({pairs})) AS VARCHAR), '{{}}') AS JSON)"


_ABOUT = {
    "session_duration": _number_or_text("s.session_duration"),
    "emotional_data": "s.emotional_data",
    "gamification_data": "s.gamification_data",
}

_TURNS = Table(
    files=_FILES,
    contract=TURNS,
    mapping={
        "session_id": "s.session_id",
        # A session may hold several calls and text messages, each counting turns from 1, so the number alone would make
        # different rows look like one. Without a number the time tells the rows apart.
        "turn_id": f"concat_ws('/', coalesce({_CALL}, {_KIND}), coalesce({_TURN}, s.timestamp))",
        "turn_number": f"coalesce({_TURN}, CAST(line AS VARCHAR))",
        "timestamp": "s.timestamp",
        "speaker": "'exchange'",
        "user_id": "s.phone_number",
        "channel": _KIND,
        "module": "s.module_name",
        "user_text": "s.user_input",
        "agent_text": "s.ai_response",
        **_MEASURED,
        # {"sentiment": "positive"} is a word, and what number it means is not ours to say: it stays in extra
        "sentiment": "CASE WHEN json_type(s.emotional_data, '$.sentiment') IN ('DOUBLE', 'BIGINT', 'UBIGINT') "
        "THEN json_extract_string(s.emotional_data, '$.sentiment') END",
        "derived": f"""CASE WHEN {_TURN} IS NULL THEN '["turn_number"]' END""",
        "extra": _extra(call_id=_CALL, **_ABOUT),
    },
    required=_REQUIRED,
    json=_JSON,
    columns=_COLUMNS,
    where=f"NOT ({_IS_METRICS})",  # so an interaction type that nobody has heard of is a turn on a channel of that name
)

_TURN_METRICS = Table(
    files=_FILES,
    contract=TURN_METRICS,
    mapping={
        "session_id": "s.session_id",
        "call_id": "s.call_id",
        "turn_number": "s.turn",
        "timestamp": "s.timestamp",
        "user_id": "s.phone_number",
        "module": "s.module_name",
        **_MEASURED,
        "extra": _extra(user_input="s.user_input", ai_response="s.ai_response", **_ABOUT),
    },
    required=_REQUIRED,
    json=_JSON,
    columns=_COLUMNS,
    where=_IS_METRICS,
)

ADAPTER = Adapter(
    name="bakame",
    version="1",
    doc="Daily user_sessions files of the Bakame telephone service. Voice and text-message rows are turns (an exchange "
    "each), turn_metrics rows are measurements, joined to them later by session, call and turn. Phone numbers become "
    "pseudonyms. A turn without number gets its line in the file, and `derived` says so.",
    tables=(_TURNS, _TURN_METRICS),
)
