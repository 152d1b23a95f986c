"""DuckDB SQL that turns a contract's text fields into typed columns and says what is wrong with a record.

Belongs here: types and required fields, for any adapter.
Does not belong here: judgement of values (the checks do that).
"""

from __future__ import annotations

from voiceai_assets.adapters.base import Adapter
from voiceai_assets.contracts.fields import Field, Kind
from voiceai_assets.contracts.turns import TURNS
from voiceai_assets.privacy.redaction import redacted

#: RFC 3339 with an optional offset; DuckDB alone would also take a bare date, or a time it has to guess.
RFC3339 = r"^\s*\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?\s*([Zz]|[+-]\d{2}(:?\d{2})?)?\s*$"


def instant_sql(text: str) -> str:
    """DuckDB: instant of an RFC 3339 text, read in the connection's time zone where it has no offset; else null."""
    return f"CASE WHEN regexp_matches({text}, '{RFC3339}') THEN try_cast(replace({text}, ',', '.') AS TIMESTAMPTZ) END"


def _raw(field: Field) -> str:
    names = [f"record.{name}" for name in field.names]
    value = f"coalesce({', '.join(names)})" if len(names) > 1 else names[0]
    return value if field.free_text or field.kind in (Kind.JSON, Kind.TEXT_LIST) else f"nullif(trim({value}), '')"


def _typed(field: Field) -> str:
    raw = f"raw_{field.name}"
    match field.kind:
        case Kind.INTEGER:
            # try_cast('3.7' AS BIGINT) would round; a count with a fraction is the wrong type
            number = f"try_cast({raw} AS DOUBLE)"
            value = f"CASE WHEN {number} = floor({number}) THEN try_cast({raw} AS BIGINT) END"
        case Kind.NUMBER:
            value = f"CASE WHEN isfinite(try_cast({raw} AS DOUBLE)) THEN try_cast({raw} AS DOUBLE) END"
        case Kind.MONEY | Kind.BOOLEAN:
            value = f"try_cast({raw} AS {field.kind.duckdb})"
        case Kind.INSTANT:
            value = instant_sql(raw)
        case Kind.TEXT_LIST:
            value = f"try_cast({raw} AS VARCHAR[])"
        case Kind.JSON:
            value = f"CASE WHEN json_type({raw}) = 'OBJECT' THEN {raw} END"
        case _:
            value = redacted(raw) if field.free_text else raw
    return f"coalesce({value}, '{field.default}')" if field.default else value


def _is_typed(field: Field) -> bool:
    return field.kind is not Kind.TEXT


def _is_wrong_type(field: Field) -> str:
    return f"(raw_{field.name} IS NOT NULL AND {field.name} IS NULL)"


def _refusal_sql() -> str:
    """Reason and message for a record that cannot be a contract row; null where it can."""
    cases = [
        "WHEN problem IS NOT NULL THEN [split_part(problem, ':', 1), problem]",
        "WHEN record IS NULL THEN ['unreadable', 'not a complete JSON object']",
    ]
    for field in TURNS.fields:
        if field.required:
            cases.append(f"WHEN raw_{field.name} IS NULL THEN ['missing_field', '{field.name} is required']")
            if _is_typed(field):
                kind = field.kind.name.lower()
                cases.append(
                    f"WHEN {field.name} IS NULL THEN ['wrong_type', '{field.name} is not of type {kind}: ' "
                    f"|| left(raw_{field.name}, 80)]"
                )
    cases.append("WHEN turn_number < 1 THEN ['wrong_type', 'turn_number starts at 1, not at ' || turn_number]")
    return f"CASE {' '.join(cases)} END"


def typed_rows_sql(adapter: Adapter, block: str, *, has_unknown_keys: bool = True) -> str:
    """Select statement over a block of records; to look for unknown keys record by record takes a quarter of its time.

    It gives ``line``, ``refusal`` (reason and message, or null), the ``text`` of refused records, every contract field
    typed, ``turn_date`` and ``invalid_fields``.
    """
    raws = ",\n    ".join(f"{_raw(f)} AS raw_{f.name}" for f in TURNS.fields)
    typed = ",\n    ".join(f"{_typed(f)} AS {f.name}" for f in TURNS.fields)
    optional = [f for f in TURNS.fields if not f.required and _is_typed(f)]
    wrong = ", ".join(f"CASE WHEN {_is_wrong_type(f)} THEN '{f.name}' END" for f in optional)
    any_wrong = " OR ".join(_is_wrong_type(f) for f in optional)  # lists are made for the few rows that need one
    wrong_pairs = ", ".join(f"'{f.name}', CASE WHEN {_is_wrong_type(f)} THEN raw_{f.name} END" for f in optional)
    plain = ", ".join(f"{_finished(f)} AS {f.name}" for f in TURNS.fields if f.name != "extra")
    unknown = f"CASE WHEN problem IS NULL THEN {adapter.unknown_sql} END" if has_unknown_keys else "CAST(NULL AS JSON)"
    return f"""
WITH parsed AS MATERIALIZED (
  SELECT line, text, problem, CASE WHEN problem IS NULL THEN {adapter.record_sql} END AS record,
         {unknown} AS unknown
  FROM {block}
), raws AS (
  SELECT line, text, problem, record, unknown,
    {raws}
  FROM parsed
), typed AS (
  SELECT *,
    {typed}
  FROM raws
), judged AS (
  SELECT *, {_refusal_sql()} AS refusal,
    CASE WHEN {any_wrong} THEN list_filter([{wrong}], lambda name: name IS NOT NULL) END AS wrong
  FROM typed
)
SELECT line, refusal, CASE WHEN refusal IS NOT NULL THEN text END AS text, {plain},
  CASE WHEN wrong IS NOT NULL
       THEN json_merge_patch(coalesce(extra, '{{}}'), coalesce(unknown, '{{}}'),
                             json_object('_invalid', json_merge_patch('{{}}', json_object({wrong_pairs}))))
       WHEN unknown IS NOT NULL THEN json_merge_patch(coalesce(extra, '{{}}'), unknown)
       ELSE extra END AS extra,
  CAST(timestamp AS DATE) AS turn_date,
  wrong AS invalid_fields
FROM judged
"""


def _finished(field: Field) -> str:
    """Rules of the contract that need a second column: meaningless confidences and unmeasured times become null."""
    if field.name == "asr_confidence":
        return "CASE WHEN speaker <> 'agent' THEN asr_confidence END"
    if field.name.endswith("_ms"):
        return f"nullif({field.name}, -1)"
    return field.name
