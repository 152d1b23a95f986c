"""What readers read: the ``published`` tables and the ``certified`` views over their live versions.

Belongs here: the shape of both, kept as wide as the marts are. Does not belong here: rows (``publications``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import psycopg
from psycopg import sql

from voiceai_assets.warehouse.ledger import rows
from voiceai_assets.warehouse.marts import certified_marts
from voiceai_assets.warehouse.server import WarehouseError

Connection = psycopg.Connection[Any]
#: First, so that a mart's new column comes last and ``create or replace view`` accepts it.
_PROVENANCE = ("publication_version", "certificate_id")
#: The same for the history of a mart, which is only kept where no row speaks of a session or a person.
_HISTORY = ("publication_version", "certificate_id", "published_at", "is_first", "is_live")
#: Columns by which a row speaks of a single session or person.
PERSONAL = frozenset({"session_id", "user_id", "call_id"})
#: Two sums of 64-bit hashes of whole rows ``t``, under sha256, in whatever order they come: any accidental difference
#: shows. Hashing the rows' text takes three times as long for a million turns, sorting cryptographic hashes ten times.
CHECKSUM = (
    "encode(sha256(convert_to(concat_ws(':', count(*), sum(hash_record_extended(t, 0)), "
    "sum(hash_record_extended(t, 1))), 'UTF8')), 'hex')"
)


def ensure_readers(connection: Connection) -> None:
    """Make ``published`` and ``certified`` as wide as every mart is now.

    Marts that were never built yet are left out. A view that lost a column takes the views over days with it: they are
    marked as not built in the same transaction. Called once per run: it costs a query where nothing changed.

    Raises:
        WarehouseError: when a mart gives a column another type than what was published of it.
    """
    # two runs must not both create the tables
    connection.execute("select pg_advisory_xact_lock(hashtext('voiceai readers'))")
    found = shapes(connection)
    for mart, column in certified_marts().items():
        wanted = found.get(("marts", mart))
        if not wanted:
            continue
        _ensure_published(connection, mart, column, wanted, found.get(("published", mart), []))
        have = [name for name, _ in found.get(("certified", mart), [])]
        names = [name for name, _ in wanted]
        if have != [*_PROVENANCE, *names]:
            _create_view(connection, mart, names, have)
        told = [name for name, _ in found.get(("certified", history_of(mart)), [])]
        if not PERSONAL & set(names) and told != [*_HISTORY, *names]:
            _create_history(connection, mart, names, told)


def history_of(mart: str) -> str:
    """View of every version of an aggregate: what was reported, and what holds now."""
    return f"{mart}_versions"


def is_there(connection: Connection, relation: str) -> bool:
    """Whether a view of readers exists: before the first publication there is none."""
    return connection.execute("select to_regclass(%s) is not null", [relation]).fetchone() == (True,)


def columns_of(connection: Connection, schema: str, table: str) -> list[tuple[str, str]]:
    """Names and types in order, without ``publication_id``; empty where there is no such table."""
    found = connection.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = to_regclass(quote_ident(%s) || '.' || quote_ident(%s)) and attnum > 0 and not attisdropped "
        "and attname <> 'publication_id' order by attnum",
        [schema, table],
    ).fetchall()
    return [(name, kind) for name, kind in found]


def ensure_day_partition(connection: Connection, mart: str, day: str) -> None:
    """Create the day's partition of a published fact if need be; aggregates have none."""
    table = sql.Identifier("published", mart)
    start = date.fromisoformat(day)
    partition = sql.Identifier("published", f"{mart}_{start:%Y%m%d}")
    kind = connection.execute(
        "select relkind, to_regclass(%s) is not null from pg_class where oid = to_regclass(%s)",
        [partition.as_string(connection), table.as_string(connection)],
    ).fetchone()
    if kind is None or kind[0] in {"r", b"r"} or kind[1]:
        return
    connection.execute(
        sql.SQL("create table if not exists {} partition of {} for values from ({}) to ({})").format(
            partition, table, sql.Literal(start), sql.Literal(start + timedelta(days=1))
        )
    )


def shapes(connection: Connection) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """(schema, mart) -> names and types of its columns, without ``publication_id``, of all marts in one question."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in rows(
        connection,
        "select n.nspname as schema, c.relname as mart, a.attname as name, "
        "format_type(a.atttypid, a.atttypmod) as type from pg_attribute a join pg_class c on c.oid = a.attrelid "
        "join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('marts', 'published', 'certified') "
        "and c.relname = any(%s) and a.attnum > 0 and not a.attisdropped and a.attname <> 'publication_id' "
        "order by a.attrelid, a.attnum",
        [[name for mart in certified_marts() for name in (mart, history_of(mart))]],
    ):
        found.setdefault((row["schema"], row["mart"]), []).append((row["name"], row["type"]))
    return found


def _ensure_published(
    connection: Connection, mart: str, column: str, wanted: Sequence[tuple[str, str]], have: Sequence[tuple[str, str]]
) -> None:
    table = sql.Identifier("published", mart)
    known = dict(have)
    if not have:
        fields = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(t)) for n, t in wanted)
        by_day = " partition by range ({})" if _is_partitioned(connection, mart) else ""
        connection.execute(
            sql.SQL(f"create table {{}} (publication_id bigint not null, {{}}){by_day}").format(
                table, fields, *([sql.Identifier(column)] if by_day else [])
            )
        )
        for suffix, indexed in (("publication", "publication_id"), ("day", column)):
            connection.execute(
                sql.SQL("create index {} on {} ({})").format(
                    sql.Identifier(f"{mart}_{suffix}"), table, sql.Identifier(indexed)
                )
            )
        return
    for name, kind in wanted:
        if known.get(name, kind) != kind:
            # certificates were computed over the values as they stand, and a 7 that becomes 7.0 has another checksum
            raise WarehouseError(
                f"marts.{mart}.{name} is {kind}, and what was published of it is {known[name]}, which is kept as it "
                "was certified; give the column of the new type another name"
            )
        if name not in known:
            connection.execute(
                sql.SQL("alter table {} add column {} {}").format(table, sql.Identifier(name), sql.SQL(kind))
            )


def _is_partitioned(connection: Connection, mart: str) -> bool:
    found = connection.execute(
        "select relkind::text = 'p' from pg_class where oid = to_regclass('marts.' || quote_ident(%s))", [mart]
    ).fetchone()
    return bool(found and found[0])


def _create_view(connection: Connection, mart: str, names: Sequence[str], have: Sequence[str]) -> None:
    view = sql.Identifier("certified", mart)
    if have and list(have) != [*_PROVENANCE, *names][: len(have)]:
        connection.execute(sql.SQL("drop view {} cascade").format(view))
        connection.execute("delete from governance.built_parts where part = 'views'")
    # not joined by day as well, which a publication has one of: the planner would take the two for independent, expect
    # one row of a year, and sort where it should hash
    connection.execute(
        sql.SQL(
            "create or replace view {view} as select p.version as publication_version, p.certificate_id, {names} "
            "from published.{mart} t join governance.publications p "
            "on p.publication_id = t.publication_id and p.mart = {literal} and p.is_live"
        ).format(
            view=view,
            names=sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(n)) for n in names),
            mart=sql.Identifier(mart),
            literal=sql.Literal(mart),
        )
    )
    _copy_comments(connection, mart)


def _create_history(connection: Connection, mart: str, names: Sequence[str], have: Sequence[str]) -> None:
    view = sql.Identifier("certified", history_of(mart))
    if have and list(have) != [*_HISTORY, *names][: len(have)]:
        connection.execute(sql.SQL("drop view {}").format(view))
    connection.execute(
        sql.SQL(
            "create or replace view {view} as select p.version as publication_version, p.certificate_id, "
            "p.published_at, p.version = p.first_version as is_first, p.is_live, {names} from published.{mart} t join "
            "(select *, min(version) over (partition by day) as first_version from governance.publications "
            "where mart = {literal}) p on p.publication_id = t.publication_id"
        ).format(
            view=view,
            names=sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(n)) for n in names),
            mart=sql.Identifier(mart),
            literal=sql.Literal(mart),
        )
    )
    connection.execute(
        sql.SQL("comment on view {} is {}").format(
            view,
            sql.Literal(
                f"Grain: as certified.{mart}, for every version ever published. As first reported: is_first; as it "
                f"stands now: is_live, which is certified.{mart}."
            ),
        )
    )


def _copy_comments(connection: Connection, mart: str) -> None:
    """The words of dbt's YAML where a reader looks for them."""
    view = sql.Identifier("certified", mart)
    for number, text in connection.execute(
        "select objsubid, description from pg_description where objoid = to_regclass('marts.' || quote_ident(%s))",
        [mart],
    ).fetchall():
        if number == 0:
            connection.execute(sql.SQL("comment on view {} is {}").format(view, sql.Literal(text)))
            continue
        name = connection.execute(
            "select attname from pg_attribute where attrelid = to_regclass('marts.' || quote_ident(%s)) "
            "and attnum = %s",
            [mart, number],
        ).fetchone()
        if name:
            column = sql.Identifier("certified", mart, name[0])
            connection.execute(sql.SQL("comment on column {} is {}").format(column, sql.Literal(text)))
