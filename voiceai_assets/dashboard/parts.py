"""Small components that several parts of the page share: hints, badges, notices. Pure.

Belongs here: what tiles, tables and the layout all use. Does not belong here: tiles (``tiles``), tables (``tables``),
callbacks and the layout (``overview``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import html

from voiceai_assets.dashboard.days import Badge
from voiceai_assets.stats.intervals import Cluster

_MARKS = {"certified": "✓", "warnings": "!", "partial": "◐", "none": "×"}


def aria(**values: str) -> dict[str, Any]:
    """Attributes ``aria-...``, whose names are no Python identifiers."""
    return {f"aria-{name}": value for name, value in values.items()}


_PLURAL: Mapping[Cluster, str] = {"user": "users", "group of users": "groups of users"}


def percent(value: float) -> str:
    """One decimal; two where one would turn nearly all into all, or hardly any into none."""
    is_plain = value in (0.0, 1.0) or 0.0005 <= value < 0.9995  # half of the last digit shown
    return f"{100 * value:.{1 if is_plain else 2}f}\u202f%"


def people(count: int, cluster: Cluster) -> str:
    """So many users, or groups of them."""
    return f"{count:,} {cluster if count == 1 else _PLURAL[cluster]}"


def hint(target: Any, lines: Sequence[str]) -> Any:
    """Lines of text shown on hover, on focus and on touch."""
    return dmc.Tooltip(
        target,
        label=html.Div([html.Div(line) for line in lines]),
        multiline=True,
        w=300,
        events={"hover": True, "focus": True, "touch": True},
        boxWrapperProps={"display": "inline-block"},
        withArrow=True,
        withinPortal=False,  # inside a landmark, where a screen reader finds it
    )


def badge_link(judged: Badge) -> Any:
    """The computed badge: lists the days that are not certified, leads to the certificates."""
    link = html.A(
        [html.Span(_MARKS[judged.level], **aria(hidden="true")), " ", judged.text],
        href="#certificates",
        className=f"badge badge-{judged.level}",
    )
    return hint(link, judged.lines() or ["Every known day passed all its checks."])


def notice(title: str, text: str, commands: Sequence[str] = (), *, is_error: bool = False) -> Any:
    """Something to say instead of numbers; always with the next step."""
    return html.Div(
        [html.H2(title), html.P(text), *(html.Pre(html.Code(c)) for c in commands)],
        className="notice notice-error" if is_error else "notice",
        role="alert" if is_error else None,
    )
