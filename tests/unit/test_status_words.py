"""What `voiceai status` says of days: each reason once, for all the days it holds for."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from voiceai_assets.cli.days import _of_one_kind, _span, _why

FIRST = date(2026, 8, 1)


def _row(offset: int, status: str, check: str = "", observed: int = 0, **more: Any) -> dict[str, Any]:
    reasons = [{"check": check, "text": f"x ({observed})", "mend": "mend"}] if check else []
    day = FIRST + timedelta(days=offset)
    return {"day": day, "status": status, "stale_because": None, "reasons": reasons, **more}


def _said(*rows: dict[str, Any]) -> list[str]:
    return [f"{_span(days)} {days[0]['status']}: {why}" for days in _of_one_kind(list(rows)) if (why := _why(days))]


def test_days_with_one_reason_are_one_line_and_what_blocks_comes_last() -> None:
    said = _said(
        _row(0, "blocked", "s.a", 7),
        *(_row(n, "certified with warnings", "s.w", n) for n in (1, 2, 3, 5)),
        _row(4, "certified"),
        _row(9, "blocked", "s.a", 8),
    )
    assert said == [
        "4 days from 2026-08-02 to 2026-08-06 certified with warnings: on 2026-08-02, x (1) [s.w]. What next: mend",
        "2026-08-01, 2026-08-10 blocked: on 2026-08-01, x (7) [s.a]. What next: mend",
    ]


def test_other_reasons_are_other_lines() -> None:
    assert len(_said(_row(0, "blocked", "s.a"), _row(1, "blocked", "s.b"))) == 2
    stale = [_row(n, "stale", stale_because=why) for n, why in enumerate(["files", "files", "code"])]
    assert _said(*stale) == [
        "2026-08-01, 2026-08-02 stale: files; voiceai materialize --from 2026-08-01 --to 2026-08-02",
        "2026-08-03 stale: code; voiceai materialize --from 2026-08-03",
    ]


def test_days_that_wait_are_named_as_ranges_that_a_command_can_run() -> None:
    assert _said(*(_row(n, "not loaded") for n in (0, 1, 9))) == [
        "2026-08-01, 2026-08-02 not loaded: voiceai materialize --from 2026-08-01 --to 2026-08-02",
        "2026-08-10 not loaded: voiceai materialize --from 2026-08-10",
    ]
