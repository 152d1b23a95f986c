"""Events of conversations and experiments, from landing to what dashboards read.

Every figure is compared, exactly, with one made from the raw files by slow and plain code that shares nothing with the
models: it reads the JSON lines again, drops repeats, and walks conversation by conversation.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import psycopg
import pytest

from tests.integration import grains
from tests.integration.world import World, session
from voiceai_assets.privacy.pseudonyms import load_pseudonymiser

DAYS = ("2026-08-01", "2026-08-02", "2026-08-03")
FLOWS = ("booking", "onboarding", "support")
STATES = ("greet", "ask_date", "confirm", "pay")
REASONS = ("session_expired", "user_inactive", "error", "my child was crying, call 0788123456")
DEFAULT_STEPS = 3  # dbt_project/seeds/flow_funnel_steps.csv
SECRETS = ("child was crying", "Grace", "788123456")
Row = dict[str, Any]


# -- the files ---------------------------------------------------------------------------------------------------------


class Emitter:
    """Conversations as the brief describes their events, with everything that goes wrong in transit."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.events: list[Row] = []

    def emit(self, kind: str, at: datetime, unit: str | None, context: Row, **more: Any) -> None:
        event = {
            "id": f"e{len(self.events)}",
            "event_type": kind,
            "unit_id": unit,
            "timestamp": at.isoformat().replace("+00:00", "Z"),
            "context": context,
            **more,
        }
        self.events.append(event)
        if self.draw.random() < 0.03:  # sent again, under another id
            self.events.append({**event, "id": f"e{len(self.events)}"})

    def conversation(self, number: int) -> None:
        draw = self.draw
        at = datetime.fromisoformat(DAYS[number % 3]).replace(tzinfo=UTC) + timedelta(seconds=draw.randrange(80_000))
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


def _write(path: Path, rows: Iterable[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _land(world: World) -> list[Path]:
    emitter = Emitter(7)
    for number in range(330):
        emitter.conversation(number)
    events = [event for event in emitter.events if event["timestamp"] < "2026-08-04"]
    emitter.draw.shuffle(events)
    repeats = emitter.draw.sample(events, 60)
    folder = world.settings.landing / "events"
    parts = [folder / f"events_part{n}.jsonl" for n in range(3)]
    for n, path in enumerate(parts):
        _write(path, events[n::3] + repeats[n::3])
    secret = {"description": "Grace asked for it, 0788123456", "config": {"owner": "Grace"}}
    active = {"id": "x", "name": "Shorter prompt", "status": "active", "start_date": "2026-07-01", **secret}
    _write(folder / "experiments_2026-08-01.jsonl", [{**active, "status": "draft"}])
    _write(folder / "experiments_2026-08-03.jsonl", [active, {"id": "y", "name": "Voice", "status": "paused"}])
    for day, served in (("2026-08-01", "p1"), ("2026-08-03", "p2")):
        _write(
            folder / f"variants_{day}.jsonl",
            [
                {"id": "a", "experiment_id": "x", "name": "control", "is_control": True, "allocation": 0.5,
                 "policy_version_id": "p0"},
                {"id": "b", "experiment_id": "x", "name": "short", "is_control": False, "allocation": 0.5,
                 "policy_version_id": served},
                {"id": "unused", "experiment_id": "x", "name": "unused"},
            ],
        )  # fmt: skip
    _write(
        folder / "policy_versions_2026-08-02.jsonl",
        [{"id": f"p{n}", "version": str(n), "model_name": "m", "model_version": f"dialogue-1.{n}", "status": "active",
          "offline_score": 0.5 + n / 10, **secret} for n in range(4)],
    )  # fmt: skip
    _write(
        folder / "assignments.jsonl",
        [{"experiment_id": "x", "variant_id": "ab"[n % 2], "unit_id": f"user-{n}",
          "assigned_at": f"{DAYS[n % 3]}T08:00:00Z"} for n in range(90)]
        + [{"experiment_id": "x", "variant_id": "b", "unit_id": "user-0", "assigned_at": "2026-08-02T09:00:00Z"}],
    )  # fmt: skip
    bucket = {"experiment_id": "x", "variant_id": "b", "count": 10, "stddev": 0.1}
    _write(
        folder / "metric_aggregates.jsonl",
        [{**bucket, "metric_name": name, "bucket_type": kind, "bucket_start": start, "mean": mean}
         for name, kind, start, mean in (
             ("acceptance_rate", "daily", "2026-08-01", 0.4),
             ("acceptance_rate", "hourly", "2026-08-01T10:00:00Z", 0.3),
             ("constraint_respect_score", "hourly", "2026-08-02T10:00:00Z", 0.99),
             ("constraint_respect_score", "daily", "2026-08-02", 1.0))],
    )  # fmt: skip
    _write(
        folder / "deployments_2026-08-02.jsonl",
        [{"id": "d1", "model_version": "dialogue-1.1", "released_at": "2026-07-01", **secret},
         {"id": "d2", "model_version": "dialogue-1.2", "released_at": "2026-08-02", **secret},
         {"id": "d3", "model_version": "dialogue-1.3"}],
    )  # fmt: skip
    turns = world.settings.landing / "canonical" / "turns-2026-08-02.jsonl"
    _write(
        turns,
        [*session("s1", "2026-08-02T10:00", deployment_id="d1", model_version="dialogue-1.1"),
         *session("s2", "2026-08-02T11:00", model_version="dialogue-1.2"),
         *session("s3", "2026-08-02T12:00", deployment_id="d9", model_version="dialogue-1.1"),
         *session("s4", "2026-08-02T13:00", model_version="unheard of")],
    )  # fmt: skip
    world.look()
    return parts


class Landed(NamedTuple):
    """A platform on which the three days were run, and the files they came from."""

    world: World
    parts: list[Path]
    is_success: bool


@pytest.fixture(scope="module")
def landed() -> Iterator[Landed]:
    """One world for all: a run of three days takes longer than everything that is asked of it."""
    home = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    made = World(home / "home", os.environ.get("TEST_DATABASE_URL"))
    parts = _land(made)
    result = made.run(DAYS[0], DAYS[-1])
    yield Landed(made, parts, result.success)
    made.close()
    shutil.rmtree(home, ignore_errors=True)


# -- the same figures, slowly ------------------------------------------------------------------------------------------

CONVERSATION = ("conversation_started", "message_sent", "flow_completed", "user_dropped_off")


def _number(document: Row | None, name: str) -> Decimal | None:
    value = (document or {}).get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return Decimal(value) if 0 <= value <= 10**8 else None


def _whole(document: Row | None, name: str) -> int | None:
    value = _number(document, name)
    return int(value) if value is not None and value == value.to_integral_value() else None


def _code(text: str | None) -> str | None:
    return None if text is None else "other" if " " in text else text


def _events(landed: Landed) -> list[Row]:
    """What was sent, once each, in the order of time."""
    by_id = {}
    for path in landed.parts:
        for line in path.read_text().splitlines():
            event = json.loads(line, parse_float=Decimal)
            event["at"] = datetime.fromisoformat(event["timestamp"])
            event["day"] = event["at"].date()
            event["session"] = event["context"].get("session_id")
            event["named"] = [(e["experiment_id"], e["variant_id"]) for e in event["experiments"]]
            by_id[event["id"]] = event
    return sorted(by_id.values(), key=lambda e: e["at"])


def _groups(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    found = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return dict(found)


def _first(values: Iterable[Any], default: Any = None) -> Any:
    return next((value for value in values if value is not None), default)


def _seconds(span: timedelta) -> Decimal:
    return Decimal(span // timedelta(microseconds=1)) / 1_000_000


def _conversation(events: list[Row], pseudonymise: Callable[[str], str]) -> Row:
    """One conversation from its events in the order of time, whatever days they are of."""
    of = {kind: [e for e in events if e["event_type"] == kind] for kind in CONVERSATION}
    started = of["conversation_started"][0]["at"] if of["conversation_started"] else None
    done, left = of["flow_completed"], of["user_dropped_off"]
    end = done[0] if done else left[-1] if left else None
    metrics = end["metrics"] if end else None
    status = "completed" if done else "dropped_off" if left else "in_progress"
    context = end["context"] if end else {}
    declared = _number(metrics, "total_duration_seconds")
    numbers = [_whole(e["metrics"], "turn_number") for e in of["message_sent"]]
    experiment, variant = _first((e["named"][0] if e["named"] else None for e in events), (None, None))
    silence = None
    if status == "dropped_off" and end is not None:
        silence = _number(metrics, "time_since_last_message_seconds")
        if silence is None and of["message_sent"]:
            silence = _seconds(end["at"] - of["message_sent"][-1]["at"])
    user = _first(e["unit_id"] for e in events)
    return {
        "user_id": pseudonymise(user) if user else None,
        "flow_id": _first(e["context"].get("flow_id") for e in events),
        "experiment_id": experiment,
        "variant_id": variant,
        "has_start": started is not None,
        "started_at": started,
        "completed_at": done[0]["at"] if done else None,
        "dropped_off_at": left[-1]["at"] if left else None,
        "status": status,
        "message_count": len(of["message_sent"]),
        "turn_count": len({n for n in numbers if n is not None}) + numbers.count(None),
        "total_turns": _whole(metrics, "total_turns"),
        "duration_seconds": declared if declared is not None
        else _seconds(end["at"] - started) if end and started else None,
        "last_active_state": context.get("final_state" if done else "last_active_state")
        or _first(e["context"].get("current_state") for e in reversed(events)),
        "drop_off_reason": _code(end["payload"]["drop_off_reason"]) if end and status == "dropped_off" else None,
        "progress": _number(end.get("payload"), "progress") if end else None,
        "seconds_since_last_message": silence,
        "satisfaction_score": _first(_number(e.get("payload"), "satisfaction_score") for e in reversed(events)),
    }  # fmt: skip


def _expected_sessions(landed: Landed, by_day: bool) -> dict[tuple[date, str], Row]:
    pseudonymise = load_pseudonymiser(landed.world.settings)
    events = [e for e in _events(landed) if e["session"]]
    groups = _groups(events, lambda e: (e["day"], e["session"]) if by_day else e["session"])
    made = {}
    for group in groups.values():
        if any(e["event_type"] in CONVERSATION for e in group):
            made[group[0]["day"], group[0]["session"]] = _conversation(group, pseudonymise)
    return made


def _read(landed: Landed, query: str) -> list[Row]:
    """As a dashboard does."""
    with landed.world.as_reader() as connection:
        cursor = connection.execute(query)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _same(found: dict[Any, Row], expected: dict[Any, Row]) -> None:
    assert found.keys() == expected.keys()
    differing = {
        key: {name: (row[name], value) for name, value in expected[key].items() if row[name] != value}
        for key, row in found.items()
    }
    assert {key: names for key, names in differing.items() if names} == {}


# -- conversations -----------------------------------------------------------------------------------------------------


def test_days_with_nothing_but_events_are_certified(landed: Landed) -> None:
    assert landed.is_success
    assert {landed.world.status(day).split(" ", maxsplit=1)[0] for day in DAYS} == {"certified"}
    with_turns = _read(landed, "select distinct session_date::text as day from certified.fact_voice_ai_sessions")
    assert [row["day"] for row in with_turns] == ["2026-08-02"]


def test_the_world_holds_every_edge(landed: Landed) -> None:
    """Else the comparisons below would prove less than they seem to."""
    sessions = _expected_sessions(landed, by_day=True)
    whole = _expected_sessions(landed, by_day=False)
    assert len(sessions) > len(whole) > 280
    assert Counter(s["status"] for s in whole.values()).keys() == {"completed", "dropped_off", "in_progress"}
    assert any(s["completed_at"] and s["dropped_off_at"] for s in whole.values())
    assert any(not s["has_start"] for s in whole.values())
    assert any(s["flow_id"] is None for s in whole.values())
    assert any(s["turn_count"] < s["message_count"] for s in whole.values())
    assert any(s["drop_off_reason"] == "other" for s in whole.values())
    assert sum(e["session"] is None for e in _events(landed)) > 10
    repeated = landed.world.query("select sum(rows_duplicate) as n from governance.loads where is_live")
    assert repeated[0]["n"] == 60


def test_conversations_of_each_day_are_exact(landed: Landed) -> None:
    found = {
        (r["event_date"], r["session_id"]): r for r in _read(landed, "select * from certified.conversation_sessions")
    }
    _same(found, _expected_sessions(landed, by_day=True))


def test_conversations_across_midnight_are_one(landed: Landed) -> None:
    found = {(r["session_date"], r["session_id"]): r for r in _read(landed, "select * from exp.v_conversations")}
    _same(found, _expected_sessions(landed, by_day=False))
    assert {row["day_count"] for row in found.values()} == {1, 2}


def _stages(sessions: pd.DataFrame) -> dict[str, int]:
    started = sessions[sessions["has_start"]]
    completed = started["status"] == "completed"
    progressed = completed | (started["turn_count"] >= DEFAULT_STEPS)
    engaged = progressed | (started["message_count"] > 0)
    return {
        "started_session_count": len(started),
        "engaged_session_count": int(engaged.sum()),
        "progressed_session_count": int(progressed.sum()),
        "completed_session_count": int(completed.sum()),
        "dropped_off_session_count": int((started["status"] == "dropped_off").sum()),
        "in_progress_session_count": int((started["status"] == "in_progress").sum()),
    }


_KEYS = ["day", "flow_id", "experiment_id", "variant_id"]


def _frame(sessions: dict[tuple[date, str], Row]) -> pd.DataFrame:
    rows = [{"day": day, **row} for (day, _), row in sessions.items()]
    return pd.DataFrame(rows).astype(dict.fromkeys(_KEYS, object)).where(lambda f: f.notna(), None)


def _key(row: Row, day: str) -> tuple[Any, ...]:
    return (row[day], row["flow_id"], row["experiment_id"], row["variant_id"])


def _by_keys(frame: pd.DataFrame, keys: list[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    groups: Iterable[tuple[Any, pd.DataFrame]] = frame.groupby(keys, dropna=False)
    for key, group in groups:
        yield tuple(None if pd.isna(part) else part for part in key), group


def _total(values: pd.Series) -> Decimal:
    return sum((Decimal(v) for v in values.dropna()), Decimal(0))


def test_the_funnel_of_each_day_is_exact(landed: Landed) -> None:
    expected = {}
    for key, group in _by_keys(_frame(_expected_sessions(landed, by_day=True)), _KEYS):
        continued = group[~group["has_start"].astype(bool)]
        completed = group[group["status"] == "completed"]
        expected[key] = {
            **_stages(group),
            "session_count": len(group),
            "continued_session_count": len(continued),
            "continued_completed_session_count": int((continued["status"] == "completed").sum()),
            "continued_dropped_off_session_count": int((continued["status"] == "dropped_off").sum()),
            "message_count": int(group["message_count"].sum()),
            "session_with_total_turns_count": int(group["total_turns"].notna().sum()),
            "total_turns": int(_total(group["total_turns"])),
            "timed_session_count": int(group["duration_seconds"].notna().sum()),
            "duration_seconds": _total(group["duration_seconds"]),
            "completed_duration_seconds": _total(completed["duration_seconds"]),
            "rated_session_count": int(group["satisfaction_score"].notna().sum()),
            "satisfaction_score_sum": _total(group["satisfaction_score"]),
        }
    found = {_key(r, "event_date"): r for r in _read(landed, "select * from certified.conversation_funnel")}
    _same(found, expected)


def test_the_funnel_of_whole_conversations_is_exact(landed: Landed) -> None:
    frame = _frame(_expected_sessions(landed, by_day=False))
    started = frame[frame["has_start"].astype(bool)]
    expected = {key: _stages(group) for key, group in _by_keys(started, _KEYS)}
    found = {_key(r, "session_date"): r for r in _read(landed, "select * from exp.v_conversations_funnel")}
    _same(found, expected)


def test_drop_off_points_are_exact(landed: Landed) -> None:
    frame = _frame(_expected_sessions(landed, by_day=True))
    expected = {}
    keys = [*_KEYS, "last_active_state", "drop_off_reason"]
    for key, group in _by_keys(frame[frame["status"] == "dropped_off"], keys):
        expected[key] = {
            "drop_off_count": len(group),
            "session_with_progress_count": int(group["progress"].notna().sum()),
            "progress_sum": _total(group["progress"]),
            "session_with_total_turns_count": int(group["total_turns"].notna().sum()),
            "total_turns": int(_total(group["total_turns"])),
            "seconds_since_last_message_sum": _total(group["seconds_since_last_message"]),
        }
    found = {
        (*_key(r, "event_date"), r["last_active_state"], r["drop_off_reason"]): r
        for r in _read(landed, "select * from certified.flow_drop_off_points")
    }
    _same(found, expected)


def test_events_by_hour_are_exact(landed: Landed) -> None:
    sessions = _expected_sessions(landed, by_day=True)
    events: Counter[tuple[Any, ...]] = Counter()
    sessionless: Counter[tuple[Any, ...]] = Counter()
    for e in _events(landed):
        own = sessions.get((e["day"], e["session"]), {})
        named = e["named"][0] if e["named"] else (own.get("experiment_id"), own.get("variant_id"))
        key = (e["day"], e["at"].hour, e["event_type"], e["context"].get("flow_id") or own.get("flow_id"), *named)
        events[key] += 1
        sessionless[key] += e["session"] is None
    names = ("event_date", "event_hour", "event_type", "flow_id", "experiment_id", "variant_id")
    found = _read(landed, "select * from certified.conversation_events_hourly")
    assert {tuple(r[name] for name in names): r["event_count"] for r in found} == dict(events)
    assert {tuple(r[name] for name in names): r["sessionless_event_count"] for r in found} == dict(sessionless)


# -- experiments -------------------------------------------------------------------------------------------------------


def _rows_of_experiments(landed: Landed) -> Iterator[tuple[tuple[Any, Any], bool, Row]]:
    for e in _events(landed):
        for place, named in enumerate(e["named"] or [(None, None)]):
            yield named, place == 0, e


def _accepted(kind: str) -> bool | None:
    return {"suggestion_accepted": True, "suggestion_rejected": False}.get(kind)


def _measures(rows: list[tuple[bool, Row]]) -> Row:
    events = [e for _, e in rows]
    edits = [(_whole(e.get("metrics"), "edit_count"), _accepted(e["event_type"])) for e in events]
    tokens = [(_whole(e.get("metrics"), "token_count"), first) for first, e in rows]
    costs = [(_number(e.get("metrics"), "cost_usd"), first) for first, e in rows]
    return {
        "event_count": len(rows),
        "first_event_count": sum(first for first, _ in rows),
        "user_count": len({e["unit_id"] for e in events} - {None}),
        "offered_count": sum(e["event_type"] == "suggestion_shown" for e in events),
        "accepted_count": sum(_accepted(e["event_type"]) is True for e in events),
        "rejected_count": sum(_accepted(e["event_type"]) is False for e in events),
        "event_with_edits_count": sum(n is not None for n, _ in edits),
        "edit_count": sum(n or 0 for n, _ in edits),
        "accepted_event_with_edits_count": sum(n is not None and bool(ok) for n, ok in edits),
        "accepted_edit_count": sum(n or 0 for n, ok in edits if ok),
        "event_with_latency_count": sum(_number(e.get("metrics"), "latency_ms") is not None for e in events),
        "token_count": sum(n or 0 for n, _ in tokens),
        "first_token_count": sum(n or 0 for n, first in tokens if first),
        "cost_usd": sum((n or Decimal(0) for n, _ in costs), Decimal(0)),
        "first_cost_usd": sum((n or Decimal(0) for n, first in costs if first), Decimal(0)),
    }


def test_events_of_experiments_are_exact(landed: Landed) -> None:
    groups = defaultdict(list)
    for named, is_first, e in _rows_of_experiments(landed):
        groups[e["day"], *named, e["event_type"]].append((is_first, e))
    found = {
        (r["event_date"], r["experiment_id"], r["variant_id"], r["event_type"]): r
        for r in _read(landed, "select * from certified.experiment_events_daily")
    }
    _same(found, {key: _measures(rows) for key, rows in groups.items()})
    assert sum(r["first_event_count"] for r in found.values()) == len(_events(landed))


@pytest.mark.parametrize(
    ("mart", "column"),
    [("experiment_latency_histogram_daily", "latency_ms"), ("experiment_edit_histogram_daily", "edit_count")],
)
def test_distributions_are_exact(landed: Landed, mart: str, column: str) -> None:
    expected: Counter[tuple[Any, ...]] = Counter()
    for named, _, e in _rows_of_experiments(landed):
        value = _number(e.get("metrics"), column)
        if value is not None:
            whole = int(value.quantize(Decimal(1), ROUND_HALF_UP))
            expected[e["day"], *named, e["event_type"], whole] += 1
    names = ("event_date", "experiment_id", "variant_id", "event_type", column)
    found = _read(landed, f"select * from certified.{mart}")
    assert {tuple(r[name] for name in names): r["event_count"] for r in found} == dict(expected)


def test_the_performance_of_variants_is_exact(landed: Landed) -> None:
    found = {
        (r["experiment_id"], r["variant_id"]): r for r in _read(landed, "select * from exp.experiment_performance")
    }
    assert found.keys() == {("x", "a"), ("x", "b"), ("x", "unused"), ("y", "only")}
    groups = defaultdict(list)
    for named, is_first, e in _rows_of_experiments(landed):
        groups[named].append((is_first, e))
    for key in (("x", "a"), ("x", "b"), ("y", "only")):
        events = [e for _, e in groups[key]]
        measures = _measures(groups[key])
        offered = max(measures["offered_count"], measures["accepted_count"] + measures["rejected_count"])
        values = [_number(e.get("metrics"), "latency_ms") for e in events]
        latencies = sorted(int(v.quantize(Decimal(1), ROUND_HALF_UP)) for v in values if v is not None)
        expected = {name: measures[name] for name in ("event_count", "accepted_count", "token_count", "cost_usd")}
        expected["acceptance_denominator"] = offered
        for share, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
            expected[f"latency_{name}_ms"] = latencies[math.ceil(share * len(latencies)) - 1]
        assert {name: found[key][name] for name in expected} == expected
        assert float(found[key]["acceptance_rate"]) == pytest.approx(measures["accepted_count"] / offered, abs=1e-15)
        edits = measures["accepted_edit_count"] / measures["accepted_event_with_edits_count"]
        assert float(found[key]["edits_per_accepted"]) == pytest.approx(edits, abs=1e-15)
    users = {key: (r["user_count"], r["user_in_several_variants_count"]) for key, r in found.items()}
    assert users == {("x", "a"): (45, 1), ("x", "b"): (46, 1), ("x", "unused"): (0, 0), ("y", "only"): (0, 0)}
    assert found["x", "unused"]["acceptance_rate"] is None
    assert (found["x", "b"]["experiment_name"], found["x", "b"]["variant_name"]) == ("Shorter prompt", "short")


def test_the_latest_list_says_what_is_active(landed: Landed) -> None:
    (row,) = _read(landed, "select * from exp.v_active_experiments")
    assert (row["experiment_id"], row["variant_count"], row["assignment_count"], row["user_count"]) == ("x", 3, 91, 90)
    assert row["started_at"] == datetime(2026, 7, 1, tzinfo=UTC)
    statuses = _read(
        landed, "select snapshot_date::text as day, experiment_id, status from certified.experiment_list_entries"
    )
    assert sorted(tuple(r.values()) for r in statuses) == [
        ("2026-08-01", "x", "draft"), ("2026-08-03", "x", "active"), ("2026-08-03", "y", "paused"),
    ]  # fmt: skip


def test_aggregates_are_published_as_their_source_computed_them(landed: Landed) -> None:
    daily = _read(landed, "select date::text, metric_name, count, mean from exp.daily_metrics order by 1")
    assert [tuple(r.values()) for r in daily] == [
        ("2026-08-01", "acceptance_rate", 10, 0.4),
        ("2026-08-02", "constraint_respect_score", 10, 1.0),
    ]
    named = _read(landed, "select experiment_name, variant_name, count(*) from exp.v_experiment_metrics group by 1, 2")
    assert [tuple(r.values()) for r in named] == [("Shorter prompt", "short", 4)]
    (violation,) = _read(landed, "select bucket_type, variant_name, mean from exp.constraint_violations")
    assert tuple(violation.values()) == ("hourly", "short", 0.99)


def test_a_version_is_credited_with_the_days_on_which_it_served(landed: Landed) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for named, _, e in _rows_of_experiments(landed):
        if named in {("x", "a"), ("x", "b")}:
            served = "p0" if named[1] == "a" else "p1" if e["day"] < date(2026, 8, 3) else "p2"
            counts[served, e["event_type"]] += 1
    rows = _read(landed, "select * from exp.offline_vs_online order by policy_version_id")
    assert [r["policy_version_id"] for r in rows] == ["p0", "p1", "p2", "p3"]
    for row in rows[:3]:
        accepted, rejected, shown = (
            counts[row["policy_version_id"], f"suggestion_{kind}"] for kind in ("accepted", "rejected", "shown")
        )
        offered = max(shown, accepted + rejected)
        assert (row["accepted_count"], row["acceptance_denominator"]) == (accepted, offered)
        assert row["online_minus_offline"] == pytest.approx(accepted / offered - row["offline_score"], abs=1e-12)
    assert (rows[3]["acceptance_rate"], rows[3]["online_minus_offline"]) == (None, None)
    versions = _read(landed, "select model_version, offline_score from exp.v_policy_versions order by 1")
    assert [tuple(r.values()) for r in versions] == [(f"dialogue-1.{n}", 0.5 + n / 10) for n in range(4)]


def test_releases_are_joined_with_the_sessions_that_saw_them(landed: Landed) -> None:
    rows = _read(landed, "select * from certified.dim_deployments order by deployment_id")
    day = date(2026, 8, 2)
    assert [
        (r["deployment_id"], r["model_version"], r["is_declared"], r["session_count"], r["first_session_date"])
        for r in rows
    ] == [
        ("d1", "dialogue-1.1", True, 1, day),
        ("d2", "dialogue-1.2", True, 1, day),
        ("d3", "dialogue-1.3", True, 0, None),
        ("d9", "dialogue-1.1", False, 1, day),
        (None, "unheard of", False, 1, day),
    ]


# -- promises ----------------------------------------------------------------------------------------------------------


def test_readers_see_exp_and_nothing_of_raw(landed: Landed) -> None:
    with landed.world.as_reader() as connection:
        views = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'exp' order by 1"
        ).fetchall()
    assert {"v_active_experiments", "v_experiment_metrics", "v_policy_versions"} <= {name for (name,) in views}
    for (name,) in views:
        _read(landed, f"select * from exp.{name} limit 1")
    for table in (
        "raw.experiment_events",
        "raw.deployments",
        "staging.stg_experiment_events",
        "marts.fact_assignments",
    ):
        with landed.world.as_reader() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"select * from {table} limit 1")


def test_every_row_is_the_only_one_of_its_grain(landed: Landed) -> None:
    assert grains.shared(landed.world) == {}


def test_no_text_and_no_unit_reaches_a_reader(landed: Landed) -> None:
    with landed.world.as_reader() as connection:
        tables = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables "
            "where table_schema in ('certified', 'exp') and table_name <> 'day_status'"
        ).fetchall()
    assert len(tables) > 20
    text = "\n".join(str(_read(landed, f"select * from {table}")) for (table,) in tables)
    assert not [secret for secret in (*SECRETS, "user-1") if secret in text]
    assert "session_expired" in text


def test_running_a_day_again_changes_nothing(landed: Landed) -> None:
    def versions() -> list[Row]:
        return landed.world.query(
            "select mart, day, version, content_sha256 from governance.publications where is_live order by 1, 2"
        )

    before = versions()
    assert landed.world.run("2026-08-02").success
    assert versions() == before
