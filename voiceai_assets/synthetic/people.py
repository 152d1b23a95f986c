"""Callers: what each of them is, and which of them call on a day. Nothing is stored; everything is hashed from numbers.

Belongs here: fixed traits, the choice of a day's callers. Does not belong here: what they say (``dialogue``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceai_assets.synthetic.config import WorldConfig
from voiceai_assets.synthetic.days import Calendar, Day
from voiceai_assets.synthetic.streams import Floats, Ints, Stream, choose, normals, uniforms

#: Callers of one block; fixed, so that the same world comes out however it is asked for.
USERS_PER_BLOCK = 65_536


@dataclass(frozen=True, eq=False)
class Traits:
    """Fixed traits of some callers, one element each.

    Attributes:
        is_rural: lives in the country.
        language: index into ``LANGUAGES``.
        has_disability: declares one.
        clarity: logit of ASR confidence (mean 0).
        frailty: logit of the hazard (mean 0).
    """

    is_rural: NDArray[np.bool_]
    language: NDArray[np.int8]
    has_disability: NDArray[np.bool_]
    clarity: Floats
    frailty: Floats


def traits(config: WorldConfig, calendar: Calendar, users: Ints) -> Traits:
    """Who these callers are."""
    seed = config.seed
    return Traits(
        is_rural=_is_rural(seed, calendar, users),
        language=choose(config.population.language, uniforms(seed, Stream.LANGUAGE, users)),
        has_disability=uniforms(seed, Stream.DISABILITY, users) < config.population.disability,
        clarity=config.speech.user_sd * normals(seed, Stream.CLARITY, users),
        frailty=config.hazard.frailty * normals(seed, Stream.FRAILTY, users),
    )


def blocks(day: Day) -> int:
    """How many blocks of callers a day has."""
    return -(-day.joined // USERS_PER_BLOCK)


def callers(config: WorldConfig, calendar: Calendar, day: Day, block: int) -> Ints:
    """Numbers of the callers of a block who call on the day, ascending; newcomers among them always do.

    A caller's activity is exponential with mean 1, and the chance to call is 1 - exp(-rate * activity); its mean over
    callers is rate / (1 + rate), which is solved for the chance that the day aims at.
    """
    users = np.arange(block * USERS_PER_BLOCK, min((block + 1) * USERS_PER_BLOCK, day.joined), dtype=np.int64)
    rate = np.array([chance / (1 - chance) for chance in day.calling])
    # 1 - exp(-rate * -log(u)) = 1 - u ** rate
    rates = np.where(_is_rural(config.seed, calendar, users), rate[0], rate[1])
    chance = 1 - uniforms(config.seed, Stream.ACTIVITY, users) ** rates
    chance[users >= day.known] = 1.0
    draw = uniforms(config.seed, Stream.CALLS_ON_DAY, users, day.number)
    calling = draw < chance
    if block == 0 and not calling.any():
        calling[np.argmin(draw - chance)] = True  # a service without a single call would look like one that is down
    found: Ints = users[calling]
    return found


def _is_rural(seed: int, calendar: Calendar, users: Ints) -> NDArray[np.bool_]:
    return uniforms(seed, Stream.REGION, users) < calendar.rural_share_at_joining(users)
