"""Converza's call documents: the call, and the turns that its transcript is cut into."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED_DATA
from tests.unit.reading import Read, read
from voiceai_assets.adapters.converza import ADAPTER

CALL = {
    "call_id": "CALL_1",
    "agent_name": "Ada Lovelace",
    "timestamp": "2026-10-10T23:40:12.090250",
    "transcript_text": "Agent: Hello. How can I help? Customer: I'd like to book.",
}


def document(folder: Path, *, timezone: str = "UTC", **members: Any) -> dict[str, Read]:
    path = folder / "CALL_1.json"
    path.write_text(json.dumps({**CALL, **members}, indent=2))
    return read(ADAPTER, path, timezone)


def turns(folder: Path, transcript: str) -> list[dict[str, Any]]:
    found = document(folder, transcript_text=transcript)["turns"]
    assert found.refused == []
    return sorted(found.rows, key=lambda row: row["turn_number"])


def said(folder: Path, transcript: str) -> list[tuple[str, str | None]]:
    return [(row["speaker"], row["agent_text"] or row["user_text"]) for row in turns(folder, transcript)]


# -- a clean document ------------------------------------------------------------------------------------------------


def test_a_document_is_a_call(tmp_path: Path) -> None:
    (row,) = document(tmp_path)["calls"].rows
    assert (row["call_id"], row["agent_name"], row["transcript_text"]) == (
        "CALL_1",
        "Ada Lovelace",
        CALL["transcript_text"],
    )
    assert row["timestamp"] == datetime(2026, 10, 10, 23, 40, 12, 90250, tzinfo=UTC)
    assert (row["call_date"], row["source_line"], row["extra"]) == (date(2026, 10, 10), 1, None)
    assert (row["is_converted"], row["upsell_amount"]) == (None, None)


def test_of_a_list_a_call_with_half_an_emoji_is_refused_alone(tmp_path: Path) -> None:
    path = tmp_path / "calls.json"
    path.write_text(json.dumps([CALL, {**CALL, "agent_name": "\ud83d"}, {**CALL, "agent_name": "\U0001f600"}]))
    calls = read(ADAPTER, path)["calls"]
    assert [(row["source_line"], row["agent_name"]) for row in calls.rows] == [(1, "Ada Lovelace"), (3, "\U0001f600")]
    assert [(row["line"], row["reason"]) for row in calls.refused] == [(2, "unreadable")]


def test_its_transcript_is_turns_of_one_session(tmp_path: Path) -> None:
    first, second = turns(tmp_path, CALL["transcript_text"])
    assert {first["session_id"], second["session_id"]} == {"CALL_1"}
    assert (first["turn_number"], first["speaker"], first["agent_text"], first["user_text"]) == (
        1,
        "agent",
        "Hello. How can I help?",
        None,
    )
    assert (second["turn_number"], second["speaker"], second["agent_text"], second["user_text"]) == (
        2,
        "user",
        None,
        "I'd like to book.",
    )
    assert (first["channel"], first["agent_name"], first["turn_date"]) == (
        "voice",
        "Ada Lovelace",
        date(2026, 10, 10),
    )


def test_turns_carry_the_calls_time_and_say_that_it_was_inferred(tmp_path: Path) -> None:
    for row in turns(tmp_path, CALL["transcript_text"]):
        assert row["timestamp"] == datetime(2026, 10, 10, 23, 40, 12, 90250, tzinfo=UTC)
        assert row["derived"] == ["turn_number", "timestamp"]


def test_a_time_without_offset_is_in_the_sources_zone(tmp_path: Path) -> None:
    found = document(tmp_path, timezone="Africa/Kigali")
    assert found["calls"].rows[0]["timestamp"].astimezone(UTC).hour == 21
    assert {row["turn_date"] for row in found["turns"].rows} == {date(2026, 10, 10)}


# -- where a transcript is cut ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "transcript",
    [
        "Agent: Note: it closes at 10:30. Really: it does. Customer: Fine: I'll come.",
        "Agent: Note: it closes at 10:30. Really: it does.\nCustomer: Fine: I'll come.\n",
        "Agent:Note: it closes at 10:30. Really: it does.  Customer:  Fine: I'll come. ",
    ],
)
def test_a_colon_inside_a_sentence_cuts_nothing(tmp_path: Path, transcript: str) -> None:
    assert said(tmp_path, transcript) == [
        ("agent", "Note: it closes at 10:30. Really: it does."),
        ("user", "Fine: I'll come."),
    ]


def test_speaking_of_an_agent_is_not_speaking_as_one(tmp_path: Path) -> None:
    transcript = "Customer: I told the Agent: no. My travel agent: no. SubAgent: no. Your  Customer: no. Agent: Sorry."
    assert said(tmp_path, transcript) == [
        ("user", "I told the Agent: no. My travel agent: no. SubAgent: no. Your  Customer: no."),
        ("agent", "Sorry."),
    ]


def test_a_transcript_without_punctuation_is_cut_too(tmp_path: Path) -> None:
    assert said(tmp_path, "Agent: shall i book Customer: yes please Agent: done") == [
        ("agent", "shall i book"),
        ("user", "yes please"),
        ("agent", "done"),
    ]


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u202f", "\u3000", "\v", "\x85", "\u2028"])
def test_a_marker_is_seen_behind_white_space_of_any_kind(tmp_path: Path, space: str) -> None:
    transcript = f"{space}{space}Agent:{space}Shall I?{space}Customer: I told the{space}Agent: no.{space}Agent: Sorry."
    assert said(tmp_path, transcript) == [
        ("agent", "Shall I?"),
        ("user", f"I told the{space}Agent: no."),
        ("agent", "Sorry."),
    ]


def test_text_before_the_first_marker_is_kept_under_neither_speaker(tmp_path: Path) -> None:
    first, second = turns(tmp_path, "This call is recorded. Agent: Hello.")
    assert (first["speaker"], first["user_text"], first["agent_text"]) == ("exchange", None, None)
    assert json.loads(first["extra"]) == {"unattributed_text": "This call is recorded."}
    assert "speaker" in first["derived"]
    assert (second["turn_number"], second["agent_text"], second["extra"]) == (2, "Hello.", None)


def test_a_transcript_without_markers_is_one_turn(tmp_path: Path) -> None:
    (row,) = turns(tmp_path, "Somebody said: something.")
    assert json.loads(row["extra"]) == {"unattributed_text": "Somebody said: something."}


def test_a_speaker_who_says_nothing_still_has_a_turn(tmp_path: Path) -> None:
    assert said(tmp_path, "Agent: Customer: Hello? Agent:") == [("agent", None), ("user", "Hello?"), ("agent", None)]


@pytest.mark.parametrize("transcript", [None, "", " \n "])
def test_a_call_without_words_has_no_turns(tmp_path: Path, transcript: str | None) -> None:
    found = document(tmp_path, transcript_text=transcript)
    assert len(found["calls"].rows) == 1
    assert found["turns"].rows == found["turns"].refused == []


def test_no_word_of_a_transcript_is_lost(tmp_path: Path) -> None:
    text = "Hm. Agent: One: two. Customer: the Agent: said 3:00\tAgent:\nfour Customer: Customer: five"
    pieces = []
    for row in turns(tmp_path, text):
        words = row["agent_text"] or row["user_text"] or json.loads(row["extra"] or "{}").get("unattributed_text") or ""
        pieces += [{"agent": "Agent:", "user": "Customer:"}.get(row["speaker"], ""), words]
    assert " ".join(pieces).split() == text.split()


# -- awkward documents -----------------------------------------------------------------------------------------------


def test_several_documents_may_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text("".join(json.dumps({**CALL, "call_id": name}) + "\n" for name in ("CALL_1", "CALL_2")))
    found = read(ADAPTER, path)
    assert [(row["call_id"], row["source_line"]) for row in found["calls"].rows] == [("CALL_1", 1), ("CALL_2", 2)]
    assert len(found["turns"].rows) == 4


def test_a_call_without_id_is_refused_with_its_turns(tmp_path: Path) -> None:
    found = document(tmp_path, call_id=None)
    assert [r["message"] for r in found["calls"].refused] == ["call_id is required"]
    assert [r["message"] for r in found["turns"].refused] == ["session_id is required"] * 2


def test_a_document_that_breaks_off_is_booked_once_among_the_calls(tmp_path: Path) -> None:
    path = tmp_path / "CALL_1.json"
    path.write_text(json.dumps(CALL)[:-20])
    found = read(ADAPTER, path)
    assert [r["reason"] for r in found["calls"].refused] == ["unreadable"]
    assert found["turns"].rows == found["turns"].refused == []


def test_a_customers_number_names_the_person_and_stays_out_of_extra(tmp_path: Path) -> None:
    found = document(tmp_path, customer_number="+15550100")
    assert (found["calls"].rows[0]["user_id"], found["calls"].rows[0]["extra"]) == ("+15550100", None)
    assert {row["user_id"] for row in found["turns"].rows} == {"+15550100"}


def test_a_key_that_nobody_knows_is_kept_with_the_call(tmp_path: Path) -> None:
    assert json.loads(document(tmp_path, queue="sales")["calls"].rows[0]["extra"]) == {"queue": "sales"}


@pytest.mark.parametrize(("path", "is_read"), [("2026/a.json", True), ("a.jsonl.gz", True), ("a.csv", False)])
def test_only_json_is_read(path: str, is_read: bool) -> None:
    assert bool(ADAPTER.tables_of(path)) is is_read


# -- the real documents ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def converza() -> Path:
    folder = SHARED_DATA / "converza"
    if not folder.is_dir():
        pytest.skip(f"the Converza documents are not at {folder}; their licence keeps them out of the repository")
    return folder


def test_every_real_document_is_a_call_whose_speakers_take_turns(converza: Path) -> None:
    documents = sorted(converza.glob("*.json"))
    counts = {"agent": 0, "user": 0, "exchange": 0}
    for path in documents:
        found = read(ADAPTER, path)
        (call,) = found["calls"].rows
        assert found["calls"].refused == found["turns"].refused == []
        rows = sorted(found["turns"].rows, key=lambda row: row["turn_number"])
        for row in rows:
            counts[row["speaker"]] += 1
        again = " ".join(
            f"Agent: {row['agent_text']}" if row["speaker"] == "agent" else f"Customer: {row['user_text']}"
            for row in rows
        )
        assert again == call["transcript_text"]
    assert len(documents) == 150
    assert counts == {"agent": 1140, "user": 1133, "exchange": 0}
