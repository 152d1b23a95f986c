"""The features of a session so far: one definition, for one session while it goes on.

Belongs here: what each feature means (``CATALOGUE``) and the pure function that computes it from turns.
Does not belong here: tables (``features``), history of the caller (``features``), models, reading anything.

The mart ``feature_session_prefix`` is the same definition for whole days; ``tests/integration/test_feature_store.py``
replays real sessions through both and allows a difference of 1e-9.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Group = Literal["asr", "nlu", "errors", "latency", "position", "user"]
Kind = Literal["number", "category"]
Value = float | str | None


@dataclass(frozen=True)
class Feature:
    """One feature, as the mart's YAML and the model card say it."""

    name: str
    group: Group
    kind: Kind
    doc: str


CATALOGUE: tuple[Feature, ...] = (
    Feature("k", "position", "number", "which user turn of the session this is, from 1"),
    Feature("asr_now", "asr", "number", "how sure speech recognition was of this turn, 0 to 1"),
    Feature("asr_mean", "asr", "number", "mean of the speech recognition confidences so far"),
    Feature("asr_min", "asr", "number", "lowest speech recognition confidence so far"),
    Feature("asr_change", "asr", "number", "confidence of this turn minus that of the turn before that had one"),
    Feature("intent_now", "nlu", "number", "how sure the system was of what was meant, 0 to 1"),
    Feature("error_now", "errors", "number", "1 if this turn or its reply was an error"),
    Feature("errors_so_far", "errors", "number", "turns with an error so far, this one included"),
    Feature("errors_in_row", "errors", "number", "turns with an error without a break, up to this one"),
    Feature("log_latency", "latency", "number", "natural logarithm of 1 + milliseconds until the reply"),
    Feature("earlier_sessions", "user", "number", "sessions of this caller that had ended before this one started"),
    Feature("earlier_abandoned_share", "user", "number", "share of those that were abandoned"),
    Feature("user_type", "user", "category", "first_time or returning, as the source says"),
    Feature("language", "user", "category", "language spoken"),
    Feature("channel", "user", "category", "voice, web, ussd, sms, chat, ..."),
    Feature("region", "user", "category", "where the caller is"),
    Feature("module", "position", "category", "part of the dialogue"),
)
NUMERIC = tuple(feature.name for feature in CATALOGUE if feature.kind == "number")
CATEGORICAL = tuple(feature.name for feature in CATALOGUE if feature.kind == "category")
GROUPS: Mapping[str, Group] = {feature.name: feature.group for feature in CATALOGUE}
#: Known before the session: handed in from outside, never computed from its turns.
HISTORY = ("earlier_sessions", "earlier_abandoned_share")
STATIC = (*CATEGORICAL, "user_id")


@dataclass(frozen=True, slots=True)
class Turn:
    """One row of a session as its emitter wrote it; None where it is not known."""

    is_user_turn: bool
    asr_confidence: float | None = None
    intent_confidence: float | None = None
    is_error_turn: bool = False
    total_ms: float | None = None
    channel: str | None = None
    user_type: str | None = None
    region: str | None = None
    language: str | None = None
    module: str | None = None
    user_id: str | None = None


class Prefix:
    """A session so far. Turns are added in their order; ``features`` may be asked after any of them.

    A turn is scored after its reply, the agent row right behind it. Later agent rows are left out even when they come
    before the next user turn, since "are you still there?" is said to callers who left. Constant work per turn.
    """

    __slots__ = ("_answered", "_asr_before", "_asr_count", "_asr_min", "_asr_sum", "_before", "_k", "_static", "_turn")

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._k = 0
        self._turn = Turn(is_user_turn=False)
        self._answered: Turn | None = None
        self._before = (0, 0)  # errors until the turn before, and of those without a break
        self._asr_sum, self._asr_count = 0.0, 0
        self._asr_min: float | None = None
        self._asr_before: float | None = None
        self._static: dict[str, str] = {}

    def add(self, turn: Turn) -> None:
        """Take the next row into account."""
        if not turn.is_user_turn:
            if self._k and self._answered is None:
                self._answered = turn
            return
        if self._k:
            _, *errors = self._errors()
            self._before = (errors[0], errors[1])
            if self._turn.asr_confidence is not None:
                self._asr_before = self._turn.asr_confidence
        self._k += 1
        self._turn, self._answered = turn, None
        asr = turn.asr_confidence
        if asr is not None:
            self._asr_sum, self._asr_count = self._asr_sum + asr, self._asr_count + 1
            self._asr_min = asr if self._asr_min is None else min(self._asr_min, asr)
        for name in STATIC:
            value = getattr(turn, name)
            if value is not None:
                self._static[name] = value

    def features(self) -> dict[str, Value]:
        """Features of the last user turn, without the caller's history; the names of ``CATALOGUE`` and ``user_id``.

        Raises:
            LookupError: before the first user turn.
        """
        if not self._k:
            raise LookupError("no user turn yet: there is nothing to score")
        asr = self._turn.asr_confidence
        error, so_far, in_row = self._errors()
        return {
            "k": float(self._k),
            "asr_now": asr,
            "asr_mean": self._asr_sum / self._asr_count if self._asr_count else None,
            "asr_min": self._asr_min,
            "asr_change": None if asr is None or self._asr_before is None else asr - self._asr_before,
            "intent_now": self._turn.intent_confidence,
            "error_now": float(error),
            "errors_so_far": float(so_far),
            "errors_in_row": float(in_row),
            "log_latency": self._log_latency(),
            **{name: self._static.get(name) for name in STATIC},
        }

    def _errors(self) -> tuple[int, int, int]:
        is_error = self._turn.is_error_turn or (self._answered is not None and self._answered.is_error_turn)
        so_far, in_row = self._before
        return (1, so_far + 1, in_row + 1) if is_error else (0, so_far, 0)

    def _log_latency(self) -> float | None:
        milliseconds = self._turn.total_ms
        if milliseconds is None and self._answered is not None:
            milliseconds = self._answered.total_ms
        return math.log1p(milliseconds) if milliseconds is not None and milliseconds >= 0 else None


def prefix_features(turns: Iterable[Turn], known: Mapping[str, Any] | None = None) -> dict[str, Value]:
    """Features of the last user turn of a session so far.

    Args:
        turns: its rows up to now, in order.
        known: what was known before it started: the caller's history (``HISTORY``), and channel, language and the like
            where the turns do not carry them.

    Raises:
        LookupError: without a user turn.
    """
    prefix = Prefix()
    for turn in turns:
        prefix.add(turn)
    known = known or {}
    found = prefix.features()
    static = {name: found[name] if found[name] is not None else known.get(name) for name in STATIC}
    return {**found, **static, **{name: known.get(name) for name in HISTORY}}
