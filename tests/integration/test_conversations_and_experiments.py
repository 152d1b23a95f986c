"""Events of conversations and experiments, from landing to what dashboards read.

Every figure is compared, exactly, with one made from the raw files by slow and plain code that shares nothing with the
models: it reads the JSON lines again, drops repeats, and walks conversation by conversation.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from tests.integration import grains, slow_path_events
from tests.integration.emitter import Emitter
from tests.integration.slow_path_events import by_experiment, experiment_events, histogram, same, with_short_ratios
from tests.integration.world import World, session
from voiceai_assets.privacy.pseudonyms import load_pseudonymiser

DAYS = ("2026-08-01", "2026-08-02", "2026-08-03")
SECRETS = ("child was crying", "Grace", "788123456")
Row = dict[str, Any]


# -- the files ---------------------------------------------------------------------------------------------------------


def _write(path: Path, rows: Iterable[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _land(world: World) -> list[Path]:
    emitter = Emitter(7, DAYS)
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


def _events(landed: Landed) -> list[Row]:
    return slow_path_events.events_of(landed.parts)


def _conversations(landed: Landed, *, by_day: bool) -> slow_path_events.Conversations:
    return slow_path_events.conversations(_events(landed), load_pseudonymiser(landed.world.settings), by_day=by_day)


def _read(landed: Landed, query: str) -> list[Row]:
    """As a dashboard does."""
    with landed.world.as_reader() as connection:
        cursor = connection.execute(query)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


# -- conversations -----------------------------------------------------------------------------------------------------


def test_days_with_nothing_but_events_are_certified(landed: Landed) -> None:
    assert landed.is_success
    assert {landed.world.status(day).split(" ", maxsplit=1)[0] for day in DAYS} == {"certified"}
    with_turns = _read(landed, "select distinct session_date::text as day from certified.fact_voice_ai_sessions")
    assert [row["day"] for row in with_turns] == ["2026-08-02"]


def test_the_world_holds_every_edge(landed: Landed) -> None:
    """Else the comparisons below would prove less than they seem to."""
    sessions = _conversations(landed, by_day=True)
    whole = _conversations(landed, by_day=False)
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
    same(found, _conversations(landed, by_day=True))


def test_conversations_across_midnight_are_one(landed: Landed) -> None:
    found = {(r["session_date"], r["session_id"]): r for r in _read(landed, "select * from exp.v_conversations")}
    same(found, _conversations(landed, by_day=False))
    assert {row["day_count"] for row in found.values()} == {1, 2}


_SEGMENT = ("flow_id", "experiment_id", "variant_id")


def _by(rows: list[Row], *names: str) -> dict[tuple[Any, ...], Row]:
    return {tuple(row[name] for name in names): row for row in rows}


def test_the_funnel_of_each_day_is_exact(landed: Landed) -> None:
    found = _by(_read(landed, "select * from certified.conversation_funnel"), "event_date", *_SEGMENT)
    same(found, slow_path_events.funnel(_conversations(landed, by_day=True)))


def test_the_funnel_of_whole_conversations_is_exact(landed: Landed) -> None:
    found = _by(_read(landed, "select * from exp.v_conversations_funnel"), "session_date", *_SEGMENT)
    same(found, slow_path_events.funnel_of_starts(_conversations(landed, by_day=False)))


def test_drop_off_points_are_exact(landed: Landed) -> None:
    rows = _read(landed, "select * from certified.flow_drop_off_points")
    found = _by(rows, "event_date", *_SEGMENT, "last_active_state", "drop_off_reason")
    same(found, slow_path_events.drop_off_points(_conversations(landed, by_day=True)))


def test_events_by_hour_are_exact(landed: Landed) -> None:
    rows = _read(landed, "select * from certified.conversation_events_hourly")
    found = _by(rows, "event_date", "event_hour", "event_type", *_SEGMENT)
    same(found, slow_path_events.hourly(_events(landed), _conversations(landed, by_day=True)))


# -- experiments -------------------------------------------------------------------------------------------------------


def test_events_of_experiments_are_exact(landed: Landed) -> None:
    rows = _read(landed, "select * from certified.experiment_events_daily")
    same(_by(rows, "event_date", "experiment_id", "variant_id", "event_type"), experiment_events(_events(landed)))
    assert sum(r["first_event_count"] for r in rows) == len(_events(landed))


@pytest.mark.parametrize(
    ("mart", "column"),
    [("experiment_latency_histogram_daily", "latency_ms"), ("experiment_edit_histogram_daily", "edit_count")],
)
def test_distributions_are_exact(landed: Landed, mart: str, column: str) -> None:
    names = ("event_date", "experiment_id", "variant_id", "event_type", column)
    found = _read(landed, f"select * from certified.{mart}")
    assert {tuple(r[name] for name in names): r["event_count"] for r in found} == histogram(_events(landed), column)


def test_the_performance_of_variants_is_exact(landed: Landed) -> None:
    found = {
        (r["experiment_id"], r["variant_id"]): r for r in _read(landed, "select * from exp.experiment_performance")
    }
    assert found.keys() == {("x", "a"), ("x", "b"), ("x", "unused"), ("y", "only")}
    expected = slow_path_events.performance(_events(landed))
    same(with_short_ratios({key: row for key, row in found.items() if key != ("x", "unused")}), expected)
    assert all(row["edits_per_accepted"] for row in expected.values())
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
    for named, _, e in by_experiment(_events(landed)):
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
