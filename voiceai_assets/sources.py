"""What each source can tell (``dbt_project/seeds/sources.csv``), as far as Python needs to know.

Belongs here: reading that seed. Does not belong here: how a source is read (``adapters``).
"""

from __future__ import annotations

import csv
import functools

from voiceai_assets.settings import REPOSITORY

SOURCES = REPOSITORY / "dbt_project" / "seeds" / "sources.csv"


@functools.cache
def _timeouts() -> tuple[int, ...]:
    with SOURCES.open(newline="") as rows:
        return tuple(
            int(row["session_timeout_minutes"]) for row in csv.DictReader(rows) if row["session_timeout_minutes"]
        )


def longest_timeout_minutes(default: int) -> int:
    """Silence after which a session of any source has ended; ``default`` is that of sources without one of their own.

    What waits for the longest waits for every source: a day is built again once too often rather than left open, and
    an end counts as known late rather than early.
    """
    return max((default, *_timeouts()))
