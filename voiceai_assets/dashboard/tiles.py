"""The key figures: how each metric is estimated, worded and drawn. Pure.

Belongs here: definitions for people, numbers into words, one tile per metric. Does not belong here: the SQL of a metric
(``queries``), the mathematics (``stats.intervals``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import inf
from typing import Any

from dash import html

from voiceai_assets.catalogue import catalogue
from voiceai_assets.dashboard.days import Badge, Day, Period
from voiceai_assets.dashboard.figures import hatch_colour, sparkline
from voiceai_assets.dashboard.parts import badge_link, hint, people, percent
from voiceai_assets.dashboard.queries import Numbers
from voiceai_assets.governance.withheld import Withheld
from voiceai_assets.stats.intervals import Change, Rate, Sums, change, mean, rate

Show = Callable[[float], str]


@dataclass(frozen=True)
class Tile:
    """How a metric of the catalogue is shown; its words are the catalogue's."""

    key: str
    estimate: Callable[[Sums], Rate] = rate
    show: Show = percent
    show_change: Show = lambda value: signed(100 * value, 1)
    change_unit: str = " points"

    @property
    def label(self) -> str:
        """Name on the page."""
        return catalogue()[self.key].label

    @property
    def of(self) -> str:
        """What the denominator counts."""
        return catalogue()[self.key].counts

    @property
    def definition(self) -> str:
        """What the number means."""
        return catalogue()[self.key].definition


def signed(value: float, digits: int) -> str:
    """With a sign as wide as the plus, and none on what rounds to zero."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


TILES = (
    Tile("completion"),
    Tile("abandonment"),
    Tile("first_time_completion"),
    Tile("error_rate"),
    Tile(
        "asr_confidence",
        lambda sums: mean(sums, bounds=(0.0, 1.0)),
        lambda value: f"{value:.3f}",
        lambda value: signed(value, 3),
        "",
    ),
    Tile(
        "turns_per_session",
        lambda sums: mean(sums, bounds=(0.0, inf)),
        lambda value: f"{value:.2f}",
        lambda value: signed(value, 2),
        "",
    ),
)
_SESSIONS = "Sessions that started on the days shown and are in the certified data, in progress included."


@dataclass(frozen=True)
class Shown:
    """What all tiles of a page share: the period, its days, and the period before in words (empty: there is none)."""

    period: Period
    days: Sequence[Day]
    earlier: str
    judged: Badge

    def series(self, values: Mapping[date, float | None]) -> list[float | None]:
        """One value per calendar day; None wherever the day is not certified."""
        certified = {d.day for d in self.days if d.is_certified}
        return [values.get(d) if d in certified else None for d in self.period.days()]

    def marks(self) -> list[str | None]:
        """Hatch colour per calendar day; None for days that are certified or not known at all."""
        colours = {d.day: hatch_colour(d) for d in self.days}
        return [colours.get(d) for d in self.period.days()]


@dataclass(frozen=True)
class _Face:
    """The words of one tile."""

    label: str
    definition: str
    value: str
    interval: str
    basis: str
    moved: str
    is_clear: bool
    picture: Any


def tiles(numbers: Numbers, shown: Shown) -> list[Any]:
    """All key figures."""
    faces = [_metric(tile, numbers, shown) for tile in TILES]
    return [_draw(face, shown.judged) for face in (*faces, _sessions(numbers, shown))]


def _metric(tile: Tile, numbers: Numbers, shown: Shown) -> _Face:
    if why := numbers.withheld.get(tile.key):
        return _withheld(tile, why)
    sums, sums_before = numbers.sums(tile.key), numbers.sums(tile.key, "before_")
    now, before = tile.estimate(sums), tile.estimate(sums_before)
    moved = change(now, before, numbers.cross(tile.key).correlation(sums, sums_before))
    series = {day: tile.estimate(of_day).estimate for day, of_day in numbers.sums_of_days(tile.key).items()}
    return _Face(
        label=tile.label,
        definition=tile.definition,
        value="–" if now.estimate is None else tile.show(now.estimate),
        interval=interval_text(now, tile.show),
        basis="; ".join([basis_text(now, tile.of), *_notes(tile.key, numbers.by_period, now)]),
        moved=change_text(moved, tile, has_earlier=bool(shown.earlier)),
        is_clear=bool(shown.earlier) and moved.is_clear,
        picture=_picture(tile.label, tile.show, shown.series(series), shown.marks()),
    )


def _withheld(tile: Tile, why: Sequence[Withheld]) -> _Face:
    """A number that hangs on which of several ways one takes: the ways, and no number."""
    return _Face(
        label=tile.label,
        definition=tile.definition,
        value="withheld",
        interval=withheld_text(tile, why),
        basis="nobody can say which way is right; the governance report has them all",
        moved="no comparison",
        is_clear=False,
        picture=None,
    )


def withheld_text(tile: Tile, why: Sequence[Withheld]) -> str:
    """How far apart the ways lie, or with what the number falls."""
    own = [w for w in why if w.kpi == tile.key]
    if not own:
        return "hangs on what is withheld: " + ", ".join(dict.fromkeys(w.name for w in why))
    ranges = [f"{w.ways} ways give {tile.show(w.lowest)} to {tile.show(w.highest)} ({w.source})" for w in own]
    return "; ".join(ranges)


def _sessions(numbers: Numbers, shown: Shown) -> _Face:
    totals = numbers.by_period
    now, before = totals["sessions"], totals["before_sessions"]
    moved = "no earlier period"
    if shown.earlier and before:
        moved = f"{signed(100 * (now / before - 1), 1)}\u202f% against {before:,.0f} before"
    series: dict[date, float | None] = {d: float(row["sessions"]) for d, row in numbers.rows().items()}
    return _Face(
        label="Sessions",
        definition=_SESSIONS,
        value=f"{now:,.0f}",
        interval="a count: no interval",
        basis=f"{people(int(totals['users']), numbers.cluster)}; {totals['in_progress']:,.0f} in progress",
        moved=moved,
        is_clear=False,
        picture=_picture("Sessions", lambda value: f"{value:,.0f}", shown.series(series), shown.marks()),
    )


def interval_text(found: Rate, show: Show) -> str:
    """The 95 % interval in words."""
    if found.low is None or found.high is None:
        return "no interval: " + (f"one {found.cluster}" if found.n_users == 1 else "nothing to count")
    return f"95\u202f% interval {show(found.low)} to {show(found.high)}"


def basis_text(found: Rate, of: str) -> str:
    """What an estimate rests on."""
    return f"{found.denominator:,.0f} {of}, {people(found.n_users, found.cluster)}"


def _notes(key: str, totals: Mapping[str, float], found: Rate) -> list[str]:
    notes = []
    if key in ("completion", "abandonment"):
        notes.append(f"{totals['in_progress']:,.0f} in progress, not counted")
    if found.n_users and found.precision != "ok":
        notes.append("fewer than 30 users" if found.precision == "no comparison" else "low precision")
    return notes


def earlier_period(shown: Period, days_before: Sequence[Day]) -> str:
    """The period before in words, or nothing when no day of it is in the certified data."""
    published = sum(d.counts for d in days_before)
    if not published:
        return ""
    before = shown.before()
    return str(before) if published == len(before) else f"{before} ({published} of {len(before)} days published)"


def change_text(moved: Change, tile: Tile, *, has_earlier: bool) -> str:
    """The change against the period before, with what may be concluded from it."""
    if not has_earlier:
        return "no earlier period"
    if moved.estimate is None:
        return "nothing to compare with before"
    if moved.low is None or moved.high is None:
        return "no comparison with before: fewer than 30 users"
    show = tile.show_change
    text = f"{show(moved.estimate)}{tile.change_unit} ({show(moved.low)} to {show(moved.high)}) against before"
    return text if moved.is_clear else f"no clear change: {text}"


def _picture(label: str, show: Show, series: Sequence[float | None], marks: Sequence[str | None]) -> Any:
    known = [v for v in series if v is not None]
    text = f"{label} by day: " + (f"{show(min(known))} to {show(max(known))}" if known else "no certified day")
    if gaps := sum(mark is not None for mark in marks):
        text += f"; {gaps} known {'day' if gaps == 1 else 'days'} not certified"
    return html.Img(src=sparkline(series, marks), alt=text, className="sparkline")


def _draw(face: _Face, judged: Badge) -> Any:
    return html.Div(
        [
            html.H3(hint(html.Button(face.label, type="button", className="term"), [face.definition])),
            html.P(face.value, className="value"),
            html.P(face.interval, className="interval"),
            html.P(face.basis, className="basis"),
            html.P(face.moved, className="change clear" if face.is_clear else "change"),
            face.picture,
            badge_link(judged),
        ],
        className="tile",
    )
