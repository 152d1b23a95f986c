"""The tables of the page: days and certificates. Pure.

Belongs here: rows out of days. Does not belong here: which days (``queries``), the reason in words (``days``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from dash import html

from voiceai_assets.dashboard.days import Day
from voiceai_assets.dashboard.parts import aria, percent
from voiceai_assets.stats.intervals import Rate

TABLE_DAYS = 92  # a year of rows took a second to draw (2026-11-21); the CSV file has them all
_SHOWN_ID = 12
_NUMBERS = {"Landed", "Loaded", "Quarantined", "Version"}
_DAYS_HEAD = (
    "Day",
    "Status",
    "Reason, and what to do",
    "Completion rate",
    "Landed",
    "Loaded",
    "Quarantined",
    "Version",
    "Certificate",
)


def days_table(days: Sequence[Day], rates: Mapping[date, Rate]) -> Any:
    """The newest known days, and every older one that is not plainly certified; ``rates`` are completion rates."""
    shown = _newest(days)
    shown += [d for d in sorted(days, key=_day, reverse=True)[TABLE_DAYS:] if d.status != "certified"][:TABLE_DAYS]
    rows = [
        html.Tr(
            [
                html.Th(d.day.isoformat(), scope="row"),
                html.Td(html.Span(d.status, className=f"status status-{_level(d)}")),
                html.Td(_reason(d), className="reason"),
                html.Td(_rate(rates.get(d.day) if d.is_certified else None)),
                *(html.Td(f"{n:,}", className="number") for n in (d.landed_records, d.rows_loaded, d.rows_quarantined)),
                html.Td("–" if d.version is None else str(d.version), className="number"),
                html.Td(_short_id(d)),
            ]
        )
        for d in shown
    ]
    return _table("Days of the range, newest first", _DAYS_HEAD, rows, len(days))


def certificates_table(days: Sequence[Day]) -> Any:
    """What is published of the range, under which certificate."""
    published = [d for d in days if d.counts]
    if not published:
        return html.P("No day of this range is published.")
    rows = [
        html.Tr(
            [
                html.Th(d.day.isoformat(), scope="row"),
                html.Td(_short_id(d)),
                html.Td(str(d.version), className="number"),
                html.Td(f"{d.published_at:%Y-%m-%d %H:%M:%S} UTC" if d.published_at else "–"),
            ]
        )
        for d in _newest(published)
    ]
    head = ("Day", "Certificate", "Version", "Published")
    return _table("Certificates of the range, newest first", head, rows, len(published))


def _day(day: Day) -> date:
    return day.day


def _newest(days: Sequence[Day]) -> list[Day]:
    return sorted(days, key=_day, reverse=True)[:TABLE_DAYS]


def _table(label: str, head: Sequence[str], rows: Sequence[Any], total: int) -> Any:
    """Scrolls in its own box, which the keyboard can reach."""
    header = html.Tr([html.Th(h, scope="col", className="number" if h in _NUMBERS else None) for h in head])
    table = html.Table([html.Caption(label), html.Thead(header), html.Tbody(list(rows))])
    box = html.Div(table, className="scroll", role="region", tabIndex="0", **aria(label=label))
    if total <= len(rows):
        return box
    return [box, html.P(f"Not shown: {total - len(rows):,} older; the CSV file has them.", className="mend")]


def _level(day: Day) -> str:
    if day.is_certified:
        return "certified" if day.status == "certified" else "warnings"
    return "blocked" if day.is_blocked else "waiting"


def _reason(day: Day) -> Any:
    if not day.why():
        return "–"
    parts: list[Any] = [html.Div(day.why())]
    if day.mend():
        parts.append(html.Div(f"To do: {day.mend()}", className="mend"))
    if day.counts and not day.is_certified:
        parts.append(html.Div(f"Version {day.version}, published before, still counts.", className="mend"))
    if (more := len(day.reasons) - 1) > 0 and day.status in ("blocked", "certified with warnings"):
        parts.append(html.Div(f"and {more} more {'reason' if more == 1 else 'reasons'}", className="mend"))
    return parts


def _rate(found: Rate | None) -> str:
    if found is None or found.estimate is None:
        return "–"
    if found.low is None or found.high is None:
        return percent(found.estimate)
    return f"{percent(found.estimate)} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def _short_id(day: Day) -> Any:
    """The certificate, leading to what it rests on."""
    if not day.certificate_id:
        return "–"
    shown = html.Code(day.certificate_id[:_SHOWN_ID], title=day.certificate_id)
    return html.A(shown, href=f"/trace?day={day.day}", **aria(label=f"Trace {day.day}"))
