"""Many small files are read as one block, many blocks of a file by one query, and each keeps what is its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceai_assets.lake import gathering, indexing, parsed
from voiceai_assets.lake.account import LakeDay
from voiceai_assets.lake.gathering import gather
from voiceai_assets.lake.inbox import scan
from voiceai_assets.lake.indexing import IndexedFile, index_files
from voiceai_assets.lake.parsed import LandingChangedError
from voiceai_assets.lake.reading import Block, read_blocks
from voiceai_assets.lake.reading import bytes as bytes_module
from voiceai_assets.lake.refine import Refinery
from voiceai_assets.privacy.pseudonyms import Pseudonymiser

DAY = "2026-08-01"


def _line(session: str) -> str:
    return json.dumps({"session_id": session, "turn_number": 1, "timestamp": f"{DAY}T10:00:00Z"}) + "\n"


def _land(landing: Path, **contents: str) -> None:
    folder = landing / "canonical"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.jsonl").write_text(content)


def _refinery(landing: Path, lake: Path) -> Refinery:
    return Refinery(landing, lake, "UTC", Pseudonymiser(b"k" * 32), [DAY])


def _indexed(landing: Path) -> list[IndexedFile]:
    return index_files(landing, sorted(scan(landing)), "UTC")


@given(st.lists(st.integers(0, 30), max_size=12))
def test_records_keep_their_order_and_their_file(tmp_path_factory: pytest.TempPathFactory, counts: list[int]) -> None:
    landing = tmp_path_factory.mktemp("landing")
    for n, count in enumerate(counts):
        _land(landing, **{f"f{n:02}": "".join(_line(f"{n}-{k}") for k in range(count))})
    paths = [f"canonical/f{n:02}.jsonl" for n in range(len(counts))]
    found = list(gather((path, block) for path in paths for block in read_blocks(landing / path)))
    assert len(found) == (1 if any(counts) else 0)
    rows = [row for g in found for row in g.block.rows.select(["file", "line"]).to_pylist()]
    wanted = [(path, k) for path, count in zip(paths, counts, strict=True) for k in range(1, count + 1)]
    assert [(row["file"], row["line"]) for row in rows] == wanted


def test_files_of_other_columns_or_another_format_are_asked_apart(tmp_path: Path) -> None:
    _land(tmp_path, a=_line("a"), b=_line("b"))
    for name, header in (("c", "session_id,turn_number"), ("d", "session_id,turn_number"), ("e", "session_id,intent")):
        (tmp_path / "canonical" / f"{name}.csv").write_text(f"{header}\n1,2\n")
    paths = ["a.jsonl", "b.jsonl", "c.csv", "d.csv", "e.csv"]
    blocks = ((f"canonical/{p}", b) for p in paths for b in read_blocks(tmp_path / "canonical" / p))
    assert [g.block.rows.num_rows for g in gather(blocks)] == [2, 2, 1]


def test_an_unreadable_file_among_others_takes_nothing_with_it(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    _land(landing, a=_line("a"), c=_line("c"), d=_line("d") + '{"session_id": "d2", "turn_nu')
    (landing / "canonical" / "b.csv").write_text("session,turn\nx,1\n")
    files = _indexed(landing)
    refinery = _refinery(landing, tmp_path / "lake")
    load = next(load for load in refinery.refine(DAY, files) if load.dataset == "turns")
    refinery.close()
    assert {Path(f.file).name: (f.rows_in, f.is_truncated, f.problem is not None) for f in load.files} == {
        "a.jsonl": (1, False, False),
        "c.jsonl": (1, False, False),
        "d.jsonl": (2, True, False),
    }
    broken = next(f for f in files if f.path.endswith("b.csv"))
    assert "no column session_id" in str(broken.problem)


@pytest.mark.parametrize("trouble", ["changed", "gone"])
def test_a_day_whose_reading_failed_half_way_is_read_once_more_from_the_start(tmp_path: Path, trouble: str) -> None:
    landing = tmp_path / "landing"
    _land(landing, a=_line("a"), b=_line("b"))
    files = _indexed(landing)
    refinery = _refinery(landing, tmp_path / "lake")
    second = landing / "canonical" / "b.jsonl"
    if trouble == "changed":
        second.write_text(_line("other") * 2)
    else:
        second.unlink()
    with pytest.raises((LandingChangedError, FileNotFoundError)):
        refinery.refine(DAY, files)
    _land(landing, b=_line("b"))
    loads = refinery.refine(DAY, _indexed(landing))
    refinery.close()
    assert [load.rows_in for load in loads] == [2]
    rows = duckdb.sql(f"SELECT session_id FROM '{LakeDay(tmp_path / 'lake', 'turns', DAY).rows}' ORDER BY 1").fetchall()
    assert rows == [("a",), ("b",)]


# -- a file of many blocks ---------------------------------------------------------------------------------------------


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line is a block, and enough for a question."""
    monkeypatch.setattr(bytes_module, "BLOCK_BYTES", 64)
    monkeypatch.setattr(gathering, "_ENOUGH_BYTES", 1)


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each query that reads records, by one."""
    asked: list[int] = []
    typed = parsed.typed_rows_sql
    monkeypatch.setattr(parsed, "typed_rows_sql", lambda *args, **kwargs: asked.append(1) or typed(*args, **kwargs))
    return asked


def _rows(landing: Path, lake: Path) -> list[tuple[Any, ...]]:
    refinery = _refinery(landing, lake)
    refinery.refine(DAY, _indexed(landing))
    refinery.close()
    columns = "session_id, intent, extra::VARCHAR, source_line"
    return duckdb.sql(f"SELECT {columns} FROM '{LakeDay(lake, 'turns', DAY).rows}'").fetchall()


@pytest.mark.usefixtures("small_blocks")
def test_blocks_of_one_file_are_read_by_one_query_in_their_order(tmp_path: Path, queries: list[int]) -> None:
    _land(tmp_path / "landing", a="".join(_line(f"s{n:03}") for n in range(200)))
    rows = _rows(tmp_path / "landing", tmp_path / "lake")
    assert rows == [(f"s{n:03}", None, None, n + 1) for n in range(200)]
    assert len(queries) == 1


@pytest.mark.usefixtures("small_blocks")
def test_a_key_that_first_comes_late_in_a_file_is_not_missed(tmp_path: Path, queries: list[int]) -> None:
    def line(session: str, **more: str) -> str:
        return _line(session).replace("}", "".join(f', "{name}": "{value}"' for name, value in more.items()) + "}")

    sent = [line("a"), line("b", intent="pay"), line("c", mood="calm"), line("d"), line("e", intent="ask", mood="sad")]
    _land(tmp_path / "landing", a="".join(sent), b=_line("f"))
    assert _rows(tmp_path / "landing", tmp_path / "lake") == [
        ("a", None, None, 1),
        ("b", "pay", None, 2),
        ("c", None, '{"mood":"calm"}', 3),
        ("d", None, None, 4),
        ("e", "ask", '{"mood":"sad"}', 5),
        ("f", None, None, 1),
    ]
    assert len(queries) == 4  # without either key, with one, with both; and the other file


@pytest.mark.usefixtures("small_blocks")
def test_a_line_that_is_no_text_among_others_of_csv_is_refused_alone(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    (landing / "canonical").mkdir(parents=True)
    lines = [b"s%d,1,%sT10:00:00Z,pay\n" % (n, DAY.encode()) for n in range(6)]
    lines[3] = lines[3].replace(b"pay", b"p\xff")
    (landing / "canonical" / "a.csv").write_bytes(b"session_id,turn_number,timestamp,intent\n" + b"".join(lines))
    assert [row[0] for row in _rows(landing, tmp_path / "lake")] == ["s0", "s1", "s2", "s4", "s5"]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("trouble", [KeyboardInterrupt, OSError])
def test_what_stops_a_file_half_way_stops_the_day_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: type[BaseException]
) -> None:
    landing = tmp_path / "landing"
    _land(landing, a="".join(_line(f"s{n}") for n in range(9)))
    files = _indexed(landing)
    read = indexing.read_blocks

    def failing(path: Path) -> Iterator[Block]:
        yield from itertools.islice(read(path), 5)
        raise trouble("half way")

    refinery = _refinery(landing, tmp_path / "lake")
    monkeypatch.setattr(indexing, "read_blocks", failing)
    with pytest.raises(trouble, match="half way"):
        refinery.refine(DAY, files)
    assert not (tmp_path / "lake" / "turns").exists()
    monkeypatch.setattr(indexing, "read_blocks", read)
    assert [load.rows_in for load in refinery.refine(DAY, files)] == [9]  # nothing of the first attempt is left
    refinery.close()
