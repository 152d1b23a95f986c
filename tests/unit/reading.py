"""Harness: what an adapter makes of a file, without a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from voiceai_assets.adapters.base import Adapter, Table
from voiceai_assets.lake.companions import read_days
from voiceai_assets.lake.reading import read_blocks
from voiceai_assets.lake.typing import known_columns, typed_rows_sql


@dataclass
class Read:
    """Rows and refused records of one dataset."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)


def read(adapter: Adapter, path: Path, timezone: str = "UTC", *, below: str = "") -> dict[str, Read]:
    """Everything that the adapter's tables make of a file; ``below`` is its folder inside the adapter's folder.

    A table whose day stands in another file looks for that file beside this one.
    """
    tables = adapter.tables_of(f"{below}{path.name}")
    result = {table.contract.dataset: Read() for table in tables}
    with duckdb.connect() as db:
        db.execute(f"SET TimeZone = '{timezone}'")
        lookups = [_lookup(adapter, path, table, db) for table in tables]
        for block in read_blocks(path):
            db.register("block", block.rows)
            for table, lookup in zip(tables, lookups, strict=True):
                known = frozenset().union(*(known_columns(t) for t in tables))
                is_first = table is tables[0]
                # what is unknown is kept once, also where one record becomes several rows
                unknown = (is_first or table.explode is None) and (
                    block.columns is None or not set(block.columns) <= known
                )
                query = typed_rows_sql(
                    table, block, "block", is_first=is_first, has_unknown_keys=unknown, lookup=lookup
                )
                found = db.execute(f"SELECT * FROM ({query}) ORDER BY line")
                names = [column[0] for column in found.description or []]
                for row in found.fetchall():
                    _book(result[table.contract.dataset], dict(zip(names, row, strict=True)))
            db.unregister("block")
    return result


def _book(into: Read, row: dict[str, Any]) -> None:
    line, refusal, text = row.pop("line"), row.pop("refusal"), row.pop("text")
    if refusal is None:
        into.rows.append({**row, "source_line": line})
    else:
        into.refused.append({"line": line, "reason": refusal[0], "message": refusal[1], "text": text})


def _lookup(adapter: Adapter, path: Path, table: Table, db: duckdb.DuckDBPyConnection) -> str | None:
    """The product's own table of days; which files say them is asked here, as no landing folder names the adapter."""
    if table.day_of is None:
        return None
    files = table.day_of.files
    beside = [p for p in sorted(path.parent.iterdir()) if any(t.files == files for t in adapter.tables_of(p.name))]
    name = f"days_of_{table.contract.dataset}"
    read_days(beside, table.day_of, name, db)
    return name
