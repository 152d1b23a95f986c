"""From files to records, format by format: lines, quotes, columns, damage, compression. No server."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voiceai_assets.lake import mending
from voiceai_assets.lake.indexing import sha256_of
from voiceai_assets.lake.mending import CannotMendError, mend, texts_of
from voiceai_assets.lake.reading import Block, UnreadableFileError, csvs, lines, parquets, read_blocks
from voiceai_assets.lake.reading import bytes as bytes_module


def records_of(path: Path) -> list[dict[str, Any]]:
    """Line, problem and columns (by name, as text) of every record."""
    found = []
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        for block in read_blocks(path):
            db.register("block", block.rows)
            names = block.columns or ()
            values = block.values or [f"c{i}" for i in range(len(names))]
            rows = db.execute(f"SELECT {', '.join(['line', 'problem', *values])} FROM block ORDER BY line").fetchall()
            found += [dict(zip(["line", "problem", *names], row, strict=True)) for row in rows]
    return found


def csv_file(tmp_path: Path, content: bytes | str, name: str = "x.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def blocks_of(path: Path) -> list[Block]:
    return list(read_blocks(path))


# -- CSV -------------------------------------------------------------------------------------------------------------


def test_columns_are_found_by_name_in_whatever_order(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "b,a\n2,1\n4,3\n")
    assert [(r["a"], r["b"]) for r in records_of(path)] == [("1", "2"), ("3", "4")]


def test_quoted_fields_may_hold_delimiters_quotes_and_newlines(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 'a,b\n"x,y","he said ""no"""\n"two\nlines",z\nlast,row\n')
    assert [(r["line"], r["a"], r["b"]) for r in records_of(path)] == [
        (2, "x,y", 'he said "no"'),
        (3, "two\nlines", "z"),
        (5, "last", "row"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_the_header_uses(tmp_path: Path, delimiter: str) -> None:
    path = csv_file(tmp_path, f"a{delimiter}b\n1{delimiter}2\n")
    assert records_of(path) == [{"line": 2, "problem": None, "a": "1", "b": "2"}]


def test_a_row_of_another_width_is_refused_with_its_line_and_the_others_stand(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a,b\n1,2\n1,2,3\nonly\n5,6\n")
    found = records_of(path)
    assert [r["line"] for r in found] == [2, 3, 4, 5]
    assert [r["problem"] for r in found] == [
        None,
        "wrong_shape: 3 columns where the header has 2",
        "wrong_shape: 1 columns where the header has 2",
        None,
    ]
    assert found[3]["a"] == "5"


def test_a_stray_quote_inside_a_field_is_only_a_character(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 'a,b\n5" pipe,x\n"q""q",y\n')
    assert [(r["line"], r["a"]) for r in records_of(path)] == [(2, '5" pipe'), (3, 'q"q')]


def test_stray_quotes_that_cancel_out_do_not_shift_lines(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 'a,b\nx" y,1\n"two\nlines",2\nz" w,3\nlast,4\n')
    assert [(r["line"], r["a"]) for r in records_of(path)] == [(2, 'x" y'), (3, "two\nlines"), (5, 'z" w'), (6, "last")]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"a,b\n", b"a,b", b"a,b\n\t"])
def test_a_csv_without_rows_gives_no_record(tmp_path: Path, content: bytes) -> None:
    assert records_of(csv_file(tmp_path, content)) == []


@pytest.mark.parametrize(("content", "cut_off"), [("a,b\n1,2\n3", True), ("a,b\n1,2\n", False), ("a,b\n1,2", True)])
def test_a_last_row_without_its_end_may_have_been_cut_off(tmp_path: Path, content: str, cut_off: bool) -> None:
    assert blocks_of(csv_file(tmp_path, content))[-1].is_cut_off is cut_off


def test_a_header_alone_still_says_which_columns_there_are(tmp_path: Path) -> None:
    assert [block.columns for block in blocks_of(csv_file(tmp_path, "a,b\n"))] == [("a", "b")]


def test_a_header_that_names_a_column_twice_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="names a column twice: columns"):
        records_of(csv_file(tmp_path, "a,b,a\n1,2,3\n"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_with_a_mark_are_understood(tmp_path: Path, encoding: str) -> None:
    assert records_of(csv_file(tmp_path, "naïve,b\né,2\n".encode(encoding)))[0]["naïve"] == "é"


def test_a_row_in_latin_1_is_refused_with_its_line(tmp_path: Path) -> None:
    found = records_of(csv_file(tmp_path, b"a,b\ngood,1\nM\xfcller,2\ngood,3\n"))
    assert [(r["line"], r["problem"] is None) for r in found] == [(2, True), (3, False), (4, True)]
    assert found[1]["problem"].startswith("encoding:")


def test_windows_newlines_and_a_missing_last_newline_are_ordinary(tmp_path: Path) -> None:
    assert [(r["line"], r["b"]) for r in records_of(csv_file(tmp_path, "a,b\r\n1,2\r\n\r\n3,4"))] == [
        (2, "2"),
        (4, "4"),
    ]


OPEN = "wrong_shape: a quote is opened and never closed"


def lines_and_problems(path: Path) -> list[tuple[int, str | None]]:
    return [(record["line"], record["problem"]) for record in records_of(path)]


@pytest.mark.parametrize(
    ("rows", "refused"),
    [
        ('1,2\n3,"open\n5,6\n7,8\n', 3),  # to the end of the file
        ('1,2\n3,"open\n5,"fine"\n7,8\n', 3),  # to the quote that opens another row's cell
        ('1,2\n3,"open\n"5",6\n"7","8"\n', 3),
        ('"open,2\n3,4\n5,6\n7,8\n', 2),
        ('1,2\n3,4\n5,6\n7,"open', 5),
    ],
)
def test_a_quote_that_is_never_closed_costs_its_own_line_and_no_other(tmp_path: Path, rows: str, refused: int) -> None:
    found = lines_and_problems(csv_file(tmp_path, f"a,b\n{rows}"))
    assert found == [(line, OPEN if line == refused else None) for line in (2, 3, 4, 5)]


def test_each_of_many_quotes_that_are_never_closed_costs_a_line(tmp_path: Path) -> None:
    rows = "".join(f'{n},"open\n{n},whole\n' for n in range(2_000))
    problems = [record["problem"] for record in records_of(csv_file(tmp_path, f"a,b\n{rows}"))]
    assert problems == [OPEN, None] * 2_000


def test_an_open_quote_at_the_end_marks_the_file_as_cut_off(tmp_path: Path) -> None:
    assert blocks_of(csv_file(tmp_path, 'a,b\n1,2\n3,"open\n'))[-1].is_cut_off
    assert not blocks_of(csv_file(tmp_path, 'a,b\n3,"open\n1,2\n'))[-1].is_cut_off


def test_characters_behind_a_closing_quote_stay_in_its_cell(tmp_path: Path) -> None:
    assert records_of(csv_file(tmp_path, 'a,b\n"said "hi" twice",1\n"x" ,2\n'))[1]["a"] == "x "


@pytest.mark.parametrize("quote", ["", '"'])
def test_what_a_chunk_breaks_is_read_as_if_it_were_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quote: str
) -> None:
    rows = "".join(f'{i},"open {i}\n{i},{quote}fine{quote}\n{i},"two\nlines"\n' for i in range(50))
    path = csv_file(tmp_path, f"a,b\n{rows}")
    whole = records_of(path)
    monkeypatch.setattr(bytes_module, "BLOCK_BYTES", 61)
    assert records_of(path) == whole
    assert len(whole) == 150


def test_a_record_that_is_open_for_longer_than_one_waits_costs_its_first_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bytes_module, "BLOCK_BYTES", 64)
    monkeypatch.setattr(csvs, "_LONGEST_SPLIT", 100)
    path = csv_file(tmp_path, 'a,b\n1,"' + "x\n" * 100 + '"\n5,6\n')
    found = lines_and_problems(path)
    assert found[0] == (2, OPEN)
    assert found[-1] == (103, None)
    assert [line for line, _ in found] == list(range(2, 104))


def test_a_file_of_carriage_returns_is_a_file_of_lines(tmp_path: Path) -> None:
    assert [r["b"] for r in records_of(csv_file(tmp_path, "a,b\r1,2\r3,4\r"))] == ["2", "4"]
    assert len(records_of(csv_file(tmp_path, '{"a":1}\r{"a":2}\r', "x.jsonl"))) == 2


def test_a_header_that_ends_otherwise_than_the_rows_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="carriage return"):
        records_of(csv_file(tmp_path, "a,b\r1,2\n3,4\n"))


def test_what_an_archive_breaks_off_in_a_quote_is_not_lost(tmp_path: Path) -> None:
    noise = "".join(f"{i},{i * 7919 % 1000003}\n" for i in range(50_000))
    whole = gzip.compress(f'a,b\n1,"open\n{noise}'.encode())
    found = records_of(csv_file(tmp_path, whole[: len(whole) // 2], "x.csv.gz"))
    assert found[0]["problem"] == OPEN
    assert len(found) > 1_000
    assert found[-1]["problem"] == "truncated_archive"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("name", ["x.csv.gz", "x.jsonl.gz"])
def test_a_truncated_archive_gives_its_rows_and_then_says_so(tmp_path: Path, name: str, encoding: str) -> None:
    whole = gzip.compress(("a,b\n" + "".join(f"{i},{i * 7919 % 1000003}\n" for i in range(50_000))).encode(encoding))
    blocks = blocks_of(csv_file(tmp_path, whole[: len(whole) // 2], name))
    assert sum(block.rows.num_rows for block in blocks) > 20_000
    assert blocks[-1].is_damaged
    assert blocks[-1].rows["problem"].to_pylist() == ["truncated_archive"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    monkeypatch.setattr(bytes_module, "SMALLEST_BOMB", 2**20)
    monkeypatch.setattr(bytes_module, "BLOCK_BYTES", 2**18)
    path = csv_file(tmp_path, gzip.compress(("a,b\n" + "0,0\n" * 2**22).encode(encoding)), "bomb.csv.gz")
    blocks = blocks_of(path)
    assert blocks[-1].is_damaged
    assert sum(block.rows.num_rows for block in blocks) < 2**21


def test_a_record_longer_than_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 1000)
    path = csv_file(tmp_path, json.dumps({"a": "x" * 2000}) + '\n{"a": 1}\n', "x.jsonl")
    assert [r["problem"] and r["problem"][:8] for r in records_of(path)] == ["too_long", None]


def test_a_line_of_csv_longer_than_the_limit_is_refused_and_not_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (lines, bytes_module):
        monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    monkeypatch.setattr(bytes_module, "BLOCK_BYTES", 300)
    path = csv_file(tmp_path, "a,b\n1,2\n" + "x" * 5000 + ",3\n4,5\n")
    assert [r["problem"] and r["problem"][:8] for r in records_of(path)] == [None, "too_long", None]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_chunks_do_not_change_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    rows = "".join(f'{i},"text {i}\nsecond ""line 😀""","x,y"\n' for i in range(300))
    path = csv_file(tmp_path, ("\ufeffa,b,c\n" + rows).encode(encoding))
    whole = records_of(path)
    monkeypatch.setattr(bytes_module, "BLOCK_BYTES", 97)
    assert records_of(path) == whole
    assert len(whole) == 300


cells = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="\0\r\ufeff", exclude_categories=("Cs",)), max_size=12
)


@settings(max_examples=200)
@given(rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=8), quote=st.booleans())
def test_whatever_a_csv_writer_wrote_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], quote: bool
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL, lineterminator="\n")
    writer.writerow(["a", "b", "c"])
    writer.writerows(rows)
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    path.write_bytes(out.getvalue().encode())
    assert [(r["a"] or "", r["b"] or "", r["c"] or "") for r in records_of(path)] == rows


@settings(max_examples=200)
@given(content=st.binary(max_size=200))
def test_no_bytes_make_the_reader_raise_anything_but_its_own_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("x.csv", "x.jsonl", "x.json", "x.parquet", "x.csv.gz", "x.jsonl.zst"):
        path = folder / name
        path.write_bytes(content)
        try:
            for block in read_blocks(path):
                assert block.rows["line"].null_count == 0
        except UnreadableFileError:
            pass


@settings(max_examples=300)
@given(rows=st.lists(st.text(alphabet='ab,"\r', max_size=8), max_size=12), block_bytes=st.integers(1, 40))
def test_every_line_of_a_csv_stands_in_one_record(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], block_bytes: int
) -> None:
    lines = ["x,y", *rows]
    path = csv_file(tmp_path_factory.mktemp("csv"), "".join(f"{line}\n" for line in lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bytes_module, "BLOCK_BYTES", block_bytes)
        blocks = blocks_of(path)
    found = {
        line: text
        for block in blocks
        for line, text in zip(*block.rows.select(["line", "text"]).to_pydict().values(), strict=True)
    }
    taken = {first + n: text for first, whole in found.items() for n, text in enumerate(whole.rstrip("\n").split("\n"))}
    assert {number: text for number, text in taken.items() if text.strip("\r")} == {
        number: line for number, line in enumerate(lines, start=1) if number > 1 and line.strip("\r")
    }


@example(content='a","\n"\n,')  # a quote that opens nothing, beside a delimiter
@settings(max_examples=100)
@given(content=st.text(alphabet='ab,"\n', max_size=80))
def test_fast_and_slow_reading_agree(tmp_path_factory: pytest.TempPathFactory, content: str) -> None:
    data = content.encode()
    if not data.strip(b"\n"):
        return
    fast = csvs._block(data, 1, ("x", "y"), ",", is_last=True)[0].rows.to_pydict()
    slow = csvs._slow_block(data, 1, ("x", "y"), ",", is_last=True)[0].rows.to_pydict()
    assert {k: fast[k] for k in ("line", "problem", "c0", "c1")} == {
        k: slow[k] for k in ("line", "problem", "c0", "c1")
    }


# -- Parquet ---------------------------------------------------------------------------------------------------------


def test_parquet_columns_become_text_as_in_every_other_format(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    stamp = pa.array([1_754_042_400_000_000], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"t": stamp, "n": [3], "x": [0.5], "l": [["a", "b"]], "none": pa.nulls(1)}), path)
    assert records_of(path) == [
        {
            "line": 1,
            "problem": None,
            "t": "2025-08-01 10:00:00+00",
            "n": "3",
            "x": "0.5",
            "l": '["a","b"]',
            "none": None,
        }
    ]


def test_no_nul_comes_out_of_parquet_however_it_is_written(tmp_path: Path) -> None:
    """PostgreSQL takes none in text or jsonb; JSON writes it in six characters."""
    path = tmp_path / "x.parquet"
    columns = {"text": ["a\0b"], "document": ['{"k": "a\\u0000b"}'], "nested": [{"k": "a\0b"}]}
    pq.write_table(pa.table(columns), path)
    (record,) = records_of(path)
    said = str(record)
    assert "\0" not in said
    assert "u0000" not in said
    assert said.count("\ufffd") + said.count("ufffd") == 3


def test_a_column_that_stands_twice_in_parquet_is_named_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table([["a"], ["b"], ["c"]], names=["0788123456", "x", "0788123456"]), path)
    with pytest.raises(UnreadableFileError, match=r"a column stands twice: columns 1 and 3$"):
        blocks_of(path)


def test_parquet_rows_are_numbered_across_batches(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": np.arange(250_000)}), path)
    lines = [line for block in read_blocks(path) for line in (block.rows["line"][0].as_py(), block.last_line)]
    assert (lines[0], lines[-1]) == (1, 250_000)


def test_a_parquet_file_is_not_kept_in_memory_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pa.table({"text": [np.random.default_rng(n).bytes(2**20).hex() for n in range(20)]})
    pq.write_table(texts, tmp_path / "x.parquet", row_group_size=1, compression="none", use_dictionary=False)
    monkeypatch.setattr(parquets, "BATCH_LINES", 1)
    monkeypatch.setattr(parquets, "BLOCK_BYTES", 1)
    held = []
    for block in read_blocks(tmp_path / "x.parquet"):
        assert block.rows.num_rows == 1
        held.append(pa.total_allocated_bytes())
    assert len(held) == 20
    assert held[-1] - held[2] < 8 * 2**20, "row groups that were read stay in memory"


def test_half_a_parquet_file_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": np.arange(10_000)}), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UnreadableFileError, match="no whole Parquet file"):
        records_of(path)


# -- documents -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "records"),
    [
        ('{"a":\n 1}', 1),
        ('[{"a": 1}, {"a": 2}]', 2),
        ('{"a": 1}\n{"a": 2}\n{"a": 3}\n', 3),
        ("[]", 0),
        ("   \n", 0),
    ],
)
def test_a_document_is_an_object_a_list_or_lines(tmp_path: Path, content: str, records: int) -> None:
    assert len(records_of(csv_file(tmp_path, content, "x.json"))) == records


def test_an_item_of_a_list_is_the_text_that_stands_there(tmp_path: Path) -> None:
    items = [r'{"a": "\ud83d"}', '{"a": 1.10,\n "a": 1e400}', '["]", {}]', '"[,"', "{}"]
    for content in (f"[{','.join(items)}]", f" [ {' , '.join(items)}\n]\n"):
        (block,) = blocks_of(csv_file(tmp_path, content, "x.json"))
        assert block.rows["text"].to_pylist() == items


def test_half_a_document_is_one_record_that_breaks_off(tmp_path: Path) -> None:
    (block,) = blocks_of(csv_file(tmp_path, '{"a": {"b": 1', "x.json"))
    assert block.is_cut_off
    assert block.rows.num_rows == 1


def test_a_name_without_a_known_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"no reader for \.xlsx"):
        records_of(csv_file(tmp_path, b"PK", "x.xlsx"))


# -- unknown columns -------------------------------------------------------------------------------------------------


def test_unknown_csv_columns_are_kept_as_json_without_empty_ones(tmp_path: Path) -> None:
    *_, block = blocks_of(csv_file(tmp_path, 'a,odd "name,b\n1,,2\n3,x,\n'.replace('odd "name', "odd'name")))
    with duckdb.connect() as db:
        db.register("block", block.rows)
        found = db.execute(f"SELECT {block.unknown_sql(['a'])} FROM block ORDER BY line").fetchall()
    assert [json.loads(value) for (value,) in found] == [{"b": "2"}, {"odd'name": "x"}]


# -- mending ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst"])
def test_a_record_is_replaced_in_its_place_and_the_rest_keeps_its_bytes(tmp_path: Path, name: str) -> None:
    content = b'{"a": 1}\r\n\n{"a": bro\n{"a": 3}'
    path = tmp_path / name
    compression = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    with pa.output_stream(str(path), compression=compression) as out:
        out.write(content)
    packed = path.read_bytes()
    assert texts_of(path, [3]) == {3: '{"a": bro'}
    mend(path, {3: '{"a": 2}'}, tmp_path / "kept" / "old", sha256_of(path))
    with pa.input_stream(str(path), compression=compression) as mended:
        assert mended.read() == b'{"a": 1}\r\n\n{"a": 2}\n{"a": 3}'
    assert (tmp_path / "kept" / "old").read_bytes() == packed


def test_a_csv_record_of_several_lines_is_replaced_as_one(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 'a,b\n"one\ntwo",1,9\nx,2\n')
    mend(path, {2: "whole,1"}, tmp_path / "old", sha256_of(path))
    assert path.read_text() == "a,b\nwhole,1\nx,2\n"


def test_an_empty_correction_removes_the_record(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "1\n2\n3\n", "x.jsonl")
    mend(path, {2: ""}, tmp_path / "old", sha256_of(path))
    assert path.read_text() == "1\n3\n"


def test_a_file_that_is_no_longer_what_was_exported_is_left_as_it_is(tmp_path: Path) -> None:
    path, kept = csv_file(tmp_path, "1\n2\n3\n", "x.jsonl"), tmp_path / "old"
    exported = sha256_of(path)
    mend(path, {1: ""}, kept, exported)
    for _ in range(2):
        with pytest.raises(CannotMendError, match=r"x.jsonl is no longer the file that was exported.*export again"):
            mend(path, {1: ""}, kept, exported)
    assert (path.read_text(), kept.read_text()) == ("2\n3\n", "1\n2\n3\n")


def test_a_file_that_is_landed_again_while_it_is_mended_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, kept = csv_file(tmp_path, "1\n2\n3\n", "x.jsonl"), tmp_path / "old"
    exported, copy = sha256_of(path), shutil.copy2

    def landed_meanwhile(source: Path, target: Path) -> None:
        path.write_text("4\n5\n6\n")
        copy(source, target)

    monkeypatch.setattr(mending.shutil, "copy2", landed_meanwhile)
    with pytest.raises(CannotMendError, match="no longer the file that was exported"):
        mend(path, {1: ""}, kept, exported)
    assert path.read_text() == "4\n5\n6\n"
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_line_without_a_record_and_a_parquet_file_cannot_be_mended(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "1\n", "x.jsonl")
    with pytest.raises(CannotMendError, match="no record begins on line 9"):
        mend(path, {9: "x"}, tmp_path / "old", sha256_of(path))
    with pytest.raises(CannotMendError, match="land the file again"):
        mend(tmp_path / "x.parquet", {1: "x"}, tmp_path / "old", "")


def test_a_record_of_which_nothing_is_wanted_is_still_a_record(tmp_path: Path) -> None:
    (block,) = blocks_of(csv_file(tmp_path, '{"a": 1}\n', "x.jsonl"))
    with duckdb.connect() as db:
        db.register("block", block.rows)
        assert db.execute(f"SELECT {block.record_sql([])} IS NULL FROM block").fetchall() == [(False,)]
