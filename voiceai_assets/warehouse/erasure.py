"""Forgetting a person in PostgreSQL: tombstones, whose a session is, the sweep, and the search for what is left.

Belongs here: SQL, for the warehouse and for Dagster's own database beside it. Does not belong here: files
(``lake.erasure``), publications, the order of the steps (``voiceai_assets.erasing``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from voiceai_assets.contracts import DATASETS
from voiceai_assets.lake.erasure import Claim
from voiceai_assets.lake.people import PARTS_OF_SESSION, PEOPLE, session_documents, session_fields
from voiceai_assets.privacy.needles import Needles
from voiceai_assets.privacy.pseudonyms import Pseudonymiser
from voiceai_assets.privacy.tombstones import PERSON, SESSION, Tombstones
from voiceai_assets.warehouse import ledger

Connection = psycopg.Connection[Any]

#: Ledgers that are kept as evidence. The others are written anew with the days of a person, and by looking at landing.
EVIDENCE = (
    "governance.quality_results",
    "governance.verdicts",
    "governance.verdict_log",
    "governance.loads",
    "governance.certificates",
)
#: Schemas whose tables hold rows of people, upstream first; views over them hold nothing of their own.
PEOPLE_SCHEMAS = ("raw", "intermediate", "marts", "published")


# -- tombstones and ledger ---------------------------------------------------------------------------------------------


def tombstones(connection: Connection, pseudonymise: Pseudonymiser) -> Tombstones:
    """Everybody who was forgotten so far."""
    marks = connection.execute("select kind, mark from governance.erased").fetchall()
    return Tombstones(
        pseudonymise,
        frozenset(mark for kind, mark in marks if kind == PERSON),
        frozenset(mark for kind, mark in marks if kind == SESSION),
    )


def record_tombstones(connection: Connection, new: Tombstones) -> None:
    """Remember these, too."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into governance.erased (kind, mark) values (%s, %s) on conflict do nothing", list(new.marks())
        )


def begin_erasure(connection: Connection, days: Sequence[str], removed: dict[str, int]) -> None:
    """Write down what is about to be done, before anything is removed."""
    connection.execute(
        "insert into governance.erasures (days, removed) values (%s::date[], %s)", [list(days), Jsonb(removed)]
    )


def unfinished_days(connection: Connection) -> set[str]:
    """Days of erasures that were interrupted."""
    query = "select distinct unnest(days)::text from governance.erasures where finished_at is null"
    return {row[0] for row in connection.execute(query).fetchall()}


def finish_erasures(connection: Connection, residue: dict[str, int], *, is_clean: bool) -> None:
    """Close all that are open; an interrupted one has been completed by the one after it."""
    connection.execute(
        "update governance.erasures set finished_at = now(), residue = %s, is_clean = %s where finished_at is null",
        [Jsonb(residue), is_clean],
    )


# -- tables that hold rows of people -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class PeopleTable:
    """A table of rows that name people.

    Attributes:
        person: column of the pseudonym, or None.
        sessions: expressions of the sessions that a row names.
        is_part: whether its rows are parts of the session they name.
        day_column: in ``raw``, where a row's day stands.
    """

    schema: str
    name: str
    person: str | None
    sessions: tuple[str, ...]
    is_part: bool
    day_column: str | None = None

    @property
    def full_name(self) -> str:
        """As people write it."""
        return f"{self.schema}.{self.name}"

    @property
    def sessions_sql(self) -> sql.Composable:
        """Array of the sessions of a row."""
        return sql.SQL(f"array[{', '.join(self.sessions)}]::text[]")

    @property
    def table(self) -> sql.Composable:
        """Schema and name, quoted."""
        return sql.Identifier(self.schema, self.name)

    @property
    def person_sql(self) -> sql.Composable:
        """The pseudonym of a row, or null."""
        return sql.Identifier(self.person) if self.person else sql.SQL("null::text")


def people_tables(connection: Connection) -> Iterator[PeopleTable]:
    """Every table below staging and marts whose rows can belong to somebody: raw by contract, the others by column."""
    query = (
        "select n.nspname, c.relname, array_agg(a.attname::text) from pg_class c join pg_namespace n "
        "on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = any(%s) group by 1, 2 order by 1, 2"
    )
    raw = {contract.dataset: contract for contract in PEOPLE}
    for schema, name, columns in connection.execute(query, [list(PEOPLE_SCHEMAS)]).fetchall():
        if schema == "raw" and name in DATASETS:
            if (contract := raw.get(name)) is not None:
                documents = [f"{document} ->> 'session_id'" for document in session_documents(contract)]
                sessions = (*session_fields(contract), *documents)
                is_part = name in PARTS_OF_SESSION
                yield PeopleTable(schema, name, contract.person, sessions, is_part, contract.day_column)
        else:
            person = next((column for column in ("user_id", "unit_id") if column in columns), None)
            sessions = ("session_id",) if "session_id" in columns else ()
            if person or sessions:
                yield PeopleTable(schema, name, person, sessions, is_part=True)


def claims_in_tables(connection: Connection, pseudonym: str) -> Iterator[Claim]:
    """What stored rows say of the sessions in which the person is named: landing may no longer hold them."""
    tables = [table for table in people_tables(connection) if table.person and table.sessions]
    named: set[str] = set()
    for table in tables:
        query = sql.SQL("select distinct s from {table}, unnest({sessions}) s where {person} = %s and s is not null")
        named |= {row[0] for row in connection.execute(_of(table, query), [pseudonym]).fetchall()}
    for table in tables if named else ():
        query = sql.SQL(
            "select s, bool_or({person} = %s), bool_or({person} <> %s) from {table}, unnest({sessions}) s "
            "where s = any(%s) and {person} is not null group by s"
        )
        for session, is_mine, is_others in connection.execute(
            _of(table, query), [pseudonym, pseudonym, sorted(named)]
        ).fetchall():
            yield Claim(session, is_mine, is_others, table.is_part)


def marked_values(connection: Connection, marks: Tombstones) -> tuple[set[str], set[str]]:
    """Pseudonyms and sessions in the tables that bear a mark, whosever: what an interrupted erasure left is found."""
    pseudonyms: set[str] = set()
    sessions: set[str] = set()
    for table in people_tables(connection):
        if table.person:
            query = sql.SQL("select distinct {person} from {table} where {person} is not null")
            pseudonyms |= set(_marked(connection, _of(table, query), marks.has_pseudonym))
        if table.sessions:
            query = sql.SQL(
                "select distinct s from {table}, unnest({sessions}) s where {person} is null and s is not null"
            )
            sessions |= set(_marked(connection, _of(table, query), marks.has_session))
    return pseudonyms, sessions


def _marked(connection: Connection, query: sql.Composed, is_marked: Callable[[str], bool]) -> Iterator[str]:
    yield from (value for (value,) in connection.execute(query).fetchall() if is_marked(value))


def days_of_people(connection: Connection, pseudonyms: Iterable[str], sessions: Iterable[str]) -> set[str]:
    """Days of ``raw`` that hold rows of theirs."""
    days: set[str] = set()
    for table in people_tables(connection):
        if table.day_column:
            query = sql.SQL("select distinct {day}::text from {table} where {theirs}").format(
                day=sql.Identifier(table.day_column), table=table.table, theirs=_theirs(table)
            )
            days |= {row[0] for row in connection.execute(query, _whose(pseudonyms, sessions)).fetchall()}
    return days


def sweep(connection: Connection, pseudonyms: Iterable[str], sessions: Iterable[str]) -> dict[str, int]:
    """Delete rows of theirs that running their days again did not replace: table -> rows.

    A mart of a blocked day is not built anew, for instance. A day of ``raw`` that loses rows here was not loaded
    again, so nothing may be certified from it until it is.
    """
    removed: dict[str, int] = {}
    whose = _whose(pseudonyms, sessions)
    for table in people_tables(connection):
        if table.schema == "published":  # versions go as a whole: warehouse.publications
            continue
        if table.day_column:
            query = sql.SQL("select distinct {day}::text from {table} where {theirs}").format(
                day=sql.Identifier(table.day_column), table=table.table, theirs=_theirs(table)
            )
            for (day,) in connection.execute(query, whose).fetchall():
                ledger.retire_load(connection, table.name, day)
        query = sql.SQL("delete from {table} where {theirs}").format(table=table.table, theirs=_theirs(table))
        if count := connection.execute(query, whose).rowcount:
            removed[table.full_name] = count
    return removed


def _whose(pseudonyms: Iterable[str], sessions: Iterable[str]) -> dict[str, list[str]]:
    return {"persons": sorted(pseudonyms), "sessions": sorted(sessions)}


def _theirs(table: PeopleTable) -> sql.Composed:
    """A row that names somebody is theirs; one that names nobody is its session's."""
    return _of(
        table,
        sql.SQL("({person} = any(%(persons)s::text[]) or ({person} is null and {sessions} && %(sessions)s::text[]))"),
    )


def _of(table: PeopleTable, query: sql.SQL) -> sql.Composed:
    return query.format(table=table.table, person=table.person_sql, sessions=table.sessions_sql)


# -- texts that mention people -----------------------------------------------------------------------------------------

_OURS = "n.nspname <> 'information_schema' and n.nspname !~ '^pg_'"


def scrub(connection: Connection, needles: Needles, only: Sequence[str] | None = None) -> dict[str, int]:
    """Take identifiers out of every text and JSON column of a database, or of some tables: table -> texts changed.

    For ledgers and logs: samples of failed checks, names of files, certificates. Columns of a key stay as they are.
    """
    changed: dict[str, int] = {}
    for schema, table, columns in text_columns(connection):
        if only is not None and f"{schema}.{table}" not in only:
            continue
        count = sum(_scrub_column(connection, (schema, table), column, kind, needles) for column, kind in columns)
        if count:
            changed[f"{schema}.{table}"] = count
    return changed


def text_columns(connection: Connection) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Schema, table, and (column, type) of everything that may hold text, but for the columns of keys."""
    query = (
        "select n.nspname, c.relname, array_agg(array[a.attname::text, t.typname::text]) from pg_class c "
        "join pg_namespace n on n.oid = c.relnamespace "
        "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "join pg_type t on t.oid = a.atttypid and t.typname in ('text', 'varchar', 'json', 'jsonb') "
        f"where c.relkind = 'r' and {_OURS} and not exists ("
        "select from pg_index i where i.indrelid = c.oid and i.indisunique and a.attnum = any(i.indkey)) "
        "group by 1, 2 order by 1, 2"
    )
    return [
        (schema, table, [(name, kind) for name, kind in columns])
        for schema, table, columns in connection.execute(query).fetchall()
    ]


def _scrub_column(connection: Connection, table: tuple[str, str], column: str, kind: str, needles: Needles) -> int:
    names = {"table": sql.Identifier(*table), "column": sql.Identifier(column), "kind": sql.SQL(kind)}
    is_certificate = table == ("governance", "certificates")
    stamp = sql.SQL(", redacted_at = now()" if is_certificate else "")
    found = connection.execute(
        sql.SQL("select ctid::text, {column}::text from {table} where {column}::text ~ any(%s)").format(**names),
        [list(needles.patterns())],
    ).fetchall()
    change = "update {table} set {column} = %s::{kind}{stamp} where ctid = %s::tid"
    for row, text in found:
        connection.execute(sql.SQL(change).format(**names, stamp=stamp), [needles.scrubbed(text), row])
    return len(found)


def search(connection: Connection, needles: Needles) -> dict[str, int]:
    """Tables of a database in which an identifier stands, in whatever column: table -> rows."""
    query = (
        "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        f"where c.relkind in ('r', 'p', 'm') and not c.relispartition and {_OURS} order by 1, 2"
    )
    found: dict[str, int] = {}
    for schema, table in connection.execute(query).fetchall():
        row = connection.execute(
            sql.SQL("select count(*) from {} t where t::text ~ any(%s)").format(sql.Identifier(schema, table)),
            [list(needles.patterns())],
        ).fetchone()
        if row and row[0]:
            found[f"{schema}.{table}"] = row[0]
    return found
