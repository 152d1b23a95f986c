"""What the scoring service is asked and what it answers: types, limits and words of its OpenAPI document.

Belongs here: the messages. Does not belong here: HTTP, models.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from voiceai_assets.models.abandonment.prefix import Turn

MOST_TURNS = 200  # of a session; the longest of the real ones has 40
MOST_SESSIONS = 200  # of a batch
MOST_BYTES = 2_000_000  # of a request

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(ge=0, le=86_400_000, allow_inf_nan=False)]
Word = Annotated[str, Field(max_length=64)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TurnSaid(_Message):
    """One turn of the session, in the canonical contract's words; nothing that was said, no name and no number."""

    speaker: Literal["user", "agent", "exchange"] = "exchange"
    asr_confidence: Share | None = None
    intent_confidence: Share | None = None
    is_error_turn: bool = Field(default=False, description="misunderstanding, silence or repeated intent failure")
    total_ms: Milliseconds | None = None
    channel: Word | None = None
    user_type: Word | None = None
    region: Word | None = None
    language: Word | None = None
    module: Word | None = None

    def turn(self) -> Turn:
        """As the feature store takes it; ASR confidence of an agent's row means nothing."""
        is_user = self.speaker != "agent"
        return Turn(
            is_user_turn=is_user,
            asr_confidence=self.asr_confidence if is_user else None,
            intent_confidence=self.intent_confidence,
            is_error_turn=self.is_error_turn,
            total_ms=self.total_ms,
            channel=self.channel,
            user_type=self.user_type,
            region=self.region,
            language=self.language,
            module=self.module,
        )


class Known(_Message):
    """What was known of the caller before the session started."""

    earlier_sessions: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    earlier_abandoned_share: Share | None = None
    channel: Word | None = None
    user_type: Word | None = None
    region: Word | None = None
    language: Word | None = None
    module: Word | None = None


class SessionSoFar(_Message):
    """A session until now: its turns in order, the last one answered."""

    turns: Annotated[list[TurnSaid], Field(min_length=1, max_length=MOST_TURNS)]
    known: Known = Known()


class Batch(_Message):
    """Several sessions at once."""

    sessions: Annotated[list[SessionSoFar], Field(min_length=1, max_length=MOST_SESSIONS)]


class Score(_Message):
    """Chances after the last user turn, by the version that is named."""

    k: int = Field(description="user turns so far")
    hazard: float = Field(description="chance that the caller gives up before the next turn")
    landmark: float = Field(description="chance that the session ends abandoned")
    model_version: str


class Scores(_Message):
    """One score per session of the batch, in its order, all by one version."""

    scores: list[Score]
    model_version: str


class Health(_Message):
    """Whether scores can be had."""

    status: Literal["ok", "no champion"]
    model_version: str | None
