"""The vocabulary of a contract: fields and the types they have in DuckDB and PostgreSQL.

Belongs here: what is true of any dataset's contract. Does not belong here: the fields of one dataset.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import Enum
from functools import cached_property


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
    """One column of a contract.

    Attributes:
        aliases: other names under which emitters send it.
        choices: values that are expected; others are loaded and judged by the checks.
        free_text: holds what somebody said or wrote, hence redacted, and deleted by retention.
        identifier: tells things apart by its letters and digits (an id, a version), hence never redacted. Every other
            text is: whoever adds a field has to say so where nothing personal can be in it.
        person: names a person, hence stored as a keyed pseudonym only.
        minimum, maximum: numbers that are values at all; what is less or more is of the wrong type.
    """

    name: str
    kind: Kind
    doc: str
    required: bool = False
    default: str | None = None
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    free_text: bool = False
    identifier: bool = False
    person: bool = False
    minimum: int | None = None
    maximum: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its aliases: the keys under which emitters send it."""
        return (self.name, *self.aliases)

    @property
    def is_label(self) -> bool:
        """A word of some vocabulary, or a list of them, as far as the emitter keeps to it: redacted, never deleted."""
        is_text = self.kind in (Kind.TEXT, Kind.TEXT_LIST)
        return is_text and not (self.free_text or self.identifier or self.person)


@dataclass(frozen=True)
class Contract:
    """All columns of a dataset as emitters send them, and the lineage columns that the platform adds.

    Attributes:
        dataset: name of the table in ``raw`` and of the folder in the lake.
        grain: what one row is, in words.
        fields: as emitters send them.
        identity: fields that, with the source, tell rows apart. ``a|b`` stands for b where a is null.
        day_column: lineage column that holds the day a row is filed under.
        time_field: the instant whose day that is; None where a row has none of its own (a snapshot of a list).
    """

    dataset: str
    grain: str
    fields: tuple[Field, ...]
    identity: tuple[str, ...]
    day_column: str
    time_field: str | None

    @property
    def lineage(self) -> tuple[Field, ...]:
        """What the platform adds to every row."""
        return (
            Field("source", Kind.TEXT, "adapter that read the row", required=True),
            Field(self.day_column, Kind.DATE, "day the row belongs to, in the source's zone", required=True),
            Field("source_file", Kind.TEXT, "file in landing", required=True),
            Field("source_line", Kind.INTEGER, "line or row in that file, from 1", required=True),
            Field("invalid_fields", Kind.TEXT_LIST, "optional fields whose value had the wrong type (kept in extra)"),
            Field("load_id", Kind.TEXT, "load that brought the row", required=True),
        )

    @property
    def columns(self) -> tuple[Field, ...]:
        """Every column of the stored table, in order."""
        return self.fields + self.lineage

    @property
    def person(self) -> str | None:
        """The field that names a person, if there is one; the tests hold that there is at most one."""
        return next((field.name for field in self.fields if field.person), None)

    @property
    def known_keys(self) -> frozenset[str]:
        """Every key that an emitter may send; others are kept in ``extra``."""
        return frozenset(name for field in self.fields for name in field.names)

    @cached_property  # every look into landing asks for every file
    def version(self) -> str:
        """Fingerprint of names, types and rules: a changed contract makes new load ids."""
        rules = [
            (
                f.name,
                f.kind.name,
                f.required,
                f.default,
                f.aliases,
                f.choices,
                f.free_text,
                f.identifier,
                f.person,
                f.minimum,
                f.maximum,
            )
            for f in self.columns
        ]
        return hashlib.sha256(json.dumps([rules, self.identity, self.time_field]).encode()).hexdigest()[:12]

    def of(self, name: str) -> Field:
        """A field by its name.

        Raises:
            KeyError: when the contract has no such field.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(f"{self.dataset} has no field {name}")

    def ddl_columns(self) -> str:
        """Column list for ``create table`` in PostgreSQL."""
        return ",\n  ".join(f"{f.name} {f.kind.postgres}{' not null' if f.required else ''}" for f in self.columns)


#: Keys that a contract does not know; every contract ends with it.
EXTRA = Field("extra", Kind.JSON, "keys that the contract does not know", free_text=True)
