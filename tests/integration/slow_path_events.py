"""Conversations and experiments once more, from the JSON lines of their events, in plain Python.

It shares nothing with the models: it reads the lines again, drops repeats, and walks conversation by conversation.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from tests.integration.slow_path_turns import percentile

Row = dict[str, Any]
Key = tuple[Any, ...]
Conversations = dict[tuple[date, str], Row]

CONVERSATION = ("conversation_started", "message_sent", "flow_completed", "user_dropped_off")
RATIOS = ("acceptance_rate", "edits_per_accepted")
DEFAULT_STEPS = 3  # dbt_project/seeds/flow_funnel_steps.csv


def events_of(paths: Iterable[Path], zone: tzinfo = UTC) -> list[Row]:
    """What was sent, once each, in the order of time; ``zone`` is that of days, and of times without one."""
    by_id = {}
    for path in paths:
        for line in path.read_text().splitlines():
            event = json.loads(line, parse_float=Decimal)
            at = datetime.fromisoformat(event["timestamp"])
            event["at"] = (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(zone)
            event["day"] = event["at"].date()
            event["session"] = event["context"].get("session_id")
            event["named"] = [(e["experiment_id"], e["variant_id"]) for e in event.get("experiments", ())]
            by_id[event["id"]] = event
    return sorted(by_id.values(), key=lambda e: e["at"])


def same(found: Mapping[Any, Row], expected: Mapping[Any, Row]) -> None:
    """Asserts that both have the same rows and agree on every column that is expected."""
    assert found.keys() == expected.keys()
    differing = {
        key: {name: (row[name], value) for name, value in expected[key].items() if row[name] != value}
        for key, row in found.items()
    }
    assert {key: names for key, names in differing.items() if names} == {}


def number(document: Row | None, name: str) -> Decimal | None:
    """A figure of an event; what is none is null."""
    value = (document or {}).get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return Decimal(value) if 0 <= value <= 10**8 else None


def _whole(document: Row | None, name: str) -> int | None:
    value = number(document, name)
    return int(value) if value is not None and value == value.to_integral_value() else None


def _code(text: str | None) -> str | None:
    return None if text is None else "other" if " " in text else text


def _groups(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    found = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return dict(found)


def _first(values: Iterable[Any], default: Any = None) -> Any:
    return next((value for value in values if value is not None), default)


def _seconds(span: timedelta) -> Decimal:
    return Decimal(span // timedelta(microseconds=1)) / 1_000_000


# -- conversations -----------------------------------------------------------------------------------------------------


def _conversation(events: list[Row], pseudonymise: Callable[[str], str]) -> Row:
    """One conversation from its events in the order of time, whatever days they are of."""
    of = {kind: [e for e in events if e["event_type"] == kind] for kind in CONVERSATION}
    started = of["conversation_started"][0]["at"] if of["conversation_started"] else None
    done, left = of["flow_completed"], of["user_dropped_off"]
    end = done[0] if done else left[-1] if left else None
    metrics = end["metrics"] if end else None
    status = "completed" if done else "dropped_off" if left else "in_progress"
    context = end["context"] if end else {}
    declared = number(metrics, "total_duration_seconds")
    numbers = [_whole(e["metrics"], "turn_number") for e in of["message_sent"]]
    experiment, variant = _first((e["named"][0] if e["named"] else None for e in events), (None, None))
    silence = None
    if status == "dropped_off" and end is not None:
        silence = number(metrics, "time_since_last_message_seconds")
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
        "drop_off_reason": _code((end.get("payload") or {}).get("drop_off_reason"))
        if end and status == "dropped_off" else None,
        "progress": number(end.get("payload"), "progress") if end else None,
        "seconds_since_last_message": silence,
        "satisfaction_score": _first(number(e.get("payload"), "satisfaction_score") for e in reversed(events)),
    }  # fmt: skip


def conversations(events: Iterable[Row], pseudonymise: Callable[[str], str], *, by_day: bool) -> Conversations:
    """First day and session -> the conversation, cut at midnight or whole."""
    named = (e for e in events if e["session"])
    groups = _groups(named, lambda e: (e["day"], e["session"]) if by_day else e["session"])
    return {
        (group[0]["day"], group[0]["session"]): _conversation(group, pseudonymise)
        for group in groups.values()
        if any(e["event_type"] in CONVERSATION for e in group)
    }


def _by_segment(found: Conversations, *more: str) -> dict[Key, list[Row]]:
    rows = [{"day": day, **row} for (day, _), row in found.items()]
    return _groups(rows, lambda r: tuple(r[n] for n in ("day", "flow_id", "experiment_id", "variant_id", *more)))


def _known(rows: list[Row], name: str) -> list[Any]:
    return [row[name] for row in rows if row[name] is not None]


def _stages(rows: list[Row]) -> dict[str, int]:
    started = [row for row in rows if row["has_start"]]
    completed = [row["status"] == "completed" for row in started]
    progressed = [done or r["turn_count"] >= DEFAULT_STEPS for done, r in zip(completed, started, strict=True)]
    engaged = [far or r["message_count"] > 0 for far, r in zip(progressed, started, strict=True)]
    return {
        "started_session_count": len(started),
        "engaged_session_count": sum(engaged),
        "progressed_session_count": sum(progressed),
        "completed_session_count": sum(completed),
        "dropped_off_session_count": sum(row["status"] == "dropped_off" for row in started),
        "in_progress_session_count": sum(row["status"] == "in_progress" for row in started),
    }


def funnel(of_days: Conversations) -> dict[Key, Row]:
    """Day, flow and variant -> conversation_funnel."""
    found = {}
    for key, rows in _by_segment(of_days).items():
        continued = [row["status"] for row in rows if not row["has_start"]]
        completed = [row for row in rows if row["status"] == "completed"]
        found[key] = {
            **_stages(rows),
            "session_count": len(rows),
            "continued_session_count": len(continued),
            "continued_completed_session_count": continued.count("completed"),
            "continued_dropped_off_session_count": continued.count("dropped_off"),
            "message_count": sum(row["message_count"] for row in rows),
            "session_with_total_turns_count": len(_known(rows, "total_turns")),
            "total_turns": sum(_known(rows, "total_turns")),
            "timed_session_count": len(_known(rows, "duration_seconds")),
            "duration_seconds": sum(_known(rows, "duration_seconds")),
            "timed_completed_session_count": len(_known(completed, "duration_seconds")),
            "completed_duration_seconds": sum(_known(completed, "duration_seconds")),
            "rated_session_count": len(_known(rows, "satisfaction_score")),
            "satisfaction_score_sum": sum(_known(rows, "satisfaction_score")),
        }
    return found


def funnel_of_starts(whole: Conversations) -> dict[Key, Row]:
    """Day of the start, flow and variant -> v_conversations_funnel."""
    started = {key: row for key, row in whole.items() if row["has_start"]}
    return {key: dict(_stages(rows)) for key, rows in _by_segment(started).items()}


def drop_off_points(of_days: Conversations) -> dict[Key, Row]:
    """Day, flow, variant, last state and reason -> flow_drop_off_points."""
    left = {key: row for key, row in of_days.items() if row["status"] == "dropped_off"}
    return {
        key: {
            "drop_off_count": len(rows),
            "session_with_progress_count": len(_known(rows, "progress")),
            "progress_sum": sum(_known(rows, "progress")),
            "session_with_total_turns_count": len(_known(rows, "total_turns")),
            "total_turns": sum(_known(rows, "total_turns")),
            "session_with_silence_count": len(_known(rows, "seconds_since_last_message")),
            "seconds_since_last_message_sum": sum(_known(rows, "seconds_since_last_message")),
        }
        for key, rows in _by_segment(left, "last_active_state", "drop_off_reason").items()
    }


def hourly(events: Iterable[Row], of_days: Conversations) -> dict[Key, Row]:
    """Day, hour, kind, flow and variant -> conversation_events_hourly."""
    found: dict[Key, Row] = {}
    for e in events:
        own = of_days.get((e["day"], e["session"]), {})
        named = e["named"][0] if e["named"] else (own.get("experiment_id"), own.get("variant_id"))
        key = (e["day"], e["at"].hour, e["event_type"], e["context"].get("flow_id") or own.get("flow_id"), *named)
        row = found.setdefault(key, {"event_count": 0, "sessionless_event_count": 0})
        row["event_count"] += 1
        row["sessionless_event_count"] += e["session"] is None
    return found


# -- experiments -------------------------------------------------------------------------------------------------------


def by_experiment(events: Iterable[Row]) -> Iterator[tuple[tuple[Any, Any], bool, Row]]:
    """Each event for each experiment that it names: experiment and variant, whether it is the first, the event."""
    for e in events:
        for place, named in enumerate(e["named"] or [(None, None)]):
            yield named, place == 0, e


def _accepted(kind: str) -> bool | None:
    return {"suggestion_accepted": True, "suggestion_rejected": False}.get(kind)


def measures(rows: list[tuple[bool, Row]]) -> Row:
    """What a group of events adds up to."""
    events = [e for _, e in rows]
    edits = [(_whole(e.get("metrics"), "edit_count"), _accepted(e["event_type"])) for e in events]
    tokens = [(_whole(e.get("metrics"), "token_count"), first) for first, e in rows]
    costs = [(number(e.get("metrics"), "cost_usd"), first) for first, e in rows]
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
        "event_with_latency_count": sum(number(e.get("metrics"), "latency_ms") is not None for e in events),
        "token_count": sum(n or 0 for n, _ in tokens),
        "first_token_count": sum(n or 0 for n, first in tokens if first),
        "cost_usd": sum((n or Decimal(0) for n, _ in costs), Decimal(0)),
        "first_cost_usd": sum((n or Decimal(0) for n, first in costs if first), Decimal(0)),
    }


def experiment_events(events: Iterable[Row]) -> dict[Key, Row]:
    """Day, experiment, variant and kind -> experiment_events_daily."""
    groups = defaultdict(list)
    for named, is_first, e in by_experiment(events):
        groups[e["day"], *named, e["event_type"]].append((is_first, e))
    return {key: measures(rows) for key, rows in groups.items()}


def whole_numbers(events: Iterable[Row], name: str) -> list[int]:
    """A measure of those events that carry it, in whole units, halves up."""
    values = (number(e.get("metrics"), name) for e in events)
    return [int(value.quantize(Decimal(1), ROUND_HALF_UP)) for value in values if value is not None]


def histogram(events: Iterable[Row], name: str) -> Counter[Key]:
    """Day, experiment, variant, kind and whole value -> events."""
    return Counter(
        (e["day"], *named, e["event_type"], value)
        for named, _, e in by_experiment(events)
        for value in whole_numbers([e], name)
    )


def performance(events: Iterable[Row]) -> dict[Key, Row]:
    """Experiment and variant -> experiment_performance, of the variants that events name."""
    groups = defaultdict(list)
    for named, is_first, e in by_experiment(events):
        groups[named].append((is_first, e))
    found = {}
    for named, rows in groups.items():
        sums = measures(rows)
        offered = max(sums["offered_count"], sums["accepted_count"] + sums["rejected_count"])
        edited = sums["accepted_event_with_edits_count"]
        took = sorted(whole_numbers((e for _, e in rows), "latency_ms"))
        found[named] = {
            **{name: sums[name] for name in ("event_count", "accepted_count", "token_count", "cost_usd")},
            "acceptance_denominator": offered,
            "acceptance_rate": _ratio(sums["accepted_count"], offered),
            "edits_per_accepted": _ratio(sums["accepted_edit_count"], edited),
            **{f"latency_p{share}_ms": percentile(took, (share, 100)) for share in (50, 95, 99)},
        }
    return {named: row for named, row in found.items() if None not in named}


def _ratio(numerator: int, denominator: int) -> Decimal | None:
    return round(Decimal(numerator) / denominator, 12) if denominator else None


def with_short_ratios(rows: Mapping[Key, Row]) -> dict[Key, Row]:
    """The same with quotients to twelve digits, as ``performance`` gives them: a server may divide further."""
    return {
        key: row | {name: row[name] if row[name] is None else round(row[name], 12) for name in RATIOS}
        for key, row in rows.items()
    }
