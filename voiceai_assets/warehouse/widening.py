"""Columns of ``raw`` whose contract has another type: widened where no value is lost, else refused by name.

Belongs here: which type may become which, and what stands in the way. Does not belong here: new tables and columns
(``schema``), types of marts (dbt).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from voiceai_assets.contracts.fields import Contract, Field
from voiceai_assets.warehouse.server import WarehouseError

_NUMBERS = ("bigint", "numeric(18,6)", "double precision", "text")
#: PostgreSQL's names of a type and of those that hold all its values, or most of them: each value is tried.
WIDER: Mapping[str, tuple[str, ...]] = {
    "integer": _NUMBERS,
    "bigint": _NUMBERS[1:],
    "numeric(18,6)": _NUMBERS[2:],
    "real": _NUMBERS[2:],
    "double precision": _NUMBERS[3:],
    "boolean": ("text",),
}
_TYPES = """
select attname, format_type(atttypid, atttypmod) from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped
"""
_VIEWS = """
select distinct n.nspname, c.relname from pg_depend d
join pg_rewrite r on r.oid = d.objid join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
where d.refobjid = %s::regclass and d.classid = 'pg_rewrite'::regclass and c.oid <> d.refobjid order by 1, 2
"""


def widen_columns(connection: psycopg.Connection[Any], contract: Contract) -> None:
    """Give the columns of a dataset's table, and of all its partitions, the types of the contract.

    Views of dbt's staging read them and are dropped; the next run builds them again, as after any change of theirs, and
    looks whether its tables are still of the types that come to them.

    Raises:
        WarehouseError: when values would be lost, or somebody else's view is in the way; nothing is changed then.
    """
    table = f"raw.{contract.dataset}"
    have = dict(connection.execute(_TYPES, [table]).fetchall())
    narrow = [f for f in contract.columns if f.name in have and have[f.name] != _type(f)]
    for field in narrow:
        _refuse_loss(connection, contract, field, have[field.name])
    if narrow:
        _drop_staging(connection, table, narrow)
    for field in narrow:
        column, kind = sql.Identifier(field.name), sql.SQL(field.kind.postgres)
        connection.execute(
            sql.SQL("alter table {} alter column {} type {} using {}::{}").format(
                sql.Identifier("raw", contract.dataset), column, kind, column, kind
            )
        )


def _type(field: Field) -> str:
    """The type of a field as PostgreSQL spells it."""
    return {"timestamptz": "timestamp with time zone"}.get(field.kind.postgres, field.kind.postgres)


def _refuse_loss(connection: psycopg.Connection[Any], contract: Contract, field: Field, old: str) -> None:
    differs = f"raw.{contract.dataset}.{field.name} is {old}, and its contract says {_type(field)}"
    mend = "Put the type of the contract back, or give the field with the new type another name"
    if _type(field) not in WIDER.get(old, ()):
        raise WarehouseError(f"{differs}: not every value of the one is a value of the other. {mend}.")
    query = sql.SQL("select count(*) from {} where {column}::{new}::{old} is distinct from {column}").format(
        sql.Identifier("raw", contract.dataset),
        column=sql.Identifier(field.name),
        new=sql.SQL(field.kind.postgres),
        old=sql.SQL(old),  # as PostgreSQL spelled it
    )
    try:
        with connection.transaction():
            (lost,) = connection.execute(query).fetchone() or (0,)
    except psycopg.errors.NumericValueOutOfRange:
        lost = "some"
    if lost:
        raise WarehouseError(f"{differs}: {lost} of its values would become others. {mend}.")


def _drop_staging(connection: psycopg.Connection[Any], table: str, fields: list[Field]) -> None:
    views = connection.execute(_VIEWS, [table]).fetchall()
    if foreign := [f"{schema}.{name}" for schema, name in views if schema != "staging"]:
        raise WarehouseError(
            f"{', '.join(foreign)} read {table}, whose {', '.join(f.name for f in fields)} must get another type; "
            "drop them, run the command again, and create them anew"
        )
    for view in views:
        connection.execute(sql.SQL("drop view {}").format(sql.Identifier(*view)))
    connection.execute("delete from governance.built_parts where part in ('staging', 'marts')")
