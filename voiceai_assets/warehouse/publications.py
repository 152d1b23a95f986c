"""Publication: a new version of a day plus one pointer flip, in one transaction; and its withdrawal.

Belongs here: how rows become visible. Does not belong here: whether they may (``checks.gate``).

A reader's view joins ``published`` rows to the live pointer, so a query sees the old day or the new one, never a mix,
and two marts of one day change together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import psycopg
from psycopg import sql

from voiceai_assets.warehouse.ledger import rows

Connection = psycopg.Connection[Any]

#: Marts that are published, with the column that files a row under its day. All of a day are published together.
CERTIFIED_MARTS: Mapping[str, str] = {
    "fact_voice_ai_sessions": "session_date",
    "fact_voice_ai_turns": "session_date",
}
#: Versions of session-grain rows that are kept, the live one included; older ones are pruned, their ledger rows stay.
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
    contents = {mart: _content(connection, mart, column, day, load_id) for mart, column in CERTIFIED_MARTS.items()}
    body = {
        "day": day,
        "marts": {m: {"load_id": load_id, "rows": n, "content_sha256": c} for m, (n, c) in contents.items()},
        **evidence,
    }
    certificate_id = _certify(connection, day, body)
    publications = []
    for mart, column in CERTIFIED_MARTS.items():
        row_count, content = contents[mart]
        publications.append(_flip(connection, (mart, column, day), load_id, certificate_id, row_count, content))
    return publications


def withdraw_day(connection: Connection, day: str) -> int:
    """Hide a day whose present files were judged and found bad; returns how many marts disappeared."""
    cursor = connection.execute("update governance.publications set is_live = false where day = %s and is_live", [day])
    return cursor.rowcount


def forget_versions(connection: Connection, pseudonyms: Sequence[str], sessions: Sequence[str]) -> int:
    """Delete every version that still holds a person, and withdraw the day where readers see one; how many went.

    A day that could be published again without them is not touched: its live version no longer holds them.
    """
    forgotten: dict[str, list[int]] = {}
    for mart in CERTIFIED_MARTS:
        if not _columns(connection, "published", mart):
            continue
        query = sql.SQL(
            "select distinct publication_id from published.{} where user_id = any(%s) or session_id = any(%s)"
        ).format(sql.Identifier(mart))
        found = connection.execute(query, [list(pseudonyms), list(sessions)]).fetchall()
        forgotten[mart] = [row[0] for row in found]
        connection.execute(
            sql.SQL("delete from published.{} where publication_id = any(%s)").format(sql.Identifier(mart)),
            [forgotten[mart]],
        )
    ids = [publication_id for of_mart in forgotten.values() for publication_id in of_mart]
    seen = connection.execute(
        "select distinct day::text from governance.publications where is_live and publication_id = any(%s)", [ids]
    ).fetchall()
    for (day,) in seen:
        withdraw_day(connection, day)
    connection.execute("update governance.publications set is_pruned = true where publication_id = any(%s)", [ids])
    return len(ids)


def _content(connection: Connection, mart: str, column: str, day: str, load_id: str) -> tuple[int, str]:
    """Row count and a checksum that does not depend on the order of rows.

    Two sums of 64-bit hashes of whole rows, under sha256: any accidental difference shows. Hashing the rows' text
    instead takes three times as long for a million turns, sorting cryptographic hashes ten times.
    """
    query = sql.SQL(
        "select count(*), count(*) filter (where load_id is distinct from %s), "
        "encode(sha256(convert_to(concat_ws(':', count(*), sum(hash_record_extended(t, 0)), "
        "sum(hash_record_extended(t, 1))), 'UTF8')), 'hex') from marts.{} t where {} = %s"
    ).format(sql.Identifier(mart), sql.Identifier(column))
    found = connection.execute(query, [load_id, day]).fetchone()
    assert found is not None
    count, foreign, content = found
    if foreign:
        raise PublicationError(
            f"marts.{mart} holds {foreign:,} rows of {day} from another load than {load_id}, which was judged; "
            "materialise the day again"
        )
    return count, content


def _certify(connection: Connection, day: str, body: Mapping[str, Any]) -> str:
    """Store the evidence under its own sha256; the same evidence gives the same certificate."""
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
    place: tuple[str, str, str],
    load_id: str,
    certificate_id: str,
    row_count: int,
    content: str,
) -> Publication:
    mart, column, day = place
    live = connection.execute(
        "select version, load_id, content_sha256, certificate_id from governance.publications "
        "where mart = %s and day = %s and is_live",
        [mart, day],
    ).fetchone()
    if live and live[1:] == (load_id, content, certificate_id):
        return Publication(mart, day, live[0], row_count, content, certificate_id, is_new=False)
    columns = _ensure_published(connection, mart, column, day)
    connection.execute(
        "update governance.publications set is_live = false where mart = %s and day = %s and is_live", [mart, day]
    )
    inserted = connection.execute(
        "insert into governance.publications (mart, day, version, load_id, certificate_id, row_count, content_sha256, "
        "is_live) select %(mart)s, %(day)s, coalesce(max(version), 0) + 1, %(load)s, %(cert)s, %(rows)s, %(content)s, "
        "true from governance.publications where mart = %(mart)s and day = %(day)s returning publication_id, version",
        {"mart": mart, "day": day, "load": load_id, "cert": certificate_id, "rows": row_count, "content": content},
    ).fetchone()
    assert inserted is not None
    publication_id, version = inserted
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    connection.execute(
        sql.SQL(
            "insert into published.{mart} (publication_id, {names}) "
            "select %s, {names} from marts.{mart} where {day} = %s"
        ).format(mart=sql.Identifier(mart), names=names, day=sql.Identifier(column)),
        [publication_id, day],
    )
    _prune(connection, mart, column, day)
    return Publication(mart, day, version, row_count, content, certificate_id, is_new=True)


def _prune(connection: Connection, mart: str, column: str, day: str) -> None:
    pruned = connection.execute(
        "update governance.publications set is_pruned = true where mart = %s and day = %s and not is_pruned "
        "and not is_live and version <= "
        "(select max(version) from governance.publications where mart = %s and day = %s) - %s "
        "returning publication_id",
        [mart, day, mart, day, KEPT_VERSIONS],
    ).fetchall()
    if pruned:
        connection.execute(
            sql.SQL("delete from published.{} where {} = %s and publication_id = any(%s)").format(
                sql.Identifier(mart), sql.Identifier(column)
            ),
            [day, [row[0] for row in pruned]],
        )


def _ensure_published(connection: Connection, mart: str, column: str, day: str) -> list[str]:
    """Table, day partition and reader's view, as wide as the mart is now; returns the mart's columns."""
    wanted = _columns(connection, "marts", mart)
    have = dict(_columns(connection, "published", mart))
    table = sql.SQL("published.{}").format(sql.Identifier(mart))
    changed = not have
    if not have:
        # two publications on the first day must not both create the table
        connection.execute("select pg_advisory_xact_lock(hashtext('voiceai published ' || %s))", [mart])
        fields = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(t)) for n, t in wanted)
        connection.execute(
            sql.SQL(
                "create table if not exists {} (publication_id bigint not null, {}) partition by range ({})"
            ).format(table, fields, sql.Identifier(column))
        )
        connection.execute(
            sql.SQL("create index if not exists {} on {} (publication_id)").format(
                sql.Identifier(f"{mart}_publication"), table
            )
        )
    for name, kind in wanted:
        if have and name not in have:
            connection.execute(
                sql.SQL("alter table {} add column {} {}").format(table, sql.Identifier(name), sql.SQL(kind))
            )
            changed = True
    start = date.fromisoformat(day)
    connection.execute(
        sql.SQL("create table if not exists published.{} partition of {} for values from ({}) to ({})").format(
            sql.Identifier(f"{mart}_{start:%Y%m%d}"), table, sql.Literal(start), sql.Literal(start + timedelta(days=1))
        )
    )
    names = [name for name, _ in wanted]
    if changed or not _view_is_current(connection, mart, names):
        _create_view(connection, mart, column, names)
    return names


def _create_view(connection: Connection, mart: str, column: str, names: Sequence[str]) -> None:
    view = sql.SQL("certified.{}").format(sql.Identifier(mart))
    connection.execute(sql.SQL("drop view if exists {}").format(view))
    connection.execute(
        sql.SQL(
            "create view {view} as select {names}, p.version as publication_version, p.certificate_id "
            "from published.{mart} t join governance.publications p "
            "on p.publication_id = t.publication_id and p.mart = {literal} and p.day = t.{column} and p.is_live"
        ).format(
            view=view,
            names=sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(n)) for n in names),
            mart=sql.Identifier(mart),
            literal=sql.Literal(mart),
            column=sql.Identifier(column),
        )
    )
    described = connection.execute(
        "select obj_description(to_regclass('marts.' || quote_ident(%s)))", [mart]
    ).fetchone()
    if described and described[0]:
        connection.execute(sql.SQL("comment on view {} is {}").format(view, sql.Literal(described[0])))


def _view_is_current(connection: Connection, mart: str, names: Sequence[str]) -> bool:
    have = [name for name, _ in _columns(connection, "certified", mart)]
    return have == [*names, "publication_version", "certificate_id"]


def _columns(connection: Connection, schema: str, table: str) -> list[tuple[str, str]]:
    """Names and types, without ``publication_id``."""
    found = rows(
        connection,
        "select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute "
        "where attrelid = to_regclass(quote_ident(%s) || '.' || quote_ident(%s)) and attnum > 0 and not attisdropped "
        "and attname <> 'publication_id' order by attnum",
        [schema, table],
    )
    return [(row["name"], row["type"]) for row in found]
