"""Irembo: five related CSV tables of a government-services voice assistant.

Belongs here: which column is which field. Does not belong here: the contradictions between the files. They are loaded
as they stand, and the checks publish how many there are.
"""

from __future__ import annotations

from voiceai_assets.adapters.base import Adapter, DayOf, Table
from voiceai_assets.contracts.applications import APPLICATIONS
from voiceai_assets.contracts.sessions import SESSION_METRICS, SESSIONS
from voiceai_assets.contracts.turns import TURNS
from voiceai_assets.contracts.users import USERS

_BARE_DATE = r"^\s*\d{4}-\d{2}-\d{2}\s*$"

#: The dates of turns and sessions were drawn apart from one another (2025-01-01 to 2025-04-30 each), so the session's
#: date decides: else the turns of one session would lie on many days and no day would hold a whole session.
_SESSION_FILES = "*voice_sessions*"
_DAY_OF_SESSION = DayOf(files=_SESSION_FILES, key="session_id", date="created_at", by="trim(s.session_id)")


def _instant(column: str) -> str:
    """RFC 3339 from a bare date; anything else stays as it is, to be accepted or refused by name."""
    return f"CASE WHEN regexp_matches({column}, '{_BARE_DATE}') THEN trim({column}) || 'T00:00:00' ELSE {column} END"


def _derived(column: str, field: str) -> str:
    """Says that the time of day is not the source's."""
    return f"""CASE WHEN regexp_matches({column}, '{_BARE_DATE}') THEN '["{field}"]' END"""


def _boolean(column: str) -> str:
    return f"CASE lower(trim({column})) WHEN 'yes' THEN 'true' WHEN 'no' THEN 'false' ELSE {column} END"


def _ms(column: str) -> str:
    """Milliseconds from seconds; what is no number stays as it is, so that it is named among the invalid fields."""
    return f"coalesce(CAST(try_cast({column} AS DECIMAL(18, 3)) * 1000 AS VARCHAR), {column})"


_TURNS = Table(
    files="*voice_turns*",
    contract=TURNS,
    mapping={
        "session_id": "s.session_id",
        "turn_id": "s.turn_id",
        "turn_number": "s.turn_number",
        "timestamp": _instant("s.created_at"),
        "speaker": "CASE lower(trim(s.speaker)) WHEN 'system' THEN 'agent' ELSE lower(s.speaker) END",
        "intent": "s.detected_intent",
        "intent_confidence": "s.intent_confidence",
        "asr_confidence": "s.asr_confidence",
        "error_type": "s.error_type",
        "turn_duration_ms": _ms("s.turn_duration_sec"),
        "derived": _derived("s.created_at", "timestamp"),
        # voice_ai_metrics averages over system rows too, where the contract makes the confidence null: kept here, so
        # that the source's figures can be recomputed (1,196 of 1,196 sessions with it, 103 without).
        "extra": "CASE WHEN lower(trim(s.speaker)) = 'system' AND s.asr_confidence IS NOT NULL THEN json_object("
        "'asr_confidence', coalesce(to_json(try_cast(s.asr_confidence AS DOUBLE)), to_json(s.asr_confidence))) END",
    },
    required=("turn_id", "session_id", "turn_number", "speaker", "created_at"),
    day_of=_DAY_OF_SESSION,
)

_SESSIONS = Table(
    files=_SESSION_FILES,
    contract=SESSIONS,
    mapping={
        "session_id": "s.session_id",
        "user_id": "s.user_id",
        "channel": "s.channel",
        "language": "s.language",
        "started_at": _instant("s.created_at"),
        "duration_seconds": "s.total_duration_sec",
        "turn_count": "s.total_turns",
        "final_outcome": "lower(s.final_outcome)",
        "transfer_reason": "s.transfer_reason",
        "derived": _derived("s.created_at", "started_at"),
    },
    required=("session_id", "user_id", "final_outcome", "created_at"),
)

_SESSION_METRICS = Table(
    files="*voice_ai_metrics*",
    contract=SESSION_METRICS,
    mapping={
        "session_id": "s.session_id",
        "avg_asr_confidence": "s.avg_asr_confidence",
        "avg_intent_confidence": "s.avg_intent_confidence",
        "misunderstanding_rate": "s.misunderstanding_rate",
        "silence_rate": "s.silence_rate",
        "recovery_success": _boolean("s.recovery_success"),
        "escalation": _boolean("s.escalation_flag"),
    },
    required=("session_id",),
    day_of=_DAY_OF_SESSION,
)

_APPLICATIONS = Table(
    files="*applications*",
    contract=APPLICATIONS,
    mapping={
        "application_id": "s.application_id",
        "session_id": "s.session_id",
        "user_id": "s.user_id",
        "service_code": "s.service_code",
        "channel": "s.channel",
        "status": "lower(s.status)",
        "seconds_to_submit": "s.time_to_submit_sec",
        "submitted_at": _instant("s.submitted_at"),
        "derived": _derived("s.submitted_at", "submitted_at"),
    },
    required=("application_id", "session_id", "user_id", "status", "submitted_at"),
)

_USERS = Table(
    files="*users*",
    contract=USERS,
    mapping={
        "user_id": "s.user_id",
        "region": "s.region",
        "disability": "s.disability_flag",  # yes or no: the source does not say which
        "is_first_time_digital_user": _boolean("s.first_time_digital_user"),
    },
    required=("user_id",),
)

ADAPTER = Adapter(
    name="irembo",
    version="2",
    doc="Exports of the Irembo voice assistant: turns, sessions, metrics, applications, users. A turn is filed under "
    "the day of its session, so voice_sessions must lie in the same folder; the user list has no date and is filed "
    "under the first day of the files beside it. Dates carry no time: midnight stands for it, and `derived` says so.",
    # users last: its pattern would fit a folder of that name too
    tables=(_TURNS, _SESSIONS, _SESSION_METRICS, _APPLICATIONS, _USERS),
)
