"""Every rule of every suite passes a clean day and finds the defect that was planted for it.

One world: a clean day of every dataset, and a day after it into which faults are written straight into the tables,
because most of them no emitter can send past the earlier layers.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.integration.clean_day import copy_row, filled, land
from tests.integration.defects import defect
from tests.integration.world import World
from voiceai_assets.checks.expectations import Validator
from voiceai_assets.checks.measured import measure
from voiceai_assets.checks.suites import Rule, Suite, all_suites
from voiceai_assets.warehouse.ledger import CheckResult

CLEAN, BAD = "2026-08-01", "2026-08-02"
SUITES = {suite.suite: suite for suite in all_suites()}
RULES = [(suite, rule) for suite in all_suites() for rule in suite.rules]
#: What is broken by rows of the suite's own table; the others have tests of their own below.
PLANTED = [name for name, suite in SUITES.items() if any(defect(suite, rule) for rule in suite.rules)]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    made = World(folder / "home", os.environ.get("TEST_DATABASE_URL"))
    land(made, (CLEAN, BAD))
    made.run(CLEAN, BAD)
    _drop_keys(made)
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


def _drop_keys(world: World) -> None:
    """A key of a table would refuse the repeated rows that a rule is to find."""
    with world.pipeline.warehouse.connect() as connection:
        for table, key in connection.execute(
            "select conrelid::regclass::text, conname from pg_constraint "
            "where contype = 'p' and conparentid = 0 and conrelid::regclass::text like 'marts.feature_session_prefix%'"
        ).fetchall():
            connection.execute(
                sql.SQL("alter table {} drop constraint {}").format(
                    sql.Identifier(*table.split(".")), sql.Identifier(key)
                )
            )


@pytest.fixture(scope="module")
def validator(world: World) -> Validator:
    return Validator(world.pipeline.warehouse.owner)


@pytest.fixture(autouse=True)
def as_it_was(world: World) -> Iterator[None]:
    """Every table of a suite and the ledgers that are planted into, put back after each test."""
    tables = sorted(
        {filled(s.table) for s in all_suites() if s.table != "governance.day_accounts"} | {"raw.session_days"}
    )
    with world.pipeline.warehouse.connect() as connection:
        connection.execute("create schema if not exists kept")
        for number, table in enumerate(tables):
            connection.execute(f"create table if not exists kept.table_{number} as select * from {table}")  # type: ignore[call-overload]
    yield
    with world.pipeline.warehouse.connect() as connection:
        for number, table in enumerate(tables):
            connection.execute(f"delete from {table}")  # type: ignore[call-overload]
            connection.execute(f"insert into {table} select * from kept.table_{number}")  # type: ignore[call-overload]


def _results(
    world: World, validator: Validator, suite: Suite, days: tuple[str, ...] = (BAD,)
) -> dict[str, CheckResult]:
    """(day, check) -> result, by the same calls as a run makes."""
    found = validator.validate(suite, days)
    with world.pipeline.warehouse.connect() as connection:
        measured = measure(connection, suite, days)
    return {f"{day} {r.check_name}": r for day in days for r in (*found[day], *measured[day])}


def _empty(world: World, suite: Suite) -> None:
    """Only what is planted lies on the bad day, so that a share of its rows is one."""
    world.query(
        f"with gone as (delete from {filled(suite.table)} where {suite.day_column} = %s returning 1) select 1", BAD
    )


def _plant(world: World, suite: Suite, rule: Rule, number: int) -> None:
    planted = defect(suite, rule)
    assert planted is not None
    for serial, (table, day_column, changes) in enumerate(planted.rows):
        unique: Mapping[str, object] = {}
        if table in ("marts.fact_voice_ai_sessions", "governance.load_files"):  # these have keys
            unique = {"session_id": f"planted {number} {serial}", "file": f"planted {number} {serial}"}
        elif table == "marts.agg_metrics_daily":
            unique = {"user_bucket": 10 * number + serial}
        copy_row(world, table, day_column, CLEAN, {**unique, day_column: BAD, **changes})


def test_a_clean_day_of_every_dataset_is_certified_without_a_warning(world: World) -> None:
    for day in (CLEAN, BAD):
        assert world.status(day) == "certified", world.reasons(day)
    judged = world.query("select distinct check_name from governance.quality_results where day = %s", CLEAN)
    assert {row["check_name"] for row in judged} == {suite.check_name(rule) for suite, rule in RULES}
    empty = [
        s.table for s in all_suites() if not world.query(f"select from {s.table} where {s.day_column} = %s", CLEAN)
    ]
    assert empty == [], "a table without rows is no clean case of its rules"


@pytest.mark.parametrize("name", PLANTED)
def test_each_rule_finds_its_defect_and_passes_the_clean_day(world: World, validator: Validator, name: str) -> None:
    """All defects of a suite on one day, each in rows of its own; the day before stays clean."""
    suite = SUITES[name]
    planted = [rule for rule in suite.rules if defect(suite, rule)]
    _empty(world, suite)
    for number, rule in enumerate(planted):
        _plant(world, suite, rule, number)
    found = _results(world, validator, suite, (CLEAN, BAD))
    for rule in planted:
        check = suite.check_name(rule)
        assert found[f"{CLEAN} {check}"].status == "passed", check
        assert found[f"{BAD} {check}"].status == "failed", found[f"{BAD} {check}"]


@pytest.mark.parametrize(("suite", "rule"), [pytest.param(s, r, id=s.check_name(r)) for s, r in RULES if defect(s, r)])
def test_each_rule_finds_its_own_defect_alone(world: World, validator: Validator, suite: Suite, rule: Rule) -> None:
    _empty(world, suite)
    _plant(world, suite, rule, 0)
    result = _results(world, validator, suite)[f"{BAD} {suite.check_name(rule)}"]
    assert result.status == "failed"
    assert result.observed, "a failure says what was seen"


@pytest.mark.parametrize("suite", [s for s in all_suites() if any(r.type == "schema_is_as_agreed" for r in s.rules)])
def test_a_missing_column_is_found(world: World, suite: Suite) -> None:
    schema, table = suite.table.split(".")
    rename = sql.SQL("alter table {} rename column {} to {}")
    name, there, gone = sql.Identifier(schema, table), sql.Identifier("load_id"), sql.Identifier("somebody_renamed_it")
    only = next(rule for rule in suite.rules if rule.type == "schema_is_as_agreed")
    with world.pipeline.warehouse.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute(rename.format(name, there, gone))
        found = measure(connection, suite, [BAD])[BAD]
    result = next(r for r in found if r.check_name == suite.check_name(only))
    assert result.status == "failed"
    assert "load_id is missing" in result.observed["message"]


def test_a_day_without_files_and_a_day_without_conversations_are_found(world: World, validator: Validator) -> None:
    suite = SUITES["intake_is_complete"]
    _empty(world, suite)
    found = _results(world, validator, suite, (CLEAN, BAD))
    states = [f"intake_is_complete.day_has_{what}" for what in ("files", "records", "conversations")]
    assert [found[f"{BAD} {check}"].status for check in states] == ["failed"] * 3
    assert [found[f"{CLEAN} {check}"].status for check in states] == ["passed"] * 3


def test_turns_that_become_nothing_are_found(world: World, validator: Validator) -> None:
    for mart in ("marts.fact_voice_ai_sessions", "marts.fact_voice_ai_turns"):
        table = filled(mart)
        world.query(f"with gone as (delete from {table} where session_date = %s returning 1) select 1", BAD)
    found = _results(world, validator, SUITES["marts_are_complete"], (CLEAN, BAD))
    assert {r.status for key, r in found.items() if key.startswith(BAD)} == {"failed"}
    assert {r.status for key, r in found.items() if key.startswith(CLEAN)} == {"passed"}


def test_a_session_that_goes_on_for_days_is_found(world: World, validator: Validator) -> None:
    """It has turns on each of five days: those of the last ones belong to no session."""
    suite = SUITES["turns_are_plausible"]
    last = "2026-08-05"
    with world.pipeline.warehouse.connect() as connection:
        connection.execute(
            "create table raw.turns_planted partition of raw.turns for values from ('2026-08-05') to ('2026-08-06')"
        )
        for day in (CLEAN, BAD, "2026-08-03", "2026-08-04", last):
            connection.execute("insert into raw.session_days values (%s, 'endless')", [day])
    copy_row(world, "raw.turns", "turn_date", CLEAN, {"turn_date": last, "session_id": "endless"})
    found = _results(world, validator, suite, (CLEAN, last))
    check = "turns_are_plausible.no_session_outlasts_its_span"
    assert found[f"{CLEAN} {check}"].status == "passed"
    assert found[f"{last} {check}"].status == "failed"


def test_a_rule_whose_query_fails_is_an_error_and_no_bad_data(world: World) -> None:
    suite = SUITES["agg_sessions_daily_adds_up"]
    rename = "alter table marts.agg_sessions_daily rename column session_count to somebody_renamed_it"
    with world.pipeline.warehouse.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute(rename)
        found = measure(connection, suite, [BAD])[BAD]
    statuses = {r.check_name: r.status for r in found}
    assert statuses["agg_sessions_daily_adds_up.channels_are_as_usual"] == "error"
    assert statuses["agg_sessions_daily_adds_up.outcomes_are_as_usual"] == "passed", "it does not need the column"


def test_half_a_delivery_and_a_day_that_breaks_off_are_found(world: World) -> None:
    """Eight weeks of the same weekday in the ledgers; the tested day is half as large and ends at noon."""
    days = [f"2026-0{month}-{day:02}" for month, day in ((6, 7), (6, 14), (6, 21), (6, 28), (7, 5), (7, 12), (7, 19))]
    with world.pipeline.warehouse.connect() as connection, connection.transaction(force_rollback=True):
        for number, day in enumerate(days):
            _remember(connection, day, 1000 + 7 * number, f"{day}T21:00:00Z")
        _remember(connection, "2026-07-26", 1015, "2026-07-26T20:30:00Z")
        _remember(connection, BAD, 480, f"{BAD}T12:00:00Z")
        found = {day: _measured(connection, day) for day in ("2026-07-26", BAD, CLEAN)}
        # an incident among the days before is no measure: too few are left to say anything
        from voiceai_assets.checks.measured import Past

        few = measure(connection, SUITES["turns_are_plausible"], [BAD], Past(frozenset(_dates(days))))[BAD]
    rules = ("turns_are_plausible.volume_is_usual", "turns_are_plausible.day_ends_as_usual")
    assert [found["2026-07-26"][rule].status for rule in rules] == ["passed", "passed"]
    assert [found[BAD][rule].status for rule in rules] == ["failed", "failed"]
    assert "480 records" in found[BAD][rules[0]].observed["message"]
    assert "too little history" in found[CLEAN][rules[0]].observed["message"]
    assert found[CLEAN][rules[0]].status == "passed"
    assert {r.check_name: r.status for r in few}[rules[0]] == "passed"


def _dates(days: list[str]) -> set:  # type: ignore[type-arg]
    from datetime import date

    return {date.fromisoformat(day) for day in days}


def _measured(connection: psycopg.Connection, day: str) -> dict[str, CheckResult]:  # type: ignore[type-arg]
    return {r.check_name: r for r in measure(connection, SUITES["turns_are_plausible"], [day])[day]}


def _remember(connection: psycopg.Connection, day: str, records: int, last: str) -> None:  # type: ignore[type-arg]
    connection.execute("delete from governance.landing_files where rows ? 'turns' and rows -> 'turns' ? %s", [day])
    connection.execute(
        "insert into governance.landing_files (path, adapter, size_bytes, mtime_ns, sha256, rows, companions) "
        "values (%s, 'canonical', 1, 1, 'x', jsonb_build_object('turns', jsonb_build_object(%s::text, %s)), '{}')",
        [f"planted {day}", day, records],
    )
    connection.execute(
        "insert into governance.loads (dataset, day, load_id, is_live, code_version, inputs, rows_in, rows_loaded, "
        "rows_quarantined, rows_duplicate, last_turn_at) "
        "values ('turns', %(day)s, 'planted', true, 'x', '[]', 1, 1, 0, 0, %(last)s) "
        "on conflict (dataset, day) where is_live do update set last_turn_at = excluded.last_turn_at",
        {"day": day, "last": last},
    )


@pytest.mark.parametrize(
    "suite", [s for s in all_suites() if any(r.type == "distribution_is_usual" for r in s.rules)], ids=lambda s: s.suite
)
def test_a_mix_that_moved_is_found(world: World, suite: Suite) -> None:
    """Eight days like the clean one, a thousand times as large; the bad day has another mix."""
    other = {
        "channel": "web", "language": "fr", "user_type": "first_time", "latency_ms": 20_000,
        "completed_session_count": 0, "abandoned_session_count": 5000, "low_confidence_turn_count": 5000,
        "medium_confidence_turn_count": 0, "high_confidence_turn_count": 0,
    }  # fmt: skip
    weights = {
        "session_count": 5000,
        "turn_count": 5000,
        "completed_session_count": 5000,
        "high_confidence_turn_count": 5000,
    }
    for day in range(24, 32):
        copy_row(
            world,
            suite.table,
            suite.day_column,
            CLEAN,
            {**weights, "component": "total", suite.day_column: f"2026-07-{day}"},
        )
    copy_row(
        world, suite.table, suite.day_column, CLEAN, {**weights, **other, "component": "total", suite.day_column: BAD}
    )
    with world.pipeline.warehouse.connect() as connection:
        found = measure(connection, suite, ["2026-07-31", BAD])
    drifts = {suite.check_name(rule) for rule in suite.rules if rule.type == "distribution_is_usual"}
    assert {r.status for r in found["2026-07-31"] if r.check_name in drifts} == {"passed"}
    assert {r.check_name: r.status for r in found[BAD] if r.check_name in drifts} == dict.fromkeys(drifts, "failed")
