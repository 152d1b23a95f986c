"""The truth of a world as files of its own, never beside the data: chances by turn, planted personal data, switches.

Belongs here: what tests and studies compare with. Does not belong here: anything an emitter could know.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from voiceai_assets.synthetic.columns import (
    Coded,
    Number,
    Spelled,
    Spoken,
    Table,
    Whole,
    session_ids,
    user_ids,
)
from voiceai_assets.synthetic.config import OUTCOMES, WorldConfig
from voiceai_assets.synthetic.files import drafts
from voiceai_assets.synthetic.sources.base import words
from voiceai_assets.synthetic.world import Block, World


def tables(world: World, block: Block) -> Iterator[tuple[str, Table]]:
    """(name, rows) of what is true of a block. Session ids are those of the canonical files."""
    t, s = block.turns, block.sessions
    ids = session_ids(s.id)
    yield (
        "turns",
        {
            "session_id": Spelled(ids[t.session]),
            "turn_number": Whole(t.k),
            "hazard": Exact(t.hazard),
            "hazard_seen": Exact(t.hazard_seen),
            "transfer": Exact(t.transfer),
            "complete": Exact(t.complete),
        },
    )
    yield (
        "sessions",
        {
            "session_id": Spelled(ids),
            "user_id": Spelled(user_ids(s.user)),
            "outcome": Coded(OUTCOMES, s.true_outcome),
            "frailty": Exact(s.frailty),
            "asr_logit": Exact(s.level),
            **{
                f"variant_{experiment.name}": Coded([variant.name for variant in experiment.variants], row)
                for experiment, row in zip(world.config.experiments, s.variants, strict=True)
            },
        },
    )
    yield "planted", planted(world, block)


def planted(world: World, block: Block) -> Table:
    """Personal data in ``user_text``, at characters ``start`` to ``end`` of the turn's text."""
    found = words(world.config, block).planted
    rows = np.array([one.row for one in found], dtype=np.int64)
    return {
        "session_id": Spelled(session_ids(block.sessions.id)[block.turns.session[rows]]),
        "turn_number": Whole(block.turns.k[rows]),
        "kind": Spoken(pa.array([one.kind for one in found], pa.string())),
        "start": Whole(np.array([one.start for one in found], dtype=np.int64)),
        "end": Whole(np.array([one.end for one in found], dtype=np.int64)),
        "value": Spoken(pa.array([one.value for one in found], pa.string())),
    }


class Exact(Number):
    """A number with all its digits."""

    def array(self) -> Any:
        """Numbers, unrounded."""
        return pa.array(self.values)


def write_truth(world: World, number: int, folder: Path) -> list[Path]:
    """Parquet files of one day, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    name = world.config.day(number).isoformat()
    with drafts(folder, "parquet") as files:
        for block in world.blocks(number):
            for kind, table in tables(world, block):
                files.write(f"{kind}-{name}", table)
        return files.publish()


def write_config(config: WorldConfig, path: Path) -> Path:
    """The switches as JSON: with them, and this version, the world can be made again."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(json.dumps(dataclasses.asdict(config), indent=1, default=_plain) + "\n", encoding="utf-8")
    return draft.replace(path)


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"no JSON for {value!r}")
