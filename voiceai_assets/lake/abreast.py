"""A range of days through one refinery or two: small days leave a core idle, because each is mostly planning.

Belongs here: which days go together. Does not belong here: what happens to a day (``refine``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing

import duckdb

from voiceai_assets.lake.account import DayLoad, LostRecordsError
from voiceai_assets.lake.inbox import files_by_day
from voiceai_assets.lake.indexing import IndexedFile
from voiceai_assets.lake.parsed import LandingChangedError
from voiceai_assets.lake.refine import Refinery

#: Of files, above which DuckDB keeps both cores busy with one day, and two days would need twice its memory.
LARGE_DAY_BYTES = 64 * 2**20


def refine_abreast(
    days: Sequence[str], files: Sequence[IndexedFile], make: Callable[[Sequence[str]], Refinery]
) -> Iterator[tuple[str, list[DayLoad], Exception | None]]:
    """Each day as soon as it is in the lake, with its loads or with the reason why it could not be read.

    Args:
        days: what to refine.
        files: the index of landing.
        make: a refinery for some of the days.
    """
    by_day = files_by_day(files)
    with ExitStack() as stack:
        under_way: dict[Future[list[DayLoad]], str] = {}
        for share in shares(days, by_day):
            refinery = stack.enter_context(closing(make(share)))
            pool = stack.enter_context(ThreadPoolExecutor(1))
            for day in share:
                under_way[pool.submit(refinery.refine, day, by_day.get(day, []))] = day
        stack.callback(lambda: [future.cancel() for future in under_way])  # whoever asks for no more waits for no more
        for future in as_completed(under_way):
            day = under_way[future]
            try:
                yield day, future.result(), None
            except (OSError, LandingChangedError, LostRecordsError, duckdb.Error) as error:
                yield day, [], error


def shares(days: Sequence[str], by_day: Mapping[str, Sequence[IndexedFile]]) -> list[list[str]]:
    """The days in two halves; all in one where a day is large, or where both halves would parse the same files."""
    ordered = sorted(days)
    halves = [ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]]
    first, second = ({f.path: f.size_bytes for day in half for f in by_day.get(day, ())} for half in halves)
    shared = sum(size for path, size in first.items() if path in second)
    largest = max((sum(f.size_bytes for f in by_day.get(day, ())) for day in ordered), default=0)
    if len(ordered) < 2 or largest > LARGE_DAY_BYTES or 10 * shared > sum(first.values()) + sum(second.values()):
        return [ordered] if ordered else []
    return halves
