"""Which days of a range are refined at the same time."""

from __future__ import annotations

from collections.abc import Sequence

from voiceai_assets.lake.abreast import LARGE_DAY_BYTES, shares
from voiceai_assets.lake.inbox import files_by_day
from voiceai_assets.lake.indexing import IndexedFile

DAYS = ["2026-08-01", "2026-08-02", "2026-08-03", "2026-08-04"]


def file_of(days: Sequence[str], size: int = 1000) -> IndexedFile:
    name = f"canonical/{days[0]}-{days[-1]}.jsonl"
    return IndexedFile(name, "canonical", size, 0, "sha", {"turns": dict.fromkeys(days, 1)}, days[0])


def test_days_of_their_own_files_are_halved() -> None:
    assert shares(DAYS[::-1], files_by_day(file_of([day]) for day in DAYS)) == [DAYS[:2], DAYS[2:]]


def test_a_small_file_across_midnight_in_the_middle_does_not_matter() -> None:
    files = [*(file_of([day]) for day in DAYS), file_of(DAYS[1:3], size=10)]
    assert shares(DAYS, files_by_day(files)) == [DAYS[:2], DAYS[2:]]


def test_a_file_of_all_days_is_not_parsed_twice() -> None:
    assert shares(DAYS, files_by_day([file_of(DAYS)])) == [DAYS]


def test_a_large_day_has_the_machine_for_itself() -> None:
    assert shares(DAYS, files_by_day(file_of([day], size=LARGE_DAY_BYTES + 1) for day in DAYS)) == [DAYS]


def test_one_day_is_one_share_and_no_day_is_none() -> None:
    assert shares(DAYS[:1], files_by_day([file_of(DAYS)])) == [DAYS[:1]]
    assert shares([], files_by_day([file_of(DAYS)])) == []
