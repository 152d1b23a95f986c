"""A transcript is cut where the adapter that makes turns of it cuts."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceai_assets.adapters.converza import ADAPTER
from voiceai_assets.transcripts.dialogue import Speaker, Turn, turns
from voiceai_assets.transcripts.evaluation import dialogues

AGENT, CUSTOMER, UNKNOWN = Speaker.AGENT, Speaker.CUSTOMER, Speaker.UNKNOWN
MARKS = ["Agent:", "Customer:", "the Agent:", "my  Customer:", "agent:", "SubAgent:"]
PIECES = [*MARKS, " ", "\n", "\t", "\v", "\u00a0", "\u2003", "yes", "no: no", "\x1f", "\x1e", ".", "A"]


@pytest.mark.parametrize(
    ("transcript", "expected"),
    [
        ("Agent: Hello. Customer: Hi.", [Turn(AGENT, "Hello."), Turn(CUSTOMER, "Hi.")]),
        ("Recorded. Agent: Hello.", [Turn(UNKNOWN, "Recorded."), Turn(AGENT, "Hello.")]),
        ("Customer: I told the Agent: no.", [Turn(CUSTOMER, "I told the Agent: no.")]),
        ("agent: hello customer: hi", [Turn(UNKNOWN, "agent: hello customer: hi")]),
        ("Agent:\nCustomer: ", []),
        ("", []),
    ],
)
def test_a_transcript_is_cut_at_its_marks(transcript: str, expected: list[Turn]) -> None:
    assert turns(transcript) == expected


@pytest.fixture(scope="module")
def adapter() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as db:
        yield db


def _cut_by_the_adapter(db: duckdb.DuckDBPyConnection, transcript: str) -> list[Turn]:
    explode = next(table.explode for table in ADAPTER.tables if table.explode)
    query = (
        f"SELECT item.speaker, item.text FROM (SELECT unnest({explode}) AS item FROM (SELECT ? AS transcript_text) s)"
    )
    names = {"agent": AGENT, "user": CUSTOMER, None: UNKNOWN}
    return [Turn(names[speaker], text) for speaker, text in db.execute(query, [transcript]).fetchall() if text]


@settings(max_examples=300)
@given(transcript=st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_the_adapter_cuts_the_same_turns(adapter: duckdb.DuckDBPyConnection, transcript: str) -> None:
    assert turns(transcript) == _cut_by_the_adapter(adapter, transcript)


def test_the_adapter_cuts_the_labelled_dialogues_the_same(adapter: duckdb.DuckDBPyConnection) -> None:
    for case in dialogues():
        assert turns(case.text) == _cut_by_the_adapter(adapter, case.text), case.id


@given(st.text())
def test_no_word_is_lost_or_added(transcript: str) -> None:
    spoken = "".join("".join(turn.text.split()) for turn in turns(transcript))
    written = "".join(transcript.replace("\x1f", " ").replace("\x1e", " ").split())
    assert spoken == written or "Agent:" in transcript or "Customer:" in transcript
