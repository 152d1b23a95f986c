"""May this version become the champion? The criteria, each with what was found.

Belongs here: the decision, pure. Does not belong here: fitting, measuring the champion, moving the pointer.

On a tie the champion stays: a change costs trust, so it must be worth it. Where there is no champion yet, the candidate
must beat the rate by turn; a model that knows nothing is not better than none. A version is both heads, and both count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from voiceai_assets.models.abandonment.measures import Estimate, Floats, weighted_auc
from voiceai_assets.models.abandonment.prefix import CATEGORICAL, NUMERIC
from voiceai_assets.models.abandonment.slices import Outcomes, slices_of
from voiceai_assets.models.abandonment.training import TrainingResult, gain_over
from voiceai_assets.stats.intervals import PRECISE_USERS

Action = Literal["promote", "keep", "refuse"]
#: The bars of STATISTICS.md. Real days hold few callers, so it is the interval that must reach them: what excludes a
#: bar fails, what chance explains does not (judged on 2,400 sessions, even the truth shows an error of .010 to .017).
SLOPE, MOST_ERROR = (0.90, 1.10), 0.02
#: And whatever the interval: with few callers it is wide, which alone must not excuse a slope of 2 or an error of .1.
SLOPE_AT_ALL, ERROR_AT_ALL = (0.80, 1.25), 0.05
WORSE_AUC = 0.02


@dataclass(frozen=True)
class Criterion:
    """One demand: whether it holds, and what was found."""

    name: str
    holds: bool
    found: str


@dataclass(frozen=True)
class Decision:
    """``promote``: becomes the champion. ``keep``: nothing is wrong with it, the champion stays. ``refuse``: wrong."""

    action: Action
    because: str
    criteria: tuple[Criterion, ...]


def decide(
    candidate: TrainingResult, champion: Mapping[str, Floats] | None, leaks: Sequence[str] | None = None
) -> Decision:
    """The decision.

    Args:
        candidate: as trained and judged.
        champion: head -> the champion's probabilities on the same test rows; None where there is none yet. Rows that
            the champion had learned from flatter it, which errs on the side of keeping it.
        leaks: what ``audit.leaks`` found; None where nobody looked, which is not the same as nothing.
    """
    criteria = [_knows_nothing_it_cannot_know(candidate), _is_what_the_turns_give(leaks)]
    criteria += [_beats_the_rate_by_turn(candidate, head) for head in candidate.heads]
    criteria += [_is_calibrated(candidate, head) for head in candidate.heads]
    if champion is not None:
        criteria.append(_no_segment_is_worse(candidate, champion))
    broken = [criterion for criterion in criteria if not criterion.holds]
    if broken:
        return Decision("refuse", "; ".join(f"{c.name}: {c.found}" for c in broken), tuple(criteria))
    if champion is None:
        return Decision("promote", "there is no champion yet, and every criterion holds", tuple(criteria))
    better = [_beats_the_champion(candidate, head, champion[head]) for head in candidate.heads]
    criteria += better
    if all(criterion.holds for criterion in better):
        return Decision("promote", "its predictions are better than the champion's beyond chance", tuple(criteria))
    return Decision("keep", "not better than the champion beyond chance, so the champion stays", tuple(criteria))


def is_in_range(slope: Estimate, error: Estimate) -> bool:
    """Whether probabilities with this calibration slope and error may be shown as probabilities."""
    if slope.value is None or error.value is None:
        return False
    low = slope.value if slope.low is None else slope.low
    high = slope.value if slope.high is None else slope.high
    least = error.value if error.low is None else error.low
    reaches = low <= SLOPE[1] and high >= SLOPE[0] and least <= MOST_ERROR
    return reaches and SLOPE_AT_ALL[0] <= slope.value <= SLOPE_AT_ALL[1] and error.value <= ERROR_AT_ALL


def _knows_nothing_it_cannot_know(candidate: TrainingResult) -> Criterion:
    foreign = sorted({*candidate.config.numeric, *candidate.config.categorical} - {*NUMERIC, *CATEGORICAL})
    at_first = [head.evaluation.auc_by_turn["1"].value for head in candidate.heads.values()]
    highest = max((auc for auc in at_first if auc is not None), default=None)
    found = (
        f"AUC at turn 1 {'unknown' if highest is None else f'{highest:.3f}'}, alarm above {candidate.config.alarm_auc}"
    )
    if foreign:
        found += f"; features outside the catalogue: {', '.join(foreign)}"
    return Criterion("knows nothing of later turns", not candidate.leakage_alarm and not foreign, found)


def _is_what_the_turns_give(leaks: Sequence[str] | None) -> Criterion:
    found = "nobody looked" if leaks is None else f"differ: {', '.join(leaks)}" if leaks else "all the same"
    return Criterion("made again from the turns until then", leaks is not None and not leaks, found)


def _beats_the_rate_by_turn(candidate: TrainingResult, head: str) -> Criterion:
    return _gains(f"{head} better than the rate by turn", candidate.heads[head].baselines["rate_by_turn"].gain)


def _beats_the_champion(candidate: TrainingResult, head: str, champion: Floats) -> Criterion:
    gain = gain_over(candidate.parts.outcomes[head], champion, candidate.heads[head].predicted, candidate.config)
    return _gains(f"{head} better than the champion", gain)


def _gains(name: str, gain: Estimate) -> Criterion:
    holds = gain.low is not None and gain.low > 0
    return Criterion(name, holds, f"log loss lower by {_said(gain)} nats per turn")


def _is_calibrated(candidate: TrainingResult, head: str) -> Criterion:
    measured = candidate.heads[head].evaluation
    found = f"slope {_said(measured.calibration_slope)}, error {_said(measured.ece)}"
    return Criterion(f"{head} is calibrated", is_in_range(measured.calibration_slope, measured.ece), found)


def _no_segment_is_worse(candidate: TrainingResult, champion: Mapping[str, Floats]) -> Criterion:
    """AUC by turn and kind of caller; a slice of few users differs by more than the limit from chance alone."""
    worse = []
    for head, result in candidate.heads.items():
        outcomes = candidate.parts.outcomes[head]
        for name, at in slices_of(outcomes).items():
            difference = _auc_difference(outcomes, at, result.predicted, champion[head])
            if difference is not None and difference < -WORSE_AUC:
                worse.append(f"{head}, {name}: AUC {difference:+.3f}")
    return Criterion(f"no segment worse by {WORSE_AUC}", not worse, "; ".join(worse) or "none")


def _auc_difference(outcomes: Outcomes, at: np.ndarray, ours: Floats, theirs: Floats) -> float | None:
    if len(np.unique(outcomes.units[at])) < PRECISE_USERS:
        return None
    events, ones = outcomes.events[at], np.ones(int(at.sum()))
    difference = weighted_auc(events, ours[at])(ones) - weighted_auc(events, theirs[at])(ones)
    return difference if np.isfinite(difference) else None


def _said(estimate: Estimate) -> str:
    if estimate.value is None:
        return "unknown"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.4f}"
    return f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"
