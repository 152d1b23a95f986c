"""Bakame's daily file: which rows are turns, which are measurements, and what happens to what fits neither."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.unit.reading import Read, read
from voiceai_assets.adapters.bakame import ADAPTER
from voiceai_assets.lake.inbox import refresh
from voiceai_assets.lake.refine import Refinery
from voiceai_assets.privacy.pseudonyms import Pseudonymiser

HEADER = (
    "timestamp,phone_number,session_id,module_name,interaction_type,user_input,ai_response,session_duration,"
    "emotional_data,gamification_data,call_id,turn,asr_ms,llm_ms,tts_ms,total_ms,tokens_in,tokens_out,"
    "asr_confidence,error"
)

VOICE = {
    "timestamp": "2024-01-15T10:30:45.123Z",
    "phone_number": "+250788000001",
    "session_id": "session_001",
    "module_name": "english",
    "interaction_type": "voice",
    "user_input": "Hello, my number is [PHONE_REDACTED]",
    "ai_response": 'Great! Say "dog",\nplease.',
    "session_duration": "45.67",
    "emotional_data": '{"sentiment": "positive"}',
    "gamification_data": '{"points": 10, "level": 2}',
    "call_id": "CA1",
    "turn": "1",
}
METRICS = {
    "timestamp": "2024-01-15T10:30:46.500Z",
    "phone_number": "+250788000001",
    "session_id": "session_001",
    "module_name": "metrics",
    "interaction_type": "turn_metrics",
    "call_id": "CA1",
    "turn": "1",
    "asr_ms": "234.56",
    "llm_ms": "1234.78",
    "tts_ms": "-1",
    "total_ms": "1926.23",
    "tokens_in": "25",
    "tokens_out": "45",
    "asr_confidence": "0.95",
    "error": "Connection timeout",
}


def files(folder: Path, *records: dict[str, str]) -> dict[str, Read]:
    path = folder / "user_sessions.csv"
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(dict.fromkeys([*HEADER.split(","), *records[0]])))
        writer.writeheader()
        writer.writerows(records)
    return read(ADAPTER, path)


def turn(folder: Path, **columns: str) -> dict[str, Any]:
    found = files(folder, {**VOICE, **columns})["turns"]
    assert (len(found.rows), found.refused) == (1, [])
    return found.rows[0]


# -- clean records ---------------------------------------------------------------------------------------------------


def test_a_voice_row_is_an_exchange(tmp_path: Path) -> None:
    row = turn(tmp_path)
    assert (row["session_id"], row["turn_number"], row["speaker"], row["channel"]) == (
        "session_001",
        1,
        "exchange",
        "voice",
    )
    assert row["timestamp"] == datetime(2024, 1, 15, 10, 30, 45, 123000, tzinfo=UTC)
    assert (row["turn_date"], row["module"], row["user_id"]) == (date(2024, 1, 15), "english", "+250788000001")
    assert (row["user_text"], row["agent_text"]) == (VOICE["user_input"], VOICE["ai_response"])
    assert (row["derived"], row["invalid_fields"]) == (None, None)
    assert json.loads(row["extra"]) == {
        "call_id": "CA1",
        "session_duration": 45.67,
        "emotional_data": {"sentiment": "positive"},
        "gamification_data": {"points": 10, "level": 2},
    }


def test_a_text_message_is_a_turn_on_its_own_channel(tmp_path: Path) -> None:
    row = turn(tmp_path, interaction_type="sms", call_id="")
    assert (row["channel"], row["speaker"]) == ("sms", "exchange")
    assert "call_id" not in json.loads(row["extra"])


def test_a_turn_metrics_row_is_a_measurement_and_no_turn(tmp_path: Path) -> None:
    found = files(tmp_path, METRICS)
    assert found["turns"].rows == []
    (row,) = found["turn_metrics"].rows
    assert (row["session_id"], row["call_id"], row["turn_number"]) == ("session_001", "CA1", 1)
    assert (row["asr_ms"], row["llm_ms"], row["total_ms"]) == (234.56, 1234.78, 1926.23)
    assert (row["tokens_in"], row["tokens_out"], row["asr_confidence"]) == (25, 45, 0.95)
    assert (row["user_id"], row["module"], row["error"]) == ("+250788000001", "metrics", "Connection timeout")
    assert (row["turn_date"], row["extra"]) == (date(2024, 1, 15), None)


def test_a_time_that_was_not_measured_is_null(tmp_path: Path) -> None:
    assert files(tmp_path, METRICS)["turn_metrics"].rows[0]["tts_ms"] is None


def test_every_record_is_a_row_of_exactly_one_dataset(tmp_path: Path) -> None:
    kinds = ["voice", "sms", "turn_metrics", "Turn_Metrics ", "ussd", ""]
    found = files(tmp_path, *({**VOICE, "interaction_type": kind, "turn": str(n)} for n, kind in enumerate(kinds, 1)))
    assert [row["turn_number"] for row in found["turns"].rows] == [1, 2, 5, 6]
    assert [row["turn_number"] for row in found["turn_metrics"].rows] == [3, 4]


# -- turns that are not numbered, or numbered twice -------------------------------------------------------------------


@pytest.mark.parametrize("empty", ["", "  "])
def test_a_turn_without_number_gets_its_line_and_says_so(tmp_path: Path, empty: str) -> None:
    found = files(tmp_path, VOICE, {**VOICE, "turn": empty, "user_input": "again"})["turns"]
    first, second = found.rows
    # the first record's text holds a line break, so it ends on line 3
    assert (first["turn_number"], first["derived"]) == (1, None)
    assert (second["turn_number"], second["source_line"], second["derived"]) == (4, 4, ["turn_number"])


@pytest.mark.parametrize("text", ["one", "0", "1.5"])
def test_a_number_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    found = files(tmp_path, {**VOICE, "turn": text})["turns"]
    assert (found.rows, [r["reason"] for r in found.refused]) == ([], ["wrong_type"])


def test_a_measurement_without_turn_is_refused_because_nothing_leads_to_its_turn(tmp_path: Path) -> None:
    found = files(tmp_path, {**METRICS, "turn": ""})
    assert [r["reason"] for r in found["turn_metrics"].refused] == ["missing_field"]
    assert found["turns"].rows == found["turns"].refused == []


def test_turns_of_two_calls_and_a_message_in_one_session_stay_apart(tmp_path: Path) -> None:
    found = files(tmp_path, VOICE, {**VOICE, "call_id": "CA2"}, {**VOICE, "call_id": "", "interaction_type": "sms"})[
        "turns"
    ]
    assert len({row["turn_id"] for row in found.rows}) == 3


def test_the_same_turn_without_number_has_the_same_identity_on_any_line(tmp_path: Path) -> None:
    first, second = files(tmp_path, {**VOICE, "turn": ""}, {**VOICE, "turn": ""})["turns"].rows
    assert first["turn_id"] == second["turn_id"]


# -- columns that hold something else --------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["emotional_data", "gamification_data"])
@pytest.mark.parametrize("text", ["{'sentiment': 'positive'}", '{"sentiment": 1', "happy"])
def test_json_that_is_none_costs_neither_the_row_nor_the_text(tmp_path: Path, column: str, text: str) -> None:
    row = turn(tmp_path, **{column: text})
    assert json.loads(row["extra"])[column] == text
    assert row["sentiment"] is None


@pytest.mark.parametrize(("data", "sentiment"), [('{"sentiment": -0.5}', -0.5), ('{"sentiment": 1}', 1)])
def test_a_sentiment_that_is_a_number_is_taken(tmp_path: Path, data: str, sentiment: float) -> None:
    assert turn(tmp_path, emotional_data=data)["sentiment"] == sentiment


@pytest.mark.parametrize("data", ['{"sentiment": "0.5"}', '{"sentiment": null}', '["sentiment"]', "0.5", ""])
def test_any_other_sentiment_is_not_translated(tmp_path: Path, data: str) -> None:
    row = turn(tmp_path, emotional_data=data)
    assert (row["sentiment"], row["invalid_fields"]) == (None, None)


def test_a_duration_that_is_no_number_is_kept(tmp_path: Path) -> None:
    assert json.loads(turn(tmp_path, session_duration="long")["extra"])["session_duration"] == "long"


def test_nothing_to_add_is_null(tmp_path: Path) -> None:
    empty = dict.fromkeys(("session_duration", "emotional_data", "gamification_data", "call_id"), "")
    assert turn(tmp_path, **empty)["extra"] is None


def test_words_on_a_measurement_are_kept(tmp_path: Path) -> None:
    (row,) = files(tmp_path, {**METRICS, "user_input": "hello"})["turn_metrics"].rows
    assert json.loads(row["extra"]) == {"user_input": "hello"}


def test_columns_of_the_specification_that_the_header_does_not_have_yet_are_read(tmp_path: Path) -> None:
    row = turn(tmp_path, tts_provider="deepgram", audio_transcode_ms="12", barge_in_triggered="true")
    assert (row["tts_provider"], row["transcode_ms"], row["barge_in"]) == ("deepgram", 12, True)


def test_a_column_that_nobody_knows_is_kept(tmp_path: Path) -> None:
    assert json.loads(turn(tmp_path, district="Gasabo")["extra"])["district"] == "Gasabo"


@pytest.mark.parametrize("column", ["timestamp", "session_id"])
def test_a_row_without_time_or_session_is_refused(tmp_path: Path, column: str) -> None:
    found = files(tmp_path, {**VOICE, column: ""})["turns"]
    assert [(r["reason"], r["message"]) for r in found.refused] == [("missing_field", f"{column} is required")]


def test_a_row_of_another_width_is_booked_once_among_the_turns(tmp_path: Path) -> None:
    path = tmp_path / "user_sessions.csv"
    path.write_text(HEADER + "\n2024-01-15T10:30:45Z,+250788000001\n")
    found = read(ADAPTER, path)
    assert [r["reason"] for r in found["turns"].refused] == ["wrong_shape"]
    assert found["turn_metrics"].refused == []


@pytest.mark.parametrize("path", ["user_sessions.csv", "2024/user_sessions_2024-01-15.csv.gz"])
def test_rotated_files_are_known_by_their_name(path: str) -> None:
    assert [table.contract.dataset for table in ADAPTER.tables_of(path)] == ["turns", "turn_metrics"]


def test_what_a_later_header_adds_is_kept_on_both_kinds_of_rows(tmp_path: Path) -> None:
    found = files(tmp_path, {**VOICE, "carrier": "mtn"}, {**METRICS, "carrier": "mtn"})
    assert json.loads(found["turns"].rows[0]["extra"])["carrier"] == "mtn"
    assert json.loads(found["turn_metrics"].rows[0]["extra"])["carrier"] == "mtn"


def test_an_archive_that_breaks_off_books_its_broken_record_and_the_break(tmp_path: Path) -> None:
    """Of two tables records are counted by their lines: two on one line would pass for one, and stop the day."""
    landing = tmp_path / "landing"
    (landing / "bakame").mkdir(parents=True)
    rows = [{**VOICE, "turn": str(n), "ai_response": f"{n * 7919 % 1000003}"} for n in range(1, 3000)]
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER.split(","), restval="")
    writer.writeheader()
    writer.writerows(rows)
    whole = gzip.compress(text.getvalue().encode())
    (landing / "bakame" / "user_sessions_2024-01-15.csv.gz").write_bytes(whole[: len(whole) // 2])
    (file,) = refresh(landing, {}, timezone="UTC", quiet_seconds=0).fresh
    refinery = Refinery(landing, tmp_path / "lake", "UTC", Pseudonymiser(b"k" * 32), ["2024-01-15"])
    (turns,) = [load for load in refinery.refine("2024-01-15", [file]) if load.dataset == "turns"]
    refinery.close()
    assert turns.files[0].rows_loaded > 1000
    assert turns.files[0].rows_quarantined in (1, 2)  # the break, and the record that it leaves half of
