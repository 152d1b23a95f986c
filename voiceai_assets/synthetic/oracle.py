"""The landmark truth: how likely a session ends abandoned, seen from each of its turns.

Belongs here: simulating the rest of a session many times from the state it was in. Does not belong here: the hazard of
the next step, which is exact and stands in the turns.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from voiceai_assets.synthetic.config import MAX_TURNS, WorldConfig
from voiceai_assets.synthetic.dialogue import ABANDONED, converse
from voiceai_assets.synthetic.streams import Floats
from voiceai_assets.synthetic.world import Block, live

_ROWS_AT_ONCE = 200_000


def landmark(config: WorldConfig, block: Block, draws: int, seed: int = 0) -> Floats:
    """Chance that the session ends abandoned, for each turn, for somebody who knows everything up to it.

    The next step is exact, what lies beyond it is the mean over ``draws`` futures: the standard error of a value is at
    most .5 / sqrt(draws), that of a mean over turns vanishes. Outages are not foreseen.
    """
    rng = np.random.default_rng([config.seed, block.day.number, seed])
    turns, start = block.turns, live(config, block.day, block.sessions)
    # frailty is part of the state, so nothing has to be integrated
    known = replace(config, hazard=replace(config.hazard, frailty=0.0))
    later = np.zeros(len(turns.session))
    for k in range(1, MAX_TURNS):
        rows = np.flatnonzero(turns.k == k)
        for part in np.array_split(rows, max(1, -(-len(rows) * draws // _ROWS_AT_ONCE))):
            if not len(part):
                continue
            many = np.repeat(part, draws)
            state = replace(
                start.keep(turns.session[many]),
                session=np.arange(len(many), dtype=np.int64),
                errors_in_row=turns.errors_in_row[many],
                asr_sum=np.nan_to_num(turns.asr_mean[many] * k),
            )
            futures = converse(known, state, (), rng, first_turn=k + 1)
            ends = futures.ended[futures.ended >= 0] == ABANDONED
            later[part] = ends.reshape(len(part), draws).mean(axis=1)
    stays = (1 - turns.hazard) * (1 - turns.transfer) * (1 - turns.complete)
    found: Floats = turns.hazard + stays * later
    return found
