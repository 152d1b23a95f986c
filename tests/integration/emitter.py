"""Events of conversations as the brief describes them, with everything that goes wrong in transit.

Belongs here: what an emitter sends. Does not belong here: what must be made of it (``slow_path_events``).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

FLOWS = ("booking", "onboarding", "support")
STATES = ("greet", "ask_date", "confirm", "pay")
REASONS = ("session_expired", "user_inactive", "error", "my child was crying, call 0788123456")
Row = dict[str, Any]


def utc(at: datetime) -> str:
    """As most emitters write an instant."""
    return at.isoformat().replace("+00:00", "Z")


class Emitter:
    """Conversations as the brief describes their events, with everything that goes wrong in transit."""

    def __init__(
        self, seed: int, days: Sequence[str], zone: tzinfo = UTC, stamp: Callable[[datetime], str] = utc
    ) -> None:
        self.draw = random.Random(seed)
        self.days = days
        self.zone = zone
        self.stamp = stamp
        self.events: list[Row] = []

    def emit(self, kind: str, at: datetime, unit: str | None, context: Row, **more: Any) -> None:
        event = {
            "id": f"e{len(self.events)}",
            "event_type": kind,
            "unit_id": unit,
            "timestamp": self.stamp(at),
            "context": context,
            **more,
        }
        self.events.append(event)
        if self.draw.random() < 0.03:  # sent again, under another id
            self.events.append({**event, "id": f"e{len(self.events)}"})

    def conversation(self, number: int) -> None:
        draw = self.draw
        at = datetime.fromisoformat(self.days[number % 3]).replace(tzinfo=UTC) + timedelta(
            seconds=draw.randrange(80_000)
        )
        if number % 10 == 0 and number % 3 < 2:  # across midnight
            at = at.replace(hour=23, minute=50 + draw.randrange(9))
        unit = f"user-{number % 120}" if draw.random() < 0.97 else None
        place: Row = {"session_id": f"c{number}"} if draw.random() < 0.96 else {}
        flow = {"flow_id": draw.choice(FLOWS), "flow_version": "2"} if draw.random() < 0.95 else {}
        named = [{"experiment_id": "x", "variant_id": "ab"[number % 2]}] if draw.random() < 0.95 else []
        if draw.random() < 0.2:
            named.append({"experiment_id": "y", "variant_id": "only", "note": "met Grace"})
        tags = {"experiments": named}
        turns, state, start = draw.randrange(7), STATES[0], at
        if draw.random() < 0.97:
            self.emit("conversation_started", at, unit, {**place, **flow}, **tags)
        for turn in range(1, turns + 1):
            at += timedelta(seconds=draw.randrange(5, 240))
            state = draw.choice(STATES)
            metrics = {"turn_number": turn, "latency_ms": self._latency(), "token_count": draw.randrange(400)}
            metrics["cost_usd"] = draw.randrange(1000) / 1_000_000
            self.emit("message_sent", at, unit, {**place, "current_state": state}, metrics=metrics, **tags)
            if draw.random() < 0.4:
                self._suggest(at, unit, place, tags)
        at += timedelta(seconds=draw.randrange(5, 900))
        self._end(at, unit, {**place, **flow}, state, turns, (at - start).total_seconds(), tags)

    def _latency(self) -> Any:
        return self.draw.choice([self.draw.randrange(4000) / 2] * 20 + ["fast", -1, None, 1e300])

    def _suggest(self, at: datetime, unit: str | None, place: Row, tags: Row) -> None:
        self.emit("suggestion_shown", at, unit, place, **tags)
        kind = self.draw.choice(
            ["suggestion_accepted", "suggestion_accepted", "suggestion_rejected", "suggestion_read"]
        )
        metrics = {"edit_count": self.draw.choice([0, 0, 1, 2, 5, "many"])} if self.draw.random() < 0.8 else {}
        self.emit(kind, at, unit, place, metrics=metrics, **tags)

    def _end(
        self, at: datetime, unit: str | None, context: Row, state: str, turns: int, took: float, tags: Row
    ) -> None:
        draw = self.draw
        chance = draw.random()
        metrics: Row = {"total_turns": draw.choice([turns, turns, turns, 2.5]), "total_duration_seconds": took}
        if draw.random() < 0.1:
            del metrics["total_duration_seconds"]
        if 0.5 < chance < 0.9:
            self.emit(
                "user_dropped_off", at, unit, {**context, "last_active_state": state},
                metrics={**metrics, "time_since_last_message_seconds": draw.choice([30, 60.5, "long"])},
                payload={"progress": draw.randrange(100) / 100, "drop_off_reason": draw.choice(REASONS)}, **tags,
            )  # fmt: skip
            at += timedelta(seconds=60)
        if chance < 0.55:
            payload = {"satisfaction_score": draw.randrange(1, 6)} if draw.random() < 0.5 else {}
            self.emit(
                "flow_completed", at, unit, {**context, "final_state": "done"}, payload=payload,
                metrics={**metrics, "completion_rate": 1}, **tags,
            )  # fmt: skip
