"""The page: its layout, and the one callback that fills it.

Belongs here: where things stand, what triggers a reading, which notice is shown instead of numbers.
Does not belong here: SQL (``queries``), components of a part (``parts``), figures (``figures``).

The address is the only state: ``?from=&to=``. The picker writes it (assets/dashboard.js), the callback reads it.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from typing import Any

import dash
import dash_mantine_components as dmc
import plotly.graph_objects as go
from dash import ClientsideFunction, Input, Output, State, dcc, html, no_update

from voiceai_assets.dashboard.days import Day, Period, badge, days_of, parse_query
from voiceai_assets.dashboard.figures import describe_trend, trend_figure
from voiceai_assets.dashboard.parts import aria, badge_link, notice
from voiceai_assets.dashboard.queries import CertifiedReader, DatabaseAwayError, Numbers, Snapshot
from voiceai_assets.dashboard.tables import certificates_table, days_table
from voiceai_assets.dashboard.tiles import TILES, Shown, earlier_period, tiles, withheld_text
from voiceai_assets.stats.intervals import Rate, rate

_log = logging.getLogger(__name__)

REFRESH_MS = 30_000
TITLE = "Voice AI Analytics"
_THEME = {
    "primaryColor": "teal",
    "primaryShade": 9,  # lighter ones carry white text at less than 4.5:1
    "fontFamily": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
}


def layout(dagster_url: str) -> Any:
    """The empty page; every visitor gets the same one."""
    return dmc.MantineProvider(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Interval(id="tick", interval=REFRESH_MS),
            dcc.Store(id="shown"),
            html.A("Skip to the numbers", href="#main", className="skip"),
            _header(dagster_url),
            html.Main(
                [
                    html.Div(id="late", role="status", className="late", hidden=True),
                    html.Div(_controls(), id="controls", className="controls", hidden=True),
                    html.Div(id="notice"),
                    html.Div(_numbers(), id="numbers"),
                    html.Div(_quality(), id="quality", hidden=True),
                ],
                id="main",
                tabIndex="-1",
            ),
        ],
        theme=_THEME,
        defaultColorScheme="auto",
    )


def _header(dagster_url: str) -> Any:
    return html.Header(
        html.Div(
            [
                html.Div(
                    [
                        html.H1(TITLE),
                        html.P("Certified days only. A day that failed its checks is hatched, never counted as zero."),
                    ]
                ),
                html.Div(
                    [
                        html.Span("not read yet", id="refreshed", className="refreshed"),
                        html.A("Trace", href="/trace"),
                        html.A("Model", href="/model"),
                        html.A("Dagster", href=dagster_url, target="_blank", rel="noopener noreferrer"),
                        dmc.ColorSchemeToggle(
                            id="scheme",
                            lightIcon=html.Span("☀", **aria(hidden="true")),
                            darkIcon=html.Span("☾", **aria(hidden="true")),
                            variant="default",
                            size="lg",
                            **aria(label="Switch between light and dark"),
                        ),
                    ],
                    className="actions",
                ),
            ],
            className="wide",
        )
    )


def _controls() -> list[Any]:
    return [
        dmc.DatePickerInput(
            id="range",
            type="range",
            label="Days",
            valueFormat="YYYY-MM-DD",
            clearable=True,
            hideOutsideDates=True,
            weekendDays=[],
            allowSingleDateInRange=True,
            clearButtonProps={"aria-label": "Back to the default days"},
            ariaLabels={"previousMonth": "Previous month", "nextMonth": "Next month"},
            popoverProps={"withinPortal": False, "withRoles": False},  # its dialog role would have no name
            w=260,
        ),
        html.P(id="known", className="known"),
        html.A("Download days as CSV", id="export", href="/export/days.csv", className="download"),
    ]


def _numbers() -> list[Any]:
    return [
        html.Section(
            [
                html.Div(
                    [
                        html.H2("Key figures", id="key-figures"),
                        html.Div(id="badge"),
                        html.P(id="earlier", className="known"),
                    ],
                    className="heading",
                ),
                html.Div([dmc.Skeleton(height=214) for _ in range(7)], id="tiles", className="tiles"),
            ],
            **aria(labelledby="key-figures"),
        ),
        html.Section(
            [
                html.H2("Completion rate by day", id="trend-title"),
                html.P(id="trend-note", className="known"),
                html.Div(
                    dcc.Graph(
                        id="trend",
                        figure=go.Figure(layout={"template": "none", "height": 320}),
                        config={"displayModeBar": False, "displaylogo": False, "showTips": False},
                        responsive=True,
                        style={"height": 320},
                    ),
                    id="trend-box",
                    role="img",
                    **aria(label="Completion rate by day"),
                ),
                html.Ul(
                    [
                        html.Li([html.Span(className="key key-band"), "95 % interval, clustered by user"]),
                        html.Li([html.Span(className="key key-blocked"), "blocked by a check"]),
                        html.Li([html.Span(className="key key-waiting"), "stale, not loaded or not judged"]),
                        html.Li([html.Span(className="key key-open"), "fewer than 30 users"]),
                    ],
                    className="legend",
                ),
            ],
            className="panel",
            **aria(labelledby="trend-title"),
        ),
    ]


def _quality() -> list[Any]:
    return [
        html.Section(
            [html.H2("Quality", id="quality-title"), html.Div(id="days")],
            className="panel",
            **aria(labelledby="quality-title"),
        ),
        html.Section(
            [html.H2("Certificates", id="certificates-title"), html.Div(id="certificates-table")],
            id="certificates",
            className="panel",
            tabIndex="-1",
            **aria(labelledby="certificates-title"),
        ),
    ]


OUTPUTS = {
    "refreshed": Output("refreshed", "children"),
    "shown": Output("shown", "data"),
    "notice": Output("notice", "children"),
    "controls_hidden": Output("controls", "hidden"),
    "numbers_hidden": Output("numbers", "hidden"),
    "quality_hidden": Output("quality", "hidden"),
    "range": Output("range", "value"),
    "min_date": Output("range", "minDate"),
    "max_date": Output("range", "maxDate"),
    "known": Output("known", "children"),
    "export": Output("export", "href"),
    "badge": Output("badge", "children"),
    "earlier": Output("earlier", "children"),
    "tiles": Output("tiles", "children"),
    "trend": Output("trend", "figure"),
    "trend_text": Output("trend-box", "aria-label"),
    "trend_note": Output("trend-note", "children"),
    "days": Output("days", "children"),
    "certificates": Output("certificates-table", "children"),
}


def register_callbacks(app: dash.Dash, reader: CertifiedReader) -> None:
    """Connect the page to the warehouse."""

    @app.callback(
        output=OUTPUTS,
        inputs={"search": Input("url", "search"), "_tick": Input("tick", "n_intervals")},
        state={"shown": State("shown", "data")},
        on_error=broken,
    )
    def fill(search: str | None, _tick: int | None, shown: dict[str, Any] | None) -> dict[str, Any]:
        try:
            snapshot = reader.snapshot(parse_query(search))
        except DatabaseAwayError as error:
            return away(str(error))
        moment = datetime.now(UTC)
        if shown and shown.get("fingerprint") == snapshot.fingerprint:
            return unchanged(shown, moment)
        return page(snapshot, moment)

    in_browser: Any = app.clientside_callback  # untyped in Dash
    in_browser(ClientsideFunction("voiceai", "chooseDays"), Input("range", "value"), State("shown", "data"))
    in_browser(
        ClientsideFunction("voiceai", "sayLate"),
        Output("late", "children"),
        Output("late", "hidden"),
        Input("shown", "data"),
        Input("tick", "n_intervals"),
    )


def unchanged(shown: dict[str, Any], moment: datetime) -> dict[str, Any]:
    """The same certificates are live: only the moment is new, and nothing on the page loses focus."""
    kept = dict.fromkeys(OUTPUTS, no_update)
    return kept | {"refreshed": _refreshed(moment), "shown": {**shown, "checked_at": moment.isoformat()}}


def away(reason: str) -> dict[str, Any]:
    """The database did not answer: numbers go out of sight, because nobody can say whether they still hold."""
    text = f"{reason} Numbers are hidden until it does; this page tries again every {REFRESH_MS // 1000} s."
    return _only(notice("Not connected", text, ["voiceai doctor"], is_error=True))


def broken(error: Exception) -> dict[str, Any]:
    """A fault of ours: the log has it in full, the page says that it happened instead of standing still."""
    _log.error("the page could not be built", exc_info=error)
    text = f"The page could not be built ({type(error).__name__}). The full error is in the dashboard's log."
    return _only(notice("Something is wrong with this page", text, is_error=True))


def _only(shown: Any) -> dict[str, Any]:
    return dict.fromkeys(OUTPUTS, no_update) | {
        "refreshed": "no numbers",
        "shown": None,
        "notice": shown,
        "controls_hidden": True,
        "numbers_hidden": True,
        "quality_hidden": True,
    }


def page(snapshot: Snapshot, moment: datetime) -> dict[str, Any]:
    """All of the page for a snapshot, numbers or the reason why there are none."""
    outputs: dict[str, Any] = dict.fromkeys(OUTPUTS, no_update) | {
        "refreshed": _refreshed(moment),
        "shown": _shown(snapshot, moment),
        "notice": None,
        "controls_hidden": snapshot.span is None,
        "numbers_hidden": True,
        "quality_hidden": True,
    }
    if snapshot.span is None:
        commands = ["voiceai land FILE_OR_FOLDER", "voiceai materialize --from YYYY-MM-DD --to YYYY-MM-DD"]
        return outputs | {"notice": notice("Nothing has landed yet", "Land files, then run their days.", commands)}
    outputs |= {
        "min_date": snapshot.span.start.isoformat(),
        "max_date": snapshot.span.end.isoformat(),
        "known": f"Known days: {snapshot.span}",
    }
    days = days_of(snapshot.days)
    if snapshot.range is None or not days:
        text = f"Nothing landed on any of those days. Known days: {snapshot.span}. Clear or change the days above."
        return outputs | {"range": _picked(snapshot.range), "notice": notice("No known day", text)}
    rates = _completion_by_day(snapshot.numbers)
    outputs |= {
        "quality_hidden": False,
        "range": _picked(snapshot.range),
        "export": f"/export/days.csv{snapshot.range.query()}",
        "days": days_table(days, rates),
        "certificates": certificates_table(days),
    }
    if snapshot.numbers is None:
        return outputs | {"notice": _nothing_certified(snapshot.range, days)}
    earlier = earlier_period(snapshot.range, days_of(snapshot.days_before))
    shown = Shown(snapshot.range, days, earlier, badge(days))
    return outputs | {
        "numbers_hidden": False,
        "badge": badge_link(shown.judged),
        "earlier": f"Before: {earlier}" if earlier else None,
        "tiles": tiles(snapshot.numbers, shown),
        "trend": trend_figure(rates, days, snapshot.range),
        "trend_text": describe_trend(rates, days),
        "trend_note": _withheld_note(snapshot.numbers),
    }


def _completion_by_day(numbers: Numbers | None) -> dict[date, Rate]:
    """Nothing where the rate is withheld: a line of single numbers would say what the tile refuses to say."""
    if numbers is None or "completion" in numbers.withheld:
        return {}
    return {day: rate(sums) for day, sums in numbers.sums_of_days("completion").items()}


def _withheld_note(numbers: Numbers) -> str | None:
    why = numbers.withheld.get("completion")
    return f"Withheld: {withheld_text(TILES[0], why)}." if why else None


def _nothing_certified(shown: Period, days: list[Day]) -> Any:
    first = days[0].day if days else shown.start
    return notice(
        "No day is certified yet",
        "Days have landed, but none has passed its checks. The table below says what each one waits for.",
        [f"voiceai materialize --from {first} --to {shown.end}"],
    )


def _picked(shown: Period | None) -> list[str | None]:
    return [shown.start.isoformat(), shown.end.isoformat()] if shown else [None, None]


def _shown(snapshot: Snapshot, moment: datetime) -> dict[str, Any]:
    start, end = _picked(snapshot.range)
    return {
        "fingerprint": snapshot.fingerprint,
        "checked_at": moment.isoformat(),
        "start": start,
        "end": end,
    }


def _refreshed(moment: datetime) -> str:
    return f"Last refreshed {moment:%Y-%m-%d %H:%M:%S} UTC"
