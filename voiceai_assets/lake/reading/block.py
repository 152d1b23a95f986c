"""A block of records: what every format is read into.

Belongs here: how SQL sees a record. Does not belong here: bytes (the readers), contracts (``lake.typing``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from voiceai_assets.white_space import WHITE_SPACE

#: What each block has: line in the file (from 1), its text where the format has any, why it could not be read.
BLOCK = pa.schema([("line", pa.int64()), ("text", pa.string()), ("problem", pa.string())])


class UnreadableFileError(ValueError):
    """A file that cannot be read as a whole; the message names the file and says why."""


@dataclass(frozen=True)
class Block:
    """Records of one file, in its order.

    Attributes:
        rows: ``line``, ``problem``, for text formats ``text``, and for formats with columns ``c0``, ``c1``, ... each.
        columns: names of those columns; None where a record is a JSON object in ``text``.
        values: expressions that give those columns as text; the columns themselves where they are text already.
        delimiter: of the cells in ``text``, said by the first block of a CSV file.
        is_cut_off: whether the last record may have been broken off by the end of the file.
        is_damaged: whether the file broke off here (a truncated archive).
    """

    rows: pa.Table
    columns: tuple[str, ...] | None = None
    values: tuple[str, ...] | None = None
    delimiter: str | None = None
    is_cut_off: bool = False
    is_damaged: bool = False

    @property
    def _places(self) -> dict[str, str]:
        """Column -> expression of its text."""
        columns = self.columns or ()
        return dict(zip(columns, self.values or [f"c{i}" for i in range(len(columns))], strict=True))

    @property
    def is_whole(self) -> bool:
        """Whether all of its records could be read."""
        return bool(self.rows["problem"].null_count == self.rows.num_rows)

    @property
    def last_line(self) -> int:
        """Line of the last record, 0 in an empty block."""
        return self.rows["line"][-1].as_py() if self.rows.num_rows else 0

    @property
    def keys_sql(self) -> str | None:
        """DuckDB: list of a JSON record's keys; None where ``columns`` says it for all records."""
        return None if self.columns is not None else f"TRY(json_keys({_OBJECT}))"

    def record_sql(self, wanted: Iterable[str], json_columns: Iterable[str] = ()) -> str:
        """DuckDB: struct of the wanted columns as text (JSON where said so), null where the text is no record."""
        as_json = set(json_columns)
        shape = {name: "JSON" if name in as_json else "VARCHAR" for name in sorted(set(wanted) | as_json)}
        if self.columns is None:
            shape = shape or {"nothing": "VARCHAR"}  # DuckDB takes no empty one
            # TRY instead of json_valid in front: one parse of the text instead of two
            return f"TRY(json_transform({_OBJECT}, {literal(json.dumps(shape))}))"
        places = self._places
        members = ", ".join(f"{quoted(n)} := {_member(places.get(n), kind)}" for n, kind in shape.items())
        record = f"struct_pack({members or 'nothing := NULL'})"
        return record if self.is_whole else f"CASE WHEN problem IS NULL THEN {record} END"

    def unknown_sql(self, known: Iterable[str]) -> str:
        """DuckDB: JSON object of what a record holds beyond the known columns, or null."""
        names = sorted(set(known))
        if self.columns is None:
            # a merge patch (RFC 7396) whose members are null deletes those members: what stays is what is not known
            erase = literal(json.dumps(dict.fromkeys(names)))
            listed = ", ".join(map(literal, names))
            others = f"list_filter({self.keys_sql}, lambda key: key NOT IN ({listed}))"
            return f"CASE WHEN len({others}) > 0 THEN json_merge_patch(text, {erase}) END"
        extra = [(name, value) for name, value in self._places.items() if name not in names]
        if not extra:
            return "CAST(NULL AS JSON)"
        members = ", ".join(f"{literal(name)}, {column}" for name, column in extra)
        any_filled = " OR ".join(f"{column} IS NOT NULL" for _, column in extra)
        # patching an empty object drops the members that are null
        return f"CASE WHEN {any_filled} THEN json_merge_patch('{{}}', json_object({members})) END"

    @property
    def text_columns(self) -> list[str]:
        """Columns of ``rows`` that :meth:`text_sql` speaks of."""
        return (
            ["text"] if "text" in self.rows.column_names else [f"c{index}" for index in range(len(self.columns or ()))]
        )

    def text_sql(self) -> str:
        """DuckDB: the record as text, for quarantine."""
        if self.text_columns == ["text"]:
            return "text"
        members = ", ".join(f"{literal(name)}, {value}" for name, value in self._places.items())
        return f"CAST(json_object({members}) AS VARCHAR)"


#: The text where it may be an object. The condition is about the text and not about what is made of it: to choose
#: among records copies them, which took a third of their time. To trim each text takes as long as half a parse.
_OBJECT = "CASE WHEN problem IS NULL AND (starts_with(text, '{') OR starts_with(ltrim(text), '{')) THEN text END"


def _member(column: str | None, kind: str) -> str:
    if column is None:
        return f"CAST(NULL AS {kind})"
    if kind == "JSON":  # what is no JSON stays as a JSON string, so that it can be refused by name and not lost
        return f"CASE WHEN json_valid({column}) THEN json({column}) ELSE to_json({column}) END"
    return column


def trimmed(text: str) -> str:
    """DuckDB: a text without white space around it, null where nothing is left; ``trim`` alone takes blanks only."""
    return f"nullif(trim({text}, {literal(WHITE_SPACE)}), '')"


def literal(text: str) -> str:
    """A text as SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name as SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
