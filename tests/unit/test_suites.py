"""Suites as text: every table has one, every rule can be asked of a range, tolerances fit, mistakes are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.integration.defects import STATE_TYPES, STATES, defect
from voiceai_assets.checks.reviewed import (
    SUITES_FOLDER,
    WAIVERS,
    ReviewedFileError,
    Tolerance,
    incidents,
    read_incidents,
    read_tolerances,
    read_waivers,
    tolerances,
    waivers,
)
from voiceai_assets.checks.suites import MARTS, SuiteError, all_suites, is_asked, read_suite
from voiceai_assets.contracts import DATASETS
from voiceai_assets.warehouse.marts import certified_marts

RULES = {suite.check_name(rule): (suite, rule) for suite in all_suites() for rule in suite.rules}


def test_every_rule_has_a_defect() -> None:
    """The inventory of rules drives ``tests/integration/test_suites.py``: a rule that nobody can break is no rule."""
    for suite, rule in RULES.values():
        defect(suite, rule)
    assert RULES.keys() >= STATES
    assert {rule.type for _, rule in RULES.values() if rule.is_measured} == STATE_TYPES


@pytest.mark.parametrize("table", [*(f"raw.{d}" for d in DATASETS), *(f"marts.{m}" for m in certified_marts())])
def test_every_raw_table_and_certified_mart_has_a_suite_that_looks_at_its_columns(table: str) -> None:
    found = [suite for suite in all_suites() if suite.table == table]
    assert len(found) == 1
    assert any(rule.type == "schema_is_as_agreed" for rule in found[0].rules)
    assert found[0].dataset == (MARTS if table.startswith("marts.") else table.removeprefix("raw."))


def test_every_tolerance_is_of_a_rule_that_asks_for_it() -> None:
    asked = {
        suite.stem + "." + rule["id"]
        for suite in SUITES_FOLDER.glob("*.json")
        for rule in json.loads(suite.read_text())["expectations"]
        if rule["type"] == "share_is_tolerated" or "{tolerance}" in json.dumps(rule)
    }
    assert {t.rule for t in tolerances()} == asked


def test_the_reviewed_files_can_be_read_and_name_rules_that_there_are() -> None:
    assert all(w.check in RULES for w in waivers())
    assert all(i.reason for i in incidents())
    assert WAIVERS.parent == SUITES_FOLDER


def test_a_suite_of_a_dataset_that_a_day_has_nothing_of_is_not_asked() -> None:
    loads = {"turns": "t", "intake": "i", "marts": None}
    asked = {suite.dataset for suite in all_suites() if is_asked(suite, loads)}
    assert asked == {"turns", "intake", "marts"}
    assert is_asked(RULES["raw_calls_are_plausible.volume_is_usual"][0], {**loads, "calls": "c"})


def test_a_rule_looks_at_no_other_table_without_saying_of_which_days() -> None:
    """Large tables have a partition per day: a query without limits is planned for their whole history every time."""
    unlimited = [
        (suite.suite, rule.id)
        for suite in all_suites()
        for rule in suite.rules
        for query in [str(rule.kwargs.get("unexpected_rows_query", ""))]
        for others in [re.findall(r"\b(?:from|join) (?:raw|marts|intermediate)\.", query)]
        if len(others) != query.count(" between {first_day}")
    ]
    assert not unlimited


def test_a_rule_is_asked_of_days_and_keeps_its_words_in_the_ledger() -> None:
    asked = {"unexpected_rows_query": "select 1 from raw.turns where turn_date between {first_day} and {last_day}"}
    rule = replace(RULES["raw_calls_are_plausible.volume_is_usual"][1], kwargs=asked)
    found = rule.asked_of("2026-01-01", "2026-01-03")["unexpected_rows_query"]
    assert found.endswith("between date '2026-01-01' and date '2026-01-03'")
    assert "{first_day}" in rule.kwargs["unexpected_rows_query"]
    of_a_column = replace(rule, kwargs={"column": "user_id"})
    assert of_a_column.asked_of("2026-01-01", "2026-01-03") == {"column": "user_id"}


# -- tolerances become part of the suite -------------------------------------------------------------------------------


def _suite(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    found = json.loads((SUITES_FOLDER / "session_claims_are_sound.json").read_text())
    change(found)
    path = tmp_path / "session_claims_are_sound.json"
    path.write_text(json.dumps(found))
    return path


def _tolerated(value: float, *sources: str) -> list[Tolerance]:
    names = {t.rule for t in tolerances()}
    return [Tolerance(name, source, value, "because", "team:x") for name in names for source in ("*", *sources)]


def test_another_tolerance_is_another_version_of_the_suite(tmp_path: Path) -> None:
    path = _suite(tmp_path, lambda found: None)
    versions = {read_suite(path, _tolerated(value)).version for value in (0.0, 0.1, 0.1)}
    assert len(versions) == 2


def test_a_tolerance_holds_for_its_source_only(tmp_path: Path) -> None:
    suite = read_suite(_suite(tmp_path, lambda found: None), [*_tolerated(0.0), *_tolerated(0.3, "irembo")[1::2]])
    query = next(r for r in suite.rules if r.id == "turn_numbers_have_no_gaps").kwargs["unexpected_rows_query"]
    assert "case source when 'irembo' then 0.3 else 0.0 end" in query


def test_a_share_without_a_tolerance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"session_claims.*no value of session_claims_are_sound\.\w+ for source \*"):
        read_suite(_suite(tmp_path, lambda found: None), [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "expect_table_row_count_to_be_between"}, "cannot be asked|asked of many days"),
        (
            {
                "type": "unexpected_rows_expectation",
                "kwargs": {"unexpected_rows_query": "select 1 from {batch} group by source having count(*) > 1"},
            },
            "must group by session_date",
        ),
        ({"severity": "grave"}, "severity"),
        ({"id": "columns_are_as_agreed"}, "unique"),
    ],
    ids=["type", "mixes days", "severity", "twice"],
)
def test_a_rule_that_a_range_cannot_answer_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = _suite(tmp_path, lambda found: found["expectations"][0].update(change))
    with pytest.raises(SuiteError, match=message):
        read_suite(path)


# -- reviewed files ----------------------------------------------------------------------------------------------------

GOOD = """
- days: [2026-08-01, 2026-08-02]
  check: a.b
  reason: known
  owner: team:x
  until: 2026-12-31
"""


def test_a_waiver_is_read_with_its_days_and_its_end(tmp_path: Path) -> None:
    path = tmp_path / "waivers.yaml"
    path.write_text(GOOD)
    (found,) = read_waivers(path)
    assert (found.first, found.last, found.until) == (date(2026, 8, 1), date(2026, 8, 2), date(2026, 12, 31))
    path.write_text(GOOD.replace("[2026-08-01, 2026-08-02]", "2026-08-01"))
    assert read_waivers(path)[0].last == date(2026, 8, 1)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("  reason: known\n", "", "reason is missing"),
        ("  until: 2026-12-31\n", "", "until is missing"),
        ("until: 2026-12-31", "until: soon", "until must be a day"),
        ("until: 2026-12-31", "until: 2026-12-31T12:00:00", "until must be a day"),
        ("until: 2026-12-31", 'until: "2026-12-31"', "until must be a day"),
        ("[2026-08-01, 2026-08-02]", "[2026-08-02, 2026-08-01]", "days end before"),
        ("[2026-08-01, 2026-08-02]", "[2026-08-02]", "days must be"),
        ("[2026-08-01, 2026-08-02]", "all", "days must be a day"),
        ("check: a.b", "check: everything", "check must name one rule"),
        ("check: a.b", "check: [a.b]", "check must be a text"),
        ("owner: team:x", "owner: ''", "owner must be a text"),
        ("owner: team:x", "owner: team:x\n  extent: all", "extent is not known"),
        ("- days", "  days", "must hold a list"),
    ],
)
def test_a_waiver_with_a_mistake_is_refused_with_file_and_key(tmp_path: Path, old: str, new: str, key: str) -> None:
    path = tmp_path / "waivers.yaml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ReviewedFileError, match=rf"waivers\.yaml.*{re.escape(key)}"):
        read_waivers(path)


def test_other_reviewed_files_are_as_strict(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("- {rule: a.b, source: '*', value: lots, reason: r, owner: o}")
    with pytest.raises(ReviewedFileError, match=r"file\.yaml, entry 1: value must be a number"):
        read_tolerances(path)
    path.write_text("- {rule: a.b, source: x, value: 1, reason: r, owner: o}\n" * 2)
    with pytest.raises(ReviewedFileError, match="stand twice"):
        read_tolerances(path)
    path.write_text("- {days: 2026-08-01, reason: r}")
    with pytest.raises(ReviewedFileError, match="owner is missing"):
        read_incidents(path)
    path.write_text("- [")
    with pytest.raises(ReviewedFileError, match="is not YAML"):
        read_incidents(path)
    assert read_incidents(tmp_path / "no such file.yaml") == ()
