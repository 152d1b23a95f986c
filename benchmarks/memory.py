"""How much memory a large day takes, from its file to ``raw``.

Counted is the largest resident set of the process that indexes, refines and loads (``VmHWM`` of Linux): Python, DuckDB,
Arrow and whatever libraries they bring. Not counted is the server, whose memory is its own settings' business and does
not grow with the day. ``ru_maxrss`` would not do: a new process inherits it from the one that started it, and this one
has just written the day's file.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from voiceai_assets.pipeline import Pipeline
from voiceai_assets.settings import Settings
from voiceai_assets.warehouse.server import leave_embedded

_MARK = b'"session_id":"s'


def write_gigabytes(path: Path, gigabytes: float, write_some: Callable[[Path], None]) -> int:
    """Repeat some turns under other session ids until the file is so large; returns how many turns there are."""
    write_some(path)
    some = path.read_bytes()
    rows = some.count(b"\n")
    times = max(1, round(gigabytes * 1e9 / len(some)))
    with path.open("wb") as out:
        for number in range(times):
            out.write(some.replace(_MARK, _MARK + f"{number}-".encode()))
    return rows * times


def peak_megabytes(settings: Settings, day: str, rows: int) -> float:
    """Megabytes of a new process that takes the day in.

    Raises:
        RuntimeError: when it did not load every row.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_take_in, args=(settings, day, theirs))
    process.start()
    theirs.close()
    try:
        loaded, kilobytes = ours.recv()
    except EOFError:
        raise RuntimeError("the process that takes the day in failed; see above") from None
    finally:
        process.join()
    if loaded != rows:
        raise RuntimeError(f"{loaded:,} rows were loaded, {rows:,} are in the file")
    return float(kilobytes) / 1024


def _take_in(settings: Settings, day: str, channel: Connection) -> None:
    pipeline = Pipeline.open(settings)
    try:
        pipeline.look_into_landing()
        for _, _, problem in pipeline.refine([day]):
            if problem:
                raise problem
        loads = pipeline.load(day)
        rows = sum(load.rows_loaded for load in loads if load.dataset == "turns")
        channel.send((rows, peak_kilobytes()))
    finally:
        leave_embedded(settings)


def peak_kilobytes() -> int:
    """Largest resident set that this process ever had, and none before it."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
