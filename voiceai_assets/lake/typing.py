"""DuckDB SQL that turns a block of source records into typed contract rows and says what is wrong with a record.

Belongs here: an adapter's mapping, types, required fields, the day, for any adapter and any dataset.
Does not belong here: judgement of values (the checks do that), redaction and pseudonyms (``lake.refine``).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from voiceai_assets.adapters.base import Table
from voiceai_assets.contracts.fields import Contract, Field, Kind
from voiceai_assets.lake.reading import Block
from voiceai_assets.lake.reading.block import literal, quoted, trimmed

#: Years in which somebody may have called. 0001 is what some languages write for no date, and Python knows no year
#: 0 nor 10000, so such a day would stop whoever asks for it.
_YEAR = r"(19|[2-8]\d)\d{2}"
#: RFC 3339 with an optional offset; DuckDB alone would also take a bare date, a time it has to guess, or +99:00.
RFC3339 = (
    rf"^\s*{_YEAR}-\d{{2}}-\d{{2}}[Tt ]\d{{2}}:\d{{2}}(:\d{{2}}([.,]\d+)?)?"
    r"\s*([Zz]|[+-](0\d|1[0-5])(:?[0-5]\d)?)?\s*$"
)
_COLUMN = re.compile(r"""\bs\.(?:"((?:[^"]|"")+)"|([A-Za-z_]\w*))""")


def instant_sql(text: str) -> str:
    """DuckDB: instant of an RFC 3339 text, read in the connection's time zone where it has no offset; else null."""
    point = f"CASE WHEN contains({text}, ',') THEN replace({text}, ',', '.') ELSE {text} END"
    return f"CASE WHEN regexp_matches({text}, '{RFC3339}') THEN try_cast({point} AS TIMESTAMPTZ) END"


def date_sql(text: str) -> str:
    """DuckDB: date of a text, null where it is none or of a year in which nobody called."""
    date = f"try_cast({text} AS DATE)"
    return f"CASE WHEN {date} BETWEEN DATE '1900-01-01' AND DATE '8999-12-31' THEN {date} END"


def day_sql(text: str) -> str:
    """DuckDB: day of an RFC 3339 text in the connection's time zone, or the date that a text begins with; else null."""
    return f"coalesce(CAST({instant_sql(text)} AS DATE), {date_sql(f'left(trim({text}), 10)')})"


def columns_in(expressions: Iterable[str]) -> frozenset[str]:
    """Source columns that expressions over ``s`` mention."""
    return frozenset(
        (quoted_name or plain).replace('""', '"')
        for expression in expressions
        for quoted_name, plain in _COLUMN.findall(expression)
    )


@functools.cache
def _wanted(table: Table) -> frozenset[str]:
    expressions = [*table.mapping.values(), table.where, table.explode or "", table.day_of.by if table.day_of else ""]
    return columns_in(expressions)


def known_columns(table: Table) -> frozenset[str]:
    """Source columns that a table knows; the others are kept in ``extra``."""
    return _wanted(table) | set(table.required) | set(table.json) | set(table.columns)


def missing_columns(table: Table, block: Block) -> list[str]:
    """Required columns that a file with a header does not have."""
    return [] if block.columns is None else [name for name in table.required if name not in block.columns]


@functools.cache
def narrowed(table: Table, present: frozenset[str]) -> Table:
    """The table as far as a block has its columns: a contract has sixty fields, an emitter sends twenty.

    What no record of a block holds need not be looked for in each of a million records; it took a third of the time.
    """
    json = set(table.json)

    def without_absent(match: re.Match[str]) -> str:
        name = (match[1] or match[2]).replace('""', '"')
        return match[0] if name in present else f"CAST(NULL AS {'JSON' if name in json else 'VARCHAR'})"

    mapping = {
        name: _COLUMN.sub(without_absent, expression)
        for name, expression in table.mapping.items()
        if not (mentioned := columns_in([expression])) or mentioned & present
    }
    return replace(table, mapping=mapping)


def given_fields(table: Table) -> list[Field]:
    """Fields that a row of the table can hold anything in; the others of its contract are null."""
    return [f for f in table.contract.fields if f.required or f.default or f.name in table.mapping or f.name == "extra"]


def days_sql(table: Table, block: Block, relation: str, *, is_first: bool, lookup: str | None) -> str:
    """Select statement ``(file, day, records)`` over a block: the days of a table's rows, null where a row has none.

    Args:
        table: how its records become rows.
        block: what is read.
        relation: name under which the block's rows are registered, with a column ``file``.
        is_first: whether records that cannot be read at all are booked on this table (without a day).
        lookup: name of the relation ``(key, day)`` of ``table.day_of``, if it has one.
    """
    stamp = table.mapping.get(table.contract.time_field or "", "CAST(NULL AS VARCHAR)")
    parts = [stamp, table.where, table.explode or "", table.day_of.by if table.day_of else ""]
    wanted = columns_in(parts)
    record = block.record_sql(wanted, set(table.json) & wanted)
    day, join = f"CAST({instant_sql('stamp')} AS DATE)", ""
    if lookup and table.day_of:
        day, join = f"coalesce(l.day, {day})", f"LEFT JOIN {lookup} l ON l.key = k"
    key = table.day_of.by if lookup and table.day_of else "NULL"
    item = f", unnest({table.explode}) AS item" if table.explode else ""
    unread = "UNION ALL SELECT file, NULL, count(*) FROM source WHERE s IS NULL GROUP BY 1" if is_first else ""
    return f"""
WITH source AS MATERIALIZED (SELECT file, {record} AS s FROM {relation}),
items AS (SELECT file, s{item} FROM source WHERE s IS NOT NULL),
stamped AS (SELECT file, {stamp} AS stamp, {key} AS k FROM items WHERE {table.where})
SELECT file, {day} AS day, count(*) AS records FROM stamped {join} GROUP BY 1, 2 {unread}"""


def typed_rows_sql(
    table: Table,
    block: Block,
    relation: str,
    *,
    is_first: bool = True,
    has_unknown_keys: bool = True,
    lookup: str | None = None,
    kept: Sequence[str] = (),
) -> str:
    """Select statement over a block: every contract field typed, and what is wrong with a record.

    It gives ``line``, ``refusal`` (reason and message, or null), the ``text`` of refused records, the contract's
    fields, its day (null where a row has none of its own) and ``invalid_fields``.

    Args:
        table: how its records become rows.
        block: what is read.
        relation: name under which the block's rows are registered.
        is_first: whether records that cannot be read at all are booked on this table.
        has_unknown_keys: to look for unknown keys record by record takes a quarter of the time; False spares it.
        lookup: name of the relation ``(key, day)`` of ``table.day_of``, if it has one.
        kept: further columns of the relation that each of a record's rows has, too.
    """
    contract = table.contract
    fields = contract.fields
    unknown = block.unknown_sql(known_columns(table)) if has_unknown_keys else "CAST(NULL AS JSON)"
    given = [f for f in fields if f.required or f.name in table.mapping]
    raws = ",\n    ".join(f"{_raw(f, table)} AS {_r(f)}" for f in given)
    typed = ",\n    ".join(f"{_typed(f) if f in given else _not_given(f)} AS {quoted(f.name)}" for f in fields)
    optional = [f for f in given if not f.required and f.kind is not Kind.TEXT]
    wrong = ", ".join(f"CASE WHEN {_is_wrong_type(f)} THEN '{f.name}' END" for f in optional) or "NULL"
    any_wrong = " OR ".join(_is_wrong_type(f) for f in optional) or "false"  # lists are made for rows that need one
    wrong_pairs = ", ".join(f"'{f.name}', CASE WHEN {_is_wrong_type(f)} THEN {_r(f)} END" for f in optional)
    plain = ", ".join(f"{_finished(f, contract)} AS {quoted(f.name)}" for f in fields if f.name != "extra")
    own_day = f"CAST({quoted(contract.time_field)} AS DATE)" if contract.time_field else "CAST(NULL AS DATE)"
    day, join, key = own_day, "", "NULL"
    if lookup and table.day_of:
        day, join, key = f"coalesce(l.day, {own_day})", f"LEFT JOIN {lookup} l ON l.key = day_key", table.day_of.by
    unread = "s IS NULL" if is_first else "false"
    # a condition on the record, or a list made of it, would have it parsed again for each mention
    is_plain = is_first and table.takes_each_once
    source = "source AS NOT MATERIALIZED" if is_plain else "source AS MATERIALIZED"
    condition = "" if is_plain else f"WHERE CASE WHEN s IS NULL THEN {unread} ELSE coalesce({table.where}, false) END"
    # where the text of a record has to be put together (Parquet), it is for refused ones only
    carry = ", ".join([*kept, *block.text_columns])
    places = ", ".join([*kept, "line"])
    return f"""
WITH {source} (
  SELECT line, {carry}, problem,
         {block.record_sql(_wanted(table), set(table.json) & _wanted(table))} AS s, {unknown} AS unknown
  FROM {relation}
), items AS (
  SELECT *, {f"unnest(CASE WHEN s IS NULL THEN [NULL] ELSE {table.explode} END)" if table.explode else "NULL"} AS item
  FROM source
), raws AS (
  SELECT line, {carry}, problem, s IS NULL AS is_unread, unknown, {key} AS day_key,
    {raws}
  FROM items {condition}
), typed AS (
  SELECT *,
    {typed}
  FROM raws
), judged AS (
  SELECT *, {_refusal_sql(contract)} AS refusal,
    CASE WHEN {any_wrong} THEN list_filter([{wrong}], lambda name: name IS NOT NULL) END AS wrong
  FROM typed
)
SELECT {places}, refusal, CASE WHEN refusal IS NOT NULL THEN {block.text_sql()} END AS text, {plain},
  CASE WHEN wrong IS NOT NULL
       THEN json_merge_patch(coalesce(extra, '{{}}'), coalesce(unknown, '{{}}'),
                             json_object('_invalid', json_merge_patch('{{}}', json_object({wrong_pairs}))))
       WHEN unknown IS NOT NULL THEN json_merge_patch(coalesce(extra, '{{}}'), unknown)
       ELSE extra END AS extra,
  {day} AS {quoted(contract.day_column)},
  wrong AS invalid_fields
FROM judged {join}
"""


def _r(field: Field) -> str:
    return quoted(f"raw_{field.name}")


def _raw(field: Field, table: Table) -> str:
    if field.name not in table.mapping:
        return f"CAST(NULL AS {'JSON' if field.kind in (Kind.JSON, Kind.TEXT_LIST) else 'VARCHAR'})"
    value = f"({table.mapping[field.name]})"
    if field.person:
        # of a tab behind it one would become another person, and never be found; to look at both ends first takes a
        # quarter of what trimming takes
        is_trimmed = f"{value} BETWEEN '!' AND '~' AND {value}[-1] BETWEEN '!' AND '~'"
        return f"CASE WHEN {is_trimmed} THEN {value} ELSE {trimmed(value)} END"
    return value if field.free_text or field.kind in (Kind.JSON, Kind.TEXT_LIST) else _trimmed(value)


def _trimmed(value: str) -> str:
    """DuckDB: text without blanks around it, null where nothing is left.

    A text that begins behind the blank in the alphabet and does not end with one is as it should be. To ask so takes a
    fifth of what trimming a time stamp takes, and almost all are.
    """
    return f"CASE WHEN {value} >= '!' AND NOT ends_with({value}, ' ') THEN {value} ELSE {trimmed(value)} END"


def _typed(field: Field) -> str:
    raw = _r(field)
    match field.kind:
        case Kind.INTEGER:
            # try_cast('3.7' AS BIGINT) would round; a count with a fraction is the wrong type
            number = f"try_cast({raw} AS DOUBLE)"
            value = f"CASE WHEN {number} = floor({number}) THEN try_cast({raw} AS BIGINT) END"
        case Kind.NUMBER:
            value = f"CASE WHEN isfinite(try_cast({raw} AS DOUBLE)) THEN try_cast({raw} AS DOUBLE) END"
        case Kind.MONEY | Kind.BOOLEAN:
            value = f"try_cast({raw} AS {field.kind.duckdb})"
        case Kind.DATE:
            value = date_sql(raw)
        case Kind.INSTANT:
            value = instant_sql(raw)
        case Kind.TEXT_LIST:
            value = f"try_cast({raw} AS VARCHAR[])"
        case Kind.JSON:
            value = f"CASE WHEN json_type({raw}) = 'OBJECT' THEN CAST({raw} AS JSON) END"
        case _:
            value = raw
    return f"coalesce({value}, '{field.default}')" if field.default else value


def _not_given(field: Field) -> str:
    """The value where no column says it."""
    return f"CAST({literal(field.default) if field.default else 'NULL'} AS {field.kind.duckdb})"


def _is_wrong_type(field: Field) -> str:
    return f"({_r(field)} IS NOT NULL AND {quoted(field.name)} IS NULL)"


def _refusal_sql(contract: Contract) -> str:
    """Reason and message for a record that cannot be a contract row; null where it can."""
    cases = [
        "WHEN problem IS NOT NULL THEN [split_part(problem, ':', 1), problem]",
        "WHEN is_unread THEN ['unreadable', 'not a complete JSON object']",
    ]
    for field in contract.fields:
        if field.required:
            cases.append(f"WHEN {_r(field)} IS NULL THEN ['missing_field', '{field.name} is required']")
            if field.kind is not Kind.TEXT:
                kind = field.kind.name.lower()
                cases.append(
                    f"WHEN {quoted(field.name)} IS NULL THEN ['wrong_type', '{field.name} is not of type {kind}: ' "
                    f"|| left(CAST({_r(field)} AS VARCHAR), 80)]"
                )
        for limit, beyond, words in ((field.minimum, "<", "starts at"), (field.maximum, ">", "ends at")):
            if limit is not None:
                message = literal(f"{field.name} {words} {limit:,}, not at ")
                cases.append(f"WHEN {field.name} {beyond} {limit} THEN ['wrong_type', {message} || {field.name}]")
    return f"CASE {' '.join(cases)} END"


def _finished(field: Field, contract: Contract) -> str:
    """Rules that need a second look: meaningless confidences and unmeasured times become null."""
    if field.name == "asr_confidence" and any(f.name == "speaker" for f in contract.fields):
        return "CASE WHEN speaker <> 'agent' THEN asr_confidence END"
    if field.name.endswith("_ms"):
        return f"nullif({field.name}, -1)"
    return quoted(field.name)
