"""Rows lie in the lake in the order in which they lay in landing, and in the same bytes each time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from voiceai_assets.lake.account import LakeDay
from voiceai_assets.lake.inbox import refresh
from voiceai_assets.lake.refine import Refinery
from voiceai_assets.privacy.pseudonyms import Pseudonymiser

MANY = 180_000  # more than DuckDB reads at once with one thread
DAYS = [f"2026-05-{n:02}" for n in range(1, 31)]


def lines(days: Sequence[str], count: int) -> str:
    """Rows on the days in turn; each person calls twice, and a text in fifty has something to take out."""
    return "".join(
        f'{{"session_id":"s{n // 4}","turn_number":{n % 4 + 1},"timestamp":"{days[n % len(days)]}T10:00:00Z",'
        f'"user_id":"u{n // 2}","user_text":"{"call 0788123456" if n % 50 == 0 else "pay"}"}}\n'
        for n in range(count)
    )


def land(root: Path, text: str) -> None:
    path = root / "landing" / "canonical" / "turns.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def refine(root: Path, days: Sequence[str], lake: str) -> dict[str, bytes]:
    """The lake's rows of each day."""
    files = refresh(root / "landing", {}, timezone="UTC", quiet_seconds=0).fresh
    refinery = Refinery(root / "landing", root / lake, "UTC", Pseudonymiser(b"k" * 32), days)
    for day in days:
        refinery.refine(day, files)
    refinery.close()
    return {day: LakeDay(root / lake, "turns", day).rows.read_bytes() for day in days}


def lines_in(parquet: bytes) -> list[int]:
    return pq.read_table(pa.BufferReader(parquet))["source_line"].to_pylist()


@pytest.mark.parametrize("twice", [0, 3], ids=["each once", "some twice"])
def test_a_large_day_lies_in_reading_order_and_in_the_same_bytes_each_time(tmp_path: Path, twice: int) -> None:
    text = lines(DAYS[:1], MANY)
    land(tmp_path, text + "".join(text.splitlines(keepends=True)[:twice]))
    first, second = (refine(tmp_path, DAYS[:1], lake)[DAYS[0]] for lake in ("first", "second"))
    assert lines_in(first) == list(range(1, MANY + 1))
    assert first == second


def test_a_day_is_the_same_alone_and_among_others(tmp_path: Path) -> None:
    land(tmp_path, lines(DAYS, 600))
    among = refine(tmp_path, DAYS, "among")
    alone = {day: refine(tmp_path, [day], f"alone-{day}")[day] for day in DAYS[:3]}
    assert [lines_in(rows) for rows in among.values()] == [list(range(n, 601, 30)) for n in range(1, 31)]
    assert alone == {day: among[day] for day in alone}
