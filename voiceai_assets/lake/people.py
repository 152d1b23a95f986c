"""Which columns of a dataset name a person or a session, and which rows bear a tombstone; DuckDB SQL.

Belongs here: the same answer for a landed record, a row that is being refined and a row in the lake.
Does not belong here: marks (``privacy.tombstones``), rewriting of files (``erasure``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb

from voiceai_assets.contracts import DATASETS
from voiceai_assets.contracts.fields import Contract, Kind
from voiceai_assets.lake.reading.block import quoted, trimmed
from voiceai_assets.privacy.tombstones import Tombstones

#: Records of these are part of the session, so whom they name is whose session it is. An application or an event only
#: refers to one, and may name somebody else (in Irembo's export an application's user need not be the session's).
PARTS_OF_SESSION = frozenset({"turns", "sessions", "session_metrics", "turn_metrics", "calls"})

#: Why a tombstoned record is refused; its text is not kept.
ERASED = "erased"
ERASED_MESSAGE = "belongs to somebody who was forgotten (voiceai erase)"


def session_fields(contract: Contract) -> list[str]:
    """Text fields that name a session; a call is one, while the call id of a measurement counts within its session."""
    own = "call_id" if contract.identity == ("call_id",) else "session_id"
    return [f.name for f in contract.fields if f.name in {"session_id", own}]


def session_documents(contract: Contract) -> list[str]:
    """JSON fields that name a session in a member ``session_id``."""
    return [f.name for f in contract.fields if f.kind is Kind.JSON and f.name == "context"]


def names_people(contract: Contract) -> bool:
    """Whether a row can belong to somebody at all."""
    return bool(contract.person or session_fields(contract) or session_documents(contract))


def sessions_sql(contract: Contract, value: Callable[[str], str]) -> str:
    """List of the sessions that a row names; ``value`` gives the expression of a field."""
    fields = [trimmed(value(name)) for name in session_fields(contract)]
    documents = [f"json_extract_string({value(name)}, '$.session_id')" for name in session_documents(contract)]
    return f"[{', '.join([*fields, *documents]) or 'CAST(NULL AS VARCHAR)'}]"


def erased_sql(
    db: duckdb.DuckDBPyConnection,
    relation: str,
    contract: Contract,
    has_person: Callable[[str], bool],
    tombstones: Tombstones,
) -> str | None:
    """Condition that holds for the rows of a relation that bear a tombstone; None where none does.

    A row that names somebody is theirs, whatever session it names; a row that names nobody is its session's.

    Args:
        db: where the relation is; the condition speaks of two temporary tables made there.
        relation: a table, or a query in brackets, with the contract's columns.
        contract: the dataset.
        has_person: whether a value of the person's column is marked (an identifier, or a pseudonym).
        tombstones: asked for sessions.
    """
    person = quoted(contract.person) if contract.person else "CAST(NULL AS VARCHAR)"
    sessions = sessions_sql(contract, quoted)
    persons = _values(db, f"SELECT DISTINCT {person} FROM {relation} WHERE {person} IS NOT NULL")
    named = _values(
        db,
        f"SELECT DISTINCT session FROM (SELECT unnest({sessions}) AS session FROM {relation} WHERE {person} IS NULL) "
        "WHERE session IS NOT NULL",
    )
    gone_persons = [value for value in persons if has_person(value)]
    gone_sessions = [value for value in named if tombstones.has_session(value)]
    if not gone_persons and not gone_sessions:
        return None
    keep_values(db, "gone_persons", gone_persons)
    keep_values(db, "gone_sessions", gone_sessions)
    return (
        f"({person} IN (SELECT value FROM gone_persons) OR ({person} IS NULL AND list_has_any({sessions}, "
        "(SELECT coalesce(list(value), []) FROM gone_sessions))))"
    )


def keep_values(db: duckdb.DuckDBPyConnection, table: str, values: list[str]) -> None:
    """A temporary table ``(value)`` of these texts."""
    db.execute(f"CREATE OR REPLACE TEMP TABLE {table} (value VARCHAR)")
    if values:
        db.executemany(f"INSERT INTO {table} VALUES (?)", [[value] for value in values])


def _values(db: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    return [row[0] for row in db.execute(query).fetchall()]


PEOPLE = tuple(contract for contract in DATASETS.values() if names_people(contract))
