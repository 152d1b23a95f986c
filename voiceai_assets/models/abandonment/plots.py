"""Pictures of a training result, as PNG bytes for asset metadata and the card.

Belongs here: drawing what ``evaluation`` and ``evidence`` measured. Does not belong here: measuring, writing files.
Figures are made without pyplot: no global state, no display, safe in a server's threads.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from voiceai_assets.models.abandonment.evaluation import Evaluation
from voiceai_assets.models.abandonment.evidence import Evidence, TurnHazard
from voiceai_assets.models.abandonment.training import TrainingResult

INK, MUTED, POINTS = "#23303d", "#8a96a3", "#2f6f9f"
SEVERAL = ("#2f6f9f", "#b3473f", "#b98a2f", "#4d8a57", "#7a5c99", "#5c6873")
OUTCOMES = {"abandoned": "#b3473f", "completed": "#2f6f9f", "transferred": "#b98a2f"}
TITLES = {"hazard": "Gives up before the next turn", "landmark": "Session ends abandoned"}


def pictures(result: TrainingResult, evidence: Evidence) -> dict[str, bytes]:
    """File name -> PNG of everything that the card shows."""
    return {
        "reliability.png": calibration_png(result),
        "roc_and_precision_recall.png": curves_png(result),
        "importance.png": importance_png(evidence),
        "hazard_by_turn.png": hazard_png(evidence),
        "hazard_by_segment.png": segments_png(evidence),
        "cumulative_incidence.png": incidence_png(evidence),
    }


def curves_png(result: TrainingResult) -> bytes:
    """ROC above, precision and recall below, one column per head."""
    figure = _figure(10, 8)
    axes = figure.subplots(2, len(result.heads), squeeze=False)
    for column, (name, head) in enumerate(result.heads.items()):
        events = result.parts.outcomes[name].events
        hit = events[np.argsort(-head.predicted, kind="stable")]
        found, taken = np.cumsum(hit), np.arange(1, len(hit) + 1)
        false = (taken - found) / max(1, len(hit) - found[-1])
        recall = found / max(1, found[-1])
        axes[0][column].plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--")
        axes[0][column].plot(false, recall, color=POINTS, linewidth=1.4)
        axes[0][column].set(xlabel="False alarms, share of those who stay", ylabel="Found, share of those who leave")
        axes[0][column].set_title(TITLES[name], loc="left", color=INK, fontsize=12)
        axes[1][column].axhline(head.evaluation.base_rate, color=MUTED, linewidth=1, linestyle="--")
        axes[1][column].plot(recall, found / taken, color=POINTS, linewidth=1.4)
        axes[1][column].set(xlabel="Found, share of those who leave", ylabel="Right, share of alarms", ylim=(0, 1.02))
        for row in axes:
            _calm(row[column])
    return _png(figure)


def importance_png(evidence: Evidence) -> bytes:
    """Permutation importance of each group with its interval, one column per head."""
    figure = _figure(10, 3.6)
    axes = figure.subplots(1, len(evidence.claims), squeeze=False)[0]
    for axis, (head, claim) in zip(axes, evidence.claims.items(), strict=True):
        ranked = sorted(claim.importance.items(), key=lambda item: item[1].value or 0.0)
        for row, (_, found) in enumerate(ranked):
            if found.value is not None and found.low is not None and found.high is not None:
                axis.plot([found.low, found.high], [row, row], color=MUTED, linewidth=2)
                axis.plot([found.value], [row], color=POINTS, marker="o", markersize=6)
        axis.axvline(0, color=MUTED, linewidth=1)
        axis.set_yticks(range(len(ranked)), [group for group, _ in ranked])
        axis.set(xlabel="Log loss grows by (nats per turn)")
        axis.set_title(f"{TITLES[head]}: ASR strongest? {claim.verdict}", loc="left", color=INK, fontsize=11)
        _calm(axis)
    return _png(figure)


def hazard_png(evidence: Evidence) -> bytes:
    """Share that gives up at each turn, of those who reached it."""
    figure = _figure(7, 3.6)
    axis = figure.subplots()
    _hazards(axis, evidence.hazard_by_turn, POINTS)
    axis.set(xlabel="Turn", ylabel="Share that gives up then", ylim=(0, None))
    _calm(axis)
    return _png(figure)


def segments_png(evidence: Evidence) -> bytes:
    """The same for each kind of caller, a picture for each way of telling them apart; intervals side by side."""
    kinds = evidence.hazard_by_segment
    figure = _figure(10, 3.4 * max(1, -(-len(kinds) // 2)))
    axes = figure.subplots(max(1, -(-len(kinds) // 2)), 2, squeeze=False, sharey=True).ravel()
    for axis, (kind, values) in zip(axes, kinds.items(), strict=False):
        for number, (name, hazards) in enumerate(values.items()):
            shift = 0.12 * (number - (len(values) - 1) / 2)
            _hazards(axis, hazards, SEVERAL[number % len(SEVERAL)], shift, name)
        axis.set(xlabel="Turn", ylabel="Share that gives up then", ylim=(0, None))
        axis.set_title(kind.replace("_", " ").capitalize(), loc="left", color=INK, fontsize=11)
        axis.legend(frameon=False, fontsize=8)
        _calm(axis)
    for axis in axes[len(kinds) :]:
        axis.set_visible(False)
    return _png(figure)


def _hazards(
    axis: Axes, hazards: Sequence[TurnHazard], colour: str, shift: float = 0.0, label: str | None = None
) -> None:
    """A point and its interval for each turn."""
    known = [(turn.k + shift, *astuple(turn.hazard)) for turn in hazards if turn.hazard.low is not None]
    if known:
        at, value, low, high = np.array(known, dtype=np.float64).T
        ends = np.maximum([value - low, high - value], 0)
        line = MUTED if label is None else colour
        axis.errorbar(at, value, yerr=ends, fmt="o", color=colour, ecolor=line, elinewidth=2, markersize=5, label=label)


def incidence_png(evidence: Evidence) -> bytes:
    """Share of all sessions that have ended so by each turn."""
    figure = _figure(7, 3.6)
    axis = figure.subplots()
    for outcome, curve in evidence.incidence.by_outcome.items():
        axis.step(evidence.incidence.k, curve, where="post", linewidth=1.6, label=outcome, color=OUTCOMES[outcome])
    axis.set(xlabel="Turn", ylabel="Share of all sessions", ylim=(0, 1))
    axis.legend(frameon=False, fontsize=9)
    _calm(axis)
    return _png(figure)


def calibration_png(result: TrainingResult) -> bytes:
    """Reliability diagram of both heads: mean prediction against share of events per bin, with rows per bin below."""
    figure = _figure(10, 6)
    axes = figure.subplots(2, len(result.heads), height_ratios=(4, 1), squeeze=False)
    for column, (name, head) in enumerate(result.heads.items()):
        _reliability(axes[0][column], TITLES[name], head.evaluation)
        _counts(axes[1][column], head.evaluation)
        axes[1][column].set_xlim(axes[0][column].get_xlim())
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})  # no version string: equal results, equal bytes
    return target.getvalue()


def _reliability(axes: Axes, title: str, evaluation: Evaluation) -> None:
    predicted = [part.predicted for part in evaluation.bins]
    observed = [part.observed for part in evaluation.bins]
    top = 1.08 * max(*predicted, *observed, 0.05)
    axes.plot([0, top], [0, top], color=MUTED, linewidth=1, linestyle="--", label="perfectly calibrated")
    axes.plot(predicted, observed, color=POINTS, linewidth=1.2, marker="o", markersize=6, label="test days")
    axes.set(xlim=(0, top), ylim=(0, top), ylabel="Share that did")
    axes.set_title(title, loc="left", color=INK, fontsize=12)
    slope = evaluation.calibration_slope.value
    error = evaluation.ece.value or 0
    slope_text = "not computable" if slope is None else f"{slope:.2f}"
    axes.text(
        0.98,
        0.04,
        f"slope {slope_text}   ECE {error:.3f}\n{evaluation.rows:,} turns, {evaluation.users:,} users",
        transform=axes.transAxes,
        ha="right",
        color=INK,
        fontsize=9,
    )
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    _calm(axes)


def _counts(axes: Axes, evaluation: Evaluation) -> None:
    """Bins have equal mass, so it is their position and not their height that shows where predictions lie."""
    heights = [part.count for part in evaluation.bins]
    axes.vlines([part.predicted for part in evaluation.bins], 0, heights, color=POINTS, linewidth=3)
    axes.set(ylim=(0, 1.35 * max(heights)), xlabel="Predicted probability", ylabel="Turns")
    axes.text(
        0.98,
        0.8,
        f"{min(heights):,} to {max(heights):,} turns a bin",
        transform=axes.transAxes,
        ha="right",
        color=INK,
        fontsize=9,
    )
    _calm(axes)


def _calm(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.grid(color="#e6eaee", linewidth=0.8)
    axes.set_axisbelow(True)
