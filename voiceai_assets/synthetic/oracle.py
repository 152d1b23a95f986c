"""What could be known at best: of the next turn, and of how the session ends, seen from each turn.

Belongs here: what follows from the truth by probability alone: frailty given all that a caller has done, and simulating
the rest of a session. Does not belong here: the hazard of the next step itself, which stands in the turns.

Two kinds of observer. One knows everything, frailty included. The other knows every column of every turn that the
caller has made until now, in this session and before, but no frailty: it can be no better told apart by any model of
these columns, so the AUC of ``Known`` is an upper bound in expectation. (``Turns.hazard_seen`` is none once a model
knows the caller's history: it knows this session alone.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from voiceai_assets.synthetic.config import MAX_TURNS, OUTCOMES, Hazard, WorldConfig
from voiceai_assets.synthetic.dialogue import ABANDONED, converse
from voiceai_assets.synthetic.streams import Floats
from voiceai_assets.synthetic.world import Block, live

_ROWS_AT_ONCE = 200_000
_NODES, _WIDEST = 41, 4.5  # of frailty, in standard deviations; even steps, since a posterior may be narrow


@dataclass(frozen=True, eq=False)
class Known:
    """What all columns of a caller's turns until now say, one row per turn.

    Attributes:
        hazard: chance to give up after the turn: the mean over what frailty may be. Shape (turns,).
        nodes: values of frailty. Shape (nodes,).
        if_stays: probability of each, once the caller has stayed. Shape (turns, nodes).
    """

    hazard: Floats
    nodes: Floats
    if_stays: Floats

    def of(self, rows: slice) -> Known:
        """These turns."""
        return Known(self.hazard[rows], self.nodes, self.if_stays[rows])

    def frailties(self, draws: int, rng: np.random.Generator) -> Floats:
        """So many draws of the frailty of who stays, for each turn. Shape (turns, draws)."""
        below = np.cumsum(self.if_stays, axis=1)
        found = np.empty((len(below), draws))
        for draw in range(draws):
            chosen = (below < rng.random(len(below))[:, None]).sum(axis=1)
            found[:, draw] = self.nodes[np.minimum(chosen, len(self.nodes) - 1)]
        return found


def known(hazard: Hazard, turns: pd.DataFrame, sessions: pd.DataFrame) -> Known:
    """Bayes on frailty: each turn that a caller stayed, or gave up, says something of it.

    Args:
        hazard: of the world.
        turns: of ``World.facts``, with ``true_hazard``. What lies before its first day is unknown.
        sessions: the same; no two of a caller overlap.

    Raises:
        ValueError: in a world with day shocks, which all callers of a day would betray.
    """
    if hazard.day_shock:
        raise ValueError("day_shock: what others did on the day would have to be taken into account")
    of = sessions.set_index("session_id")[["started_at", "true_frailty", "final_outcome"]].loc[turns["session_id"]]
    frailty = of["true_frailty"].to_numpy()
    nodes = np.linspace(-_WIDEST, _WIDEST, _NODES) * hazard.frailty if hazard.frailty else np.zeros(1)
    chance = expit((logit(turns["true_hazard"].to_numpy()) - frailty)[:, None] + nodes)
    is_last = ~turns["session_id"].duplicated(keep="last").to_numpy()
    gave_up = is_last & (of["final_outcome"].to_numpy() == OUTCOMES[ABANDONED])
    with np.errstate(divide="ignore"):
        said = np.where(gave_up[:, None], np.log(chance), np.log1p(-chance))

    order = np.lexsort((turns["turn_number"], of["started_at"], turns["user_id"]))
    user = turns["user_id"].to_numpy()[order]
    sums = np.cumsum(said[order], axis=0) - said[order]
    first = np.flatnonzero(np.append(True, user[1:] != user[:-1]))
    before = np.empty_like(sums)
    before[order] = sums - np.repeat(sums[first], np.diff(np.append(first, len(user))), axis=0)
    prior = -((nodes / hazard.frailty) ** 2) / 2 if hazard.frailty else np.zeros(1)
    now = _normalised(prior + before)
    return Known((now * chance).sum(axis=1), nodes, _normalised(prior + before + np.log1p(-chance)))


def _normalised(logarithms: Floats) -> Floats:
    weights = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    found: Floats = weights / weights.sum(axis=1, keepdims=True)
    return found


def landmark(
    config: WorldConfig,
    block: Block,
    draws: int,
    seed: int = 0,
    *,
    hazard: Floats | None = None,
    frailties: Floats | None = None,
) -> Floats:
    """Chance that the session ends abandoned, for each turn, for somebody who knows everything up to it.

    The next step is exact, what lies beyond it is the mean over ``draws`` futures: the standard error of a value is at
    most .5 / sqrt(draws), that of a mean over turns vanishes. Outages are not foreseen.

    Args:
        config: the world.
        block: whose turns.
        draws: futures of each turn.
        seed: of the futures.
        hazard: of the next step, for an observer who does not know the frailty (``Known.hazard``); else the true one.
        frailties: what frailty is in each future (``Known.frailties``); else the true one. The observer still knows the
            caller's and the session's level of ASR confidence, so even this is an upper bound.
    """
    rng = np.random.default_rng([config.seed, block.day.number, seed])
    turns, start = block.turns, live(config, block.day, block.sessions)
    # frailty is part of the state, so nothing has to be integrated
    settled = replace(config, hazard=replace(config.hazard, frailty=0.0))
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
            if frailties is not None:
                state = replace(state, unseen=frailties[part].ravel())
            futures = converse(settled, state, (), rng, first_turn=k + 1)
            ends = futures.ended[futures.ended >= 0] == ABANDONED
            later[part] = ends.reshape(len(part), draws).mean(axis=1)
    next_step = turns.hazard if hazard is None else hazard
    stays = (1 - next_step) * (1 - turns.transfer) * (1 - turns.complete)
    found: Floats = next_step + stays * later
    return found
