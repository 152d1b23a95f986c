"""The web application: Dash on Flask on waitress, its routes and its headers.

Belongs here: HTTP. Does not belong here: what the page shows (``overview``), SQL (``queries``).
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

import dash
import waitress
from flask import Flask, Response, jsonify, request, send_from_directory

from voiceai_assets.dashboard import overview
from voiceai_assets.dashboard.days import make_request
from voiceai_assets.dashboard.export import days_csv
from voiceai_assets.dashboard.model import add_model_page
from voiceai_assets.dashboard.queries import CertifiedReader, DatabaseAwayError
from voiceai_assets.dashboard.trace import add_trace_page
from voiceai_assets.settings import Settings
from voiceai_assets.warehouse.server import Address, reader_address

_THREADS = 8

_PAGE = """<!DOCTYPE html>
<html lang="en">
  <head>
    {%metas%}
    <title>{%title%}</title>
    {%favicon%}
    {%css%}
  </head>
  <body>
    {%app_entry%}
    <noscript>This page needs JavaScript. Its days are also in <a href="/export/days.csv">days.csv</a>.</noscript>
    {%config%}
    {%scripts%}
    {%renderer%}
  </body>
</html>"""


def create_app(reader: Address, dagster_url: str, reports: Path | None = None, models: Path | None = None) -> dash.Dash:
    """The dashboards on one warehouse.

    Args:
        reader: where ``bi_reader`` finds the warehouse.
        dagster_url: the Dagster UI, linked from the header.
        reports: folder of governance reports; they are linked from Dagster.
        models: folder of the models; without one there is no page for them.

    Raises:
        ValueError: when ``dagster_url`` is no web address.
    """
    if urlsplit(dagster_url).scheme not in ("http", "https"):
        raise ValueError(f"{dagster_url!r} is not a web address of the Dagster UI")
    certified = CertifiedReader(reader)
    app = dash.Dash(
        __name__,
        serve_locally=True,
        compress=True,
        title=overview.TITLE,
        update_title="",  # a tab that blinks "Updating..." every 30 s is noise
        index_string=_PAGE,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.layout = overview.layout(dagster_url)
    overview.register_callbacks(app, certified)
    _add_routes(app.server, certified)
    add_trace_page(app.server, certified)
    if reports is not None:
        _add_reports(app.server, reports)
    if models is not None:
        add_model_page(app.server, models)
    _add_headers(app)
    return app


def _add_routes(server: Flask, reader: CertifiedReader) -> None:
    @server.get("/health")
    def health() -> tuple[Response, int]:
        if reader.is_alive():
            return jsonify(status="ok"), 200
        return jsonify(status="database away"), 503

    @server.get("/export/days.csv")
    def export() -> Response:
        asked = make_request(request.args.get("from", ""), request.args.get("to", ""))
        try:
            snapshot = reader.snapshot(asked)
        except DatabaseAwayError as error:
            return Response(f"{error}\n", 503, mimetype="text/plain")
        name = f"voiceai-days-{snapshot.range.start}-{snapshot.range.end}.csv" if snapshot.range else "voiceai-days.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(days_csv(snapshot), mimetype="text/csv", headers=headers)


def _add_reports(server: Flask, folder: Path) -> None:
    """Governance reports, which hold no names of files and no offending values; GX's own pages are not served."""

    @server.get("/reports/<period>/<any('report.html', 'report.json', 'days.csv'):name>")
    def report(period: str, name: str) -> Response:
        return send_from_directory(folder, f"{period}/{name}")


def _add_headers(app: dash.Dash) -> None:
    """Only our own files, no framing. Mantine and plotly write style elements, hence unsafe-inline for styles alone."""
    policy = "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' {' '.join(app.csp_hashes())}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )

    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        if not request.path.startswith(("/_dash-component-suites/", "/assets/")):
            response.headers["Cache-Control"] = "no-store"  # a proxy must not show yesterday's numbers
        return response

    app.server.after_request(protect)


def serve(settings: Settings) -> None:
    """Open the warehouse and serve until interrupted; call it from the main thread.

    Raises:
        WarehouseError: when the warehouse cannot be reached.
    """
    # dying of SIGTERM would skip the exit handlers and leave an embedded server behind that nobody stops
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    app = create_app(reader_address(settings), settings.dagster_url, settings.reports, settings.models)
    waitress.serve(app.server, host=settings.bind_host, port=settings.dashboard_port, threads=_THREADS, ident=None)
