"""Calls: one document per telephone call, with its transcript in one piece.

Belongs here: the call as a whole, and a sale where the source declares one. Does not belong here: the call's turns
(``turns``), and sales or sentiment read out of the text (``transcripts`` does that).
"""

from __future__ import annotations

from voiceai_assets.contracts.fields import EXTRA, Contract, Field, Kind

CALLS = Contract(
    dataset="calls",
    grain="one row per call document",
    fields=(
        Field("call_id", Kind.TEXT, "the call", required=True, identifier=True),
        Field("session_id", Kind.TEXT, "the conversation, where it is not the call itself", identifier=True),
        Field(
            "user_id",
            Kind.TEXT,
            "keyed pseudonym of the customer",
            aliases=("customer_number", "phone_number"),
            person=True,
        ),
        Field("agent_name", Kind.TEXT, "assistant or human agent"),
        Field("timestamp", Kind.INSTANT, "when the call began", required=True),
        Field("duration_seconds", Kind.NUMBER, "declared duration"),
        Field("language", Kind.TEXT, "language of the call"),
        Field("transcript_text", Kind.TEXT, "the whole transcript, redacted", free_text=True),
        Field("is_converted", Kind.BOOLEAN, "the business system booked a sale; wins over the text"),
        Field("upsell_amount", Kind.MONEY, "accepted upsell that the business system booked; wins over the text"),
        Field("currency", Kind.TEXT, "currency of the amount, ISO 4217"),
        EXTRA,
    ),
    identity=("call_id",),
    day_column="call_date",
    time_field="timestamp",
)
