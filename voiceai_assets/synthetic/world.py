"""The synthetic world: users, sessions and turns with a known truth, a day and a block at a time.

Belongs here: putting calendar, callers and dialogue together.
Does not belong here: data frames (``frames``), files (``files``), words (``texts``).

How to use it::

    from voiceai_assets.synthetic.config import Hazard, WorldConfig, curved, linear, null_asr
    from voiceai_assets.synthetic.world import World

    world = World(linear(users=3000, days=40, sessions_per_day=300, seed=1))
    turns, sessions = world.facts()          # all days; columns of the certified facts, plus ``true_...``
    turns, sessions = world.facts(0, 9)      # days 0 to 9: the same rows
    for block in world.blocks(3):            # day 3 as numpy columns, bounded memory whatever the number of users
        block.turns.hazard, block.sessions.user
    world.config.hazard.asr_now              # true coefficients, on the logit and in the units of the features

Truth in ``turns``: ``true_hazard`` (chance to give up before the next turn, knowing everything),
``true_hazard_seen`` (the same knowing the session's columns but not frailty),
``true_transfer`` and ``true_complete`` (competing chances, each given that those before it did not happen); with
``landmark_draws`` also ``true_landmark`` (chance that the session ends abandoned, by simulation from the turn's
state), and ``true_hazard_known`` and ``true_landmark_known`` (both knowing the columns of all the caller's sessions
but not frailty: the bound for a model). In ``sessions``: ``true_outcome``, ``true_frailty``.

A day depends on nothing but the configuration and its number. A caller has at most one session a day, and perhaps one
more soon after having given up; no two of them overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voiceai_assets.synthetic import people
from voiceai_assets.synthetic.config import CHANNELS, MODULES, NO_EFFECT, WorldConfig
from voiceai_assets.synthetic.days import HOUR_WEIGHT, Calendar, Day
from voiceai_assets.synthetic.dialogue import (
    ABANDONED,
    IN_PROGRESS,
    LONGEST_SESSION_MS,
    Live,
    Turns,
    converse,
)
from voiceai_assets.synthetic.hazard import Bools
from voiceai_assets.synthetic.streams import Floats, Ints, Stream, Words, choose, generator, permuted, uniforms

DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
_HIDDEN_BITS = 48


@dataclass(frozen=True, eq=False)
class Sessions:
    """Sessions of a block as columns.

    Attributes:
        id: 64 bits, unique in the world.
        user: number of the caller.
        start_ms, end_ms: milliseconds since the day's midnight; the end is that of the last reply.
        is_first: the caller's first session ever.
        is_callback: again on the same day, after having given up.
        is_rural, language, has_disability, channel, module: as said; indices into the names in ``config``.
        variants: index of the variant by experiment (rows) and session (columns), -1 where not in the experiment.
        turn_count: turns that happened.
        outcome: index into ``OUTCOMES``, as it can be known: in progress where the world was cut.
        is_declared: the emitter says the outcome.
        level: logit of ASR confidence.
        offset: logit of the hazard from columns.
        unseen: logit of the hazard from what no column shows.
        frailty: the caller's part of ``unseen``.
        true_outcome: also where the world was cut.
    """

    id: Words
    user: Ints
    start_ms: Ints
    end_ms: Ints
    is_first: Bools
    is_callback: Bools
    is_rural: Bools
    language: NDArray[np.int8]
    has_disability: Bools
    channel: NDArray[np.int8]
    module: NDArray[np.int8]
    variants: NDArray[np.int8]
    turn_count: NDArray[np.int8]
    outcome: NDArray[np.int8]
    is_declared: Bools
    level: Floats
    offset: Floats
    unseen: Floats
    frailty: Floats
    true_outcome: NDArray[np.int8]

    def take(self, chosen: NDArray[np.intp] | Bools) -> Sessions:
        """These sessions."""
        return Sessions(**{part.name: getattr(self, part.name)[..., chosen] for part in fields(self)})


@dataclass(frozen=True, eq=False)
class Block:
    """Sessions that begin on a day, of one range of callers, and all their turns (also those after midnight)."""

    day: Day
    number: int
    sessions: Sessions
    turns: Turns


class World:
    """All days of a configuration; nothing is kept but a few numbers per day."""

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        self.calendar = Calendar(config)

    def blocks(self, number: int) -> Iterator[Block]:
        """The day of that number, a bounded piece at a time.

        Raises:
            IndexError: when the world has no such day.
        """
        day = self.calendar.day(number)
        for block in range(people.blocks(day)):
            users = people.callers(self.config, self.calendar, day, block)
            if len(users):
                yield self._block(day, block, users, generator(self.config.seed, number, block))

    def turns(self, number: int) -> pd.DataFrame:
        """Turns of the sessions that begin on the day of that number, with truth."""
        return self.facts(number, number)[0]

    def facts(
        self, first: int = 0, last: int | None = None, *, landmark_draws: int = 0, landmark_from: int = 0
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """(turns, sessions) of days ``first`` to ``last``, with the columns of the certified facts, and truth.

        Args:
            first: number of a day.
            last: number of a day, included; the last one by default.
            landmark_draws: simulated futures of each turn for ``true_landmark``; none by default. An AUC of 20 draws
                is too low by a tenth of its lift, one of 200 by a hundredth.
            landmark_from: number of the first day whose futures are simulated; NaN before.
        """
        from voiceai_assets.synthetic.frames import facts

        days = range(first, self.config.days if last is None else last + 1)
        blocks = [block for number in days for block in self.blocks(number)]
        return facts(self.config, blocks, landmark_draws, landmark_from)

    # -- one block -----------------------------------------------------------------------------------------------------

    def _block(self, day: Day, number: int, users: Ints, rng: np.random.Generator) -> Block:
        starts = _starts(day, len(users), self.config.population.near_midnight, rng)
        first = self._sessions(day, users, starts, users >= day.known, rng)
        turns = self._talk(day, first, rng)
        first = _ended(first, turns)

        again = (first.outcome == ABANDONED) & (rng.random(len(users)) < self.config.population.callback)
        latest = DAY_MS if day.may_cross else DAY_MS - LONGEST_SESSION_MS
        delay = rng.integers(10 * _MINUTE_MS, 110 * _MINUTE_MS, len(users))
        chosen = np.flatnonzero(again & (first.end_ms + delay < latest))
        if len(chosen):
            starts = (first.end_ms + delay)[chosen]
            calls = self._sessions(day, users[chosen], starts, np.zeros(len(chosen), dtype=np.bool_), rng, again=True)
            more = self._talk(day, calls, rng)
            calls = _ended(calls, more)
            turns = Turns.of([turns, replace(more, session=more.session + len(users))])
            first = Sessions(
                **{p.name: np.concatenate([getattr(first, p.name), getattr(calls, p.name)], -1) for p in fields(first)}
            )
        silent = (first.outcome == ABANDONED) & (rng.random(len(first.id)) < self.config.undeclared)
        return self._cut(Block(day, number, replace(first, is_declared=~silent), turns))

    def _sessions(
        self, day: Day, users: Ints, starts: Ints, is_first: Bools, rng: np.random.Generator, *, again: bool = False
    ) -> Sessions:
        config, count = self.config, len(users)
        who = people.traits(config, self.calendar, users)
        # ids sort by day, as those of most emitters do, and tell nothing else
        hidden = permuted(config.seed + day.number, Stream.SESSION_ID, users << 1 | int(again))
        session_id = np.uint64(day.number) << np.uint64(_HIDDEN_BITS) | hidden
        variants, effects = _assigned(config, day, users, session_id)
        speech, hazard = config.speech, config.hazard
        level = speech.base + speech.rural * who.is_rural + np.asarray(speech.language)[who.language]
        level = level + who.clarity + speech.session_sd * rng.standard_normal(count) + day.asr_shift + effects["asr"]
        offset = hazard.base + hazard.first_time * is_first + hazard.rural * who.is_rural + effects["hazard"]
        return Sessions(
            id=session_id,
            user=users,
            start_ms=starts,
            end_ms=starts,
            is_first=is_first,
            is_callback=np.full(count, again),
            is_rural=who.is_rural,
            language=who.language,
            has_disability=who.has_disability,
            channel=choose(config.population.channel, rng.random(count)),
            module=rng.integers(len(MODULES), size=count, dtype=np.int8),
            variants=variants,
            turn_count=np.zeros(count, dtype=np.int8),
            outcome=np.full(count, -1, dtype=np.int8),
            is_declared=np.ones(count, dtype=np.bool_),
            level=level,
            offset=offset,
            unseen=who.frailty + day.shock,
            frailty=who.frailty,
            true_outcome=np.full(count, -1, dtype=np.int8),
        )

    def _talk(self, day: Day, sessions: Sessions, rng: np.random.Generator) -> Turns:
        outages = [outage for outage in self.config.outages if outage.day == day.number]
        return converse(self.config, live(self.config, day, sessions), outages, rng)

    def _cut(self, block: Block) -> Block:
        """What reaches beyond the last day has not happened yet."""
        if block.day.number + 1 < self.config.days or (block.turns.at_ms < DAY_MS).all():
            return block
        turns = block.turns.take(block.turns.at_ms < DAY_MS)
        sessions = block.sessions
        counts = np.bincount(turns.session, minlength=len(sessions.id)).astype(np.int8)
        is_cut = counts < sessions.turn_count
        sessions = replace(
            sessions,
            outcome=np.where(is_cut, IN_PROGRESS, sessions.outcome).astype(np.int8),
            is_declared=sessions.is_declared & ~is_cut,
            turn_count=counts,
            end_ms=np.minimum(sessions.end_ms, DAY_MS),
        )
        return replace(block, sessions=sessions, turns=turns)


def live(config: WorldConfig, day: Day, sessions: Sessions) -> Live:
    """These sessions before their first turn."""
    _, effects = _effects(config, day, sessions.variants)
    count = len(sessions.id)
    return Live(
        session=np.arange(count, dtype=np.int64),
        now_ms=sessions.start_ms,
        is_spoken=sessions.channel == CHANNELS.index("voice"),
        level=sessions.level,
        offset=sessions.offset,
        unseen=sessions.unseen,
        llm_factor=effects["llm_factor"],
        token_factor=effects["token_factor"],
        errors_in_row=np.zeros(count),
        asr_sum=np.zeros(count),
    )


def _ended(sessions: Sessions, turns: Turns) -> Sessions:
    last = np.flatnonzero(turns.ended >= 0)  # one per session, in order
    outcome = turns.ended[last]
    return replace(
        sessions,
        end_ms=turns.at_ms[last] + turns.total_ms[last],
        turn_count=turns.k[last],
        outcome=outcome,
        true_outcome=outcome,
    )


def _starts(day: Day, count: int, near_midnight: float, rng: np.random.Generator) -> Ints:
    """Milliseconds after midnight, never in the first quarter of an hour: calls of the day before are over by then."""
    weight = np.array(HOUR_WEIGHT, dtype=float)
    hour = choose(tuple(weight), rng.random(count)).astype(np.int64)
    start = hour * _HOUR_MS + rng.integers(_HOUR_MS, size=count)
    start = np.maximum(start, LONGEST_SESSION_MS + rng.integers(_HOUR_MS, size=count) // 2)
    late = rng.random(count) < near_midnight
    start = np.where(late, DAY_MS - rng.integers(15_000, 60_000, size=count), start)
    if not day.may_cross:
        start = np.where(start + LONGEST_SESSION_MS >= DAY_MS, start - LONGEST_SESSION_MS - _MINUTE_MS, start)
    return start.astype(np.int64)


def _assigned(
    config: WorldConfig, day: Day, users: Ints, session_id: Words
) -> tuple[NDArray[np.int8], dict[str, Floats]]:
    variants = np.full((len(config.experiments), len(users)), -1, dtype=np.int8)
    for number, experiment in enumerate(config.experiments):
        if experiment.first_day <= day.number <= (config.days if experiment.last_day is None else experiment.last_day):
            variants[number] = assigned(
                config, number, users if experiment.unit == "user" else session_id.view(np.int64)
            )
    return _effects(config, day, variants)


def assigned(config: WorldConfig, number: int, units: Ints) -> NDArray[np.int8]:
    """Variant that each unit gets in the experiment of that number: callers, or ids of sessions as integers."""
    variants = config.experiments[number].variants
    served = tuple(variant.allocation if variant.served is None else variant.served for variant in variants)
    return choose(served, uniforms(config.seed, Stream.ASSIGNMENT + number, units))


def _effects(config: WorldConfig, day: Day, variants: NDArray[np.int8]) -> tuple[NDArray[np.int8], dict[str, Floats]]:
    """Shifts add up and factors multiply, over the release and every experiment."""
    release = config.releases[day.release].effect
    count = variants.shape[1]
    found = {name: np.full(count, getattr(release, name)) for name in _EFFECTS}
    for row, experiment in zip(variants, config.experiments, strict=True):
        for name in _EFFECTS:
            # -1 finds the last entry: no effect
            of_variant = np.array([getattr(e, name) for e in (*(v.effect for v in experiment.variants), NO_EFFECT)])
            is_factor = name.endswith("_factor")
            found[name] = found[name] * of_variant[row] if is_factor else found[name] + of_variant[row]
    return variants, found


_EFFECTS = ("hazard", "asr", "llm_factor", "token_factor")
