"""Sessions by chance, in which every measure is there or missing, and whose times are written in every way there is.

Belongs here: turns as an emitter sends them. Does not belong here: what must be made of them (``slow_path``).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

Row = dict[str, Any]
#: What an emitter says went wrong, and whose fault its author knows it to be.
MESSAGES: Mapping[str, str] = {
    "ASR gave up": "asr",
    "could not recognise speech": "asr",
    "LLM request timed out": "llm",
    "too many tokens in prompt": "llm",
    "voice not found": "tts",
    "synthesis failed": "tts",
    "connection reset": "other",
}
PROVIDERS = ("openai", "deepgram", "twilio_say", "nobody's price", None)
_FAR_WEST = timezone(timedelta(hours=-5))


def written(at: datetime, zone: tzinfo, style: int) -> str:
    """The instant as a local time without zone, in UTC, with the zone's offset, or with that of another continent."""
    local = at.astimezone(zone)
    return (
        local.replace(tzinfo=None).isoformat(),
        at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        local.isoformat(),
        at.astimezone(_FAR_WEST).isoformat(),
    )[style]


class Callers:
    """``rows`` of turns, session after session; the same for the same seed."""

    def __init__(self, seed: int, zone: tzinfo) -> None:
        self.draw = random.Random(seed)
        self.zone = zone
        self.rows: list[Row] = []

    def call(self, name: str, at: datetime, style: int) -> None:
        """A session of one to six turns from ``at``; one in six says nothing of how it ended."""
        draw = self.draw
        caller = {
            "session_id": name,
            "user_id": f"caller {draw.randrange(30)}",
            "channel": draw.choice(["voice", "voice", "web"]),
            "language": draw.choice(["rw", "en", None]),
            "experiment_variant": draw.choice(["a", "b", None]),
            "user_type": draw.choice(["first_time", "returning", None]),
            "region": draw.choice(["rural", "urban", None]),
        }
        model = draw.choice(["m1", "m2"])
        is_cut = draw.random() < 0.3  # caller and agent in rows of their own
        count = draw.randrange(1, 7)
        for number in range(1, count + 1):
            speaker = ("user", "agent")[number % 2 == 0] if is_cut else "exchange"
            self.rows.append(
                caller
                | {"turn_number": number, "timestamp": written(at, self.zone, style), "speaker": speaker}
                | {"model_version": model, "module": draw.choice(["pay", "apply", None])}
                | self._measured(speaker)
            )
            at += timedelta(seconds=draw.randrange(5, 200), milliseconds=draw.randrange(1000))
        if draw.random() < 5 / 6:
            self.rows[-1]["session_outcome"] = draw.choice(["completed", "completed", "abandoned", "transferred"])

    def _measured(self, speaker: str) -> Row:
        draw = self.draw
        values = {
            "asr_ms": draw.randrange(800, 4500) / 10 if speaker != "agent" else None,
            "llm_ms": draw.randrange(300, 2500),
            "tts_ms": draw.randrange(100, 1000) + 0.999,
            "transcode_ms": draw.randrange(10, 90) / 8,
            "total_ms": draw.randrange(500, 4000),
            "tokens_in": draw.randrange(1, 900),
            "tokens_out": draw.randrange(1, 90),
            "tts_characters": draw.randrange(1, 200),
            "cost_usd": draw.randrange(1, 5000) / 1_000_000,
            "tts_provider": draw.choice(PROVIDERS),
            "tts_voice": draw.choice(["luna", "sol", None]),
            "audio_encoding": draw.choice(["mulaw", None]),
            "tts_fallback_count": draw.choice([0, 0, 1, 2]),
            "sentence_chunks": draw.randrange(1, 5),
            "chunk_pause_ms": draw.randrange(0, 400) / 4,
            "barge_in": draw.random() < 0.2,
            "intent_confidence": draw.randrange(1001) / 1000,
            "asr_confidence": draw.randrange(1001) / 1000 if speaker != "agent" else None,
        }
        known = [name for name, value in values.items() if value is not None]
        said = known if draw.random() < 0.9 else draw.sample(known, 1)  # some emitters measure a single thing
        kept = {name: values[name] for name in said if len(said) == 1 or draw.random() < 0.8}
        if draw.random() < 0.1:
            kept["cancelled"] = True
        if draw.random() < 0.15:
            kept["error"] = draw.choice(list(MESSAGES))
        if draw.random() < 0.2:
            kept["error_type"] = draw.choice(["misunderstanding", "silence", "repeated_intent_failure", "noise"])
        return kept


def around_midnights(seed: int, zone: tzinfo, days: Sequence[str], count: int) -> list[Row]:
    """Sessions on those days of the zone, two of three close to a midnight of the zone or (there) of UTC; none leaves
    the days."""
    callers = Callers(seed, zone)
    for number in range(count):
        day = datetime.fromisoformat(days[number % len(days)]).replace(tzinfo=zone)
        minute = callers.draw.choice([callers.draw.randrange(24 * 60), callers.draw.choice([0, 115, 118]), 1436])
        if days[number % len(days)] == days[-1]:
            minute = min(minute, 20 * 60)
        at = day + timedelta(minutes=minute, seconds=callers.draw.randrange(300))
        callers.call(f"call {number}", at, style=number % 4)
    callers.call("still open", datetime.fromisoformat(days[-1]).replace(tzinfo=zone, hour=20, minute=10), style=1)
    callers.rows[-1].pop("session_outcome", None)
    return callers.rows
