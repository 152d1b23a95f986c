"""Features as numbers: which column of the matrix means what.

Belongs here: categories as zeros and ones, by the vocabulary of the training days. Does not belong here: imputation and
scaling (part of the fitted pipeline), what a feature means (``prefix``).

Arrays and not frames at scoring: one session costs a fifth of a millisecond, where a frame would cost five.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from voiceai_assets.models.abandonment.prefix import CATEGORICAL, GROUPS, NUMERIC, Group

Floats = npt.NDArray[np.float64]

MOST_LEVELS = 20  # of a category; rarer ones are told apart by nothing, or a module per caller would identify them
UNKNOWN = "(unknown)"


@dataclass(frozen=True)
class Schema:
    """The columns of the matrix: numbers as they are, then one column per level of each category.

    A value that training never saw has zeros in all columns of its category.
    """

    numeric: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(
        cls, table: pd.DataFrame, numeric: Sequence[str] = NUMERIC, categorical: Sequence[str] = CATEGORICAL
    ) -> Schema:
        """The vocabulary of a training table; a category of one level tells nothing and gets no column."""
        levels = {}
        for name in categorical:
            counts = _texts(table[name]).value_counts()
            found = sorted(counts.index, key=lambda level: (-counts[level], level))[:MOST_LEVELS]
            levels[name] = tuple(found) if len(found) > 1 else ()
        return cls(tuple(numeric), levels)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order."""
        return [*self.numeric, *(f"{name} = {level}" for name, levels in self.levels.items() for level in levels)]

    def groups(self) -> list[Group | None]:
        """The group of features that each column belongs to; None for one that is not in the catalogue."""
        of_levels = [GROUPS.get(name) for name, levels in self.levels.items() for _ in levels]
        return [*(GROUPS.get(name) for name in self.numeric), *of_levels]

    def matrix(self, table: pd.DataFrame) -> Floats:
        """Shape (rows, columns), NaN for unknown numbers."""
        parts = [pd.to_numeric(table[name]).to_numpy(dtype=np.float64, na_value=np.nan) for name in self.numeric]
        for name, levels in self.levels.items():
            if levels:
                values = _texts(table[name]).to_numpy()
                parts += [(values == level).astype(np.float64) for level in levels]
        return np.column_stack(parts) if len(table) else np.empty((0, len(self.columns)))

    def rows(self, many: Sequence[Mapping[str, Any]]) -> Floats:
        """The same for features of ``prefix.prefix_features``, without a frame."""
        return np.array([self._row(features) for features in many], dtype=np.float64).reshape(-1, len(self.columns))

    def _row(self, features: Mapping[str, Any]) -> list[float]:
        row = [math.nan if features.get(name) is None else float(features[name]) for name in self.numeric]
        for name, levels in self.levels.items():
            value = features.get(name)
            row += [float(level == (UNKNOWN if value is None else str(value))) for level in levels]
        return row

    def as_dict(self) -> dict[str, Any]:
        """As the model card says it; pairs and no mapping, because JSON with sorted keys would change the columns."""
        return {"numeric": list(self.numeric), "levels": [[name, list(levels)] for name, levels in self.levels.items()]}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Schema:
        """Of a model card."""
        return cls(tuple(value["numeric"]), {name: tuple(levels) for name, levels in value["levels"]})


def _texts(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), UNKNOWN).astype(str)
