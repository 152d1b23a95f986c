"""What the turns of sessions took, cost and sounded like, in plain Python and one turn at a time.

Belongs here: latency, service levels, prices, speech synthesis, time spent in modules. Does not belong here: sessions
(``slow_path``), of which this reads the published attributes.
"""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.integration.slow_path import ERRORS

Row = Mapping[str, Any]
Key = tuple[Any, ...]
#: Component -> whether a turn could have been timed: recognition hears callers, the others answer them.
ELIGIBLE: Mapping[str, Callable[[Row], bool]] = {
    "asr": lambda turn: turn["speaker"] != "agent" and _is_spoken(turn),
    "llm": lambda turn: turn["speaker"] != "user",
    "tts": lambda turn: turn["speaker"] != "user" and _is_spoken(turn),
    "transcode": lambda turn: turn["speaker"] != "user" and _is_spoken(turn),
    "total": lambda turn: turn["speaker"] != "user",
}
SHARES = {"p50_ms": (1, 2), "p90_ms": (9, 10), "p95_ms": (19, 20), "p99_ms": (99, 100)}
SETTINGS = ("tts_provider", "tts_voice", "tts_rate", "tts_pitch", "tts_style", "audio_encoding")
_MICRO = Decimal("0.000001")


@dataclass(frozen=True)
class Told:
    """Sessions of one source: their published rows, and their turns in the order of time."""

    sessions: Mapping[str, Row]
    turns: Mapping[str, list[dict[str, Any]]]

    def every_turn(self) -> Iterable[tuple[Row, dict[str, Any]]]:
        """Each turn with its session."""
        return ((self.sessions[name], turn) for name, turns in self.turns.items() for turn in turns)


def _is_spoken(turn: Row) -> bool:
    return bool(turn.get("channel", "voice") == "voice")


def percentile(values: list[int], share: tuple[int, int]) -> int | None:
    """The smallest value at or below which that share of the values lies."""
    return sorted(values)[math.ceil(Fraction(*share) * len(values)) - 1] if values else None


# -- latency -----------------------------------------------------------------------------------------------------------


def histogram(told: Told) -> Counter[Key]:
    """Every column of agg_latency_histogram_daily but the count -> turns; cancelled ones are in none."""
    found: Counter[Key] = Counter()
    for session, turn in told.every_turn():
        for component, is_eligible in ELIGIBLE.items():
            took = turn.get(f"{component}_ms")
            if not turn.get("cancelled") and (took is not None or is_eligible(turn)):
                segment = (session["language"], session["model_version"], session["experiment_variant"])
                whole = None if took is None else math.floor(took)
                found[session["session_date"], component, turn.get("channel", "voice"), *segment, whole] += 1
    return found


def service_levels(
    told: Told, limits: Path, component_of: Callable[[str], str]
) -> dict[tuple[date, str], dict[str, Any]]:
    """Day and component -> sla_daily, from the sorted values; ``component_of`` says whose an error message is."""
    with limits.open(newline="") as lines:
        limit_of = {row["component"]: row for row in csv.DictReader(lines)}
    took: dict[tuple[date, str], list[int | None]] = defaultdict(list)
    for (day, component, *_, whole), count in histogram(told).items():
        took[day, component] += [whole] * count
    turns: Counter[date] = Counter()
    errors: Counter[tuple[date, str]] = Counter()
    for session, turn in told.every_turn():
        day = session["session_date"]
        turns[day] += 1
        if turn.get("error"):
            errors[day, component_of(turn["error"])] += 1
            errors[day, "total"] += 1
    return {
        (day, component): _level(
            took[day, component], turns[day], errors[day, component], limit_of.get(component)
        )
        for day in turns
        for component in ELIGIBLE
    }  # fmt: skip


def _level(took: list[int | None], turn_count: int, errors: int, limit: Row | None) -> dict[str, Any]:
    measured = [value for value in took if value is not None]
    row: dict[str, Any] = {
        **{name: percentile(measured, share) for name, share in SHARES.items()},
        "measured_turn_count": len(measured),
        "eligible_turn_count": len(took),
        "coverage": len(measured) / len(took) if took else None,
        "turn_count": turn_count,
        "is_met": None,
        "error_turn_count": None,
        "error_rate": None,
        "is_error_rate_met": None,
    }
    if limit:  # nobody promised how fast, or how soundly, audio is converted
        judged = row[f"p{limit['percentile']}_ms"]
        row |= {
            "is_met": None if judged is None else judged < int(limit["limit_ms"]),
            "error_turn_count": errors,
            "error_rate": errors / turn_count,
            "is_error_rate_met": Fraction(errors, turn_count) < Fraction(limit["error_rate_limit"]),
        }
    return row


# -- cost --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prices:
    """The price list: dollars for a million units."""

    rows: list[dict[str, str]]

    @classmethod
    def read(cls, path: Path) -> Prices:
        with path.open(newline="") as lines:
            return cls(list(csv.DictReader(lines)))

    def of(self, item: str, name: str | None, day: date) -> Decimal:
        """That of the day, for the name, else for everybody; of two that hold the later."""
        valid = [
            row for row in self.rows
            if row["item"] == item and row["valid_from"] <= str(day) <= (row["valid_to"] or "9999")
        ]  # fmt: skip
        own = [row for row in valid if row["applies_to"] == name] or [r for r in valid if r["applies_to"] == "default"]
        return Decimal(max(own, key=lambda row: row["valid_from"])["usd_per_million"]) / 1_000_000


def costs(told: Told, prices: Prices) -> dict[Key, dict[str, Any]]:
    """Day, channel, model and variant of sessions -> cost_daily."""
    groups = defaultdict(list)
    for name, session in told.sessions.items():
        key = tuple(session[part] for part in ("session_date", "channel", "model_version", "experiment_variant"))
        groups[key].append((session, told.turns[name]))
    return {key: _cost(members, prices) for key, members in groups.items()}


def _cost(members: list[tuple[Row, list[dict[str, Any]]]], prices: Prices) -> dict[str, Any]:
    priced = [_priced(session, turns, prices) for session, turns in members]
    metered = [amount for amount in priced if amount is not None]
    outcomes = [session["final_outcome"] for session, _ in members]
    return {
        "session_count": len(members),
        "in_progress_session_count": outcomes.count("in_progress"),
        "completed_session_count": outcomes.count("completed"),
        "metered_session_count": len(metered),
        **{name: _total([s[name] for s, _ in members]) for name in ("tokens_in", "tokens_out", "tts_characters")},
        "emitted_cost_usd": _total([session["cost_usd"] for session, _ in members]),
        "priced_cost_usd": sum(metered).quantize(_MICRO, ROUND_HALF_UP) if metered else None,
        "unpriced_unit_count": 0,
    }


def _priced(session: Row, turns: list[dict[str, Any]], prices: Prices) -> Decimal | None:
    amounts = [
        turn[field] * prices.of(item, name, session["session_date"])
        for turn in turns
        for field, item, name in (
            ("tokens_in", "llm_input_token", turn.get("model_version") or session["model_version"]),
            ("tokens_out", "llm_output_token", turn.get("model_version") or session["model_version"]),
            ("tts_characters", "tts_character", turn.get("tts_provider")),
        )
        if turn.get(field) is not None
    ]
    return sum(amounts, Decimal(0)) if amounts else None


def _total(values: Iterable[Any]) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


# -- speech synthesis --------------------------------------------------------------------------------------------------


def synthesis(told: Told) -> dict[Key, dict[str, Any]]:
    """Day and setting -> tts_metrics_daily, of turns that say anything of it."""
    said = (*SETTINGS, "tts_fallback_count", "transcode_ms", "sentence_chunks", "chunk_pause_ms", "barge_in")
    groups = defaultdict(list)
    for session, turn in told.every_turn():
        if any(turn.get(name) is not None for name in said):
            groups[session["session_date"], *(turn.get(name) for name in SETTINGS)].append(turn)
    return {key: _sounded(turns) for key, turns in groups.items()}


def _sounded(turns: list[dict[str, Any]]) -> dict[str, Any]:
    fallbacks, chunks, barged = (
        [turn[name] for turn in turns if turn.get(name) is not None]
        for name in ("tts_fallback_count", "sentence_chunks", "barge_in")
    )
    converted, paused = (
        [round(turn[name] * 1000) for turn in turns if turn.get(name) is not None and not turn.get("cancelled")]
        for name in ("transcode_ms", "chunk_pause_ms")
    )
    return {
        "turn_count": len(turns),
        "fallback_known_turn_count": len(fallbacks),
        "fallback_turn_count": sum(count > 0 for count in fallbacks),
        "fallback_count": _total(fallbacks),
        "transcoded_turn_count": len(converted),
        "transcode_us": _total(converted),
        "chunked_turn_count": len(chunks),
        "sentence_chunk_count": _total(chunks),
        "paused_turn_count": len(paused),
        "chunk_pause_us": _total(paused),
        "barge_in_known_turn_count": len(barged),
        "barge_in_turn_count": sum(barged),
    }


# -- modules -----------------------------------------------------------------------------------------------------------


def uses(told: Told) -> dict[Key, dict[str, Any]]:
    """Session, user and module -> user_sessions: the time until the next turn is spent in the module of the turn."""
    found: dict[Key, dict[str, Any]] = {}
    for name, turns in told.turns.items():
        session = told.sessions[name]
        for turn, following in zip(turns, [*turns[1:], turns[-1]], strict=True):
            use = found.setdefault(
                (name, session["user_id"], turn.get("module")),
                {"session_date": session["session_date"], "channel": session["channel"], "turn_count": 0,
                 "first_turn_at": turn["at"], "spent": timedelta()},
            )  # fmt: skip
            use["turn_count"] += 1
            use["last_turn_at"] = turn["at"]
            use["spent"] += following["at"] - turn["at"]
    for use in found.values():
        use["duration_seconds"] = use.pop("spent").total_seconds()
    return found


def module_usage(of_sessions: Mapping[Key, Row]) -> dict[Key, dict[str, Any]]:
    """User and module -> module_usage."""
    groups = defaultdict(list)
    for (_, user, module), use in of_sessions.items():
        if user is not None and module is not None:
            groups[user, module].append(use)
    return {
        key: {
            "usage_count": len(found),
            "turn_count": sum(use["turn_count"] for use in found),
            "total_duration_seconds": sum(round(use["duration_seconds"] * 1000) for use in found) / 1000,
            "last_used_at": max(use["last_turn_at"] for use in found),
        }
        for key, found in groups.items()
    }


def durations(sessions: Iterable[Row]) -> dict[Key, dict[str, Any]]:
    """Day and source -> session_duration_daily: whole seconds, rounded up, but the sum."""
    took = defaultdict(list)
    for session in sessions:
        if session["duration_seconds"] is not None:
            took[session["session_date"], session["source"]].append(session["duration_seconds"])
    return {
        key: {
            "timed_session_count": len(seconds),
            "p50_seconds": percentile([math.ceil(value) for value in seconds], (1, 2)),
            "p90_seconds": percentile([math.ceil(value) for value in seconds], (9, 10)),
            "duration_seconds": sum(Decimal(str(value)) for value in seconds),
        }
        for key, seconds in took.items()
    }


# -- languages ---------------------------------------------------------------------------------------------------------


def recognition(told: Told) -> dict[Key, dict[str, Any]]:
    """Day, language and model -> asr_by_language: turns by their own language, sessions by the session's."""
    found: dict[Key, Counter[str]] = defaultdict(Counter)
    for session, turn in told.every_turn():
        own = (turn.get(name) or session[name] for name in ("language", "model_version"))
        figures = found[session["session_date"], *own]
        is_caller, is_error = turn["speaker"] != "agent", turn.get("error_type") in ERRORS
        figures["turn_count"] += 1
        figures["user_turn_count"] += is_caller
        figures["misunderstanding_turn_count"] += turn.get("error_type") == "misunderstanding"
        figures["error_turn_count"] += is_error
        figures["user_error_turn_count"] += is_error and is_caller
        sure = turn.get("asr_confidence")
        if is_caller and sure is not None:
            band = "low" if sure < 0.6 else "medium" if sure < 0.8 else "high"
            figures["asr_turn_count"] += 1
            figures["asr_confidence_nano"] += round(sure * 1e9)
            figures[f"{band}_confidence_turn_count"] += 1
    for session in told.sessions.values():
        figures = found[session["session_date"], session["language"], session["model_version"]]
        figures["session_count"] += 1
        figures["in_progress_session_count"] += session["final_outcome"] == "in_progress"
        figures["completed_session_count"] += session["final_outcome"] == "completed"
    return {key: {name: figures[name] for name in _HEARD} for key, figures in found.items()}


_HEARD = (
    "turn_count", "user_turn_count", "misunderstanding_turn_count", "error_turn_count", "user_error_turn_count",
    "asr_turn_count", "asr_confidence_nano", "low_confidence_turn_count", "medium_confidence_turn_count",
    "high_confidence_turn_count", "session_count", "in_progress_session_count", "completed_session_count",
)  # fmt: skip
