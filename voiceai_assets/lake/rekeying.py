"""The lake under a new pseudonym key: a second lake beside the first, and the exchange of the two.

Belongs here: files of the lake. Does not belong here: keys (``privacy.pseudonyms``), tables (``warehouse.rekeying``),
the order of the steps (``voiceai_assets.rotation``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa

from voiceai_assets.contracts import DATASETS
from voiceai_assets.lake.account import LakeDay, write_account
from voiceai_assets.lake.indexing import sha256_of
from voiceai_assets.lake.parquet import from_parquet, rewrite
from voiceai_assets.lake.reading.block import quoted
from voiceai_assets.lake.refine import REPLACEMENTS
from voiceai_assets.privacy.pseudonyms import key_id, rekeyed

_SPILL = ".spill"


def rekeyed_lake(lake: Path) -> Path:
    """Where the lake under the new key is made: beside the old one, so that a rename can put it in its place."""
    return lake.with_name(f"{lake.name}.rekeyed")


def build(lake: Path, key: bytes, db: duckdb.DuckDBPyConnection, on_day: Callable[[str], None]) -> dict[LakeDay, str]:
    """Make the lake that the key gives, from its beginning; returns the checksums of the files that were rewritten.

    What names nobody is linked and not copied.
    """
    target = rekeyed_lake(lake)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in sorted(lake.rglob("*")):
        relative = path.relative_to(lake)
        if path.is_file() and _SPILL not in relative.parts:
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target / relative)
    places = [
        LakeDay(target, contract.dataset, rows.parent.name.removeprefix("date="))
        for contract in DATASETS.values()
        if contract.person
        for rows in sorted((target / contract.dataset).glob("date=*/rows.parquet"))
    ]
    for place in places:
        on_day(f"{place.dataset} {place.day}")
        _rekey(place, key, db)
    os.sync()  # the tables' commit is on the disk before it returns; what it rests on must be, too
    return {place: sha256_of(place.rows) for place in places}


def _rekey(place: LakeDay, key: bytes, db: duckdb.DuckDBPyConnection) -> None:
    rows, person = from_parquet(place.rows), DATASETS[place.dataset].person
    assert person is not None
    found = db.execute(f"SELECT DISTINCT {quoted(person)} FROM {rows} WHERE {quoted(person)} IS NOT NULL").fetchall()
    old = [pseudonym for (pseudonym,) in found]
    db.register("replacements", pa.table({"original": old, "clean": [rekeyed(o, key) for o in old]}, REPLACEMENTS))
    rewrite(
        db,
        f"SELECT t.* EXCLUDE (file_row_number) REPLACE (r.clean AS {quoted(person)}) "
        f"FROM {from_parquet(place.rows, with_row_number=True)} t "
        f"LEFT JOIN replacements r ON r.original = t.{quoted(person)} ORDER BY t.file_row_number",
        place.rows,
    )
    db.unregister("replacements")
    if place.account.exists():
        write_account(place, replace(place.read_account(), key_id=key_id(key)))


def exchange(lake: Path) -> None:
    """Put the new lake in the place of the old one; does nothing where that was done. Two renames, no copying."""
    rekeyed_one, retired = rekeyed_lake(lake), lake.with_name(f"{lake.name}.retired")
    if rekeyed_one.exists():
        if not retired.exists():  # else it was killed between the renames
            lake.rename(retired)
        rekeyed_one.rename(lake)
    shutil.rmtree(retired, ignore_errors=True)
