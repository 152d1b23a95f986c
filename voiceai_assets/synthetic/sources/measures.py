"""What an experiment platform measures, and its own aggregates of it: by metric, variant, hour and day.

Belongs here: the figures on events, and their summaries. Does not belong here: the events themselves (``events``).

Every measure is a whole number of some unit, so that a day is held as counts of different values: exact percentiles,
and memory that does not grow with turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from voiceai_assets.synthetic.columns import DAY_MS, Coded, Number, Table, Whole
from voiceai_assets.synthetic.config import WorldConfig
from voiceai_assets.synthetic.dialogue import ABANDONED, COMPLETED, IN_PROGRESS, NO_ERROR
from voiceai_assets.synthetic.sources.base import Piece
from voiceai_assets.synthetic.streams import Floats, Ints, Stream, generator
from voiceai_assets.synthetic.world import Block, World

#: Name -> what one step of its whole numbers is worth.
UNITS = {
    "latency_ms": 1.0,
    "token_count": 1.0,
    "cost_usd": 1e-4,
    "constraint_respect": 1.0,
    "acceptance": 1.0,
    "satisfaction_score": 1.0,
}
MOST_TOKENS = 85  # of a reply: the constraint that policies are to respect
_METRICS = tuple(UNITS)
_PRICE_IN, _PRICE_OUT = 0.1, 0.3  # per token, in units of the cost; invented
_RATED = 0.3
_HOUR_MS, _HOURS = 3_600_000, 24
_VALUE_BITS = 32
_PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def of_messages(block: Block) -> dict[str, Ints]:
    """By turn; negative where there is none."""
    t = block.turns
    tokens_in, tokens_out = t.tokens_in.astype(np.int64), t.tokens_out.astype(np.int64)
    return {
        "latency_ms": t.total_ms.astype(np.int64),
        "token_count": tokens_in + tokens_out,
        "cost_usd": np.rint(_PRICE_IN * tokens_in + _PRICE_OUT * tokens_out).astype(np.int64),
        "constraint_respect": (tokens_out <= MOST_TOKENS).astype(np.int64),
    }


def is_told(block: Block) -> NDArray[np.bool_]:
    """By session, whether its emitter tells how it ended."""
    told: NDArray[np.bool_] = block.sessions.is_declared & (block.sessions.outcome != IN_PROGRESS)
    return told


def of_endings(config: WorldConfig, block: Block) -> dict[str, Ints]:
    """By session; negative where there is none. Three in ten rate the conversation, from 1 to 5."""
    s, t = block.sessions, block.turns
    rng = generator(config.seed, block.day.number, block.number, Stream.RATINGS)
    failures = np.bincount(t.session, t.error != NO_ERROR, len(s.id))
    mood = 3 + 1.5 * (s.outcome == COMPLETED) - (s.outcome == ABANDONED) - 0.4 * failures
    score = np.clip(np.rint(mood + 0.7 * rng.standard_normal(len(s.id))), 1, 5)
    told = is_told(block)
    return {
        "acceptance": np.where(told, s.outcome == COMPLETED, -1),
        "satisfaction_score": np.where(told & (rng.random(len(s.id)) < _RATED), score, -1).astype(np.int64),
    }


def worth(metric: str, values: Ints) -> Floats:
    """In dollars, milliseconds, ...; NaN where there is none."""
    found: Floats = np.where(values < 0, np.nan, values * UNITS[metric])
    return found


@dataclass(frozen=True)
class Summary:
    """Of some observations: as the contract ``metric_aggregates`` names it; sample deviation, percentiles observed."""

    count: int
    mean: float
    stddev: float
    minimum: float
    maximum: float
    percentiles: tuple[float, ...]


def summary(values: Floats, counts: Ints) -> Summary:
    """Of ``values`` in order, each observed ``counts`` times; percentile p is the smallest with p at or below it."""
    count = int(counts.sum())
    mean = float(values @ counts) / count
    squares = float((values - mean) ** 2 @ counts)
    ranks = np.ceil(np.array(list(_PERCENTILES.values())) * count)
    at = np.searchsorted(np.cumsum(counts), ranks)
    return Summary(
        count=count,
        mean=mean,
        stddev=(squares / (count - 1)) ** 0.5 if count > 1 else float("nan"),
        minimum=float(values[0]),
        maximum=float(values[-1]),
        percentiles=tuple(values[at].tolist()),
    )


class Aggregates:
    """Counts of the days that are open: the one being written, and what reaches into the next."""

    def __init__(self, world: World) -> None:
        self._config = world.config
        self._arms = [(e.name, v.name) for e in world.config.experiments for v in e.variants]
        self._keys, self._counts = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)

    def add(self, block: Block) -> None:
        """What was measured in a block."""
        s, t = block.sessions, block.turns
        start = block.day.number * DAY_MS
        keys = [self._keys]
        first = 0
        for experiment, row in zip(self._config.experiments, s.variants, strict=True):
            arm = np.where(row < 0, -1, first + row.astype(np.int64))
            for metric, values in of_messages(block).items():
                keys.append(self._key(metric, arm[t.session], start + t.at_ms, values))
            for metric, values in of_endings(self._config, block).items():
                keys.append(self._key(metric, arm, start + s.end_ms, values))
            first += len(experiment.variants)
        more = sum(len(part) for part in keys[1:])
        counts = np.concatenate([self._counts, np.ones(more, dtype=np.int64)])
        self._keys, self._counts = _merged(np.concatenate(keys), counts)

    def _key(self, metric: str, arm: Ints, moment: Ints, values: Ints) -> Ints:
        """Hour of the world, metric, arm and value in one number that sorts in this order."""
        known = (arm >= 0) & (values >= 0)
        group = (moment[known] // _HOUR_MS * len(_METRICS) + _METRICS.index(metric)) * len(self._arms) + arm[known]
        found: Ints = (group << _VALUE_BITS) | values[known]
        return found

    def day(self, number: int) -> Iterator[Piece]:
        """The day's aggregates, after its last block; what was counted for it is forgotten."""
        groups = len(_METRICS) * len(self._arms)
        end = int(np.searchsorted(self._keys, ((number + 1) * _HOURS * groups) << _VALUE_BITS))
        keys, counts = self._keys[:end], self._counts[:end]
        self._keys, self._counts = self._keys[end:], self._counts[end:]
        if not len(keys):
            return
        whole_day = (keys >> _VALUE_BITS) % groups << _VALUE_BITS | (keys & ((1 << _VALUE_BITS) - 1))
        midnight = datetime.combine(self._config.day(number), time())
        daily = self._table("daily", midnight, timedelta(days=1), *_merged(whole_day, counts))
        first = datetime.combine(self._config.first_day, time())
        hourly = self._table("hourly", first, timedelta(hours=1), keys, counts)
        yield Piece("metric_aggregates", hourly)
        yield Piece("metric_aggregates", daily)

    def _table(self, bucket: str, first: datetime, length: timedelta, keys: Ints, counts: Ints) -> Table:
        group = keys >> _VALUE_BITS
        edges = np.flatnonzero(np.diff(group, prepend=-1))
        rest, arm = np.divmod(group[edges], len(self._arms))
        span, metric = np.divmod(rest, len(_METRICS))
        found = [
            summary(worth(_METRICS[which], keys[one] & ((1 << _VALUE_BITS) - 1)), counts[one])
            for which, one in zip(metric, _slices(edges, len(keys)), strict=True)
        ]
        return {
            "metric_name": Coded(_METRICS, metric),
            "experiment_id": Coded([experiment for experiment, _ in self._arms], arm),
            "variant_id": Coded([variant for _, variant in self._arms], arm),
            "bucket_type": Coded((bucket,), arm * 0),
            "bucket_start": _times(first, length, span),
            "bucket_end": _times(first, length, span + 1),
            "count": Whole(np.array([one.count for one in found])),
            "mean": Number(np.array([one.mean for one in found])),
            "stddev": Number(np.array([one.stddev for one in found])),
            "min": Number(np.array([one.minimum for one in found])),
            "max": Number(np.array([one.maximum for one in found])),
            **{name: Number(np.array([one.percentiles[n] for one in found])) for n, name in enumerate(_PERCENTILES)},
        }


def _merged(keys: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Each key once, in order, with the sum of its counts."""
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    edges = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[edges], np.add.reduceat(counts, edges) if len(edges) else counts


def _slices(edges: Ints, count: int) -> list[slice]:
    return [slice(a, b) for a, b in zip(edges, [*edges[1:], count], strict=True)]


def _times(first: datetime, length: timedelta, span: Ints) -> Coded:
    names, index = np.unique(span, return_inverse=True)
    return Coded([f"{first + length * int(number):%Y-%m-%dT%H:%M:%S}Z" for number in names], index)
