"""For every rule of every suite, something that breaks it. A rule without an entry here fails the tests.

Belongs here: what to plant. Does not belong here: how it must be found (``test_suites``).

Rules on single values break with a value beyond the limit, which is worked out from the rule; the others are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voiceai_assets.checks.suites import Rule, Suite

Patch = Mapping[str, Any]
#: How rows are multiplied where a rule tolerates a share of them.
MANY = 6
LATER, EARLIER = "2026-08-02T11:00:00Z", "2026-08-02T09:00:00Z"


@dataclass(frozen=True)
class Planted:
    """Rows that are added: (table, day column, changes)."""

    rows: tuple[tuple[str, str, Patch], ...]


_OVERLAPPING = {"source": "irembo", "asr_ms": 900, "llm_ms": 900, "tts_ms": 900, "total_ms": 1000}
#: Computed column (or share) by suite -> what makes it true.
FLAGS: dict[str, Patch] = {
    "turns_are_plausible.has_sentinel_time": {"total_ms": 2147483647},
    "turns_are_plausible.has_sentinel_session": {"session_id": "undefined"},
    "turns_are_plausible.has_negative_count": {"tokens_out": -5},
    "turns_are_plausible.components_fit_into_the_total": _OVERLAPPING,
    "raw_sessions_are_plausible.has_sentinel_session": {"session_id": "null"},
    "raw_sessions_are_plausible.duration_fits_start_and_end": {"duration_seconds": 9000},
    "raw_session_metrics_are_plausible.exceeds_one": {"misunderstanding_rate": 0.7, "silence_rate": 0.7},
    "raw_turn_metrics_are_plausible.has_negative_count": {"llm_ms": -3},
    "raw_turn_metrics_are_plausible.has_sentinel_time": {"asr_ms": 99999},
    "raw_turn_metrics_are_plausible.components_fit_into_the_total": _OVERLAPPING,
    "raw_calls_are_plausible.has_amount_without_sale": {"is_converted": False, "upsell_amount": 5},
    "raw_calls_are_plausible.has_amount_without_currency": {"currency": None, "upsell_amount": 5},
    "raw_users_are_plausible.registered_later": {"registered_at": "2030-01-01T00:00:00Z"},
    "raw_assignments_are_plausible.has_sentinel_variant": {"variant_id": "none"},
    "raw_experiment_events_are_plausible.has_no_type": {"event_type": " "},
    "raw_metric_aggregates_are_plausible.mean_is_outside": {"mean": 9},
    "raw_metric_aggregates_are_plausible.percentiles_disagree": {"p50": 5, "p95": 3},
    "metric_aggregates_daily_is_sound.mean_is_outside": {"mean": 9},
    "metric_aggregates_daily_is_sound.percentiles_disagree": {"p50": 5, "p95": 3},
    "sessions_are_sound.exceeds_whole": {"silence_turn_count": 99},
    "sessions_are_sound.minimum_exceeds_mean": {"min_asr_confidence": 0.9, "avg_asr_confidence": 0.5},
    "sessions_are_sound.is_negative": {"cost_usd": -1},
    "sessions_are_sound.is_outcome_contradictory": {"is_outcome_contradictory": True},
    "sessions_are_sound.transfers_have_a_reason": {
        "source": "irembo", "final_outcome": "transferred", "transfer_reason": None, "observes_transfers": True,
        "is_escalated": True,
    },
    "sessions_are_sound.transfer_reasons_have_a_transfer": {"transfer_reason": "asked for a person"},
    "sessions_are_sound.escalated_sessions_are_transferred": {"is_escalated": True},
    "sessions_are_sound.transferred_sessions_are_escalated": {
        "is_escalated": False, "final_outcome": "transferred", "transfer_reason": "asked for a person",
    },
    "turns_are_filed_once.is_negative": {"tts_ms": -1},
    "turns_are_filed_once.has_agent_confidence": {"speaker": "agent", "asr_confidence": 0.9},
    "session_claims_are_sound.declared_turns_are_the_turns_that_arrived": {"declared_turn_count": 9},
    "session_claims_are_sound.turn_numbers_have_no_gaps": {"last_turn_number": 9},
    "session_claims_are_sound.declared_duration_is_that_of_the_turns": {"declared_duration_seconds": 9000},
    "agg_sessions_daily_adds_up.does_not_add_up": {"completed_session_count": 70},
    "agg_sessions_daily_adds_up.exceeds_whole": {"error_turn_count": 9999},
    "agg_sessions_daily_adds_up.is_negative": {"duration_ms": -1},
    "asr_by_language_is_sound.does_not_add_up": {"low_confidence_turn_count": 77},
    "asr_by_language_is_sound.exceeds_whole": {"misunderstanding_turn_count": 9999},
    "agg_metrics_daily_is_sound.exceeds_whole": {"completion_n": 9, "completion_d": 1},
    "feature_session_prefix_is_sound.exceeds_whole": {"errors_so_far": 99},
    "feature_session_prefix_is_sound.minimum_exceeds_mean": {"asr_min": 0.9, "asr_mean": 0.5},
    "cost_daily_is_sound.exceeds_whole": {"metered_session_count": 9999},
    "cost_daily_is_sound.is_negative": {"emitted_cost_usd": -1},
    "sla_daily_is_sound.percentiles_disagree": {"p50_ms": 900, "p90_ms": 1},
    "sla_daily_is_sound.exceeds_whole": {"measured_turn_count": 9999},
    "sessions_without_turns_daily_is_sound.exceeds_whole": {"engaged_session_count": 9999},
    "sessions_without_turns_daily_is_sound.is_negative": {"sessions_without_turns": -1},
    "tts_metrics_daily_is_sound.exceeds_whole": {"fallback_turn_count": 9999},
    "tts_metrics_daily_is_sound.is_negative": {"fallback_count": -1},
    "fact_applications_is_sound.disagrees": {"status": "abandoned", "is_completed": True},
    "agent_performance_daily_is_sound.exceeds_whole": {"converted_call_count": 9999},
    "agent_performance_daily_is_sound.is_negative": {"upsell_amount": -1},
    "gold_performance_metrics_is_sound.text_and_booking_agree": {"is_contradicted_by_text": True},
    "conversation_sessions_is_sound.ends_before_start": {
        "started_at": LATER, "dropped_off_at": EARLIER,
    },
    "conversation_sessions_is_sound.is_outcome_contradictory": {"is_outcome_contradictory": True},
    "conversation_sessions_is_sound.is_variant_contradictory": {"is_variant_contradictory": True},
    "conversation_funnel_is_sound.exceeds_whole": {"completed_session_count": 9999},
    "conversation_funnel_is_sound.is_negative": {"duration_seconds": -1},
    "conversation_events_hourly_is_sound.exceeds_whole": {"sessionless_event_count": 9999},
    "flow_drop_off_points_is_sound.exceeds_whole": {"session_with_progress_count": 9999},
    "experiment_events_daily_is_sound.exceeds_whole": {"event_with_latency_count": 9999},
    "experiment_events_daily_is_sound.is_negative": {"token_count": -1},
}  # fmt: skip

_ALLOCATIONS = ({"variant_id": "x", "experiment_id": "over", "allocation": 0.9, "is_control": False},) * 2
_CONTROLS = ({"variant_id": "x", "experiment_id": "two", "is_control": True},) * 2
_OTHER_SESSION = {"session_id": "planted"}

#: Rules that are queries: rows for the suite's own table, and for others before it.
QUERIES: dict[str, tuple[Patch, ...]] = {
    "turns_are_plausible.turn_numbers_are_not_repeated": ({"session_id": "twice", "turn_number": 1},) * 2,
    "raw_variants_are_plausible.allocations_add_up_to_at_most_one": _ALLOCATIONS,
    "raw_variants_are_plausible.one_control_per_experiment": _CONTROLS,
    "raw_assignments_are_plausible.units_are_in_one_variant": (
        {"unit_id": "torn", "variant_id": "a"},
        {"unit_id": "torn", "variant_id": "b"},
    ),
    "fact_assignments_is_sound.units_are_in_one_variant": (
        {"user_id": "torn", "variant_id": "a"},
        {"user_id": "torn", "variant_id": "b"},
    ),
    "raw_sessions_are_plausible.turns_come_after_the_session_starts": ({**_OTHER_SESSION, "started_at": LATER},),
    "raw_applications_are_plausible.records_name_the_user_of_their_session": (
        {**_OTHER_SESSION, "user_id": "somebody else"},
    ),
    "raw_applications_are_plausible.records_are_not_older_than_their_session": (
        {**_OTHER_SESSION, "submitted_at": EARLIER},
    ),
    "turns_are_filed_once.no_orphan_turns": ({"session_id": "an orphan"},),
    "user_sessions_is_sound.sessions_are_in_the_session_mart": ({"session_id": "an orphan"},),
    "session_claims_are_sound.sessions_are_in_the_session_mart": ({"session_id": "an orphan"},),
    "intake_is_complete.every_record_is_accounted_for": ({"rows_in": 50, "rows_loaded": 49},),
    "intake_is_complete.quarantine_stays_under_one_percent": ({"rows_in": 50, "rows_quarantined": 50},),
    "intake_is_complete.nothing_was_quarantined": ({"rows_in": 50, "rows_quarantined": 50},),
    "intake_is_complete.repeats_stay_under_half": ({"dataset": "calls", "rows_in": 999, "rows_duplicate": 999},),
}

#: What a query compares with: rows of other tables.
BESIDE: dict[str, tuple[tuple[str, str, Patch], ...]] = {
    "raw_sessions_are_plausible.turns_come_after_the_session_starts": (
        ("raw.turns", "turn_date", {**_OTHER_SESSION, "timestamp": EARLIER}),
    ),
    "raw_applications_are_plausible.records_name_the_user_of_their_session": (
        ("raw.sessions", "session_date", {**_OTHER_SESSION, "user_id": "somebody", "started_at": LATER}),
    ),
    "raw_applications_are_plausible.records_are_not_older_than_their_session": (
        ("raw.sessions", "session_date", {**_OTHER_SESSION, "started_at": LATER}),
    ),
}

#: Planted otherwise, each in a test of its own (``test_suites``): a state of the whole day or of its past.
STATES = frozenset(
    {
        "intake_is_complete.day_has_files",
        "intake_is_complete.day_has_records",
        "intake_is_complete.day_has_conversations",
        "marts_are_complete.turns_become_sessions",
        "marts_are_complete.turns_become_turn_rows",
        "turns_are_plausible.no_session_outlasts_its_span",
    }
)
#: The same for rules of these types, on every suite that has one.
STATE_TYPES = frozenset({"schema_is_as_agreed", "volume_is_usual", "distribution_is_usual", "day_ends_as_usual"})


def defect(suite: Suite, rule: Rule) -> Planted | None:
    """What to plant for a rule, or None where it is a state.

    Raises:
        KeyError: when nobody has said what breaks the rule.
    """
    name = suite.check_name(rule)
    if rule.type in STATE_TYPES or name in STATES:
        return None
    patches = _patches(suite, rule, name)
    own = ((suite.table, suite.day_column, patch) for patch in patches)
    return Planted((*BESIDE.get(name, ()), *own))


def _patches(suite: Suite, rule: Rule, name: str) -> tuple[Patch, ...]:
    if rule.id == "one_row_per_key":
        return ({}, {})
    if name in QUERIES:
        return QUERIES[name]
    if name in FLAGS:  # a share
        return (FLAGS[name],) * MANY
    column = str(rule.kwargs.get("column", ""))
    if flag := FLAGS.get(f"{suite.suite}.{column}"):
        return (flag,)
    if column in suite.computed:
        raise KeyError(f"tests/integration/defects.py says nothing that breaks {name}")
    return (_beyond(rule, column, name),)


def _beyond(rule: Rule, column: str, name: str) -> Patch:
    """A value beyond what the rule allows."""
    if rule.type == "expect_column_values_to_be_between":
        low, high = rule.kwargs.get("min_value"), rule.kwargs.get("max_value")
        return {column: low - 2 if high is None else high + 2}
    if rule.type == "expect_column_values_to_be_in_set":
        return {column: True if rule.kwargs["value_set"] == [False] else "no such value"}
    if rule.type == "expect_column_values_to_match_regex":
        return {column: "no such form"}
    if rule.type == "expect_column_values_to_be_null":
        return {column: ["something"] if column == "invalid_fields" else "something"}
    if rule.type == "expect_column_pair_values_a_to_be_greater_than_b":
        a, b = rule.kwargs["column_A"], rule.kwargs["column_B"]
        return {a: 1, b: 9} if a.endswith("_count") else {a: EARLIER, b: LATER}
    raise KeyError(f"tests/integration/defects.py says nothing that breaks {name}")
