"""What each day of the world has in store: how many sessions, who may call, which release serves, what is shifted.

Belongs here: volume, mix and everything else that depends on the day alone, known before anything is drawn.
Does not belong here: callers (``people``), sessions (``dialogue``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import numpy as np

from voiceai_assets.synthetic.config import WorldConfig
from voiceai_assets.synthetic.streams import Floats, Ints, Stream, normals

HOUR_WEIGHT = (1, 1, 1, 1, 1, 2, 4, 8, 12, 14, 14, 12, 10, 11, 12, 11, 9, 8, 8, 7, 5, 3, 2, 1)
MOST_NEWCOMERS = 0.3  # of a day's sessions; whoever is over was known before
MOST_CALLING = 0.9  # of those who could, on one day
_ABANDONED = 0.3  # roughly, to know how many call back


@dataclass(frozen=True)
class Day:
    """One day.

    Attributes:
        number: 0 is the first.
        date: in UTC.
        known: callers that joined before; users 0 to known - 1.
        joined: callers that joined by the end of it; users known to joined - 1 have their first session on it.
        calling: chance that a known caller calls, by rural and urban.
        rural: share of rural callers that the mix aims at.
        release: index of the release that serves.
        asr_shift: logit added to every ASR confidence (drift).
        shock: logit added to every hazard (day shock).
        may_cross: sessions may reach into the next day.
    """

    number: int
    date: date
    known: int
    joined: int
    calling: tuple[float, float]
    rural: float
    release: int
    asr_shift: float
    shock: float
    may_cross: bool


class Calendar:
    """All days of a world; a few numbers for each."""

    def __init__(self, config: WorldConfig) -> None:
        self._config = config
        volume = self._volume()
        people = config.population
        newcomers = min((1 - people.known_before) * config.users, MOST_NEWCOMERS * volume.sum())
        known = config.users - int(newcomers)
        joined = known + np.floor(int(newcomers) * np.cumsum(volume) / volume.sum() + 1e-9).astype(np.int64)
        self._joined: Ints = np.concatenate([[known], joined])
        self._volume_of_day = volume
        steps = np.arange(config.days) / max(config.days - 1, 1)
        self._rural: Floats = people.rural + people.rural_shift * steps
        self._shock = config.hazard.day_shock * normals(config.seed, Stream.DAY_SHOCK, np.arange(config.days))

    def _volume(self) -> Floats:
        """Sessions that each day aims at."""
        config, people = self._config, self._config.population
        days = [config.day(number) for number in range(config.days)]
        weekday = np.array([people.weekday[day.weekday()] for day in days])
        season = np.array(
            [1 + people.season * math.sin(2 * math.pi * day.timetuple().tm_yday / 365.25) for day in days]
        )
        growth = 1 + people.growth * np.arange(config.days) / max(config.days - 1, 1)
        volume: Floats = config.sessions_per_day * weekday * season * growth
        return volume

    def rural_share_at_joining(self, users: Ints) -> Floats:
        """Share of rural callers among those who joined when each of these did; the first day's for those before."""
        day = np.searchsorted(self._joined, users, side="right") - 1
        shares: Floats = self._rural[np.clip(day, 0, None)]
        return shares

    def day(self, number: int) -> Day:
        """The day of that number.

        Raises:
            IndexError: when the world has no such day.
        """
        config = self._config
        if not 0 <= number < config.days:
            raise IndexError(f"the world has days 0 to {config.days - 1}, not {number}")
        known, joined = int(self._joined[number]), int(self._joined[number + 1])
        return Day(
            number=number,
            date=config.day(number),
            known=known,
            joined=joined,
            calling=self._calling(number, known, joined),
            rural=float(self._rural[number]),
            release=sum(release.day <= number for release in config.releases) - 1,
            asr_shift=config.speech.drift_per_30_days * number / 30,
            shock=float(self._shock[number]),
            may_cross=number + 1 not in config.calm_midnights and (config.cut_at_end or number + 1 < config.days),
        )

    def _calling(self, number: int, known: int, joined: int) -> tuple[float, float]:
        callbacks = 1 + self._config.population.callback * _ABANDONED
        wanted = max(self._volume_of_day[number] / callbacks - (joined - known), 0.0)
        # who is there was drawn with the mix of the day of joining; the mix of today is made by who calls
        newcomers = np.diff(self._joined[: number + 1])
        there = self._joined[0] * self._rural[0] + float(newcomers @ self._rural[:number])
        share_there, share = there / known, float(self._rural[number])
        chance = wanted / known
        rural = chance * share / share_there if share_there > 0 else 0.0
        urban = chance * (1 - share) / (1 - share_there) if share_there < 1 else 0.0
        return min(rural, MOST_CALLING), min(urban, MOST_CALLING)
