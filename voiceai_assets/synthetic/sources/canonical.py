"""The platform's own format: turns, a row each.

Belongs here: which column of the world is which field of the contract. Does not belong here: spelling (``columns``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from voiceai_assets.synthetic.columns import (
    Coded,
    Group,
    Json,
    Number,
    Spelled,
    Table,
    Whole,
    instants,
    json_objects,
    session_ids,
    user_ids,
)
from voiceai_assets.synthetic.config import (
    CHANNELS,
    ERRORS,
    LANGUAGES,
    MAX_TURNS,
    MODULES,
    OUTCOMES,
    REGIONS,
    WorldConfig,
)
from voiceai_assets.synthetic.dialogue import IN_PROGRESS, NO_ERROR, TECHNICAL, TRANSFERRED
from voiceai_assets.synthetic.files import endings
from voiceai_assets.synthetic.mishearing import mishear
from voiceai_assets.synthetic.sources.base import Piece, Source, is_last, nothing, words
from voiceai_assets.synthetic.streams import Floats, Ints, Stream, generator
from voiceai_assets.synthetic.texts import Said, agent_texts
from voiceai_assets.synthetic.world import Block, World

STATES = ("opening", "details", "confirmation", "closing")
INTENTS = ("unknown", *(f"ask_{module}" for module in MODULES))
FAILURE = "the component did not answer in time"

Distort = Callable[[Block, Floats], Floats]


@dataclass(frozen=True)
class Canonical:
    """Turns, a file per day, in order of time within a block of callers.

    Attributes:
        distort: what becomes of ASR confidences on their way out, if an emitter has a bug.
    """

    distort: Distort | None = None

    def pieces(self, world: World, block: Block) -> Iterator[Piece]:
        """The turns of a block."""
        asr = block.turns.asr
        if self.distort is not None:
            asr = self.distort(block, asr)
        said = words(world.config, block)
        extra: Table = {}
        if world.config.references.share:
            rng = generator(world.config.seed, block.day.number, block.number, Stream.MISHEARING)
            heard = mishear(said, block.turns.asr, world.config.references, rng)
            extra, said = {"extra": _reference(said, heard.reference)}, heard.said
        yield Piece("turns", {**turns(world.config, block, said, asr), **extra}, block.turns.at_ms)

    def source(self) -> Source:
        """The source."""
        return Source("canonical", self.pieces, nothing, endings())


def turns(config: WorldConfig, block: Block, said: Said, asr: Floats) -> Table:
    """Rows of the contract ``turns``; what hangs on few things is looked up together, which halves the joining."""
    t, s, of = block.turns, block.sessions, block.turns.session
    declared = np.where(is_last(t) & s.is_declared[of] & (s.outcome[of] != IN_PROGRESS), s.outcome[of], -1)
    return {
        "session": Group(of_session(config, block), of),
        "position": Group(_POSITIONS, t.k.astype(np.int64) - 1),
        "timestamp": Spelled(instants(block.day.date, t.at_ms)),
        "user_text": Coded(said.user_texts, said.user),
        "reply": _replies(said.agent, t.error, t.tts_ms >= 0),
        "intent_confidence": Number(t.intent),
        "asr_confidence": Number(asr),
        "asr_ms": Whole(t.asr_ms),
        "llm_ms": Whole(t.llm_ms),
        "tts_ms": Whole(t.tts_ms),
        "total_ms": Whole(t.total_ms),
        "tokens_in": Whole(t.tokens_in),
        "tokens_out": Whole(t.tokens_out),
        "ending": _endings(declared, _is_understood(t.error)),
    }


_NUMBERS = np.arange(MAX_TURNS)
_POSITIONS: Table = {
    "turn_number": Whole(_NUMBERS + 1),
    "state": Coded(STATES, np.minimum(_NUMBERS, len(STATES) - 1)),
}


def _is_understood(error: NDArray[np.int8]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (error == NO_ERROR) | (error == TECHNICAL)
    return found


def _replies(agent: Ints, error: NDArray[np.int8], is_spoken: NDArray[np.bool_]) -> Group:
    """What follows from the reply, what went wrong and whether the reply was spoken: some hundred combinations."""
    texts, shape = agent_texts(), (len(agent_texts()), len(ERRORS), 2)
    reply, failed, spoken = (index.ravel() for index in np.indices(shape))
    module = reply // (len(texts) // len(MODULES))  # replies stand in the order of modules
    table: Table = {
        "agent_text": Coded(texts, reply),
        "intent": Coded(INTENTS, np.where(_is_understood(failed), module + 1, 0)),
        "error_type": Coded(ERRORS, np.where(failed == NO_ERROR, -1, failed)),
        "tts_characters": Whole(np.where(spoken, np.array([len(text) for text in texts])[reply], -1)),
        "error": Coded((FAILURE,), np.where(failed == TECHNICAL, 0, -1)),
    }
    return Group(table, np.ravel_multi_index((agent, error, is_spoken), shape))


def _endings(declared: NDArray[np.integer], is_understood: NDArray[np.bool_]) -> Group:
    """What the last turn says of the session; nothing on the turns before it."""
    outcome, understood = (index.ravel() for index in np.indices((len(OUTCOMES) + 1, 2)))
    outcome = outcome - 1
    table: Table = {
        "session_outcome": Coded(OUTCOMES, outcome),
        "transfer_reason": Coded(("repeated_errors",), np.where((outcome == TRANSFERRED) & (understood == 0), 0, -1)),
    }
    return Group(table, np.ravel_multi_index((declared + 1, is_understood), (len(OUTCOMES) + 1, 2)))


def _reference(said: Said, index: Ints) -> Json:
    """What was said, for the turns of which somebody wrote it down."""
    texts = json_objects({"reference_transcript": Coded(said.user_texts, np.arange(len(said.user_texts)))})
    return Json(texts.take(pa.array(index, mask=index < 0)))


def of_session(config: WorldConfig, block: Block) -> Table:
    """What all turns of a session have in common."""
    s = block.sessions
    same = np.zeros(len(s.id), dtype=np.int8)
    return {
        "session_id": Spelled(session_ids(s.id)),
        "speaker": Coded(("exchange",), same),
        "user_id": Spelled(user_ids(s.user)),
        "channel": Coded(CHANNELS, s.channel),
        "user_type": Coded(("returning", "first_time"), s.is_first.astype(np.int8)),
        "region": Coded(REGIONS, (~s.is_rural).astype(np.int8)),
        "disability": Coded(("none", "declared"), s.has_disability.astype(np.int8)),
        "language": Coded(LANGUAGES, s.language),
        "module": Coded(MODULES, s.module),
        "flow_id": Coded(tuple(f"{module}_flow" for module in MODULES), s.module),
        "flow_version": Coded((str(block.day.release + 1),), same),
        "model_version": Coded((config.releases[block.day.release].version,), same),
        "deployment_id": Coded((f"release-{block.day.release + 1}",), same),
        **_synthesis(block),
        **_experiment(config, block),
    }


def _synthesis(block: Block) -> Table:
    """How replies are spoken: a voice for each language, quicker from the second release on; null where all is typed.

    Of the session and not of the turn, so that it is spelled once a session.
    """
    s, later = block.sessions, min(block.day.release, 1)
    is_spoken = s.channel == CHANNELS.index("voice")
    same = np.where(is_spoken, 0, -1)
    return {
        "tts_provider": Coded(("alto", "breve"), np.where(is_spoken, s.language % 2, -1)),
        "tts_voice": Coded(tuple(f"{language}-warm-1" for language in LANGUAGES), np.where(is_spoken, s.language, -1)),
        "tts_rate": Coded(("1.0", "1.1"), np.where(is_spoken, later, -1)),
        "tts_pitch": Coded(("+0st",), same),
        "tts_style": Coded(("friendly", "calm"), np.where(is_spoken, s.is_first, -1)),
        "audio_encoding": Coded(("mulaw",), same),
    }


def _experiment(config: WorldConfig, block: Block) -> Table:
    """The first experiment that the session is in; a turn has room for one."""
    names = [(e.name, variant.name) for e in config.experiments for variant in e.variants]
    if not names:
        return {}
    index = np.full(len(block.sessions.id), -1, dtype=np.int64)
    first = 0
    for experiment, row in zip(config.experiments, block.sessions.variants, strict=True):
        index = np.where((index < 0) & (row >= 0), first + row, index)
        first += len(experiment.variants)
    return {
        "experiment_id": Coded([experiment for experiment, _ in names], index),
        "experiment_variant": Coded([variant for _, variant in names], index),
    }


SOURCE = Canonical().source()
