"""Exports of an experiment platform: one file per table."""

from __future__ import annotations

import csv
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.reading import read
from voiceai_assets.adapters.events import ADAPTER

EVENT = {
    "id": "e1",
    "event_type": "message_sent",
    "unit_id": "user-7",
    "timestamp": "2026-08-01T10:00:00Z",
    "context": {"session_id": "s1", "flow_id": "booking", "current_state": "ask_date"},
    "metrics": {"turn_number": 2, "latency_ms": 310},
    "payload": {"progress": 0.4},
    "experiments": [{"experiment_id": "x1", "variant_id": "v1"}, {"experiment_id": "x2", "variant_id": "v9"}],
}


def lines(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def table(path: Path, *records: dict[str, str]) -> Path:
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(records[0]))
        writer.writeheader()
        writer.writerows(records)
    return path


def one(path: Path, dataset: str) -> dict[str, Any]:
    found = read(ADAPTER, path)[dataset]
    assert (len(found.rows), found.refused) == (1, [])
    assert found.rows[0]["invalid_fields"] is None
    return found.rows[0]


# -- events ----------------------------------------------------------------------------------------------------------


def check_event(row: dict[str, Any]) -> None:
    assert (row["id"], row["event_type"], row["unit_id"]) == ("e1", "message_sent", "user-7")
    assert row["timestamp"] == datetime(2026, 8, 1, 10, tzinfo=UTC)
    assert row["event_date"] == date(2026, 8, 1)
    for name in ("context", "metrics", "payload"):
        assert json.loads(row[name]) == EVENT[name]
    assert json.loads(row["experiments"]) == {"items": EVENT["experiments"]}
    assert row["extra"] is None


def test_an_event_is_read_from_json_lines(tmp_path: Path) -> None:
    check_event(one(lines(tmp_path / "events.jsonl", EVENT), "experiment_events"))


def test_an_event_is_read_from_csv_with_json_in_its_columns(tmp_path: Path) -> None:
    flat = {name: value if isinstance(value, str) else json.dumps(value) for name, value in EVENT.items()}
    check_event(one(table(tmp_path / "events_2026-08-01.csv", flat), "experiment_events"))


def test_an_event_is_read_from_parquet_with_nested_columns(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    pq.write_table(pa.Table.from_pylist([EVENT]), path)
    check_event(one(path, "experiment_events"))


@pytest.mark.parametrize("kind", ["conversation_started", "flow_completed", "user_dropped_off", "coffee_spilled"])
def test_an_event_of_any_kind_is_kept(tmp_path: Path, kind: str) -> None:
    path = lines(tmp_path / "events.jsonl", {**EVENT, "event_type": kind})
    assert one(path, "experiment_events")["event_type"] == kind


def test_an_event_needs_no_more_than_a_kind_and_a_time(tmp_path: Path) -> None:
    path = lines(tmp_path / "events.jsonl", {"event_type": "flow_completed", "timestamp": "2026-08-01T10:00:00"})
    row = one(path, "experiment_events")
    assert [row[name] for name in ("id", "unit_id", "context", "metrics", "payload", "experiments")] == [None] * 6


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event_type": None}, "missing_field"),
        ({"timestamp": None}, "missing_field"),
        ({"timestamp": "2026-08-01"}, "wrong_type"),
        ({"timestamp": 1785578400}, "wrong_type"),
    ],
)
def test_an_event_without_kind_or_time_is_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    found = read(ADAPTER, lines(tmp_path / "events.jsonl", {**EVENT, **change}))["experiment_events"]
    assert (found.rows, [r["reason"] for r in found.refused]) == ([], [reason])


@pytest.mark.parametrize(("value", "stored"), [([], {"items": []}), ({"a": 1}, {"a": 1})])
def test_experiments_are_always_an_object(tmp_path: Path, value: Any, stored: Any) -> None:
    row = one(lines(tmp_path / "events.jsonl", {**EVENT, "experiments": value}), "experiment_events")
    assert json.loads(row["experiments"]) == stored


@pytest.mark.parametrize("name", ["context", "metrics", "payload", "experiments"])
@pytest.mark.parametrize("value", ["words", 7])
def test_what_is_no_object_is_named_and_kept(tmp_path: Path, name: str, value: Any) -> None:
    (row,) = read(ADAPTER, lines(tmp_path / "events.jsonl", {**EVENT, name: value}))["experiment_events"].rows
    assert (row[name], row["invalid_fields"]) == (None, [name])
    assert json.loads(row["extra"])["_invalid"][name] == value


def test_a_key_that_nobody_knows_is_kept(tmp_path: Path) -> None:
    row = one(lines(tmp_path / "events.jsonl", {**EVENT, "sdk": {"version": "1.2"}}), "experiment_events")
    assert json.loads(row["extra"]) == {"sdk": {"version": "1.2"}}


def test_a_line_that_is_no_json_is_refused_and_the_others_stay(tmp_path: Path) -> None:
    path = lines(tmp_path / "events.jsonl", EVENT)
    path.write_text(path.read_text() + '{"id": "e2", "event_ty\n')
    found = read(ADAPTER, path)["experiment_events"]
    assert (len(found.rows), [(r["line"], r["reason"]) for r in found.refused]) == (1, [(2, "unreadable")])


# -- the other tables ------------------------------------------------------------------------------------------------


def test_an_experiment_may_have_bare_dates_and_its_id_the_short_name(tmp_path: Path) -> None:
    record = {"id": "x1", "name": "Shorter prompt", "status": "active", "start_date": "2026-07-01"}
    row = one(table(tmp_path / "experiments.csv", record), "experiments")
    assert (row["experiment_id"], row["name"], row["status"]) == ("x1", "Shorter prompt", "active")
    assert (row["started_at"], row["snapshot_date"]) == (datetime(2026, 7, 1, tzinfo=UTC), None)


def test_a_variant_has_a_share_of_the_traffic(tmp_path: Path) -> None:
    record = {"id": "v1", "experiment_id": "x1", "name": "control", "is_control": True, "allocation": 0.5}
    row = one(lines(tmp_path / "variants.jsonl", {**record, "config": {"prompt": "short"}}), "variants")
    assert (row["variant_id"], row["experiment_id"], row["is_control"], row["allocation"]) == ("v1", "x1", True, 0.5)
    assert json.loads(row["config"]) == {"prompt": "short"}


@pytest.mark.parametrize("name", ["assigned_at", "timestamp", "created_at"])
def test_an_assignment_lies_on_the_day_it_was_made(tmp_path: Path, name: str) -> None:
    record = {"experiment_id": "x1", "variant_id": "v1", "unit_id": "user-7", name: "2026-08-01T23:59:59Z"}
    row = one(table(tmp_path / "assignments.csv", record), "assignments")
    assert (row["unit_id"], row["assigned_date"]) == ("user-7", date(2026, 8, 1))


def test_an_assignment_of_nobody_is_refused(tmp_path: Path) -> None:
    record = {"experiment_id": "x1", "variant_id": "v1", "unit_id": "", "assigned_at": "2026-08-01T23:59:59Z"}
    found = read(ADAPTER, table(tmp_path / "assignments.csv", record))["assignments"]
    assert [r["message"] for r in found.refused] == ["unit_id is required"]


@pytest.mark.parametrize("start", ["2026-08-01", "2026-08-01T00:00:00Z"])
def test_a_daily_aggregate_lies_on_the_day_it_is_about(tmp_path: Path, start: str) -> None:
    record = {
        "experiment_id": "x1",
        "variant_id": "v1",
        "metric_name": "acceptance_rate",
        "bucket_type": "daily",
        "bucket_start": start,
        "count": "120",
        "mean": "0.31",
        "min": "0",
        "max": "1",
    }
    row = one(table(tmp_path / "metric_aggregates.csv", record), "metric_aggregates")
    assert (row["metric_name"], row["bucket_type"], row["bucket_date"]) == (
        "acceptance_rate",
        "daily",
        date(2026, 8, 1),
    )
    assert (row["count"], row["mean"], row["min_value"], row["max_value"]) == (120, 0.31, 0, 1)


def test_a_policy_version_names_its_model(tmp_path: Path) -> None:
    record = {"id": "p1", "version": "3", "model_name": "m", "status": "active", "offline_alignment_score": 0.8}
    row = one(lines(tmp_path / "policy_versions.jsonl", record), "policy_versions")
    assert (row["policy_version_id"], row["version"], row["model_name"]) == ("p1", "3", "m")
    assert (row["offline_score"], row["snapshot_date"]) == (0.8, None)


def test_a_release_may_have_a_bare_date_and_its_id_the_short_name(tmp_path: Path) -> None:
    record = {
        "id": "d1",
        "model_version": "dialogue-1.5",
        "released_at": "2026-07-01",
        "description": "call 0788123456",
    }
    row = one(table(tmp_path / "deployments.csv", record), "deployments")
    assert (row["deployment_id"], row["model_version"]) == ("d1", "dialogue-1.5")
    assert (row["released_at"], row["snapshot_date"]) == (datetime(2026, 7, 1, tzinfo=UTC), None)


@pytest.mark.parametrize(
    ("path", "dataset"),
    [
        ("events.jsonl.gz", "experiment_events"),
        ("2026/experiment_events_2026-08-01.parquet", "experiment_events"),
        ("experiments/variants.csv", "variants"),
        ("experiments/experiments.csv", "experiments"),
        ("experiments/model_deployments_2026-08-01.csv", "deployments"),
        ("notes.csv", None),
    ],
)
def test_a_file_is_known_by_its_name(path: str, dataset: str | None) -> None:
    assert [found.contract.dataset for found in ADAPTER.tables_of(path)] == ([dataset] if dataset else [])
