"""The page *Trace*: from a number to its version, certificate, checks, loads and files, as far as a reader may see.

Belongs here: the address, the SQL on ``certified`` and the page of one mart and day. Does not belong here: names of
files and lines, which only the pipeline's role reads (``governance.trace``).

A page of plain HTML that the server writes: it works without JavaScript, prints, and its address is its only state.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import psycopg
from flask import Flask, Response, request
from psycopg.rows import dict_row

from voiceai_assets.catalogue import catalogue
from voiceai_assets.dashboard.queries import CertifiedReader, DatabaseAwayError
from voiceai_assets.governance.lineage import datasets_of, exposures_reading
from voiceai_assets.governance.withheld import read_withheld, withheld_by_metric
from voiceai_assets.pages import templates
from voiceai_assets.warehouse.marts import day_marts

Connection = psycopg.Connection[Any]
DEFAULT_MART = "fact_voice_ai_sessions"
_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Trace:
    """What the page shows of one mart on one day; everything is empty before anything is known.

    Attributes:
        versions: newest first; ``shown`` is the live one, else the newest.
        waiting: days that are not certified, oldest first.
    """

    mart: str
    day: date | None
    span: tuple[date, date] | None = None
    standing: Mapping[str, Any] = field(default_factory=dict)
    versions: list[dict[str, Any]] = field(default_factory=list)
    certificate: Mapping[str, Any] = field(default_factory=dict)
    figures: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    loads: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    restatements: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)

    @property
    def shown(self) -> dict[str, Any] | None:
        """The version that the page speaks of."""
        return next((v for v in self.versions if v["is_live"]), self.versions[0] if self.versions else None)

    @property
    def passed(self) -> int:
        """Checks that passed."""
        return sum(check["status"] == "passed" for check in self.checks)

    @property
    def broken(self) -> list[dict[str, Any]]:
        """Checks that did not."""
        return [check for check in self.checks if check["status"] != "passed"]


def asked(arguments: Mapping[str, str]) -> tuple[str, date | None]:
    """Mart and day of an address; what cannot be used is as if it were not there."""
    mart = arguments.get("mart", "").removeprefix("certified.")
    text = arguments.get("day", "")
    try:
        day = date.fromisoformat(text) if _ISO_DAY.fullmatch(text) else None
    except ValueError:
        day = None
    return mart if mart in day_marts() else DEFAULT_MART, day


def read_trace(connection: Connection, mart: str, day: date | None) -> Trace:
    """Read the page; without a day, of the newest day that is certified, else of the newest that is known."""
    span = connection.execute("select min(day), max(day) from certified.day_status").fetchone()
    if span is None or span[0] is None:
        return Trace(mart, None)
    if day is None:
        newest = connection.execute(
            "select max(day) from certified.day_status where status like 'certified%'"
        ).fetchone()
        day = (newest and newest[0]) or span[1]
    at = {"mart": mart, "day": day, "datasets": sorted(datasets_of(mart))}
    found = Trace(
        mart,
        day,
        (span[0], span[1]),
        standing=next(iter(_rows(connection, _STANDING, at)), {}),
        versions=_rows(connection, _VERSIONS, at),
        loads=_rows(connection, _LOADS, at),
        files=_rows(connection, _FILES, at),
        checks=_rows(connection, _CHECKS, at),
        restatements=_rows(connection, _RESTATEMENTS, at),
        waiting=_rows(connection, _WAITING, {}),
    )
    if found.shown is None:
        return found
    at |= {"version": found.shown["version"], "certificate": found.shown["certificate_id"]}
    certificate = next(iter(_rows(connection, _CERTIFICATE, at)), {})
    withheld = withheld_by_metric(read_withheld(connection))
    figures = [{**row, "withheld": withheld.get(row["metric"], [])} for row in _rows(connection, _FIGURES, at)]
    return Trace(**{**vars(found), "certificate": certificate, "figures": figures})


def _rows(connection: Connection, query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()


_STANDING = "select status, stale_because, reasons from certified.day_status where day = %(day)s"
_VERSIONS = """
select version, load_id, certificate_id, row_count, content_sha256, is_live, published_at from certified.publications
where mart = %(mart)s and day = %(day)s order by version desc
"""
_CERTIFICATE = """
select certificate_id, chain_sha256, previous_id, issued_at, status, code, redacted_at from certified.certificates
where certificate_id = %(certificate)s
"""
_FIGURES = """
select metric, metric_version, numerator, denominator, value from certified.figure_history
where mart = %(mart)s and day = %(day)s and version = %(version)s order by metric
"""
_LOADS = """
select dataset, load_id, rows_in, rows_loaded, rows_quarantined, rows_duplicate, lake_sha256 from certified.loads
where day = %(day)s and is_live and dataset = any(%(datasets)s) order by dataset
"""
_FILES = """
select f.dataset, f.source, f.sha256, f.size_bytes, f.rows_in, f.rows_loaded, f.rows_quarantined
from certified.load_files f inner join certified.loads l using (dataset, day, load_id)
where f.day = %(day)s and l.is_live and f.dataset = any(%(datasets)s) order by f.dataset, f.sha256 limit 200
"""
# the newest result of each rule: what was demanded of the day last
_CHECKS = """
select distinct on (asset, check_name)
  asset, check_name, status, severity, description, element_count, unexpected_count, checked_at
from certified.check_results where day = %(day)s order by asset, check_name, checked_at desc
"""
_RESTATEMENTS = """
select old_version, new_version, reason, restated_at from certified.restatements
where day = %(day)s and %(mart)s = any(marts) order by restated_at desc
"""
_WAITING = """
select day, status, stale_because, reasons from certified.day_status
where status is null or status not like 'certified%%' order by day limit 20
"""


def page(found: Trace) -> str:
    """The page as text."""
    environment = templates("voiceai_assets.dashboard")
    environment.filters["moment"] = lambda at: f"{at:%Y-%m-%d %H:%M} UTC" if at else "–"
    environment.filters["short"] = lambda text: str(text)[:12] if text else "–"
    environment.filters["figure"] = lambda value: "–" if value is None else f"{float(value):.4g}"
    environment.filters["plain"] = lambda value: f"{value:,f}".rstrip("0").rstrip(".") if value % 1 else f"{value:,.0f}"
    return environment.get_template("trace.html").render(
        trace=found, marts=list(day_marts()), catalogue=catalogue(), read_by=exposures_reading([found.mart])
    )


def add_trace_page(server: Flask, reader: CertifiedReader) -> None:
    """Serve ``/trace?mart=&day=``."""

    @server.get("/trace")
    def trace() -> Response:
        mart, day = asked(request.args)
        try:
            found = reader.read(lambda connection: read_trace(connection, mart, day))
        except DatabaseAwayError as error:
            return Response(f"{error}\n", 503, mimetype="text/plain")
        return Response(page(found), mimetype="text/html")
