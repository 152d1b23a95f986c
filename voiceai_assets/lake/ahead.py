"""Threads for one stream of work: what releases the interpreter's lock (DuckDB, Arrow, a socket) runs side by side.

Belongs here: the order of work. Does not belong here: the work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def one_ahead(items: Iterator[T]) -> Generator[T]:
    """The same items, none of them None; the next one is made while the caller works on this one.

    Whoever may leave before the end closes it, and then nothing is being made any more.
    """
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = maker.submit(next, items, None)
            yield item


def side_by_side(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Results in order, two items being worked on while the next one is fetched."""
    with ThreadPoolExecutor(2) as pool:
        under_way: deque[Future[R]] = deque()
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) > 2:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
