"""Does everything still say what was certified? From the files up, and exactly what does not.

Belongs here: which parts are compared, in which order, and what readers see of a day. Does not belong here: single
comparisons of documents (``chain``, ``evidence``), of rows before the marts (``recount``) and of marts (``rebuild``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from voiceai_assets.checks.gate import Status
from voiceai_assets.governance.chain import Certificate, chain_findings, chain_head
from voiceai_assets.governance.evidence import Ledgers, evidence_findings
from voiceai_assets.governance.findings import Finding, remark
from voiceai_assets.governance.rebuild import rebuilt_findings
from voiceai_assets.governance.recount import recount
from voiceai_assets.pipeline import Pipeline
from voiceai_assets.warehouse import ledger
from voiceai_assets.warehouse.figures import figures_query, metrics_of
from voiceai_assets.warehouse.marts import certified_marts
from voiceai_assets.warehouse.readers import CHECKSUM, columns_of

Connection = psycopg.Connection[Any]


def known_days(pipeline: Pipeline) -> list[str]:
    """Every day of which something is loaded or published."""
    query = (
        "select day::text from governance.loads where is_live union select day::text from governance.publications "
        "order by 1"
    )
    with pipeline.warehouse.connect() as connection:
        return [row[0] for row in connection.execute(query).fetchall()]


def verify(
    pipeline: Pipeline,
    days: Sequence[str],
    on_step: Callable[[str, str], None],
    *,
    is_quick: bool = False,
    head: str | None = None,
) -> list[Finding]:
    """Everything that differs on these days, and in the chain of all certificates.

    Args:
        pipeline: the installation.
        days: ISO days.
        on_step: hears (what, day) of each finished piece.
        is_quick: compare checksums only; files are not read and marts not built again.
        head: checksum that the chain once ended with; it must still be part of it.

    Raises:
        RebuildError: when the marts cannot be built a second time.
    """
    found = _chain(pipeline, head)
    on_step("chain", "")
    if not is_quick:
        with recount(pipeline, days) as again:
            for day in sorted(days):
                found += again.day(day)
                on_step("files", day)
        found += rebuilt_findings(pipeline, days)
        on_step("marts", "")
    for day in sorted(days):
        with pipeline.warehouse.connect() as connection:
            found += _ledgers(connection, day)
            found += _gate(pipeline, connection, day)
            found += _published(connection, day)
        on_step("published", day)
    return found


def certificates(connection: Connection) -> list[Certificate]:
    """All of the ledger, oldest first."""
    found = connection.execute(
        "select certificate_id, day::text, body, previous_id, chain_sha256, redacted_at from governance.certificates "
        "order by issued_at, certificate_id"
    ).fetchall()
    return [Certificate(*row) for row in found]


def head_of_chain(connection: Connection) -> str | None:
    """What to note now, to be able to tell later that nothing certified until now was changed."""
    return chain_head(certificates(connection))


def _chain(pipeline: Pipeline, head: str | None) -> list[Finding]:
    with pipeline.warehouse.connect() as connection:
        issued = certificates(connection)
        erasures = connection.execute("select started_at, finished_at from governance.erasures").fetchall()
    found = chain_findings(issued, erasures)
    if head is not None and head not in {certificate.chain_sha256 for certificate in issued}:
        text = f"the chain does not contain {head}: something before it was changed or removed"
        found.append(Finding("governance.certificates", None, text))
    return found


def _ledgers(connection: Connection, day: str) -> list[Finding]:
    """Every certificate that a version of the day points at, against the ledgers."""
    ledgers = read_ledgers(connection, day)
    found = []
    issued = dict(
        connection.execute(
            "select certificate_id, body from governance.certificates where certificate_id = any(%s)",
            [[p["certificate_id"] for p in ledgers.publications]],
        ).fetchall()
    )
    for certificate_id, body in sorted(issued.items()):
        try:
            document = json.loads(body)
        except ValueError:
            continue  # its sha256 has already said so
        found += evidence_findings(day, certificate_id, document, ledgers)
    return list(dict.fromkeys(found))


def read_ledgers(connection: Connection, day: str) -> Ledgers:
    """What the ledgers say of a day."""
    live = {(load["dataset"], load["load_id"]): load for load in ledger.evidence_of_loads(connection, day)}
    loads = ledger.rows(
        connection,
        "select dataset, load_id, is_live, code_version, inputs, rows_in, rows_loaded, rows_quarantined, "
        "rows_duplicate from governance.loads where day = %s",
        [day],
    )
    verdicts = ledger.rows(connection, "select status, reasons from governance.verdicts where day = %s", [day])
    return Ledgers(
        loads=[{**load, **live.get((load["dataset"], load["load_id"]), {})} for load in loads],
        checks=ledger.results_of_day(connection, day),
        publications=ledger.rows(
            connection,
            "select publication_id, mart, version, load_id, certificate_id, row_count, content_sha256, is_live, "
            "is_pruned from governance.publications where day = %s order by mart, version",
            [day],
        ),
        verdict=verdicts[0] if verdicts else None,
    )


def _gate(pipeline: Pipeline, connection: Connection, day: str) -> list[Finding]:
    """The gate asked again: a verdict that the results do not give was written by somebody else."""
    recorded = connection.execute("select status from governance.verdicts where day = %s", [day]).fetchone()
    if recorded is None:
        return []
    verdict, _ = pipeline.verdict(connection, day)
    place = "governance.verdicts"
    is_live = connection.execute(
        "select exists (select from governance.publications where day = %s and is_live)", [day]
    ).fetchone() == (True,)
    if verdict.is_bad_data and is_live:
        return [Finding(place, day, "readers see a day whose critical checks failed")]
    if verdict.status.value == recorded[0]:
        return []
    if verdict.status is Status.NOT_JUDGED:
        return [remark(place, day, f"{recorded[0]}; loaded, built or checked otherwise since, to be judged again")]
    return [Finding(place, day, f"the verdict is {recorded[0]!r}, the results give {verdict.status.value!r}")]


def _published(connection: Connection, day: str) -> list[Finding]:
    """Rows of every version against their checksum, through the view that readers use where the version is live."""
    rows = read_ledgers(connection, day).publications
    found = {row["publication_id"]: _version(connection, day, row) for row in rows}
    strays = _strays(connection, day, set(found))
    # rows that differ give other figures: that is one finding, and not one more for each figure
    sound = [row for row in rows if row["is_live"] and metrics_of(row["mart"]) and not found[row["publication_id"]]]
    figures = _figures(connection, day, {row["mart"]: row for row in sound})
    return [finding for several in found.values() for finding in several] + strays + figures


def _version(connection: Connection, day: str, row: Mapping[str, Any]) -> list[Finding]:
    mart = row["mart"]
    if mart not in certified_marts():
        return [remark(f"published.{mart}", day, "no model of this code makes it; not compared")]
    if row["is_pruned"]:
        return []
    own = sql.SQL("publication_id = {}").format(sql.Literal(row["publication_id"]))
    names = _certified_columns(connection, row)
    said = (row["row_count"], row["content_sha256"])
    places = [("published", own)]
    if row["is_live"]:
        places.append(("certified", sql.SQL("publication_version = {}").format(sql.Literal(row["version"]))))
    for schema, condition in places:
        now = _checksum(connection, schema, mart, names, day, condition)
        if now != said:
            count = "" if now[0] == said[0] else f" and {now[0]:,} rows instead of {said[0]:,}"
            text = f"version {row['version']} has content {now[1][:16]}{count}; certified was {said[1][:16]}"
            return [Finding(f"{schema}.{mart}", day, text)]
    return []


def _certified_columns(connection: Connection, row: Mapping[str, Any]) -> list[str]:
    """Columns that the checksum was made of, as the certificate names them; older ones do not."""
    found = connection.execute(
        "select body::jsonb #> array['marts', %s, 'columns'] from governance.certificates where certificate_id = %s",
        [row["mart"], row["certificate_id"]],
    ).fetchone()
    names: list[str] = found[0] if found and found[0] else []
    return names or [name for name, _ in columns_of(connection, "marts", row["mart"])]


def _checksum(
    connection: Connection, schema: str, mart: str, names: Iterable[str], day: str, condition: sql.Composed
) -> tuple[int, str]:
    found = connection.execute(
        sql.SQL(
            f"select count(*), {CHECKSUM} from (select {{names}} from {{table}} where {{at}} = {{day}} and {{own}}) t"
        ).format(
            names=sql.SQL(", ").join(map(sql.Identifier, names)),
            table=sql.Identifier(schema, mart),
            at=sql.Identifier(certified_marts()[mart]),
            day=sql.Literal(day),
            own=condition,
        )
    ).fetchone()
    assert found is not None
    return found[0], found[1]


def _strays(connection: Connection, day: str, known: set[int]) -> list[Finding]:
    """Published rows that belong to no version."""
    parts = [
        sql.SQL("select {}, count(*) from {} where {} = {} and publication_id <> all({})").format(
            sql.Literal(mart), sql.Identifier("published", mart), sql.Identifier(column), sql.Literal(day),
            sql.Literal(sorted(known)),
        )
        for mart, column in certified_marts().items()
        if columns_of(connection, "published", mart)
    ]  # fmt: skip
    if not parts:
        return []
    counted = connection.execute(sql.SQL(" union all ").join(parts)).fetchall()
    return [Finding(f"published.{mart}", day, f"{n:,} row(s) of no publication") for mart, n in counted if n]


def _figures(connection: Connection, day: str, live: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """The figures that were kept of what is live, computed again under the same versions of their definitions."""
    query = figures_query(day, {mart: row["publication_id"] for mart, row in live.items()})
    if query is None:
        return []
    now = {(i, name, version): (n, d) for i, name, version, n, d in connection.execute(query).fetchall()}
    kept = connection.execute(
        "select publication_id, metric, metric_version, numerator, denominator from governance.figures "
        "where publication_id = any(%s)",
        [[row["publication_id"] for row in live.values()]],
    ).fetchall()
    return [
        Finding("governance.figures", day, f"{name} is kept as {n}/{d}, the rows give {again[0]}/{again[1]}")
        for i, name, version, n, d in kept
        if (again := now.get((i, name, version))) is not None and again != (n, d)
    ]  # fmt: skip
