"""The sample that is landed when landing is empty: thirty days of an invented voice service, one file per day.

Belongs here: a small world whose structure is known (who calls, how well they are understood, when they give up) and
its canonical JSON lines. Every caller, sentence and number is invented.
Does not belong here: landing itself, other formats, worlds for simulation studies.

The order of causes: region, language, caller, session and release move ASR confidence; low confidence makes errors;
low confidence and errors make a caller give up, by a logistic hazard per turn. Abandoned, completed and transferred
compete.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np

MAX_TURNS = 12
MAX_GAP_SECONDS = 60.0
DAY_SECONDS = 86_400
UNDECLARED_SHARE = 0.08  # of abandoned sessions
SESSIONS_PER_USER = 5  # of those who could call; in 30 days of 120 sessions about 600 do
MINIMUM_USERS = 30
BAD_DAY_OFFSET = 3  # days before the last one

REGIONS = {"rural": 0.4, "urban": 0.6}
LANGUAGES = {"rw": 0.5, "en": 0.2, "fr": 0.15, "sw": 0.15}
CHANNELS = {"voice": 0.86, "ussd": 0.09, "web": 0.05}
WEEKDAY_FACTOR = (1.15, 1.10, 1.05, 1.05, 1.00, 0.85, 0.80)  # Monday first; they average 1
HOUR_WEIGHT = (1, 1, 1, 1, 1, 2, 4, 8, 12, 14, 14, 12, 10, 11, 12, 11, 9, 8, 8, 7, 5, 3, 2, 1)
MODEL_VERSIONS = ("dialogue-1.4", "dialogue-1.5")  # the second from the middle of the period on

# Logits; chosen so that about three sessions in ten are abandoned and rural callers are understood less well.
CONFIDENCE_BASE = 1.75
CONFIDENCE_BY_REGION = {"rural": -0.5, "urban": 0.0}
CONFIDENCE_BY_LANGUAGE = {"rw": -0.3, "en": 0.1, "fr": -0.1, "sw": -0.2}
CONFIDENCE_OF_NEW_RELEASE = 0.2
HAZARD_BASE = -3.0
TYPED_CONFIDENCE = 0.92  # stands in for ASR confidence where nothing is spoken (web, ussd)

TOPICS: dict[str, dict[str, str]] = {
    "birth_certificate": {
        "en": "a birth certificate",
        "fr": "un acte de naissance",
        "sw": "cheti cha kuzaliwa",
        "rw": "icyemezo cy'amavuko",
    },
    "land_title": {
        "en": "a land title",
        "fr": "un titre foncier",
        "sw": "hati ya ardhi",
        "rw": "icyangombwa cy'ubutaka",
    },
    "driving_permit": {
        "en": "a driving permit",
        "fr": "un permis de conduire",
        "sw": "leseni ya udereva",
        "rw": "uruhushya rwo gutwara",
    },
    "payment": {"en": "a payment", "fr": "un paiement", "sw": "malipo", "rw": "ubwishyu"},
}
ASKS = {
    "en": ("I need {}", "please help me with {}", "what do I do for {}"),
    "fr": ("il me faut {}", "aidez-moi pour {}", "comment faire pour {}"),
    "sw": ("nahitaji {}", "naomba msaada wa {}", "nifanye nini kupata {}"),
    "rw": ("nkeneye {}", "mumfashe kubona {}", "nakora iki kuri {}"),
}
REPLIES = {
    "en": ("Noted: {}. What comes next?", "Could you say that once more?"),
    "fr": ("Bien reçu : {}. Et ensuite ?", "Pouvez-vous le redire ?"),
    "sw": ("Nimepokea: {}. Kisha nini?", "Tafadhali sema tena."),
    "rw": ("Nabyumvise: {}. Ikindi ni iki?", "Mwongere mubivuge."),
}


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass
class _Caller:
    """One invented caller: fixed traits, and what has happened so far."""

    user_id: str
    region: str
    language: str
    clarity: float  # logit of ASR confidence
    impatience: float  # logit of the hazard: the frailty
    first_day: int
    activity: float
    has_called: bool = False
    busy_until: datetime = _LONG_AGO


def bad_day(last_day: date) -> date:
    """The day whose ASR confidences are natural logarithms, as if the emitter had been released with a bug."""
    return last_day - timedelta(days=BAD_DAY_OFFSET)


def write_sample(
    folder: Path,
    last_day: date,
    days: int = 30,
    sessions_per_day: int = 120,
    seed: int = 20260801,
    *,
    on_day: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write ``turns-YYYY-MM-DD.jsonl`` for each of ``days`` days that end on ``last_day``.

    Each file appears at once under its name (hidden temporary file, then rename), so a sensor that watches the folder
    never sees half a day. The same arguments give the same bytes (under one version of numpy).

    Args:
        folder: made if missing; files of the same name are replaced.
        last_day: last day of the sample, in UTC.
        days: number of days, at least 1. With fewer than four there is no bad day.
        sessions_per_day: average over a week; weekdays have more, weekends fewer.
        seed: of the random numbers.
        on_day: called with each day (ISO) after its file is in place, for a progress bar.

    Returns:
        The files, oldest first.

    Raises:
        ValueError: when ``days`` or ``sessions_per_day`` is below 1.
    """
    if days < 1 or sessions_per_day < 1:
        raise ValueError(f"days and sessions_per_day must be at least 1, not {days} and {sessions_per_day}")
    folder.mkdir(parents=True, exist_ok=True)
    first_day = last_day - timedelta(days=days - 1)
    rows: dict[date, list[dict[str, Any]]] = {first_day + timedelta(days=n): [] for n in range(days)}
    for row in _turns(first_day, days, sessions_per_day, np.random.default_rng(seed)):
        rows[date.fromisoformat(row["timestamp"][:10])].append(row)

    paths = []
    for day, happened in rows.items():
        turns = sorted(happened, key=lambda turn: (turn["timestamp"], turn["session_id"]))
        if day == bad_day(last_day):
            turns = [_with_log_score(turn) for turn in turns]
        path = folder / f"turns-{day.isoformat()}.jsonl"
        draft = folder / f".{path.name}.tmp"
        draft.write_text("".join(json.dumps(turn, ensure_ascii=False) + "\n" for turn in turns), encoding="utf-8")
        draft.replace(path)
        paths.append(path)
        if on_day is not None:
            on_day(day.isoformat())
    return paths


def _with_log_score(turn: dict[str, Any]) -> dict[str, Any]:
    if "asr_confidence" not in turn:
        return turn
    return {**turn, "asr_confidence": round(math.log(turn["asr_confidence"]), 4)}


def _turns(first_day: date, days: int, sessions_per_day: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    callers = _callers(days, sessions_per_day, rng)
    activity = np.array([caller.activity for caller in callers])
    first_days = np.array([caller.first_day for caller in callers])
    last_day = first_day + timedelta(days=days - 1)
    for number in range(days):
        day = first_day + timedelta(days=number)
        midnight = datetime.combine(day, time(), UTC)
        # Nobody calls across midnight into the bad day: its log scores would reach sessions of the day before, and
        # the sample would show two bad days instead of one. On the last day the next file does not exist.
        may_cross = day != last_day and day + timedelta(days=1) != bad_day(last_day)
        count = max(1, round(sessions_per_day * WEEKDAY_FACTOR[day.weekday()]))
        chance = np.where(first_days <= number, activity, 0.0)
        chance /= chance.sum()
        release = int(number >= days / 2)
        for index, start in enumerate(_starts(count, may_cross, rng)):
            started = midnight + timedelta(seconds=start)
            caller = callers[int(rng.choice(len(callers), p=chance))]
            if caller.busy_until >= started:
                continue  # one person cannot hold two calls; at most a few a day
            yield from _session(f"call-{day:%Y%m%d}-{index + 1:05d}", caller, started, release, rng)


def _callers(days: int, sessions_per_day: int, rng: np.random.Generator) -> list[_Caller]:
    """Two callers in five know the service from the first day on; the others join on a day of their own."""
    count = max(MINIMUM_USERS, days * sessions_per_day // SESSIONS_PER_USER)
    return [
        _Caller(
            user_id=f"caller-{number + 1:06d}",
            region=_pick(REGIONS, rng),
            language=_pick(LANGUAGES, rng),
            clarity=float(rng.normal(0, 0.5)),
            impatience=float(rng.normal(0, 0.6)),
            first_day=0 if number < 0.4 * count else int(rng.integers(days)),
            activity=float(rng.gamma(1.5)) + 0.05,
        )
        for number in range(count)
    ]


def _pick(weights: dict[str, float], rng: np.random.Generator) -> str:
    return str(rng.choice(list(weights), p=list(weights.values())))


def _starts(count: int, may_cross: bool, rng: np.random.Generator) -> list[float]:
    """Seconds after midnight, sorted. Where a session may cross midnight, one of them starts shortly before it."""
    weight = np.array(HOUR_WEIGHT, dtype=float)
    hours = rng.choice(24, size=count, p=weight / weight.sum())
    starts = hours * 3600.0 + rng.uniform(0, 3600, size=count)
    late = DAY_SECONDS - rng.uniform(15, 60)
    if may_cross:
        starts[0] = late
    else:
        longest = MAX_TURNS * MAX_GAP_SECONDS
        starts = np.where(starts + longest >= DAY_SECONDS, starts - longest, starts)
    return sorted(starts.tolist())


def _session(
    session_id: str, caller: _Caller, started: datetime, release: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    channel = _pick(CHANNELS, rng)
    module = str(rng.choice(list(TOPICS)))
    session_clarity = rng.normal(0, 0.4)
    first_time = not caller.has_called
    turns: list[dict[str, Any]] = []
    moment, errors_in_row, outcome = started, 0, None
    while outcome is None:
        k = len(turns) + 1
        confidence = TYPED_CONFIDENCE
        if channel == "voice":
            logit = CONFIDENCE_BASE + CONFIDENCE_BY_REGION[caller.region] + CONFIDENCE_BY_LANGUAGE[caller.language]
            logit += caller.clarity + session_clarity + CONFIDENCE_OF_NEW_RELEASE * release + rng.normal(0, 0.7)
            confidence = round(min(max(_sigmoid(logit), 0.02), 0.995), 4)
        error = _error(confidence, errors_in_row, rng)
        errors_in_row = errors_in_row + 1 if error else 0
        turns.append(
            {
                "session_id": session_id,
                "turn_number": k,
                "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "speaker": "exchange",
                "user_id": caller.user_id,
                "channel": channel,
                "user_type": "first_time" if first_time else "returning",
                "region": caller.region,
                "language": caller.language,
                "module": module,
                **_words(module, caller.language, error, rng),
                "intent": "unknown" if error else f"ask_{module}",
                "intent_confidence": round(_sigmoid(4 * confidence - 1.5 - bool(error) + rng.normal(0, 0.4)), 4),
                **({"asr_confidence": confidence} if channel == "voice" else {}),
                **({"error_type": error} if error else {}),
                **_cost(channel == "voice", release, rng),
                "model_version": MODEL_VERSIONS[release],
            }
        )
        outcome = _outcome(k, confidence, errors_in_row, caller.impatience + 0.3 * first_time, rng)
        if outcome is None:
            moment += timedelta(seconds=min(float(rng.lognormal(2.7, 0.5)) + 3, MAX_GAP_SECONDS))
    # Some callers hang up before the emitter can say so: these sessions declare nothing.
    if not (outcome == "abandoned" and rng.random() < UNDECLARED_SHARE):
        turns[-1]["session_outcome"] = outcome
    caller.has_called, caller.busy_until = True, moment
    return turns


def _error(confidence: float, errors_in_row: int, rng: np.random.Generator) -> str | None:
    if rng.random() >= _sigmoid(-3.1 + 4.5 * (1 - confidence)):
        return None
    if errors_in_row and rng.random() < 0.5:
        return "repeated_intent_failure"
    return "silence" if rng.random() < 0.25 else "misunderstanding"


def _outcome(k: int, confidence: float, errors_in_row: int, impatience: float, rng: np.random.Generator) -> str | None:
    """What ends the session after turn k, if anything does; the draws compete in this order."""
    hazard = HAZARD_BASE + 4.5 * (0.8 - confidence) + 0.8 * min(errors_in_row, 3) + 0.05 * (k - 1) + impatience
    if rng.random() < _sigmoid(hazard):
        return "abandoned"
    if rng.random() < 0.01 + 0.03 * errors_in_row or k == MAX_TURNS:
        return "transferred"
    if not errors_in_row and rng.random() < (0.05 if k == 1 else _sigmoid(-1.4 + 0.25 * (k - 2))):
        return "completed"
    return None


def _words(module: str, language: str, error: str | None, rng: np.random.Generator) -> dict[str, str]:
    topic = TOPICS[module][language]
    accepted, again = REPLIES[language]
    said = {} if error == "silence" else {"user_text": str(rng.choice(ASKS[language])).format(topic)}
    return said | {"agent_text": again if error else accepted.format(topic)}


def _cost(is_spoken: bool, release: int, rng: np.random.Generator) -> dict[str, int]:
    """Milliseconds and tokens. Synthesis starts while the model still writes, so the total is less than the sum."""
    asr, llm, tts, other = (
        int(rng.lognormal(math.log(median), spread))
        for median, spread in ((260, 0.35), (850 - 120 * release, 0.45), (320, 0.3), (70, 0.5))
    )
    parts = {"asr_ms": asr, "llm_ms": llm, "tts_ms": tts} if is_spoken else {"llm_ms": llm}
    total = other + int(0.9 * llm) + (asr + tts // 2 if is_spoken else 0)
    tokens = {"tokens_in": int(rng.integers(180, 900)), "tokens_out": int(rng.integers(12, 90))}
    return parts | {"total_ms": total} | tokens


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
