"""A defect blocks its day, and only its day, whichever way the day is run; and what a waiver changes about that.

Defects of every layer lie on days of one world, each way runs once, and every day is looked at after each. Files bring
the defects of raw data; a fault of a model is a trigger on its mart, which spoils rows however they are built.
The thin set has a defect of every layer; the exhaustive one a day for every suite that such a world fills.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.integration.clean_day import datasets, filled
from tests.integration.world import World
from voiceai_assets.checks import reviewed
from voiceai_assets.checks.suites import MARTS, Suite, all_suites
from voiceai_assets.cli.days import show_status

pytestmark = pytest.mark.timeout(1500)  # seven runs of a world with every dataset, in the first test's time
FIRST = date(2026, 8, 1)
LONG_AGO, IN_FUTURE = "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"


@dataclass(frozen=True)
class Defect:
    """A check, and what breaks it: other values in landed rows, or SQL over a row of a mart."""

    check: str
    landed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    spoils: str = ""

    @property
    def is_warning(self) -> bool:
        suite, rule = self.check.split(".")
        return next(r.severity for s in all_suites() if s.suite == suite for r in s.rules if r.id == rule) == "warning"


INTAKE = Defect("intake_is_complete.quarantine_stays_under_one_percent", {"turns": {"turn_number": "third"}})
RAW = Defect("turns_are_plausible.counts_and_times_are_not_negative", {"turns": {"tokens_out": -5}})
MART = Defect("agg_sessions_daily_adds_up.outcomes_add_up", spoils="completed_session_count := 99")
WARNING = Defect("turns_are_plausible.user_type_is_known", {"turns": {"user_type": "regular"}})
THIN = (INTAKE, RAW, MART, WARNING)
EXHAUSTIVE = (
    *THIN,
    Defect("raw_sessions_are_plausible.sessions_end_after_they_start", {"sessions": {"ended_at": LONG_AGO}}),
    Defect("raw_session_metrics_are_plausible.silence_rate_is_a_share", {"session_metrics": {"silence_rate": 80}}),
    Defect("raw_turn_metrics_are_plausible.counts_and_times_are_not_negative", {"turn_metrics": {"asr_ms": -7}}),
    Defect("raw_calls_are_plausible.upsell_is_not_negative", {"calls": {"upsell_amount": "-5"}}),
    Defect("raw_users_are_plausible.users_registered_before_the_list", {"users": {"registered_at": IN_FUTURE}}),
    Defect("raw_applications_are_plausible.status_is_known", {"applications": {"status": "lost"}}),
    Defect("raw_experiments_are_plausible.ends_after_it_starts", {"experiments": {"ended_at": LONG_AGO}}),
    Defect("raw_variants_are_plausible.allocation_is_a_share", {"variants": {"allocation": 50}}),
    Defect("raw_assignments_are_plausible.assignments_name_a_variant", {"assignments": {"variant_id": "none"}}),
    Defect("raw_experiment_events_are_plausible.events_have_a_type", {"experiment_events": {"event_type": "null"}}),
    Defect("raw_metric_aggregates_are_plausible.count_is_not_negative", {"metric_aggregates": {"count": -1}}),
    Defect("raw_policy_versions_are_plausible.diversity_score_is_a_share", {"policy_versions": {"diversity_score": 7}}),
    Defect("raw_deployments_are_plausible.ends_after_it_starts", {"deployments": {"ended_at": LONG_AGO}}),
    Defect("sessions_are_sound.error_proportion_is_at_most_one", spoils="error_turn_proportion := 1.5"),
    Defect("turns_are_filed_once.turn_numbers_start_at_one", spoils="turn_number := 0 - new.turn_number"),
    Defect("session_claims_are_sound.declared_silence_rate_is_a_share", spoils="declared_silence_rate := 3"),
    Defect("latencies_are_counted_once.latencies_are_not_negative", spoils="latency_ms := -1"),
    Defect("asr_by_language_is_sound.confidence_bands_add_up", spoils="low_confidence_turn_count := 99"),
    Defect("agg_metrics_daily_is_sound.groups_hold_sessions", spoils="session_count := 0"),
    Defect("feature_session_prefix_is_sound.positions_start_at_one", spoils="k := 0"),
    Defect("cost_daily_is_sound.figures_are_not_negative", spoils="priced_cost_usd := -1"),
    Defect("sla_daily_is_sound.error_rate_is_a_share", spoils="error_rate := 3"),
    Defect("sessions_without_turns_daily_is_sound.parts_are_within_the_whole", spoils="engaged_session_count := 99"),
    Defect("tts_metrics_daily_is_sound.figures_are_not_negative", spoils="fallback_count := -1"),
    Defect("user_sessions_is_sound.uses_have_turns", spoils="turn_count := 0"),
    Defect("fact_applications_is_sound.completion_is_that_of_the_status", spoils="is_completed := false"),
    Defect("agent_performance_daily_is_sound.figures_are_not_negative", spoils="upsell_amount := -1"),
    Defect("gold_performance_metrics_is_sound.sentiment_score_is_in_range", spoils="sentiment_score := 5"),
    Defect("conversation_sessions_is_sound.progress_is_a_share", spoils="progress := 40"),
    Defect("conversation_funnel_is_sound.figures_are_not_negative", spoils="message_count := -1"),
    Defect("conversation_events_hourly_is_sound.hours_are_hours", spoils="event_hour := 30"),
    Defect("flow_drop_off_points_is_sound.counts_are_positive", spoils="drop_off_count := 0"),
    Defect("experiment_events_daily_is_sound.figures_are_not_negative", spoils="token_count := -1"),
    Defect("experiment_edit_histogram_daily_is_sound.values_are_not_negative", spoils="edit_count := -1"),
    Defect("experiment_latency_histogram_daily_is_sound.values_are_not_negative", spoils="latency_ms := -1"),
    Defect("experiment_list_entries_is_sound.ends_after_it_starts", spoils="ended_at := '2000-01-01'"),
    Defect("variant_list_entries_is_sound.allocation_is_a_share", spoils="allocation := 50"),
    Defect("metric_aggregates_daily_is_sound.count_is_not_negative", spoils="observation_count := -1"),
    Defect("policy_version_list_entries_is_sound.diversity_score_is_a_share", spoils="diversity_score := 7"),
    Defect("deployment_list_entries_is_sound.ends_after_it_starts", spoils="ended_at := '2000-01-01'"),
)  # fmt: skip


class Ways:
    """A world with a defect on each of its days and nothing wrong on its first and its last one."""

    def __init__(self, world: World, defects: tuple[Defect, ...]) -> None:
        self.world = world
        self.days = [(FIRST + timedelta(days=n)).isoformat() for n in range(len(defects) + 2)]
        self.defects = dict(zip(self.days[1:], defects, strict=False))
        for day in self.days:
            self.land(day)
            if (defect := self.defects.get(day)) and defect.spoils:
                self.spoil(day, defect)
        world.look()

    def land(self, day: str, **other: Mapping[str, Any]) -> None:
        """Write the day's files; one record of a dataset bears other values."""
        changes = {**(self.defects[day].landed if day in self.defects else {}), **other}
        for dataset, rows in datasets(day).items():
            if dataset in changes:
                rows[-1] = {**rows[-1], **changes[dataset]}
            folder = self.world.landing if dataset == "turns" else self.world.landing / dataset
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{dataset}-{day}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def spoil(self, day: str, defect: Defect) -> None:
        """A trigger that plays the part of a faulty model."""
        suite = _suite_of(defect)
        self.world.spoil(filled(suite.table), suite.day_column, day, defect.spoils)

    def look(self) -> None:
        """Every day is as its defect wants it: blocked by its check, with a warning, or certified."""
        live = "select distinct day::text as day from governance.publications where is_live"
        visible = {row["day"] for row in self.world.query(live)}
        for day in self.days:
            status, reasons = self.world.status(day), self.world.reasons(day)
            checks = [r["check"] for r in reasons]
            defect = self.defects.get(day)
            wanted = "certified" if defect is None else "certified with warnings" if defect.is_warning else "blocked"
            assert status == wanted, (day, defect, checks)
            assert (day in visible) == (wanted != "blocked"), day
            if defect and defect.spoils and checks[0].startswith("dbt."):
                # dbt's tests of structure forbid it, too: they come first, and no suite is asked
                assert reasons[0]["asset"] == "/".join(_suite_of(defect).asset), (day, reasons[0])
            elif defect:
                assert checks[0] == defect.check, (day, checks)


def _suite_of(defect: Defect) -> Suite:
    return next(s for s in all_suites() if s.suite == defect.check.split(".")[0])


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def thin(home: Path) -> Iterator[Ways]:
    world = World(home / "thin", os.environ.get("TEST_DATABASE_URL"))
    yield Ways(world, THIN)
    world.close()


def _automation(ways: Ways) -> None:
    ways.world.run_requested(ways.world.tick())


def _all_ways(ways: Ways, one_by_one: list[str]) -> None:
    first, last = ways.days[0], ways.days[-1]
    _automation(ways)
    ways.look()
    assert not ways.world.run(first, last, job="publish_job").success, "downstream only"
    ways.look()
    ways.world.run(first, last, job="check_job")
    ways.look()
    for day in one_by_one:
        defect = ways.defects.get(day)
        assert ways.world.run(day).success == (defect is None or defect.is_warning), "one day, and once more"
    ways.look()


def test_a_defect_blocks_its_day_by_automation_downstream_only_check_only_and_again(thin: Ways) -> None:
    _all_ways(thin, [thin.days[3]])


def test_a_check_alone_withdraws_what_proves_bad(thin: Ways) -> None:
    """A fault that came into the tables after the day was certified: only its check is run."""
    day = thin.days[0]
    spoilt = "update marts.cost_daily set priced_cost_usd = {} where session_date = %s returning 1"
    try:
        assert thin.world.query(spoilt.format(-1), day)
        thin.world.run(day, job="check_job")
        assert thin.world.status(day) == "blocked"
        assert thin.world.reasons(day)[0]["check"] == "cost_daily_is_sound.figures_are_not_negative"
        assert day not in thin.world.certified()
    finally:
        thin.world.query(spoilt.format(1), day)
        assert thin.world.run(day).success


def test_a_waiver_certifies_shows_and_expires(thin: Ways, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, day = thin.world, thin.days[2]
    assert thin.defects[day] is RAW
    monkeypatch.setattr(reviewed, "WAIVERS", tmp_path / "waivers.yaml")
    within = thin.days

    _waive(day, until=date.today() + timedelta(days=1))
    assert world.pipeline.days_to_repair(within) == {day: "stale: a waiver was given or has ended"}
    assert world.run(day).success
    assert world.status(day) == "certified with warnings"
    assert day in world.certified()
    (reason,) = world.reasons(day)
    assert (reason["kind"], reason["check"], reason["waived_by"]) == ("waived", RAW.check, "team:owner")
    assert reason["text"].startswith("waived until")
    assert "debug mode" in _shown(world, day)
    (certificate,) = world.query("select body from governance.certificates where day = %s", day)
    assert json.loads(certificate["body"])["warnings"][0]["waived_because"] == "the recogniser was in debug mode"
    assert world.pipeline.days_to_repair(within) == {}

    _waive(day, until=date.today() - timedelta(days=1))
    assert world.pipeline.days_to_repair(within) == {day: "stale: a waiver was given or has ended"}
    world.run(day, job="check_job")
    assert world.status(day) == "blocked"
    assert day not in world.certified()


def _waive(day: str, until: date) -> None:
    reviewed.WAIVERS.write_text(
        f"- days: {day}\n  check: {RAW.check}\n  reason: the recogniser was in debug mode\n"
        f"  owner: team:owner\n  until: {until}\n"
    )
    reviewed._waivers.cache_clear()


def _shown(world: World, day: str) -> str:
    text = io.StringIO()
    show_status(world.pipeline, date.fromisoformat(day), date.fromisoformat(day), Console(file=text, width=200))
    return text.getvalue()


@pytest.mark.slow
def test_a_defect_of_every_suite_blocks_its_day_whichever_way_it_is_run(home: Path) -> None:
    suites = {s.suite for s in all_suites()}
    # lists without figures, and what is asked of the day as a whole, break in test_suites
    without = {"marts_are_complete", "user_list_entries_is_sound", "fact_assignments_is_sound"}
    assert {defect.check.split(".")[0] for defect in EXHAUSTIVE} == suites - without
    world = World(home / "exhaustive", os.environ.get("TEST_DATABASE_URL"))
    try:
        ways = Ways(world, EXHAUSTIVE)
        _all_ways(ways, ways.days)
    finally:
        world.close()


def test_the_thin_set_has_every_layer_and_both_severities() -> None:
    stages = {next(s.dataset for s in all_suites() if s.suite == d.check.split(".")[0]) for d in THIN}
    assert stages == {"intake", "turns", MARTS}
    assert {d.is_warning for d in THIN} == {True, False}
