"""What a source of the world is: how a block becomes rows of that platform's files.

Belongs here: the shape of a source, and columns that several of them share. Does not belong here: any one format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from voiceai_assets.synthetic.columns import Table
from voiceai_assets.synthetic.config import WorldConfig
from voiceai_assets.synthetic.dialogue import Turns
from voiceai_assets.synthetic.streams import Ints, Stream, generator
from voiceai_assets.synthetic.texts import Said, say
from voiceai_assets.synthetic.world import Block, World


@dataclass(frozen=True, eq=False)
class Piece:
    """Rows for a file.

    Attributes:
        stem: name of the file before the day.
        table: the rows.
        moment_ms: when each row is written, milliseconds since the day's midnight; what is later than the day stands in
            the next day's file. None: all in the day's own.
    """

    stem: str
    table: Table
    moment_ms: Ints | None = None


class Sums(Protocol):
    """What a platform adds up while its days go by."""

    def add(self, block: Block) -> None:
        """A block is over."""

    def day(self, number: int) -> Iterator[Piece]:
        """All blocks of the day are over: its rows."""


class NoSums:
    """Of a platform that adds nothing up."""

    def __init__(self, world: World) -> None:
        """Any world."""

    def add(self, block: Block) -> None:
        """Not counted."""

    def day(self, number: int) -> Iterator[Piece]:  # noqa: ARG002  # every day alike
        """No rows."""
        return iter(())


@dataclass(frozen=True)
class Source:
    """A platform's files.

    Attributes:
        name: the adapter that reads them, and the folder in landing.
        pieces: rows of a block.
        lists: rows that are written once, with the first day: users, experiments, releases.
        endings: formats that it comes in; the first is the usual one.
        sums: what it adds up over a whole day; nothing by default.
    """

    name: str
    pieces: Callable[[World, Block], Iterator[Piece]]
    lists: Callable[[World], Iterator[Piece]]
    endings: tuple[str, ...]
    sums: Callable[[World], Sums] = NoSums


def nothing(world: World) -> Iterator[Piece]:  # noqa: ARG001  # a source without lists
    """No lists."""
    return iter(())


def words(config: WorldConfig, block: Block) -> Said:
    """What is said in the turns of a block; the same for every source."""
    of_turn = block.turns.session
    rng = generator(config.seed, block.day.number, block.number, Stream.WORDS)
    sessions = block.sessions
    return say(sessions.module[of_turn], sessions.language[of_turn], block.turns.error, config.texts, rng)


def seconds(milliseconds: Ints) -> Ints:
    """Whole seconds."""
    found: Ints = milliseconds // 1000
    return found


def is_last(turns: Turns) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """The turn is the last one of its session that happened."""
    return np.append(turns.session[1:] != turns.session[:-1], True)
