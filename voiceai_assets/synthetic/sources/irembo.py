"""The five CSV tables of the government-services assistant: turns, sessions, metrics, applications, users.

Belongs here: their columns and habits (bare dates, a row for each side of an exchange, upper-case languages).
Does not belong here: what is true. The files agree about it, unless the world lets them contradict one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from voiceai_assets.synthetic import people
from voiceai_assets.synthetic.columns import (
    Coded,
    Number,
    Spelled,
    Table,
    Whole,
    digits,
    glued,
    hexadecimal,
    user_ids,
)
from voiceai_assets.synthetic.config import CHANNELS, OUTCOMES, REGIONS, WorldConfig
from voiceai_assets.synthetic.dialogue import (
    ABANDONED,
    COMPLETED,
    IN_PROGRESS,
    MISUNDERSTOOD,
    NO_ERROR,
    SILENCE,
    TRANSFERRED,
)
from voiceai_assets.synthetic.files import endings
from voiceai_assets.synthetic.sources.base import Piece, Source, seconds
from voiceai_assets.synthetic.streams import Stream, generator
from voiceai_assets.synthetic.world import Block, World

LANGUAGES = ("KINYARWANDA", "ENGLISH", "FRENCH", "SWAHILI")
SERVICES = ("BIRTH_CERTIFICATE", "LAND_TITLE", "DRIVING_PERMIT", "PAYMENT")
INTENTS = ("unknown", "repeat", "service_lookup", "start_application")
ERRORS = (None, "misunderstanding", "silence", "repeated_intent_failure", "noise")
APPLICATION_STATUS = ("completed", "failed", "abandoned")
_UNKNOWN, _REPEAT, _LOOKUP, _START = range(4)


def pieces(world: World, block: Block) -> Iterator[Piece]:
    """Four of the five tables, all of a session in the files of its day."""
    # a session that is still open has no outcome to declare, so this source has not written it yet
    closed = block.sessions.outcome != IN_PROGRESS
    wrong = contradicted(world.config, block)
    yield Piece("voice_turns", _turns(block, closed))
    yield Piece("voice_sessions", _sessions(block, closed, wrong))
    yield Piece("voice_ai_metrics", _metrics(block, closed, wrong))
    yield Piece("applications", _applications(world, block, wrong))


def contradicted(config: WorldConfig, block: Block) -> dict[str, NDArray[np.bool_]]:
    """By kind of contradiction and session, whether the records have it; each kind by itself."""
    rng = generator(config.seed, block.day.number, block.number, Stream.CONTRADICTIONS)
    count = len(block.sessions.id)
    return {kind: rng.random(count) < share for kind, share in asdict(config.contradictions).items()}


def users(world: World) -> Iterator[Piece]:
    """The whole list of users; the platform takes the list of the latest day, so it must not come in parts."""
    config = world.config
    for first in range(0, config.users, people.USERS_PER_BLOCK):
        numbers = np.arange(first, min(first + people.USERS_PER_BLOCK, config.users), dtype=np.int64)
        who = people.traits(config, world.calendar, numbers)
        yield Piece(
            "users",
            {
                "user_id": Spelled(user_ids(numbers)),
                "region": Coded(REGIONS, (~who.is_rural).astype(np.int8)),
                "disability_flag": Coded(("no", "yes"), who.has_disability.astype(np.int8)),
                "first_time_digital_user": Coded(
                    ("no", "yes"), (numbers >= world.calendar.day(0).known).astype(np.int8)
                ),
            },
        )


def _dates(block: Block, count: int) -> Coded:
    return Coded((block.day.date.isoformat(),), np.zeros(count, dtype=np.int8))


def _turns(block: Block, closed: NDArray[np.bool_]) -> Table:
    """Two rows for each exchange: the caller's, then the system's, which has no confidences."""
    t = block.turns
    kept = np.flatnonzero(closed[t.session])
    rows = np.repeat(kept, 2)
    is_system = np.tile([False, True], len(kept))
    number = 2 * (t.k[rows].astype(np.int64) - 1) + 1 + is_system
    failed = t.error[rows] != NO_ERROR
    intent = np.where(failed, np.where(t.k[rows] % 2 == 0, _REPEAT, _UNKNOWN), np.where(t.k[rows] > 2, _START, _LOOKUP))
    ids = block.sessions.id[t.session[rows]]
    return {
        "turn_id": Spelled(glued("T", hexadecimal(ids), digits(number, 2))),
        "session_id": Spelled(glued("S", hexadecimal(ids))),
        "turn_number": Whole(number),
        "speaker": Coded(("user", "system"), is_system.astype(np.int8)),
        "detected_intent": Coded(INTENTS, np.where(is_system, -1, intent)),
        "intent_confidence": Number(np.where(is_system, np.nan, t.intent[rows])),
        "asr_confidence": Number(np.where(is_system, np.nan, t.asr[rows])),
        "error_type": Coded(ERRORS, np.where(is_system | ~failed, -1, t.error[rows])),
        "turn_duration_sec": Number(np.where(is_system, t.total_ms[rows], 4000) / 1000),
        "created_at": _dates(block, len(rows)),
    }


def _sessions(block: Block, closed: NDArray[np.bool_], wrong: dict[str, NDArray[np.bool_]]) -> Table:
    s = block.sessions.take(closed)
    has_reason = (s.outcome == TRANSFERRED) ^ wrong["transfer_reason"][closed]
    return {
        "session_id": Spelled(glued("S", hexadecimal(s.id))),
        "user_id": Spelled(user_ids(s.user)),
        "channel": Coded(CHANNELS, s.channel),
        "language": Coded(LANGUAGES, s.language),
        "total_duration_sec": Whole(seconds(s.end_ms - s.start_ms)),
        "total_turns": Whole(2 * (s.turn_count.astype(np.int64) + wrong["turn_count"][closed])),
        "final_outcome": Coded(OUTCOMES, s.outcome),
        "transfer_reason": Coded(("repeated_errors",), np.where(has_reason, 0, -1)),
        "created_at": _dates(block, len(s.id)),
    }


def _metrics(block: Block, closed: NDArray[np.bool_], wrong: dict[str, NDArray[np.bool_]]) -> Table:
    """Averages over the rows that carry a value, rates over all rows of the session."""
    t, s = block.turns, block.sessions
    count = len(s.id)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        known = ~np.isnan(values)
        total = np.bincount(t.session, np.where(known, values, 0.0), count)
        with np.errstate(invalid="ignore"):
            found: NDArray[np.float64] = total / np.bincount(t.session, known, count)
        return found

    def rate(error: int) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.bincount(t.session, t.error == error, count) / (2 * s.turn_count)
        return found

    is_flagged = (s.outcome == TRANSFERRED) ^ wrong["escalation"]
    had_errors = np.bincount(t.session, t.error != NO_ERROR, count) > 0
    return {
        "session_id": Spelled(glued("S", hexadecimal(s.id))[closed]),
        "avg_asr_confidence": Number(mean(t.asr)[closed]),
        "avg_intent_confidence": Number(mean(t.intent)[closed]),
        "misunderstanding_rate": Number(rate(MISUNDERSTOOD)[closed]),
        "silence_rate": Number(rate(SILENCE)[closed]),
        "recovery_success": Coded(("no", "yes"), (had_errors & (s.outcome == COMPLETED))[closed].astype(np.int8)),
        "escalation_flag": Coded(("no", "yes"), is_flagged[closed].astype(np.int8)),
    }


def _applications(world: World, block: Block, wrong: dict[str, NDArray[np.bool_]]) -> Table:
    """Four of five completed sessions lead to an application, and most of these succeed; few others do, and fail."""
    s = block.sessions
    rng = generator(world.config.seed, block.day.number, block.number, Stream.APPLICATIONS)
    draw, fate = rng.random(len(s.id)), rng.random(len(s.id))
    chosen = np.flatnonzero(((s.outcome == COMPLETED) & (draw < 0.8)) | ((s.outcome == ABANDONED) & (draw < 0.1)))
    done = s.outcome[chosen] == COMPLETED
    succeeded = np.where(wrong["record"][chosen], ~done, done & (fate[chosen] < 0.9))
    status = np.where(succeeded, 0, np.where(done, 1, 2))
    # somebody far away in the list, who is as likely as not another kind of caller
    other = (s.user[chosen] + world.config.users // 2) % world.config.users
    applicant = np.where(wrong["applicant"][chosen], other, s.user[chosen])
    return {
        "application_id": Spelled(glued("A", hexadecimal(s.id[chosen]))),
        "session_id": Spelled(glued("S", hexadecimal(s.id[chosen]))),
        "user_id": Spelled(user_ids(applicant)),
        "service_code": Coded(SERVICES, s.module[chosen]),
        "channel": Coded(CHANNELS, s.channel[chosen]),
        "status": Coded(APPLICATION_STATUS, status),
        "time_to_submit_sec": Whole(seconds(s.end_ms - s.start_ms)[chosen] + rng.integers(60, 600, len(chosen))),
        "submitted_at": _dates(block, len(chosen)),
    }


SOURCE = Source("irembo", pieces, users, ("csv", *(ending for ending in endings() if ending != "csv")))
