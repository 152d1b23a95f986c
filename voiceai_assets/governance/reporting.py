"""One report from the ledgers to files in HOME/reports: what the command and the asset both do.

Belongs here: which days, which folder. Does not belong here: the content (``report``), words (``cli.governance``).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from voiceai_assets.governance.datadocs import write_data_docs
from voiceai_assets.governance.report import Report, gather, write
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.versions import code_revision


def period(pipeline: Pipeline, first: date | None, last: date | None) -> tuple[date, date] | None:
    """The days asked for, or all that anything is known of; None where nothing is."""
    with pipeline.warehouse.connect() as connection:
        found = connection.execute("select min(day), max(day) from governance.day_status").fetchone()
    if found is None or found[0] is None:
        return (first, last) if first and last else None
    start, end = first or found[0], last or found[1]
    return (start, end) if start <= end else (end, start)


def make_report(
    pipeline: Pipeline, first: date, last: date, out: Path | None = None, *, with_docs: bool
) -> tuple[Report, dict[str, Path]]:
    """Write the report of a period, and GX Data Docs beside it; returns it with where each file lies."""
    folder = out or pipeline.settings.reports / f"{first}_{last}"
    with pipeline.warehouse.connect() as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        report = gather(connection, first, last, code_revision(pipeline.settings))
        paths = write(report, folder)
        if with_docs:
            write_data_docs(connection, first, last, folder / "data-docs")
            paths["data docs"] = folder / "data-docs" / "index.html"
    return report, paths
