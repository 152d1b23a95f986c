"""Many small files are read as one block, and each keeps what is its own."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceai_assets.lake.account import LakeDay
from voiceai_assets.lake.gathering import gather
from voiceai_assets.lake.inbox import IndexedFile, index_files, scan
from voiceai_assets.lake.parsed import LandingChangedError
from voiceai_assets.lake.reading import read_blocks
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
