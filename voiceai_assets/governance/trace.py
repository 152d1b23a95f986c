"""From a number to the files it came from, and from a file to every number it touches.

Belongs here: walking the ledgers in both directions. Does not belong here: words (``cli.governance``), what readers
see of it (``dashboard.trace``, from views in ``certified``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg

from voiceai_assets.catalogue import catalogue
from voiceai_assets.governance.lineage import datasets_of, exposures_reading, marts_fed_by, views_reading
from voiceai_assets.governance.withheld import read_withheld, withheld_by_metric
from voiceai_assets.lake.indexing import sha256_of
from voiceai_assets.warehouse import ledger
from voiceai_assets.warehouse.marts import certified_marts, views_over_days

Connection = psycopg.Connection[Any]
_LINES_SHOWN = 20


class UntraceableError(LookupError):
    """There is nothing to follow; the message says what is known instead."""


def trace_number(connection: Connection, mart: str, day: str, metric: str | None = None) -> dict[str, Any]:
    """Number -> mart -> version -> certificate -> checks -> loads -> files -> lines.

    Args:
        connection: as the pipeline's role.
        mart: a day mart, as ``certified`` calls it.
        day: ISO day.
        metric: of the catalogue, computed from that mart.

    Raises:
        UntraceableError: for a mart, day or metric that does not exist.
    """
    _refuse_unknown(mart, metric)
    versions = ledger.rows(
        connection,
        "select publication_id, version, load_id, certificate_id, row_count, content_sha256, is_live, published_at "
        "from governance.publications where mart = %s and day = %s order by version desc",
        [mart, day],
    )
    if not versions:
        raise UntraceableError(f"{mart} of {day} was never published; voiceai status --from {day} says why")
    # what is live, else what readers saw last
    shown = next((version for version in versions if version["is_live"]), versions[0])
    row = connection.execute(
        "select body, chain_sha256, issued_at from governance.certificates where certificate_id = %s",
        [shown["certificate_id"]],
    ).fetchone()
    assert row is not None  # a foreign key holds it
    body = json.loads(row[0])
    wanted = datasets_of(mart)
    return {
        "mart": mart,
        "day": day,
        "figures": _figures(connection, shown["publication_id"], metric),
        "version": {k: v for k, v in shown.items() if k != "publication_id"},
        "versions": len(versions),
        "certificate": {
            "certificate_id": shown["certificate_id"],
            "chain_sha256": row[1],
            "issued_at": row[2],
            **{key: body.get(key) for key in ("status", "code", "settings", "warnings")},
        },
        "checks": _checks(body),
        "loads": [
            _load(connection, day, load)
            for load in body["loads"]
            if load["dataset"] in wanted and load["dataset"] != "marts"
        ],
        "neighbours": _neighbours(connection, day),
    }


def trace_session(connection: Connection, session_id: str) -> list[dict[str, Any]]:
    """File and line of every turn of a session.

    Raises:
        UntraceableError: when no turn of it is loaded.
    """
    found = ledger.rows(
        connection,
        "select turn_date as day, source_file as file, source_line as line, turn_number from raw.turns "
        "where session_id = %s order by 1, 2, 3",
        [session_id],
    )
    if not found:
        raise UntraceableError("no turn of that session is loaded")
    return found


def trace_file(connection: Connection, path: str, landing: Path) -> dict[str, Any]:
    """Every day, mart, version, metric and dashboard that a file touches.

    Args:
        connection: as the pipeline's role.
        path: as landing names it, or any file on disk: an auditor's copy is known by its sha256.
        landing: root of landing.

    Raises:
        UntraceableError: for a file that was never loaded.
    """
    names = _names_of(connection, path, landing)
    loads = ledger.rows(
        connection,
        "select l.day::text, l.dataset, l.load_id, l.is_live, i ->> 'file' as file, i ->> 'sha256' as sha256, "
        "f.rows_in, f.rows_loaded, f.rows_quarantined, f.rows_duplicate from governance.loads l "
        "cross join lateral jsonb_array_elements(l.inputs) as i left join governance.load_files f "
        "on f.dataset = l.dataset and f.day = l.day and f.load_id = l.load_id and f.file = i ->> 'file' "
        "where l.dataset <> 'marts' and i ->> 'file' = any(%s) order by 1, 2, l.loaded_at",
        [names],
    )
    if not loads:
        raise UntraceableError(f"{path} was never loaded; voiceai land brings files, voiceai status shows days")
    fed = sorted({mart for load in loads for mart in marts_fed_by(load["dataset"])})
    days = sorted({load["day"] for load in loads})
    return {
        "files": names,
        "loads": loads,
        "published": ledger.rows(
            connection,
            "select day::text, mart, version, is_live, certificate_id from governance.publications "
            "where day = any(%s::date[]) and mart = any(%s) order by 1, 2, 3",
            [days, fed],
        ),
        "metrics": sorted(
            f"{m.metric} v{m.version}"
            for m in catalogue().values()
            if m.relation in fed or any(view.endswith(f".{m.relation}") for view in views_reading(fed))
        ),
        "views": views_reading(fed),
        "exposures": exposures_reading(fed),
        "neighbours": sorted({day for own in days for day in _neighbours(connection, own)} - set(days)),
    }


def _refuse_unknown(mart: str, metric: str | None) -> None:
    if mart not in certified_marts():
        if view := views_over_days().get(mart.rsplit(".", maxsplit=1)[-1]):
            text = f"{mart} is a view over published days, made from {', '.join(view.reads)}: trace one of those"
            raise UntraceableError(text)
        raise UntraceableError(f"{mart!r} is no mart; there are {', '.join(certified_marts())}")
    if metric is None:
        return
    found = catalogue().get(metric)
    if found is None or found.relation != mart:
        known = sorted(m.metric for m in catalogue().values() if m.relation == mart)
        said = f"it is computed from {found.relation}" if found else "it is not in the catalogue"
        raise UntraceableError(f"{metric!r} is no metric of {mart} ({said}); there are {', '.join(known) or 'none'}")


def _figures(connection: Connection, publication_id: int, metric: str | None) -> list[dict[str, Any]]:
    withheld = withheld_by_metric(read_withheld(connection))
    return [
        {
            **row,
            "definition": catalogue()[row["metric"]].definition if row["metric"] in catalogue() else "",
            "withheld": [asdict(why) for why in withheld.get(row["metric"], [])],
        }
        for row in ledger.rows(
            connection,
            "select metric, metric_version, numerator, denominator, numerator / nullif(denominator, 0) as value "
            "from governance.figures where publication_id = %s and metric = coalesce(%s, metric) order by metric",
            [publication_id, metric],
        )
    ]


def _checks(body: dict[str, Any]) -> dict[str, Any]:
    """All checks counted, and those that did not pass in full."""
    checks = body.get("checks", [])
    return {
        "passed": sum(check["status"] == "passed" for check in checks),
        "total": len(checks),
        "suites": sorted({f"{c['check_name'].split('.', 1)[0]} {c['suite_version']}" for c in checks}),
        "not_passed": [check for check in checks if check["status"] != "passed"],
    }


def _load(connection: Connection, day: str, load: dict[str, Any]) -> dict[str, Any]:
    """A load with its files, and the lines of each that were refused; those are kept of what is loaded now."""
    refused = ledger.rows(
        connection,
        "select file, count(*) as records, (array_agg(line order by line))[1:%s] as lines, "
        "array_agg(distinct reason) as reasons from governance.quarantine "
        "where dataset = %s and day = %s and load_id = %s group by file",
        [_LINES_SHOWN, load["dataset"], day, load["load_id"]],
    )
    by_file = {row.pop("file"): row for row in refused}
    files = [{**file, "refused": by_file.get(file["file"])} for file in load["inputs"]]
    return {key: value for key, value in load.items() if key != "inputs"} | {"files": files}


def _neighbours(connection: Connection, day: str) -> list[str]:
    """Days whose turns decide rows of this one, because a session is in both."""
    found = connection.execute(
        "select neighbour::text from governance.session_bridges where day = %s order by 1", [day]
    ).fetchall()
    return [row[0] for row in found]


def _names_of(connection: Connection, path: str, landing: Path) -> Sequence[str]:
    """Names in landing of a path: its own, or those of files with the same sha256."""
    given = Path(path)
    if given.is_file() and given.resolve().is_relative_to(landing.resolve()):
        return [given.resolve().relative_to(landing.resolve()).as_posix()]
    if not given.is_file():
        return [path]
    found = connection.execute(
        "select distinct i ->> 'file' from governance.loads, jsonb_array_elements(inputs) as i "
        "where dataset <> 'marts' and i ->> 'sha256' = %s order by 1",
        [sha256_of(given)],
    ).fetchall()
    return [row[0] for row in found]
