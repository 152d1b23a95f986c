"""The sample that lands when landing is empty: thirty days of the world, one canonical file each, one bad on purpose.

Belongs here: which world that is. Does not belong here: how a world is made (``world``) and written (``generate``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from voiceai_assets.synthetic.config import Effect, Release, WorldConfig
from voiceai_assets.synthetic.generate import write_all
from voiceai_assets.synthetic.sources.canonical import Canonical, Distort
from voiceai_assets.synthetic.streams import Floats
from voiceai_assets.synthetic.world import DAY_MS, Block, World

SESSIONS_PER_USER = 5  # of those who could call; in 30 days of 120 sessions about 700 do
MINIMUM_USERS = 30
BAD_DAY_OFFSET = 3  # days before the last one


def bad_day(last_day: date) -> date:
    """The day whose ASR confidences are natural logarithms, as if the emitter had been released with a bug."""
    return last_day - timedelta(days=BAD_DAY_OFFSET)


def sample_world(last_day: date, days: int, sessions_per_day: int, seed: int) -> World:
    """The world of the sample: a new release in the middle, nobody calls across midnight into the bad day or the end.

    Log scores would reach sessions of the day before, and the sample would show two bad days instead of one.

    Raises:
        ValueError: when ``days`` or ``sessions_per_day`` is below 1.
    """
    middle = -(-days // 2)
    newer = (Release(middle, "dialogue-1.5", Effect(asr=0.2, llm_factor=0.86)),) if days > 1 else ()
    return World(
        WorldConfig(
            first_day=last_day - timedelta(days=days - 1),
            days=days,
            users=max(MINIMUM_USERS, days * sessions_per_day // SESSIONS_PER_USER),
            sessions_per_day=sessions_per_day,
            seed=seed,
            releases=(Release(0, "dialogue-1.4"), *newer),
            calm_midnights=frozenset({days - 1 - BAD_DAY_OFFSET}),
            cut_at_end=False,
        )
    )


def write_sample(
    folder: Path,
    last_day: date,
    days: int = 30,
    sessions_per_day: int = 120,
    seed: int = 20260801,
    *,
    on_day: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write ``turns-YYYY-MM-DD.jsonl`` for each of ``days`` days that end on ``last_day``.

    Each file appears at once under its name (hidden temporary file, then rename), so a sensor that watches the folder
    never sees half a day. The same arguments give the same bytes (under one version of the libraries).

    Args:
        folder: made if missing; files of the same name are replaced.
        last_day: last day of the sample, in UTC.
        days: number of days, at least 1. With fewer than four there is no bad day.
        sessions_per_day: average over a week; weekdays have more, weekends fewer.
        seed: of the random numbers.
        on_day: called with each day (ISO) after its file is in place, for a progress bar.

    Returns:
        The files, oldest first.

    Raises:
        ValueError: when ``days`` or ``sessions_per_day`` is below 1.
    """
    world = sample_world(last_day, days, sessions_per_day, seed)
    source = Canonical(distort=log_scores(days - 1 - BAD_DAY_OFFSET)).source()
    report = None if on_day is None else lambda written: on_day(world.config.day(written.number).isoformat())
    return write_all(world, source, folder, on_day=report)


def log_scores(day: int) -> Distort:
    """An emitter that writes natural logarithms instead of confidences on the day of that number."""

    def distort(block: Block, asr: Floats) -> Floats:
        is_wrong = (block.turns.at_ms < DAY_MS) & (block.day.number == day)
        return np.where(is_wrong, np.log(asr), asr)

    return distort
