"""The day series as a CSV file that a spreadsheet can open without running anything in it.

Belongs here: columns and escaping. Does not belong here: HTTP (``app``), SQL (``queries``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from typing import Any

from voiceai_assets.dashboard.days import Day, days_of
from voiceai_assets.dashboard.queries import Numbers, Snapshot
from voiceai_assets.dashboard.tiles import TILES

#: A spreadsheet takes a cell that starts with one of these for a formula (OWASP, CSV injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def neutral(cell: Any) -> Any:
    """A text that would be a formula gets a quote in front; numbers, negative ones too, stay as they are."""
    if isinstance(cell, str) and cell.lstrip(" ").startswith(_FORMULA_STARTS):
        return f"'{cell}"
    return cell


def days_csv(snapshot: Snapshot) -> str:
    """One row per known day of the range; numbers of a day that is not certified stay empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    estimates = [f"{tile.key}{part}" for tile in TILES for part in ("", "_low", "_high", "_n", "_users")]
    writer.writerow([*_STANDING, "sessions", "in_progress", *estimates])
    numbers = _by_day(snapshot.numbers) if snapshot.numbers else {}
    nothing = [None] * (len(estimates) + 2)
    for day in days_of(snapshot.days):
        found = numbers.get(day.day, nothing) if day.is_certified else nothing
        writer.writerow([neutral(cell) for cell in [*_standing(day), *found]])
    return out.getvalue()


_STANDING = ["day", "status", "reason", "landed", "loaded", "quarantined", "duplicate", "version", "certificate_id"]


def _standing(day: Day) -> Sequence[Any]:
    return [
        day.day.isoformat(),
        day.status,
        day.why(),
        day.landed_records,
        day.rows_loaded,
        day.rows_quarantined,
        day.rows_duplicate,
        day.version,
        day.certificate_id,
    ]


def _by_day(numbers: Numbers) -> dict[date, list[Any]]:
    """Sessions, sessions in progress, and each metric's estimate, interval, denominator and users."""
    found: dict[date, list[Any]] = {day: [row["sessions"], row["in_progress"]] for day, row in numbers.rows().items()}
    for tile in TILES:
        for day, sums in numbers.sums_of_days(tile.key).items():
            rate = tile.estimate(sums)
            is_withheld = tile.key in numbers.withheld
            said = [None if is_withheld else value for value in (rate.estimate, rate.low, rate.high)]
            found[day] += [*said, rate.denominator, rate.n_users]
    return found
