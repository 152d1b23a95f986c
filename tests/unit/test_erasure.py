"""Forgetting and keeping: whose a record is, files without it, what is remembered, what is old. No server."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem

from voiceai_assets.automation.retention import LandedFile, limit, to_retire
from voiceai_assets.checks.suites import all_suites
from voiceai_assets.contracts import DATASETS
from voiceai_assets.lake import mending
from voiceai_assets.lake.account import DayLoad, LakeDay, are_rows_of, with_erasures
from voiceai_assets.lake.erasure import (
    Claim,
    claims_in_landing,
    delete_copies,
    find_in_lake,
    find_in_landing,
    forget_in_lake,
    remove_from_landing,
    search,
    sessions_of,
)
from voiceai_assets.lake.inbox import scan
from voiceai_assets.lake.indexing import index_files, sha256_of
from voiceai_assets.lake.mending import CannotMendError, copy_name, mend, remove, texts_of
from voiceai_assets.lake.people import PEOPLE, session_fields
from voiceai_assets.lake.refine import Refinery
from voiceai_assets.lake.remote import STATE, Remote, StoreError
from voiceai_assets.lake.storing import complete_days, half_days
from voiceai_assets.lake.texts import KEPT_CODES, KEPT_MEMBERS, documents, text_fields, without_texts
from voiceai_assets.privacy.needles import Needles
from voiceai_assets.privacy.pseudonyms import Pseudonymiser
from voiceai_assets.privacy.tombstones import Tombstones, tokens
from voiceai_assets.versions import DBT_PROJECT

KEY = Pseudonymiser(b"k" * 32)
NOBODY = Tombstones(KEY)
DAY = "2026-08-01"


def nothing(*_: object, **__: object) -> None:
    """Hears of a file and does nothing."""


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def turn(session: str, user: str | None = None, number: int = 1, **fields: Any) -> dict[str, Any]:
    row = {"session_id": session, "turn_number": number, "timestamp": f"{DAY}T10:0{number}:00", **fields}
    return row if user is None else {**row, "user_id": user}


def lines(*rows: dict[str, Any] | str) -> bytes:
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()


def written(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# -- tombstones --------------------------------------------------------------------------------------------------------


def test_a_tombstone_recognises_a_person_by_name_and_by_pseudonym_and_is_neither() -> None:
    marks = Tombstones.of(KEY, "U1303", ["call-77"])
    assert marks.has_person("U1303")
    assert marks.has_pseudonym(KEY("U1303"))
    assert marks.has_session("call-77")
    assert not marks.has_person("U1304")
    stored = json.dumps(list(marks.marks()))
    assert not any(secret in stored for secret in ("U1303", "call-77", KEY("U1303"), KEY("call-77")))
    assert not replace(marks, pseudonymise=Pseudonymiser(b"l" * 32)).has_person("U1303"), "worthless without the key"


def test_a_telling_session_may_be_an_experiments_unit_and_a_short_one_somebody_else() -> None:
    marks = Tombstones.of(KEY, "U1303", ["session-77", "7"])
    assert marks.has_person("session-77")
    assert not marks.has_person("7"), "user 7 and session 7 are two people"
    assert marks.has_session("U1303"), "a caller's number in session_id"
    assert not Tombstones.of(KEY, "7", []).has_session("7")


def test_identifiers_are_found_in_records_that_cannot_be_read() -> None:
    broken = '{"session_id": "user of a", "user_id": "U1303", "x": bro'
    assert {"user of a", "U1303"} <= tokens(broken)
    assert Tombstones.of(KEY, "U1303", []).named_in("a,U1303,too,many,columns\n") == {"U1303"}
    assert Tombstones.of(KEY, "user of a", []).named_in(broken) == {"user of a"}
    assert not Tombstones.of(KEY, "7", []).named_in("7,7,7"), "a short one says nothing in a text"


# -- whose a session is ------------------------------------------------------------------------------------------------

S = "session"


@pytest.mark.parametrize(
    ("claims", "own", "shared"),
    [
        ([Claim(S, is_mine=True, is_others=False, is_part=True)], {S}, set()),
        ([Claim(S, is_mine=False, is_others=True, is_part=True)], set(), set()),
        ([Claim(S, is_mine=True, is_others=True, is_part=True)], set(), {S}),
        # an application names the person, the session itself somebody else
        (
            [
                Claim(S, is_mine=True, is_others=False, is_part=False),
                Claim(S, is_mine=False, is_others=True, is_part=True),
            ],
            set(),
            set(),
        ),
        # the session names the person, an application somebody else
        (
            [
                Claim(S, is_mine=True, is_others=False, is_part=True),
                Claim(S, is_mine=False, is_others=True, is_part=False),
            ],
            {S},
            set(),
        ),
        # the session names nobody: the application decides
        ([Claim(S, is_mine=True, is_others=False, is_part=False)], {S}, set()),
        ([Claim(S, is_mine=True, is_others=True, is_part=False)], set(), {S}),
        ([], set(), set()),
    ],
)
def test_a_session_is_whose_its_own_records_name(claims: list[Claim], own: set[str], shared: set[str]) -> None:
    found = sessions_of(claims)
    assert (found.own, found.shared) == (own, shared)


def test_every_dataset_that_names_a_session_is_looked_at() -> None:
    named = {c.dataset for c in DATASETS.values() for f in c.fields if f.person or f.name == "session_id"}
    assert named <= {contract.dataset for contract in PEOPLE}
    assert session_fields(DATASETS["calls"]) == ["call_id", "session_id"]
    assert session_fields(DATASETS["turn_metrics"]) == ["session_id"], "its call_id counts within the session"


# -- records in landed files -------------------------------------------------------------------------------------------


def test_records_are_found_in_every_format_through_the_adapter(tmp_path: Path, db: duckdb.DuckDBPyConnection) -> None:
    folder = tmp_path / "canonical"
    rows = [turn("theirs", "U1303"), turn("other", "U1304"), turn("theirs", None, 2)]
    written(folder / "a.jsonl", lines(*rows, '{"session_id": "theirs", "user_id": "U1303", "bro'))
    written(folder / "b.csv", 'session_id,turn_number,timestamp,user_id,user_text\nx,1,t,U1304,\ny,1,t,U1303,"a\nb"\n')
    pq.write_table(pa.Table.from_pylist([turn("p", "U1303"), turn("q", "U1304")]), folder / "c.parquet")
    written(
        tmp_path / "converza" / "d.json", json.dumps([{"call_id": "c1", "customer_number": "U1303"}, {"call_id": "c2"}])
    )
    written(folder / "users" / "e.csv", "user_id,region\nU1304,north\nU1303,south\n")
    written(folder / "f.jsonl", lines(turn("other", "U1304")))
    claims = list(claims_in_landing(tmp_path, "U1303", db, nothing))
    own = sessions_of(claims).own
    assert own == {"theirs", "y", "p", "c1"}
    found = find_in_landing(tmp_path, Tombstones.of(KEY, "U1303", own), db, nothing)
    assert {path: sorted(hits.lines) for path, hits in found.items()} == {
        "canonical/a.jsonl": [1, 3, 4],
        "canonical/b.csv": [3],
        "canonical/c.parquet": [1],
        "converza/d.json": [1],
        "canonical/users/e.csv": [3],
    }
    assert dict(found["converza/d.json"].records) == {"calls": 1, "turns": 1}


def test_a_record_that_names_somebody_else_is_theirs_whatever_session_it_names(
    tmp_path: Path, db: duckdb.DuckDBPyConnection
) -> None:
    header = "application_id,session_id,user_id,status,submitted_at\n"
    written(tmp_path / "irembo" / "voice_sessions.csv", "session_id,user_id,final_outcome,created_at\nS1,U1303,c,d\n")
    written(tmp_path / "irembo" / "applications.csv", f"{header}A1,S1,U1304,c,d\nA2,S9,U1303,c,d\n")
    written(
        tmp_path / "irembo" / "voice_turns.csv",
        "turn_id,session_id,turn_number,speaker,created_at\nT1,S1,1,user,d\nT2,S2,1,user,d\n",
    )
    own = sessions_of(claims_in_landing(tmp_path, "U1303", db, nothing)).own
    assert own == {"S1", "S9"}
    found = find_in_landing(tmp_path, Tombstones.of(KEY, "U1303", own), db, nothing)
    assert {path: sorted(hits.lines) for path, hits in found.items()} == {
        "irembo/applications.csv": [3],
        "irembo/voice_sessions.csv": [2],
        "irembo/voice_turns.csv": [2],
    }


def test_records_are_found_in_a_file_that_waits_for_another_name(tmp_path: Path, db: duckdb.DuckDBPyConnection) -> None:
    path = "canonical/call-0788123456-1.jsonl"
    written(tmp_path / path, lines(turn("a", "U1303"), turn("b", "U2")))
    assert find_in_landing(tmp_path, Tombstones.of(KEY, "U1303", []), db, nothing)[path].lines == {1}


def test_events_of_a_session_are_found_by_their_context(tmp_path: Path, db: duckdb.DuckDBPyConnection) -> None:
    event = {"event_type": "message_sent", "timestamp": f"{DAY}T10:00:00Z", "context": {"session_id": "theirs"}}
    written(tmp_path / "events" / "events.jsonl", lines(event, {**event, "unit_id": "U1304"}, {**event, "context": {}}))
    found = find_in_landing(tmp_path, Tombstones.of(KEY, "U1303", ["theirs"]), db, nothing)
    assert {path: sorted(hits.lines) for path, hits in found.items()} == {"events/events.jsonl": [1]}


# -- removing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.ndjson.zst"])
def test_removed_lines_leave_the_bytes_of_the_others(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    compression = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    with pa.output_stream(str(path), compression=compression) as out:
        out.write(b'{"a": 1}\r\n\n{"a":  2}\n{"a": 3}')
    path.chmod(0o600)
    assert remove(path, {1})
    with pa.input_stream(str(path), compression=compression) as source:
        assert source.read() == b'\n{"a":  2}\n{"a": 3}'
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == [name], "no copy is kept"


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.csv"])
@pytest.mark.parametrize("gone", [1, 2, 3])
def test_where_carriage_returns_end_lines_only_the_wanted_ones_go(tmp_path: Path, name: str, gone: int) -> None:
    path = tmp_path / name
    records = [b"1,x", b"2,y", b"3,z"] if name == "x.csv" else [b'{"a": 1}', b'{"a": 2}', b'{"a": 3}']
    content = b"".join(record + b"\r" for record in ([b"a,b"] if name == "x.csv" else []) + records)
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert remove(path, {gone + (name == "x.csv")})
    left = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    assert left.splitlines()[-2:] == [record for n, record in enumerate(records, start=1) if n != gone]


def test_a_file_that_would_lose_other_records_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "x.jsonl", lines(turn("a"), turn("b"), turn("c")))
    before = path.read_bytes()
    monkeypatch.setattr(mending, "_mended", lambda *_: iter([b"{}\n"]))
    for change in (lambda: remove(path, {1}), lambda: mend(path, {1: "{}"}, tmp_path / "kept" / "x", sha256_of(path))):
        with pytest.raises(CannotMendError, match=r"x.jsonl would hold 1 records instead of [23]; it was not changed"):
            change()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.jsonl"]


@pytest.mark.parametrize("ending", [".jsonl", ".csv.gz", ".JSONL.zst", ".parquet"])
def test_the_longest_name_that_a_file_can_have_keeps_no_record_in_it(tmp_path: Path, ending: str) -> None:
    path = tmp_path / ("é" * ((255 - len(ending)) // 2) + "x" * ((255 - len(ending)) % 2) + ending)
    if ending == ".parquet":
        pq.write_table(pa.table({"a": [1, 2]}), path)
    else:
        text = "a,b\n1,x\n2,y\n" if ending.startswith(".csv") else '{"a": 1}\n{"a": 2}\n'
        compression = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
        with pa.output_stream(str(path), compression=compression) as out:
            out.write(text.encode())
    assert remove(path, {2})
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if ending == ".parquet":
        return
    sha256 = sha256_of(path)
    [(line, record)] = texts_of(path, {1, 2, 3}).items()
    kept = tmp_path / "kept" / copy_name(path.name, sha256)
    mend(path, {line: record.replace("2", "3").replace("1", "3")}, kept, sha256)
    assert sha256_of(kept) == sha256
    assert kept.name.startswith(f"{sha256[:16]}-ééé"), "somebody who looks for it sees which file it was"
    assert kept.name.endswith(ending), "the search for a person decompresses it"
    assert delete_copies(kept.parent, Needles(["b" if ending.startswith(".csv") else "a"])) == [kept.name]


def test_a_copys_name_that_fits_is_the_files_own() -> None:
    assert copy_name("turns.jsonl.gz", "0123456789abcdefgh") == "0123456789abcdef-turns.jsonl.gz"
    assert copy_name(f"x.{'y' * 250}", "0" * 64) == f"{'0' * 16}-x.{'y' * 236}", "an ending that is none is cut too"


def test_removed_csv_records_may_span_lines(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", 'a,b\n"one\ntwo",1\nx,2\n"y\n",3\n')
    assert remove(path, {2, 5})
    assert path.read_text() == "a,b\nx,2\n"


def test_items_of_a_document_keep_their_text(tmp_path: Path) -> None:
    path = written(tmp_path / "x.json", '[\n {"a": 1.10, "b": "é\\u00e9"},\n {"a": 2} ,{"a": [1, {"c": 3}]}\n]\n')
    assert remove(path, {2})
    assert path.read_text() == '[{"a": 1.10, "b": "é\\u00e9"},{"a": [1, {"c": 3}]}]\n'


def test_a_json_file_may_hold_lines(tmp_path: Path) -> None:
    path = written(tmp_path / "x.json", lines({"a": 1}, {"a": 2}))
    assert remove(path, {1})
    assert path.read_bytes() == lines({"a": 2})


def test_parquet_keeps_columns_types_row_groups_and_compression(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.table({"n": pa.array(range(10), pa.int16()), "at": pa.array([datetime(2026, 8, 1, tzinfo=UTC)] * 10)})
    pq.write_table(table, path, row_group_size=4, compression="gzip")
    assert remove(path, {1, 5, 10})
    left = pq.ParquetFile(path)
    assert left.schema_arrow.equals(table.schema)
    assert left.read()["n"].to_pylist() == [1, 2, 3, 5, 6, 7, 8]
    assert left.num_row_groups == 3
    assert left.metadata.row_group(0).column(0).compression == "GZIP"


@pytest.mark.parametrize(
    ("name", "content", "gone"),
    [
        ("x.jsonl", '{"a": 1}\n\n', {1}),
        ("x.csv", "a\n1\n", {2}),
        ("x.json", '{"a": 1}', {1}),
        ("x.json", '[{"a": 1}]', {1}),
    ],
)
def test_a_file_that_holds_nobody_else_is_deleted(tmp_path: Path, name: str, content: str, gone: set[int]) -> None:
    path = written(tmp_path / name, content)
    assert not remove(path, gone)
    assert not list(tmp_path.iterdir())


def test_a_utf_16_file_becomes_utf_8(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", '{"a": "é"}\n{"a": 2}\n'.encode("utf-16"))
    assert remove(path, {2})
    assert path.read_text() == '{"a": "é"}\n'


def test_half_a_character_in_a_utf_16_file_keeps_nobody_from_being_forgotten(tmp_path: Path) -> None:
    broken = '{"a": 1}\n'.encode("utf-16") + b"\x00\xd8" + '{"a": 2}\n'.encode("utf-16-le")
    path = written(tmp_path / "x.jsonl", broken)
    assert remove(path, {1})
    assert path.read_text() == '\ufffd{"a": 2}\n'


def test_a_file_that_breaks_off_is_left_as_it_is(tmp_path: Path) -> None:
    whole = lines(*(turn(f"s{n}") for n in range(4000)))
    damaged = written(tmp_path / "x.jsonl.gz", gzip.compress(whole)[:-2000])
    with pytest.raises(CannotMendError, match="damaged archive; fetch it again"):
        remove(damaged, {1})
    cut = written(tmp_path / "y.jsonl", '{"a": 1}\n{"user_id": "U13')
    with pytest.raises(CannotMendError, match="middle of a record"):
        remove(cut, {2})
    assert remove(cut, {1}), "the broken record stays, and with it the day's block"
    assert cut.read_text() == '{"user_id": "U13'


def test_safety_copies_that_may_hold_the_person_are_deleted(tmp_path: Path) -> None:
    written(tmp_path / "1-a.jsonl", lines(turn("s", "U1303")))
    written(tmp_path / "2-a.jsonl.gz", gzip.compress(lines(turn("s", "U1304"))))
    assert delete_copies(tmp_path, Needles(["U1303"])) == ["1-a.jsonl"]
    assert delete_copies(tmp_path, Needles(["s"])) == ["2-a.jsonl.gz"], "short identifiers, too"


# -- the search for what is left ---------------------------------------------------------------------------------------


def test_an_identifier_is_found_in_every_kind_of_file(tmp_path: Path) -> None:
    needles = Needles(["U1303", 'o"neil', "7"])
    written(tmp_path / "a" / "x.jsonl.gz", gzip.compress(b'{"user_id": "U1303"}'))
    written(tmp_path / ".hidden.part", "x,U1303,y")
    pq.write_table(pa.table({"n": [1], "nested": [[{"who": "U1303"}]]}), tmp_path / "y.parquet")
    written(tmp_path / "escaped.json", json.dumps({"who": 'o"neil'}))
    written(tmp_path / "calls-U1303-a.mp3", b"ID3")
    written(tmp_path / "broken.jsonl.gz", gzip.compress(os.urandom(100_000))[:-50_000])
    written(tmp_path / "others.jsonl", lines(turn("U13031", "U1303-b"), turn("7", "7"), turn("nU1303")))
    for name, before in {"newline": "\n", "tab": "\t", "plus": "\u200b"}.items():
        written(tmp_path / f"after a {name}.jsonl", json.dumps({"text": f"call{before}U1303"}))
    found = search(tmp_path, needles)
    assert {path: how.split(":")[0] for path, how in found.items()} == {
        ".hidden.part": "in its content",
        "a/x.jsonl.gz": "in its content",
        "y.parquet": "in its content",
        "escaped.json": "in its content",
        **{f"after a {name}.jsonl": "in its content" for name in ("newline", "tab", "plus")},
        "calls-U1303-a.mp3": "in its name",
        "broken.jsonl.gz": "not searched to its end",
    }


def test_identifiers_are_taken_out_of_texts_and_documents() -> None:
    needles = Needles(["U1303", "12345678"])
    assert needles.scrubbed("canonical/U1303.csv of U1303-b") == "canonical/[ERASED].csv of U1303-b"
    assert needles.scrubbed(r'{"half": "call\nU1303, \u200b12345678') == r'{"half": "call\n[ERASED], \u200b[ERASED]'
    nested = json.dumps({"sample": [["U1303", 12345678, True, None]], "event": json.dumps({"path": "x/U1303"})})
    assert json.loads(needles.scrubbed(nested)) == {
        "sample": [["[ERASED]", "[ERASED]", True, None]],
        "event": '{"path":"x/[ERASED]"}',
    }


# -- refining and the lake ---------------------------------------------------------------------------------------------


def refined(tmp_path: Path, marks: Tombstones = NOBODY, *, texts_from: str | None = None) -> DayLoad:
    """Refine the day's turns of everything in landing."""
    landing, lake = tmp_path / "landing", tmp_path / "lake"
    files = index_files(landing, list(scan(landing)), "UTC")
    refinery = Refinery(landing, lake, "UTC", KEY, [DAY], tombstones=marks, texts_from=texts_from)
    try:
        return next(load for load in refinery.refine(DAY, files) if load.dataset == "turns")
    finally:
        refinery.close()


def stored(tmp_path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows and refused records of the day's turns."""
    place = LakeDay(tmp_path / "lake", "turns", DAY)
    return pq.read_table(place.rows, partitioning=None).to_pylist(), pq.read_table(
        place.quarantine, partitioning=None
    ).to_pylist()


def land_people(tmp_path: Path) -> Path:
    rows = [
        turn("theirs", "U1303", user_text="mine"),
        turn("theirs", None, 2),
        turn("other", "U1304"),
        turn("other", "U1304"),
        {"session_id": "third", "user_id": "U1303"},
        '{"user_id": "U1303", "broken',
    ]
    return written(tmp_path / "landing" / "canonical" / f"{DAY}.jsonl", lines(*rows, turn("shared", "U1305")))


def test_records_of_the_forgotten_are_refused_without_their_text(tmp_path: Path) -> None:
    land_people(tmp_path)
    before = refined(tmp_path)
    load = refined(tmp_path, Tombstones.of(KEY, "U1303", ["theirs"]))
    (account,) = load.files
    assert (account.rows_in, account.rows_loaded, account.rows_quarantined, account.rows_duplicate) == (7, 2, 4, 1)
    assert account.rows_erased == 4
    assert load.load_id != before.load_id, "no older verdict fits what is left"
    rows, refused = stored(tmp_path)
    assert {row["session_id"] for row in rows} == {"other", "shared"}
    assert {(r["reason"], r["raw_text"]) for r in refused} == {("erased", None)}
    everything = json.dumps([rows, refused], default=str)
    assert not any(secret in everything for secret in ("U1303", "theirs", KEY("U1303"), "mine"))


def test_without_tombstones_nothing_changes(tmp_path: Path) -> None:
    land_people(tmp_path)
    load = refined(tmp_path)
    rows = LakeDay(tmp_path / "lake", "turns", DAY).rows.read_bytes()
    other = Tombstones.of(KEY, "somebody else", ["elsewhere"])
    assert refined(tmp_path, other) == load
    assert LakeDay(tmp_path / "lake", "turns", DAY).rows.read_bytes() == rows
    assert with_erasures("abc", {"a": 0}) == "abc"
    assert with_erasures("abc", {"a": 1}) != with_erasures("abc", {"a": 2})


def test_a_truncated_file_stays_truncated_when_its_last_record_is_refused_as_erased(tmp_path: Path) -> None:
    written(
        tmp_path / "landing" / "canonical" / f"{DAY}.jsonl", lines(turn("a"), turn("b"))[:-3] + b',"user_id":"U1303'
    )
    (account,) = refined(tmp_path, Tombstones.of(KEY, "U1303", [])).files
    assert account.is_truncated


def test_a_day_of_the_lake_can_be_made_to_forget_without_landing(tmp_path: Path, db: duckdb.DuckDBPyConnection) -> None:
    path = land_people(tmp_path)
    before = refined(tmp_path)
    path.unlink()
    marks = Tombstones.of(KEY, "U1303", ["theirs"])
    lake = tmp_path / "lake"
    found = find_in_lake(lake, marks, db)
    assert found == {LakeDay(lake, "turns", DAY): 2}
    assert forget_in_lake(LakeDay(lake, "turns", DAY), marks, db) == 2
    load = LakeDay(lake, "turns", DAY).read_account()
    (account,) = load.files
    assert account.rows_in == account.rows_loaded + account.rows_quarantined + account.rows_duplicate
    assert (account.rows_loaded, account.rows_erased) == (2, 2)
    assert load.load_id != before.load_id
    rows, refused = stored(tmp_path)
    assert {row["load_id"] for row in [*rows, *refused]} == {load.load_id}
    assert len(refused) == account.rows_quarantined
    assert find_in_lake(lake, marks, db) == {}
    assert forget_in_lake(LakeDay(lake, "turns", DAY), marks, db) == 0


class Killed(BaseException):
    """Nothing is done after it, as after ``kill -9`` or a power cut."""


def refuses(fault: BaseException) -> Callable[..., None]:
    def put_file(*_: object) -> None:
        raise fault

    return put_file


@pytest.mark.parametrize("fault", [OSError("the store is full"), Killed()], ids=["refused", "killed"])
def test_a_day_that_the_store_did_not_take_is_found_again_and_goes_there_at_the_second_try(
    tmp_path: Path, db: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """Of a frozen day the rows in the store are the only ones there are; a clean copy would say that all is done."""
    lake, there = tmp_path / "lake", tmp_path / "store"
    place, copy = LakeDay(lake, "turns", DAY), LakeDay(there, "turns", DAY)
    land_people(tmp_path)
    refined(tmp_path)
    store = Remote(f"file://{there}", lake)
    for path in copy.paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    store.push(place.paths)
    marks = Tombstones.of(KEY, "U1303", ["theirs"])
    with monkeypatch.context() as patched:
        patched.setattr(LocalFileSystem, "put_file", refuses(fault))
        if isinstance(fault, Killed):
            patched.setattr(shutil, "rmtree", nothing)
        with pytest.raises((StoreError, Killed)):
            forget_in_lake(place, marks, db, store)
    assert find_in_lake(lake, marks, db) == {place: 2}

    assert forget_in_lake(place, marks, db, store) == 2
    assert find_in_lake(there, marks, db) == find_in_lake(lake, marks, db) == {}
    assert [path.read_bytes() for path in copy.paths] == [path.read_bytes() for path in place.paths]
    assert place.read_account().rows_erased == 2


def killed_before(monkeypatch: pytest.MonkeyPatch, target: Path) -> None:
    """The process goes before anything is put in the place of this file."""
    original = Path.replace

    def replaces(self: Path, goal: Path) -> Path:
        if goal == target:
            raise Killed
        return original(self, goal)

    monkeypatch.setattr(Path, "replace", replaces)


@pytest.mark.parametrize("reached", ["rows", "quarantine", "account"])
@pytest.mark.parametrize("everybody", [False, True])
def test_a_day_is_completed_when_an_erasure_was_killed_between_its_files(
    tmp_path: Path, db: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, reached: str, *, everybody: bool
) -> None:
    """A frozen day is never refined again, and in its new rows nobody is found for whom it would be changed again."""
    path = land_people(tmp_path)
    if everybody:
        written(path, lines(turn("theirs", "U1303")))
    refined(tmp_path)
    marks, place = Tombstones.of(KEY, "U1303", ["theirs"]), LakeDay(tmp_path / "lake", "turns", DAY)
    with monkeypatch.context() as patched:
        killed_before(patched, getattr(place, reached))
        with pytest.raises(Killed):
            forget_in_lake(place, marks, db)
    is_half = reached != "rows"
    assert are_rows_of(place.read_account(), place.rows) is not is_half
    assert half_days(place.root) == [place] * is_half

    complete_days(place.root)
    assert half_days(place.root) == []
    assert not (place.root / ".changing").exists()
    assert forget_in_lake(place, marks, db) == (0 if is_half else 2 - everybody)
    load = place.read_account()
    assert are_rows_of(load, place.rows)
    assert load.rows_erased == 2 - everybody
    assert load.rows_in == load.rows_loaded + load.rows_quarantined + load.rows_duplicate
    rows, refused = stored(tmp_path)
    assert {row["load_id"] for row in [*rows, *refused]} == {load.load_id}
    assert len(refused) == load.rows_quarantined


def test_a_day_that_was_made_again_since_is_not_completed(
    tmp_path: Path, db: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_people(tmp_path)
    refined(tmp_path)
    place = LakeDay(tmp_path / "lake", "turns", DAY)
    with monkeypatch.context() as patched:
        killed_before(patched, place.account)
        with pytest.raises(Killed):
            forget_in_lake(place, Tombstones.of(KEY, "U1303", ["theirs"]), db)
    written(tmp_path / "landing" / "canonical" / "more.jsonl", lines(turn("more", "U1306")))
    load = refined(tmp_path)
    complete_days(place.root)
    assert place.read_account() == load
    assert are_rows_of(load, place.rows)
    assert not (place.root / ".changing").exists()


@pytest.mark.parametrize("fault", [OSError("the store is full"), Killed()], ids=["refused", "killed"])
@pytest.mark.parametrize("others", [["U1304"], []], ids=["rewritten", "deleted"])
def test_a_landed_file_that_the_store_did_not_take_is_found_again(
    tmp_path: Path,
    db: duckdb.DuckDBPyConnection,
    monkeypatch: pytest.MonkeyPatch,
    fault: BaseException,
    others: list[str],
) -> None:
    there, landing, name = tmp_path / "store", tmp_path / "landing", f"canonical/{DAY}.jsonl"
    written(there / name, lines(turn("a", "U1303"), *(turn("b", user) for user in others)))
    store = Remote(f"file://{there}", landing)
    store.pull()
    marks = Tombstones.of(KEY, "U1303", [])

    def removed() -> dict[str, str]:
        return remove_from_landing(landing, find_in_landing(landing, marks, db, nothing), nothing, store)

    with monkeypatch.context() as patched:
        for change in ("put_file", "rm_file"):
            patched.setattr(LocalFileSystem, change, refuses(fault))
        if isinstance(fault, Killed):
            patched.setattr(shutil, "rmtree", nothing)
            with pytest.raises(Killed):
                removed()
        else:
            assert list(removed()) == [name]
    store.pull()
    assert list(find_in_landing(landing, marks, db, nothing)) == [name]

    assert removed() == {}
    store.pull()
    assert {path.name for path in landing.iterdir()} <= {"canonical", STATE}, "nothing is left lying"
    for folder in (landing, there):
        found = [path.read_bytes() for path in folder.rglob("*.jsonl")]
        assert found == [lines(turn("b", user)) for user in others]


# -- retention: texts --------------------------------------------------------------------------------------------------


def test_old_days_are_refined_without_their_texts_and_with_everything_else(tmp_path: Path) -> None:
    row = turn("a", "U1", user_text="hello", agent_text="yes", intent="greet", remark="my name is", call_id="CA1", n=3)
    row["transfer_reason"] = "caller +250788999116 asked"
    broken = '{"session_id": "b", "text": "secret'
    written(tmp_path / "landing" / "canonical" / f"{DAY}.jsonl", lines(row, broken))
    kept = refined(tmp_path, texts_from=DAY)
    (with_texts,), (refused,) = stored(tmp_path)
    assert with_texts["user_text"] == "hello"
    assert with_texts["transfer_reason"] == "caller [PHONE] asked"
    assert "secret" in refused["raw_text"]
    assert refined(tmp_path, texts_from="2026-08-02") == kept, "the account and the load are the same"
    (without,), (refused,) = stored(tmp_path)
    changed = {key: without[key] for key in without if without[key] != with_texts[key]}
    assert changed == {"user_text": None, "agent_text": None, "extra": '{"call_id":"CA1","n":3}'}
    assert refused["raw_text"] is None


@pytest.mark.parametrize(
    ("document", "left"),
    [
        ('{"a": "text", "n": 1.5, "ok": true, "call_id": "CA1"}', {"n": 1.5, "ok": True, "call_id": "CA1"}),
        ('{"a": {"b": ["x", 2, {"session_id": "s"}]}, "c": null}', {"a": {"b": [2, {"session_id": "s"}]}}),
        ('{"a": "text", "b": {"c": "text"}}', None),
    ],
)
def test_a_document_keeps_numbers_and_identifiers(document: str, left: Any) -> None:
    assert json.loads(without_texts(document) or "null") == left


def test_the_models_read_nothing_that_text_retention_takes_away() -> None:
    """Else a day that is built again after its texts went would get other figures."""
    texts = {name for contract in DATASETS.values() for name in text_fields(contract)}
    json_columns = {name for contract in DATASETS.values() for name in documents(contract)}
    for path in (DBT_PROJECT / "models").rglob("*.sql"):
        statement = re.sub(r"--.*", "", path.read_text())
        members = re.findall(rf"\b({'|'.join(json_columns)})\s*->>?\s*'(\w+)'", statement)
        assert {member for _, member in members} <= KEPT_MEMBERS, path.name
        read_by_macro = set(re.findall(r"json_(?:id|code|session_id)\([^,]+,\s*'(\w+)'", statement))
        assert read_by_macro <= KEPT_MEMBERS | KEPT_CODES, path.name
        assert not texts & set(re.findall(r"\b\w+\b", re.sub(r"'[^']*'", "", statement))), path.name


def test_no_rule_reads_a_text() -> None:
    texts = {name for contract in DATASETS.values() for name in [*text_fields(contract), *documents(contract)]}
    for suite in all_suites():
        assert not texts & set(re.findall(r"\w+", json.dumps(suite.computed))), suite.suite
        for rule in suite.rules:
            if rule.type != "schema_is_as_agreed":  # it knows that a text is there, and does not read it
                assert not texts & set(re.findall(r"\w+", json.dumps(rule.kwargs))), rule.id


# -- retention: files --------------------------------------------------------------------------------------------------

NOW = datetime(2026, 8, 31, 23, 30, tzinfo=UTC)


def landed(path: str, *days: str, is_loaded: bool = True, **fields: Any) -> LandedFile:
    return LandedFile(path, frozenset(days), arrived="2026-08-01", is_loaded=is_loaded, **fields)


def test_today_counts_among_the_days_that_are_kept() -> None:
    assert limit(NOW, "UTC", None) is None
    assert limit(NOW, "UTC", 1) == "2026-08-31"
    assert limit(NOW, "Africa/Kigali", 1) == "2026-09-01"
    assert limit(NOW, "UTC", 31) == date(2026, 8, 1).isoformat()


def test_a_file_goes_when_all_its_days_are_old() -> None:
    files = [landed("a", "2026-08-01"), landed("b", "2026-08-09"), landed("c", "2026-08-10"), landed("nobody reads it")]
    found = to_retire(files, "2026-08-10")
    assert found.gone == ("a", "b", "nobody reads it")
    assert found.kept == {}


def test_the_files_of_a_day_go_together_or_not_at_all() -> None:
    files = [
        landed("a", "2026-08-01", "2026-08-02"),
        landed("b", "2026-08-02", "2026-08-03"),
        landed("c", "2026-08-03", "2026-08-10"),
        landed("d", "2026-08-04"),
    ]
    found = to_retire(files, "2026-08-10")
    assert found.gone == ("d",)
    assert found.kept == {"b": "c holds 2026-08-03 too, and stays", "a": "b holds 2026-08-02 too, and stays"}


def test_what_was_not_loaded_stays_and_holds_what_shares_its_day() -> None:
    files = [landed("late", "2026-08-01", is_loaded=False), landed("a", "2026-08-01"), landed("b", "2026-08-02")]
    found = to_retire(files, "2026-08-10")
    assert found.gone == ("b",)
    assert found.kept == {"late": "not loaded as it lies there", "a": "late holds 2026-08-01 too, and stays"}


def test_a_file_that_dates_others_stays_as_long_as_they_do() -> None:
    sessions = landed("sessions", "2026-08-01")
    turns = landed("turns", "2026-08-10", companions=frozenset({"sessions"}))
    assert to_retire([sessions, turns], "2026-08-10").kept == {"sessions": "turns takes its days from it, and stays"}
    assert to_retire([sessions, turns], "2026-08-11").gone == ("turns", "sessions")
