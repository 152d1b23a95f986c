"""Applications: the business records that a conversation was about.

Belongs here: what the source's business system says was submitted. Does not belong here: what the dialogue believed.
"""

from __future__ import annotations

from voiceai_assets.contracts.fields import EXTRA, Contract, Field, Kind

STATUSES = ("completed", "abandoned", "failed")

APPLICATIONS = Contract(
    dataset="applications",
    grain="one row per application for a service",
    fields=(
        Field("application_id", Kind.TEXT, "the application", required=True, identifier=True),
        Field("session_id", Kind.TEXT, "the conversation it is said to come from", identifier=True),
        Field("user_id", Kind.TEXT, "keyed pseudonym of the applicant; need not be the session's user", person=True),
        Field("service_code", Kind.TEXT, "the service applied for"),
        Field("channel", Kind.TEXT, "voice, web, ussd, ...; need not be the session's channel"),
        Field("status", Kind.TEXT, "what became of it", choices=STATUSES),
        Field("seconds_to_submit", Kind.NUMBER, "time from opening to submitting"),
        Field("submitted_at", Kind.INSTANT, "when it was submitted", required=True),
        Field("derived", Kind.TEXT_LIST, "fields that were inferred before they reached us"),
        EXTRA,
    ),
    identity=("application_id",),
    day_column="submitted_date",
    time_field="submitted_at",
)
