"""The report's arithmetic, and what it looks like, without a database."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from typing import Any

import pytest

from voiceai_assets.checks.suites import Suite, all_suites
from voiceai_assets.governance.report import (
    Failure,
    Report,
    as_csv,
    as_html,
    as_json,
    coverage,
    failures,
    freshness,
    median_hours,
)
from voiceai_assets.governance.standing import Standing, ungoverned
from voiceai_assets.warehouse.marts import Mart

NOW = datetime(2026, 8, 10, 12, tzinfo=UTC)


def _at(day: int, hour: int = 8) -> datetime:
    return datetime(2026, 8, day, hour, tzinfo=UTC)


def _day(day: str, status: str = "certified", **more: Any) -> dict[str, Any]:
    return {
        "day": day, "status": status, "why": "", "what_next": "", "reasons": [], "landed_records": 3, "rows_loaded": 3,
        "rows_quarantined": 0, "rows_duplicate": 0, "version": 1, "certificate_id": "c", "published_at": _at(5),
        "first_published_at": _at(5), **more,
    }  # fmt: skip


def test_coverage_counts_known_days_and_names_silent_ones() -> None:
    days = [_day("2026-08-01"), _day("2026-08-02", "blocked"), _day("2026-08-04", "certified with warnings")]
    found = coverage(days, date(2026, 8, 1), date(2026, 8, 5))
    assert (found["certified_days"], found["known_days"], found["calendar_days"]) == (2, 3, 5)
    assert found["silent_days"] == ["2026-08-03", "2026-08-05"]
    assert coverage([], date(2026, 8, 1), date(2026, 8, 1))["share_of_known"] is None


def _verdict(day: str, status: str, at: datetime) -> dict[str, Any]:
    return {"day": day, "status": status, "reasons": [{"text": f"because {status}"}], "decided_at": at}


def test_a_failure_lasts_from_its_first_block_until_the_next_certificate() -> None:
    verdicts = [
        _verdict("2026-08-01", "blocked", _at(2, 8)),
        _verdict("2026-08-01", "blocked", _at(2, 10)),
        _verdict("2026-08-01", "certified", _at(2, 20)),
        _verdict("2026-08-01", "blocked", _at(3, 8)),
        _verdict("2026-08-02", "certified", _at(3, 9)),
    ]
    mended, still_open = failures(verdicts, NOW)
    assert (mended.hours, mended.mended_at) == (12.0, _at(2, 20))
    assert (still_open.hours, still_open.mended_at) == (7 * 24 + 4.0, None)
    assert median_hours([mended, still_open]) == 12.0
    assert median_hours([still_open]) is None


def test_freshness_is_counted_from_the_end_of_a_day() -> None:
    found = freshness([_day("2026-08-04"), _day("2026-08-05", "blocked")], NOW)
    assert found["newest_certified_day"] == "2026-08-04"
    assert found["hours_since_it_ended"] == 5 * 24 + 12
    assert found["median_hours_from_end_of_day_to_certificate"] == 8
    assert freshness([], NOW)["newest_certified_day"] is None


def _report(**more: Any) -> Report:
    blocked = _day(
        "2026-08-02", "blocked", why="not so: <b>x</b>", what_next="=mend()", version=None, certificate_id=None
    )
    days = [_day("2026-08-01"), blocked]
    values: dict[str, Any] = {
        "first": "2026-08-01",
        "last": "2026-08-03",
        "as_of": NOW,
        "code_revision": "abcdef",
        "chain": {"certificates": 1, "head": "f" * 64},
        "coverage": coverage(days, date(2026, 8, 1), date(2026, 8, 3)),
        "days": days,
        "failures": [Failure("2026-08-02", _at(3), None, 172.0, "not so")],
        "checks": [],
        "warnings": [],
        "contradictions": [],
        "withheld": [],
        "gaps": [
            {
                "source": "canonical",
                "comparison": "rural callers less urban ones",
                "observed": "-3.1 (-5.0 to -1.2)",
                "standardised": "-0.4 (-2.1 to +1.3)",
                "compared": "97%",
                "sessions": "400 and 600",
            }
        ],
        "quarantine": [],
        "restatements": [],
        "erasures": [],
        "freshness": freshness(days, NOW),
        "standing": (Standing("no_day_is_left_failed_or_stale", ("2026-08-02 is blocked",), "voiceai status"),),
    }
    return Report(**{**values, **more})


def test_the_page_needs_no_other_file_and_says_first_what_waits() -> None:
    page = as_html(_report())
    assert not re.search(r"(src|href)=", page)
    assert "https://" not in page
    assert page.index("What waits for somebody") < page.index("Coverage")
    assert "2026-08-02" in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page, "what a check says is text, not markup"
    assert "<b>x</b>" not in page
    assert page.count("<rect") == 3 + 5, "a square for each day of the calendar, and the legend's"


def test_an_empty_period_is_a_page_too() -> None:
    empty = _report(days=[], failures=[], coverage=coverage([], date(2026, 8, 1), date(2026, 8, 1)),
                    freshness=freshness([], NOW), chain={"certificates": 0, "head": None})  # fmt: skip
    page = as_html(empty)
    assert "every known day is certified" in page
    assert "0 of 0" in page


def test_json_holds_everything_and_csv_runs_nothing() -> None:
    document = json.loads(as_json(_report()))
    assert document["coverage"]["certified_days"] == 1
    assert document["failures"][0]["mended_at"] is None
    lines = as_csv(_report()).split("\r\n")
    assert len(lines) == 1 + 2 + 1
    assert "'=mend()" in lines[2]


MART = Mart("m", "daily", "session_date", "team:voice", "Grain: one row per day and something else.", ("session_date",))


def _suite(table: str) -> Suite:
    one = all_suites()[0]
    return Suite(**{**vars(one), "table": table})


@pytest.mark.parametrize(
    ("mart", "tables", "contracts", "lacking"),
    [
        (MART, ["marts.m"], {"m": True}, ()),
        (MART, ["marts.other"], {"m": True}, ("m has no suite",)),
        (MART, ["marts.m"], {"m": False}, ("m has no contract",)),
        (MART, ["marts.m"], {}, ("m has no contract",)),
        (Mart("m", "daily", "d", "somebody", "", ()), [], {}, ("m has no owner, description, suite, contract",)),
    ],
)
def test_a_mart_that_nobody_governs_says_what_it_lacks(
    mart: Mart, tables: list[str], contracts: dict[str, bool], lacking: tuple[str, ...]
) -> None:
    assert ungoverned([mart], [_suite(table) for table in tables], contracts) == lacking
