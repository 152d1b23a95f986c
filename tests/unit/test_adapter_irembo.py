"""Irembo's five files: what becomes of their columns, and on which day their rows lie."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from tests.conftest import SHARED_DATA
from tests.unit.reading import read
from voiceai_assets.adapters.irembo import ADAPTER

TURN = {
    "turn_id": "T1",
    "session_id": "S1",
    "turn_number": "3",
    "speaker": "user",
    "detected_intent": "repeat",
    "intent_confidence": "0.61",
    "asr_confidence": "0.83",
    "error_type": "silence",
    "turn_duration_sec": "8",
    "created_at": "2025-02-21",
}
SESSION = {
    "session_id": "S1",
    "user_id": "U1",
    "channel": "voice",
    "language": "KINYARWANDA",
    "total_duration_sec": "173",
    "total_turns": "11",
    "final_outcome": "transferred",
    "transfer_reason": "user_request",
    "created_at": "2025-04-14",
}
METRICS = {
    "session_id": "S1",
    "avg_asr_confidence": "0.7",
    "avg_intent_confidence": "0.8",
    "misunderstanding_rate": "0.5",
    "silence_rate": "0.0",
    "recovery_success": "yes",
    "escalation_flag": "no",
}
APPLICATION = {
    "application_id": "A1",
    "session_id": "S1",
    "user_id": "U2",
    "service_code": "LAND",
    "channel": "ussd",
    "status": "completed",
    "time_to_submit_sec": "517",
    "submitted_at": "2025-04-04",
}
USER = {"user_id": "U1", "region": "rural", "disability_flag": "yes", "first_time_digital_user": "no"}


def write(path: Path, *records: dict[str, str]) -> Path:
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(records[0]))
        writer.writeheader()
        writer.writerows(records)
    return path


def one(path: Path, dataset: str, **options: Any) -> dict[str, Any]:
    found = read(ADAPTER, path, **options)[dataset]
    assert (len(found.rows), found.refused) == (1, [])
    return found.rows[0]


def turn(folder: Path, **columns: str) -> dict[str, Any]:
    return one(write(folder / "voice_turns.csv", {**TURN, **columns}), "turns")


# -- a clean record of each file -------------------------------------------------------------------------------------


def test_a_turn_carries_its_columns_and_nothing_of_its_session(tmp_path: Path) -> None:
    write(tmp_path / "voice_sessions.csv", SESSION)
    row = turn(tmp_path)
    assert (row["session_id"], row["turn_id"], row["turn_number"], row["speaker"]) == ("S1", "T1", 3, "user")
    assert (row["intent"], row["intent_confidence"], row["asr_confidence"]) == ("repeat", 0.61, 0.83)
    assert (row["error_type"], row["turn_duration_ms"]) == ("silence", 8000)
    assert (row["session_outcome"], row["transfer_reason"], row["user_id"], row["extra"]) == (None, None, None, None)


def test_a_session_keeps_what_it_declares(tmp_path: Path) -> None:
    row = one(write(tmp_path / "voice_sessions.csv", SESSION), "sessions")
    assert (row["session_id"], row["user_id"], row["channel"], row["language"]) == ("S1", "U1", "voice", "KINYARWANDA")
    assert (row["duration_seconds"], row["turn_count"]) == (173, 11)
    assert (row["final_outcome"], row["transfer_reason"]) == ("transferred", "user_request")
    assert (row["session_date"], row["ended_at"]) == (date(2025, 4, 14), None)


def test_the_sources_own_figures_become_session_metrics(tmp_path: Path) -> None:
    write(tmp_path / "voice_sessions.csv", SESSION)
    row = one(write(tmp_path / "voice_ai_metrics.csv", METRICS), "session_metrics")
    assert (row["avg_asr_confidence"], row["misunderstanding_rate"]) == (0.7, 0.5)
    assert (row["recovery_success"], row["escalation"]) == (True, False)
    assert row["session_date"] == date(2025, 4, 14)


def test_an_application_lies_on_the_day_it_was_submitted(tmp_path: Path) -> None:
    write(tmp_path / "voice_sessions.csv", SESSION)
    row = one(write(tmp_path / "applications.csv", APPLICATION), "applications")
    assert (row["application_id"], row["service_code"], row["status"]) == ("A1", "LAND", "completed")
    assert (row["seconds_to_submit"], row["submitted_date"]) == (517, date(2025, 4, 4))


def test_a_user_has_no_day_of_its_own(tmp_path: Path) -> None:
    row = one(write(tmp_path / "users.csv", USER), "users")
    assert (row["user_id"], row["region"], row["disability"]) == ("U1", "rural", "yes")
    assert (row["is_first_time_digital_user"], row["snapshot_date"]) == (False, None)


# -- days ------------------------------------------------------------------------------------------------------------


def test_a_turn_lies_on_the_day_of_its_session_and_keeps_its_own_date(tmp_path: Path) -> None:
    write(tmp_path / "voice_sessions.csv", SESSION)
    row = turn(tmp_path)
    assert row["turn_date"] == date(2025, 4, 14)
    assert row["timestamp"] == datetime(2025, 2, 21, tzinfo=UTC)


def test_a_turn_without_its_session_lies_on_its_own_day(tmp_path: Path) -> None:
    write(tmp_path / "voice_sessions.csv", {**SESSION, "session_id": "S2"})
    assert turn(tmp_path)["turn_date"] == date(2025, 2, 21)


def test_a_bare_date_is_midnight_in_the_sources_zone_and_said_to_be_inferred(tmp_path: Path) -> None:
    path = write(tmp_path / "voice_sessions.csv", SESSION)
    row = one(path, "sessions", timezone="Africa/Kigali")
    assert row["started_at"].astimezone(UTC) == datetime(2025, 4, 13, 22, tzinfo=UTC)
    assert row["session_date"] == date(2025, 4, 14)
    assert row["derived"] == ["started_at"]


def test_a_whole_time_stamp_stays_as_it_is(tmp_path: Path) -> None:
    row = turn(tmp_path, created_at="2025-02-21T23:15:00Z")
    assert row["timestamp"] == datetime(2025, 2, 21, 23, 15, tzinfo=UTC)
    assert row["derived"] is None


@pytest.mark.parametrize("text", ["21/02/2025", "2025-02-30", "soon"])
def test_a_date_that_must_be_guessed_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "voice_turns.csv", {**TURN, "created_at": text})
    found = read(ADAPTER, path)["turns"]
    assert found.rows == []
    assert [(r["line"], r["reason"]) for r in found.refused] == [(2, "wrong_type")]


# -- awkward values --------------------------------------------------------------------------------------------------


def test_a_system_turn_is_the_agents_and_its_confidence_is_set_aside(tmp_path: Path) -> None:
    row = turn(tmp_path, speaker="system")
    assert (row["speaker"], row["asr_confidence"]) == ("agent", None)
    assert json.loads(row["extra"]) == {"asr_confidence": 0.83}


def test_an_impossible_value_is_loaded_for_the_checks_to_judge(tmp_path: Path) -> None:
    row = turn(tmp_path, asr_confidence="1.7", speaker="supervisor", error_type="gremlins")
    assert (row["asr_confidence"], row["speaker"], row["error_type"]) == (1.7, "supervisor", "gremlins")


def test_a_duration_that_is_no_number_is_named_and_kept(tmp_path: Path) -> None:
    row = turn(tmp_path, turn_duration_sec="eight")
    assert (row["turn_duration_ms"], row["invalid_fields"]) == (None, ["turn_duration_ms"])
    assert "eight" in row["extra"]


def test_a_flag_that_is_neither_yes_nor_no_is_named_and_kept(tmp_path: Path) -> None:
    row = one(write(tmp_path / "voice_ai_metrics.csv", {**METRICS, "escalation_flag": "perhaps"}), "session_metrics")
    assert (row["escalation"], row["invalid_fields"]) == (None, ["escalation"])
    assert "perhaps" in row["extra"]


def test_an_application_keeps_a_user_that_is_not_its_sessions(tmp_path: Path) -> None:
    row = one(write(tmp_path / "applications.csv", APPLICATION), "applications")
    assert (row["user_id"], row["session_id"]) == ("U2", "S1")


def test_a_column_that_nobody_knows_is_kept(tmp_path: Path) -> None:
    row = one(write(tmp_path / "users.csv", {**USER, "district": "Gasabo"}), "users")
    assert json.loads(row["extra"]) == {"district": "Gasabo"}


@pytest.mark.parametrize(
    ("path", "dataset"),
    [
        ("voice_turns.csv", "turns"),
        ("2025/voice_turns_april.csv.gz", "turns"),
        ("users/voice_sessions.parquet", "sessions"),
        ("users_2025-01-01.csv", "users"),
        ("notes.csv", None),
    ],
)
def test_a_file_is_known_by_its_name(path: str, dataset: str | None) -> None:
    assert [table.contract.dataset for table in ADAPTER.tables_of(path)] == ([dataset] if dataset else [])


# -- the real files --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def irembo() -> Path:
    folder = SHARED_DATA / "irembo"
    if not folder.is_dir():
        pytest.skip(f"the Irembo files are not at {folder}; their licence keeps them out of the repository")
    return folder


def test_every_record_of_the_real_files_becomes_a_row(irembo: Path) -> None:
    counts = {}
    for path in sorted(irembo.glob("*.csv")):
        for dataset, found in read(ADAPTER, path).items():
            assert found.refused == []
            assert not any(row["invalid_fields"] for row in found.rows)
            counts[dataset] = len(found.rows)
    assert counts == {
        "turns": 6500,
        "sessions": 1200,
        "session_metrics": 1196,
        "applications": 900,
        "users": 500,
    }


def test_the_real_turns_lie_with_their_sessions(irembo: Path) -> None:
    days = {r["session_id"]: r["session_date"] for r in read(ADAPTER, irembo / "voice_sessions.csv")["sessions"].rows}
    turns = read(ADAPTER, irembo / "voice_turns.csv")["turns"].rows
    assert all(row["turn_date"] == days[row["session_id"]] for row in turns)


def test_the_sources_figures_can_be_recomputed_from_its_turns(irembo: Path) -> None:
    by_session = defaultdict(list)
    for row in read(ADAPTER, irembo / "voice_turns.csv")["turns"].rows:
        by_session[row["session_id"]].append(row)
    metrics = read(ADAPTER, irembo / "voice_ai_metrics.csv")["session_metrics"].rows
    for declared in metrics:
        turns = by_session[declared["session_id"]]
        heard = [t["asr_confidence"] or json.loads(t["extra"])["asr_confidence"] for t in turns]
        assert declared["avg_asr_confidence"] == pytest.approx(fmean(heard))
        assert declared["avg_intent_confidence"] == pytest.approx(fmean(t["intent_confidence"] for t in turns))
        for kind, name in (("misunderstanding", "misunderstanding_rate"), ("silence", "silence_rate")):
            assert declared[name] == pytest.approx(fmean(t["error_type"] == kind for t in turns))
