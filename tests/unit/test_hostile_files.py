"""Files as the world sends them: each is booked to the last record, none stops its day or leaves landing. No server."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from voiceai_assets.contracts.fields import Kind
from voiceai_assets.contracts.turns import TURNS
from voiceai_assets.lake import inbox, indexing, parsed, reading, typing
from voiceai_assets.lake.account import DayLoad, LakeDay, LostRecordsError
from voiceai_assets.lake.erasure import readable_files
from voiceai_assets.lake.inbox import Refresh, refresh, scan
from voiceai_assets.lake.indexing import IndexedFile
from voiceai_assets.lake.reading import Block
from voiceai_assets.lake.reading import bytes as bytes_module
from voiceai_assets.lake.refine import Refinery
from voiceai_assets.lake.texts import drop_texts
from voiceai_assets.privacy.pseudonyms import Pseudonymiser
from voiceai_assets.settings import SettingsError

DAY = "2026-08-01"
GOOD: dict[str, Any] = {"session_id": "a", "turn_number": 1, "timestamp": f"{DAY}T10:00:00"}
HEADER = "session_id,turn_number,timestamp,user_text\n"


def line(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode() + b"\n"


@dataclass
class Taken:
    """What landing became."""

    loads: list[DayLoad]
    rows: list[dict[str, Any]]
    refused: list[dict[str, Any]]

    @property
    def reasons(self) -> list[str]:
        return [row["reason"] for row in self.refused]


def take_in(root: Path, day: str = DAY, timezone: str = "UTC") -> Taken:
    """Index landing and refine a day; the account is checked on the way."""
    landing, lake = root / "landing", root / "lake"
    found = refresh(landing, {}, timezone=timezone, quiet_seconds=0)
    refinery = Refinery(landing, lake, timezone, Pseudonymiser(b"k" * 32), [day])
    try:
        loads = refinery.refine(day, [f for f in found.fresh if day in f.days])
    finally:
        refinery.close()
    for load in loads:
        for file in load.files:
            assert file.rows_in == file.rows_loaded + file.rows_quarantined + file.rows_duplicate, file
    place = LakeDay(lake, "turns", day)
    return Taken(loads, _read(place.rows), _read(place.quarantine))


def _read(path: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as db:
        cursor = db.execute("SELECT * FROM read_parquet(?, hive_partitioning = false)", [str(path)])
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def land(root: Path, content: bytes, name: str = f"turns-{DAY}.jsonl") -> Path:
    path = root / "landing" / "canonical" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# -- records ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b'{"session_id": "b", "turn_number": 1, "timest', "unreadable"),
        (line(session_id="b", turn_number="one"), "wrong_type"),
        (line(session_id="b", timestamp="01/08/2026 10:00"), "wrong_type"),
        (line(session_id="b", timestamp=None), "missing_field"),
        (line(session_id=""), "missing_field"),
        (b'{"session_id": "M\xfcller", "turn_number": 1, "timestamp": "2026-08-01T10:00:00"}\n', "encoding"),
        (b"[" * 100_000 + b"\n", "unreadable"),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"\n", "missing_field|unreadable"),
        (line(turn_number=1, intent="another"), "identity_conflict"),
        # DuckDB quotes the first bytes of what is no JSON, wherever that cuts a character
        (("€" * 60).encode() + b"\n", "unreadable"),
        (("x" + "€" * 60).encode() + b"\n", "unreadable"),
        (("xx" + "€" * 60).encode() + b"\n", "unreadable"),
    ],
    ids=["cut off", "type", "day first", "no time", "empty", "latin 1", "brackets", "nesting", "conflict", *"€xy"],
)
def test_a_bad_record_is_refused_with_its_line_and_costs_no_other(tmp_path: Path, record: bytes, reason: str) -> None:
    land(tmp_path, line() + record.rstrip(b"\n") + b"\n" + line(turn_number=2))
    taken = take_in(tmp_path)
    assert [(row["line"], row["file"]) for row in taken.refused] == [(2, f"canonical/turns-{DAY}.jsonl")]
    assert taken.reasons[0] in reason.split("|")
    assert sorted(row["turn_number"] for row in taken.rows) == [1, 2]


@pytest.mark.parametrize(
    ("fields", "column", "value"),
    [
        ({"asr_confidence": 1.7}, "asr_confidence", 1.7),
        ({"asr_confidence": -3.2}, "asr_confidence", -3.2),
        ({"total_ms": -250}, "total_ms", -250.0),
        ({"total_ms": -1}, "total_ms", None),
        ({"asr_confidence": "NaN"}, "asr_confidence", None),
        ({"asr_confidence": "Infinity"}, "asr_confidence", None),
        ({"asr_confidence": "1e999"}, "asr_confidence", None),
        ({"user_text": "=cmd|'/c calc'!A1"}, "user_text", "=cmd|'/c calc'!A1"),
        ({"intent": "'; drop table raw.turns; --"}, "intent", "'; drop table raw.turns; --"),
        ({"intent": "nul\0inside"}, "intent", "nul\ufffdinside"),
        ({"user_text": "x" * 10_000_000}, "user_text", "x" * 10_000_000),
        ({"module": "  padded  "}, "module", "padded"),
    ],
    ids=[
        "over 1",
        "log score",
        "negative",
        "sentinel",
        "nan",
        "infinity",
        "overflow",
        "formula",
        "sql",
        "nul",
        "10 MB",
        "blanks",
    ],
)
def test_a_strange_value_is_loaded_for_the_checks_to_judge(
    tmp_path: Path, fields: dict[str, Any], column: str, value: Any
) -> None:
    land(tmp_path, line(**fields))
    (row,) = take_in(tmp_path).rows
    assert row[column] == value


def test_of_a_key_that_stands_twice_one_value_is_taken_and_always_the_same(tmp_path: Path) -> None:
    """RFC 8259 leaves it open which: of a field it is the first; in ``extra`` both stand, and jsonb takes the last."""
    land(tmp_path, line()[:-2] + b', "intent": "first", "intent": "second", "mood": "calm", "mood": "angry"}\n')
    (row,) = take_in(tmp_path).rows
    assert row["intent"] == "first"
    assert row["extra"] == '{"mood":"calm","mood":"angry"}'


@pytest.mark.parametrize("depth", [100, 800, 5000])
def test_a_deep_value_that_nobody_knows_is_kept_and_the_record_stands(tmp_path: Path, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    land(tmp_path, line()[:-2] + f', "deep": {deep}}}\n'.encode() + line(turn_number=2))
    taken = take_in(tmp_path)
    assert ([row["turn_number"] for row in taken.rows], taken.refused) == ([1, 2], [])
    extra = json.loads(taken.rows[0]["extra"])
    assert extra == ({"deep": json.loads(deep)} if depth < 1000 else {"_unreadable": f'{{"deep":{deep}}}'})


@pytest.mark.parametrize("is_quoted", [False, True])
def test_ten_megabytes_in_a_cell_of_csv_are_a_value_like_another(tmp_path: Path, is_quoted: bool) -> None:
    text = "x" * 5_000_000 + ('\n"",' if is_quoted else "-") + "y" * 5_000_000
    cell = f'"{text}"' if is_quoted else text
    land(tmp_path, f"{HEADER}a,1,{DAY}T10:00:00,{cell}\na,2,{DAY}T10:00:00,z\n".encode(), f"turns-{DAY}.csv")
    taken = take_in(tmp_path)
    assert taken.refused == []
    assert [row["user_text"] for row in taken.rows] == [text.replace('""', '"'), "z"]


#: The same field as three emitters, or three versions of one, send it.
DRIFT: list[tuple[Any, Any, list[str] | None]] = [
    (12, 12, None),
    (12.0, 12, None),
    (12.5, None, ["tokens_in"]),
    ("12", 12, None),
    ("a dozen", None, ["tokens_in"]),
]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_column_whose_type_changes_from_file_to_file_keeps_what_is_of_its_contract(
    tmp_path: Path, ending: str
) -> None:
    for n, (value, _, _) in enumerate(DRIFT, start=1):
        content = {
            "jsonl": lambda n=n, value=value: line(turn_number=n, tokens_in=value),
            "csv": lambda n=n, value=value: f"{HEADER.strip()},tokens_in\na,{n},{DAY}T10:00:00,,{value}\n".encode(),
            "parquet": lambda n=n, value=value: parquet(session_id=[f"s{n}"], tokens_in=[value]),
        }[ending]()
        land(tmp_path, content, f"{n}-{DAY}.{ending}")
    rows = sorted(take_in(tmp_path).rows, key=lambda row: row["source_file"])
    assert [(row["tokens_in"], row["invalid_fields"]) for row in rows] == [(value, wrong) for _, value, wrong in DRIFT]
    kept = [str(json.loads(row["extra"])["_invalid"]["tokens_in"]) for row in rows if row["invalid_fields"]]
    assert kept == ["12.5", "a dozen"]


def test_a_day_in_the_far_future_is_filed_there_and_not_on_todays_day(tmp_path: Path) -> None:
    land(tmp_path, line() + line(session_id="b", timestamp="2999-01-01T00:00:00"))
    assert len(take_in(tmp_path).rows) == 1
    assert len(take_in(tmp_path, "2999-01-01").rows) == 1


def test_an_offset_and_the_sources_zone_decide_the_day(tmp_path: Path) -> None:
    late = [line(session_id=s, timestamp=t) for s, t in (("utc", f"{DAY}T22:30:00Z"), ("naive", f"{DAY}T22:30:00"))]
    land(tmp_path, b"".join(late))
    assert [r["session_id"] for r in take_in(tmp_path, DAY, "Africa/Kigali").rows] == ["naive"]
    assert [r["session_id"] for r in take_in(tmp_path, "2026-08-02", "Africa/Kigali").rows] == ["utc"]


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + line(),
        line().decode().encode("utf-16"),
        line().replace(b"\n", b"\r\n"),
        b"\n\n" + line() + b"   \n\n",
        line().rstrip(b"\n"),
    ],
    ids=["bom", "utf-16", "crlf", "blank lines", "no last newline"],
)
def test_encodings_and_newlines_make_no_difference(tmp_path: Path, content: bytes) -> None:
    land(tmp_path, content)
    taken = take_in(tmp_path)
    assert (len(taken.rows), taken.reasons) == (1, [])


@pytest.mark.parametrize("name", [f"turns-{DAY}{ending}" for ending in (".jsonl", ".csv", ".jsonl.gz", ".parquet")])
def test_an_empty_file_holds_no_record_and_stands_in_the_account(tmp_path: Path, name: str) -> None:
    land(tmp_path, b"", name)
    taken = take_in(tmp_path)
    (file,) = taken.loads[0].files
    assert (taken.rows, taken.refused, file.rows_in) == ([], [], 0)
    assert (file.problem is not None) == name.endswith(".parquet"), "no bytes are no Parquet"


def test_a_parquet_file_whose_column_name_is_no_utf_8_is_named_and_stops_nothing(tmp_path: Path) -> None:
    whole = parquet(user_text=["hi"])
    land(tmp_path, whole.replace(b"\tuser_text", b"\t\x80ser_text"), f"turns-{DAY}.parquet")
    land(tmp_path, line(), f"turns-{DAY}.jsonl")
    taken = take_in(tmp_path)
    assert len(taken.rows) == 1
    problems = [file.problem for file in taken.loads[0].files if file.file.endswith(".parquet")]
    assert len(problems) == 1
    assert "no whole Parquet file" in str(problems[0])


def parquet(**columns: Any) -> bytes:
    """A Parquet file of good turns with these columns besides."""
    count = len(next(iter(columns.values())))
    good = {name: [value] * count for name, value in GOOD.items()}
    whole = io.BytesIO()
    pq.write_table(pa.table({**good, "turn_number": range(1, count + 1), **columns}), whole)
    return whole.getvalue()


#: Bytes that claim to be a string: what a writer that knows no encodings leaves behind.
FALSE_STRINGS = pa.Array.from_buffers(
    pa.string(), 2, [None, pa.array([0, 2, 4], pa.int32()).buffers()[1], pa.py_buffer(b"okM\xfc")]
)


@pytest.mark.parametrize("column", ["user_text", "mood"])
@pytest.mark.parametrize(
    "texts",
    [
        *(pa.array([b"ok", b"M\xfc"], kind) for kind in (pa.binary(), pa.large_binary(), pa.binary_view())),
        pa.array([b"ok", b"M\xfc"]).dictionary_encode(),
        FALSE_STRINGS,
    ],
    ids=lambda texts: str(texts.type),
)
def test_a_row_of_parquet_with_text_that_is_not_utf_8_is_refused_alone(tmp_path: Path, column: str, texts: Any) -> None:
    land(tmp_path, parquet(**{column: texts}), f"turns-{DAY}.parquet")
    taken = take_in(tmp_path)
    assert [(row["line"], row["reason"], row["message"]) for row in taken.refused] == [
        (2, "encoding", f"encoding: {column} is not UTF-8")
    ]
    assert "M\ufffd" in taken.refused[0]["raw_text"]
    (row,) = taken.rows
    assert row.get(column) == "ok" or json.loads(row["extra"]) == {column: "ok"}


@pytest.mark.parametrize(
    ("numbers", "text"),
    [(pa.array([0.5], pa.float16()), 0.5), (pa.array([Decimal("0.5")], pa.decimal256(50, 3)), 0.5)],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_numbers_of_a_kind_that_only_parquet_knows_are_numbers(tmp_path: Path, numbers: Any, text: float) -> None:
    land(tmp_path, parquet(asr_confidence=numbers, pitch=numbers), f"turns-{DAY}.parquet")
    (row,) = take_in(tmp_path).rows
    assert row["asr_confidence"] == text
    assert float(json.loads(row["extra"])["pitch"]) == text


def test_a_file_that_makes_the_reader_fail_is_named_and_stops_no_other(tmp_path: Path) -> None:
    land(tmp_path, parquet(x=pa.array([[1.0]], pa.list_(pa.float16()))), f"bad-{DAY}.parquet")
    for n in range(5):
        land(tmp_path, line(session_id=f"s{n}"), f"good-{n}-{DAY}.jsonl")
    taken = take_in(tmp_path)
    assert len(taken.rows) == 5
    assert {file.file: file.problem for file in taken.loads[0].files if file.problem} == {
        f"canonical/bad-{DAY}.parquet": f"canonical/bad-{DAY}.parquet: its content makes the reader fail "
        "(NotImplementedException)"
    }


@pytest.mark.parametrize("error", [MemoryError, OSError, duckdb.OutOfMemoryException])
def test_memory_and_disk_are_no_fault_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fails(*_: Any, **__: Any) -> str:
        raise error("full")

    land(tmp_path, line())
    monkeypatch.setattr(indexing, "days_sql", fails)
    with pytest.raises(error):
        take_in(tmp_path)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_a_number_that_json_does_not_know_is_never_loaded_as_one(tmp_path: Path, number: bytes) -> None:
    land(tmp_path, line() + line(turn_number=2, asr_confidence=0.123).replace(b"0.123", number))
    taken = take_in(tmp_path)
    assert [row["asr_confidence"] for row in taken.rows if row["turn_number"] == 2] in ([], [None])
    assert len(taken.rows) + len(taken.refused) == 2


def test_columns_without_a_name_lose_nothing(tmp_path: Path) -> None:
    land(tmp_path, f"session_id,turn_number,timestamp,,\na,1,{DAY}T10:00:00,p,q\n".encode(), f"turns-{DAY}.csv")
    (row,) = take_in(tmp_path).rows
    assert json.loads(row["extra"]) == {"column 4": "p", "column 5": "q"}


def test_a_call_that_is_refused_takes_its_turns_with_it(tmp_path: Path) -> None:
    call = {"call_id": "c", "timestamp": f"{DAY}T10:00:00Z", "transcript_text": "Agent: Hi"}
    other = {**call, "transcript_text": "Agent: Hi Customer: Yes"}
    for name, document in {"a": call, "b": other}.items():
        path = tmp_path / "landing" / "converza" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
    taken = take_in(tmp_path)
    assert [row["agent_text"] for row in taken.rows] == ["Hi"]
    assert taken.reasons == ["identity_conflict"] * 2
    assert {load.dataset: (load.rows_loaded, sum(f.rows_quarantined for f in load.files)) for load in taken.loads} == {
        "calls": (1, 1),
        "turns": (1, 2),
    }


def test_a_day_of_refused_records_is_kept_record_by_record_in_order(tmp_path: Path) -> None:
    many = 50_000  # more than are redacted at once
    land(tmp_path, b"".join(b'{"turn_number": %d, "tel": "0788123456"}\n' % n for n in range(many)))
    taken = take_in(tmp_path)
    assert [(row["line"], row["raw_text"]) for row in taken.refused] == [
        (n + 1, f'{{"turn_number": {n}, "tel": "[USER]"}}\n') for n in range(many)
    ]
    assert {(row["reason"], row["message"]) for row in taken.refused} == {("missing_field", "session_id is required")}


def test_each_of_many_conflicts_is_refused_with_its_own_text(tmp_path: Path) -> None:
    many = 3000
    records = [line(session_id=f"s{n}", channel="voice") for n in range(many)]
    other = [line(session_id=f"s{n}", channel="chat") for n in range(many)]
    land(tmp_path, b"".join(records), f"a-{DAY}.jsonl")
    land(tmp_path, b"".join(other), f"b-{DAY}.jsonl")
    taken = take_in(tmp_path)
    assert len(taken.rows) == many
    assert taken.reasons == ["identity_conflict"] * many
    assert [(row["line"], row["raw_text"]) for row in taken.refused] == [
        (n + 1, text.decode()) for n, text in enumerate(other)
    ]


@pytest.mark.parametrize(
    ("content", "rows", "reasons", "problem"),
    [
        (HEADER + f'a,1,{DAY}T10:00:00,"he said ""hi"",\nthen left"\n', 1, [], None),
        (f"timestamp,session_id,turn_number\n{DAY}T10:00:00,a,1\n", 1, [], None),
        (HEADER + f"a,1,{DAY}T10:00:00,x\nb,1,{DAY}T10:00:00\n", 1, ["wrong_shape"], None),
        (HEADER, 0, [], None),
        (f"a,1,{DAY}T10:00:00,x\n", 0, [], "no column session_id, turn_number, timestamp; its first row names none"),
        ("session,turn_number,timestamp\n", 0, [], "no column session_id; it has session, turn_number, timestamp"),
        (
            "+250788123456,intent,jane.uwase@gmail.com\n",
            0,
            [],
            "its first row names 1 of the columns that are known (3 cells): is the header missing?",
        ),
        ("session_id,session_id,turn_number,timestamp\n", 0, [], "the header names a column twice: columns 1 and 2"),
    ],
    ids=["quotes", "reordered", "narrow row", "header only", "no header", "renamed, no rows", "a caller", "twice"],
)
def test_csv_is_read_by_its_header_or_refused_by_name(
    tmp_path: Path, content: str, rows: int, reasons: list[str], problem: str | None
) -> None:
    land(tmp_path, content.encode(), f"turns-{DAY}.csv")
    taken = take_in(tmp_path)
    assert (len(taken.rows), taken.reasons) == (rows, reasons)
    (file,) = taken.loads[0].files
    assert (file.problem is None) if problem is None else (problem in str(file.problem))


@pytest.mark.parametrize(
    "name",
    [
        f"it's {DAY}.jsonl",
        f'quo"te-{DAY}.jsonl',
        f"new\nline-{DAY}.jsonl",
        f"'); drop table parsed_turns; -- {DAY}.jsonl",
        f"éèê-{DAY}.jsonl",
        f"{{block}}-%s-{DAY}.jsonl",
        f"deep/er/down-{DAY}.jsonl",
    ],
)
def test_a_files_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    land(tmp_path, line(), name)
    taken = take_in(tmp_path)
    assert [row["source_file"] for row in taken.rows] == [f"canonical/{name}"]


def test_a_link_out_of_landing_is_not_followed_and_is_named(tmp_path: Path) -> None:
    secret = tmp_path / "secret.jsonl"
    secret.write_bytes(line(session_id="secret"))
    land(tmp_path, line())
    (tmp_path / "landing" / "canonical" / f"link-{DAY}.jsonl").symlink_to(secret)
    (tmp_path / "landing" / "canonical" / "folder").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "landing" / "canonical" / "pipe.jsonl")
    assert [row["session_id"] for row in take_in(tmp_path).rows] == ["a"]
    said = look(tmp_path, {}).problems()
    assert sorted(words.split(":")[0] for words in said) == [
        "canonical/folder",
        f"canonical/link-{DAY}.jsonl",
        "canonical/pipe.jsonl",
    ]
    assert inbox.left_aside(tmp_path / "landing") == sorted(said)


def test_a_folder_named_like_a_file_is_a_folder(tmp_path: Path) -> None:
    land(tmp_path, line(), f"turns-{DAY}.jsonl/part.jsonl")
    assert len(take_in(tmp_path).rows) == 1


def test_a_truncated_archive_keeps_its_readable_records_and_says_that_it_breaks_off(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(line(turn_number=n, intent=f"{n * 7919 % 100_003}") for n in range(1, 20_000)))
    land(tmp_path, whole[: len(whole) // 2], f"turns-{DAY}.jsonl.gz")
    taken = take_in(tmp_path)
    assert len(taken.rows) > 1000
    assert "truncated_archive" in taken.reasons
    assert taken.loads[0].files[0].is_truncated


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_bomb_is_booked_as_far_as_it_was_read_and_blocks_its_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    for name, value in {"SMALLEST_BOMB": 2**20, "LARGEST_RATIO": 10, "BLOCK_BYTES": 2**18}.items():
        monkeypatch.setattr(bytes_module, name, value)
    lines = b"".join(line(turn_number=n) for n in range(1, 60_000)).decode()
    land(tmp_path, gzip.compress(lines.encode(encoding)), f"turns-{DAY}.jsonl.gz")
    taken = take_in(tmp_path)
    (file,) = taken.loads[0].files
    assert file.is_truncated
    assert 1000 < file.rows_loaded < 59_999
    assert taken.reasons[-1] == "truncated_archive"
    assert "swells to more than" in taken.refused[-1]["raw_text"]
    assert file.rows_quarantined == len(taken.refused) <= 2, "the end, and the record that it cut in two"


def test_the_same_content_under_two_names_counts_once(tmp_path: Path) -> None:
    land(tmp_path, line())
    land(tmp_path, line(), f"copy-{DAY}.jsonl")
    (load,) = take_in(tmp_path).loads
    assert (load.rows_in, load.rows_loaded, load.rows_duplicate) == (2, 1, 1)


def test_a_line_of_blanks_is_no_record_whatever_stands_beside_it(tmp_path: Path) -> None:
    """Blanks counted as a refused record unless the block held an empty line as well."""
    land(tmp_path, line() + b"     \n" + line(turn_number=2))
    assert (len(take_in(tmp_path).rows), take_in(tmp_path).refused) == (2, [])
    land(tmp_path, line() + b"     \n\n" + line(turn_number=2))
    assert (len(take_in(tmp_path).rows), take_in(tmp_path).refused) == (2, [])


def test_a_file_of_nothing_but_noise_is_booked_as_noise(tmp_path: Path) -> None:
    land(tmp_path, os.urandom(100_000))
    taken = take_in(tmp_path)
    assert taken.rows == []
    assert taken.loads[0].rows_quarantined == taken.loads[0].rows_in > 0


# -- the account -----------------------------------------------------------------------------------------------------


def _without_line_2(blocks: Iterator[tuple[str, Block]]) -> Iterator[tuple[str, Block]]:
    for path, block in blocks:
        yield path, replace(block, rows=block.rows.filter(pc.not_equal(block.rows["line"], 2)))


@pytest.mark.parametrize(
    ("adapter", "content"),
    [
        ("canonical", b"".join(line(turn_number=n) for n in (1, 2, 3))),
        ("converza", b"".join(
            json.dumps({"call_id": n, "timestamp": GOOD["timestamp"], "transcript_text": text}).encode() + b"\n"
            for n, text in enumerate(["Agent: Hi", "", "Agent: Hello"])
        )),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("loses", "words"),
    [
        (
            lambda patch: patch.setattr(
                parsed, "typed_rows_sql", lambda *a, **k: f"{typing.typed_rows_sql(*a, **k)} WHERE line <> 2"
            ),
            "3 records were read and 2 would be booked",
        ),
        (
            lambda patch: patch.setattr(
                parsed, "readable_blocks", lambda *a: _without_line_2(indexing.readable_blocks(*a))
            ),
            rf"3 records of (turns|calls) were counted for {DAY} and 2 were read; `touch` the file",
        ),
    ],
    ids=["mapping", "reader"],
)
def test_a_record_that_our_own_code_loses_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adapter: str, content: bytes, loses: Any, words: str
) -> None:
    """An account that is counted from what was booked adds up whatever was lost before."""
    land(tmp_path, content, f"../{adapter}/x-{DAY}.jsonl")
    assert take_in(tmp_path).loads
    loses(monkeypatch)
    with pytest.raises(LostRecordsError, match=words):
        take_in(tmp_path)


# -- transcripts -----------------------------------------------------------------------------------------------------


def test_word_errors_are_counted_of_what_a_person_wrote_down_and_survive_the_text(tmp_path: Path) -> None:
    said = {"extra": {"reference_transcript": "call 0788 123 456 please"}}
    land(tmp_path, line(**said, user_text="call 0788 123 456 police") + line(turn_number=2, user_text="no transcript")
         + line(turn_number=3, **said) + line(turn_number=4, extra={"reference_transcript": ["no", "text"]})
         + line(turn_number=5, **said, word_error_count=0, reference_word_count=9))  # fmt: skip
    rows = take_in(tmp_path).rows
    assert [(row["reference_word_count"], row["word_error_count"]) for row in rows] == [
        (5, 1), (None, None), (5, 5), (None, None), (9, 0)
    ]  # fmt: skip
    assert "0788" not in str(rows)
    place = LakeDay(tmp_path / "lake", "turns", DAY)
    with duckdb.connect() as db:
        assert drop_texts(place, db) == 5
    assert [row["word_error_count"] for row in _read(place.rows)] == [1, None, 5, None, 0]
    assert "please" not in str(_read(place.rows))


# -- permissions -----------------------------------------------------------------------------------------------------


@pytest.fixture
def somebody_else() -> Iterator[Path]:
    """A folder that another user may look into; as root the test becomes that user, whom permissions bind."""
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def as_somebody_else() -> Iterator[None]:
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def look(root: Path, known: Mapping[str, IndexedFile]) -> Refresh:
    return refresh(root / "landing", known, timezone="UTC", quiet_seconds=0)


def names_aside(found: Refresh) -> list[str]:
    return [said.split(":")[0] for said in found.left_aside]


def test_a_file_that_nobody_lets_us_read_waits_alone_and_is_named(somebody_else: Path) -> None:
    closed = land(somebody_else, line(), "closed.jsonl")
    land(somebody_else, line(session_id="b"), "open.jsonl")
    closed.chmod(0)
    with as_somebody_else():
        found = look(somebody_else, {})
    assert [file.path for file in found.fresh] == ["canonical/open.jsonl"]
    assert names_aside(found) == ["canonical/closed.jsonl"]
    assert "canonical/closed.jsonl: permission denied" in found.problems()[0]
    closed.chmod(0o644)
    known = {file.path: file for file in found.fresh}
    assert [file.path for file in look(somebody_else, known).fresh] == ["canonical/closed.jsonl"]


def test_a_file_whose_name_is_not_utf_8_waits_alone_and_is_named(tmp_path: Path) -> None:
    land(tmp_path, line())
    for name in (b"rapport-\xe9.jsonl", b"\xe9.txt", b"d\xe9p\xf4t/turns.jsonl"):
        land(tmp_path, line(session_id="b"), os.fsdecode(name))
    found = look(tmp_path, {})
    assert [file.path for file in found.fresh] == [f"canonical/turns-{DAY}.jsonl"]
    assert sorted(found.problems()) == [
        rf"canonical/{name}: its name is not UTF-8; rename it"
        for name in (r"\xe9.txt", r"d\xe9p\xf4t/", r"rapport-\xe9.jsonl")
    ]
    assert inbox.left_aside(tmp_path / "landing") == sorted(found.problems())
    with pytest.raises(OSError, match=r"rename it"):  # who looks for somebody's records must not miss any
        readable_files(tmp_path / "landing")


def test_a_name_that_is_not_utf_8_says_no_days_of_other_files(tmp_path: Path) -> None:
    for name, text in (
        (b"voice_turns.csv", "turn_id,session_id,turn_number,speaker,created_at\nT1,b,1,user,2026-08-02\n"),
        (b"voice_sessions_\xe9.csv", "session_id,created_at\nb,2026-08-01\n"),
        (b"users.csv", "user_id\nu\n"),
    ):
        land(tmp_path, text.encode(), "../irembo/" + os.fsdecode(name))
    assert {f.path: f.problem for f in look(tmp_path, {}).fresh if f.problem and "column" not in f.problem} == {}


def test_a_file_with_a_number_to_call_in_its_name_waits_for_another_name(tmp_path: Path) -> None:
    personal = land(tmp_path, line(), "call-0788123456-1.jsonl")
    land(tmp_path, line(session_id="b"), "open.jsonl")
    found = look(tmp_path, {})
    assert [file.path for file in found.fresh] == ["canonical/open.jsonl"]
    assert (names_aside(found), found.gone, found.waiting) == (["canonical/call-[PHONE]-1.jsonl"], [], [])
    assert "canonical/call-[PHONE]-1.jsonl: its name holds" in found.problems()[0]
    assert "0788123456" not in repr(found)
    known = {file.path: file for file in found.fresh}
    personal.rename(personal.with_name("call-1.jsonl"))
    assert [file.path for file in look(tmp_path, known).fresh] == ["canonical/call-1.jsonl"]


def test_turns_wait_for_their_sessions_whose_file_has_somebodys_name(tmp_path: Path) -> None:
    folder = tmp_path / "landing" / "irembo"
    folder.mkdir(parents=True)
    (folder / "voice_turns.csv").write_text("session_id,turn_number,speaker,turn_text,created_at\n")
    sessions = folder / "voice_sessions-0788123456.csv"
    sessions.write_text("session_id,created_at\n")
    found = look(tmp_path, {})
    assert (found.fresh, names_aside(found)) == ([], ["irembo/voice_sessions-[PHONE].csv"])
    sessions.rename(folder / "voice_sessions.csv")
    found = look(tmp_path, {})
    assert [file.path for file in found.fresh] == ["irembo/voice_sessions.csv", "irembo/voice_turns.csv"]
    assert "0788123456" not in repr(found)


def test_a_volume_that_is_not_mounted_is_not_taken_for_a_landing_whose_files_were_deleted(tmp_path: Path) -> None:
    file = land(tmp_path, line())
    known = {found.path: found for found in look(tmp_path, {}).fresh}
    shutil.move(file.parent, tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match=r"is empty, and 1 file\(s\) were in it: is its volume mounted"):
        look(tmp_path, known)
    file.parent.mkdir()
    assert look(tmp_path, known).gone == [f"canonical/{file.name}"]


def test_a_folder_that_may_be_listed_and_not_entered_stops_nobody(somebody_else: Path) -> None:
    land(somebody_else, line(), "open.jsonl")
    inside = land(somebody_else, line(), "month/call-0788123456.jsonl")
    inside.parent.chmod(0o744)
    with as_somebody_else():
        found = look(somebody_else, {})
        with pytest.raises(OSError, match=r"month/call-\[PHONE\].jsonl: permission denied"):  # whoever must see all
            list(scan(somebody_else / "landing"))
    inside.parent.chmod(0o755)
    assert [file.path for file in found.fresh] == ["canonical/open.jsonl"]
    assert names_aside(found) == ["canonical/month/call-[PHONE].jsonl"]
    assert "0788123456" not in repr(found)


@pytest.mark.parametrize("name", ["gone.jsonl", "../irembo/voice_sessions.csv"])
def test_a_file_that_vanishes_between_its_listing_and_the_look_at_it_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    land(tmp_path, line(), "open.jsonl")
    (tmp_path / "landing" / "irembo").mkdir()
    land(tmp_path, b"session_id,turn_number,speaker,turn_text,created_at\n", "../irembo/voice_turns.csv")
    vanishing = land(tmp_path, b"", name).resolve()
    listing = os.scandir

    def losing(folder: Path) -> list[Any]:
        """What was listed, and one file of it deleted then, as whoever cleans up may do at any moment."""
        entries = list(listing(folder))
        if vanishing.parent == Path(folder).resolve():
            vanishing.unlink(missing_ok=True)
        return entries

    monkeypatch.setattr(os, "scandir", losing)
    found = look(tmp_path, {})
    assert {"canonical/open.jsonl", "irembo/voice_turns.csv"} == {file.path for file in found.fresh}


def test_what_lies_in_a_folder_that_was_closed_is_not_taken_for_deleted(somebody_else: Path) -> None:
    folder = land(somebody_else, line(), "month/turns.jsonl").parent
    land(somebody_else, line(session_id="b"), "open.jsonl")
    known = {file.path: file for file in look(somebody_else, {}).fresh}
    assert len(known) == 2
    folder.chmod(0)
    with as_somebody_else():
        found = look(somebody_else, known)
    folder.chmod(0o755)
    assert (found.gone, found.fresh, names_aside(found)) == ([], [], ["canonical/month/"])


def test_a_file_that_is_gone_is_not_held_by_the_name_of_one_that_is_closed(somebody_else: Path) -> None:
    closed = land(somebody_else, line(), "turns.json")
    gone = land(somebody_else, line(session_id="b"), "turns.jsonl")
    known = {file.path: file for file in look(somebody_else, {}).fresh}
    gone.unlink()
    closed.write_bytes(line(session_id="c"))
    closed.chmod(0)
    with as_somebody_else():
        found = look(somebody_else, known)
    assert (found.gone, names_aside(found)) == (["canonical/turns.jsonl"], ["canonical/turns.json"])


def test_a_file_that_was_counted_by_other_readers_is_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(tmp_path, line())
    known = {file.path: file for file in refresh(tmp_path / "landing", {}, timezone="UTC", quiet_seconds=0).fresh}
    assert refresh(tmp_path / "landing", known, timezone="UTC", quiet_seconds=0).fresh == []
    monkeypatch.setattr(reading, "VERSION", reading.VERSION + 1)
    assert len(refresh(tmp_path / "landing", known, timezone="UTC", quiet_seconds=0).fresh) == 1


def test_a_file_whose_days_are_others_in_another_zone_is_counted_again(tmp_path: Path) -> None:
    land(tmp_path, line(timestamp=f"{DAY}T10:00:00Z") + line(turn_number=2, timestamp=f"{DAY}T23:00:00Z"))
    known = {file.path: file for file in look(tmp_path, {}).fresh}
    (file,) = refresh(tmp_path / "landing", known, timezone="Africa/Kigali", quiet_seconds=0).fresh
    assert file.rows == {"turns": {"2026-08-01": 1, "2026-08-02": 1}}


# -- personal data where a word of a vocabulary belongs ----------------------------------------------------------------


def test_no_label_carries_personal_data_into_the_lake(tmp_path: Path) -> None:
    """An emitter writes a sentence where the contract has a word; every text that is no identifier is looked at."""
    labels = [f for f in TURNS.fields if f.is_label]

    def every(text: str) -> dict[str, Any]:
        return {f.name: [text, "a, [8]"] if f.kind is Kind.TEXT_LIST else text for f in labels}

    sentence, plain, address = "caller +250788999116 asked, my name is Jane Doe", "help", "jane@gmail.com"
    texts = [every(text) for text in (sentence, plain, address)]
    land(tmp_path, b"".join(line(turn_number=n, **fields) for n, fields in enumerate(texts, 1)))
    rows = [{f.name: row[f.name] for f in labels} for row in take_in(tmp_path).rows]
    assert rows == [every("caller [PHONE] asked, my name is [NAME]"), every(plain), every("[EMAIL]")]


def test_identifiers_and_versions_keep_their_digits(tmp_path: Path) -> None:
    kept = {f.name: "v2.10.3-20260601-000123" for f in TURNS.fields if f.identifier and f.name != "session_id"}
    kept |= {"agent_name": "agent-0042", "state": "ask_2026-06-01", "tts_voice": "en-US-Neural2-F", "tts_rate": "+10%"}
    land(tmp_path, line(**kept))
    (row,) = take_in(tmp_path).rows
    assert {name: row[name] for name in kept} == kept


def test_a_label_that_is_different_in_every_row_is_redacted_too(tmp_path: Path) -> None:
    reasons = [f"asked {n}, +25078899{n:04}" for n in range(1, 3000)]
    land(tmp_path, b"".join(line(turn_number=n, transfer_reason=reason) for n, reason in enumerate(reasons, 1)))
    assert [row["transfer_reason"] for row in take_in(tmp_path).rows] == [f"asked {n}, [PHONE]" for n in range(1, 3000)]


@pytest.mark.parametrize("number", [788123456, "0788123456", 1199080123456789])
def test_a_number_of_somebody_where_a_turns_number_belongs_is_refused(tmp_path: Path, number: int | str) -> None:
    land(tmp_path, line() + line(turn_number=number))
    taken = take_in(tmp_path)
    assert [row["turn_number"] for row in taken.rows] == [1]
    (refused,) = taken.refused
    assert refused["reason"] == "wrong_type"
    assert refused["message"] == "turn_number ends at 99,999,999, not at [NUMBER]"
    assert str(number) not in f"{refused['raw_text']} {refused['message']}"


_LOOKS = """
import sys
from pathlib import Path
from voiceai_assets.lake.inbox import scan
from voiceai_assets.lake.indexing import index_files
landing = Path(sys.argv[1])
print("looking", flush=True)
while True:
    for file in index_files(landing, list(scan(landing)), "UTC"):
        assert file.problem is None, file.problem
"""


@pytest.mark.parametrize("moment", [0.1, 0.3, 0.55])
def test_who_stops_the_look_into_a_file_does_not_make_the_file_a_bad_one(tmp_path: Path, moment: float) -> None:
    """DuckDB answers Ctrl-C with an exception of its own, which would pass for something that the content provokes."""
    land(tmp_path, line() * 200_000)
    command = [sys.executable, "-c", _LOOKS, str(tmp_path / "landing")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as looking:
        assert looking.stdout is not None
        assert looking.stdout.readline() == "looking\n"
        time.sleep(moment)
        looking.send_signal(signal.SIGINT)
        try:
            _, said = looking.communicate(timeout=60)
        finally:
            looking.kill()  # one that does not stop would be waited for without end
    assert "\nKeyboardInterrupt" in said
    assert "AssertionError" not in said
