"""Every PartitionsDefinition, with the reason for its start and its end."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg

from voiceai_assets.settings import Settings

_FIRST_DAY_FILE = "first_day"
DAYS_BEFORE_ANYTHING_LANDED = 30
YEARS_OF_HISTORY = 25


def today(settings: Settings) -> date:
    """The day it is where the turns come from."""
    return datetime.now(UTC).astimezone(ZoneInfo(settings.source_timezone)).date()


def first_day(settings: Settings) -> date:
    """Start of the partitions: the setting, else the earliest day that ever landed, else a month ago.

    A fixed early default would bury a month of data in a partition bar of thirteen years; starting at the data keeps
    the one bad day visible in the Dagster UI.
    """
    if settings.start_date is not None:
        return settings.start_date
    path = settings.home / _FIRST_DAY_FILE
    if path.exists():
        return date.fromisoformat(path.read_text().strip())
    return today(settings) - timedelta(days=DAYS_BEFORE_ANYTHING_LANDED)


def remember_first_day(settings: Settings, home_days: list[str]) -> bool:
    """Move the start back when older files landed; True when it moved (code locations must be loaded again).

    ``home_days`` is the day most records of each file belong to, so a stray time stamp among others moves nothing; nor
    does a file of some broken clock, from 1900 or 1970: beyond so many years the start must be set.
    """
    oldest = (today(settings) - timedelta(days=round(365.25 * YEARS_OF_HISTORY))).isoformat()
    possible = [day for day in home_days if day >= oldest]
    if settings.start_date is not None or not possible:
        return False
    path: Path = settings.home / _FIRST_DAY_FILE
    earliest = min(*possible, today(settings).isoformat())
    if path.exists() and path.read_text().strip() <= earliest:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")  # whoever reads meanwhile, and whoever is killed, leaves a day
    draft.write_text(earliest + "\n")
    draft.replace(path)
    return True


def daily(settings: Settings) -> dg.DailyPartitionsDefinition:
    """One partition per day of the source's zone, today included (``end_offset=1``): files land during the day."""
    return dg.DailyPartitionsDefinition(
        start_date=first_day(settings).isoformat(), timezone=settings.source_timezone, end_offset=1
    )
