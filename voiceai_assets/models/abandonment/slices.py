"""Parts of the test rows: by turn and by kind of caller, and which of them may be shown.

Belongs here: what happened on the test rows, how they are parted, small cells. Does not belong here: measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from voiceai_assets.models.abandonment.measures import Integers

Rows = npt.NDArray[np.bool_]

FEW_USERS = 30  # below, a part is not judged
#: Fewest callers of anything published, and of anything that follows from it by subtraction (governance: k = 10).
SMALL_CELL = 10
LAST_TURN_ALONE = 5  # later ones are few, and judged together


@dataclass(frozen=True)
class Outcomes:
    """What happened on the test rows: 0/1 ``events``, the ``turn`` k, and codes from 0 of ``sessions`` and ``units``.

    A unit is what the bootstrap resamples: a user, or a session whose user is unknown. ``users`` counts the known ones.
    ``segments``: kind -> its value on each row, such as ``region`` -> rural, urban, ...
    """

    events: Integers
    turn: Integers
    sessions: Integers
    units: Integers
    users: int
    segments: Mapping[str, npt.NDArray[np.object_]] = field(default_factory=dict)


def parts_of(outcomes: Outcomes) -> dict[str, dict[str, Rows]]:
    """Kind -> name -> rows: each turn until the fifth, the later ones together, each value of each segment."""
    turns = {f"turn {turn}": outcomes.turn == turn for turn in range(1, LAST_TURN_ALONE + 1)}
    found = {"turn": turns | {f"turn {LAST_TURN_ALONE + 1} and later": outcomes.turn > LAST_TURN_ALONE}}
    for kind, values in outcomes.segments.items():
        names = sorted({str(value) for value in values})
        if len(names) > 1:  # else it is everybody once more
            found[kind] = {f"{kind} {name}": values == name for name in names}
    return found


def slices_of(outcomes: Outcomes) -> dict[str, Rows]:
    """All parts of all kinds under their names, whether they may be shown or not."""
    return {name: at for parts in parts_of(outcomes).values() for name, at in parts.items()}


def shown(parts: Mapping[str, Rows], units: Integers) -> dict[str, Rows]:
    """Those of ``FEW_USERS`` or more units, and fewer of them where the rest would betray a small cell.

    All minus what is shown is known as well: where that is of 1 to 9 callers, the smallest part that would be shown is
    left out, too (complementary suppression).

    Args:
        parts: name -> rows, together all rows, each row once.
        units: code of each row's unit.
    """
    users = {name: len(np.unique(units[at])) for name, at in parts.items()}
    chosen = sorted((name for name in parts if users[name] >= FEW_USERS), key=lambda name: users[name])
    rest = np.ones(len(units), dtype=np.bool_)
    for name in chosen:
        rest &= ~parts[name]
    if chosen and 0 < len(np.unique(units[rest])) < SMALL_CELL:
        chosen = chosen[1:]
    return {name: at for name, at in parts.items() if name in chosen}


def most_bins(probabilities: npt.NDArray[np.float64], units: Integers, bins: int) -> int:
    """So many bins of equal mass that none holds fewer than ``SMALL_CELL`` units; at least 1."""
    order = np.argsort(probabilities, kind="stable")
    while bins > 1 and min(len(np.unique(units[part])) for part in np.array_split(order, bins)) < SMALL_CELL:
        bins -= 1
    return bins
