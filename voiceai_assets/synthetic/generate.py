"""A world into files: a day at a time, each day's files whole or not at all.

Belongs here: which rows go into which file: by day, late, twice, never. Does not belong here: rows (``sources``), bytes
(``files``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from voiceai_assets.synthetic.columns import height, take
from voiceai_assets.synthetic.files import Drafts, drafts
from voiceai_assets.synthetic.sources.base import Piece, Source
from voiceai_assets.synthetic.streams import Stream, generator
from voiceai_assets.synthetic.world import DAY_MS, World


@dataclass(frozen=True)
class Delivery:
    """How files reach landing.

    Attributes:
        late: share of rows that come in a file of their own, in the folder ``late`` (land it after the rest).
        repeated: share of rows that stand twice in their file.
        again: days (0 is the first) whose files come a second time, in the folder ``again``.
        missing: days whose files never come.
    """

    late: float = 0.0
    repeated: float = 0.0
    again: frozenset[int] = field(default=frozenset())
    missing: frozenset[int] = field(default=frozenset())


@dataclass(frozen=True)
class Written:
    """What one day came to."""

    number: int
    paths: tuple[Path, ...]
    turns: int


def generate(
    world: World, source: Source, folder: Path, ending: str | None = None, delivery: Delivery | None = None
) -> Iterator[Written]:
    """Write the world's days, oldest first, and say after each what was written.

    Files appear under hidden names and are renamed when the day is whole; whoever stops half way (also with Ctrl-C)
    leaves whole days only. The same world, source, ending and delivery give the same bytes, under one version of the
    libraries. Memory does not grow with days or callers: one block of callers is held at a time, and the few rows that
    reach into the next day.

    Args:
        world: the world.
        source: whose files.
        folder: made if missing; files of the same name are replaced.
        ending: one of ``source.endings``; the first by default.
        delivery: what arrives late, twice or never.

    Raises:
        ValueError: when the source does not come in that format.
    """
    ending = ending or source.endings[0]
    if ending not in source.endings:
        raise ValueError(f"{source.name} does not come as {ending}; it comes as {', '.join(source.endings)}")
    folder.mkdir(parents=True, exist_ok=True)
    return _days(world, source, folder, ending, delivery or Delivery())


def _days(world: World, source: Source, folder: Path, ending: str, delivery: Delivery) -> Iterator[Written]:
    carried: list[Piece] = []
    sums = source.sums(world)
    for number in range(world.config.days):
        name = world.config.day(number).isoformat()
        count = 0
        with drafts(folder, ending) as files:
            for piece in source.lists(world) if number == 0 else ():
                files.write(f"{piece.stem}-{name}", piece.table)
            ready, carried = carried, []
            for place, piece in enumerate(ready):
                _deliver(files, piece, name, delivery, generator(world.config.seed, number, place, Stream.LEFT_OVER))
            for block in world.blocks(number):
                count += len(block.turns.k)
                rng = generator(world.config.seed, number, block.number, Stream.DELIVERY)
                for piece in source.pieces(world, block):
                    today, tomorrow = _split(piece)
                    _deliver(files, today, name, delivery, rng)
                    if tomorrow is not None:
                        carried.append(tomorrow)
                sums.add(block)
            for piece in sums.day(number):
                files.write(f"{piece.stem}-{name}", piece.table)
            if number in delivery.missing:
                files.abandon()
                paths: list[Path] = []
            else:
                paths = files.publish()
        if number in delivery.again:
            paths += [_again(folder, path) for path in paths]
        yield Written(number, tuple(paths), count)


def _split(piece: Piece) -> tuple[Piece, Piece | None]:
    """(rows of the day in order of time, rows of the next one or None)."""
    if piece.moment_ms is None:
        return piece, None
    order = np.argsort(piece.moment_ms, kind="stable")
    today = int(np.searchsorted(piece.moment_ms[order], DAY_MS))
    now, later = order[:today], order[today:]
    return Piece(piece.stem, take(piece.table, now)), (
        Piece(piece.stem, take(piece.table, later)) if len(later) else None
    )


def _deliver(files: Drafts, piece: Piece, day: str, delivery: Delivery, rng: np.random.Generator) -> None:
    name, rows = f"{piece.stem}-{day}", piece.table
    if delivery.late or delivery.repeated:
        draw = rng.random(height(rows))
        late = np.flatnonzero(draw < delivery.late)
        in_time = np.flatnonzero(draw >= delivery.late)
        twice = in_time[rng.random(len(in_time)) < delivery.repeated]
        if len(late):
            files.write(f"late/{name}-late", take(rows, late))
        rows = take(rows, np.concatenate([in_time, twice]))
    files.write(name, rows)


def _again(folder: Path, path: Path) -> Path:
    """The same file a second time, under another path."""
    copy = folder / "again" / path.relative_to(folder)
    copy.parent.mkdir(parents=True, exist_ok=True)
    draft = copy.with_name(f".{copy.name}.tmp")
    draft.write_bytes(path.read_bytes())
    return draft.replace(copy)


def write_all(
    world: World,
    source: Source,
    folder: Path,
    ending: str | None = None,
    delivery: Delivery | None = None,
    on_day: Callable[[Written], None] | None = None,
) -> list[Path]:
    """``generate`` to the end; the files, oldest first."""
    paths: list[Path] = []
    for written in generate(world, source, folder, ending, delivery):
        paths.extend(written.paths)
        if on_day is not None:
            on_day(written)
    return paths
