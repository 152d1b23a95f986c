"""Forgetting a person in files: whose a record is, and landing and lake without the records of the forgotten.

Belongs here: landing, read through the adapters; the lake; safety copies; the search for what is left.
Does not belong here: PostgreSQL (``warehouse.erasure``), the order of the steps (``voiceai_assets.erasing``).
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from voiceai_assets.adapters import tables_for
from voiceai_assets.adapters.base import FORMATS, Table, split_name
from voiceai_assets.contracts import DATASETS
from voiceai_assets.contracts.fields import Contract
from voiceai_assets.lake.account import DayLoad, FileAccount, LakeDay, with_erasures, write_account
from voiceai_assets.lake.inbox import scan
from voiceai_assets.lake.indexing import FileStat, stat_of
from voiceai_assets.lake.mending import CannotMendError, remove
from voiceai_assets.lake.parquet import from_parquet, rewrite
from voiceai_assets.lake.people import (
    ERASED,
    ERASED_MESSAGE,
    PARTS_OF_SESSION,
    PEOPLE,
    erased_sql,
    keep_values,
    names_people,
    sessions_sql,
)
from voiceai_assets.lake.reading import Block, UnreadableFileError, read_blocks
from voiceai_assets.lake.reading.block import literal, trimmed
from voiceai_assets.lake.reading.bytes import DamagedError, whole_lines
from voiceai_assets.lake.refine import MEMORY_LIMIT
from voiceai_assets.lake.remote import Remote
from voiceai_assets.lake.storing import change_file, changed_day
from voiceai_assets.lake.typing import columns_in
from voiceai_assets.privacy.needles import Needles
from voiceai_assets.privacy.tombstones import Tombstones

_ITEM = re.compile(r"\bitem\b")

OnFile = Callable[[str], None]


# -- whose a session is ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """What records of one kind say of a session.

    Attributes:
        is_mine: a record names the person.
        is_others: a record names somebody else.
        is_part: the records are parts of the session (a turn, the session itself), they do not merely refer to it.
    """

    session: str
    is_mine: bool
    is_others: bool
    is_part: bool


@dataclass(frozen=True)
class Sessions:
    """Sessions that a person has to themselves, and those in which somebody else is named too."""

    own: frozenset[str]
    shared: frozenset[str]


def sessions_of(claims: Iterable[Claim]) -> Sessions:
    """Decide whose the sessions are. Pure.

    A session is the person's when its own records name nobody else. Records that only refer to it decide where its
    own name nobody. A shared session stays, without the records that name the person: taking out what names nobody
    would change the other person's figures.
    """
    known: dict[str, Counter[tuple[str, bool]]] = {}
    for claim in claims:
        found = known.setdefault(claim.session, Counter())
        found["mine", claim.is_part] += claim.is_mine
        found["others", claim.is_part] += claim.is_others
    own: set[str] = set()
    shared: set[str] = set()
    for session, found in known.items():
        decisive = bool(found["mine", True] or found["others", True])
        if found["mine", decisive]:
            (shared if found["others", decisive] else own).add(session)
    return Sessions(frozenset(own), frozenset(shared))


# -- landing -----------------------------------------------------------------------------------------------------------


@contextmanager
def connected(spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with the limits that refining has."""
    spill.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as db:
        db.execute(f"SET memory_limit = '{MEMORY_LIMIT}'; SET TimeZone = 'UTC'")
        db.execute("SET temp_directory = ?", [str(spill)])
        yield db


@dataclass
class Hits:
    """Records of the forgotten in one landed file.

    Attributes:
        lines: where they begin.
        records: by dataset; one record may be rows of several.
        sessions: that they name.
    """

    stat: FileStat
    lines: set[int] = field(default_factory=set)
    records: Counter[str] = field(default_factory=Counter)
    sessions: set[str] = field(default_factory=set)


def readable_files(landing: Path) -> list[FileStat]:
    """Files that some adapter reads, known to the index or not."""
    return sorted(stat for stat in scan(landing) if tables_for(stat.path))


def claims_in_landing(
    landing: Path, identifier: str, db: duckdb.DuckDBPyConnection, on_file: OnFile
) -> Iterator[Claim]:
    """What landed records say of the sessions in which the person is named."""
    db.execute(
        "CREATE OR REPLACE TEMP TABLE claims (session VARCHAR, is_mine BOOLEAN, is_others BOOLEAN, is_part BOOLEAN)"
    )
    for stat in readable_files(landing):
        on_file(stat.path)
        for table in _people_of(landing / stat.path, tables_for(stat.path), db):
            db.execute(
                "INSERT INTO claims SELECT session, bool_or(person = $who), bool_or(person <> $who), $part FROM people "
                "WHERE session IS NOT NULL AND person IS NOT NULL GROUP BY session",
                {"who": identifier, "part": table.contract.dataset in PARTS_OF_SESSION},
            )
    found = db.execute(
        "SELECT session, bool_or(is_mine), bool_or(is_others), is_part FROM claims "
        "WHERE session IN (SELECT session FROM claims WHERE is_mine) GROUP BY session, is_part"
    )
    for row in found.fetchall():
        yield Claim(*row)


def find_in_landing(
    landing: Path, tombstones: Tombstones, db: duckdb.DuckDBPyConnection, on_file: OnFile
) -> dict[str, Hits]:
    """Path -> records that bear a tombstone, for every file that has any."""
    found: dict[str, Hits] = {}
    for stat in readable_files(landing):
        on_file(stat.path)
        hits = Hits(stat)
        for table in _people_of(landing / stat.path, tables_for(stat.path), db):
            _add_hits(hits, table, tombstones, db)
            _add_unreadable(hits, table, tombstones, db)
        if hits.lines:
            found[stat.path] = hits
    return found


def _add_hits(hits: Hits, table: Table, tombstones: Tombstones, db: duckdb.DuckDBPyConnection) -> None:
    persons = [p for (p,) in db.execute("SELECT DISTINCT person FROM people WHERE person IS NOT NULL").fetchall()]
    sessions = db.execute("SELECT DISTINCT session FROM people WHERE person IS NULL AND session IS NOT NULL").fetchall()
    gone = [p for p in persons if tombstones.has_person(p)], [s for (s,) in sessions if tombstones.has_session(s)]
    if not any(gone):
        return
    keep_values(db, "gone_persons", gone[0])
    keep_values(db, "gone_sessions", gone[1])
    rows = db.execute(
        "SELECT line, list(DISTINCT session) FILTER (session IS NOT NULL) FROM people "
        "WHERE person IN (SELECT value FROM gone_persons) "
        "OR (person IS NULL AND session IN (SELECT value FROM gone_sessions)) GROUP BY line"
    ).fetchall()
    hits.lines |= {line for line, _ in rows}
    hits.records[table.contract.dataset] += len(rows)
    hits.sessions |= {s for _, named in rows for s in named or () if tombstones.has_session(s)}


def _add_unreadable(hits: Hits, table: Table, tombstones: Tombstones, db: duckdb.DuckDBPyConnection) -> None:
    for line, text in db.execute("SELECT line, text FROM people WHERE text IS NOT NULL").fetchall():
        if line not in hits.lines and (named := tombstones.named_in(text)):
            hits.lines.add(line)
            hits.records[table.contract.dataset] += 1
            hits.sessions |= {name for name in named if tombstones.has_session(name)}


def _people_of(path: Path, tables: tuple[Table, ...], db: duckdb.DuckDBPyConnection) -> Iterator[Table]:
    """For each block and table of a file: a temporary table ``people (line, person, session, text)``.

    Only what names people is read, so records that miss something else are found too. A record that cannot be read at
    all has its ``text`` instead. What a file holds that cannot be read as a whole, the search for what is left finds.
    """
    try:
        for block in read_blocks(path):
            db.register("block", block.rows)
            for table in tables:
                is_first = table is tables[0]
                if is_first or names_people(table.contract):
                    db.execute(f"CREATE OR REPLACE TEMP TABLE people AS {_people_sql(table, block, is_first=is_first)}")
                    yield table
            db.unregister("block")
    except UnreadableFileError:
        return


def _people_sql(table: Table, block: Block, *, is_first: bool) -> str:
    nothing = "CAST(NULL AS VARCHAR)"
    person = table.mapping.get(table.contract.person or "", nothing)
    sessions = sessions_sql(table.contract, lambda name: f"({table.mapping.get(name, nothing)})")
    # an exploded record names its person and its session once
    explode = table.explode if table.explode and _ITEM.search(f"{person} {sessions} {table.where}") else None
    wanted = columns_in([person, sessions, table.where, explode or ""])
    item = f", unnest({explode}) AS item" if explode else ""
    unread = f"UNION ALL SELECT line, {nothing}, {nothing}, text FROM source WHERE s IS NULL" if is_first else ""
    return f"""
WITH source AS MATERIALIZED (
  SELECT line, {block.text_sql()} AS text, {block.record_sql(wanted, set(table.json) & wanted)} AS s FROM block
), items AS (SELECT line, s{item} FROM source WHERE s IS NOT NULL)
SELECT line, {trimmed(person)} AS person, unnest({sessions}) AS session, {nothing} AS text
FROM items WHERE coalesce({table.where}, false) {unread}"""


def remove_from_landing(
    landing: Path, found: Mapping[str, Hits], on_file: OnFile, store: Remote | None
) -> dict[str, str]:
    """Remove the records, from the store that landing is a copy of as well; path -> why not, where it failed.

    A file of which the store does not take the new content keeps the records here, too: there they are found again.
    """
    failed: dict[str, str] = {}
    for path, hits in found.items():
        on_file(path)
        try:
            if stat_of(landing, path) != hits.stat:
                raise CannotMendError(f"{path} changed meanwhile; run the command again")
            change_file(landing, path, store, partial(remove, lines=hits.lines))
        except (CannotMendError, OSError) as error:
            failed[path] = str(error)
    return failed


# -- lake --------------------------------------------------------------------------------------------------------------


def lake_days(lake: Path) -> Iterator[LakeDay]:
    """Every day of every dataset in the lake."""
    for dataset in DATASETS:
        for folder in sorted((lake / dataset).glob("date=*")):
            place = LakeDay(lake, dataset, folder.name.removeprefix("date="))
            if place.rows.exists() and place.account.exists():
                yield place


def find_in_lake(lake: Path, tombstones: Tombstones, db: duckdb.DuckDBPyConnection) -> dict[LakeDay, int]:
    """Days of the lake that hold rows of the forgotten, with how many."""
    found = {}
    for place in lake_days(lake):
        if (condition := _lake_condition(place, tombstones, db)) is not None:
            rows = db.execute(f"SELECT count(*) FROM {from_parquet(place.rows)} WHERE {condition}").fetchone()
            found[place] = rows[0] if rows else 0
    return found


def _lake_condition(place: LakeDay, tombstones: Tombstones, db: duckdb.DuckDBPyConnection) -> str | None:
    contract = DATASETS[place.dataset]
    if contract not in PEOPLE:
        return None
    relation = f"(SELECT {_columns(contract)} FROM {from_parquet(place.rows)})"
    return erased_sql(db, relation, contract, tombstones.has_pseudonym, tombstones)


def _columns(contract: Contract) -> str:
    return ", ".join(f'"{f.name}"' for f in contract.fields)


def forget_in_lake(
    place: LakeDay, tombstones: Tombstones, db: duckdb.DuckDBPyConnection, store: Remote | None = None
) -> int:
    """Rewrite a day of the lake without the rows of the forgotten; for days that landing no longer holds.

    The account moves them to quarantine as ``erased``, and the load gets another id, as if the files had been refined
    again. Returns how many rows went.

    Raises:
        StoreError: when the store does not take the day; the rows are here as they were, and are found again.
    """
    condition = _lake_condition(place, tombstones, db)
    if condition is None:
        return 0
    db.execute(
        "CREATE OR REPLACE TEMP TABLE gone AS SELECT source_file AS file, source_line AS line "
        f"FROM {from_parquet(place.rows)} WHERE {condition}"
    )
    counts: dict[str, int] = dict(db.execute("SELECT file, count(*) FROM gone GROUP BY 1").fetchall())
    load = _without(place.read_account(), counts)
    with changed_day(place, store) as changed:
        rewrite(
            db,
            f"SELECT * EXCLUDE (file_row_number) REPLACE ('{load.load_id}' AS load_id) "
            f"FROM {from_parquet(place.rows, with_row_number=True)} "
            f"WHERE NOT coalesce({condition}, false) ORDER BY file_row_number",
            changed.rows,
        )
        rewrite(
            db,
            f"SELECT * REPLACE ('{load.load_id}' AS load_id) FROM {from_parquet(place.quarantine)} UNION ALL BY NAME "
            f"SELECT file, line, {literal(ERASED)} AS reason, {literal(ERASED_MESSAGE)} AS message, "
            f"CAST(NULL AS VARCHAR) AS raw_text, DATE '{place.day}' AS day, '{load.load_id}' AS load_id FROM gone "
            "ORDER BY file, line",
            changed.quarantine,
        )
        write_account(changed, load)
    return sum(counts.values())


def _without(load: DayLoad, counts: Mapping[str, int]) -> DayLoad:
    files = tuple(_account_without(file, counts.get(file.file, 0)) for file in load.files)
    return replace(load, load_id=with_erasures(load.load_id, {f.file: f.rows_erased for f in files}), files=files)


def _account_without(file: FileAccount, gone: int) -> FileAccount:
    return replace(
        file,
        rows_loaded=file.rows_loaded - gone,
        rows_quarantined=file.rows_quarantined + gone,
        rows_erased=file.rows_erased + gone,
    )


# -- the search for what is left ---------------------------------------------------------------------------------------


def search(folder: Path, needles: Needles) -> dict[str, str]:
    """Files below a folder in which an identifier stands, hidden ones included: path -> how it was found.

    Archives are decompressed, Parquet is read by column; a file that cannot be read to its end is named too, because
    nobody knows what it holds.
    """
    found = {}
    patterns = list(needles.patterns())
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()) if patterns else ():
        name = path.relative_to(folder).as_posix()
        try:
            if needles.is_in_name(name):
                found[name] = "in its name"
            elif _holds(path, patterns):
                found[name] = "in its content"
        except (DamagedError, OSError, duckdb.Error, pa.ArrowException) as error:
            found[name] = f"not searched to its end: {error}"
    return found


def _holds(path: Path, patterns: list[str]) -> bool:
    _, ending = split_name(path.name.lstrip("."))
    if FORMATS.get(ending) == "parquet" or path.suffix == ".parquet":
        with duckdb.connect() as db:
            query = f"SELECT count(*) FROM {from_parquet(path)} t WHERE regexp_matches(CAST(t AS VARCHAR), ?)"
            return any((db.execute(query, [pattern]).fetchone() or (0,))[0] for pattern in patterns)
    return any(
        pc.match_substring_regex(pa.array([chunk], pa.large_binary()), pattern)[0].as_py()
        for chunk in _chunks(path)
        for pattern in patterns
    )


def _chunks(path: Path) -> Iterator[bytes]:
    """Content in pieces that end at a line's end; a model file is an archive of members."""
    if not zipfile.is_zipfile(path):
        yield from whole_lines(path)
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            yield archive.read(member)


def delete_copies(folder: Path, needles: Needles) -> list[str]:
    """Delete safety copies that hold an identifier; the files they are copies of were mended long ago.

    Names of safety copies no longer say which adapter reads them, so they are searched as text, short identifiers
    included: a copy too many costs nothing.
    """
    gone = []
    for path in sorted(p for p in folder.glob("*") if p.is_file()):
        if any(needles.may_be_in(chunk) for chunk in whole_lines(path)):
            path.unlink()
            gone.append(path.name)
    return gone
