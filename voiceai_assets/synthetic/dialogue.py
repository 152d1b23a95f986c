"""Sessions turn by turn: what is heard, what fails, how long it takes, how it ends. All sessions of a block at once.

Belongs here: the draws of one turn, in the order of causes. Does not belong here: the formulas of endings (``hazard``),
who calls (``people``), words (``texts``).

The causes: caller, session, release and variant move ASR confidence; low confidence makes errors and unsure intents;
confidence, errors, latency and position make a caller give up. Abandoned, transferred and completed compete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from voiceai_assets.synthetic.config import COMPONENTS, MAX_TURNS, Outage, WorldConfig
from voiceai_assets.synthetic.hazard import (
    Bools,
    FrailtyPosterior,
    completing,
    hazard_logit,
    transferring,
)
from voiceai_assets.synthetic.streams import Floats, Ints

TYPED_CONFIDENCE = 0.92  # stands in for ASR confidence where nothing is spoken (web, ussd), as to errors and intents
LONGEST_REPLY_MS = 15_000
LONGEST_PAUSE_MS = 60_000
LONGEST_SESSION_MS = MAX_TURNS * (LONGEST_REPLY_MS + LONGEST_PAUSE_MS)
NOT_MEASURED = -1

ABANDONED, COMPLETED, TRANSFERRED, IN_PROGRESS = range(4)
NO_ERROR, MISUNDERSTOOD, SILENCE, REPEATED, TECHNICAL = range(5)

_HOUR_MS = 3_600_000
_MEDIANS = {"asr": (260, 0.35), "llm": (850, 0.45), "tts": (320, 0.3)}  # milliseconds, spread of the logarithm
_REST = (70, 0.5)
_DELAY_OF_OUTAGE_MS = 4_000


@dataclass(eq=False)
class Live:
    """Sessions that are going on, one element each: what is fixed, and what the turns so far have made of them.

    Attributes:
        session: position in the block.
        now_ms: when the next turn begins, milliseconds since the day's midnight.
        is_spoken: over the telephone.
        level: logit of ASR confidence of this session.
        offset: logit of the hazard that columns show (first time, region, release, variant).
        unseen: logit of the hazard that they do not (frailty, day shock).
        llm_factor: of the model's time.
        token_factor: of its tokens.
        errors_in_row: so far.
        asr_sum: of confidences so far.
    """

    session: Ints
    now_ms: Ints
    is_spoken: Bools
    level: Floats
    offset: Floats
    unseen: Floats
    llm_factor: Floats
    token_factor: Floats
    errors_in_row: Floats
    asr_sum: Floats

    def keep(self, stayed: NDArray[np.intp]) -> Live:
        """These alone."""
        return Live(**{part.name: getattr(self, part.name)[stayed] for part in fields(self)})


@dataclass(frozen=True, eq=False)
class Turns:
    """Turns as columns; ``NOT_MEASURED`` and NaN stand for null. ``hazard`` and what follows is truth, not data.

    Attributes:
        session: position in the block.
        k: from 1.
        at_ms: beginning, milliseconds since the day's midnight.
        asr: confidence, four decimals.
        error: index into ``ERRORS``.
        intent: confidence of the intent.
        ended: index of the outcome (``OUTCOMES``) that this turn led to, or -1.
        asr_ms, llm_ms, tts_ms, total_ms, tokens_in, tokens_out: measurements.
        asr_mean: running mean.
        errors_in_row: with this turn.
        hazard: chance to give up after this turn, for somebody who knows everything.
        hazard_seen: the same for somebody who sees the columns of this session, not frailty and day shock.
        transfer: chance to be handed over if the caller stays.
        complete: chance that the request is completed if neither happens.
    """

    session: Ints
    k: NDArray[np.int8]
    at_ms: Ints
    asr: Floats
    error: NDArray[np.int8]
    intent: Floats
    ended: NDArray[np.int8]
    asr_ms: NDArray[np.int32]
    llm_ms: NDArray[np.int32]
    tts_ms: NDArray[np.int32]
    total_ms: NDArray[np.int32]
    tokens_in: NDArray[np.int32]
    tokens_out: NDArray[np.int32]
    asr_mean: Floats
    errors_in_row: Floats
    hazard: Floats
    hazard_seen: Floats
    transfer: Floats
    complete: Floats

    def take(self, chosen: NDArray[np.intp] | Bools) -> Turns:
        """These rows."""
        return Turns(**{part.name: getattr(self, part.name)[chosen] for part in fields(self)})

    @staticmethod
    def of(parts: Sequence[Turns]) -> Turns:
        """Several, one below the other."""
        names = [part.name for part in fields(Turns)]
        return Turns(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def converse(
    config: WorldConfig, live: Live, outages: Sequence[Outage], rng: np.random.Generator, *, first_turn: int = 1
) -> Turns:
    """All turns of these sessions until each has ended, by session and turn.

    Args:
        config: the world.
        live: the sessions; those of one call share the number of turns that they have had.
        outages: of the day.
        rng: of the block.
        first_turn: the turn that comes next, from 1.
    """
    posterior = FrailtyPosterior(config.hazard.frailty, len(live.session))
    parts = []
    for k in range(first_turn, MAX_TURNS + 1):
        turn = _turn(config, live, k, outages, posterior, rng)
        parts.append(turn)
        stayed = np.flatnonzero(turn.ended < 0)
        if not len(stayed):
            break
        pause = np.minimum(rng.lognormal(2.7, 0.5, len(stayed)) * 1000 + 3000, LONGEST_PAUSE_MS).astype(np.int64)
        now = live.now_ms[stayed] + turn.total_ms[stayed] + pause
        row, heard = turn.errors_in_row[stayed], live.asr_sum + np.where(live.is_spoken, turn.asr, 0.0)
        live = replace(live.keep(stayed), now_ms=now, errors_in_row=row, asr_sum=heard[stayed])
        posterior.keep(stayed)
    turns = Turns.of(parts)
    return turns.take(np.argsort(turns.session, kind="stable"))


def _turn(
    config: WorldConfig,
    live: Live,
    k: int,
    outages: Sequence[Outage],
    posterior: FrailtyPosterior,
    rng: np.random.Generator,
) -> Turns:
    count, speech, hazard = len(live.session), config.speech, config.hazard
    heard = expit(live.level + speech.turn_sd * rng.standard_normal(count))
    confidence = np.where(live.is_spoken, np.round(np.clip(heard, 0.02, 0.995), 4), TYPED_CONFIDENCE)
    asr = np.where(live.is_spoken, confidence, np.nan)
    asr_mean = (live.asr_sum + asr) / k
    broken = _broken(live.now_ms, outages, rng)
    error = _errors(config, confidence, live.errors_in_row, broken, rng)
    is_error = (error != NO_ERROR) & (error != TECHNICAL)
    row = np.where(is_error, live.errors_in_row + 1, 0.0)
    doubt = 4 * TYPED_CONFIDENCE - speech.intent_by_asr * TYPED_CONFIDENCE  # the same mean whatever the slope
    intent = expit(
        speech.intent_by_asr * confidence + doubt - 1.5 - is_error + 0.4 * rng.standard_normal(count, dtype=np.float32)
    )
    measured = _measurements(live, broken, rng)

    logit = hazard_logit(hazard, k, asr, asr_mean, is_error, row, np.log1p(measured["total_ms"])) + live.offset
    giving_up = expit(logit + live.unseen)
    hazard_seen = posterior.hazard(logit)
    transfer, complete = transferring(k, row), completing(k, is_error)
    draw = rng.random(count)
    left = (draw - giving_up) / (1 - giving_up)
    ended = np.where(left < transfer + (1 - transfer) * complete, COMPLETED, -1)
    ended = np.where(left < transfer, TRANSFERRED, ended)
    ended = np.where(draw < giving_up, ABANDONED, ended).astype(np.int8)
    return Turns(
        session=live.session,
        k=np.full(count, k, dtype=np.int8),
        at_ms=live.now_ms,
        asr=asr,
        error=error,
        intent=np.round(intent, 4),
        ended=ended,
        **measured,
        asr_mean=asr_mean,
        errors_in_row=row,
        hazard=giving_up,
        hazard_seen=hazard_seen,
        transfer=transfer,
        complete=complete,
    )


def _errors(
    config: WorldConfig, confidence: Floats, errors_in_row: Floats, broken: dict[str, Bools], rng: np.random.Generator
) -> NDArray[np.int8]:
    """A failed turn after a failed turn is a repeated failure half of the time; of the others a quarter is silence."""
    count = len(confidence)
    fails = rng.random(count) < expit(config.speech.error_base + config.speech.error_by_doubt * (1 - confidence))
    kind = rng.random(count)
    first = np.where(kind < 0.25, SILENCE, MISUNDERSTOOD)
    # one draw for both questions: beyond its half, what is left of it is uniform again
    again = np.where(kind < 0.5, REPEATED, np.where(kind < 0.625, SILENCE, MISUNDERSTOOD))
    error = np.where(fails, np.where(errors_in_row > 0, again, first), NO_ERROR)
    for out in broken.values():
        error = np.where(out, TECHNICAL, error)
    return error.astype(np.int8)


def _broken(now_ms: Ints, outages: Sequence[Outage], rng: np.random.Generator) -> dict[str, Bools]:
    found: dict[str, Bools] = {}
    for outage in outages:
        within = (now_ms >= outage.from_hour * _HOUR_MS) & (now_ms < outage.to_hour * _HOUR_MS)
        hit = within & (rng.random(len(now_ms)) < outage.share)
        found[outage.component] = found.get(outage.component, np.zeros(len(now_ms), dtype=np.bool_)) | hit
    return found


def _measurements(live: Live, broken: dict[str, Bools], rng: np.random.Generator) -> dict[str, NDArray[np.int32]]:
    """Milliseconds and tokens. Synthesis starts while the model still writes, so the total is less than the sum."""
    count = len(live.session)

    def drawn(median: float, spread: float) -> Floats:
        return median * np.exp(spread * rng.standard_normal(count, dtype=np.float32).astype(np.float64))

    asr, llm, tts = (drawn(*_MEDIANS[name]) for name in COMPONENTS)
    llm *= live.llm_factor
    total = drawn(*_REST) + 0.9 * llm + np.where(live.is_spoken, asr + tts / 2, 0.0)
    parts = {"asr": asr, "llm": llm, "tts": tts}
    missing = {"asr": ~live.is_spoken, "llm": np.zeros(count, dtype=np.bool_), "tts": ~live.is_spoken}
    for component, out in broken.items():
        missing[component] = missing[component] | out
        total = total + out * _DELAY_OF_OUTAGE_MS
    tokens = rng.integers(180, 900, count, dtype=np.int32) * live.token_factor
    return {
        **{
            f"{name}_ms": np.where(missing[name], NOT_MEASURED, np.minimum(parts[name], LONGEST_REPLY_MS)).astype(
                np.int32
            )
            for name in COMPONENTS
        },
        "total_ms": np.minimum(total, LONGEST_REPLY_MS).astype(np.int32),
        "tokens_in": tokens.astype(np.int32),
        "tokens_out": (rng.integers(12, 90, count, dtype=np.int32) * live.token_factor).astype(np.int32),
    }
