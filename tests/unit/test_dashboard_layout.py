"""The dashboard's decisions: which days, which badge, which hatch, which words. Nothing here needs a database."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import unquote

import pandas as pd
import pytest
from dash.development.base_component import Component
from hypothesis import given
from hypothesis import strategies as st

from voiceai_assets.catalogue import catalogue
from voiceai_assets.dashboard import overview
from voiceai_assets.dashboard.app import create_app
from voiceai_assets.dashboard.days import Day, Period, Request, badge, days_of, parse_query, resolve
from voiceai_assets.dashboard.export import days_csv, neutral
from voiceai_assets.dashboard.figures import describe_trend, sparkline, trend_figure
from voiceai_assets.dashboard.parts import percent
from voiceai_assets.dashboard.queries import METRICS, Numbers, Snapshot
from voiceai_assets.dashboard.tables import TABLE_DAYS, days_table
from voiceai_assets.dashboard.tiles import TILES, change_text, earlier_period, signed
from voiceai_assets.governance.withheld import Withheld, withheld_by_metric
from voiceai_assets.settings import REPOSITORY
from voiceai_assets.stats.intervals import Change, Sums, clustered_rate
from voiceai_assets.warehouse.server import Address

FIRST = date(2026, 8, 1)
NOW = datetime(2026, 8, 31, 12, tzinfo=UTC)
REASON = {"check": "c", "asset": "a", "kind": "failed", "severity": "critical", "text": "not so: x", "mend": "mend x"}


def a_day(offset: int = 0, status: str = "certified", **changes) -> Day:
    published = status.startswith("certified")
    values = {
        "day": FIRST + timedelta(days=offset),
        "landed_records": 10,
        "rows_loaded": 9,
        "rows_quarantined": 1,
        "rows_duplicate": 0,
        "status": status,
        "stale_because": None,
        "reasons": (REASON,) if status in ("blocked", "certified with warnings") else (),
        "certificate_id": f"{offset:064x}" if published else None,
        "version": 1 if published else None,
        "published_at": NOW if published else None,
    }
    return Day(**{**values, **changes})


def frame_of(days) -> pd.DataFrame:
    columns = list(Day.__dataclass_fields__)
    return pd.DataFrame(
        [[list(v) if isinstance(v := getattr(d, c), tuple) else v for c in columns] for d in days],
        columns=columns,
        dtype=object,
    )


def numbers_for(days) -> Numbers:
    """40 users a day, two sessions each, every second one completed."""
    sums = {"users": 40, "n": 40.0, "d": 80.0, "nn": 40.0, "nd": 80.0, "dd": 160.0}
    metrics = {f"{key}_{part}": value for key in METRICS for part, value in sums.items()}
    rows = [{"day": d.day, "users": 40, "sessions": 80, "in_progress": 3, **metrics} for d in days if d.counts]
    period = {"users": 40.0, "sessions": 80.0, "in_progress": 3.0, **metrics}
    before = {f"before_{name}": 0.0 for name in period}
    cross = {f"{key}_x_{part}": 0.0 for key in METRICS for part in ("nn", "nd", "dn", "dd")}
    return Numbers(pd.DataFrame(rows, dtype=object), {**period, **before, **cross})


WITHHELD = Withheld("completion", "irembo", 3, 0.547, 0.602)


def snapshot_of(days, *, is_published: bool = True) -> Snapshot:
    period = Period(days[0].day, days[-1].day)
    numbers = numbers_for(days) if is_published else None
    return Snapshot(period, period, frame_of(days), frame_of([]), numbers, "fingerprint")


def text_of(component) -> str:
    """Everything a reader could read in a component."""
    if isinstance(component, Component):
        return " ".join(text_of(getattr(component, name, None)) for name in ("children", "label", "alt", "title"))
    if isinstance(component, list | tuple):
        return " ".join(map(text_of, component))
    return "" if component is None else str(component)


# -- the address ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "search",
    [
        None,
        "",
        "?",
        "?from=javascript:alert(1)&to=<script>",
        "?from=2026-13-01&to=2026-02-30",
        "?from=20260801",
        "?from=2026-W31-6",
        "?from=2026-08-01T00:00",
        "?from=\uff12\uff10\uff12\uff16-08-01",  # full-width digits, which int() would take
        "?from=2026-08-01%00",
        "?from=2026-08-01%0A",
        "?from=' or 1=1 --",
        "?" + "a=b&" * 1000 + "from=2026-08-01",
        "?" + "a&" * 100,
        "?%ff%fe=%00",
    ],
)
def test_an_address_that_says_nothing_useful_asks_for_the_default(search):
    assert parse_query(search) == Request()


def test_an_address_with_two_days_asks_for_them():
    assert parse_query("?from=2026-08-01&to=2026-08-31&x=1") == Request(FIRST, date(2026, 8, 31))


def test_reversed_days_are_turned_round():
    assert parse_query("?from=2026-08-31&to=2026-08-01") == Request(FIRST, date(2026, 8, 31))


def test_one_usable_day_is_used():
    assert parse_query("?from=2026-08-01&to=javascript:1") == Request(FIRST, None)


@given(st.text(max_size=600))
def test_no_text_breaks_the_address(text):
    found = parse_query(text)
    assert found.start is None or found.end is None or found.start <= found.end


@given(st.dates(), st.dates())
def test_an_address_survives_the_way_there_and_back(a, b):
    period = Period(min(a, b), max(a, b))
    assert parse_query(period.query()) == Request(period.start, period.end)


def test_without_a_request_the_whole_span_or_its_last_90_days_are_shown():
    assert resolve(Request(), Period(FIRST, FIRST + timedelta(days=89))) == Period(FIRST, FIRST + timedelta(days=89))
    long = Period(date(2013, 3, 22), FIRST)
    shown = resolve(Request(), long)
    assert (len(shown), shown.end) == (90, FIRST)


def test_a_request_is_cut_to_what_is_known_so_that_nobody_can_ask_for_ten_thousand_years():
    span = Period(FIRST, FIRST + timedelta(days=9))
    assert resolve(Request(date.min, date.max), span) == span
    assert resolve(Request(None, FIRST), span) == Period(FIRST, FIRST)
    assert resolve(Request(date(2030, 1, 1), None), span) is None


def test_the_period_before_is_as_long_and_ends_the_day_before():
    assert Period(FIRST, FIRST + timedelta(days=6)).before() == Period(date(2026, 7, 25), date(2026, 7, 31))


# -- the badge -----------------------------------------------------------------------------------------------------


def test_the_badge_says_certified_only_when_every_known_day_is():
    assert (badge([a_day(0), a_day(1)]).text, badge([a_day(0)]).level) == ("certified", "certified")
    assert badge([a_day(0)]).exceptions == ()


def test_one_day_with_warnings_shows_in_the_badge():
    found = badge([a_day(0), a_day(1, "certified with warnings")])
    assert (found.text, found.level) == ("certified with warnings", "warnings")
    assert found.lines() == ["2026-08-02 certified with warnings: not so: x"]


@pytest.mark.parametrize("status", ["blocked", "stale", "not certified", "not loaded", "not judged"])
def test_one_day_that_is_not_certified_takes_the_word_away(status):
    found = badge([*map(a_day, range(29)), a_day(29, status)])
    assert (found.text, found.level) == ("29 of 30 days certified", "partial")
    assert [d.status for d in found.exceptions] == [status]
    assert found.lines()[0].startswith(f"2026-08-30 {status}: ")


def test_a_day_with_warnings_counts_as_certified_and_is_not_listed_among_those_that_are_not():
    found = badge([a_day(0, "certified with warnings"), a_day(1, "blocked")])
    assert found.text == "1 of 2 days certified"
    assert [d.status for d in found.exceptions] == ["blocked"]


def test_no_certified_day_and_no_known_day_have_badges_of_their_own():
    assert (badge([a_day(0, "blocked")]).text, badge([a_day(0, "blocked")]).level) == ("0 of 1 day certified", "none")
    assert (badge([]).text, badge([]).level) == ("no known day", "none")


def test_a_long_list_of_exceptions_is_counted_and_long_reasons_are_cut():
    days = [a_day(i, "blocked", reasons=({**REASON, "text": "x" * 5000},)) for i in range(20)]
    lines = badge(days).lines()
    assert lines[-1] == "and 12 more, in the table of days"
    assert max(map(len, lines)) < 160


def test_an_older_version_that_still_counts_is_named():
    stale = a_day(0, "stale", stale_because="files changed", certificate_id="c", version=3)
    assert badge([stale]).lines() == ["2026-08-01 stale: files changed (version 3 still counts)"]


def test_days_come_typed_out_of_the_frame_and_a_missing_verdict_is_not_a_pass():
    days = [a_day(0), a_day(1, "blocked")]
    assert days_of(frame_of(days)) == days
    frame = frame_of([a_day(0)])
    frame["status"] = None
    assert not days_of(frame)[0].is_certified


# -- figures -------------------------------------------------------------------------------------------------------


def rates_of(days):
    return {d.day: clustered_rate([1] * 40 + [0] * 10, [1] * 50) for d in days}


def hatches(figure):
    return [bar for bar in figure.data if bar.type == "bar"]


def test_the_figure_has_one_hatched_shape_for_each_day_that_is_not_certified():
    days = [a_day(0), a_day(1, "blocked"), a_day(2), a_day(3, "blocked"), a_day(4, "stale"), a_day(5, "not loaded")]
    figure = trend_figure(rates_of(days), days, Period(FIRST, FIRST + timedelta(days=5)))
    by_name = {bar.name: bar for bar in hatches(figure)}
    assert list(by_name["blocked"].x) == [days[1].day, days[3].day]
    assert list(by_name["not certified"].x) == [days[4].day, days[5].day]
    assert all(bar.marker.pattern.shape for bar in by_name.values())
    assert by_name["blocked"].marker.pattern.shape != by_name["not certified"].marker.pattern.shape


def test_a_hatched_day_is_a_gap_and_never_a_zero():
    days = [a_day(0), a_day(1, "blocked"), a_day(2)]
    figure = trend_figure(rates_of(days), days, Period(FIRST, FIRST + timedelta(days=2)))
    line = next(t for t in figure.data if t.name == "by day")
    assert [y is None for y in line.y] == [False, True, False]
    assert line.connectgaps is False
    assert all(list(bar.y) == [1.0] * len(bar.x) and bar.yaxis == "y2" for bar in hatches(figure))


def test_the_reason_stands_in_the_hover_text_and_cannot_be_markup():
    evil = {**REASON, "text": "<a href='javascript:alert(1)'>x</a>", "mend": "<img src=x>"}
    day = a_day(0, "blocked", reasons=(evil,))
    (bar,) = hatches(trend_figure({}, [day], Period(FIRST, FIRST)))
    assert "&lt;a" in bar.text[0]
    assert re.findall(r"<(?!/?b>|br>)", bar.text[0]) == []


def test_a_date_of_which_nothing_is_known_is_a_plain_gap():
    days = [a_day(0), a_day(1), a_day(4), a_day(5)]
    figure = trend_figure(rates_of(days), days, Period(FIRST, FIRST + timedelta(days=5)))
    assert hatches(figure) == []
    line, band = (next(t for t in figure.data if t.name == n) for n in ("by day", "95 % interval"))
    assert [y is None for y in line.y] == [False, False, True, True, False, False]
    assert [y is None for y in band.y].count(True) == 2  # two closed shapes: the band does not bridge the gap


def test_days_with_few_users_have_an_open_marker():
    rates = {FIRST: clustered_rate([1] * 5, [1] * 5), FIRST + timedelta(days=1): clustered_rate([1] * 50, [1] * 50)}
    figure = trend_figure(rates, [a_day(0), a_day(1)], Period(FIRST, FIRST + timedelta(days=1)))
    line = next(t for t in figure.data if t.name == "by day")
    assert list(line.marker.symbol) == ["circle-open", "circle"]


def test_an_axis_of_shares_has_no_tick_above_100_percent():
    rates = {FIRST: clustered_rate([50] * 900, [50] * 900)}
    low, high = trend_figure(rates, [a_day(0)], Period(FIRST, FIRST)).layout.yaxis.range
    assert low < 0.99
    assert 1 < high < 1.005


def test_a_figure_without_any_certified_day_is_drawn_too():
    figure = trend_figure({}, [a_day(0, "blocked")], Period(FIRST, FIRST))
    assert json.loads(figure.to_json())["layout"]["yaxis"]["range"] == [0.0, 1.0]
    assert describe_trend({}, [a_day(0, "blocked")]).endswith("1 known day is not certified.")


def test_a_sparkline_breaks_at_gaps_and_hatches_them():
    svg = unquote(sparkline([1.0, 2.0, None, 3.0, 4.0, None, 5.0], [None, None, "#d9480f", None, None, None, None]))
    assert (svg.count("<polyline"), svg.count("<circle"), svg.count("<rect")) == (2, 1, 1)
    assert "url(#hd9480f)" in svg
    assert unquote(sparkline([None], [None])).count("<polyline") == 0


# -- words ---------------------------------------------------------------------------------------------------------


def test_nearly_all_is_not_shown_as_all():
    assert [percent(v) for v in (0.0, 1.0, 0.9999, 0.0001, 0.5)] == [
        "0.0\u202f%",
        "100.0\u202f%",
        "99.99\u202f%",
        "0.01\u202f%",
        "50.0\u202f%",
    ]


def test_a_change_of_nothing_has_no_sign():
    assert [signed(v, 1) for v in (-0.04, 0.04, 0.5, -0.5)] == ["0.0", "0.0", "+0.5", "−0.5"]


def test_a_change_says_what_may_be_concluded_from_it():
    tile = TILES[0]
    clear, unclear = Change(0.05, 0.01, 0.09), Change(0.01, -0.02, 0.04)
    assert change_text(clear, tile, has_earlier=True) == "+5.0 points (+1.0 to +9.0) against before"
    assert change_text(unclear, tile, has_earlier=True).startswith("no clear change: ")
    assert change_text(clear, tile, has_earlier=False) == "no earlier period"
    assert "fewer than 30 users" in change_text(Change(0.05, None, None), tile, has_earlier=True)


def test_an_earlier_period_exists_only_if_some_day_of_it_is_published():
    shown = Period(FIRST + timedelta(days=2), FIRST + timedelta(days=3))
    assert earlier_period(shown, [a_day(0, "blocked")]) == ""
    assert earlier_period(shown, [a_day(0), a_day(1)]) == "2026-08-01 to 2026-08-02"
    assert earlier_period(shown, [a_day(0)]).endswith("(1 of 2 days published)")


# -- the CSV file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\r=1", "\n=1", "  =1"])
def test_a_text_that_a_spreadsheet_would_run_is_neutralised(cell):
    assert neutral(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["certified", "", None, -1, -0.5, "2026-08-01", "a=b"])
def test_other_cells_stay_as_they_are(cell):
    assert neutral(cell) == cell


def test_the_csv_file_has_a_row_per_day_and_no_numbers_for_a_day_that_is_not_certified():
    evil = {**REASON, "text": '=cmd|" /C calc"!A0'}
    days = [a_day(0), a_day(1, "blocked", reasons=(evil,)), a_day(2, "stale", certificate_id="c", version=1)]
    rows = list(csv.DictReader(io.StringIO(days_csv(snapshot_of(days)))))
    assert [r["status"] for r in rows] == ["certified", "blocked", "stale"]
    assert [r["completion"] for r in rows] == ["0.5", "", ""]
    assert rows[1]["reason"].startswith("'=cmd")
    assert float(rows[0]["completion_low"]) < 0.5 < float(rows[0]["completion_high"])


def test_the_csv_file_of_an_unpublished_warehouse_still_says_why():
    rows = list(csv.DictReader(io.StringIO(days_csv(snapshot_of([a_day(0, "blocked")], is_published=False)))))
    assert (rows[0]["reason"], rows[0]["sessions"]) == ("not so: x", "")


# -- the page ------------------------------------------------------------------------------------------------------


def test_the_page_shows_tiles_badge_trend_and_tables():
    shown = overview.page(snapshot_of([a_day(0), a_day(1, "blocked"), a_day(2)]), NOW)
    assert (shown["numbers_hidden"], shown["quality_hidden"], shown["notice"]) == (False, False, None)
    assert len(shown["tiles"]) == len(TILES) + 1
    for tile in shown["tiles"]:
        assert "2 of 3 days certified" in text_of(tile)
        assert "no earlier period" in text_of(tile)
    assert "3 in progress, not counted" in text_of(shown["tiles"][0])
    assert "not so: x" in text_of(shown["days"])
    assert "To do: mend x" in text_of(shown["days"])
    assert f"{0:012x}" in text_of(shown["certificates"])
    assert shown["export"] == "/export/days.csv?from=2026-08-01&to=2026-08-03"


def test_the_table_gives_no_rate_of_a_day_that_is_not_certified_even_if_an_older_version_counts():
    stale = a_day(0, "stale", certificate_id="c" * 64, version=3, stale_because="files changed")
    text = text_of(days_table([stale], rates_of([stale])))
    assert "80.0" not in text
    assert "Version 3, published before, still counts." in text
    assert "voiceai materialize --from 2026-08-01" in text
    assert "80.0\u202f% (" in text_of(days_table([a_day(0)], rates_of([a_day(0)])))


def test_a_long_table_leaves_out_older_certified_days_but_none_that_is_not():
    days = [a_day(0), a_day(1, "blocked"), *(a_day(i) for i in range(2, TABLE_DAYS + 2))]
    text = text_of(days_table(days, {}))
    assert "Not shown: 1 older; the CSV file has them." in text
    assert str(days[0].day) not in text
    assert str(days[1].day) in text


def test_before_anything_landed_the_page_says_what_to_do():
    nothing = frame_of([])
    shown = overview.page(Snapshot(None, None, nothing, nothing, None, "f"), NOW)
    assert "voiceai land" in text_of(shown["notice"])
    assert "voiceai materialize" in text_of(shown["notice"])
    assert shown["numbers_hidden"]


def test_before_the_first_publication_the_page_says_what_to_do_and_shows_the_days():
    shown = overview.page(snapshot_of([a_day(0, "not loaded"), a_day(1, "blocked")], is_published=False), NOW)
    assert "voiceai materialize --from 2026-08-01 --to 2026-08-02" in text_of(shown["notice"])
    assert (shown["numbers_hidden"], shown["quality_hidden"]) == (True, False)


def test_days_outside_of_what_is_known_are_said_to_be_so():
    nothing = frame_of([])
    shown = overview.page(Snapshot(Period(FIRST, FIRST), None, nothing, nothing, None, "f"), NOW)
    assert "Known days: 2026-08-01" in text_of(shown["notice"])
    assert shown["numbers_hidden"]


@pytest.mark.parametrize("outputs", [overview.away("The database does not answer."), overview.broken(KeyError("x"))])
def test_without_an_answer_no_old_number_stays_in_sight(outputs):
    assert all(outputs[name] for name in ("controls_hidden", "numbers_hidden", "quality_hidden"))
    assert outputs["shown"] is None  # so that the next answer is drawn in full
    assert outputs["notice"].role == "alert"
    assert set(outputs) == set(overview.OUTPUTS)


def test_a_refresh_that_finds_the_same_certificates_redraws_nothing_but_the_time():
    before = overview.page(snapshot_of([a_day(0)]), NOW)
    later = overview.unchanged(before["shown"], NOW + timedelta(seconds=30))
    changed = {name for name, value in later.items() if not isinstance(value, type(overview.no_update))}
    assert changed == {"refreshed", "shown"}
    assert "12:00:30 UTC" in later["refreshed"]


# -- HTTP, with a database that is away ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    nowhere = Address({"host": str(tmp_path_factory.mktemp("no_server")), "dbname": "voiceai", "user": "bi_reader"})
    return create_app(nowhere, "http://127.0.0.1:3000/").server.test_client()


def test_health_is_503_when_the_database_is_away(client):
    assert client.get("/health").status_code == 503


def test_the_export_does_not_pretend_when_the_database_is_away(client):
    answer = client.get("/export/days.csv")
    assert answer.status_code == 503
    assert "does not answer" in answer.text


@pytest.mark.parametrize("path", ["/", "/health", "/assets/style.css"])
def test_every_answer_carries_the_security_headers(client, path):
    headers = client.get(path).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    script = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "unsafe" not in script


def test_the_page_refers_to_nothing_outside(client):
    html = client.get("/").text
    assert '<html lang="en">' in html
    references = re.findall(r"""(?:src|href)=["']([^"']+)""", html)
    assert references
    assert all(r.startswith("/") and not r.startswith("//") for r in references)


def test_the_link_to_dagster_must_be_a_web_address():
    with pytest.raises(ValueError, match="web address"):
        create_app(Address({"dbname": "x"}), "javascript:alert(1)")


def test_a_tile_exists_for_every_metric_of_the_catalogue():
    assert [tile.key for tile in TILES] == list(METRICS)
    assert all(tile.estimate(Sums(0, 0, 0, 0, 0, 0)).estimate is None for tile in TILES)


# -- what is withheld ------------------------------------------------------------------------------------------------


def test_a_withheld_figure_is_nowhere_on_the_page_and_its_ways_are():
    days = [a_day(n) for n in range(3)]
    open_page = snapshot_of(days)
    withheld = replace(open_page, numbers=replace(open_page.numbers, withheld=withheld_by_metric([WITHHELD])))
    for snapshot, is_shown in ((open_page, True), (withheld, False)):
        shown = overview.page(snapshot, NOW)
        assert ("50.0\u202f%" in text_of([shown["tiles"][0], shown["days"]])) == is_shown
        assert ("50.0%" in shown["trend_text"]) == is_shown
        row = next(csv.DictReader(io.StringIO(days_csv(snapshot))))
        assert (row["completion"] == "0.5") == is_shown
        assert row["completion_n"] == "80.0", "what it would be computed over is no secret"
    said = text_of(shown["tiles"][0])
    assert "withheld" in said
    assert "3 ways give 54.7\u202f% to 60.2\u202f% (irembo)" in said
    assert "54.7" in str(shown["trend_note"])
    assert "hangs on what is withheld: completion rate" in text_of(shown["tiles"][1])
    assert "withheld" not in text_of(shown["tiles"][3]), "errors are computed in one way only"


def test_every_kpi_that_a_metric_hangs_on_is_one_of_the_contradiction_report():
    text = (REPOSITORY / "dbt_project/models/certified/contradiction_report.sql").read_text()
    named = {kpi for metric in catalogue().values() for kpi in metric.rests_on.split()}
    assert named
    assert not [kpi for kpi in named if f"'{kpi}'" not in text]
