"""Deployments: which release of which model served where, and from when to when, as the releasing system says it.

Belongs here: declared releases. Does not belong here: which release a session saw (turns carry ``deployment_id``), the
policy versions of experiments (``experiments``).
"""

from __future__ import annotations

from voiceai_assets.contracts.fields import EXTRA, Contract, Field, Kind

DEPLOYMENTS = Contract(
    dataset="deployments",
    grain="one row per release of a model and export of the list",
    fields=(
        Field("deployment_id", Kind.TEXT, "the release", required=True, aliases=("id",), identifier=True),
        Field("model_version", Kind.TEXT, "version of the model that was released", identifier=True),
        Field("component", Kind.TEXT, "what was released: dialogue, asr, tts, ..."),
        Field("environment", Kind.TEXT, "where it serves: production, staging, ..."),
        Field("released_at", Kind.INSTANT, "when it began to serve", aliases=("deployed_at", "started_at")),
        Field("ended_at", Kind.INSTANT, "when it ceased to serve"),
        Field("description", Kind.TEXT, "what is new, and why", free_text=True),
        EXTRA,
    ),
    identity=("deployment_id",),
    day_column="snapshot_date",
    time_field=None,
)
