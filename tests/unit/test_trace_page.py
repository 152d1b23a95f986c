"""The trace page's address and what it shows, without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from voiceai_assets.dashboard.trace import DEFAULT_MART, Trace, asked, page

DAY = date(2026, 8, 1)
AT = datetime(2026, 8, 2, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"mart": "sla_daily", "day": "2026-08-01"}, ("sla_daily", DAY)),
        ({"mart": "certified.sla_daily", "day": "2026-08-01"}, ("sla_daily", DAY)),
        ({}, (DEFAULT_MART, None)),
        ({"mart": "raw.turns", "day": "tomorrow"}, (DEFAULT_MART, None)),
        ({"mart": "'; drop table x", "day": "2026-13-01"}, (DEFAULT_MART, None)),
    ],
)
def test_what_an_address_asks_for_and_what_cannot_be_used(arguments: dict[str, str], found: tuple[str, Any]) -> None:
    assert asked(arguments) == found


def _version(number: int, *, is_live: bool) -> dict[str, Any]:
    return {
        "version": number, "load_id": "l", "certificate_id": f"c{number}", "row_count": 2, "content_sha256": "s",
        "is_live": is_live, "published_at": AT,
    }  # fmt: skip


def test_the_live_version_is_shown_else_the_newest() -> None:
    versions = [_version(2, is_live=False), _version(1, is_live=True)]
    assert Trace("m", DAY, versions=versions).shown == versions[1]
    withdrawn = Trace(DEFAULT_MART, DAY, versions=[_version(2, is_live=False)])
    assert withdrawn.shown == _version(2, is_live=False)
    assert "Withdrawn" in page(withdrawn)


def test_before_anything_landed_the_page_says_so() -> None:
    assert "Nothing has landed yet" in page(Trace(DEFAULT_MART, None))


def test_a_blocked_day_says_why_and_what_to_do_and_texts_are_no_markup() -> None:
    reasons = [{"text": "not so: <script>alert(1)</script>", "mend": "convert & land again", "check": "c"}]
    waiting = [{"day": DAY, "status": "blocked", "stale_because": None, "reasons": reasons}]
    text = page(Trace(DEFAULT_MART, DAY, standing={"status": "blocked", "reasons": reasons}, waiting=waiting))
    assert "<script>" not in text
    assert "To do: convert &amp; land again" in text
    assert "no number to trace" in text


def test_the_page_has_one_heading_labelled_fields_a_skip_link_and_a_landmark() -> None:
    text = page(Trace(DEFAULT_MART, DAY, versions=[_version(1, is_live=True)], certificate={"issued_at": AT}))
    assert text.count("<h1") == 1
    assert text.count("<main") == 1
    assert text.count("<label") == text.count("<select") + text.count("<input")
    assert 'href="#main"' in text
    assert "<script" not in text
