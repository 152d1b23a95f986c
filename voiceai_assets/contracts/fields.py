"""The vocabulary of a contract: fields and the types they have in DuckDB and PostgreSQL.

Belongs here: what is true of any dataset's contract. Does not belong here: the fields of one dataset.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """Type of a field: (DuckDB type, PostgreSQL type)."""

    TEXT = ("VARCHAR", "text")
    INTEGER = ("BIGINT", "bigint")
    NUMBER = ("DOUBLE", "double precision")
    MONEY = ("DECIMAL(18,6)", "numeric(18,6)")
    BOOLEAN = ("BOOLEAN", "boolean")
    INSTANT = ("TIMESTAMPTZ", "timestamptz")
    DATE = ("DATE", "date")
    TEXT_LIST = ("VARCHAR[]", "text[]")
    JSON = ("JSON", "jsonb")

    @property
    def duckdb(self) -> str:
        """Type while a file is read."""
        return self.value[0]

    @property
    def postgres(self) -> str:
        """Type in the warehouse."""
        return self.value[1]


@dataclass(frozen=True)
class Field:
    """One column of a contract."""

    name: str
    kind: Kind
    doc: str
    required: bool = False
    default: str | None = None
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    free_text: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its aliases: the keys under which emitters send it."""
        return (self.name, *self.aliases)


@dataclass(frozen=True)
class Contract:
    """All columns of a dataset as emitters send them, and the lineage columns that the platform adds."""

    dataset: str
    fields: tuple[Field, ...]
    lineage: tuple[Field, ...]

    @property
    def columns(self) -> tuple[Field, ...]:
        """Every column of the stored table, in order."""
        return self.fields + self.lineage

    @property
    def known_keys(self) -> frozenset[str]:
        """Every key that an emitter may send; others are kept in ``extra``."""
        return frozenset(name for field in self.fields for name in field.names)

    @property
    def version(self) -> str:
        """Fingerprint of names, types and rules: a changed contract makes new load ids."""
        rules = [(f.name, f.kind.name, f.required, f.default, f.aliases, f.choices, f.free_text) for f in self.columns]
        return hashlib.sha256(json.dumps(rules).encode()).hexdigest()[:12]

    def ddl_columns(self) -> str:
        """Column list for ``create table`` in PostgreSQL."""
        return ",\n  ".join(f"{f.name} {f.kind.postgres}{' not null' if f.required else ''}" for f in self.columns)
