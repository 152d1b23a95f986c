"""Sessions as the source declares them, and the figures that a source computes about its own sessions.

Belongs here: what an emitter says about a session as a whole. Does not belong here: sessions worked out from turns
(the dbt models do that, and compare).
"""

from __future__ import annotations

from voiceai_assets.contracts.fields import EXTRA, Contract, Field, Kind
from voiceai_assets.contracts.turns import OUTCOMES, USER_TYPES

SESSIONS = Contract(
    dataset="sessions",
    grain="one row per session that a source declares",
    fields=(
        Field("session_id", Kind.TEXT, "the conversation", required=True, identifier=True),
        Field("user_id", Kind.TEXT, "keyed pseudonym of the caller", person=True),
        Field("user_type", Kind.TEXT, "whether the caller had used the service before", choices=USER_TYPES),
        Field("channel", Kind.TEXT, "voice, web, ussd, sms, chat, ...; null where the source does not say"),
        Field("language", Kind.TEXT, "language of the session"),
        Field("started_at", Kind.INSTANT, "declared start; its day is the session's day", required=True),
        Field("ended_at", Kind.INSTANT, "declared end"),
        Field("duration_seconds", Kind.NUMBER, "declared duration; it need not fit the turns"),
        Field("turn_count", Kind.INTEGER, "declared number of turns; it need not fit the turns"),
        Field("final_outcome", Kind.TEXT, "how the source says it ended", choices=OUTCOMES),
        Field("transfer_reason", Kind.TEXT, "why the caller was transferred"),
        Field("csat", Kind.NUMBER, "satisfaction, as the caller gave it"),
        Field("derived", Kind.TEXT_LIST, "fields that were inferred before they reached us"),
        EXTRA,
    ),
    identity=("session_id",),
    day_column="session_date",
    time_field="started_at",
)

SESSION_METRICS = Contract(
    dataset="session_metrics",
    grain="one row per session, with the aggregates that its source computed",
    fields=(
        Field("session_id", Kind.TEXT, "the conversation", required=True, identifier=True),
        Field("avg_asr_confidence", Kind.NUMBER, "mean recognition confidence, 0 to 1"),
        Field("avg_intent_confidence", Kind.NUMBER, "mean intent confidence, 0 to 1"),
        Field("misunderstanding_rate", Kind.NUMBER, "share of turns that were misunderstood, 0 to 1"),
        Field("silence_rate", Kind.NUMBER, "share of turns with silence, 0 to 1"),
        Field("recovery_success", Kind.BOOLEAN, "the conversation recovered from its errors"),
        Field("escalation", Kind.BOOLEAN, "the session was escalated, whatever its outcome says"),
        EXTRA,
    ),
    identity=("session_id",),
    day_column="session_date",
    time_field=None,
)
