"""Experiments: what was tried, who got which variant, what happened, and the source's own aggregates.

Belongs here: the experiment platform's tables. Does not belong here: statistics (``stats``) and views (dbt).

Fields of kind JSON hold an object. A list of experiments is therefore stored as ``{"items": [...]}``.
"""

from __future__ import annotations

from voiceai_assets.contracts.fields import EXTRA, Contract, Field, Kind

CONVERSATION_EVENTS = ("conversation_started", "message_sent", "flow_completed", "user_dropped_off")
BUCKETS = ("hourly", "daily")


def _experiment(*, required: bool = True) -> Field:
    return Field("experiment_id", Kind.TEXT, "the experiment", required=required, identifier=True)


EXPERIMENTS = Contract(
    dataset="experiments",
    grain="one row per experiment and export of the list",
    fields=(
        Field("experiment_id", Kind.TEXT, "the experiment", required=True, aliases=("id",), identifier=True),
        Field("name", Kind.TEXT, "its name"),
        Field("description", Kind.TEXT, "what is tried, and why", free_text=True),
        Field("status", Kind.TEXT, "draft, active, paused, completed, ..."),
        Field("unit_type", Kind.TEXT, "what is assigned: user, session, ..."),
        Field("primary_metric", Kind.TEXT, "metric that decides it"),
        Field("started_at", Kind.INSTANT, "start of assignment", aliases=("start_at", "start_date")),
        Field("ended_at", Kind.INSTANT, "end of assignment", aliases=("end_at", "end_date")),
        Field("config", Kind.JSON, "settings", free_text=True),
        EXTRA,
    ),
    identity=("experiment_id",),
    day_column="snapshot_date",
    time_field=None,
)

VARIANTS = Contract(
    dataset="variants",
    grain="one row per variant of an experiment and export of the list",
    fields=(
        Field("variant_id", Kind.TEXT, "the variant", required=True, aliases=("id",), identifier=True),
        _experiment(),
        Field("name", Kind.TEXT, "its name"),
        Field("is_control", Kind.BOOLEAN, "the others are compared with it"),
        Field("allocation", Kind.NUMBER, "intended share of the traffic, 0 to 1"),
        Field("policy_version_id", Kind.TEXT, "policy version that serves it", identifier=True),
        Field("config", Kind.JSON, "settings", free_text=True),
        EXTRA,
    ),
    identity=("experiment_id", "variant_id"),
    day_column="snapshot_date",
    time_field=None,
)

ASSIGNMENTS = Contract(
    dataset="assignments",
    grain="one row per assignment of a unit to a variant",
    fields=(
        Field("assignment_id", Kind.TEXT, "the assignment, where it has an id", aliases=("id",), identifier=True),
        _experiment(),
        Field("variant_id", Kind.TEXT, "the variant", required=True, identifier=True),
        Field("unit_id", Kind.TEXT, "keyed pseudonym of the unit", required=True, person=True),
        Field("assigned_at", Kind.INSTANT, "when it was assigned", required=True, aliases=("timestamp", "created_at")),
        EXTRA,
    ),
    # not by variant: a unit that is assigned twice, to two variants, at two times, is two rows and a finding
    identity=("assignment_id|experiment_id", "assignment_id|unit_id", "assignment_id|assigned_at"),
    day_column="assigned_date",
    time_field="assigned_at",
)

EXPERIMENT_EVENTS = Contract(
    dataset="experiment_events",
    grain="one row per event of a conversation or an experiment",
    fields=(
        Field("id", Kind.TEXT, "the event, where it has an id", aliases=("event_id",), identifier=True),
        Field("event_type", Kind.TEXT, f"{', '.join(CONVERSATION_EVENTS)}, or another", required=True),
        Field("unit_id", Kind.TEXT, "keyed pseudonym of the unit that the event happened to", person=True),
        Field("timestamp", Kind.INSTANT, "when it happened", required=True),
        Field("context", Kind.JSON, "where: session_id, flow_id, flow_version, current_state, ...", free_text=True),
        Field("metrics", Kind.JSON, "turn_number, total_turns, latency_ms, token_count, ...", free_text=True),
        Field("payload", Kind.JSON, "the rest: progress, drop_off_reason, ...", free_text=True),
        Field("experiments", Kind.JSON, "items: experiment_id and variant_id of each experiment", free_text=True),
        EXTRA,
    ),
    identity=("id|event_type", "id|unit_id", "id|timestamp"),
    day_column="event_date",
    time_field="timestamp",
)

METRIC_AGGREGATES = Contract(
    dataset="metric_aggregates",
    grain="one row per metric, variant and span of time, as the source computed it",
    fields=(
        _experiment(required=False),
        Field("variant_id", Kind.TEXT, "the variant", identifier=True),
        Field("metric_name", Kind.TEXT, "the metric", required=True),
        Field("bucket_type", Kind.TEXT, "length of the span", choices=BUCKETS),
        Field("bucket_start", Kind.INSTANT, "start of the span", required=True),
        Field("bucket_end", Kind.INSTANT, "end of the span"),
        Field("count", Kind.INTEGER, "observations"),
        Field("mean", Kind.NUMBER, "their mean"),
        Field("stddev", Kind.NUMBER, "their standard deviation"),
        Field("min_value", Kind.NUMBER, "the smallest", aliases=("min",)),
        Field("max_value", Kind.NUMBER, "the largest", aliases=("max",)),
        Field("p50", Kind.NUMBER, "median; percentiles of spans must not be averaged"),
        Field("p95", Kind.NUMBER, "95th percentile"),
        Field("p99", Kind.NUMBER, "99th percentile"),
        EXTRA,
    ),
    identity=("experiment_id", "variant_id", "metric_name", "bucket_type", "bucket_start"),
    day_column="bucket_date",
    time_field="bucket_start",
)

POLICY_VERSIONS = Contract(
    dataset="policy_versions",
    grain="one row per version of a policy and export of the list",
    fields=(
        Field("policy_version_id", Kind.TEXT, "the version", required=True, aliases=("id",), identifier=True),
        Field("policy_id", Kind.TEXT, "the policy it is a version of", identifier=True),
        Field("version", Kind.TEXT, "its number or name", identifier=True),
        Field("model_name", Kind.TEXT, "model behind it", identifier=True),
        Field("model_version", Kind.TEXT, "version of the model", identifier=True),
        Field("status", Kind.TEXT, "candidate, active, retired, ..."),
        Field("offline_score", Kind.NUMBER, "score of the offline evaluation", aliases=("offline_alignment_score",)),
        Field("constraint_respect_score", Kind.NUMBER, "share of answers within the constraints, 0 to 1"),
        Field("diversity_score", Kind.NUMBER, "diversity of the answers, 0 to 1"),
        Field("created_at", Kind.INSTANT, "when it was made"),
        Field("deployed_at", Kind.INSTANT, "when it first served"),
        Field("config", Kind.JSON, "settings", free_text=True),
        EXTRA,
    ),
    identity=("policy_version_id",),
    day_column="snapshot_date",
    time_field=None,
)
