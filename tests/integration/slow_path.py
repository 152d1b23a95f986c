"""Session marts once more, from landed canonical rows, in plain Python and one record at a time.

It shares no code with the SQL: a slip shows, and a misunderstanding that both were written from does not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]
ERRORS = ("misunderstanding", "silence", "repeated_intent_failure")
TIMEOUT = timedelta(minutes=30)
ENDED = ("completed", "abandoned", "transferred")
_CONSTANT = ("channel", "user_type", "region", "disability", "language", "agent_name", "model_version",
             "deployment_id", "experiment_id", "experiment_variant", "transfer_reason")  # fmt: skip


@dataclass(frozen=True)
class Elsewhere:
    """What else is known of sessions than their turns.

    Attributes:
        zone: of days, and of times without a zone.
        users: day of an export -> user -> what that list says of them.
        endings: day and session -> how the events of that day say that it ended.
        seen_until: days after which nothing was loaded -> their last turn of any source.
    """

    zone: tzinfo = UTC
    source: str = "canonical"
    observes_transfers: bool = True
    users: Mapping[date, Mapping[str, Row]] = field(default_factory=dict)
    endings: Mapping[tuple[date, str], str] = field(default_factory=dict)
    seen_until: Mapping[date, datetime] = field(default_factory=dict)

    def user_on(self, day: date, name: str | None) -> Row:
        """From the last list until that day, else the first one after it."""
        until = [made for made in self.users if made <= day]
        made = max(until) if until else min(self.users, default=day)
        return self.users.get(made, {}).get(name or "", {})

    def ending(self, turns: list[dict[str, Any]]) -> tuple[str, str]:
        """Outcome and its basis, of turns that declare none."""
        day, last = turns[0]["at"].date(), turns[-1]["at"]
        if (day, turns[0]["session_id"]) in self.endings:
            return self.endings[day, turns[0]["session_id"]], "event"
        is_open = day in self.seen_until and last + TIMEOUT >= self.seen_until[day]
        return "in_progress" if is_open else "abandoned", "inferred"


def filed(rows: Iterable[Row], zone: tzinfo = UTC) -> dict[str, list[dict[str, Any]]]:
    """Session -> its turns in the order of time, each with the instant it began, as its zone's clock shows it."""
    found = defaultdict(list)
    for row in rows:
        at = datetime.fromisoformat(row["timestamp"])
        at = (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(zone)
        found[row["session_id"]].append({**row, "at": at, "speaker": row.get("speaker", "exchange")})
    return {name: sorted(turns, key=lambda row: (row["at"], row["turn_number"])) for name, turns in found.items()}


def sessions(
    rows: Iterable[Row], pseudonym: Callable[[str], str], elsewhere: Elsewhere = Elsewhere()
) -> dict[str, dict[str, Any]]:
    """Session -> every column of fact_voice_ai_sessions, of sessions without a record of their own."""
    return {name: _session(turns, pseudonym, elsewhere) for name, turns in filed(rows, elsewhere.zone).items()}


def _session(turns: list[dict[str, Any]], pseudonym: Callable[[str], str], elsewhere: Elsewhere) -> dict[str, Any]:
    said = [row for row in turns if row["speaker"] != "agent"]
    heard = _values(said, "asr_confidence")
    named = next((row["user_id"] for row in sorted(turns, key=lambda r: r["turn_number"]) if row.get("user_id")), None)
    outcome = min(_values(turns, "session_outcome"), default=None)
    ending, basis = (outcome, "declared") if outcome else elsewhere.ending(turns)
    errors = [row for row in turns if row.get("error_type") in ERRORS]
    cost = _values(turns, "cost_usd")
    user = elsewhere.user_on(turns[0]["at"].date(), named)
    return {
        "session_date": turns[0]["at"].date(),
        "session_id": turns[0]["session_id"],
        "source": elsewhere.source,
        "user_id": pseudonym(named) if named else None,
        **{name: min(_values(turns, name), default=user.get(name)) for name in _CONSTANT},
        "channel": min(row.get("channel", "voice") for row in turns),
        "started_at": turns[0]["at"],
        "ended_at": turns[-1]["at"],
        "duration_seconds": (turns[-1]["at"] - turns[0]["at"]).total_seconds(),
        "turn_count": len(turns),
        "user_turn_count": len(said),
        "error_turn_count": len(errors),
        "user_error_turn_count": len([row for row in errors if row["speaker"] != "agent"]),
        **{f"{kind}_turn_count": len([r for r in turns if r.get("error_type") == kind]) for kind in (*ERRORS, "noise")},
        "technical_error_turn_count": len(_values(turns, "error")),
        "barge_in_turn_count": len([row for row in turns if row.get("barge_in")]),
        "error_turn_proportion": len(errors) / len(turns),
        "asr_turn_count": len(heard),
        "avg_asr_confidence": mean(heard),
        "min_asr_confidence": min(heard, default=None),
        **bands(heard),
        **dict(zip(("reference_word_count", "word_error_count"), _words(said), strict=True)),
        "intent_turn_count": len(_values(said, "intent_confidence")),
        "avg_intent_confidence": mean(_values(said, "intent_confidence")),
        **{name: sum(_values(turns, name)) if _values(turns, name) else None
           for name in ("tokens_in", "tokens_out", "tts_characters")},
        "cost_usd": sum(Decimal(str(value)) for value in cost) if cost else None,
        "csat": max(_values(turns, "csat"), default=None),
        "final_outcome": ending,
        "outcome_basis": basis,
        "is_outcome_contradictory": len(set(_values(turns, "session_outcome"))) > 1,
        "is_escalated": None,
        "is_recovered": None,
        "observes_transfers": elsewhere.observes_transfers,
    }  # fmt: skip


def bands(confidences: Iterable[float]) -> Counter[str]:
    """How many are low, medium and high."""
    names = ["low" if value < 0.6 else "medium" if value < 0.8 else "high" for value in confidences]
    return Counter({f"{band}_confidence_turn_count": names.count(band) for band in ("low", "medium", "high")})


def _words(rows: Iterable[Row]) -> tuple[int, int]:
    """Words that a person heard, and errors of recognition, of rows that carry a transcript."""
    counts = [edits(row["extra"]["reference_transcript"], row.get("user_text") or "")
              for row in rows if "reference_transcript" in row.get("extra", {})]  # fmt: skip
    return sum(words for words, _ in counts), sum(errors for _, errors in counts)


def edits(said: str, heard: str) -> tuple[int, int]:
    """Words said, and the fewest words to change, take out or put in: Wagner and Fischer's table, row by row."""
    wanted, found = said.lower().split(), heard.lower().split()
    above = list(range(len(found) + 1))
    for i, word in enumerate(wanted, 1):
        row = [i]
        for j, other in enumerate(found, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
        above = row
    return len(wanted), above[-1]


def _values(rows: Iterable[Row], name: str) -> list[Any]:
    return [row[name] for row in rows if row.get(name) is not None]


def mean(values: list[float]) -> float | None:
    """To nine digits, as published: a sum of floats would depend on the order of rows."""
    return sum(round(value * 1e9) for value in values) / (len(values) * 1e9) if values else None


def _ended(row: Row) -> bool:
    return row["final_outcome"] in ENDED


def _completed(row: Row) -> bool:
    return bool(row["final_outcome"] == "completed")


def _among(condition: Callable[[Row], bool]) -> tuple[Callable[[Row], Any], Callable[[Row], Any]]:
    """The completion rate over some of the sessions."""
    return lambda row: condition(row) and _completed(row), lambda row: condition(row) and _ended(row)


def _one(row: Row) -> int:
    return 1


def _turns(row: Row) -> Any:
    return row["turn_count"]


#: Metric of the catalogue over sessions -> what one session adds above and below the line.
METRICS: Mapping[str, tuple[Callable[[Row], Any], Callable[[Row], Any]]] = {
    "completion": _among(lambda row: True),
    "first_time_completion": _among(lambda row: row["user_type"] == "first_time"),
    "rural_completion": _among(lambda row: row["region"] == "rural"),
    "urban_completion": _among(lambda row: row["region"] == "urban"),
    "voice_completion": _among(lambda row: row["channel"] == "voice"),
    "non_voice_completion": _among(lambda row: row["channel"] != "voice"),
    "asr_confidence": (
        lambda row: row["asr_turn_count"] * (row["avg_asr_confidence"] or 0), lambda row: row["asr_turn_count"]
    ),
    "low_confidence_share": (lambda row: row["low_confidence_turn_count"], lambda row: row["asr_turn_count"]),
    "word_error_rate": (lambda row: row["word_error_count"], lambda row: row["reference_word_count"]),
    "intent_confidence": (
        lambda row: row["intent_turn_count"] * (row["avg_intent_confidence"] or 0), lambda row: row["intent_turn_count"]
    ),
    "availability": (lambda row: row["turn_count"] - row["technical_error_turn_count"], _turns),
    "turns_per_session": (_turns, _one),
    "session_duration": (lambda row: row["duration_seconds"], _one),
    "error_rate": (lambda row: row["error_turn_count"], _turns),
    "user_error_rate": (lambda row: row["user_error_turn_count"], lambda row: row["user_turn_count"]),
    "no_match_rate": (
        lambda row: row["misunderstanding_turn_count"] + row["repeated_intent_failure_turn_count"], _turns
    ),
    "no_input_rate": (lambda row: row["silence_turn_count"], _turns),
    "technical_error_rate": (lambda row: row["technical_error_turn_count"], _turns),
    "noise_rate": (lambda row: row["noise_turn_count"], _turns),
    "abandonment": (lambda row: row["final_outcome"] == "abandoned", _ended),
    "transfer_rate": (lambda row: row["final_outcome"] == "transferred", _ended),
    "escalation_rate": (lambda row: row["is_escalated"] or 0, lambda row: row["is_escalated"] is not None),
    "outcome_contradiction_rate": (lambda row: row["is_outcome_contradictory"], _one),
    "voice_share": (lambda row: row["channel"] == "voice", _one),
    "barge_in_rate": (lambda row: row["barge_in_turn_count"], _turns),
    "satisfaction": (lambda row: row["csat"] or 0, lambda row: row["csat"] is not None),
}  # fmt: skip

#: Column of agg_sessions_daily -> what one session adds to it.
SUMS: Mapping[str, Callable[[Row], Any]] = {
    "session_count": _one,
    "engaged_session_count": lambda row: row["user_turn_count"] > 0,
    **{f"{end}_session_count": (lambda row, end=end: row["final_outcome"] == end) for end in (*ENDED, "in_progress")},
    "inferred_outcome_session_count": lambda row: row["outcome_basis"] == "inferred",
    "escalated_session_count": lambda row: bool(row["is_escalated"]),
    "timed_session_count": lambda row: row["duration_seconds"] is not None,
    "duration_ms": lambda row: round(row["duration_seconds"] * 1000),
    "asr_confidence_nano": lambda row: round((row["avg_asr_confidence"] or 0) * row["asr_turn_count"] * 1e9),
    "intent_confidence_nano": lambda row: round((row["avg_intent_confidence"] or 0) * row["intent_turn_count"] * 1e9),
    "rated_session_count": lambda row: row["csat"] is not None,
    "csat_nano": lambda row: round((row["csat"] or 0) * 1e9),
    **{
        name: (lambda row, name=name: row[name] or 0)
        for name in (
            "turn_count", "user_turn_count", "error_turn_count", "user_error_turn_count",
            "misunderstanding_turn_count", "silence_turn_count", "repeated_intent_failure_turn_count",
            "noise_turn_count", "technical_error_turn_count", "barge_in_turn_count", "asr_turn_count",
            "low_confidence_turn_count", "medium_confidence_turn_count", "high_confidence_turn_count",
            "reference_word_count", "word_error_count", "intent_turn_count", "tokens_in", "tokens_out",
            "tts_characters", "cost_usd",
        )
    },
}  # fmt: skip
