"""Pictures of a training result, as PNG bytes for asset metadata.

Belongs here: drawing what ``evaluation`` measured. Does not belong here: measuring, writing files.
Figures are made without pyplot: no global state, no display, safe in a server's threads.
"""

from __future__ import annotations

import io

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from voiceai_assets.models.abandonment.evaluation import Evaluation
from voiceai_assets.models.abandonment.training import TrainingResult

INK, MUTED, POINTS = "#23303d", "#8a96a3", "#2f6f9f"
TITLES = {"hazard": "Gives up before the next turn", "landmark": "Session ends abandoned"}


def calibration_png(result: TrainingResult) -> bytes:
    """Reliability diagram of both heads: mean prediction against share of events per bin, with rows per bin below."""
    figure = Figure(figsize=(10, 6), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(result.heads), height_ratios=(4, 1), squeeze=False)
    for column, (name, head) in enumerate(result.heads.items()):
        _reliability(axes[0][column], TITLES[name], head.evaluation)
        _counts(axes[1][column], head.evaluation)
        axes[1][column].set_xlim(axes[0][column].get_xlim())
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
