"""Irembo's sessions, and every way of computing a KPI from its five files, in plain Python and exact fractions.

Belongs here: what follows from the CSV files and METRICS.md alone. Not here: what the platform made of them.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from tests.integration.slow_path import ERRORS, bands, mean

Row = dict[str, str]
Way = tuple[Fraction, int]  # the value, and the sessions that it is of
#: What the source calls an intent that was not recognised.
UNRECOGNISED = "unknown"


class Session(NamedTuple):
    """What the five files say of one session; ``record`` is its last application."""

    declared: Row
    turns: list[Row]
    metrics: Row | None
    user: Row
    record: Row | None
    applicant: Row | None

    @property
    def outcome(self) -> str:
        return self.declared["final_outcome"]

    @property
    def heard(self) -> list[Row]:
        return [turn for turn in self.turns if turn["speaker"] == "user"]

    @property
    def error_count(self) -> int:
        return len({turn["turn_id"] for turn in self.turns if _is_error(turn)} | self.repeated_failures)

    @property
    def repeated_failures(self) -> set[str]:
        """User turns whose intent was not recognised, straight after another such user turn."""
        pairs = zip(self.heard, self.heard[1:], strict=False)
        return {
            second["turn_id"] for first, second in pairs
            if first["detected_intent"] == second["detected_intent"] == UNRECOGNISED
        }  # fmt: skip


def _is_error(turn: Row) -> bool:
    return turn["error_type"] in ERRORS


def rows_of(folder: Path, name: str, key: str) -> list[Row]:
    """Records of a table's files, one to a key: the first."""
    found: dict[str, Row] = {}
    for path in sorted(folder.glob(f"{name}*.csv")):
        with path.open(newline="") as lines:
            for row in csv.DictReader(lines):
                found.setdefault(row[key], row)
    return list(found.values())


def sessions_of(folder: Path, first: str, last: str) -> dict[str, Session]:
    """Sessions of those days of which a turn arrived; applications are those submitted on those days."""
    turns: dict[str, list[Row]] = defaultdict(list)
    for turn in rows_of(folder, "voice_turns", "turn_id"):
        turns[turn["session_id"]].append(turn)
    metrics = {row["session_id"]: row for row in rows_of(folder, "voice_ai_metrics", "session_id")}
    users = {row["user_id"]: row for row in rows_of(folder, "users", "user_id")}
    records: dict[str, Row] = {}
    for row in sorted(rows_of(folder, "applications", "application_id"), key=lambda r: r["application_id"]):
        newer = row["submitted_at"] > records.get(row["session_id"], {}).get("submitted_at", "")
        if first <= row["submitted_at"] <= last and newer:
            records[row["session_id"]] = row
    found = {}
    for row in rows_of(folder, "voice_sessions", "session_id"):
        key = row["session_id"]
        if first <= row["created_at"] <= last and key in turns:
            record = records.get(key)
            found[key] = Session(
                row,
                sorted(turns[key], key=lambda t: (t["created_at"], int(t["turn_number"]), t["turn_id"])),
                metrics.get(key),
                users[row["user_id"]],
                record,
                users.get(record["user_id"]) if record else None,
            )
    return found


# -- the session as it is published ------------------------------------------------------------------------------------


def session_row(session: Session, pseudonym: Callable[[str], str]) -> dict[str, Any]:
    """Every column of fact_voice_ai_sessions."""
    declared, turns, heard = session.declared, session.turns, session.heard
    started = datetime.fromisoformat(declared["created_at"]).replace(tzinfo=UTC)
    confidence, sure = (_numbers(heard, name) for name in ("asr_confidence", "intent_confidence"))
    errors = session.error_count
    kinds = [turn["error_type"] for turn in turns]
    own = {turn["turn_id"] for turn in heard if _is_error(turn)} | session.repeated_failures
    flags = session.metrics or {}
    unsaid = ("agent_name", "model_version", "deployment_id", "experiment_id", "experiment_variant", "tokens_in",
              "tokens_out", "tts_characters", "cost_usd", "csat")  # fmt: skip
    return {
        "session_date": started.date(),
        "session_id": declared["session_id"],
        "source": "irembo",
        "user_id": pseudonym(declared["user_id"]),
        "channel": declared["channel"],
        "user_type": _user_type(session.user),
        "region": session.user["region"],
        "disability": session.user["disability_flag"],
        "language": declared["language"],
        **dict.fromkeys(unsaid),
        "started_at": started,
        "ended_at": started + timedelta(seconds=int(declared["total_duration_sec"])),
        "duration_seconds": int(declared["total_duration_sec"]),
        "turn_count": len(turns),
        "user_turn_count": len(heard),
        "error_turn_count": errors,
        "user_error_turn_count": len(own),
        "misunderstanding_turn_count": kinds.count("misunderstanding"),
        "silence_turn_count": kinds.count("silence"),
        "repeated_intent_failure_turn_count": len(
            session.repeated_failures | {t["turn_id"] for t in turns if t["error_type"] == "repeated_intent_failure"}
        ),
        "noise_turn_count": kinds.count("noise"),
        "technical_error_turn_count": 0,
        "barge_in_turn_count": 0,
        "error_turn_proportion": errors / len(turns),
        "asr_turn_count": len(confidence),
        "avg_asr_confidence": mean(confidence),
        "min_asr_confidence": min(confidence, default=None),
        **bands(confidence),
        "reference_word_count": 0,
        "word_error_count": 0,
        "intent_turn_count": len(sure),
        "avg_intent_confidence": mean(sure),
        "final_outcome": session.outcome,
        "outcome_basis": "declared",
        "is_outcome_contradictory": False,
        "transfer_reason": declared["transfer_reason"] or None,
        "is_escalated": {"yes": True, "no": False}.get(flags.get("escalation_flag", "")),
        "is_recovered": {"yes": True, "no": False}.get(flags.get("recovery_success", "")),
        "observes_transfers": True,
    }


def _numbers(turns: list[Row], name: str) -> list[float]:
    return [float(turn[name]) for turn in turns if turn[name]]


def _user_type(user: Row) -> str:
    return "first_time" if user["first_time_digital_user"] == "yes" else "returning"


# -- the ways ----------------------------------------------------------------------------------------------------------


def ways(sessions: Iterable[Session]) -> dict[str, dict[str, Way]]:
    """KPI -> way -> value and sessions; each is a count or a sum that somebody could defend."""
    every = list(sessions)
    recorded = [s for s in every if s.record]
    measured = [s for s in every if s.metrics]
    spoken = [s for s in every if s.heard]
    turns = sum(len(s.turns) for s in every)
    return {
        "completion": {
            "outcome of the session": _share(every, _is_completed),
            "outcome of the session, where there is a business record": _share(recorded, _is_completed),
            "business record completed": _share(recorded, lambda s: s.record["status"] == "completed"),
        },
        "transfer_rate": {
            "outcome is transferred": _share(every, lambda s: s.outcome == "transferred"),
            "a transfer reason is given": _share(every, lambda s: s.declared["transfer_reason"] != ""),
            "escalation flag": _share(measured, lambda s: s.metrics["escalation_flag"] == "yes"),
        },
        "turns_per_session": {
            "turns that arrived": _mean(every, lambda s: len(s.turns)),
            "turns that the record claims": _mean(every, lambda s: int(s.declared["total_turns"])),
            "highest turn number": _mean(every, lambda s: max(int(t["turn_number"]) for t in s.turns)),
        },
        "session_duration": {
            "duration that the record claims": _mean(every, lambda s: int(s.declared["total_duration_sec"])),
            "first to last turn": _mean(every, _seconds_between_turns),
        },
        "asr_confidence": {
            "user turns, each once": (
                sum(_sum(s.heard) for s in spoken) / Fraction(sum(len(s.heard) for s in spoken)), len(spoken)
            ),
            "user turns, mean of session means": _mean(spoken, lambda s: _sum(s.heard) / len(s.heard)),
            "figure of the source, mean of sessions": _mean(
                measured, lambda s: Fraction(s.metrics["avg_asr_confidence"])
            ),
        },
        "error_rate": {
            "error turns of all turns": (Fraction(sum(s.error_count for s in every), turns), len(every)),
            "figures of the source, mean of sessions": _mean(
                measured, lambda s: Fraction(s.metrics["misunderstanding_rate"]) + Fraction(s.metrics["silence_rate"])
            ),
        },
        "rural_urban_gap": {
            "region of the user of the session": _gap(every, lambda s: s.user["region"], "rural", "urban"),
            "region of the applicant": _gap(
                recorded, lambda s: s.applicant and s.applicant["region"], "rural", "urban"
            ),
        },
        "first_time_gap": {
            "user of the session": _gap(every, lambda s: _user_type(s.user), "first_time", "returning"),
            "applicant": _gap(
                recorded, lambda s: s.applicant and _user_type(s.applicant), "first_time", "returning"
            ),
        },
        "voice_share": {
            "channel of the session": _share(every, lambda s: s.declared["channel"] == "voice"),
            "channel of the business record": _share(recorded, lambda s: s.record["channel"] == "voice"),
        },
    }  # fmt: skip


def _is_completed(session: Session) -> bool:
    return session.outcome == "completed"


def _mean(sessions: list[Session], value: Callable[[Any], Any]) -> Way:
    return Fraction(sum(Fraction(value(s)) for s in sessions), len(sessions)), len(sessions)


def _share(sessions: list[Session], holds: Callable[[Any], bool]) -> Way:
    return _mean(sessions, lambda s: int(holds(s)))


def _gap(sessions: list[Session], group: Callable[[Session], Any], one: str, other: str) -> Way:
    """Completion of one group minus that of the other."""
    parts = [[s for s in sessions if group(s) == name] for name in (one, other)]
    (first, n), (second, m) = (_share(part, _is_completed) for part in parts)
    return first - second, n + m


def _sum(heard: list[Row]) -> Fraction:
    return sum((Fraction(turn["asr_confidence"]) for turn in heard), Fraction(0))


def _seconds_between_turns(session: Session) -> int:
    days = [datetime.fromisoformat(turn["created_at"]) for turn in session.turns]
    return int((max(days) - min(days)).total_seconds())


# -- the report --------------------------------------------------------------------------------------------------------


def report(sessions: Iterable[Session], limits: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """Rows of contradiction_report, to six digits."""
    for kpi, of_kpi in ways(sessions).items():
        values = [value for value, _ in of_kpi.values()]
        spread = max(values) - min(values)
        changes_sign = min(values) < 0 < max(values)
        is_withheld = spread > Fraction(str(limits[kpi])) or changes_sign
        for way, (value, session_count) in of_kpi.items():
            yield {
                "source": "irembo",
                "kpi": kpi,
                "way": way,
                "value": _six_digits(value),
                "session_count": session_count,
                "spread": _six_digits(spread),
                "spread_limit": limits[kpi],
                "changes_sign": changes_sign,
                "verdict": "withheld" if is_withheld else "consistent",
            }


def _six_digits(value: Fraction) -> float:
    """Halves go away from zero, as they do by hand."""
    millionths = int(abs(value) * 10**6 + Fraction(1, 2))
    return (millionths if value >= 0 else -millionths) / 10**6
