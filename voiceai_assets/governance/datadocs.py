"""GX Data Docs out of the ledger: Great Expectations' own pages for results that were evaluated long ago.

Belongs here: ledger rows to GX results to a static site. Does not belong here: evaluation (``checks.expectations``).

GX writes pages that fetch styles, scripts and a logo from five other hosts each time they are opened. Those references
are taken out, so that reading a report tells nobody, and a small style of our own takes their place. Its index is
nothing without the scripts, so the index is ours, too.
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Iterable, Mapping
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
from markupsafe import Markup

from voiceai_assets.checks.structure import DBT
from voiceai_assets.checks.suites import MEASURED
from voiceai_assets.pages import templates
from voiceai_assets.warehouse import ledger

Connection = psycopg.Connection[Any]
#: Most pages a site holds: one per day and suite, the newest days first; 2,000 take about 40 s.
MOST_PAGES = 2_000
_OUTSIDE = re.compile(
    r"<script[^>]*src=[\"']https?://[^>]*>\s*</script>|<link[^>]*href=[\"']https?://[^>]*>|"
    r"<img[^>]*src=[\"']https?://[^>]*>|<script>.*?</script>|<iframe.*?</iframe>",
    re.DOTALL,
)
_QUERY = """
select distinct on (r.asset, r.check_name, r.day) r.asset, r.check_name, r.day::text, r.load_id, r.status, r.severity,
  r.description, r.observed, r.expected, r.checked_at, r.suite_version
from governance.quality_results r where r.day between %s and %s and r.suite_version <> %s
order by r.asset, r.check_name, r.day desc, r.checked_at desc
"""


def write_data_docs(connection: Connection, first: date, last: date, folder: Path) -> int:
    """Write the site anew; returns how many days of suites it shows."""
    grouped: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in ledger.rows(connection, _QUERY, [first, last, DBT]):
        key = (row["day"], row["asset"], row["check_name"].split(".", 1)[0])
        grouped.setdefault(key, []).append(row)
    shown = dict(sorted(grouped.items(), reverse=True)[:MOST_PAGES])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _build(shown, folder)
    for page in folder.rglob("*.html"):
        page.write_text(_without_outside(page.read_text()))
    shutil.rmtree(folder / "static" / "images", ignore_errors=True)  # 3.4 MB of animations
    (folder / "index.html").write_text(_index(shown, folder))
    return len(shown)


def _build(grouped: Mapping[tuple[str, str, str], list[dict[str, Any]]], folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
        from great_expectations.core import ExpectationSuite
        from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    context.add_data_docs_site("ledger", {"class_name": "SiteBuilder", "store_backend": backend,
                                          "site_index_builder": index})  # fmt: skip
    newest: dict[str, list[dict[str, Any]]] = {}
    for (day, asset, suite), rows in grouped.items():
        newest.setdefault(suite, rows)
        key, result = _result(day, asset, suite, rows, gx.__version__)
        context.validation_results_store.set(key, result)
    for suite, rows in newest.items():
        context.suites.add(ExpectationSuite(name=suite, expectations=[_expectation(row) for row in rows]))
    context.build_data_docs(site_names=["ledger"])


def _expectation(row: Mapping[str, Any]) -> dict[str, Any]:
    kwargs = {key: value for key, value in row["expected"].items() if key != "type"}
    kind = row["expected"]["type"]
    if kind in MEASURED:  # not of Great Expectations, which refuses to show what it does not know
        kwargs = {"unexpected_rows_query": f"{kind} of {{batch}}, measured by the platform"}
        kind = "unexpected_rows_expectation"
    return {"type": kind, "kwargs": kwargs, "severity": row["severity"],
            "description": row["description"], "meta": {}}  # fmt: skip


def _result(day: str, asset: str, suite: str, rows: Iterable[Mapping[str, Any]], version: str) -> tuple[Any, Any]:
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    results = [_one_result(row) for row in rows]
    passed = sum(bool(result.success) for result in results)
    run = RunIdentifier(run_name=day, run_time=max(row["checked_at"] for row in rows))
    found = ExpectationSuiteValidationResult(
        success=passed == len(results),
        results=results,
        suite_name=suite,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": passed,
            "unsuccessful_expectations": len(results) - passed,
            "success_percent": 100.0 * passed / len(results),
        },
        meta={
            "run_id": run,
            "active_batch_definition": {"datasource_name": "warehouse", "data_asset_name": asset},
            "batch_spec": {"day": day},
            "great_expectations_version": version,
        },
    )
    return ValidationResultIdentifier(ExpectationSuiteIdentifier(suite), run, asset.replace("/", ".")), found


def _one_result(row: Mapping[str, Any]) -> Any:
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    observed = dict(row["observed"] or {})
    message = observed.pop("message", None)
    is_error = row["status"] == "error"
    return ExpectationValidationResult(
        success=row["status"] == "passed",
        expectation_config=ExpectationConfiguration(**_expectation(row)),
        result=observed,
        exception_info={
            "raised_exception": is_error,
            "exception_message": message if is_error else None,
            "exception_traceback": None,
        },
    )


def _index(grouped: Mapping[tuple[str, str, str], list[dict[str, Any]]], folder: Path) -> str:
    """One row per day and suite, newest first, with how many rules held."""
    rows = []
    for day, asset, suite in grouped:
        pages = sorted((folder / "validations" / suite / day).rglob(f"{asset.replace('/', '.')}.html"))
        results = grouped[day, asset, suite]
        rows.append(
            {
                "day": day,
                "asset": asset,
                "suite": suite,
                "passed": sum(row["status"] == "passed" for row in results),
                "total": len(results),
                "page": pages[0].relative_to(folder).as_posix() if pages else None,
            }
        )
    environment = templates("voiceai_assets.governance")
    return environment.get_template("datadocs.html").render(rows=rows, style=Markup(_style()))  # noqa: S704  # our file


def _style() -> str:
    return (files("voiceai_assets.governance") / "templates" / "datadocs.css").read_text()


def _without_outside(page: str) -> str:
    return _OUTSIDE.sub("", page).replace("</head>", f"<style>{_style()}</style></head>")
