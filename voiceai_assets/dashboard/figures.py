"""Figures: the trend with its band and its hatched gaps, and the sparkline of a tile. Pure.

Belongs here: what is drawn. Does not belong here: which numbers (``queries``, ``stats``), text colours (style.css sets
them, so that light and dark need no second figure).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape
from itertools import groupby
from urllib.parse import quote

import plotly.graph_objects as go

from voiceai_assets.dashboard.days import Day, Period, shorten
from voiceai_assets.dashboard.parts import people
from voiceai_assets.stats.intervals import MIN_USERS, Rate

# Teal, vermillion and grey differ for colour-blind eyes, and keep 3:1 on white as on dark grey.
ACCENT, BLOCKED, WAITING = "#0c8f7f", "#d9480f", "#808890"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
BAND = "rgba(12, 143, 127, 0.18)"
_DAY_MS = 86_400_000
_FEW_DAYS, _MANY_DAYS = 7, 120  # every date labelled up to the first, small markers from the second
_HALF_DAY, _THIRD_DAY = timedelta(hours=12), timedelta(hours=8)


def trend_figure(rates: Mapping[date, Rate], days: Sequence[Day], shown: Period) -> go.Figure:
    """A rate by day with its 95 % band.

    A known day that is not certified is a hatched bar over the full height with its reason on hover; a date of which
    nothing is known stays empty. Neither is ever a zero, and no line crosses them.
    """
    standing = {d.day: d for d in days}
    drawn = {
        day: r
        for day in shown.days()
        if (d := standing.get(day)) and d.is_certified and (r := rates.get(day)) and r.estimate is not None
    }
    figure = go.Figure()
    waiting = [d for d in days if not d.is_blocked and not d.is_certified]
    _add_hatches(figure, "blocked", [d for d in days if d.is_blocked], _Hatch(BLOCKED, "/", len(shown)))
    _add_hatches(figure, "not certified", waiting, _Hatch(WAITING, "\\", len(shown)))
    _add_band(figure, drawn, shown)
    _add_line(figure, drawn, shown)
    figure.update_layout(
        template="none",
        height=320,
        margin={"l": 56, "r": 12, "t": 8, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=False,
        font={"family": _FONT},
        hovermode="closest",
        hoverdistance=40,
        hoverlabel={"align": "left", "bgcolor": "#25282c", "font": {"color": "#ffffff", "size": 13, "family": _FONT}},
        dragmode=False,
        bargap=0,
        xaxis=_dates(shown),
        yaxis={"range": _percent_range(drawn), "tickformat": ".0%", "fixedrange": True, "zeroline": False, "nticks": 6},
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
        uirevision="trend",
    )
    return figure


@dataclass(frozen=True)
class _Hatch:
    colour: str
    shape: str
    days_shown: int

    @property
    def width_ms(self) -> float:
        """A day, or as much more as it takes to stay visible in a range of years."""
        return _DAY_MS * max(1.0, self.days_shown / 250)

    @property
    def pattern(self) -> dict[str, object]:
        """Finer and denser where a day is only a few pixels wide."""
        size, solidity = (9, 0.2) if self.days_shown <= _MANY_DAYS else (4, 0.5)
        shape = {"shape": self.shape, "fgcolor": self.colour, "bgcolor": "rgba(0,0,0,0)"}
        return {**shape, "size": size, "solidity": solidity}


def _add_hatches(figure: go.Figure, name: str, days: Sequence[Day], hatch: _Hatch) -> None:
    if not days:
        return
    figure.add_bar(
        name=name,
        x=[d.day for d in days],
        y=[1.0] * len(days),
        yaxis="y2",
        width=hatch.width_ms,
        marker={
            "color": "rgba(0,0,0,0)",
            "pattern": hatch.pattern,
            "line": {"width": 0},
        },
        text=[_hatch_text(d) for d in days],
        textposition="none",
        hovertemplate="%{text}<extra></extra>",
    )


def _hatch_text(day: Day) -> str:
    parts = [f"<b>{day.day}: {escape(day.status)}</b>", *_wrapped(day.why())]
    if day.mend():
        parts += _wrapped(f"To do: {day.mend()}")
    if day.counts:
        parts.append(f"Version {day.version}, published before, still counts in the key figures.")
    return "<br>".join(parts)


def _wrapped(text: str, width: int = 60) -> list[str]:
    """Plotly does not wrap hover text; on a phone a long reason would leave the screen."""
    lines: list[str] = []
    for word in shorten(text, 300).split():
        if lines and len(lines[-1]) + len(word) < width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return [escape(line) for line in lines]


def _add_band(figure: go.Figure, drawn: Mapping[date, Rate], shown: Period) -> None:
    """One closed shape per run of days: a band from filled lines would bridge the gaps."""
    x: list[datetime | None] = []
    y: list[float | None] = []
    for run in _runs([d for d in shown.days() if d in drawn and drawn[d].low is not None]):
        edges = [(datetime.combine(d, datetime.min.time()), drawn[d]) for d in run]
        if len(edges) == 1:  # a single day has no line to fill under: give it some width
            (middle, only) = edges[0]
            edges = [(middle - _THIRD_DAY, only), (middle + _THIRD_DAY, only)]
        x += [*(at for at, _ in edges), *(at for at, _ in edges[::-1]), None]
        y += [*(r.high for _, r in edges), *(r.low for _, r in edges[::-1]), None]
    figure.add_scatter(
        name="95 % interval",
        x=x,
        y=y,
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=BAND,
        hoverinfo="skip",
    )


def _runs(days: Sequence[date]) -> list[list[date]]:
    grouped = groupby(enumerate(days), key=lambda item: item[1].toordinal() - item[0])
    return [[day for _, day in group] for _, group in grouped]


def _add_line(figure: go.Figure, drawn: Mapping[date, Rate], shown: Period) -> None:
    every = shown.days()
    found = [drawn.get(d) for d in every]
    figure.add_scatter(
        name="by day",
        x=every,
        y=[r.estimate if r else None for r in found],
        mode="lines+markers",
        connectgaps=False,
        line={"color": ACCENT, "width": 2},
        marker={
            "color": ACCENT,
            "size": 7 if len(every) <= _MANY_DAYS else 4,
            "symbol": ["circle-open" if r and r.n_users < MIN_USERS else "circle" for r in found],
        },
        text=[_point_text(d, r) if r else "" for d, r in zip(every, found, strict=True)],
        hovertemplate="%{text}<extra></extra>",
    )


def _point_text(day: date, rate: Rate) -> str:
    interval = "no interval" if rate.low is None else f"95 % interval {rate.low:.1%} to {rate.high:.1%}"
    few = "<br>fewer than 30 users: no comparison" if rate.n_users < MIN_USERS else ""
    return (
        f"<b>{day}: {rate.estimate:.1%}</b><br>{interval}"
        f"<br>{rate.denominator:,.0f} ended sessions, {people(rate.n_users, rate.cluster)}{few}"
    )


def _dates(shown: Period) -> dict[str, object]:
    first, last = (datetime.combine(d, datetime.min.time()) for d in (shown.start, shown.end))
    axis: dict[str, object] = {
        "type": "date",
        "range": [first - _HALF_DAY, last + _HALF_DAY],
        "tickformat": "%-d %b\n%Y",
        "fixedrange": True,
        "showgrid": False,
        "nticks": 6,
        "tickangle": 0,
    }
    if len(shown) <= _FEW_DAYS:  # left alone, plotly would print hours
        axis |= {"dtick": _DAY_MS, "tick0": shown.start}
    return axis


def _percent_range(drawn: Mapping[date, Rate]) -> list[float]:
    ends = [v for r in drawn.values() for v in (r.low, r.high, r.estimate) if v is not None]
    if not ends:
        return [0.0, 1.0]
    low, high = max(0.0, min(ends) - 0.02), min(1.0, max(ends) + 0.02)
    margin = 0.04 * (high - low)  # a marker at 100 % needs room, but the axis has no 101 %
    return [low - margin, high + margin]


def describe_trend(rates: Mapping[date, Rate], days: Sequence[Day]) -> str:
    """The figure in a sentence, for those who do not see it."""
    values = {d.day: r.estimate for d in days if d.is_certified and (r := rates.get(d.day)) and r.estimate is not None}
    hatched = [d for d in days if not d.is_certified]
    if not values:
        line = "No certified day with ended sessions in this range."
    else:
        low, high = min(values, key=lambda d: values[d]), max(values, key=lambda d: values[d])
        line = (
            f"Completion rate on {len(values)} certified {'day' if len(values) == 1 else 'days'}, "
            f"lowest {values[low]:.1%} on {low}, highest {values[high]:.1%} on {high}."
        )
    return f"{line} {len(hatched)} known {'day is' if len(hatched) == 1 else 'days are'} not certified."


def sparkline(values: Sequence[float | None], marks: Sequence[str | None], width: int = 200, height: int = 36) -> str:
    """A line by day as a ``data:`` address of an SVG image; a gap stays a gap, hatched where ``marks`` has a colour."""
    known = [v for v in values if v is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    step = width / max(1, len(values))

    def place(i: int, value: float) -> str:
        share = (value - low) / (high - low) if high > low else 0.5
        return f"{(i + 0.5) * step:.1f},{height - 4 - share * (height - 8):.1f}"

    shapes = [
        f'<rect x="{i * step:.1f}" y="0" width="{max(2.0, step):.1f}" height="{height}" fill="url(#h{colour[1:]})"/>'
        for i, colour in enumerate(marks)
        if colour
    ]
    for is_value, group in groupby(enumerate(values), key=lambda item: item[1] is not None):
        points = [place(i, v) for i, v in group if v is not None]
        if is_value and len(points) == 1:
            x, y = points[0].split(",")
            shapes.append(f'<circle cx="{x}" cy="{y}" r="2" fill="{ACCENT}"/>')
        elif is_value:
            line = " ".join(points)
            shapes.append(f'<polyline points="{line}" fill="none" stroke="{ACCENT}" stroke-width="1.75"/>')
    hatches = "".join(
        f'<pattern id="h{c[1:]}" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<path d="M0 0V4" stroke="{c}" stroke-width="2"/></pattern>'
        for c in sorted({c for c in marks if c})
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" preserveAspectRatio="none">'
        f"<defs>{hatches}</defs>{''.join(shapes)}</svg>"
    )
    return f"data:image/svg+xml,{quote(svg)}"


def hatch_colour(day: Day) -> str | None:
    """Colour of a day's hatch; None for a certified day."""
    if day.is_certified:
        return None
    return BLOCKED if day.is_blocked else WAITING
