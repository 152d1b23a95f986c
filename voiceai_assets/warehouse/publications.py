"""Publication: a new version of a day plus one pointer flip, in one transaction; and its withdrawal.

Belongs here: how rows become visible. Does not belong here: whether they may (``checks.gate``), what a reader's view
looks like (``warehouse.readers``).

A reader's view joins ``published`` rows to the live pointer, so a query sees the old day or the new one, never a mix,
and all marts of one day change together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from voiceai_assets.warehouse.figures import record_figures
from voiceai_assets.warehouse.marts import certified_marts
from voiceai_assets.warehouse.readers import CHECKSUM, PERSONAL, columns_of, ensure_day_partition, shapes
from voiceai_assets.warehouse.restatements import last_versions, record_restatement
from voiceai_assets.warehouse.scores import forget_scores

Connection = psycopg.Connection[Any]

#: Versions kept of rows that speak of single sessions or people, the live one included; older ones are pruned, their
#: ledger rows stay. Aggregates keep all: they are the history of what was reported.
KEPT_VERSIONS = 2


class PublicationError(RuntimeError):
    """The day cannot be published as it stands; nothing became visible."""


@dataclass(frozen=True)
class Publication:
    """One mart of one day, live."""

    mart: str
    day: str
    version: int
    row_count: int
    content_sha256: str
    certificate_id: str
    is_new: bool


def publish_day(connection: Connection, day: str, load_id: str, evidence: Mapping[str, Any]) -> list[Publication]:
    """Make the day's marts visible under a certificate; publishing the same content again changes nothing.

    Args:
        connection: an open transaction; the flip happens at its commit.
        day: ISO day.
        load_id: the marts' load that was judged.
        evidence: what the certificate says besides counts and checksums (inputs, checks, code).

    Raises:
        PublicationError: when the marts hold another load than the one that was judged.
    """
    connection.execute("select pg_advisory_xact_lock(hashtext('voiceai publish ' || %s))", [day])
    contents = _contents(connection, day, load_id)
    # in the order in which the checksum reads them: whoever computes it again needs them
    columns = {
        mart: [name for name, _ in found] for (schema, mart), found in shapes(connection).items() if schema == "marts"
    }
    body = {
        "day": day,
        "marts": {
            m: {"load_id": load_id, "rows": n, "content_sha256": c, "columns": columns[m]}
            for m, (n, c) in contents.items()
        },
        **evidence,
    }
    certificate_id = certify(connection, day, body)
    live = {
        row[0]: row[1:]
        for row in connection.execute(
            "select mart, version, load_id, content_sha256, certificate_id from governance.publications "
            "where day = %s and is_live",
            [day],
        ).fetchall()
    }
    changed = [
        mart for mart, (_, content) in contents.items() if live.get(mart, ())[1:] != (load_id, content, certificate_id)
    ]
    versions = {mart: found[0] for mart, found in live.items()}
    before = last_versions(connection, day) if changed else {}
    versions |= _flip(connection, day, load_id, certificate_id, {mart: contents[mart] for mart in changed}, columns)
    if changed:
        record_restatement(connection, day, before, certificate_id)
    return [
        Publication(mart, day, versions[mart], rows, content, certificate_id, is_new=mart in changed)
        for mart, (rows, content) in contents.items()
    ]


def withdraw_day(connection: Connection, day: str) -> int:
    """Hide a day whose present files were judged and found bad; returns how many marts disappeared."""
    cursor = connection.execute("update governance.publications set is_live = false where day = %s and is_live", [day])
    return cursor.rowcount


def forget_versions(connection: Connection, pseudonyms: Sequence[str], sessions: Sequence[str]) -> int:
    """Delete every version that still holds a person, and withdraw the day where readers see one; how many went.

    A day that could be published again without them is not touched: its live version no longer holds them.
    """
    ids: list[int] = []
    for mart in certified_marts():
        columns = {name for name, _ in columns_of(connection, "published", mart)}
        tests = [
            sql.SQL("{} = any({})").format(sql.Identifier(name), sql.Literal(list(values)))
            for name, values in (("user_id", pseudonyms), ("session_id", sessions), ("call_id", sessions))
            if name in columns
        ]
        if not tests:
            continue
        table = sql.Identifier("published", mart)
        found = connection.execute(
            sql.SQL("select distinct publication_id from {} where {}").format(table, sql.SQL(" or ").join(tests))
        ).fetchall()
        of_mart = [row[0] for row in found]
        connection.execute(sql.SQL("delete from {} where publication_id = any(%s)").format(table), [of_mart])
        ids += of_mart
    seen = connection.execute(
        "select distinct day::text from governance.publications where is_live and publication_id = any(%s)", [ids]
    ).fetchall()
    for (day,) in seen:
        withdraw_day(connection, day)
    connection.execute("update governance.publications set is_pruned = true where publication_id = any(%s)", [ids])
    forget_scores(connection, list(sessions))
    return len(ids)


def _contents(connection: Connection, day: str, load_id: str) -> dict[str, tuple[int, str]]:
    """Mart -> row count and a checksum that does not depend on the order of rows."""
    single = sql.SQL(
        "select {name}, count(*), count(*) filter (where load_id is distinct from {load}), "
        f"{CHECKSUM} from marts.{{mart}} t where {{column}} = {{day}}"
    )
    # one round trip for all of them: with thirty marts, ninety days would otherwise make 2,700
    query = sql.SQL(" union all ").join(
        single.format(
            name=sql.Literal(mart),
            load=sql.Literal(load_id),
            mart=sql.Identifier(mart),
            column=sql.Identifier(column),
            day=sql.Literal(day),
        )
        for mart, column in certified_marts().items()
    )
    found = {}
    for mart, count, foreign, content in connection.execute(query).fetchall():
        if foreign:
            raise PublicationError(
                f"marts.{mart} holds {foreign:,} rows of {day} from another load than {load_id}, which was judged; "
                "materialise the day again"
            )
        found[mart] = (count, content)
    return found


def certify(connection: Connection, day: str, body: Mapping[str, Any]) -> str:
    """Store the evidence under its own sha256 and give its name; the same evidence gives the same certificate."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    certificate_id = hashlib.sha256(text.encode()).hexdigest()
    # one writer at a time: the chain has one end
    connection.execute("select pg_advisory_xact_lock(hashtext('voiceai certificate chain'))")
    known = connection.execute(
        "select 1 from governance.certificates where certificate_id = %s", [certificate_id]
    ).fetchone()
    if known is None:
        last = connection.execute(
            "select certificate_id, chain_sha256 from governance.certificates c where not exists "
            "(select from governance.certificates n where n.previous_id = c.certificate_id)"
        ).fetchone()
        previous_id, previous_chain = last or (None, "")
        chain = hashlib.sha256(f"{previous_chain}{certificate_id}".encode()).hexdigest()
        connection.execute(
            "insert into governance.certificates (certificate_id, day, body, previous_id, chain_sha256) "
            "values (%s, %s, %s, %s, %s)",
            [certificate_id, day, text, previous_id, chain],
        )
    return certificate_id


def _flip(
    connection: Connection,
    day: str,
    load_id: str,
    certificate_id: str,
    contents: Mapping[str, tuple[int, str]],
    columns: Mapping[str, Sequence[str]],
) -> dict[str, int]:
    """Write the marts' rows as new versions and point at them; returns the versions, by mart."""
    if not contents:
        return {}
    marts = list(contents)
    connection.execute(
        "update governance.publications set is_live = false where mart = any(%s) and day = %s and is_live", [marts, day]
    )
    inserted = connection.execute(
        "insert into governance.publications (mart, day, version, load_id, certificate_id, row_count, content_sha256, "
        "is_live) select new.mart, %(day)s, 1 + coalesce((select max(version) from governance.publications old "
        "where old.mart = new.mart and old.day = %(day)s), 0), %(load)s, %(cert)s, new.rows, new.content, true "
        "from unnest(%(marts)s::text[], %(rows)s::bigint[], %(contents)s::text[]) as new (mart, rows, content) "
        "returning mart, publication_id, version",
        {
            "day": day,
            "load": load_id,
            "cert": certificate_id,
            "marts": marts,
            "rows": [rows for rows, _ in contents.values()],
            "contents": [content for _, content in contents.values()],
        },
    ).fetchall()
    for mart, publication_id, _ in inserted:
        if contents[mart][0]:
            _copy_rows(connection, mart, day, publication_id, columns[mart])
    record_figures(connection, day, {mart: publication_id for mart, publication_id, _ in inserted})
    _prune(connection, day, [mart for mart in marts if PERSONAL & set(columns[mart])])
    return {mart: version for mart, _, version in inserted}


def _copy_rows(connection: Connection, mart: str, day: str, publication_id: int, columns: Sequence[str]) -> None:
    ensure_day_partition(connection, mart, day)
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    connection.execute(
        sql.SQL(
            "insert into published.{mart} (publication_id, {names}) "
            "select %s, {names} from marts.{mart} where {day} = %s"
        ).format(mart=sql.Identifier(mart), names=names, day=sql.Identifier(certified_marts()[mart])),
        [publication_id, day],
    )


def _prune(connection: Connection, day: str, marts: Sequence[str]) -> None:
    """Delete the rows of versions beyond those that are kept, of marts that speak of single sessions or people."""
    for mart, ids in connection.execute(
        "with newest as (select mart, max(version) as version from governance.publications "
        "where mart = any(%s) and day = %s group by mart) "
        "select p.mart, array_agg(p.publication_id) from governance.publications p join newest using (mart) "
        "where p.day = %s and not p.is_pruned and not p.is_live and p.version <= newest.version - %s group by p.mart",
        [list(marts), day, day, KEPT_VERSIONS],
    ).fetchall():
        connection.execute(
            sql.SQL("delete from published.{} where {} = %s and publication_id = any(%s)").format(
                sql.Identifier(mart), sql.Identifier(certified_marts()[mart])
            ),
            [day, ids],
        )
        connection.execute("update governance.publications set is_pruned = true where publication_id = any(%s)", [ids])
