"""What the data say about why callers leave: which group of features predicts best, and when they leave.

Belongs here: grouped permutation importance and the verdict on "ASR is the strongest predictor", hazard by turn,
cumulative incidence. Arrays and frames in, frozen values out. Does not belong here: fitting, drawing, the card's words.

A predictor is no cause: what is permuted here is what the model sees, not what happened to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from voiceai_assets.models.abandonment.features import FINAL_OUTCOMES, KEYS
from voiceai_assets.models.abandonment.measures import (
    Estimate,
    Floats,
    Integers,
    UserBootstrap,
    row_losses,
    weighted_mean,
)
from voiceai_assets.models.abandonment.slices import FEW_USERS, SMALL_CELL, shown
from voiceai_assets.models.abandonment.training import (
    HEADS,
    SEGMENTS,
    TrainingResult,
    probabilities,
    text_of,
    units_of,
)

Verdict = Literal["true", "false", "undecided"]
REPEATS = 5  # permutations of each group, averaged
LAST_TURN = 12  # of the curves; later turns are few
CLAIM = "ASR confidence is the strongest predictor of abandonment"


@dataclass(frozen=True)
class Claim:
    """The verdict on ``CLAIM`` for one head, with its numbers.

    ``importance``: group -> how much the log loss (nats per turn) grows when the group's values are exchanged between
    callers. ``lead`` is ASR's minus that of the best other group.
    """

    verdict: Verdict
    because: str
    importance: Mapping[str, Estimate]
    best_other: str
    lead: Estimate
    gain: Estimate


@dataclass(frozen=True)
class TurnHazard:
    """Share of the sessions that reached turn k which were given up before the next."""

    k: int
    sessions: int
    hazard: Estimate


@dataclass(frozen=True)
class Incidence:
    """Share of all sessions that have ended so by turn k; outcomes compete (Aalen and Johansen 1978)."""

    k: tuple[int, ...]
    by_outcome: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Evidence:
    """Everything that the card and the page say about why and when callers leave."""

    claims: Mapping[str, Claim]
    hazard_by_turn: tuple[TurnHazard, ...]
    hazard_by_segment: Mapping[str, Mapping[str, tuple[TurnHazard, ...]]]
    first_turn_minus_later: Estimate
    incidence: Incidence


def gather(result: TrainingResult, table: pd.DataFrame) -> Evidence:
    """The evidence of a training.

    Args:
        result: of ``training.train``.
        table: all mature rows, sessions in progress included: they are at risk until they are lost from sight.
    """
    hazards, difference = hazard_by_turn(table, result.config.resamples, result.config.seed)
    return Evidence(
        claims={head: claim(result, head) for head in HEADS},
        hazard_by_turn=hazards,
        hazard_by_segment=hazard_by_segment(table, result.config.resamples, result.config.seed),
        first_turn_minus_later=difference,
        incidence=cumulative_incidence(table),
    )


def claim(result: TrainingResult, head: str) -> Claim:
    """Whether ASR is the strongest predictor, judged on the test rows of one head.

    True only if the lower bound of ASR's importance minus the best other group's lies above 0, false only if the upper
    bound lies below. The best other group is sought anew in each resample: chosen once, it would be flattered. Nothing
    is claimed of a model that does not beat the rate by turn, since what predicts nothing has no strongest part.
    """
    outcomes, config = result.parts.outcomes[head], result.config
    increases = _increases(result, head)
    names = [name for name in increases if name != "asr"]
    drawn = _resampled(outcomes.units, increases, config.resamples, config.seed)
    importance = {name: _interval(float(increases[name].mean()), drawn[name]) for name in increases}
    best = max(names, key=lambda name: importance[name].value or 0.0)
    asr = float(increases["asr"].mean()) if "asr" in increases else 0.0
    leads = drawn["asr"] - np.max([drawn[name] for name in names], axis=0)
    lead = _interval(asr - (importance[best].value or 0.0), leads)
    gain = result.heads[head].baselines["rate_by_turn"].gain
    verdict, because = decide(gain, lead, best)
    return Claim(verdict, because, importance, best, lead, gain)


def decide(gain: Estimate, lead: Estimate, best_other: str) -> tuple[Verdict, str]:
    """The verdict and its reason in a sentence."""
    if gain.low is None or gain.low <= 0:
        return "undecided", "the model does not demonstrably beat the rate by turn, so nothing can be said to predict"
    if lead.low is not None and lead.low > 0:
        return "true", f"ASR leads {best_other}, the best other group, and the interval of the lead excludes 0"
    if lead.high is not None and lead.high < 0:
        return "false", f"{best_other} predicts better than ASR, and the interval of the difference excludes 0"
    return "undecided", f"between ASR and {best_other} the interval of the difference includes 0"


def _increases(result: TrainingResult, head: str) -> dict[str, Floats]:
    """Group -> growth of each test row's loss when the group's columns are permuted together, mean of the repeats."""
    matrix, outcomes = result.schema.matrix(result.parts.later), result.parts.outcomes[head]
    pipeline, rng = result.heads[head].pipeline, np.random.default_rng(result.config.seed)
    before = row_losses(outcomes.events, result.heads[head].predicted)
    columns: dict[str, list[int]] = {}
    for index, name in enumerate(result.schema.groups()):
        columns.setdefault(name or "other", []).append(index)
    increases: dict[str, Floats] = {}
    for group, which in columns.items():
        total = np.zeros(len(matrix))
        for _ in range(REPEATS):
            permuted = matrix.copy()
            permuted[:, which] = matrix[rng.permutation(len(matrix))][:, which]
            total += row_losses(outcomes.events, probabilities(pipeline, permuted)) - before
        increases[group] = total / REPEATS
    return increases


def _resampled(units: Integers, values: Mapping[str, Floats], resamples: int, seed: int) -> dict[str, Floats]:
    """Name -> mean over the rows of each resample of users; the same users for every name."""
    count = int(units.max()) + 1
    rows = np.bincount(units, minlength=count).astype(np.float64)
    sums = {name: np.bincount(units, value, minlength=count) for name, value in values.items()}
    rng = np.random.default_rng(seed)
    weights = np.stack([np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(resamples)])
    return {name: (weights @ total) / (weights @ rows) for name, total in sums.items()}


def _interval(value: float, drawn: Floats) -> Estimate:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def hazard_by_turn(table: pd.DataFrame, resamples: int, seed: int) -> tuple[tuple[TurnHazard, ...], Estimate]:
    """Hazard of each turn that 30 callers reached, and that of turn 1 minus that of all later ones, with intervals.

    Callers differ in ways that nobody observes: the impatient leave first, so the hazard among those who stay falls
    even where it falls for no single caller.
    """
    ended = table[table["final_outcome"].isin(FINAL_OUTCOMES)].reset_index(drop=True)
    events, k = ended["label_hazard"].to_numpy(dtype=np.float64), ended["k"].to_numpy()
    bootstrap = UserBootstrap(units_of(ended), resamples, seed)
    everybody = np.ones(len(ended), dtype=np.bool_)
    first, later = k == 1, k > 1

    def difference(weights: Floats) -> float:
        return weighted_mean(events[first])(weights[first]) - weighted_mean(events[later])(weights[later])

    last = _last_turn(bootstrap.units, k, [everybody])
    return _hazards(events, k, bootstrap, everybody, last), bootstrap.estimate(difference)


def hazard_by_segment(table: pd.DataFrame, resamples: int, seed: int) -> dict[str, dict[str, tuple[TurnHazard, ...]]]:
    """Kind of segment -> value -> hazard by turn, with user-bootstrap intervals; a kind of one value is left out.

    All values of a kind stop at the same turn, the last that 30 callers of each reached: a value that stopped earlier
    could be had by subtracting the others from the hazard of everybody.
    """
    ended = table[table["final_outcome"].isin(FINAL_OUTCOMES)].reset_index(drop=True)
    events, k = ended["label_hazard"].to_numpy(dtype=np.float64), ended["k"].to_numpy()
    bootstrap = UserBootstrap(units_of(ended), resamples, seed)
    found = {}
    for kind in (name for name in SEGMENTS if name in ended):
        values = text_of(ended[kind])
        parts = shown({str(value): values == value for value in sorted(set(values))}, bootstrap.units)
        last = _last_turn(bootstrap.units, k, list(parts.values()))
        if len(parts) > 1 and last:
            found[kind] = {name: _hazards(events, k, bootstrap, at, last) for name, at in parts.items()}
    return found


def _hazards(
    events: Floats, k: Floats, bootstrap: UserBootstrap, at: npt.NDArray[np.bool_], last: int
) -> tuple[TurnHazard, ...]:
    hazards = []
    for turn in range(1, last + 1):
        rows = at & (k == turn)
        hazards.append(TurnHazard(turn, int(rows.sum()), bootstrap.of(rows).estimate(weighted_mean(events[rows]))))
    return tuple(hazards)


def _last_turn(units: Integers, k: Floats, parts: Sequence[npt.NDArray[np.bool_]]) -> int:
    """The last turn that ``FEW_USERS`` of each part reached and no small cell outside them; at most the twelfth."""
    outside = ~np.any(parts, axis=0) if parts else np.ones(len(k), dtype=np.bool_)
    for turn in range(1, LAST_TURN + 1):
        now = k == turn
        if not parts or any(len(np.unique(units[at & now])) < FEW_USERS for at in parts):
            return turn - 1
        if 0 < len(np.unique(units[outside & now])) < SMALL_CELL:
            return turn - 1
    return LAST_TURN


def cumulative_incidence(table: pd.DataFrame) -> Incidence:
    """Aalen-Johansen estimate in discrete time, the user turn; sessions in progress are censored after their last.

    Until the last turn that ten callers reached: a later step would be theirs alone.
    1 - Kaplan-Meier, which takes completed calls for censored ones, would say 78 % where the truth is 38 %.
    """
    last = table.sort_values(list(KEYS)).groupby(["session_date", "session_id"]).last()
    ends_at, outcome = last["k"].to_numpy(), last["final_outcome"].to_numpy()
    callers = units_of(last.reset_index())
    turns = tuple(
        turn for turn in range(1, LAST_TURN + 1) if turn == 1 or len(np.unique(callers[ends_at >= turn])) >= SMALL_CELL
    )
    curves: dict[str, list[float]] = {name: [] for name in FINAL_OUTCOMES}
    surviving, reached = 1.0, dict.fromkeys(FINAL_OUTCOMES, 0.0)
    for turn in turns:
        at_risk = int((ends_at >= turn).sum())
        ended_now = ends_at == turn
        leaving = 0.0
        for name in FINAL_OUTCOMES:
            hazard = float((ended_now & (outcome == name)).sum()) / at_risk if at_risk else 0.0
            reached[name] += surviving * hazard
            leaving += hazard
            curves[name].append(reached[name])
        surviving *= 1 - leaving
    return Incidence(turns, {name: tuple(values) for name, values in curves.items()})
