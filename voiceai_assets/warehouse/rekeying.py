"""Key rotation in PostgreSQL: who may not run meanwhile, and every pseudonym in one transaction.

Belongs here: SQL. Does not belong here: keys (``privacy.pseudonyms``), files (``lake.rekeying``), the order of the
steps (``voiceai_assets.rotation``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from voiceai_assets.contracts import DATASETS
from voiceai_assets.privacy.pseudonyms import PSEUDONYM_HEX_DIGITS, key_id, rekeyed
from voiceai_assets.privacy.tombstones import rekeyed_mark
from voiceai_assets.warehouse.erasure import PEOPLE_SCHEMAS, text_columns
from voiceai_assets.warehouse.marts import certified_marts
from voiceai_assets.warehouse.publications import certify
from voiceai_assets.warehouse.readers import CHECKSUM, columns_of

Connection = psycopg.Connection[Any]

_LOCK = "hashtext('voiceai pseudonym key')"
_PERSON_COLUMNS = sorted({contract.person for contract in DATASETS.values() if contract.person})
_PSEUDONYM = re.compile(rf"\b[0-9a-f]{{{PSEUDONYM_HEX_DIGITS}}}\b")


@dataclass(frozen=True)
class Rekeyed:
    """What a rotation did to the tables."""

    people: int
    changed: dict[str, int]
    certificates: dict[str, str]


def share_key(connection: Connection) -> None:
    """Keep rotations out until the connection closes; waits for one that is under way."""
    connection.execute(f"select pg_advisory_lock_shared({_LOCK})")


def is_alone(connection: Connection) -> bool:
    """Keep everybody who works with pseudonyms out until the connection closes, if nobody does.

    Asked again and again instead of waiting: a lock that waits would stop those that come after it, also the second one
    of a process that has the first.
    """
    row = connection.execute(f"select pg_try_advisory_lock({_LOCK})").fetchone()
    return bool(row and row[0])


def current_key_id(connection: Connection) -> str | None:
    """Key of the pseudonyms in the tables; None where none was ever rotated."""
    row = connection.execute(
        "select new_key_id from governance.key_rotations order by rotation_id desc limit 1"
    ).fetchone()
    return row[0] if row else None


def rekey(connection: Connection, key: bytes, old_key_id: str, listen: Callable[[str], None]) -> Rekeyed:
    """Carry every pseudonym and every tombstone over, in the caller's transaction: readers see all or nothing of it.

    Load ids, check results and verdicts stay: they speak of what was loaded, and that is the same. Checksums of rows
    change, hence the certificates that name them: each gets a successor with the same evidence.
    """
    mapping = {pseudonym: rekeyed(pseudonym, key) for pseudonym in pseudonyms(connection)}
    connection.execute("create temporary table rekeyed (old text primary key, new text not null) on commit drop")
    with connection.cursor().copy("copy rekeyed from stdin") as copy:
        for pair in sorted(mapping.items()):
            copy.write_row(pair)
    connection.execute("analyze rekeyed")
    changed: dict[str, int] = {}
    for table, column in _person_columns(connection):
        listen(".".join(table))
        update = "update {t} set {c} = rekeyed.new from rekeyed where {t}.{c} = rekeyed.old"
        count = connection.execute(_of(update, table, column)).rowcount
        changed[".".join(table)] = changed.get(".".join(table), 0) + count
    rename_in_texts(connection, mapping.get, schema="governance")
    _rekey_tombstones(connection, key)
    certificates = _certify_anew(connection, key_id(key), listen)
    connection.execute("update governance.loads set key_id = %s where dataset <> 'marts' and is_live", [key_id(key)])
    found = Rekeyed(len(mapping), {table: n for table, n in changed.items() if n}, certificates)
    connection.execute(
        "insert into governance.key_rotations (old_key_id, new_key_id, people, changed, certificates) "
        "values (%s, %s, %s, %s, %s)",
        [old_key_id, key_id(key), found.people, Jsonb(found.changed), Jsonb(certificates)],
    )
    return found


def record_lake(connection: Connection, checksums: Mapping[tuple[str, str], str]) -> None:
    """Checksums of the lake's rows, (dataset, day) -> sha256, for the loads that remember one."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "update governance.loads set lake_sha256 = %s "
            "where dataset = %s and day = %s and is_live and lake_sha256 is not null",
            [(sha256, dataset, day) for (dataset, day), sha256 in checksums.items()],
        )


def pseudonyms(connection: Connection) -> set[str]:
    """Every pseudonym in the tables."""
    return {
        value
        for table, column in _person_columns(connection)
        for (value,) in connection.execute(_of("select distinct {c} from {t} where {c} is not null", table, column))
    }


def rename_in_texts(connection: Connection, new_name: Callable[[str], str | None], *, schema: str | None = None) -> int:
    """Give pseudonyms in texts and documents (samples of checks, a log of events) their new names; how many texts."""
    count = 0
    for found, table, columns in text_columns(connection):
        for column, kind in columns if schema in {None, found} else ():
            names = {"t": sql.Identifier(found, table), "c": sql.Identifier(column), "kind": sql.SQL(kind)}
            texts = connection.execute(
                sql.SQL("select ctid::text, {c}::text from {t} where {c}::text ~ %s").format(**names),
                [rf"\y[0-9a-f]{{{PSEUDONYM_HEX_DIGITS}}}\y"],
            ).fetchall()
            for row, text in texts:
                renamed = _PSEUDONYM.sub(lambda match: new_name(match[0]) or match[0], text)
                if renamed != text:
                    change = sql.SQL("update {t} set {c} = %s::{kind} where ctid = %s::tid").format(**names)
                    connection.execute(change, [renamed, row])
                    count += 1
    return count


def _person_columns(connection: Connection) -> list[tuple[tuple[str, str], str]]:
    """Schema and name of each table, and its column that names people; a table may have more than one."""
    query = (
        "select n.nspname, c.relname, a.attname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = any(%s) and a.attname = any(%s) "
        "order by 1, 2, 3"
    )
    found = connection.execute(query, [list(PEOPLE_SCHEMAS), _PERSON_COLUMNS]).fetchall()
    return [((schema, table), column) for schema, table, column in found]


def _of(query: str, table: tuple[str, str], column: str) -> sql.Composed:
    return sql.SQL(query).format(t=sql.Identifier(*table), c=sql.Identifier(column))


def _rekey_tombstones(connection: Connection, key: bytes) -> None:
    marks = connection.execute("select kind, mark from governance.erased").fetchall()
    with connection.cursor() as cursor:
        cursor.executemany(
            "update governance.erased set mark = %s where kind = %s and mark = %s",
            [(rekeyed_mark(mark, key), kind, mark) for kind, mark in marks],
        )


def _certify_anew(connection: Connection, new_key_id: str, listen: Callable[[str], None]) -> dict[str, str]:
    """Checksums of the versions that are kept, and the certificates that name them: old -> new."""
    affected: dict[str, dict[str, str]] = {}  # certificate -> mart -> checksum
    for mart in _marts_of_people(connection):
        listen(f"published.{mart}")
        for publication, certificate, content in _contents(connection, mart):
            connection.execute(
                "update governance.publications set content_sha256 = %s where publication_id = %s",
                [content, publication],
            )
            affected.setdefault(certificate, {})[mart] = content
    successors = {old: _successor(connection, old, new, new_key_id) for old, new in _in_order(connection, affected)}
    return {old: new for old, new in successors.items() if old != new}


def _marts_of_people(connection: Connection) -> list[str]:
    return sorted({table for (schema, table), _ in _person_columns(connection) if schema == "published"})


def _contents(connection: Connection, mart: str) -> list[tuple[int, str, str]]:
    """Publication, certificate and checksum of each kept version, made of the columns that its certificate names."""
    kept = connection.execute(
        "select p.publication_id, p.certificate_id, p.day::text, c.body::jsonb #> array['marts', p.mart, 'columns'] "
        "from governance.publications p join governance.certificates c using (certificate_id) "
        "where p.mart = %s and not p.is_pruned",
        [mart],
    ).fetchall()
    present = [name for name, _ in columns_of(connection, "marts", mart)]
    query = sql.SQL(f"select {CHECKSUM} from (select {{}} from {{}} where publication_id = %s and {{}} = %s) t")
    table, at = sql.Identifier("published", mart), sql.Identifier(certified_marts()[mart])
    found = []
    for publication, certificate, day, columns in kept:
        names = sql.SQL(", ").join(map(sql.Identifier, columns or present))
        (content,) = connection.execute(query.format(names, table, at), [publication, day]).fetchall()[0]
        found.append((publication, certificate, content))
    return found


def _in_order(
    connection: Connection, affected: Mapping[str, Mapping[str, str]]
) -> Iterable[tuple[str, Mapping[str, str]]]:
    """In the order in which they were issued, as the chain has them."""
    rows = connection.execute(
        "select certificate_id from governance.certificates where certificate_id = any(%s) "
        "order by issued_at, certificate_id",
        [list(affected)],
    ).fetchall()
    return [(certificate, affected[certificate]) for (certificate,) in rows]


def _successor(connection: Connection, certificate: str, contents: Mapping[str, str], new_key_id: str) -> str:
    """The same evidence for rows under the new key."""
    day, text = connection.execute(
        "select day::text, body from governance.certificates where certificate_id = %s", [certificate]
    ).fetchall()[0]
    body = json.loads(text)
    for mart, content in contents.items():
        if mart in body["marts"]:
            body["marts"][mart]["content_sha256"] = content
    if "key_id" in body.get("settings", {}):
        body["settings"]["key_id"] = new_key_id
    successor = certify(connection, day, body)
    connection.execute(
        "update governance.publications set certificate_id = %s where certificate_id = %s",
        [successor, certificate],
    )
    return successor
