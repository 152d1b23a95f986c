"""Free text that is older than the retention limit: out of the lake, with everything beside it unchanged.

Belongs here: what is text in a row, and a day of the lake without it. Does not belong here: which days are old
(``automation.retention``), PostgreSQL.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import duckdb

from voiceai_assets.contracts import DATASETS
from voiceai_assets.contracts.fields import Contract, Kind
from voiceai_assets.lake.parquet import from_parquet, rewrite
from voiceai_assets.lake.reading.block import quoted

if TYPE_CHECKING:
    from voiceai_assets.lake.account import LakeDay

#: Members of JSON documents that are identifiers and no text. The models join by them (``extra ->> 'call_id'``), so
#: without them a day would get other figures when it is built again; a test compares this with the models.
KEPT_MEMBERS = frozenset(
    {"call_id", "session_id", "flow_id", "flow_version", "current_state", "experiment_id", "variant_id"}
)
#: Members that hold a word of a vocabulary, kept where they do; a sentence in their place is text. The models' macro
#: json_code reads them by the same rule.
KEPT_CODES = frozenset({"last_active_state", "final_state", "drop_off_reason"})
_CODE = re.compile(r"[^\s@]{1,64}")
_NOTHING = ""


def without_texts(document: str) -> str:
    """A JSON document reduced to numbers, truth values and identifiers; empty where nothing of that is in it."""
    kept = _kept(json.loads(document))
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) if kept else _NOTHING


def _kept(value: Any) -> Any:
    match value:
        case bool() | int() | float():
            return value
        case list():
            return [item for item in map(_kept, value) if item is not None] or None
        case dict():
            members = {key: v if key in KEPT_MEMBERS else _kept_code(key, v) for key, v in value.items()}
            return {key: v for key, v in members.items() if v is not None} or None
        case _:
            return None


def _kept_code(key: str, value: Any) -> Any:
    if key in KEPT_CODES and isinstance(value, str) and value.strip():
        return value if _CODE.fullmatch(value.strip()) else "other"
    return _kept(value)


def text_fields(contract: Contract) -> list[str]:
    """Plain text columns that may hold what somebody said."""
    return [f.name for f in contract.fields if f.free_text and f.kind is not Kind.JSON]


def documents(contract: Contract) -> list[str]:
    """JSON columns that may hold it among other things."""
    return [f.name for f in contract.fields if f.free_text and f.kind is Kind.JSON]


def drop_texts(place: LakeDay, db: duckdb.DuckDBPyConnection) -> int:
    """Rewrite a day of the lake without its texts; returns how many rows and refused records held any."""
    contract = DATASETS[place.dataset]
    changes, joins, conditions = [], "", []
    for name in text_fields(contract):
        changes.append(f"CAST(NULL AS VARCHAR) AS {quoted(name)}")
        conditions.append(f"{quoted(name)} IS NOT NULL")
    for name in documents(contract):
        shorter = _shorter(place, name, db)
        if shorter:
            _keep_pairs(db, f"shorter_{name}", shorter)
            joins += f" LEFT JOIN shorter_{name} ON shorter_{name}.original = CAST(t.{quoted(name)} AS VARCHAR)"
            changes.append(
                f"CASE WHEN shorter_{name}.original IS NULL THEN CAST(t.{quoted(name)} AS JSON) "
                f"ELSE CAST(nullif(shorter_{name}.clean, '') AS JSON) END AS {quoted(name)}"
            )
            conditions.append(f"CAST({quoted(name)} AS VARCHAR) IN (SELECT original FROM shorter_{name})")
    rows = from_parquet(place.rows)
    held = _count(db, f"SELECT count(*) FROM {rows} WHERE {' OR '.join(conditions)}") if conditions else 0
    if held:
        numbered = from_parquet(place.rows, with_row_number=True)
        rewrite(db, f"SELECT t.* EXCLUDE (file_row_number) REPLACE ({', '.join(changes)}) FROM {numbered} t {joins} "
                "ORDER BY t.file_row_number", place.rows)  # fmt: skip
    refused = _count(db, f"SELECT count(*) FROM {from_parquet(place.quarantine)} WHERE raw_text IS NOT NULL")
    if refused:
        query = f"SELECT * REPLACE (CAST(NULL AS VARCHAR) AS raw_text) FROM {from_parquet(place.quarantine)}"
        rewrite(db, query, place.quarantine)
    return held + refused


def _shorter(place: LakeDay, name: str, db: duckdb.DuckDBPyConnection) -> dict[str, str]:
    column, rows = quoted(name), from_parquet(place.rows)
    query = f"SELECT DISTINCT CAST({column} AS VARCHAR) FROM {rows} WHERE {column} IS NOT NULL"
    found = {text: without_texts(text) for (text,) in db.execute(query).fetchall()}
    return {text: short for text, short in found.items() if json.loads(text) != json.loads(short or "null")}


def _keep_pairs(db: duckdb.DuckDBPyConnection, table: str, pairs: dict[str, str]) -> None:
    db.execute(f"CREATE OR REPLACE TEMP TABLE {table} (original VARCHAR, clean VARCHAR)")
    db.executemany(f"INSERT INTO {table} VALUES (?, ?)", [list(pair) for pair in pairs.items()])


def _count(db: duckdb.DuckDBPyConnection, query: str) -> int:
    rows = db.execute(query).fetchall()
    return int(rows[0][0]) if rows else 0
