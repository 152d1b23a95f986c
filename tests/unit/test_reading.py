"""From bytes to contract rows: lines, types, refusals, redaction, pseudonyms. No server."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceai_assets.adapters.canonical import ADAPTER
from voiceai_assets.lake.reading.lines import line_blocks
from voiceai_assets.lake.typing import typed_rows_sql
from voiceai_assets.privacy.pseudonyms import Pseudonymiser
from voiceai_assets.privacy.records import redact_json
from voiceai_assets.privacy.redaction import redact

GOOD = {"session_id": "a", "turn_number": 1, "timestamp": "2026-08-01T10:00:00"}


def lines_of(path: Path) -> list[tuple[int, str, str | None]]:
    return [
        (row["line"], row["text"].rstrip("\r\n"), row["problem"])
        for block in line_blocks(path)
        for row in block.rows.to_pylist()
    ]


def rows_of(tmp_path: Path, content: bytes, timezone: str = "UTC") -> list[dict[str, Any]]:
    path = tmp_path / "turns.jsonl"
    path.write_bytes(content)
    table = ADAPTER.tables_of(path.name)[0]
    with duckdb.connect() as db:
        db.execute(f"SET TimeZone = '{timezone}'")
        rows: list[dict[str, Any]] = []
        for block in line_blocks(path):
            db.register("block", block.rows)
            found = db.execute(f"SELECT * FROM ({typed_rows_sql(table, block, 'block')}) ORDER BY line")
            names = [column[0] for column in found.description or []]
            rows += [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        return rows


def row_of(tmp_path: Path, timezone: str = "UTC", **fields: Any) -> dict[str, Any]:
    return rows_of(tmp_path, json.dumps({**GOOD, **fields}).encode() + b"\n", timezone)[0]


@pytest.mark.parametrize(
    "user",
    [
        "\t0788123456",
        "0788123456\n",
        "\u00a0 0788123456\r\n",
        "0788123456\u2003",
        "\u30000788123456\x85",
        "0788123456\u2028",
    ],
)
def test_white_space_around_a_person_makes_nobody_else_of_them(tmp_path: Path, user: str) -> None:
    assert row_of(tmp_path, user_id=user)["user_id"] == "0788123456"


# -- lines -----------------------------------------------------------------------------------------------------------


def test_lines_keep_their_numbers_across_empty_ones(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"one\n\n  \r\nfour\r\nfive")
    assert lines_of(path) == [(1, "one", None), (4, "four", None), (5, "five", None)]


@pytest.mark.parametrize("content", [b"", b"\n\n\n", b"\xef\xbb\xbf"])
def test_a_file_without_content_gives_no_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    assert lines_of(path) == []


def test_a_line_that_is_not_utf8_is_kept_with_its_problem(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"good\nM\xfcller\ngood\n")
    assert lines_of(path) == [
        (1, "good", None),
        (2, "M\ufffdller", "encoding: byte 2 is not UTF-8"),
        (3, "good", None),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_understood(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes("één\ntwee\n".encode(encoding))
    assert [text for _, text, _ in lines_of(path)] == ["één", "twee"]


def test_an_archive_that_breaks_off_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(b'{"n": %d}\n' % n for n in range(50_000)))[:-1000])
    assert lines_of(path)[-1][2] == "truncated_archive"


@settings(max_examples=150)
@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), max_size=20))
def test_no_line_is_lost_and_only_nul_is_altered(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("lines") / "x.jsonl"
    path.write_bytes("".join(f"x{text}\n" for text in texts).encode())
    stored = [f"x{text}".rstrip("\r").replace("\0", "\ufffd").replace("\\u0000", "\\ufffd") for text in texts]
    assert [text for _, text, _ in lines_of(path)] == stored


# -- types -----------------------------------------------------------------------------------------------------------


def test_a_good_record_becomes_a_row(tmp_path: Path) -> None:
    row = row_of(tmp_path, asr_confidence=0.5, barge_in=True, derived=["x", "y"], cost_usd=0.25)
    assert row["refusal"] is None
    assert (row["speaker"], row["channel"]) == ("exchange", "voice")
    assert (row["asr_confidence"], row["barge_in"], row["derived"]) == (0.5, True, ["x", "y"])
    assert row["turn_date"].isoformat() == "2026-08-01"


def test_an_alias_fills_its_field(tmp_path: Path) -> None:
    assert row_of(tmp_path, total_latency_ms=630)["total_ms"] == 630


@pytest.mark.parametrize(
    ("text", "zone", "day"),
    [
        ("2026-08-01T23:30:00", "Africa/Kigali", "2026-08-01"),
        ("2026-08-01T23:30:00Z", "Africa/Kigali", "2026-08-02"),
        ("2026-08-01T23:30:00+02:00", "UTC", "2026-08-01"),
        ("2026-08-01 23:30:00.123-0500", "UTC", "2026-08-02"),
    ],
)
def test_a_day_is_a_day_of_the_sources_zone(tmp_path: Path, text: str, zone: str, day: str) -> None:
    assert row_of(tmp_path, zone, timestamp=text)["turn_date"].isoformat() == day


@pytest.mark.parametrize(
    "text",
    [
        *("2026-08-01", "01/08/2026 10:00", "yesterday", "2026-13-01T10:00:00", "1785578400"),
        *("0000-01-01T00:00:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59-12:00", "2026-08-01T10:00:00+99:00"),
    ],
)
def test_a_time_stamp_that_must_be_guessed_is_refused(tmp_path: Path, text: str) -> None:
    assert row_of(tmp_path, timestamp=text)["refusal"][0] == "wrong_type"


@pytest.mark.parametrize("field", ["session_id", "turn_number", "timestamp"])
@pytest.mark.parametrize("value", [None, "", "   "])
def test_a_missing_required_field_is_refused(tmp_path: Path, field: str, value: str | None) -> None:
    assert row_of(tmp_path, **{field: value})["refusal"] == ["missing_field", f"{field} is required"]


@pytest.mark.parametrize("value", [1.5, "one", 0, -3, [1], 1e30])
def test_a_turn_number_that_is_none_is_refused(tmp_path: Path, value: Any) -> None:
    assert row_of(tmp_path, turn_number=value)["refusal"][0] == "wrong_type"


@pytest.mark.parametrize("value", ["high", "NaN", "Infinity", [0.5]])
def test_an_optional_field_of_the_wrong_type_is_kept_aside(tmp_path: Path, value: Any) -> None:
    row = row_of(tmp_path, asr_confidence=value)
    assert row["refusal"] is None
    assert row["asr_confidence"] is None
    assert row["invalid_fields"] == ["asr_confidence"]
    assert "asr_confidence" in json.loads(row["extra"])["_invalid"]


def test_an_impossible_value_is_loaded_as_it_is(tmp_path: Path) -> None:
    assert row_of(tmp_path, asr_confidence=1.7)["asr_confidence"] == 1.7
    assert row_of(tmp_path, speaker="robot")["speaker"] == "robot"


def test_a_confidence_on_an_agent_row_means_nothing(tmp_path: Path) -> None:
    assert row_of(tmp_path, speaker="agent", asr_confidence=0.9)["asr_confidence"] is None


def test_minus_one_millisecond_means_not_measured(tmp_path: Path) -> None:
    row = row_of(tmp_path, asr_ms=-1, llm_ms=0, tts_ms=-2)
    assert (row["asr_ms"], row["llm_ms"], row["tts_ms"]) == (None, 0, -2)


def test_unknown_keys_are_kept(tmp_path: Path) -> None:
    row = row_of(tmp_path, mood="calm", extra={"source": 1})
    assert json.loads(row["extra"]) == {"mood": "calm", "source": 1}


@pytest.mark.parametrize("line", [b"{", b"[]", b"null", b'"text"', b"not json", b'{"session_id": "a"} trailing'])
def test_what_is_no_record_is_refused_as_unreadable(tmp_path: Path, line: bytes) -> None:
    row = rows_of(tmp_path, line + b"\n")[0]
    assert row["refusal"][0] == "unreadable"
    assert row["text"].strip() == line.decode()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_NAMES = st.sampled_from(["session_id", "turn_number", "timestamp", "asr_confidence", "derived", "extra", "speaker"])


@settings(max_examples=120)
@given(st.lists(st.dictionaries(_NAMES | st.text(max_size=5), _JSON, max_size=6), min_size=1, max_size=8))
def test_whatever_json_arrives_each_record_gives_one_row(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]]
) -> None:
    content = "".join(json.dumps(record) + "\n" for record in records).encode()
    rows = rows_of(tmp_path_factory.mktemp("json"), content)
    assert [row["line"] for row in rows] == list(range(1, len(records) + 1))
    for row in rows:
        is_complete = row["session_id"] and row["turn_number"] and row["timestamp"]
        assert bool(row["refusal"]) != bool(is_complete) or row["turn_number"] < 1


# -- privacy ---------------------------------------------------------------------------------------------------------


@given(st.text(st.sampled_from("abc ,."), max_size=20), st.text("0123456789", min_size=8, max_size=16))
def test_a_long_number_never_survives_wherever_it_stands(around: str, number: str) -> None:
    assert number not in redact(f"{around}{number}{around}")


def test_a_redacted_document_is_still_json_and_keeps_its_measurements() -> None:
    document = {"phone": 250788123456, "share": 0.123456789, "deep": [{"mail": "a@b.rw"}], "12345678": 1}
    clean = redact_json(json.dumps(document))
    assert json.loads(clean)["share"] == 0.123456789
    assert not any(secret in clean for secret in ("250788123456", "a@b.rw", '12345678"'))


def test_a_pseudonym_depends_on_the_key_and_hides_the_identifier() -> None:
    one, other = Pseudonymiser(b"1" * 32), Pseudonymiser(b"2" * 32)
    assert one("+250788123456") == one("+250788123456")
    assert one("+250788123456") != other("+250788123456")
    assert len(one("x")) == 32
    assert one.key_id != other.key_id
